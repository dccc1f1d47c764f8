// SPDX-License-Identifier: Apache-2.0
// transfer_read.h: what the readers of study files share. No other room includes it.
//
// A file is read twice: first only looked at, so that a bad one is refused before a database is made; then into one
// transaction. A reader (hpt__read_*) walks the file and hands studies and trials to the import.
#ifndef HPT_TRANSFER_READ_H
#define HPT_TRANSFER_READ_H

#include "transfer.h"

#include <stdio.h>

// ---- transfer_file.c: a text file line by line, any length; errors name file and line

typedef struct hpt__lines {
    const char *path; // borrowed
    FILE *file;
    hpt__str line;  // without its newline
    int64_t number; // of the line, from 1
    bool whole;     // it ended with a newline
} hpt__lines;

HPT_NODISCARD int hpt__lines_open(hpt__lines *l, const char *path);
HPT_NODISCARD int hpt__lines_next(hpt__lines *l); // 1: a line; 0: the end; negative: error
void hpt__lines_close(hpt__lines *l);

// A time in ISO 8601: date, blank or T, time, fraction, zone. Without a zone it is local time or UTC.
bool hpt__transfer_time(int64_t *us, const char *text, bool zoneless_is_local);

// ---- transfer_import.c

typedef struct hpt__import_study {
    char *name;
    int64_t k, id, next; // next: number that the next trial gets
    int64_t last;        // number that the file gave the last one
} hpt__import_study;

typedef struct hpt__import {
    const char *path, *as; // as: NULL or the only study's name
    char *stem;            // of the path, where neither gives a name
    hpt__storage *to;      // NULL: only looked at
    hpt__import_study *studies;
    int64_t n_studies, cap_studies;
    int64_t n_trials, n_renumbered, n_nan; // counted for remarks
    int64_t n_guessed;                     // CSV: parameters whose range is guessed
    hpt__dist_cache dists;
} hpt__import;

// A study of the file; name NULL: the import's. *index for hpt__import_trial; an index that was given before if the name
// is known and `join` allows it.
HPT_NODISCARD int hpt__import_study_add(int64_t *index, hpt__import *in, const char *name,
                                        const hpt_direction *directions, int64_t k, const hpt__attr_item *attrs,
                                        int64_t n_attrs, bool join);
// The next trial of a study; number: what the file says, -1 nothing. Sets the record's number.
HPT_NODISCARD int hpt__import_trial(hpt__import *in, int64_t index, hpt__record *r, int64_t number);

HPT_NODISCARD int hpt__read_jsonl(hpt__import *in);
HPT_NODISCARD int hpt__read_journal(hpt__import *in);
HPT_NODISCARD int hpt__read_csv(hpt__import *in);

// ---- transfer_read_jsonl.c, also used by the journal's reader

// The numbers of a JSON list, null: none. Errors without file and line.
HPT_NODISCARD int hpt__json_values(hpt__record *r, const hpt__json *list);
// Members of a JSON object as attributes of a kind ('u', 's'), texts into the arena.
HPT_NODISCARD int hpt__json_attrs(hpt__record *r, hpt__arena *arena, char kind, const hpt__json *object);
// "u:key" and the value's text, in the arena.
HPT_NODISCARD int hpt__json_attr(hpt__attr_item *out, hpt__arena *arena, char kind, const char *key,
                                 const hpt__json *value);

#endif
