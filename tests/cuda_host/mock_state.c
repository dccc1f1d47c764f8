// SPDX-License-Identifier: Apache-2.0
// mock_state.c: devices, contexts, device memory, handles, faults and misuse of the mock (mock.h).
//
// A block: guard | bytes as asked for | guard. The guards are words that are NaN as doubles, poisoned where AddressSanitizer
// is there, looked at when the block is freed. Contents begin as 0xFF and end as 0xFF.
// Ownership: everything is in the one `mock`, freed by the call that ends it, by the release of its context, or mock_reset.
// Threads: one recursive lock; the stack of contexts is each thread's own.
#include "mock_impl.h"

#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 256, STACK = 16 };
static const uint64_t guard_word = UINT64_C(0xFFFA5A5A5A5A5A5A);

typedef struct block {
    struct block *next;
    char *raw, *at;
    size_t bytes, raw_bytes;
    int device;
} block;

typedef struct pending { // a copy to the host that nobody has waited for
    struct pending *next;
    uintptr_t stream;
    int device;
    char *to;
    size_t pitch, width, rows;
    char data[];
} pending;

typedef struct device {
    size_t total, free; // free: at the start
    size_t used;
    uintptr_t context, pool; // handles; context 0: nobody retains it
    int retained;
    CUresult broken; // of the context
    bool lost, push_failed;
} device;

#define ONE_MORE(library, symbol) +1
enum { TALLIES = 0 CUDA__FUNCTIONS(ONE_MORE) };

typedef struct tally { // how often a function was called since mock_reset
    const char *call;
    int64_t n;
} tally;

static struct {
    pthread_mutex_t lock;
    bool ready, init_tried, init;
    int n_devices;
    device devices[MOCK_DEVICES];
    block *blocks;
    mock_object *objects;
    pending *pendings;
    uintptr_t last_handle; // never goes back
    int64_t calls, fail_at;
    tally tallies[TALLIES];
    int ratio;
    bool coarse;
    mock_fault fail_kind;
    bool fired;
    int pushed; // by all threads
    size_t used, peak;
    bool missing[CUDA__LIBRARIES];
    char misuse[256];
} mock = {.lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP};

static _Thread_local struct {
    uintptr_t context[STACK];
    int depth;
    bool push_failed; // the last push: calls without a context are no misuse then
} stack;

static void lock(void) {
    (void)pthread_mutex_lock(&mock.lock);
}

static void unlock(void) {
    (void)pthread_mutex_unlock(&mock.lock);
}

static uintptr_t new_handle(void) {
    return mock.last_handle += 16;
}

// ---- misuse

CUresult mock__misuse(const char *call, const char *fmt, ...) {
    lock();
    if (!mock.misuse[0]) {
        const int n = snprintf(mock.misuse, sizeof mock.misuse, "%s: ", call);
        va_list args;
        va_start(args, fmt);
        if (n > 0 && (size_t)n < sizeof mock.misuse)
            (void)vsnprintf(mock.misuse + n, sizeof mock.misuse - (size_t)n, fmt, args);
        va_end(args);
    }
    unlock();
    return CUDA_ERROR_INVALID_VALUE;
}

// ---- life of the mock

static const char *const fault_names[MOCK_FAULTS] = {"none", "memory", "launch", "lost", "uninitialised", "value"};
static const char *const library_names[CUDA__LIBRARIES] = {"driver", "blas", "solver"};

