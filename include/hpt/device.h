/* SPDX-License-Identifier: Apache-2.0
 * device.h: what this machine offers to trials: cores, memory, GPUs. */
#ifndef HPT_DEVICE_H
#define HPT_DEVICE_H

#include <hpt/export.h>
#include <stdint.h>

HPT_BEGIN_DECLS

typedef struct hpt_device_info {
    char name[64];        /* "cpu", "gpu:0" */
    char kind[16];        /* "cpu" or "gpu" */
    char source[64];      /* "detected", "--gpus", "HPT_FAKE_DEVICES", "CUDA_VISIBLE_DEVICES" */
    char visible_id[96];  /* what CUDA_VISIBLE_DEVICES gets: "0" or a UUID; "" for cpu */
    int64_t memory_bytes; /* 0: unknown */
    double capacity;      /* cores for cpu, 1.0 for a GPU */
} hpt_device_info;

/* declared: NULL, a count "4", or "4x40GiB+2x80GiB"; HPT_FAKE_DEVICES counts when it is NULL.
 * *out: array of *n (hpt_free), the CPU first. HPT_E_ARG: the declaration does not parse. */
HPT_API HPT_NODISCARD int hpt_device_list(hpt_device_info **out, int64_t *n, const char *declared);

HPT_END_DECLS
#endif
