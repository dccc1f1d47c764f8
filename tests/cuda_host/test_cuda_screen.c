// SPDX-License-Identifier: Apache-2.0
// test_cuda_screen.c: screening in single precision on device cuda:mock, beside the same in double: the same candidates with the same
// bits, whatever single precision makes of them; and which of both ran, by the calls of cuBLAS that were made.
//
// In the mock a column of a product does not depend on its neighbours, so that double precision gives the same bits for a candidate
// among few as among all.
#include "testing_hooks.h"

enum { DOUBLE, SINGLE, DEVICES };
enum { AGAIN = 20 }; // candidates that are scored again at least: CUDA__AGAIN of the mock's build
static const char *const precisions[DEVICES] = {"double", "single"};
static const hpt__acq logei = {.kind = HPT__ACQ_LOGEI, .best = -0.5};

typedef struct both { // one model on each of two devices, which differ in how they screen
    problem p;
    int64_t n;
    double *x, *y;
    uint64_t *mask;
    hpt__device *devices[DEVICES];
    hpt__model *models[DEVICES];
} both;

static hpt__device *device_as(const char *precision, int64_t limit) {
    const hpt__ctx_options options = {.memory_limit = limit};
    hpt__device *device = NULL;
    setenv("HPT_CUDA_SCREEN", precision, 1);
    OK(hpt__device_open(&device, "cuda:mock", &options, NULL));
    return device;
}

static double amplitudes(const problem *p) {
    double sum = 0;
    for (int64_t t = 0; t < p->cov.n_terms; t++) sum += exp(p->theta[p->cov.d + t]);
    return sum;
}

// noise: variance, of the sum of the amplitudes. The first `told` of n points are in the model.
static void both_points(both *b, uint64_t seed, hpt__cov_kind kind, int64_t d, int64_t n_blocks, int64_t n,
                        double noise) {
    *b = (both){.n = n};
    problem_init(&b->p, seed, kind, d, n_blocks, n_blocks > 1);
    b->p.theta[b->p.p - 1] = log(noise * amplitudes(&b->p));
    b->x = numbers(n * d);
    b->y = numbers(n);
    b->mask = words(n);
    problem_points(&b->p, b->x, b->mask, n);
    problem_values(&b->p, b->y, n);
}

static void both_tell(both *b, int64_t told) {
    for (int i = 0; i < DEVICES; i++) {
        double jitter, logdet;
        OK(hpt__model_create(&b->models[i], b->devices[i], &b->p.cov, told));
        OK(hpt__model_set_points(b->models[i], 0, b->x, b->mask, told));
        OK(hpt__model_factor(b->models[i], b->p.theta, &jitter, &logdet));
        OK(hpt__model_set_y(b->models[i], b->y, told));
    }
}

static void both_init(both *b, uint64_t seed, hpt__cov_kind kind, int64_t d, int64_t n_blocks, int64_t n,
                      double noise) {
    find_hooks();
    mock.reset();
    both_points(b, seed, kind, d, n_blocks, n, noise);
    for (int i = 0; i < DEVICES; i++) b->devices[i] = device_as(precisions[i], 0);
    both_tell(b, n);
}

static void both_free(both *b) { // but not the devices
    for (int i = 0; i < DEVICES; i++) hpt__model_destroy(b->models[i]);
    free(b->x);
    free(b->y);
    free(b->mask);
}

static void both_fini(both *b) {
    both_free(b);
    for (int i = 0; i < DEVICES; i++) hpt__device_close(b->devices[i]);
    expect_clean("at the end");
}

typedef enum way { // in which the second device screened
    IN_DOUBLE,     // as the first
    DECIDED,       // the few that single precision left were enough
    UNDECIDED,     // all once more in double
} way;

// all: products in double precision that a screening of all candidates takes; out: those of this one.
static way screen(hpt__model *m, const hpt__acq *acq, const double *z, const uint64_t *zmask, int64_t n_z, int64_t k,
                  int64_t *index, double *value, int64_t all, int64_t *out) {
    double var;
    OK(hpt__model_posterior(m, z, zmask, 1, NULL, &var, NULL, NULL)); // the inverse is there now
    const int64_t single = mock.calls_of("cublasStrmm_v2_64"), full = mock.calls_of("cublasDtrmm_v2_64");
    OK(hpt__model_screen(m, acq, z, zmask, n_z, k, index, value));
    *out = mock.calls_of("cublasDtrmm_v2_64") - full;
    if (mock.calls_of("cublasStrmm_v2_64") == single) return IN_DOUBLE;
    return *out <= all ? DECIDED : UNDECIDED;
}

