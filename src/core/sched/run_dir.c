// SPDX-License-Identifier: Apache-2.0
// run_dir.c: making, locking and finding the folder of a run.
//
// The lock is flock on run.lock: the kernel drops it with the process, however that ends, so there is no stale lock to
// reason about. The socket lies in the folder; a socket's path has 107 bytes, and where that is too short (or the file
// system has no sockets) it lies in a private folder (0700) below XDG_RUNTIME_DIR or /tmp with a link to it. Whoever
// asks the run connects through /proc/self/fd/<folder>/socket, which fits always.
//
// Ownership: the struct owns its strings. Threads: one.
#include "run_dir.h"

#include "../base/alloc.h"
#include "../base/error.h"
#include "../base/file.h"
#include "../base/map.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static const char PARENT[] = "hpt_runs";

void hpt__run_dir_default(hpt__str *out, const char *study) {
    bool changed = !*study || *study == '.' || *study == '-' || strcmp(study, "latest") == 0;
    hpt__str_add(out, PARENT);
    hpt__str_addc(out, '/');
    if (changed) hpt__str_addc(out, '_');
    size_t n = 0;
    for (const char *p = study; *p; p++) {
        const unsigned char c = (unsigned char)*p;
        const bool plain = isalnum(c) || strchr("_-.+=@,~", c) || c >= 0x80;
        if (++n > 100) { // file names have 255 bytes, and the path should fit a socket's
            changed = true;
            break;
        }
        hpt__str_addc(out, plain ? *p : '_');
        if (!plain) changed = true;
    }
    if (changed) hpt__str_addf(out, "-%08x", (unsigned)(hpt__hash(study, strlen(study)) & 0xffffffffU));
}

static char *join(const char *a, const char *b) {
    hpt__str s = HPT__STR_INIT;
    hpt__str_add(&s, a);
    hpt__str_addc(&s, '/');
    hpt__str_add(&s, b);
    char *text = hpt__str_take(&s);
    hpt__str_fini(&s);
    return text;
}

// mkdir -p; *created: the last one was made here, *parent: so was the one above it.
static int make_dirs(const char *path, bool *created, bool *parent) {
    char *copy = hpt__strdup(path);
    int rc = 0;
    *created = *parent = false;
    if (!copy) return hpt__fail_memory();
    for (char *p = copy + 1;; p++) {
        if (*p && *p != '/') continue;
        const char c = *p;
        *p = '\0';
        const bool made = mkdir(copy, 0777) == 0;
        if (!made && errno != EEXIST) {
            rc = hpt__fail(HPT_E_IO, "folder '%s' cannot be made: %s", copy, strerror(errno));
            break;
        }
        if (p[-1] != '/') {
            *parent = *created;
            *created = made;
        }
        if (!c) break;
        *p = c;
    }
    hpt__free(copy);
    return rc;
}

// A run that was killed in the middle of a launch leaves the lock to the child, which drops it when it executes the
// program; and a process that is being torn down still has it. So a lock whose owner is gone is waited for.
static int try_lock(int fd) {
    enum { TRIES = 100, PAUSE_MS = 20 };
    char text[32];
    for (int i = 0;; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) return 0;
        if (errno != EWOULDBLOCK || i == TRIES) return -1;
        const ssize_t n = pread(fd, text, sizeof text - 1, 0);
        text[n > 0 ? n : 0] = '\0';
        const long owner = strtol(text, NULL, 10);
        if (owner > 0 && kill((pid_t)owner, 0) == 0 && i >= 2) {
            errno = EWOULDBLOCK;
            return -1;
        }
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
    }
}

static int lock(hpt__run_dir *d) {
    int rc = 0;
    char text[32] = "";
    char *path = join(d->real, "run.lock");
    if (!path) return hpt__fail_memory();
    d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    HPT_FAIL_IF(d->lock_fd < 0, HPT_E_IO, "'%s' cannot be opened: %s", path, strerror(errno));
    if (try_lock(d->lock_fd) < 0) {
        const int why = errno;
        ssize_t n = why == EWOULDBLOCK ? pread(d->lock_fd, text, sizeof text - 1, 0) : -1;
        close(d->lock_fd);
        d->lock_fd = -1;
        HPT_FAIL_IF(why != EWOULDBLOCK, HPT_E_IO, "'%s' cannot be locked: %s", path, strerror(why));
        text[n > 0 ? n : 0] = '\0';
        text[strcspn(text, "\n")] = '\0';
        HPT_FAIL_IF(true, HPT_E_BUSY, "a run works in '%s' already (process %s); `hpt stop --run %s` ends it", d->path,
                    *text ? text : "unknown", d->path);
    }
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    HPT_FAIL_IF(ftruncate(d->lock_fd, 0) < 0 || pwrite(d->lock_fd, text, (size_t)n, 0) != n, HPT_E_IO,
                "'%s' cannot be written: %s", path, strerror(errno));
out:
    hpt__free(path);
    return rc;
}

int hpt__run_dir_open(hpt__run_dir *d, const char *path) {
    int rc = 0;
    char real[PATH_MAX];
    *d = (hpt__run_dir)HPT__RUN_DIR_INIT;
    d->path = hpt__strdup(path);
    if (!d->path) return hpt__fail_memory();
    HPT_TRY(make_dirs(path, &d->created, &d->created_parent));
    HPT_FAIL_IF(!realpath(path, real), HPT_E_IO, "folder '%s' cannot be opened: %s", path, strerror(errno));
    d->real = hpt__strdup(real);
    if (!d->real) {
        rc = hpt__fail_memory();
        goto out;
    }
    HPT_TRY(lock(d));
out:
    if (rc < 0) hpt__run_dir_close(d, d->created);
    return rc;
}

