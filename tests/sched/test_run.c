// SPDX-License-Identifier: Apache-2.0
// test_run.c: hpt_run_sweep with real processes: how trials report, end, and are told.
#include "run_support.h"

#include <criterion/criterion.h>
#include <hpt/status.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(run_basic, .init = run_enter, .fini = run_leave);
TestSuite(run_report, .init = run_enter, .fini = run_leave);
TestSuite(run_outcome, .init = run_enter, .fini = run_leave);
TestSuite(run_refused, .init = run_enter, .fini = run_leave);

static bool exists(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0;
}

Test(run_basic, six_trials_are_run_and_told)
{
    run_sweep_file("echo \"loss=$HPT_PARAM_X\"", 6, NULL);
    hpt_run_summary s = run_ok(NULL);
    cr_assert_eq(s.end, HPT_RUN_END_CAP);
    cr_assert_eq(s.n_done, 6);
    cr_assert_eq(s.n_failed, 0);
    cr_assert_str_eq(s.study, "t");
    cr_assert_str_eq(s.run_dir, "hpt_runs/t");
    cr_assert_eq(record.n_started, 6);
    cr_assert_eq(record.n_ended, 6);
    cr_assert_eq(record.n_reports, 6);
    cr_assert(record.best_events >= 1);
    cr_assert(record.most_running <= 2);
    double best = INFINITY;
    for (int i = 0; i < 6; i++) {
        cr_assert_eq(record.starts[i], 1);
        cr_assert(record.value[i] >= 0 && record.value[i] <= 1);
        if (record.value[i] < best) best = record.value[i];
    }
    cr_assert_eq(s.best, best);
    cr_assert_eq(record.value[s.best_number], best);
    cr_assert_eq(run_processes(), 0);
    // What the study holds is what was reported: value and parameter are the same number.
    hpt_study *study = run_study("t");
    for (int i = 0; i < 6; i++) {
        hpt_trial *t;
        double x;
        const double *v;
        int64_t n;
        cr_assert_eq(hpt_study_trial(&t, study, i), 0);
        cr_assert_eq(hpt_trial_get_float(&x, t, "x"), 0);
        cr_assert_eq(hpt_trial_values(&v, &n, t), 0);
        cr_assert(n == 1 && v[0] == x && x == record.value[i]);
        hpt_trial_destroy(t);
    }
    hpt_study_close(study);
    cr_assert(exists("hpt_runs/t/sweep.yaml") && exists("hpt_runs/t/study.db") && exists("hpt_runs/latest/study.db"));
    cr_assert(exists("hpt_runs/t/trials/000005/stdout.log") && exists("hpt_runs/t/trials/000005/params.json"));
    cr_assert_not(exists("hpt_runs/t/socket"), "nothing listens any more");
}

// With several slots and programs that end at once, starts and ends meet in every order.
Test(run_basic, a_thousand_short_trials_all_come_through)
{
    run_file("sweep.yaml",
             "name: t\nmethod: random\nrun_cap: 1000\ncommand: [\"true\"]\nparameters:\n  x: {min: 0.0, max: 1.0}\n",
             false);
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.slots = 6;
    hpt_run_summary s = run_ok(&o);
    cr_assert_eq(s.n_done, 1000, "%d failed: %s", (int)s.n_failed, record.reason[0]);
    cr_assert_eq(record.n_ended, 1000);
}

Test(run_basic, a_finished_sweep_run_again_starts_nothing)
{
    run_sweep_file("echo loss=1", 3, NULL);
    run_ok(NULL);
    hpt_run_summary s = run_ok(NULL);
    cr_assert_eq(s.end, HPT_RUN_END_CAP);
    cr_assert_eq(s.n_done, 3);
    cr_assert_eq(record.n_started, 0);
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.slots = 2;
    o.n_trials = 5; // more of the same
    s = run_ok(&o);
    cr_assert_eq(record.n_started, 2);
    cr_assert_eq(s.n_done, 5);
}

