// SPDX-License-Identifier: Apache-2.0
// run_oom.c: whether a trial failed for lack of memory, of its GPU's or of the host's, by what it wrote.
//
// Frameworks say so in words that have been the same for years (oom_words.inc), most as an uncaught exception at the end of
// standard error; the last TAIL bytes of this attempt are searched. The GPU's words count first: a message that has them
// may hold those of the host as well.
// Without words: the kernel has ended a process of the trial's control group at its limit (run_share.c); or a SIGKILL that was not ours, of a trial whose largest process had NEARLY all of the memory that the
// sweep gives it (the kernel's own out-of-memory killer says nothing to the program).
//
// In the same way it is known that a trial speaks of a fatal fault on its GPU (fault_words.inc), which run_fault.c asks.
//
// Only trials that failed are looked at, so that a program which catches the error and goes on is none. Ownership: none.
// Threads: the run's. Cost: one read of a file's end for each failed trial.
#include "run_impl.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TAIL = 1 << 16 };
static const double NEARLY = 0.9;

typedef enum whose { NOBODY, HOST, GPU } whose;

static whose search(const char *text, size_t n) {
    static const struct {
        whose memory;
        const char *text;
    } words[] = {
#define X(memory, text) {memory, text},
#include "oom_words.inc"
#undef X
    };
    whose found = NOBODY;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (words[i].memory > found && memmem(text, n, words[i].text, strlen(words[i].text))) found = words[i].memory;
    return found;
}

// The end of what this attempt wrote to standard error.
static size_t read_tail(char text[TAIL], const hpt__running *t) {
    char path[PATH_MAX + 16];
    struct stat st;
    ssize_t n = -1;
    (void)snprintf(path, sizeof path, "%s/stderr.log", t->dir);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0) {
        const int64_t at = st.st_size - TAIL;
        n = pread(fd, text, TAIL, at > t->stderr_start ? at : t->stderr_start);
    }
    if (fd >= 0) close(fd);
    return n > 0 ? (size_t)n : 0;
}

hpt__said hpt__run_says_fault(const hpt__running *t) {
    static const struct {
        hpt__said said;
        const char *text;
    } words[] = {
#define X(said, text) {HPT__SAID_##said, text},
#include "fault_words.inc"
#undef X
    };
    char text[TAIL];
    hpt__said found = HPT__SAID_NOTHING;
    const size_t n = read_tail(text, t);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (words[i].said > found && memmem(text, n, words[i].text, strlen(words[i].text))) found = words[i].said;
    return found;
}

hpt_outcome hpt__run_failure_kind(const hpt__running *t) {
    char text[TAIL];
    if (t->status_known && WIFEXITED(t->status) && WEXITSTATUS(t->status) == 0) return HPT_OUTCOME_FAILED;
    const whose said = search(text, read_tail(text, t));
    if (said != NOBODY) return said == GPU ? HPT_OUTCOME_OOM_GPU : HPT_OUTCOME_OOM_HOST;
    if (t->use.oom_kills > 0) return HPT_OUTCOME_OOM_HOST;
    const int64_t memory = t->grant.demand.memory;
    const bool killed = t->status_known && WIFSIGNALED(t->status) && WTERMSIG(t->status) == SIGKILL && !t->killed;
    if (killed && memory > 0 && (double)t->usage.ru_maxrss * 1024 >= NEARLY * (double)memory)
        return HPT_OUTCOME_OOM_HOST;
    return HPT_OUTCOME_FAILED;
}
