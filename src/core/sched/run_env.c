// SPDX-License-Identifier: Apache-2.0
// run_env.c: the environment of a trial (docs/trial-protocol.md lists it).
//
// The inherited environment is copied once per run without the names that we set; each trial adds its own entries in
// one growing text, so that a start costs no allocation after the first few. CUDA_VISIBLE_DEVICES: the granted devices
// where GPUs are asked for; empty where GPUs were declared but the trial asks for none; else as inherited, because a
// sweep file made for W&B names no GPU and expects to see them all.
#include "../base/alloc.h"
#include "../base/num.h"
#include "../base/rng.h"
#include "../space/space_impl.h"
#include "run_impl.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const NAMES[] = {
    "HPT_TRIAL",       "HPT_ATTEMPT",   "HPT_RUN_ID", "HPT_RUN_DIR",   "HPT_TRIAL_DIR", "HPT_CHECKPOINT_DIR",
    "HPT_RESUME",      "HPT_SEED",      "HPT_STUDY",  "HPT_STORAGE",   "HPT_FD",        "HPT_REPORT_FILE",
    "HPT_PARAMS_FILE", "HPT_STOP_FILE", "HPT_SOCKET", "HPT_SWEEP_DIR", "HPT_GPU_SHARE", "HPT_GPU_MEM_BYTES",
};

static bool sets_gpus(const hpt__run *run) {
    return run->demand.n_gpus > 0 || (run->gpus_declared && run->ledger.n_gpus > 0);
}

static bool is_ours(const hpt__run *run, const char *entry) {
    const size_t n = strcspn(entry, "=");
    if (strncmp(entry, "HPT_PARAM_", 10) == 0) return true;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (strlen(NAMES[i]) == n && memcmp(NAMES[i], entry, n) == 0) return true;
    if (hpt__run_wandb_sets(run, entry, n) || hpt__run_mps_sets(run, entry, n)) return true;
    return sets_gpus(run) && n == 20 && memcmp(entry, "CUDA_VISIBLE_DEVICES", n) == 0;
}

// Whether the caller gave this name a value of its own.
static bool is_given(const hpt__run *run, const char *entry) {
    const size_t n = strcspn(entry, "=") + 1;
    for (int64_t i = 0; i < run->o->n_env; i++)
        if (strncmp(run->o->env[i], entry, n) == 0) return true;
    return false;
}

static int keep_entry(hpt__run *run, const char *entry) {
    if (is_ours(run, entry)) return 0;
    run->env[run->n_env] = hpt__arena_strndup(&run->env_arena, entry, strlen(entry));
    if (!run->env[run->n_env]) return hpt__fail_memory();
    run->n_env++;
    return 0;
}

bool hpt__run_inherits(const hpt__run *run, const char *name) {
    const size_t n = strlen(name);
    for (int64_t i = 0; i < run->n_env; i++)
        if (strncmp(run->env[i], name, n) == 0 && run->env[i][n] == '=') return true;
    return false;
}

int hpt__run_env_init(hpt__run *run) {
    int64_t n = 0;
    int rc = 0;
    while (environ && environ[n]) n++;
    hpt__arena_init(&run->env_arena);
    run->env = hpt__calloc((size_t)(n + run->o->n_env) + 1, sizeof *run->env);
    if (!run->env) return hpt__fail_memory();
    for (int64_t i = 0; i < n && rc == 0; i++)
        if (!is_given(run, environ[i])) rc = keep_entry(run, environ[i]);
    for (int64_t i = 0; i < run->o->n_env && rc == 0; i++) rc = keep_entry(run, run->o->env[i]);
    return rc;
}

static void put(hpt__str *s, const char *name, const char *value) {
    hpt__str_add(s, name);
    hpt__str_addc(s, '=');
    hpt__str_add(s, value);
    hpt__str_addc(s, '\0');
}

static void put_int(hpt__str *s, const char *name, int64_t value) {
    hpt__str_addf(s, "%s=%lld", name, (long long)value);
    hpt__str_addc(s, '\0');
}

static void put_path(hpt__str *s, const char *name, const char *dir, const char *file) {
    hpt__str_addf(s, "%s=%s/%s", name, dir, file);
    hpt__str_addc(s, '\0');
}

