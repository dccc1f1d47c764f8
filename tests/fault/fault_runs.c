// SPDX-License-Identifier: Apache-2.0
// fault_runs.c: `hpt run` of a short sweep with one system call failing, for call after call.
//
//   fault_runs HPT SHIM [--full] [--only group:k:errno] [--jobs N]
//
// First a run counts how often each group of calls (fault_shim.c) is made; then, for each group and error, the k-th
// call fails: every k with --full or HPT_TEST_FULL=1, else the first ones and a sample of the others. After each:
//   - the exit status is a documented one (docs/cli.md), no signal, no hang;
//   - a failure says so in a line that begins with "hpt: " and has a reason;
//   - no process of a trial is left;
//   - the database, if there is one, is whole: integrity check, numbers dense, a value for each completed trial only;
//   - `hpt trials` shows it, or says that there is none;
//   - the same command without the fault ends the sweep: status 0, all trials there, none of them failed by our fault;
//   - after that no trial was told twice and the folder has no stray files.
// A sanitizer's report makes the status 99. Prints one line for each broken promise and a summary; exits 1 if there are any.
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CAP = 3, LIMIT_SECONDS = 30, SANITIZER_STATUS = 99, SERIES_MAX = 64, GROUPS_MAX = 64, JOBS_MAX = 16 };

// How many places a series tries at most without --full. Faults that last are also tried: a disk that stays full.
typedef struct series {
    const char *group;
    int error;
    bool lasting;
    int sample;
} series;

static const series all_series[] = {
    {"open", EMFILE, false, 14},
    {"open", ENOSPC, true, 8},
    {"fopen", EMFILE, false, 4},
    {"opendir", EMFILE, false, 4},
    {"read", EIO, false, 10},
    {"pread", EIO, false, 10},
    {"write", ENOSPC, false, 8},
    {"write", EIO, false, 8},
    {"write", ENOSPC, true, 4},
    {"pwrite", EIO, false, 10},
    {"pwrite", ENOSPC, false, 10},
    {"pwrite", ENOSPC, true, 10},
    {"fsync", EIO, false, 6},
    {"fsync", EIO, true, 3},
    {"ftruncate", EIO, false, 6},
    {"ftruncate", ENOSPC, true, 2},
    {"fallocate", ENOSPC, false, 4},
    {"mmap", ENOMEM, false, 4},
    {"mmap", ENOMEM, true, 2},
    {"vfork", EAGAIN, false, 4},
    {"vfork", ENOMEM, false, 4},
    {"vfork", EAGAIN, true, 2},
    {"pidfd_open", EMFILE, false, 4},
    {"pidfd_open", ENOSYS, true, 1},
    {"epoll_create", EMFILE, true, 1},
    {"epoll_ctl", ENOSPC, false, 8},
    {"epoll_ctl", ENOMEM, true, 3},
    {"epoll_wait", EINTR, false, 4},
    {"signalfd", EMFILE, false, 2},
    {"inotify_init", EMFILE, true, 1},
    {"inotify_add_watch", ENOSPC, true, 2},
    {"socket", EMFILE, false, 2},
    {"bind", EACCES, false, 3},
    {"bind", EACCES, true, 1},
    {"listen", EADDRINUSE, false, 1},
    {"flock", ENOLCK, true, 1},
    {"fcntl", ENOLCK, false, 12},
    {"fcntl", EIO, true, 6},
    {"mkdir", ENOSPC, false, 9},
    {"mkdir", EACCES, false, 9},
    {"mkdtemp", ENOSPC, false, 2},
    {"rename", EIO, false, 4},
    {"rename", ENOSPC, true, 2},
    {"symlink", EPERM, true, 1},
    {"unlink", EIO, false, 6},
    {"unlink", EACCES, true, 2},
    {"stat", EACCES, false, 10},
    {"stat", EIO, true, 4},
    {"access", EACCES, false, 4},
    {"getcwd", ENOENT, false, 6},
    {"getcwd", ENOENT, true, 1},
    {"realpath", EACCES, false, 4},
    {"lseek", EIO, false, 2},
    {"malloc", ENOMEM, false, 60},
    {"malloc", ENOMEM, true, 20},
    {"child_dup2", EBUSY, false, 4},
    {"child_exec", ENOEXEC, false, 3},
    {"child_exec", E2BIG, true, 1},
};
enum { N_SERIES = sizeof all_series / sizeof *all_series };

typedef struct counts {
    char name[GROUPS_MAX][32];
    long n[GROUPS_MAX];
    int n_groups;
} counts;