static void read_environment(void) {
    const char *memory = getenv("HPT_MOCK_MEMORY"), *fail = getenv("HPT_MOCK_FAIL"), *list = getenv("HPT_MOCK_MISSING");
    const char *ratio = getenv("HPT_MOCK_RATIO");
    char *end = NULL;
    mock.ratio = 2;
    if (ratio) {
        mock.ratio = (int)strtol(ratio, &end, 10);
        if (mock.ratio < 1 || *end) (void)mock__misuse("HPT_MOCK_RATIO", "'%s' is no ratio", ratio);
    }
    if (memory) {
        const unsigned long long bytes = strtoull(memory, &end, 10);
        if (!bytes || *end) (void)mock__misuse("HPT_MOCK_MEMORY", "'%s' is no number of bytes", memory);
        for (int i = 0; i < MOCK_DEVICES; i++) mock.devices[i].total = mock.devices[i].free = (size_t)bytes;
    }
    if (fail) {
        mock.fail_at = strtoll(fail, &end, 10);
        for (int i = 1; i < MOCK_FAULTS; i++)
            if (*end == ':' && strcmp(end + 1, fault_names[i]) == 0) mock.fail_kind = (mock_fault)i;
        if (mock.fail_at < 1 || mock.fail_kind == MOCK_NONE)
            (void)mock__misuse("HPT_MOCK_FAIL", "'%s' is not k:kind, with memory, launch, lost, uninitialised or value",
                               fail);
    }
    for (const char *p = list; p && *p;) {
        const size_t n = strcspn(p, ",");
        bool known = false;
        for (int i = 0; i < CUDA__LIBRARIES; i++)
            if (n == strlen(library_names[i]) && strncmp(p, library_names[i], n) == 0) known = mock.missing[i] = true;
        if (!known) (void)mock__misuse("HPT_MOCK_MISSING", "'%s' is not driver, blas or solver", p);
        p += n;
        p += *p == ',';
    }
}

static void start(void) {
    if (mock.ready) return;
    mock.ready = true;
    mock.n_devices = 1;
    for (int i = 0; i < MOCK_DEVICES; i++) {
        mock.devices[i] = (device){.total = (size_t)1 << 30, .free = (size_t)1 << 30, .pool = new_handle()};
    }
    read_environment();
}

static bool guards_whole(const block *b) {
    ASAN_UNPOISON_MEMORY_REGION(b->raw, b->raw_bytes);
    bool whole = true;
    for (size_t i = 0; i < b->raw_bytes; i++) {
        if (i == GUARD) i += b->bytes;
        char expect[8];
        memcpy(expect, &guard_word, 8);
        whole = whole && b->raw[i] == expect[i % 8];
    }
    return whole;
}

static void block_remove(const char *call, block **link) {
    block *b = *link;
    if (!guards_whole(b)) (void)mock__misuse(call, "something wrote beside the block of %zu bytes", b->bytes);
    *link = b->next;
    mock.devices[b->device].used -= b->bytes;
    mock.used -= b->bytes;
    memset(b->raw, 0xFF, b->raw_bytes);
    free(b->raw);
    free(b);
}

static void pendings_end(int of_device, uintptr_t stream, bool deliver) { // -1, 0: all
    for (pending **link = &mock.pendings; *link;) {
        pending *p = *link;
        if ((of_device >= 0 && p->device != of_device) || (stream && p->stream != stream)) {
            link = &p->next;
            continue;
        }
        for (size_t i = 0; deliver && i < p->rows; i++) memcpy(p->to + i * p->pitch, p->data + i * p->width, p->width);
        *link = p->next;
        free(p);
    }
}

static int objects_remove(int of_device) {
    int n = 0;
    for (mock_object **link = &mock.objects; *link;) {
        mock_object *o = *link;
        if (of_device >= 0 && o->device != of_device) {
            link = &o->next;
            continue;
        }
        n += o->kind != MOCK__FUNCTION; // ends with its module
        *link = o->next;
        free(o);
    }
    return n;
}

static int blocks_remove(const char *call, int of_device) {
    int n = 0;
    for (block **link = &mock.blocks; *link;) {
        if (of_device >= 0 && (*link)->device != of_device) {
            link = &(*link)->next;
        } else {
            block_remove(call, link);
            n++;
        }
    }
    return n;
}

void mock_reset(void) {
    lock();
    pendings_end(-1, 0, false);
    (void)blocks_remove("mock_reset", -1);
    (void)objects_remove(-1);
    stack.depth = 0;
    stack.push_failed = false;
    mock.ready = mock.init_tried = mock.init = mock.fired = false;
    mock.calls = mock.fail_at = 0;
    mock.fail_kind = MOCK_NONE;
    mock.pushed = 0;
    mock.peak = 0;
    mock.coarse = false;
    memset(mock.missing, 0, sizeof mock.missing);
    memset(mock.tallies, 0, sizeof mock.tallies);
    mock.misuse[0] = 0;
    start();
    unlock();
}

void mock_devices(int n, size_t total, size_t free_bytes) {
    lock();
    start();
    mock.n_devices = n;
    for (int i = 0; i < MOCK_DEVICES; i++) {
        mock.devices[i].total = total;
        mock.devices[i].free = free_bytes;
    }
    unlock();
}

