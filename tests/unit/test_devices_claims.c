// SPDX-License-Identifier: Apache-2.0
// test_devices_claims.c: several ledgers on one folder of claims: never more than there is, whoever dies; who goes first.
#include "core/base/alloc.h"
#include "core/base/rng.h"
#include "core/devices/claims.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const int64_t GIB = 1073741824;
static char place[64], dir[80];

static void enter(void) {
    alarm(120);
    strcpy(place, "/tmp/hpt-test-claims-XXXXXX");
    cr_assert(mkdtemp(place));
    snprintf(dir, sizeof dir, "%s/claims", place);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static void leave(void) {
    nftw(place, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
TestSuite(devices_claims, .init = enter, .fini = leave);

enum { GPUS = 4 };

typedef struct one_run {
    hpt__ledger ledger;
    hpt__claims claims;
} one_run;

// A run on GPUS devices of 10 GiB, the first of which is number `first`.
static void start_at(one_run *r, const char *name, int first) {
    hpt_device_info d[GPUS + 1] = {{.name = "cpu", .kind = "cpu", .memory_bytes = 64 * GIB, .capacity = 1000}};
    for (int i = 0; i < GPUS; i++) {
        hpt_device_info *g = &d[i + 1];
        strcpy(g->kind, "gpu");
        snprintf(g->name, sizeof g->name, "gpu:%d", i);
        snprintf(g->uuid, sizeof g->uuid, "GPU-%d", first + i);
        g->memory_bytes = 10 * GIB;
        g->capacity = 1;
    }
    cr_assert_eq(hpt__ledger_init(&r->ledger, d, GPUS + 1), 0);
    cr_assert_eq(hpt__claims_open(&r->claims, &r->ledger, dir, name, false, true), 0);
    cr_assert(r->claims.dir, "%s", r->claims.trouble);
}

static void start(one_run *r, const char *name) {
    start_at(r, name, 0);
}

static void stop(one_run *r) {
    hpt__claims_close(&r->claims);
    hpt__ledger_fini(&r->ledger);
}

// What SIGKILL leaves: no descriptors, and the file.
static void die(one_run *r) {
    hpt__free(r->claims.dir);
    r->claims.dir = NULL;
    if (r->claims.own >= 0) close(r->claims.own);
    close(r->claims.lock);
    stop(r);
}

static hpt__demand demand(double gpu, int64_t gpu_memory) {
    hpt__demand d;
    cr_assert_eq(hpt__demand_make(&d, 0.001, 0, gpu, gpu_memory), 0);
    return d;
}

// As a run does: takes a share, or says that it waits for one.
static bool take(one_run *r, hpt__grant *g, const hpt__demand *d) {
    while (!hpt__claims_begin(&r->claims)) continue;
    const bool got = hpt__ledger_take(g, &r->ledger, d);
    hpt__claims_want(&r->claims, got ? NULL : d);
    hpt__claims_end(&r->claims);
    return got;
}

static void give(one_run *r, hpt__grant *g) {
    hpt__ledger_give(&r->ledger, g);
    hpt__claims_given(&r->claims);
}

static void want_nothing(one_run *r) {
    while (!hpt__claims_begin(&r->claims)) continue;
    hpt__claims_want(&r->claims, NULL);
    hpt__claims_end(&r->claims);
}

static int n_files(void) {
    char text[16] = "";
    char command[160];
    snprintf(command, sizeof command, "ls %s | grep -c ^run-", dir);
    FILE *p = popen(command, "r");
    cr_assert(p && fgets(text, sizeof text, p));
    pclose(p);
    return atoi(text);
}

static void check_sums(const one_run *runs, const bool *lives, int n) {
    for (int i = 0; i < GPUS; i++) {
        int64_t units = 0, memory = 0;
        for (int k = 0; k < n; k++) {
            if (!lives[k]) continue;
            units += runs[k].ledger.gpus[i].used;
            memory += runs[k].ledger.gpus[i].memory_used;
        }
        cr_assert_leq(units, HPT__GPU_UNITS);
        cr_assert_leq(memory, 10 * GIB);
    }
}

Test(devices_claims, twenty_thousand_takes_returns_and_deaths_never_exceed_a_device_and_leave_nothing)
{
    enum { RUNS = 5, HELD = 12, STEPS = 20000 };
    static one_run runs[RUNS];
    static hpt__grant grants[RUNS][HELD];
    bool lives[RUNS] = {false};
    int64_t n_taken = 0, n_refused = 0, n_deaths = 0;
    hpt__rng rng;
    hpt__rng_init(&rng, 3, 1);
    for (int step = 0; step < STEPS; step++) {
        const int k = (int)hpt__rng_below(&rng, RUNS);
        hpt__grant *g = &grants[k][hpt__rng_below(&rng, HELD)];
        if (!lives[k]) {
            start_at(&runs[k], "r", 0);
            memset(grants[k], 0, sizeof grants[k]);
            lives[k] = true;
        } else if (hpt__rng_below(&rng, 200) == 0) {
            die(&runs[k]);
            lives[k] = false;
            n_deaths++;
        } else if (g->held) {
            give(&runs[k], g);
        } else {
            static const double shares[] = {0.1, 0.25, 0.5, 1, 2};
            const hpt__demand d = demand(shares[hpt__rng_below(&rng, 5)], (int64_t)hpt__rng_below(&rng, 3) * GIB);
            if (take(&runs[k], g, &d))
                n_taken++;
            else
                n_refused++;
            check_sums(runs, lives, RUNS);
        }
    }
    cr_assert(n_taken > 2000 && n_refused > 1000 && n_deaths > 50, "%d taken, %d refused, %d deaths", (int)n_taken,
              (int)n_refused, (int)n_deaths);
    for (int k = 0; k < RUNS; k++)
        if (lives[k]) die(&runs[k]);
    one_run last;
    start(&last, "last");
    hpt__grant all[GPUS];
    const hpt__demand whole = demand(1, 0);
    for (int i = 0; i < GPUS; i++) cr_assert(take(&last, &all[i], &whole), "what the dead had is free");
    cr_assert_eq(n_files(), 1, "their files are gone");
    stop(&last);
    cr_assert_eq(n_files(), 0);
}

// ---- several processes

enum { CHILDREN = 4 };
typedef struct board { // what each process holds, in memory that they share
    atomic_llong held[CHILDREN][GPUS];
    atomic_bool dead[CHILDREN];
    atomic_llong n_taken, n_over, n_ops;
} board;

static void add_to_board(board *b, int k, const hpt__grant *g, int64_t sign) {
    for (int64_t i = 0; i < g->demand.n_gpus; i++)
        atomic_fetch_add(&b->held[k][g->gpus[i]], (long long)(sign * g->demand.gpu));
}

static _Noreturn void work(board *b, int k, int n_ops) {
    enum { HELD = 8 };
    static hpt__grant grants[HELD];
    one_run r;
    hpt__rng rng;
    alarm(100);
    hpt__rng_init(&rng, (uint64_t)k + 10, 1);
    start(&r, "child");
    for (int n = 0; n < n_ops; n++) {
        hpt__grant *g = &grants[hpt__rng_below(&rng, HELD)];
        atomic_fetch_add(&b->n_ops, 1);
        if (g->held) {
            add_to_board(b, k, g, -1);
            give(&r, g);
            continue;
        }
        const hpt__demand d = demand(0.1 * (double)(1 + hpt__rng_below(&rng, 10)), 0);
        if (!hpt__claims_begin(&r.claims)) continue;
        if (hpt__ledger_take(g, &r.ledger, &d)) {
            add_to_board(b, k, g, 1);
            atomic_fetch_add(&b->n_taken, 1);
            for (int i = 0; i < GPUS; i++) {
                long long sum = 0;
                for (int c = 0; c < CHILDREN; c++)
                    if (!atomic_load(&b->dead[c])) sum += atomic_load(&b->held[c][i]);
                if (sum > HPT__GPU_UNITS) atomic_fetch_add(&b->n_over, 1);
            }
        }
        hpt__claims_end(&r.claims);
    }
    for (int i = 0; i < GPUS; i++) atomic_store(&b->held[k][i], 0);
    stop(&r);
    _exit(0);
}

Test(devices_claims, four_processes_of_which_some_are_killed_never_hold_more_than_there_is)
{
    enum { OPS = 4000, KILLS = 8 };
    board *b = mmap(NULL, sizeof *b, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert(b != MAP_FAILED);
    pid_t pids[CHILDREN];
    for (int k = 0; k < CHILDREN; k++) {
        pids[k] = fork();
        if (pids[k] == 0) work(b, k, OPS);
        cr_assert(pids[k] > 0);
    }
    for (int n = 0; n < KILLS; n++) { // the first two are killed in turn, and started again
        const int k = n % 2;
        nanosleep(&(struct timespec){.tv_nsec = 20000000 + 1234567 * n}, NULL);
        atomic_store(&b->dead[k], true);
        kill(pids[k], SIGKILL);
        cr_assert_eq(waitpid(pids[k], NULL, 0), pids[k]);
        for (int i = 0; i < GPUS; i++) atomic_store(&b->held[k][i], 0);
        atomic_store(&b->dead[k], false);
        pids[k] = fork();
        if (pids[k] == 0) work(b, k, OPS);
        cr_assert(pids[k] > 0);
    }
    for (int k = 0; k < CHILDREN; k++) {
        int status = -1;
        cr_assert_eq(waitpid(pids[k], &status, 0), pids[k]);
        cr_assert_eq(status, 0);
    }
    cr_assert_eq(atomic_load(&b->n_over), 0, "%d looks saw too much", (int)atomic_load(&b->n_over));
    cr_assert_gt(atomic_load(&b->n_ops), 16000);
    cr_assert_gt(atomic_load(&b->n_taken), 1000);
    one_run last;
    start(&last, "last");
    while (!hpt__claims_begin(&last.claims)) continue;
    cr_assert_eq(last.claims.n_runs, 0);
    hpt__claims_end(&last.claims);
    stop(&last);
    munmap(b, sizeof *b);
}

// ---- who goes first

Test(devices_claims, room_is_left_to_the_run_that_holds_less_and_of_equals_to_the_one_that_has_waited_longer)
{
    one_run a, b;
    hpt__grant ga[GPUS], gb[GPUS];
    const hpt__demand whole = demand(1, 0), half = demand(0.5, 0);
    start(&a, "a");
    start(&b, "b");
    for (int i = 0; i < GPUS; i++) cr_assert(take(&a, &ga[i], &whole));
    cr_assert(!take(&b, &gb[0], &whole));
    give(&a, &ga[2]);
    cr_assert(!take(&a, &ga[2], &whole), "a holds 3, b none");
    cr_assert(!take(&a, &ga[2], &half));
    cr_assert(take(&b, &gb[0], &whole));
    // Now a holds 3 and b one. Once both hold one and another run the rest, the one that began to wait first goes first.
    one_run c;
    hpt__grant gc[2];
    start(&c, "c");
    want_nothing(&a);
    give(&a, &ga[0]);
    give(&a, &ga[1]);
    cr_assert(take(&c, &gc[0], &whole) && take(&c, &gc[1], &whole));
    cr_assert(!take(&b, &gb[1], &whole));
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    cr_assert(!take(&a, &ga[0], &whole));
    give(&c, &gc[0]);
    cr_assert(!take(&a, &ga[0], &whole) && take(&b, &gb[1], &whole));
    stop(&c);
    stop(&a);
    stop(&b);
}

Test(devices_claims, a_large_request_is_not_starved_by_another_runs_small_ones)
{
    one_run a, b;
    hpt__grant small[2 * GPUS], large;
    const hpt__demand half = demand(0.5, 0), two = demand(2, 0);
    start(&a, "a");
    start(&b, "b");
    for (int i = 0; i < 2 * GPUS; i++) cr_assert(take(&a, &small[i], &half));
    cr_assert(!take(&b, &large, &two));
    int n = 0;
    for (bool got = false; !got && n < 8; n++) { // a's trials end one after the other, and it wants to go on at once
        give(&a, &small[n]);
        (void)take(&a, &small[n], &half);
        got = take(&b, &large, &two);
    }
    cr_assert(large.held);
    cr_assert_eq(n, 4, "two devices were kept for it as their trials ended: %d", n);
    stop(&a);
    stop(&b);
}

Test(devices_claims, a_run_that_waits_and_does_not_look_any_more_holds_nobody_up)
{
    one_run a, b;
    hpt__grant g[GPUS], other;
    const hpt__demand whole = demand(1, 0);
    start(&a, "a");
    start(&b, "b");
    for (int i = 0; i < GPUS; i++) cr_assert(take(&a, &g[i], &whole));
    cr_assert(!take(&b, &other, &whole));
    b.claims.looked -= 10; // as if it had been stopped ten seconds ago
    hpt__claims_given(&b.claims);
    give(&a, &g[1]);
    cr_assert(take(&a, &g[1], &whole));
    stop(&a);
    stop(&b);
}

Test(devices_claims, runs_on_devices_that_overlap_all_come_to_an_end)
{
    enum { RUNS = 4, TRIALS = 60, HELD = 6 };
    static one_run runs[RUNS];
    static hpt__grant grants[RUNS][HELD];
    int left[RUNS], n_done = 0, steps = 0, firsts[RUNS] = {0, 0, 2, 3};
    int64_t ends[RUNS][HELD] = {{0}};
    hpt__rng rng;
    hpt__rng_init(&rng, 5, 1);
    for (int k = 0; k < RUNS; k++) {
        start_at(&runs[k], "r", firsts[k]); // devices 0 to 3, 0 to 3, 2 to 5, 3 to 6
        left[k] = TRIALS;
    }
    for (; n_done < RUNS * TRIALS && steps < 20000; steps++) {
        const int k = (int)hpt__rng_below(&rng, RUNS);
        const double shares[RUNS] = {0.25, 1, 2, 0.6};
        const hpt__demand d = demand(shares[k], 0);
        for (int i = 0; i < HELD; i++) {
            hpt__grant *g = &grants[k][i];
            if (g->held && ends[k][i] <= steps) {
                give(&runs[k], g);
                n_done++;
            }
            if (g->held || left[k] == 0 || !take(&runs[k], g, &d)) continue;
            left[k]--;
            ends[k][i] = steps + 1 + hpt__rng_below(&rng, 30);
        }
        if (left[k] == 0) want_nothing(&runs[k]);
    }
    cr_assert_eq(n_done, RUNS * TRIALS, "%d of %d trials in %d steps", n_done, RUNS * TRIALS, steps);
    for (int k = 0; k < RUNS; k++) stop(&runs[k]);
}

// ---- what goes wrong

Test(devices_claims, a_run_whose_claims_cannot_be_written_says_so_once_and_goes_on_alone)
{
    one_run a, b;
    hpt__grant g[GPUS], mine;
    struct rlimit usual, none;
    const hpt__demand whole = demand(1, 0);
    start(&a, "a");
    start(&b, "b");
    for (int i = 0; i < GPUS; i++) cr_assert(take(&a, &g[i], &whole));
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &usual), 0);
    none = usual;
    none.rlim_cur = 8;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    cr_assert(!take(&b, &mine, &whole), "it still knew of the other");
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &usual), 0);
    cr_assert(strstr(b.claims.trouble, "GPUs are not shared with other runs of yours from here on"), "%s",
              b.claims.trouble);
    b.claims.trouble[0] = '\0';
    cr_assert(take(&b, &mine, &whole));
    cr_assert_str_eq(b.claims.trouble, "");
    cr_assert_eq(n_files(), 1, "a file that says half the truth is not left");
    stop(&a);
    stop(&b);
}

