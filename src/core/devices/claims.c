// SPDX-License-Identifier: Apache-2.0
// claims.c: a folder in which each run of a user has a file that says what it holds of which GPU.
//
//   DIR/lock        locked (flock) while a run reads the others' files and changes its own
//   DIR/run-PID-N   one run's, locked for as long as the run lives: the kernel drops that lock with the process, however it ends.
//                   A file that nobody has locked is void, and removed by whoever finds it. So there is nothing to clean up after
//                   a kill, a crash or a power cut, and no process number, start or boot has to be compared
//   hpt-claims 1 / pid 7 / dir PATH / held UNITS / waits SINCE LOOKED GPUS UNITS BYTES PROFILE MEMORY / memory BYTES / gpu KEY UNITS BYTES TRIALS SERVER / end
//
// DIR is /tmp/hpt-claims-UID of mode 0700, or HPT_CLAIMS_DIR. Not XDG_RUNTIME_DIR: it goes with the last session of a user,
// whose runs may go on (nohup), and batch jobs have none. Devices are known by UUID. Those that are declared by number (--gpus 4,
// HPT_FAKE_DEVICES) are a run's own, unless HPT_CLAIMS_DIR is set: then the number is the key.
//
// A look is a pass over a few small files while all others wait, some tens of microseconds. The lock is never waited for
// longer than LOCK_TRIES milliseconds: a run that was stopped (Ctrl-Z) while it had it must not stop the others' loops. Without
// the lock nothing is taken, and what was given back is told later, which errs on the safe side.
//
// A request that waits is part of the file, so that others leave room for it (claims.h says who goes first). It counts for STALE
// seconds after its run looked last: a stopped run keeps what it holds but holds nobody up.
//
// A run that cannot write (full disk) leaves, with one line, and goes on with its own ledger.
//
// Sources: flock(2), open(2); the order is dominant resource fairness (Ghodsi et al., NSDI 2011), with whole trials.
#include "claims.h"

#include "../base/alloc.h"
#include "../base/clock.h"
#include "../base/error.h"
#include "../base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char HEAD[] = "hpt-claims 1\n", TAIL[] = "end\n", RUN[] = "run-";
static const double GIB = 1073741824.0, STALE = 5.0, RENEW = 3600.0, LOCKED_OUT = 10.0;
enum { LOCK_TRIES = 20, KEY = 96, PATH_SIZE = 4200, HOLDERS = 300 };

static void alone(hpt__claims *c, const char *why) {
    (void)snprintf(c->trouble, sizeof c->trouble,
                   "GPUs are not shared with other runs of yours from here on: '%.200s': %.100s", c->dir, why);
    if (c->own >= 0) {
        char path[PATH_SIZE];
        (void)snprintf(path, sizeof path, "%s/%s", c->dir, c->name);
        (void)unlink(path);
        (void)close(c->own);
    }
    if (c->lock >= 0) (void)close(c->lock);
    c->own = c->lock = -1;
    hpt__free(c->dir);
    c->dir = NULL;
    c->n_runs = 0;
    for (int64_t i = 0; i < c->ledger->n_gpus; i++) c->ledger->gpus[i].others = (hpt__others){0};
    c->ledger->memory_others = c->ledger->memory_left = 0;
    c->ledger->given++;
}

// By what other runs know a device; NULL: it is this run's own.
static const char *key_of(const hpt_device_info *d, bool declared) {
    const bool by_number = strcmp(d->source, "--gpus") == 0 || strcmp(d->source, "HPT_FAKE_DEVICES") == 0;
    const char *key = d->uuid[0] ? d->uuid : d->visible_id;
    if (by_number && !declared && strncmp(key, "GPU-", 4) != 0 && strncmp(key, "MIG-", 4) != 0) return NULL;
    return *key && !strpbrk(key, " \t\n") ? key : NULL;
}

// ---- own file

// Dominant share, summed over devices, in millionths of one.
static int64_t held_by_us(const hpt__claims *c) {
    double sum = 0;
    for (int64_t i = 0; i < c->ledger->n_gpus; i++) {
        const hpt__ledger_gpu *g = &c->ledger->gpus[i];
        const double whole = (double)hpt__ledger_whole(g), units = (double)g->used,
                     memory = whole > 0 ? (double)g->memory_used / whole * HPT__GPU_UNITS : 0;
        if (c->shared[i]) sum += memory > units ? memory : units;
    }
    return (int64_t)llround(sum);
}

