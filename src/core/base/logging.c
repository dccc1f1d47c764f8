// SPDX-License-Identifier: Apache-2.0
// logging.c: one callback for the process, called under a mutex.
//
// The most verbose level wanted is also kept in an atomic, so that a message nobody wants costs one load.
// A callback that calls into the library all the same would deadlock on the mutex; a thread-local mark
// makes such messages vanish instead.
// Ownership: the message is borrowed for the call; payload stays the caller's. Threads: any.
// Cost: one load when off; one vsnprintf and the callback when on.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE // pthread under -std=c17
#endif
#include "logging.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { LINE_MAX_BYTES = 1024 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // guards callback and callback_payload
static hpt_log_fn callback;
static void *callback_payload;
static atomic_int wanted_level = -1; // -1: no callback
static _Thread_local bool inside;

void hpt_log_set(hpt_log_fn fn, void *payload, hpt_log_level max_level) {
    if (inside) return; // called from the callback itself, against the contract: ignored, not deadlocked
    pthread_mutex_lock(&lock);
    callback = fn;
    callback_payload = payload;
    atomic_store(&wanted_level, fn ? (int)max_level : -1);
    pthread_mutex_unlock(&lock);
}

void hpt__log(hpt_log_level level, const char *fmt, ...) {
    if ((int)level > atomic_load(&wanted_level) || inside) return;
    char line[LINE_MAX_BYTES];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (n < 0) return;
    if (n >= LINE_MAX_BYTES) memcpy(line + LINE_MAX_BYTES - 4, "...", 4);
    for (char *p = line; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c == 0x7F) *p = c == '\t' ? ' ' : '?';
    }
    pthread_mutex_lock(&lock);
    if (callback && (int)level <= atomic_load(&wanted_level)) {
        inside = true;
        callback(level, line, callback_payload);
        inside = false;
    }
    pthread_mutex_unlock(&lock);
}
