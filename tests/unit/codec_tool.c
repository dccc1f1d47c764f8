// SPDX-License-Identifier: Apache-2.0
// codec_tool.c: what the codec makes of the laws of a space; oracle_codec.py compares it with SciPy, NumPy and Optuna.
//
// stdin, one JSON value a line:
//   {"space": TEXT, "u": [...]}            TEXT: a space of one parameter as hpt_space_to_json writes it
//   {"beta": [a, b], "u": [...]}           quantiles
//   {"beta": [a, b], "x": [...]}           distribution function
// stdout, one line each:
//   {"decode": [...], "encode": [...], "cardinality": n, "description": "...", "distribution": {...}, "text": TEXT}
//   where encode[i] is that of decode[i]; or the list of results
#include "core/base/error.h"
#include "core/base/special.h"
#include "core/space/codec.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(bool ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "codec_tool: %s: %s\n", what, hpt_last_error());
    exit(1);
}

static double number(const hpt__json *v) {
    double x = NAN;
    must(hpt__json_number(&x, v), "a number");
    return x;
}

static void add_list(hpt__str *out, const double *v, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        hpt__str_add(out, i > 0 ? ", " : "[");
        hpt__str_add_double(out, v[i]);
    }
    hpt__str_addc(out, ']');
}

static void run_space(hpt__str *out, const char *text, const double *u, int64_t n) {
    hpt_space *s = NULL;
    char *back = NULL, *words = NULL;
    double *v = malloc((size_t)(n + 1) * sizeof *v);
    must(v && hpt_space_from_json(&s, text) == 0 && hpt_space_to_json(&back, s) == 0 &&
             hpt_space_describe(&words, s, hpt_space_name(s, 0)) == 0,
         text);
    const hpt__param *p = &s->params[0];
    for (int64_t i = 0; i < n; i++) {
        v[i] = hpt__codec_decode1(p, u[i]);
        must(hpt__param_contains(p, v[i]), "a legal value");
    }
    hpt__str_add(out, "{\"decode\": ");
    add_list(out, v, n);
    for (int64_t i = 0; i < n; i++) v[i] = hpt__codec_encode1(p, v[i]);
    hpt__str_add(out, ", \"encode\": ");
    add_list(out, v, n);
    hpt__str_addf(out, ", \"cardinality\": %lld, \"distribution\": %s, \"description\": ",
                  (long long)hpt_space_cardinality(s), p->dist_json);
    hpt__str_add_json_string(out, words, strlen(words));
    hpt__str_add(out, ", \"text\": ");
    hpt__str_add_json_string(out, back, strlen(back));
    hpt__str_addc(out, '}');
    hpt_free(back);
    hpt_free(words);
    hpt_space_destroy(s);
    free(v);
}

static void run_line(hpt__str *out, const hpt__json *j) {
    const hpt__json *beta = hpt__json_get(j, "beta"), *x = hpt__json_get(j, "x");
    const hpt__json *list = x ? x : hpt__json_get(j, "u");
    must(list && list->kind == HPT__JSON_ARRAY, "a list 'u' or 'x'");
    const int64_t n = list->a.n;
    double *u = malloc((size_t)(n + 1) * sizeof *u);
    must(u, "memory");
    for (int64_t i = 0; i < n; i++) u[i] = number(list->a.items[i]);
    if (beta) {
        const double a = number(beta->a.items[0]), b = number(beta->a.items[1]);
        for (int64_t i = 0; i < n; i++) u[i] = x ? hpt__beta_cdf(a, b, u[i]) : hpt__beta_quantile(a, b, u[i]);
        add_list(out, u, n);
    } else {
        const char *text = hpt__json_string(hpt__json_get(j, "space"));
        must(text, "a text 'space'");
        run_space(out, text, u, n);
    }
    free(u);
}

int main(void) {
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    while ((len = getline(&line, &cap, stdin)) > 0) {
        hpt__arena arena;
        hpt__json *j = NULL;
        hpt__str out = HPT__STR_INIT;
        hpt__arena_init(&arena);
        must(hpt__json_parse(&j, &arena, line, (size_t)len) == 0, "a line of JSON");
        run_line(&out, j);
        must(hpt__str_status(&out) == 0, "memory");
        puts(hpt__str_text(&out));
        hpt__str_fini(&out);
        hpt__arena_fini(&arena);
    }
    free(line);
    return 0;
}
