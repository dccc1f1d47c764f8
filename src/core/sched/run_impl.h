// SPDX-License-Identifier: Apache-2.0
// run_impl.h: the state of one hpt_run_sweep, shared by the run_*.c files. One thread, the loop's;
// only hpt__asker is shared with a second one.
//
//   run.c          the call: checks, folder, study, summary            run_loop.c    epoll, signals, timers
//   run_start.c    which trial next, its folder and process            run_env.c     its environment
//   run_intake.c   output, report file and socket into reports         run_end.c     stop ladder, outcome, tell, retry
//   run_attempts.c trials that an earlier run left                     run_event.c   counts and callbacks
//   run_origin.c   origin.json and the checks before the start         run_stop.c    hpt_run_stop
//   run_metrics.c  one metric or several                               run_wandb.c   the W&B agent's environment
//   run_guard.c    giving up when trials fail                          run_cause.c   kinds of failures
//   run_log_limit.c  files that grow too long                          run_unread.c  options without effect
//   run_plan.c     what trials ask for, what there is                  run_park.c    trials that wait for their share
//   run_ask.c      asks, in a thread of their own                      run_share.c   cores, limits, use
//   run_oom.c      lack of memory                                      run_disk.c    a disk that is nearly full
//   run_mps.c      tiers of GPU shares                                  run_mps_end.c  killing under MPS
//   run_mps_serve.c  which controllers, beside other runs              run_mps_again.c  those that were lost
//   run_watchdog.c memory of shares that nothing holds                 run_status.c  what the socket tells of it all
//   run_fault.c    faults of shared GPUs                               run_lost.c    GPUs that stop answering
//   run_oom_retry.c  more GPU memory                                    run_learn.c   gpu_memory: learn
//   run_claims.c   shares beside other runs
//   run_foreign.c  memory that other programs have                      run_mps_parts.c  static SM partitions
#ifndef HPT_SCHED_RUN_IMPL_H
#define HPT_SCHED_RUN_IMPL_H

#include "../base/error.h"
#include "../base/options.h"
#include "../devices/cgroup.h"
#include "../devices/claims.h"
#include "../devices/cores.h"
#include "../devices/ledger_queue.h"
#include "../devices/nvml.h"
#include "../intake/intake.h"
#include "../intake/report_socket.h"
#include "../mps/mps.h"
#include "../process/process.h"
#include "../process/signals.h"
#include "../study/study_impl.h"
#include "../sweep/sweep_impl.h"
#include "run_dir.h"
#include <hpt/sched.h>
#include <pthread.h>
#include <sys/resource.h>

typedef enum hpt__stop_cause { // why a trial was asked to end
    HPT__STOP_NONE,
    HPT__STOP_PRUNE,
    HPT__STOP_TIMEOUT,
    HPT__STOP_SILENT,     // no report for too long
    HPT__STOP_RUN,        // the run ends: the trial stays RUNNING in the study
    HPT__STOP_USER,       // `hpt stop NUMBER`
    HPT__STOP_OOM_GPU,    // it took much more of its GPU's memory than its share
    HPT__STOP_UNENFORCED, // run.enforce=required, and it uses its GPU without limits
    HPT__STOP_COLLATERAL, // its server failed, and it has not noticed
} hpt__stop_cause;

typedef enum hpt__tier { // what holds a trial's share, see run_mps.c; names: hpt__run_tier_name
    HPT__TIER_NONE,
    HPT__TIER_RLIMIT,
    HPT__TIER_CGROUP,
    HPT__TIER_MIG,
    HPT__TIER_MPS,
    HPT__TIER_MPS_UNVERIFIED,
    HPT__TIER_UNENFORCED,
    HPT__TIER_ADVISORY,
} hpt__tier;

typedef enum hpt__enforce { HPT__ENFORCE_BEST, HPT__ENFORCE_REQUIRED, HPT__ENFORCE_OFF } hpt__enforce;

typedef enum hpt__end { // run_mps_end.c: before SIGKILL
    HPT__END_NOT,
    HPT__END_WANTED,  // its controller is to be asked for its clients
    HPT__END_LOOKING, // and is
    HPT__END_ASKED,   // to end the trial's
    HPT__END_DONE,    // as far as can be
} hpt__end;

enum { HPT__STRANGERS = 64 };

