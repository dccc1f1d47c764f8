// SPDX-License-Identifier: Apache-2.0
// mps.c: see mps.h.
//
// One controller per GPU: a fatal fault ends all clients of a server, and a client on two GPUs would make them one fault
// domain. GPUs are named by UUID, because a controller numbers those that it sees anew. Where they live, who uses them, and how
// they end when nobody does any more: mps_root.c.
//
// Static SM partitions belong to a controller from its start to its end. So it is tried there whether this program, driver and GPU have
// them (lspart answers with a table), and whether the run's shares lose little by rounding to chunks; a controller for which that is not so
// is ended before anybody knows of it, and one without is started.
//
// Threads: the caller's. Cost: starting and ending takes tens of milliseconds with a driver that is loaded.
// Source: NVIDIA's MPS documentation (control program's commands).
#include "mps.h"

#include "../base/alloc.h"
#include "../base/clock.h"
#include "../base/error.h"
#include "../base/num.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const double LIMIT = 5.0;    // seconds that a command may take
static const double PATIENCE = 3.0; // seconds over which looks must fail
static const char PLAIN[] = "-d", PARTED[] = "-d -S", LIST[] = "lspart\n";

int hpt__mps_open(hpt__mps_set *set, const char *registry) {
    set->limit = LIMIT;
    set->patience = PATIENCE;
    set->root_fd = -1;
    set->registry = registry ? hpt__strdup(registry) : NULL;
    if (registry && !set->registry) return hpt__fail_memory();
    return hpt__mps_program(&set->program);
}

static hpt__mps_where where_of(const hpt__mps_set *set, const hpt__mps *m) {
    return (hpt__mps_where){.program = set->program, .pipe = m->pipe, .log = m->log, .uuid = m->uuid};
}

static void give_up(hpt__mps *m, const char *why) {
    m->step = HPT__MPS_NOTHING;
    hpt__mps_give_up(m, why);
}

void hpt__mps_give_up(hpt__mps *m, const char *why) {
    m->alive = false;
    (void)snprintf(m->why, sizeof m->why, "the MPS controller of %s: %.150s", m->uuid, why);
}

static void find_daemon(hpt__mps *m) {
    hpt__proc_stat stat;
    m->daemon = hpt__mps_daemon(m->pipe);
    if (m->daemon > 0 && hpt__proc_stat_read(&stat, m->daemon))
        m->daemon_start = stat.start;
    else
        m->daemon = 0;
}

// Whether it was started with -S, by whomever.
static bool is_parted(pid_t daemon) {
    hpt__str words = HPT__STR_INIT;
    char path[40];
    bool any = false;
    (void)snprintf(path, sizeof path, "/proc/%d/cmdline", (int)daemon);
    hpt__proc_read(&words, path);
    for (size_t i = 0; i < words.len; i += strlen(words.data + i) + 1) any = any || strcmp(words.data + i, "-S") == 0;
    hpt__str_fini(&words);
    return any;
}

bool hpt__mps_is_gone(const hpt__mps *m) {
    hpt__proc_stat stat;
    if (m->none || m->daemon == 0) return m->none;
    if (!hpt__proc_stat_read(&stat, m->daemon)) return true;
    return stat.start != m->daemon_start || stat.state == 'Z' || stat.state == 'X';
}

// A look had no good answer.
static void note_failure(const hpt__mps_set *set, hpt__mps *m, const char *why) {
    const double now = hpt__now_mono();
    m->step = HPT__MPS_NOTHING;
    if (m->n_failed++ == 0) m->failed_from = now;
    const bool often = m->n_failed >= HPT__MPS_FAILURES && now - m->failed_from >= set->patience;
    if (m->alive && (often || hpt__mps_is_gone(m))) give_up(m, why);
}

static hpt__mps_state command(const hpt__mps_set *set, hpt__mps *m, const char *commands, double seconds) {
    const hpt__mps_where w = where_of(set, m);
    if (hpt__mps_call_begin(&m->call, &w, commands, seconds) < 0) {
        hpt__str_clear(&m->call.text);
        hpt__str_add(&m->call.text, hpt_last_error());
        return HPT__MPS_FAILED;
    }
    return hpt__mps_call_wait(&m->call);
}

// ---- start

