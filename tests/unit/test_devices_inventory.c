// SPDX-License-Identifier: Apache-2.0
// test_devices_inventory.c: declared devices and what stands in CUDA_VISIBLE_DEVICES.
#include <criterion/criterion.h>
#include <hpt/device.h>
#include <hpt/status.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void clean(void) {
    unsetenv("HPT_FAKE_DEVICES");
    unsetenv("CUDA_VISIBLE_DEVICES");
    unsetenv("SLURM_JOB_ID");
    setenv("HPT_NVML_PATH", "/nonexistent", 1); // no driver, whatever this machine has
}
TestSuite(devices_inventory, .init = clean);

Test(devices_inventory, cpu_comes_first_with_the_affinity_masks_cores)
{
    hpt_device_info *d;
    int64_t n;
    cpu_set_t set;
    cr_assert_eq(sched_getaffinity(0, sizeof set, &set), 0);
    cr_assert_eq(hpt_device_list(&d, &n, "0"), 0);
    cr_assert_eq(n, 1);
    cr_assert_str_eq(d[0].name, "cpu");
    cr_assert_str_eq(d[0].kind, "cpu");
    cr_assert(d[0].capacity <= (double)CPU_COUNT(&set));
    cr_assert(d[0].capacity == (double)CPU_COUNT(&set) || strstr(d[0].note, "cores"), "less than the mask, unsaid");
    const int64_t pages = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    cr_assert(d[0].memory_bytes > 0 && d[0].memory_bytes < pages * 2);
    cr_assert(d[0].memory_bytes > pages / 2 || strstr(d[0].note, "memory"), "less than the machine's, unsaid");
    hpt_free(d);
}

Test(devices_inventory, declarations_give_devices)
{
    static const struct {
        const char *text;
        int64_t n;
        int64_t gib[6];
    } cases[] = {
        {"0", 0, {0}},
        {"1", 1, {0}},
        {"4", 4, {0, 0, 0, 0}},
        {"2x40GiB", 2, {40, 40}},
        {"4x40GiB+2x80GiB", 6, {40, 40, 40, 40, 80, 80}},
        {"80GiB", 1, {80}},
        {"1+1x16GiB", 2, {0, 16}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int by_env = 0; by_env < 2; by_env++) {
            hpt_device_info *d;
            int64_t n;
            if (by_env) setenv("HPT_FAKE_DEVICES", cases[i].text, 1);
            cr_assert_eq(hpt_device_list(&d, &n, by_env ? NULL : cases[i].text), 0, "%s: %s", cases[i].text,
                         hpt_last_error());
            cr_assert_eq(n - 1, cases[i].n, "%s", cases[i].text);
            for (int64_t k = 0; k < cases[i].n; k++) {
                char id[8] = {(char)('0' + k), 0};
                cr_assert_str_eq(d[k + 1].kind, "gpu");
                cr_assert_str_eq(d[k + 1].visible_id, id);
                cr_assert_str_eq(d[k + 1].source, by_env ? "HPT_FAKE_DEVICES" : "--gpus");
                cr_assert_eq(d[k + 1].memory_bytes, cases[i].gib[k] << 30);
                cr_assert_eq(d[k + 1].capacity, 1.0);
            }
            hpt_free(d);
            unsetenv("HPT_FAKE_DEVICES");
        }
    }
}

Test(devices_inventory, argument_wins_over_the_variable)
{
    hpt_device_info *d;
    int64_t n;
    setenv("HPT_FAKE_DEVICES", "8", 1);
    cr_assert_eq(hpt_device_list(&d, &n, "2"), 0);
    cr_assert_eq(n, 3);
    hpt_free(d);
}

Test(devices_inventory, malformed_declarations_are_refused)
{
    static const char *const bad[] = {"",   "x",   "four", "4x",   "x40GiB", "4x40Foo", "-1",      "4+",
                                      "+4", "4,4", "4 4",  "1e99", "5000",   "4x0",     "4xx4GiB", "4x-1GiB"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hpt_device_info *d = NULL;
        int64_t n;
        cr_assert_eq(hpt_device_list(&d, &n, bad[i]), HPT_E_ARG, "'%s' was accepted", bad[i]);
        cr_assert(strstr(hpt_last_error(), "4x40GiB"), "%s", hpt_last_error());
    }
}

Test(devices_inventory, declared_devices_keep_to_the_visible_ones)
{
    hpt_device_info *d;
    int64_t n;
    setenv("CUDA_VISIBLE_DEVICES", "4, GPU-abc ,7", 1);
    cr_assert_eq(hpt_device_list(&d, &n, "4"), 0);
    cr_assert_str_eq(d[1].visible_id, "4");
    cr_assert_str_eq(d[2].visible_id, "GPU-abc");
    cr_assert_str_eq(d[3].visible_id, "7");
    cr_assert_str_eq(d[4].visible_id, "3"); // beyond the list: its own number
    hpt_free(d);
}

Test(devices_inventory, visible_devices_are_devices_where_no_driver_answers)
{
    hpt_device_info *d;
    int64_t n;
    setenv("CUDA_VISIBLE_DEVICES", "2,5,-1,6", 1);
    cr_assert_eq(hpt_device_list(&d, &n, NULL), 0);
    cr_assert_eq(n, 3, "the list ends at -1");
    cr_assert_str_eq(d[1].visible_id, "2");
    cr_assert_str_eq(d[2].visible_id, "5");
    cr_assert_str_eq(d[1].source, "CUDA_VISIBLE_DEVICES");
    hpt_free(d);
    setenv("CUDA_VISIBLE_DEVICES", "", 1);
    cr_assert_eq(hpt_device_list(&d, &n, NULL), 0);
    cr_assert_eq(n, 1);
    hpt_free(d);
}