Test(run_basic, slots_bound_what_runs_at_once)
{
    for (int slots = 1; slots <= 5; slots += 2) {
        char extra[64], script[512];
        // The first ones stay until all slots are taken once, however slow the machine is at the moment.
        snprintf(script, sizeof script,
                 "cd $HPT_RUN_DIR; mkdir on.$HPT_TRIAL; while :; do n=$(ls -d on.* | wc -l); echo $n >> most; "
                 "[ $n -ge %d ] && touch full; [ -e full ] && break; sleep 0.02; done; sleep 0.05; "
                 "rmdir on.$HPT_TRIAL; echo loss=1",
                 slots);
        run_sweep_file(script, 12, NULL);
        hpt_run_options o = HPT_RUN_OPTIONS_INIT;
        snprintf(extra, sizeof extra, "s%d", slots);
        o.study = extra;
        o.slots = slots;
        run_ok(&o);
        char path[64];
        snprintf(path, sizeof path, "hpt_runs/s%d/most", slots);
        int most = 0;
        for (const char *p = run_read(path); *p; p = strchr(p, '\n') + 1)
            if (atoi(p) > most) most = atoi(p);
        cr_assert_eq(most, slots);
        cr_assert_eq(record.most_running, slots);
    }
}

Test(run_basic, trials_see_their_environment)
{
    run_sweep_file("env > $HPT_TRIAL_DIR/env; pwd > $HPT_TRIAL_DIR/cwd; cat > $HPT_TRIAL_DIR/stdin; "
                   "ls -l /proc/self/fd > $HPT_TRIAL_DIR/fds; ps -o sid= -p $$ > $HPT_TRIAL_DIR/sid; "
                   "echo $$ > $HPT_TRIAL_DIR/pid; echo loss=1",
                   2, "  opt.name: {values: [adam]}\n  flag: {value: true}\n  n: {value: 3}\n");
    char here[4096], text[8192], want[256];
    cr_assert(getcwd(here, sizeof here));
    setenv("HPT_PARAM_STALE", "1", 1);
    run_ok(NULL);
    snprintf(text, sizeof text, "\n%s", run_read("hpt_runs/t/trials/000001/env"));
    static const char *const lines[] = {
        "HPT_TRIAL=1",         "HPT_ATTEMPT=0", "HPT_RESUME=0", "HPT_STUDY=t", "HPT_PARAM_OPT_NAME=adam",
        "HPT_PARAM_FLAG=true", "HPT_PARAM_N=3", "HPT_FD=3"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        snprintf(want, sizeof want, "\n%s\n", lines[i]);
        cr_assert(strstr(text, want), "no %s in %s", lines[i], text);
    }
    static const char *const paths[][2] = {
        {"HPT_RUN_DIR", "/hpt_runs/t"},
        {"HPT_TRIAL_DIR", "/hpt_runs/t/trials/000001"},
        {"HPT_CHECKPOINT_DIR", "/hpt_runs/t/trials/000001/checkpoint"},
        {"HPT_PARAMS_FILE", "/hpt_runs/t/trials/000001/params.json"},
        {"HPT_REPORT_FILE", "/hpt_runs/t/trials/000001/report.log"},
        {"HPT_STOP_FILE", "/hpt_runs/t/trials/000001/stop"},
        {"HPT_SOCKET", "/hpt_runs/t/socket"},
        {"HPT_SWEEP_DIR", ""},
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        snprintf(want, sizeof want, "\n%s=%s%s\n", paths[i][0], here, paths[i][1]);
        cr_assert(strstr(text, want), "no %s in %s", want, text);
    }
    snprintf(want, sizeof want, "\nHPT_STORAGE=sqlite:///%s/hpt_runs/t/study.db\n", here);
    cr_assert(strstr(text, want), "no %s", want);
    cr_assert(strstr(text, "\nHPT_SEED=") && strstr(text, "\nHPT_RUN_ID=") && !strstr(text, "STALE"));
    cr_assert_not(strstr(text, "CUDA_VISIBLE_DEVICES"), "a sweep that names no GPU leaves them as they are");
    cr_assert_str_eq(run_read("hpt_runs/t/trials/000001/stdin"), "");
    strcat(here, "\n");
    cr_assert_str_eq(run_read("hpt_runs/t/trials/000001/cwd"), here);
    const int sid = atoi(run_read("hpt_runs/t/trials/000001/sid"));
    cr_assert_eq(sid, atoi(run_read("hpt_runs/t/trials/000001/pid")), "a session of its own");
    int n_fds = 0;
    for (const char *p = run_read("hpt_runs/t/trials/000001/fds"); (p = strstr(p, " -> ")) != NULL; p++) n_fds++;
    cr_assert_eq(n_fds, 5, "0, 1, 2, 3 and the folder that ls reads: %s", run_read("hpt_runs/t/trials/000001/fds"));
    const char *params = run_read("hpt_runs/t/trials/000001/params.json");
    cr_assert(strstr(params, "\"flag\": true") && strstr(params, "\"n\": 3"), "%s", params);
    cr_assert_eq(getenv("HPT_SWEEP_DIR"), NULL, "our own environment is as before");
}

