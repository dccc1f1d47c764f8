// SPDX-License-Identifier: Apache-2.0
// run_share.c: what of a trial's share is enforced on the host, and what the trial used.
//
//   cores    a sweep that names whole cores (hpt:resources.cpu) gives each trial a set of its own (cores.c); where there
//            are not enough free ones (another run's trials hold them) the trial runs on all. Fractions are not pinned.
//   threads  the usual variables of thread counts are set to the share, unless the user has set them. OMP_NUM_THREADS
//            counts for most libraries, so that one who set it has set them all.
//   memory   in a control group of its own (cgroup.c), where this process may make one, the processes of a trial together
//            cannot take more than hpt:resources.memory. Else that limits the private data (RLIMIT_DATA) of each process
//            of a trial that asks for no GPU. Not RLIMIT_AS: CUDA reserves address space for all memory of host and
//            devices and would not start.
//
// The tier says what holds the memory of a trial without a GPU ("cgroup", "rlimit" or "none"), else its part of the GPU
// (run_mps.c); of a trial with a GPU that names memory, memory_tier says what holds that. What a trial had and used is one
// attribute, s:hpt:use, written with its result: {"cpu": 2, "cores": "0-1", "gpus": "gpu:0", "gpu": 0.25, "gpu_memory": 1,
// "gpu_peak": 1, "memory": 1, "tier": "none", "memory_tier": "none", "peak_memory": 1, "cpu_seconds": 0.5, "seconds": 1.5}.
//   seconds      how long this attempt ran; a trial's times in the study count from the ask on, and with that what it waited
//   gpu_peak     bytes: the largest memory of one of its GPUs that the driver was seen to count for it (run_watchdog.c)
//   cpu_seconds  of all processes that were waited for (getrusage(2))
//   peak_memory  bytes: of the control group, page cache included; without one the largest resident memory of one process.
//                The kernel carries the latter over exec, so that a process which takes less memory than this program had
//                when it was made shows this program's: such a peak is not known, and left out.
//
// Ownership: everything is the run's. Threads: the run's.
#include "../base/alloc.h"
#include "../base/clock.h"
#include "../base/num.h"
#include "run_impl.h"

#include <string.h>
#include <unistd.h>

static const char *const THREADS[] = {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
                                      "NUMEXPR_NUM_THREADS"};

void hpt__run_thread_env(hpt__str *s, const hpt__run *run, const hpt__running *t) {
    const int64_t cores = t->grant.demand.cpu / HPT__CPU_UNITS;
    if (!(run->sweep->cpu > 0) || hpt__run_inherits(run, THREADS[0])) return;
    for (size_t i = 0; i < sizeof THREADS / sizeof *THREADS; i++) {
        if (hpt__run_inherits(run, THREADS[i])) continue;
        hpt__str_addf(s, "%s=%lld", THREADS[i], (long long)(cores >= 1 ? cores : 1));
        hpt__str_addc(s, '\0');
    }
}

void hpt__run_limit(hpt__spawn *spawn, hpt__run *run, hpt__running *t) {
    const int64_t holder = t - run->slots, cpu = t->grant.demand.cpu;
    if (run->sweep->cpu > 0 && cpu % HPT__CPU_UNITS == 0 && cpu / HPT__CPU_UNITS <= run->cores.n &&
        hpt__cores_take(&run->cores, holder, cpu / HPT__CPU_UNITS) &&
        hpt__cores_mask(run->core_mask, &run->cores, holder))
        spawn->cores = run->core_mask;
    if (t->grant.demand.memory > 0 && t->grant.demand.n_gpus == 0) spawn->data_limit = t->grant.demand.memory;
    t->group = hpt__cgroup_make(&run->groups, t->number, t->grant.demand.memory);
    spawn->door = t->group ? hpt__cgroup_door(t->group) : -1;
    // A group that limits nothing serves to end the trial only.
    spawn->keeps_limit = !run->groups.memory;
}

void hpt__run_limited(hpt__run *run, hpt__running *t, const hpt__spawn *spawn) {
    if (spawn->door >= 0) close(spawn->door);
    if (t->group && !spawn->entered) {
        hpt__cgroup_remove(t->group);
        hpt__free(t->group);
        t->group = NULL;
    }
    if (t->group && run->groups.memory && t->tier == HPT__TIER_RLIMIT) t->tier = HPT__TIER_CGROUP;
}

void hpt__run_group_ended(hpt__running *t) {
    if (!t->group) return;
    t->use = hpt__cgroup_look(t->group);
    hpt__cgroup_kill(t->group);
}

static void put_number(hpt__str *s, const char *key, double value) {
    char number[HPT__DOUBLE_MAX];
    (void)hpt__double_repr(number, value);
    hpt__str_addf(s, "%s\"%s\": %s", s->len > 1 ? ", " : "", key, number);
}

static void put_bytes(hpt__str *s, const char *key, int64_t bytes) {
    if (bytes > 0) hpt__str_addf(s, "%s\"%s\": %lld", s->len > 1 ? ", " : "", key, (long long)bytes);
}

void hpt__run_gpu_names(hpt__str *s, const hpt__run *run, const hpt__running *t) {
    for (int64_t i = 0; i < t->grant.demand.n_gpus; i++)
        hpt__str_addf(s, "%s%s", i ? "," : "", run->ledger.gpus[t->grant.gpus[i]].info.name);
}

double hpt__run_gpus(const hpt__running *t) {
    return (double)(t->grant.demand.gpu * t->grant.demand.n_gpus) / HPT__GPU_UNITS;
}

void hpt__run_use_json(hpt__str *s, const hpt__run *run, const hpt__running *t) {
    const hpt__grant *g = &t->grant;
    const hpt__demand *d = &g->demand;
    const struct rusage *u = &t->usage;
    int64_t memory = 0;
    hpt__str_addc(s, '{');
    put_number(s, "cpu", (double)d->cpu / HPT__CPU_UNITS);
    hpt__str_add(s, ", \"cores\": \"");
    hpt__cores_text(s, &run->cores, t - run->slots);
    hpt__str_addc(s, '"');
    put_bytes(s, "memory", d->memory);
    if (d->n_gpus > 0) {
        hpt__str_add(s, ", \"gpus\": \"");
        hpt__run_gpu_names(s, run, t);
        hpt__str_addc(s, '"');
        for (int64_t i = 0; i < d->n_gpus; i++) memory += g->gpu_memory[i];
        put_number(s, "gpu", hpt__run_gpus(t));
        put_bytes(s, "gpu_memory", memory);
        put_bytes(s, "gpu_peak", t->gpu_used);
    }
    hpt__str_addf(s, ", \"tier\": \"%s\"", hpt__run_tier_name(t));
    if (d->memory > 0 && d->n_gpus > 0)
        hpt__str_addf(s, ", \"memory_tier\": \"%s\"", t->group && run->groups.memory ? "cgroup" : "none");
    if (t->use.peak > 0)
        put_bytes(s, "peak_memory", t->use.peak);
    else if (u->ru_maxrss > t->own_peak)
        put_bytes(s, "peak_memory", (int64_t)u->ru_maxrss * 1024);
    put_number(s, "cpu_seconds",
               (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) +
                   1e-6 * (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec));
    put_number(s, "seconds", hpt__now_mono() - t->started);
    hpt__str_addc(s, '}');
}
