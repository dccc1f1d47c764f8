// SPDX-License-Identifier: Apache-2.0
// signals.h: the signals that end a run, and SIGCHLD, whichever thread of the process they reach.
#ifndef HPT_PROCESS_SIGNALS_H
#define HPT_PROCESS_SIGNALS_H

#include <signal.h>

enum { HPT__SIGNALS = 4 };

// What the caller had; .watched is what the run reads with signalfd.
typedef struct hpt__signals {
    sigset_t mask, watched;
    struct sigaction before[HPT__SIGNALS];
} hpt__signals;

// From here on SIGINT, SIGTERM, SIGHUP (unless the caller ignores it) and SIGCHLD wait for the calling thread, in which they are blocked.
// One user at a time in a process.
void hpt__signals_enter(hpt__signals *s);
// In the same thread: everything as before.
void hpt__signals_leave(const hpt__signals *s);
// In a child before exec, which would do the same later: what is handled here has its usual effect. Only makes system calls.
void hpt__signals_reset(void);

#endif
