// SPDX-License-Identifier: Apache-2.0
// test_mps_parts.c: what NVIDIA's control program says of static SM partitions, in both forms that are known of it; how many chunks a
// share is; and the records by which a dead run's partitions are found.
#include "core/mps/mps_parts.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(mps_parts);

static const char UUID[] = "GPU-74d43ed3-cdf7-e667-3644-bf5b4f46ed65", ID[] = "Dx4AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

// With every field and without those that do not apply.
static const char *const TABLES[] = {
    "GPU           Partition                             free   used   free  used  clients\n"
    "                                                    chunk  chunk  SM    SM\n"
    "GPU-74d43ed3  -                                     3      12     36    96    -\n"
    "GPU-74d43ed3  Dx4AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA  -      7      -     56    Yes\n"
    "GPU-74d43ed3  D/79e/DgwYMDAAAAAAAAAAAAAAAAAAAAAAAA  -      5      -     40    -\n",
    "GPU Partition free used free used clients\r\nchunks chunks SM SM\r\n"
    "GPU-74d43ed3 3 12 36 96\r\nGPU-74d43ed3 Dx4AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA 7 56 Yes\r\n"
    "GPU-74d43ed3 D/79e/DgwYMDAAAAAAAAAAAAAAAAAAAAAAAA 5 40 No\r\n"};

Test(mps_parts, both_forms_of_the_table_are_read)
{
    for (int i = 0; i < 2; i++) {
        hpt__mps_table t;
        char id[HPT__MPS_PART];
        bool has_clients;
        const char *at = TABLES[i];
        cr_assert(hpt__mps_table_read(&t, TABLES[i]));
        cr_assert(t.free == 3 && t.used == 12 && t.sms == 132);
        cr_assert(hpt__mps_table_next(id, &has_clients, &at) && has_clients);
        cr_assert_str_eq(id, ID);
        cr_assert(hpt__mps_table_next(id, &has_clients, &at) && !has_clients);
        cr_assert_str_eq(id, "D/79e/DgwYMDAAAAAAAAAAAAAAAAAAAAAAAA");
        cr_assert(!hpt__mps_table_next(id, &has_clients, &at));
        cr_assert(hpt__mps_table_has(TABLES[i], ID));
        cr_assert(!hpt__mps_table_has(TABLES[i], "Ex4AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
    }
}

Test(mps_parts, what_is_no_table_is_none)
{
    static const char *const texts[] = {"",
                                        "\n\n",
                                        "Unknown command: lspart\n",
                                        "GPU Partition free used free used clients\n",
                                        "GPU-1 - 0 0 0 0 -\n",
                                        "GPU-1 a b c d\n",
                                        "GPU-1 -3 7 24 56\n",
                                        "GPU-1 3 7 24 56 99999999999999999999\n",
                                        "GPU-1"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        hpt__mps_table t;
        cr_assert(!hpt__mps_table_read(&t, texts[i]), "%s", texts[i]);
    }
}

Test(mps_parts, a_new_partitions_id_is_found_in_both_forms_of_the_answer_and_in_no_refusal)
{
    char text[400], id[HPT__MPS_PART];
    static const char *const forms[] = {"%s/%s\n", "Partition %s/%s created\r\n", "Partition %.12s/%s created\n"};
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof text, forms[i], UUID, "D/79e/Dgw+A=");
        cr_assert(hpt__mps_part_read(id, text, UUID));
        cr_assert_str_eq(id, "D/79e/Dgw+A=");
    }
    static const char *const refusals[] = {
        "",
        "Failed to fulfill the requested SM partition of 28 chunks, error CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION\n",
        "Partition GPU-ffffffff/Dx4A created\n", "see https://docs.nvidia.com/deploy/mps\n", "GPU-/Dx4A\n"};
    for (int i = 0; i < 5; i++) cr_assert(!hpt__mps_part_read(id, refusals[i], UUID), "%s", refusals[i]);
    cr_assert(!hpt__mps_part_read(id, TABLES[0], UUID), "a table's ids have slashes too");
    memset(text, 'A', sizeof text);
    memcpy(text, "GPU-74d43ed3/", 13);
    text[sizeof text - 1] = '\0';
    cr_assert(!hpt__mps_part_read(id, text, UUID), "too long");
}

