// SPDX-License-Identifier: Apache-2.0
// run_intake.c: from what trials write to reports in the study.
//
// A trial's standard output and report file are plain files that the trial appends to; nothing it writes waits for us.
// They are read behind it (pread from where we stopped), woken by inotify. All values of one turn of the loop are
// stored in one transaction, then the pruner is asked once for each trial that reported. A trial that writes faster
// than it is read gets a bounded share of each turn.
//
// The socket gives the same reports and answers each with the wish to stop. (trial, attempt) fence it: a process of an
// earlier attempt that is still alive somewhere cannot report into the present one.
#include "../base/alloc.h"
#include "../base/clock.h"
#include "run_impl.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNKS_PER_TURN = 32, REPORTS_PER_STORE = 1 << 14 };

typedef struct sink {
    hpt__run *run;
    hpt__running *t;
} sink;

static int store(hpt__run *run) {
    const int64_t n = run->n_reports;
    run->n_reports = 0;
    if (n == 0) return 0;
    int rc = run->n_metrics == 1 ? hpt__study_report_many(run->study, run->reports, n) : 0;
    if (rc < 0) return rc;
    for (int64_t i = 0; i < n && run->o->on_event; i++) {
        const hpt__study_report *r = &run->reports[i];
        hpt__run_emit(run, (hpt_run_event){
                               .kind = HPT_RUN_TRIAL_REPORT, .number = r->number, .step = r->step, .value = r->value});
    }
    return 0;
}

static int take_value(int64_t step, double value, void *payload) {
    const sink *s = payload;
    hpt__run *run = s->run;
    const int64_t metric = s->t->steps.metric;
    hpt__run_values(run, s->t)[metric] = (hpt__metric_value){value, true};
    s->t->reported = true;
    if (metric > 0) return 0; // the first one's reports stand for the trial's progress
    int rc = hpt__grow(&run->reports, &run->cap_reports, run->n_reports + 1, sizeof *run->reports);
    if (rc < 0) return rc;
    run->reports[run->n_reports++] = (hpt__study_report){s->t->number, step, value};
    return run->n_reports < REPORTS_PER_STORE ? 0 : store(run);
}