// Screens with both; the same choice, to the last bit.
static way agree(const both *b, const hpt__acq *acq, const double *z, const uint64_t *zmask, int64_t n_z, int64_t k) {
    int64_t *index[DEVICES];
    double *value[DEVICES];
    way ways[DEVICES];
    int64_t products = 0;
    for (int i = 0; i < DEVICES; i++) {
        index[i] = calloc((size_t)k, sizeof *index[i]);
        value[i] = numbers(k);
        cr_assert_not_null(index[i]);
        ways[i] = screen(b->models[i], acq, z, zmask, n_z, k, index[i], value[i], products, &products);
    }
    cr_assert_eq(ways[DOUBLE], IN_DOUBLE);
    for (int64_t j = 0; j < k; j++) {
        cr_assert_eq(index[SINGLE][j], index[DOUBLE][j], "place %lld: candidate %lld, not %lld", (long long)j,
                     (long long)index[SINGLE][j], (long long)index[DOUBLE][j]);
        cr_assert_eq(value[SINGLE][j], value[DOUBLE][j], "place %lld: %.17g, not %.17g", (long long)j, value[SINGLE][j],
                     value[DOUBLE][j]);
    }
    for (int i = 0; i < DEVICES; i++) {
        free(index[i]);
        free(value[i]);
    }
    return ways[SINGLE];
}

// As many candidates as the caller frees.
static double *candidates(both *b, uint64_t **zmask, int64_t n_z) {
    double *z = numbers(n_z * b->p.cov.d);
    *zmask = words(n_z);
    problem_points(&b->p, z, *zmask, n_z);
    return z;
}

Test(cuda_screen, single_precision_finds_what_double_finds_of_every_covariance_and_acquisition)
{
    static const hpt__acq kinds[] = {{.kind = HPT__ACQ_LOGEI, .best = -0.5},
                                     {.kind = HPT__ACQ_LOGEI, .best = -0.2, .noise = 0.02},
                                     {.kind = HPT__ACQ_LCB, .beta = 1.7},
                                     {.kind = HPT__ACQ_PE, .beta = 1, .tau = 0.1},
                                     {.kind = HPT__ACQ_SD}};
    static const int64_t wanted[] = {1, 10, 30};
    int64_t decided = 0, all = 0;
    for (int64_t s = 0; s < 12; s++) {
        both b;
        uint64_t *zmask;
        const int64_t m = 300 + s;
        both_init(&b, (uint64_t)s, (hpt__cov_kind)(s % 3), 2 + s, 1 + s % 4, 40 + 9 * s, s % 2 ? 0.002 : 0.05);
        double *z = candidates(&b, &zmask, m);
        for (int64_t a = 0; a < COUNT(kinds); a++) {
            const way how = agree(&b, &kinds[a], z, zmask, m, wanted[(s + a) % 3]);
            cr_assert_neq(how, IN_DOUBLE);
            decided += how == DECIDED;
            all++;
        }
        free(z);
        free(zmask);
        both_fini(&b);
    }
    cr_assert_gt(decided, all * 9 / 10, "%lld of %lld", (long long)decided, (long long)all);
}

// `near` copies of the best of some candidates, moved by less than single precision can tell, come last among 300.
static way near_ties(int64_t near, int64_t k) {
    both b;
    uint64_t *zmask;
    int64_t best;
    double value;
    const int64_t m = 300, d = 2;
    both_init(&b, 5, HPT__COV_MATERN52, d, 1, 60, 0.01);
    double *z = candidates(&b, &zmask, m);
    OK(hpt__model_screen(b.models[DOUBLE], &logei, z, zmask, m - near, 1, &best, &value));
    for (int64_t j = m - near; j < m; j++)
        for (int64_t c = 0; c < d; c++) z[j * d + c] = z[best * d + c] + 1e-9 * (double)(7 * j % 60 + c);
    const way how = agree(&b, &logei, z, zmask, m, k);
    free(z);
    free(zmask);
    both_fini(&b);
    return how;
}

