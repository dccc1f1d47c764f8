// SPDX-License-Identifier: Apache-2.0
// space_describe.c: parameters in words, for tables and messages of programs. Output is owned by the caller.
#include "../base/error.h"
#include "space_impl.h"

static int find(const hpt__param **p, const hpt_space *space, const char *name) {
    if (!space || !name) return hpt__fail(HPT_E_ARG, "hpt_space_describe: an argument is NULL");
    const int64_t i = hpt__space_find(space, name);
    if (i < 0) return hpt__fail(HPT_E_NOT_FOUND, "the space has no parameter '%s'", name);
    *p = &space->params[i];
    return HPT_OK;
}

int hpt_space_describe(char **out, const hpt_space *space, const char *name) {
    const hpt__param *p = NULL;
    hpt__str s = HPT__STR_INIT;
    int rc = out ? find(&p, space, name) : hpt__fail(HPT_E_ARG, "hpt_space_describe: out is NULL");
    if (rc < 0) return rc;
    hpt__param_describe(&s, p);
    char *text = hpt__str_take(&s);
    if (!text) return hpt__fail_memory();
    *out = text;
    return HPT_OK;
}

int hpt_space_describe_condition(char **out, const hpt_space *space, const char *name) {
    const hpt__param *p = NULL;
    hpt__str s = HPT__STR_INIT;
    int rc = out ? find(&p, space, name) : hpt__fail(HPT_E_ARG, "hpt_space_describe_condition: out is NULL");
    if (rc < 0) return rc;
    hpt__str_add(&s, "");
    for (int64_t c = 0; c < p->n_conditions; c++) {
        const hpt__condition *condition = &p->conditions[c];
        const hpt__param *parent = &space->params[condition->parent];
        hpt__str_addf(&s, "%s%s in {", c ? " and " : "", parent->name);
        for (int64_t k = 0; k < condition->n_values; k++) {
            if (k) hpt__str_add(&s, ", ");
            if (parent->kind == HPT__PARAM_CATEGORICAL)
                hpt__str_add(&s, parent->choice_text[(int64_t)condition->values[k]]);
            else
                hpt__param_external(&s, parent, condition->values[k]);
        }
        hpt__str_addc(&s, '}');
    }
    char *text = hpt__str_take(&s);
    if (!text) return hpt__fail_memory();
    *out = text;
    return HPT_OK;
}
