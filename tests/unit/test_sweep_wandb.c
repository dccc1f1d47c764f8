// SPDX-License-Identifier: Apache-2.0
// test_sweep_wandb.c: sweep files of the kinds that W&B's documentation shows (tests/data/wandb), each held against the
// space, command and options that it must give; and the keys of W&B's schema that no file there needs.
#include "core/space/codec.h"
#include "core/space/space_impl.h"
#include "core/sweep/sweep_impl.h"
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <dirent.h>
#include <hpt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *file, *head, *space, *command;
} CASES[] = {
    {"bayes_hyperband", "bayes min:validation.loss pruner=bands bands.min_iter=3 bands.eta=2 bands.strict=false",
     "lr: float 0.001..0.1\nweight_decay: float 1e-06..0.01 log\n", NULL},
    {"command_hydra", "random", "model.dropout: float 0.0..0.5\nmodel.act: {silu}\n",
     "/usr/bin/env|python|main.py|+sweep=on|++model.dropout=0.25|++model.act=silu"},
    {"command_json", "random", "channels: constant [16,32]\nscale: float 0.5..1.5\n",
     "./run.sh|{\"channels\": [16, 32], \"scale\": 1}|--config|p.json"},
    {"command_macros", "random", "augment: constant true\nverbose: constant false\ncrop: int 20..28\n",
     "/usr/bin/env|OMP_NUM_THREADS=1|python|-u|tools/train.py|--data=/data/digits|--augment|--crop=24|--threads|4"},
    {"exponents", "random",
     "lr: float 0.006737946999085467..1.0 log\n"
     "temperature: float 0.1353352832366127..1.0 log\ndecay: float 0.001..1.0 log\n",
     NULL},
    {"grid_choices", "grid max:val_accuracy",
     "optimizer: {adam, sgd}\nbatch_size: {32, 64, 128}\nlayers: int 1..3\nepochs: constant 5\n",
     "/usr/bin/env|python|train.py|--optimizer=sgd|--batch_size=64|--layers=2|--epochs=5"},
    {"grid_rounded", "grid", "dropout: float 0.1..0.7 step 0.2\nunits: int 16..48 step 16\nnorm: {batch, layer}\n",
     "/usr/bin/env|python|train.py|--dropout=0.5|--units=32|--norm=layer"},
    {"impute_target", "bayes max:acc target=0.99 cap=200 impute.failed=latest impute.running=best",
     "lr: float 0.0001..0.5\n", "/usr/bin/env|python|train.py|--lr=0.25005"},
    {"labels", "random", "x: float 0.0..1.0\n", "/usr/bin/env|python|train.py|--x=0.5"},
    {"nested_model", "random min:rmse",
     "seed: constant 7\nmodel.kind: {mlp, cnn}\nmodel.head.width: int 8..24\nmodel.head.bias: constant true\n"
     "optimizer.lr: float 0.0..0.5\n",
     "/usr/bin/env|python|fit.py|--seed=7|--model={'kind': 'cnn', 'head': {'width': 16, 'bias': True}}|"
     "--optimizer={'lr': 0.25}"},
    {"normal_laws", "bayes min:loss", NULL,
     "/usr/bin/env|python|train.py|--shift=0.5|--noise=0|--scale=0.049787068367863944|--shots=20|--size=56|"
     "--coin=0.5|--mix="},
    {"pareto_metrics", "bayes max:accuracy min:latency_ms", "width: int 8..64\nquantise: {true, false}\n",
     "/usr/bin/env|python|train.py|--width=36|--quantise=False"},
    {"probabilities", "random", NULL, "/usr/bin/env|python|train.py|--optimizer=sgd|--schedule=cosine"},
    {"program_only", "random", "x: {1, 2.5, three, true, null, [4,5], {\"six\":7}}\n",
     "/usr/bin/env|python|train.py|--x=True"},
    {"random_max_iter", "random max:top1 pruner=bands bands.max_iter=27 bands.s=2",
     "depth: {18, 34, 50}\nwidth: float 0.25..2.0\n", "/usr/bin/env|python|train.py|--depth=34|--width=1.125"},
    {"random_search", "random min:loss cap=40",
     "learning_rate: float 0.0001..0.1 log\nmomentum: float 0.5..0.99\nhidden: int 16..256\n"
     "activation: {relu, gelu, tanh}\n",
     NULL},
    {"rounded", "random", NULL,
     "/usr/bin/env|python|train.py|--batch=32|--keep=0.7000000000000001|--steps=100|--plain=5|--rank=8"},
};
enum { N_CASES = sizeof CASES / sizeof *CASES };

