// SPDX-License-Identifier: Apache-2.0
// transfer_file.c: text files read line by line, and times as other programs write them.
//
// Ownership: hpt__lines owns file and line. Threads: one at a time; local time depends on $TZ. Cost: linear.
#include "../base/clock.h"
#include "../base/error.h"
#include "transfer_read.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

int hpt__lines_open(hpt__lines *l, const char *path) {
    struct stat st;
    *l = (hpt__lines){.path = path};
    if (stat(path, &st) != 0)
        return hpt__fail(errno == ENOENT ? HPT_E_NOT_FOUND : HPT_E_IO,
                         "file '%s' cannot be reached (%s); check the path", path, strerror(errno));
    if (!S_ISREG(st.st_mode)) // it is read twice
        return hpt__fail(HPT_E_ARG, "'%s' is not a regular file; save what it gives into one first", path);
    l->file = fopen(path, "rb");
    if (!l->file) return hpt__fail(HPT_E_IO, "file '%s' cannot be read (%s)", path, strerror(errno));
    return HPT_OK;
}

int hpt__lines_next(hpt__lines *l) {
    char piece[4096];
    hpt__str_clear(&l->line);
    l->number++;
    l->whole = false;
    while (!l->whole) {
        // fgets cannot tell a NUL byte of the file from its own: a mark behind the piece can.
        memset(piece, 1, sizeof piece);
        if (!fgets(piece, sizeof piece, l->file)) break;
        size_t n = sizeof piece;
        while (piece[n - 1] != 0) n--;
        n--; // bytes read
        l->whole = n > 0 && piece[n - 1] == '\n';
        hpt__str_addn(&l->line, piece, l->whole ? n - 1 : n);
    }
    if (ferror(l->file)) return hpt__fail(HPT_E_IO, "file '%s': reading failed (%s)", l->path, strerror(errno));
    const int rc = hpt__str_status(&l->line);
    if (rc < 0) return rc;
    return l->whole || l->line.len > 0;
}

void hpt__lines_close(hpt__lines *l) {
    if (l->file) fclose(l->file);
    l->file = NULL;
    hpt__str_fini(&l->line);
}

// ---- times

static bool two_digits(int64_t *out, const char *text) {
    if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9') return false;
    *out = (text[0] - '0') * 10 + (text[1] - '0');
    return true;
}

// "Z", "+HH:MM", "-HHMM", "+HH"; *offset in minutes.
static bool read_zone(int64_t *offset, const char *text) {
    int64_t hours, minutes = 0;
    *offset = 0;
    if (strcmp(text, "Z") == 0) return true;
    if ((*text != '+' && *text != '-') || !two_digits(&hours, text + 1)) return false;
    const char *rest = text + 3;
    if (*rest == ':') rest++;
    if (*rest && (!two_digits(&minutes, rest) || rest[2])) return false;
    *offset = (hours * 60 + minutes) * (*text == '-' ? -1 : 1);
    return true;
}

static int64_t local_to_utc(int64_t us) {
    int64_t fraction = us % 1000000;
    if (fraction < 0) fraction += 1000000;
    const time_t naive = (time_t)((us - fraction) / 1000000);
    struct tm tm;
    if (!gmtime_r(&naive, &tm)) return us;
    tm.tm_isdst = -1;
    const time_t utc = mktime(&tm);
    return (int64_t)utc * 1000000 + fraction;
}

bool hpt__transfer_time(int64_t *us, const char *text, bool zoneless_is_local) {
    char plain[20];
    int64_t fraction = 0, offset;
    if (strlen(text) < 19) return false;
    memcpy(plain, text, 19);
    plain[19] = 0;
    if (plain[10] == 'T') plain[10] = ' ';
    if (!hpt__datetime_parse(us, plain)) return false;
    text += 19;
    if (*text == '.' || *text == ',') {
        int64_t unit = 100000;
        for (text++; *text >= '0' && *text <= '9'; text++, unit /= 10) fraction += (*text - '0') * unit;
    }
    *us += fraction;
    if (!*text) {
        if (zoneless_is_local) *us = local_to_utc(*us);
        return true;
    }
    if (!read_zone(&offset, text)) return false;
    *us -= offset * 60000000;
    return true;
}