Test(devices_claims, a_file_that_cannot_be_read_is_named_once)
{
    one_run a;
    hpt__grant g;
    char path[128];
    const hpt__demand half = demand(0.5, 0);
    start(&a, "a");
    snprintf(path, sizeof path, "%s/run-1-0", dir);
    const int fd = open(path, O_RDWR | O_CREAT, 0600);
    cr_assert(fd >= 0 && flock(fd, LOCK_EX) == 0 && write(fd, "hpt-claims 2\n", 13) == 13);
    cr_assert(take(&a, &g, &half));
    cr_assert(strstr(a.claims.trouble, "run-1-0' of another run cannot be read"), "%s", a.claims.trouble);
    a.claims.trouble[0] = '\0';
    give(&a, &g);
    cr_assert_str_eq(a.claims.trouble, "");
    close(fd);
    cr_assert(take(&a, &g, &half));
    cr_assert(access(path, F_OK) < 0, "its run is gone");
    stop(&a);
}

Test(devices_claims, files_that_a_cleaner_removed_are_made_anew)
{
    one_run a, b;
    hpt__grant g[GPUS], other;
    const hpt__demand whole = demand(1, 0);
    start(&a, "a");
    for (int i = 0; i < GPUS - 1; i++) cr_assert(take(&a, &g[i], &whole));
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    cr_assert(take(&a, &g[GPUS - 1], &whole));
    start(&b, "b");
    cr_assert(!take(&b, &other, &whole), "all that a has is known again");
    stop(&a);
    cr_assert(take(&b, &other, &whole));
    stop(&b);
}

