// SPDX-License-Identifier: Apache-2.0
// mps_root.c: see mps_root.h.
//
// Who uses a controller is a lock and not a number: the kernel drops it with the run, however that ends. So a controller that can be locked
// by one alone is nobody's, and is ended: by the run that leaves it last, or else by the next one that begins or ends (sweep), or by the
// next one of the same folder. Whose it is needs no process ids, start times or boots to be compared. A lock on the folder
// itself also keeps those that tidy /tmp away (systemd-tmpfiles).
//
// Pipe and log folders lie in one made by mkdtemp (mode 0700) in /tmp, which is local to the machine and short enough for a Unix
// socket; a run's own folder may be neither. A process of MPS is a pipe folder's if its CUDA_MPS_PIPE_DIRECTORY says so, and this
// user's. So what is ended is never another's.
//
// mps.txt in the run's folder (boot id and root) is for runs that have no folder of claims. One from another boot (or another
// machine) names nothing that runs here, and is dropped.
//
// An end is asked for with `quit`, which ends the servers first; what has not obeyed in time gets SIGKILL.
//
// Threads: any. Sources: flock(2), NVIDIA's MPS documentation (one pipe folder per controller).
#include "mps_root.h"

#include "../base/alloc.h"
#include "../base/clock.h"
#include "../base/error.h"
#include "../base/file.h"
#include "../devices/proc_walk.h"
#include "../process/process.h"
#include "mps_call.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <hpt/device.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char PROGRAM[] = "nvidia-cuda-mps-control";
static const char RECORD[] = "mps.txt", ROOT[] = "/tmp/hpt-mps-", POINTER[] = "mps-";
static const double LIMIT = 5.0; // seconds for an end
enum { SUFFIX = 6, PATH_SIZE = PATH_MAX + 64 };

int hpt__mps_program(char **out) {
    const char *given = getenv("HPT_MPS_CONTROL");
    return hpt__process_find(out, given && *given ? given : PROGRAM);
}

// ---- names

// How many characters of a path are the name of a root; 0: it is none.
static size_t root_length(const char *path) {
    const size_t n = sizeof ROOT - 1;
    if (strncmp(path, ROOT, n) != 0) return 0;
    for (size_t i = 0; i < SUFFIX; i++)
        if (!isalnum((unsigned char)path[n + i])) return 0;
    return n + SUFFIX;
}

static bool is_controller(const char *name) {
    const size_t a = strspn(name, "0123456789"), b = name[a] == '.' ? strspn(name + a + 1, "0123456789") : 0;
    return a > 0 && b > 0 && name[a + 1 + b] == '\0';
}

bool hpt__mps_is_pipe(const char *pipe) {
    const size_t n = root_length(pipe);
    return n > 0 && pipe[n] == '/' && strlen(pipe) < HPT__MPS_PATH && is_controller(pipe + n + 1);
}

static void pointer_of(char out[PATH_SIZE], const char *registry, const char *root) {
    (void)snprintf(out, PATH_SIZE, "%s/%s%s", registry, POINTER, root + sizeof ROOT - 1);
}

// ---- locks

