// SPDX-License-Identifier: Apache-2.0
// test_run_mps_shared.c: two runs on one GPU: they share its MPS controller, which lives as long as one of them does, however the others
// ended; a fault hits the trials of both. Over the fakes of test_run_mps.c.
#include "run_support.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <hpt/device.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(run_mps_shared, .init = run_enter_mps, .fini = run_leave);

#define SHARE(part) "hpt: {resources: {gpu: " part ", cpu: 0.1}, grace: 1}\n"
#define CLIENT "d=$CUDA_MPS_PIPE_DIRECTORY; > $d/client.$$; while [ ! -e $d/seen.$$ ]; do sleep 0.02; done; "
#define WORDS "echo 'CUDA error: an illegal memory access was encountered' >&2; exit 1; "

static hpt_run_options of(const char *study, int64_t slots) {
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.study = study;
    o.slots = slots;
    return o;
}

// How many processes of MPS have a pipe folder that begins so.
static int count_mps(const char *begin) {
    hpt_mps_info *list = NULL;
    int64_t n = 0;
    int found = 0;
    cr_assert_eq(hpt_mps_list(&list, &n), 0);
    for (int64_t i = 0; i < n; i++)
        found += strcmp(list[i].role, "control") == 0 && strncmp(list[i].pipe_directory, begin, strlen(begin)) == 0;
    hpt_free(list);
    return found;
}

// Nothing of a controller is left: daemon, folder, or what says that there is one.
static void cr_nothing_left(const char *pipe) {
    char root[20];
    const struct dirent *e;
    snprintf(root, sizeof root, "%.19s", pipe);
    cr_assert_eq(count_mps(root), 0);
    cr_assert(access(root, F_OK) < 0, "%s", root);
    DIR *d = opendir(getenv("HPT_CLAIMS_DIR"));
    cr_assert(d);
    while ((e = readdir(d)) != NULL) cr_assert(strncmp(e->d_name, "mps-", 4) != 0, "%s", e->d_name);
    closedir(d);
}

// Each trial says what percentage all that run have, itself included, then is a client until its file comes.
#define HELD(name)                                                                                              \
    "echo $CUDA_MPS_PIPE_DIRECTORY > pipe." name "; echo $CUDA_MPS_ACTIVE_THREAD_PERCENTAGE > held.$$; "        \
    "cat held.* | awk '{ n += $1 } END { print n }' >> sums; " CLIENT "> up." name ".$HPT_TRIAL; "              \
    "while [ ! -e go." name " ]; do sleep 0.02; done; cat held.* | awk '{ n += $1 } END { print n }' >> sums; " \
    "rm held.$$; echo loss=1"

// Until so many trials of a run are known to it as clients.
static void wait_for_tier(const char *run_dir, int n) {
    hpt_monitor *m = NULL;
    int found = 0;
    cr_assert_eq(hpt_monitor_open(&m, run_dir), 0, "%s", hpt_last_error());
    for (int i = 0; i < 1000 && found < n; i++) {
        const hpt_run_view *v = NULL;
        run_nap(0.02);
        found = 0;
        cr_assert_eq(hpt_monitor_look(&v, m), 0, "%s", hpt_last_error());
        for (int64_t k = 0; k < v->n_trials; k++) found += strstr(v->trials[k].use, "\"tier\": \"mps\"") != NULL;
    }
    hpt_monitor_close(m);
    cr_assert_eq(found, n, "%s", run_dir);
}

static void read_pipe(char out[64], const char *name) {
    snprintf(out, 64, "%.*s", (int)strcspn(run_read(name), "\n"), run_read(name));
    cr_assert(strncmp(out, "/tmp/hpt-mps-", 13) == 0, "%s", out);
}

static int largest_sum(void) {
    int most = 0;
    const char *p = run_read("sums");
    for (; *p; p += strcspn(p, "\n") + (strchr(p, '\n') != NULL)) most = atoi(p) > most ? atoi(p) : most;
    return most;
}

