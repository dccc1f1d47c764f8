// SPDX-License-Identifier: Apache-2.0
// run_wandb.c: what a trial finds of the W&B agent's environment, so that a training script that calls wandb.init and
// reads wandb.config works as under `wandb agent`.
//
//   WANDB_SWEEP_PARAM_PATH  wandb.yaml in the trial's folder: `wandb_version: 1`, then `"name": {"value": ...}`
//   WANDB_SWEEP_ID          8 letters and digits, the same for the whole study
//   WANDB_RUN_ID            8 letters and digits of the trial
//   WANDB_DIR               the trial's folder, unless set already
//   WANDB_MODE              offline, unless the user has said otherwise: WANDB_MODE, WANDB_API_KEY or WANDB_DISABLED
//
// Nothing must reach the network, or ask for a login, because a sweep file happens to be run here. Where the user has
// configured W&B for real, WANDB_MODE stays and WANDB_SWEEP_ID is left out: its server would be asked for a sweep that
// it has never heard of. A WANDB_SWEEP_ID that the user has set is always kept.
//
// Run identifiers: (offset + number * STRIDE) mod 36^8, offset and sweep identifier from the study's own random
// identifier. STRIDE has no factor in common with 36, so that no two trials of a study share one
// (numbers below ten million; beyond, the product wraps and chance decides).
//
// The file is YAML 1.1 as PyYAML reads it, in flow style: JSON but for a few scalars. 1e-05 would be read as text (a
// float needs a point), NaN and infinities are .nan and .inf, what lies beyond the Basic Multilingual Plane has escapes
// of its own (\U), and control characters must be escaped that JSON allows bare.
//
// Ownership: none. Threads: the run's. Cost: one small file a trial. Source: wandb_agent.py, sdk/lib/config_util.py.
#include "../base/alloc.h"
#include "../base/num.h"
#include "../base/rng.h"
#include "../base/utf8.h"
#include "run_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const uint64_t IDS = UINT64_C(2821109907456);    // 36^8
static const uint64_t STRIDE = UINT64_C(1743541713431); // near IDS / golden ratio, prime to 36
enum { YAML_DEPTH = 256 };

// ---- environment

static void id_text(char out[HPT__WANDB_ID], uint64_t n) {
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    for (int i = HPT__WANDB_ID - 2; i >= 0; i--, n /= 36) out[i] = digits[n % 36];
    out[HPT__WANDB_ID - 1] = '\0';
}

// What a trial will see: the caller's own entries come before the environment. NULL: not set, or empty.
static const char *setting(const hpt__run *run, const char *name) {
    const size_t n = strlen(name);
    const char *text = getenv(name);
    for (int64_t i = 0; i < run->o->n_env; i++)
        if (strncmp(run->o->env[i], name, n) == 0 && run->o->env[i][n] == '=') text = run->o->env[i] + n + 1;
    return text && *text ? text : NULL;
}