Test(devices_claims, without_the_lock_nothing_is_taken_and_a_return_is_told_later)
{
    one_run a, b;
    hpt__grant g[GPUS], other;
    char path[128];
    const hpt__demand whole = demand(1, 0);
    start(&a, "a");
    start(&b, "b");
    for (int i = 0; i < GPUS; i++) cr_assert(take(&a, &g[i], &whole));
    snprintf(path, sizeof path, "%s/lock", dir);
    const int fd = open(path, O_RDWR);
    cr_assert(fd >= 0 && flock(fd, LOCK_EX) == 0); // a run that was stopped while it looked
    cr_assert(!hpt__claims_begin(&b.claims));
    give(&a, &g[0]);
    close(fd);
    cr_assert(!take(&b, &other, &whole));
    hpt__claims_keep(&a.claims);
    cr_assert(take(&b, &other, &whole));
    stop(&a);
    stop(&b);
}

Test(devices_claims, parts_of_a_device_that_a_batch_system_gave_to_two_jobs_do_not_take_from_each_other)
{
    one_run runs[2];
    hpt__grant g;
    const hpt__demand half = demand(0.5, 0);
    for (int k = 0; k < 2; k++) {
        hpt_device_info d = {.name = "gpu:0", .kind = "gpu", .uuid = "GPU-1", .memory_bytes = 5 * GIB, .capacity = 0.5};
        cr_assert_eq(hpt__ledger_init(&runs[k].ledger, &d, 1), 0);
        runs[k].ledger.cpu = 1000;
        cr_assert_eq(hpt__claims_open(&runs[k].claims, &runs[k].ledger, dir, "r", false, false), 0);
    }
    for (int k = 0; k < 2; k++) {
        cr_assert(take(&runs[k], &g, &half));
        cr_assert(!take(&runs[k], &g, &half));
    }
    for (int k = 0; k < 2; k++) stop(&runs[k]);
}

