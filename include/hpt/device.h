/* SPDX-License-Identifier: Apache-2.0
 * device.h: what this machine offers to trials: cores, memory, GPUs; and to the engine itself: compute backends. */
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

/* A compute backend that the engine's own arithmetic could run on. */
typedef struct hpt_backend_info {
    char name[48];     /* what a `device` option takes: "cpu"; "name:1" where there are several devices */
    char device[96];   /* its hardware in words; "" where it is not available */
    char doc[96];      /* one line */
    char library[128]; /* that it computes with, e.g. "OpenBLAS 0.3.21"; "" if none */
    char why[256];     /* why `auto` does not begin on it, and when it moves to it; "" for the one that it begins on */
    int available;     /* 1: an explicit request for it succeeds */
    int64_t memory_bytes; /* 0: unknown */
} hpt_backend_info;

/* Every backend that is known, best first, those included that cannot be used. `auto` begins on the first of the
 * host's and moves to an accelerator where that is faster.
 * *out: array of *n (hpt_free). Asks the drivers, opens no device. */
HPT_API HPT_NODISCARD int hpt_backend_list(hpt_backend_info **out, int64_t *n);

HPT_END_DECLS
#endif
