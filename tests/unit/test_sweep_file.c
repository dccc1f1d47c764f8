// SPDX-License-Identifier: Apache-2.0
// test_sweep_file.c: sweep files that load as they should, and those of tests/data/bad_sweeps.txt, which must not.
#include "core/base/alloc.h"
#include "core/space/space_impl.h"
#include "core/sweep/sweep_impl.h"
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <hpt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read_all(const char *path) {
    FILE *f = fopen(path, "rb");
    cr_assert(f != NULL, "%s is missing", path);
    fseek(f, 0, SEEK_END);
    long n = ftell(f);
    rewind(f);
    char *text = calloc((size_t)n + 1, 1);
    cr_assert(fread(text, 1, (size_t)n, f) == (size_t)n);
    fclose(f);
    return text;
}

Test(sweep_bad, every_bad_file_is_refused_with_one_line_that_names_place_and_key)
{
    char *text = read_all(HPT_SOURCE_DIR "/tests/data/bad_sweeps.txt");
    int cases = 0;
    for (char *at = strstr(text, "\n==== "); at;) {
        char *line = at + 6, *body = strchr(line, '\n') + 1, *end = strstr(body - 1, "\n==== ");
        char prefix[32], expect[200];
        int number = atoi(line), n = (int)(body - 1 - (strchr(line, ':') + 2));
        snprintf(expect, sizeof expect, "%.*s", n, strchr(line, ':') + 2);
        snprintf(prefix, sizeof prefix, "bad.yaml:%d: ", number);
        size_t size = end ? (size_t)(end - body + 1) : strlen(body);
        if (end && end < body) size = 0;
        char *file = calloc(size + 1, 1);
        memcpy(file, body, size);
        hpt_sweep *sweep = NULL;
        int rc = hpt_sweep_parse(&sweep, file, "bad.yaml");
        const char *message = hpt_last_error();
        cr_expect(rc < 0, "accepted:\n%s", file);
        cr_expect(sweep == NULL);
        cr_expect(strncmp(message, prefix, strlen(prefix)) == 0, "'%s' does not begin with '%s' for:\n%s", message,
                  prefix, file);
        cr_expect(strstr(message, expect) != NULL, "'%s' does not contain '%s' for:\n%s", message, expect, file);
        cr_expect(strchr(message, '\n') == NULL);
        free(file);
        cases++;
        at = end;
    }
    cr_assert(cases >= 150, "only %d cases", cases);
    free(text);
}

static hpt_sweep *parse(const char *text) {
    hpt_sweep *sweep = NULL;
    int rc = hpt_sweep_parse(&sweep, text, "dir/good.sweep.yaml");
    cr_assert(rc == 0, "%s", hpt_last_error());
    return sweep;
}

static void expect_describe(const hpt_sweep *sweep, const char *name, const char *expected) {
    char *text = NULL;
    cr_assert(hpt_space_describe(&text, hpt_sweep_space(sweep), name) == 0, "%s", hpt_last_error());
    cr_expect(strcmp(text, expected) == 0, "%s is '%s', not '%s'", name, text, expected);
    hpt_free(text);
}

Test(sweep_good, distributions_become_the_ranges_that_the_schema_says)
{
    hpt_sweep *s = parse("method: random\nprogram: train.py\nparameters:\n"
                         "  a: {min: 1, max: 8}\n"
                         "  b: {min: 1, max: 8.0}\n"
                         "  c: {distribution: log_uniform_values, min: 1e-4, max: 1}\n"
                         "  d: {distribution: q_uniform, min: 0, max: 10, q: 5}\n"
                         "  e: {distribution: q_log_uniform_values, min: 16, max: 256, q: 16}\n"
                         "  f: {values: [a, 1, true, null]}\n"
                         "  g: {value: 3}\n"
                         "  h: {distribution: log_uniform, min: 0, max: 0.6931471805599453}\n"
                         "  i: {min: 0.0, max: 1.0, hpt:step: 0.25}\n");
    expect_describe(s, "a", "int 1..8");
    expect_describe(s, "b", "float 1.0..8.0");
    expect_describe(s, "c", "float 0.0001..1.0 log");
    expect_describe(s, "d", "int uniform 0..10 rounded to 5");
    expect_describe(s, "e", "int log-uniform 16..256 rounded to 16");
    expect_describe(s, "f", "{a, 1, true, null}");
    expect_describe(s, "g", "constant 3");
    expect_describe(s, "h", "float 1.0..2.0 log");
    expect_describe(s, "i", "float 0.0..1.0 step 0.25");
    cr_expect(strcmp(hpt_sweep_name(s), "good.sweep") == 0, "name is the stem: %s", hpt_sweep_name(s));
    cr_expect(strstr(hpt_sweep_warning(s, 0), "'1e-4' is text by YAML 1.1") != NULL);
    hpt_sweep_destroy(s);
}