Test(mps_parts, the_version_is_the_number_after_its_label)
{
    cr_assert_eq(
        hpt__mps_version_read("CUDA MPS Control for Linux/Unix/QNX. Binary version: 13010\nCopyright (C) 2025\n"),
        13010);
    cr_assert_eq(hpt__mps_version_read("Binary version: x\n"), 0);
    cr_assert_eq(hpt__mps_version_read("usage: nvidia-cuda-mps-control [-d]\n"), 0);
}

Test(mps_parts, chunks_of_shares_that_sum_to_a_gpu_never_sum_to_more)
{
    for (int64_t chunks = 1; chunks <= 40; chunks++)
        for (int64_t n = 1; n <= chunks; n++) cr_assert_leq(n * hpt__mps_chunks(1000000 / n, chunks), chunks);
    cr_assert_eq(hpt__mps_chunks(250000, 15), 3);
    cr_assert_eq(hpt__mps_chunks(1000000, 15), 15);
    cr_assert_eq(hpt__mps_chunks(1, 15), 1, "a share below a chunk has one");
}

Test(mps_parts, a_share_is_kept_if_rounding_leaves_it_four_fifths_of_its_multiprocessors)
{
    static const struct {
        int64_t chunks, sms, units;
        bool kept;
    } cases[] = {{15, 132, 500000, true},  {15, 132, 250000, false}, {15, 132, 200000, true}, {15, 132, 100000, false},
                 {15, 132, 1000000, true}, {27, 108, 250000, true},  {35, 142, 250000, true}, {15, 132, 50000, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char why[160] = "";
        const hpt__mps_table t = {.free = cases[i].chunks, .sms = cases[i].sms};
        cr_assert_eq(hpt__mps_share_is_kept(why, sizeof why, &t, cases[i].units), cases[i].kept, "%zu: %s", i, why);
        cr_assert_eq(why[0] == '\0', cases[i].kept);
    }
}

// ---- records

static char folder[] = "/tmp/hpt_parts_test_XXXXXX";

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static void say(const hpt__mps_record *r, const char *text) {
    hpt__str ids = HPT__STR_INIT;
    hpt__str_add(&ids, text);
    cr_assert(hpt__mps_record_write(r, &ids));
    hpt__str_fini(&ids);
}

static void cr_all_are(const char *text) {
    hpt__str ids = HPT__STR_INIT;
    hpt__mps_record_all(&ids, folder, NULL);
    cr_assert_str_eq(hpt__str_text(&ids), text);
    hpt__str_fini(&ids);
}

Test(mps_parts, a_dead_runs_record_is_taken_over_once_and_a_live_ones_never)
{
    hpt__mps_record live, dead, own, late;
    hpt__str ids = HPT__STR_INIT;
    cr_assert(mkdtemp(folder));
    cr_assert(hpt__mps_record_open(&live, folder) && hpt__mps_record_open(&dead, folder) &&
              hpt__mps_record_open(&own, folder) && hpt__mps_record_open(&late, folder));
    say(&live, "A\n");
    say(&dead, "D/1\n?\n");
    hpt__mps_record_close(&dead, false); // as the kernel does when the run is killed
    hpt__str_add(&ids, "O\n");
    hpt__mps_record_adopt(&own, folder, &ids);
    cr_assert_str_eq(hpt__str_text(&ids), "O\nD/1\n?\n");
    hpt__str_clear(&ids);
    hpt__mps_record_adopt(&late, folder, &ids);
    cr_assert_str_eq(hpt__str_text(&ids), "", "it was another's");
    hpt__mps_record_close(&live, true);
    cr_all_are("O\nD/1\n?\n"); // of the one that has taken it over
    hpt__mps_record_close(&own, true);
    hpt__mps_record_close(&late, true);
    cr_all_are("");
    hpt__str_fini(&ids);
    nftw(folder, remove_one, 4, FTW_DEPTH | FTW_PHYS);
}

Test(mps_parts, an_id_is_named_by_a_record_also_where_the_table_shows_its_beginning)
{
    cr_assert(hpt__mps_record_names("D/79e/Dgw00\nE/1\n?\n", "D/79e"));
    cr_assert(hpt__mps_record_names("D/79e/Dgw00\nE/1\n?\n", "?"));
    cr_assert(!hpt__mps_record_names("D/79e/Dgw00\nE/1\n", "D/79e/Dgw001"));
    cr_assert(!hpt__mps_record_names("D/79e/Dgw00\nE/1\n", "F"));
    cr_assert(!hpt__mps_record_names("", ""));
}