static void put_own(hpt__claims *c) {
    hpt__str *s = &c->text;
    hpt__str_clear(s);
    hpt__str_addf(s, "%spid %lld\ndir %s\nheld %lld\n", HEAD, (long long)getpid(), c->run_dir,
                  (long long)held_by_us(c));
    if (c->waits)
        hpt__str_addf(s, "waits %.3f %.0f %lld %lld %lld %s %lld\n", c->since, c->looked, (long long)c->demand.n_gpus,
                      (long long)c->demand.gpu, (long long)c->demand.gpu_memory,
                      c->demand.profile[0] ? c->demand.profile : "-", (long long)c->demand.memory);
    if (c->memory) hpt__str_addf(s, "memory %lld\n", (long long)c->ledger->memory_used);
    for (int64_t i = 0; i < c->ledger->n_gpus; i++) {
        const hpt__ledger_gpu *g = &c->ledger->gpus[i];
        if (!c->shared[i]) continue;
        hpt__str_addf(s, "gpu %s %lld %lld %lld %s\n", key_of(&g->info, true), (long long)g->used,
                      (long long)(g->memory_used + g->engine), (long long)g->n_grants, *g->server ? g->server : "-");
    }
    hpt__str_add(s, TAIL);
}

// Makes own file, locked before anybody else can look at it: the folder's lock is held.
static bool make_own(hpt__claims *c) {
    static atomic_int count;
    char path[PATH_SIZE];
    if (c->own >= 0) (void)close(c->own);
    hpt__str_clear(&c->last);
    do { // the name may be taken: by a process of our number that is dead, or in another container
        (void)snprintf(c->name, sizeof c->name, "%s%ld-%d", RUN, (long)getpid(), atomic_fetch_add(&count, 1));
        (void)snprintf(path, sizeof path, "%s/%s", c->dir, c->name);
        c->own = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    } while (c->own < 0 && errno == EEXIST);
    return c->own >= 0 && flock(c->own, LOCK_EX | LOCK_NB) == 0;
}

static void save(hpt__claims *c) {
    struct stat st;
    // A cleaner of old files may have removed it.
    if ((c->own < 0 || fstat(c->own, &st) < 0 || st.st_nlink == 0) && !make_own(c)) {
        alone(c, strerror(errno));
        return;
    }
    put_own(c);
    const hpt__str *s = &c->text;
    c->unsaved = s->failed; // out of memory: hpt__claims_keep tries again
    if (s->failed) return;
    if (s->len == c->last.len && memcmp(s->data, c->last.data, s->len) == 0) return;
    errno = 0;
    if (pwrite(c->own, s->data, s->len, 0) != (ssize_t)s->len || ftruncate(c->own, (off_t)s->len) < 0) {
        alone(c, errno ? strerror(errno) : "no space left");
        return;
    }
    hpt__str_clear(&c->last);
    hpt__str_addn(&c->last, s->data, s->len);
    c->written = hpt__now_mono();
}

// ---- the others' files

// A file of a run that lives, into c->text. False: there is nothing to read; one of a run that is dead is removed.
static bool read_run(hpt__claims *c, const char *name) {
    char path[PATH_SIZE], buffer[4096];
    ssize_t n;
    (void)snprintf(path, sizeof path, "%s/%s", c->dir, name);
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return false;
    const bool dead = flock(fd, LOCK_EX | LOCK_NB) == 0;
    hpt__str_clear(&c->text);
    if (dead)
        (void)unlink(path);
    else
        while ((n = read(fd, buffer, sizeof buffer)) > 0) hpt__str_addn(&c->text, buffer, (size_t)n);
    (void)close(fd);
    return !dead;
}

static int64_t find(const hpt__claims *c, const char *key) {
    for (int64_t i = 0; i < c->ledger->n_gpus; i++)
        if (c->shared[i] && strcmp(key_of(&c->ledger->gpus[i].info, true), key) == 0) return i;
    return -1;
}

static void add_holder(hpt__claims *c, long pid, const char *dir, int64_t held, int64_t memory) {
    hpt__str *s = &c->holders;
    if ((held == 0 && memory == 0) || s->len > HOLDERS) return;
    hpt__str_addf(s, "%s%.200s (process %ld) has ", s->len ? ", " : "", dir, pid);
    if (held > 0) hpt__str_addf(s, "%.3g", (double)held / HPT__GPU_UNITS);
    if (memory > 0) hpt__str_addf(s, "%s%.1f GiB of memory", held > 0 ? " and " : "", (double)memory / GIB);
}