static void append(char *text, size_t size, const char *before, const char *what, const char *after) {
    const size_t n = strlen(text);
    snprintf(text + n, size - n, "%s%s%s", before, what, after);
}

static void expect_head(const hpt_sweep *s, const char *name, const char *expected) {
    char got[1000] = "", number[40];
    append(got, sizeof got, "", hpt_sweep_method(s), "");
    for (int64_t i = 0; i < hpt_sweep_n_metrics(s); i++)
        append(got, sizeof got,
               hpt_sweep_direction_at(s, i) == HPT_MAXIMIZE ? " max:" : " min:", hpt_sweep_metric_at(s, i), "");
    snprintf(number, sizeof number, "%g", s->target);
    if (s->has_target) append(got, sizeof got, " target=", number, "");
    snprintf(number, sizeof number, "%d", (int)hpt_sweep_run_cap(s));
    if (hpt_sweep_run_cap(s)) append(got, sizeof got, " cap=", number, "");
    if (s->pruner) append(got, sizeof got, " pruner=", s->pruner, "");
    for (int64_t i = 0; i < s->n_options; i++) append(got, sizeof got, " ", s->options[i], "");
    cr_expect(strcmp(got, expected) == 0, "%s is\n%s\nnot\n%s", name, got, expected);
}

static void expect_space(const hpt_sweep *s, const char *name, const char *expected) {
    char got[2000] = "";
    for (int64_t i = 0; i < hpt_space_size(s->space); i++) {
        char *text = NULL;
        cr_assert(hpt_space_describe(&text, s->space, hpt_space_name(s->space, i)) == 0);
        append(got, sizeof got, "", hpt_space_name(s->space, i), ": ");
        append(got, sizeof got, "", text, "\n");
        hpt_free(text);
    }
    cr_expect(strcmp(got, expected) == 0, "%s has\n%s\nnot\n%s", name, got, expected);
}

// The command of the point in the middle of the space; "...=": whatever number stands last.
static void expect_command(const hpt_sweep *s, const char *name, const char *expected) {
    double cube[16], point[16];
    char got[2000] = "", **argv = NULL;
    for (int i = 0; i < 16; i++) cube[i] = 0.5;
    hpt__codec_decode(point, s->space, cube);
    cr_assert(hpt__sweep_command(&argv, s, point, "p.json") == 0, "%s: %s", name, hpt_last_error());
    for (char **word = argv; *word; word++) append(got, sizeof got, word == argv ? "" : "|", *word, "");
    const size_t n = strlen(expected);
    const bool open = expected[n - 1] == '=';
    cr_expect(open ? strncmp(got, expected, n) == 0 : strcmp(got, expected) == 0, "%s runs\n%s\nnot\n%s", name, got,
              expected);
    hpt_free(argv);
}

Test(sweep_wandb, every_documented_kind_of_file_gives_its_space_command_and_options)
{
    setenv("HPT_TEST_DATA", "/data", 1);
    int64_t warnings = 0;
    for (int i = 0; i < N_CASES; i++) {
        char path[500];
        hpt_sweep *s = NULL;
        snprintf(path, sizeof path, HPT_SOURCE_DIR "/tests/data/wandb/%s.yaml", CASES[i].file);
        cr_assert(hpt_sweep_load(&s, path) == 0, "%s", hpt_last_error());
        expect_head(s, CASES[i].file, CASES[i].head);
        if (CASES[i].space) expect_space(s, CASES[i].file, CASES[i].space);
        if (CASES[i].command) expect_command(s, CASES[i].file, CASES[i].command);
        for (int64_t k = 0; hpt_sweep_warning(s, k); k++) {
            const char *w = hpt_sweep_warning(s, k);
            cr_expect(strstr(w, "read as bayes") || strstr(w, "one choice"), "%s", w);
            warnings++;
        }
        hpt_sweep_destroy(s);
    }
    cr_expect(warnings == 2, "%d remarks: the files are what W&B documents", (int)warnings);
}

