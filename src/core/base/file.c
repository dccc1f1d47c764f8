// SPDX-License-Identifier: Apache-2.0
// file.c: reads until the end: one read of a file in /proc may give a part. Ownership: the caller's. Threads: any.
#include "file.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int hpt__read_file(hpt__str *out, const char *path) {
    char buffer[8192];
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    hpt__str_clear(out);
    if (fd < 0) return hpt__fail(HPT_E_NOT_FOUND, "'%s' cannot be read: %s", path, strerror(errno));
    while ((n = read(fd, buffer, sizeof buffer)) > 0) hpt__str_addn(out, buffer, (size_t)n);
    const int why = errno;
    close(fd);
    if (n < 0) return hpt__fail(HPT_E_IO, "'%s' cannot be read: %s", path, strerror(why));
    return hpt__str_status(out);
}

bool hpt__read_start(char *out, size_t size, size_t *n, const char *path) {
    size_t len = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    for (ssize_t got = 1; got > 0 && len < size - 1;) {
        got = read(fd, out + len, size - 1 - len);
        if (got > 0) len += (size_t)got;
    }
    close(fd);
    out[len] = '\0';
    if (n) *n = len;
    return true;
}

static bool write_all(int fd, const char *text, size_t n) {
    for (size_t done = 0; done < n;) {
        const ssize_t k = write(fd, text + done, n - done);
        if (k < 0 && errno != EINTR) return false;
        if (k > 0) done += (size_t)k;
    }
    return true;
}

int hpt__replace_file(const char *path, mode_t mode, const char *text, size_t n) {
    hpt__str part = HPT__STR_INIT;
    int rc = 0, fd = -1;
    hpt__str_addf(&part, "%s.%ld", path, (long)syscall(SYS_gettid)); // several writers do not meet
    HPT_TRY(hpt__str_status(&part));
    fd = open(part.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    HPT_FAIL_IF(fd < 0 || !write_all(fd, text, n) || rename(part.data, path) < 0, HPT_E_IO,
                "'%s' cannot be written: %s", path, strerror(errno));
out:
    if (fd >= 0) (void)close(fd);
    if (fd >= 0 && rc < 0) (void)unlink(part.data);
    hpt__str_fini(&part);
    return rc;
}

bool hpt__private_folder(const char *path) {
    struct stat st;
    if (mkdir(path, 0700) < 0 && errno != EEXIST) return false;
    if (lstat(path, &st) < 0) return false;
    errno = EPERM;
    return S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 022);
}
