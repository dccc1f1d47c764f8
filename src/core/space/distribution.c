// SPDX-License-Identifier: Apache-2.0
// distribution.c: a parameter as the distribution_json of Optuna's tables, and back.
//
// Written: {"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}} and
// the like, byte for byte what Optuna writes (key order, blanks, shortest numbers), because Optuna workers
// compare and show them. Optuna knows no log range with a step, so that pair is written with log false: the
// values are the same, only its own samplers then see a linear range. Likewise laws other than the uniform one: Optuna is
// told the range (space_law.c); the law, as the probabilities of choices, is in the text of space_json.c.
//
// Read: all that Optuna 3 to 5 reads (its optuna/distributions.py, json_to_distribution): the three classes, the
// five of before 3.0 (UniformDistribution, LogUniformDistribution, DiscreteUniformDistribution with q,
// IntUniformDistribution, IntLogUniformDistribution), and the short form {"type": "float", "low": ...}. A log
// range with a step, which Optuna would refuse and which old versions allowed, is taken as it stands. A high that is on
// the grid up to rounding stays: Optuna adjusts again on every reading, and for steps of 16 digits loses the last value
// on the way (0..2.333333333333333 step 0.3333333333333333 becomes 0..1.9999999999999998), so that its own
// distribution no longer equals itself.
// Owns nothing. Threads: as the space. Cost: linear in the text.
#include "../base/error.h"
#include "space_build.h"
#include <math.h>
#include <string.h>

static bool has_step(const hpt__param *p) {
    return p->step > (p->kind == HPT__PARAM_INT ? 1 : 0);
}

bool hpt__distribution_log(const hpt__param *p) {
    // Rounding a law of the logarithm may give 0.
    return p->log && !has_step(p) && p->low > 0;
}