Test(run_basic, the_sweeps_folder_is_known_to_the_command)
{
    cr_assert_eq(mkdir("code", 0755), 0);
    run_file("code/train.sh", "#!/bin/sh\necho loss=4\n", true);
    run_file("code/sweep.yaml",
             "name: t\nmethod: random\nmetric: {name: loss, goal: minimize}\nrun_cap: 2\n"
             "command: [\"${envvar:HPT_SWEEP_DIR}/train.sh\", \"${args}\"]\nparameters:\n  x: {min: 0.0, max: 1.0}\n",
             false);
    hpt_sweep *sweep;
    hpt_run_summary s;
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    cr_assert_eq(hpt_sweep_load(&sweep, "code/sweep.yaml"), 0, "%s", hpt_last_error());
    cr_assert_eq(hpt_run_sweep(&s, sweep, &o), 0, "%s", hpt_last_error());
    cr_assert_eq(s.best, 4.0);
    hpt_sweep_destroy(sweep);
    // The copy in the run's folder continues it, from another place.
    char dir[4200], copy[4300];
    cr_assert(realpath("hpt_runs/t", dir));
    snprintf(copy, sizeof copy, "%s/sweep.yaml", dir);
    cr_assert_eq(chdir("/"), 0);
    cr_assert_eq(hpt_sweep_load(&sweep, copy), 0, "%s", hpt_last_error());
    o.run_dir = dir;
    o.n_trials = 4;
    cr_assert_eq(hpt_run_sweep(&s, sweep, &o), 0, "%s", hpt_last_error());
    cr_assert_eq(s.n_done, 4);
    hpt_sweep_destroy(sweep);
}

// ---- reports

