// SPDX-License-Identifier: Apache-2.0
// gp_encode.c: points of a search space as rows of numbers with a mask of active blocks (contract: gp.h).
//
// A block is a set of parameters that exist in the same points, found as: the same set of conditions (parent, values). The
// mask says which exist; the covariance adds a term for each such block that two points share, so that no number has to
// be made up for what is absent ("sum over jointly active groups", as in Bergstra et al., NIPS 2011, for densities, and
// Hutter and Osborne, arXiv:1310.5738, for the problem). Grid values stand at the centre of their cell, so that the
// distance of neighbours is what the prior law of the parameter makes of it.
// A point that lacks a part of a block's parameters (another program's) counts as lacking all of them.
//
// Ownership: a code owns its arrays, borrows the space. Threads: read-only after init. Cost: O(d) a point; init
// O(d blocks).
#include "../base/alloc.h"
#include "../base/error.h"
#include "../space/codec.h"
#include "gp.h"

#include <math.h>
#include <string.h>

static bool same_condition(const hpt__condition *a, const hpt__condition *b) {
    return a->parent == b->parent && a->n_values == b->n_values &&
           memcmp(a->values, b->values, (size_t)a->n_values * sizeof *a->values) == 0;
}

static bool has_all_conditions(const hpt__param *a, const hpt__param *b) { // of b
    for (int64_t i = 0; i < b->n_conditions; i++) {
        bool found = false;
        for (int64_t j = 0; j < a->n_conditions && !found; j++)
            found = same_condition(&a->conditions[j], &b->conditions[i]);
        if (!found) return false;
    }
    return true;
}

static bool same_conditions(const hpt__param *a, const hpt__param *b) {
    return has_all_conditions(a, b) && has_all_conditions(b, a);
}

// Distance of neighbouring grid values, measured in the middle of the range where they are not equidistant.
static double grid_step(const hpt__param *p) {
    const int64_t k = hpt__param_cardinality(p);
    if (p->kind == HPT__PARAM_CATEGORICAL || k < 2) return 0;
    if (p->law == HPT__LAW_FLAT && !p->log) return 1.0 / (double)k;
    int64_t at = hpt__param_index_of(p, hpt__codec_decode1(p, 0.5));
    if (at > k - 2) at = k - 2;
    const double step =
        hpt__codec_encode1(p, hpt__param_value_at(p, at + 1)) - hpt__codec_encode1(p, hpt__param_value_at(p, at));
    return step > 0 ? step : 1.0 / (double)k;
}

// Blocks of the columns; first[b]: a parameter of block b >= 1. Returns their number.
static int64_t find_blocks(int32_t *block, int64_t *first, const hpt__gp_code *code) {
    int64_t n = 1;
    for (int64_t c = 0; c < code->cov.d; c++) {
        const hpt__param *p = &code->space->params[code->param[c]];
        block[c] = 0;
        if (p->n_conditions == 0) continue;
        int64_t b = 1;
        while (b < n && !same_conditions(p, &code->space->params[first[b]])) b++;
        if (b == n && n == HPT__BLOCKS_MAX) continue; // too many: imputed in block 0
        if (b == n) first[n++] = code->param[c];
        block[c] = (int32_t)b;
    }
    return n;
}

