// SPDX-License-Identifier: Apache-2.0
// test_space_conditional.c: conditions: what is refused, the order parents first, and which parameters exist.
#include "core/base/rng.h"
#include "core/space/codec.h"
#include "space_testing.h"

Test(space_conditional, impossible_conditions_are_refused_by_name)
{
    hpt_space *s = new_space();
    OK(hpt_space_add_categorical(s, "optimizer", LIST("sgd", "adam")));
    OK(hpt_space_add_float(s, "momentum", 0, 1, 0, 0));
    OK(hpt_space_add_int(s, "layers", 1, 8, 1, 0));
    OK(hpt_space_add_float(s, "drop", 0, 1, 0.1, 0));
    OK(hpt_space_add_constant(s, "mode", "\"fast\""));
    FAILS(HPT_E_NOT_FOUND, "did you mean 'optimizer'", hpt_space_add_condition(s, "momentum", "optimzer", LIST("sgd")));
    FAILS(HPT_E_NOT_FOUND, "no parameter 'nothing like it'",
          hpt_space_add_condition(s, "nothing like it", "optimizer", LIST("sgd")));
    FAILS(HPT_E_ARG, "did you mean 'sgd'", hpt_space_add_condition(s, "momentum", "optimizer", LIST("adam", "sdg")));
    FAILS(HPT_E_ARG, "{sgd, adam}", hpt_space_add_condition(s, "momentum", "optimizer", LIST("nesterov")));
    FAILS(HPT_E_ARG, "int 1..8", hpt_space_add_condition(s, "momentum", "layers", LIST("9")));
    FAILS(HPT_E_ARG, "'two'", hpt_space_add_condition(s, "momentum", "layers", LIST("two")));
    FAILS(HPT_E_ARG, "'inf'", hpt_space_add_condition(s, "momentum", "layers", LIST("inf")));
    FAILS(HPT_E_ARG, "continuous", hpt_space_add_condition(s, "layers", "momentum", LIST("0.5")));
    FAILS(HPT_E_ARG, "itself", hpt_space_add_condition(s, "layers", "layers", LIST("1")));
    FAILS(HPT_E_ARG, "at least one", hpt_space_add_condition(s, "momentum", "layers", NULL, 0));
    FAILS(HPT_E_ARG, "value 1 is NULL", hpt_space_add_condition(s, "momentum", "layers", LIST("1", NULL)));
    FAILS(HPT_E_ARG, "constant fast", hpt_space_add_condition(s, "momentum", "mode", LIST("slower by far")));
    FAILS(HPT_E_ARG, "NULL", hpt_space_add_condition(s, NULL, "mode", LIST("fast")));
    for (int64_t i = 0; i < s->d; i++) cr_expect(s->params[i].n_conditions == 0 && !s->params[i].is_parent);
    OK(hpt_space_add_condition(s, "momentum", "mode", LIST("fast")));
    OK(hpt_space_add_condition(s, "momentum", "layers", LIST("3.0", "1", "3")));
    OK(hpt_space_add_condition(s, "momentum", "drop", LIST("0.3"))); // 3 * 0.1 is another double
    const hpt__condition *c = param(s, "momentum")->conditions;
    cr_expect(c[1].n_values == 2 && c[1].values[0] == 1 && c[1].values[1] == 3);
    cr_expect(c[2].n_values == 1 && c[2].values[0] == 0.1 * 3);
    hpt_space_destroy(s);
}

Test(space_conditional, text_names_choices_of_any_type)
{
    hpt_space *s = new_space();
    OK(hpt_space_add_categorical_json(s, "p", LIST("true", "\"true\"", "0.5", "null", "1", "\"x\"", "[1,2]")));
    const struct {
        const char *text;
        double index;
    } cases[] = {{"true", 0}, {"\"true\"", 1}, {"0.5", 2}, {"0.50", 2},  {"5e-1", 2},  {"null", 3},
                 {"1", 4},    {"1.0", 4},      {"x", 5},   {"\"x\"", 5}, {"[1,2]", 6}, {"[1, 2]", 6}};
    for (int64_t i = 0; i < COUNT(cases); i++) {
        char name[16];
        snprintf(name, sizeof name, "c%d", (int)i);
        OK(hpt_space_add_int(s, name, 0, 1, 1, 0));
        OK(hpt_space_add_condition(s, name, "p", LIST(cases[i].text)));
        const hpt__condition *c = param(s, name)->conditions;
        cr_expect(c->n_values == 1 && c->values[0] == cases[i].index, "%s -> %g", cases[i].text, c->values[0]);
    }
    OK(hpt_space_add_int(s, "child", 0, 1, 1, 0));
    FAILS(HPT_E_ARG, "'false'", hpt_space_add_condition(s, "child", "p", LIST("false")));
    FAILS(HPT_E_ARG, "'[1,'", hpt_space_add_condition(s, "child", "p", LIST("[1,")));
    hpt_space_destroy(s);
}

