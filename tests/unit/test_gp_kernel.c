// SPDX-License-Identifier: Apache-2.0
// test_gp_kernel.c: the kernel that the evidence chooses, and that everything goes on with it.
#include "gp_testing.h"

enum { D = 3 };

// A valley that lies across the axes: curvatures 1, 30, 900.
static double valley(const double *x) {
    double f = 0;
    for (int i = 0; i < D; i++) {
        double t = 0;
        for (int j = 0; j < D; j++) t += ((i == j) - 2.0 / D) * (x[j] - 0.3 - 0.1 * j);
        f += pow(30, i) * t * t;
    }
    return f;
}

static double kinks(const double *x) {
    double f = 0;
    for (int j = 0; j < D; j++) f += fabs(sin(9 * x[j] + j)) + 0.5 * fabs(x[j] - 0.4);
    return f;
}

static void data(double *rows, uint64_t *mask, double *y, const bench *b, int n, double (*f)(const double *)) {
    hpt__rng rng;
    hpt__rng_init(&rng, 11, 0);
    random_rows(rows, mask, b, n, &rng);
    for (int i = 0; i < n; i++) y[i] = f(rows + i * D);
}

static hpt__cov_kind kind_of(const bench *b) {
    return hpt__gp_cov(b->gp)->kind;
}

Test(gp_kernel, rbf_for_a_valley_matern_for_kinks_and_none_but_its_own_where_nobody_asked)
{
    enum { N = 60 };
    double rows[N * D], y[N];
    uint64_t mask[N];
    for (int k = 0; k < 3; k++) {
        bench b;
        bench_open_kernel(&b, plain_space(D), NAN, true, HPT__COV_MATERN52, k < 2);
        data(rows, mask, y, &b, N, k == 1 ? kinks : valley);
        OK(hpt__gp_tell(b.gp, rows, mask, y, N));
        cr_expect_eq(kind_of(&b), HPT__COV_MATERN52, "before a fit");
        OK(hpt__gp_fit(b.gp, false));
        cr_expect_eq(kind_of(&b), k == 0 ? HPT__COV_RBF : HPT__COV_MATERN52, "case %d", k);
        bench_close(&b);
    }
}

// A branch of few trials is not to be judged by the surest kernel.
Test(gp_kernel, spaces_with_conditional_parameters_keep_their_kernel)
{
    enum { N = 60 };
    double rows[N * (D + 2)], y[N];
    uint64_t mask[N];
    for (int conditional = 0; conditional < 2; conditional++) {
        bench b;
        hpt__rng rng;
        hpt_space *space = plain_space(D);
        OK(hpt_space_add_categorical(space, "branch", LIST("a", "b")));
        OK(hpt_space_add_float(space, "z", 0, 1, 0, 0));
        if (conditional) OK(hpt_space_add_condition(space, "z", "branch", LIST("b")));
        bench_open_kernel(&b, space, NAN, true, HPT__COV_MATERN52, true);
        hpt__rng_init(&rng, 11, 0);
        random_rows(rows, mask, &b, N, &rng);
        for (int i = 0; i < N; i++) y[i] = valley(rows + i * (D + 2));
        OK(hpt__gp_tell(b.gp, rows, mask, y, N));
        OK(hpt__gp_fit(b.gp, false));
        cr_expect_eq(kind_of(&b), conditional ? HPT__COV_MATERN52 : HPT__COV_RBF, "conditional: %d", conditional);
        bench_close(&b);
    }
}

