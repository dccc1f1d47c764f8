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
// Ownership and threads: those of the sampler. Cost: on the host none.
#include "../base/alloc.h"
#include "../base/error.h"
#include "../base/logging.h"
#include "gp_sampler.h"

#include <string.h>

static hpt__ctx_options device_options(const hpt__gp_sampler *s) {
    return (hpt__ctx_options){.memory_limit = s->env.options->gp_memory << 20};
}

int hpt__gp_sampler_open_device(hpt__gp_sampler *s) {
    hpt__str why = HPT__STR_INIT;
    const hpt__ctx_options options = device_options(s);
    int rc = hpt__device_open(&s->device, s->env.device, &options, &why);
    if (rc >= 0) rc = hpt__str_status(&why);
    if (rc >= 0 && why.len > 0)
        hpt__log(HPT_LOG_INFO, "sampler gp computes on %s: %s", hpt__device_name(s->device), hpt__str_text(&why));
    hpt__str_fini(&why);
    return rc;
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

int hpt__gp_sampler_begin_ask(hpt__gp_sampler *s) {
    if (!s->device || !hpt__device_is_host(s->device)) return remember(s);
    if (!s->fallback.away || !s->gp || !hpt__gp_fit_due(s->gp, s->n_model + s->archive.n - s->upto)) return 0;
    const hpt__ctx_options options = device_options(s);
    int rc = remember(s);
    if (rc < 0) return rc;
    hpt__device *again = hpt__fallback_again(&s->fallback, s->n_asks, &options);
    if (!again) return 0;
    move(s, again);
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
