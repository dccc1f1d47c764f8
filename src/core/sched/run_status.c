// SPDX-License-Identifier: Apache-2.0
// run_status.c: what a run tells who asks its socket how it goes ({"op":"status"}): counts, devices with what is granted of
// them, trials with their share. It is how `hpt top` sees a run from outside (monitor.c).
//
// It is asked for rather than written to a file: a run that nobody watches spends nothing on it, and what is told is
// what holds in this moment. Answers are never waited for (report_socket.c), so one that a socket's buffer may not hold is told
// in pages: devices, slots and queued trials are numbered in this order, a page begins with number "from" and ends with
// "next", where there is more. Trials that start or end between two pages may be missing or told twice.
//
// Threads: the loop's. Cost: some microseconds a trial, when asked.
#include "../base/clock.h"
#include "../base/num.h"
#include "run_impl.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PAGE_BYTES = 48 * 1024 }; // a Unix socket's buffer is 208 KiB on Linux, and several answers may wait in it

static void put_number(hpt__str *s, const char *key, double value) {
    char number[HPT__DOUBLE_MAX];
    (void)hpt__double_repr(number, value);
    hpt__str_addf(s, ",\"%s\":%s", key, number);
}

static void put_int(hpt__str *s, const char *key, int64_t value) {
    hpt__str_addf(s, ",\"%s\":%lld", key, (long long)value);
}

static void put_text(hpt__str *s, const char *key, const char *text) {
    hpt__str_addf(s, ",\"%s\":", key);
    hpt__str_add_json_string(s, text, strlen(text));
}

// Number i of the devices: 0 is the host, which is measured in cores, then come the GPUs.
static void put_device(hpt__str *s, const hpt__run *run, int64_t i) {
    const hpt__ledger *l = &run->ledger;
    if (i == 0) {
        int64_t n = 0;
        for (int64_t k = 0; k < run->n_slots; k++) n += run->slots[k].trial != NULL;
        hpt__str_add(s, "{\"name\":\"cpu\"");
        put_number(s, "capacity", (double)l->cpu / HPT__CPU_UNITS);
        put_number(s, "granted", (double)l->cpu_used / HPT__CPU_UNITS);
        put_int(s, "memory", l->memory);
        put_int(s, "memory_granted", l->memory_used);
        put_int(s, "trials", n);
    } else {
        const hpt__ledger_gpu *g = &l->gpus[i - 1];
        hpt__str_add(s, "{\"name\":");
        hpt__str_add_json_string(s, g->info.name, strlen(g->info.name));
        put_text(s, "uuid", g->info.uuid);
        put_number(s, "capacity", (double)g->units / HPT__GPU_UNITS);
        put_number(s, "granted", (double)g->used / HPT__GPU_UNITS);
        put_int(s, "memory", g->memory);
        put_int(s, "memory_granted", g->memory_used);
        put_int(s, "trials", g->n_grants);
    }
    hpt__str_addc(s, '}');
}

static void put_slot(hpt__str *s, const hpt__run *run, int64_t slot, hpt__str *use) {
    const hpt__running *t = &run->slots[slot];
    hpt__str_clear(use);
    hpt__run_use_json(use, run, t);
    hpt__str_addf(s, "{\"trial\":%lld", (long long)t->number);
    put_int(s, "attempt", t->attempt);
    put_int(s, "pid", t->pid);
    hpt__str_addf(s, ",\"stopping\":%s", t->cause != HPT__STOP_NONE ? "true" : "false");
    put_int(s, "slot", slot);
    hpt__str_addf(s, ",\"use\":%s}", hpt__str_text(use));
    if (use->failed) s->failed = true;
}

static void put_parked(hpt__str *s, const hpt__parked *p) {
    hpt__str_addf(s, "{\"trial\":%lld,\"attempt\":%lld,\"stopping\":false,\"queued\":true}",
                  (long long)hpt_trial_number(p->trial), (long long)p->attempt);
}

void hpt__run_status(hpt__str *s, hpt__run *run, int64_t from) {
    const int64_t n_devices = run->ledger.n_gpus + 1, n_slots = n_devices + run->n_slots, n = n_slots + run->cap_parked;
    const size_t limit = s->len + PAGE_BYTES;
    int64_t i = from < 0 ? 0 : from;
    bool first = true;
    hpt__str use = HPT__STR_INIT;
    hpt__str_add(s, "{\"ok\":true");
    put_text(s, "study", run->study_name);
    put_int(s, "pid", getpid());
    put_int(s, "done", run->counts[HPT_TRIAL_COMPLETE]);
    put_int(s, "pruned", run->counts[HPT_TRIAL_PRUNED]);
    put_int(s, "failed", run->counts[HPT_TRIAL_FAIL]);
    put_int(s, "waiting", run->counts[HPT_TRIAL_WAITING]);
    put_int(s, "cap", run->cap);
    put_int(s, "slots", run->n_slots);
    put_number(s, "elapsed", hpt__now_mono() - run->t0);
    hpt__str_add(s, ",\"devices\":[");
    for (; i < n_devices && s->len < limit; i++, first = false) {
        if (!first) hpt__str_addc(s, ',');
        put_device(s, run, i);
    }
    hpt__str_add(s, "],\"running\":[");
    first = true;
    for (; i >= n_devices && i < n && s->len < limit; i++) {
        if (i < n_slots ? !run->slots[i - n_devices].trial : !run->parked[i - n_slots].trial) continue;
        if (!first) hpt__str_addc(s, ',');
        first = false;
        if (i < n_slots)
            put_slot(s, run, i - n_devices, &use);
        else
            put_parked(s, &run->parked[i - n_slots]);
    }
    hpt__str_addc(s, ']');
    if (i < n) put_int(s, "next", i);
    hpt__str_addc(s, '}');
    hpt__str_fini(&use);
}
