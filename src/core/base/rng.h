// SPDX-License-Identifier: Apache-2.0
// rng.h: counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
// 1, 2, 3", SC 2011). A stream is named by a key and a 64-bit stream number; the n-th number of a stream is
// a pure function of those, so results do not depend on timing or threads.
#ifndef HPT_BASE_RNG_H
#define HPT_BASE_RNG_H

#include <stdint.h>

// The bare block function: out = Philox4x32-10(counter, key). Matches Random123's known answers.
void hpt__philox4x32(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

typedef struct hpt__rng {
    uint32_t key[2], counter[4], block[4];
    int used; // words of block consumed; 4: none left
} hpt__rng;

// counter = {0, 0, stream lo, stream hi}; key = {seed lo, seed hi}.
void hpt__rng_init(hpt__rng *rng, uint64_t seed, uint64_t stream);
uint32_t hpt__rng_u32(hpt__rng *rng);
uint64_t hpt__rng_u64(hpt__rng *rng);
double hpt__rng_uniform(hpt__rng *rng);           // [0, 1), 53 bits
int64_t hpt__rng_below(hpt__rng *rng, int64_t n); // [0, n), n >= 1, unbiased (Lemire)
double hpt__rng_normal(hpt__rng *rng);            // by inversion, one uniform each
uint64_t hpt__rng_mix(uint64_t a, uint64_t b);    // hash of two words, for deriving streams

// A seed from the operating system (getrandom). 0 or HPT_E_IO.
int hpt__rng_system_seed(uint64_t *out);

#endif
