// SPDX-License-Identifier: Apache-2.0
// mps_parts.c: see mps_parts.h.
//
// Commands (protocol 2, control programs from version 13010, CUDA 13.1, on; GPUs of the Ampere generation and newer):
//   nvidia-cuda-mps-control -d -S            each client must name a partition, else it gets no context
//   sm_partition add UUID CHUNKS             UUID/ID, or "Partition UUID/ID created"; else a line that says why not
//   sm_partition rm UUID ID                  not while it has clients. What it prints is not relied on: the table tells
//   lspart                                   below
//   CUDA_MPS_SM_PARTITION=UUID/ID            in the client's environment; its percentage is ignored then
//
//   GPU            Partition      free   used   free  used  clients
//                                 chunk  chunk  SM    SM
//   GPU-74d43ed3   -              3      7      24    56    -         fields that do not apply may be left out
//   GPU-74d43ed3   Dx4A...        -      7      -     56    Yes
//
// An id is base64: it may hold slashes. A chunk has 8 multiprocessors from Hopper on, else 4; what is left of the GPU's number goes with the
// last chunks. So its size is not free / chunks, but the largest power of two below (132 multiprocessors, 15 chunks: 8).
//
// A partition lives until it is removed or its daemon ends, whoever made it. So each run records its own before anybody
// can leave, in a file whose lock the kernel drops with the run. Another run takes a dead one's record over (locked
// alone, so that one does), and with it the duty to remove what it names.
//
// Sources: docs.nvidia.com/deploy/mps: mpsv2-interface.html, common-tasks.html (Using Static SM Partitioning), quick-start.html,
// when-to-use-mps.html; nvidia-isaac-ros.github.io/concepts/gpu_partitioning (version; "Partition ... created" and a table
// without the fields that do not apply, as its program reads them).
#include "mps_parts.h"

#include "../base/file.h"
#include "../base/num.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const int64_t UNITS = 1000000;
static const char NAME[] = "parts-";
enum { NAME_LENGTH = 12, WORDS = 8, PATH_SIZE = 128 };

typedef struct word {
    const char *text;
    size_t n;
} word;

static bool is_number(int64_t *out, word w) {
    return hpt__parse_int(out, w.text, w.n) && *out >= 0;
}

static bool begins(word w, const char *with) {
    return w.n >= strlen(with) && strncmp(w.text, with, strlen(with)) == 0;
}

// Words of a line without "-"; *line moves to the next one. More than WORDS: no line of ours.
static int split(word out[WORDS], const char **line) {
    static const char blanks[] = " \t\r";
    const char *p = *line, *end = p + strcspn(p, "\n");
    int n = 0;
    while (p < end) {
        const size_t k = strcspn(p, " \t\r\n");
        if (n < WORDS && k > 0 && !(k == 1 && *p == '-')) out[n++] = (word){p, k};
        p += k;
        p += strspn(p, blanks);
    }
    *line = *end ? end + 1 : end;
    return n;
}

int64_t hpt__mps_version_read(const char *text) {
    static const char label[] = "Binary version:";
    int64_t version;
    const char *p = strstr(text, label);
    if (!p) return 0;
    p += sizeof label - 1;
    p += strspn(p, " \t");
    return is_number(&version, (word){p, strspn(p, "0123456789")}) ? version : 0;
}

bool hpt__mps_table_read(hpt__mps_table *out, const char *text) {
    word w[WORDS];
    int64_t v[4];
    while (*text) {
        if (split(w, &text) != 5 || !begins(w[0], "GPU-")) continue;
        bool all = true;
        for (int i = 0; i < 4; i++) all = is_number(&v[i], w[i + 1]) && all;
        if (!all || v[0] + v[1] <= 0) continue;
        *out = (hpt__mps_table){.free = v[0], .used = v[1], .sms = v[2] + v[3]};
        return true;
    }
    return false;
}

static bool take_id(char id[HPT__MPS_PART], word w) {
    if (w.n == 0 || w.n >= HPT__MPS_PART) return false;
    memcpy(id, w.text, w.n);
    id[w.n] = '\0';
    return true;
}

bool hpt__mps_table_next(char id[HPT__MPS_PART], bool *has_clients, const char **at) {
    word w[WORDS];
    int64_t v;
    while (**at) {
        const int n = split(w, at);
        if (n < 4 || n > 5 || !begins(w[0], "GPU-") || is_number(&v, w[1])) continue;
        if (!is_number(&v, w[2]) || !is_number(&v, w[3]) || !take_id(id, w[1])) continue;
        *has_clients = n == 5 && begins(w[4], "Yes");
        return true;
    }
    return false;
}

bool hpt__mps_table_has(const char *text, const char *id) {
    char row[HPT__MPS_PART];
    bool has_clients;
    while (hpt__mps_table_next(row, &has_clients, &text))
        if (strncmp(id, row, strlen(row)) == 0) return true; // the table may show its beginning
    return false;
}