Test(devices_claims, the_memory_of_the_host_is_shared_too)
{
    one_run a, b;
    hpt__grant g, other;
    hpt__demand d;
    cr_assert_eq(hpt__demand_make(&d, 1, 40 * GIB, 0, 0), 0);
    start(&a, "a");
    start(&b, "b");
    cr_assert(take(&a, &g, &d));
    cr_assert(!take(&b, &other, &d), "64 GiB in all");
    give(&a, &g);
    cr_assert(take(&b, &other, &d));
    stop(&a);
    stop(&b);
}

Test(devices_claims, a_large_request_for_memory_of_the_host_is_not_starved_by_small_ones_of_another_run)
{
    enum { SMALL = 8 };
    one_run a, b;
    hpt__grant small[SMALL], large;
    hpt__demand d, most;
    int n_refused = 0;
    cr_assert_eq(hpt__demand_make(&d, 1, 8 * GIB, 0, 0), 0);
    cr_assert_eq(hpt__demand_make(&most, 1, 40 * GIB, 0, 0), 0);
    start(&a, "a");
    start(&b, "b");
    for (int i = 0; i < SMALL; i++) cr_assert(take(&a, &small[i], &d));
    cr_assert(!take(&b, &large, &most));
    int i = 0;
    do { // one ends, and its run wants to start the next
        cr_assert_lt(i, SMALL, "starved");
        give(&a, &small[i++]);
        n_refused += !take(&a, &small[i - 1], &d);
    } while (!take(&b, &large, &most));
    cr_assert(i == 5 && n_refused == 5, "%d, %d", i, n_refused);
    cr_assert(!take(&a, &small[0], &d), "40 and 24 GiB are all that there is");
    give(&b, &large);
    for (int k = 0; k < 5; k++) cr_assert(take(&a, &small[k], &d), "who waits no more has nothing left to it");
    stop(&a);
    stop(&b);
}