typedef struct shared { // by all jobs
    int cases, broken, failed, fired, next;
} shared;

static const char *hpt, *shim, *preload;
static char top[64];
static shared *tally;

static const char SWEEP[] =
    "name: t\n"
    "method: bayes\n"
    "metric: {name: loss, goal: minimize}\n"
    "run_cap: 3\n"
    "command: [sh, -c, 'echo step=1 loss=$HPT_PARAM_X; echo step=2 loss=0$HPT_PARAM_N']\n"
    "parameters: {x: {min: 0.0, max: 1.0}, n: {min: 1, max: 9}}\n"
    "hpt: {pruner: median, parallel: 2, grace: 1, resources: {gpu: 0.5, cpu: 0.1, memory: 1GiB}}\n";

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void die(const char *what) {
    fprintf(stderr, "fault_runs: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void broken(const char *fault, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void broken(const char *fault, const char *fmt, ...) {
    char text[4096];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    printf("%s: %s\n", fault, text);
    fflush(stdout);
    __atomic_add_fetch(&tally->broken, 1, __ATOMIC_RELAXED);
}

// ---- a run

// Runs hpt in the working folder; *error: its standard error. -1: hung. 256 + n: ended by signal n.
static int run(char *error, size_t size, const char *fault, const char *const *args) {
    const int out = open("out.txt", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666),
              err = open("err.txt", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666),
              null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (out < 0 || err < 0 || null < 0) die("a file of the case");
    const pid_t pid = fork();
    if (pid < 0) die("fork");
    if (pid == 0) {
        dup2(null, 0);
        dup2(out, 1);
        dup2(err, 2);
        setenv("HPT_FAULT_MARK", top, 1);
        setenv("HPT_FAKE_DEVICES", "1", 1);
        setenv("HPT_CLAIMS_DIR", "claims", 1);
        setenv("HPT_CGROUP", "group", 1);          // a folder that stands in for a control group
        setenv("HPT_SQLITE_BUSY_TIMEOUT", "2", 1); // SQLite takes a failing lock of the log's index for a busy one
        setenv("ASAN_OPTIONS", "exitcode=99:detect_leaks=1:allocator_may_return_null=1", 1);
        setenv("UBSAN_OPTIONS", "halt_on_error=1:exitcode=99", 1);
        if (fault) {
            setenv("HPT_FAULT_COUNTS", "counts.txt", 1);
            if (*fault) setenv("HPT_FAULT", fault, 1);
            setenv("LD_PRELOAD", preload, 1);
        }
        execv(hpt, (char *const *)args);
        _exit(126);
    }
    int status = 0;
    const double deadline = now() + LIMIT_SECONDS;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (now() > deadline) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            status = -1;
            break;
        }
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    const ssize_t n = pread(err, error, size - 1, 0);
    error[n > 0 ? n : 0] = '\0';
    close(out);
    close(err);
    close(null);
    if (status == -1) return -1;
    return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}

// Processes with our mark in their environment; the mark is the folder of this test, the case's folder their cwd.
static int processes_here(void) {
    static char text[1 << 16];
    char here[512], path[64], cwd[512];
    int found = 0;
    const struct dirent *e;
    if (!getcwd(here, sizeof here)) die("getcwd");
    DIR *d = opendir("/proc");
    if (!d) die("/proc");
    while ((e = readdir(d)) != NULL) {
        if (!isdigit((unsigned char)e->d_name[0]) || atoi(e->d_name) == getpid()) continue;
        snprintf(path, sizeof path, "/proc/%.20s/cwd", e->d_name);
        const ssize_t m = readlink(path, cwd, sizeof cwd - 1);
        if (m < 0) continue;
        cwd[m] = '\0';
        if (strcmp(cwd, here) != 0) continue;
        snprintf(path, sizeof path, "/proc/%.20s/environ", e->d_name);
        const int fd = open(path, O_RDONLY | O_CLOEXEC);
        const ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : -1;
        if (fd >= 0) close(fd);
        if (n > 0 && memmem(text, (size_t)n, "HPT_FAULT_MARK=", 15)) found++;
    }
    closedir(d);
    return found;
}

// ---- the database

static int64_t ask(sqlite3 *db, const char *sql, char *text, size_t size) {
    sqlite3_stmt *stmt = NULL;
    int64_t v = -1;
    if (text) *text = '\0';
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW) {
        v = sqlite3_column_int64(stmt, 0);
        if (text && sqlite3_column_text(stmt, 0))
            snprintf(text, size, "%s", (const char *)sqlite3_column_text(stmt, 0));
    } else {
        printf("%s: %s\n", sql, sqlite3_errmsg(db));
    }
    sqlite3_finalize(stmt);
    return v;
}

