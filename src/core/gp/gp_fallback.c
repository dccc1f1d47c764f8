// SPDX-License-Identifier: Apache-2.0
// gp_fallback.c: what happens when a device fails in the middle of a study.
//
// The host holds the truth, the device a cache of it. So whoever computes on the device closes it, opens the host's best
// backend, makes its model there from what was told, and does the interrupted work again; the caller of the library gets
// what he asked for. One warning says so, and the study's record names both. It makes no difference whether the device
// was asked for by name: that is checked when it is opened, and a study that has begun is not ended for it.
//
// Trying again. Memory comes back when the neighbours on a GPU are done: it is tried again at the first fit after 16 asks
// (the factor is made anew then anyway), and after twice as many each time, up to 256. A device that was lost (any other
// error; after one CUDA refuses every call of the process) is not tried again.
//
// Memory that the host lacks, in the caller's own code or in a backend's host part, is no matter of the device: it is the caller's error,
// as on a host device, and the device is used on.
//
// Ownership: the caller's devices. Threads: those of the caller. Cost: opening a device.
#include "gp_fallback.h"

#include "../base/error.h"
#include "../base/logging.h"

#include <stdio.h>
#include <string.h>

enum { WAIT_FIRST = 16, WAIT_MOST = 256 };

static void wait_longer(hpt__fallback *f, int64_t asks) {
    f->wait = f->wait == 0 ? WAIT_FIRST : f->wait < WAIT_MOST / 2 ? 2 * f->wait : WAIT_MOST;
    f->since = asks;
}

int hpt__fallback_take(hpt__device **host, hpt__fallback *f, const hpt__device *device, int status, int64_t asks,
                       const hpt__ctx_options *options) {
    char line[HPT__ERROR_MAX];
    if ((status != HPT_E_DEVICE && status != HPT_E_MEMORY) || hpt__device_is_host(device)) return status;
    if (status == HPT_E_MEMORY && hpt__error_is_host_memory()) return status;
    hpt__error_copy(line);
    if (hpt__device_open_host(host, options) < 0) {
        hpt__error_set(line);
        return status;
    }
    const bool first = !f->device[0];
    (void)snprintf(f->device, sizeof f->device, "%s", hpt__device_name(device));
    (void)snprintf(f->why, sizeof f->why, "%.*s", (int)sizeof f->why - 1, line);
    f->away = true;
    f->lost = status == HPT_E_DEVICE;
    wait_longer(f, asks);
    hpt__log(first ? HPT_LOG_WARN : HPT_LOG_INFO, "device %s failed (%s); going on on %s", f->device, line,
             hpt__device_name(*host));
    return 0;
}

hpt__device *hpt__fallback_again(hpt__fallback *f, int64_t asks, const hpt__ctx_options *options) {
    hpt__device *device = NULL;
    if (!f->away || f->lost || asks - f->since < f->wait) return NULL;
    if (hpt__device_open(&device, f->device, options, NULL) < 0) {
        wait_longer(f, asks);
        hpt__log(HPT_LOG_DEBUG, "device %s is still not to be had (%s); next time after %lld asks", f->device,
                 hpt_last_error(), (long long)f->wait);
        return NULL;
    }
    f->away = false;
    hpt__log(HPT_LOG_INFO, "device %s is used again", f->device);
    return device;
}

void hpt__fallback_json(hpt__str *out, const hpt__fallback *f) {
    if (!f->away) return;
    hpt__str_add(out, ", \"instead_of\": ");
    hpt__str_add_json_string(out, f->device, strlen(f->device));
    hpt__str_add(out, ", \"because\": ");
    hpt__str_add_json_string(out, f->why, strlen(f->why));
}