typedef struct hpt__mps_looks { // what is known of a controller, and when it is asked next; times of hpt__now_mono
    double next, gap, began;    // began: the last look
    // ---- run_fault.c
    double fault_at;                 // since when its server has failed; 0: it has not
    int64_t n_present, n_faults;     // clients then; faults with more than one client
    int64_t n_beside;                // clients of other runs then
    double others_at;                // when other runs had trials there, as far as was looked
    pid_t strangers[HPT__STRANGERS]; // clients at the last look that are no trials of this run
    int64_t n_strangers;
    double broke_at;  // last fault: contexts of before are dead
    double killed_at; // when SIGKILL last ended a client
    double xid_at;    // last critical event of its GPU; 0: none
    int64_t xid;
    double excluded_until; // MPS is not used there; 0: it is
    // ---- run_mps_again.c
    double lost_at, again_at,
        pause;      // it was lost, and is asked or started again then, after that many seconds; 0: it was not
    bool idle;      // nothing is started there meanwhile
    bool waited;    // for other runs that use it, and that was told
    double back_at; // since when it is used again; 0: it never was lost
    // ---- run_mps_parts.c
    double parts_at;           // next call
    char asked[HPT__MPS_PATH]; // pipe folder of the controller that is asked; "": none is
    int64_t making;            // 1 + index of the partition that is being made; 0: none
    int64_t n_unparted;        // calls without a good answer since the last one that had one
    double unparted_from;      // the first of them
    bool unnamed;              // there may be a partition that no record names
    bool room_said;
} hpt__mps_looks;

typedef enum hpt__said { // what a failed trial wrote of its GPU (fault_words.inc)
    HPT__SAID_NOTHING,
    HPT__SAID_FAULT,   // a fatal fault, its own or a neighbour's
    HPT__SAID_REFUSED, // its MPS server takes no newcomers, or is gone
} hpt__said;

typedef struct hpt__parked { // a trial that waits for its share; its id in the queue is its index
    hpt_trial *trial;        // owned; NULL: free
    int64_t attempt;
} hpt__parked;

typedef enum hpt__part_state {
    HPT__PART_FREE,
    HPT__PART_WANTED, // a trial waits for it
    HPT__PART_HELD,   // a trial in a slot has it
    HPT__PART_ENDING, // to be removed
} hpt__part_state;

typedef struct hpt__part { // run_mps_parts.c: a static SM partition
    hpt__part_state state;
    int64_t k, chunks;        // its controller; how large it is to be
    char pipe[HPT__MPS_PATH]; // of that, when it was wanted
    char id[HPT__MPS_PART];   // "": not made
    bool tried;               // to be removed, at least once
    hpt_trial *trial;         // WANTED: owned; NULL: it is not wanted any more
    int64_t attempt;
    hpt__grant grant; // unless HELD
    double since;     // of this state
} hpt__part;

enum { HPT__SUSPECT = 2 }; // attempts in shared faults after which a trial has a GPU to itself

typedef struct hpt__history { // earlier attempts of a trial, as far as they matter for the next; zeros: there were none
    int64_t attempt;          // number of the next
    int64_t n_faults;         // how many were collateral
    int64_t gpu_memory; // bytes of its GPU that the next should have at least, since less was too little; 0: its share
} hpt__history;

typedef struct hpt__running { // one slot
    hpt_trial *trial;         // owned; NULL: the slot is free
    int64_t number, attempt;
    pid_t pid;
    int pidfd, fd_out, fd_err, fd_report, watch;
    int64_t read_out, read_report;                    // how far the files were read
    int64_t n_written;                                // of all files, when that was looked at last
    int64_t stderr_start;                             // where this attempt's part of stderr.log begins
    int64_t punched_out, punched_err, punched_report; // run_log_limit.c: how far space was given back
    hpt__intake_trial steps;
    hpt__intake_stream out, report;
    bool written;  // its files have something to read, as inotify says
    bool reported; // since the pruner was asked last
    double started, timeout_at, silent_at, kill_at, ended_at;
    double verdict_at; // when, at the latest, it is known whose failure its failure is; 0: nobody asked
    hpt__said said;    // of why it failed; once it has
    bool looked;       // its controller has been asked since it ended
    bool stayed;       // other runs' clients that were beside it then are still served, as of the last look
    bool beside;       // they are gone too
    bool told;         // it has ended and is to be told in this turn
    bool in_fault;     // client of a server that failed
    bool late;         // it failed of what had broken its context before
    bool work_ended;   // on its GPU, before it was killed
    hpt__stop_cause cause;
    bool killed; // SIGKILL was sent
    bool ended;  // its process is gone; waits to be told
    bool status_known;
    int status; // as waitpid gives it
    struct rusage usage;
    long own_peak; // kB of this program when the process was made, see run_share.c
    hpt__grant grant;
    hpt__tier tier;
    int64_t part; // 1 + index of its SM partition; 0: none
    hpt__end mps_end;
    int64_t gpu_used;    // largest memory of its GPU so far that the watchdog saw
    bool warned;         // that it is more than its share
    char *group;         // its control group, NULL: none
    hpt__cgroup_use use; // of it, at its end
    int n_escaped;       // looks running in which it was on its GPU and no client of MPS
    char *dir;
} hpt__running;

