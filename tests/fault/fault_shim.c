// SPDX-License-Identifier: Apache-2.0
// fault_shim.c: makes one call of a program fail; loaded with LD_PRELOAD by fault_runs.c.
//
//   HPT_FAULT=group:k:errno     the k-th call of the group (from 1) fails with that number
//   HPT_FAULT=group:k+:errno    all from the k-th on
//   HPT_FAULT_COUNTS=file       at the end: how often each group was called, and whether the fault happened
//
// Only the process that is started with these variables counts: they leave its environment at once, so that its trials
// do not see them, and a vforked child is told apart by its process id (it shares our memory). Groups that begin with
// "child_" are the calls of such a child before it executes its program.
// SQLite, libyaml and the C library's own calls of malloc go through here as well. Not for sanitizers: compiled without.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// clang-format makes something else of this list each time.
// clang-format off
#define GROUPS(X) \
    X(open) X(fopen) X(opendir) X(read) X(pread) X(write) X(pwrite) X(fsync) X(ftruncate) X(fallocate) X(mmap) \
    X(vfork) X(pidfd_open) X(epoll_create) X(epoll_ctl) X(epoll_wait) X(signalfd) X(inotify_init) \
    X(inotify_add_watch) X(socket) X(bind) X(listen) X(accept) X(flock) X(fcntl) X(mkdir) X(mkdtemp) X(rename) \
    X(symlink) X(unlink) X(stat) X(access) X(getcwd) X(realpath) X(lseek) X(malloc) X(child_dup2) X(child_exec)

enum {
#define X(name) GROUP_##name,
    GROUPS(X)
#undef X
    N_GROUPS
};
// clang-format on

static const char *const group_names[] = {
#define X(name) #name,
    GROUPS(X)
#undef X
};

static long counts[N_GROUPS], at = -1;
static int target = -1, error_number, sticky, on, fired;
static pid_t owner;
static char counts_file[4096];

static int decide(int group) {
    const long n = __atomic_add_fetch(&counts[group], 1, __ATOMIC_RELAXED);
    if (group != target || (sticky ? n < at : n != at)) return 0;
    fired = 1;
    errno = error_number;
    return 1;
}

static int due(int group) {
    return on && getpid() == owner && decide(group);
}

static int child_due(int group) {
    return on && getpid() != owner && decide(group);
}

__attribute__((constructor)) static void begin(void) {
    const char *fault = getenv("HPT_FAULT"), *file = getenv("HPT_FAULT_COUNTS");
    if (!fault && !file) return;
    if (file) snprintf(counts_file, sizeof counts_file, "%s", file);
    if (fault) {
        const char *colon = strchr(fault, ':');
        char *end;
        for (int i = 0; colon && i < N_GROUPS; i++)
            if (strlen(group_names[i]) == (size_t)(colon - fault) &&
                strncmp(group_names[i], fault, (size_t)(colon - fault)) == 0)
                target = i;
        if (target < 0) {
            fprintf(stderr, "fault_shim: there is no group in '%s'\n", fault);
            _exit(125);
        }
        at = strtol(colon + 1, &end, 10);
        sticky = *end == '+';
        error_number = (int)strtol(end + sticky + 1, NULL, 10);
    }
    unsetenv("HPT_FAULT");
    unsetenv("HPT_FAULT_COUNTS");
    unsetenv("LD_PRELOAD");
    owner = getpid();
    on = 1;
}

__attribute__((destructor)) static void end(void) {
    if (!on || getpid() != owner) return;
    on = 0;
    if (!*counts_file) return;
    FILE *f = fopen(counts_file, "w");
    if (!f) return;
    for (int i = 0; i < N_GROUPS; i++) fprintf(f, "%s %ld\n", group_names[i], counts[i]);
    fprintf(f, "fired %d\n", fired);
    fclose(f);
}