static void name_folders(const hpt__mps_set *set, hpt__mps *m) {
    const int k = (int)(m - set->items);
    (void)snprintf(m->pipe, sizeof m->pipe, "%s/%d.%d", set->root, k, m->generation);
    (void)snprintf(m->log, sizeof m->log, "%s.log", m->pipe);
}

static bool make_folders(hpt__mps *m) {
    m->none = true;
    if (mkdir(m->pipe, 0700) < 0 || mkdir(m->log, 0700) < 0) return false;
    m->users = hpt__mps_lock(m->pipe, false);
    return m->users >= 0;
}

static int add(hpt__mps_set *set, const char *uuid) {
    int rc = hpt__grow(&set->items, &set->cap, set->n + 1, sizeof *set->items);
    if (rc < 0) return rc;
    hpt__mps *m = &set->items[set->n++];
    *m = (hpt__mps){.users = -1, .none = true, .record.fd = -1};
    (void)snprintf(m->uuid, sizeof m->uuid, "%s", uuid);
    return 0;
}

static int need_root(hpt__mps_set *set, const char *run_dir) {
    return set->root[0] ? 0 : hpt__mps_root_make(set->root, &set->root_fd, run_dir, set->registry);
}

static void start_plain(const hpt__mps_set *set, hpt__mps *m) {
    m->none = false;
    // That the daemon was started proves nothing; that it answers does.
    if (command(set, m, PLAIN, set->limit) == HPT__MPS_FAILED ||
        command(set, m, "get_server_list\n", set->limit) == HPT__MPS_FAILED)
        give_up(m, hpt__str_text(&m->call.text));
    else if (m->call.text.len > 0) // no client has come yet: there can be no server
        give_up(m, "its answer is not understood");
}

static bool can_part(hpt__mps_set *set, hpt__mps *m) {
    if (set->parting == HPT__PARTING_OFF) return false;
    if (set->version == 0) {
        const bool answered = command(set, m, "-v", set->limit) == HPT__MPS_ANSWERED;
        set->version = answered ? hpt__mps_version_read(hpt__str_text(&m->call.text)) : 0;
        if (set->version == 0) set->version = -1;
    }
    return set->version >= HPT__MPS_PARTED_SINCE;
}

// Whether partitions of the GPU are what the run's shares can be held by.
static bool parts_fit(const hpt__mps_set *set, hpt__mps *m) {
    hpt__mps_table table;
    char *why = m->no_parts;
    if (command(set, m, PARTED, set->limit) == HPT__MPS_FAILED ||
        command(set, m, LIST, set->limit) == HPT__MPS_FAILED) {
        (void)snprintf(why, sizeof m->no_parts, "%.140s", hpt__str_text(&m->call.text));
        return false;
    }
    if (!hpt__mps_table_read(&table, hpt__str_text(&m->call.text))) {
        (void)snprintf(why, sizeof m->no_parts, "the answer to lspart is not understood");
        return false;
    }
    m->chunks = table.free + table.used;
    return set->parting == HPT__PARTING_ON || (hpt__mps_share_is_kept(why, sizeof m->no_parts, &table, set->least) &&
                                               hpt__mps_share_is_kept(why, sizeof m->no_parts, &table, set->most));
}

static bool start_parted(hpt__mps_set *set, hpt__mps *m) {
    if (!can_part(set, m)) return false;
    m->none = false;
    m->parts = parts_fit(set, m);
    if (m->parts) return true;
    const bool answers = m->call.state == HPT__MPS_ANSWERED;
    if (answers) (void)command(set, m, "quit\n", set->limit);
    hpt__mps_end_folder(m->pipe, answers ? set->limit : 0);
    hpt__mps_leave(m);
    m->generation++;
    name_folders(set, m);
    if (make_folders(m)) return false;
    give_up(m, strerror(errno));
    return true;
}

int hpt__mps_start(int64_t *index, hpt__mps_set *set, const char *run_dir, const char *uuid) {
    int rc = need_root(set, run_dir);
    if (rc == 0) rc = add(set, uuid);
    if (rc < 0) return rc;
    hpt__mps *m = &set->items[set->n - 1];
    name_folders(set, m);
    *index = set->n - 1;
    m->alive = true;
    if (!make_folders(m)) {
        give_up(m, strerror(errno));
        return 0;
    }
    if (!start_parted(set, m)) start_plain(set, m);
    find_daemon(m);
    return 0;
}

// ---- several runs

bool hpt__mps_use(hpt__mps *m) {
    if (m->users < 0) m->users = hpt__mps_lock(m->pipe, false);
    return m->users >= 0;
}