void mock_coarse(bool coarse) {
    lock();
    mock.coarse = coarse;
    unlock();
}

bool mock__is_coarse(void) {
    lock();
    const bool coarse = mock.coarse;
    unlock();
    return coarse;
}

int mock__ratio(void) {
    lock();
    start();
    const int ratio = mock.ratio;
    unlock();
    return ratio;
}

void mock_missing(cuda__library library, bool missing) {
    lock();
    start();
    mock.missing[library] = missing;
    unlock();
}

bool mock__is_missing(cuda__library library) {
    lock();
    start();
    const bool missing = mock.missing[library];
    unlock();
    return missing;
}

void mock_fail_at(int64_t k, mock_fault kind) {
    lock();
    start();
    mock.calls = 0;
    mock.fail_at = k;
    mock.fail_kind = kind;
    mock.fired = false;
    unlock();
}

int64_t mock_calls(void) {
    lock();
    const int64_t n = mock.calls;
    unlock();
    return n;
}

bool mock_fired(void) {
    lock();
    const bool fired = mock.fired;
    unlock();
    return fired;
}

size_t mock_bytes(void) {
    lock();
    const size_t n = mock.used;
    unlock();
    return n;
}

size_t mock_peak(void) {
    lock();
    const size_t n = mock.peak;
    unlock();
    return n;
}

int mock_check(char *why, size_t size) {
    static const char *const names[MOCK__KINDS] = {[MOCK__STREAM] = "stream",
                                                   [MOCK__MODULE] = "module",
                                                   [MOCK__BLAS] = "cuBLAS handle",
                                                   [MOCK__SOLVER] = "cuSOLVER handle",
                                                   [MOCK__PARAMS] = "cuSOLVER parameters"};
    int rc = -1;
    lock();
    const mock_object *o = mock.objects;
    while (o && o->kind == MOCK__FUNCTION) o = o->next;
    int retained = 0;
    for (int i = 0; i < MOCK_DEVICES; i++) retained += mock.devices[i].retained;
    if (mock.misuse[0]) {
        (void)snprintf(why, size, "%s", mock.misuse);
    } else if (mock.blocks) {
        (void)snprintf(why, size, "%zu bytes of device memory are left, a block of %zu the last", mock.used,
                       mock.blocks->bytes);
    } else if (o) {
        (void)snprintf(why, size, "a %s is left", names[o->kind]);
    } else if (mock.pushed) {
        (void)snprintf(why, size, "%d pushed contexts are left", mock.pushed);
    } else if (retained) {
        (void)snprintf(why, size, "the primary context is retained %d times more than released", retained);
    } else {
        rc = 0;
    }
    unlock();
    return rc;
}

// ---- calls

static device *current(void) { // NULL: none, or one that is no more
    if (stack.depth == 0) return NULL;
    for (int i = 0; i < mock.n_devices; i++)
        if (mock.devices[i].context == stack.context[stack.depth - 1]) return &mock.devices[i];
    return NULL;
}

int mock__device(void) {
    const device *d = current();
    return d ? (int)(d - mock.devices) : -1;
}

static CUresult inject(const char *call) {
    static const CUresult codes[MOCK_FAULTS] = {
        [MOCK_MEMORY] = CUDA_ERROR_OUT_OF_MEMORY,    [MOCK_LAUNCH] = CUDA_ERROR_LAUNCH_FAILED,
        [MOCK_LOST] = CUDA_ERROR_DEVICE_UNAVAILABLE, [MOCK_UNINITIALISED] = CUDA_ERROR_NOT_INITIALIZED,
        [MOCK_VALUE] = CUDA_ERROR_INVALID_VALUE,
    };
    device *d = current();
    mock.fired = true;
    if (mock.fail_kind == MOCK_LAUNCH && d) d->broken = CUDA_ERROR_LAUNCH_FAILED;
    for (int i = 0; mock.fail_kind == MOCK_LOST && i < MOCK_DEVICES; i++)
        if (!d || d == &mock.devices[i]) mock.devices[i].lost = true;
    // A copy that nobody will wait for now arrives while its memory is surely there; a failed wait leaves the memory as it was.
    const bool sticky = mock.fail_kind == MOCK_LAUNCH || mock.fail_kind == MOCK_LOST;
    pendings_end(-1, 0, !sticky && strcmp(call, "cuStreamSynchronize") != 0);
    return codes[mock.fail_kind];
}

