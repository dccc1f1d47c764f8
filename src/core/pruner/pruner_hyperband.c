// SPDX-License-Identifier: Apache-2.0
// pruner_hyperband.c: several sets of rungs (brackets) that begin at different steps, each with trials of its own (Li
// et al., "Hyperband", JMLR 18, 2018), with the decisions of Optuna's HyperbandPruner.
//
// B = floor(log(max_resource / min_resource) / log(eta)) + 1 brackets. Bracket b has the share ceil(B eta^s / (s + 1)),
// s = B - 1 - b, of the trials, and its first rung at min_resource eta^b (pruner_halving.c with rate b). A trial's
// bracket follows from crc32("<study>_<number>") modulo the sum of the shares, so that every process, Optuna's too,
// agrees on it without asking. max_resource 0: one more than the longest completed trial's last step, fixed once one
// completed with a report; until then nothing stops.
//
// Unlike Optuna's, our samplers go on seeing the trials of all brackets.
//
// Ownership: the state owns what was read of the trials. Threads, cost: as pruner_halving.c; a crc of at most 20 bytes
// for each trial that is read. Shares are Optuna's to the last trial while max_resource is below 2^47.
#include "../base/alloc.h"
#include "../base/error.h"
#include "pruner_halving.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BRACKETS_MAX = 64 };
static const int64_t RESOURCE_MAX = INT64_C(1) << 53; // longer trials count as this long

typedef struct bracket {
    uint64_t share;
    hpt__halving halving;
} bracket;

typedef struct hyperband_state {
    double sign;
    int64_t min_resource, max_resource, reduction_factor, bootstrap_count;
    uint32_t crc_of_name;    // of "<study>_", not complemented yet
    int64_t n_complete_seen; // completed trials when max_resource was last looked for
    int64_t n_brackets;      // 0: not known yet, or too small a max_resource for any
    uint64_t sum_of_shares;
    bracket brackets[BRACKETS_MAX];
    hpt__watch watch;
} hyperband_state;

typedef struct membership {
    const hyperband_state *state;
    int64_t bracket;
} membership;

// CRC-32 of ISO 3309 (zlib's), bit by bit: what is hashed is short. Begins with ~0, ends with the complement.
static uint32_t crc32_add(uint32_t crc, const char *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        crc ^= (unsigned char)bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
    }
    return crc;
}

static int64_t bracket_of(const hyperband_state *s, int64_t number) {
    char digits[24];
    const int n = snprintf(digits, sizeof digits, "%lld", (long long)number);
    const uint32_t crc = ~crc32_add(s->crc_of_name, digits, (size_t)n);
    uint64_t at = crc % s->sum_of_shares;
    int64_t b = 0;
    while (at >= s->brackets[b].share) at -= s->brackets[b++].share;
    return b;
}

int64_t hpt__hyperband_bracket(const void *state, int64_t number) {
    const hyperband_state *s = state;
    return s->n_brackets > 0 ? bracket_of(s, number) : -1;
}

static bool is_member(const void *payload, int64_t number) {
    const membership *m = payload;
    return bracket_of(m->state, number) == m->bracket;
}

static void make_brackets(hyperband_state *s) {
    const double eta = (double)s->reduction_factor;
    const double ratio = (double)s->max_resource / (double)s->min_resource;
    if (ratio < 1) return;
    const int64_t n = (int64_t)floor(log(ratio) / log(eta)) + 1;
    for (int64_t b = 0; b < n; b++) {
        double power = 1;
        for (int64_t i = 0; i < n - 1 - b; i++) power *= eta;
        s->brackets[b] = (bracket){
            .share = (uint64_t)ceil((double)n * power / (double)(n - b)),
            .halving = {.sign = s->sign,
                        .min_resource = s->min_resource,
                        .reduction_factor = s->reduction_factor,
                        .rate = b,
                        .bootstrap_count = s->bootstrap_count},
        };
        s->sum_of_shares += s->brackets[b].share;
    }
    s->n_brackets = n;
}

static void find_max_resource(hyperband_state *s, const hpt__trials *table) {
    if (s->max_resource > 0 || table->counts[HPT_TRIAL_COMPLETE] == s->n_complete_seen) return;
    s->n_complete_seen = table->counts[HPT_TRIAL_COMPLETE];
    const int64_t longest = hpt__longest_complete(table);
    if (longest < 0) return;
    s->max_resource = longest < RESOURCE_MAX ? longest + 1 : RESOURCE_MAX;
    make_brackets(s);
}

static int hyperband_create(void **state, const hpt__pruner_env *env) {
    const hpt__options *o = env->options;
    if (o->hyperband_bootstrap_count > 0 && o->hyperband_max_resource == 0) {
        return hpt__fail(HPT_E_ARG, "hyperband.bootstrap_count needs hyperband.max_resource: where the rungs lie is "
                                    "known only once a trial has completed");
    }
    if (o->hyperband_max_resource > 0 && o->hyperband_max_resource < o->hyperband_min_resource) {
        return hpt__fail(HPT_E_ARG, "hyperband.max_resource (%lld) is below hyperband.min_resource (%lld)",
                         (long long)o->hyperband_max_resource, (long long)o->hyperband_min_resource);
    }
    hyperband_state *s = hpt__calloc(1, sizeof *s);
    if (!s) return hpt__fail_memory();
    s->sign = env->direction == HPT_MAXIMIZE ? -1.0 : 1.0;
    s->min_resource = o->hyperband_min_resource;
    s->max_resource = o->hyperband_max_resource;
    s->reduction_factor = o->hyperband_reduction_factor;
    s->bootstrap_count = o->hyperband_bootstrap_count;
    s->crc_of_name = crc32_add(crc32_add(~UINT32_C(0), env->study_name, strlen(env->study_name)), "_", 1);
    if (s->max_resource > 0) make_brackets(s);
    *state = s;
    return 0;
}

static void hyperband_destroy(void *state) {
    hyperband_state *s = state;
    if (!s) return;
    for (int64_t b = 0; b < s->n_brackets; b++) hpt__halving_fini(&s->brackets[b].halving);
    hpt__watch_fini(&s->watch);
    hpt__free(s);
}

static bool hyperband_should_prune(void *state, const hpt__trials *table, int64_t row, hpt__pruner_notes *notes) {
    hyperband_state *s = state;
    find_max_resource(s, table);
    if (s->n_brackets == 0) return false;
    const membership m = {s, bracket_of(s, table->number[row])};
    return hpt__halving_judge(&s->brackets[m.bracket].halving, &s->watch, table, row, notes, is_member, &m);
}

const hpt__pruner_ops hpt__pruner_hyperband_ops = {
    .name = "hyperband",
    .doc = "several successive halvings that begin at different steps, each with a share of the trials",
    .create = hyperband_create,
    .destroy = hyperband_destroy,
    .should_prune = hyperband_should_prune,
};