void hpt__mps_leave(hpt__mps *m) {
    hpt__mps_unlock(&m->users);
}

bool hpt__mps_alone(hpt__mps *m) {
    hpt__mps_leave(m);
    m->users = hpt__mps_lock(m->pipe, true);
    return m->users >= 0 || errno == ENOENT;
}

int hpt__mps_join_anew(hpt__mps *m, const char *pipe) {
    hpt__mps other = {.users = -1};
    if (!hpt__mps_is_pipe(pipe)) return hpt__fail(HPT_E_NOT_FOUND, "'%.60s' is no folder of a run's", pipe);
    (void)snprintf(other.pipe, sizeof other.pipe, "%s", pipe);
    if (!hpt__mps_use(&other)) // not there: it has just been ended
        return errno == EWOULDBLOCK || errno == ENOENT
                   ? hpt__fail(HPT_E_BUSY, "'%s' is being ended", pipe)
                   : hpt__fail(HPT_E_NOT_FOUND, "'%s' cannot be used: %s", pipe, strerror(errno));
    find_daemon(&other);
    if (other.daemon == 0) {
        hpt__mps_leave(&other);
        return hpt__fail(HPT_E_NOT_FOUND, "the daemon of '%s' does not run", pipe);
    }
    hpt__mps_leave(m);
    hpt__mps_record_close(&m->record, false); // of the former one
    memcpy(m->pipe, other.pipe, sizeof m->pipe);
    (void)snprintf(m->log, sizeof m->log, "%s.log", m->pipe);
    m->parts = is_parted(other.daemon);
    m->chunks = 0;
    m->users = other.users;
    m->daemon = other.daemon;
    m->daemon_start = other.daemon_start;
    m->none = false;
    m->alive = true;
    m->n_failed = 0;
    return 0;
}

int hpt__mps_join(int64_t *index, hpt__mps_set *set, const char *uuid, const char *pipe) {
    int rc = add(set, uuid);
    if (rc < 0) return rc;
    rc = hpt__mps_join_anew(&set->items[set->n - 1], pipe);
    if (rc < 0)
        set->n--;
    else
        *index = set->n - 1;
    return rc;
}

// ---- questions

int hpt__mps_part_begin(const hpt__mps_set *set, hpt__mps *m, const char *commands) {
    const hpt__mps_where w = where_of(set, m);
    m->parting.any_status = true; // a command that was refused is an answer
    return hpt__mps_call_begin(&m->parting, &w, commands, set->limit);
}

int hpt__mps_look_begin(const hpt__mps_set *set, hpt__mps *m) {
    const hpt__mps_where w = where_of(set, m);
    int rc = hpt__mps_call_begin(&m->call, &w, "get_server_list\n", set->limit);
    if (rc < 0)
        note_failure(set, m, hpt_last_error());
    else
        m->step = HPT__MPS_ASKED_SERVERS;
    return rc;
}

static bool read_pid(pid_t *out, const char *line, size_t n) {
    int64_t v;
    while (n > 0 && (line[n - 1] == '\r' || line[n - 1] == ' ')) n--;
    if (!hpt__parse_int(&v, line, n) || v <= 0 || v > INT32_MAX) return false;
    *out = (pid_t)v;
    return true;
}

// A server each line.
static bool read_servers(hpt__mps *m, const char *text) {
    m->n_servers = 0;
    for (size_t n; *text; text += n + (text[n] == '\n')) {
        n = strcspn(text, "\n");
        if (n == 0) continue;
        if (m->n_servers == HPT__MPS_SERVERS || !read_pid(&m->servers[m->n_servers], text, n)) return false;
        m->n_servers++;
    }
    return true;
}

static int ask_clients(const hpt__mps_set *set, hpt__mps *m) {
    char text[HPT__MPS_SERVERS * 80] = "";
    const hpt__mps_where w = where_of(set, m);
    size_t at = 0;
    for (int64_t i = 0; i < m->n_servers; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "get_server_status %d\nget_client_list %d\n",
                               (int)m->servers[i], (int)m->servers[i]);
    return hpt__mps_call_begin(&m->call, &w, text, set->limit);
}