static void count(const char *call) {
    int i = 0;
    while (i < TALLIES && mock.tallies[i].call && strcmp(mock.tallies[i].call, call) != 0) i++;
    if (i == TALLIES) return;
    mock.tallies[i].call = call;
    mock.tallies[i].n++;
}

int64_t mock_calls_of(const char *call) {
    int64_t n = 0;
    lock();
    for (int i = 0; i < TALLIES && mock.tallies[i].call; i++)
        if (strcmp(mock.tallies[i].call, call) == 0) n = mock.tallies[i].n;
    unlock();
    return n;
}

CUresult mock__enter(const char *call, mock_need need) {
    lock();
    start();
    count(call);
    CUresult rc = CUDA_SUCCESS;
    const device *d = current();
    if (++mock.calls == mock.fail_at) {
        rc = inject(call);
    } else if (need >= MOCK__INIT && !mock.init) {
        if (!mock.init_tried) (void)mock__misuse(call, "before cuInit");
        rc = CUDA_ERROR_NOT_INITIALIZED;
    } else if (need >= MOCK__CURRENT && stack.depth == 0) {
        if (!stack.push_failed) (void)mock__misuse(call, "no context is current");
        rc = CUDA_ERROR_INVALID_CONTEXT;
    } else if (need >= MOCK__CURRENT && !d) {
        (void)mock__misuse(call, "the current context has been released");
        rc = CUDA_ERROR_CONTEXT_IS_DESTROYED;
    } else if (need >= MOCK__CURRENT && d->lost) {
        rc = CUDA_ERROR_DEVICE_UNAVAILABLE;
    } else if (need >= MOCK__CURRENT) {
        rc = d->broken;
    }
    unlock();
    return rc;
}

CUresult mock__break(void) {
    lock();
    device *d = current();
    if (d) d->broken = CUDA_ERROR_LAUNCH_FAILED;
    pendings_end(-1, 0, false);
    unlock();
    return CUDA_ERROR_LAUNCH_FAILED;
}

void mock__init(bool worked) {
    lock();
    mock.init_tried = true;
    mock.init = mock.init || worked;
    unlock();
}

int mock__device_count(void) {
    lock();
    const int n = mock.n_devices;
    unlock();
    return n;
}

// ---- contexts

CUresult mock__retain(int index, CUcontext *context) {
    CUresult rc = CUDA_SUCCESS;
    lock();
    device *d = &mock.devices[index];
    if (d->lost) {
        rc = CUDA_ERROR_DEVICE_UNAVAILABLE;
    } else {
        if (d->retained++ == 0) {
            d->context = new_handle();
            d->broken = CUDA_SUCCESS;
            d->push_failed = false;
        }
        *context = (CUcontext)d->context;
    }
    unlock();
    return rc;
}

// Ends the context with its last user, and all that is in it: left behind by a mistake, unless nothing in it worked any more.
CUresult mock__release(int index) {
    CUresult rc = CUDA_SUCCESS;
    lock();
    device *d = &mock.devices[index];
    if (d->retained == 0) {
        (void)mock__misuse("cuDevicePrimaryCtxRelease", "device %d: released more often than retained", index);
        rc = CUDA_ERROR_INVALID_CONTEXT;
    } else if (--d->retained == 0) {
        const bool blameless = d->push_failed || d->broken || d->lost;
        pendings_end(index, 0, false);
        const int blocks = blocks_remove("cuDevicePrimaryCtxRelease", index), objects = objects_remove(index);
        if ((blocks || objects) && !blameless)
            (void)mock__misuse("cuDevicePrimaryCtxRelease", "%d blocks and %d handles are left in the context", blocks,
                               objects);
        d->context = 0;
        d->broken = CUDA_SUCCESS;
    }
    unlock();
    return rc;
}

