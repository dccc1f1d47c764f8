/* SPDX-License-Identifier: Apache-2.0
 * device.h: what this machine offers to trials: cores, memory, GPUs; and to the engine itself: compute backends. */
#ifndef HPT_DEVICE_H
#define HPT_DEVICE_H

#include <hpt/export.h>
#include <stdint.h>

HPT_BEGIN_DECLS

typedef struct hpt_device_info {
    char name[64];        /* "cpu", "gpu:0" */
    char kind[16];        /* "cpu" or "gpu"; an instance of a GPU in MIG mode is a gpu */
    char source[64];      /* "detected", "--gpus", "HPT_FAKE_DEVICES", "CUDA_VISIBLE_DEVICES", "SLURM_JOB_GPUS" */
    char visible_id[96];  /* what CUDA_VISIBLE_DEVICES gets: "0" or a UUID; "" for cpu */
    int64_t memory_bytes; /* what programs can allocate; 0: unknown */
    double capacity;  /* cores for cpu; for a GPU 1.0, less where Slurm gave a part, 0 where nothing can run on it */
    char model[96];   /* "NVIDIA H100 80GB HBM3"; "" where only declared, or unknown */
    char uuid[96];    /* of the GPU or the instance; "": unknown */
    char profile[24]; /* of a MIG instance, "1g.10gb"; else "" */
    char parent[96];  /* of a MIG instance: UUID of its GPU; else "" */
    char pci[32];     /* bus id; "": unknown */
    char compute_mode[20]; /* "default", "exclusive_process", "prohibited"; "": unknown */
    char note[160];        /* one line worth knowing: a limit, who else is on it; "" if nothing is */
    int64_t used_bytes;    /* of memory_bytes, by whomever, when it was asked; -1: unknown */
    int64_t n_processes;   /* that computed on it then; -1: unknown */
    int mps;               /* 1: an MPS server was on it */
} hpt_device_info;

/* declared: NULL, a count "4", "4x40GiB+2x80GiB", "0", or UUIDs of this machine's devices ("GPU-8932f937,MIG-..."; a
 * beginning that fits one is enough); HPT_FAKE_DEVICES counts when it is NULL. Otherwise the driver is asked, and
 * CUDA_VISIBLE_DEVICES, else SLURM_STEP_GPUS or SLURM_JOB_GPUS, says which devices are ours.
 * *out: array of *n (hpt_free), the CPU first: the smallest of affinity, control groups' limits and Slurm's grant.
 * HPT_E_ARG: the declaration does not parse, or names a UUID that is not here. Starts no context on a device. */
HPT_API HPT_NODISCARD int hpt_device_list(hpt_device_info **out, int64_t *n, const char *declared);

typedef struct hpt_mps_info { /* a process of NVIDIA's Multi-Process Service */
    int64_t pid, uid;
    char role[16];            /* "control" or "server" */
    char pipe_directory[128]; /* "": unknown, because the process is another user's */
} hpt_mps_info;

/* MPS daemons on this machine, whoever started them. *out: array of *n (hpt_free). */
HPT_API HPT_NODISCARD int hpt_mps_list(hpt_mps_info **out, int64_t *n);

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