Test(sweep_good, nested_blocks_are_flattened_and_conditions_find_siblings_first)
{
    hpt_sweep *s = parse("method: random\nprogram: t\nparameters:\n"
                         "  kind: {values: [x, y]}\n"
                         "  opt:\n    parameters:\n"
                         "      kind: {values: [sgd, adam]}\n"
                         "      momentum: {min: 0.0, max: 1.0, hpt:when: {kind: sgd}}\n");
    char *text = NULL;
    cr_assert(hpt_space_describe_condition(&text, hpt_sweep_space(s), "opt.momentum") == 0);
    cr_expect(strcmp(text, "opt.kind in {sgd}") == 0, "%s", text);
    hpt_free(text);
    hpt_sweep_destroy(s);
}

Test(sweep_good, own_keys_and_options_are_read)
{
    hpt_sweep *s = parse("method: bayes\nmetric: {name: acc, goal: maximize, target: 0.9}\nprogram: t\nrun_cap: 7\n"
                         "parameters: {x: {min: 0.0, max: 1.0}}\n"
                         "hpt:\n  sampler: {type: tpe, n_startup: 20}\n  pruner: {type: median, warmup_steps: 3}\n"
                         "  resources: {cpu: 0.5, memory: 2GiB, gpu: 0.25, gpu_memory: 512MiB}\n"
                         "  parallel: 3\n  retries: 2\n  timeout: {trial: 90s, sweep: 2h}\n  grace: 5\n  seed: 9\n"
                         "  metrics: {acc: 'accuracy is ([0-9.]+)'}\n");
    cr_expect(hpt_sweep_direction(s) == HPT_MAXIMIZE && s->has_target && s->target == 0.9);
    cr_expect(strcmp(s->sampler, "tpe") == 0 && strcmp(s->pruner, "median") == 0);
    cr_assert(s->n_options == 2);
    cr_expect(strcmp(s->options[0], "tpe.n_startup=20") == 0, "%s", s->options[0]);
    cr_expect(strcmp(s->options[1], "median.n_warmup=3") == 0, "%s", s->options[1]);
    cr_expect(s->cpu == 0.5 && s->gpu == 0.25 && s->memory_bytes == 2LL << 30 && s->gpu_memory_bytes == 512LL << 20);
    cr_expect(s->parallel == 3 && s->retries == 2 && s->trial_timeout == 90 && s->sweep_timeout == 7200 &&
              s->grace == 5);
    cr_expect(s->has_seed && s->seed == 9 && s->run_cap == 7);
    cr_expect(s->n_patterns == 1 && strcmp(s->patterns[0].name, "acc") == 0);
    hpt_sweep_destroy(s);
}

// The words of a command for a point, joined by '|'.
static void expect_command(const char *command, const char *parameters, const double *point, const char *expected) {
    char text[1000], got[2000] = "";
    snprintf(text, sizeof text, "method: random\nprogram: train.py\ncommand: %s\nparameters: %s\n", command,
             parameters);
    hpt_sweep *s = parse(text);
    char **argv = NULL;
    cr_assert(hpt__sweep_command(&argv, s, point, "/run/params.json") == 0, "%s", hpt_last_error());
    for (char **a = argv; *a; a++) {
        if (a != argv) strcat(got, "|");
        strcat(got, *a);
    }
    cr_expect(strcmp(got, expected) == 0, "%s gives\n%s\nnot\n%s", command, got, expected);
    hpt_free(argv);
    hpt_sweep_destroy(s);
}

