// SPDX-License-Identifier: Apache-2.0
// rng.c: Philox4x32-10 and what is drawn from it.
//
//   round: (c0, c1, c2, c3) -> (hi(M1 c2) ^ c1 ^ k0, lo(M1 c2), hi(M0 c0) ^ c3 ^ k1, lo(M0 c0)),
//          then k0 += W0, k1 += W1; ten rounds. Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as
//          easy as 1, 2, 3", SC 2011, section 3.3 and table 2.
//   below: Lemire, "Fast random integer generation in an interval", ACM TOMACS 29 (2019).
//   normal: Phi^-1 of one uniform on the centres of 2^52 cells, so that 0 and 1 cannot occur and one number
//          of the stream makes one normal number, whatever came before.
// Threads: one stream, one thread; streams are independent by construction. Cost: about 5 ns a word; 2^64 blocks per stream.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE // getrandom
#endif
#include "rng.h"

#include "error.h"
#include "philox.h"
#include "special.h"
#include <errno.h>
#include <sys/random.h>

__extension__ typedef unsigned __int128 u128;

void hpt__philox4x32(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]) {
    hpt__philox_block(out, counter, key);
}

void hpt__rng_init(hpt__rng *rng, uint64_t seed, uint64_t stream) {
    *rng = (hpt__rng){
        .key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
        .counter = {0, 0, (uint32_t)stream, (uint32_t)(stream >> 32)},
        .used = 4,
    };
}

uint32_t hpt__rng_u32(hpt__rng *rng) {
    if (rng->used >= 4) {
        hpt__philox4x32(rng->block, rng->counter, rng->key);
        if (++rng->counter[0] == 0) rng->counter[1]++;
        rng->used = 0;
    }
    return rng->block[rng->used++];
}

uint64_t hpt__rng_u64(hpt__rng *rng) {
    uint64_t low = hpt__rng_u32(rng);
    return low | (uint64_t)hpt__rng_u32(rng) << 32;
}

double hpt__rng_uniform(hpt__rng *rng) {
    return (double)(hpt__rng_u64(rng) >> 11) * 0x1p-53;
}

int64_t hpt__rng_below(hpt__rng *rng, int64_t n) {
    HPT_ASSERT(n >= 1);
    uint64_t range = (uint64_t)n;
    u128 product = (u128)hpt__rng_u64(rng) * range;
    if ((uint64_t)product < range) {
        uint64_t threshold = (0 - range) % range; // 2^64 mod n: so many low words would be counted once more
        while ((uint64_t)product < threshold) product = (u128)hpt__rng_u64(rng) * range;
    }
    return (int64_t)(product >> 64);
}

double hpt__rng_normal(hpt__rng *rng) {
    return hpt__ndtri(hpt__philox_cell(hpt__rng_u64(rng)));
}

uint64_t hpt__rng_mix(uint64_t a, uint64_t b) {
    // The block cipher is already the best mixer here; the third word keeps these apart from any stream
    // that happens to use the same numbers.
    const uint32_t counter[4] = {(uint32_t)a, (uint32_t)(a >> 32), UINT32_C(0x6D697821), UINT32_C(0x68707421)};
    const uint32_t key[2] = {(uint32_t)b, (uint32_t)(b >> 32)};
    uint32_t out[4];
    hpt__philox4x32(out, counter, key);
    return out[0] | (uint64_t)out[1] << 32;
}

int hpt__rng_system_seed(uint64_t *out) {
    uint64_t seed = 0;
    ssize_t got;
    do {
        got = getrandom(&seed, sizeof seed, 0);
    } while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof seed)
        return hpt__fail(HPT_E_IO, "the system gave no random seed (errno %d); set a seed", got < 0 ? errno : 0);
    *out = seed;
    return HPT_OK;
}
