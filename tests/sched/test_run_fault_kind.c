// SPDX-License-Identifier: Apache-2.0
// test_run_fault_kind.c: lack of memory by its words, trials that fall silent, a disk that is nearly full.
#include "run_support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

TestSuite(run_fault_kind, .init = run_enter, .fini = run_leave);

Test(run_fault_kind, lack_of_memory_is_known_by_what_frameworks_write)
{
    static const struct {
        const char *text;
        hpt_outcome outcome;
    } cases[] = {
        {"torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total",
         HPT_OUTCOME_OOM_GPU},
        {"torch.cuda.OutOfMemoryError: CUDA out of memory.", HPT_OUTCOME_OOM_GPU},
        {"RuntimeError: CUDA error: out of memory", HPT_OUTCOME_OOM_GPU},
        {"jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying to allocate 8 bytes",
         HPT_OUTCOME_OOM_GPU},
        {"tensorflow...ResourceExhaustedError: OOM when allocating tensor with shape[1024,1024]", HPT_OUTCOME_OOM_GPU},
        {"cudaErrorMemoryAllocation", HPT_OUTCOME_OOM_GPU},
        {"MemoryError: Unable to allocate 64.0 GiB for an array", HPT_OUTCOME_OOM_HOST},
        {"terminate called after throwing an instance of std::bad_alloc", HPT_OUTCOME_OOM_HOST},
        {"ValueError: out of range", HPT_OUTCOME_FAILED},
    };
    enum { N = sizeof cases / sizeof *cases };
    char script[4096] = "case $HPT_TRIAL in ", line[300];
    setenv("HPT_DISABLE_FLAPPING", "1", 1);
    for (int i = 0; i < N; i++) {
        snprintf(line, sizeof line, "%d) echo \"%s\" >&2;; ", i, cases[i].text);
        strcat(script, line);
    }
    strcat(script, "esac; exit 1");
    run_sweep_file(script, N, NULL);
    run_ok(NULL);
    for (int i = 0; i < N; i++) {
        char want[32];
        cr_expect_eq(record.outcome[i], cases[i].outcome, "%s: %s", cases[i].text,
                     hpt_outcome_to_string(record.outcome[i]));
        cr_expect(strstr(record.reason[i], "exit code 1: "), "%s", record.reason[i]);
        snprintf(want, sizeof want, "\"%s\"", hpt_outcome_to_string(cases[i].outcome));
        cr_expect_str_eq(run_attr("t", i, "s:hpt:outcome"), want);
    }
}

Test(run_fault_kind, a_trial_that_catches_the_error_and_goes_on_is_done)
{
    run_sweep_file("echo CUDA out of memory >&2; echo loss=1", 1, NULL);
    run_ok(NULL);
    cr_assert_eq(record.outcome[0], HPT_OUTCOME_DONE);
}

Test(run_fault_kind, only_this_attempts_words_count_and_a_kill_without_a_limit_stays_a_failure)
{
    run_sweep_file("kill -9 $$", 1, NULL);
    run_ok(NULL);
    cr_assert_eq(record.outcome[0], HPT_OUTCOME_FAILED);
    cr_assert(strstr(record.reason[0], "SIGKILL"));
}

Test(run_fault_kind, a_kill_at_the_limit_of_memory_is_lack_of_memory)
{
    // With a GPU in its share nothing limits the process itself; awk takes more than the 40 MiB before it is killed.
    setenv("HPT_FAKE_DEVICES", "1x40GiB", 1);
    run_sweep_file("exec awk 'BEGIN { s = \"0123456789abcdef\"; while (length(s) < 2^26) s = s s; "
                   "getline pid < \"/proc/self/stat\"; split(pid, f, \" \"); system(\"kill -9 \" f[1]) }'",
                   1, "hpt: {resources: {gpu: 0.25, memory: 40MiB}}\n");
    run_ok(NULL);
    cr_assert_eq(record.outcome[0], HPT_OUTCOME_OOM_HOST, "%s %s", hpt_outcome_to_string(record.outcome[0]),
                 run_attr("t", 0, "s:hpt:use"));
}