Test(sweep_command, macros_expand_as_the_agent_of_the_schema_expands_them)
{
    static const char parameters[] = "{lr: {min: 0.0, max: 1.0}, flag: {values: [true, false]}, n: {min: 1, max: 9}, "
                                     "opt: {parameters: {name: {values: [a b, c]}, rate: {min: 0.0, max: 1.0}}}, "
                                     "layers: {values: [[1, 2], null]}}";
    // lr, flag, n, opt.name, opt.rate, layers
    const double point[] = {1e-5, 0, 3, 0, 0.5, 0};
    expect_command(
        "[\"${env}\", \"${interpreter}\", \"${program}\", \"${args}\"]", parameters, point,
        "/usr/bin/env|python|train.py|--lr=1e-05|--flag=True|--n=3|--opt={'name': 'a b', 'rate': 0.5}|--layers=[1, 2]");
    expect_command("[x, \"${args_no_hyphens}\"]", parameters, point,
                   "x|lr=1e-05|flag=True|n=3|opt={'name': 'a b', 'rate': 0.5}|layers=[1, 2]");
    expect_command("[x, \"${args_no_boolean_flags}\"]", parameters, point,
                   "x|--lr=1e-05|--flag|--n=3|--opt={'name': 'a b', 'rate': 0.5}|--layers=[1, 2]");
    expect_command("[x, \"${args_no_equals}\"]", parameters, point,
                   "x|--lr|1e-05|--flag|True|--n|3|--opt|{'name': 'a b', 'rate': 0.5}|--layers|[1, 2]");
    expect_command("[x, \"${args_append_hydra}\", \"${args_override_hydra}\"]", "{n: {min: 1, max: 9}}", (double[]){4},
                   "x|+n=4|++n=4");
    expect_command(
        "[x, \"${args_json}\", \"${args_json_file}\"]", parameters, point,
        "x|{\"lr\": 1e-05, \"flag\": true, \"n\": 3, \"opt\": {\"name\": \"a b\", \"rate\": 0.5}, \"layers\": [1, "
        "2]}|/run/params.json");
    setenv("HPT_TEST_WORD", "here", 1);
    unsetenv("HPT_TEST_NONE");
    expect_command("[\"${envvar:HPT_TEST_WORD}/x\", \"${envvar:HPT_TEST_NONE}\", \"${unknown}\", 3]",
                   "{n: {min: 1, max: 9}}", (double[]){4}, "here/x|HPT_TEST_NONE|3");
}

Test(sweep_command, inactive_and_integral_values_follow_the_rules)
{
    static const char parameters[] =
        "{kind: {values: [a, b]}, x: {min: 0.0, max: 2.0, hpt:when: {kind: a}}, y: {min: 0.0, max: 2.0}}";
    expect_command("[x, \"${args}\"]", parameters, (double[]){1, NAN, 1.0}, "x|--kind=b|--y=1");
    expect_command("[x, \"${args}\"]", parameters, (double[]){0, 0.1, 1.5}, "x|--kind=a|--x=0.1|--y=1.5");
}

Test(sweep_good, yaml_anchors_and_merges_work)
{
    hpt_sweep *s = parse("method: random\nprogram: t\nparameters:\n"
                         "  a: &range {min: 0.0, max: 1.0}\n"
                         "  b: *range\n"
                         "  c: {<<: *range, max: 5.0}\n");
    expect_describe(s, "b", "float 0.0..1.0");
    expect_describe(s, "c", "float 0.0..5.0");
    hpt_sweep_destroy(s);
}

Test(sweep_good, merged_pairs_come_first_and_no_merge_key_is_lost)
{
    hpt__arena arena;
    hpt__json *tree = NULL;
    hpt__str json = HPT__STR_INIT;
    static const char text[] = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\n"
                               "c: {z: 9, <<: *a, <<: *b}\nd: {<<: [*a, *b], w: 0}\ne: {'<<': 1}\n";
    hpt__arena_init(&arena);
    cr_assert(hpt__yaml_parse(&tree, &arena, text, strlen(text), "t") == 0, "%s", hpt_last_error());
    hpt__json_compact(&json, tree);
    cr_expect(strcmp(hpt__str_text(&json), "{\"a\":{\"x\":1,\"y\":1},\"b\":{\"y\":2,\"z\":2},"
                                           "\"c\":{\"x\":1,\"y\":2,\"z\":9},\"d\":{\"y\":1,\"z\":2,\"x\":1,\"w\":0},"
                                           "\"e\":{\"<<\":1}}") == 0,
              "%s", hpt__str_text(&json));
    hpt__str_fini(&json);
    hpt__arena_fini(&arena);
}

