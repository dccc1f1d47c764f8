// SPDX-License-Identifier: Apache-2.0
// test_run_computed.c: trials that ask for different amounts: each gets its own, no device ever holds more than it has, nobody
// is forgotten; placement; and the engine's part of a GPU.
#include "core/sched/run_impl.h"
#include "run_support.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(run_computed, .init = run_enter, .fini = run_leave);

static int count(const char *command) {
    char text[64] = "";
    FILE *p = popen(command, "r");
    cr_assert(p && fgets(text, sizeof text, p), "%s", command);
    pclose(p);
    return atoi(text);
}

// Each trial enters its device's folder with its memory in MiB, adds up who is there, and leaves.
static const char ENTER[] =
    "d=dev.$CUDA_VISIBLE_DEVICES; mkdir -p $d; m=$((HPT_GPU_MEM_BYTES >> 20)); echo $m > $d/$HPT_TRIAL; sleep 0.05; "
    "cat $d/* 2>/dev/null | awk '{s += $1} END {print s}' >> sums; rm $d/$HPT_TRIAL; "
    "echo $HPT_PARAM_B $m $CUDA_VISIBLE_DEVICES >> seen; echo loss=1";

static void sweep(const char *script, int cap, const char *resources) {
    char text[8192];
    snprintf(text, sizeof text,
             "name: t\nmethod: random\nmetric: {name: loss, goal: minimize}\nrun_cap: %d\n"
             "command: [sh, trial.sh]\nparameters:\n  b: {values: [1, 4, 16, 36]}\nhpt: {seed: 4, resources: {%s}}\n",
             cap, resources);
    run_file("trial.sh", script, false);
    run_file("sweep.yaml", text, false);
}

static hpt_run_options on(const char *gpus) {
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.gpus = gpus;
    return o;
}

Test(run_computed, each_trial_gets_what_its_point_asks_for_and_no_device_holds_more_than_it_has)
{
    sweep(ENTER, 40, "cpu: 0.01, gpu: 0.05, gpu_memory: \"{b} * 1GiB\"");
    hpt_run_options o = on("2x40GiB");
    hpt_run_summary s = run_ok(&o);
    cr_assert_eq(s.n_done, 40);
    cr_assert_eq(count("awk '$2 != $1 * 1024' seen | wc -l"), 0, "its own amount");
    cr_assert_eq(count("sort -n sums | tail -n 1") <= 40 * 1024, 1, "%d", count("sort -n sums | tail -n 1"));
    cr_assert_eq(count("sort -u seen | cut -d' ' -f1 | sort -u | wc -l"), 4, "all four sizes ran");
    cr_assert(record.most_running >= 3, "small ones ran beside each other: %d", (int)record.most_running);
    for (int i = 0; i < 40; i++) cr_assert_eq(record.starts[i], 1, "trial %d", i);
}

Test(run_computed, a_run_that_is_stopped_while_trials_wait_is_taken_up_again)
{
    sweep("touch started.$HPT_TRIAL; [ $HPT_TRIAL = 0 ] && [ ! -e again ] && sleep 30; echo loss=1", 12,
          "cpu: 0.01, gpu: 0.5, gpu_memory: \"max(21, {b}) * 1GiB\"");
    hpt_run_options o = on("1x40GiB");
    const pid_t pid = run_fork(&o);
    run_wait_for("started.0"); // holds the device, so that those after it wait
    run_nap(0.3);
    cr_assert_eq(kill(pid, SIGTERM), 0);
    cr_assert_eq(run_wait_exit(pid), 100 + HPT_RUN_END_STOPPED);
    run_file("again", "", false);
    hpt_run_summary s = run_ok(&o);
    cr_assert_eq(s.n_done, 12, "nobody is forgotten");
    cr_assert_eq(run_processes_after(2), 0);
}