Test(run_fault_kind, a_trial_that_falls_silent_is_stopped_and_one_that_reports_is_not)
{
    run_sweep_file("case $HPT_TRIAL in 0) echo loss=1; exec sleep 100;; esac; "
                   "for i in 1 2 3 4 5 6 7 8; do echo loss=$i; sleep 0.25; done",
                   2, "hpt: {timeout: {silent: 1}, grace: 5}\n");
    run_ok(NULL);
    cr_assert_eq(record.outcome[0], HPT_OUTCOME_TIMEOUT);
    cr_assert_str_eq(record.reason[0], "no report for 1 s");
    cr_assert_eq(record.outcome[1], HPT_OUTCOME_DONE, "%s", record.reason[1]);
}

// Trial 1 writes when it is told to, each time before the limit has passed; trial 0 never does.
static void let_it_speak(const hpt_run_event *e) {
    static int n;
    char text[32];
    if (e->kind == HPT_RUN_STARTED) n = 0;
    if (e->kind != HPT_RUN_TICK || record.n_started < 2 || n == 4) return;
    snprintf(text, sizeof text, "say.%d", ++n);
    run_file(text, "", false);
    while (strlen(run_read("hpt_runs/t/trials/000001/stdout.log")) < 5U * (unsigned)n) run_nap(0.01);
    run_time_passes(1100);
}

Test(run_fault_kind, without_metric_whatever_a_trial_writes_is_a_sign_of_life)
{
    run_file("sweep.yaml",
             "name: t\nmethod: grid\ncommand: [sh, -c, 'test $HPT_TRIAL = 0 && exec sleep 100; for i in 1 2 3 4; do "
             "while [ ! -e say.$i ]; do sleep 0.02; done; echo here; done']\nparameters:\n  k: {values: [a, b]}\n"
             "hpt: {timeout: {silent: 1000}, grace: 5}\n",
             false);
    record.hook = let_it_speak;
    run_ok(NULL);
    cr_assert_eq(record.outcome[0], HPT_OUTCOME_TIMEOUT);
    cr_assert_str_eq(record.reason[0], "no output for 1000 s");
    cr_assert_eq(record.outcome[1], HPT_OUTCOME_DONE, "%s", record.reason[1]);
}

// ---- disk

static double disk_mib = -1; // -1: the real one

int __real_statvfs(const char *path, struct statvfs *out);
int __wrap_statvfs(const char *path, struct statvfs *out);

int __wrap_statvfs(const char *path, struct statvfs *out) {
    const int rc = __real_statvfs(path, out);
    if (disk_mib >= 0) out->f_bavail = (fsblkcnt_t)(disk_mib * 1048576 / (double)out->f_frsize);
    return rc;
}

static int64_t started_before_full, ticks_full;

static void fill_the_disk(const hpt_run_event *e) {
    if (e->kind == HPT_RUN_TRIAL_STARTED && e->number == 1) disk_mib = 100;
    if (e->kind == HPT_RUN_NOTICE && strstr(e->text, "no trial is started")) started_before_full = record.n_started;
    if (e->kind == HPT_RUN_TICK && started_before_full > 0 && ++ticks_full == 12)
        disk_mib = 300; // not yet: 320 are needed
    if (ticks_full == 20 && disk_mib < 400) {
        cr_assert_eq(record.n_started, started_before_full, "none was started meanwhile");
        disk_mib = 400;
    }
}

Test(run_fault_kind, no_trial_is_started_while_the_disk_is_nearly_full)
{
    run_sweep_file("sleep 0.1; echo loss=1", 40, NULL);
    record.hook = fill_the_disk;
    hpt_run_summary s = run_ok(NULL);
    cr_assert_eq(s.n_done, 40);
    cr_assert_geq(ticks_full, 20);
    const char *first =
        strstr(record.notices, "has 100 MiB left: no trial is started until there is more than 320 MiB");
    cr_assert(first, "%s", record.notices);
    cr_assert_null(strstr(strchr(first, 0x0a), "no trial is started"), "one notice: %s", record.notices);
    cr_assert(strstr(record.notices, "has 400 MiB left: trials are started again"), "%s", record.notices);
}

Test(run_fault_kind, a_reserve_of_0_starts_trials_on_a_full_disk)
{
    static const char *const options[] = {"run.disk_reserve=0"};
    const hpt_run_options o = {.struct_size = sizeof o, .slots = 2, .options = options, .n_options = 1};
    disk_mib = 0;
    run_sweep_file("echo loss=1", 2, NULL);
    hpt_run_summary s = run_ok(&o);
    cr_assert_eq(s.n_done, 2);
    cr_assert_str_eq(record.notices, "");
}
