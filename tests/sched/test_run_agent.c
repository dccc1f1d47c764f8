// SPDX-License-Identifier: Apache-2.0
// test_run_agent.c: what hpt_run_sweep has of the W&B agent: its variables, its rules for giving up, preemption; and
// kinds of failures.
#include "run_support.h"

#include "core/base/str.h"
#include "core/sched/run_impl.h"
#include <criterion/criterion.h>
#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(run_wandb, .init = run_enter, .fini = run_leave);
TestSuite(run_guard, .init = run_enter, .fini = run_leave);
TestSuite(run_preempt, .init = run_enter, .fini = run_leave);
TestSuite(run_cause, .init = run_enter, .fini = run_leave);

// ---- variables

// Value of a variable that the trial saw; "-" if it was not set. Static memory.
static const char *seen(const char *study, int trial, const char *name) {
    static char out[4096];
    char path[128], want[64];
    snprintf(path, sizeof path, "hpt_runs/%s/trials/%06d/env", study, trial);
    snprintf(want, sizeof want, "\n%s=", name);
    snprintf(out, sizeof out, "-");
    char text[65536];
    snprintf(text, sizeof text, "\n%s", run_read(path));
    const char *p = strstr(text, want);
    if (p) {
        p += strlen(want);
        snprintf(out, sizeof out, "%.*s", (int)strcspn(p, "\n"), p);
    }
    return out;
}

static void run_env_sweep(const char *study, int n) {
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    run_sweep_file("env > $HPT_TRIAL_DIR/env; echo loss=1", n, NULL);
    o.study = study;
    o.slots = 2;
    run_ok(&o);
}

static bool is_id(const char *text) {
    size_t n = 0;
    while (islower((unsigned char)text[n]) || isdigit((unsigned char)text[n])) n++;
    return n == 8 && !text[n];
}

Test(run_wandb, identifiers_are_one_a_study_and_one_a_trial)
{
    char sweep[16], ids[40][16];
    run_env_sweep("t", 40);
    snprintf(sweep, sizeof sweep, "%s", seen("t", 0, "WANDB_SWEEP_ID"));
    cr_assert(is_id(sweep), "%s", sweep);
    for (int i = 0; i < 40; i++) {
        cr_assert_str_eq(seen("t", i, "WANDB_SWEEP_ID"), sweep);
        snprintf(ids[i], sizeof ids[i], "%s", seen("t", i, "WANDB_RUN_ID"));
        cr_assert(is_id(ids[i]), "%s", ids[i]);
        for (int k = 0; k < i; k++) cr_assert_str_neq(ids[i], ids[k]);
    }
    run_env_sweep("u", 1);
    cr_assert_str_neq(seen("u", 0, "WANDB_SWEEP_ID"), sweep, "another study");
    cr_assert_str_neq(seen("u", 0, "WANDB_RUN_ID"), ids[0]);
}

