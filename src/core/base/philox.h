// SPDX-License-Identifier: Apache-2.0
// philox.h: Philox4x32-10 and the n-th 64-bit word of a stream (rng.h), as a text that host and accelerators compile alike. A file
// that includes it may name the function qualifiers HPT__PHILOX_FN before. Formula and source: rng.c.
#ifndef HPT_BASE_PHILOX_H
#define HPT_BASE_PHILOX_H

#include <stdint.h>

#ifndef HPT__PHILOX_FN
#define HPT__PHILOX_FN static inline
#endif

HPT__PHILOX_FN void hpt__philox_block(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = UINT64_C(0xD2511F53) * c0, p1 = UINT64_C(0xCD9E8D57) * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += UINT32_C(0x9E3779B9);
        k1 += UINT32_C(0xBB67AE85);
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

// What the (n + 1)-th call of hpt__rng_u64 on a fresh stream gives.
HPT__PHILOX_FN uint64_t hpt__philox_word(uint64_t seed, uint64_t stream, uint64_t n) {
    const uint64_t block = n >> 1;
    const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)stream, (uint32_t)(stream >> 32)};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t out[4];
    hpt__philox_block(out, counter, key);
    return n & 1 ? out[2] | (uint64_t)out[3] << 32 : out[0] | (uint64_t)out[1] << 32;
}

// The centre of the cell that a word names, in (0, 1): hpt__rng_normal inverts it.
HPT__PHILOX_FN double hpt__philox_cell(uint64_t word) {
    return ((double)(word >> 12) + 0.5) * (1.0 / 4503599627370496.0); // 2^-52
}

#endif