static void put_params(hpt__str *s, const hpt_space *space, const double *point) {
    for (int64_t i = 0; i < space->d; i++) {
        const hpt__param *p = &space->params[i];
        if (isnan(point[i])) continue;
        hpt__str_add(s, "HPT_PARAM_");
        for (const char *c = p->name; *c; c++)
            hpt__str_addc(s, isalnum((unsigned char)*c) ? (char)toupper((unsigned char)*c) : '_');
        hpt__str_addc(s, '=');
        if (p->kind == HPT__PARAM_CATEGORICAL)
            hpt__str_add(s, p->choice_text[(int64_t)point[i]]);
        else
            hpt__param_external(s, p, point[i]);
        hpt__str_addc(s, '\0');
    }
}

static void put_gpus(hpt__str *s, const hpt__run *run, const hpt__running *t) {
    const hpt__grant *g = &t->grant;
    int64_t memory = 0;
    if (!sets_gpus(run)) return;
    hpt__str_add(s, "CUDA_VISIBLE_DEVICES=");
    for (int64_t i = 0; i < g->demand.n_gpus; i++) {
        if (i) hpt__str_addc(s, ',');
        // In an SM partition: the one device of its controller. By number, since NVIDIA documents no other way for a client and does not say
        // under which UUID it sees a partition (MPS v3 lists them with a "visible UUID" each).
        hpt__str_add(s, t->part > 0 ? "0" : run->ledger.gpus[g->gpus[i]].info.visible_id);
        memory += g->gpu_memory[i];
    }
    hpt__str_addc(s, '\0');
    if (g->demand.n_gpus == 0) return;
    char number[HPT__DOUBLE_MAX];
    (void)hpt__double_repr(number, (double)(g->demand.gpu * g->demand.n_gpus) / HPT__GPU_UNITS);
    put(s, "HPT_GPU_SHARE", number);
    if (memory > 0) put_int(s, "HPT_GPU_MEM_BYTES", memory);
}

int hpt__run_env(char ***envp, hpt__run *run, const hpt__running *t) {
    hpt__str *s = &run->env_text;
    hpt__str_clear(s);
    put_int(s, "HPT_TRIAL", t->number);
    put_int(s, "HPT_ATTEMPT", t->attempt);
    put_int(s, "HPT_RESUME", t->attempt > 0);
    // 31 bits: what every language's generator takes.
    put_int(s, "HPT_SEED", (int64_t)(hpt__rng_mix(hpt_study_seed(run->study), (uint64_t)t->number) & 0x7fffffffU));
    put(s, "HPT_RUN_ID", run->run_id);
    put(s, "HPT_RUN_DIR", run->dir.real);
    put(s, "HPT_STUDY", run->study_name);
    put(s, "HPT_STORAGE", run->storage);
    put(s, "HPT_SWEEP_DIR", run->sweep_dir);
    put(s, "HPT_TRIAL_DIR", t->dir);
    put_path(s, "HPT_CHECKPOINT_DIR", t->dir, "checkpoint");
    put_path(s, "HPT_PARAMS_FILE", t->dir, "params.json");
    put_path(s, "HPT_REPORT_FILE", t->dir, "report.log");
    put_path(s, "HPT_STOP_FILE", t->dir, "stop");
    put(s, "HPT_FD", "3");
    if (run->dir.socket) put(s, "HPT_SOCKET", run->dir.socket);
    put_gpus(s, run, t);
    hpt__run_mps_env(s, run, t);
    hpt__run_wandb_env(s, run, t);
    hpt__run_thread_env(s, run, t);
    put_params(s, hpt_study_space(run->study), hpt__trial_point(t->trial));
    int rc = hpt__str_status(s);
    if (rc < 0) return rc;
    int64_t n = run->n_env;
    for (size_t i = 0; i < s->len; i++) n += s->data[i] == '\0';
    rc = hpt__grow(&run->envp, &run->cap_envp, n + 1, sizeof *run->envp);
    if (rc < 0) return rc;
    memcpy(run->envp, run->env, (size_t)run->n_env * sizeof *run->envp);
    n = run->n_env;
    for (char *p = s->data; p < s->data + s->len; p += strlen(p) + 1) run->envp[n++] = p;
    run->envp[n] = NULL;
    *envp = run->envp;
    return 0;
}
