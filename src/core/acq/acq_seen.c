// SPDX-License-Identifier: Apache-2.0
// acq_seen.c: the points that are taken: a hash table of the numbers of their rows.
//
// Two rows are the same point when the same blocks are active and every active column agrees; columns of absent
// parameters hold anything. Numeric columns are compared as multiples of 2^-30: a point that went through its
// parameter's units and back may differ in the last bits, and cells of a grid with up to 2^29 values stay apart.
//
// Ownership: the table; rows are borrowed. Threads: one at a time. Cost: O(n d) to make, O(d) a question, O(n d) `near`.
#include "../base/alloc.h"
#include "../base/error.h"
#include "acq_impl.h"

#include <math.h>
#include <string.h>

static int64_t cell(const hpt__gp_code *code, int64_t c, double v) {
    return code->cov.categorical[c] ? (int64_t)v : llround(v * 0x1p30);
}

static uint64_t hash_row(const hpt__gp_code *code, const double *row, uint64_t mask) {
    uint64_t h = mask * UINT64_C(0x9E3779B97F4A7C15);
    for (int64_t c = 0; c < code->cov.d; c++) {
        if (!hpt__column_active(code, c, mask)) continue;
        h = (h ^ (uint64_t)cell(code, c, row[c])) * UINT64_C(0xFF51AFD7ED558CCD);
        h ^= h >> 32;
    }
    return h;
}

static bool same(const hpt__gp_code *code, const double *a, const double *b, uint64_t mask) {
    for (int64_t c = 0; c < code->cov.d; c++)
        if (hpt__column_active(code, c, mask) && cell(code, c, a[c]) != cell(code, c, b[c])) return false;
    return true;
}

static const double *row_at(const hpt__seen *s, int64_t i, uint64_t *mask) {
    const int lot = i >= s->n[0];
    if (lot) i -= s->n[0];
    *mask = s->masks[lot][i];
    return s->rows[lot] + i * s->code->cov.d;
}

// The slot of a row, or the free one where it belongs.
static int64_t find(const hpt__seen *s, const double *row, uint64_t mask) {
    uint64_t at = hash_row(s->code, row, mask) & s->slot_mask;
    for (; s->slots[at] >= 0; at = (at + 1) & s->slot_mask) {
        uint64_t other_mask;
        const double *other = row_at(s, s->slots[at], &other_mask);
        if (other_mask == mask && same(s->code, row, other, mask)) break;
    }
    return (int64_t)at;
}

int hpt__seen_init(hpt__seen *s, const hpt__gp *gp, const hpt__gp_code *code, const hpt__search_options *options) {
    *s = (hpt__seen){
        .code = code,
        .rows = {hpt__gp_rows(gp), options->excluded},
        .masks = {hpt__gp_masks(gp), options->excluded_mask},
        .n = {hpt__gp_n(gp) + hpt__gp_n_pending(gp), options->excluded ? options->n_excluded : 0},
    };
    const int64_t n = s->n[0] + s->n[1];
    uint64_t n_slots = 16;
    while (n_slots < 2 * (uint64_t)n) n_slots *= 2;
    s->slot_mask = n_slots - 1;
    s->slots = hpt__malloc(n_slots * sizeof *s->slots);
    if (!s->slots) return hpt__fail_memory();
    memset(s->slots, 0xff, n_slots * sizeof *s->slots);
    for (int64_t i = 0; i < n; i++) {
        uint64_t mask;
        const double *row = row_at(s, i, &mask);
        const int64_t at = find(s, row, mask);
        if (s->slots[at] < 0) s->slots[at] = (int32_t)i; // a repeat is kept once: chains stay short
    }
    return 0;
}

void hpt__seen_fini(hpt__seen *s) {
    hpt__free(s->slots);
    s->slots = NULL;
}

bool hpt__seen_has(const hpt__seen *s, const double *row, uint64_t mask) {
    return s->slots[find(s, row, mask)] >= 0;
}

bool hpt__seen_near(const hpt__seen *s, const double *row, uint64_t mask, double within) {
    const hpt__gp_code *code = s->code;
    for (int64_t i = 0; i < s->n[0] + s->n[1]; i++) {
        uint64_t other_mask;
        const double *other = row_at(s, i, &other_mask);
        if (other_mask != mask) continue;
        bool near = true;
        for (int64_t c = 0; c < code->cov.d && near; c++) {
            if (!hpt__column_active(code, c, mask)) continue;
            near = code->cov.categorical[c] ? row[c] == other[c] : fabs(row[c] - other[c]) < within;
        }
        if (near) return true;
    }
    return false;
}