CUresult mock__push(CUcontext context) {
    CUresult rc = CUDA_ERROR_INVALID_CONTEXT;
    lock();
    for (int i = 0; i < mock.n_devices; i++)
        if (context && mock.devices[i].context == (uintptr_t)context) rc = CUDA_SUCCESS;
    if (rc != CUDA_SUCCESS) {
        (void)mock__misuse("cuCtxPushCurrent", "not a live context");
    } else if (stack.depth == STACK) {
        rc = mock__misuse("cuCtxPushCurrent", "%d contexts are pushed already", STACK);
    } else {
        stack.context[stack.depth++] = (uintptr_t)context;
        stack.push_failed = false;
        mock.pushed++;
    }
    unlock();
    return rc;
}

void mock__push_failed(CUcontext context) {
    lock();
    stack.push_failed = true;
    for (int i = 0; i < mock.n_devices; i++)
        if (mock.devices[i].context == (uintptr_t)context) mock.devices[i].push_failed = true;
    unlock();
}

CUresult mock__pop(CUcontext *context) {
    CUresult rc = CUDA_SUCCESS;
    lock();
    if (stack.depth == 0) { // in a program that uses CUDA itself this would be a context of its own
        (void)mock__misuse("cuCtxPopCurrent", "nothing is pushed");
        rc = CUDA_ERROR_INVALID_CONTEXT;
    } else {
        if (context) *context = (CUcontext)stack.context[stack.depth - 1];
        stack.depth--;
        mock.pushed--;
    }
    unlock();
    return rc;
}

uintptr_t mock__pool(int index) {
    lock();
    const uintptr_t pool = mock.devices[index].pool;
    unlock();
    return pool;
}

void mock__memory(int index, size_t *free_bytes, size_t *total) {
    lock();
    const device *d = &mock.devices[index];
    *free_bytes = d->free > d->used ? d->free - d->used : 0;
    *total = d->total;
    unlock();
}

// ---- memory

CUresult mock__alloc(CUdeviceptr *at, size_t bytes) {
    CUresult rc = CUDA_ERROR_OUT_OF_MEMORY;
    lock();
    device *d = current();
    block *b = NULL;
    char *raw = NULL;
    if (bytes > d->free || d->used > d->free - bytes) goto out;
    const size_t raw_bytes = GUARD + (bytes + GUARD - 1) / GUARD * GUARD + GUARD;
    b = malloc(sizeof *b);
    raw = aligned_alloc(GUARD, raw_bytes);
    if (!b || !raw) goto out;
    for (size_t i = 0; i < raw_bytes; i += 8) memcpy(raw + i, &guard_word, 8);
    memset(raw + GUARD, 0xFF, bytes);
    ASAN_POISON_MEMORY_REGION(raw, GUARD);
    ASAN_POISON_MEMORY_REGION(raw + GUARD + bytes, raw_bytes - GUARD - bytes);
    *b = (block){mock.blocks, raw, raw + GUARD, bytes, raw_bytes, (int)(d - mock.devices)};
    mock.blocks = b;
    d->used += bytes;
    mock.used += bytes;
    if (mock.used > mock.peak) mock.peak = mock.used;
    *at = (uintptr_t)b->at;
    b = NULL;
    raw = NULL;
    rc = CUDA_SUCCESS;
out:
    if (rc != CUDA_SUCCESS) pendings_end(-1, 0, true); // an error: as in inject
    free(raw);
    free(b);
    unlock();
    return rc;
}

CUresult mock__free(CUdeviceptr at) {
    CUresult rc = CUDA_SUCCESS;
    lock();
    block **link = &mock.blocks;
    while (*link && (uintptr_t)(*link)->at != at) link = &(*link)->next;
    if (!*link) {
        rc = mock__misuse("cuMemFree", "%#llx is no live allocation: freed before, or never one", at);
    } else if ((*link)->device != mock__device()) {
        rc = mock__misuse("cuMemFree", "the block is another device's");
    } else {
        block_remove("cuMemFree", link);
    }
    unlock();
    return rc;
}

bool mock__on_device(const char *call, const char *what, const void *at, size_t bytes) {
    bool found = bytes == 0;
    lock();
    for (const block *b = mock.blocks; b && !found; b = b->next) {
        const uintptr_t from = (uintptr_t)b->at, p = (uintptr_t)at;
        if (p >= from && p - from < b->bytes) {
            found = b->device == mock__device() && bytes <= b->bytes - (p - from);
            if (!found)
                (void)mock__misuse(call, "%s: %zu bytes at %zu of a block of %zu%s", what, bytes, (size_t)(p - from),
                                   b->bytes, b->device == mock__device() ? "" : " of another device");
            break;
        }
    }
    if (!found) (void)mock__misuse(call, "%s: %p is no live device memory", what, at);
    unlock();
    return found;
}

