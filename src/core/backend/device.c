// SPDX-License-Identifier: Apache-2.0
// device.c: which device a request means, opening and closing it, and the list for `hpt devices -v`.
//
//   request = "auto" | NAME | NAME ':' INDEX | NAME ':' VARIANT [':' INDEX]        NULL: $HPT_DEVICE, else auto
//
// A variant is another build of a backend that is a library of its own (plugin.c), for tests; only who asks for it by its
// whole name gets it.
// auto goes through the candidates, best first, and takes the first that has a device and opens; what it passed over is told
// to the caller, who says so once. An explicit name is never replaced by another: a study that was to run on an
// accelerator and silently does not costs a night. A name of another build (no such backend here) is HPT_E_DEVICE, a name
// that nobody knows HPT_E_ARG with the nearest one, as for every other option.
//
// Ownership: a device owns its context. Threads: opening from any; a device one at a time.
// Cost: what the backend's count and open cost; nothing is loaded before it is asked for.
#include "device_state.h"

#include "../base/alloc.h"
#include "../base/error.h"
#include "../base/num.h"
#include "backend_list.h"
#include <hpt/device.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_LEN = 31, VARIANT_MAX = 15, WHY_MAX = 256, NAMES_MAX = 16 };

typedef struct request {
    const char *text;   // as given; NULL: neither argument nor environment
    const char *source; // "" or "HPT_DEVICE: "
    char name[NAME_MAX_LEN + 1];
    char variant[VARIANT_MAX + 1]; // "": none given
    int64_t index;                 // -1: none given
} request;

// ---- reading a request

static const hpt__candidate *find(const char *name) {
    for (const hpt__candidate *c = hpt__candidates; c->name; c++)
        if (strcmp(c->name, name) == 0) return c;
    return NULL;
}

static int unknown(const request *r) {
    const char *names[NAMES_MAX] = {"auto"};
    char all[HPT__ERROR_MAX / 2] = "auto";
    int64_t n = 1;
    for (const hpt__candidate *c = hpt__candidates; c->name && n < NAMES_MAX; c++) {
        const size_t len = strlen(all);
        (void)snprintf(all + len, sizeof all - len, ", %s", c->name);
        names[n++] = c->name;
    }
    const char *near = hpt__nearest(r->name, names, n);
    return hpt__fail(HPT_E_ARG, "%sno device '%.64s'; %s%s%sone of %s, or a name with a number as in %s:0", r->source,
                     r->text, near ? "did you mean '" : "", near ? near : "", near ? "'? " : "", all,
                     hpt__candidates[0].name);
}

// Takes a variant, a word of small letters, digits and '_' that begins with a letter, off the front of *text.
static void take_variant(request *r, const char **text) {
    const size_t n = strspn(*text, "abcdefghijklmnopqrstuvwxyz0123456789_"), end = n + ((*text)[n] == ':');
    const bool is_word = (*text)[0] >= 'a' && (*text)[0] <= 'z' && n <= VARIANT_MAX && (end > n || !(*text)[n]);
    if (!is_word) return;
    memcpy(r->variant, *text, n);
    *text += end;
}

static int parse(request *r, const char *text) {
    *r = (request){.text = text, .source = "", .index = -1};
    if (!text) {
        text = r->text = getenv("HPT_DEVICE");
        r->source = "HPT_DEVICE: ";
    }
    if (!text || !*text) {
        r->text = "auto";
        r->source = "";
        (void)snprintf(r->name, sizeof r->name, "auto");
        return 0;
    }
    const char *colon = strchr(text, ':');
    const size_t len = colon ? (size_t)(colon - text) : strlen(text);
    (void)snprintf(r->name, sizeof r->name, "%.*s", len < NAME_MAX_LEN ? (int)len : NAME_MAX_LEN, text);
    const bool automatic = strcmp(r->name, "auto") == 0;
    const hpt__candidate *c = find(r->name);
    if (len > NAME_MAX_LEN || (!automatic && !c)) return unknown(r);
    if (!colon) return 0;
    if (automatic)
        return hpt__fail(HPT_E_ARG, "%sdevice '%.64s': auto takes no number; name a backend", r->source, text);
    const char *rest = colon + 1;
    if (c->plugin) take_variant(r, &rest);
    if (r->variant[0] && !*rest && rest[-1] != ':') return 0;
    if (!hpt__parse_int(&r->index, rest, strlen(rest)) || r->index < 0)
        return hpt__fail(HPT_E_ARG, "%sdevice '%.64s': a whole number from 0 follows the colon, as in %s:0", r->source,
                         text, r->name);
    return 0;
}

