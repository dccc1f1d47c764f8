// SPDX-License-Identifier: Apache-2.0
// monitor.c: hpt_monitor: a run as another process sees it. The run says on its socket who holds which share (run_status.c);
// what is really used is looked at here, so that watching costs the watcher and not the run: NVML for GPUs, /proc for
// the resident memory of each trial's session.
//
// Ownership: a view and all it points to are the monitor's, in arrays and an arena that the next look uses again.
// Threads: one at a time. Cost of a look: one request for each 48 KiB of answer, a poll of NVML a GPU, and a look at the
// session of each process of the machine (a system call each; a file of /proc for those of trials).
#include "../base/alloc.h"
#include "../base/file.h"
#include "run_impl.h"

#include <ctype.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const int ANSWER_SECONDS = 2;

typedef struct leader { // a trial's first process
    int64_t pid, trial; // index into trials
} leader;

struct hpt_monitor {
    char *run_dir, *storage;
    hpt__origin origin;
    hpt_run_view view;
    hpt_run_device *devices;
    hpt_run_process *trials;
    int64_t cap_devices, cap_trials;
    leader *leaders; // by pid
    int64_t n_leaders, cap_leaders;
    hpt__arena arena; // of the present look
    hpt__nvml *nvml;
    bool nvml_tried;
    hpt__gpu_load load;
};

int hpt_monitor_open(hpt_monitor **out, const char *run_dir) {
    int rc = 0;
    hpt__str url = HPT__STR_INIT;
    if (!out || !run_dir) return hpt__fail(HPT_E_ARG, "hpt_monitor_open: an argument is NULL");
    hpt_monitor *m = hpt__calloc(1, sizeof *m);
    if (!m) return hpt__fail_memory();
    hpt__arena_init(&m->arena);
    HPT_TRY(hpt__origin_read(&m->origin, run_dir));
    HPT_FAIL_IF(!m->origin.study, HPT_E_NOT_FOUND, "there is no run in '%s'", run_dir);
    hpt__str_addf(&url, "sqlite:///%s/study.db", run_dir);
    m->run_dir = hpt__strdup(run_dir);
    m->storage = m->origin.storage ? hpt__strdup(m->origin.storage) : hpt__str_take(&url);
    if (!m->run_dir || !m->storage) {
        rc = hpt__fail_memory();
        goto out;
    }
    *out = m;
    m = NULL;
    rc = 0;
out:
    hpt_monitor_close(m);
    hpt__str_fini(&url);
    return rc;
}

void hpt_monitor_close(hpt_monitor *m) {
    if (!m) return;
    hpt__nvml_close(m->nvml);
    hpt__gpu_load_fini(&m->load);
    hpt__arena_fini(&m->arena);
    hpt__origin_fini(&m->origin);
    hpt__free(m->leaders);
    hpt__free(m->devices);
    hpt__free(m->trials);
    hpt__free(m->storage);
    hpt__free(m->run_dir);
    hpt__free(m);
}

// ---- what the run says

static int64_t integer_of(const hpt__json *object, const char *key, int64_t otherwise) {
    int64_t v;
    return hpt__json_integer(&v, hpt__json_get(object, key)) ? v : otherwise;
}

static double number_of(const hpt__json *object, const char *key) {
    double v;
    return hpt__json_number(&v, hpt__json_get(object, key)) ? v : NAN;
}

static void text_of(char *out, size_t size, const hpt__json *object, const char *key) {
    const char *text = hpt__json_string(hpt__json_get(object, key));
    (void)snprintf(out, size, "%s", text ? text : "");
}

static int add_device(hpt_monitor *m, const hpt__json *v) {
    int rc = hpt__grow(&m->devices, &m->cap_devices, m->view.n_devices + 1, sizeof *m->devices);
    if (rc < 0) return rc;
    hpt_run_device *d = &m->devices[m->view.n_devices++];
    *d = (hpt_run_device){.capacity = number_of(v, "capacity"),
                          .granted = number_of(v, "granted"),
                          .memory_bytes = integer_of(v, "memory", 0),
                          .granted_bytes = integer_of(v, "memory_granted", 0),
                          .used_bytes = -1,
                          .n_trials = integer_of(v, "trials", 0)};
    text_of(d->name, sizeof d->name, v, "name");
    text_of(d->uuid, sizeof d->uuid, v, "uuid");
    return 0;
}

static int add_trial(hpt_monitor *m, const hpt__json *v) {
    hpt__str use = HPT__STR_INIT;
    const hpt__json *given = hpt__json_get(v, "use"), *stopping = hpt__json_get(v, "stopping");
    int rc = hpt__grow(&m->trials, &m->cap_trials, m->view.n_trials + 1, sizeof *m->trials);
    if (rc < 0) return rc;
    if (given)
        hpt__json_dumps(&use, given);
    else
        hpt__str_add(&use, "{}");
    const char *text = hpt__arena_strndup(&m->arena, hpt__str_text(&use), use.len);
    rc = hpt__str_status(&use);
    hpt__str_fini(&use);
    if (rc < 0 || !text) return hpt__fail_memory();
    m->trials[m->view.n_trials++] =
        (hpt_run_process){.number = integer_of(v, "trial", -1),
                          .attempt = integer_of(v, "attempt", 0),
                          .slot = integer_of(v, "slot", -1),
                          .pid = integer_of(v, "pid", -1),
                          .seconds = number_of(given, "seconds"),
                          .stopping = stopping && stopping->kind == HPT__JSON_BOOL && stopping->b,
                          .use = text,
                          .gpu_bytes = -1,
                          .host_bytes = -1};
    return 0;
}

