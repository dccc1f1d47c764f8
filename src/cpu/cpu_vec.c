// SPDX-License-Identifier: Apache-2.0
// cpu_vec.c: the loops over arrays, for narrow and wide vector units (see cpu_vec.h).
//
// Written with the vector extension of GCC and clang, once (cpu_vec.inc), and compiled for two doubles at a time, which
// every 64-bit machine has, and on x86-64 for four (AVX2) and eight (AVX-512). Chosen at run time, by a table instead of the
// linker's dispatch, so that sanitizers and tests can have every variant.
//
// Distances are summed from differences, not from |x|^2 + |z|^2 - 2 x'z: at 10 columns that is as fast as a product of
// matrices with so few columns plus its correction, and nothing cancels: equal points have distance 0 and short
// length scales lose no digits.
// Threads: pure functions. Cost: a covariance about 1.5 ns + 0.1 ns a column with AVX2 and more.
#include "cpu_vec.h"

#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { EXP_TERMS = 14 };

// log 2 as a number of 32 bits, whose products with small integers are exact, and the rest.
static const double LN2_HIGH = 0x1.62e42feep-1, LN2_LOW = 0x1.a39ef35793c76p-33;
static const double EXP_COEFFICIENTS[EXP_TERMS] = {
    1.0 / 6227020800.0, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
    1.0 / 720,          1.0 / 120,       1.0 / 24,       1.0 / 6,       0.5,          1.0,         1.0,
};
static const double EXP_MIN = -708.0; // below it the result would not be a normal number

// sin(x) / x in x^2, |x| <= pi / 2: Taylor's series to x^16, error below 1e-13.
enum { SINE_TERMS = 9 };
static const double SINE_COEFFICIENTS[SINE_TERMS] = {
    1 / 355687428096000.0,
    -1 / 1307674368000.0,
    1 / 6227020800.0,
    -1 / 39916800.0,
    1 / 362880.0,
    -1 / 5040.0,
    1 / 120.0,
    -1 / 6.0,
    1.0,
};
// pi; 1 / 2 pi; 2 pi as log 2 above.
static const double PI = 0x1.921fb54442d18p1, PER_TURN = 0x1.45f306dc9c883p-3;
static const double TURN_HIGH = 0x1.921fb544p+2, TURN_LOW = 0x1.0b4611a626331p-32;

#define TARGET
#define WIDTH 2
#define NAME(x) x##_2
#if defined(__x86_64__)
#define SQRT(v) ((NAME(vec))_mm_sqrt_pd((__m128d)(v)))
#define LABEL "sse2"
#else
#define SQRT(v) ((NAME(vec)){sqrt((v)[0]), sqrt((v)[1])})
#define LABEL "plain"
#endif
#include "cpu_vec.inc"
#undef TARGET
#undef WIDTH
#undef NAME
#undef SQRT
#undef LABEL

#if defined(__x86_64__)
#define TARGET __attribute__((target("avx2")))
#define WIDTH 4
#define NAME(x) x##_4
#define SQRT(v) ((NAME(vec))_mm256_sqrt_pd((__m256d)(v)))
#define LABEL "avx2"
#include "cpu_vec.inc"
#undef TARGET
#undef WIDTH
#undef NAME
#undef SQRT
#undef LABEL

#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl")))
#define WIDTH 8
#define NAME(x) x##_8
#define SQRT(v) ((NAME(vec))_mm512_sqrt_pd((__m512d)(v)))
#define LABEL "avx512"
#include "cpu_vec.inc"

const cpu__vec_ops *cpu__vec_variant(int64_t i) {
    __builtin_cpu_init();
    if (i == 0) return &ops_2;
    if (i == 1) return __builtin_cpu_supports("avx2") ? &ops_4 : NULL;
    const bool wide =
        __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return i == 2 && wide ? &ops_8 : NULL;
}
#else
const cpu__vec_ops *cpu__vec_variant(int64_t i) {
    return i == 0 ? &ops_2 : NULL;
}
#endif

const cpu__vec_ops *cpu__vec_best(void) {
    int64_t i = 0;
    while (cpu__vec_variant(i + 1)) i++;
    return cpu__vec_variant(i);
}
