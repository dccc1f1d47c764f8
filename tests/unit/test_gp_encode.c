// SPDX-License-Identifier: Apache-2.0
// test_gp_encode.c: points as rows and masks, and back.
#include "gp_testing.h"

static bool close_to(double a, double b) {
    return (isnan(a) && isnan(b)) || fabs(a - b) <= 1e-9 * (1 + fabs(b));
}

Test(gp_encode, decoding_an_encoded_point_gives_it_back)
{
    hpt_space *s = rich_space();
    hpt__gp_code code;
    OK(hpt__gp_code_init(&code, s, HPT__COV_MATERN52));
    cr_expect_eq(code.cov.d, s->d - 2, "a constant and a fixed value have no column");
    hpt__rng rng;
    hpt__rng_init(&rng, 1, 0);
    for (int k = 0; k < 2000; k++) {
        double point[64], back[64], row[64], again[64];
        uint64_t mask, mask_again;
        random_point(point, s, &rng);
        hpt__gp_encode(row, &mask, &code, point);
        hpt__gp_decode(back, &code, row);
        for (int64_t i = 0; i < s->d; i++) {
            cr_expect(close_to(back[i], point[i]), "%s: %g became %g", s->params[i].name, point[i], back[i]);
            if (hpt__param_cardinality(&s->params[i]) > 0 && !isnan(point[i])) cr_expect_eq(back[i], point[i]);
        }
        for (int64_t c = 0; c < code.cov.d; c++) {
            cr_expect(isfinite(row[c]));
            cr_expect_eq(code.column[code.param[c]], c);
            cr_expect_eq((mask >> code.cov.block[c]) & 1, !isnan(point[code.param[c]]), "the mask at column %d",
                         (int)c);
            if (!code.cov.categorical[c]) cr_expect(row[c] >= 0 && row[c] <= 1);
        }
        cr_expect(mask & 1);
        memcpy(again, row, sizeof again);
        OK(hpt__gp_snap(again, &mask_again, &code, back));
        cr_expect_eq(mask_again, mask);
        for (int64_t c = 0; c < code.cov.d; c++) cr_expect(close_to(again[c], row[c]));
    }
    hpt__gp_code_fini(&code);
    hpt_space_destroy(s);
}

Test(gp_encode, snapping_gives_legal_points_whatever_the_row)
{
    hpt_space *s = rich_space();
    hpt__gp_code code;
    OK(hpt__gp_code_init(&code, s, HPT__COV_MATERN52));
    hpt__rng rng;
    hpt__rng_init(&rng, 2, 0);
    for (int k = 0; k < 2000; k++) {
        double row[64], first[64], point[64];
        uint64_t mask, mask_again;
        int64_t bad;
        for (int64_t c = 0; c < code.cov.d; c++) row[c] = 6 * hpt__rng_uniform(&rng) - 2;
        OK(hpt__gp_snap(row, &mask, &code, point));
        cr_expect(hpt__space_check(s, point, &bad));
        memcpy(first, row, sizeof first);
        OK(hpt__gp_snap(row, &mask_again, &code, point));
        cr_expect_eq(mask, mask_again);
        for (int64_t c = 0; c < code.cov.d; c++) cr_expect(close_to(row[c], first[c]), "snapping twice moved a column");
    }
    hpt__gp_code_fini(&code);
    hpt_space_destroy(s);
}

Test(gp_encode, blocks_are_sets_of_conditions_and_terms_reach_to_the_parents)
{
    hpt_space *s = rich_space();
    hpt__gp_code code;
    OK(hpt__gp_code_init(&code, s, HPT__COV_MATERN52));
    const int32_t *block = code.cov.block;
#define BLOCK(name) block[code.column[hpt__space_find(s, name)]]
    cr_expect_eq(code.cov.n_blocks, 4);
    cr_expect_eq(code.cov.n_terms, 4);
    cr_expect_eq(BLOCK("x"), 0);
    cr_expect_eq(BLOCK("units"), BLOCK("layers"));
    cr_expect_eq(BLOCK("act"), BLOCK("deep_lr"));
    cr_expect_neq(BLOCK("act"), BLOCK("layers"));
    cr_expect_neq(BLOCK("depth"), BLOCK("layers"));
    cr_expect_eq(code.cov.term_blocks[0], 1);
    cr_expect_eq(code.cov.term_blocks[BLOCK("depth")], 1 | UINT64_C(1) << BLOCK("depth"));
    cr_expect_eq(code.cov.term_blocks[BLOCK("act")], 1 | UINT64_C(1) << BLOCK("act") | UINT64_C(1) << BLOCK("layers"));
    cr_expect_float_eq(code.step[code.column[hpt__space_find(s, "depth")]], 1.0 / 12, 1e-15);
    cr_expect_eq(code.step[code.column[hpt__space_find(s, "x")]], 0);
    cr_expect_gt(code.step[code.column[hpt__space_find(s, "units")]], 0);
    cr_expect_gt(code.step[code.column[hpt__space_find(s, "nq")]], 0);
    hpt__gp_code_fini(&code);
    hpt_space_destroy(s);
}

Test(gp_encode, groups_beyond_63_are_imputed_in_block_0)
{
    enum { GROUPS = 70 };
    hpt_space *s = NULL;
    char name[16], value[16], *choices[GROUPS];
    OK(hpt_space_create(&s));
    for (int i = 0; i < GROUPS; i++) {
        (void)snprintf(value, sizeof value, "v%d", i);
        choices[i] = strdup(value);
    }
    OK(hpt_space_add_categorical(s, "branch", (const char *const *)choices, GROUPS));
    for (int i = 0; i < GROUPS; i++) {
        (void)snprintf(name, sizeof name, "x%d", i);
        OK(hpt_space_add_float(s, name, 0, 1, 0, 0));
        OK(hpt_space_add_condition(s, name, "branch", (const char *const[]){choices[i]}, 1));
    }
    hpt__gp_code code;
    OK(hpt__gp_code_init(&code, s, HPT__COV_MATERN52));
    cr_expect_eq(code.cov.n_blocks, 64);
    double point[GROUPS + 1], back[GROUPS + 1], row[GROUPS + 1];
    for (int b = 0; b < GROUPS; b++) {
        uint64_t mask;
        for (int i = 0; i <= GROUPS; i++) point[i] = NAN;
        point[0] = b;
        point[b + 1] = 0.25;
        hpt__gp_encode(row, &mask, &code, point);
        cr_expect_eq(mask, b < 63 ? 1 | UINT64_C(1) << (b + 1) : 1);
        if (b >= 63) cr_expect_eq(row[b + 1], 0.25);
        cr_expect_eq(row[(b + 1) % GROUPS + 1], 0.5);
        hpt__gp_decode(back, &code, row);
        cr_expect_eq(memcmp(&point[b + 1], &back[b + 1], sizeof *point), 0);
    }
    hpt__gp_code_fini(&code);
    hpt_space_destroy(s);
    for (int i = 0; i < GROUPS; i++) free(choices[i]);
}
