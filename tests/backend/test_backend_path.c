// SPDX-License-Identifier: Apache-2.0
// test_backend_path.c: values of functions drawn pathwise: products with the cross covariance, waves in long double, closed forms,
// masks and choices, and what is refused.
#include "backend_testing.h"

#include "core/backend/device_state.h"

// Points and candidates: a strip is 64 candidates on cpu and where strips of a mock are shortest.
static const int64_t sizes[] = {1, 2, 15, 16, 17, 31, 64, 65, 129},
                     candidates[] = {1, 63, 64, 65, 129, 2, 130, 20, 140};

// sum over active terms of u cos(p) + v sin(p).
static long double exact_prior(const hpt__cov *cov, const hpt__paths *p, const double *z, uint64_t mask, int64_t k) {
    const int64_t n = p->n_features, rows = p->first[cov->d];
    long double sum = 0;
    for (int64_t t = 0; t < cov->n_terms; t++) {
        bool active = true;
        for (int b = 0; b < 64; b++)
            if (cov->term_blocks[t] >> b & 1) active = active && (mask >> b & 1);
        for (int64_t f = 0; active && f < n; f++) {
            const double *uv = p->uv + (k * cov->n_terms + t) * 2 * n;
            long double phase = 0;
            for (int64_t c = 0; c < cov->d; c++) {
                if (!(cov->term_blocks[t] >> cov->block[c] & 1)) continue;
                const int64_t row = p->first[c] + (cov->categorical[c] ? 1 + (int64_t)z[c] : 0);
                phase +=
                    (cov->categorical[c] ? 1 : (long double)z[c]) * (long double)p->omega[(t * rows + row) * n + f];
            }
            sum += uv[f] * cosl(phase) + uv[n + f] * sinl(phase);
        }
    }
    return sum;
}

// The correction alone, the prior alone, both; a part of the points; a strip of one candidate and more than one strip.
BACKEND_TEST(paths, are_the_weighted_cross_covariance_plus_waves) {
    for (int64_t i = 0; i < COUNT(sizes); i++) {
        const int64_t n = sizes[i], m = candidates[i], d = 1 + 2 * i, s = 1 + (5 * i) % 9, ldo = m + 2;
        const int64_t some = i % 2 ? n : (n + 1) / 2, n_features = 1 + (11 * i) % 37;
        fitted f;
        waves w;
        fitted_init(&f, device, 50 + (uint64_t)i, (hpt__cov_kind)(i % 3), d, 1 + i % 6, n);
        waves_init(&w, &f.p, s, some, n_features);
        double *z = numbers(m * d), *k = numbers(n * m), *out[3];
        uint64_t *zmask = words(m);
        problem_points(&f.p, z, zmask, m);
        for (int64_t j = 0; j < m; j++)
            if (d > 2 && j % 5 == 0 && (zmask[j] >> f.p.block[2] & 1)) z[j * d + 2] = -1; // no choice is one too
        OK(hpt__cov_cross(device, &f.p.cov, f.p.theta, f.x, f.mask, n, z, zmask, m, k, n));
        for (int which = 0; which < 3; which++) {
            hpt__paths of = w.of;
            if (which == 0) of.n_features = 0;
            if (which == 1) of.n = 0;
            out[which] = numbers(ldo * s);
            OK(hpt__model_paths(f.model, &of, z, zmask, m, out[which], ldo));
        }
        for (int64_t q = 0; q < s; q++) {
            for (int64_t j = 0; j < m; j++) {
                const double prior = (double)exact_prior(&f.p.cov, &w.of, z + j * d, zmask[j], q);
                double correction = 0;
                for (int64_t a = 0; a < some; a++) correction += k[a + j * n] * w.w[a + q * some];
                near_number(out[0][j + q * ldo], correction, 1e-11, 1e-11, "correction", j);
                near_number(out[1][j + q * ldo], prior, 1e-11, 1e-11, "prior", j);
                near_number(out[2][j + q * ldo], correction + prior, 2e-11, 1e-11, "both", j);
            }
            for (int64_t j = m; j < ldo; j++)
                for (int which = 0; which < 3; which++) cr_assert_eq(out[which][j + q * ldo], 0, "past the end");
        }
        for (int which = 0; which < 3; which++) free(out[which]);
        free(z);
        free(k);
        free(zmask);
        waves_fini(&w);
        fitted_fini(&f);
    }
}

// One column, one feature: u cos(omega z) + v sin(omega z), at phases of up to ten thousand.
BACKEND_TEST(paths, of_one_feature_are_a_cosine_and_a_sine) {
    enum { M = 70, S = 3 };
    fitted f;
    fitted_init(&f, device, 1, HPT__COV_RBF, 1, 1, 2);
    const int64_t first[] = {0, 1};
    const double uv[2 * S] = {1, 0, 0, 1, 0.5, -2};
    double z[M], out[M * S];
    uint64_t zmask[M];
    for (double omega = 0.1; omega < 2e4; omega *= 10) {
        const hpt__paths p = {.s = S, .n_features = 1, .first = first, .omega = &omega, .uv = uv};
        for (int64_t j = 0; j < M; j++) {
            z[j] = (double)(j - M / 2) / M * 2;
            zmask[j] = 1;
        }
        OK(hpt__model_paths(f.model, &p, z, zmask, M, out, M));
        for (int64_t j = 0; j < M; j++) {
            const double phase = omega * z[j], c = cos(phase), s = sin(phase);
            near_number(out[j], c, 1e-12, 0, "cosine", j);
            near_number(out[M + j], s, 1e-12, 0, "sine", j);
            near_number(out[2 * M + j], 0.5 * c - 2 * s, 3e-12, 0, "both", j);
        }
    }
    fitted_fini(&f);
}

