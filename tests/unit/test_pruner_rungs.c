// SPDX-License-Identifier: Apache-2.0
// test_pruner_rungs.c: exact cases of `asha` and `hyperband`. Random curves: oracle_pruner.py.
#include "pruner_testing.h"

static bool noted(const lab *l, int64_t i, const char *key, double value) {
    return i < l->notes.n && strcmp(l->notes.items[i].key, key) == 0 && l->notes.items[i].value == value;
}

Test(pruner_asha, rungs_lie_at_powers_of_the_reduction_factor)
{
    lab l;
    lab_open(&l, "asha", HPT_MINIMIZE, WITH("asha.min_resource=1"));
    const int64_t row = lab_ask(&l);
    for (int64_t step = 0; step <= 70; step++) {
        cr_expect(!lab_judge(&l, row, step, 1), "alone it is the best");
        const int64_t rung = step == 1 ? 0 : step == 4 ? 1 : step == 16 ? 2 : step == 64 ? 3 : -1;
        char key[32];
        snprintf(key, sizeof key, "completed_rung_%d", (int)rung);
        cr_expect_eq(l.notes.n, rung >= 0, "step %d", (int)step);
        if (rung >= 0) cr_expect(noted(&l, 0, key, 1), "step %d", (int)step);
    }
    lab_close(&l);
}

Test(pruner_asha, min_resource_and_early_stopping_rate_move_the_first_rung)
{
    const struct {
        const char *least, *rate;
        int64_t first;
    } cases[] = {{"asha.min_resource=3", "asha.min_early_stopping_rate=0", 3},
                 {"asha.min_resource=3", "asha.min_early_stopping_rate=2", 48},
                 {"asha.min_resource=1000000000", "asha.min_early_stopping_rate=60", INT64_MAX}};
    for (int i = 0; i < 3; i++) {
        lab l;
        lab_open(&l, "asha", HPT_MINIMIZE, WITH(cases[i].least, cases[i].rate));
        const int64_t row = lab_ask(&l);
        cr_expect(!lab_judge(&l, row, cases[i].first - 1, NAN), "before the rung NaN does not stop it");
        if (i < 2) cr_expect(lab_judge(&l, row, cases[i].first, NAN));
        cr_expect_eq(l.notes.n, 0, "NaN is not noted");
        lab_close(&l);
    }
}

Test(pruner_asha, a_report_beyond_several_rungs_is_judged_at_each)
{
    lab l;
    lab_open(&l, "asha", HPT_MINIMIZE, WITH("asha.min_resource=1"));
    const int64_t row = lab_ask(&l);
    cr_expect(!lab_judge(&l, row, 20, 0.5));
    cr_expect_eq(l.notes.n, 3);
    cr_expect(noted(&l, 0, "completed_rung_0", 0.5) && noted(&l, 2, "completed_rung_2", 0.5));
    const int64_t worse = lab_ask(&l);
    cr_expect(lab_judge(&l, worse, 20, 0.6));
    cr_expect_eq(l.notes.n, 1, "it stops at the first");
    cr_expect(lab_judge(&l, worse, 20, 0.6), "asked again it is judged at the next, as in Optuna");
    cr_expect(lab_judge(&l, worse, 20, 0.6));
    cr_expect(noted(&l, 0, "completed_rung_2", 0.6));
    cr_expect(!lab_judge(&l, worse, 20, 0.6), "until there is none left");
    cr_expect(!lab_judge(&l, lab_ask(&l), INT64_MAX, 0), "%d rungs", (int)l.notes.n);
    cr_expect_eq(l.notes.n, 32); // 4^0 ... 4^31 < 2^63
    lab_close(&l);
}

Test(pruner_asha, one_in_reduction_factor_passes_a_rung)
{
    const struct {
        double value;
        bool stops;
    } cases[] = {{5, false},  {5, false},                   // a tie with the best
                 {6, true},   {4, false},       {5, true},  // fifth: one passes, 4 is better
                 {3, false},  {9, true},        {4, false}, // eighth: two pass, 3 and 4
                 {4, false},                                // ninth: a tie with the second
                 {4.5, true}, {INFINITY, true}, {-INFINITY, false}};
    for (int maximize = 0; maximize < 2; maximize++) {
        lab l;
        lab_open(&l, "asha", maximize ? HPT_MAXIMIZE : HPT_MINIMIZE, WITH("asha.min_resource=1"));
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            const int64_t row = lab_ask(&l);
            cr_expect_eq(lab_judge(&l, row, 1, maximize ? -cases[i].value : cases[i].value), cases[i].stops,
                         "trial %d, maximize %d", (int)i, maximize);
            if (i % 2) lab_tell(&l, row, cases[i].stops ? HPT_TRIAL_PRUNED : HPT_TRIAL_COMPLETE);
            if (i % 5 == 4) lab_again(&l); // a process that starts later reads the same
        }
        lab_close(&l);
    }
}