Test(run_mps_shared, the_second_run_joins_the_firsts_controller_and_the_last_to_end_ends_it)
{
    char a[64], b[64];
    const hpt_run_options first = of("a", 2), second = of("b", 2);
    run_sweep_file(HELD("a"), 2, SHARE("0.25"));
    const pid_t one = run_fork(&first);
    run_wait_for("up.a.0");
    run_wait_for("up.a.1");
    wait_for_tier("hpt_runs/a", 2);
    run_sweep_file(HELD("b"), 2, SHARE("0.25"));
    const pid_t two = run_fork(&second);
    run_wait_for("up.b.0");
    run_wait_for("up.b.1");
    wait_for_tier("hpt_runs/b", 2);
    read_pipe(a, "pipe.a");
    read_pipe(b, "pipe.b");
    cr_assert_str_eq(a, b);
    run_file("go.a", "", false);
    cr_assert_eq(run_wait_exit(one), 100 + HPT_RUN_END_CAP);
    cr_assert_eq(count_mps(a), 1, "the second run needs it");
    run_file("go.b", "", false);
    cr_assert_eq(run_wait_exit(two), 100 + HPT_RUN_END_CAP);
    cr_nothing_left(a);
    cr_assert_str_eq(run_tier("a", 1), "mps");
    cr_assert_str_eq(run_tier("b", 1), "mps");
    cr_assert_eq(largest_sum(), 100);
}

Test(run_mps_shared, a_killed_run_leaves_the_controller_to_the_other_and_joins_it_again)
{
    char a[64], b[64];
    const hpt_run_options first = of("a", 1), second = of("b", 2);
    run_sweep_file(HELD("a"), 1, SHARE("0.25"));
    pid_t one = run_fork(&first);
    run_wait_for("up.a.0");
    run_sweep_file(HELD("b"), 2, SHARE("0.25"));
    const pid_t two = run_fork(&second);
    run_wait_for("up.b.1");
    wait_for_tier("hpt_runs/b", 2);
    cr_assert_eq(kill(one, SIGKILL), 0);
    waitpid(one, NULL, 0);
    read_pipe(b, "pipe.b");
    cr_assert_eq(count_mps(b), 1);
    unlink("up.a.0");
    unlink("pipe.a");
    run_sweep_file(HELD("a"), 1, SHARE("0.25"));
    one = run_fork(&first); // its folder says that it once started the controller
    run_wait_for("up.a.0");
    wait_for_tier("hpt_runs/a", 1);
    read_pipe(a, "pipe.a");
    cr_assert_str_eq(a, b);
    run_file("go.b", "", false);
    cr_assert_eq(run_wait_exit(two), 100 + HPT_RUN_END_CAP);
    cr_assert_eq(count_mps(a), 1);
    run_file("go.a", "", false);
    cr_assert_eq(run_wait_exit(one), 100 + HPT_RUN_END_CAP);
    cr_nothing_left(a);
    cr_assert_str_eq(run_tier("a", 0), "mps");
    cr_assert_str_eq(run_tier("b", 1), "mps");
}

Test(run_mps_shared, a_controller_whose_runs_are_all_dead_is_ended_by_the_next_run_of_another_folder)
{
    char a[64], c[64];
    pid_t pid[2];
    for (int i = 0; i < 2; i++) {
        const hpt_run_options o = of(i ? "b" : "a", 1);
        run_sweep_file(i ? HELD("b") : HELD("a"), 1, SHARE("0.25"));
        pid[i] = run_fork(&o);
        run_wait_for(i ? "up.b.0" : "up.a.0");
    }
    for (int i = 0; i < 2; i++) {
        kill(pid[i], SIGKILL);
        waitpid(pid[i], NULL, 0);
    }
    read_pipe(a, "pipe.a");
    cr_assert_eq(count_mps(a), 1);
    const hpt_run_options o = of("c", 1);
    run_file("go.c", "", false);
    run_sweep_file(HELD("c"), 1, SHARE("0.25"));
    run_ok(&o);
    read_pipe(c, "pipe.c");
    cr_assert_str_neq(a, c);
    run_has(record.notices, "processes that a killed run had left");
    cr_assert_str_neq(run_tier("c", 0), "advisory");
    cr_nothing_left(a);
    cr_nothing_left(c);
}

