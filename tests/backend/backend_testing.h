// SPDX-License-Identifier: Apache-2.0
// backend_testing.h: one body, one test per backend; random covariances with nested conditional blocks; the covariance and
// the factor once more, in long double and by other formulas than the backends'.
//
// A backend without a device is skipped, unless HPT_TEST_REQUIRE names it: then that is a failure.
#ifndef HPT_BACKEND_TESTING_H
#define HPT_BACKEND_TESTING_H

#include "core/backend/backend.h"
#include "core/base/rng.h"
#include <criterion/criterion.h>
#include <hpt/status.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// Name of the suites, the device as a user asks for it.
#define HPT_BACKENDS(X, ...)     \
    X(ref, "ref", __VA_ARGS__)   \
    X(cpu, "cpu", __VA_ARGS__)   \
    X(cuda, "cuda", __VA_ARGS__) \
    X(cuda_mock, "cuda:mock", __VA_ARGS__)

#define BACKEND_TEST_ONE(backend, asked, suite, name)        \
    Test(backend##_##suite, name)                            \
    {                                                        \
        hpt__device *backend_device = testing_device(asked); \
        suite##_##name(backend_device);                      \
        testing_close(backend_device, asked);                \
    }
#define BACKEND_TEST(suite, name)                    \
    static void suite##_##name(hpt__device *device); \
    HPT_BACKENDS(BACKEND_TEST_ONE, suite, name)      \
    static void suite##_##name(hpt__device *device)

#define COUNT(a) ((int64_t)(sizeof(a) / sizeof(a)[0]))
#define OK(call) cr_assert_eq((call), 0, "%s: %s", #call, hpt_last_error())
#define FAILS(status, call) cr_expect_eq((call), (status), "%s: %s", #call, hpt_last_error())

hpt__device *testing_device(const char *name); // skips or fails
// Closes it; of a mock, nothing may be left on the device then and no call of CUDA may have been wrong.
void testing_close(hpt__device *device, const char *name);

enum { D_MAX = 20, BLOCKS = 6 };

typedef struct problem {
    hpt__cov cov;
    uint8_t categorical[D_MAX];
    int32_t block[D_MAX];
    int64_t parent[BLOCKS]; // of a block; 0 has none
    uint64_t terms[BLOCKS];
    double theta[D_MAX + BLOCKS + 1];
    int64_t p;
    hpt__rng rng;
} problem;

// d columns (every third categorical where mixed), n_blocks nested blocks, random hyperparameters.
void problem_init(problem *p, uint64_t seed, hpt__cov_kind kind, int64_t d, int64_t n_blocks, bool mixed);
// n points; what is inactive holds large numbers.
void problem_points(problem *p, double *x, uint64_t *mask, int64_t n);
void problem_values(problem *p, double *y, int64_t n); // smooth, plus noise
double uniform(hpt__rng *rng, double low, double high);

long double exact_k(const hpt__cov *c, const double *theta, const double *x, uint64_t mx, const double *z, uint64_t mz);
// Lower factor (n x n, column-major) of K + (noise + jitter) I; false if not positive definite.
bool exact_factor(long double *l, const problem *p, const double *theta, const double *x, const uint64_t *mask,
                  int64_t n, double jitter);
void exact_solve(const long double *l, int64_t n, long double *b);            // L^-1
void exact_solve_transposed(const long double *l, int64_t n, long double *b); // L^-T
long double exact_logdet(const long double *l, int64_t n);

typedef struct waves { // random functions drawn pathwise over the problem's columns, whose choices are 0, 1 and 2
    hpt__paths of;
    int64_t first[D_MAX + 1];
    double *omega, *uv, *w;
} waves;
void waves_init(waves *w, problem *p, int64_t s, int64_t n, int64_t n_features);
void waves_fini(waves *w);

// |got - want| <= absolute + relative |want|, with a line that says which.
void near_number(double got, double want, double absolute, double relative, const char *what, int64_t i);

typedef struct fitted { // a model with points, factor and values
    problem p;
    int64_t n;
    double *x, *y;
    uint64_t *mask;
    hpt__model *model;
} fitted;
void fitted_init(fitted *f, hpt__device *device, uint64_t seed, hpt__cov_kind kind, int64_t d, int64_t n_blocks,
                 int64_t n);
void fitted_fini(fitted *f);
double *numbers(int64_t n); // zeros; free()
uint64_t *words(int64_t n);

#endif
