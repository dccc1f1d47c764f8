// SPDX-License-Identifier: Apache-2.0
// fuzz_space_check.h: what must hold for every space that could be made, for the targets that make them.
#ifndef HPT_TESTS_FUZZ_SPACE_CHECK_H
#define HPT_TESTS_FUZZ_SPACE_CHECK_H

#include "core/space/codec.h"
#include "fuzz.h"

#include <math.h>

// A corner or the middle of the cube is a legal point, and goes through JSON unchanged.
static inline void fuzz_check_point(const hpt_space *s, double u) {
    double *cube = malloc(((size_t)s->d + 1) * sizeof *cube), *point = malloc(((size_t)s->d + 1) * sizeof *point);
    int64_t bad = -1;
    if (!cube || !point) abort();
    for (int64_t i = 0; i < s->d; i++) cube[i] = u;
    hpt__codec_decode(point, s, cube);
    FUZZ_CHECK(hpt__space_check(s, point, &bad), "u = %g, parameter '%s' = %.17g", u,
               bad >= 0 && bad < s->d ? s->params[bad].name : "?", bad >= 0 && bad < s->d ? point[bad] : NAN);
    hpt__codec_encode(cube, s, point);
    for (int64_t i = 0; i < s->d; i++) {
        FUZZ_CHECK(isnan(point[i]) == isnan(cube[i]), "parameter '%s'", s->params[i].name);
        if (!isnan(cube[i]))
            FUZZ_CHECK(cube[i] >= 0 && cube[i] <= 1, "parameter '%s' at %.17g", s->params[i].name, cube[i]);
    }
    hpt__str text = HPT__STR_INIT;
    hpt__arena arena;
    hpt__json *object = NULL;
    hpt__arena_init(&arena);
    hpt__space_point_json(&text, s, point, true);
    FUZZ_CHECK(hpt__str_status(&text) == 0, "%s", hpt_last_error());
    FUZZ_CHECK(hpt__json_parse(&object, &arena, hpt__str_text(&text), text.len) == 0, "%s: %s", hpt_last_error(),
               hpt__str_text(&text));
    int rc = hpt__space_point_from_json(cube, s, object);
    FUZZ_CHECK(rc == 0, "%s: %s", hpt_last_error(), hpt__str_text(&text));
    for (int64_t i = 0; i < s->d; i++)
        FUZZ_CHECK(cube[i] == point[i] || (isnan(cube[i]) && isnan(point[i])) ||
                       s->params[i].kind == HPT__PARAM_CATEGORICAL,
                   "parameter '%s': %.17g became %.17g", s->params[i].name, point[i], cube[i]);
    hpt__arena_fini(&arena);
    hpt__str_fini(&text);
    free(cube);
    free(point);
}

static inline void fuzz_check_space(const hpt_space *s) {
    char *first = NULL, *second = NULL, *words = NULL;
    hpt_space *again = NULL;
    hpt__str difference = HPT__STR_INIT;
    FUZZ_CHECK(hpt_space_to_json(&first, s) == 0, "%s", hpt_last_error());
    FUZZ_CHECK(hpt_space_from_json(&again, first) == 0, "%s: %s", hpt_last_error(), first);
    FUZZ_CHECK(hpt_space_to_json(&second, again) == 0, "%s", hpt_last_error());
    FUZZ_CHECK(strcmp(first, second) == 0, "%s is not %s", first, second);
    FUZZ_CHECK(!hpt__space_difference(&difference, s, again), "%s", hpt__str_text(&difference));
    for (int i = 0; i <= 8; i++) fuzz_check_point(s, (double)i / 8);
    fuzz_check_point(s, 1.0 / 3.0);
    fuzz_check_point(s, 1.0 - 1e-16);
    for (int64_t i = 0; i < s->d && i < 20; i++) {
        FUZZ_CHECK(hpt_space_describe(&words, s, hpt_space_name(s, i)) == 0, "%s", hpt_last_error());
        hpt_free(words);
        FUZZ_CHECK(hpt_space_describe_condition(&words, s, hpt_space_name(s, i)) == 0, "%s", hpt_last_error());
        hpt_free(words);
    }
    (void)hpt_space_cardinality(s);
    hpt__str_fini(&difference);
    hpt_free(first);
    hpt_free(second);
    hpt_space_destroy(again);
}

#endif
