// SPDX-License-Identifier: Apache-2.0
// run_unread.c: options that a sweep gives and that nothing in this run reads: told once, at the end.
//
// An option's name begins with the part that reads it: `tpe.n_startup` with sampler `random` has no effect. Only the
// options given for this run are looked at, not the environment (it is set for many programs) and not what the study
// stored. Sampler `auto` may hand over to others, so that any sampler's options may be read by it; pruner `patience`
// reads those of the pruner it wraps.
#include "run_impl.h"

#include <hpt/pruner.h>
#include <hpt/sampler.h>
#include <string.h>

static bool is_name(const char *key, size_t n, const char *name) {
    return name && strlen(name) == n && memcmp(name, key, n) == 0;
}

// The value of an option among those given; the last one counts. NULL: not given.
static const char *given(const hpt__run *run, const char *key) {
    const char *found = NULL;
    const size_t n = strlen(key);
    for (int64_t i = 0; i < run->sweep->n_options; i++)
        if (strncmp(run->sweep->options[i], key, n) == 0 && run->sweep->options[i][n] == '=')
            found = run->sweep->options[i] + n + 1;
    for (int64_t i = 0; i < run->o->n_options; i++)
        if (strncmp(run->o->options[i], key, n) == 0 && run->o->options[i][n] == '=')
            found = run->o->options[i] + n + 1;
    return found;
}

static bool is_read(const hpt__run *run, const char *option) {
    const size_t n = strcspn(option, ".=");
    const char *sampler = hpt_study_sampler(run->study), *pruner = hpt_study_pruner(run->study);
    bool other = false;
    if (is_name(option, n, sampler) || (run->has_pruner && is_name(option, n, pruner))) return true;
    if (run->has_pruner && strcmp(pruner, "patience") == 0 && is_name(option, n, given(run, "patience.pruner")))
        return true;
    for (int64_t i = 0; hpt_pruner_name(i); i++) other = other || is_name(option, n, hpt_pruner_name(i));
    if (strcmp(sampler, "auto") != 0)
        for (int64_t i = 0; hpt_sampler_name(i); i++) other = other || is_name(option, n, hpt_sampler_name(i));
    return !other; // storage, the run itself, and whatever has no part of its own
}

static void tell(hpt__run *run, const char *option) {
    hpt__run_notice(run, "option %.*s had no effect: the sampler is '%s', the pruner '%s'%s", (int)strcspn(option, "="),
                    option, hpt_study_sampler(run->study), hpt_study_pruner(run->study),
                    run->n_metrics > 1 ? ", and with several metrics no trial is pruned" : "");
}

void hpt__run_tell_unread(hpt__run *run) {
    for (int64_t i = 0; i < run->sweep->n_options; i++)
        if (!is_read(run, run->sweep->options[i])) tell(run, run->sweep->options[i]);
    for (int64_t i = 0; i < run->o->n_options; i++)
        if (!is_read(run, run->o->options[i])) tell(run, run->o->options[i]);
}