// Room for one more at the end of the list.
static bool add_waiter(hpt__claims *c) {
    const int64_t before = c->cap_waiters;
    const size_t n = (size_t)c->ledger->n_gpus + 1;
    if (hpt__grow(&c->waiters, &c->cap_waiters, c->n_waiters + 1, sizeof *c->waiters) < 0) return false;
    for (int64_t i = before; i < c->cap_waiters; i++) c->waiters[i] = (hpt__claims_waiter){0};
    hpt__claims_waiter *w = &c->waiters[c->n_waiters];
    if (!w->has) w->has = hpt__malloc(n);
    if (w->has) memset(w->has, 0, n);
    return w->has != NULL;
}

static bool is_exclusive(const hpt__ledger_gpu *g) {
    return strcmp(g->info.compute_mode, "exclusive_process") == 0;
}

// A device on which another run uses this controller of MPS; false: in compute mode exclusive_process it is the one or the other's.
static bool add_server(hpt__ledger_gpu *g, const char *server) {
    hpt__others *o = &g->others;
    const bool same = strcmp(server, g->server) == 0, known = strcmp(o->server, g->server) != 0 && *o->server == '/';
    if (*server && !known)
        memcpy(o->server, server, strlen(server) + 1); // another one than ours is what has to be known
    return same || !*g->server || !is_exclusive(g);
}

// What c->text says into the ledger; add_waiter has made room. False: it is no such file.
static bool take_in(hpt__claims *c, double now) {
    char *text = c->text.data, *rest = NULL, dir[256] = "", key[KEY], profile[HPT__PROFILE_MAX] = "";
    char server[HPT__SERVER_MAX];
    const size_t n = c->text.len, tail = sizeof TAIL - 1;
    long pid = 0;
    int64_t held = 0, host = 0, units, memory, n_grants;
    double looked = 0;
    hpt__claims_waiter *w = &c->waiters[c->n_waiters];
    hpt__demand d = {0};
    double since = INFINITY;
    if (n < sizeof HEAD - 1 + tail || memcmp(text, HEAD, sizeof HEAD - 1) != 0 ||
        memcmp(text + n - tail, TAIL, tail) != 0)
        return false;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (sscanf(line, "pid %ld", &pid) == 1) continue;
        if (sscanf(line, "dir %255[^\n]", dir) == 1) continue;
        if (sscanf(line, "held %" SCNd64, &held) == 1) continue;
        if (sscanf(line, "waits %lf %lf %" SCNd64 " %" SCNd64 " %" SCNd64 " %23s %" SCNd64, &since, &looked, &d.n_gpus,
                   &d.gpu, &d.gpu_memory, profile, &d.memory) == 7)
            continue;
        if (sscanf(line, "memory %" SCNd64, &host) == 1) continue;
        if (sscanf(line, "gpu %95s %" SCNd64 " %" SCNd64 " %" SCNd64 " %47s", key, &units, &memory, &n_grants,
                   server) != 5)
            continue;
        const int64_t i = find(c, key);
        if (i < 0 || units < 0 || memory < 0 || n_grants < 0) continue;
        hpt__ledger_gpu *g = &c->ledger->gpus[i];
        g->others.units += units;
        g->others.memory += memory;
        g->others.n_grants += n_grants;
        if (strcmp(server, "-") == 0) server[0] = '\0';
        w->has[i] = add_server(g, server);
    }
    if (!c->memory || host < 0) host = 0;
    c->ledger->memory_others += host;
    add_holder(c, pid, dir, held, host);
    c->n_runs++;
    if (!(now - looked < STALE) || d.n_gpus < 0 || d.n_gpus > HPT__GPUS_PER_TRIAL || d.gpu < 0) return true;
    if (d.n_gpus == 0 && (!c->memory || d.memory <= 0 || d.memory > c->ledger->memory)) return true;
    if (strcmp(profile, "-") != 0) memcpy(d.profile, profile, sizeof d.profile);
    w->demand = d;
    w->since = since;
    w->held = d.n_gpus > 0 ? held : host;
    w->pid = pid;
    c->n_waiters++;
    return true;
}

// ---- who goes first

static bool is_before(int64_t held_a, double since_a, int64_t pid_a, int64_t held_b, double since_b, int64_t pid_b) {
    if (held_a != held_b) return held_a < held_b;
    if (since_a < since_b || since_b < since_a) return since_a < since_b;
    return pid_a < pid_b;
}