// n_wanted > 0: the sweep is over and has so many trials, all done or pruned unless the fault is one of those by which a
// trial itself fails (its program could not be executed).
static void check_database(const char *fault, const char *when, int64_t n_wanted) {
    static const struct {
        const char *sql, *what;
    } zero[] = {
        {"SELECT COUNT(*) FROM trials WHERE number IS NULL OR number NOT BETWEEN 0 AND (SELECT COUNT(*) FROM trials) - 1",
         "numbers are not dense"},
        {"SELECT COUNT(*) - COUNT(DISTINCT number) FROM trials", "a number is there twice"},
        {"SELECT COUNT(*) FROM trials WHERE state NOT IN ('RUNNING', 'WAITING', 'COMPLETE', 'PRUNED', 'FAIL')",
         "an unknown state"},
        {"SELECT COUNT(*) FROM trials t WHERE state = 'COMPLETE' AND (datetime_complete IS NULL OR "
         "(SELECT COUNT(*) FROM trial_values v WHERE v.trial_id = t.trial_id) <> 1)",
         "a completed trial without its value or time"},
        {"SELECT COUNT(*) FROM trials t WHERE state IN ('RUNNING', 'WAITING') AND (datetime_complete IS NOT NULL OR "
         "(SELECT COUNT(*) FROM trial_values v WHERE v.trial_id = t.trial_id) <> 0)",
         "an unfinished trial with a value or an end"},
        {"SELECT COUNT(*) FROM trials t WHERE state <> 'WAITING' AND "
         "(SELECT COUNT(*) FROM trial_params p WHERE p.trial_id = t.trial_id) <> 2",
         "a trial without its parameters"},
        {"SELECT COUNT(*) FROM trial_params WHERE trial_id NOT IN (SELECT trial_id FROM trials)", "rows of no trial"},
        {"SELECT COUNT(*) FROM trial_system_attributes WHERE value_json IS NULL OR NOT json_valid(value_json)",
         "an attribute that is no JSON"},
    };
    sqlite3 *db = NULL;
    char text[256];
    struct stat st;
    if (stat("hpt_runs/t/study.db", &st) != 0 || st.st_size == 0) {
        if (n_wanted > 0) broken(fault, "%s: there is no database", when);
        return;
    }
    if (sqlite3_open_v2("hpt_runs/t/study.db", &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK) {
        broken(fault, "%s: the database does not open", when);
        sqlite3_close(db);
        return;
    }
    sqlite3_busy_timeout(db, 5000);
    ask(db, "PRAGMA integrity_check", text, sizeof text);
    if (strcmp(text, "ok") != 0) broken(fault, "%s: integrity_check: %s", when, text);
    if (ask(db, "SELECT COUNT(*) FROM sqlite_master WHERE name = 'trials'", NULL, 0) == 1) {
        for (size_t i = 0; i < sizeof zero / sizeof *zero; i++) {
            const int64_t n = ask(db, zero[i].sql, NULL, 0);
            if (n != 0) broken(fault, "%s: %s (%lld)", when, zero[i].what, (long long)n);
        }
        if (n_wanted > 0) {
            const int64_t n = ask(db, "SELECT COUNT(*) FROM trials WHERE state IN ('COMPLETE', 'PRUNED')", NULL, 0),
                          all = ask(db, "SELECT COUNT(*) FROM trials", NULL, 0);
            if (all != n_wanted || (n != n_wanted && strncmp(fault, "child_", 6) != 0)) {
                ask(db, "SELECT group_concat(value_json) FROM trial_system_attributes WHERE key = 'hpt:reason'", text,
                    sizeof text);
                broken(fault, "%s: %lld of %lld trials are done or pruned, not %lld (%s)", when, (long long)n,
                       (long long)all, (long long)n_wanted, text);
            }
        }
    } else if (n_wanted > 0) {
        broken(fault, "%s: the database has no tables", when);
    }
    sqlite3_close(db);
}

// ---- a case

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static void write_sweep(void) {
    FILE *f = fopen("sweep.yaml", "we");
    if (!f || fputs(SWEEP, f) < 0 || fclose(f) != 0) die("sweep.yaml");
    f = mkdir("group", 0777) == 0 ? fopen("group/cgroup.controllers", "we") : NULL;
    if (!f || fputs("memory pids\n", f) < 0 || fclose(f) != 0) die("group");
}

static bool was_fired(void) {
    char text[4096];
    const int fd = open("counts.txt", O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0) close(fd);
    text[n > 0 ? n : 0] = '\0';
    return strstr(text, "fired 1") != NULL;
}

// The last line that begins with "hpt: ", without that; "" if there is none.
static const char *last_message(const char *error) {
    static char line[1024];
    const char *found = NULL;
    line[0] = '\0';
    for (const char *p = error; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
        if (strncmp(p, "hpt: ", 5) == 0) found = p + 5;
    if (found) snprintf(line, sizeof line, "%.*s", (int)strcspn(found, "\n"), found);
    return line;
}

static const char *const run_args[] = {"hpt", "run", "sweep.yaml", "--quiet", "--seed", "1", NULL},
                         *const trials_args[] = {"hpt", "trials", "--run", "hpt_runs/t", NULL};

static void one_case(const char *fault) {
    static char error[1 << 16];
    char folder[128], *slash;
    snprintf(folder, sizeof folder, "%s/%s", top, fault);
    while ((slash = strchr(folder + strlen(top) + 1, ':')) != NULL) *slash = '-';
    if (mkdir(folder, 0777) != 0 || chdir(folder) != 0) die(folder);
    write_sweep();
    const int code = run(error, sizeof error, fault, run_args);
    const char *message = last_message(error);
    __atomic_add_fetch(&tally->cases, 1, __ATOMIC_RELAXED);
    if (code != 0) __atomic_add_fetch(&tally->failed, 1, __ATOMIC_RELAXED);
    if (was_fired()) __atomic_add_fetch(&tally->fired, 1, __ATOMIC_RELAXED);
    if (getenv("HPT_FAULT_SHOW")) printf("%s: %d %s\n", fault, code, message);
    if (code == -1)
        broken(fault, "does not end within %d s", LIMIT_SECONDS);
    else if (code > 7)
        broken(fault, "ended with %s %d: %.3000s", code > 256 ? "signal" : "status", code > 256 ? code - 256 : code,
               error);
    else if (code != 0 && strlen(message) < 12)
        broken(fault, "ended with %d and says: '%s'", code, error);
    else if (code != 0 && strstr(message, "Success"))
        broken(fault, "ended with %d, the reason is lost: %s", code, message);
    const double deadline = now() + 2;
    while (processes_here() > 0 && now() < deadline) nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    if (processes_here() > 0) broken(fault, "%d processes are left", processes_here());
    check_database(fault, "after the fault", 0);
    char first[1024];
    snprintf(first, sizeof first, "%s", message);
    const int listed = run(error, sizeof error, NULL, trials_args);
    if (listed != 0 && listed != 3) broken(fault, "`hpt trials` ends with %d: %s", listed, last_message(error));
    const int again = run(error, sizeof error, NULL, run_args);
    if (again != 0)
        broken(fault, "the next run ends with %d: %s (the first one: %d %s)", again, last_message(error), code, first);
    else
        check_database(fault, "after the next run", CAP);
    if (processes_here() > 0) broken(fault, "the next run left processes");
    glob_t parts; // of hpt__replace_file
    if (glob("hpt_runs/t/*.[0-9]*", 0, NULL, &parts) == 0) broken(fault, "%s is left", parts.gl_pathv[0]);
    globfree(&parts);
    if (chdir("/") == 0) nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

// ---- all cases

static void read_counts(counts *c) {
    char line[128];
    FILE *f = fopen("counts.txt", "re");
    if (!f) die("counts.txt: is the shim loaded?");
    while (c->n_groups < GROUPS_MAX && fgets(line, sizeof line, f))
        if (sscanf(line, "%31s %ld", c->name[c->n_groups], &c->n[c->n_groups]) == 2) c->n_groups++;
    fclose(f);
}

static long count_of(const counts *c, const char *group) {
    for (int i = 0; i < c->n_groups; i++)
        if (strcmp(c->name[i], group) == 0) return c->n[i];
    return 0;
}

// The j-th of m places among n calls: the first half of them one after the other, the rest evenly to the end.
static long place(long j, long m, long n) {
    if (m >= n) return j + 1;
    const long head = m / 2;
    if (j < head) return j + 1;
    return head + (long)((double)(j - head + 1) * (double)(n - head) / (double)(m - head));
}

// All cases in order; returns how many there are. only >= 0: writes that one.
static int list_cases(const counts *c, bool full, int only, char *fault, size_t size) {
    int at = 0;
    for (int i = 0; i < N_SERIES; i++) {
        const series *s = &all_series[i];
        const long n = count_of(c, s->group) + (full ? 3 : 0); // a little beyond: counts vary from run to run
        const long m = full && strcmp(s->group, "malloc") != 0 ? n : full ? s->sample * 10 : s->sample;
        for (long j = 0; j < (m < n ? m : n); j++, at++)
            if (at == only)
                snprintf(fault, size, "%s:%ld%s:%d", s->group, place(j, m, n), s->lasting ? "+" : "", s->error);
    }
    return at;
}

static void work(const counts *c, bool full, int n_cases) {
    for (;;) {
        char fault[64];
        const int i = __atomic_fetch_add(&tally->next, 1, __ATOMIC_RELAXED);
        if (i >= n_cases) return;
        list_cases(c, full, i, fault, sizeof fault);
        one_case(fault);
    }
}

static void find_preload(void) {
    static char list[8192];
    char command[4096], line[1024] = "";
    snprintf(command, sizeof command, "ldd '%s' 2>/dev/null | awk '/lib[at]san/ { print $3; exit }'", hpt);
    FILE *f = popen(command, "re");
    if (f && fgets(line, sizeof line, f)) line[strcspn(line, "\n")] = '\0';
    if (f) pclose(f);
    snprintf(list, sizeof list, "%s%s%s", line, *line ? ":" : "", shim); // a sanitizer insists on being first
    preload = list;
}

int main(int argc, char **argv) {
    const char *text = getenv("HPT_TEST_FULL"), *only = NULL;
    bool full = text && *text && strcmp(text, "0") != 0;
    static char error[1 << 16];
    static const char *const unset[] = {"HPT_FAKE_DEVICES", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "HPT_TRIAL",
                                        "HPT_SWEEP_DIR",    "HPT_STORAGE",          "LD_PRELOAD",      "HPT_LOG"};
    counts c = {0};
    int jobs = 2;
    if (argc < 3) {
        fprintf(stderr, "usage: %s HPT SHIM [--full] [--only group:k:errno] [--jobs N]\n", argv[0]);
        return 2;
    }
    hpt = realpath(argv[1], NULL);
    shim = realpath(argv[2], NULL);
    if (!hpt || !shim) die("program or shim");
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "--full") == 0)
            full = true;
        else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
            only = argv[++i];
        else if (strcmp(argv[i], "--jobs") == 0 && i + 1 < argc)
            jobs = atoi(argv[++i]);
    }
    if (jobs < 1 || jobs > JOBS_MAX) jobs = 1;
    for (size_t i = 0; i < sizeof unset / sizeof *unset; i++) unsetenv(unset[i]);
    find_preload();
    snprintf(top, sizeof top, "/tmp/hpt-fault-XXXXXX");
    if (!mkdtemp(top)) die("mkdtemp");
    tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tally == MAP_FAILED) die("mmap");
    const double start = now();
    if (only) {
        one_case(only);
    } else {
        if (chdir(top) != 0) die(top);
        write_sweep();
        const int code = run(error, sizeof error, "", run_args);
        if (code != 0) {
            fprintf(stderr, "without any fault the run ends with %d: %s\n", code, error);
            return 1;
        }
        read_counts(&c);
        const int n_cases = list_cases(&c, full, -1, NULL, 0);
        if (n_cases == 0) {
            fprintf(stderr, "the shim counted no call: it does not reach the program\n");
            return 1;
        }
        pid_t workers[JOBS_MAX];
        fflush(stdout);
        for (int i = 0; i < jobs; i++) {
            workers[i] = fork();
            if (workers[i] < 0) die("fork");
            if (workers[i] == 0) {
                work(&c, full, n_cases);
                fflush(stdout);
                _exit(0);
            }
        }
        for (int i = 0; i < jobs; i++) {
            int status = 0;
            if (waitpid(workers[i], &status, 0) != workers[i] || status != 0) {
                printf("a worker of this test ended with %d\n", status);
                tally->broken++;
            }
        }
    }
    if (chdir("/") == 0) nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    if (tally->fired < tally->cases / 2) {
        printf("only %d of %d faults happened: is the shim in use?\n", tally->fired, tally->cases);
        tally->broken++;
    }
    printf("%d faults (%d happened), %d runs ended by them, %d broken promises, %.0f s\n", tally->cases, tally->fired,
           tally->failed, tally->broken, now() - start);
    return tally->broken > 0;
}