int hpt__gp_code_init(hpt__gp_code *code, const hpt_space *space, hpt__cov_kind kind) {
    int rc = 0;
    *code = (hpt__gp_code){.space = space, .cov = {.kind = kind}};
    int64_t first[HPT__BLOCKS_MAX];
    const size_t d = space->d > 0 ? (size_t)space->d : 1;
    uint8_t *categorical = hpt__calloc(d, sizeof *categorical);
    int32_t *block = hpt__calloc(d, sizeof *block);
    uint64_t *terms = hpt__calloc(HPT__BLOCKS_MAX, sizeof *terms);
    code->cov.categorical = categorical;
    code->cov.block = block;
    code->cov.term_blocks = terms;
    code->param = hpt__calloc(d, sizeof *code->param);
    code->column = hpt__calloc(d, sizeof *code->column);
    code->step = hpt__calloc(d, sizeof *code->step);
    if (!categorical || !block || !terms || !code->param || !code->column || !code->step) HPT_TRY(hpt__fail_memory());
    for (int64_t i = 0; i < space->d; i++) {
        const hpt__param *p = &space->params[i];
        code->column[i] = -1;
        if (hpt__param_fixed(p)) continue;
        const int64_t c = code->cov.d++;
        code->column[i] = c;
        code->param[c] = i;
        code->step[c] = grid_step(p);
        categorical[c] = p->kind == HPT__PARAM_CATEGORICAL;
    }
    code->cov.n_blocks = code->cov.n_terms = find_blocks(block, first, code);
    terms[0] = 1;
    for (int64_t b = 1; b < code->cov.n_blocks; b++) {
        const hpt__param *p = &space->params[first[b]];
        terms[b] = 1 | UINT64_C(1) << b;
        for (int64_t j = 0; j < p->n_conditions; j++) {
            const int64_t parent = code->column[p->conditions[j].parent];
            if (parent >= 0) terms[b] |= UINT64_C(1) << block[parent];
        }
    }
    rc = 0;
out:
    if (rc < 0) hpt__gp_code_fini(code);
    return rc;
}

// The covariance's arrays are const to everybody but their owner.
static void free_const(const void *ptr) {
    void *own;
    memcpy(&own, &ptr, sizeof own);
    hpt__free(own);
}

void hpt__gp_code_fini(hpt__gp_code *code) {
    free_const(code->cov.categorical);
    free_const(code->cov.block);
    free_const(code->cov.term_blocks);
    hpt__free(code->param);
    hpt__free(code->column);
    hpt__free(code->step);
    *code = (hpt__gp_code){0};
}

void hpt__gp_encode(double *row, uint64_t *mask, const hpt__gp_code *code, const double *point) {
    uint64_t present = code->cov.n_blocks >= HPT__BLOCKS_MAX ? UINT64_MAX : (UINT64_C(1) << code->cov.n_blocks) - 1;
    for (int64_t c = 0; c < code->cov.d; c++) {
        const double v = point[code->param[c]];
        const int32_t b = code->cov.block[c];
        if (isnan(v)) {
            if (b > 0) present &= ~(UINT64_C(1) << b);
            row[c] = code->cov.categorical[c] ? -1 : 0.5;
        } else if (code->cov.categorical[c]) {
            row[c] = v;
        } else {
            row[c] = hpt__codec_encode1(&code->space->params[code->param[c]], v);
        }
    }
    *mask = present;
}

// A choice for a column that has none (-1): the first that may be drawn.
static double decode_choice(const hpt__param *p, double v) {
    if (v >= 0) return v < (double)p->n_choices ? floor(v) : (double)(p->n_choices - 1);
    for (int64_t k = 0; k < p->n_choices; k++)
        if (hpt__param_drawable(p, k)) return (double)k;
    return 0;
}

void hpt__gp_decode(double *point, const hpt__gp_code *code, const double *row) {
    const hpt_space *space = code->space;
    for (int64_t t = 0; t < space->d; t++) {
        const int64_t i = space->topo[t], c = code->column[i];
        const hpt__param *p = &space->params[i];
        if (!hpt__space_active(space, i, point))
            point[i] = NAN;
        else if (c < 0)
            point[i] = hpt__codec_decode1(p, 0.5);
        else if (code->cov.categorical[c])
            point[i] = decode_choice(p, row[c]);
        else
            point[i] = hpt__codec_decode1(p, row[c]);
    }
}

int hpt__gp_snap(double *row, uint64_t *mask, const hpt__gp_code *code, double *scratch_point) {
    for (int64_t c = 0; c < code->cov.d; c++)
        if (!isfinite(row[c]))
            return hpt__fail(HPT_E_INTERNAL, "a candidate's column %lld is not finite", (long long)c);
    hpt__gp_decode(scratch_point, code, row);
    hpt__gp_encode(row, mask, code, scratch_point);
    return 0;
}
