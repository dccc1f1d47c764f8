// SPDX-License-Identifier: Apache-2.0
// gp_tool.c: predictions and likelihoods of our surrogate under given hyperparameters; oracle_gp.py compares them.
//
// usage: gp_tool <device>. stdin, one JSON object a line:
//   {"d": 3, "kernel": 0, "theta": [...], "x": [[..], ..], "y": [..], "z": [[..], ..]}      numeric columns in [0, 1]
// stdout, a line each: {"mean": [..], "sd": [..], "log_likelihood": ..}
#include "core/base/error.h"
#include "core/gp/gp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(bool ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "gp_tool: %s: %s\n", what, hpt_last_error());
    exit(1);
}

static double *numbers(const hpt__json *array, int64_t width, int64_t *n) {
    must(array && array->kind == HPT__JSON_ARRAY, "an array");
    *n = array->a.n;
    double *out = calloc((size_t)(*n * width + 1), sizeof *out);
    must(out != NULL, "memory");
    for (int64_t i = 0; i < *n; i++)
        for (int64_t c = 0; c < width; c++) {
            const hpt__json *v = array->a.items[i];
            must(hpt__json_number(&out[i * width + c], v->kind == HPT__JSON_ARRAY ? v->a.items[c] : v), "a number");
        }
    return out;
}

static void print_list(const char *name, const double *v, int64_t n) {
    printf("\"%s\": [", name);
    for (int64_t i = 0; i < n; i++) printf("%s%.17g", i ? ", " : "", v[i]);
    printf("], ");
}

// The state that makes a gp use theta.
static void use_theta(hpt__gp *gp, const hpt__json *theta, hpt__arena *arena) {
    hpt__str text = HPT__STR_INIT;
    hpt__json *state;
    const hpt__cov_kind kind = hpt__gp_cov(gp)->kind;
    hpt__str_addf(&text,
                  "{\"kernel\": \"%s\", \"warp\": \"none\", \"n_fit\": 0, \"n_restart\": 0, \"n_searches\": 0, "
                  "\"changed\": false, \"%s\": {\"score\": 0, \"theta\": ",
                  hpt__cov_kind_names[kind], kind == HPT__COV_RBF ? "rbf_none" : "none");
    hpt__json_dumps(&text, theta);
    hpt__str_add(&text, "}}");
    must(hpt__json_parse(&state, arena, hpt__str_text(&text), text.len) == 0, "state");
    must(hpt__gp_state_from_json(gp, state) == 0, "theta");
    hpt__str_fini(&text);
}

static void answer(hpt__device *device, const hpt__json *in, hpt__arena *arena) {
    int64_t d, kernel, n, m, ny;
    char name[32];
    hpt_space *space;
    hpt__gp_code code;
    hpt__gp *gp;
    double log_likelihood;
    must(hpt__json_integer(&d, hpt__json_get(in, "d")) && hpt__json_integer(&kernel, hpt__json_get(in, "kernel")),
         "d, kernel");
    double *x = numbers(hpt__json_get(in, "x"), d, &n), *z = numbers(hpt__json_get(in, "z"), d, &m);
    double *y = numbers(hpt__json_get(in, "y"), 1, &ny);
    must(n == ny && hpt_space_create(&space) == 0, "space");
    for (int64_t i = 0; i < d; i++) {
        (void)snprintf(name, sizeof name, "x%lld", (long long)i);
        must(hpt_space_add_float(space, name, 0, 1, 0, 0) == 0, "parameter");
    }
    must(hpt__gp_code_init(&code, space, (hpt__cov_kind)kernel) == 0, "code");
    const hpt__gp_settings settings = {.noise = __builtin_nan("")};
    must(hpt__gp_create(&gp, device, &code, &settings) == 0, "gp");
    uint64_t *mask = calloc((size_t)(n + m), sizeof *mask);
    double *mean = calloc((size_t)m, sizeof *mean), *sd = calloc((size_t)m, sizeof *sd);
    must(mask && mean && sd, "memory");
    for (int64_t i = 0; i < n + m; i++) mask[i] = 1;
    use_theta(gp, hpt__json_get(in, "theta"), arena);
    for (int64_t i = 0; i < n; i++) { // in pieces, so that rows are appended
        if (i % 7 != 0) continue;
        const int64_t k = n - i < 7 ? n - i : 7;
        must(hpt__gp_tell(gp, x + i * d, mask, y + i, k) == 0, "tell");
        must(hpt__gp_ready(gp) >= 0, "ready");
    }
    must(hpt__gp_predict(gp, z, mask, m, mean, sd) == 0, "predict");
    must(hpt__gp_log_likelihood(gp, &log_likelihood) == 0, "likelihood");
    printf("{");
    print_list("mean", mean, m);
    print_list("sd", sd, m);
    printf("\"log_likelihood\": %.17g}\n", log_likelihood);
    hpt__gp_destroy(gp);
    hpt__gp_code_fini(&code);
    hpt_space_destroy(space);
    free(x);
    free(y);
    free(z);
    free(mask);
    free(mean);
    free(sd);
}

int main(int argc, char **argv) {
    static char line[1 << 20];
    hpt__device *device;
    must(argc == 2 && hpt__device_open(&device, argv[1], NULL, NULL) == 0, "device");
    while (fgets(line, sizeof line, stdin)) {
        hpt__arena arena;
        hpt__json *in;
        hpt__arena_init(&arena);
        must(hpt__json_parse(&in, &arena, line, strlen(line)) == 0, "input");
        answer(device, in, &arena);
        hpt__arena_fini(&arena);
    }
    hpt__device_close(device);
    return 0;
}
