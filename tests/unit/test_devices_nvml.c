// SPDX-License-Identifier: Apache-2.0
// test_devices_nvml.c: GPUs as a driver tells them, over tests/nvml/fake_nvml.c: the list, MIG instances, what
// CUDA_VISIBLE_DEVICES and Slurm show of it, and a device that is watched while its processes come, grow and go.
#include "core/base/alloc.h"
#include "core/devices/gpu_visible.h"
#include "core/devices/nvml.h"
#include "core/devices/nvml_abi.h"
#include <criterion/criterion.h>
#include <hpt/device.h>
#include <hpt/status.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const int64_t MIB = 1 << 20;
static char script_path[] = "/tmp/hpt_nvml_XXXXXX";

static void enter(void) {
    static const char *const names[] = {"HPT_FAKE_DEVICES",         "CUDA_VISIBLE_DEVICES",
                                        "CUDA_DEVICE_ORDER",        "SLURM_JOB_ID",
                                        "SLURM_STEP_GPUS",          "SLURM_JOB_GPUS",
                                        "SLURM_GPUS_ON_NODE",       "SLURM_SHARDS_ON_NODE",
                                        "HPT_SLURM_SHARDS_PER_GPU", "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unsetenv(names[i]);
    const int fd = mkstemp(script_path);
    cr_assert(fd >= 0);
    close(fd);
    setenv("HPT_NVML_PATH", HPT_BINARY_DIR "/tests/fake/libfake_nvml.so", 1);
    setenv("FAKE_NVML_SCRIPT", script_path, 1);
}

static void leave(void) {
    unlink(script_path);
}
TestSuite(devices_nvml, .init = enter, .fini = leave);

static void script(const char *text) {
    FILE *f = fopen(script_path, "w");
    cr_assert(f);
    fputs(text, f);
    fclose(f);
}

static const char TWO_KINDS[] = "gpu GPU-aaaa-1 40960 reserved=512 used=100 model=NVIDIA_A100 mode=3\n"
                                "gpu GPU-aabb-2 81920 mig model=NVIDIA_H100\n"
                                "instance 1 MIG-1111 9728 1g.10gb\n"
                                "instance 1 MIG-2222 20096 2g.20gb\n"
                                "gpu GPU-cccc-3 81920 mig model=NVIDIA_H100\n"
                                "gpu GPU-dddd-4 40960 model=NVIDIA_A100\n"
                                "process GPU-aaaa-1 4242 1000\n"
                                "process GPU-aaaa-1 4243 2000 mps\n";

static hpt__nvml *open_it(void) {
    hpt__nvml *nvml = NULL;
    cr_assert_eq(hpt__nvml_open(&nvml), 0, "%s", hpt_last_error());
    return nvml;
}

// Bytes that a process uses; 0: it is not on the device.
static int64_t used_by(const hpt__gpu_load *load, pid_t pid) {
    for (int64_t i = 0; i < load->n; i++)
        if (load->processes[i].pid == pid) return load->processes[i].used_bytes;
    return 0;
}

Test(devices_nvml, the_list_has_gpus_instances_and_what_is_on_them)
{
    hpt__gpu *g;
    int64_t n;
    script(TWO_KINDS);
    hpt__nvml *nvml = open_it();
    cr_assert_eq(hpt__nvml_list(&g, &n, nvml), 0);
    cr_assert_eq(n, 5, "a GPU in MIG mode is replaced by its instances, one without any stays");
    cr_assert_str_eq(g[0].uuid, "GPU-aaaa-1");
    cr_assert_str_eq(g[0].model, "NVIDIA A100");
    cr_assert_str_eq(g[0].pci, "00000000:07:00.0");
    cr_assert_eq(g[0].memory_bytes, (40960 - 512) * MIB, "what the driver keeps cannot be granted");
    cr_assert_eq(g[0].used_bytes, 3100 * MIB);
    cr_assert_eq(g[0].compute_mode, HPT__NVML_COMPUTE_EXCLUSIVE_PROCESS);
    cr_assert_eq(g[0].n_processes, 2);
    cr_assert(g[0].mps && !g[0].mig);
    cr_assert_str_eq(g[1].uuid, "MIG-1111");
    cr_assert_str_eq(g[1].profile, "1g.10gb");
    cr_assert_str_eq(g[1].parent, "GPU-aabb-2");
    cr_assert_str_eq(g[1].pci, "00000000:08:00.0");
    cr_assert_eq(g[1].memory_bytes, 9728 * MIB);
    cr_assert_str_eq(g[2].profile, "2g.20gb");
    cr_assert(g[3].mig && !g[3].profile[0]);
    cr_assert(g[4].index == 3 && g[4].n_processes == 0 && !g[4].mps);
    hpt__free(g);
    hpt__nvml_close(nvml);
}

Test(devices_nvml, an_old_driver_that_tells_less_still_lists_its_gpus)
{
    hpt__gpu *g;
    int64_t n;
    script("gpu GPU-a 40960 reserved=512 used=100\nmissing nvmlDeviceGetName\nmissing nvmlDeviceGetMemoryInfo_v2\n"
           "missing RunningProcesses\n");
    hpt__nvml *nvml = open_it();
    cr_assert_eq(hpt__nvml_list(&g, &n, nvml), 0);
    cr_assert_eq(n, 1);
    cr_assert_eq(g[0].n_processes, -1);
    cr_assert_str_eq(g[0].model, "");
    cr_assert_eq(g[0].memory_bytes, 40960 * MIB);
    cr_assert_eq(g[0].used_bytes, 612 * MIB);
    hpt__free(g);
    hpt__nvml_close(nvml);
}

Test(devices_nvml, why_there_is_no_driver_is_said)
{
    hpt__nvml *nvml = NULL;
    script("init 9\n");
    cr_assert_eq(hpt__nvml_open(&nvml), HPT_E_DEVICE);
    cr_assert(strstr(hpt_last_error(), "the driver is not loaded"), "%s", hpt_last_error());
    setenv("HPT_NVML_PATH", "/nonexistent/libnvidia-ml.so.1", 1);
    cr_assert_eq(hpt__nvml_open(&nvml), HPT_E_DEVICE);
    cr_assert(strstr(hpt_last_error(), "/nonexistent/libnvidia-ml.so.1"), "%s", hpt_last_error());
    setenv("HPT_NVML_PATH", "libm.so.6", 1);
    cr_assert_eq(hpt__nvml_open(&nvml), HPT_E_DEVICE);
    cr_assert(strstr(hpt_last_error(), "lacks nvmlInit_v2"), "%s", hpt_last_error());
    hpt_device_info *d;
    int64_t n;
    cr_assert_eq(hpt_device_list(&d, &n, NULL), 0, "a machine without a driver has no GPUs; no error");
    cr_assert_eq(n, 1);
    hpt_free(d);
}

Test(devices_nvml, a_watched_device_shows_processes_that_come_grow_and_go)
{
    hpt__gpu_load load = {0};
    script("gpu GPU-a 1000 used=10\nprocess GPU-a 11 100 step=50\nprocess GPU-a 12 5 from=2 to=3 mps\n");
    hpt__nvml *nvml = open_it();
    static const int64_t first[] = {100, 150, 200, 250}, second[] = {0, 5, 5, 0};
    for (int k = 0; k < 4; k++) {
        cr_assert_eq(hpt__nvml_poll(&load, nvml, "GPU-a"), 0, "%s", hpt_last_error());
        cr_assert_eq(load.memory_bytes, 1000 * MIB);
        cr_assert_eq(load.used_bytes, (10 + first[k] + second[k]) * MIB, "look %d", k + 1);
        cr_assert_eq(used_by(&load, 11), first[k] * MIB);
        cr_assert_eq(used_by(&load, 12), second[k] * MIB);
        cr_assert_eq(load.n, second[k] ? 2 : 1);
    }
    cr_assert_eq(used_by(&load, 4711), 0);
    hpt__gpu_load_fini(&load);
    hpt__nvml_close(nvml);
}

Test(devices_nvml, more_processes_than_expected_are_all_listed)
{
    char text[8192] = "gpu GPU-a 100000\n";
    hpt__gpu_load load = {0};
    for (int i = 0; i < 60; i++) sprintf(text + strlen(text), "process GPU-a %d %d\n", 1000 + i, i + 1);
    script(text);
    hpt__nvml *nvml = open_it();
    cr_assert_eq(hpt__nvml_poll(&load, nvml, "GPU-a"), 0);
    cr_assert_eq(load.n, 60);
    for (int i = 0; i < 60; i++) cr_assert_eq(used_by(&load, 1000 + i), (i + 1) * MIB);
    hpt__gpu_load_fini(&load);
    hpt__nvml_close(nvml);
}

Test(devices_nvml, a_lost_device_and_one_that_never_was_are_errors_with_its_name)
{
    hpt__gpu_load load = {0};
    script("gpu GPU-a 1000\ngpu GPU-b 1000\nlost 0 3\n");
    hpt__nvml *nvml = open_it();
    cr_assert_eq(hpt__nvml_poll(&load, nvml, "GPU-a"), 0);
    cr_assert_eq(hpt__nvml_poll(&load, nvml, "GPU-a"), 0);
    cr_assert_eq(hpt__nvml_poll(&load, nvml, "GPU-a"), HPT_E_DEVICE);
    cr_assert(strstr(hpt_last_error(), "GPU-a: the GPU is lost"), "%s", hpt_last_error());
    cr_assert_eq(hpt__nvml_poll(&load, nvml, "GPU-b"), 0, "its neighbour answers");
    cr_assert_eq(hpt__nvml_poll(&load, nvml, "GPU-zzz"), HPT_E_DEVICE);
    hpt__gpu *g;
    int64_t n;
    cr_assert_eq(hpt__nvml_list(&g, &n, nvml), 0);
    cr_assert(n == 1 && strcmp(g[0].uuid, "GPU-b") == 0, "a lost GPU is not offered");
    hpt__free(g);
    hpt__gpu_load_fini(&load);
    hpt__nvml_close(nvml);
}

Test(devices_nvml, a_critical_fault_is_told_once_with_its_gpu)
{
    hpt__gpu_load load = {0};
    char uuid[96] = "";
    int64_t xid = 0;
    script("gpu GPU-a 1000\ngpu GPU-b 1000\nfault 1 79 2\n");
    hpt__nvml *nvml = open_it();
    cr_assert_not(hpt__nvml_next_fault(uuid, &xid, nvml), "nothing is watched yet");
    cr_assert_eq(hpt__nvml_watch_faults(nvml, "GPU-a"), 0);
    cr_assert_eq(hpt__nvml_watch_faults(nvml, "GPU-b"), 0);
    cr_assert_eq(hpt__nvml_poll(&load, nvml, "GPU-b"), 0);
    cr_assert_not(hpt__nvml_next_fault(uuid, &xid, nvml));
    cr_assert_eq(hpt__nvml_poll(&load, nvml, "GPU-b"), 0);
    cr_assert(hpt__nvml_next_fault(uuid, &xid, nvml));
    cr_assert_str_eq(uuid, "GPU-b");
    cr_assert_eq(xid, 79);
    cr_assert_not(hpt__nvml_next_fault(uuid, &xid, nvml));
    hpt__gpu_load_fini(&load);
    hpt__nvml_close(nvml);
}

// ---- what is shown of the driver's list

// "name name ... " of the devices, with the given CUDA_VISIBLE_DEVICES; static memory.
static const char *shown(const char *visible) {
    static char text[512];
    hpt_device_info *d;
    int64_t n;
    setenv("CUDA_VISIBLE_DEVICES", visible, 1);
    cr_assert_eq(hpt_device_list(&d, &n, NULL), 0, "%s", hpt_last_error());
    text[0] = '\0';
    for (int64_t i = 1; i < n; i++) {
        cr_assert_str_eq(d[i].source, "CUDA_VISIBLE_DEVICES");
        sprintf(text + strlen(text), "%s ", d[i].visible_id);
    }
    hpt_free(d);
    return text;
}

Test(devices_nvml, visible_devices_are_read_as_the_driver_reads_them)
{
    script(TWO_KINDS);
    setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID", 1);
    cr_assert_str_eq(shown("3,0"), "GPU-dddd-4 GPU-aaaa-1 ");
    cr_assert_str_eq(shown("GPU-dd,MIG-2222"), "GPU-dddd-4 MIG-2222 ");
    cr_assert_str_eq(shown("1"), "MIG-1111 MIG-2222 ", "a GPU in MIG mode stands for its instances");
    cr_assert_str_eq(shown("GPU-aab"), "MIG-1111 MIG-2222 ");
    cr_assert_str_eq(shown("0,7,3"), "GPU-aaaa-1 ", "what is no device hides itself and all after it");
    cr_assert_str_eq(shown("0,GPU-eeee,3"), "GPU-aaaa-1 ");
    cr_assert_str_eq(shown("GPU-a,3"), "", "a beginning that fits two");
    cr_assert_str_eq(shown("0,0,3"), "GPU-aaaa-1 ");
    cr_assert_str_eq(shown("0,-1,3"), "GPU-aaaa-1 ");
    cr_assert_str_eq(shown("0,,3"), "GPU-aaaa-1 ");
    cr_assert_str_eq(shown(" 3 , 0 "), "GPU-dddd-4 GPU-aaaa-1 ");
    cr_assert_str_eq(shown("junk"), "");
    cr_assert_str_eq(shown(""), "");
}

Test(devices_nvml, numbers_stay_numbers_where_cudas_order_is_not_known)
{
    hpt_device_info *d;
    int64_t n;
    script(TWO_KINDS);
    cr_assert_str_eq(shown("3,0,4"), "3 0 ");
    setenv("CUDA_VISIBLE_DEVICES", "3", 1);
    cr_assert_eq(hpt_device_list(&d, &n, NULL), 0);
    cr_assert_eq(d[1].memory_bytes, 9728 * MIB, "whichever it is, it has this much");
    hpt_free(d);
    script("gpu GPU-a 1000 model=X\ngpu GPU-b 1000 model=X\n");
    cr_assert_str_eq(shown("1,0"), "GPU-b GPU-a ", "all alike: the orders agree");
}

Test(devices_nvml, uuids_in_gpus_choose_and_an_unknown_one_is_refused)
{
    hpt_device_info *d;
    int64_t n;
    script(TWO_KINDS);
    cr_assert_eq(hpt_device_list(&d, &n, "MIG-2222,GPU-dddd-4"), 0, "%s", hpt_last_error());
    cr_assert_eq(n, 3);
    cr_assert_str_eq(d[1].profile, "2g.20gb");
    cr_assert_str_eq(d[2].uuid, "GPU-dddd-4");
    hpt_free(d);
    cr_assert_eq(hpt_device_list(&d, &n, "GPU-dddd-4,GPU-nope"), HPT_E_ARG);
    cr_assert(strstr(hpt_last_error(), "GPU-nope"), "%s", hpt_last_error());
    script("init 9\n");
    cr_assert_eq(hpt_device_list(&d, &n, "GPU-dddd-4"), HPT_E_ARG);
}

Test(devices_nvml, slurm_says_which_gpus_and_how_much_of_them)
{
    hpt_device_info *d;
    int64_t n;
    script("gpu GPU-a 1000 model=X\ngpu GPU-b 1000 model=Y\ngpu GPU-c 1000 model=X\n");
    setenv("SLURM_JOB_ID", "7", 1);
    setenv("SLURM_JOB_GPUS", "1-2", 1);
    cr_assert_eq(hpt_device_list(&d, &n, NULL), 0);
    cr_assert_eq(n, 3);
    cr_assert_str_eq(d[1].uuid, "GPU-b");
    cr_assert_str_eq(d[2].uuid, "GPU-c");
    cr_assert_str_eq(d[1].source, "SLURM_JOB_GPUS");
    hpt_free(d);
    setenv("SLURM_STEP_GPUS", "0", 1);
    setenv("SLURM_SHARDS_ON_NODE", "2", 1);
    setenv("HPT_SLURM_SHARDS_PER_GPU", "8", 1);
    cr_assert_eq(hpt_device_list(&d, &n, NULL), 0);
    cr_assert_eq(n, 2);
    cr_assert_str_eq(d[1].uuid, "GPU-a");
    cr_assert_eq(d[1].capacity, 0.25);
    cr_assert_eq(d[1].memory_bytes, 250 * MIB);
    hpt_free(d);
    unsetenv("HPT_SLURM_SHARDS_PER_GPU");
    cr_assert_eq(hpt_device_list(&d, &n, NULL), 0);
    cr_assert(d[1].capacity == 1.0 && strstr(d[1].note, "HPT_SLURM_SHARDS_PER_GPU"), "%s", d[1].note);
    hpt_free(d);
    unsetenv("SLURM_STEP_GPUS");
    unsetenv("SLURM_JOB_GPUS");
    unsetenv("SLURM_SHARDS_ON_NODE");
    setenv("SLURM_GPUS_ON_NODE", "1", 1);
    cr_assert_eq(hpt_device_list(&d, &n, NULL), 0);
    cr_assert(d[1].capacity == 1.0 && d[2].capacity == 0 && d[3].capacity == 0, "no more than Slurm gave");
    hpt_free(d);
}

Test(devices_nvml, devices_on_which_nothing_can_run_have_no_capacity)
{
    hpt_device_info *d;
    int64_t n;
    script("gpu GPU-a 1000 mode=2\ngpu GPU-b 1000 mig\ngpu GPU-c 1000 mode=3\n");
    cr_assert_eq(hpt_device_list(&d, &n, NULL), 0);
    cr_assert(d[1].capacity == 0 && strstr(d[1].note, "prohibited"));
    cr_assert(d[2].capacity == 0 && strstr(d[2].note, "MIG mode"));
    cr_assert(d[3].capacity == 1 && strcmp(d[3].compute_mode, "exclusive_process") == 0);
    hpt_free(d);
}

static int64_t n_allocations, fail_at;
static bool fail_kth(size_t size, void *payload) {
    (void)size;
    (void)payload;
    return ++n_allocations == fail_at;
}

Test(devices_nvml, a_failed_allocation_is_reported_and_leaks_nothing)
{
    hpt_device_info *d = NULL;
    int64_t n;
    script(TWO_KINDS);
    int failures = 0;
    for (fail_at = 1; fail_at < 200; fail_at++) {
        n_allocations = 0;
        hpt__alloc_set_hook(fail_kth, NULL);
        const int rc = hpt_device_list(&d, &n, NULL);
        hpt__alloc_set_hook(NULL, NULL);
        if (rc == 0) hpt_free(d);
        if (n_allocations < fail_at) break;
        cr_assert(rc == HPT_E_MEMORY || rc == 0, "allocation %d: %d", (int)fail_at, rc);
        failures += rc != 0;
    }
    cr_assert(failures >= 5 && fail_at < 200);
}