bool hpt__mps_part_read(char id[HPT__MPS_PART], const char *text, const char *uuid) {
    while (*text) {
        word w[WORDS];
        const int n = split(w, &text);
        for (int i = 0; i < n; i++) {
            const char *slash = memchr(w[i].text, '/', w[i].n);
            const size_t k = slash ? (size_t)(slash - w[i].text) : 0;
            if (k > 4 && strncmp(w[i].text, uuid, k) == 0) return take_id(id, (word){slash + 1, w[i].n - k - 1});
        }
    }
    return false;
}

int64_t hpt__mps_chunks(int64_t units, int64_t chunks) {
    const int64_t n = units * chunks / UNITS;
    return n > 0 ? n : 1;
}

bool hpt__mps_share_is_kept(char *why, size_t size, const hpt__mps_table *t, int64_t units) {
    const int64_t chunks = t->free + t->used, n = units * chunks / UNITS;
    int64_t chunk = 1;
    while (chunk * 2 * chunks <= t->sms) chunk *= 2;
    if (n > 0 && n * chunk * 5 * UNITS >= 4 * units * t->sms) return true;
    (void)snprintf(why, size, "a share of %g is %lld of its %lld chunks, %lld of %lld multiprocessors",
                   (double)units / (double)UNITS, (long long)n, (long long)chunks, (long long)(n * chunk),
                   (long long)(units * t->sms / UNITS));
    return false;
}

// ---- which run has which

static bool is_record(const char *name) {
    return strncmp(name, NAME, sizeof NAME - 1) == 0 && strlen(name) == NAME_LENGTH;
}

static void ids_of(char out[PATH_SIZE], const char *path) {
    (void)snprintf(out, PATH_SIZE, "%.100s.ids", path);
}

static void forget(const char *path) {
    char ids[PATH_SIZE];
    ids_of(ids, path);
    (void)unlink(ids);
    (void)unlink(path);
}

bool hpt__mps_record_open(hpt__mps_record *r, const char *log) {
    enum { TRIES = 10 };
    for (int i = 0; i < TRIES; i++) {
        struct stat st;
        if (snprintf(r->path, sizeof r->path, "%s/%sXXXXXX", log, NAME) >= (int)sizeof r->path) return false;
        r->fd = mkostemp(r->path, O_CLOEXEC);
        if (r->fd < 0) return false;
        // Another run may have taken it for a dead one's before it was locked.
        if (flock(r->fd, LOCK_EX | LOCK_NB) == 0 && fstat(r->fd, &st) == 0 && st.st_nlink > 0) return true;
        (void)close(r->fd);
        r->fd = -1;
    }
    return false;
}

bool hpt__mps_record_write(const hpt__mps_record *r, const hpt__str *text) {
    char ids[PATH_SIZE];
    if (r->fd < 0 || text->failed) return false;
    ids_of(ids, r->path);
    return hpt__replace_file(ids, 0600, hpt__str_text(text), text->len) == 0;
}

static void add_ids(hpt__str *out, const char *path) {
    char ids[PATH_SIZE];
    hpt__str text = HPT__STR_INIT;
    ids_of(ids, path);
    if (hpt__read_file(&text, ids) == 0) hpt__str_add(out, hpt__str_text(&text));
    hpt__str_fini(&text);
}

void hpt__mps_record_adopt(const hpt__mps_record *r, const char *log, hpt__str *ids) {
    const struct dirent *e;
    DIR *d = r->fd >= 0 ? opendir(log) : NULL;
    while (d && (e = readdir(d)) != NULL) {
        char path[PATH_SIZE];
        if (!is_record(e->d_name)) continue;
        (void)snprintf(path, sizeof path, "%.64s/%.16s", log, e->d_name);
        const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) { // not this run's own either
            add_ids(ids, path);
            if (hpt__mps_record_write(r, ids)) forget(path);
        }
        if (fd >= 0) (void)close(fd);
    }
    if (d) (void)closedir(d);
}

void hpt__mps_record_all(hpt__str *out, const char *log, const hpt__mps_record *but) {
    const struct dirent *e;
    DIR *d = opendir(log);
    while (d && (e = readdir(d)) != NULL) {
        char path[PATH_SIZE];
        if (!is_record(e->d_name)) continue;
        (void)snprintf(path, sizeof path, "%.64s/%.16s", log, e->d_name);
        if (!but || strcmp(path, but->path) != 0) add_ids(out, path);
    }
    if (d) (void)closedir(d);
}

bool hpt__mps_record_names(const char *ids, const char *id) {
    const size_t n = strlen(id);
    for (size_t k; *ids; ids += k + (ids[k] == '\n')) {
        k = strcspn(ids, "\n");
        if (k >= n && n > 0 && strncmp(ids, id, n) == 0) return true; // id as the table shows it
    }
    return false;
}

void hpt__mps_record_close(hpt__mps_record *r, bool empty) {
    if (r->fd < 0) return;
    if (empty) forget(r->path);
    (void)flock(r->fd, LOCK_UN); // a child of this program may have the descriptor still
    (void)close(r->fd);
    r->fd = -1;
}
