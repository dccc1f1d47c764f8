// SPDX-License-Identifier: Apache-2.0
// cores.h: which cores a trial may run on.
#ifndef HPT_DEVICES_CORES_H
#define HPT_DEVICES_CORES_H

#include "../base/str.h"
#include <hpt/export.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

enum { HPT__CORE_SETS = 16, HPT__CORES_MAX = HPT__CORE_SETS * CPU_SETSIZE };

typedef struct hpt__core {
    int id, node;
    int64_t holder; // -1: free
    int lock;       // descriptor while held; -1
} hpt__core;

typedef struct hpt__cores {
    hpt__core *items; // those of this process's affinity mask, by node, then number
    int64_t n;
    char *lock_dir; // NULL: others cannot be told
} hpt__cores;

// The cores of this process's mask. HPT_E_MEMORY alone fails: where nothing can be learnt n is 0.
HPT_NODISCARD int hpt__cores_init(hpt__cores *cores);
void hpt__cores_fini(hpt__cores *cores); // a zeroed one is fine

// n cores that nobody holds, for a holder (>= 0) that holds none: of one node where one has room. False: there are not as
// many, and none is held.
bool hpt__cores_take(hpt__cores *cores, int64_t holder, int64_t n);
void hpt__cores_give(hpt__cores *cores, int64_t holder); // holds none: no-op
// The holder's cores as a mask; false: it holds none.
bool hpt__cores_mask(cpu_set_t mask[HPT__CORE_SETS], const hpt__cores *cores, int64_t holder);
void hpt__cores_text(hpt__str *out, const hpt__cores *cores, int64_t holder); // "0-3,8", as the kernel writes it

#endif
