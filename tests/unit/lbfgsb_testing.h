// SPDX-License-Identifier: Apache-2.0
// lbfgsb_testing.h: the test functions of test_base_lbfgsb.c and lbfgsb_tool.c (Moré, Garbow, Hillstrom, ACM TOMS 7 (1981),
// and quadratics). The same ones are in oracle_lbfgsb.py.
#ifndef HPT_TESTS_LBFGSB_TESTING_H
#define HPT_TESTS_LBFGSB_TESTING_H

#include <math.h>
#include <stdint.h>
#include <string.h>

typedef double (*lbfgsb_function)(double *g, const double *x, int64_t n);

static inline double rosenbrock(double *g, const double *x, int64_t n) {
    double f = 0;
    for (int64_t i = 0; i < n; i++) g[i] = 0;
    for (int64_t i = 0; i + 1 < n; i++) {
        const double a = x[i + 1] - x[i] * x[i], b = 1 - x[i];
        f += 100 * a * a + b * b;
        g[i] += -400 * a * x[i] - 2 * b;
        g[i + 1] += 200 * a;
    }
    return f;
}

// sum_i 10^(6 i / (n - 1)) z_i^2 / 2, z = H (x - 0.3), H a reflection: rotated, condition 1e6.
static inline double quadratic(double *g, const double *x, int64_t n) {
    double norm = 0, along = 0, f = 0;
    for (int64_t i = 0; i < n; i++) norm += (double)((i + 1) * (i + 1));
    for (int64_t i = 0; i < n; i++) along += (double)(i + 1) * (x[i] - 0.3);
    double back = 0;
    for (int64_t i = 0; i < n; i++) {
        const double z = x[i] - 0.3 - 2 * along / norm * (double)(i + 1);
        const double c = pow(10, n > 1 ? 6.0 * (double)i / (double)(n - 1) : 0);
        f += 0.5 * c * z * z;
        g[i] = c * z;
        back += (double)(i + 1) * g[i];
    }
    for (int64_t i = 0; i < n; i++) g[i] -= 2 * back / norm * (double)(i + 1);
    return f;
}

static inline double beale(double *g, const double *x, int64_t n) {
    static const double c[] = {1.5, 2.25, 2.625};
    double f = 0, power = 1;
    (void)n;
    g[0] = g[1] = 0;
    for (int i = 0; i < 3; i++) {
        const double before = power;
        power *= x[1];
        const double r = c[i] - x[0] * (1 - power);
        f += r * r;
        g[0] -= 2 * r * (1 - power);
        g[1] += 2 * r * x[0] * (i + 1) * before;
    }
    return f;
}

static inline double wood(double *g, const double *x, int64_t n) {
    (void)n;
    const double a = x[1] - x[0] * x[0], b = x[3] - x[2] * x[2], c = x[1] + x[3] - 2, d = x[1] - x[3];
    g[0] = -400 * a * x[0] - 2 * (1 - x[0]);
    g[1] = 200 * a + 20 * c + 0.2 * d;
    g[2] = -360 * b * x[2] - 2 * (1 - x[2]);
    g[3] = 180 * b + 20 * c - 0.2 * d;
    return 100 * a * a + (1 - x[0]) * (1 - x[0]) + 90 * b * b + (1 - x[2]) * (1 - x[2]) + 10 * c * c + 0.1 * d * d;
}

static inline double powell(double *g, const double *x, int64_t n) {
    (void)n;
    const double a = x[0] + 10 * x[1], b = x[2] - x[3], c = x[1] - 2 * x[2], d = x[0] - x[3];
    g[0] = 2 * a + 40 * d * d * d;
    g[1] = 20 * a + 4 * c * c * c;
    g[2] = 10 * b - 8 * c * c * c;
    g[3] = -10 * b - 40 * d * d * d;
    return a * a + 5 * b * b + c * c * c * c + 10 * d * d * d * d;
}

static inline lbfgsb_function lbfgsb_function_of(const char *name) {
    return strcmp(name, "rosenbrock") == 0  ? rosenbrock
           : strcmp(name, "quadratic") == 0 ? quadratic
           : strcmp(name, "beale") == 0     ? beale
           : strcmp(name, "wood") == 0      ? wood
           : strcmp(name, "powell") == 0    ? powell
                                            : NULL;
}

#endif
