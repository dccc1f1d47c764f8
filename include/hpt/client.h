/* SPDX-License-Identifier: Apache-2.0
 * client.h: what a training code in C or C++ needs inside a trial. One file, C99, nothing to link.
 *
 *   #include <hpt/client.h>
 *   double lr = hpt_client_param_double("lr", 0.01);
 *   for (int epoch = 0; epoch < 100; epoch++)
 *       if (hpt_client_report(epoch, train(lr)) == HPT_CLIENT_STOP) return 0;
 *
 * Outside a trial every function does nothing and says so (defaults, CONTINUE, NULL), so that the same
 * program runs alone. Nothing here blocks: a report is one appended line in a file of the trial's folder,
 * and the question whether to stop is a look at whether a file exists, at most ten times a second and once
 * per report. With MPI, rank 0 reports and broadcasts the answer. docs/trial-protocol.md has the protocol.
 *
 * Threads: one at a time. State: static variables of the including file. Numbers are written and read with
 * a decimal point whatever the locale. */
#ifndef HPT_CLIENT_H
#define HPT_CLIENT_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum { HPT_CLIENT_CONTINUE = 0, HPT_CLIENT_STOP = 1 };

/* Whether this process is a trial of `hpt run`. */
static inline bool hpt_client_enabled(void) {
    return getenv("HPT_TRIAL") != NULL && getenv("HPT_REPORT_FILE") != NULL;
}

/* Text of a parameter, or fallback if this trial has none of that name. Borrowed from the environment.
 * HPT_PARAM_<NAME>: letters in capitals, everything that is no letter or digit as '_'. */
static inline const char *hpt_client_param_string(const char *name, const char *fallback) {
    char key[512] = "HPT_PARAM_";
    size_t n = strlen(key);
    const char *text;
    for (; *name && n + 1 < sizeof key; name++, n++) {
        char c = *name;
        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        else if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')))
            c = '_';
        key[n] = c;
    }
    key[n] = '\0';
    text = *name ? NULL : getenv(key);
    return text ? text : fallback;
}

/* A numeric parameter; fallback also if its text is no number. */
static inline double hpt_client_param_double(const char *name, double fallback) {
    const char *text = hpt_client_param_string(name, NULL);
    char copy[64];
    char *end;
    double v;
    if (!text || !*text || strlen(text) >= sizeof copy) return fallback;
    strcpy(copy, text);
    v = strtod(copy, &end);
    if (*end == '.') { /* a locale with a decimal comma */
        *end = ',';
        v = strtod(copy, &end);
    }
    return *end ? fallback : v;
}

static inline int64_t hpt_client_param_int(const char *name, int64_t fallback) {
    const char *text = hpt_client_param_string(name, NULL);
    char *end;
    long long v;
    if (!text || !*text) return fallback;
    errno = 0;
    v = strtoll(text, &end, 10);
    return *end || errno ? fallback : (int64_t)v;
}

/* True once the trial should end: save, exit 0. Looks at most every 0.1 s. Stays true. */
static inline bool hpt_client_stop_check(bool now) {
    static bool stop = false;
    static int64_t last_us = 0;
    const char *path = getenv("HPT_STOP_FILE");
    struct timeval tv;
    int64_t us;
    if (stop || !path) return stop;
    gettimeofday(&tv, NULL);
    us = (int64_t)tv.tv_sec * 1000000 + (int64_t)tv.tv_usec;
    if (!now && us - last_us < 100000 && us >= last_us) return false;
    last_us = us;
    stop = access(path, F_OK) == 0;
    return stop;
}

static inline bool hpt_client_should_stop(void) {
    return hpt_client_stop_check(false);
}

