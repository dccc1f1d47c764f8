// SPDX-License-Identifier: Apache-2.0
// test_devices_limits.c: cores and memory under control groups (a folder that looks like /proc and /sys) and Slurm.
#include "core/base/pool.h"
#include "core/devices/host_limits.h"
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char root[] = "/tmp/hpt_limits_XXXXXX";

static void enter(void) {
    static const char *const names[] = {"SLURM_JOB_ID",       "SLURM_STEP_ID",      "SLURM_CPUS_PER_TASK",
                                        "SLURM_CPUS_ON_NODE", "SLURM_MEM_PER_NODE", "SLURM_MEM_PER_CPU"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unsetenv(names[i]);
    cr_assert(mkdtemp(root));
}

static void leave(void) {
    char command[64];
    sprintf(command, "rm -rf %s", root);
    cr_assert_eq(system(command), 0);
}
TestSuite(devices_limits, .init = enter, .fini = leave);

// A file below the root, its folders made.
static void put(const char *name, const char *text) {
    char command[600], path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    snprintf(command, sizeof command, "mkdir -p \"$(dirname '%s')\"", path);
    cr_assert_eq(system(command), 0);
    FILE *f = fopen(path, "w");
    cr_assert(f, "%s", path);
    fputs(text, f);
    fclose(f);
}

static void machine(const char *groups, const char *mounts) {
    put("proc/meminfo", "MemTotal:       8388608 kB\nMemFree: 1 kB\n"); // 8 GiB
    put("proc/self/cgroup", groups);
    put("proc/self/mountinfo", mounts);
}

static hpt__host_limits limits(void) {
    hpt__host_limits l;
    hpt__host_limits_read(&l, root);
    return l;
}

static const int64_t MIB = 1 << 20;
static const char V2_MOUNT[] = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
                               "30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

Test(devices_limits, without_control_groups_affinity_and_memtotal_count)
{
    put("proc/meminfo", "MemTotal:       8388608 kB\n");
    const hpt__host_limits l = limits();
    cr_assert_eq(l.cores, (double)hpt__cpu_count());
    cr_assert_eq(l.memory_bytes, 8192 * MIB);
    cr_assert_str_eq(l.cores_from, "affinity");
    cr_assert_str_eq(l.memory_from, "MemTotal");
}

Test(devices_limits, the_smallest_limit_on_the_way_up_counts)
{
    machine("0::/user.slice/job\n", V2_MOUNT);
    put("sys/fs/cgroup/user.slice/cpu.max", "25000 100000\n");
    put("sys/fs/cgroup/user.slice/memory.max", "max\n");
    put("sys/fs/cgroup/user.slice/job/cpu.max", "50000 100000\n");
    put("sys/fs/cgroup/user.slice/job/memory.max", "1073741824\n");
    const hpt__host_limits l = limits();
    cr_assert_eq(l.cores, 0.25, "a quarter of a core, from the parent: %g", l.cores);
    cr_assert_eq(l.memory_bytes, 1024 * MIB);
    cr_assert_str_eq(l.cores_from, "cgroup cpu quota");
    cr_assert_str_eq(l.memory_from, "cgroup memory limit");
}

Test(devices_limits, max_and_larger_limits_are_none)
{
    machine("0::/a\n", V2_MOUNT);
    put("sys/fs/cgroup/a/cpu.max", "max 100000\n");
    put("sys/fs/cgroup/a/memory.max", "99999999999999\n");
    const hpt__host_limits l = limits();
    cr_assert_eq(l.cores, (double)hpt__cpu_count());
    cr_assert_eq(l.memory_bytes, 8192 * MIB);
}

Test(devices_limits, in_a_container_the_mount_point_is_our_group)
{
    machine("0::/docker/abc\n", "30 22 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
    put("sys/fs/cgroup/cpu.max", "10000 100000\n");
    put("sys/fs/cgroup/memory.max", "536870912\n");
    hpt__host_limits l = limits();
    cr_assert_eq(l.cores, 0.1);
    cr_assert_eq(l.memory_bytes, 512 * MIB);
    machine("0::/../outside\n", V2_MOUNT); // our group lies outside of what the namespace shows
    l = limits();
    cr_assert_eq(l.cores, 0.1);
}

Test(devices_limits, version_1_has_one_hierarchy_for_each)
{
    machine("9:memory:/slurm/job_1\n4:cpu,cpuacct:/slurm\n3:cpuset:/\n1:name=systemd:/x\n",
            "31 30 0:27 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
            "32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:1 - cgroup cgroup rw,cpu,cpuacct\n"
            "33 30 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
    put("sys/fs/cgroup/cpu,cpuacct/slurm/cpu.cfs_quota_us", "30000\n");
    put("sys/fs/cgroup/cpu,cpuacct/slurm/cpu.cfs_period_us", "100000\n");
    put("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
    put("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    put("sys/fs/cgroup/memory/slurm/job_1/memory.limit_in_bytes", "9223372036854771712\n");
    put("sys/fs/cgroup/memory/slurm/memory.limit_in_bytes", "2147483648\n");
    const hpt__host_limits l = limits();
    cr_assert_eq(l.cores, 0.3);
    cr_assert_eq(l.memory_bytes, 2048 * MIB);
}

Test(devices_limits, damaged_files_are_no_limit)
{
    static const char *const groups[] = {"", "\n", "0", "0:", "0::", "::::", "0::/a/b/../../..\n"};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        machine(groups[i], i % 2 ? V2_MOUNT : "30 22 - cgroup2\n- -\n");
        const hpt__host_limits l = limits();
        cr_assert_eq(l.cores, (double)hpt__cpu_count());
        cr_assert_eq(l.memory_bytes, 8192 * MIB);
    }
}

Test(devices_limits, slurm_gives_a_step_its_tasks_cores_and_a_batch_script_the_nodes)
{
    put("proc/meminfo", "MemTotal:       8388608 kB\n");
    setenv("SLURM_CPUS_PER_TASK", "1", 1);
    setenv("SLURM_MEM_PER_NODE", "4096", 1);
    cr_assert_eq(limits().memory_bytes, 8192 * MIB, "left-over variables outside a job say nothing");
    setenv("SLURM_JOB_ID", "7", 1);
    hpt__host_limits l = limits();
    cr_assert_eq(l.cores, 1.0);
    cr_assert_eq(l.memory_bytes, 4096 * MIB);
    cr_assert_str_eq(l.memory_from, "SLURM_MEM_PER_NODE");
    setenv("SLURM_CPUS_ON_NODE", "100000", 1);
    cr_assert_eq(limits().cores, (double)hpt__cpu_count(), "the batch script has all that the job got");
    setenv("SLURM_STEP_ID", "0", 1);
    cr_assert_eq(limits().cores, 1.0);
    unsetenv("SLURM_MEM_PER_NODE");
    setenv("SLURM_MEM_PER_CPU", "1000", 1);
    cr_assert_eq(limits().memory_bytes, 1000 * MIB);
    setenv("SLURM_MEM_PER_CPU", "junk", 1);
    cr_assert_eq(limits().memory_bytes, 8192 * MIB);
}