Test(sweep_wandb, the_table_above_names_every_file_of_the_folder)
{
    DIR *dir = opendir(HPT_SOURCE_DIR "/tests/data/wandb");
    int n = 0;
    cr_assert(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.') continue;
        bool found = false;
        for (int i = 0; i < N_CASES; i++) {
            const size_t len = strlen(CASES[i].file);
            found = found || (strncmp(entry->d_name, CASES[i].file, len) == 0 && !strcmp(entry->d_name + len, ".yaml"));
        }
        cr_expect(found, "%s is loaded by no test", entry->d_name);
        n++;
    }
    closedir(dir);
    cr_expect(n == N_CASES && n >= 12, "%d files", n);
}

static hpt_sweep *parse(const char *text) {
    hpt_sweep *s = NULL;
    cr_assert(hpt_sweep_parse(&s, text, "t.yaml") == 0, "%s\n%s", hpt_last_error(), text);
    return s;
}

Test(sweep_wandb, impute_false_and_no_key_leave_the_defaults_alone)
{
    hpt_sweep *s = parse("method: bayes\nmetric: {name: l}\nprogram: t\nparameters: {x: {min: 0.0, max: 1.0}}\n");
    expect_head(s, "no key", "bayes min:l");
    hpt_sweep_destroy(s);
    static const char *const spelled[] = {"false", "'false'", "no"};
    for (int i = 0; i < 3; i++) {
        char text[300];
        snprintf(text, sizeof text,
                 "method: bayes\nmetric: {name: l, impute_while_running: %s}\nprogram: t\n"
                 "parameters: {x: {min: 0.0, max: 1.0}}\n",
                 spelled[i]);
        s = parse(text);
        expect_head(s, spelled[i], "bayes min:l impute.running=none");
        hpt_sweep_destroy(s);
    }
}

Test(sweep_wandb, objectives_and_patterns_may_name_any_metric)
{
    hpt_sweep *s = parse("method: random\nprogram: t\nparameters: {x: {min: 0.0, max: 1.0}}\n"
                         "hpt:\n  objectives: [{name: acc, goal: maximize}, {name: ms}, {name: mb}]\n"
                         "  metrics: {ms: 'took ([0-9]+) ms', mb: '([0-9]+) MB', step: 'epoch ([0-9]+)'}\n");
    expect_head(s, "objectives", "random max:acc min:ms min:mb");
    cr_expect(s->n_patterns == 3 && strcmp(s->patterns[1].name, "mb") == 0);
    cr_expect(hpt_sweep_warning(s, 0) == NULL, "%s", hpt_sweep_warning(s, 0));
    cr_expect(strcmp(hpt_sweep_metric(s), "acc") == 0 && hpt_sweep_direction(s) == HPT_MAXIMIZE);
    cr_expect(hpt_sweep_metric_at(s, 3) == NULL && hpt_sweep_metric_at(s, -1) == NULL);
    hpt_sweep_destroy(s);
}

Test(sweep_wandb, a_condition_of_a_block_holds_for_all_inside_beside_their_own)
{
    hpt_sweep *s = parse("method: random\nprogram: t\nparameters:\n"
                         "  kind: {values: [cnn, mlp]}\n"
                         "  cnn:\n    hpt:when: {kind: cnn}\n    parameters:\n"
                         "      depth: {min: 1, max: 3}\n"
                         "      skip: {values: [true, false], hpt:when: {depth: [2, 3]}}\n"
                         "      pool:\n        hpt:when: {skip: true}\n        parameters: {size: {min: 1, max: 4}}\n");
    static const struct {
        const char *name, *condition;
    } expected[] = {{"cnn.depth", "kind in {cnn}"},
                    {"cnn.skip", "kind in {cnn} and cnn.depth in {2, 3}"},
                    {"cnn.pool.size", "cnn.skip in {true} and kind in {cnn}"}};
    for (int i = 0; i < 3; i++) {
        char *text = NULL;
        cr_assert(hpt_space_describe_condition(&text, s->space, expected[i].name) == 0);
        cr_expect(strcmp(text, expected[i].condition) == 0, "%s: %s", expected[i].name, text);
        hpt_free(text);
    }
    hpt_sweep_destroy(s);
}