Test(sweep_good, keys_are_text_as_written_and_core_tags_decide_the_type)
{
    hpt__arena arena;
    hpt__json *tree = NULL;
    hpt__str json = HPT__STR_INIT;
    static const char text[] =
        "on: no\n1: 2\n~: 3\na: !!int \"3\"\nb: !!float 1\nc: !!str 1\nd: !!float 1e-3\ne: !!bool yes\n";
    hpt__arena_init(&arena);
    cr_assert(hpt__yaml_parse(&tree, &arena, text, strlen(text), "t") == 0, "%s", hpt_last_error());
    hpt__json_compact(&json, tree);
    cr_expect(strcmp(hpt__str_text(&json), "{\"on\":false,\"1\":2,\"~\":3,\"a\":3,\"b\":1.0,\"c\":\"1\",\"d\":0.001,"
                                           "\"e\":true}") == 0,
              "%s", hpt__str_text(&json));
    hpt__str_fini(&json);
    hpt__arena_fini(&arena);
}

// Text of our own making, which must be refused with a message that contains `expect`.
static void expect_refused(const hpt__str *text, const char *expect) {
    hpt_sweep *sweep = NULL;
    cr_expect(hpt_sweep_parse(&sweep, hpt__str_text(text), "bad.yaml") == HPT_E_PARSE);
    cr_expect(strstr(hpt_last_error(), expect) != NULL, "'%s' does not contain '%s'", hpt_last_error(), expect);
    hpt_sweep_destroy(sweep);
}

Test(sweep_bad, nested_aliases_and_deep_nesting_are_bounded)
{
    hpt__str bomb = HPT__STR_INIT, deep = HPT__STR_INIT, ladder = HPT__STR_INIT;
    hpt__str_add(&bomb, "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n");
    for (int i = 1; i < 9; i++) { // stands for 10^9 values in 700 bytes
        hpt__str_addf(&bomb, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++) hpt__str_addf(&bomb, "%s*a%d", k ? ", " : "", i - 1);
        hpt__str_add(&bomb, "]\n");
    }
    expect_refused(&bomb, "values with aliases written out");
    hpt__str_add(&deep, "method: ");
    for (int i = 0; i < 5000; i++) hpt__str_addc(&deep, '[');
    expect_refused(&deep, "nested more than");
    hpt__str_add(&ladder, "a0: &a0 [1]\n"); // each line is shallow, what it stands for is not
    for (int i = 1; i < 300; i++) hpt__str_addf(&ladder, "a%d: &a%d [*a%d]\n", i, i, i - 1);
    expect_refused(&ladder, "nested more than");
    hpt__str_fini(&bomb);
    hpt__str_fini(&deep);
    hpt__str_fini(&ladder);
}

Test(sweep_bad, bytes_that_are_no_text_are_refused_with_their_line)
{
    hpt__str text = HPT__STR_INIT;
    hpt__str_add(&text, "method: random\nname: \"\xff\"\n");
    expect_refused(&text, "bad.yaml:2: ");
    hpt__str_clear(&text);
    hpt__str_add(&text, "method: random\n\nname: a\x01\n");
    expect_refused(&text, "bad.yaml:3: ");
    hpt__str_fini(&text);
}

Test(sweep_good, large_mappings_keep_every_key_and_find_a_repeated_one)
{
    hpt__arena arena;
    hpt__json *tree = NULL;
    hpt__str text = HPT__STR_INIT;
    enum { N = 20000 };
    for (int i = 0; i < N; i++) hpt__str_addf(&text, "k%d: %d\n", i, i);
    hpt__arena_init(&arena);
    cr_assert(hpt__yaml_parse(&tree, &arena, hpt__str_text(&text), text.len, "t") == 0, "%s", hpt_last_error());
    cr_assert(tree->o.n == N);
    for (int i = 0; i < N; i++) cr_assert(tree->o.values[i]->i == i && tree->o.values[i]->line == i + 1);
    hpt__str_add(&text, "k7: 1\n");
    cr_expect(hpt__yaml_parse(&tree, &arena, hpt__str_text(&text), text.len, "t") == HPT_E_PARSE);
    cr_expect(strcmp(hpt_last_error(),
                     "t:20001: the key 'k7' stands here again (its first value is in line 8); keep one") == 0,
              "%s", hpt_last_error());
    hpt__str_fini(&text);
    hpt__arena_fini(&arena);
}

static void expect_warning(const char *rest, const char *expected) {
    char text[600];
    snprintf(text, sizeof text, "program: t\n%s\n", rest);
    hpt_sweep *s = parse(text);
    bool found = false;
    for (int64_t i = 0; hpt_sweep_warning(s, i); i++) found = found || strstr(hpt_sweep_warning(s, i), expected);
    cr_expect(found, "no warning holds '%s'; the first is '%s'", expected,
              hpt_sweep_warning(s, 0) ? hpt_sweep_warning(s, 0) : "");
    hpt_sweep_destroy(s);
}

