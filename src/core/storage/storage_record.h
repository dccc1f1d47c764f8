// SPDX-License-Identifier: Apache-2.0
// storage_record.h: one trial as it is stored, without a space: what copies, exports and imports carry about.
//
// The table (trials.h) is what samplers read: a value that its space does not know is left out, and a parameter has one
// distribution. A record loses nothing: each parameter comes with the distribution of its trial, attributes with their
// texts, in the order in which they were stored. Ownership: a record owns its arrays; the texts belong to an arena of
// its holder. Threads: one at a time.
#ifndef HPT_STORAGE_RECORD_H
#define HPT_STORAGE_RECORD_H

#include "storage_ops.h"

typedef struct hpt__record_param {
    const char *name;
    double internal;          // internal form
    const char *distribution; // Optuna's distribution_json
} hpt__record_param;

struct hpt__record {
    int64_t trial_id, number; // the storage's; number is kept by bulk_trial, trial_id is given anew
    hpt_trial_state state;
    int64_t start_us, complete_us, heartbeat_us; // UTC, INT64_MIN: none
    hpt__record_param *params;
    int64_t n_params, cap_params;
    double *values;               // one per objective
    int64_t n_values, cap_values; // 0: none
    hpt__report *reports;         // sorted by step
    int64_t n_reports, cap_reports;
    hpt__attr_item *attrs; // "u:..." and "s:..."
    int64_t n_attrs, cap_attrs;
};

// Trials that were read together; the arena holds their texts until the next read.
struct hpt__records {
    hpt__record *items;
    int64_t n, cap; // items[n..cap) keep their arrays for later reads
    hpt__arena texts;
};

// Attributes of a study with copies of their texts.
typedef struct hpt__attr_list {
    hpt__attr_item *items;
    int64_t n, cap;
    hpt__arena texts;
} hpt__attr_list;

void hpt__attr_list_init(hpt__attr_list *all);
void hpt__attr_list_fini(hpt__attr_list *all);
HPT_NODISCARD int hpt__attr_list_add(const char *key, const char *json, void *list); // for ops->study_attrs

void hpt__record_clear(hpt__record *r); // an empty trial; keeps the arrays
void hpt__record_fini(hpt__record *r);
// Texts are borrowed. add_*: what is not there yet, at the end; set_*: replaces what has the same name.
HPT_NODISCARD int hpt__record_add_param(hpt__record *r, const char *name, double internal, const char *distribution);
HPT_NODISCARD int hpt__record_set_param(hpt__record *r, const char *name, double internal, const char *distribution);
HPT_NODISCARD int hpt__record_add_attr(hpt__record *r, const char *key, const char *json);
HPT_NODISCARD int hpt__record_set_attr(hpt__record *r, const char *key, const char *json);
HPT_NODISCARD int hpt__record_set_report(hpt__record *r, int64_t step, double value);
HPT_NODISCARD int hpt__record_set_values(hpt__record *r, const double *values, int64_t n);

void hpt__records_init(hpt__records *all); // allocates nothing
void hpt__records_fini(hpt__records *all);
void hpt__records_clear(hpt__records *all);
HPT_NODISCARD int hpt__records_add(hpt__record **out, hpt__records *all);                   // an empty one at the end
HPT_NODISCARD int hpt__records_text(const char **out, hpt__records *all, const char *text); // a copy in the arena

#endif
