// SPDX-License-Identifier: Apache-2.0
// inventory.c: hpt_device_list: what this machine offers to trials.
//
// The CPU comes first: cores are those of this process's affinity mask (what a batch system, taskset or a container's
// cpuset leaves), memory is MemTotal. GPUs come from the first of these that is given: the argument (--gpus), the
// variable HPT_FAKE_DEVICES, the driver (gpu_probe.c, loaded at run time), and CUDA_VISIBLE_DEVICES where no driver
// answers. Declared GPUs need no hardware, so all scheduling can be tried without any. If CUDA_VISIBLE_DEVICES is set,
// declared device i is its i-th entry, because an index of ours would name another device there.
//
// Grammar of a declaration: GROUP ('+' GROUP)*, GROUP = COUNT | COUNT 'x' SIZE | SIZE, e.g. "4", "4x40GiB+2x80GiB",
// "80GiB"; "0" declares that there are none.
//
// Ownership: *out belongs to the caller (hpt_free). Threads: any. Cost: two small files; the driver is asked once per
// call and only if nothing is declared.
#include "inventory.h"

#include "../base/alloc.h"
#include "../base/error.h"
#include "../base/num.h"
#include "../base/pool.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GPUS_MAX = 4096 };

static int64_t total_memory(void) {
    char text[256];
    int fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) return 0;
    text[n] = '\0';
    const char *p = strstr(text, "MemTotal:");
    return p ? strtoll(p + 9, NULL, 10) * 1024 : 0;
}

// The i-th entry of CUDA_VISIBLE_DEVICES into out; false if there is none. As the driver does, the list ends at the
// first entry that is empty or -1.
static bool visible_entry(char *out, size_t size, int64_t i) {
    const char *p = getenv("CUDA_VISIBLE_DEVICES");
    for (int64_t k = 0; p && *p; k++) {
        const char *end = strchrnul(p, ',');
        while (p < end && (*p == ' ' || *p == '\t')) p++;
        size_t n = (size_t)(end - p);
        while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t')) n--;
        if (n == 0 || n >= size || *p == '-') return false;
        if (k == i) {
            memcpy(out, p, n);
            out[n] = '\0';
            return true;
        }
        p = *end ? end + 1 : end;
    }
    return false;
}

static void name_gpu(hpt_device_info *d, int64_t i, int64_t memory, const char *source) {
    *d = (hpt_device_info){.memory_bytes = memory, .capacity = 1.0};
    (void)snprintf(d->name, sizeof d->name, "gpu:%lld", (long long)i);
    (void)snprintf(d->kind, sizeof d->kind, "gpu");
    (void)snprintf(d->source, sizeof d->source, "%s", source);
}

static int add_gpus(hpt_device_info **list, int64_t *n, int64_t *cap, int64_t count, int64_t memory,
                    const char *source) {
    int rc = hpt__grow(list, cap, *n + count, sizeof **list);
    if (rc < 0) return rc;
    for (int64_t k = 0; k < count; k++) {
        const int64_t i = *n - 1; // the CPU is entry 0
        hpt_device_info *d = &(*list)[(*n)++];
        name_gpu(d, i, memory, source);
        if (!visible_entry(d->visible_id, sizeof d->visible_id, i))
            (void)snprintf(d->visible_id, sizeof d->visible_id, "%lld", (long long)i);
    }
    return 0;
}

static int bad_declaration(const char *text, const char *source) {
    return hpt__fail(HPT_E_ARG, "%s: '%s' is no list of GPUs; write a count or e.g. 4x40GiB+2x80GiB (at most %d)",
                     source, text, GPUS_MAX);
}

static int add_declared(hpt_device_info **list, int64_t *n, int64_t *cap, const char *text, const char *source) {
    const char *p = text;
    if (!*p) return bad_declaration(text, source);
    for (;;) {
        const char *end = strchrnul(p, '+');
        const size_t len = (size_t)(end - p);
        const char *x = memchr(p, 'x', len);
        int64_t count = 1, memory = 0;
        bool ok;
        if (x)
            ok = hpt__parse_int(&count, p, (size_t)(x - p)) &&
                 hpt__parse_bytes(&memory, x + 1, (size_t)(end - x - 1)) && memory > 0;
        else
            ok = hpt__parse_int(&count, p, len) || (hpt__parse_bytes(&memory, p, len) && memory > 0);
        if (!ok || count < 0 || *n + count > GPUS_MAX) return bad_declaration(text, source);
        int rc = add_gpus(list, n, cap, count, memory, source);
        if (rc < 0) return rc;
        if (!*end) return 0;
        p = end + 1;
    }
}

// What the driver lists, in the order of CUDA_VISIBLE_DEVICES if that is set. An entry there is an index or the start
// of a UUID. Indices follow the runtime's own order, which need not be the driver's, so memory is only filled in where
// all devices have the same.
static int add_detected(hpt_device_info **list, int64_t *n, int64_t *cap) {
    hpt__gpu_probe *gpus = NULL;
    int64_t n_gpus = 0;
    const bool restricted = getenv("CUDA_VISIBLE_DEVICES") != NULL;
    char id[sizeof((hpt_device_info *)0)->visible_id];
    int rc = hpt__gpu_probe_all(&gpus, &n_gpus);
    if (rc < 0) return rc;
    int64_t same = n_gpus ? gpus[0].memory_bytes : 0;
    for (int64_t k = 1; k < n_gpus; k++)
        if (gpus[k].memory_bytes != same) same = 0;
    for (int64_t i = 0; restricted ? visible_entry(id, sizeof id, i) && i < GPUS_MAX : i < n_gpus; i++) {
        HPT_TRY(hpt__grow(list, cap, *n + 1, sizeof **list));
        hpt_device_info *d = &(*list)[*n];
        if (restricted) {
            name_gpu(d, i, same, "CUDA_VISIBLE_DEVICES");
            for (int64_t k = 0; k < n_gpus; k++)
                if (strncmp(gpus[k].uuid, id, strlen(id)) == 0) d->memory_bytes = gpus[k].memory_bytes;
            memcpy(d->visible_id, id, sizeof id);
        } else {
            name_gpu(d, i, gpus[i].memory_bytes, "detected");
            (void)snprintf(d->visible_id, sizeof d->visible_id, "%s", gpus[i].uuid);
        }
        ++*n;
    }
    rc = 0;
out:
    hpt__free(gpus);
    return rc;
}

int hpt_device_list(hpt_device_info **out, int64_t *n_out, const char *declared) {
    int rc = 0;
    hpt_device_info *list = NULL;
    int64_t n = 0, cap = 0;
    const char *fake = getenv("HPT_FAKE_DEVICES");
    HPT_FAIL_IF(!out || !n_out, HPT_E_ARG, "hpt_device_list: an argument is NULL");
    HPT_TRY(hpt__grow(&list, &cap, 1, sizeof *list));
    list[n++] = (hpt_device_info){.name = "cpu",
                                  .kind = "cpu",
                                  .source = "detected",
                                  .memory_bytes = total_memory(),
                                  .capacity = (double)hpt__cpu_count()};
    if (declared)
        HPT_TRY(add_declared(&list, &n, &cap, declared, "--gpus"));
    else if (fake && *fake)
        HPT_TRY(add_declared(&list, &n, &cap, fake, "HPT_FAKE_DEVICES"));
    else
        HPT_TRY(add_detected(&list, &n, &cap));
    rc = 0;
    *out = list;
    *n_out = n;
    list = NULL;
out:
    hpt__free(list);
    return rc;
}