typedef enum hpt__run_phase {
    HPT__RUN_GOING,
    HPT__RUN_STOPPING,  // on request
    HPT__RUN_TIMED_OUT, // the sweep's time limit
    HPT__RUN_BROKEN,    // error and error_text say why
} hpt__run_phase;

typedef struct hpt__origin { // origin.json; strings owned, NULL: not known
    char *study, *storage, *sweep_dir, *cwd;
    int64_t n_trials;
} hpt__origin;

typedef struct hpt__metric_value { // last report of one metric by one running trial
    double value;
    bool seen;
} hpt__metric_value;

typedef struct hpt__cause { // a kind of failure
    char *text;
    int64_t n;
} hpt__cause;

typedef struct hpt__guard {
    bool flapping, failing; // rules in force
    int64_t max_failures;
} hpt__guard;

enum { HPT__WANDB_ID = 9 };
typedef struct hpt__wandb {
    uint64_t offset; // of the run identifiers
    char sweep_id[HPT__WANDB_ID];
    bool set_sweep_id, set_dir, set_mode;
} hpt__wandb;

typedef struct hpt__gpu_answers { // of one GPU to NVML
    bool before, lost;            // it has in this run; it does not any more
    double again;                 // when it is asked next, while it is lost
} hpt__gpu_answers;

typedef struct hpt__learnt { // of GPU memory, in bytes
    int64_t *needs;          // n, ascending: what would have been enough for each attempt of which it is known
    int64_t n, cap;
    int64_t peak;   // the largest
    int64_t amount; // what a trial gets; 0: its part of the GPU
} hpt__learnt;

typedef enum hpt__ask_state {
    HPT__ASK_IDLE,
    HPT__ASK_WANTED, // the thread has it, or soon
    HPT__ASK_DONE,   // the loop has not looked yet
} hpt__ask_state;

typedef struct hpt__asker { // run_ask.c
    hpt_study *study;
    pthread_t thread;
    bool started;
    int event;   // eventfd: an ask is done
    double mean; // seconds of an ask; the loop's
    atomic_bool cancel;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    // ---- guarded by lock; while an ask is wanted the rest is its thread's, else the loop's
    bool quit;
    hpt__ask_state state;
    int64_t q, ahead, n;
    hpt_trial **trials; // n_slots
    int rc;
    double seconds;
    char error[HPT__ERROR_MAX];
} hpt__asker;

#define HPT__ASKER_INIT \
    { .event = -1, .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER }

typedef struct hpt__run {
    const hpt_sweep *sweep;
    const hpt_run_options *o;
    hpt_study *study;
    hpt__run_dir dir;
    hpt__ledger ledger;
    hpt__demand demand; // of a trial; where it is computed from parameters, the smallest
    hpt__demand most;   // the largest
    hpt__queue queue;   // where it is computed: trials that were asked and wait for room
    hpt__parked *parked;
    int64_t cap_parked;
    char engine_options[2][48]; // what the engine's own models may use, as options of the study; "": as they are
    hpt__enforce enforce;
    hpt__mps_set mps;          // run_mps.c: controllers
    int64_t *mps_of;           // index of each GPU's controller, -1: none; NULL: MPS is not used
    hpt__mps_looks *mps_looks; // of each controller
    hpt__parting parting;      // option run.sm_partitions
    hpt__part *parts;          // run_mps_parts.c
    int64_t n_parts, cap_parts;
    hpt__nvml *nvml;                     // open while there are controllers; NULL: not
    hpt__gpu_answers *answers;           // run_lost.c: of each GPU; NULL: nobody asks
    hpt__gpu_load load;                  // scratch
    char mps_note[400];                  // what is told of them at the start; "": nothing
    hpt__learnt learnt;                  // run_learn.c
    int64_t n_oom_told;                  // run_oom_retry.c
    char foreign_note[300];              // memory that other programs have; "": none
    hpt__claims claims;                  // run_claims.c: what other runs have of the ledger's devices
    int claims_watch;                    // of inotify; -1
    bool held_up, claims_busy;           // a request waits for other runs; their lock could not be had
    double claims_tried, held_up_said;   // when something was refused last, and when that was told
    uint64_t n_refused;                  // ledger.given when there was no room for `demand`; UINT64_MAX: there may be
    hpt__cgroups groups;                 // of trials
    hpt__cores cores;                    // a slot's index holds them
    cpu_set_t core_mask[HPT__CORE_SETS]; // scratch
    hpt__intake intake;
    const char *const *metrics; // names and directions are the sweep's
    const hpt_direction *directions;
    int64_t n_metrics;         // 0: exit codes decide
    hpt__metric_value *values; // n_slots x n_metrics
    hpt__wandb wandb;
    hpt__guard guard;
    hpt__cause *causes;
    int64_t n_causes, cap_causes;
    int64_t log_limit;    // bytes; INT64_MAX: none
    int64_t disk_reserve; // bytes; 0: none
    bool disk_full;       // no trial is started
    bool no_punching;
    bool own_storage;   // the database lies in the run's folder: nobody else starts trials of this study
    bool gpus_declared; // by --gpus or HPT_FAKE_DEVICES
    char *study_name, *storage, *run_id;
    char *sweep_dir, *cwd;        // cwd NULL: the caller's
    char *program, *program_name; // file of the command's first element, and that element
    int64_t *column;              // study's index of each parameter of the sweep; NULL: the same order
    double *point;                // scratch: a point in the sweep's order
    hpt__arena env_arena;         // strings of env
    char **env;                   // inherited environment without what we set
    int64_t n_env;
    hpt__str env_text; // scratch: the trial's own entries, NUL after each
    char **envp;       // scratch
    int64_t cap_envp;
    hpt__running *slots;
    hpt__asker asker;
    hpt__grant *grants; // n_slots; the first n_granted are held for the ask under way
    int64_t n_granted;
    double trial_seconds; // mean time of a trial; 0: none has ended
    pid_t *leaders;       // scratch, n_slots
    int64_t n_slots, n_running;
    int epoll, signals, inotify, null_fd;
    hpt__signals held; // .mask is what trials get
    hpt__report_server server;
    char *buffer; // HPT__READ_SIZE
    hpt__study_report *reports;
    int64_t n_reports, cap_reports;
    int64_t *restart; // numbers of trials to start again
    int64_t n_restart, next_restart, cap_restart;
    bool has_pruner;
    // ---- progress
    hpt__run_phase phase;
    int error;
    char error_text[HPT__ERROR_MAX];
    int64_t counts[5]; // the study's trials by state, kept up to date by steps
    double looked_at;  // when what nobody announces was last looked for
    int64_t cap;       // 0: none
    bool exhausted, target_reached, flapping;
    int64_t n_started_here, n_failed_here, n_ended_here, n_signals, n_leftover;
    double best;
    int64_t best_number;
    double t0, timeout_at, next_tick, pump_at, last_pump;
} hpt__run;