static void remove_below(const char *folder, const char *name) {
    char *path = join(folder, name);
    if (path) (void)unlink(path);
    hpt__free(path);
}

void hpt__run_dir_close(hpt__run_dir *d, bool undo) {
    if (d->socket) {
        (void)unlink(d->socket);
        remove_below(d->real, "socket");
    }
    if (d->shelter) (void)rmdir(d->shelter);
    if (undo && d->created && d->real) {
        // The folder is new, so that all of this was made after it.
        static const char *const made[] = {"run.lock",     "origin.json",  "sweep.yaml",
                                           "study.db-wal", "study.db-shm", "study.db"};
        char *trials = join(d->real, "trials");
        for (size_t i = 0; i < sizeof made / sizeof *made; i++) remove_below(d->real, made[i]);
        if (trials) (void)rmdir(trials);
        hpt__free(trials);
        (void)rmdir(d->real);
        char *slash = strrchr(d->real, '/');
        if (d->created_parent && slash && slash != d->real) {
            *slash = '\0';
            (void)rmdir(d->real);
        }
    }
    if (d->lock_fd >= 0) close(d->lock_fd);
    hpt__free(d->path);
    hpt__free(d->real);
    hpt__free(d->socket);
    hpt__free(d->shelter);
    *d = (hpt__run_dir)HPT__RUN_DIR_INIT;
}

// ---- socket

static bool bind_at(int fd, const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) return false;
    strcpy(address.sun_path, path);
    (void)unlink(path); // of a run that was killed; we hold the lock
    return bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
}

static int bind_in_shelter(int fd, hpt__run_dir *d, const char *link) {
    const char *base = getenv("XDG_RUNTIME_DIR");
    char folder[80], path[100];
    for (int i = base && *base == '/' && strlen(base) < 50 ? 0 : 1; i < 2; i++) {
        (void)snprintf(folder, sizeof folder, "%s/hpt-XXXXXX", i ? "/tmp" : base);
        if (!mkdtemp(folder)) continue;
        (void)snprintf(path, sizeof path, "%s/socket", folder);
        if (bind_at(fd, path)) {
            (void)unlink(link);
            (void)symlink(path, link);
            d->shelter = hpt__strdup(folder);
            d->socket = hpt__strdup(path);
            return d->shelter && d->socket ? 0 : hpt__fail_memory();
        }
        (void)rmdir(folder);
    }
    return hpt__fail(HPT_E_IO, "no socket can be made in '%s' or /tmp: %s", d->path, strerror(errno));
}

int hpt__run_dir_listen(int *fd_out, hpt__run_dir *d) {
    int rc = 0;
    char *path = join(d->real, "socket");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (!path) {
        rc = hpt__fail_memory();
        goto out;
    }
    HPT_FAIL_IF(fd < 0, HPT_E_IO, "no socket: %s", strerror(errno));
    if (bind_at(fd, path)) {
        d->socket = path;
        path = NULL;
    } else {
        HPT_TRY(bind_in_shelter(fd, d, path));
    }
    (void)chmod(d->socket, 0600);
    HPT_FAIL_IF(listen(fd, 128) < 0, HPT_E_IO, "'%s' takes no connections: %s", d->socket, strerror(errno));
    *fd_out = fd;
    fd = -1;
out:
    if (fd >= 0) close(fd);
    hpt__free(path);
    return rc;
}

int hpt__run_dir_connect(int *fd_out, const char *path) {
    int rc = 0, fd = -1;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    HPT_FAIL_IF(folder < 0, HPT_E_NOT_FOUND, "there is no run folder '%s'", path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    HPT_FAIL_IF(fd < 0, HPT_E_IO, "no socket: %s", strerror(errno));
    (void)snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/socket", folder);
    HPT_FAIL_IF(connect(fd, (struct sockaddr *)&address, sizeof address) < 0, HPT_E_NOT_FOUND, "no run works in '%s'",
                path);
    *fd_out = fd;
    fd = -1;
out:
    if (fd >= 0) close(fd);
    if (folder >= 0) close(folder);
    return rc;
}

// ---- files

int hpt__run_dir_write(const hpt__run_dir *d, const char *name, const char *text, size_t n) {
    char *path = join(d->real, name);
    const int rc = path ? hpt__replace_file(path, 0666, text, n) : hpt__fail_memory();
    hpt__free(path);
    return rc;
}

void hpt__run_dir_mark_latest(const hpt__run_dir *d) {
    char link[PATH_MAX + 16], part[PATH_MAX + 32];
    const char *slash = strrchr(d->real, '/');
    if (!slash) return;
    const int n = (int)(slash - d->real);
    const int m = (int)sizeof PARENT - 1;
    if (n < m + 1 || d->real[n - m - 1] != '/' || strncmp(d->real + n - m, PARENT, (size_t)m) != 0) return;
    if (n > PATH_MAX) return;
    (void)snprintf(link, sizeof link, "%.*s/latest", n, d->real);
    (void)snprintf(part, sizeof part, "%.*s/.latest-%ld", n, d->real, (long)getpid());
    (void)unlink(part);
    if (symlink(slash + 1, part) == 0 && rename(part, link) < 0) (void)unlink(part);
}
