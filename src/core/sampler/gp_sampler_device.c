// SPDX-License-Identifier: Apache-2.0
// gp_sampler_device.c: the device that sampler gp computes on, and what becomes of an ask when it fails (policy:
// gp/gp_fallback.c).
//
// A device that fails is treated like a process that was killed: the state in which the ask began is loaded into a new model on
// the host, as a resumed study loads its own, and the ask is done again. So the suggestion is the one that a study
// which had always run on the host would have made, as far as the two compute the same bits; and no step of an ask needs to be
// undone. The state is written down before each ask on a device that can fail, O(d) text.
//
// Decisions of speed and memory (how many points are modelled exactly) are the device's: made anew for the host, and
// taken up again with the device.
// Device auto begins on the host and moves when that pays (gp/gp_placement.c), in the same way; a resumed study begins where
// the killed one was.
// Ownership and threads: those of the sampler. Cost: on the host none.
#include "../base/alloc.h"
#include "../base/arena.h"
#include "../base/error.h"
#include "../base/json.h"
#include "gp_sampler.h"

#include <string.h>

static hpt__ctx_options device_options(const hpt__gp_sampler *s) {
    return (hpt__ctx_options){.memory_limit = s->env.options->gp_memory << 20};
}

// The device that the state to be loaded was made on, where auto had moved there. NULL: none, or it cannot be had now.
static hpt__device *stored_device(const hpt__gp_sampler *s, const hpt__ctx_options *options) {
    hpt__device *device = NULL;
    hpt__arena arena;
    hpt__json *root;
    if (!s->loaded) return NULL;
    hpt__arena_init(&arena);
    if (hpt__json_parse(&root, &arena, s->loaded, strlen(s->loaded)) >= 0) {
        const char *name = hpt__json_string(hpt__json_get(hpt__json_get(root, "gp"), "device"));
        if (name && hpt__device_open(&device, name, options, NULL) < 0) device = NULL;
    }
    hpt__arena_fini(&arena);
    return device;
}

int hpt__gp_sampler_open_device(hpt__gp_sampler *s) {
    const hpt__ctx_options options = device_options(s);
    if (!hpt__device_is_auto(s->env.device)) return hpt__device_open(&s->device, s->env.device, &options, NULL);
    s->device = s->env.options->gp_accelerator ? stored_device(s, &options) : NULL;
    return s->device ? 0 : hpt__device_open_host(&s->device, &options);
}

// Drops the model and its device; `device` (taken) is the one to go on with, from the state before the ask.
static void move(hpt__gp_sampler *s, hpt__device *device) {
    const hpt__gp_limit limit = s->limit_away;
    const int64_t most = s->most_away;
    hpt__acq_pool_destroy(s->pool);
    s->pool = NULL;
    hpt__gp_destroy(s->gp);
    s->gp = NULL;
    hpt__device_close(s->device);
    s->device = device;
    s->n_model = s->n_pending = s->upto = s->incumbent_of = 0;
    s->local = false;
    hpt__free(s->loaded);
    s->loaded = s->before;
    s->before = NULL;
    s->limit_away = s->limit;
    s->most_away = s->most;
    s->limit = limit;
    s->most = most;
    s->changed = true;
    s->moved = s->loaded != NULL;
}

static int remember(hpt__gp_sampler *s) {
    hpt__str text = HPT__STR_INIT;
    hpt__free(s->before);
    s->before = NULL;
    if (s->loaded) {
        s->before = hpt__strdup(s->loaded);
        return s->before ? 0 : hpt__fail_memory();
    }
    if (!s->gp || s->n_model == 0) return 0;
    int rc = hpt__gp_sampler_save_text(&text, s);
    if (rc >= 0) s->before = hpt__str_take(&text);
    hpt__str_fini(&text);
    return rc < 0 ? rc : 0;
}

int hpt__gp_sampler_begin_ask(hpt__gp_sampler *s, int64_t m) {
    if (!s->device || !hpt__device_is_host(s->device)) return remember(s);
    const bool automatic =
        hpt__device_is_auto(s->env.device) && s->env.options->gp_accelerator && !s->fallback.device[0];
    if (!(s->fallback.away || automatic) || !s->gp || !hpt__gp_fit_due(s->gp, s->n_model + s->archive.n - s->upto))
        return 0;
    const hpt__ctx_options options = device_options(s);
    hpt__device *better = automatic ? hpt__placement_look(&s->placement, s->device, &s->code.cov, s->archive.n,
                                                          s->limit.points, m, &options)
                                    : hpt__fallback_again(&s->fallback, s->n_asks, &options);
    if (!better) return 0;
    int rc = remember(s);
    if (rc < 0) {
        hpt__device_close(better);
        return rc;
    }
    move(s, better);
    return remember(s);
}

int hpt__gp_sampler_fall_back(hpt__gp_sampler *s, int status) {
    hpt__device *host = NULL;
    if (!s->device) return status; // it was not even opened
    const hpt__ctx_options options = device_options(s);
    const int rc = hpt__fallback_take(&host, &s->fallback, s->device, status, s->n_asks, &options);
    if (rc >= 0) move(s, host);
    return rc;
}
