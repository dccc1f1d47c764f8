// SPDX-License-Identifier: Apache-2.0
// sobol.c: Sobol points and their scrambling.
//
//   x_i[k] = V_k g(i) over GF(2)      g(i) = i xor (i >> 1), the Gray code of i
//
// V_k is dimension k's 32 x 32 matrix of direction numbers, kept as 32 columns with the first binary digit
// after the point in the most significant bit. With the polynomial z^s + c_1 z^(s-1) + .. + c_(s-1) z + 1 and
// the first s odd numbers m_j of Joe and Kuo, column j (from 0) is v_j = m_(j+1) 2^(31-j), and for j >= s
//
//   v_j = c_1 v_(j-1) ^ .. ^ c_(s-1) v_(j-s+1) ^ v_(j-s) ^ (v_(j-s) >> s)
//
// Scrambled (J. Matousek, "On the L2-discrepancy for anchored boxes", J. Complexity 14, 1998): V_k becomes
// L_k V_k and every point is xored with a constant; L_k random, lower triangular with a unit diagonal, which
// keeps every net property. L_k and the constant come from the Philox stream k of the seed.
//
// The order is Antonov and Saleev's Gray order, as SciPy's, so that the two agree point by point; the first 2^m
// points are the same set in either order.
// Owns: one block, columns of all dimensions and the shifts, 132 bytes a dimension. Immutable: any thread.
// Cost: create O(32^2 d) word operations when scrambled; a point at most 32 d xors.
#include "sobol.h"

#include "../base/alloc.h"
#include "../base/error.h"
#include "../base/rng.h"

enum { BITS = 32, DEGREE_MAX = 13 };

static const struct {
    uint16_t poly; // degree s in the position of its leading bit
    uint16_t m[DEGREE_MAX];
} joe_kuo[HPT__SOBOL_MAX_DIM] = {
#include "joe_kuo.inc"
};

struct hpt__sobol {
    int64_t d;
    uint32_t *shift;       // d
    uint32_t (*col)[BITS]; // d x 32
};

static void direction_numbers(uint32_t v[BITS], int64_t k) {
    const uint32_t poly = joe_kuo[k].poly;
    int s = 0;
    while (poly >> (s + 1)) s++;
    if (s == 0) { // dimension 0, van der Corput: the identity
        for (int j = 0; j < BITS; j++) v[j] = 1u << (BITS - 1 - j);
        return;
    }
    for (int j = 0; j < s; j++) v[j] = (uint32_t)joe_kuo[k].m[j] << (BITS - 1 - j);
    for (int j = s; j < BITS; j++) {
        v[j] = v[j - s] ^ (v[j - s] >> s);
        for (int c = 1; c < s; c++)
            if (poly >> (s - c) & 1u) v[j] ^= v[j - c];
    }
}

static uint32_t parity(uint32_t x) {
    x ^= x >> 16;
    x ^= x >> 8;
    x ^= x >> 4;
    return 0x6996u >> (x & 15u) & 1u;
}

static void scramble_columns(uint32_t v[BITS], uint32_t *shift, uint64_t seed, int64_t k) {
    hpt__rng rng;
    hpt__rng_init(&rng, seed, (uint64_t)k);
    uint32_t out[BITS] = {0};
    for (int row = 0; row < BITS; row++) {
        // Row r of L: random in the more significant columns, one on the diagonal, zero beyond.
        const uint32_t diagonal = 1u << (BITS - 1 - row);
        const uint32_t left = ~(diagonal | (diagonal - 1));
        const uint32_t mask = (hpt__rng_u32(&rng) & left) | diagonal;
        for (int j = 0; j < BITS; j++)
            if (parity(mask & v[j])) out[j] |= diagonal;
    }
    for (int j = 0; j < BITS; j++) v[j] = out[j];
    *shift = hpt__rng_u32(&rng);
}

int hpt__sobol_create(hpt__sobol **out, int64_t d, bool scramble, uint64_t seed) {
    if (d < 1 || d > HPT__SOBOL_MAX_DIM)
        return hpt__fail(HPT_E_ARG, "Sobol points have 1 to %d dimensions, not %lld", HPT__SOBOL_MAX_DIM, (long long)d);
    hpt__sobol *s = hpt__calloc(1, sizeof *s);
    if (!s) return hpt__fail_memory();
    s->d = d;
    s->shift = hpt__calloc((size_t)d, sizeof *s->shift);
    s->col = hpt__calloc((size_t)d, sizeof *s->col);
    if (!s->shift || !s->col) {
        hpt__sobol_destroy(s);
        return hpt__fail_memory();
    }
    for (int64_t k = 0; k < d; k++) {
        direction_numbers(s->col[k], k);
        if (scramble) scramble_columns(s->col[k], &s->shift[k], seed, k);
    }
    *out = s;
    return 0;
}

void hpt__sobol_destroy(hpt__sobol *s) {
    if (!s) return;
    hpt__free(s->shift);
    hpt__free(s->col);
    hpt__free(s);
}

void hpt__sobol_point(double *out, const hpt__sobol *s, uint64_t i) {
    const uint32_t index = (uint32_t)i;
    const uint32_t gray = index ^ (index >> 1);
    for (int64_t k = 0; k < s->d; k++) {
        uint32_t x = s->shift[k];
        for (uint32_t g = gray; g; g &= g - 1) x ^= s->col[k][__builtin_ctz(g)];
        out[k] = (double)x * 0x1p-32;
    }
}

void hpt__sobol_matrix(const uint32_t **columns, const uint32_t **shift, const hpt__sobol *s) {
    *columns = s->col[0];
    *shift = s->shift;
}