Test(run_wandb, nothing_goes_to_the_network_unless_the_user_said_so)
{
    static const struct {
        const char *set, *value, *mode;
        bool sweep_id;
    } cases[] = {
        {NULL, NULL, "offline", true},
        {"WANDB_MODE", "disabled", "disabled", true},
        {"WANDB_MODE", "online", "online", false}, // a server would not know our sweep
        {"WANDB_API_KEY", "0123", "-", false},
        {"WANDB_DISABLED", "true", "-", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[8];
        snprintf(name, sizeof name, "w%zu", i);
        if (cases[i].set) setenv(cases[i].set, cases[i].value, 1);
        run_env_sweep(name, 1);
        if (cases[i].set) unsetenv(cases[i].set);
        cr_assert_str_eq(seen(name, 0, "WANDB_MODE"), cases[i].mode);
        cr_assert_eq(strcmp(seen(name, 0, "WANDB_SWEEP_ID"), "-") != 0, cases[i].sweep_id, "%zu", i);
        cr_assert(strstr(seen(name, 0, "WANDB_DIR"), "/trials/000000"));
    }
    setenv("WANDB_DIR", "/somewhere", 1);
    setenv("WANDB_SWEEP_ID", "mine", 1);
    setenv("WANDB_RUN_ID", "stale", 1);
    run_env_sweep("t", 1);
    cr_assert_str_eq(seen("t", 0, "WANDB_DIR"), "/somewhere");
    cr_assert_str_eq(seen("t", 0, "WANDB_SWEEP_ID"), "mine");
    cr_assert(is_id(seen("t", 0, "WANDB_RUN_ID")), "one run for all trials would mix them");
    unsetenv("WANDB_DIR");
    unsetenv("WANDB_SWEEP_ID");
    unsetenv("WANDB_RUN_ID");
}

Test(run_wandb, the_parameter_file_is_nested_as_the_sweep)
{
    run_sweep_file("cat $WANDB_SWEEP_PARAM_PATH; echo loss=1", 1,
                   "  flag: {value: true}\n  opt: {parameters: {lr: {value: 1.0e-05}, name: {values: [adam]}}}\n");
    run_ok(NULL);
    const char *text = run_read("hpt_runs/t/trials/000000/stdout.log");
    cr_assert(strstr(text, "wandb_version: 1\n\n\"x\": {\"value\": 0."), "%s", text);
    cr_assert(strstr(text, "\"flag\": {\"value\": true}\n"), "%s", text);
    cr_assert(strstr(text, "\"opt\": {\"value\": {\"lr\": 1.0e-05, \"name\": \"adam\"}}\n"), "%s", text);
}

// ---- giving up

static hpt_run_summary run_slots(int slots) {
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.slots = slots;
    return run_ok(&o);
}

Test(run_guard, failures_in_the_first_minute_end_the_run_once_they_are_half_also_after_successes)
{
    run_sweep_file("[ $HPT_TRIAL -ge 4 ] && exit 1; echo loss=1", 50, NULL);
    hpt_run_summary s = run_slots(1);
    cr_assert_eq(s.end, HPT_RUN_END_FLAPPING);
    cr_assert(s.n_failed == 4 && s.n_done == 4, "%d failed", (int)s.n_failed);
    cr_assert(strstr(record.end, "too many"), "%s", record.end);
}

Test(run_guard, a_few_failures_among_many_trials_do_not)
{
    run_sweep_file("[ $((HPT_TRIAL % 8)) = 7 ] && exit 1; echo loss=1", 64, NULL);
    hpt_run_summary s = run_slots(2);
    cr_assert_eq(s.end, HPT_RUN_END_CAP);
    cr_assert_eq(s.n_failed, 8);
}

Test(run_guard, without_the_first_rule_the_second_ends_it_after_five)
{
    run_sweep_file("[ $HPT_TRIAL = 1 ] && echo loss=1 || exit 1", 50, NULL);
    setenv("WANDB_AGENT_DISABLE_FLAPPING", "true", 1);
    hpt_run_summary s = run_slots(1);
    cr_assert_eq(s.end, HPT_RUN_END_FLAPPING);
    cr_assert_eq(s.n_failed, 5);
    cr_assert(strstr(record.notices, "WANDB_AGENT_MAX_INITIAL_FAILURES"));
    setenv("WANDB_AGENT_MAX_INITIAL_FAILURES", "11", 1);
    run_sweep_file("exit 1", 50, NULL);
    s = run_slots(1);
    cr_assert_eq(s.n_failed, 5 + 11, "it counts this run's trials, as an agent does");
    setenv("HPT_DISABLE_FLAPPING", "1", 1);
    s = run_slots(1);
    cr_assert_eq(s.end, HPT_RUN_END_CAP);
    cr_assert_eq(s.n_failed, 49);
}

// ---- preemption

Test(run_preempt, who_announces_it_and_ends_badly_is_started_again_under_its_number)
{
    static const char *const ends[] = {"echo '{\"preempting\": true}' >&3; exit 1",
                                       "echo preempting=1 >> $HPT_REPORT_FILE; kill -TERM $$",
                                       "echo step=1 loss=9 preempting=true >&3; kill -KILL $$; sleep 9"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        char script[512], name[8];
        hpt_run_options o = HPT_RUN_OPTIONS_INIT;
        snprintf(script, sizeof script,
                 "if [ $HPT_RESUME = 0 ]; then echo $HPT_TRIAL > $HPT_CHECKPOINT_DIR/c; %s; fi; "
                 "[ $HPT_TRIAL = $(cat $HPT_CHECKPOINT_DIR/c) ] && echo loss=$HPT_ATTEMPT",
                 ends[i]);
        run_sweep_file(script, 6, "hpt: {retries: 3}\n");
        snprintf(name, sizeof name, "p%zu", i);
        o.study = name;
        o.slots = 2;
        hpt_run_summary s = run_ok(&o);
        cr_assert(s.end == HPT_RUN_END_CAP && s.n_done == 6 && s.n_failed == 0, "%s: %d done, %s", ends[i],
                  (int)s.n_done, record.reason[0]);
        cr_assert_eq(s.best, 1.0);
        int64_t counts[5];
        run_counts(counts, name);
        cr_assert_eq(counts[HPT_TRIAL_COMPLETE], 6, "no further trial was made");
        for (int k = 0; k < 6; k++) cr_assert_eq(record.starts[k], 2);
        cr_assert(strstr(run_attr(name, 3, "s:hpt:attempts"), "{\"outcome\": \"preempted\", "), "%s",
                  run_attr(name, 3, "s:hpt:attempts"));
        cr_assert_str_eq(run_attr(name, 3, "s:hpt:outcome"), "");
    }
}

Test(run_preempt, exit_0_is_done_and_a_word_withdrawn_or_on_stdout_means_nothing)
{
    run_sweep_file("echo preempting=1 >&3; echo loss=2", 1, NULL);
    cr_assert_eq(run_ok(NULL).n_done, 1);
    run_sweep_file("echo preempting=1 >&3; echo preempting=0 >&3; echo preempting=1; exit 1", 2, NULL);
    hpt_run_summary s = run_ok(NULL);
    cr_assert_eq(s.n_failed, 1);
    cr_assert_str_eq(record.reason[1], "exit code 1");
}

Test(run_preempt, a_trial_that_is_always_preempted_fails_in_the_end)
{
    run_sweep_file("echo preempting=1 >&3; exit 1", 1, NULL);
    hpt_run_summary s = run_ok(NULL);
    cr_assert_eq(s.n_failed, 1);
    cr_assert_eq(record.starts[0], 101);
    cr_assert_str_eq(record.reason[0], "preempted 101 times");
}

Test(run_preempt, the_c_client_announces_it)
{
    run_file("trial.c",
             "#include <hpt/client.h>\n"
             "int main(void) {\n"
             "    if (!hpt_client_resume()) return hpt_client_preempting() == 0 ? 3 : 4;\n"
             "    return hpt_client_report_metric(1, \"loss\", 0.5) == HPT_CLIENT_STOP;\n"
             "}\n",
             false);
    if (system("cc -std=c99 -Wall -Wextra -pedantic -Werror -I" HPT_SOURCE_DIR "/include -o trial trial.c") != 0)
        cr_assert_fail("client.h does not compile as C99");
    run_sweep_file("exec ./trial", 1, NULL);
    hpt_run_summary s = run_ok(NULL);
    cr_assert(s.n_done == 1 && s.best == 0.5 && record.starts[0] == 2, "%s", record.reason[0]);
}

Test(run_preempt, the_run_that_is_stopped_meanwhile_leaves_it_to_the_next)
{
    run_sweep_file("echo $HPT_ATTEMPT >> tries; [ $HPT_ATTEMPT -ge 3 ] && { echo loss=1; exit; }; sleep 0.1; "
                   "touch up; echo preempting=1 >&3; exit 7",
                   1, NULL);
    pid_t pid = run_fork(NULL);
    run_wait_for("up");
    kill(pid, SIGTERM);
    const int code = run_wait_exit(pid);
    cr_assert(code == 100 + HPT_RUN_END_STOPPED || code == 100 + HPT_RUN_END_CAP, "%d", code);
    hpt_run_summary s = run_ok(NULL);
    cr_assert(s.n_done == 1 && s.n_failed == 0, "%s", record.reason[0]);
    // SIGTERM may come before an attempt has written its line, never twice for one number.
    int last = -1, attempt = 0, used = 0;
    const char *tries = run_read("tries");
    for (const char *line = tries; sscanf(line, "%d%n", &attempt, &used) == 1; line += used) {
        cr_assert_gt(attempt, last, "%s", tries);
        last = attempt;
    }
    cr_assert(tries[0] == '0' && last == 3, "%s", tries);
}

// ---- kinds of failures

Test(run_cause, numbers_do_not_make_another_kind)
{
    static const char *const cases[][2] = {
        {"exit code 3", "exit code 3"},
        {"exit code 3: loss 0.25 at step 17", "exit code 3: loss N at step N"},
        {"exit code 3: loss 1e-05 at step 4", "exit code 3: loss N at step N"},
        {"exit code 1: at 0x7ffd12 of layer12.weight", "exit code 1: at N of layerN.weight"},
        {"killed by SIGSEGV: tensor 3f9a77bc01 of facade", "killed by SIGSEGV: tensor N of facade"},
        {"ran longer than 0.5 s", "ran longer than N s"},
        {"exit code 1: v1.2.3, -4,5", "exit code 1: vN, -N,N"},
        {"metric is NaN", "metric is NaN"},
        {"", ""},
        {"12", "N"},
        {"1.", "N."},
        {"2e", "Ne"},
        {"0x", "Nx"},
    };
    hpt__str out = HPT__STR_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hpt__cause_text(&out, cases[i][0]);
        cr_assert_str_eq(hpt__str_text(&out), cases[i][1]);
    }
    hpt__str_fini(&out);
}

Test(run_cause, failures_of_one_kind_are_counted)
{
    run_sweep_file("case $((HPT_TRIAL % 3)) in 0) echo loss=1;; 1) echo \"bad value $HPT_PARAM_X\" >&2; exit 1;; "
                   "2) exit 9;; esac",
                   30, NULL);
    setenv("HPT_DISABLE_FLAPPING", "1", 1);
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.slots = 1;
    run_ok(&o);
    for (int i = 0; i < 30; i++) {
        const int64_t n = i % 3 == 0 ? 0 : i / 3 + 1;
        cr_assert_eq(record.n_cause[i], n, "trial %d: %d", i, (int)record.n_cause[i]);
    }
    cr_assert_str_eq(record.cause[0], "");
    cr_assert_str_eq(record.cause[1], "exit code 1: bad value N");
    cr_assert_str_eq(record.cause[28], "exit code 1: bad value N");
    cr_assert_str_eq(record.cause[29], "exit code 9");
}