int hpt__device_check(const char *text) {
    request r;
    return parse(&r, text);
}

// ---- opening

// Number of devices of a candidate; 0 with the reason in why.
static int64_t count_devices(const hpt__backend **table, const hpt__candidate *c, const char *variant,
                             char why[WHY_MAX]) {
    int64_t n = 0;
    why[0] = '\0';
    *table = hpt__candidate_table(c, variant && *variant ? variant : NULL, why, WHY_MAX);
    if (!*table) return 0;
    if ((*table)->count(&n, why, WHY_MAX) < 0) {
        (void)snprintf(why, WHY_MAX, "%.*s", WHY_MAX - 1, hpt_last_error());
        return 0;
    }
    return n > 0 ? n : 0;
}

// name: as it is asked for and shown, without the number.
static int open_index(hpt__device **out, const hpt__candidate *c, const hpt__backend *table, const char *name,
                      int64_t index, int64_t n, const hpt__ctx_options *options) {
    int rc = 0;
    hpt__device *device = hpt__calloc(1, sizeof *device);
    if (!device) return hpt__fail_memory();
    device->ops = table;
    device->index = index;
    device->host = !c->plugin;
    if (options) device->options = *options;
    (void)snprintf(device->name, sizeof device->name, n > 1 ? "%.32s:%lld" : "%.32s", name, (long long)index);
    HPT_TRY(table->describe(&device->desc, index));
    HPT_TRY(table->open(&device->ctx, index, &device->options));
    *out = device;
    device = NULL;
out:
    hpt__free(device);
    return rc;
}

typedef enum which { ANY, HOST, ACCELERATOR } which;

static int open_auto(hpt__device **out, const hpt__ctx_options *options, which wanted, hpt__str *why) {
    char line[WHY_MAX], last[WHY_MAX] = "there is no backend";
    for (const hpt__candidate *c = hpt__candidates; c->name; c++) {
        const hpt__backend *table;
        if ((wanted == HOST && c->plugin) || (wanted == ACCELERATOR && !c->plugin)) continue;
        const int64_t n = count_devices(&table, c, NULL, line);
        if (n > 0) {
            const int rc = open_index(out, c, table, c->name, 0, n, options);
            if (rc == 0 || (rc == HPT_E_MEMORY && !c->plugin)) return rc; // a GPU that others filled is passed over
            (void)snprintf(line, sizeof line, "%.*s", WHY_MAX - 1, hpt_last_error());
        }
        (void)snprintf(last, sizeof last, "%.32s: %.200s", c->name, line);
        if (why) hpt__str_addf(why, "%s%s", why->len ? "; " : "", last);
    }
    return hpt__fail(HPT_E_DEVICE, "no device can be opened; the last one tried: %s", last);
}

int hpt__device_open(hpt__device **out, const char *text, const hpt__ctx_options *options, hpt__str *why) {
    request r;
    char line[WHY_MAX];
    int rc = 0;
    HPT_FAIL_IF(!out, HPT_E_ARG, "opening a device: out is NULL");
    HPT_FAIL_IF(options && (options->n_threads < 0 || options->memory_limit < 0), HPT_E_ARG,
                "opening a device: threads and memory limit are 0 or positive");
    HPT_TRY(parse(&r, text));
    if (strcmp(r.name, "auto") == 0) return open_auto(out, options, ANY, why);

    const hpt__candidate *c = find(r.name);
    const hpt__backend *table;
    const int64_t n = count_devices(&table, c, r.variant, line);
    HPT_FAIL_IF(n == 0, HPT_E_DEVICE, "%sdevice '%.64s' is not available (auto takes what there is): %s", r.source,
                r.text, line[0] ? line : "it was not found");
    HPT_FAIL_IF(r.index >= n, HPT_E_DEVICE, "%sdevice '%.64s' is not available: the highest number is %lld", r.source,
                r.text, (long long)n - 1);
    char name[sizeof r.name + sizeof r.variant + 1];
    (void)snprintf(name, sizeof name, "%s%s%s", r.name, r.variant[0] ? ":" : "", r.variant);
    rc = open_index(out, c, table, name, r.index < 0 ? 0 : r.index, n, options);
    if (rc < 0 && c->plugin)
        rc = hpt__fail_prefix(rc, "%sdevice '%.64s' cannot be opened (auto takes what there is)", r.source, r.text);
out:
    return rc;
}