enum { HPT__READ_SIZE = 1 << 18, HPT__SLOTS_MAX = 4096, HPT__LOST_MAX = 10, HPT__PREEMPTED_MAX = 100 };

// What an epoll event is about: kind in the high word, index in the low one.
typedef enum hpt__source {
    HPT__SOURCE_SIGNAL = 1,
    HPT__SOURCE_INOTIFY,
    HPT__SOURCE_LISTEN,
    HPT__SOURCE_CONNECTION,
    HPT__SOURCE_TRIAL,
    HPT__SOURCE_ASK,
    HPT__SOURCE_MPS,
    HPT__SOURCE_PART,
} hpt__source;
HPT_NODISCARD int hpt__run_watch(hpt__run *run, int fd, hpt__source source, int64_t index, uint32_t events);

// ---- run_origin.c
HPT_NODISCARD int hpt__origin_read(hpt__origin *out, const char *run_dir); // all NULL if there is none
void hpt__origin_fini(hpt__origin *origin);
HPT_NODISCARD int hpt__origin_write(const hpt__run *run, const char *explicit_storage, int64_t n_trials);
// Finds the program of the command; HPT_E_NOT_FOUND names it. Sets run->program and program_name.
HPT_NODISCARD int hpt__run_check_program(hpt__run *run);
// "sqlite:///x.db" below the working folder -> absolute. Other URLs unchanged. NULL: out of memory.
char *hpt__absolute_url(const char *url);

// ---- run_plan.c
// Demand, ledger and number of slots. HPT_E_ARG: a trial can never fit.
HPT_NODISCARD int hpt__run_plan(hpt__run *run);
void hpt__run_plan_slots(hpt__run *run); // the last of them anew, as the ledger is now
// Demand of the trial at a point in the sweep's order. HPT_E_ARG: none that this machine can give.
HPT_NODISCARD int hpt__run_demand(hpt__demand *out, const hpt__run *run, const double *point);

// ---- run_foreign.c
void hpt__run_set_foreign_apart(hpt__run *run); // of the ledger's devices; fills foreign_note

// ---- run_park.c: trials whose demand is known only once they were asked
bool hpt__run_parks(const hpt__run *run);       // whether this sweep has such
bool hpt__run_parked_many(const hpt__run *run); // no more should be asked for before some of them start
// Takes ownership. The trial counts as running. One whose demand cannot be had is told as failed.
HPT_NODISCARD int hpt__run_park(hpt__run *run, hpt_trial *trial, const hpt__history *history);
// The same for a demand that is known. Takes ownership.
HPT_NODISCARD int hpt__run_park_as(hpt__run *run, hpt_trial *trial, int64_t attempt, const hpt__demand *demand);
// The next one that has room, with its share; false: none has.
bool hpt__run_unpark(hpt_trial **trial, int64_t *attempt, hpt__grant *grant, hpt__run *run);
void hpt__run_drop_parked(hpt__run *run); // they stay RUNNING in the study, like trials that are stopped with the run
void hpt__run_park_fini(hpt__run *run);

