// SPDX-License-Identifier: Apache-2.0
// claims.h: what the runs of one user hold of the GPUs of one machine, so that together they never hold more than there is.
//
// Who goes first where several wait: the run that holds less, counted as the larger of its parts of compute and memory, summed
// over devices (dominant share); of equals the one that has waited longer. For each run that goes before this one, the
// devices with room for what it waits for, else those that are least short of it, are left to it. Of runs that wait for memory of the
// host, likewise, the one that holds less of it; as much as it asks for is left to it.
//
// Ownership: the struct's; ledger and run_dir are borrowed. Threads: one at a time per struct; several structs, in one process or
// many, may work on one folder.
#ifndef HPT_DEVICES_CLAIMS_H
#define HPT_DEVICES_CLAIMS_H

#include "../base/str.h"
#include "ledger.h"

typedef struct hpt__claims_waiter { // another run that waits
    hpt__demand demand;             // without GPUs: it waits for memory of the host
    double since;
    int64_t held, pid; // held: dominant share, in millionths of a device; of the host's memory, bytes
    bool *has;         // of the ledger's devices, which it has too, and can use beside this run; owned
} hpt__claims_waiter;

typedef struct hpt__claims { // zeros: nothing is shared
    char *dir;               // NULL: this run is alone with its ledger
    char name[40];           // of its own file there
    int lock, own;           // descriptors; -1
    hpt__ledger *ledger;
    const char *run_dir;
    bool *shared;         // of the ledger's devices: other runs may have them too
    bool memory;          // the host's memory is shared too
    bool waits, unsaved;  // a request has no room; own file is older than the ledger
    hpt__demand demand;   // what it waits for
    double since, looked; // since when, and when it last tried (hpt__now_mono)
    double written;       // own file
    double locked_out;    // since when the lock could not be had; 0: it could
    hpt__str text, last;  // scratch; what own file says
    // ---- as of the last look
    int64_t n_runs;   // others
    hpt__str holders; // one line of what they hold
    hpt__claims_waiter *waiters;
    int64_t n_waiters, cap_waiters;
    char trouble[400]; // to be told once; "": nothing
    bool told_unread, told_lock;
} hpt__claims;

// Joins the runs that use the folder; dir NULL: this user's on this machine. What cannot be shared leaves the run alone, with a line
// in `trouble`. declared: devices that are declared by number are the same thing in all these runs.
// memory: the host's memory is shared too. HPT_E_MEMORY alone fails.
HPT_NODISCARD int hpt__claims_open(hpt__claims *c, hpt__ledger *ledger, const char *dir, const char *run_dir,
                                   bool declared, bool memory);
void hpt__claims_close(hpt__claims *c); // gives up all that is claimed; a zeroed one is fine

// From begin to end no other run changes anything: begin reads what they have into the ledger, end writes what the ledger has.
// False: the lock cannot be had just now, and nothing may be taken. Waits for some milliseconds at most.
bool hpt__claims_begin(hpt__claims *c);
void hpt__claims_end(hpt__claims *c);
// Something was given back. What cannot be written now is written by hpt__claims_keep.
void hpt__claims_given(hpt__claims *c);
// Between begin and end: the demand that has no room, without GPUs where it is the host's memory that is short; NULL: none waits.
void hpt__claims_want(hpt__claims *c, const hpt__demand *d);
// About once a second.
void hpt__claims_keep(hpt__claims *c);

#endif
