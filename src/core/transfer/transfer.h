// SPDX-License-Identifier: Apache-2.0
// transfer.h: studies as files: trials as JSON lines, as Optuna's journal, as CSV; written from records and read into
// them (storage/storage_record.h).
//
// Writing appends text to a hpt__str, whose status says whether memory sufficed. What no reader could use is left out: a
// categorical index beyond the choices, a parameter whose distribution cannot be read (`hpt storage check` names them).
#ifndef HPT_TRANSFER_H
#define HPT_TRANSFER_H

#include "../storage/storage_record.h"

// ---- transfer_dist.c: distributions by their text, read once

typedef struct hpt__dist_cache {
    hpt__map at;        // name and text -> index
    hpt_space **spaces; // of one parameter each; NULL: the text cannot be read
    int64_t n, cap;
    hpt__str key;
} hpt__dist_cache;

void hpt__dist_cache_init(hpt__dist_cache *c);
void hpt__dist_cache_fini(hpt__dist_cache *c);
// *out NULL (and rc 0): the text is no distribution. Borrowed until the next call.
HPT_NODISCARD int hpt__dist_get(const hpt__param **out, hpt__dist_cache *c, const char *name, const char *text);

// ---- transfer_write.c

typedef struct hpt__transfer_head {
    const char *name;
    const hpt_direction *directions;
    int64_t k;
    const hpt__attr_item *attrs;
    int64_t n_attrs;
} hpt__transfer_head;

// A double as Python's json writes it.
void hpt__transfer_number(hpt__str *out, double v);
// One trial as a JSON object on one line, no newline. head NULL: the trial alone; else with what a reader needs to make
// the study: its name, directions and the trial's distributions; with_attrs: also the study's attributes.
HPT_NODISCARD int hpt__transfer_json(hpt__str *out, hpt__dist_cache *c, const hpt__record *r,
                                     const hpt__transfer_head *head, bool with_attrs);
// Lines of Optuna's journal: the study, then each trial in the order of its number.
HPT_NODISCARD int hpt__transfer_journal_study(hpt__str *out, const hpt__transfer_head *head);
HPT_NODISCARD int hpt__transfer_journal_trial(hpt__str *out, hpt__dist_cache *c, const hpt__record *r, int64_t k);

#endif
