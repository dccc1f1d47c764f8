// SPDX-License-Identifier: Apache-2.0
// host_limits.c: affinity mask, control groups (v2 and v1) and Slurm's variables; the smallest counts.
//
// A limit of a control group holds for everything below it, so all groups from ours up to the mount point are read:
//   v2  cpu.max "QUOTA PERIOD" (us, QUOTA "max": none), memory.max (bytes or "max")
//   v1  cpu.cfs_quota_us (-1: none) / cpu.cfs_period_us, memory.limit_in_bytes (a number near 2^63: none)
// /proc/self/cgroup names our group in each hierarchy, /proc/self/mountinfo where the hierarchy is mounted and which of
// its groups lies there (inside a container often ours, whose files are then at the mount point itself).
// Sources: Linux, Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/; proc(5); sbatch(1), "output environment
// variables". What cannot be read is no limit. Threads: any. Cost: some ten small files.
#include "host_limits.h"

#include "../base/alloc.h"
#include "../base/file.h"
#include "../base/num.h"
#include "../base/pool.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT = 1 << 16 };

static bool read_number(double *out, const char *dir, const char *name) {
    char path[PATH_MAX], text[64], *end;
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path) return false;
    if (!hpt__read_start(text, sizeof text, NULL, path)) return false;
    *out = strtod(text, &end);
    return end != text; // "max" is no number, and no limit
}

static void limit_cores(hpt__host_limits *l, double cores, const char *from) {
    if (!(cores > 0) || cores >= l->cores) return;
    l->cores = cores;
    (void)snprintf(l->cores_from, sizeof l->cores_from, "%s", from);
}

static void limit_memory(hpt__host_limits *l, double bytes, const char *from) {
    if (!(bytes >= 1) || bytes >= 9e18 || (l->memory_bytes > 0 && bytes >= (double)l->memory_bytes)) return;
    l->memory_bytes = (int64_t)bytes;
    (void)snprintf(l->memory_from, sizeof l->memory_from, "%s", from);
}

// ---- control groups

typedef enum hierarchy { V2, V1_CPU, V1_MEMORY } hierarchy;

static void read_group(hpt__host_limits *l, hierarchy h, const char *dir) {
    char path[PATH_MAX], text[64], *end;
    double quota, period = 100000;
    if (h == V2) {
        if (snprintf(path, sizeof path, "%s/cpu.max", dir) < (int)sizeof path &&
            hpt__read_start(text, sizeof text, NULL, path)) {
            quota = strtod(text, &end);
            if (end != text) period = strtod(end, NULL);
            if (end != text && period > 0) limit_cores(l, quota / period, "cgroup cpu quota");
        }
        if (read_number(&quota, dir, "memory.max")) limit_memory(l, quota, "cgroup memory limit");
    } else if (h == V1_CPU) {
        if (read_number(&quota, dir, "cpu.cfs_quota_us") && read_number(&period, dir, "cpu.cfs_period_us") &&
            period > 0)
            limit_cores(l, quota / period, "cgroup cpu quota");
    } else if (read_number(&quota, dir, "memory.limit_in_bytes")) {
        limit_memory(l, quota, "cgroup memory limit");
    }
}

static bool has_word(const char *list, const char *word) {
    for (const char *p = list;; p++) {
        const size_t n = strcspn(p, ",");
        if (strlen(word) == n && strncmp(p, word, n) == 0) return true;
        p += n;
        if (!*p) return false;
    }
}

static bool is_of(hierarchy h, const char *controllers) {
    return h == V2 ? !*controllers : has_word(controllers, h == V1_CPU ? "cpu" : "memory");
}

// Our group in a hierarchy, from lines "ID:CONTROLLERS:PATH".
static bool find_group(char *out, size_t size, hierarchy h, char *text) {
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path) continue;
        *path++ = '\0';
        if (!is_of(h, controllers + 1)) continue;
        return snprintf(out, size, "%s", path) < (int)size;
    }
    return false;
}

// Mount point of a hierarchy and the group that lies there. A line of mountinfo:
// ID PARENT MAJOR:MINOR ROOT MOUNT_POINT OPTIONS [TAGS] - TYPE SOURCE SUPER_OPTIONS
static bool find_mount(char *mount, char *root, size_t size, hierarchy h, char *text) {
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char at[PATH_MAX], group[PATH_MAX], type[32], super[512];
        char *dash = strstr(line, " - ");
        if (!dash || sscanf(line, "%*s %*s %*s %4095s %4095s", group, at) != 2) continue;
        if (sscanf(dash + 3, "%31s %*s %511s", type, super) != 2) continue;
        if (strcmp(type, h == V2 ? "cgroup2" : "cgroup") != 0 || (h != V2 && !is_of(h, super))) continue;
        return snprintf(mount, size, "%s", at) < (int)size && snprintf(root, size, "%s", group) < (int)size;
    }
    return false;
}

