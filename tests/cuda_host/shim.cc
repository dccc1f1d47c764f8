// SPDX-License-Identifier: Apache-2.0
// shim.cc: runs the blocks of a launch one after another, the threads of a block as fibers.
//
// Threads that can run lie on a stack. Who stops, at a barrier or with its warp (a shuffle or a vote), goes straight to the
// thread on top, so that this costs one change; a thread that never stops needs no change at all: the fiber takes the next one
// that has not begun. When the last of a warp arrives, values are handed out and the 32 come on top: a warp runs as far ahead
// of the others as it may. When the last of a block is at the barrier, the stack is empty, and all come on it.
// So of two warps one does everything between two barriers before the other, and in reverse order the other way round: what
// depends on who is first differs. Random orders are drawn anew whenever threads come on the stack.
//
// Found here: a thread that ends, or waits at another barrier, while others of its block wait; a warp that is not whole at
// a shuffle or vote; sizes; a write past a shared array. Shared arrays lie in one arena with RED bytes between them, all of
// it bytes 0xFF, which read as a double are NaN: what was never written, and what lies beside an array, shows up in results.
// AddressSanitizer, where it is on, ends the program at the first touch of the bytes between, or past global memory.
// Ownership: fibers are kept for the next launch, until the end of the process.
// Threads: one launch at a time under a lock. Source: the fibers of reference/performance.md 5.
#include "shim.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "shim_fiber.h"

enum : unsigned { WARP = 32, THREADS = 1024, WARPS = THREADS / WARP, NONE = ~0u };
enum : size_t { RED = 256, SHARED = 48 << 10, ARRAYS = 32, ARENA = SHARED + (ARRAYS + 1) * (RED + 16) };

shim_uint3 threadIdx, blockIdx, blockDim, gridDim;
unsigned long long shim_block;