// How far a device is from having room for another run's request: 0, it has; -1: it cannot.
static double short_of(const hpt__ledger_gpu *g, const hpt__demand *d) {
    hpt__ledger_gpu whole = *g;
    whole.units = HPT__GPU_UNITS;
    whole.memory = hpt__ledger_whole(g);
    whole.engine = whole.foreign = 0;
    whole.memory_used += g->engine + g->foreign;
    return hpt__ledger_fits(&whole, d, 0, 0, 0) ? hpt__ledger_shortage(&whole, d) : -1;
}

static void leave_room(hpt__claims *c, const hpt__claims_waiter *w) {
    for (int64_t k = 0; k < w->demand.n_gpus; k++) {
        int64_t best = -1;
        double least = 0;
        for (int64_t i = 0; i < c->ledger->n_gpus; i++) {
            hpt__ledger_gpu *g = &c->ledger->gpus[i];
            if (!w->has[i] || g->others.waits) continue;
            const double s = short_of(g, &w->demand);
            if (s < 0 || (best >= 0 && !(s < least))) continue;
            best = i;
            least = s;
        }
        if (best < 0) return;
        c->ledger->gpus[best].others.waits = true;
    }
}

// Memory of the host: as much as the largest request of those that go first.
static void leave_memory(hpt__claims *c, int64_t pid) {
    hpt__ledger *l = c->ledger;
    const double since = c->waits && c->demand.n_gpus == 0 ? c->since : INFINITY;
    l->memory_left = 0;
    for (int64_t i = 0; i < c->n_waiters; i++) {
        const hpt__claims_waiter *w = &c->waiters[i];
        if (w->demand.n_gpus > 0 || w->demand.memory <= l->memory_left) continue;
        if (is_before(w->held, w->since, w->pid, l->memory_used, since, pid)) l->memory_left = w->demand.memory;
    }
}

static void leave_rooms(hpt__claims *c) {
    const int64_t held = held_by_us(c), pid = getpid();
    const double since = c->waits && c->demand.n_gpus > 0 ? c->since : INFINITY;
    leave_memory(c, pid);
    for (int64_t n = 0; n < c->n_waiters; n++) { // in their order; there are few
        int64_t first = -1;
        for (int64_t i = n; i < c->n_waiters; i++) {
            const hpt__claims_waiter *a = &c->waiters[i], *b = first >= 0 ? &c->waiters[first] : NULL;
            if (a->demand.n_gpus > 0 && (!b || is_before(a->held, a->since, a->pid, b->held, b->since, b->pid)))
                first = i;
        }
        if (first < 0) return;
        const hpt__claims_waiter w = c->waiters[first];
        c->waiters[first] = c->waiters[n];
        c->waiters[n] = w;
        if (!is_before(w.held, w.since, w.pid, held, since, pid)) return;
        leave_room(c, &w);
    }
}

// ---- the lock

static bool open_lock(hpt__claims *c) {
    char path[PATH_SIZE];
    if (c->lock >= 0) (void)close(c->lock);
    c->lock = -1;
    (void)snprintf(path, sizeof path, "%s/lock", c->dir);
    if (hpt__private_folder(c->dir)) c->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return c->lock >= 0;
}

// Whether what is locked is what others would lock: a cleaner may have removed the file.
static bool is_current(const hpt__claims *c) {
    char path[PATH_SIZE];
    struct stat a, b;
    (void)snprintf(path, sizeof path, "%s/lock", c->dir);
    return fstat(c->lock, &a) == 0 && lstat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static const char *why_not(void) {
    return errno == EPERM ? "the folder is not this user's alone" : strerror(errno);
}

static bool lock(hpt__claims *c) {
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(c->lock, LOCK_EX | LOCK_NB) == 0) {
            if (is_current(c)) {
                c->locked_out = 0;
                return true;
            }
            if (open_lock(c)) continue;
        }
        if (errno == EWOULDBLOCK || errno == EINTR) {
            (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
            continue;
        }
        alone(c, why_not());
        return false;
    }
    const double now = hpt__now_mono();
    if (c->locked_out <= 0) c->locked_out = now;
    if (!c->told_lock && now - c->locked_out > LOCKED_OUT) {
        c->told_lock = true;
        (void)snprintf(
            c->trouble, sizeof c->trouble,
            "no trial that needs a GPU can be started: '%.200s/lock' is held by a program that does not go on; "
            "fuser names it",
            c->dir);
    }
    return false;
}