// ---- run_loop.c
HPT_NODISCARD int hpt__run_loop(hpt__run *run);
HPT_NODISCARD int hpt__run_open_loop(hpt__run *run); // descriptors
void hpt__run_close_loop(hpt__run *run);
void hpt__run_break(hpt__run *run, int error); // remembers the recorded error and ends the running trials

// ---- run_start.c
HPT_NODISCARD int hpt__run_start_trials(hpt__run *run); // as many as there is room for
bool hpt__run_has_more(const hpt__run *run);            // something could be started, were there room
bool hpt__run_may_start(const hpt__run *run);           // the run goes on
// Starts a trial in a free slot, with an SM partition (its index + 1) or without (0). Takes ownership of trial and grant.
HPT_NODISCARD int hpt__run_begin(hpt__run *run, hpt_trial *trial, int64_t attempt, const hpt__grant *grant,
                                 int64_t part);
// Takes ownership of the trial; the grant is the slot's, and *grant holds nothing any more.
HPT_NODISCARD int hpt__run_start_asked(hpt__run *run, hpt_trial *trial, hpt__grant *grant);
void hpt__run_clear_slot(hpt__run *run, hpt__running *t);
// A point of the study in the sweep's order of parameters; borrowed until the next call.
const double *hpt__run_point(hpt__run *run, const double *point);

// ---- run_ask.c
HPT_NODISCARD int hpt__run_open_asker(hpt__run *run);
void hpt__run_close_asker(hpt__run *run);    // waits for the ask under way; what it gave goes back to the queue
bool hpt__run_asking(hpt__run *run);         // from hpt__run_ask until hpt__run_asked has taken the result
void hpt__run_cancel_ask(hpt__run *run);     // its result is not wanted any more
int64_t hpt__run_ahead(const hpt__run *run); // how many suggestions should wait
void hpt__run_note_duration(hpt__run *run, double seconds); // of a trial that has ended
// q trials to start, whose grants are held, and more to wait. Not while hpt__run_asking.
HPT_NODISCARD int hpt__run_ask(hpt__run *run, int64_t q, int64_t ahead);
HPT_NODISCARD int hpt__run_asked(hpt__run *run); // the asker has called: starts what it has

// ---- run_env.c
HPT_NODISCARD int hpt__run_env_init(hpt__run *run);
bool hpt__run_inherits(const hpt__run *run, const char *name); // the user has set this variable
// *envp: valid until the next call.
HPT_NODISCARD int hpt__run_env(char ***envp, hpt__run *run, const hpt__running *t);

// ---- run_share.c
void hpt__run_thread_env(hpt__str *s, const hpt__run *run,
                         const hpt__running *t); // entries of thread counts, NUL after each
// Takes the cores of a trial, makes its control group and sets the limits of its process. The slot gives them back.
void hpt__run_limit(hpt__spawn *spawn, hpt__run *run, hpt__running *t);
void hpt__run_limited(hpt__run *run, hpt__running *t, const hpt__spawn *spawn); // it was started
void hpt__run_group_ended(hpt__running *t); // its first process has ended: what is left in its group is killed
void hpt__run_use_json(hpt__str *s, const hpt__run *run, const hpt__running *t);  // s:hpt:use; s is empty
void hpt__run_gpu_names(hpt__str *s, const hpt__run *run, const hpt__running *t); // "gpu:0,gpu:1"; nothing without one
double hpt__run_gpus(const hpt__running *t);                                      // its share of all of them together

// ---- run_claims.c
HPT_NODISCARD int hpt__run_claims_open(hpt__run *run);
void hpt__run_claims_close(hpt__run *run);
// Shares for up to n trials of the run's demand; how many there was room for.
int64_t hpt__run_take(hpt__grant *grants, hpt__run *run, int64_t n);
bool hpt__run_take_queued(hpt__grant *grant, int64_t *id, hpt__run *run); // as hpt__queue_next
void hpt__run_give(hpt__run *run, hpt__grant *grant);                     // not held: no-op
void hpt__run_claims_changed(hpt__run *run);                              // another run has changed its claims
void hpt__run_claims_time(hpt__run *run);                                 // about once a second

// ---- run_mps_serve.c
// Ends what killed runs left of MPS, and joins or starts a controller on each GPU whose shares it can hold. HPT_E_DEVICE:
// run.enforce=required, and one cannot be held.
HPT_NODISCARD int hpt__run_mps_open(hpt__run *run);
void hpt__run_mps_close(hpt__run *run);
void hpt__run_mps_announce(hpt__run *run, int64_t k);  // to other runs, whether controller k is used
void hpt__run_mps_exclusive(hpt__run *run, int64_t k); // whether controller k's GPU takes one trial: as it is alive
// Whether another run uses it too, or (trials) has trials there; true also where that cannot be known now.
bool hpt__run_mps_others(hpt__run *run, int64_t k, bool trials);
bool hpt__run_mps_beside_others(hpt__run *run,
                                const hpt__running *t); // whether another run uses the controller of a trial