// For each server, in the order of `servers`, its status and its clients, a line each. False: not understood.
static bool read_clients(hpt__mps *m, const char *text) {
    static const char *const states[] = {"INITIALIZING", "ACTIVE", "FAULT"};
    enum { INITIALIZING = 0, FAULT = 2, STATES = 3 };
    int64_t at = -1;
    m->n_clients = 0;
    m->fault = m->starting = false;
    for (size_t n; *text; text += n + (text[n] == '\n')) {
        hpt__mps_client c = {0};
        int k = 0;
        n = strcspn(text, "\n");
        if (n == 0) continue;
        while (k < STATES && strncmp(text, states[k], strlen(states[k])) != 0) k++;
        m->fault = m->fault || k == FAULT;
        m->starting = m->starting || k == INITIALIZING;
        if (k < STATES) {
            at++;
            continue;
        }
        if (at < 0 || at >= m->n_servers || !read_pid(&c.pid, text, n)) return false;
        c.server = m->servers[at];
        if (hpt__grow(&m->clients, &m->cap_clients, m->n_clients + 1, sizeof *m->clients) < 0) return false;
        m->clients[m->n_clients++] = c;
    }
    return at == m->n_servers - 1;
}

int64_t hpt__mps_select(hpt__mps *m, const hpt__family *family) {
    m->n_selected = 0;
    for (int64_t i = 0; i < m->n_clients; i++) {
        const hpt__mps_client c = m->clients[i];
        if (!hpt__proc_is_of(c.pid, family)) continue;
        m->clients[i] = m->clients[m->n_selected];
        m->clients[m->n_selected++] = c;
    }
    return m->n_selected;
}

int hpt__mps_end_begin(const hpt__mps_set *set, hpt__mps *m, double seconds) {
    const hpt__mps_where w = where_of(set, m);
    hpt__str text = HPT__STR_INIT;
    for (int64_t i = 0; i < m->n_selected; i++)
        hpt__str_addf(&text, "terminate_client %d %d\n", (int)m->clients[i].server, (int)m->clients[i].pid);
    int rc = hpt__str_status(&text);
    if (rc == 0) rc = hpt__mps_call_begin(&m->call, &w, hpt__str_text(&text), seconds);
    hpt__str_fini(&text);
    if (rc == 0) m->step = HPT__MPS_ASKED_END;
    return rc;
}

// Whether every selected client was answered with status 0.
static bool all_ended(const hpt__mps *m) {
    int64_t zeros = 0;
    const char *text = hpt__str_text(&m->call.text);
    for (size_t n; *text; text += n + (text[n] == '\n')) {
        n = strcspn(text, "\n");
        if (n == 0) continue;
        if (text[0] != '0' || strspn(text, "0\r ") != n) return false;
        zeros++;
    }
    return zeros == m->n_selected;
}

static int begin_step(const hpt__mps_set *set, hpt__mps *m, hpt__mps_step step, const char *commands) {
    const hpt__mps_where w = where_of(set, m);
    int rc = hpt__mps_call_begin(&m->call, &w, commands, set->limit);
    if (rc < 0)
        give_up(m, hpt_last_error());
    else
        m->step = step;
    return rc;
}

int hpt__mps_restart_begin(hpt__mps_set *set, hpt__mps *m, const char *run_dir) {
    int rc = need_root(set, run_dir);
    if (rc < 0) give_up(m, hpt_last_error());
    if (rc == 0) rc = begin_step(set, m, HPT__MPS_QUITTING, "quit\n");
    if (rc == 0) return 0;
    hpt__mps_leave(m); // others may join it again
    (void)hpt__mps_use(m);
    return rc;
}

