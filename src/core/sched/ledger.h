// SPDX-License-Identifier: Apache-2.0
// ledger.h: who holds which share of the machine. Whole numbers only (thousandths of a core, millionths of a GPU,
// bytes), so that 0.1 taken ten times is one and never a little less.
#ifndef HPT_SCHED_LEDGER_H
#define HPT_SCHED_LEDGER_H

#include <hpt/device.h>
#include <hpt/export.h>
#include <hpt/status.h>
#include <stdbool.h>
#include <stdint.h>

enum { HPT__GPU_UNITS = 1000000, HPT__CPU_UNITS = 1000, HPT__GPUS_PER_TRIAL = 64 };

typedef struct hpt__demand { // what one trial asks for
    int64_t cpu;             // thousandths of a core
    int64_t memory;          // bytes; 0: not counted
    int64_t n_gpus;          // devices it lies on: 0, 1 for a share, n whole ones
    int64_t gpu;             // millionths of each of these devices
    int64_t gpu_memory;      // bytes of each; 0: its share of the device's memory
} hpt__demand;

typedef struct hpt__grant {
    hpt__demand demand;
    int32_t gpus[HPT__GPUS_PER_TRIAL];       // index into the ledger's devices; n_gpus of them
    int64_t gpu_memory[HPT__GPUS_PER_TRIAL]; // bytes taken from each; 0: its memory is unknown and none was asked for
    bool held;
} hpt__grant;

typedef struct hpt__ledger_gpu {
    hpt_device_info info;
    int64_t used, memory_used;
} hpt__ledger_gpu;

typedef struct hpt__ledger {
    int64_t cpu, cpu_used, memory, memory_used; // memory 0: unknown, not counted
    hpt__ledger_gpu *gpus;
    int64_t n_gpus;
} hpt__ledger;

// devices: as hpt_device_list gives them.
HPT_NODISCARD int hpt__ledger_init(hpt__ledger *ledger, const hpt_device_info *devices, int64_t n);
void hpt__ledger_fini(hpt__ledger *ledger); // a zeroed one is fine

// From the sweep's numbers: cores, GPUs (a fraction, or a whole number above 1), bytes. HPT_E_ARG names the key.
HPT_NODISCARD int hpt__demand_make(hpt__demand *out, double cpu, int64_t memory, double gpu, int64_t gpu_memory);

// 0 if the empty machine has room for the demand, else HPT_E_ARG saying what is too little.
HPT_NODISCARD int hpt__ledger_check(const hpt__ledger *ledger, const hpt__demand *demand);
// How many such demands the empty machine holds at once, at most `limit`.
int64_t hpt__ledger_capacity(const hpt__ledger *ledger, const hpt__demand *demand, int64_t limit);

bool hpt__ledger_take(hpt__grant *grant, hpt__ledger *ledger, const hpt__demand *demand); // false: no room now
void hpt__ledger_give(hpt__ledger *ledger, hpt__grant *grant);                            // not held: no-op

#endif
