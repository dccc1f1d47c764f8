// SPDX-License-Identifier: Apache-2.0
// test_sampler_policy.c: how many trials sampler gp models exactly, and what it asks beyond.
#include "core/acq/acq.h"
#include "core/base/logging.h"
#include "core/sampler/gp_sampler.h"
#include "core/study/study_impl.h"
#include "sampler_testing.h"

#include <stdio.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
enum { MANY = 500, LIMIT = 240, AROUND = 60, STEPS = 8 };
#else
enum { MANY = 3000, LIMIT = 1000, AROUND = 200, STEPS = 25 };
#endif

// ---- the limit

typedef struct shop { // what a decision needs
    hpt_space *space;
    hpt__gp_code code;
    hpt__device *device;
    hpt__options options;
} shop;

static void shop_open(shop *s, int64_t memory) {
    s->space = new_space();
    for (int i = 0; i < 4; i++) {
        char name[4] = {'x', (char)('0' + i), 0};
        OK(hpt_space_add_float(s->space, name, 0, 1, 0, 0));
    }
    OK(hpt__gp_code_init(&s->code, s->space, HPT__COV_MATERN52));
    const hpt__ctx_options options = {.memory_limit = memory};
    OK(hpt__device_open(&s->device, "auto", &options, NULL));
    hpt__options_default(&s->options);
}

static void shop_close(shop *s) {
    hpt__device_close(s->device);
    hpt__gp_code_fini(&s->code);
    hpt_space_destroy(s->space);
}

static hpt__gp_limit limit(shop *s, hpt__gp_limit known) {
    hpt__gp_limit l = {0};
    OK(hpt__gp_limit_find(&l, s->device, &s->code.cov, &s->options, 2304, known));
    return l;
}

Test(sampler_policy, a_number_of_the_user_is_the_limit)
{
    shop s;
    shop_open(&s, 0);
    s.options.gp_n_max = 700;
    const hpt__gp_limit l = limit(&s, (hpt__gp_limit){2000, HPT__GP_BY_SECONDS});
    cr_expect_eq(l.points, 700);
    cr_expect_eq(l.by, HPT__GP_BY_OPTION);
    s.options.gp_n_max = 3;
    cr_expect_eq(limit(&s, (hpt__gp_limit){0, 0}).points, 64);
    s.options.gp_n_max = 0;
    cr_expect_eq(limit(&s, l).by, HPT__GP_BY_SECONDS, "a number that is taken back");
    shop_close(&s);
}

Test(sampler_policy, more_seconds_allow_more_points)
{
    shop s;
    int64_t last = 0;
    shop_open(&s, 0);
    for (double seconds = 0.001; seconds < 1e7; seconds *= 10) {
        s.options.gp_ask_seconds = seconds;
        const hpt__gp_limit l = limit(&s, (hpt__gp_limit){0, 0});
        cr_expect(l.points >= last && l.points >= 250 && l.by != HPT__GP_BY_OPTION, "%g s: %d", seconds, (int)l.points);
        cr_expect(l.by == HPT__GP_BY_MEMORY || 64000 % l.points == 0, "%g s: %d is no step", seconds, (int)l.points);
        last = l.points;
    }
    cr_expect_gt(last, 4000);
    shop_close(&s);
}

Test(sampler_policy, a_decision_stands_on_a_machine_of_another_speed)
{
    shop s;
    shop_open(&s, 0);
    s.options.gp_ask_seconds = 0.001;
    const hpt__gp_limit l = limit(&s, (hpt__gp_limit){1000, HPT__GP_BY_SECONDS});
    cr_expect_eq(l.points, 1000);
    cr_expect_eq(l.by, HPT__GP_BY_SECONDS);
    shop_close(&s);
}

