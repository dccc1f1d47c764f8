// SPDX-License-Identifier: Apache-2.0
// gp_loop.c: the surrogate alone, for a code that has its own loop: create, append, fit, suggest, predict.
//
//   cc gp_loop.c $(pkg-config --cflags --libs hpt_gpu) -lm -o gp_loop && ./gp_loop
//
// Minimises Branin's function (three equal minima of 0.397887) in 8 random and 32 suggested evaluations. No study and no
// storage: the program keeps its points itself.
#include <hpt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { D = 2, N_RANDOM = 8, N_ROUNDS = 16, BATCH = 2 };

static void check(int status) {
    if (status >= 0) return;
    fprintf(stderr, "gp_loop: %s\n", hpt_last_error());
    exit(1);
}

static double branin(const double *p) {
    const double pi = acos(-1.0);
    const double a = p[1] - 5.1 / (4 * pi * pi) * p[0] * p[0] + 5 / pi * p[0] - 6;
    return a * a + 10 * (1 - 1 / (8 * pi)) * cos(p[0]) + 10;
}

static double best_value = INFINITY, best_point[D];

static double evaluate(const double *point) {
    const double value = branin(point);
    if (value < best_value) {
        best_value = value;
        best_point[0] = point[0];
        best_point[1] = point[1];
    }
    return value;
}

int main(void) {
    hpt_space *space;
    check(hpt_space_create(&space));
    check(hpt_space_add_float(space, "x", -5, 10, 0, 0));
    check(hpt_space_add_float(space, "y", 0, 15, 0, 0));

    hpt_gp_options options = HPT_GP_OPTIONS_INIT;
    options.seed = 7;
    hpt_gp *gp;
    check(hpt_gp_create(&gp, space, &options));
    hpt_space_destroy(space); // the gp has a copy

    unsigned state = 12345; // any start will do: here a small generator of its own
    for (int i = 0; i < N_RANDOM; i++) {
        double point[D];
        for (int j = 0; j < D; j++) {
            state = state * 1103515245u + 12345u;
            point[j] = (j == 0 ? -5.0 : 0.0) + 15.0 * (double)(state >> 8) / 16777216.0;
        }
        const double value = evaluate(point);
        check(hpt_gp_append(gp, point, &value, 1));
    }

    for (int round = 0; round < N_ROUNDS; round++) {
        double points[BATCH * D], values[BATCH], mean[BATCH], sd[BATCH];
        check(hpt_gp_fit(gp));
        check(hpt_gp_suggest(gp, points, BATCH, NULL, 0)); // two points that could be evaluated side by side
        check(hpt_gp_predict(gp, points, BATCH, mean, sd));
        for (int i = 0; i < BATCH; i++) {
            values[i] = evaluate(points + i * D);
            printf("(%8.4f, %8.4f)  expected %9.4f +- %-8.4f  got %9.4f\n", points[i * D], points[i * D + 1], mean[i],
                   sd[i], values[i]);
        }
        check(hpt_gp_append(gp, points, values, BATCH));
    }

    printf("best %.6f at (%.4f, %.4f) after %lld evaluations\n", best_value, best_point[0], best_point[1],
           (long long)hpt_gp_n(gp));
    hpt_gp_destroy(gp);
    return best_value < 0.397887 + 0.01 ? 0 : 1;
}
