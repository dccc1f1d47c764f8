// SPDX-License-Identifier: Apache-2.0
// process.c: one trial's process.
//
// vfork + exec: the parent's pages are not copied, so that the cost does not grow with the engine's memory (a fork of
// a process with a few gigabytes of surrogate takes milliseconds; this stays below one). posix_spawn cannot set the
// parent-death signal, hence the few lines in the child here. Between vfork and exec the child shares our memory: it
// only makes system calls, and writes two variables, the reason why exec failed and whether it entered its control group.
//
// The child: own session (and with it process group, no terminal), SIGKILL when its parent dies, its cores and limits
// (run_share.c), our descriptors 0 to 3 and nothing else, the caller's signal mask, SIGPIPE as usual. Whoever embeds the library may have other open files
// without close-on-exec; a training run that lives for days must not hold them, so everything above 3 is marked.
//
// Ownership: everything is borrowed. Threads: the thread that starts a process must outlive it (the parent-death
// signal is tied to it). Sources: vfork(2), prctl(2), close_range(2).
#include "process.h"

#include "../base/alloc.h"
#include "../base/error.h"
#include "../base/str.h"
#include "signals.h"

#include <errno.h>
#include <linux/close_range.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void limit_data(rlim_t bytes) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_DATA, &limit) < 0) return;
    if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > bytes) limit.rlim_max = bytes;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_DATA, &limit);
}

static _Noreturn void child(const hpt__spawn *s, pid_t parent, volatile int *error_number, volatile bool *entered) {
    struct sigaction usual = {.sa_handler = SIG_DFL};
    (void)setsid();
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127); // it died before the line above
    if (dup2(s->fd_in, 0) < 0 || dup2(s->fd_out, 1) < 0 || dup2(s->fd_err, 2) < 0 || dup2(s->fd_report, 3) < 0 ||
        (s->cwd && chdir(s->cwd) < 0)) {
        *error_number = errno;
        _exit(127);
    }
    // A limit that cannot be set is no reason not to run: the trial's tier was decided by what is known to work.
    if (s->cores) (void)sched_setaffinity(0, HPT__CORE_SETS * sizeof *s->cores, s->cores);
    if (s->door >= 0) *entered = write(s->door, "0", 1) == 1;
    if (s->data_limit > 0 && (!*entered || s->keeps_limit)) limit_data((rlim_t)s->data_limit);
    (void)syscall(SYS_close_range, 4U, ~0U, CLOSE_RANGE_CLOEXEC); // kernels before 5.11: our own are marked anyway
    (void)sigaction(SIGPIPE, &usual, NULL);
    hpt__signals_reset();
    (void)sigprocmask(SIG_SETMASK, &s->mask, NULL);
    execvpe(s->path, s->argv, s->envp); // runs a script without #! by the shell, as a user at a prompt is used to
    *error_number = errno;
    _exit(127);
}

int hpt__process_spawn(pid_t *pid_out, int *error_number, hpt__spawn *s) {
    volatile int why = 0;
    volatile bool entered = false;
    const pid_t parent = getpid();
    pid_t pid = vfork();
    if (pid == 0) child(s, parent, &why, &entered);
    if (pid < 0) return hpt__fail(HPT_E_IO, "no process can be started: %s", strerror(errno));
    *error_number = why;
    s->entered = entered;
    *pid_out = pid;
    return 0;
}

// 0, or why a file cannot be executed.
static int check_executable(const char *path) {
    struct stat st;
    if (stat(path, &st) < 0) return errno;
    if (S_ISDIR(st.st_mode)) return EISDIR;
    return access(path, X_OK) < 0 ? errno : 0;
}

int hpt__process_find(char **out, const char *program) {
    int rc = 0, why = ENOENT;
    hpt__str path = HPT__STR_INIT;
    *out = NULL;
    HPT_FAIL_IF(!*program, HPT_E_NOT_FOUND, "the command's first element is empty");
    if (strchr(program, '/')) {
        hpt__str_add(&path, program);
        HPT_TRY(hpt__str_status(&path));
        why = check_executable(program);
    } else {
        const char *p = getenv("PATH");
        if (!p) p = "/usr/local/bin:/usr/bin:/bin";
        for (;;) {
            const char *end = strchrnul(p, ':');
            hpt__str_clear(&path);
            hpt__str_addn(&path, p, (size_t)(end - p));
            hpt__str_add(&path, end == p ? "./" : "/"); // an empty entry is the working folder
            hpt__str_add(&path, program);
            HPT_TRY(hpt__str_status(&path));
            const int e = check_executable(hpt__str_text(&path));
            if (e == 0 || e == EACCES) why = e;
            if (e == 0 || !*end) break;
            p = end + 1;
        }
    }
    HPT_FAIL_IF(why == EACCES, HPT_E_NOT_FOUND, "program '%s' is not executable; chmod +x it, or name its interpreter",
                program);
    HPT_FAIL_IF(why == EISDIR, HPT_E_NOT_FOUND, "program '%s' is a folder", program);
    HPT_FAIL_IF(why != 0, HPT_E_NOT_FOUND, "program '%s' not found%s", program,
                strchr(program, '/') ? "" : " along PATH; a program in this folder needs './' before its name");
    *out = hpt__str_take(&path);
    if (!*out) rc = hpt__fail_memory();
out:
    hpt__str_fini(&path);
    return rc;
}