Test(sweep_wandb, repeated_choices_are_one_of_their_joint_probability)
{
    hpt_sweep *s = parse("method: random\nprogram: t\nparameters:\n"
                         "  a: {values: [x, y, x, 1, 1.0, true]}\n"
                         "  b: {values: [[1.0], [1], 2], probabilities: [0.25, 0.25, 0.5]}\n"
                         "  c: {values: [x, y]}\n");
    const hpt__param *a = &s->space->params[0], *b = &s->space->params[1];
    cr_assert(a->n_choices == 4 && b->n_choices == 2 && !s->space->params[2].cumulative);
    const double sums[] = {2 / 6., 3 / 6., 5 / 6., 1};
    for (int i = 0; i < 4; i++) cr_expect(ieee_ulp_eq(dbl, a->cumulative[i], sums[i], 4));
    cr_expect(ieee_ulp_eq(dbl, b->cumulative[0], 0.5, 4));
    hpt_sweep_destroy(s);
    s = parse("method: grid\nprogram: t\nparameters:\n  a: {values: [x, y, x]}\n");
    cr_expect(s->space->params[0].n_choices == 2 && !s->space->params[0].cumulative, "a grid has no weights");
    hpt_sweep_destroy(s);
}

Test(sweep_wandb, probabilities_that_sum_nearly_to_one_are_scaled)
{
    hpt_sweep *s = parse("method: random\nprogram: t\nparameters:\n"
                         "  a: {values: [x, y, z], probabilities: [0.33333, 0.33333, 0.33333]}\n");
    cr_expect(ieee_ulp_eq(dbl, s->space->params[0].cumulative[0], 1 / 3., 8));
    cr_expect(s->space->params[0].cumulative[2] == 1);
    hpt_sweep_destroy(s);
}

Test(sweep_wandb, a_grid_of_q_uniform_starts_at_min_and_ends_below_max)
{
    hpt_sweep *s = parse("method: grid\nprogram: t\nparameters:\n"
                         "  a: {distribution: q_uniform, min: 1, max: 10, q: 4}\n"
                         "  b: {distribution: q_uniform, min: 1, max: 9, q: 4}\n"
                         "  c: {distribution: q_uniform, min: 1, max: 2, q: 4}\n"
                         "  d: {distribution: q_uniform, min: 0, max: 0.9, q: 0.3}\n"
                         "  e: {distribution: q_uniform, min: 0.5, max: 3}\n");
    expect_space(s, "arange",
                 "a: int 1..9 step 4\nb: int 1..5 step 4\nc: int 1..1 step 4\n"
                 "d: float 0.0..0.6 step 0.3\ne: float 0.5..2.5 step 1.0\n");
    hpt_sweep_destroy(s);
}

Test(sweep_wandb, sigma_zero_is_a_constant_of_the_right_type)
{
    hpt_sweep *s = parse("method: random\nprogram: t\nparameters:\n"
                         "  a: {distribution: normal, mu: 2, sigma: 0}\n"
                         "  b: {distribution: q_normal, mu: 7.4, sigma: 0, q: 2}\n"
                         "  c: {distribution: log_normal, sigma: 0}\n"
                         "  d: {distribution: q_normal, mu: 0.26, sigma: 0, q: 0.1}\n");
    expect_space(s, "sigma 0", "a: constant 2.0\nb: constant 8\nc: constant 1.0\nd: constant 0.30000000000000004\n");
    hpt_sweep_destroy(s);
}