// Folder of our group in a hierarchy; *top: length of its mount point's.
static bool find_folder(char dir[3 * PATH_MAX], size_t *top, hierarchy h, const char *root, const char *groups,
                        const char *mounts, char *scratch) {
    char group[PATH_MAX], mount[PATH_MAX], mounted[PATH_MAX];
    memcpy(scratch, groups, strlen(groups) + 1);
    if (!find_group(group, sizeof group, h, scratch)) return false;
    memcpy(scratch, mounts, strlen(mounts) + 1);
    if (!find_mount(mount, mounted, sizeof mount, h, scratch)) return false;
    // Below what is mounted the group's path follows; where it lies elsewhere, the mount point stands for all we see.
    const size_t n = strcmp(mounted, "/") == 0 ? 0 : strlen(mounted);
    const char *below = strncmp(group, mounted, n) == 0 && (group[n] == '/' || !group[n]) ? group + n : "";
    if (strstr(below, "/..") || strcmp(below, "/") == 0) below = "";
    (void)snprintf(dir, 3 * PATH_MAX, "%s%s%s", root, mount, below);
    *top = strlen(root) + strlen(mount);
    return true;
}

static void read_hierarchy(hpt__host_limits *l, hierarchy h, const char *root, const char *groups, const char *mounts,
                           char *scratch) {
    char dir[3 * PATH_MAX];
    size_t top;
    if (!find_folder(dir, &top, h, root, groups, mounts, scratch)) return;
    for (;;) {
        read_group(l, h, dir);
        char *slash = strrchr(dir, '/');
        if (strlen(dir) <= top || !slash) break;
        *slash = '\0';
    }
}

// The two files that say where our groups are, and TEXT bytes of scratch after them; *out: owned. False: they cannot be read.
static bool read_tables(char **out, const char *root) {
    char path[PATH_MAX];
    *out = hpt__malloc(3 * (size_t)TEXT);
    if (!*out) return false; // unread limits are no limits
    (void)snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    if (!hpt__read_start(*out, TEXT, NULL, path)) return false;
    (void)snprintf(path, sizeof path, "%s/proc/self/mountinfo", root);
    return hpt__read_start(*out + TEXT, TEXT, NULL, path);
}

static void read_groups(hpt__host_limits *l, const char *root) {
    static const hierarchy all[] = {V2, V1_CPU, V1_MEMORY};
    char *text;
    const bool ok = read_tables(&text, root);
    for (size_t i = 0; ok && i < sizeof all / sizeof *all; i++)
        read_hierarchy(l, all[i], root, text, text + TEXT, text + 2 * (size_t)TEXT);
    hpt__free(text);
}

bool hpt__cgroup_own(char *out, size_t size, const char *root) {
    char dir[3 * PATH_MAX], *text;
    size_t top;
    const bool found =
        read_tables(&text, root) && find_folder(dir, &top, V2, root, text, text + TEXT, text + 2 * (size_t)TEXT);
    hpt__free(text);
    return found && snprintf(out, size, "%s", dir) < (int)size;
}

// ---- Slurm

static bool variable(int64_t *out, const char *name) {
    const char *text = getenv(name);
    return text && hpt__parse_int(out, text, strlen(text)) && *out > 0;
}

// srun gives each task SLURM_CPUS_PER_TASK cores; a batch script has all that the job got on its node. Without
// TaskPlugin=task/affinity or task/cgroup nothing else keeps to it. Memory is in MiB; 0 stands for the whole node.
static void read_slurm(hpt__host_limits *l) {
    int64_t n = 0, mib = 0;
    const bool in_step = getenv("SLURM_STEP_ID") != NULL;
    if (!getenv("SLURM_JOB_ID")) return;
    if (!in_step && variable(&n, "SLURM_CPUS_ON_NODE"))
        limit_cores(l, (double)n, "SLURM_CPUS_ON_NODE");
    else if (variable(&n, "SLURM_CPUS_PER_TASK"))
        limit_cores(l, (double)n, "SLURM_CPUS_PER_TASK");
    if (variable(&mib, "SLURM_MEM_PER_NODE"))
        limit_memory(l, (double)mib * 1048576, "SLURM_MEM_PER_NODE");
    else if (variable(&mib, "SLURM_MEM_PER_CPU"))
        limit_memory(l, (double)mib * 1048576 * (n > 0 ? (double)n : l->cores), "SLURM_MEM_PER_CPU");
}

void hpt__host_limits_read(hpt__host_limits *out, const char *root) {
    char path[PATH_MAX], text[256];
    *out = (hpt__host_limits){.cores = (double)hpt__cpu_count(), .cores_from = "affinity", .memory_from = "MemTotal"};
    (void)snprintf(path, sizeof path, "%s/proc/meminfo", root);
    const char *total = hpt__read_start(text, sizeof text, NULL, path) ? strstr(text, "MemTotal:") : NULL;
    if (total) out->memory_bytes = strtoll(total + 9, NULL, 10) * 1024;
    read_groups(out, root);
    read_slurm(out);
}