typedef enum hpt__renewal {
    HPT__RENEW_WAIT,   // not to be known now, or another run is about to
    HPT__RENEW_START,  // it is this run's alone, to be started anew
    HPT__RENEW_JOINED, // another run has done so, and this one uses that
    HPT__RENEW_ASK,    // other runs use it; this one does not any more
} hpt__renewal;
// What can be done about a controller that is not alive and should be started anew.
HPT_NODISCARD hpt__renewal hpt__run_mps_renew(hpt__run *run, int64_t k);

// ---- run_mps.c
bool hpt__run_mps_is_asked_for(const hpt__run *run);                   // there may be trials whose shares it can hold
hpt__tier hpt__run_tier(const hpt__run *run, const hpt__grant *grant); // of a trial that starts
const char *hpt__run_tier_name(const hpt__running *t);
bool hpt__run_mps_sets(const hpt__run *run, const char *name, size_t n); // a variable that we give
void hpt__run_mps_env(hpt__str *s, const hpt__run *run, const hpt__running *t);
void hpt__run_mps_started(hpt__run *run, const hpt__running *t);
double hpt__run_mps_due(const hpt__run *run); // when hpt__run_mps_time is wanted
HPT_NODISCARD int hpt__run_mps_time(hpt__run *run, double now);
HPT_NODISCARD int hpt__run_mps_event(hpt__run *run, int64_t controller);

hpt__family hpt__run_family(const hpt__run *run, const hpt__running *t);  // to tell its processes by
int64_t hpt__run_mps_index(const hpt__run *run, const hpt__grant *grant); // of its GPU's controller; -1: none
const char *hpt__run_mps_gpu(const hpt__run *run, int64_t k);             // name of controller k's GPU

// ---- run_mps_parts.c
bool hpt__run_part_is_needed(const hpt__run *run, const hpt__grant *grant);
// Starts the trial when its partition has been made. Takes ownership of trial and grant; the trial counts as running.
HPT_NODISCARD int hpt__run_part_want(hpt__run *run, hpt_trial *trial, int64_t attempt, const hpt__grant *grant);
void hpt__run_part_end(hpt__run *run,
                       hpt__running *t); // the trial is over: takes its grant. Without a partition: no-op
void hpt__run_part_drop(hpt__run *run);  // trials that wait stay RUNNING in the study
void hpt__run_part_env(hpt__str *s, const hpt__run *run, const hpt__running *t); // its entry, NUL after it
double hpt__run_part_due(const hpt__run *run);
HPT_NODISCARD int hpt__run_part_time(hpt__run *run, double now);
HPT_NODISCARD int hpt__run_part_event(hpt__run *run, int64_t controller);
void hpt__run_part_close(hpt__run *run); // before hpt__mps_close

// ---- run_mps_again.c
void hpt__run_mps_lost(hpt__run *run, int64_t k);               // it is not alive any more, or still not
void hpt__run_mps_back(hpt__run *run, int64_t k);               // it is used again
void hpt__run_mps_answered(hpt__run *run, int64_t k);           // a look had an answer; it may be used again
void hpt__run_mps_settle(hpt__run *run, int64_t k);             // leaves one that this run will not use again
void hpt__run_mps_unheard_again(hpt__run *run, int64_t k);      // a look had no answer
double hpt__run_mps_again_due(const hpt__run *run, int64_t k);  // of one that is not alive
HPT_NODISCARD int hpt__run_mps_again(hpt__run *run, int64_t k); // at that time

// ---- run_mps_end.c
// Whether SIGKILL has to wait until the trial's work on its GPU has been ended; t->kill_at: for how long at most.
bool hpt__run_mps_end(hpt__run *run, hpt__running *t);
void hpt__run_mps_looking(hpt__run *run, int64_t k);          // controller k is being asked for its clients
bool hpt__run_mps_end_next(hpt__run *run, int64_t k);         // it has answered; true: it is told to end some
void hpt__run_mps_end_unheard(hpt__run *run, int64_t k);      // it has not; those that waited for it go on to do so
bool hpt__run_mps_end_wanted(const hpt__run *run, int64_t k); // a trial is to be killed and waits for its next look
void hpt__run_mps_end_answered(hpt__run *run, int64_t k, bool good);
// Nothing is started there any more; when its trials have ended it is started anew. what, why: for a notice.
void hpt__run_mps_drain(hpt__run *run, int64_t k, const char *what, const char *why);
bool hpt__run_mps_is_drained(const hpt__run *run, int64_t k); // and nothing runs there any more
void hpt__run_mps_readmit(hpt__run *run, int64_t k);
void hpt__run_undrain(hpt__run *run, int64_t gpu); // unless its controller is why nothing is started there

