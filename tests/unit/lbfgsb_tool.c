// SPDX-License-Identifier: Apache-2.0
// lbfgsb_tool.c: runs our L-BFGS-B; oracle_lbfgsb.py compares it with SciPy's.
//
// stdin, a line a problem: name n, then n lower bounds, n upper bounds, n start values.
// stdout, a line each: f, evaluations, iterations, reason, then the n variables.
#include "core/base/lbfgsb.h"
#include "lbfgsb_testing.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST = 1000 };

int main(void) {
    char name[32];
    int n;
    static double low[MOST], high[MOST], x0[MOST], g[MOST];
    double *const parts[] = {low, high, x0};
    hpt__lbfgsb s = {0};
    const hpt__lbfgsb_options options = {
        .gradient_tolerance = 1e-7, .decrease_tolerance = 1e-14, .max_iterations = 5000, .max_evaluations = 10000};
    while (scanf("%31s %d", name, &n) == 2) {
        const lbfgsb_function function = lbfgsb_function_of(name);
        if (!function || n < 1 || n > MOST) return 1;
        for (int part = 0; part < 3; part++)
            for (int i = 0; i < n; i++)
                if (scanf("%lf", &parts[part][i]) != 1) return 1;
        if (hpt__lbfgsb_init(&s, n, low, high, x0, &options) != 0) return 1;
        double f;
        do {
            f = function(g, hpt__lbfgsb_point(&s), n);
        } while (hpt__lbfgsb_tell(&s, f, g) == HPT__LBFGSB_EVALUATE);
        const double *x = hpt__lbfgsb_result(&s, &f);
        printf("%.17g %lld %lld %d", f, (long long)s.n_evaluations, (long long)s.n_iterations, (int)s.reason);
        for (int i = 0; i < n; i++) printf(" %.17g", x[i]);
        printf("\n");
    }
    hpt__lbfgsb_fini(&s);
    return 0;
}