Test(gp_kernel, a_state_means_the_same_where_there_is_a_choice_and_where_there_is_none)
{
    enum { N = 60, M = 5 };
    double rows[N * D], y[N], mean[2][M], sd[2][M], at[M * D], density[2];
    uint64_t mask[N], at_mask[M];
    for (int from = 0; from < 2; from++) { // 0: the one that chooses gives its state, 1: the one that has RBF alone
        bench b[2];
        hpt__rng rng;
        hpt__rng_init(&rng, 12, 0);
        for (int k = 0; k < 2; k++) {
            bench_open_kernel(&b[k], plain_space(D), NAN, true, k ? HPT__COV_RBF : HPT__COV_MATERN52, k == 0);
            data(rows, mask, y, &b[k], N, valley);
            OK(hpt__gp_tell(b[k].gp, rows, mask, y, N));
        }
        random_rows(at, at_mask, &b[0], M, &rng);
        OK(hpt__gp_fit(b[from].gp, false));
        hpt__str text = HPT__STR_INIT;
        hpt__arena arena;
        hpt__json *state;
        hpt__arena_init(&arena);
        hpt__gp_state_json(&text, b[from].gp);
        OK(hpt__json_parse(&state, &arena, hpt__str_text(&text), text.len));
        OK(hpt__gp_state_from_json(b[1 - from].gp, state));
        for (int k = 0; k < 2; k++) {
            OK(hpt__gp_predict(b[k].gp, at, at_mask, M, mean[k], sd[k]));
            OK(hpt__gp_log_likelihood(b[k].gp, &density[k]));
            cr_expect_eq(kind_of(&b[k]), HPT__COV_RBF);
        }
        cr_expect_eq(memcmp(mean[0], mean[1], sizeof mean[0]), 0, "from %d", from);
        cr_expect_eq(memcmp(sd[0], sd[1], sizeof sd[0]), 0, "from %d", from);
        cr_expect_eq(density[0], density[1], "from %d", from);
        hpt__str_fini(&text);
        hpt__arena_fini(&arena);
        for (int k = 0; k < 2; k++) bench_close(&b[k]);
    }
}

// A study: told one by one, fitted after each, killed at some points and resumed from its state.
Test(gp_kernel, a_state_goes_on_in_every_bit_through_a_change_of_kernel)
{
    enum { N = 70, M = 4 };
    double rows[N * D], y[N], mean[2][M], sd[2][M];
    uint64_t mask[N];
    bench b;
    hpt__gp *other = NULL;
    int changes = 0;
    bench_open_kernel(&b, plain_space(D), NAN, true, HPT__COV_MATERN52, true);
    data(rows, mask, y, &b, N, valley);
    hpt__cov_kind last = kind_of(&b);
    for (int n = 0; n < N; n++) {
        if (n % 8 == 5) {
            hpt__gp_destroy(other);
            other = resumed_gp(&b, rows, mask, y, n);
        }
        hpt__gp *both[] = {b.gp, other};
        for (int k = 0; k < (other ? 2 : 1); k++) {
            OK(hpt__gp_tell(both[k], rows + n * D, &mask[n], &y[n], 1));
            OK(hpt__gp_fit(both[k], false));
            OK(hpt__gp_predict(both[k], rows + (N - M) * D, mask + N - M, M, mean[k], sd[k]));
        }
        changes += kind_of(&b) != last;
        last = kind_of(&b);
        if (!other) continue;
        cr_expect_eq(hpt__gp_cov(other)->kind, last);
        cr_expect_eq(memcmp(mean[0], mean[1], sizeof mean[0]), 0, "means differ at n = %d", n);
        cr_expect_eq(memcmp(sd[0], sd[1], sizeof sd[0]), 0, "deviations differ at n = %d", n);
    }
    cr_expect(changes > 0 && last == HPT__COV_RBF, "%d changes", changes);
    hpt__gp_destroy(other);
    bench_close(&b);
}

// Replaces what in text by a string of the same length or shorter.
static void replace(char *text, const char *what, const char *by) {
    for (char *at = text; (at = strstr(at, what)); at += strlen(by)) {
        memmove(at + strlen(by), at + strlen(what), strlen(at + strlen(what)) + 1);
        memcpy(at, by, strlen(by));
    }
}

// An older state, which names no kernel, is one of Matern 5/2.
Test(gp_kernel, a_state_without_a_kernel_is_refused_where_matern52_is_not_in_use)
{
    static const char text[] =
        "{\"warp\": \"none\", \"n_fit\": 20, \"n_restart\": 20, \"n_searches\": 1, \"changed\": false}";
    static const hpt__cov_kind kinds[] = {HPT__COV_MATERN52, HPT__COV_MATERN32, HPT__COV_RBF};
    for (int k = 0; k < 3; k++) {
        bench b;
        hpt__arena arena;
        hpt__json *state;
        hpt__arena_init(&arena);
        bench_open_kernel(&b, plain_space(D), NAN, true, kinds[k], false);
        OK(hpt__json_parse(&state, &arena, text, strlen(text)));
        cr_expect_eq(hpt__gp_state_from_json(b.gp, state), k == 0 ? 0 : HPT_E_PARSE, "kernel %d", k);
        hpt__arena_fini(&arena);
        bench_close(&b);
    }
}