// ---- run_fault.c
void hpt__run_fault_looked(hpt__run *run, int64_t k);    // controller k has answered
bool hpt__run_fault_any(const hpt__run *run, int64_t k); // a trial runs there that was given controller k
double hpt__run_fault_asks(const hpt__run *run,
                           int64_t k);                     // how soon a verdict wants a look at it; INFINITY: none does
void hpt__run_fault_events(hpt__run *run);                 // the driver's; about once a second
void hpt__run_fault_neighbours(hpt__run *run);             // of other runs; about once a second
bool hpt__run_fault_waits(hpt__run *run, hpt__running *t); // an ended trial is not to be told yet
double hpt__run_fault_due(const hpt__run *run);            // when hpt__run_fault_time, or a verdict, is wanted
void hpt__run_fault_time(hpt__run *run, double now);
// *is: it ended by a neighbour's fault, and that has been recorded.
HPT_NODISCARD int hpt__run_collateral(bool *is, hpt__run *run, hpt__running *t, const char *log);

// ---- run_lost.c
HPT_NODISCARD int hpt__run_lost_open(hpt__run *run);
bool hpt__run_is_lost(const hpt__run *run, int64_t gpu);
bool hpt__run_gpu_poll(hpt__run *run, int64_t gpu); // run->load is new; false: not, and the GPU may be lost now
bool hpt__run_lost_any(hpt__run *run, const hpt__running *t); // asks whether a GPU of this trial is
void hpt__run_lost_time(hpt__run *run);                       // about once a second

// ---- run_watchdog.c
void hpt__run_watchdog(hpt__run *run); // about once a second
void hpt__run_explain_memory(char *out, size_t size, const hpt__running *t);

// ---- run_learn.c
void hpt__run_learn_plan(hpt__run *run);                         // after hpt__run_plan and hpt__run_plan_slots
HPT_NODISCARD int hpt__run_learn_open(hpt__run *run);            // reads what the study's trials used
void hpt__run_learn_start(hpt__run *run);                        // tells it, and what follows
void hpt__run_learn(hpt__run *run, const hpt__running *t);       // a trial has finished
void hpt__run_learn_oom(hpt__run *run, const hpt__running *t);   // an attempt had too little
void hpt__run_learned(hpt__demand *demand, const hpt__run *run); // puts what was learned into a demand of its own
void hpt__run_learn_fini(hpt__run *run);

// ---- run_intake.c
HPT_NODISCARD int hpt__run_pump(hpt__run *run); // reads what the running trials wrote
bool hpt__run_heard(hpt__run *run,
                    hpt__running *t); // a trial without metric that must not fall silent has written something
HPT_NODISCARD int hpt__run_drain(hpt__run *run, hpt__running *t); // reads an ended trial's files to their end
HPT_NODISCARD int hpt__run_flush(hpt__run *run);                  // stores reports; then asks the pruner
int hpt__run_request(hpt__str *reply, const hpt__json *request, void *run);

// ---- run_end.c
void hpt__run_stop_trial(hpt__run *run, hpt__running *t, hpt__stop_cause cause);
void hpt__run_kill_trial(hpt__run *run, hpt__running *t);
HPT_NODISCARD int hpt__run_trial_exited(hpt__run *run, hpt__running *t); // reaps it and what it left
HPT_NODISCARD int hpt__run_conclude(hpt__run *run, hpt__running *t);     // tells it and frees the slot
// Tells a trial that has no value, with everything that follows from it; reason becomes its attribute. t: what ran of it,
// NULL: nothing. how: HPT__BAD_RETRY: its point is worth another trial;
// HPT__BAD_EXCUSED: says nothing about the program, so that the guard (run_guard.c) does not count it.
enum { HPT__BAD_RETRY = 1, HPT__BAD_EXCUSED = 2 };
HPT_NODISCARD int hpt__run_ended_bad(hpt__run *run, hpt_trial *trial, const hpt__running *t, hpt_trial_state state,
                                     hpt_outcome outcome, const char *reason, const char *log_path, unsigned how);
// A trial whose interrupted attempt has been recorded (hpt__run_note_interrupted) is started again under its number, and told.
HPT_NODISCARD int hpt__run_start_again(hpt__run *run, const hpt__running *t, hpt_outcome outcome, const char *text,
                                       const char *log);