Test(devices_claims, one_mps_controller_a_device_and_none_beside_it_in_exclusive_mode)
{
    one_run a, b;
    hpt__grant g;
    const hpt__demand half = demand(0.5, 0);
    start(&a, "a");
    start(&b, "b");
    while (!hpt__claims_begin(&a.claims)) continue;
    for (int i = 0; i < 3; i++) strcpy(a.ledger.gpus[i].server, i == 1 ? "?" : "/tmp/hpt-mps-aaaaaa/0.0");
    hpt__claims_end(&a.claims);
    for (int i = 0; i < GPUS; i++) strcpy(b.ledger.gpus[i].info.compute_mode, "exclusive_process");
    cr_assert(take(&b, &g, &half));
    cr_assert_eq(g.gpus[0], 3, "the others are one process's each, the server's");
    cr_assert_str_eq(b.ledger.gpus[2].others.server, "/tmp/hpt-mps-aaaaaa/0.0");
    cr_assert_str_eq(b.ledger.gpus[1].others.server, "?");
    cr_assert_str_eq(b.ledger.gpus[3].others.server, "");
    strcpy(b.ledger.gpus[0].server, a.ledger.gpus[0].server);
    cr_assert(take(&b, &g, &half) && take(&b, &g, &half), "one has joined the other's");
    cr_assert(g.gpus[0] == 0 || g.gpus[0] == 3);
    cr_assert(take(&b, &g, &half));
    cr_assert(!take(&b, &g, &half), "and no more");
    stop(&a);
    stop(&b);
}
