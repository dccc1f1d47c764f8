// SPDX-License-Identifier: Apache-2.0
// file.c: reads until the end: one read of a file in /proc may give a part. Ownership: the caller's. Threads: any.
#include "file.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
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

bool hpt__private_folder(const char *path) {
    struct stat st;
    if (mkdir(path, 0700) < 0 && errno != EEXIST) return false;
    if (lstat(path, &st) < 0) return false;
    errno = EPERM;
    return S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 022);
}