Test(run_mps_shared, a_gpu_for_one_process_takes_trials_of_both_runs)
{
    const hpt_run_options first = of("a", 0), second = of("b", 0);
    run_file("gpus", "gpu GPU-aaaa-1 40960 mode=3\n", false);
    run_sweep_file(HELD("a"), 2, SHARE("0.5"));
    const pid_t one = run_fork(&first);
    run_wait_for("up.a.0");
    run_sweep_file(HELD("b"), 1, SHARE("0.5"));
    const pid_t two = run_fork(&second);
    run_wait_for("up.a.1");
    run_file("go.a", "", false);
    run_wait_for("up.b.0");
    wait_for_tier("hpt_runs/b", 1);
    run_file("go.b", "", false);
    cr_assert_eq(run_wait_exit(one), 100 + HPT_RUN_END_CAP);
    cr_assert_eq(run_wait_exit(two), 100 + HPT_RUN_END_CAP);
    cr_assert_str_eq(run_tier("b", 0), "mps");
}

// ---- faults

// Run a, of this process id, ends; its trial was collateral, and then done.
static void cr_a_is_not_charged(pid_t pid) {
    cr_assert_eq(run_wait_exit(pid), 100 + HPT_RUN_END_CAP);
    run_has(run_attr("a", 0, "s:hpt:attempts"), "{\"outcome\": \"collateral\", ");
    cr_assert_str_eq(run_attr("a", 0, "s:hpt:outcome"), "");
}

// The first attempt of b's trial is gone from the server before a's fails, and fails when a's second has begun.
Test(run_mps_shared, a_fault_that_hits_one_trial_of_each_run_is_charged_to_none)
{
    const hpt_run_options first = of("a", 1), second = of("b", 1);
    run_sweep_file("[ $HPT_RESUME = 1 ] && { > a2; while [ ! -e b2 ]; do sleep 0.02; done; exec echo loss=1; }; " CLIENT
                   "> up.a; while [ ! -e gone ]; do sleep 0.02; done; rm $d/client.$$; " WORDS,
                   1, SHARE("0.5"));
    const pid_t one = run_fork(&first);
    run_wait_for("up.a");
    run_sweep_file("[ $HPT_RESUME = 1 ] && { > b2; exec echo loss=1; }; " CLIENT
                   "rm $d/client.$$; > gone; while [ ! -e a2 ]; do sleep 0.02; done; " WORDS,
                   1, SHARE("0.5"));
    const pid_t two = run_fork(&second);
    cr_assert_eq(run_wait_exit(two), 100 + HPT_RUN_END_CAP);
    cr_a_is_not_charged(one);
    run_has(run_attr("b", 0, "s:hpt:attempts"), "{\"outcome\": \"collateral\", ");
}

// The trial of b computes on the host, and is a client, for a second after a's has failed. a knows of it by the look that finds its own
// second trial.
Test(run_mps_shared, nor_where_the_other_runs_trial_notices_it_only_later)
{
    const hpt_run_options first = of("a", 2), second = of("b", 1);
    run_sweep_file(
        "[ $HPT_RESUME = 1 ] && exec echo loss=1; if [ $HPT_TRIAL = 1 ]; then while [ ! -e up.b ]; do sleep 0.02; done; " CLIENT
        "while [ ! -e end.1 ]; do sleep 0.02; done; rm $d/client.$$; > ended.1; exec echo loss=1; fi; " CLIENT
        "> up.a; while [ ! -e now ]; do sleep 0.02; done; rm $d/client.$$; > gone; " WORDS,
        2, SHARE("0.25"));
    const pid_t one = run_fork(&first);
    run_wait_for("up.a");
    run_sweep_file("[ $HPT_RESUME = 1 ] && exec echo loss=1; " CLIENT
                   "> up.b; while [ ! -e gone ]; do sleep 0.02; done; sleep 1; rm $d/client.$$; " WORDS,
                   1, SHARE("0.25"));
    const pid_t two = run_fork(&second);
    wait_for_tier("hpt_runs/a", 2);
    run_file("end.1", "", false);
    run_wait_for("ended.1");
    run_nap(0.5);
    run_file("now", "", false);
    cr_assert_eq(run_wait_exit(two), 100 + HPT_RUN_END_CAP);
    cr_a_is_not_charged(one);
}

