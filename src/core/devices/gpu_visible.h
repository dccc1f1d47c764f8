// SPDX-License-Identifier: Apache-2.0
// gpu_visible.h: which devices a list like CUDA_VISIBLE_DEVICES means.
#ifndef HPT_DEVICES_GPU_VISIBLE_H
#define HPT_DEVICES_GPU_VISIBLE_H

#include "nvml.h"

typedef struct hpt__visible { // one device that the list shows
    int64_t gpu;              // index into the driver's list; -1: a number whose device is not known
    char id[96];              // what CUDA_VISIBLE_DEVICES gets: the UUID, or the entry itself where that is not known
} hpt__visible;

// What ends the list early, if anything does.
typedef struct hpt__visible_end {
    char entry[96];  // "": nothing did
    const char *why; // static text
} hpt__visible_end;

// numbered: number k is the driver's k-th GPU (CUDA_DEVICE_ORDER=PCI_BUS_ID, Slurm); else only where all are alike.
// n_gpus 0: no driver answers, and every entry is taken as it is. *out: array of *n (hpt__free).
HPT_NODISCARD int hpt__visible_read(hpt__visible **out, int64_t *n, hpt__visible_end *end, const char *text,
                                    const hpt__gpu *gpus, int64_t n_gpus, bool numbered);

#endif
