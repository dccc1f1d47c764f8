// SPDX-License-Identifier: Apache-2.0
// run_plan.c: what trials ask for and what there is: demand, ledger, number of slots; hpt_sweep_places.
//
// A sweep some of whose trials can never fit is refused here, before anything is made. Where amounts are computed from
// parameters the largest must fit and the smallest says how many run at once at most.
//
// The engine's own models are an entry of the ledger. Where trials ask for GPUs and sampler gp may compute on one:
//   device auto     stays on the host (option gp.accelerator=false), unless gp.memory sets a part of GPU 0 apart
//   device cuda:k   has gp.memory of GPU k, else an eighth of it, as its cap (option gp.memory)
// A context of the driver costs some hundred MiB beside the models; 512 MiB are counted for it. Number k is taken to be
// gpu:k of `hpt devices`, which holds unless CUDA_DEVICE_ORDER reorders unequal GPUs.
#include "../base/alloc.h"
#include "../base/error.h"
#include "run_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t MIB = 1 << 20, CONTEXT_MIB = 512;

static int make_demand(hpt__demand *out, const hpt_sweep *sweep, const hpt__amounts *a) {
    int rc = hpt__demand_make(out, a->cpu > 0 ? a->cpu : 1.0, (int64_t)ceil(a->memory), a->gpu,
                              (int64_t)ceil(a->gpu_memory));
    return rc == 0 && sweep->gpu_profile ? hpt__demand_instance(out, sweep->gpu_profile) : rc;
}

int hpt__run_demand(hpt__demand *out, const hpt__run *run, const double *point) {
    hpt__amounts a;
    int rc = hpt__sweep_amounts(&a, run->sweep, point);
    if (rc == 0) rc = make_demand(out, run->sweep, &a);
    if (rc < 0) return rc;
    if (!(run->sweep->cpu > 0)) out->cpu = run->demand.cpu; // what a trial counts as where none is named
    return hpt__ledger_check(&run->ledger, out);
}

// Whether the study's sampler has a model to compute.
static bool has_model(const hpt__run *run) {
    const char *sampler = run->o->sampler ? run->o->sampler : run->sweep->sampler;
    if (!sampler) return strcmp(run->sweep->method, "bayes") == 0;
    return strcmp(sampler, "auto") == 0 || strcmp(sampler, "gp") == 0;
}

static int plan_engine(hpt__run *run, const hpt__options *o) {
    int64_t k = hpt__study_accelerator(run->o->device), mib = o->gp_memory;
    if (run->demand.n_gpus == 0 || run->ledger.n_gpus == 0 || !has_model(run) || k == -1) return 0;
    if (k == -2) {
        (void)snprintf(run->engine_options[0], sizeof run->engine_options[0], "gp.accelerator=%s",
                       mib > 0 ? "true" : "false");
        if (mib == 0) return 0;
        k = 0;
    }
    if (k >= run->ledger.n_gpus) return 0; // the study says that there is no such device
    if (mib == 0) {
        mib = run->ledger.gpus[k].memory / 8 / MIB;
        if (mib == 0) return 0; // nothing is known of its memory
        (void)snprintf(run->engine_options[1], sizeof run->engine_options[1], "gp.memory=%lld", (long long)mib);
    }
    return hpt__ledger_engine(&run->ledger, k, (mib + CONTEXT_MIB) * MIB);
}

static bool asks_for_gpus(const hpt_sweep *sweep) {
    return sweep->gpu > 0 || sweep->gpu_memory_bytes > 0;
}