Test(sweep_wandb, values_are_whole_exactly_when_q_is_written_as_an_integer)
{
    hpt_sweep *s = parse("method: random\nprogram: t\nparameters:\n"
                         "  a: {distribution: q_uniform, min: 0, max: 9}\n"
                         "  b: {distribution: q_uniform, min: 0.5, max: 9.5, q: 3}\n"
                         "  c: {distribution: q_uniform, min: 0, max: 9, q: 3.0}\n"
                         "  d: {distribution: q_log_normal, q: 1}\n  e: {distribution: q_beta, q: 0.5}\n"
                         "  f: {distribution: q_log_uniform, min: 0, max: 2}\n");
    for (int64_t i = 0; i < 6; i++) {
        const bool whole = s->space->params[i].kind == HPT__PARAM_INT;
        cr_expect(whole == (i != 2 && i != 4), "%s", s->space->params[i].name);
    }
    hpt_sweep_destroy(s);
}

Test(sweep_wandb, variables_are_replaced_before_macros_are_looked_for)
{
    char **argv = NULL;
    hpt_sweep *s =
        parse("method: random\nparameters: {x: {value: 1}}\n"
              "command: [a, '${envvar:HPT_T_1}', '${envvar:HPT_T_2}', '<${envvar:HPT_T_1}>', '${envvar:}',\n"
              "  '${envvar:HPT_T_NONE}', '${envvar:low}', '${a} and ${b}', '${args', '$${args}', 3, 0.50]\n");
    setenv("HPT_T_1", "${args}", 1);
    setenv("HPT_T_2", "${envvar:HPT_T_1}", 1); // not looked at twice, thus an unknown macro
    unsetenv("HPT_T_NONE");
    cr_assert(hpt__sweep_command(&argv, s, (double[]){0}, NULL) == 0, "%s", hpt_last_error());
    static const char *const expected[] = {"a",      "--x=1",    "<${args}>", "",   "HPT_T_NONE",
                                           "${args", "$${args}", "3",         "0.5"};
    for (int i = 0; i < 9; i++) cr_expect(argv[i] && strcmp(argv[i], expected[i]) == 0, "word %d is '%s'", i, argv[i]);
    cr_expect(argv[9] == NULL);
    hpt_free(argv);
    setenv("HPT_T_1", "${program}", 1);
    cr_expect(hpt__sweep_command(&argv, s, (double[]){0}, NULL) == HPT_E_ARG, "there is no program");
    setenv("HPT_T_1", "${args_json_file}", 1);
    cr_expect(hpt__sweep_command(&argv, s, (double[]){0}, NULL) == HPT_E_ARG, "there is no file");
    hpt_sweep_destroy(s);
}

Test(sweep_wandb, an_empty_command_is_the_default_one)
{
    hpt_sweep *s = parse("method: random\nprogram: t.py\nparameters: {x: {value: 1}}\ncommand: []\n");
    expect_command(s, "empty", "/usr/bin/env|python|t.py|--x=1");
    hpt_sweep_destroy(s);
}

Test(sweep_wandb, every_pruner_may_be_named_with_its_options)
{
    static const char *const good[][2] = {
        {"{type: asha, reduction_factor: 3, min_resource: 2}", "asha.reduction_factor=3 asha.min_resource=2"},
        {"{type: percentile, percentile: 40, n_startup_trials: 2}", "percentile.percentile=40 percentile.n_startup=2"},
        {"{type: threshold, upper: 3.5, n_warmup_steps: 4}", "threshold.upper=3.5 threshold.n_warmup=4"},
        {"{type: patience, patience: 3, wrapped_pruner: {type: median, interval_steps: 2}}",
         "patience.patience=3 median.interval=2 patience.pruner=median"},
        {"{type: patience, pruner: asha}", "patience.pruner=asha"},
        {"{type: hyperband, max_resource: 81}", "hyperband.max_resource=81"},
        {"{type: bands, min_iter: 3, eta: 1.5, strict: false}", "bands.min_iter=3 bands.eta=1.5 bands.strict=false"},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char text[400], expected[300];
        snprintf(text, sizeof text,
                 "method: random\nmetric: {name: l}\nprogram: t\nparameters: {x: {value: 1}}\nhpt: {pruner: %s}\n",
                 good[i][0]);
        hpt_sweep *s = parse(text);
        snprintf(expected, sizeof expected, "random min:l pruner=%s %s", s->pruner, good[i][1]);
        expect_head(s, good[i][0], expected);
        hpt_sweep_destroy(s);
    }
}
