// SPDX-License-Identifier: Apache-2.0
// run_guard.c: when a run gives up because its trials fail.
//
// Two rules, those of the W&B agent (wandb_agent.py: is_flapping, is_failing), told per run:
//   flapping  at least 3 trials failed within the first 60 s of the run
//   failing   at least 5 trials failed (WANDB_AGENT_MAX_INITIAL_FAILURES) and at most one ended otherwise
// A W&B agent runs one trial at a time and looks every 5 s: 3 failures within its first minute are most of what it has
// started by then. This run may start hundreds, so that three bad points among them mean nothing. Both rules therefore
// also ask that half of the started trials failed.
//
// Given up means: no trial is started any more, those that run may finish (the agent ends them).
// HPT_DISABLE_FLAPPING=1 switches both rules off, WANDB_AGENT_DISABLE_FLAPPING=true the first, as in the agent.
//
// Time is the monotonic clock: a jump of the date neither lengthens nor ends the first minute.
#include "../base/clock.h"
#include "run_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const double FLAP_SECONDS = 60.0;
enum { FLAP_FAILURES = 3, INITIAL_FAILURES = 5, SHARE = 2 };

static bool is_set(const char *name) {
    const char *text = getenv(name);
    return text && *text && strcmp(text, "0") != 0 && strcasecmp(text, "false") != 0;
}

void hpt__run_guard_init(hpt__run *run) {
    const char *text = getenv("WANDB_AGENT_MAX_INITIAL_FAILURES");
    char *end = NULL;
    run->guard = (hpt__guard){.flapping = true, .failing = true, .max_failures = INITIAL_FAILURES};
    errno = 0;
    const long long n = text && *text ? strtoll(text, &end, 10) : -1;
    if (n >= 0 && errno == 0 && !*end) run->guard.max_failures = n > 0 ? n : 1;
    if (is_set("HPT_DISABLE_FLAPPING")) run->guard.flapping = run->guard.failing = false;
    if (is_set("WANDB_AGENT_DISABLE_FLAPPING")) run->guard.flapping = false;
}

void hpt__run_guard_failure(hpt__run *run) {
    const hpt__guard *g = &run->guard;
    const int64_t n = ++run->n_failed_here;
    if (run->flapping || n * SHARE < run->n_started_here) return;
    if (g->flapping && n >= FLAP_FAILURES && hpt__now_mono() - run->t0 < FLAP_SECONDS) {
        run->flapping = true;
        hpt__run_notice(run,
                        "%lld of the first %lld trials failed within a minute; no more are started "
                        "(HPT_DISABLE_FLAPPING=1 goes on)",
                        (long long)n, (long long)run->n_started_here);
    } else if (g->failing && n >= g->max_failures && run->n_ended_here - n <= 1) {
        run->flapping = true;
        hpt__run_notice(run,
                        "%lld trials failed and %lld did not; no more are started (HPT_DISABLE_FLAPPING=1 goes on, "
                        "WANDB_AGENT_MAX_INITIAL_FAILURES=N allows more)",
                        (long long)n, (long long)(run->n_ended_here - n));
    }
}