bool mock__on_host(const char *call, const char *what, const void *at, size_t bytes) {
    bool host = at != NULL;
    lock();
    for (const block *b = mock.blocks; b && host; b = b->next)
        host = (uintptr_t)at >= (uintptr_t)b->at + b->bytes || (uintptr_t)at + bytes <= (uintptr_t)b->at;
    if (!host) (void)mock__misuse(call, "%s: %p is %s", what, at, at ? "device memory, not the host's" : "no memory");
    unlock();
    return host;
}

// ---- handles

mock_object *mock__create(mock_kind kind) {
    mock_object *o = calloc(1, sizeof *o);
    if (!o) return NULL;
    lock();
    o->handle = new_handle();
    o->kind = kind;
    o->device = mock__device();
    o->next = mock.objects;
    mock.objects = o;
    unlock();
    return o;
}

static mock_object **find(const char *call, mock_kind kind, const void *handle) {
    mock_object **link = &mock.objects;
    while (*link && (*link)->handle != (uintptr_t)handle) link = &(*link)->next;
    if (!*link) {
        (void)mock__misuse(call, "handle %p is dead, or never was one", handle);
    } else if ((*link)->kind != kind) {
        (void)mock__misuse(call, "handle %p is of another kind", handle);
    } else if ((*link)->device != mock__device() && mock__device() >= 0) {
        (void)mock__misuse(call, "handle %p belongs to another context", handle);
    } else {
        return link;
    }
    return NULL;
}

mock_object *mock__find(const char *call, mock_kind kind, const void *handle) {
    lock();
    mock_object **link = find(call, kind, handle);
    mock_object *o = link ? *link : NULL;
    unlock();
    return o;
}

mock_object *mock__find_ready(const char *call, mock_kind kind, const void *handle) {
    mock_object *o = mock__find(call, kind, handle);
    if (o && !o->stream) (void)mock__misuse(call, "no stream is set: the default stream is not in order with others");
    if (o && o->stream && !mock__find(call, MOCK__STREAM, (const void *)o->stream)) return NULL;
    return o;
}

bool mock__destroy(const char *call, mock_kind kind, const void *handle) {
    lock();
    mock_object **link = find(call, kind, handle);
    if (link) {
        mock_object *o = *link;
        *link = o->next;
        for (mock_object **f = &mock.objects; *f;) { // a module's functions
            mock_object *function = *f;
            if (function->kind == MOCK__FUNCTION && function->parent == o->handle) {
                *f = function->next;
                free(function);
            } else {
                f = &function->next;
            }
        }
        free(o);
    }
    unlock();
    return link != NULL;
}

bool mock__stream_live(const char *call, CUstream stream) {
    if (stream) return mock__find(call, MOCK__STREAM, stream) != NULL;
    (void)mock__misuse(call, "on the default stream, which is not in order with others");
    return true;
}

// ---- copies to the host

CUresult mock__copy_later(CUstream stream, char *to, size_t to_pitch, const char *from, size_t from_pitch, size_t width,
                          size_t rows) {
    pending *p = malloc(sizeof *p + width * rows);
    if (!p) return CUDA_ERROR_OUT_OF_MEMORY;
    lock();
    *p = (pending){NULL, (uintptr_t)stream, mock__device(), to, to_pitch, width, rows};
    for (size_t i = 0; i < rows; i++) {
        memcpy(p->data + i * width, from + i * from_pitch, width);
        memset(to + i * to_pitch, 0xFF, width);
    }
    pending **link = &mock.pendings; // later copies arrive later
    while (*link) link = &(*link)->next;
    *link = p;
    unlock();
    return CUDA_SUCCESS;
}

bool mock__deliver(CUstream stream, bool deliver) {
    lock();
    bool any = false;
    for (const pending *p = mock.pendings; p && !any; p = p->next) any = p->stream == (uintptr_t)stream;
    if (stream) {
        pendings_end(-1, (uintptr_t)stream, deliver);
    } else {
        pendings_end(mock__device(), 0, deliver);
    }
    unlock();
    return any;
}