static void expect_parents_first(const hpt_space *s) {
    int64_t place[64];
    for (int64_t t = 0; t < s->d; t++) place[t] = -1;
    for (int64_t t = 0; t < s->d; t++) {
        cr_assert_eq(place[s->topo[t]], -1);
        place[s->topo[t]] = t;
    }
    for (int64_t i = 0; i < s->d; i++)
        for (int64_t c = 0; c < s->params[i].n_conditions; c++)
            cr_expect(place[s->params[i].conditions[c].parent] < place[i]);
}

Test(space_conditional, parents_come_first_in_topo_and_cycles_are_refused_whatever_the_order_of_addition)
{
    enum { D = 12 };
    for (uint64_t seed = 0; seed < 60; seed++) {
        hpt__rng rng;
        hpt__rng_init(&rng, seed, 0);
        hpt_space *s = new_space();
        bool depends[D][D] = {{false}}; // depends[i][j]: i on j, directly or not
        for (int i = 0; i < D; i++) {
            char name[16];
            snprintf(name, sizeof name, "p%d", i);
            OK(hpt_space_add_int(s, name, 0, 3, 1, 0));
        }
        for (int e = 0; e < 30; e++) {
            const int i = (int)hpt__rng_below(&rng, D), j = (int)hpt__rng_below(&rng, D);
            char child[16], parent[16];
            snprintf(child, sizeof child, "p%d", i);
            snprintf(parent, sizeof parent, "p%d", j);
            int rc = hpt_space_add_condition(s, child, parent, LIST("1", "2"));
            cr_expect_eq(rc, i == j || depends[j][i] ? HPT_E_ARG : 0, "seed %d: %s on %s: %d", (int)seed, child, parent,
                         rc);
            if (rc < 0) {
                if (i != j) cr_expect(strstr(hpt_last_error(), "cycle"));
                continue;
            }
            for (int a = 0; a < D; a++)
                for (int b = 0; b < D; b++)
                    if ((a == i || depends[a][i]) && (b == j || depends[j][b])) depends[a][b] = true;
            expect_parents_first(s);
        }
        hpt_space_destroy(s);
    }
}

// c on b in {1, 2}; b on a = "on"; d on a = "on" and c = 5.
static hpt_space *chain(void) {
    hpt_space *s = new_space();
    OK(hpt_space_add_int(s, "d", 0, 1, 1, 0));
    OK(hpt_space_add_int(s, "c", 5, 6, 1, 0));
    OK(hpt_space_add_int(s, "b", 0, 2, 1, 0));
    OK(hpt_space_add_categorical(s, "a", LIST("off", "on")));
    OK(hpt_space_add_condition(s, "d", "a", LIST("on")));
    OK(hpt_space_add_condition(s, "d", "c", LIST("5")));
    OK(hpt_space_add_condition(s, "c", "b", LIST("1", "2")));
    OK(hpt_space_add_condition(s, "b", "a", LIST("on")));
    return s;
}

Test(space_conditional, a_child_exists_only_under_a_present_parent_with_a_listed_value)
{
    hpt_space *s = chain();
    const struct {
        double in[4], masked[4]; // d c b a
    } cases[] = {
        {{0, 5, 1, 1}, {0, 5, 1, 1}},
        {{0, 6, 1, 1}, {NAN, 6, 1, 1}},
        {{0, 5, 0, 1}, {NAN, NAN, 0, 1}},
        {{0, 5, 2, 0}, {NAN, NAN, NAN, 0}},
        {{1, 5, 2, 1}, {1, 5, 2, 1}},
        {{1, 5, 2, NAN}, {NAN, NAN, NAN, NAN}},
        {{1, 5, INFINITY, 1}, {NAN, NAN, INFINITY, 1}},
        {{1, 5, -INFINITY, 1}, {NAN, NAN, -INFINITY, 1}},
    };
    for (int64_t i = 0; i < COUNT(cases); i++) {
        double point[4];
        memcpy(point, cases[i].in, sizeof point);
        hpt__space_mask(s, point);
        for (int k = 0; k < 4; k++)
            cr_expect(same_value(point[k], cases[i].masked[k]), "case %d, parameter %d", (int)i, k);
    }
    hpt_space_destroy(s);
}