#define WRAP(type, name, group, failed, parameters, arguments) \
    type name parameters {                                     \
        static type(*real) parameters;                         \
        if (due(GROUP_##group)) return failed;                 \
        if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name);  \
        return real arguments;                                 \
    }

// The third argument is there only where the flags say so.
#define WRAP_OPEN(name)                                                               \
    int name(const char *path, int flags, ...) {                                      \
        static int (*real)(const char *, int, ...);                                   \
        va_list list;                                                                 \
        va_start(list, flags);                                                        \
        const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0; \
        va_end(list);                                                                 \
        if (due(GROUP_open)) return -1;                                               \
        if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name);                         \
        return real(path, flags, mode);                                               \
    }
WRAP_OPEN(open)
WRAP_OPEN(open64)
int openat(int dir, const char *path, int flags, ...) {
    static int (*real)(int, const char *, int, ...);
    va_list list;
    va_start(list, flags);
    const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;
    va_end(list);
    if (due(GROUP_open)) return -1;
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "openat");
    return real(dir, path, flags, mode);
}
#define WRAP_FCNTL(name)                                      \
    int name(int fd, int command, ...) {                      \
        static int (*real)(int, int, ...);                    \
        va_list list;                                         \
        va_start(list, command);                              \
        void *argument = va_arg(list, void *);                \
        va_end(list);                                         \
        if (due(GROUP_fcntl)) return -1;                      \
        if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name); \
        return real(fd, command, argument);                   \
    }
WRAP_FCNTL(fcntl)
WRAP_FCNTL(fcntl64)

WRAP(FILE *, fopen, fopen, NULL, (const char *path, const char *mode), (path, mode))
WRAP(FILE *, fopen64, fopen, NULL, (const char *path, const char *mode), (path, mode))
WRAP(DIR *, opendir, opendir, NULL, (const char *path), (path))
WRAP(ssize_t, read, read, -1, (int fd, void *to, size_t n), (fd, to, n))
WRAP(ssize_t, pread, pread, -1, (int fd, void *to, size_t n, off_t o), (fd, to, n, o))
WRAP(ssize_t, pread64, pread, -1, (int fd, void *to, size_t n, off64_t o), (fd, to, n, o))
WRAP(ssize_t, pwrite, pwrite, -1, (int fd, const void *from, size_t n, off_t o), (fd, from, n, o))
WRAP(ssize_t, pwrite64, pwrite, -1, (int fd, const void *from, size_t n, off64_t o), (fd, from, n, o))
WRAP(int, fsync, fsync, -1, (int fd), (fd))
WRAP(int, fdatasync, fsync, -1, (int fd), (fd))
WRAP(int, ftruncate, ftruncate, -1, (int fd, off_t n), (fd, n))
WRAP(int, ftruncate64, ftruncate, -1, (int fd, off64_t n), (fd, n))
WRAP(int, fallocate, fallocate, -1, (int fd, int mode, off_t from, off_t n), (fd, mode, from, n))
WRAP(int, fallocate64, fallocate, -1, (int fd, int mode, off64_t from, off64_t n), (fd, mode, from, n))
WRAP(int, epoll_create1, epoll_create, -1, (int flags), (flags))
WRAP(int, epoll_ctl, epoll_ctl, -1, (int e, int op, int fd, struct epoll_event *event), (e, op, fd, event))
WRAP(int, epoll_wait, epoll_wait, -1, (int e, struct epoll_event *events, int n, int ms), (e, events, n, ms))
WRAP(int, signalfd, signalfd, -1, (int fd, const sigset_t *mask, int flags), (fd, mask, flags))
WRAP(int, inotify_init1, inotify_init, -1, (int flags), (flags))
WRAP(int, inotify_add_watch, inotify_add_watch, -1, (int fd, const char *path, uint32_t mask), (fd, path, mask))
WRAP(int, socket, socket, -1, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(int, bind, bind, -1, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
WRAP(int, listen, listen, -1, (int fd, int n), (fd, n))
WRAP(int, accept4, accept, -1, (int fd, struct sockaddr *a, socklen_t *n, int flags), (fd, a, n, flags))
WRAP(int, flock, flock, -1, (int fd, int operation), (fd, operation))
WRAP(int, mkdir, mkdir, -1, (const char *path, mode_t mode), (path, mode))
WRAP(char *, mkdtemp, mkdtemp, NULL, (char *text), (text))
WRAP(int, rename, rename, -1, (const char *from, const char *to), (from, to))
WRAP(int, symlink, symlink, -1, (const char *text, const char *path), (text, path))
WRAP(int, unlink, unlink, -1, (const char *path), (path))
WRAP(int, stat, stat, -1, (const char *path, struct stat *st), (path, st))
WRAP(int, stat64, stat, -1, (const char *path, struct stat64 *st), (path, st))
WRAP(int, lstat, stat, -1, (const char *path, struct stat *st), (path, st))
WRAP(int, lstat64, stat, -1, (const char *path, struct stat64 *st), (path, st))
WRAP(int, fstat, stat, -1, (int fd, struct stat *st), (fd, st))
WRAP(int, fstat64, stat, -1, (int fd, struct stat64 *st), (fd, st))
WRAP(int, access, access, -1, (const char *path, int mode), (path, mode))
WRAP(char *, getcwd, getcwd, NULL, (char *to, size_t n), (to, n))
WRAP(char *, realpath, realpath, NULL, (const char *path, char *to), (path, to))
WRAP(off_t, lseek, lseek, -1, (int fd, off_t o, int whence), (fd, o, whence))
WRAP(off64_t, lseek64, lseek, -1, (int fd, off64_t o, int whence), (fd, o, whence))

// The program's own words to its user are not part of the test.
ssize_t write(int fd, const void *from, size_t n) {
    static ssize_t (*real)(int, const void *, size_t);
    if (fd > 2 && due(GROUP_write)) return -1;
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "write");
    return real(fd, from, n);
}

// Shared maps of files only: SQLite's index of the log.
void *mmap64(void *address, size_t n, int protection, int flags, int fd, off64_t o) {
    static void *(*real)(void *, size_t, int, int, int, off64_t);
    if (fd >= 0 && flags & MAP_SHARED && due(GROUP_mmap)) return MAP_FAILED;
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "mmap64");
    return real(address, n, protection, flags, fd, o);
}
void *mmap(void *address, size_t n, int protection, int flags, int fd, off_t o) {
    return mmap64(address, n, protection, flags, fd, o);
}

