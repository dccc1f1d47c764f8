// SPDX-License-Identifier: Apache-2.0
// ledger.h: who holds which share of the machine. Whole numbers only (thousandths of a core, millionths of a GPU,
// bytes), so that 0.1 taken ten times is one and never a little less.
#ifndef HPT_DEVICES_LEDGER_H
#define HPT_DEVICES_LEDGER_H

#include <hpt/device.h>
#include <hpt/export.h>
#include <hpt/status.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    HPT__GPU_UNITS = 1000000,
    HPT__CPU_UNITS = 1000,
    HPT__GPUS_PER_TRIAL = 64,
    HPT__PROFILE_MAX = 24,
    HPT__SERVER_MAX = 48
};

typedef enum hpt__policy { // where a share goes
    HPT__PACK,             // best fit: where the least is left, so that whole devices stay free
    HPT__SPREAD,           // where the most is left, so that neighbours disturb each other least
} hpt__policy;

typedef struct hpt__demand {        // what one trial asks for
    int64_t cpu;                    // thousandths of a core
    int64_t memory;                 // bytes; 0: not counted
    int64_t n_gpus;                 // devices it lies on: 0, 1 for a share, n whole ones
    int64_t gpu;                    // millionths of each of these devices
    int64_t gpu_memory;             // bytes of each; 0: its share of the device's memory
    char profile[HPT__PROFILE_MAX]; // a MIG instance of this profile; "": any device
} hpt__demand;

typedef struct hpt__grant {
    hpt__demand demand;
    int32_t gpus[HPT__GPUS_PER_TRIAL];       // index into the ledger's devices; n_gpus of them
    int64_t gpu_memory[HPT__GPUS_PER_TRIAL]; // bytes taken from each; 0: its memory is unknown and none was asked for
    bool held;
} hpt__grant;

typedef struct hpt__others { // of a device, what other runs of this user have (claims.c)
    int64_t units, memory, n_grants;
    char server
        [HPT__SERVER_MAX]; // the MPS controller of one is on it: its pipe folder, or "?" while it is started; "": none
    bool waits;            // it is left to one that goes first
} hpt__others;

typedef struct hpt__ledger_gpu {
    hpt_device_info info;
    int64_t units;             // millionths that trials may have: all, a part that Slurm gave, or 0
    int64_t memory;            // bytes that trials may have; 0: unknown, not counted
    int64_t used, memory_used; // of these
    int64_t engine;            // bytes that the engine's own models may take; not part of memory
    int64_t foreign;           // bytes that other programs had when the run began; not part of memory
    int64_t n_grants;
    hpt__others others;
    char server[HPT__SERVER_MAX]; // the MPS controller that this run uses there, likewise
    bool exclusive;               // one process at a time: compute mode exclusive_process without MPS
    bool drained;                 // nothing is placed on it for the time being
    bool reserved;                // for the request that has waited longest (ledger_queue.h)
} hpt__ledger_gpu;

typedef struct hpt__ledger {
    int64_t cpu, cpu_used, memory, memory_used; // memory 0: unknown, not counted
    int64_t cpu_kept, memory_kept;              // set aside for the request that has waited longest
    int64_t memory_others,
        memory_left; // what other runs of this user have of the host's, and what is left to one that goes first
    hpt__ledger_gpu *gpus;
    int64_t n_gpus;
    hpt__policy policy;
    bool alone;     // what other runs have is left out of account
    uint64_t given; // how often something was given back: a request that had no room need not be tried before
} hpt__ledger;

// devices: as hpt_device_list gives them.
HPT_NODISCARD int hpt__ledger_init(hpt__ledger *ledger, const hpt_device_info *devices, int64_t n);
void hpt__ledger_fini(hpt__ledger *ledger); // a zeroed one is fine

// From the sweep's numbers: cores, GPUs (a fraction, or a whole number above 1), bytes. HPT_E_ARG names the key.
HPT_NODISCARD int hpt__demand_make(hpt__demand *out, double cpu, int64_t memory, double gpu, int64_t gpu_memory);
bool hpt__is_mig_profile(const char *text); // "1g.10gb", "7g.80gb", "1c.3g.40gb", "1g.10gb+me"
// Asks for one whole MIG instance of a profile instead of what it asks for of GPUs. HPT_E_ARG: no such name.
HPT_NODISCARD int hpt__demand_instance(hpt__demand *d, const char *profile);

// 0 if the empty machine has room for the demand, else HPT_E_ARG saying what is too little.
HPT_NODISCARD int hpt__ledger_check(const hpt__ledger *ledger, const hpt__demand *demand);
// How many such demands the empty machine holds at once, at most `limit`.
int64_t hpt__ledger_capacity(const hpt__ledger *ledger, const hpt__demand *demand, int64_t limit);
// Sets bytes of a device apart for the engine's own models (a cap that the engine keeps), once, before anything is taken.
// HPT_E_ARG: no such device, or it has less.
HPT_NODISCARD int hpt__ledger_engine(hpt__ledger *ledger, int64_t gpu, int64_t bytes);

// False: no room now. Devices and amounts that are kept for a waiting request (ledger_queue.h) are no room.
bool hpt__ledger_take(hpt__grant *grant, hpt__ledger *ledger, const hpt__demand *demand);
void hpt__ledger_give(hpt__ledger *ledger, hpt__grant *grant); // not held: no-op

// ---- ledger_place.c: the choice of devices, without taking them
// Whether a device that has `used`, `memory_used` and n_grants on it has room for one more.
bool hpt__ledger_fits(const hpt__ledger_gpu *g, const hpt__demand *d, int64_t used, int64_t memory_used,
                      int64_t n_grants);
int64_t hpt__ledger_memory_wanted(const hpt__ledger_gpu *g, const hpt__demand *d);
// Bytes of the whole device, where units and memory may be a part of it.
int64_t hpt__ledger_whole(const hpt__ledger_gpu *g);
// How much more has to be given back on a device, by whomever, as a part of it, in whichever is scarcer; 0: nothing.
double hpt__ledger_shortage(const hpt__ledger_gpu *g, const hpt__demand *d);
// kept_too: also what is kept for the request that has waited longest, because this is that request.
bool hpt__ledger_place(hpt__grant *grant, const hpt__ledger *ledger, const hpt__demand *d, bool kept_too);
void hpt__ledger_book(hpt__ledger *ledger, hpt__grant *grant);

#endif
