// SPDX-License-Identifier: Apache-2.0
// shim.h: what the words of cuda_dialect.cuh mean to the host's compiler. C++17; shim.cc runs what comes out.
//
// A kernel is a function that one thread runs; a thread is a fiber, so that only barriers, shuffles and votes change
// threads, and atomics are plain operations. Only what kernels may use is here: another word of CUDA C++ does not compile.
// max and min of doubles pass over NaN, as CUDA's do. atomicAdd and atomicMax have the types that CUDA has.
// Shared arrays lie in one arena between guards (shim.cc); a declaration is known by a static variable beside it.
#ifndef HPT_SHIM_H
#define HPT_SHIM_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "shim_run.h"
extern "C" {
#include "core/base/special.h"
}

#define SHIM_TEXT_(line) #line
#define SHIM_TEXT(line) SHIM_TEXT_(line)
#define SHIM_SITE __FILE__ ":" SHIM_TEXT(__LINE__)

#pragma GCC visibility push(hidden)

struct shim_uint3 {
    unsigned x, y, z;
};
extern shim_uint3 threadIdx, blockIdx, blockDim, gridDim; // of the thread that runs
extern unsigned long long shim_block;                     // blocks that have begun, in all launches

struct shim_slot { // where a shared array is in the block that has this number
    unsigned long long block;
    void *at;
};
void shim_shared_new(shim_slot *slot, size_t bytes, const char *name);
void *shim_dynamic();
void shim_barrier(const char *site);
uint64_t shim_shuffle_down(uint64_t value, unsigned by, const char *site);
unsigned shim_ballot(bool vote, const char *site);

#pragma GCC visibility pop

template <class T, size_t count> static inline T (&shim_shared(shim_slot *slot, const char *name))[count] {
    if (slot->block != shim_block) shim_shared_new(slot, sizeof(T[count]), name);
    return *static_cast<T(*)[count]>(slot->at);
}

template <class T> static inline T shim_shuffle_down(T value, unsigned by, const char *site) {
    static_assert(sizeof value <= sizeof(uint64_t), "a shuffle moves up to 8 bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = shim_shuffle_down(bits, by, site);
    memcpy(&value, &bits, sizeof value);
    return value;
}

#define __device__
#define __forceinline__ inline
#define CUDA__DEVICE static inline
#define CUDA__SHARED(type, name, count) \
    static shim_slot name##_slot;       \
    type(&name)[count] = shim_shared<type, (count)>(&name##_slot, #name)
#define CUDA__SHARED_DYNAMIC(type, name) type *const name = static_cast<type *>(shim_dynamic())
#define CUDA__SYNC() shim_barrier(SHIM_SITE)
#define CUDA__SYNC_WARP() ((void)shim_ballot(true, SHIM_SITE))
#define CUDA__SHUFFLE_DOWN(value, by) shim_shuffle_down(value, static_cast<unsigned>(by), SHIM_SITE)
#define CUDA__BALLOT(vote) shim_ballot(vote, SHIM_SITE)
// `shim_<name>` is what shim_launch takes.
#define CUDA__KERNEL(name, args, threads)                                                     \
    static_assert(sizeof(args) <= 4096, "CUDA's limit of a kernel's arguments");              \
    static void name(const args &a);                                                          \
    static void name##_thread(const void *args_) {                                            \
        name(*static_cast<const args *>(args_));                                              \
    }                                                                                         \
    static constexpr shim_kernel shim_##name = {#name, sizeof(args), threads, name##_thread}; \
    static void name(const args &a)

template <class T> static inline T min(T x, T y) {
    return y < x ? y : x;
}
template <class T> static inline T max(T x, T y) {
    return x < y ? y : x;
}
static inline double min(double x, double y) {
    return fmin(x, y);
}
static inline double max(double x, double y) {
    return fmax(x, y);
}
static inline double rsqrt(double x) {
    return 1 / sqrt(x);
}
static inline double erfcx(double x) {
    return hpt__erfcx(x);
}
static inline double normcdf(double x) {
    return hpt__ndtr(x);
}
static inline double normcdfinv(double p) {
    return hpt__ndtri(p);
}
template <class T> static inline T __ldg(const T *p) {
    return *p;
}

#define SHIM_ATOMICS(X) X(int) X(unsigned) X(unsigned long long)
#define SHIM_ATOMIC_ADD(type)                            \
    static inline type atomicAdd(type *to, type value) { \
        const type old = *to;                            \
        *to = static_cast<type>(old + value);            \
        return old;                                      \
    }
#define SHIM_ATOMIC_MAX(type)                            \
    static inline type atomicMax(type *to, type value) { \
        const type old = *to;                            \
        *to = max(old, value);                           \
        return old;                                      \
    }
SHIM_ATOMICS(SHIM_ATOMIC_ADD)
SHIM_ATOMIC_ADD(double)
SHIM_ATOMICS(SHIM_ATOMIC_MAX)
SHIM_ATOMIC_MAX(long long)

#endif