Test(gp_kernel, states_of_one_kernel_are_read_and_those_of_another_refused)
{
    enum { N = 30 };
    double rows[N * D], y[N];
    uint64_t mask[N];
    bench b;
    bench_open_kernel(&b, plain_space(D), NAN, true, HPT__COV_MATERN52, false);
    data(rows, mask, y, &b, N, kinks);
    OK(hpt__gp_tell(b.gp, rows, mask, y, N));
    OK(hpt__gp_fit(b.gp, false));
    static const struct {
        const char *what, *by;
        int want;
    } cases[] = {
        {"\"kernel\": \"matern52\", ", "", 0}, // written before there was a choice
        {"\"matern52\"", "\"matern32\"", HPT_E_PARSE},
        {"\"matern52\"", "\"rbf\"", HPT_E_PARSE}, // this surrogate does not choose
        {"\"matern52\"", "7", HPT_E_PARSE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hpt__str text = HPT__STR_INIT;
        hpt__arena arena;
        hpt__json *state;
        hpt__arena_init(&arena);
        hpt__gp_state_json(&text, b.gp);
        char *changed = strdup(hpt__str_text(&text));
        replace(changed, cases[i].what, cases[i].by);
        cr_expect_str_neq(changed, hpt__str_text(&text));
        OK(hpt__json_parse(&state, &arena, changed, strlen(changed)));
        hpt__gp *other = another_gp(&b, NAN, true);
        OK(hpt__gp_tell(other, rows, mask, y, N));
        cr_expect_eq(hpt__gp_state_from_json(other, state), cases[i].want, "case %d", (int)i);
        OK(hpt__gp_ready(other));
        if (cases[i].want == 0) cr_expect_eq(hpt__gp_theta(other)[0], hpt__gp_theta(b.gp)[0]);
        hpt__gp_destroy(other);
        hpt__arena_fini(&arena);
        hpt__str_fini(&text);
        free(changed);
    }
    bench_close(&b);
}

Test(gp_kernel, a_first_fit_of_many_points_compares_the_first_300_and_later_ones_cost_one_kernel)
{
    enum { N = 310 };
    static double rows[N * D], y[N];
    static uint64_t mask[N];
    int64_t calls[2][2];
    for (int choose = 0; choose < 2; choose++) {
        bench b;
        bench_open_kernel(&b, plain_space(D), NAN, false, choose ? HPT__COV_MATERN52 : HPT__COV_RBF, choose);
        hpt__gp_destroy(b.gp);
        const hpt__gp_settings quick = {.choose_kernel = choose, .noise = NAN, .seed = 7, .max_evaluations = 3};
        OK(hpt__gp_create(&b.gp, b.device, &b.code, &quick));
        data(rows, mask, y, &b, N, valley);
        OK(hpt__gp_tell(b.gp, rows, mask, y, N));
        const int64_t *so_far = &hpt__device_counters(b.device)->calls[HPT__OP_MLL];
        OK(hpt__gp_fit(b.gp, false));
        cr_expect_eq(kind_of(&b), HPT__COV_RBF);
        calls[choose][0] = *so_far;
        OK(hpt__gp_fit(b.gp, true)); // with restarts
        cr_expect_eq(kind_of(&b), HPT__COV_RBF);
        calls[choose][1] = *so_far - calls[choose][0];
        bench_close(&b);
    }
    // A rival has one search of at most 3 evaluations; what loses does not go on with all points.
    cr_expect(calls[1][0] > calls[0][0] && calls[1][0] <= calls[0][0] + 3, "%d likelihoods with a choice, %d without",
              (int)calls[1][0], (int)calls[0][0]);
    cr_expect_eq(calls[1][1], calls[0][1], "%d likelihoods with a choice, %d without", (int)calls[1][1],
                 (int)calls[0][1]);
}
