// SPDX-License-Identifier: Apache-2.0
// mock.h: a CUDA driver, cuBLAS and cuSOLVER over host memory, for a backend's host code on a machine without a GPU:
// what a test can set and ask. mock_api.c fills cuda_api.h's table with it in place of src/cuda/cuda_api.c.
//
// What it is strict about, beyond the results: the first misuse is kept and mock_check tells it.
//   memory    device memory is host memory between guards, filled with NaN (0xFF); a pointer given to a call has to lie in a
//             live block with all that the call touches; capacity is counted
//   handles   are numbers that are never used again, so that a dead one is known
//   context   a call without a current one fails as in the driver, and so does one with another context's objects
//   streams   work on the default stream and libraries without a stream are misuse: nothing orders them with the rest
//   copies    to the host arrive when the stream is waited for; until then the host's memory is 0xFF
//   faults    the k-th call fails; a call that fails does nothing, but one that frees frees
// Threads: any; one lock.
#ifndef HPT_CUDA_MOCK_H
#define HPT_CUDA_MOCK_H

#include "cuda_api.h"
#include <stdbool.h>
#include <stdint.h>

typedef enum mock_fault {
    MOCK_NONE = 0,
    MOCK_MEMORY,        // out of memory
    MOCK_LAUNCH,        // a failed launch: the context is broken until its last user releases it
    MOCK_LOST,          // the device is lost: nothing on it works until mock_reset
    MOCK_UNINITIALISED, // "not initialised", this once
    MOCK_VALUE,         // "invalid value", this once
    MOCK_FAULTS,
} mock_fault;

// As at the start: frees everything, forgets misuse, reads the environment:
//   HPT_MOCK_MEMORY=bytes        of a device (1 GiB)
//   HPT_MOCK_FAIL=k:kind         memory, launch, lost, uninitialised, value
//   HPT_MOCK_MISSING=name,...    libraries that cannot be loaded: driver, blas, solver
//   HPT_MOCK_RATIO=r             rate of single to that of double precision, as the driver tells it (2)
void mock_reset(void);
enum { MOCK_DEVICES = 4 };
// 0 .. MOCK_DEVICES devices (1 at first); `free` bytes of `total` are what others leave.
void mock_devices(int n, size_t total, size_t free);
void mock_missing(cuda__library library, bool missing);
bool mock_loaded(cuda__library library);

// The k-th call from now fails (k from 1; 0: none). Calls are all but those that only name an error.
void mock_fail_at(int64_t k, mock_fault kind);
int64_t mock_calls(void);      // since mock_fail_at or mock_reset
bool mock_fired(void);         // the fault has happened
void mock_coarse(bool coarse); // products in single precision round their operands as TF32 does; no by mock_reset
int64_t mock_calls_of(const char *function); // by its name in cuda_api.h, since mock_reset

size_t mock_bytes(void); // allocated now, on all devices
size_t mock_peak(void);  // at most, since mock_reset
// 0, or -1 with one line in why (size bytes): the first misuse, or what is left.
int mock_check(char *why, size_t size);
// The same, exported from the plugin for who loads it.
int hpt_mock_check(char *why, size_t size);
void hpt_mock_reset(void);
void hpt_mock_devices(int n, size_t total, size_t free);
void hpt_mock_fail_at(int64_t k, int kind);
int64_t hpt_mock_calls(void);
void hpt_mock_coarse(bool coarse);
int64_t hpt_mock_calls_of(const char *function);

#endif