/* Appends one line of the protocol, e.g. "step=3 loss=0.25"; the newline is added. 0, or -1 with errno. */
static inline int hpt_client_report_line(const char *line) {
    /* The file is opened by its name: descriptor HPT_FD may be closed, or another file, in a process that the
     * trial started. O_APPEND and one write keep the lines of several processes whole. */
    static int fd = -1;
    char buffer[4096];
    size_t n = strlen(line);
    if (!hpt_client_enabled()) return 0;
    if (n + 1 > sizeof buffer || memchr(line, '\n', n)) {
        errno = EINVAL;
        return -1;
    }
    if (fd < 0) {
        fd = open(getenv("HPT_REPORT_FILE"), O_WRONLY | O_APPEND | O_CREAT, 0666);
        if (fd < 0) return -1;
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    memcpy(buffer, line, n);
    buffer[n] = '\n';
    for (;;) {
        ssize_t k = write(fd, buffer, n + 1);
        if (k == (ssize_t)(n + 1)) return 0;
        if (k >= 0 || errno != EINTR) return -1;
    }
}

/* Reports the sweep's metric at a step (>= 0; negative: the next one). HPT_CLIENT_STOP: the trial should end.
 * A report that cannot be written is dropped: training goes before bookkeeping. */
static inline int hpt_client_report(int64_t step, double value) {
    char line[96], *comma;
    if (!hpt_client_enabled()) return HPT_CLIENT_CONTINUE;
    if (step >= 0)
        snprintf(line, sizeof line, "step=%lld value=%.17g", (long long)step, value);
    else
        snprintf(line, sizeof line, "value=%.17g", value);
    comma = strchr(line, ',');
    if (comma) *comma = '.';
    (void)hpt_client_report_line(line);
    return hpt_client_stop_check(true) ? HPT_CLIENT_STOP : HPT_CLIENT_CONTINUE;
}

/* The same for one metric by its name: a sweep with several metrics needs the last value of each. */
static inline int hpt_client_report_metric(int64_t step, const char *name, double value) {
    char line[1024], number[48], *comma;
    int n;
    if (!hpt_client_enabled()) return HPT_CLIENT_CONTINUE;
    snprintf(number, sizeof number, "%.17g", value);
    comma = strchr(number, ',');
    if (comma) *comma = '.';
    if (step >= 0)
        n = snprintf(line, sizeof line, "step=%lld %s=%s", (long long)step, name, number);
    else
        n = snprintf(line, sizeof line, "%s=%s", name, number);
    if (n > 0 && (size_t)n < sizeof line) (void)hpt_client_report_line(line);
    return hpt_client_stop_check(true) ? HPT_CLIENT_STOP : HPT_CLIENT_CONTINUE;
}

/* Announces that this process is about to be cut off through no fault of its own (a node that is drained, a batch job
 * whose time is up). If it then ends with a code other than 0, or by a signal, the trial counts neither as failed nor
 * as a retry: it is started again under its number, with the same checkpoint folder and HPT_RESUME=1. Write the
 * checkpoint, call this, exit with a code other than 0. 0, or -1 with errno. */
static inline int hpt_client_preempting(void) {
    return hpt_client_report_line("{\"preempting\": true}");
}

/* Folder that stays the same over all attempts of the trial; NULL outside one. */
static inline const char *hpt_client_checkpoint_dir(void) {
    return hpt_client_enabled() ? getenv("HPT_CHECKPOINT_DIR") : NULL;
}

/* Whether an earlier attempt of this trial ran before: look for a checkpoint. */
static inline bool hpt_client_resume(void) {
    const char *text = getenv("HPT_RESUME");
    return text && strcmp(text, "1") == 0;
}

/* Number of the trial, -1 outside one; its attempt (0 the first); a seed in [0, 2^31) that belongs to it. */
static inline int64_t hpt_client_trial(void) {
    const char *text = getenv("HPT_TRIAL");
    return text ? (int64_t)strtoll(text, NULL, 10) : -1;
}

static inline int64_t hpt_client_attempt(void) {
    const char *text = getenv("HPT_ATTEMPT");
    return text ? (int64_t)strtoll(text, NULL, 10) : 0;
}

static inline int64_t hpt_client_seed(int64_t fallback) {
    const char *text = getenv("HPT_SEED");
    return text ? (int64_t)strtoll(text, NULL, 10) : fallback;
}

#endif