Test(sampler_policy, memory_lowers_the_limit_and_too_little_of_it_is_an_error_with_the_remedy)
{
    shop s;
    int64_t last = 4000;
    for (int64_t mib = 256; mib > 0; mib /= 4) {
        shop_open(&s, mib << 20);
        const hpt__gp_limit l = limit(&s, (hpt__gp_limit){4000, HPT__GP_BY_SECONDS});
        const hpt__model_shape shape = {.n = l.points, .d = 4, .n_terms = 1, .m = 2304, .s = 1};
        cr_expect_leq(hpt__device_need(s.device, &shape), mib << 20);
        cr_expect(l.points < last && l.by == HPT__GP_BY_MEMORY, "%d MiB: %d", (int)mib, (int)l.points);
        last = l.points;
        shop_close(&s);
    }
    hpt__gp_limit l = {0};
    shop_open(&s, 1 << 12);
    FAILS(HPT_E_MEMORY, "raise gp.memory", hpt__gp_limit_find(&l, s.device, &s.code.cov, &s.options, 2304, l));
    shop_close(&s);
}

// ---- the sampler

static char said[4096];

static void hear(hpt_log_level level, const char *message, void *payload) {
    (void)level;
    (void)payload;
    (void)snprintf(said + strlen(said), sizeof said - strlen(said), "%s\n", message);
}

static double waves(const double *x, const hpt_space *space) { // a bowl with ripples
    double sum = 0;
    for (int64_t i = 0; i < space->d; i++) sum += (x[i] - 0.4) * (x[i] - 0.4) + 0.03 * (1 - cos(10 * (x[i] - 0.4)));
    return sum;
}

// n told trials: two thirds anywhere, the others around the optimum, as a search would leave them.
static void fill(lab *l, int64_t n) {
    hpt__rng rng;
    double point[MAX_D];
    hpt__rng_init(&rng, 9, 9);
    for (int64_t i = 0; i < n; i++) {
        const double width = pow(10, -0.3 - 1.2 * hpt__rng_uniform(&rng));
        for (int64_t c = 0; c < l->space->d; c++) {
            const double u = hpt__rng_uniform(&rng);
            point[c] = i % 3 < 2 ? u : fmin(fmax(0.4 + width * hpt__rng_normal(&rng), 0), 1);
        }
        tell(&l->table, add_row(&l->table, point, HPT_TRIAL_RUNNING), waves(point, l->space));
    }
}

static void sampler(lab *l, const char *const *options, int64_t n) {
    if (l->state) l->ops->destroy(l->state);
    l->state = NULL;
    hpt__options_default(&l->options);
    for (int64_t i = 0; i < n; i++) OK(hpt__options_set_pair(&l->options, options[i]));
    OK(hpt__sampler_find(&l->ops, "gp"));
    OK(l->ops->create(&l->state, &l->env));
}

Test(sampler_policy, memory_below_the_need_steps_down_and_says_so)
{
    static const char *const options[] = {"gp.memory=1"};
    lab l;
    double point[4];
    const char *by;
    said[0] = 0;
    lab_open(&l, unit_box(4), NULL, 1);
    l.env.device = "ref";
    fill(&l, 400);
    sampler(&l, options, 1);
    hpt_log_set(hear, NULL, HPT_LOG_INFO);
    OK(lab_suggest(point, &by, &l));
    hpt_log_set(NULL, NULL, HPT_LOG_WARN);
    check_legal(&l, point, "gp");
    cr_expect_str_eq(by, "gp_local");
    cr_expect(strstr(said, "what memory allows, option gp.memory"), "it said: %s", said);
    hpt__str text = HPT__STR_INIT;
    l.ops->describe(&text, l.state);
    cr_expect(strstr(text.data, "\"policy\":\"local\"") && strstr(text.data, "\"limit_by\":\"memory\""), "%s",
              text.data);
    hpt__str_fini(&text);
    lab_close(&l);
}

static bool no_large_block(size_t size, void *payload) {
    (void)payload;
    return size > 2500000; // a factor of 560 points
}