Test(cuda_screen, near_ties_come_in_the_order_of_double_precision)
{ cr_assert_eq(near_ties(30, 10), DECIDED); }

Test(cuda_screen, more_near_ties_than_are_scored_again_are_left_to_double_precision)
{ cr_assert_eq(near_ties(50, 10), UNDECIDED); }

Test(cuda_screen, a_library_that_is_coarser_than_single_precision_is_not_believed)
{
    both b;
    uint64_t *zmask;
    const int64_t m = 300;
    both_init(&b, 6, HPT__COV_MATERN52, 3, 1, 60, 0.01);
    double *z = candidates(&b, &zmask, m);
    mock.coarse(true);
    cr_assert_eq(agree(&b, &logei, z, zmask, m, 10), UNDECIDED);
    mock.coarse(false);
    cr_assert_eq(agree(&b, &logei, z, zmask, m, 10), DECIDED);
    free(z);
    free(zmask);
    both_fini(&b);
}

Test(cuda_screen, little_noise_few_candidates_and_what_has_no_bounds_are_done_in_double)
{
    static const struct {
        hpt__acq acq;
        int64_t m, k;
        double noise;
        way how;
    } cases[] = {
        {{.kind = HPT__ACQ_LOGEI, .best = -0.5}, 200, 10, 1.01e-3, DECIDED},
        {{.kind = HPT__ACQ_LOGEI, .best = -0.5}, 200, 10, 0.99e-3, IN_DOUBLE},
        {{.kind = HPT__ACQ_LOGEI, .best = -0.5}, AGAIN, 5, 0.1, IN_DOUBLE},
        {{.kind = HPT__ACQ_LOGEI, .best = -0.5}, AGAIN + 1, 5, 0.1, DECIDED},
        {{.kind = HPT__ACQ_LOGEI, .best = -0.5}, 600, 150, 0.1, IN_DOUBLE},
        {{.kind = HPT__ACQ_LOGEI, .best = -0.5}, 601, 150, 0.1, DECIDED}, // 600 again: ordered on the host
        {{.kind = HPT__ACQ_LCB, .beta = 0}, 200, 10, 0.1, DECIDED},
        {{.kind = HPT__ACQ_LCB, .beta = -1}, 200, 10, 0.1, IN_DOUBLE},
        {{.kind = HPT__ACQ_PE, .beta = -1, .tau = 1}, 200, 10, 0.1, IN_DOUBLE},
        {{.kind = HPT__ACQ_MEAN}, 200, 10, 0.1, IN_DOUBLE},
    };
    for (int64_t at = 0; at < COUNT(cases); at++) {
        both b;
        uint64_t *zmask;
        both_init(&b, 7, HPT__COV_MATERN52, 4, 2, 50, cases[at].noise);
        double *z = candidates(&b, &zmask, cases[at].m);
        const way how = agree(&b, &cases[at].acq, z, zmask, cases[at].m, cases[at].k);
        cr_assert_eq(how, cases[at].how, "case %lld: way %d", (long long)at, (int)how);
        free(z);
        free(zmask);
        both_fini(&b);
    }
}

Test(cuda_screen, without_a_word_single_precision_is_for_gpus_with_few_double_units_and_large_work)
{
    static const struct {
        const char *ratio;
        int64_t n, m;
        bool single;
    } cases[] = {
        {"64", 512, 4 * AGAIN, true}, {"8", 512, 4 * AGAIN, true},   {"2", 512, 4 * AGAIN, false},
        {"7", 512, 4 * AGAIN, false}, {"64", 511, 4 * AGAIN, false}, {"64", 512, 4 * AGAIN - 1, false},
    };
    for (int64_t at = 0; at < COUNT(cases); at++) {
        both b;
        uint64_t *zmask;
        int64_t index[5];
        double value[5];
        setenv("HPT_MOCK_RATIO", cases[at].ratio, 1);
        find_hooks();
        mock.reset();
        both_points(&b, 8, HPT__COV_RBF, 2, 1, cases[at].n, 0.05);
        b.devices[DOUBLE] = device_as("double", 0);
        b.devices[SINGLE] = device_as(at % 2 ? "auto" : "", 0);
        both_tell(&b, b.n);
        double *z = candidates(&b, &zmask, cases[at].m);
        int64_t products;
        const way how = screen(b.models[SINGLE], &logei, z, zmask, cases[at].m, 5, index, value, 0, &products);
        cr_assert_eq(how != IN_DOUBLE, cases[at].single, "case %lld", (long long)at);
        const bool said = strstr(hpt__device_description(b.devices[SINGLE])->library, "single precision") != NULL;
        cr_assert_eq(said, atoi(cases[at].ratio) >= 8);
        cr_assert_null(strstr(hpt__device_description(b.devices[DOUBLE])->library, "single precision"));
        free(z);
        free(zmask);
        both_fini(&b);
    }
}