Test(run_mps_shared, nor_where_the_other_run_has_given_its_share_back_when_it_is_asked_for)
{
    const hpt_run_options first = of("a", 1), second = of("b", 1);
    run_sweep_file("[ $HPT_RESUME = 1 ] && exec echo loss=1; " CLIENT
                   "> up.a; while [ ! -e now ]; do sleep 0.02; done; rm $d/client.$$; " WORDS,
                   1, SHARE("0.25"));
    const pid_t one = run_fork(&first);
    run_wait_for("up.a");
    run_sweep_file(CLIENT "sleep 1.5; echo loss=1", 1, SHARE("0.25"));
    const pid_t two = run_fork(&second);
    cr_assert_eq(run_wait_exit(two), 100 + HPT_RUN_END_CAP);
    run_file("now", "", false);
    cr_a_is_not_charged(one);
}

// A client that is no trial of the run: a process of the test's, whose number is in file `stranger`.
static pid_t make_stranger(void) {
    char text[24];
    const pid_t pid = fork();
    if (pid == 0) {
        setsid();
        execlp("sleep", "sleep", "60", NULL);
        _exit(1);
    }
    snprintf(text, sizeof text, "%d", (int)pid);
    run_file("stranger", text, false);
    return pid;
}

#define BESIDE_A_STRANGER                                                                                       \
    "[ $HPT_RESUME = 1 ] && exec echo loss=1; s=$(cat stranger); > $CUDA_MPS_PIPE_DIRECTORY/client.$s; " CLIENT \
    "while [ ! -e $d/seen.$s ]; do sleep 0.02; done; "

static pid_t stranger;

static void end_stranger(const hpt_run_event *e) {
    if (e->kind != HPT_RUN_TRIAL_ENDED || stranger <= 0) return;
    kill(stranger, SIGKILL);
    waitpid(stranger, NULL, 0);
    stranger = 0;
}

Test(run_mps_shared, a_fault_beside_a_client_that_is_no_trial_of_the_run_is_not_charged)
{
    const hpt_run_options o = of("a", 1);
    stranger = make_stranger();
    record.hook = end_stranger;
    run_sweep_file(BESIDE_A_STRANGER "> $d/fault; exit 1", 1, SHARE("0.5"));
    const hpt_run_summary s = run_ok(&o);
    cr_assert(s.n_done == 1 && s.n_failed == 0, "%s", record.notices);
    run_has(run_attr("a", 0, "s:hpt:attempts"), "collateral");
}

Test(run_mps_shared, a_fault_that_only_the_words_tell_of_is_not_charged_where_the_stranger_is_gone_too)
{
    const hpt_run_options o = of("a", 1);
    stranger = make_stranger();
    record.hook = end_stranger;
    run_sweep_file(BESIDE_A_STRANGER "rm $d/client.$s $d/client.$$; " WORDS, 1, SHARE("0.5"));
    const hpt_run_summary s = run_ok(&o);
    cr_assert(s.n_done == 1 && s.n_failed == 0, "%s", record.notices);
}

Test(run_mps_shared, where_the_stranger_is_served_on_the_driver_contained_the_fault_and_it_is_charged)
{
    const hpt_run_options o = of("a", 1);
    stranger = make_stranger();
    record.hook = end_stranger;
    run_sweep_file(BESIDE_A_STRANGER "rm $d/client.$$; " WORDS, 1, SHARE("0.5"));
    const hpt_run_summary s = run_ok(&o);
    cr_assert(s.n_done == 0 && s.n_failed == 1, "%s", record.notices);
}

// ---- a controller that should be started anew while another run uses it

static const char DEAF[] = "env > $HPT_TRIAL_DIR/env; echo $CUDA_MPS_PIPE_DIRECTORY > pipe.$HPT_TRIAL; "
                           "if [ $HPT_TRIAL = 0 ]; then trap '' TERM; > $CUDA_MPS_PIPE_DIRECTORY/client.$$; "
                           "while :; do sleep 0.05; done; fi; echo loss=1";
static const char DEAF_LIMITS[] = "hpt: {resources: {gpu: 0.5, cpu: 0.1}, grace: 0.2, timeout: {trial: 0.5}}\n";