long syscall(long number, ...) {
    static long (*real)(long, ...);
    long a[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_pidfd_open && due(GROUP_pidfd_open)) return -1;
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "syscall");
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

// vfork returns twice into its caller, whose frame must be the real one's: the last call is a jump (hence -O2).
static pid_t (*real_vfork)(void);
__attribute__((constructor)) static void find_vfork(void) {
    *(void **)&real_vfork = dlsym(RTLD_NEXT, "vfork");
}
pid_t vfork(void) {
    if (due(GROUP_vfork)) return -1;
    return real_vfork();
}
pid_t fork(void) {
    static pid_t (*real)(void);
    if (due(GROUP_vfork)) return -1;
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "fork");
    return real();
}

int dup2(int from, int to) {
    if (child_due(GROUP_child_dup2)) return -1;
    return (int)syscall(SYS_dup3, (long)from, (long)to, 0L); // never the same number here
}
int execvpe(const char *file, char *const argv[], char *const envp[]) {
    static int (*real)(const char *, char *const[], char *const[]);
    if (child_due(GROUP_child_exec)) return -1;
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "execvpe");
    return real(file, argv, envp);
}

// ---- memory: glibc's own names for what it does; dlsym itself allocates
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *malloc(size_t n) {
    return due(GROUP_malloc) ? NULL : __libc_malloc(n);
}
void *calloc(size_t n, size_t size) {
    return due(GROUP_malloc) ? NULL : __libc_calloc(n, size);
}
void *realloc(void *p, size_t n) {
    return due(GROUP_malloc) ? NULL : __libc_realloc(p, n);
}
