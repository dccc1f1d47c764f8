// SPDX-License-Identifier: Apache-2.0
// nvml.h: NVIDIA's management library, open for as long as somebody asks it: list devices, look at one, close.
//
// NVML is asked rather than the CUDA runtime: it starts no context and leaves nothing on the device, so that trials
// may be forked afterwards. Devices are named by UUID, because numbers mean different devices to different programs.
// Ownership: an hpt__nvml owns the library and NVML's reference on the driver. Threads: one at a time per handle
// (several handles are fine, NVML counts its users). Cost: opening takes milliseconds, up to a second or two on a
// machine whose idle GPUs are powered down without persistence mode; a poll some tens of microseconds a call.
#ifndef HPT_DEVICES_NVML_H
#define HPT_DEVICES_NVML_H

#include <hpt/export.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct hpt__nvml hpt__nvml;

typedef struct hpt__gpu { // a GPU, or one instance of a GPU in MIG mode
    char uuid[96];        // "GPU-..." or "MIG-...": what CUDA_VISIBLE_DEVICES takes
    char model[96];       // "NVIDIA H100 80GB HBM3"; of an instance with " MIG 1g.10gb" at its end
    char profile[24];     // "1g.10gb"; "" where it is no MIG instance
    char parent[96];      // UUID of the GPU that an instance is part of; "" where it is none
    char pci[32];         // bus id, also of the parent; "" unknown
    int64_t index;        // the driver's number of the GPU (of an instance: of its parent); in order of the PCI bus
    int64_t memory_bytes; // what programs can allocate; 0: unknown
    int64_t used_bytes;   // of it in use now; -1: unknown
    int compute_mode;     // HPT__NVML_COMPUTE_*; -1: unknown
    bool mig;             // the GPU is in MIG mode; without an instance it can run nothing
    int64_t n_processes;  // that compute on it now; -1: unknown
    bool mps;             // some of them through an MPS server
} hpt__gpu;

typedef struct hpt__gpu_process {
    pid_t pid;          // as the host numbers it, also inside a container
    int64_t used_bytes; // -1: unknown
    bool mps;           // client of an MPS server
} hpt__gpu_process;

typedef struct hpt__gpu_load {
    int64_t memory_bytes, used_bytes; // as in hpt__gpu
    hpt__gpu_process *processes;      // n of them, each pid once
    int64_t n, cap;
} hpt__gpu_load;

// Loads libnvidia-ml.so.1 (or the file that HPT_NVML_PATH names) and starts it.
// HPT_E_DEVICE: no library, no driver, or one that does not answer; the message says which.
HPT_NODISCARD int hpt__nvml_open(hpt__nvml **out);
void hpt__nvml_close(hpt__nvml *nvml); // NULL is fine

// Every GPU that is not in MIG mode, the instances of those that are, and a GPU in MIG mode that has none (mig without
// profile), in the driver's order. One that does not answer is left out. *out: array of *n (hpt__free).
HPT_NODISCARD int hpt__nvml_list(hpt__gpu **out, int64_t *n, hpt__nvml *nvml);

// Memory and processes of one device now, for a watchdog. load: zeroed or from an earlier call, whose memory is used
// again. HPT_E_DEVICE: the device is lost, or there is none of this UUID (any more).
HPT_NODISCARD int hpt__nvml_poll(hpt__gpu_load *load, hpt__nvml *nvml, const char *uuid);
void hpt__gpu_load_fini(hpt__gpu_load *load);

// Critical faults (Xid) of a GPU are reported from now on. HPT_S_NOTHING: the driver cannot.
HPT_NODISCARD int hpt__nvml_watch_faults(hpt__nvml *nvml, const char *uuid);
// Takes the next fault without waiting: UUID of its GPU and number. False: none.
bool hpt__nvml_next_fault(char uuid[96], int64_t *xid, hpt__nvml *nvml);

#endif
