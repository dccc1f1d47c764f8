// SPDX-License-Identifier: Apache-2.0
// pruner_nop.c: never stops a trial. It exists so that a study always has a pruner to ask.
#include "pruner_ops.h"

static int nop_create(void **state, const hpt__pruner_env *env) {
    (void)env;
    *state = NULL;
    return 0;
}

static void nop_destroy(void *state) {
    (void)state;
}

static bool nop_should_prune(void *state, const hpt__trials *table, int64_t row, hpt__pruner_notes *notes) {
    (void)state;
    (void)table;
    (void)row;
    (void)notes;
    return false;
}

const hpt__pruner_ops hpt__pruner_nop_ops = {
    .name = "nop",
    .doc = "never stops a trial",
    .create = nop_create,
    .destroy = nop_destroy,
    .should_prune = nop_should_prune,
};
