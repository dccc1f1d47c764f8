// SPDX-License-Identifier: Apache-2.0
// run_support.c: see run_support.h.
#include "run_support.h"

#include "core/study/study_impl.h"
#include <criterion/criterion.h>
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

run_record record;
void (*run_patch)(hpt_sweep *sweep);
static char folder[64], mark[64];

void run_enter(void) {
    alarm(120); // a run that hangs must fail, not block
    strcpy(folder, "/tmp/hpt-test-run-XXXXXX");
    cr_assert(mkdtemp(folder), "no temporary folder");
    cr_assert_eq(chdir(folder), 0);
    static const char *const unset[] = {"HPT_FAKE_DEVICES",
                                        "CUDA_VISIBLE_DEVICES",
                                        "OMP_NUM_THREADS",
                                        "HPT_TRIAL",
                                        "HPT_DISABLE_FLAPPING",
                                        "HPT_SWEEP_DIR",
                                        "HPT_STORAGE",
                                        "WANDB_MODE",
                                        "WANDB_API_KEY",
                                        "WANDB_DIR",
                                        "WANDB_SWEEP_ID",
                                        "WANDB_DISABLED",
                                        "WANDB_AGENT_DISABLE_FLAPPING",
                                        "WANDB_AGENT_MAX_INITIAL_FAILURES",
                                        "HPT_RUN_LOG_LIMIT"};
    for (size_t i = 0; i < sizeof unset / sizeof *unset; i++) unsetenv(unset[i]);
    snprintf(mark, sizeof mark, "%s", folder);
    setenv("HPT_TEST_MARK", mark, 1);
    char claims[96]; // tests run beside each other
    snprintf(claims, sizeof claims, "%s/claims", folder);
    setenv("HPT_CLAIMS_DIR", claims, 1);
    setenv("HPT_CGROUP", "off", 1); // test_run_cgroup.c has it on
    memset(&record, 0, sizeof record);
}

void run_enter_mps(void) {
    static const char *const unset[] = {"FAKE_MPS",
                                        "FAKE_MPS_LOG",
                                        "FAKE_MPS_PARTS",
                                        "HPT_RUN_SM_PARTITIONS",
                                        "CUDA_MPS_PIPE_DIRECTORY",
                                        "XLA_PYTHON_CLIENT_MEM_FRACTION",
                                        "TF_FORCE_GPU_ALLOW_GROWTH",
                                        "SLURM_JOB_ID"};
    run_enter();
    run_file("gpus", "gpu GPU-aaaa-1 40960 model=NVIDIA_A100\n", false);
    setenv("HPT_NVML_PATH", HPT_BINARY_DIR "/tests/fake/libfake_nvml.so", 1);
    setenv("FAKE_NVML_SCRIPT", "gpus", 1);
    setenv("HPT_MPS_CONTROL", HPT_BINARY_DIR "/tests/fake/nvidia-cuda-mps-control", 1);
    for (size_t i = 0; i < sizeof unset / sizeof *unset; i++) unsetenv(unset[i]);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
    (void)st;
    (void)kind;
    (void)ftw;
    remove(path);
    return 0;
}

void run_leave(void) {
    if (chdir("/") == 0 && *folder) nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void run_file(const char *name, const char *text, bool executable) {
    FILE *f = fopen(name, "w");
    cr_assert(f, "%s cannot be written", name);
    fputs(text, f);
    fclose(f);
    cr_assert_eq(chmod(name, executable ? 0755 : 0644), 0);
}

void run_sweep_file(const char *script, int run_cap, const char *extra) {
    char text[8192], quoted[4096];
    size_t n = 0;
    for (const char *p = script; *p && n + 3 < sizeof quoted; p++) { // YAML's single quotes
        quoted[n++] = *p;
        if (*p == '\'') quoted[n++] = '\'';
    }
    quoted[n] = '\0';
    snprintf(text, sizeof text,
             "name: t\nmethod: random\nmetric: {name: loss, goal: minimize}\nrun_cap: %d\n"
             "command: [sh, -c, '%s']\nparameters:\n  x: {min: 0.0, max: 1.0}\n%s",
             run_cap, quoted, extra ? extra : "");
    run_file("sweep.yaml", text, false);
}

static void on_event(const hpt_run_event *e, void *payload) {
    (void)payload;
    const int64_t i = e->number;
    const bool known = i >= 0 && i < RUN_TRIALS_MAX;
    if (e->n_running > record.most_running) record.most_running = e->n_running;
    switch (e->kind) {
    case HPT_RUN_TRIAL_STARTED:
        record.n_started++;
        if (known) record.starts[i]++;
        break;
    case HPT_RUN_TRIAL_REPORT:
        record.n_reports++;
        if (known) record.reports[i]++;
        break;
    case HPT_RUN_TRIAL_ENDED:
        record.n_ended++;
        record.best_events += e->is_best;
        if (!known) break;
        record.outcome[i] = e->outcome;
        record.value[i] = e->value;
        snprintf(record.reason[i], sizeof record.reason[i], "%s", e->text ? e->text : "");
        snprintf(record.cause[i], sizeof record.cause[i], "%s", e->cause ? e->cause : "");
        record.n_cause[i] = e->n_cause;
        break;
    case HPT_RUN_NOTICE:
        record.n_notices++;
        if (strlen(record.notices) + strlen(e->text) + 2 < sizeof record.notices) {
            strcat(record.notices, e->text);
            strcat(record.notices, "\n");
        }
        break;
    case HPT_RUN_TICK:
        record.n_ticks++;
        break;
    case HPT_RUN_ENDED:
        snprintf(record.end, sizeof record.end, "%s", e->text ? e->text : "");
        break;
    case HPT_RUN_STARTED:
        break;
    }
    if (record.hook) record.hook(e);
}

int run_it(hpt_run_summary *out, const hpt_run_options *o) {
    hpt_sweep *sweep = NULL;
    hpt_run_options options = HPT_RUN_OPTIONS_INIT;
    void (*hook)(const hpt_run_event *) = record.hook;
    memset(&record, 0, sizeof record);
    record.hook = hook;
    if (o)
        options = *o;
    else
        options.slots = 2;
    options.on_event = on_event;
    int rc = hpt_sweep_load(&sweep, "sweep.yaml");
    cr_assert_eq(rc, 0, "sweep.yaml: %s", hpt_last_error());
    if (run_patch) run_patch(sweep);
    rc = hpt_run_sweep(out, sweep, &options);
    hpt_sweep_destroy(sweep);
    return rc;
}

hpt_run_summary run_ok(const hpt_run_options *o) {
    hpt_run_summary s;
    int rc = run_it(&s, o);
    cr_assert_eq(rc, 0, "%d: %s", rc, hpt_last_error());
    return s;
}

void run_nap(double seconds) {
    nanosleep(&(struct timespec){.tv_sec = (time_t)seconds, .tv_nsec = (long)(fmod(seconds, 1) * 1e9)}, NULL);
}

pid_t run_fork(const hpt_run_options *o) {
    fflush(NULL);
    pid_t pid = fork();
    cr_assert(pid >= 0);
    if (pid > 0) return pid;
    hpt_run_summary s;
    alarm(60);
    record.hook = NULL;
    hpt_sweep *sweep = NULL;
    hpt_run_options options = HPT_RUN_OPTIONS_INIT;
    if (o) options = *o;
    if (options.slots == 0) options.slots = 2;
    int rc = hpt_sweep_load(&sweep, "sweep.yaml");
    if (rc == 0 && run_patch) run_patch(sweep);
    if (rc == 0) rc = hpt_run_sweep(&s, sweep, &options);
    _exit(rc < 0 ? -rc : 100 + (int)s.end);
}

int run_wait_exit(pid_t pid) {
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status), "status %x", status);
    return WEXITSTATUS(status);
}

