// SPDX-License-Identifier: Apache-2.0
// mps.h: MPS controllers of our own, one per GPU: started, asked who their clients are, ended.
//
// Ownership: an hpt__mps_set owns its controllers, their folders and the record of them in the run's folder. Threads: one,
// the one that began. No call waits longer than its limit; those that a run's loop makes do not wait at all.
#ifndef HPT_MPS_MPS_H
#define HPT_MPS_MPS_H

#include "../devices/proc_walk.h"
#include "mps_call.h"
#include "mps_parts.h"
#include "mps_root.h"

enum { HPT__MPS_SERVERS = 16, HPT__MPS_FAILURES = 4 };

typedef enum hpt__mps_step {
    HPT__MPS_NOTHING,
    HPT__MPS_ASKED_SERVERS,
    HPT__MPS_ASKED_CLIENTS,
    HPT__MPS_ASKED_END,
    HPT__MPS_QUITTING,
    HPT__MPS_STARTING,
    HPT__MPS_CHECKING
} hpt__mps_step;

typedef struct hpt__mps_client {
    pid_t server, pid;
} hpt__mps_client;

typedef struct hpt__mps { // one controller
    char uuid[96];        // of its GPU
    int generation;       // how often it was started anew by this run
    int users;            // lock of its pipe folder; -1: this run does not use it now
    char pipe[HPT__MPS_PATH], log[HPT__MPS_PATH + 8];
    pid_t daemon;                    // 0: not known
    unsigned long long daemon_start; // as hpt__proc_stat has it
    bool none;                       // no daemon of it was started
    bool alive;                      // started, and not given up
    char why[288];                   // why not; one line
    int64_t n_failed;                // questions without a good answer since the last one that had one
    double failed_from;              // hpt__now_mono() of the first of them
    hpt__mps_call call;
    hpt__mps_step step; // of a look under way
    // ---- static SM partitions
    bool parts;            // it was started with -S: each client names one
    bool plain;            // it is to have none when it is started anew
    int64_t chunks;        // of its GPU; 0: it has not been asked
    hpt__mps_call parting; // makes and removes them (run_mps_parts.c)
    hpt__mps_record record;
    char no_parts[160]; // why it was started without; "": that was not tried
    // ---- as of the last look
    pid_t servers[HPT__MPS_SERVERS]; // more than one if other users' programs come
    int64_t n_servers;
    bool fault;    // a server of it is in state FAULT
    bool starting; // one is in state INITIALIZING
    hpt__mps_client *clients;
    int64_t n_clients, cap_clients, n_selected;
} hpt__mps;

typedef struct hpt__mps_set {
    char *program;
    double limit;             // seconds that any one command may take
    double patience;          // seconds over which looks must fail before a controller is given up
    char root[HPT__MPS_ROOT]; // folder of those that it starts; "": none was made
    int root_fd;              // its lock
    char *registry;           // folder of claims, where other runs find it; owned; NULL: none
    hpt__parting parting;     // whether those that it starts are to have static SM partitions
    int64_t least, most;      // the smallest and the largest share, in millionths
    int64_t version;          // of the program; 0: it was not asked
    hpt__mps *items;
    int64_t n, cap;
} hpt__mps_set;

// Looks for the control program. registry: folder of claims, NULL: none. HPT_E_NOT_FOUND: there is no such program.
HPT_NODISCARD int hpt__mps_open(hpt__mps_set *set, const char *registry);
// Starts a controller for a GPU: set->items[*index]. One that does not start is in the list too, not alive, with the reason;
// only what has nothing to do with MPS fails the call. Static SM partitions that cannot be had are no such reason: it is then started
// without. Waits for the limit at most, twice, and where partitions are tried and fail some times more.
HPT_NODISCARD int hpt__mps_start(int64_t *index, hpt__mps_set *set, const char *run_dir, const char *uuid);
// Uses one that another run started, of which it is known that it lives: set->items[*index]. HPT_E_NOT_FOUND: its folder is not this user's,
// or its daemon is gone; HPT_E_BUSY: it is being ended.
HPT_NODISCARD int hpt__mps_join(int64_t *index, hpt__mps_set *set, const char *uuid, const char *pipe);
// The same for one that is not alive, in its place. It is alive then.
HPT_NODISCARD int hpt__mps_join_anew(hpt__mps *m, const char *pipe);
// Ends all controllers that no other run uses, removes their folders and the record. Waits for the limit at most, three times each.
void hpt__mps_close(hpt__mps_set *set, const char *run_dir);

void hpt__mps_give_up(hpt__mps *m, const char *why); // it is not alive any more
// Begins a call that makes or removes partitions: m->parting goes on. Beside a look.
HPT_NODISCARD int hpt__mps_part_begin(const hpt__mps_set *set, hpt__mps *m, const char *commands);

// Whether the controller's daemon is known to have ended, or was never there.
bool hpt__mps_is_gone(const hpt__mps *m);

// Begins to ask a controller for its servers and clients, also one that was given up. Not while a look is under way. A failure is no
// verdict: a daemon that starts a server refuses other commands meanwhile. It makes a controller not alive when the daemon is gone, or
// when the last HPT__MPS_FAILURES looks over at least `patience` seconds had no good answer.
HPT_NODISCARD int hpt__mps_look_begin(const hpt__mps_set *set, hpt__mps *m);
// One that was given up and answers stays not alive: that is the caller's to say.
// Goes on as far as is possible without waiting. BUSY: m->call says for what to wait; ANSWERED: fault and clients are new;
// FAILED: m->n_failed says how often in a row; if it is no longer alive m->why says why.
hpt__mps_state hpt__mps_look(const hpt__mps_set *set, hpt__mps *m);

// Puts the clients that are a trial's first; how many they are. As of the last look.
int64_t hpt__mps_select(hpt__mps *m, const hpt__family *family);
// Begins to end the work of the selected clients on the device, so that their processes may be killed (a kill amidst device
// work is undefined under MPS). hpt__mps_look goes on; ANSWERED: all are ended; FAILED: some are not, m->call.text says why, and
// m->call.state is FAILED too where the daemon did not take the command; it stays alive.
HPT_NODISCARD int hpt__mps_end_begin(const hpt__mps_set *set, hpt__mps *m, double seconds);

// Whether no other run uses it; it can be joined by none then. If others do, this run does no more.
bool hpt__mps_alone(hpt__mps *m);
bool hpt__mps_use(hpt__mps *m); // this run uses it again; false: it is being ended
void hpt__mps_leave(hpt__mps *m);

// Begins to end a controller that is this run's alone and has no clients, and to start one in new folders. hpt__mps_look goes on; ANSWERED:
// it is alive, and used.
HPT_NODISCARD int hpt__mps_restart_begin(hpt__mps_set *set, hpt__mps *m, const char *run_dir);

#endif