Test(sweep_good, doubtful_things_are_remarked_with_their_line)
{
    expect_warning("method: random\nparameters: {x: {min: 1e-5, max: 1.0}}", "yaml:3: parameters.x.min: '1e-5'");
    expect_warning("method: random\nparameters: {x: {min: 1e-5, max: 1.0}}", "read as 1.0e-05, write it so");
    expect_warning("method: random\nparameters: {x: {values: [1e-3, 1e-4]}}", "for a number write 0.001");
    expect_warning("method: random\nparameters: {x: {distribution: log_uniform, min: 0.001, max: 0.1}}",
                   "use log_uniform_values");
    expect_warning("method: random\nparameters: {x: {distribution: q_uniform, min: 0.3, max: 1.9, q: 1}}",
                   "from 0 to 2");
    expect_warning("method: random\nparameters: {x: {distribution: q_uniform, min: 1, max: 2, q: 50}}",
                   "only multiple of q");
    expect_warning("method: random\nparameters: {x: {distribution: q_log_uniform_values, min: 0.1, max: 3, q: 1}}",
                   "0 is among the values");
    expect_warning("method: grid\nparameters: {x: {distribution: q_normal, mu: 5}}", "W&B's grid refuses q_normal");
    expect_warning("method: random\nparameters: {x: {distribution: normal, mu: 5, sigma: 0}}",
                   "this is the constant 5.0");
    expect_warning("method: random\nparameters: {x: {distribution: q_beta}}", "values lie between 0 and 1");
    expect_warning("method: random\nparameters: {x: {distribution: inv_log_uniform, min: 0.1, max: 0.9}}",
                   "natural logarithms of 1/value: values run from 0.40657 to 0.904837");
    expect_warning("method: random\nparameters: {x: {values: [a, 1, b, a, 1.0]}}", "2 of 5 choices stand here again");
    expect_warning("method: custom\nmetric: {name: loss}\nparameters: {x: {values: [1, 2]}}", "read as bayes");
    expect_warning("method: random\nmetric: {name: loss}\nparameters: {x: {values: [1, 2]}}\n"
                   "early_terminate: {type: hyperband, min_iter: 1, max_iter: 9, s: 2}",
                   "min_iter is not used");
    expect_warning("method: random\nmetric: {name: loss}\nparameters: {x: {values: [1, 2]}}\n"
                   "hpt: {metrics: {los: 'l ([0-9]+)'}}",
                   "hpt.metrics.los: is neither a metric of this sweep nor 'step'");
    expect_warning("method: random\nparameters: {x: {values: [1, 2]}}\ncommand: [a, '${args_dict}', '${envvar:low}']",
                   "'${envvar:low}' is no macro");
    expect_warning("method: grid\nparameters: {x: {min: 0.0, max: 1.0}}", "a grid needs a step");
    expect_warning("method: random\nparameters: {x: {values: [1, 2]}}\ncommand: [a, '--o=${args}']",
                   "an element of its own");
    expect_warning("method: random\nparameters: {x: {values: [1, 2]}}\ncommand: [a, yes]", "passed as True");
    char many[100000] = "method: random\nprogram: t\nparameters:\n";
    for (int i = 0; i < 2000; i++) snprintf(many + strlen(many), 64, "  x%d: {min: 1e-5, max: 1.0}\n", i);
    hpt_sweep *s = parse(many);
    for (int64_t i = 0; i < 2000; i++) cr_assert(strstr(hpt_sweep_warning(s, i), "1e-5") != NULL);
    cr_expect(hpt_sweep_warning(s, 2000) == NULL);
    hpt_sweep_destroy(s);
}

Test(sweep_good, condition_values_keep_their_type)
{
    hpt_sweep *s =
        parse("method: random\nprogram: t\nparameters:\n"
              "  p: {values: ['true', true, 2, 0.5]}\n"
              "  a: {min: 1, max: 2, hpt:when: {p: true}}\n  b: {min: 1, max: 2, hpt:when: {p: 'true'}}\n"
              "  c: {min: 1, max: 2, hpt:when: {p: 2.0}}\n  d: {min: 1, max: 2, hpt:when: {p: [0.5, true]}}\n");
    static const char *const active[] = {"b", "ad", "c", "d"}; // by index of the choice
    for (int k = 0; k < 4; k++) {
        const double point[] = {k, 1, 1, 1, 1};
        char got[8] = "";
        for (int64_t i = 1; i < 5; i++)
            if (hpt__space_active(hpt_sweep_space(s), i, point)) strcat(got, hpt_space_name(hpt_sweep_space(s), i));
        cr_expect(strcmp(got, active[k]) == 0, "choice %d switches on '%s', not '%s'", k, got, active[k]);
    }
    hpt_sweep_destroy(s);
}