Test(cuda_screen, a_word_that_is_no_precision_is_an_error_that_names_them)
{
    hpt__device *device = NULL;
    setenv("HPT_CUDA_SCREEN", "half", 1);
    FAILS(HPT_E_ARG, hpt__device_open(&device, "cuda:mock", NULL, NULL));
    cr_assert_not_null(strstr(hpt_last_error(), "'half'; one of auto, double, single"), "%s", hpt_last_error());
}

// The rounded copy of the inverse follows the factor: rows more and more room, rows less and others in their place, another theta,
// another model. Wherever it did not, the bounds would not hold.
Test(cuda_screen, appends_cuts_and_new_factors_are_seen)
{
    both b, large;
    uint64_t *zmask, *large_mask;
    double logdet, jitter;
    const int64_t m = 200, n = 200, d = 3, first = 50;
    static const int64_t to[] = {60, 61, 64, 65, 70, 40, 130, 90, 91, 200}; // points; beyond the first room, too
    both_init(&large, 10, HPT__COV_MATERN32, d, 1, n, 0.02);
    both_points(&b, 9, HPT__COV_MATERN52, d, 2, n, 0.02);
    memcpy(b.devices, large.devices, sizeof b.devices);
    both_tell(&b, first);
    double *z = candidates(&b, &zmask, m), *large_z = candidates(&large, &large_mask, m);
#define ON_BOTH(call)                           \
    for (int i_ = 0; i_ < DEVICES; i_++) {      \
        hpt__model *const model = b.models[i_]; \
        OK(call);                               \
    }
#define SEEN() cr_assert_eq(agree(&b, &logei, z, zmask, m, 10), DECIDED)
#define LARGE_SEEN() cr_assert_eq(agree(&large, &logei, large_z, large_mask, m, 10), DECIDED)
    LARGE_SEEN(); // there is room for a copy of 200 rows from now on
    SEEN();
    for (int64_t at = 0, from = first; at < COUNT(to); from = to[at++]) {
        if (to[at] < from) { // and no screening before others are in the place of those that are cut
            ON_BOTH(hpt__model_truncate(model, to[at]));
            for (int64_t i = to[at] * d; i < n * d; i++) b.x[i] = hpt__rng_uniform(&b.p.rng);
            continue;
        }
        ON_BOTH(hpt__model_set_points(model, from, b.x + from * d, b.mask + from, to[at] - from));
        ON_BOTH(hpt__model_append(model, &logdet));
        if (at != 3) ON_BOTH(hpt__model_set_y(model, b.y, to[at] - (at == 1))); // once the last one is pending
        SEEN();
        if (at == 4) {
            LARGE_SEEN();
            SEEN();
        }
    }
    for (int64_t c = 0; c < d; c++) b.p.theta[c] += 0.4;
    ON_BOTH(hpt__model_factor(model, b.p.theta, &jitter, &logdet));
    ON_BOTH(hpt__model_set_y(model, b.y, n));
    SEEN();
    both_free(&b);
    LARGE_SEEN();
    free(z);
    free(zmask);
    free(large_z);
    free(large_mask);
    both_fini(&large);
}

// ---- memory

typedef enum limit { OF_THE_STUDY, OF_THE_DEVICE, LIMITS } limit; // who says how much there is

typedef struct life { // of a model, as far as `bytes` of memory carried it
    double numbers[8];
    int steps;
    bool single; // the first screening tried it
} life;