Test(run_report, every_form_is_understood)
{
    static const struct {
        const char *script, *extra;
        double value;
        int64_t n;
    } cases[] = {
        {"echo step=1 loss=3; echo step=2 loss=2.5", NULL, 2.5, 2},
        {"echo '{\"loss\": 0.5, \"step\": 4}'", NULL, 0.5, 1},
        {"echo 'final value is <0.25>'", "hpt:\n  metrics: {loss: 'value is <([0-9.]+)>'}\n", 0.25, 1},
        {"echo step=3 loss=0.75 >&$HPT_FD", NULL, 0.75, 1},
        {"echo step=3 value=0.75 >> $HPT_REPORT_FILE; echo done", NULL, 0.75, 1},
        {"printf loss=7", NULL, 7, 1},
        {"echo loss=1; echo loss=2 > $HPT_REPORT_FILE; exec 1>&-; exec 2>&-; sleep 0.05", NULL, 1, 2},
        {"printf 'loss=1\\rloss=2\\rloss=3'", NULL, 3, 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[16];
        hpt_run_options o = HPT_RUN_OPTIONS_INIT;
        snprintf(name, sizeof name, "f%zu", i);
        o.study = name;
        run_sweep_file(cases[i].script, 1, cases[i].extra);
        hpt_run_summary s = run_ok(&o);
        cr_assert_eq(s.n_done, 1, "%s: %s", cases[i].script, record.reason[0]);
        if (i != 6) cr_assert_eq(s.best, cases[i].value, "%s: %g", cases[i].script, s.best); // 6: two files, no order
        cr_assert_eq(record.n_reports, cases[i].n, "%s: %d reports", cases[i].script, (int)record.n_reports);
    }
}

Test(run_report, a_hundred_megabytes_of_output_are_read)
{
    run_sweep_file("yes 'a line of output that holds nothing of interest' | head -c 100000000; echo; echo loss=3", 1,
                   NULL);
    hpt_run_summary s = run_ok(NULL);
    cr_assert_eq(s.n_done, 1, "%s", record.reason[0]);
    cr_assert_eq(s.best, 3.0);
    struct stat st;
    cr_assert_eq(stat("hpt_runs/t/trials/000000/stdout.log", &st), 0);
    cr_assert(st.st_size >= 100000000, "nothing of it is lost");
}

// The trial waits for a file that only this event makes: without reading while it runs there is no end.
static void let_go(const hpt_run_event *e) {
    if (e->kind == HPT_RUN_TRIAL_REPORT && e->step == 0 && e->value == 5) run_file("go", "", false);
}

Test(run_report, values_are_stored_while_the_trial_runs)
{
    run_sweep_file("echo step=0 loss=5; while [ ! -e go ]; do sleep 0.02; done; echo step=1 loss=4", 1, NULL);
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    record.hook = let_go;
    hpt_run_summary s = run_ok(&o);
    cr_assert_eq(s.best, 4.0);
    cr_assert_eq(record.reports[0], 2);
}

Test(run_report, nan_is_recorded_and_a_last_nan_is_a_failure)
{
    run_sweep_file("echo step=0 loss=nan; echo step=1 loss=2", 1, NULL);
    hpt_run_summary s = run_ok(NULL);
    cr_assert_eq(s.best, 2.0);
    cr_assert_eq(record.n_reports, 2);
    run_sweep_file("echo loss=2; echo loss=NaN", 2, NULL);
    s = run_ok(NULL);
    cr_assert_eq(record.outcome[1], HPT_OUTCOME_FAILED);
    cr_assert_str_eq(record.reason[1], "metric is NaN");
}

// ---- outcomes

Test(run_outcome, failures_carry_their_reason)
{
    static const struct {
        const char *script, *reason;
    } cases[] = {
        {"exit 3", "exit code 3"},
        {"echo one >&2; echo 'no such GPU' >&2; echo >&2; exit 4", "exit code 4: no such GPU"},
        {"kill -SEGV $$", "killed by SIGSEGV"},
        {"true", "exited 0 but printed no `loss=...`"},
        {"echo loss=1; exit 1", "exit code 1"},
        {"kill -KILL $$", "killed by SIGKILL (the kernel does so when memory runs out)"},
        {"no-such-command-anywhere 2>/dev/null", "exit code 127"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[16], json[300];
        hpt_run_options o = HPT_RUN_OPTIONS_INIT;
        snprintf(name, sizeof name, "f%zu", i);
        o.study = name;
        run_sweep_file(cases[i].script, 1, NULL);
        hpt_run_summary s = run_ok(&o);
        cr_assert_eq(s.n_failed, 1);
        cr_assert_eq(s.end, HPT_RUN_END_CAP);
        cr_assert_eq(record.outcome[0], HPT_OUTCOME_FAILED);
        cr_assert_str_eq(record.reason[0], cases[i].reason);
        snprintf(json, sizeof json, "\"%s\"", cases[i].reason);
        cr_assert_str_eq(run_attr(name, 0, "s:hpt:reason"), json);
        cr_assert_str_eq(run_attr(name, 0, "s:hpt:outcome"), "\"failed\"");
    }
}

Test(run_outcome, a_sweep_without_metric_counts_exit_codes)
{
    run_file("sweep.yaml",
             "name: t\nmethod: grid\ncommand: [sh, -c, 'test $HPT_PARAM_K != b']\nparameters:\n"
             "  k: {values: [a, b, c]}\n",
             false);
    hpt_run_summary s = run_ok(NULL);
    cr_assert_eq(s.end, HPT_RUN_END_EXHAUSTED);
    cr_assert_eq(s.n_done, 2);
    cr_assert_eq(s.n_failed, 1);
    cr_assert(isnan(s.best));
    cr_assert(strstr(run_attr("t", 0, "s:hpt:reason"), "exit code"));
}

Test(run_outcome, a_trial_over_its_time_is_stopped)
{
    run_sweep_file("echo loss=1; sleep 60", 2, "hpt: {timeout: {trial: 0.3}, grace: 5}\n");
    hpt_run_summary s = run_ok(NULL);
    cr_assert_eq(s.n_failed, 2);
    cr_assert_eq(record.outcome[0], HPT_OUTCOME_TIMEOUT);
    cr_assert_str_eq(record.reason[0], "ran longer than 0.3 s");
    cr_assert_eq(run_processes(), 0);
}

Test(run_outcome, who_ignores_sigterm_is_killed_after_the_grace_time)
{
    run_sweep_file("trap '' TERM; echo loss=1; while :; do sleep 0.05; done", 1,
                   "hpt: {timeout: {trial: 0.2}, grace: 0.3}\n");
    hpt_run_summary s = run_ok(NULL);
    cr_assert_eq(s.n_failed, 1);
    cr_assert_eq(record.outcome[0], HPT_OUTCOME_TIMEOUT);
    cr_assert_eq(run_processes(), 0);
}

Test(run_outcome, a_stopped_process_wakes_to_end)
{
    run_sweep_file("trap 'touch woke; exit 0' TERM; echo loss=1; kill -STOP $$; sleep 60", 1,
                   "hpt: {timeout: {trial: 0.3}, grace: 20}\n");
    run_ok(NULL);
    cr_assert_eq(access("woke", F_OK), 0, "its handler ran");
    cr_assert_eq(record.outcome[0], HPT_OUTCOME_TIMEOUT);
}

Test(run_outcome, no_process_survives_its_trial)
{
    static const char *const scripts[] = {
        "sleep 300 & echo loss=1",
        "setsid sleep 300 & echo loss=1; sleep 0.1",
        "(setsid sh -c 'trap \"\" TERM HUP; sleep 300 & sleep 300' &) ; echo loss=1; sleep 0.1",
        "setsid setsid -f sleep 300; echo loss=1",
        "sh -c 'sleep 300 & setsid sh -c \"sleep 300 & sleep 300\" & exit 3'; echo loss=1",
    };
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        char name[16];
        hpt_run_options o = HPT_RUN_OPTIONS_INIT;
        snprintf(name, sizeof name, "f%zu", i);
        o.study = name;
        o.slots = 2;
        run_sweep_file(scripts[i], 4, NULL);
        hpt_run_summary s = run_ok(&o);
        cr_assert_eq(s.n_done, 4, "%s", scripts[i]);
        cr_assert_eq(run_processes(), 0, "%s", scripts[i]);
    }
}

Test(run_outcome, a_neighbours_background_process_is_left_alone)
{
    // Trial 0 ends while trial 1 has a detached child; that child must live until trial 1 has its answer.
    run_sweep_file("if [ $HPT_TRIAL = 0 ]; then while [ ! -e up ]; do sleep 0.02; done; echo loss=1; exit; fi; "
                   "(setsid sh -c 'sleep 0.6; echo loss=2 >> $HPT_REPORT_FILE; touch answered' &); touch up; "
                   "while [ ! -e answered ]; do sleep 0.02; done",
                   2, NULL);
    hpt_run_summary s = run_ok(NULL);
    cr_assert_eq(s.n_done, 2, "%s", record.reason[1]);
    cr_assert_eq(record.value[1], 2.0);
}

Test(run_outcome, failed_trials_are_tried_again_up_to_retries)
{
    run_sweep_file("exit 1", 10, "hpt: {retries: 2}\n");
    setenv("HPT_DISABLE_FLAPPING", "1", 1);
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.slots = 1;
    hpt_run_summary s = run_ok(&o);
    cr_assert_eq(s.n_failed, 10, "retries count towards run_cap");
    // Groups of three: a first attempt and two more of the same point.
    hpt_study *study = run_study("t");
    double x[10];
    for (int i = 0; i < 10; i++) {
        hpt_trial *t;
        cr_assert_eq(hpt_study_trial(&t, study, i), 0);
        cr_assert_eq(hpt_trial_get_float(&x[i], t, "x"), 0);
        hpt_trial_destroy(t);
    }
    hpt_study_close(study);
    for (int i = 0; i < 10; i++) cr_assert_eq(x[i], x[i / 3 * 3], "trial %d", i);
    cr_assert_neq(x[0], x[3]);
    cr_assert_str_eq(run_attr("t", 2, "s:retry_history"), "[0, 1]");
}

Test(run_outcome, a_retry_that_succeeds_is_done)
{
    run_sweep_file("[ -e once ] && { echo loss=1; exit; }; touch once; exit 1", 3, "hpt: {retries: 1}\n");
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.slots = 1;
    hpt_run_summary s = run_ok(&o);
    cr_assert_eq(s.n_failed, 1);
    cr_assert_eq(s.n_done, 2);
}

Test(run_outcome, the_median_pruner_stops_bad_trials)
{
    run_sweep_file(
        "trap 'touch $HPT_TRIAL_DIR/got-term; exit 0' TERM; i=0; while [ $i -lt 100 ]; do "
        "echo step=$i loss=$HPT_TRIAL; i=$((i+1)); [ $HPT_TRIAL -lt 6 ] && [ $i = 5 ] && exit 0; sleep 0.02; "
        "done",
        10, "hpt: {pruner: {type: median, startup_trials: 5, warmup_steps: 1}, grace: 20}\n");
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.slots = 1;
    hpt_run_summary s = run_ok(&o);
    cr_assert(s.n_pruned >= 3, "%d pruned", (int)s.n_pruned);
    for (int i = 6; i < 10; i++) {
        if (record.outcome[i] != HPT_OUTCOME_PRUNED) continue;
        char path[80];
        snprintf(path, sizeof path, "hpt_runs/t/trials/%06d/stop", i);
        cr_assert(exists(path), "the stop file is there");
        snprintf(path, sizeof path, "hpt_runs/t/trials/%06d/got-term", i);
        cr_assert(exists(path), "SIGTERM came");
        cr_assert_str_eq(run_attr("t", i, "s:hpt:outcome"), "\"pruned\"");
    }
    int64_t counts[5];
    run_counts(counts, "t");
    cr_assert_eq(counts[HPT_TRIAL_PRUNED], s.n_pruned);
}

Test(run_outcome, the_target_ends_the_sweep_after_what_runs)
{
    run_file("sweep.yaml",
             "name: t\nmethod: random\nmetric: {name: acc, goal: maximize, target: 3}\nrun_cap: 50\n"
             "command: [sh, -c, 'echo acc=$HPT_TRIAL']\nparameters:\n  x: {min: 0.0, max: 1.0}\n",
             false);
    hpt_run_summary s = run_ok(NULL);
    cr_assert_eq(s.end, HPT_RUN_END_TARGET);
    cr_assert(s.n_done >= 4 && s.n_done <= 6, "%d done", (int)s.n_done);
    s = run_ok(NULL);
    cr_assert_eq(s.end, HPT_RUN_END_TARGET);
    cr_assert_eq(record.n_started, 0);
}

Test(run_outcome, only_failures_at_the_start_end_the_sweep)
{
    run_sweep_file("exit 1", 50, NULL);
    hpt_run_summary s = run_ok(NULL);
    cr_assert_eq(s.end, HPT_RUN_END_FLAPPING);
    cr_assert(s.n_failed >= 3 && s.n_failed <= 5, "%d failed", (int)s.n_failed);
    cr_assert(strstr(record.notices, "HPT_DISABLE_FLAPPING"));
    run_sweep_file("[ $HPT_TRIAL = 6 ] && echo loss=1 || exit 1", 20, NULL);
    setenv("HPT_DISABLE_FLAPPING", "1", 1);
    s = run_ok(NULL);
    cr_assert_eq(s.end, HPT_RUN_END_CAP);
    cr_assert_eq(s.n_done, 1);
}

// ---- refused before anything is made

static void refused(int status, const char *word) {
    hpt_run_summary s;
    int rc = run_it(&s, NULL);
    cr_assert_eq(rc, status, "%d: %s", rc, hpt_last_error());
    cr_assert(strstr(hpt_last_error(), word), "'%s' is not in: %s", word, hpt_last_error());
    cr_assert_not(exists("hpt_runs"), "nothing is left behind");
}

static void sweep_with(const char *lines) {
    char text[2048];
    snprintf(text, sizeof text,
             "name: t\nmethod: random\nmetric: {name: loss, goal: minimize}\nrun_cap: 2\n"
             "parameters:\n  x: {min: 0.0, max: 1.0}\n%s",
             lines);
    run_file("sweep.yaml", text, false);
}

Test(run_refused, programs_that_cannot_run)
{
    run_file("plain.sh", "echo loss=1\n", false);
    sweep_with("command: [no-such-program-xyz, \"${args}\"]\n");
    refused(HPT_E_NOT_FOUND, "program 'no-such-program-xyz' not found");
    sweep_with("command: [./missing.sh]\n");
    refused(HPT_E_NOT_FOUND, "sweep.yaml: program './missing.sh' not found");
    sweep_with("command: [./plain.sh]\n");
    refused(HPT_E_NOT_FOUND, "not executable");
    sweep_with("command: [/usr/bin/env, no-such-program-xyz]\n");
    refused(HPT_E_NOT_FOUND, "no-such-program-xyz");
    sweep_with("command: [/tmp]\n");
    refused(HPT_E_NOT_FOUND, "folder");
}

Test(run_refused, demands_that_never_fit)
{
    sweep_with("command: [\"true\"]\nhpt: {resources: {cpu: 100000}}\n");
    refused(HPT_E_ARG, "cores");
    sweep_with("command: [\"true\"]\nhpt: {resources: {gpu: 2}}\n");
    setenv("HPT_FAKE_DEVICES", "1", 1);
    refused(HPT_E_ARG, "GPUs");
    setenv("HPT_FAKE_DEVICES", "four", 1);
    refused(HPT_E_ARG, "four");
}

Test(run_refused, options_of_another_shape)
{
    sweep_with("command: [\"true\"]\n");
    hpt_run_options o = {0};
    hpt_run_summary s;
    cr_assert_eq(run_it(&s, &o), HPT_E_ARG);
    o = (hpt_run_options)HPT_RUN_OPTIONS_INIT;
    o.slots = -1;
    cr_assert_eq(run_it(&s, &o), HPT_E_ARG);
    o.slots = 1;
    o.storage = ":memory:";
    cr_assert_eq(run_it(&s, &o), HPT_E_ARG);
    cr_assert(strstr(hpt_last_error(), "would be gone when the run ends"), "%s", hpt_last_error());
    o.storage = NULL;
    o.sampler = "no-such-sampler";
    cr_assert(run_it(&s, &o) < 0);
    cr_assert_not(exists("hpt_runs"), "a study that cannot be opened leaves no folder");
}

Test(run_refused, a_changed_space_leaves_the_run_as_it_was)
{
    run_sweep_file("echo loss=1", 2, NULL);
    run_ok(NULL);
    char before[4096];
    snprintf(before, sizeof before, "%s", run_read("hpt_runs/t/sweep.yaml"));
    run_file("sweep.yaml",
             "name: t\nmethod: random\nmetric: {name: loss, goal: minimize}\nrun_cap: 4\n"
             "command: [sh, -c, 'echo loss=1']\nparameters:\n  x: {min: 0.0, max: 9.0}\n",
             false);
    hpt_run_summary s;
    cr_assert_eq(run_it(&s, NULL), HPT_E_INCOMPATIBLE, "%s", hpt_last_error());
    cr_assert_str_eq(run_read("hpt_runs/t/sweep.yaml"), before);
    int64_t counts[5];
    run_counts(counts, "t");
    cr_assert_eq(counts[HPT_TRIAL_COMPLETE], 2);
}

Test(run_refused, one_folder_holds_one_study)
{
    run_sweep_file("echo loss=1", 1, NULL);
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    hpt_run_summary s;
    o.run_dir = "here";
    run_ok(&o);
    o.study = "another";
    cr_assert_eq(run_it(&s, &o), HPT_E_INCOMPATIBLE, "%s", hpt_last_error());
    cr_assert(strstr(hpt_last_error(), "'t'"));
}
