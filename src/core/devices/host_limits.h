// SPDX-License-Identifier: Apache-2.0
// host_limits.h: how much of this machine's cores and memory is ours.
#ifndef HPT_DEVICES_HOST_LIMITS_H
#define HPT_DEVICES_HOST_LIMITS_H

#include <hpt/export.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hpt__host_limits {
    double cores;         // smallest of affinity mask, control groups' quotas and Slurm's grant
    int64_t memory_bytes; // smallest of MemTotal, control groups' limits and Slurm's grant; 0: unknown
    char cores_from[32];  // what set it: "affinity", "cgroup cpu quota", "SLURM_CPUS_PER_TASK"
    char memory_from[32]; // "MemTotal", "cgroup memory limit", "SLURM_MEM_PER_NODE"
} hpt__host_limits;

// root: put before every path that is read, "" for this machine; tests give a folder.
void hpt__host_limits_read(hpt__host_limits *out, const char *root);

// Folder of this process's own control group (v2). False: there is none.
bool hpt__cgroup_own(char *out, size_t size, const char *root);

#endif