static void unlock(const hpt__claims *c) {
    if (c->dir) (void)flock(c->lock, LOCK_UN);
}

// False: out of memory; what the others have is not known.
static bool look(hpt__claims *c) {
    bool good = true;
    const double now = hpt__now_mono();
    const struct dirent *e;
    for (int64_t i = 0; i < c->ledger->n_gpus; i++) c->ledger->gpus[i].others = (hpt__others){0};
    c->ledger->memory_others = 0;
    c->n_runs = c->n_waiters = 0;
    hpt__str_clear(&c->holders);
    DIR *d = opendir(c->dir);
    while (d && (e = readdir(d)) != NULL) {
        if (strncmp(e->d_name, RUN, sizeof RUN - 1) != 0 || strcmp(e->d_name, c->name) == 0) continue;
        if (!read_run(c, e->d_name)) continue;
        good = good && !c->text.failed && add_waiter(c);
        if (!good || take_in(c, now) || c->told_unread) continue;
        c->told_unread = true;
        (void)snprintf(c->trouble, sizeof c->trouble,
                       "'%.200s/%.40s' of another run cannot be read: what that run has of the GPUs is not known here",
                       c->dir, e->d_name);
    }
    if (d) (void)closedir(d);
    leave_rooms(c);
    return good;
}

// ---- for the run

int hpt__claims_open(hpt__claims *c, hpt__ledger *ledger, const char *dir, const char *run_dir, bool declared,
                     bool memory) {
    char path[64];
    const size_t n = (size_t)ledger->n_gpus + 1;
    bool any = memory;
    *c = (hpt__claims){.lock = -1, .own = -1, .ledger = ledger, .run_dir = run_dir, .memory = memory};
    c->shared = hpt__calloc(n, sizeof *c->shared);
    if (!c->shared) return hpt__fail_memory();
    for (int64_t i = 0; i < ledger->n_gpus; i++) {
        c->shared[i] = key_of(&ledger->gpus[i].info, declared) != NULL;
        any = any || c->shared[i];
    }
    if (!any) return 0;
    (void)snprintf(path, sizeof path, "/tmp/hpt-claims-%lu", (unsigned long)geteuid());
    c->dir = hpt__strdup(dir ? dir : path);
    if (!c->dir) return hpt__fail_memory();
    if (!open_lock(c)) alone(c, why_not());
    return 0;
}

void hpt__claims_close(hpt__claims *c) {
    if (c->dir) {
        char path[PATH_SIZE];
        (void)snprintf(path, sizeof path, "%s/%s", c->dir, c->name);
        if (c->own >= 0) { // a child of this program may have the descriptor still
            (void)unlink(path);
            (void)flock(c->own, LOCK_UN);
            (void)close(c->own);
        }
        (void)close(c->lock);
    }
    for (int64_t i = 0; i < c->cap_waiters; i++) hpt__free(c->waiters[i].has);
    hpt__free(c->waiters);
    hpt__free(c->dir);
    hpt__free(c->shared);
    hpt__str_fini(&c->text);
    hpt__str_fini(&c->last);
    hpt__str_fini(&c->holders);
    *c = (hpt__claims){.lock = -1, .own = -1};
}

bool hpt__claims_begin(hpt__claims *c) {
    if (!c->dir) return true;
    if (!lock(c)) return !c->dir;
    if (look(c)) return true;
    unlock(c);
    return false;
}

void hpt__claims_end(hpt__claims *c) {
    if (!c->dir) return;
    c->unsaved = false;
    save(c);
    unlock(c);
}

void hpt__claims_given(hpt__claims *c) {
    if (!c->dir) return;
    c->unsaved = true;
    if (lock(c)) hpt__claims_end(c);
}

void hpt__claims_want(hpt__claims *c, const hpt__demand *d) {
    const double now = hpt__now_mono();
    if (d && (!c->waits || (d->n_gpus > 0) != (c->demand.n_gpus > 0)))
        c->since = round(now * 1000) / 1000; // as the others read it, or two might let each other go first
    c->waits = d != NULL;
    c->looked = now;
    if (d) c->demand = *d;
}

void hpt__claims_keep(hpt__claims *c) {
    if (!c->dir) return;
    if (c->own >= 0 && hpt__now_mono() - c->written > RENEW) { // cleaners of /tmp go by age
        c->written = hpt__now_mono();
        (void)futimens(c->own, NULL);
        (void)futimens(c->lock, NULL);
    }
    if (c->unsaved && lock(c)) hpt__claims_end(c);
}