Test(space_conditional, check_wants_exactly_the_active_parameters_and_names_the_culprit)
{
    hpt_space *s = chain();
    const struct {
        double point[4];
        int64_t bad; // -1: good
    } cases[] = {
        {{0, 5, 1, 1}, -1},
        {{NAN, NAN, NAN, 0}, -1},
        {{NAN, NAN, 0, 1}, -1},
        {{NAN, 5, 1, 1}, 0},
        {{0, 6, 1, 1}, 0},
        {{NAN, NAN, 1, 1}, 1},
        {{NAN, NAN, 0, 0}, 2},
        {{NAN, NAN, NAN, NAN}, 3},
        {{NAN, NAN, NAN, INFINITY}, 3},
        {{NAN, 7, 1, 1}, 1},
        {{NAN, NAN, INFINITY, 1}, 2},
        {{NAN, NAN, 0.5, 1}, 2},
        {{NAN, NAN, NAN, 2}, 3},
        {{NAN, NAN, NAN, -1}, 3},
        {{-INFINITY, 5, 2, 1}, 0},
    };
    for (int64_t i = 0; i < COUNT(cases); i++) {
        int64_t bad = -1;
        cr_expect_eq(hpt__space_check(s, cases[i].point, &bad), cases[i].bad < 0, "case %d", (int)i);
        cr_expect_eq(bad, cases[i].bad, "case %d", (int)i);
        (void)hpt__space_check(s, cases[i].point, NULL);
    }
    hpt_space_destroy(s);
}

Test(space_conditional, another_last_bit_of_a_stepped_parent_counts_as_the_value)
{
    hpt_space *s = new_space();
    OK(hpt_space_add_float(s, "p", 0, 1, 0.1, 0));
    OK(hpt_space_add_int(s, "c", 0, 1, 1, 0));
    OK(hpt_space_add_condition(s, "c", "p", LIST("0.3", "0.7")));
    const double on[] = {0.3, 0.1 + 0.2, 0.7, 0.1 * 7, 1 - 0.3, nextafter(0.1 * 3, 1)};
    const double off[] = {0.2, 0.4, 0.29, 0.300001, 1, 0, NAN, INFINITY};
    for (int64_t i = 0; i < COUNT(on); i++) cr_expect(hpt__space_active(s, 1, (double[]){on[i], 0}), "%.17g", on[i]);
    for (int64_t i = 0; i < COUNT(off); i++)
        cr_expect(!hpt__space_active(s, 1, (double[]){off[i], 0}), "%.17g", off[i]);
    hpt_space_destroy(s);
}

Test(space_conditional, decoding_any_cube_gives_a_legal_point_without_absent_parameters)
{
    hpt_space *s = chain();
    hpt__rng rng;
    hpt__rng_init(&rng, 3, 0);
    int64_t seen[4] = {0};
    for (int i = 0; i < 2000; i++) {
        double cube[4], point[4], again[4], back[4];
        int64_t bad;
        for (int k = 0; k < 4; k++) cube[k] = hpt__rng_uniform(&rng);
        hpt__codec_decode(point, s, cube);
        cr_assert(hpt__space_check(s, point, &bad));
        hpt__codec_encode(back, s, point);
        hpt__codec_decode(again, s, back);
        for (int k = 0; k < 4; k++) {
            cr_assert(same_value(point[k], again[k]));
            cr_assert_eq(isnan(back[k]), isnan(point[k]));
            seen[k] += !isnan(point[k]);
        }
    }
    // a always, b in 1/2, c in 1/3, d in 1/6 of the points; 5 sigma of 2000 draws is 0.056 at most
    const double share[4] = {1 / 6.0, 1 / 3.0, 0.5, 1};
    for (int k = 0; k < 4; k++) cr_expect(fabs((double)seen[k] / 2000 - share[k]) < 0.06, "%d: %d", k, (int)seen[k]);
    hpt_space_destroy(s);
}