// A restart: what had to be done before is done; the next step, or the end of it.
static hpt__mps_state go_on_restart(const hpt__mps_set *set, hpt__mps *m) {
    const hpt__mps_step step = m->step;
    const bool answered = m->call.state == HPT__MPS_ANSWERED;
    bool good = answered && m->call.text.len == 0;
    if (m->parts && step == HPT__MPS_STARTING) good = answered; // whether it did is asked next
    if (m->parts && step == HPT__MPS_CHECKING)
        good = hpt__mps_table_read(&(hpt__mps_table){0}, hpt__str_text(&m->call.text));
    m->step = HPT__MPS_NOTHING;
    if (step == HPT__MPS_QUITTING) {
        hpt__mps_record_close(&m->record, true);
        hpt__mps_end_folder(m->pipe, 0); // nobody uses it any more
        hpt__mps_leave(m);
        m->parts = m->parts && !m->plain && set->parting != HPT__PARTING_OFF;
        m->chunks = 0;
        m->generation++;
        name_folders(set, m);
        if (!make_folders(m)) {
            give_up(m, strerror(errno));
            return HPT__MPS_FAILED;
        }
        return begin_step(set, m, HPT__MPS_STARTING, m->parts ? PARTED : PLAIN) < 0 ? HPT__MPS_FAILED : HPT__MPS_BUSY;
    }
    if (step == HPT__MPS_STARTING && good) {
        m->none = false;
        find_daemon(m);
    }
    if (!good) {
        m->plain = m->plain || m->parts; // the next start is without
        give_up(m, m->call.text.len > 0 ? hpt__str_text(&m->call.text) : "it failed without a word");
        return HPT__MPS_FAILED;
    }
    if (step == HPT__MPS_STARTING)
        return begin_step(set, m, HPT__MPS_CHECKING, m->parts ? LIST : "get_server_list\n") < 0 ? HPT__MPS_FAILED
                                                                                                : HPT__MPS_BUSY;
    m->alive = true;
    m->n_failed = 0;
    return HPT__MPS_ANSWERED;
}

hpt__mps_state hpt__mps_look(const hpt__mps_set *set, hpt__mps *m) {
    if (m->step == HPT__MPS_NOTHING) return HPT__MPS_IDLE;
    hpt__mps_state state = hpt__mps_call_look(&m->call);
    const char *text = hpt__str_text(&m->call.text);
    const char *bad = NULL;
    if (state == HPT__MPS_BUSY) return state;
    if (m->step >= HPT__MPS_QUITTING) return go_on_restart(set, m);
    if (m->step == HPT__MPS_ASKED_END) {
        m->step = HPT__MPS_NOTHING;
        m->n_failed += state == HPT__MPS_FAILED;
        return state == HPT__MPS_ANSWERED && all_ended(m) ? HPT__MPS_ANSWERED : HPT__MPS_FAILED;
    }
    if (state == HPT__MPS_FAILED) {
        bad = text;
    } else if (m->step == HPT__MPS_ASKED_CLIENTS || m->call.text.len == 0) { // without a server there are no clients
        if (m->step == HPT__MPS_ASKED_SERVERS) m->n_servers = 0;
        if (!read_clients(m, text)) bad = "its answer is not understood";
    } else if (!read_servers(m, text)) {
        bad = "its answer is not understood";
    } else if (ask_clients(set, m) < 0) {
        bad = hpt_last_error();
    } else {
        m->step = HPT__MPS_ASKED_CLIENTS;
        return HPT__MPS_BUSY;
    }
    if (bad)
        note_failure(set, m, bad);
    else
        m->n_failed = 0;
    m->step = HPT__MPS_NOTHING;
    return bad ? HPT__MPS_FAILED : HPT__MPS_ANSWERED;
}

// ---- end

void hpt__mps_close(hpt__mps_set *set, const char *run_dir) {
    for (int64_t i = 0; i < set->n; i++) {
        hpt__mps *m = &set->items[i];
        hpt__mps_call_fini(&m->call);
        if (m->pipe[0] && hpt__mps_alone(m) && m->users >= 0 && !hpt__mps_is_gone(m))
            (void)command(set, m, "quit\n", set->limit); // what does not obey is ended below
    }
    for (int64_t i = 0; i < set->n; i++) {
        hpt__mps *m = &set->items[i];
        if (m->users >= 0) {
            hpt__mps_end_folder(m->pipe, set->limit);
            hpt__mps_leave(m);
            *strrchr(m->pipe, '/') = '\0';       // its root
            if (strcmp(m->pipe, set->root) != 0) // its run may have ended before
                (void)hpt__mps_root_end(m->pipe, set->program, set->registry);
        }
        hpt__mps_call_fini(&m->call);
        hpt__mps_call_fini(&m->parting);
        hpt__mps_record_close(&m->record, true);
        hpt__free(m->clients);
    }
    hpt__mps_unlock(&set->root_fd);
    if (set->root[0]) {
        (void)hpt__mps_root_end(set->root, set->program, set->registry);
        hpt__mps_forget(run_dir);
    }
    (void)hpt__mps_sweep(set->registry, set->program);
    hpt__free(set->items);
    hpt__free(set->program);
    hpt__free(set->registry);
    *set = (hpt__mps_set){.root_fd = -1};
}
