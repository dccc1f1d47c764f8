// SPDX-License-Identifier: Apache-2.0
// mps_find.c: hpt_mps_list: MPS controllers and servers, found by their names in /proc.
//
// A control daemon holds no GPU until its first client comes, so NVML does not know it; /proc does. comm has 15 bytes,
// "nvidia-cuda-mps" for both programs; the first argument tells them apart. The pipe folder is in the environment, which
// only the owner and root may read. Threads: any. Cost: one read per process of the machine.
#include "mps_find.h"

#include "../base/alloc.h"
#include "../base/error.h"
#include "../base/file.h"
#include "proc_walk.h"
#include <hpt/device.h>

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char COMM[] = "nvidia-cuda-mps"; // of nvidia-cuda-mps-control and nvidia-cuda-mps-server
enum { ENVIRONMENT = 1 << 16 };

// A file of a process: *n bytes into out, a NUL after them.
static bool read_of(char *out, size_t size, size_t *n, pid_t pid, const char *name) {
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return hpt__read_start(out, size, n, path);
}

// "control" or "server"; NULL: neither.
static const char *role_of(pid_t pid) {
    char text[PATH_MAX];
    size_t n;
    if (!read_of(text, sizeof text, &n, pid, "comm")) return NULL;
    text[strcspn(text, "\n")] = '\0';
    if (strcmp(text, COMM) != 0) return NULL;
    if (!read_of(text, sizeof text, &n, pid, "cmdline")) return NULL;
    const char *slash = strrchr(text, '/'), *name = slash ? slash + 1 : text;
    if (strncmp(name, COMM, sizeof COMM - 1) != 0) return NULL;
    name += sizeof COMM - 1;
    return strcmp(name, "-control") == 0 ? "control" : strcmp(name, "-server") == 0 ? "server" : NULL;
}

bool hpt__mps_is_server(pid_t pid) {
    const char *role = role_of(pid);
    return role && strcmp(role, "server") == 0;
}

static void read_pipe_folder(hpt_mps_info *m, char *text) {
    static const char NAME[] = "CUDA_MPS_PIPE_DIRECTORY=";
    size_t n = 0;
    if (!read_of(text, ENVIRONMENT, &n, (pid_t)m->pid, "environ")) return;          // not ours: unknown
    (void)snprintf(m->pipe_directory, sizeof m->pipe_directory, "/tmp/nvidia-mps"); // its default
    for (const char *p = text; p < text + n; p += strlen(p) + 1)
        if (strncmp(p, NAME, sizeof NAME - 1) == 0)
            (void)snprintf(m->pipe_directory, sizeof m->pipe_directory, "%.*s", (int)sizeof m->pipe_directory - 1,
                           p + sizeof NAME - 1);
}

int hpt_mps_list(hpt_mps_info **out, int64_t *n_out) {
    int rc = 0;
    int64_t n = 0, cap = 0;
    hpt_mps_info *list = NULL;
    char *text = NULL;
    hpt__pids pids = {0};
    HPT_FAIL_IF(!out || !n_out, HPT_E_ARG, "hpt_mps_list: an argument is NULL");
    text = hpt__malloc(ENVIRONMENT);
    if (!text) {
        rc = hpt__fail_memory();
        goto out;
    }
    HPT_TRY(hpt__proc_list(&pids, "/proc"));
    for (int64_t i = 0; i < pids.n; i++) {
        const pid_t pid = pids.items[i];
        const char *role = role_of(pid);
        char path[64];
        struct stat st;
        (void)snprintf(path, sizeof path, "/proc/%d", (int)pid);
        if (!role || stat(path, &st) < 0) continue;
        HPT_TRY(hpt__grow(&list, &cap, n + 1, sizeof *list));
        hpt_mps_info *m = &list[n++];
        *m = (hpt_mps_info){.pid = pid, .uid = st.st_uid};
        (void)snprintf(m->role, sizeof m->role, "%s", role);
        read_pipe_folder(m, text);
    }
    rc = 0;
    *out = list;
    *n_out = n;
    list = NULL;
out:
    hpt__free(pids.items);
    hpt__free(text);
    hpt__free(list);
    return rc;
}