Test(sampler_policy, memory_that_is_not_there_after_all_steps_down_too)
{
    static const char *const options[] = {"gp.n_max=1000"};
    lab l;
    double point[4];
    const char *by;
    said[0] = 0;
    lab_open(&l, unit_box(4), NULL, 1);
    l.env.device = "ref";
    fill(&l, 601);
    sampler(&l, options, 1);
    hpt_log_set(hear, NULL, HPT_LOG_INFO);
    hpt__alloc_set_hook(no_large_block, NULL);
    int rc = lab_suggest(point, &by, &l);
    tell(&l.table, add_row(&l.table, point, HPT_TRIAL_RUNNING), waves(point, l.space));
    if (rc == 0) rc = lab_suggest(point, &by, &l);
    hpt__alloc_set_hook(NULL, NULL);
    hpt_log_set(NULL, NULL, HPT_LOG_WARN);
    cr_assert_eq(rc, 0, "%s", hpt_last_error());
    check_legal(&l, point, "gp");
    cr_expect_str_eq(by, "gp_local");
    const char *once = strstr(said, "goes on with at most 450");
    cr_expect(once && !strstr(once + 1, "goes on"), "it said: %s", said);
    const hpt__gp_sampler *s = l.state;
    cr_expect(s->limit.points == 450 && s->limit.by == HPT__GP_BY_MEMORY && s->n_model == 227, "%d of %d",
              (int)s->n_model, (int)s->limit.points);
    lab_close(&l);
}

Test(sampler_policy, a_study_resumed_with_less_memory_steps_down)
{
    static const char *const exact[] = {"gp.n_max=1000"}, *const little[] = {"gp.memory=1"};
    lab l;
    double point[4];
    const char *by;
    hpt__str text = HPT__STR_INIT;
    lab_open(&l, unit_box(4), NULL, 1);
    l.env.device = "ref";
    fill(&l, 220);
    sampler(&l, exact, 1);
    OK(lab_suggest(point, &by, &l));
    cr_expect_str_eq(by, "gp");
    OK(l.ops->save(&text, l.state));
    sampler(&l, little, 1);
    OK(l.ops->load(l.state, text.data));
    for (int i = 0; i < 2; i++) {
        OK(lab_suggest(point, &by, &l));
        check_legal(&l, point, "gp");
        cr_expect_str_eq(by, "gp_local");
        tell(&l.table, add_row(&l.table, point, HPT_TRIAL_RUNNING), waves(point, l.space));
    }
    hpt__str_fini(&text);
    lab_close(&l);
}

Test(sampler_policy, a_round_that_begins_at_an_infinite_result_is_no_error)
{
    enum { ROWS = 16 + 7 * 8 }; // the start, and the failures after which the region ends
    lab l;
    double point[8];
    const char *by;
    hpt__rng rng;
    hpt__rng_init(&rng, 4, 4);
    lab_open(&l, unit_box(8), NULL, 1);
    l.env.device = "ref";
    for (int i = 0; i <= ROWS; i++) {
        for (int c = 0; c < 8; c++) point[c] = hpt__rng_uniform(&rng);
        const double y = i == ROWS ? INFINITY : i == 0 ? 0 : 1 + point[0];
        tell(&l.table, add_row(&l.table, point, HPT_TRIAL_RUNNING), y);
    }
    sampler(&l, NULL, 0);
    OK(lab_suggest(point, &by, &l));
    check_legal(&l, point, "gp");
    cr_expect_str_eq(by, "gp_region");
    const hpt__gp_sampler *s = l.state;
    hpt__gp_region r;
    hpt__gp_region_replay(&r, &s->archive);
    cr_expect(r.n_starts == 1 && r.centre == ROWS, "%d, %d", (int)r.n_starts, (int)r.centre);
    lab_close(&l);
}