static void live(life *l, const both *b, int which, limit by, int64_t bytes, bool whole, const double *z,
                 const uint64_t *zmask, int64_t m) {
    hpt__model *model = NULL;
    const int64_t d = b->p.cov.d, told = b->n - 30;
    double *moments = numbers(2 * m), jitter, logdet;
    int64_t index[3];
    *l = (life){{0}, 0, false};
    mock.reset();
    mock.devices(1, (size_t)1 << 30, by == OF_THE_DEVICE ? (size_t)bytes : (size_t)1 << 30);
    hpt__device *device = device_as(precisions[which], by == OF_THE_STUDY ? bytes : 0);
#define STEP(call)                                                                   \
    do {                                                                             \
        const int rc_ = (call);                                                      \
        cr_assert(rc_ >= 0 || rc_ == HPT_E_MEMORY, "%d: %s", rc_, hpt_last_error()); \
        if (rc_ < 0) goto out;                                                       \
        l->steps++;                                                                  \
    } while (0)
    STEP(hpt__model_create(&model, device, &b->p.cov, 0));
    STEP(hpt__model_set_points(model, 0, b->x, b->mask, told));
    STEP(hpt__model_factor(model, b->p.theta, &jitter, &logdet));
    STEP(hpt__model_set_y(model, b->y, told));
    STEP(hpt__model_posterior(model, z, zmask, m, moments, moments + m, NULL, NULL));
    STEP(hpt__model_screen(model, &logei, z, zmask, m, 3, index, l->numbers));
    l->single = mock.calls_of("cublasStrmm_v2_64") > 0;
    if (!whole) goto out;
    STEP(hpt__model_mll(model, b->p.theta, b->y, told, &l->numbers[3], NULL));
    STEP(hpt__model_set_points(model, told, b->x + told * d, b->mask + told, 30));
    STEP(hpt__model_append(model, &l->numbers[4])); // past 128 beyond the first room
    STEP(hpt__model_screen(model, &logei, z, zmask, m, 3, index, l->numbers + 5));
    STEP(hpt__model_posterior(model, z, zmask, m, moments, moments + m, NULL, NULL)); // wider strips
out:
    free(moments);
    hpt__model_destroy(model);
    hpt__device_close(device);
    expect_clean("at the end of a life");
}

// In as little memory as double precision needs for the same.
static void live_in_least(life *single, limit by, bool whole) {
    both b;
    life full;
    uint64_t *zmask;
    // What a study may have is held against what a model needs first, which counts on 2,560 columns of the rows that there is room
    // for: these take more.
    const int64_t m = by == OF_THE_STUDY ? 1900 : 300, steps = whole ? 11 : 6;
    int64_t low = 0, high = INT64_C(8) << 20;
    find_hooks();
    both_points(&b, 11, HPT__COV_MATERN52, 2, 1, by == OF_THE_STUDY ? 128 : 130, 0.02);
    double *z = candidates(&b, &zmask, m);
    while (high - low > 4096) {
        const int64_t bytes = low + (high - low) / 2;
        live(&full, &b, DOUBLE, by, bytes, whole, z, zmask, m);
        if (full.steps == steps)
            high = bytes;
        else
            low = bytes;
    }
    live(&full, &b, DOUBLE, by, high, whole, z, zmask, m);
    cr_assert_eq(full.steps, steps);
    live(single, &b, SINGLE, by, high, whole, z, zmask, m);
    cr_assert_eq(single->steps, steps, "step %d of %d fails with %lld bytes", single->steps, (int)steps,
                 (long long)high);
    cr_assert_arr_eq(single->numbers, full.numbers, sizeof full.numbers);
    free(z);
    free(zmask);
    free(b.x);
    free(b.y);
    free(b.mask);
}

Test(cuda_screen, without_room_for_the_rounded_copy_double_precision_does_it)
{
    life single;
    live_in_least(&single, OF_THE_DEVICE, false);
    cr_assert_not(single.single);
}

Test(cuda_screen, the_rounded_copy_is_given_up_for_what_has_no_room)
{
    for (int by = 0; by < LIMITS; by++) {
        life single;
        live_in_least(&single, (limit)by, true);
        cr_assert(single.single, "by %d", by);
    }
}