// Reads at most `chunks` pieces; *more: there may be more.
static int read_file(bool *more, hpt__run *run, hpt__running *t, int fd, int64_t *at, hpt__intake_stream *stream,
                     int64_t chunks) {
    sink s = {run, t};
    *more = false;
    for (int64_t i = 0; i < chunks; i++) {
        ssize_t n = pread(fd, run->buffer, HPT__READ_SIZE, *at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            return hpt__fail(HPT_E_IO, "the output of trial %lld cannot be read: %s", (long long)t->number,
                             strerror(errno));
        if (n == 0) {
            struct stat st;
            if (fstat(fd, &st) == 0 && st.st_size < *at) { // emptied, by '>' instead of '>>' for example
                *at = 0;
                continue;
            }
            return 0;
        }
        run->buffer[n] = '\0';
        *at += n;
        int rc = hpt__intake_feed(&run->intake, stream, &t->steps, run->buffer, (size_t)n, take_value, &s);
        if (rc < 0) return rc;
    }
    *more = true;
    return 0;
}

static int read_trial(bool *more, hpt__run *run, hpt__running *t, int64_t chunks) {
    bool out = false, report = false;
    int rc = read_file(&report, run, t, t->fd_report, &t->read_report, &t->report, chunks);
    if (rc == 0 && run->n_metrics > 0) rc = read_file(&out, run, t, t->fd_out, &t->read_out, &t->out, chunks);
    if (rc == 0) hpt__run_trim_read(run, t);
    *more = out || report;
    return rc;
}

int hpt__run_pump(hpt__run *run) {
    run->last_pump = hpt__now_mono();
    run->pump_at = INFINITY;
    for (int64_t i = 0; i < run->n_slots; i++) {
        hpt__running *t = &run->slots[i];
        bool more = false;
        if (!t->trial || t->ended || !(t->written || t->watch < 0)) continue;
        int rc = read_trial(&more, run, t, CHUNKS_PER_TURN);
        if (rc < 0) return rc;
        t->written = more;
        if (more) run->pump_at = run->last_pump;
    }
    return 0;
}

int hpt__run_drain(hpt__run *run, hpt__running *t) {
    sink s = {run, t};
    bool more = true;
    int rc = 0;
    while (rc == 0 && more) rc = read_trial(&more, run, t, CHUNKS_PER_TURN);
    if (rc == 0) rc = hpt__intake_end(&run->intake, &t->report, &t->steps, take_value, &s);
    if (rc == 0) rc = hpt__intake_end(&run->intake, &t->out, &t->steps, take_value, &s);
    return rc;
}

int hpt__run_flush(hpt__run *run) {
    int rc = store(run);
    if (rc < 0) return rc;
    for (int64_t i = 0; i < run->n_slots; i++) {
        hpt__running *t = &run->slots[i];
        bool prune = false;
        if (!t->trial || !t->reported) continue;
        t->reported = false;
        if (run->sweep->silent_timeout > 0) t->silent_at = hpt__now_mono() + run->sweep->silent_timeout;
        if (!run->has_pruner || t->ended || t->cause != HPT__STOP_NONE) continue;
        rc = hpt_trial_should_prune(&prune, t->trial);
        if (rc < 0) return rc;
        if (prune) hpt__run_stop_trial(run, t, HPT__STOP_PRUNE);
    }
    return 0;
}

// Without metric nothing is read while a trial runs, and nothing is a report: then all that it writes is a sign of life.
bool hpt__run_heard(hpt__run *run, hpt__running *t) {
    const int fd[] = {t->fd_out, t->fd_err, t->fd_report};
    struct stat st;
    int64_t n = 0;
    if (!t->trial || t->ended || run->n_metrics > 0 || run->sweep->silent_timeout <= 0) return false;
    for (size_t i = 0; i < sizeof fd / sizeof *fd; i++)
        if (fstat(fd[i], &st) == 0) n += st.st_size;
    if (n == t->n_written) return false;
    t->n_written = n;
    t->silent_at = hpt__now_mono() + run->sweep->silent_timeout;
    return true;
}

// ---- socket

static hpt__running *find_running(hpt__run *run, int64_t number) {
    for (int64_t i = 0; i < run->n_slots; i++)
        if (run->slots[i].trial && run->slots[i].number == number) return &run->slots[i];
    return NULL;
}

static void refuse(hpt__str *reply, const char *why) {
    hpt__str_add(reply, "{\"ok\":false,\"error\":");
    hpt__str_add_json_string(reply, why, strlen(why));
    hpt__str_addc(reply, '}');
}

static int on_report(hpt__str *reply, const hpt__json *request, hpt__run *run) {
    int64_t number, attempt;
    const hpt__json *metrics = hpt__json_get(request, "metrics");
    const char *token = hpt__json_string(hpt__json_get(request, "token"));
    if (!hpt__json_integer(&number, hpt__json_get(request, "trial"))) {
        refuse(reply, "a report names its trial, e.g. {\"trial\":0,\"step\":3,\"value\":0.5}");
        return 0;
    }
    hpt__running *t = find_running(run, number);
    if (!t || t->ended || (token && strcmp(token, run->run_id) != 0) ||
        (hpt__json_integer(&attempt, hpt__json_get(request, "attempt")) && attempt != t->attempt)) {
        refuse(reply, "this attempt of the trial does not run here");
        return 0;
    }
    hpt__intake_hit hits[HPT__METRICS_MAX];
    int64_t step = -1, inner = -1;
    int64_t n = hpt__intake_object(hits, &step, &run->intake, request, true);
    if (metrics) {
        hpt__intake_hit inside[HPT__METRICS_MAX];
        const int64_t m = hpt__intake_object(inside, &inner, &run->intake, metrics, false);
        if (m > 0) memcpy(hits, inside, (size_t)m * sizeof *hits);
        if (m > 0 && inner >= 0) step = inner;
        // "step" stands beside "metrics" and is read only together with a value there.
        double outer;
        if (m > 0 && inner < 0 && hpt__json_number(&outer, hpt__json_get(request, "step")) && outer >= 0 &&
            outer < 9e15)
            step = (int64_t)outer;
        if (m > 0) n = m;
    }
    (void)hpt__intake_object_preempting(&t->steps.preempting, request);
    if (n > 0) step = hpt__intake_step(&t->steps, step);
    for (int64_t i = 0; i < n; i++) {
        sink s = {run, t};
        t->steps.metric = hits[i].metric;
        int rc = take_value(step, hits[i].value, &s);
        if (rc < 0) return rc;
    }
    hpt__str_addf(reply, "{\"ok\":true,\"stop\":%s}", t->cause != HPT__STOP_NONE ? "true" : "false");
    return 0;
}

static void on_stop(hpt__str *reply, const hpt__json *request, hpt__run *run) {
    const hpt__json *which = hpt__json_get(request, "trial");
    int64_t number;
    if (!which) {
        if (run->phase == HPT__RUN_GOING) run->phase = HPT__RUN_STOPPING;
        hpt__str_add(reply, "{\"ok\":true}");
        return;
    }
    hpt__running *t = hpt__json_integer(&number, which) ? find_running(run, number) : NULL;
    if (!t || t->ended) {
        refuse(reply, "this trial does not run here");
        return;
    }
    hpt__run_stop_trial(run, t, HPT__STOP_USER);
    hpt__str_add(reply, "{\"ok\":true}");
}

int hpt__run_request(hpt__str *reply, const hpt__json *request, void *payload) {
    hpt__run *run = payload;
    const char *op = hpt__json_string(hpt__json_get(request, "op"));
    int64_t from;
    if (!op || strcmp(op, "report") == 0) return on_report(reply, request, run);
    if (strcmp(op, "stop") == 0)
        on_stop(reply, request, run);
    else if (strcmp(op, "status") == 0)
        hpt__run_status(reply, run, hpt__json_integer(&from, hpt__json_get(request, "from")) ? from : 0);
    else
        refuse(reply, "unknown op; this socket knows report, stop and status");
    return 0;
}