Test(sampler_policy, from_four_parameters_on_there_is_a_trust_region_once_24_results_have_shown_the_whole)
{
    static const char *const smooth[] = {"gp.kernel=rbf"}, *const rough[] = {"gp.kernel=matern52"};
    static const char *const noisy[] = {"gp.kernel=matern52", "gp.noise=0.5"};
    static const struct {
        const char *const *options;
        int64_t n_options, d, told;
        const char *by, *what;
    } cases[] = {
        {rough, 1, 4, 26, "gp_region", "4 parameters"},
        {rough, 1, 4, 23, "gp", "too few results"},
        {rough, 1, 3, 26, "gp", "3 parameters"},
        {noisy, 2, 4, 26, "gp", "noise"},
        {smooth, 1, 4, 26, "gp", "kernel RBF"},
        {noisy, 2, 8, 26, "gp_region", "8 parameters, noise"},
        {smooth, 1, 8, 17, "gp_region", "8 parameters, kernel RBF, after 16"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lab l;
        double point[8];
        const char *by;
        lab_open(&l, unit_box(cases[i].d), NULL, 1);
        l.env.device = "ref";
        fill(&l, cases[i].told);
        sampler(&l, cases[i].options, cases[i].n_options);
        OK(lab_suggest(point, &by, &l));
        check_legal(&l, point, "gp");
        cr_expect_str_eq(by, cases[i].by, "%s: %s", cases[i].what, by);
        lab_close(&l);
    }
}

Test(sampler_policy, grids_of_few_values_do_not_count_for_a_trust_region_among_few_parameters)
{
    static const char *const exact[] = {"gp.kernel=matern52", "gp.noise=0"};
    for (int64_t floats = 3; floats < 5; floats++) {
        lab l;
        double point[MAX_D];
        const char *by;
        hpt_space *space = unit_box(floats);
        OK(hpt_space_add_int(space, "little", 0, 7, 1, 0));
        lab_open(&l, space, NULL, 1);
        l.env.device = "ref";
        hpt__rng rng;
        hpt__rng_init(&rng, 9, 9);
        for (int i = 0; i < 26; i++) {
            double sum = 0;
            for (int64_t c = 0; c < floats; c++) {
                point[c] = hpt__rng_uniform(&rng);
                sum += fabs(point[c] - 0.4);
            }
            point[floats] = (double)hpt__rng_below(&rng, 8);
            tell(&l.table, add_row(&l.table, point, HPT_TRIAL_RUNNING), sum + 0.1 * fabs(point[floats] - 5));
        }
        sampler(&l, exact, 2);
        OK(lab_suggest(point, &by, &l));
        check_legal(&l, point, "gp");
        cr_expect_str_eq(by, floats < 4 ? "gp" : "gp_region", "%d floats: %s", (int)floats, by);
        lab_close(&l);
    }
}

Test(sampler_policy, the_stored_limit_counts_and_a_higher_one_of_the_user_ends_the_local_model)
{
    lab l;
    double point[3];
    const char *by;
    lab_open(&l, unit_box(3), NULL, 1);
    l.env.device = "ref";
    fill(&l, 150);
    sampler(&l, NULL, 0);
    OK(lab_suggest(point, &by, &l));
    cr_expect_str_eq(by, "gp", "150 are few");
    hpt__str text = HPT__STR_INIT;
    sampler(&l, NULL, 0);
    OK(l.ops->load(
        l.state, "{\"gp\": {\"model\": {}, \"limit\": 100, \"limit_by\": \"seconds\", \"upto\": 0, \"local\": null}}"));
    OK(lab_suggest(point, &by, &l));
    cr_expect_str_eq(by, "gp_local", "the stored limit is 100");
    OK(l.ops->save(&text, l.state));
    cr_expect(strstr(text.data, "\"limit\": 100, \"limit_by\": \"seconds\""), "%s", text.data);
    sampler(&l, NULL, 0);
    OK(l.ops->load(l.state, "{\"gp\": {\"model\": {}, \"limit\": 100, \"limit_by\": \"seconds\", \"device\": \"cuda\", "
                            "\"upto\": 0, \"local\": null}}"));
    OK(lab_suggest(point, &by, &l));
    cr_expect_str_eq(by, "gp", "a limit that an accelerator had is not the host's");
    static const char *const more[] = {"gp.n_max=1000"};
    sampler(&l, more, 1);
    OK(l.ops->load(l.state, text.data));
    OK(lab_suggest(point, &by, &l));
    cr_expect_str_eq(by, "gp");
    const hpt__gp_sampler *s = l.state;
    cr_expect_eq(s->n_model, 150);
    hpt__str_fini(&text);
    lab_close(&l);
}

Test(sampler_policy, a_resumed_local_study_asks_what_the_killed_one_would_have)
{
    char path[64], url[96];
    static const char *const options[] = {"gp.n_max=64"};
    (void)snprintf(path, sizeof path, "/tmp/hpt_test_policy_%d.db", (int)getpid());
    (void)snprintf(url, sizeof url, "sqlite:///%s", path);
    for (int64_t d = 2; d < 10; d += 7) { // without and with a trust region
        hpt_space *space = unit_box(d);
        double points[2][STEPS][9];
        for (int resumed = 0; resumed < 2; resumed++) {
            hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
            hpt_study *study = NULL;
            (void)unlink(path);
            o.storage = url;
            o.space = space;
            o.sampler = "gp";
            o.device = "ref";
            o.has_seed = true;
            o.options = options;
            o.n_options = 1;
            OK(hpt_study_open(&study, &o));
            for (int i = 0; i < 60 + STEPS; i++) {
                hpt_trial *trial = NULL;
                double y;
                if (resumed && i >= 60 && i % 3 == 0) {
                    hpt_study_close(study);
                    o.space = NULL;
                    OK(hpt_study_open(&study, &o));
                }
                if (i < 60) { // cheap ones
                    char params[256] = "{", pair[32];
                    for (int64_t c = 0; c < d; c++) {
                        (void)snprintf(pair, sizeof pair, "%s\"x%d\": %.3f", c ? ", " : "", (int)c,
                                       fmod(0.37 * (i + 1) * (double)(c + 1), 1));
                        strcat(params, pair);
                    }
                    strcat(params, "}");
                    OK(hpt_study_enqueue(study, params));
                }
                OK(hpt_study_ask(&trial, study));
                const double *p = hpt__trial_point(trial);
                if (i >= 60) memcpy(points[resumed][i - 60], p, (size_t)d * sizeof *p);
                y = waves(p, hpt_study_space(study));
                OK(hpt_study_tell(study, trial, HPT_TRIAL_COMPLETE, &y, 1));
                hpt_trial_destroy(trial);
            }
            hpt_study_close(study);
        }
        for (int i = 0; i < STEPS; i++)
            for (int64_t c = 0; c < d; c++)
                cr_assert_eq(points[0][i][c], points[1][i][c], "d %d, trial %d: %.17g, resumed %.17g", (int)d, 60 + i,
                             points[0][i][c], points[1][i][c]);
        hpt_space_destroy(space);
    }
    static const char *const tails[] = {"", "-wal", "-shm"};
    for (int i = 0; i < 3; i++) {
        char name[96];
        (void)snprintf(name, sizeof name, "%s%s", path, tails[i]);
        (void)unlink(name);
    }
}

// ---- both on the same points

static double log_ei(hpt__gp_sampler *exact, const double *point) { // by the exact model
    double row[MAX_D], value;
    uint64_t mask;
    hpt__acq acq = {.kind = HPT__ACQ_LOGEI};
    OK(hpt__acq_incumbent(&acq.best, NULL, exact->gp));
    hpt__gp_encode(row, &mask, &exact->code, point);
    OK(hpt__model_acquire(hpt__gp_model(exact->gp), &acq, row, &mask, 1, &value, NULL));
    return value;
}

static double most_log_ei(hpt__gp_sampler *exact) { // anywhere, in the trust region or not
    double row[MAX_D], value;
    uint64_t mask;
    hpt__rng rng;
    hpt__acq acq = {.kind = HPT__ACQ_LOGEI};
    const hpt__search_options all = {
        .n_global = 1536, .n_local = 768, .n_starts = 8, .max_steps = 40, .lock_param = -1};
    hpt__rng_init(&rng, 6, 6);
    OK(hpt__acq_incumbent(&acq.best, NULL, exact->gp));
    OK(hpt__acq_search(row, &mask, &value, exact->gp, &exact->code, &acq, NULL, &all, &rng));
    return value;
}

Test(sampler_policy, exact_and_local_on_the_same_points_agree)
{
    static const char *const all[] = {"gp.n_max=4000"};
    char part[32];
    const char *const some[] = {part};
    lab l;
    hpt__rng rng;
    enum { D = 6 };
    double local_point[D], *rows = malloc(sizeof *rows * AROUND * D);
    double mean[2][AROUND], sd[2][AROUND];
    uint64_t masks[AROUND];
    const char *by;
    (void)snprintf(part, sizeof part, "gp.n_max=%d", (int)LIMIT);
    lab_open(&l, unit_box(D), NULL, 1);
    fill(&l, MANY);
    sampler(&l, some, 1);
    OK(lab_suggest(local_point, &by, &l));
    cr_expect_str_eq(by, "gp_local");
    hpt__gp_sampler *local = l.state;
    l.state = NULL;
    sampler(&l, all, 1);
    double point[D];
    OK(lab_suggest(point, &by, &l));
    cr_expect_str_eq(by, "gp_region");
    hpt__gp_sampler *exact = l.state;
    cr_expect_eq(local->n_model, LIMIT / 2 + 1);
    cr_expect_eq(exact->n_model, MANY);

    // Around the best point: what both predict.
    double centre[D], spread = 0, difference = 0;
    hpt__trials_get_point(centre, &l.table, l.table.best);
    hpt__rng_init(&rng, 4, 4);
    for (int i = 0; i < AROUND; i++) {
        double point[D];
        for (int c = 0; c < D; c++) point[c] = fmin(fmax(centre[c] + 0.03 * hpt__rng_normal(&rng), 0), 1);
        hpt__gp_encode(rows + i * D, &masks[i], &exact->code, point);
    }
    OK(hpt__gp_predict(exact->gp, rows, masks, AROUND, mean[0], sd[0]));
    OK(hpt__gp_predict(local->gp, rows, masks, AROUND, mean[1], sd[1]));
    for (int i = 0; i < AROUND; i++) {
        difference += pow(mean[0][i] - mean[1][i], 2) / AROUND;
        spread += pow(mean[0][i] - l.table.values[l.table.best], 2) / AROUND;
    }
    cr_expect_lt(sqrt(difference), 0.03 * sqrt(spread), "means differ by %g where they vary by %g", sqrt(difference),
                 sqrt(spread));

    const double e = most_log_ei(exact), o = log_ei(exact, local_point);
    cr_expect_gt(o, e + log(0.9), "log expected improvement %g, of the exact search %g", o, e);
    l.ops->destroy(local);
    free(rows);
    lab_close(&l);
}

// Waves of many equal minima, told everywhere but in a hole: there the expected improvement is, and a model of the points
// around the best one takes the whole rest of the space for such a hole.
Test(sampler_policy, a_hole_far_from_the_local_model_is_found)
{
    static const char *const all[] = {"gp.n_max=1000"}, *const some[] = {"gp.n_max=128"};
    lab l;
    hpt__rng rng;
    double exact_point[2], local_point[2];
    const char *by;
    lab_open(&l, unit_box(2), NULL, 1);
    hpt__rng_init(&rng, 5, 5);
    while (l.table.n < 702) { // number of the next trial: neither doubt nor a branch's turn
        double p[2] = {hpt__rng_uniform(&rng), hpt__rng_uniform(&rng)};
        if (fabs(p[0] - 0.7) < 0.2 && fabs(p[1] - 0.3) < 0.2) continue;
        tell(&l.table, add_row(&l.table, p, HPT_TRIAL_RUNNING), sin(30 * p[0]) * sin(30 * p[1]));
    }
    sampler(&l, some, 1);
    OK(lab_suggest(local_point, &by, &l));
    cr_expect_str_eq(by, "gp_local");
    sampler(&l, all, 1);
    OK(lab_suggest(exact_point, &by, &l));
    cr_expect_str_eq(by, "gp");
    const double e = log_ei(l.state, exact_point), o = log_ei(l.state, local_point);
    cr_expect(fabs(local_point[0] - 0.7) < 0.2 && fabs(local_point[1] - 0.3) < 0.2, "%g %g, exact %g %g",
              local_point[0], local_point[1], exact_point[0], exact_point[1]);
    cr_expect_gt(o, e + log(0.5), "log expected improvement %g, of the exact search %g", o, e);
    lab_close(&l);
}