// A term counts where all of its blocks are active, and a categorical column chooses the row of frequencies of its choice.
BACKEND_TEST(paths, know_masks_and_choices) {
    problem p;
    problem_init(&p, 1, HPT__COV_MATERN52, 3, 2, true); // column 2 is categorical, in a block of its own here
    p.block[0] = p.block[1] = 0;
    p.block[2] = 1;
    p.terms[1] = 2;
    const double x[] = {0.1, 0.2, 0}, z[] = {0.5, 0.5, -1, 0.5, 0.5, 0, 0.5, 0.5, 2, 0.5, 0.5, 1e300};
    const uint64_t mask = 3, zmask[] = {3, 3, 3, 1};
    const int64_t first[] = {0, 1, 2, 6};
    const double omega[2 * 6] = {1, 3, 0, 0, 0, 0, /* of term 1: */ 9, 9, 0.1, 0.2, 0.3, 0.4};
    const double uv[4] = {1, 0, 10, 0};
    const hpt__paths paths = {.s = 1, .n_features = 1, .first = first, .omega = omega, .uv = uv};
    const double base = cos(0.5 + 1.5),
                 want[] = {base + 10 * cos(0.1), base + 10 * cos(0.2), base + 10 * cos(0.4), base};
    double out[4];
    hpt__model *model;
    OK(hpt__model_create(&model, device, &p.cov, 0));
    OK(hpt__model_set_points(model, 0, x, &mask, 1));
    OK(hpt__model_factor(model, p.theta, NULL, NULL));
    OK(hpt__model_paths(model, &paths, z, zmask, 4, out, 4));
    for (int64_t j = 0; j < 4; j++) near_number(out[j], want[j], 1e-12, 1e-12, "value", j);
    hpt__model_destroy(model);
}

BACKEND_TEST(paths, of_no_points_or_no_functions_are_nothing_and_calls_are_counted) {
    fitted f;
    waves w;
    double out[8] = {0};
    fitted_init(&f, device, 4, HPT__COV_MATERN52, 3, 1, 10);
    waves_init(&w, &f.p, 4, 10, 5);
    const hpt__counters *c = hpt__device_counters(device);
    OK(hpt__model_paths(f.model, &w.of, NULL, NULL, 0, NULL, 0));
    w.of.s = 0;
    OK(hpt__model_paths(f.model, &w.of, f.x, f.mask, 2, NULL, 2));
    cr_expect_eq(c->calls[HPT__OP_PATHS], 0);
    w.of.s = 4;
    OK(hpt__model_paths(f.model, &w.of, f.x, f.mask, 2, out, 2));
    cr_expect_eq(c->calls[HPT__OP_PATHS], 1);
    // 2 points x (4 functions x 2 (10 weights + 2 x 5 waves) + 10 covariances + 5 waves): at least that.
    cr_expect(c->flops[HPT__OP_PATHS] > 2 * 4 * 2 * 20 && c->flops[HPT__OP_PATHS] < 1e4, "%g", c->flops[HPT__OP_PATHS]);
    waves_fini(&w);
    fitted_fini(&f);
}

BACKEND_TEST(paths, that_are_none_are_refused_with_a_line) {
    fitted f;
    waves w;
    double out[20], z[3] = {0.5, 0.5, 3};
    const uint64_t all = 3;
    fitted_init(&f, device, 4, HPT__COV_MATERN52, 3, 2, 10); // column 2 is categorical
    waves_init(&w, &f.p, 2, 10, 5);
    hpt__paths p = w.of;
#define REFUSED(change)                                                            \
    do {                                                                           \
        p = w.of;                                                                  \
        change;                                                                    \
        FAILS(HPT_E_ARG, hpt__model_paths(f.model, &p, f.x, f.mask, 10, out, 10)); \
    } while (0)
    FAILS(HPT_E_ARG, hpt__model_paths(f.model, NULL, f.x, f.mask, 10, out, 10));
    FAILS(HPT_E_ARG, hpt__model_paths(NULL, &w.of, f.x, f.mask, 10, out, 10));
    FAILS(HPT_E_ARG, hpt__model_paths(f.model, &w.of, f.x, f.mask, 10, out, 9));
    FAILS(HPT_E_ARG, hpt__model_paths(f.model, &w.of, f.x, f.mask, 10, NULL, 10));
    FAILS(HPT_E_ARG, hpt__model_paths(f.model, &w.of, f.x, f.mask, -1, out, 10));
    REFUSED(p.n = 11);
    REFUSED(p.n = -1);
    REFUSED(p.s = -1);
    REFUSED(p.n_features = -1);
    REFUSED(p.n_features = INT64_MAX / 2);
    REFUSED(p.n = p.n_features = 0);
    REFUSED(p.w = NULL);
    REFUSED(p.first = NULL);
    REFUSED(p.omega = NULL);
    REFUSED(p.uv = NULL);
    const int64_t wide[] = {0, 2, 3, 7}, none[] = {0, 1, 2, 2};
    REFUSED(p.first = wide);
    REFUSED(p.first = none);
    const double choices[] = {3, -2, 0.5, 1e300};
    for (int i = 0; i < 4; i++) { // the table has rows for -1 .. 2
        z[2] = choices[i];
        FAILS(HPT_E_ARG, hpt__model_paths(f.model, &w.of, z, &all, 1, out, 1));
        cr_expect(strstr(hpt_last_error(), "column 2, which has 3"), "%s", hpt_last_error());
    }
    OK(hpt__model_truncate(f.model, 0));
    FAILS(HPT_E_STATE, hpt__model_paths(f.model, &w.of, f.x, f.mask, 1, out, 1));
    waves_fini(&w);
    fitted_fini(&f);
}
