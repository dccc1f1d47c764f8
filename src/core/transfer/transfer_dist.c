// SPDX-License-Identifier: Apache-2.0
// transfer_dist.c: distributions by their text, read once: a study has as many as parameters, or some more where ranges
// change from trial to trial. Beyond MANY of them the cache starts anew, so memory stays bounded.
// Ownership: the cache owns the parameters. Threads: one at a time. Cost: one hash of the text a look-up.
#include "../base/alloc.h"
#include "../base/error.h"
#include "transfer.h"

#include <string.h>

enum { MANY = 4096 };

void hpt__dist_cache_init(hpt__dist_cache *c) {
    *c = (hpt__dist_cache){0};
    hpt__map_init(&c->at);
}

void hpt__dist_cache_fini(hpt__dist_cache *c) {
    for (int64_t i = 0; i < c->n; i++) hpt_space_destroy(c->spaces[i]);
    hpt__free(c->spaces);
    hpt__map_fini(&c->at);
    hpt__str_fini(&c->key);
    *c = (hpt__dist_cache){0};
}

int hpt__dist_get(const hpt__param **out, hpt__dist_cache *c, const char *name, const char *text) {
    int64_t at;
    hpt_space *space = NULL;
    *out = NULL;
    hpt__str_clear(&c->key);
    hpt__str_add(&c->key, name);
    hpt__str_addc(&c->key, '\n');
    hpt__str_add(&c->key, text);
    int rc = hpt__str_status(&c->key);
    if (rc < 0) return rc;
    if (hpt__map_get(&at, &c->at, hpt__str_text(&c->key), c->key.len)) {
        if (c->spaces[at]) *out = &c->spaces[at]->params[0];
        return HPT_OK;
    }
    if (c->n == MANY) {
        hpt__str key = c->key;
        c->key = (hpt__str)HPT__STR_INIT;
        hpt__dist_cache_fini(c);
        hpt__dist_cache_init(c);
        c->key = key;
    }
    HPT_TRY(hpt_space_create(&space));
    rc = hpt__space_add_distribution(space, name, text);
    if (rc == HPT_E_MEMORY) goto out;
    if (rc < 0) {
        hpt_space_destroy(space);
        space = NULL;
    }
    HPT_TRY(hpt__grow(&c->spaces, &c->cap, c->n + 1, sizeof *c->spaces));
    HPT_TRY(hpt__map_set(&c->at, hpt__str_text(&c->key), c->key.len, c->n));
    c->spaces[c->n++] = space;
    if (space) *out = &space->params[0];
    return HPT_OK;
out:
    hpt_space_destroy(space);
    return rc;
}