int hpt__device_open_host(hpt__device **out, const hpt__ctx_options *options) {
    return open_auto(out, options, HOST, NULL);
}

int hpt__device_open_accelerator(hpt__device **out, const hpt__ctx_options *options) {
    return open_auto(out, options, ACCELERATOR, NULL);
}

bool hpt__device_names_host(const char *name) {
    const hpt__candidate *c = find(name);
    return c && !c->plugin;
}

bool hpt__device_is_auto(const char *text) {
    const char *asked = text ? text : getenv("HPT_DEVICE");
    return !asked || !*asked || strcmp(asked, "auto") == 0;
}

void hpt__device_close(hpt__device *device) {
    if (!device) return;
    device->ops->close(device->ctx);
    hpt__free(device);
}

const char *hpt__device_name(const hpt__device *device) {
    return device->name;
}

bool hpt__device_is_host(const hpt__device *device) {
    return device->host;
}

const hpt__device_desc *hpt__device_description(const hpt__device *device) {
    return &device->desc;
}

const hpt__counters *hpt__device_counters(const hpt__device *device) {
    return &device->counters;
}

int64_t hpt__device_memory(const hpt__device *device) {
    const int64_t own = device->desc.memory_bytes > 0 ? device->desc.memory_bytes : INT64_MAX;
    const int64_t limit = device->options.memory_limit > 0 ? device->options.memory_limit : INT64_MAX;
    return own < limit ? own : limit;
}

int64_t hpt__device_need(const hpt__device *device, const hpt__model_shape *shape) {
    return device->ops->need_bytes(shape);
}

// ---- the public list

static int add_candidate(hpt_backend_info **list, int64_t *n, int64_t *cap, const hpt__candidate *c,
                         const char **taken) {
    char why[WHY_MAX];
    const hpt__backend *table;
    const int64_t devices = count_devices(&table, c, NULL, why);
    const int64_t rows = devices > 0 ? devices : 1;
    int rc = 0;
    HPT_TRY(hpt__grow(list, cap, *n + rows, sizeof **list));
    for (int64_t i = 0; i < rows; i++) {
        hpt_backend_info *info = &(*list)[*n];
        hpt__device_desc desc = {{0}, {0}, 0, 0, 0};
        memset(info, 0, sizeof *info);
        bool available = devices > 0;
        if (available && table->describe(&desc, i) < 0) {
            available = false;
            (void)snprintf(why, sizeof why, "%.*s", WHY_MAX - 1, hpt_last_error());
        }
        (void)snprintf(info->name, sizeof info->name, devices > 1 ? "%.32s:%lld" : "%.32s", c->name, (long long)i);
        (void)snprintf(info->device, sizeof info->device, "%s", desc.name);
        (void)snprintf(info->doc, sizeof info->doc, "%s", c->doc);
        (void)snprintf(info->library, sizeof info->library, "%s", desc.library);
        info->available = available;
        info->memory_bytes = desc.memory_bytes;
        if (!available)
            (void)snprintf(info->why, sizeof info->why, "%s", why[0] ? why : "it was not found");
        else if (c->plugin)
            (void)snprintf(info->why, sizeof info->why, "auto moves to it from the size on at which it is faster");
        else if (*taken)
            (void)snprintf(info->why, sizeof info->why, "auto takes %s, which comes first", *taken);
        else
            *taken = c->name;
        *n += 1;
    }
out:
    return rc;
}

int hpt_backend_list(hpt_backend_info **out, int64_t *n) {
    int rc = 0;
    int64_t cap = 0, count = 0;
    hpt_backend_info *list = NULL;
    const char *taken = NULL;
    HPT_FAIL_IF(!out || !n, HPT_E_ARG, "listing backends: out and n must not be NULL");
    for (const hpt__candidate *c = hpt__candidates; c->name; c++)
        HPT_TRY(add_candidate(&list, &count, &cap, c, &taken));
    *out = list;
    *n = count;
    list = NULL;
out:
    hpt__free(list);
    return rc;
}
