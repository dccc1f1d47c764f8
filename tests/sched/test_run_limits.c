// SPDX-License-Identifier: Apache-2.0
// test_run_limits.c: logs that grow too long; options without effect; two runs on one database; trials that write and
// stop while nobody looks.
#include "run_support.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(run_logs, .init = run_enter, .fini = run_leave);
TestSuite(run_unread, .init = run_enter, .fini = run_leave);
TestSuite(run_together, .init = run_enter, .fini = run_leave);
TestSuite(run_speed, .init = run_enter, .fini = run_leave);

enum { MIB = 1 << 20 };

static int64_t size_of(const char *path, int64_t *on_disk) {
    struct stat st;
    cr_assert_eq(stat(path, &st), 0, "%s", path);
    if (on_disk) *on_disk = st.st_blocks * 512;
    return st.st_size;
}

static int count_lines(const char *command) {
    char text[64] = "";
    FILE *p = popen(command, "r");
    cr_assert(p && fgets(text, sizeof text, p));
    pclose(p);
    return atoi(text);
}

// ---- logs

static const char one_mib[] = "run.log_limit=1";
static hpt_run_options limited(void) {
    static const char *const options[] = {one_mib};
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.slots = 1;
    o.options = options;
    o.n_options = 1;
    return o;
}

Test(run_logs, output_beyond_the_limit_is_read_but_not_kept)
{
    run_sweep_file("echo first; echo first >&2; yes 'nothing of interest' | head -c 20000000; echo; echo loss=5; "
                   "yes 'still nothing' | head -c 20000000; yes 'an error' | head -c 9000000 >&2; echo; echo last; "
                   "echo >&2; echo last >&2",
                   1, NULL);
    hpt_run_options o = limited();
    hpt_run_summary s = run_ok(&o);
    cr_assert(s.n_done == 1 && s.best == 5.0, "%s", record.reason[0]);
    static const char *const files[] = {"stdout.log", "stderr.log"};
    for (int i = 0; i < 2; i++) {
        char path[64], command[160];
        snprintf(path, sizeof path, "hpt_runs/t/trials/000000/%s", files[i]);
        const int64_t size = size_of(path, NULL);
        cr_assert(size > MIB && size < MIB + (1 << 17), "%s: %d bytes", files[i], (int)size);
        cr_assert_eq(strncmp(run_read(path), "first\n", 6), 0, "the start is kept");
        snprintf(command, sizeof command, "tail -n 1 %s | grep -c '^last$'", path);
        cr_assert_eq(count_lines(command), 1, "so is the end");
        snprintf(command, sizeof command, "grep -c 'bytes are left out here; option run.log_limit keeps 1 MiB' %s",
                 path);
        cr_assert_eq(count_lines(command), 1);
        snprintf(command, sizeof command, "tr -d '\\000' < %s | wc -c", path);
        cr_assert_eq(count_lines(command), (int)size, "no holes are left in it");
    }
}

Test(run_logs, the_reason_of_a_failure_is_still_the_last_line)
{
    run_sweep_file("yes 'an error' | head -c 9000000 >&2; echo >&2; echo 'out of ideas' >&2; exit 2", 1, NULL);
    hpt_run_options o = limited();
    run_ok(&o);
    cr_assert_str_eq(record.reason[0], "exit code 2: out of ideas");
}

// Asked of the file system itself, not of what the library made of it.
static bool holes_can_be_punched(void) {
    const int fd = open("probe", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    cr_assert(fd >= 0);
    char block[4096] = {1};
    cr_assert_eq(write(fd, block, sizeof block), (ssize_t)sizeof block);
    const bool can = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, sizeof block) == 0;
    close(fd);
    unlink("probe");
    return can;
}

// While the trial runs the file has its whole length, so that appending and reading go on, but not the space.
Test(run_logs, space_is_given_back_while_the_trial_runs)
{
    if (!holes_can_be_punched()) cr_skip_test("this file system cannot punch holes");
    run_sweep_file(
        "yes 'nothing of interest' | head -c 60000000; yes e | head -c 60000000 >&2; echo; echo step=1 loss=1; "
        "touch up; while [ ! -e go ]; do sleep 0.02; done; echo loss=2",
        1, NULL);
    hpt_run_options o = limited();
    pid_t pid = run_fork(&o);
    run_wait_for("up");
    int64_t out = 0, err = 0;
    for (int i = 0; i < 100; i++) { // it is looked at once a second
        const int64_t a = size_of("hpt_runs/t/trials/000000/stdout.log", &out);
        const int64_t b = size_of("hpt_runs/t/trials/000000/stderr.log", &err);
        cr_assert(a >= 60000000 && b >= 60000000);
        if (out < 8 * MIB && err < 8 * MIB) break;
        run_nap(0.05);
    }
    run_file("go", "", false);
    cr_assert_eq(run_wait_exit(pid), 100 + HPT_RUN_END_CAP);
    cr_assert(out < 8 * MIB && err < 8 * MIB, "%d and %d bytes on the disk", (int)out, (int)err);
    cr_assert(size_of("hpt_runs/t/trials/000000/stdout.log", NULL) < 2 * MIB);
}

// ---- options

