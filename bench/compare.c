// SPDX-License-Identifier: Apache-2.0
// compare.c: `hpt-bench --compare a.jsonl b.jsonl`: rows that both files have, with the ratio of their times.
//
// A row is known by all its members that are no measurement (group, case, device, n ...), so that every group's files can be
// compared, also those with further names in them ("contender"). Where a file has a row several times, the one with the
// smallest median counts, with the widest spread. Lines that are no rows (the machine's facts) are passed over.
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { KEY = 512, LINE = 4096 };

typedef struct entry {
    char key[KEY];
    double median, min, max; // seconds or microseconds: the same in both files
    bool matched;
} entry;

typedef struct entries {
    entry *items;
    size_t n;
} entries;

// Measurements, which differ between runs of the same work.
static bool is_measured(const char *name) {
    static const char *const names[] = {"gflops", "gbytes",     "of_dgemm", "of_copy",       "error",
                                        "bytes",  "per_second", "peak_mb",  "ops_per_second"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (!strcmp(name, names[i])) return true;
    return false;
}

// The next member of a flat object: name and value as text, strings without their quotes. False: there is none.
static bool next_member(const char **at, char name[64], char value[256]) {
    const char *p = strchr(*at, '"');
    if (!p) return false;
    size_t len = strcspn(++p, "\"");
    if (len >= 64 || p[len] != '"') return false;
    memcpy(name, p, len);
    name[len] = '\0';
    p += len + 1;
    p += strspn(p, ": ");
    const bool text = *p == '"';
    if (text) p++;
    len = strcspn(p, text ? "\"" : ",}");
    if (len >= 256 || !p[len]) return false;
    memcpy(value, p, len);
    value[len] = '\0';
    *at = p + len + (text ? 1 : 0);
    return true;
}

// False: the line is no row.
static bool parse(entry *e, const char *line) {
    char name[64], value[256];
    size_t used = 0;
    bool group = false;
    *e = (entry){.median = -1};
    if (strncmp(line, "{\"machine\"", 10) == 0 || strncmp(line, "{\"ceilings\"", 11) == 0) return false;
    while (next_member(&line, name, value)) {
        if (!strcmp(name, "us_per_op") || !strcmp(name, "seconds")) {
            e->median = atof(value);
        } else if (!strcmp(name, "min_us") || !strcmp(name, "min")) {
            e->min = atof(value);
        } else if (!strcmp(name, "max_us") || !strcmp(name, "max")) {
            e->max = atof(value);
        } else if (!is_measured(name)) {
            group = group || !strcmp(name, "group");
            const int more = snprintf(e->key + used, KEY - used, "%s%s %s", used ? ", " : "", name, value);
            if (more < 0 || (size_t)more >= KEY - used) return false;
            used += (size_t)more;
        }
    }
    return group && e->median > 0;
}

static entry *find(const entries *list, const char *key) {
    for (size_t i = 0; i < list->n; i++)
        if (!strcmp(list->items[i].key, key)) return &list->items[i];
    return NULL;
}

static int load(entries *out, const char *path) {
    char line[LINE];
    FILE *f = fopen(path, "r");
    if (!f) {
        fprintf(stderr, "hpt-bench: %s: %s\n", path, strerror(errno));
        return 1;
    }
    while (fgets(line, sizeof line, f)) {
        entry e, *same;
        if (!parse(&e, line)) continue;
        if ((same = find(out, e.key))) {
            same->median = e.median < same->median ? e.median : same->median;
            same->min = e.min < same->min ? e.min : same->min;
            same->max = e.max > same->max ? e.max : same->max;
            continue;
        }
        entry *items = realloc(out->items, (out->n + 1) * sizeof *items);
        if (!items) break;
        out->items = items;
        items[out->n++] = e;
    }
    fclose(f);
    if (out->n > 0) return 0;
    fprintf(stderr, "hpt-bench: %s has no rows; write one with -o jsonl --output FILE\n", path);
    return 1;
}

int bench_compare(FILE *out, const char *path_a, const char *path_b) {
    entries a = {NULL, 0}, b = {NULL, 0};
    int code = load(&a, path_a);
    size_t only_a = 0, only_b = 0;
    if (code == 0) code = load(&b, path_b);
    if (code == 0) {
        fprintf(out, "a: %s, b: %s; times as in the files (seconds or microseconds)\n\n", path_a, path_b);
        fprintf(out, "| row | a | b | b/a | |\n|---|--:|--:|--:|---|\n");
    }
    for (size_t i = 0; code == 0 && i < a.n; i++) {
        const entry *x = &a.items[i];
        entry *y = find(&b, x->key);
        if (!y) {
            only_a++;
            continue;
        }
        y->matched = true;
        const bool overlap = x->min <= y->max && y->min <= x->max;
        fprintf(out, "| %s | %.4g | %.4g | %.3f | %s |\n", x->key, x->median, y->median, y->median / x->median,
                overlap ? "spreads overlap" : "");
    }
    for (size_t i = 0; i < b.n; i++) only_b += !b.items[i].matched;
    if (code == 0 && only_a + only_b > 0) fprintf(out, "\nonly in a: %zu rows, only in b: %zu\n", only_a, only_b);
    free(a.items);
    free(b.items);
    return code;
}
