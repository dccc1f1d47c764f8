// SPDX-License-Identifier: Apache-2.0
// test_base_options.c: the table of options and everything derived from it. Written over the table itself,
// so that a new option is tested without a new line here; the few that are named are old ones.
#include "core/base/alloc.h"
#include "core/base/options.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <hpt/options.h>
#include <hpt/status.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Test(base_options, table_is_well_formed)
{
    hpt_option_info o, other;
    int64_t n = 0;
    for (; hpt_option_info_at(&o, n) == 0; n++) {
        cr_expect(o.key && o.type && o.default_value && o.bounds && o.env && o.doc);
        cr_expect_eq(strncmp(o.env, "HPT_", 4), 0);
        cr_expect_eq(strlen(o.env), strlen(o.key) + 4);
        for (const char *p = o.key, *q = o.env + 4; *p; p++, q++)
            cr_expect_eq(*q, isalnum((unsigned char)*p) ? toupper((unsigned char)*p) : '_', "%s", o.env);
        for (int64_t i = 0; i < n; i++) {
            cr_assert_eq(hpt_option_info_at(&other, i), 0);
            cr_expect_str_neq(other.key, o.key);
        }
        cr_expect_gt(strlen(o.doc), 10, "%s has no doc", o.key);
        hpt__options set; // every default passes its own bounds, as text
        hpt__options_default(&set);
        cr_expect_eq(hpt__options_set(&set, o.key, o.default_value), 0, "%s: %s", o.key, hpt_last_error());
    }
    cr_expect(n > 0 && n <= 60, "the budget is 60 options");
    cr_expect_eq(hpt_option_info_at(&o, n), HPT_S_NOTHING);
    cr_expect_eq(hpt_option_info_at(&o, -1), HPT_E_ARG);
    cr_expect_eq(hpt_option_info_at(NULL, 0), HPT_E_ARG);
}

Test(base_options, set_checks_key_kind_and_bounds)
{
    hpt__options o;
    hpt__options_default(&o);
    cr_expect_eq(o.tpe_n_startup, 10);
    cr_expect_eq(hpt__options_set(&o, "tpe.n_startup", "25"), 0);
    cr_expect_eq(o.tpe_n_startup, 25);
    cr_expect_eq(hpt__options_set(&o, "tpe.n_startup", "0"), 0); // the bounds belong to the range
    cr_expect_eq(hpt__options_set(&o, "tpe.n_startup", "100000"), 0);
    static const char *const bad_ints[] = {"-1", "100001", "", "ten", "1.5", "1e3", "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad_ints / sizeof bad_ints[0]; i++) {
        cr_expect_eq(hpt__options_set(&o, "tpe.n_startup", bad_ints[i]), HPT_E_ARG, "%s", bad_ints[i]);
        cr_expect_not_null(strstr(hpt_last_error(), "[0, 100000]"));
        cr_expect_not_null(strstr(hpt_last_error(), "tpe.n_startup"));
    }
    cr_expect_eq(o.tpe_n_startup, 100000);
    static const char *const yes[] = {"true", "1", "YES", "on"}, *const no[] = {"false", "0", "No", "OFF"};
    for (int i = 0; i < 4; i++) {
        cr_expect(hpt__options_set(&o, "tpe.multivariate", no[i]) == 0 && !o.tpe_multivariate);
        cr_expect(hpt__options_set(&o, "tpe.multivariate", yes[i]) == 0 && o.tpe_multivariate);
    }
    cr_expect_eq(hpt__options_set(&o, "tpe.multivariate", "maybe"), HPT_E_ARG);
    char choice[] = "full";
    cr_expect_eq(hpt__options_set(&o, "sqlite.synchronous", choice), 0);
    choice[0] = 'x'; // the field points to static text
    cr_expect_str_eq(o.sqlite_synchronous, "full");
    cr_expect_eq(hpt__options_set(&o, "sqlite.synchronous", "normal|full"), HPT_E_ARG);
    cr_expect_not_null(strstr(hpt_last_error(), "normal|full"));
    cr_expect_eq(hpt__options_set(&o, "sqlite.synchronous", ""), HPT_E_ARG);
    cr_expect_eq(hpt__options_set(&o, "tpe.n_statrup", "1"), HPT_E_ARG);
    cr_expect_not_null(strstr(hpt_last_error(), "did you mean 'tpe.n_startup'"));
    cr_expect_eq(hpt__options_set(&o, "something.else.entirely", "1"), HPT_E_ARG);
    cr_expect_null(strstr(hpt_last_error(), "did you mean"));
    cr_expect_eq(hpt__options_set_pair(&o, "tpe.n_startup=7"), 0);
    cr_expect_eq(o.tpe_n_startup, 7);
    cr_expect_eq(hpt__options_set_pair(&o, "tpe.n_startup"), HPT_E_ARG);
    cr_expect_eq(hpt__options_set_pair(&o, "=7"), HPT_E_ARG);
    cr_expect_eq(hpt__options_set_pair(&o, "tpe.n_startup=7=8"), HPT_E_ARG);
    cr_expect_eq(hpt__options_set_pair(&o, "tpe.n_strtup=7"), HPT_E_ARG);
    cr_expect_not_null(strstr(hpt_last_error(), "tpe.n_startup"));
    char text[400];
    memset(text, 'k', sizeof text);
    memcpy(text + sizeof text - 3, "=1", 3);
    cr_expect_eq(hpt__options_set_pair(&o, text), HPT_E_ARG);
}

