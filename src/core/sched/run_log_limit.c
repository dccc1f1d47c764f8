// SPDX-License-Identifier: Apache-2.0
// run_log_limit.c: a trial that prints gigabytes must not fill the disk.
//
// A trial writes its files itself (they are its descriptors 1, 2 and 3, and it never waits for us), so that nothing can
// be left out on the way. Instead what lies beyond the limit and has been read is given back to the file system by
// punching a hole (fallocate): the file keeps its length, which the trial's appending and our reading rely on, but
// takes only the limit's space plus what was not read yet. Once the trial is over its files are cut for good: the
// first `limit` bytes, a line that says how much is missing, and the last lines, which tell how it ended.
// Cutting a file under a writing trial instead would lose what it writes between our last read and the cut.
//
// Where the file system cannot punch holes, files are cut at the end only, and a notice says so.
//
// Ownership: none. Threads: the run's. Cost: nothing below the limit but a comparison a turn and one fstat a second;
// beyond it one system call per 4 MiB. Source: fallocate(2).
#include "../base/alloc.h"
#include "run_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TAIL = 1 << 16, PIECE = 1 << 22 };

// Gives back [limit, end - TAIL) of a file as far as that was not done yet.
static void punch(hpt__run *run, int fd, int64_t *punched, int64_t end) {
    const int64_t start = *punched > run->log_limit ? *punched : run->log_limit;
    if (run->no_punching || fd < 0 || end - TAIL - start < PIECE) return;
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start, end - TAIL - start) == 0) {
        *punched = end - TAIL;
        return;
    }
    if (errno == EINTR) return;
    run->no_punching = true;
    hpt__run_notice(run,
                    "the file system cannot shorten files in use (%s): output beyond %lld MiB of a file is removed "
                    "only when its trial ends",
                    strerror(errno), (long long)(run->log_limit >> 20));
}

void hpt__run_trim_read(hpt__run *run, hpt__running *t) {
    if (t->read_out > run->log_limit) punch(run, t->fd_out, &t->punched_out, t->read_out);
    if (t->read_report > run->log_limit) punch(run, t->fd_report, &t->punched_report, t->read_report);
}

void hpt__run_trim_all(hpt__run *run) {
    struct stat st;
    if (run->log_limit == INT64_MAX) return;
    for (int64_t i = 0; i < run->n_slots; i++) {
        hpt__running *t = &run->slots[i];
        if (!t->trial) continue;
        hpt__run_trim_read(run, t);
        if (fstat(t->fd_err, &st) == 0 && st.st_size > run->log_limit)
            punch(run, t->fd_err, &t->punched_err, st.st_size);
        // Without metric nobody reads standard output.
        if (run->n_metrics == 0 && fstat(t->fd_out, &st) == 0 && st.st_size > run->log_limit)
            punch(run, t->fd_out, &t->punched_out, st.st_size);
    }
}

// Failures leave the file as it is: a log that is too long is no reason to lose a result.
static bool cut(const hpt__run *run, int fd) {
    char *text = NULL, note[160];
    struct stat st;
    bool done = false;
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size - TAIL <= run->log_limit) return false;
    text = hpt__malloc(TAIL);
    if (!text) return false;
    const ssize_t n = pread(fd, text, TAIL, st.st_size - TAIL);
    if (n == TAIL && ftruncate(fd, run->log_limit) == 0) {
        const char *line = memchr(text, '\n', TAIL);
        const char *tail = line && line + 1 < text + TAIL ? line + 1 : text;
        const size_t m = (size_t)(text + TAIL - tail);
        const int k = snprintf(
            note, sizeof note, "\n[hpt: %lld bytes are left out here; option run.log_limit keeps %lld MiB of a file]\n",
            (long long)(st.st_size - run->log_limit - (int64_t)m), (long long)(run->log_limit >> 20));
        done = write(fd, note, (size_t)k) == k && write(fd, tail, m) == (ssize_t)m;
    }
    hpt__free(text);
    return done;
}

void hpt__run_cut_logs(hpt__run *run, hpt__running *t) {
    if (run->log_limit == INT64_MAX) return;
    (void)cut(run, t->fd_out);
    (void)cut(run, t->fd_report);
    if (cut(run, t->fd_err) && t->stderr_start > run->log_limit) t->stderr_start = run->log_limit;
}

int hpt__run_log_limit_init(hpt__run *run) {
    int rc = 0;
    hpt__options o;
    HPT_TRY(hpt__options_from_env(&o));
    for (int64_t i = 0; i < run->sweep->n_options; i++) HPT_TRY(hpt__options_set_pair(&o, run->sweep->options[i]));
    for (int64_t i = 0; i < run->o->n_options; i++) HPT_TRY(hpt__options_set_pair(&o, run->o->options[i]));
    run->disk_reserve = o.run_disk_reserve << 20;
    run->log_limit = o.run_log_limit > 0 ? o.run_log_limit << 20 : INT64_MAX;
    rc = 0;
out:
    return rc;
}