// ---- run_attempts.c
HPT_NODISCARD int hpt__run_find_lost(hpt__run *run);
// Records that an earlier attempt was lost unless that is known. HPT_S_NOTHING: it was lost too often, and has been told so.
HPT_NODISCARD int hpt__run_next_attempt(hpt__history *out, hpt__run *run, hpt_trial *trial);
// Records how this attempt was interrupted; *n: how many attempts of the trial were so, this one included.
HPT_NODISCARD int hpt__run_note_interrupted(int64_t *n, hpt__run *run, hpt__running *t, const char *outcome);
// The trial is started again, before new ones.
HPT_NODISCARD int hpt__run_requeue(hpt__run *run, int64_t number);

// ---- run_event.c
void hpt__run_emit(hpt__run *run, hpt_run_event event);
void hpt__run_notice(hpt__run *run, const char *fmt, ...) HPT_PRINTF(2, 3);
HPT_NODISCARD int hpt__run_refresh(hpt__run *run); // counts from the storage
int64_t hpt__run_total(const hpt__run *run);       // trials of the study in all states
// A completed value: best so far? Also sets target_reached.
bool hpt__run_note_value(hpt__run *run, int64_t number, double value);
HPT_NODISCARD int hpt__run_read_best(hpt__run *run);
// Why the sweep ended, and with several metrics how many trials none is better than.
HPT_NODISCARD int hpt__run_end_text(char *out, size_t size, hpt__run *run, const char *why);

// ---- run_metrics.c
HPT_NODISCARD int hpt__run_metrics_init(hpt__run *run);                   // also the intake
HPT_NODISCARD int hpt__run_metrics_slots(hpt__run *run);                  // once n_slots is known
hpt__metric_value *hpt__run_values(hpt__run *run, const hpt__running *t); // n_metrics of them
void hpt__run_clear_values(hpt__run *run, const hpt__running *t);
bool hpt__run_any_value(hpt__run *run, const hpt__running *t);
bool hpt__run_all_values(hpt__run *run, const hpt__running *t); // all were reported and none is NaN
void hpt__run_explain_values(char *out, size_t size, hpt__run *run, const hpt__running *t); // why not all

// ---- run_cause.c
void hpt__cause_text(hpt__str *out, const char *reason);
// Counts a failure. *text: its kind, borrowed from the run; *n: how many of it so far.
HPT_NODISCARD int hpt__run_count_cause(const char **text, int64_t *n, hpt__run *run, const char *reason);
void hpt__run_causes_fini(hpt__run *run);

// ---- run_guard.c
void hpt__run_guard_init(hpt__run *run);
void hpt__run_guard_failure(hpt__run *run); // a trial has failed; sets run->flapping

// ---- run_log_limit.c
HPT_NODISCARD int hpt__run_log_limit_init(hpt__run *run);
void hpt__run_trim_read(hpt__run *run, hpt__running *t); // what was read of one trial
void hpt__run_trim_all(hpt__run *run);                   // all files of all trials; about once a second
void hpt__run_cut_logs(hpt__run *run, hpt__running *t);  // the trial is over and its files are read

// ---- run_wandb.c
void hpt__run_wandb_init(hpt__run *run);
bool hpt__run_wandb_sets(const hpt__run *run, const char *name, size_t n); // a variable that we give
void hpt__run_wandb_env(hpt__str *s, const hpt__run *run, const hpt__running *t);
// A trial's parameters (params.json) as WANDB_SWEEP_PARAM_PATH has them.
HPT_NODISCARD int hpt__wandb_yaml(hpt__str *out, const char *config_json, size_t n);

// ---- run_status.c
void hpt__run_status(hpt__str *s, hpt__run *run, int64_t from); // appends a page of the answer to {"op":"status"}

// ---- run_stop.c
// One request line to the run behind a connected socket and its answer, an object that says "ok":true. HPT_E_NOT_FOUND: it says
// no, and why; HPT_E_IO: none came within the socket's time limit.
HPT_NODISCARD int hpt__run_call(hpt__json **reply, hpt__arena *arena, int fd, const char *run_dir, const char *request);

// ---- run_oom.c
hpt__said hpt__run_says_fault(const hpt__running *t);
hpt_outcome hpt__run_failure_kind(const hpt__running *t); // failed, oom-gpu or oom-host

// ---- run_oom_retry.c
int64_t hpt__run_more_memory(const hpt__run *run, int64_t had, int64_t used); // what to give after it was too little
int64_t hpt__run_most_memory(const hpt__run *run); // that a trial can have of a GPU; 0: unknown
// A trial that lacked memory of its GPU: *is: it is started again with more, and that has been recorded. Else reason, a
// text of `size` bytes, says why not; *again: the same share may do another time.
HPT_NODISCARD int hpt__run_retry_oom(bool *is, bool *again, char *reason, size_t size, hpt__run *run, hpt__running *t,
                                     const char *log);

// ---- run_disk.c
void hpt__run_look_at_disk(hpt__run *run); // about once a second

// ---- run_unread.c
void hpt__run_tell_unread(hpt__run *run);

#endif