static int take_page(hpt_monitor *m, const hpt__json *page) {
    const hpt__json *devices = hpt__json_get(page, "devices"), *running = hpt__json_get(page, "running");
    int rc = 0;
    for (int64_t i = 0; rc == 0 && devices && devices->kind == HPT__JSON_ARRAY && i < devices->a.n; i++)
        rc = add_device(m, devices->a.items[i]);
    for (int64_t i = 0; rc == 0 && running && running->kind == HPT__JSON_ARRAY && i < running->a.n; i++)
        rc = add_trial(m, running->a.items[i]);
    m->view.pid = integer_of(page, "pid", -1);
    m->view.n_slots = integer_of(page, "slots", 0);
    m->view.cap = integer_of(page, "cap", 0);
    m->view.elapsed = number_of(page, "elapsed");
    return rc;
}

static int ask_run(hpt_monitor *m) {
    int rc = 0, fd = -1;
    const struct timeval limit = {.tv_sec = ANSWER_SECONDS};
    char request[64];
    rc = hpt__run_dir_connect(&fd, m->run_dir);
    if (rc == HPT_E_NOT_FOUND) return 0;
    if (rc < 0) return rc;
    m->view.going = true;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    for (int64_t from = 0, next; from >= 0; from = next) {
        hpt__json *page = NULL;
        (void)snprintf(request, sizeof request, "{\"op\":\"status\",\"from\":%lld}\n", (long long)from);
        HPT_TRY(hpt__run_call(&page, &m->arena, fd, m->run_dir, request));
        HPT_TRY(take_page(m, page));
        next = integer_of(page, "next", -1);
        if (next <= from) break; // the last one
    }
    m->view.answered = true;
    rc = 0;
out:
    close(fd);
    if (rc == HPT_E_MEMORY) return rc;
    if (rc < 0) m->view.n_devices = m->view.n_trials = 0;
    return 0;
}

// ---- what is used

static int compare_pids(const void *a, const void *b) {
    const int64_t x = ((const leader *)a)->pid, y = ((const leader *)b)->pid;
    return (x > y) - (x < y);
}

static int find_leaders(hpt_monitor *m) {
    int rc = hpt__grow(&m->leaders, &m->cap_leaders, m->view.n_trials + 1, sizeof *m->leaders);
    if (rc < 0) return rc;
    m->n_leaders = 0;
    for (int64_t i = 0; i < m->view.n_trials; i++)
        if (m->trials[i].pid > 0) m->leaders[m->n_leaders++] = (leader){m->trials[i].pid, i};
    qsort(m->leaders, (size_t)m->n_leaders, sizeof *m->leaders, compare_pids);
    return 0;
}

static hpt_run_process *trial_of(hpt_monitor *m, int64_t pid) {
    const leader key = {.pid = pid}, *found = bsearch(&key, m->leaders, (size_t)m->n_leaders, sizeof key, compare_pids);
    return found ? &m->trials[found->trial] : NULL;
}

static hpt_run_process *trial_of_process(hpt_monitor *m, pid_t pid) { // a trial's processes are in its session
    hpt_run_process *t = trial_of(m, pid);
    return t ? t : trial_of(m, getsid(pid));
}

static void look_at_host(hpt_monitor *m) {
    const int64_t page = sysconf(_SC_PAGESIZE);
    int64_t sum = 0;
    DIR *d = m->n_leaders > 0 ? opendir("/proc") : NULL;
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        char path[320], text[128];
        long long all, resident;
        if (!isdigit((unsigned char)e->d_name[0])) continue;
        hpt_run_process *t = trial_of_process(m, (pid_t)strtol(e->d_name, NULL, 10));
        if (!t) continue;
        (void)snprintf(path, sizeof path, "/proc/%s/statm", e->d_name);
        if (!hpt__read_start(text, sizeof text, NULL, path) || sscanf(text, "%lld %lld", &all, &resident) != 2)
            continue;
        t->host_bytes = (t->host_bytes > 0 ? t->host_bytes : 0) + resident * page;
        sum += resident * page;
    }
    if (d) closedir(d);
    if (m->view.n_devices > 0) m->devices[0].used_bytes = sum;
}

static void look_at_gpu(hpt_monitor *m, hpt_run_device *d) {
    if (!m->nvml && !m->nvml_tried && hpt__nvml_open(&m->nvml) < 0) m->nvml = NULL;
    m->nvml_tried = true;
    if (!m->nvml || hpt__nvml_poll(&m->load, m->nvml, d->uuid) < 0) return;
    d->used_bytes = m->load.used_bytes;
    for (int64_t i = 0; i < m->load.n; i++) {
        const hpt__gpu_process *p = &m->load.processes[i];
        hpt_run_process *t = p->used_bytes >= 0 ? trial_of_process(m, p->pid) : NULL;
        if (t) t->gpu_bytes = (t->gpu_bytes > 0 ? t->gpu_bytes : 0) + p->used_bytes;
    }
}

int hpt_monitor_look(const hpt_run_view **out, hpt_monitor *m) {
    if (!out || !m) return hpt__fail(HPT_E_ARG, "hpt_monitor_look: an argument is NULL");
    hpt__arena_reset(&m->arena);
    m->view = (hpt_run_view){
        .run_dir = m->run_dir, .study = m->origin.study, .storage = m->storage, .pid = -1, .elapsed = NAN};
    int rc = ask_run(m);
    if (rc == 0) rc = find_leaders(m);
    if (rc < 0) return rc;
    look_at_host(m);
    for (int64_t i = 0; i < m->view.n_devices; i++)
        if (m->devices[i].uuid[0]) look_at_gpu(m, &m->devices[i]);
    m->view.devices = m->devices;
    m->view.trials = m->trials;
    *out = &m->view;
    return 0;
}
