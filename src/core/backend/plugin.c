// SPDX-License-Identifier: Apache-2.0
// plugin.c: finds, loads and checks a backend that is a library of its own (plugin.h), when it is first asked for.
//
// Searched, in this order:
//   1. the folders that the candidate's environment variable names, several separated by ':'
//   2. the folder that this library was loaded from; where our code is inside a program, ../lib beside the program's folder
//   3. the folder that the library was configured to be installed in
// Only absolute folders count, and the loader is never given a plain name: what happens to lie in the working folder or on
// LD_LIBRARY_PATH must not become code of this process. The first folder that has the file decides: one that was named
// and is broken is told, not passed over for another version elsewhere.
//
// The plugin reaches us through the functions below alone, so it may be loaded RTLD_LOCAL beside any number of others.
// Ownership: a library stays loaded until the process ends, since drivers do not survive being unloaded. Threads: any; one
// loads, the others wait. Cost: the first call a dlopen, the others a lock.
#include "plugin_load.h"

#include "../base/alloc.h"
#include "../base/error.h"
#include "plugin.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILES = 8, NAME_MAX_LEN = 64, WHY_MAX = 400 };

// ---- what a plugin may call

static int host_fail(int status, const char *line) {
    return hpt__fail(status, "%s", line);
}

static void *host_resize(void *old, size_t size) {
    return hpt__realloc(old, size);
}

static const hpt__plugin_host host = {
    .abi = HPT__PLUGIN_ABI,
    .struct_size = sizeof(hpt__plugin_host),
    .fail = host_fail,
    .resize = host_resize,
    .release = hpt__free,
};

// ---- where to look

typedef struct search {
    char file[NAME_MAX_LEN + 4]; // with .so
    char path[PATH_MAX];         // where it is, when it was found
    char seen[WHY_MAX];          // the folders without it
    char ignored[WHY_MAX / 2];   // what of the variable does not count
} search;

// printf's %s at the end of a text that may be cut.
static void append(char *text, size_t size, const char *more) {
    const size_t len = strlen(text);
    (void)snprintf(text + len, size - len, "%s", more);
}

// True if folder (n bytes) has the file.
static bool look_in(search *s, const char *folder, size_t n) {
    if (n == 0 || n >= PATH_MAX) return false;
    if (snprintf(s->path, sizeof s->path, "%.*s", (int)n, folder) < 0) return false;
    char shown[PATH_MAX + 2];
    (void)snprintf(shown, sizeof shown, "%s%s", s->seen[0] ? ", " : "", s->path);
    if ((size_t)snprintf(s->path, sizeof s->path, "%.*s/%s", (int)n, folder, s->file) >= sizeof s->path) return false;
    if (access(s->path, F_OK) == 0) return true;
    append(s->seen, sizeof s->seen, shown);
    return false;
}

static bool look_in_variable(search *s, const char *variable) {
    const char *list = getenv(variable);
    for (const char *at = list; at && *at;) {
        const size_t n = strcspn(at, ":");
        if (*at == '/') {
            if (look_in(s, at, n)) return true;
        } else if (n > 0 && !s->ignored[0]) {
            (void)snprintf(s->ignored, sizeof s->ignored, " (%s: '%.*s' is not absolute, so ignored)", variable,
                           n < 80 ? (int)n : 80, at);
        }
        at += n + (at[n] == ':');
    }
    return false;
}

static size_t folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash > path ? (size_t)(slash - path) : 1;
}

static bool look_beside_us(search *s) {
    char program[PATH_MAX];
    const ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    program[n > 0 ? n : 0] = '\0';
    Dl_info info;
    // A path that is not absolute is what the program was called by: then our code is in it.
    const bool known = dladdr(&host, &info) != 0 && info.dli_fname && info.dli_fname[0] == '/';
    char here[PATH_MAX];
    const bool inside = !known || !realpath(info.dli_fname, here) || strcmp(here, program) == 0;
    if (!inside) return look_in(s, info.dli_fname, folder_of(info.dli_fname));
    if (program[0] != '/') return false;
    program[folder_of(program)] = '\0';
    program[folder_of(program)] = '\0';
    append(program, sizeof program, "/lib");
    return look_in(s, program, strlen(program));
}

static bool look_where_installed(search *s) {
#ifdef HPT_PLUGIN_FOLDER
    return HPT_PLUGIN_FOLDER[0] == '/' && look_in(s, HPT_PLUGIN_FOLDER, strlen(HPT_PLUGIN_FOLDER));
#else
    (void)s;
    return false;
#endif
}

// ---- loading

static const hpt__backend *take(const char *path, char *why, size_t size) {
    char said[WHY_MAX / 2] = "";
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char *text = dlerror();
        (void)snprintf(why, size, "%.*s", WHY_MAX - 1, text ? text : path);
        return NULL;
    }
    hpt__plugin_entry *entry;
    // POSIX gives functions as object pointers; C has no cast for it, so the bytes are copied.
    void *symbol = dlsym(library, HPT__PLUGIN_ENTRY);
    memcpy(&entry, &symbol, sizeof entry);
    const hpt__backend *table = NULL;
    if (!symbol)
        (void)snprintf(why, size, "%.200s has no function %s: it is no backend", path, HPT__PLUGIN_ENTRY);
    else if (!(table = entry(&host, said, sizeof said)))
        (void)snprintf(why, size, "%.150s: %.200s", path, said[0] ? said : "it gives no reason");
    else if (table->abi != HPT__BACKEND_ABI || table->struct_size != sizeof(hpt__backend))
        (void)snprintf(why, size,
                       "%.200s is of another version (ABI %u, %u bytes; wanted %d, %zu): install both of one build",
                       path, table->abi, table->struct_size, (int)HPT__BACKEND_ABI, sizeof(hpt__backend));
    else
        return table;
    (void)dlclose(library);
    return NULL;
}

static const hpt__backend *find(const char *name, const hpt__candidate *c, char *why, size_t size) {
    search s = {.path = ""};
    (void)snprintf(s.file, sizeof s.file, "%s.so", name);
    if (look_in_variable(&s, c->folders) || look_beside_us(&s) || look_where_installed(&s))
        return take(s.path, why, size);
    const char *const parts[] = {s.file, " (", c->missing, ")", s.ignored, " in ", s.seen[0] ? s.seen : "any folder"};
    (void)snprintf(why, size, "no ");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) append(why, size, parts[i]);
    return NULL;
}

// ---- once for each file

typedef struct loaded {
    char name[NAME_MAX_LEN];
    const hpt__backend *table;
    char why[WHY_MAX];
} loaded;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static loaded files[FILES]; // under lock
static int n_files;

const hpt__backend *hpt__plugin_load(const hpt__candidate *c, const char *variant, char *why, size_t size) {
    char name[NAME_MAX_LEN];
    const hpt__backend *table = NULL;
    (void)snprintf(name, sizeof name, "%s%s%s", c->plugin, variant ? "_" : "", variant ? variant : "");
    (void)pthread_mutex_lock(&lock);
    int i = 0;
    while (i < n_files && strcmp(files[i].name, name) != 0) i++;
    if (i == FILES) {
        (void)snprintf(why, size, "%d backends' files were asked for in this process; there is no room for more",
                       FILES);
    } else {
        loaded *f = &files[i];
        if (i == n_files) {
            memcpy(f->name, name, sizeof name);
            f->table = find(name, c, f->why, sizeof f->why);
            n_files++;
        }
        table = f->table;
        if (!table) (void)snprintf(why, size, "%s", f->why);
    }
    (void)pthread_mutex_unlock(&lock);
    return table;
}