void hpt__run_plan_slots(hpt__run *run) {
    const int64_t parallel = run->o->slots > 0 ? run->o->slots : run->sweep->parallel;
    const int64_t limit = parallel > 0 && parallel < HPT__SLOTS_MAX ? parallel : HPT__SLOTS_MAX;
    if (!(run->sweep->cpu > 0)) {
        // A share of the cores that nobody named: one core, or less where more trials at once were asked for, or
        // where the GPUs hold more trials than there are cores.
        hpt__demand free_of_cpu = run->demand;
        free_of_cpu.cpu = 0;
        int64_t wanted = parallel > 0 ? limit : 1;
        if (asks_for_gpus(run->sweep)) wanted = hpt__ledger_capacity(&run->ledger, &free_of_cpu, limit);
        run->demand.cpu = HPT__CPU_UNITS;
        if (wanted > 0 && run->ledger.cpu / wanted < run->demand.cpu)
            run->demand.cpu = run->ledger.cpu / wanted > 0 ? run->ledger.cpu / wanted : 1;
        run->most.cpu = run->demand.cpu;
    }
    run->n_slots = hpt__ledger_capacity(&run->ledger, &run->demand, limit);
    if (run->n_slots < 1) run->n_slots = 1; // the smallest by one amount need not be so by another
}

int hpt__run_plan(hpt__run *run) {
    int rc = 0;
    hpt_device_info *devices = NULL;
    hpt__options o;
    int64_t n = 0;
    const hpt_sweep *sweep = run->sweep;
    const bool asks = asks_for_gpus(sweep);
    const char *fake = getenv("HPT_FAKE_DEVICES");
    const hpt__amounts most = {.cpu = sweep->cpu,
                               .gpu = sweep->gpu,
                               .memory = (double)sweep->memory_bytes,
                               .gpu_memory = (double)sweep->gpu_memory_bytes};
    HPT_TRY(hpt__options_from_env(&o));
    for (int64_t i = 0; i < sweep->n_options; i++) HPT_TRY(hpt__options_set_pair(&o, sweep->options[i]));
    for (int64_t i = 0; i < run->o->n_options; i++) HPT_TRY(hpt__options_set_pair(&o, run->o->options[i]));
    run->gpus_declared = run->o->gpus || (fake && *fake);
    // Without declaration and request the driver need not be asked, which can take a second on an idle GPU.
    HPT_TRY(hpt_device_list(&devices, &n, asks || run->gpus_declared ? run->o->gpus : "0"));
    HPT_TRY(hpt__ledger_init(&run->ledger, devices, n));
    if (asks) hpt__run_set_foreign_apart(run);
    run->ledger.policy = strcmp(o.run_placement, "spread") == 0 ? HPT__SPREAD : HPT__PACK;
    run->enforce = strcmp(o.run_enforce, "required") == 0 ? HPT__ENFORCE_REQUIRED
                   : strcmp(o.run_enforce, "off") == 0    ? HPT__ENFORCE_OFF
                                                          : HPT__ENFORCE_BEST;
    run->parting = strcmp(o.run_sm_partitions, "on") == 0    ? HPT__PARTING_ON
                   : strcmp(o.run_sm_partitions, "off") == 0 ? HPT__PARTING_OFF
                                                             : HPT__PARTING_AUTO;
    rc = make_demand(&run->most, sweep, &most);
    if (rc == 0) rc = make_demand(&run->demand, sweep, &sweep->least);
    if (rc < 0) goto refused;
    HPT_TRY(plan_engine(run, &o));
    hpt__run_plan_slots(run);
    rc = hpt__ledger_check(&run->ledger, &run->most);
    if (rc < 0) goto refused;
    goto out;
refused:
    rc = hpt__fail_prefix(rc, "%s", sweep->path ? sweep->path : "sweep");
out:
    hpt_free(devices);
    return rc;
}

int hpt_sweep_places(int64_t *out, const hpt_sweep *sweep, const char *gpus) {
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    hpt__run run = {.sweep = sweep, .o = &o};
    if (!out || !sweep) return hpt__fail(HPT_E_ARG, "hpt_sweep_places: an argument is NULL");
    o.gpus = gpus;
    int rc = hpt__run_plan(&run);
    if (rc == 0) *out = run.n_slots;
    hpt__ledger_fini(&run.ledger);
    return rc;
}