Test(sweep_command, whole_floats_are_integers_at_any_depth_and_a_missing_file_is_an_error)
{
    expect_command("[x, \"${args}\"]", "{a: {values: [1.0, 2.5]}, b: {value: {k: [2.0, 0.5]}}, c: {value: 1.0e+20}}",
                   (double[]){0, 0, 0}, "x|--a=1|--b={'k': [2, 0.5]}|--c=1e+20");
    expect_command("[x, \"${args_json}\"]", "{a.b: {values: [1.0]}, a: {parameters: {c: {value: true}}}}",
                   (double[]){0, 0}, "x|{\"a.b\": 1, \"a\": {\"c\": true}}");
    hpt_sweep *s = parse("method: random\nparameters: {x: {values: [1, 2]}}\ncommand: [a, '${args_json_file}']\n");
    char **argv = NULL;
    cr_expect(hpt__sweep_command(&argv, s, (double[]){0}, NULL) == HPT_E_ARG && argv == NULL);
    hpt_sweep_destroy(s);
}

// ---- every allocation fails once
static int64_t countdown;

static bool fail_kth(size_t size, void *payload) {
    (void)size;
    (void)payload;
    return countdown-- == 0;
}

Test(sweep_fault, a_number_never_turns_into_text_for_want_of_memory)
{
    static const char *const numbers[] = {"3", "0x1f", "017", "1:30", "1.5", "1:30.5", ".inf", "0b11"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        for (int64_t k = 0; k < 3; k++) {
            hpt__arena arena;
            hpt__arena_init(&arena);
            countdown = k;
            hpt__alloc_set_hook(fail_kth, NULL);
            const hpt__json *v = hpt__yaml_scalar(&arena, numbers[i], strlen(numbers[i]));
            hpt__alloc_set_hook(NULL, NULL);
            cr_expect(k == 0 ? v == NULL : v && v->kind != HPT__JSON_STRING, "%s, allocation %d", numbers[i], (int)k);
            hpt__arena_fini(&arena);
        }
    }
}

Test(sweep_fault, each_failing_allocation_gives_an_error_or_the_same_sweep)
{
    static const char text[] =
        "method: bayes\nmetric: {name: loss, impute: best}\nprogram: t\nrun_cap: 3\nparameters:\n"
        "  kind: {values: [a, b]}\n  x: {min: 1e-3, max: 1.0, hpt:when: {kind: a}}\n"
        "  n: {parameters: {m: {min: 1, max: 4}}, hpt:when: {kind: [a, b]}}\n"
        "  c: {values: [u, v, u]}\n  d: {distribution: q_normal, mu: 4}\n"
        "early_terminate: {type: hyperband, min_iter: 3, eta: 2}\n"
        "description: &d text\nentity: *d\nkind: !!str sweep\n"
        "command: [\"${env}\", a, b, \"${args}\", '-o=${args}', no]\n"
        "hpt: {sampler: {type: tpe, n_startup: 3}, metrics: {loss: 'l ([0-9]+)'}}\n";
    const double point[] = {0, 0.5, 2, 0, 3};
    int failed = 0;
    for (int64_t k = 0; k < 5000; k++) {
        hpt_sweep *sweep = NULL;
        char **argv = NULL;
        countdown = k;
        hpt__alloc_set_hook(fail_kth, NULL);
        int rc = hpt_sweep_parse(&sweep, text, "sweep.yaml");
        if (rc == 0) rc = hpt__sweep_command(&argv, sweep, point, "p.json");
        hpt__alloc_set_hook(NULL, NULL);
        const bool untouched = countdown >= 0;
        if (rc < 0) {
            failed++;
            cr_expect(rc == HPT_E_MEMORY, "allocation %lld: %s", (long long)k, hpt_last_error());
        } else {
            cr_expect(strcmp(argv[3], "--kind=a") == 0, "allocation %lld: %s", (long long)k, argv[3]);
        }
        hpt_free(argv);
        hpt_sweep_destroy(sweep);
        if (untouched) {
            cr_expect(rc == 0 && failed > 20, "%d failures", failed);
            return;
        }
    }
    cr_fatal("never enough allocations");
}
