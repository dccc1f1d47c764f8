// SPDX-License-Identifier: Apache-2.0
// inventory.h: GPUs as the driver lists them; hpt_device_list (hpt/device.h) turns them into devices.
#ifndef HPT_SCHED_INVENTORY_H
#define HPT_SCHED_INVENTORY_H

#include <hpt/device.h>

typedef struct hpt__gpu_probe {
    char uuid[96]; // "GPU-..." or "MIG-...": what CUDA_VISIBLE_DEVICES takes
    int64_t memory_bytes;
} hpt__gpu_probe;

// *out: array of *n (hpt__free), NULL and 0 where no driver answers. Fails only for lack of memory.
HPT_NODISCARD int hpt__gpu_probe_all(hpt__gpu_probe **out, int64_t *n);

#endif