Test(run_computed, a_trial_whose_amount_makes_no_sense_fails_alone)
{
    sweep("echo loss=1", 12, "cpu: \"0.001 * ({b} - 4) * ({b} - 4) + 0.0001\"");
    hpt_run_options o = on("0");
    run_ok(&o);
    int failed = 0;
    for (int i = 0; i < 12; i++) {
        failed += record.outcome[i] == HPT_OUTCOME_FAILED;
        if (record.outcome[i] == HPT_OUTCOME_FAILED)
            cr_assert(strstr(record.reason[i], "0.0001 cores cannot be given"), "%s", record.reason[i]);
    }
    cr_assert(failed > 0 && failed < 12, "%d", failed);
}

Test(run_computed, spread_uses_every_device_and_pack_fills_one_first)
{
    static const char spread[] = "run.placement=spread";
    static const char *const options[] = {spread};
    sweep("echo $CUDA_VISIBLE_DEVICES >> seen; sleep 0.2; echo loss=1", 2, "cpu: 0.01, gpu: 0.25");
    hpt_run_options o = on("4x40GiB");
    o.slots = 2;
    run_ok(&o);
    cr_assert_eq(count("sort -u seen | wc -l"), 1);
    run_leave();
    run_enter();
    sweep("echo $CUDA_VISIBLE_DEVICES >> seen; sleep 0.2; echo loss=1", 2, "cpu: 0.01, gpu: 0.25");
    o.options = options;
    o.n_options = 1;
    run_ok(&o);
    cr_assert_eq(count("sort -u seen | wc -l"), 2);
}

// ---- the engine's own use of a GPU

static hpt__run planned(const char *method, const char *resources, const char *device, const char *option) {
    static hpt_run_options o;
    static const char *options[1];
    static hpt_sweep *s;
    char text[512];
    snprintf(
        text, sizeof text,
        "name: t\nmethod: %s\nmetric: {name: loss, goal: minimize}\nprogram: t\nparameters: {x: {min: 0.0, max: 1.0}}\n"
        "hpt: {resources: {%s}}\n",
        method, resources);
    cr_assert_eq(hpt_sweep_parse(&s, text, "t.yaml"), 0, "%s", hpt_last_error());
    o = on("2x40GiB");
    o.device = device;
    options[0] = option;
    o.options = options;
    o.n_options = option != NULL;
    hpt__run run = {.sweep = s, .o = &o};
    cr_assert_eq(hpt__run_plan(&run), 0, "%s", hpt_last_error());
    hpt_sweep_destroy(s);
    return run;
}

Test(run_computed, device_auto_leaves_gpus_to_trials_that_ask_for_them)
{
    const int64_t GIB = 1 << 30;
    static const char share[] = "cpu: 0.01, gpu: 0.25";
    hpt__run run = planned("bayes", share, NULL, NULL);
    cr_assert_str_eq(run.engine_options[0], "gp.accelerator=false");
    cr_assert_eq(run.ledger.gpus[0].engine, 0);
    cr_assert_eq(run.n_slots, 8);
    hpt__ledger_fini(&run.ledger);
    run = planned("bayes", share, NULL, "gp.memory=1536");
    cr_assert_str_eq(run.engine_options[0], "gp.accelerator=true");
    cr_assert_eq(run.ledger.gpus[0].engine, 2 * GIB, "with the driver's context");
    cr_assert_eq(run.ledger.gpus[0].memory, 38 * GIB);
    cr_assert_eq(run.n_slots, 8, "shares are of what is left");
    hpt__ledger_fini(&run.ledger);
    run = planned("bayes", share, "cuda:1", NULL);
    cr_assert_str_eq(run.engine_options[0], "");
    cr_assert_str_eq(run.engine_options[1], "gp.memory=5120");
    cr_assert_eq(run.ledger.gpus[0].engine, 0);
    cr_assert_eq(run.ledger.gpus[1].engine, 5 * GIB + GIB / 2);
    hpt__ledger_fini(&run.ledger);
    static const struct {
        const char *method, *resources, *device;
    } none[] = {{"bayes", share, "cpu"}, {"random", share, "cuda"}, {"bayes", "cpu: 0.01", NULL}};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        run = planned(none[i].method, none[i].resources, none[i].device, NULL);
        cr_assert(!run.engine_options[0][0] && !run.engine_options[1][0], "case %zu", i);
        hpt__ledger_fini(&run.ledger);
    }
}