Test(pruner_asha, nothing_passes_before_bootstrap_count_trials_were_there)
{
    lab l;
    lab_open(&l, "asha", HPT_MINIMIZE,
             WITH("asha.min_resource=1", "asha.bootstrap_count=2", "asha.reduction_factor=2"));
    cr_expect(lab_judge(&l, lab_ask(&l), 1, 3));
    cr_expect_eq(l.notes.n, 1, "but it is counted");
    cr_expect(lab_judge(&l, lab_ask(&l), 1, 2));
    cr_expect(!lab_judge(&l, lab_ask(&l), 1, 1));
    lab_close(&l);
    refuses("asha", WITH("asha.bootstrap_count=2"), "asha.min_resource");
}

Test(pruner_asha, min_resource_is_a_hundredth_of_the_longest_trial_and_then_stays)
{
    lab l;
    lab_open(&l, "asha", HPT_MINIMIZE, NULL);
    const int64_t row = lab_ask(&l);
    cr_expect(!lab_judge(&l, row, 1000000, NAN), "nothing completed yet");
    lab_tell(&l, lab_ask(&l), HPT_TRIAL_COMPLETE);
    cr_expect(!lab_look(&l, row), "nor reported");
    const int64_t pruned = lab_ask(&l);
    OK(hpt__trials_report(&l.table, pruned, 9999, 1));
    lab_tell(&l, pruned, HPT_TRIAL_PRUNED);
    cr_expect(!lab_look(&l, row), "a stopped trial does not say how long a whole one is");
    lab_completed(&l, 250, (const double[]){1, 1}, 2);
    lab_completed(&l, 3, (const double[]){1, 1}, 2);
    cr_expect(!lab_judge(&l, lab_ask(&l), 1, NAN)); // 251 / 100 = 2
    cr_expect(lab_judge(&l, lab_ask(&l), 2, NAN));
    lab_completed(&l, 5000, (const double[]){1}, 1);
    cr_expect(lab_judge(&l, lab_ask(&l), 2, NAN), "fixed");
    lab_again(&l);
    cr_expect(!lab_judge(&l, lab_ask(&l), 49, NAN));
    cr_expect(lab_judge(&l, lab_ask(&l), 50, NAN));
    lab_close(&l);
}

Test(pruner_asha, rungs_that_another_program_wrote_count_whatever_they_hold)
{
    lab l;
    lab_open(&l, "asha", HPT_MINIMIZE, WITH("asha.min_resource=1", "asha.reduction_factor=2"));
    const char *const texts[] = {"1", "Infinity", "NaN", "\"text\"", "-Infinity", "0.5"};
    int64_t rows[6];
    for (int i = 0; i < 6; i++)
        OK(hpt__trials_set_attr(&l.table, rows[i] = lab_ask(&l), "s:completed_rung_0", texts[i]));
    for (int finished = 0; finished < 2; finished++) {
        int64_t row = lab_ask(&l); // sorted: -inf 0.5 1 own ...; 7 values let three pass
        OK(hpt__trials_report(&l.table, row, 1, 1));
        cr_expect(!lab_look(&l, row));
        OK(hpt__trials_report(&l.table, row, 1, 1.1));
        cr_expect(lab_look(&l, row));
        for (int i = 0; i < 6; i++)
            if (!finished) lab_tell(&l, rows[i], i % 2 ? HPT_TRIAL_FAIL : HPT_TRIAL_COMPLETE);
    }
    // A waiting trial that repeats another and brought its rung along counts too: 8 values, four pass.
    int64_t row;
    OK(hpt__trials_add(&row, &l.table, l.table.n, 9, HPT_TRIAL_WAITING));
    OK(hpt__trials_set_attr(&l.table, row, "s:completed_rung_0", "2.0"));
    row = lab_ask(&l);
    OK(hpt__trials_report(&l.table, row, 1, 1.1));
    cr_expect(!lab_look(&l, row));
    lab_close(&l);
}

// Of 9, 5 and 3 in 17 trials: zlib's crc32 of "study_0", "study_1", ... modulo 17.
static const int BRACKETS[20] = {0, 0, 1, 2, 0, 0, 0, 1, 1, 0, 0, 1, 2, 2, 0, 1, 1, 1, 0, 0};