namespace {

enum order { FORWARD, REVERSE, RANDOM };
enum state : unsigned char { RUNS, AT_BARRIER, IN_WARP, ENDED };

struct thread {
    fiber *on; // NULL: has not begun
    state is;
    const char *site; // where it waits
    uint64_t value;   // that it brings to its warp, and then what it takes
    unsigned by;
};

struct array { // of shared memory
    const char *name;
    size_t at, bytes;
};

struct launch {
    const shim_kernel *kernel;
    const void *args;
    char *why;
    size_t why_size, dynamic;
    order by;
    uint64_t drawn; // state of the random numbers
    unsigned n;     // threads of a block
    unsigned stack[THREADS], height;
    unsigned waiting, first_waiting, ended, last_ended;
    unsigned in_warp[WARPS], first_in_warp[WARPS];
    unsigned now; // the thread that runs
    bool failed;
    shim_uint3 index[THREADS];
    thread threads[THREADS];
    array arrays[ARRAYS];
    unsigned n_arrays;
    size_t used, taken; // of the arena, with and without guards
};

pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
launch r;
fiber launcher, fibers[THREADS], *idle;
unsigned n_fibers;
alignas(16) unsigned char arena[ARENA];
shim_slot dynamic_slot;
order chosen;
uint64_t chosen_seed;
bool is_chosen;

// ---- orders

bool parse(order *by, uint64_t *seed, const char *text) {
    char *end;
    const bool number = strncmp(text, "random:", 7) == 0 && text[7] >= '0' && text[7] <= '9';
    const uint64_t value = number ? strtoull(text + 7, &end, 10) : 0;
    if (number ? *end : strcmp(text, "forward") != 0 && strcmp(text, "reverse") != 0) return false;
    *by = number ? RANDOM : strcmp(text, "reverse") == 0 ? REVERSE : FORWARD;
    *seed = value;
    return true;
}

uint64_t draw() { // splitmix64
    uint64_t z = r.drawn += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

unsigned below(uint64_t n) {
    return static_cast<unsigned>(draw() % n);
}

// Threads first .. first + n - 1 go on, before those that could already.
void ready(unsigned first, unsigned n) {
    unsigned *const top = r.stack + r.height;
    for (unsigned i = 0; i < n; i++) {
        top[i] = r.by == REVERSE ? first + i : first + n - 1 - i;
        r.threads[top[i]].is = RUNS;
    }
    for (unsigned i = r.by == RANDOM ? n : 0; i > 1; i--) {
        const unsigned j = below(i), t = top[j];
        top[j] = top[i - 1];
        top[i - 1] = t;
    }
    r.height += n;
}

unsigned pick() { // who runs next; NONE: nobody can
    return r.height > 0 ? r.stack[--r.height] : NONE;
}

// ---- threads

__attribute__((format(printf, 1, 2))) void say(const char *format, ...) {
    if (r.failed) return; // the first reason is the one
    r.failed = true;
    const int n = snprintf(r.why, r.why_size, "kernel %s, block (%u, %u, %u): ", r.kernel->name, blockIdx.x, blockIdx.y,
                           blockIdx.z);
    va_list list;
    va_start(list, format);
    if (n >= 0 && static_cast<size_t>(n) < r.why_size)
        vsnprintf(r.why + n, r.why_size - static_cast<size_t>(n), format, list);
    va_end(list);
}

[[noreturn]] void give_up() { // after say(): this thread is never gone to again
    fiber_switch(r.threads[r.now].on, &launcher);
    __builtin_unreachable();
}

const char *brief(const char *site) { // without folders
    const char *slash = strrchr(site, '/');
    return slash ? slash + 1 : site;
}

bool same(const char *a, const char *b) { // the same place may have several texts
    return a == b || strcmp(a, b) == 0;
}

void set_now(unsigned t, fiber *on) {
    r.now = t;
    r.threads[t].on = on;
    threadIdx = r.index[t];
}

void begin();

fiber *free_fiber() { // NULL: no memory
    fiber *f = idle;
    if (f) {
        idle = f->next;
        return f;
    }
    f = &fibers[n_fibers];
    if (!fiber_map(f, n_fibers)) return nullptr;
    n_fibers++;
    fiber_reset(f, begin);
    return f;
}

void release(fiber *f) {
    f->next = idle;
    idle = f;
}

// The thread that runs stops, until it is on the stack again and taken.
void pass_on() {
    fiber *const self = r.threads[r.now].on;
    const unsigned t = pick();
    if (t == r.now) return;
    fiber *to = &launcher;
    if (t != NONE) {
        to = r.threads[t].on ? r.threads[t].on : free_fiber();
        if (!to) {
            say("no memory for a thread's stack");
            give_up();
        }
        set_now(t, to);
    }
    fiber_switch(self, to);
}

// A fiber's life: it runs threads that have not begun, and is idle when the next one is elsewhere.
void begin() {
    fiber *const self = r.threads[r.now].on;
    fiber_arrive(self);
    for (;;) {
        r.kernel->thread(r.args);
        if (r.waiting > 0) {
            say("thread %u ended while thread %u waits at the barrier of %s", r.now, r.first_waiting,
                brief(r.threads[r.first_waiting].site));
            give_up();
        }
        r.threads[r.now].is = ENDED;
        r.last_ended = r.now;
        r.ended++;
        const unsigned t = pick();
        if (t != NONE && !r.threads[t].on) {
            set_now(t, self);
            continue;
        }
        release(self);
        if (t != NONE) set_now(t, r.threads[t].on);
        fiber_switch(self, t == NONE ? &launcher : r.threads[t].on);
    }
}

// Waits until the whole warp is here; true for the last.
bool meet(const char *site) {
    const unsigned w = r.now / WARP, first = w * WARP;
    if (first + WARP > r.n) {
        say("thread %u: shuffle or vote of %s in a warp of %u threads; make blocks a multiple of %u", r.now,
            brief(site), r.n - first, +WARP);
        give_up();
    }
    if (r.in_warp[w] == 0) r.first_in_warp[w] = r.now;
    const unsigned other = r.first_in_warp[w];
    if (other != r.now && !same(r.threads[other].site, site)) {
        say("thread %u is at the shuffle or vote of %s while thread %u of its warp is at that of %s", r.now,
            brief(site), other, brief(r.threads[other].site));
        give_up();
    }
    r.threads[r.now].is = IN_WARP;
    r.threads[r.now].site = site;
    if (++r.in_warp[w] < WARP) return false;
    r.in_warp[w] = 0;
    ready(first, WARP);
    return true;
}

// ---- shared memory: the guards between arrays

#ifdef SHIM_ASAN
void forbid(void *at, size_t bytes) {
    ASAN_POISON_MEMORY_REGION(at, bytes);
}
void allow(void *at, size_t bytes) {
    ASAN_UNPOISON_MEMORY_REGION(at, bytes);
}
void check_guards() {} // AddressSanitizer has done it
#else
void forbid(void *, size_t) {}
void allow(void *, size_t) {}
void check_guards() {
    static unsigned char guard[RED + 16];
    size_t at = 0;
    memset(guard, 0xFF, sizeof guard);
    for (unsigned i = 0; i <= r.n_arrays && r.n_arrays > 0; i++) {
        const size_t end = i < r.n_arrays ? r.arrays[i].at : at + RED;
        if (memcmp(arena + at, guard, end - at) != 0)
            say("a write past the end of shared array %s, or before %s", i > 0 ? r.arrays[i - 1].name : "(none)",
                i < r.n_arrays ? r.arrays[i].name : "(none)");
        if (i < r.n_arrays) at = r.arrays[i].at + r.arrays[i].bytes;
    }
}
#endif

// ---- blocks

// What stopped a block whose threads have not all ended: a warp that is not whole.
void explain() {
    unsigned here = 0;
    while (here < r.n && r.threads[here].is != IN_WARP) here++;
    if (here == r.n) return;
    unsigned missing = here / WARP * WARP;
    while (r.threads[missing].is == IN_WARP) missing++;
    if (r.threads[missing].is == ENDED)
        say("thread %u ended while thread %u of its warp waits at the shuffle or vote of %s", missing, here,
            brief(r.threads[here].site));
    else
        say("thread %u waits at the barrier of %s while thread %u of its warp waits at the shuffle or vote of %s",
            missing, brief(r.threads[missing].site), here, brief(r.threads[here].site));
}

void run_block() {
    shim_block++;
    forbid(arena, sizeof arena);
    r.n_arrays = 0;
    r.used = r.taken = 0;
    r.height = r.waiting = r.ended = 0;
    for (unsigned &n : r.in_warp) n = 0;
    for (unsigned t = 0; t < r.n; t++) r.threads[t].on = nullptr;
    ready(0, r.n);
    fiber *const first = free_fiber();
    if (!first) {
        say("no memory for a thread's stack");
        return;
    }
    set_now(pick(), first);
    fiber_switch(&launcher, first);
    if (!r.failed && r.ended < r.n) explain();
    check_guards();
    for (unsigned t = 0; t < r.n && r.failed; t++)
        if (r.threads[t].on && r.threads[t].is != ENDED) {
            fiber_reset(r.threads[t].on, begin);
            release(r.threads[t].on);
        }
}

uint64_t divisor(uint64_t a, uint64_t b) {
    return b ? divisor(b, a % b) : a;
}

void run_blocks(const unsigned grid[3]) {
    const uint64_t total = uint64_t{grid[0]} * grid[1] * grid[2];
    uint64_t at = r.by == FORWARD ? 0 : total - 1, step = r.by == FORWARD ? 1 : total - 1;
    if (r.by == RANDOM) { // a step without a common divisor comes by every block
        at = draw() % total;
        do step = draw() % total;
        while (divisor(step, total) != 1);
    }
    for (uint64_t i = 0; i < total && !r.failed; i++, at = (at + step) % total) {
        blockIdx = {static_cast<unsigned>(at % grid[0]), static_cast<unsigned>(at / grid[0] % grid[1]),
                    static_cast<unsigned>(at / grid[0] / grid[1])};
        run_block();
    }
}

// NULL, or what is wrong.
const char *refusal(const shim_kernel *k, const unsigned grid[3], const unsigned block[3], size_t dynamic) {
    const uint64_t threads = uint64_t{block[0]} * block[1] * block[2];
    if (grid[0] == 0 || grid[1] == 0 || grid[2] == 0) return "a grid without blocks";
    if (threads == 0) return "a block without threads";
    if (grid[0] > 0x7fffffff || grid[1] > 65535 || grid[2] > 65535)
        return "a grid beyond CUDA's limits (2^31 - 1, 65535, 65535)";
    if (block[0] > 1024 || block[1] > 1024 || block[2] > 64 || threads > THREADS)
        return "a block beyond CUDA's limits (1024, 1024, 64; 1024 in all)";
    if (threads > k->threads) return "a block of more threads than CUDA__KERNEL states";
    if (dynamic > SHARED) return "more than 48 KiB of shared memory";
    return nullptr;
}

__attribute__((destructor)) void clean_up() {
    for (unsigned i = 0; i < n_fibers; i++) fiber_unmap(&fibers[i]);
}

int launch_locked(const shim_kernel *k, const unsigned grid[3], const unsigned block[3]) {
    const char *wrong = refusal(k, grid, block, r.dynamic), *text = getenv("HPT_SHIM_ORDER");
    r.by = chosen;
    r.drawn = chosen_seed;
    if (wrong) {
        snprintf(r.why, r.why_size, "kernel %s, grid (%u, %u, %u), block (%u, %u, %u): %s", k->name, grid[0], grid[1],
                 grid[2], block[0], block[1], block[2], wrong);
        return -1;
    }
    if (!is_chosen && !parse(&r.by, &r.drawn, text && *text ? text : "forward")) {
        snprintf(r.why, r.why_size, "HPT_SHIM_ORDER is '%s'; it takes forward, reverse or random:SEED", text);
        return -1;
    }
    r.n = block[0] * block[1] * block[2];
    for (unsigned t = 0; t < r.n; t++) r.index[t] = {t % block[0], t / block[0] % block[1], t / block[0] / block[1]};
    allow(arena, sizeof arena);
    memset(arena, 0xFF, sizeof arena);
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    run_blocks(grid);
    return r.failed ? -1 : 0;
}

} // namespace

void shim_barrier(const char *site) {
    if (r.ended > 0) {
        say("thread %u waits at the barrier of %s, but thread %u has ended", r.now, brief(site), r.last_ended);
        give_up();
    }
    if (r.waiting == 0) r.first_waiting = r.now;
    const unsigned other = r.first_waiting;
    if (other != r.now && !same(r.threads[other].site, site)) {
        say("thread %u waits at the barrier of %s while thread %u waits at that of %s", r.now, brief(site), other,
            brief(r.threads[other].site));
        give_up();
    }
    r.threads[r.now].is = AT_BARRIER;
    r.threads[r.now].site = site;
    if (++r.waiting == r.n) {
        r.waiting = 0;
        ready(0, r.n);
    }
    pass_on();
}

uint64_t shim_shuffle_down(uint64_t value, unsigned by, const char *site) {
    thread *const warp = r.threads + r.now / WARP * WARP;
    const unsigned me = r.now % WARP;
    warp[me].value = value;
    warp[me].by = by;
    if (meet(site)) // upwards: whom a lane takes from still has its own
        for (unsigned i = 0; i < WARP; i++)
            if (warp[i].by < WARP - i) warp[i].value = warp[i + warp[i].by].value;
    pass_on();
    return warp[me].value;
}

unsigned shim_ballot(bool vote, const char *site) {
    thread *const warp = r.threads + r.now / WARP * WARP;
    const unsigned me = r.now % WARP;
    warp[me].value = vote;
    if (meet(site)) {
        uint64_t votes = 0;
        for (unsigned i = 0; i < WARP; i++) votes |= warp[i].value << i;
        for (unsigned i = 0; i < WARP; i++) warp[i].value = votes;
    }
    pass_on();
    return static_cast<unsigned>(warp[me].value);
}

void shim_shared_new(shim_slot *slot, size_t bytes, const char *name) {
    const size_t at = r.used + RED;
    if (r.n_arrays == ARRAYS || bytes > SHARED - r.taken) {
        say("shared array %s: more than 48 KiB or %zu arrays of shared memory", name, +ARRAYS);
        give_up();
    }
    r.arrays[r.n_arrays++] = {name, at, bytes};
    r.taken += bytes;
    r.used = (at + bytes + 15) & ~size_t{15};
    allow(arena + at, bytes);
    memset(arena + at, 0xFF, bytes);
    *slot = {shim_block, arena + at};
}

void *shim_dynamic() {
    if (dynamic_slot.block != shim_block) shim_shared_new(&dynamic_slot, r.dynamic, "(dynamic)");
    return dynamic_slot.at;
}

extern "C" int shim_set_order(const char *order) {
    pthread_mutex_lock(&lock);
    const bool ok = !order || parse(&chosen, &chosen_seed, order);
    is_chosen = order && ok;
    pthread_mutex_unlock(&lock);
    return ok ? 0 : -1;
}

extern "C" int shim_launch_dynamic(const shim_kernel *k, const unsigned grid[3], const unsigned block[3],
                                   size_t dynamic, const void *args, char *why, size_t size) {
    pthread_mutex_lock(&lock);
    r.kernel = k;
    r.args = args;
    r.why = why;
    r.why_size = size;
    r.dynamic = dynamic;
    r.failed = false;
    const int rc = launch_locked(k, grid, block);
    pthread_mutex_unlock(&lock);
    return rc;
}

extern "C" int shim_launch(const shim_kernel *k, const unsigned grid[3], const unsigned block[3], const void *args,
                           char *why, size_t size) {
    return shim_launch_dynamic(k, grid, block, 0, args, why, size);
}