Test(base_options, environment_overlays_defaults)
{
    hpt__options o;
    unsetenv("HPT_TPE_N_STARTUP");
    setenv("HPT_TPE_N_CANDIDATES", "77", 1);
    setenv("HPT_SQLITE_SYNCHRONOUS", "full", 1);
    setenv("HPT_QMC_SCRAMBLE", "", 1); // empty: unset
    setenv("HPT_SOMETHING_ELSE", "x", 1);
    cr_expect_eq(hpt__options_from_env(&o), 0);
    cr_expect_eq(o.tpe_n_candidates, 77);
    cr_expect_eq(o.tpe_n_startup, 10);
    cr_expect(o.qmc_scramble);
    cr_expect_str_eq(o.sqlite_synchronous, "full");
    setenv("HPT_TPE_N_CANDIDATES", "many", 1);
    o.tpe_n_startup = 5;
    cr_expect_eq(hpt__options_from_env(&o), HPT_E_ARG);
    cr_expect_not_null(strstr(hpt_last_error(), "HPT_TPE_N_CANDIDATES"));
    cr_expect_eq(o.tpe_n_startup, 5); // untouched on failure
}

static int from_text(hpt__options *o, const char *text) {
    hpt__arena arena;
    hpt__arena_init(&arena);
    hpt__json *v = NULL;
    cr_assert_eq(hpt__json_parse(&v, &arena, text, strlen(text)), 0);
    int rc = hpt__options_from_json(o, v);
    hpt__arena_fini(&arena);
    return rc;
}

Test(base_options, json_holds_what_differs_and_comes_back)
{
    hpt__options o, back;
    hpt__str s = HPT__STR_INIT;
    hpt__options_default(&o);
    hpt__options_to_json(&s, &o);
    cr_expect_str_eq(hpt__str_text(&s), "{}");
    hpt__str_clear(&s);
    o.tpe_n_startup = 3;
    o.tpe_multivariate = false;
    cr_expect_eq(hpt__options_set(&o, "sqlite.synchronous", "full"), 0);
    hpt__options_to_json(&s, &o);
    cr_expect_str_eq(hpt__str_text(&s),
                     "{\"tpe.n_startup\": 3, \"tpe.multivariate\": false, \"sqlite.synchronous\": \"full\"}");
    hpt__options_default(&back);
    cr_expect_eq(from_text(&back, hpt__str_text(&s)), 0);
    cr_expect_eq(back.tpe_n_startup, 3);
    cr_expect_not(back.tpe_multivariate);
    cr_expect_str_eq(back.sqlite_synchronous, "full");
    hpt__str_fini(&s);

    cr_expect_eq(from_text(&back, "{\"tpe.n_startup\": 4.0, \"tpe.multivariate\": \"on\"}"), 0);
    cr_expect(back.tpe_n_startup == 4 && back.tpe_multivariate);
    static const char *const bad[] = {"{\"tpe.n_startup\": 4.5}",
                                      "{\"tpe.n_startup\": true}",
                                      "{\"tpe.n_startup\": null}",
                                      "{\"tpe.multivariate\": 1}",
                                      "{\"sqlite.synchronous\": 1}",
                                      "{\"tpe.n_startup\": -1}",
                                      "{\"tpe.n_startup\": 9, \"nothing\": 1}",
                                      "[]",
                                      "3"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_expect_eq(from_text(&back, bad[i]), HPT_E_ARG, "%s", bad[i]);
        cr_expect_eq(back.tpe_n_startup, 4, "%s changed an option", bad[i]);
    }
    cr_expect_eq(hpt__options_from_json(&back, NULL), HPT_E_ARG);
}

static bool fail_kth(size_t size, void *payload) {
    (void)size;
    int *left = payload;
    return (*left)-- == 0;
}

Test(base_options, a_failed_allocation_never_shortens_the_json)
{
    hpt__options o;
    hpt__options_default(&o);
    o.tpe_n_startup = 3;
    o.median_interval = 4;
    bool failed = true;
    for (int k = 0; failed && k < 100; k++) {
        hpt__str s = HPT__STR_INIT;
        int left = k;
        hpt__alloc_set_hook(fail_kth, &left);
        hpt__options_to_json(&s, &o);
        hpt__alloc_set_hook(NULL, NULL);
        failed = s.failed;
        if (!failed) cr_expect_str_eq(hpt__str_text(&s), "{\"tpe.n_startup\": 3, \"median.interval\": 4}");
        hpt__str_fini(&s);
    }
    cr_expect_not(failed);
}
