/* SPDX-License-Identifier: Apache-2.0
 * table.h: all trials of a study at once, as columns of numbers: for tables, plots, statistics and anything else that
 * would ask for one trial after the other.
 *
 *   hpt_table *t;
 *   if (hpt_study_table(&t, study, NULL, 0) < 0) fail(hpt_last_error());
 *   for (int64_t i = 0; i < t->n; i++)
 *       if (t->state[i] == HPT_TRIAL_COMPLETE) printf("%lld %g\n", (long long)t->number[i], t->values[i * t->k]);
 *   hpt_table_destroy(t); */
#ifndef HPT_TABLE_H
#define HPT_TABLE_H

#include <hpt/export.h>
#include <hpt/study.h>
#include <stdbool.h>
#include <stdint.h>

HPT_BEGIN_DECLS

/* A copy of one moment; it does not change and does not need the study any more. Read-only for the caller.
 * Only the library makes these; later versions may append members. */
typedef struct hpt_table {
    int64_t n, d, k;       /* trials, parameters of the study's space, objectives */
    int64_t n_attrs;       /* attributes that were asked for */
    const int64_t *number; /* n */
    const uint8_t *state;  /* n, of hpt_trial_state */
    const double *values;  /* n x k, a trial's values side by side; NaN: it has none */
    /* params[i][row]: parameter i in the space's order. A number, or the index of the choice; NaN: absent. A trial of
     * another program may hold a choice that the space lacks: an index outside of 0..n_choices[i]-1. */
    const double *const *params;
    const char *const *names;          /* d */
    const int64_t *n_choices;          /* d; 0: the parameter is a number */
    const char *const *const *choices; /* choices[i][c]: text of a choice as hpt_trial_get_string gives it */
    const double *start, *end;         /* n, seconds since 1970 (UTC); NaN: none */
    const int64_t *last_step;          /* n, of the latest intermediate value; -1: nothing was reported */
    const double *last_value;          /* n; NaN: nothing was reported */
    const int64_t *n_reports;          /* n, intermediate values of the trial */
    const bool *feasible;              /* n; false: a constraint that is stored with the trial does not hold */
    const char *const *const *attrs;   /* attrs[a][row]: JSON text, NULL: not set */
    const char *const *metric_names;   /* k; NULL: the objectives have no names */
} hpt_table;

/* keys: n_keys names of attributes, as for hpt_trial_get_attr. Sees what other processes stored. Cost: one pass over
 * the trials; no allocation per trial. HPT_E_ARG, HPT_E_STORAGE, HPT_E_MEMORY. */
HPT_API HPT_NODISCARD int hpt_study_table(hpt_table **out, hpt_study *study, const char *const *keys, int64_t n_keys);
HPT_API void hpt_table_destroy(hpt_table *table); /* NULL is fine */

HPT_END_DECLS
#endif