int hpt__mps_lock(const char *folder, bool alone) {
    struct stat a, b;
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return -1;
    int why = EPERM;
    if (fstat(fd, &a) == 0 && a.st_uid == geteuid() && !(a.st_mode & 077)) {
        const bool got = flock(fd, (alone ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0;
        why = got ? ENOENT : errno;
        // Who had it alone may have removed it meanwhile.
        if (got && lstat(folder, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino) return fd;
    }
    (void)close(fd);
    errno = why;
    return -1;
}

void hpt__mps_unlock(int *fd) {
    if (*fd < 0) return;
    (void)flock(*fd, LOCK_UN); // a child of this program may have the descriptor still
    (void)close(*fd);
    *fd = -1;
}

// ---- processes and folders

static bool belongs(const hpt_mps_info *p, const char *pipe) {
    return p->uid == (int64_t)geteuid() && strcmp(p->pipe_directory, pipe) == 0;
}

int64_t hpt__mps_processes(const char *pipe, int signal_number) {
    hpt_mps_info *list = NULL;
    int64_t n = 0, found = 0;
    if (hpt_mps_list(&list, &n) < 0) return 0;
    for (int64_t i = 0; i < n; i++) {
        if (!belongs(&list[i], pipe)) continue;
        found++;
        if (signal_number) (void)kill((pid_t)list[i].pid, signal_number);
    }
    hpt__free(list);
    return found;
}

pid_t hpt__mps_daemon(const char *pipe) {
    hpt_mps_info *list = NULL;
    int64_t n = 0;
    pid_t daemon = 0;
    unsigned long long least = 0;
    hpt__proc_stat stat;
    if (hpt_mps_list(&list, &n) < 0) return 0;
    for (int64_t i = 0; i < n; i++) { // those who just ask it have the same name, and are younger
        if (!belongs(&list[i], pipe) || strcmp(list[i].role, "control") != 0) continue;
        if (!hpt__proc_stat_read(&stat, (pid_t)list[i].pid) || stat.state == 'Z') continue;
        if (daemon > 0 && stat.start >= least) continue;
        daemon = (pid_t)list[i].pid;
        least = stat.start;
    }
    hpt__free(list);
    return daemon;
}

static void wait_until_gone(const char *pipe, double seconds) {
    const double until = hpt__now_mono() + seconds;
    while (hpt__mps_processes(pipe, 0) > 0 && hpt__now_mono() < until)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *where) {
    (void)st, (void)kind, (void)where;
    (void)remove(path);
    return 0;
}

static void remove_tree(const char *path) {
    enum { OPEN_FOLDERS = 4 };
    (void)nftw(path, remove_entry, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS);
}

void hpt__mps_end_folder(const char *pipe, double seconds) {
    char log[HPT__MPS_PATH + 8];
    wait_until_gone(pipe, seconds);
    if (hpt__mps_processes(pipe, SIGKILL) > 0) wait_until_gone(pipe, seconds);
    (void)snprintf(log, sizeof log, "%s.log", pipe);
    remove_tree(log);
    remove_tree(pipe);
}

// ---- roots

static void read_boot_id(char out[64]) {
    if (!hpt__read_start(out, 64, NULL, "/proc/sys/kernel/random/boot_id")) out[0] = '\0';
    out[strcspn(out, "\n")] = '\0';
}

int hpt__mps_root_make(char root[HPT__MPS_ROOT], int *fd, const char *run_dir, const char *registry) {
    char boot[64], text[128], path[PATH_SIZE];
    read_boot_id(boot);
    (void)snprintf(root, HPT__MPS_ROOT, "%sXXXXXX", ROOT);
    if (!mkdtemp(root)) {
        root[0] = '\0';
        return hpt__fail(HPT_E_IO, "no folder for MPS can be made in /tmp: %s", strerror(errno));
    }
    *fd = hpt__mps_lock(root, false); // before anybody can know of it
    if (*fd < 0) return hpt__fail(HPT_E_IO, "'%s' cannot be locked: %s", root, strerror(errno));
    if (registry) {
        pointer_of(path, registry, root);
        const int pointer = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (pointer >= 0) (void)close(pointer); // else only the next run of this folder ends what a kill leaves
    }
    const int n = snprintf(text, sizeof text, "%s %s\n", boot, root);
    (void)snprintf(path, sizeof path, "%s/%s", run_dir, RECORD);
    return hpt__replace_file(path, 0666, text, (size_t)n);
}

static int64_t end_controller(const char *pipe, const char *program) {
    hpt__mps_call call = {0};
    char log[HPT__MPS_PATH + 8];
    const int64_t n = hpt__mps_processes(pipe, 0);
    (void)snprintf(log, sizeof log, "%s.log", pipe);
    const hpt__mps_where w = {.program = program, .pipe = pipe, .log = log, .uuid = ""};
    if (n > 0 && program && hpt__mps_call_begin(&call, &w, "quit\n", LIMIT) == 0) (void)hpt__mps_call_wait(&call);
    hpt__mps_call_fini(&call);
    hpt__mps_end_folder(pipe, LIMIT);
    return n;
}

int64_t hpt__mps_root_end(const char *root, const char *program, const char *registry) {
    char path[PATH_SIZE];
    int64_t n = 0, used = 0;
    const struct dirent *e;
    int fd = hpt__mps_lock(root, true);
    if (fd < 0) return 0;
    DIR *d = opendir(root);
    while (d && (e = readdir(d)) != NULL) {
        char pipe[HPT__MPS_PATH];
        if (!is_controller(e->d_name)) continue;
        if ((size_t)snprintf(pipe, sizeof pipe, "%s/%.15s", root, e->d_name) >= sizeof pipe) continue;
        int users = hpt__mps_lock(pipe, true);
        used += users < 0;
        if (users < 0) continue;
        n += end_controller(pipe, program);
        hpt__mps_unlock(&users);
    }
    if (d) (void)closedir(d);
    if (used == 0) {
        remove_tree(root);
        pointer_of(path, registry ? registry : "", root);
        if (registry) (void)unlink(path);
    }
    hpt__mps_unlock(&fd);
    return n;
}

int64_t hpt__mps_sweep(const char *registry, const char *program) {
    int64_t n = 0;
    const struct dirent *e;
    DIR *d = registry ? opendir(registry) : NULL;
    while (d && (e = readdir(d)) != NULL) {
        char root[HPT__MPS_ROOT], path[PATH_SIZE];
        struct stat st;
        if (strncmp(e->d_name, POINTER, sizeof POINTER - 1) != 0 || strlen(e->d_name) != sizeof POINTER - 1 + SUFFIX)
            continue;
        (void)snprintf(root, sizeof root, "%s%.6s", ROOT, e->d_name + sizeof POINTER - 1);
        if (root_length(root) == 0) continue;
        pointer_of(path, registry, root);
        if (lstat(root, &st) < 0 && errno == ENOENT)
            (void)unlink(path);
        else
            n += hpt__mps_root_end(root, program, registry);
    }
    if (d) (void)closedir(d);
    return n;
}

void hpt__mps_forget(const char *run_dir) {
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/%s", run_dir, RECORD);
    (void)unlink(path);
}

int hpt__mps_end_leftovers(int64_t *n, const char *run_dir) {
    char path[PATH_SIZE], boot[64], then[64] = "", root[HPT__MPS_ROOT] = "", *program = NULL;
    hpt__str text = HPT__STR_INIT;
    *n = 0;
    (void)snprintf(path, sizeof path, "%s/%s", run_dir, RECORD);
    int rc = hpt__read_file(&text, path);
    if (rc == HPT_E_NOT_FOUND) rc = 0;
    if (rc == 0 && text.len > 0) {
        read_boot_id(boot);
        // The name is trusted only as what is made here, since all that lies there is removed.
        if (sscanf(hpt__str_text(&text), "%63s %31s", then, root) == 2 && *boot && strcmp(boot, then) == 0 &&
            root_length(root) > 0 && root_length(root) == strlen(root)) {
            if (hpt__mps_program(&program) < 0) program = NULL;
            *n = hpt__mps_root_end(root, program, NULL);
        }
        hpt__mps_forget(run_dir);
    }
    hpt__free(program);
    hpt__str_fini(&text);
    return rc < 0 ? rc : 0;
}