void hpt__run_wandb_init(hpt__run *run) {
    hpt__wandb *w = &run->wandb;
    const char *mode = setting(run, "WANDB_MODE");
    uint64_t hash = UINT64_C(0xcbf29ce484222325); // FNV-1a
    for (const char *p = run->run_id; *p; p++) hash = (hash ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
    const bool off =
        mode ? strcasecmp(mode, "offline") == 0 || strcasecmp(mode, "disabled") == 0 || strcasecmp(mode, "dryrun") == 0
             : setting(run, "WANDB_DISABLED") != NULL;
    const bool configured = mode || setting(run, "WANDB_API_KEY") || setting(run, "WANDB_DISABLED");
    w->set_mode = !configured;
    w->set_sweep_id = !setting(run, "WANDB_SWEEP_ID") && (off || !configured);
    w->set_dir = !setting(run, "WANDB_DIR");
    w->offset = hpt__rng_mix(hash, 1) % IDS;
    id_text(w->sweep_id, hpt__rng_mix(hash, 2) % IDS);
}

bool hpt__run_wandb_sets(const hpt__run *run, const char *name, size_t n) {
    const hpt__wandb *w = &run->wandb;
    const struct {
        const char *name;
        bool set;
    } all[] = {{"WANDB_RUN_ID", true},
               {"WANDB_SWEEP_PARAM_PATH", true},
               {"WANDB_SWEEP_ID", w->set_sweep_id},
               {"WANDB_DIR", w->set_dir},
               {"WANDB_MODE", w->set_mode}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strlen(all[i].name) == n && memcmp(all[i].name, name, n) == 0) return all[i].set;
    return false;
}

static void put(hpt__str *s, const char *name, const char *value, const char *file) {
    hpt__str_addf(s, "%s=%s%s", name, value, file);
    hpt__str_addc(s, '\0');
}

void hpt__run_wandb_env(hpt__str *s, const hpt__run *run, const hpt__running *t) {
    const hpt__wandb *w = &run->wandb;
    char id[HPT__WANDB_ID];
    id_text(id, (w->offset + (uint64_t)t->number % IDS * STRIDE) % IDS);
    put(s, "WANDB_RUN_ID", id, "");
    put(s, "WANDB_SWEEP_PARAM_PATH", t->dir, "/wandb.yaml");
    if (w->set_sweep_id) put(s, "WANDB_SWEEP_ID", w->sweep_id, "");
    if (w->set_dir) put(s, "WANDB_DIR", t->dir, "");
    if (w->set_mode) put(s, "WANDB_MODE", "offline", "");
}

// ---- the file

static void add_string(hpt__str *out, const char *text, size_t n) {
    hpt__str_addc(out, '"');
    for (size_t i = 0; i < n;) {
        uint32_t code = 0;
        const size_t k = hpt__utf8_decode(&code, text + i, n - i);
        if (k == 0) { // not UTF-8; does not occur, the reader refuses it
            i++;
            continue;
        }
        if (code == '"' || code == '\\')
            hpt__str_addf(out, "\\%c", (char)code);
        else if (code >= ' ' && code < 0x7f)
            hpt__str_addc(out, (char)code);
        else if (code > 0xffff)
            hpt__str_addf(out, "\\U%08x", (unsigned)code);
        else
            hpt__str_addf(out, "\\u%04x", (unsigned)code);
        i += k;
    }
    hpt__str_addc(out, '"');
}

static void add_float(hpt__str *out, double v) {
    char text[HPT__DOUBLE_MAX];
    if (isnan(v) || isinf(v)) {
        hpt__str_add(out, isnan(v) ? ".nan" : v > 0 ? ".inf" : "-.inf");
        return;
    }
    (void)hpt__double_repr(text, v);
    const char *e = strchr(text, 'e');
    if (!e || memchr(text, '.', (size_t)(e - text)))
        hpt__str_add(out, text);
    else
        hpt__str_addf(out, "%.*s.0%s", (int)(e - text), text, e);
}

static void add_value(hpt__str *out, const hpt__json *v, int depth) {
    if (depth > YAML_DEPTH) return; // the parser has a lower limit
    switch (v->kind) {
    case HPT__JSON_NULL:
        hpt__str_add(out, "null");
        break;
    case HPT__JSON_BOOL:
        hpt__str_add(out, v->b ? "true" : "false");
        break;
    case HPT__JSON_INT:
        hpt__str_add_int(out, v->i);
        break;
    case HPT__JSON_FLOAT:
        add_float(out, v->f);
        break;
    case HPT__JSON_STRING:
        add_string(out, v->s.text, v->s.len);
        break;
    case HPT__JSON_ARRAY:
        hpt__str_addc(out, '[');
        for (int64_t i = 0; i < v->a.n; i++) {
            hpt__str_add(out, i ? ", " : "");
            add_value(out, v->a.items[i], depth + 1);
        }
        hpt__str_addc(out, ']');
        break;
    case HPT__JSON_OBJECT:
        hpt__str_addc(out, '{');
        for (int64_t i = 0; i < v->o.n; i++) {
            hpt__str_add(out, i ? ", " : "");
            add_string(out, v->o.keys[i], strlen(v->o.keys[i]));
            hpt__str_add(out, ": ");
            add_value(out, v->o.values[i], depth + 1);
        }
        hpt__str_addc(out, '}');
        break;
    }
}

int hpt__wandb_yaml(hpt__str *out, const char *config_json, size_t n) {
    int rc = 0;
    hpt__arena arena;
    hpt__json *config = NULL;
    hpt__arena_init(&arena);
    HPT_TRY(hpt__json_parse(&config, &arena, config_json, n));
    hpt__str_add(out, "wandb_version: 1\n");
    for (int64_t i = 0; config->kind == HPT__JSON_OBJECT && i < config->o.n; i++) {
        hpt__str_addc(out, '\n');
        add_string(out, config->o.keys[i], strlen(config->o.keys[i]));
        hpt__str_add(out, ": {\"value\": ");
        add_value(out, config->o.values[i], 0);
        hpt__str_add(out, "}\n");
    }
    rc = hpt__str_status(out);
out:
    hpt__arena_fini(&arena);
    return rc;
}