static pid_t start_other(void) {
    const hpt_run_options second = of("b", 1);
    run_sweep_file(HELD("b"), 1, SHARE("0.5"));
    const pid_t pid = run_fork(&second);
    run_wait_for("up.b.0");
    wait_for_tier("hpt_runs/b", 1);
    return pid;
}

static void when_told_to_wait(const hpt_run_event *e) {
    if (e->kind == HPT_RUN_NOTICE && strstr(e->text, "other runs use its MPS controller")) run_time_passes(11);
}

Test(run_mps_shared, a_controller_that_another_run_uses_is_not_started_anew_but_used_again_when_it_is_in_order)
{
    char first[64], then[64];
    const hpt_run_options o = of("a", 1);
    const pid_t other = start_other();
    setenv("FAKE_MPS", "noterm", 1);
    run_sweep_file(DEAF, 2, DEAF_LIMITS);
    record.hook = when_told_to_wait;
    run_ok(&o);
    unsetenv("FAKE_MPS");
    cr_assert_eq(record.outcome[0], HPT_OUTCOME_TIMEOUT);
    run_has(record.notices, "could not end a client (1): nothing is started there");
    run_has(record.notices, "other runs use its MPS controller");
    read_pipe(first, "pipe.0");
    read_pipe(then, "pipe.1");
    cr_assert_str_eq(first, then);
    cr_assert_eq(count_mps(first), 1);
    run_file("go.b", "", false);
    cr_assert_eq(run_wait_exit(other), 100 + HPT_RUN_END_CAP);
    cr_assert_str_eq(run_tier("b", 0), "mps");
    cr_nothing_left(first);
}

Test(run_mps_shared, a_second_signal_ends_the_work_of_trials_before_they_are_killed_where_another_run_uses_their_server)
{
    char line[64];
    const hpt_run_options o = of("a", 1);
    const pid_t other = start_other();
    setenv("FAKE_MPS_LOG", "log", 1);
    run_sweep_file("trap '' TERM; echo $$ > pid; " CLIENT "> up.a; while :; do sleep 0.05; done", 1,
                   "hpt: {resources: {gpu: 0.5, cpu: 0.1}, grace: 1000}\n");
    const pid_t pid = run_fork(&o);
    unsetenv("FAKE_MPS_LOG");
    run_wait_for("up.a");
    kill(pid, SIGINT);
    run_wait_for("hpt_runs/a/trials/000000/stop");
    kill(pid, SIGINT);
    cr_assert_eq(run_wait_exit(pid), 100 + HPT_RUN_END_STOPPED);
    snprintf(line, sizeof line, "terminate_client %d alive\n", atoi(run_read("pid")));
    cr_assert_str_eq(run_read("log"), line);
    run_file("go.b", "", false);
    cr_assert_eq(run_wait_exit(other), 100 + HPT_RUN_END_CAP);
}

static pid_t other_run;

static void when_stuck(const hpt_run_event *e) {
    if (e->kind != HPT_RUN_NOTICE) return;
    if (strstr(e->text, "nothing is started there until the")) run_time_passes(11);
    if (!strstr(e->text, "other runs use its MPS controller")) return;
    run_file("go.b", "", false);
    cr_assert_eq(run_wait_exit(other_run), 100 + HPT_RUN_END_CAP);
    run_time_passes(11);
}

Test(run_mps_shared, a_controller_that_stays_in_fault_is_started_anew_when_the_other_run_has_ended)
{
    char first[64], then[64];
    const hpt_run_options o = of("a", 1);
    other_run = start_other();
    record.hook = when_stuck;
    run_sweep_file("echo $CUDA_MPS_PIPE_DIRECTORY > pipe.$HPT_ATTEMPT; [ $HPT_RESUME = 1 ] && exec echo loss=1; " CLIENT
                   "> $d/fault; exit 1",
                   1, SHARE("0.5"));
    const hpt_run_summary s = run_ok(&o);
    cr_assert(s.n_done == 1 && s.n_failed == 0, "%s", record.notices);
    run_has(record.notices, "stays in state FAULT");
    read_pipe(first, "pipe.0");
    read_pipe(then, "pipe.1");
    cr_assert_str_neq(first, then);
    cr_nothing_left(first);
    cr_nothing_left(then);
}
