// SPDX-License-Identifier: Apache-2.0
// slow_sampler.c: see slow_sampler.h.
#include "slow_sampler.h"

#include "core/sampler/sampler_ops.h"
#include <math.h>
#include <string.h>
#include <time.h>

atomic_bool slow_sampler, slow_inside;
double slow_sampler_seconds;
atomic_int_least64_t slow_gate = -1;
atomic_int slow_calls;
sem_t slow_go_on;

static int slow_suggest(double *point, const char **by, void *state, const hpt__trials *table, int64_t number) {
    slow_calls++;
    if (number == slow_gate) {
        slow_inside = true;
        while (sem_wait(&slow_go_on) < 0) continue;
    }
    const double s = slow_sampler_seconds;
    if (s > 0) nanosleep(&(struct timespec){.tv_sec = (time_t)s, .tv_nsec = (long)(fmod(s, 1) * 1e9)}, NULL);
    return hpt__sampler_random_ops.suggest(point, by, state, table, number);
}

int __real_hpt__sampler_find(const hpt__sampler_ops **out, const char *name);
int __wrap_hpt__sampler_find(const hpt__sampler_ops **out, const char *name);

int __wrap_hpt__sampler_find(const hpt__sampler_ops **out, const char *name) {
    static hpt__sampler_ops ops;
    const int rc = __real_hpt__sampler_find(out, name);
    if (rc < 0 || !slow_sampler || strcmp(name, "random") != 0) return rc;
    ops = hpt__sampler_random_ops;
    ops.suggest = slow_suggest;
    ops.cheap = false;
    *out = &ops;
    return rc;
}