Test(pruner_hyperband, the_bracket_of_a_trial_follows_from_the_names_crc32)
{
    lab l;
    lab_open(&l, "hyperband", HPT_MINIMIZE, WITH("hyperband.max_resource=9")); // eta 3: rungs from 1, 3, 9
    for (int64_t i = 0; i < 20; i++) cr_expect_eq(hpt__hyperband_bracket(l.state, i), BRACKETS[i], "%d", (int)i);
    l.env.study_name = "gr\xc3\xb6\xc3\x9f"
                       "e";
    lab_again(&l);
    const int other[10] = {2, 2, 0, 0, 1, 2, 0, 1, 1, 1};
    for (int64_t i = 0; i < 10; i++) cr_expect_eq(hpt__hyperband_bracket(l.state, i), other[i], "%d", (int)i);
    lab_close(&l);
}

Test(pruner_hyperband, a_bracket_begins_late_and_sees_its_own_trials_only)
{
    lab l;
    lab_open(&l, "hyperband", HPT_MINIMIZE, WITH("hyperband.max_resource=9"));
    const int64_t first[3] = {1, 3, 9};
    double best[3] = {100, 100, 100};
    int64_t n[3] = {0, 0, 0};
    for (int64_t i = 0; i < 20; i++) {
        const int b = BRACKETS[i];
        const int64_t row = lab_ask(&l);
        cr_expect(!lab_judge(&l, row, first[b] - 1, NAN), "trial %d before its first rung", (int)i);
        // Every trial is worse than all in other brackets with a smaller index: alone in its own it would pass.
        const double value = 10 * b + (double)(i % 3) + 1;
        cr_expect_eq(lab_judge(&l, row, first[b], value), n[b] > 0 && value > best[b], "trial %d", (int)i);
        if (i % 2) lab_tell(&l, row, HPT_TRIAL_COMPLETE);
        n[b]++;
        best[b] = value < best[b] ? value : best[b];
        if (n[b] == 5) break; // from 6 on two pass
    }
    lab_close(&l);
}

Test(pruner_hyperband, max_resource_is_that_of_the_first_completed_trial)
{
    lab l;
    lab_open(&l, "hyperband", HPT_MINIMIZE, NULL);
    const int64_t row = lab_ask(&l); // number 0
    cr_expect(!lab_judge(&l, row, 5, NAN));
    cr_expect_eq(hpt__hyperband_bracket(l.state, 0), -1);
    lab_tell(&l, lab_ask(&l), HPT_TRIAL_COMPLETE);
    cr_expect(!lab_look(&l, row), "it reported nothing");
    lab_completed(&l, 8, (const double[]){1}, 1); // 9 steps: three brackets
    cr_expect(lab_look(&l, row));
    lab_completed(&l, 1000, (const double[]){1}, 1);
    cr_expect(lab_look(&l, row));
    for (int64_t i = 0; i < 20; i++) cr_expect_eq(hpt__hyperband_bracket(l.state, i), BRACKETS[i], "fixed");
    lab_close(&l);
}

Test(pruner_hyperband, a_trial_shorter_than_min_resource_gives_no_bracket)
{
    lab l;
    lab_open(&l, "hyperband", HPT_MINIMIZE, WITH("hyperband.min_resource=4"));
    lab_completed(&l, 1, (const double[]){1}, 1);
    cr_expect(!lab_judge(&l, lab_ask(&l), 100, NAN));
    cr_expect_eq(hpt__hyperband_bracket(l.state, 0), -1);
    lab_close(&l);
    refuses("hyperband", WITH("hyperband.min_resource=4", "hyperband.max_resource=3"), "hyperband.max_resource (3)");
    refuses("hyperband", WITH("hyperband.bootstrap_count=1"), "hyperband.max_resource");
}

Test(pruner_hyperband, the_longest_trials_there_can_be_leave_the_shares_in_range)
{
    lab l;
    lab_open(&l, "hyperband", HPT_MINIMIZE, WITH("hyperband.reduction_factor=2"));
    lab_completed(&l, INT64_MAX, (const double[]){1}, 1);
    int64_t n[64] = {0};
    lab_judge(&l, lab_ask(&l), INT64_MAX, 1);
    for (int64_t i = 0; i < 1000; i++) {
        const int64_t b = hpt__hyperband_bracket(l.state, i);
        cr_assert(b >= 0 && b < 64);
        n[b]++;
    }
    cr_expect_gt(n[0], 900, "a crc has 32 bits, so with shares this large all fall into the first");
    lab_close(&l);
}
