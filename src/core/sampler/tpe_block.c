// SPDX-License-Identifier: Apache-2.0
// tpe_block.c: the inner loops of TPE's density, for narrow and wide vector units (see tpe_block.h).
//
// Written with the vector extension of GCC and clang, once (tpe_block.inc), and compiled for two doubles at a time, which
// every 64-bit machine has, and on x86-64 for four (AVX2). What is used is decided when an estimator is made.
// Threads: pure functions. Cost: a block of 16 kernels about 5 ns a continuous column with AVX2.
#include "tpe_block.h"

#include <string.h>

enum { LANES = HPT__BLOCK_LANES, CHECK_EVERY = 2, EXP_TERMS = 14 };
static const double BOUND_SLACK = 1e-3;

// log 2 as a number of 32 bits, whose products with small integers are exact, and the rest.
static const double LN2_HIGH = 0x1.62e42feep-1, LN2_LOW = 0x1.a39ef35793c76p-33;
static const double EXP_COEFFICIENTS[EXP_TERMS] = {
    1.0 / 6227020800.0, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
    1.0 / 720,          1.0 / 120,       1.0 / 24,       1.0 / 6,       0.5,          1.0,         1.0,
};

#define TARGET
#define WIDTH 2
#define NAME(x) x##_2
#include "tpe_block.inc"
#undef TARGET
#undef WIDTH
#undef NAME

static const hpt__block_ops PLAIN = {terms_2, sum_exp_2};

#if defined(__x86_64__)
#define TARGET __attribute__((target("avx2")))
#define WIDTH 4
#define NAME(x) x##_4
#include "tpe_block.inc"

static const hpt__block_ops WIDE = {terms_4, sum_exp_4};

const hpt__block_ops *hpt__block_ops_choose(bool plain) {
    __builtin_cpu_init();
    return !plain && __builtin_cpu_supports("avx2") ? &WIDE : &PLAIN;
}
#else
const hpt__block_ops *hpt__block_ops_choose(bool plain) {
    (void)plain;
    return &PLAIN;
}
#endif