void hpt__distribution_write(hpt__str *out, const hpt__param *p) {
    const char *log = hpt__distribution_log(p) ? "true" : "false";
    switch (p->kind) {
    case HPT__PARAM_FLOAT:
        hpt__str_add(out, "{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": ");
        if (has_step(p))
            hpt__str_add_double(out, p->step);
        else
            hpt__str_add(out, "null");
        hpt__str_add(out, ", \"low\": ");
        hpt__str_add_double(out, p->low);
        hpt__str_add(out, ", \"high\": ");
        hpt__str_add_double(out, p->high);
        hpt__str_addf(out, ", \"log\": %s}}", log);
        break;
    case HPT__PARAM_INT:
        hpt__str_addf(out, "{\"name\": \"IntDistribution\", \"attributes\": {\"log\": %s, \"step\": ", log);
        hpt__str_add_int(out, (int64_t)p->step);
        hpt__str_add(out, ", \"low\": ");
        hpt__str_add_int(out, (int64_t)p->low);
        hpt__str_add(out, ", \"high\": ");
        hpt__str_add_int(out, (int64_t)p->high);
        hpt__str_add(out, "}}");
        break;
    case HPT__PARAM_CATEGORICAL:
        hpt__str_add(out, "{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [");
        for (int64_t i = 0; i < p->n_choices; i++) {
            if (i > 0) hpt__str_add(out, ", ");
            hpt__json_dumps(out, p->choices[i]);
        }
        hpt__str_add(out, "]}}");
        break;
    }
}

// ---- reading

typedef struct form {
    const char *name; // class, or type in the short form
    hpt__param_kind kind;
    int log;              // -1: attribute "log"
    const char *step_key; // NULL: none
} form;

static const form class_forms[] = {
    {"FloatDistribution", HPT__PARAM_FLOAT, -1, "step"},
    {"IntDistribution", HPT__PARAM_INT, -1, "step"},
    {"CategoricalDistribution", HPT__PARAM_CATEGORICAL, 0, NULL},
    {"UniformDistribution", HPT__PARAM_FLOAT, 0, NULL},
    {"LogUniformDistribution", HPT__PARAM_FLOAT, 1, NULL},
    {"DiscreteUniformDistribution", HPT__PARAM_FLOAT, 0, "q"},
    {"IntUniformDistribution", HPT__PARAM_INT, 0, "step"},
    {"IntLogUniformDistribution", HPT__PARAM_INT, 1, "step"},
    {0},
};

static const form type_forms[] = {
    {"float", HPT__PARAM_FLOAT, -1, "step"},
    {"int", HPT__PARAM_INT, -1, "step"},
    {"categorical", HPT__PARAM_CATEGORICAL, 0, NULL},
    {0},
};

static const form *find_form(const form *forms, const char *name) {
    for (; forms->name; forms++)
        if (strcmp(forms->name, name) == 0) return forms;
    return NULL;
}

static int read_number(double *out, const hpt__json *attributes, const char *key, bool is_int) {
    if (!hpt__json_number(out, hpt__json_get(attributes, key))) return hpt__fail(HPT_E_ARG, "no number '%s'", key);
    if (!is_int) return 0;
    *out = trunc(*out); // Python's int()
    if (!(fabs(*out) <= 0x1p53))
        return hpt__fail(HPT_E_ARG, "'%s' passes 2^53, where doubles stop to hold every integer", key);
    return 0;
}

static int read_range(hpt__range *out, const form *f, const hpt__json *attributes) {
    int rc = 0;
    const bool is_int = f->kind == HPT__PARAM_INT;
    hpt__range r = {.step = is_int ? 1 : 0, .log = f->log == 1, .keep_high = true};
    HPT_TRY(read_number(&r.low, attributes, "low", is_int));
    HPT_TRY(read_number(&r.high, attributes, "high", is_int));
    const hpt__json *step = f->step_key ? hpt__json_get(attributes, f->step_key) : NULL;
    if (step && step->kind != HPT__JSON_NULL) {
        HPT_TRY(read_number(&r.step, attributes, f->step_key, is_int));
        HPT_FAIL_IF(!(r.step > 0), HPT_E_ARG, "the step is not positive");
    }
    const hpt__json *log = f->log < 0 ? hpt__json_get(attributes, "log") : NULL;
    if (log && log->kind != HPT__JSON_NULL) {
        HPT_FAIL_IF(log->kind != HPT__JSON_BOOL, HPT_E_ARG, "'log' is neither true nor false");
        r.log = log->b;
    }
    *out = r;
out:
    return rc;
}

// Reads the form; range or choices, whichever it has.
static int read_distribution(const form **f, hpt__range *range, const hpt__json **choices, const hpt__json *root) {
    const char *class_name = hpt__json_string(hpt__json_get(root, "name"));
    const char *type = hpt__json_string(hpt__json_get(root, "type"));
    if (!class_name && !type) return hpt__fail(HPT_E_ARG, "neither 'name' nor 'type' says which");
    *f = class_name ? find_form(class_forms, class_name) : find_form(type_forms, type);
    if (!*f) return hpt__fail(HPT_E_ARG, "'%s' is not known", class_name ? class_name : type);
    const hpt__json *attributes = class_name ? hpt__json_get(root, "attributes") : root;
    if ((*f)->kind != HPT__PARAM_CATEGORICAL) return read_range(range, *f, attributes);
    *choices = hpt__json_get(attributes, "choices");
    if (!*choices || (*choices)->kind != HPT__JSON_ARRAY) return hpt__fail(HPT_E_ARG, "no list 'choices'");
    return 0;
}

int hpt__space_add_distribution(hpt_space *space, const char *name, const char *distribution_json) {
    hpt__arena scratch;
    hpt__arena_init(&scratch);
    hpt__json *root;
    const form *f = NULL;
    hpt__range range = {0};
    const hpt__json *choices = NULL;
    int rc = hpt__space_check_name(space, name);
    if (rc < 0) goto out;
    rc = hpt__json_parse(&root, &scratch, distribution_json, strlen(distribution_json));
    if (rc == 0) rc = read_distribution(&f, &range, &choices, root);
    if (rc < 0) {
        if (rc != HPT_E_MEMORY) rc = hpt__fail_prefix(rc, "distribution of '%s'", name);
        goto out;
    }
    rc = choices ? hpt__space_add_choices(space, name, choices->a.items, choices->a.n, false)
                 : hpt__space_add_range(space, name, f->kind, range);
out:
    hpt__arena_fini(&scratch);
    return rc;
}