Test(run_unread, an_option_that_nothing_reads_is_told_once)
{
    static const char *const options[] = {"tpe.n_startup=5", "median.n_startup=2", "sqlite.busy_timeout=9"};
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    run_sweep_file("echo loss=1", 1, NULL);
    o.slots = 1;
    o.options = options;
    o.n_options = 3;
    run_ok(&o);
    cr_assert(strstr(record.notices, "option tpe.n_startup had no effect: the sampler is 'random'"), "%s",
              record.notices);
    cr_assert(strstr(record.notices, "option median.n_startup had no effect"), "%s", record.notices);
    cr_assert_null(strstr(record.notices, "sqlite"), "%s", record.notices);
    o.sampler = "tpe";
    o.pruner = "median";
    o.study = "u";
    run_ok(&o);
    cr_assert_null(strstr(record.notices, "no effect"), "%s", record.notices);
}

// ---- two runs on one database

Test(run_together, two_folders_share_one_study_and_its_cap)
{
    char url[256], here[200];
    run_sweep_file("sleep 0.0$((HPT_TRIAL % 7)); echo $HPT_TRIAL >> numbers; echo loss=$HPT_TRIAL", 120, NULL);
    cr_assert(getcwd(here, sizeof here));
    snprintf(url, sizeof url, "sqlite:///%s/shared.db", here);
    hpt_run_options a = HPT_RUN_OPTIONS_INIT, b = HPT_RUN_OPTIONS_INIT;
    a.storage = b.storage = url;
    a.run_dir = "a";
    b.run_dir = "b";
    a.slots = b.slots = 3;
    pid_t p = run_fork(&a), q = run_fork(&b);
    const int x = run_wait_exit(p), y = run_wait_exit(q);
    cr_assert(x == 100 + HPT_RUN_END_CAP && y == 100 + HPT_RUN_END_CAP, "%d and %d", x, y);
    hpt_study *study = NULL;
    hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
    int64_t counts[5], total = 0;
    o.storage = url;
    o.mode = HPT_OPEN_READ_ONLY;
    cr_assert_eq(hpt_study_open(&study, &o), 0, "%s", hpt_last_error());
    cr_assert_eq(hpt_study_counts(counts, study), 0);
    hpt_study_close(study);
    for (int i = 0; i < 5; i++) total += counts[i];
    cr_assert(total >= 120 && total <= 120 + 3, "%d trials: at most one run's slots too many", (int)total);
    cr_assert_eq(counts[HPT_TRIAL_COMPLETE], total, "each trial was run by one of them");
    cr_assert_eq(count_lines("sort -n numbers | uniq | wc -l"), total);
    cr_assert_eq(count_lines("wc -l < numbers"), total, "and by one only");
    cr_assert(count_lines("ls a/trials | wc -l") >= 20 && count_lines("ls b/trials | wc -l") >= 20, "both took part");
}

// ---- nobody waits

// The loop sits in this callback until the trial has written everything and ended: did a trial wait for being read, as it
// would on a pipe, neither would go on.
static void stand_still(const hpt_run_event *e) {
    if (e->kind != HPT_RUN_TRIAL_REPORT || e->step != 0) return;
    for (int i = 0; i < 3000 && access("written", F_OK) != 0; i++) run_nap(0.01);
}

Test(run_speed, a_trial_never_waits_for_its_reports_to_be_read_and_all_are_stored)
{
    static const char *const targets[] = {"", ">&3", ">> $HPT_REPORT_FILE"};
    for (int i = 0; i < 3; i++) {
        char name[8], script[512];
        hpt_run_options o = HPT_RUN_OPTIONS_INIT;
        snprintf(name, sizeof name, "s%d", i);
        snprintf(script, sizeof script,
                 "echo step=0 loss=30000 %s; awk 'BEGIN { for (i = 1; i < 30000; i++) "
                 "printf \"step=%%d loss=%%d some more text\\n\", i, 30000 - i }' %s; touch written",
                 targets[i], targets[i]);
        run_sweep_file(script, 1, NULL);
        o.study = name;
        o.slots = 1;
        record.hook = stand_still;
        hpt_run_summary s = run_ok(&o);
        record.hook = NULL;
        cr_assert(s.n_done == 1 && s.best == 1.0, "%s", record.reason[0]);
        cr_assert_eq(record.reports[0], 30000, "%d reports", (int)record.reports[0]);
        cr_assert_eq(unlink("written"), 0);
    }
}

Test(run_speed, the_stop_file_alone_ends_a_cooperative_trial)
{
    run_file("trial.c",
             "#include <hpt/client.h>\n#include <signal.h>\n"
             "int main(void) {\n"
             "    signal(SIGTERM, SIG_IGN);\n"
             "    (void)hpt_client_report(0, 1.0);\n"
             "    while (!hpt_client_should_stop()) usleep(1000);\n"
             "    FILE *f = fopen(\"ended\", \"a\");\n"
             "    fputs(\"by itself\\n\", f);\n"
             "    return fclose(f);\n"
             "}\n",
             false);
    if (system("cc -std=gnu99 -I" HPT_SOURCE_DIR "/include -o trial trial.c") != 0)
        cr_assert_fail("it does not compile");
    run_sweep_file("exec ./trial", 20, "hpt: {timeout: {trial: 0.2}, grace: 60}\n");
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    setenv("HPT_DISABLE_FLAPPING", "1", 1);
    o.slots = 20;
    hpt_run_summary s = run_ok(&o);
    cr_assert_eq(s.n_failed, 20);
    cr_assert_eq(count_lines("wc -l < ended"), 20);
}