void run_wait_for(const char *path) {
    for (int i = 0; i < 1000 && access(path, F_OK) != 0; i++) run_nap(0.02);
    cr_assert_eq(access(path, F_OK), 0, "%s did not appear", path);
}

hpt_study *run_study(const char *name) {
    char url[256];
    hpt_study *study = NULL;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    snprintf(url, sizeof url, "sqlite:///hpt_runs/%s/study.db", name);
    o.storage = url;
    o.mode = HPT_OPEN_READ_ONLY;
    cr_assert_eq(hpt_study_open(&study, &o), 0, "%s", hpt_last_error());
    return study;
}

void run_counts(int64_t counts[5], const char *name) {
    hpt_study *study = run_study(name);
    cr_assert_eq(hpt_study_counts(counts, study), 0, "%s", hpt_last_error());
    hpt_study_close(study);
}

const char *run_attr(const char *name, int64_t trial, const char *key) {
    static char out[1024];
    hpt_study *study = run_study(name);
    char *text = NULL;
    cr_assert_eq(hpt__study_trial_attr(&text, study, trial, key), 0, "%s", hpt_last_error());
    snprintf(out, sizeof out, "%s", text ? text : "");
    hpt_free(text);
    hpt_study_close(study);
    return out;
}

const char *run_read(const char *path) {
    static char out[65536];
    out[0] = '\0';
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return out;
    ssize_t n = read(fd, out, sizeof out - 1);
    close(fd);
    out[n > 0 ? n : 0] = '\0';
    return out;
}

static bool carries_mark(const char *pid) {
    char path[64], entry[128];
    static char text[1 << 17];
    snprintf(path, sizeof path, "/proc/%s/environ", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, text, sizeof text); // empty for zombies
    close(fd);
    int m = snprintf(entry, sizeof entry, "HPT_TEST_MARK=%s", mark) + 1;
    return n > 0 && memmem(text, (size_t)n, entry, (size_t)m) != NULL;
}

int run_processes(void) {
    int found = 0;
    const struct dirent *e;
    DIR *d = opendir("/proc");
    cr_assert(d);
    while ((e = readdir(d)) != NULL)
        if (isdigit((unsigned char)e->d_name[0]) && atoi(e->d_name) != getpid() && carries_mark(e->d_name)) found++;
    closedir(d);
    return found;
}

int run_processes_after(double seconds) {
    int n = run_processes();
    for (double t = 0; n > 0 && t < seconds; t += 0.02) {
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        n = run_processes();
    }
    return n;
}

const char *run_tier(const char *name, int64_t trial) {
    static char tier[32];
    const char *use = run_attr(name, trial, "s:hpt:use"), *p = strstr(use, "\"tier\": \"");
    tier[0] = '\0';
    if (p) snprintf(tier, sizeof tier, "%.*s", (int)strcspn(p + 9, "\""), p + 9);
    return tier;
}

void run_has(const char *text, const char *part) {
    cr_assert(strstr(text, part), "'%s' is not in: %s", part, text);
}

int run_count(const char *text, const char *part) {
    int n = 0;
    for (const char *p = text; (p = strstr(p, part)) != NULL; p++) n++;
    return n;
}
