// SPDX-License-Identifier: Apache-2.0
// test_run_control.c: hpt_run_sweep under interruption: stops, signals, kill -9, two runs at once; the socket and the
// client; shares of declared GPUs.
#include "run_support.h"

#include <criterion/criterion.h>
#include <hpt/client.h>
#include <hpt/status.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

TestSuite(run_resume, .init = run_enter, .fini = run_leave);
TestSuite(run_stop, .init = run_enter, .fini = run_leave);
TestSuite(run_socket, .init = run_enter, .fini = run_leave);
TestSuite(run_shares, .init = run_enter, .fini = run_leave);
TestSuite(run_client, .init = run_enter, .fini = run_leave);

static int count_files(const char *command) { // number of lines of a shell command
    char text[64] = "";
    FILE *p = popen(command, "r");
    cr_assert(p && fgets(text, sizeof text, p));
    pclose(p);
    return atoi(text);
}

Test(run_resume, a_second_run_of_one_folder_is_refused)
{
    run_sweep_file("touch up; while [ ! -e go ]; do sleep 0.02; done; echo loss=1", 2, NULL);
    pid_t pid = run_fork(NULL);
    run_wait_for("up");
    hpt_run_summary s;
    char owner[32];
    cr_assert_eq(run_it(&s, NULL), HPT_E_BUSY);
    snprintf(owner, sizeof owner, "process %ld", (long)pid);
    cr_assert(strstr(hpt_last_error(), owner) && strstr(hpt_last_error(), "hpt stop"), "%s", hpt_last_error());
    run_file("go", "", false);
    cr_assert_eq(run_wait_exit(pid), 100 + HPT_RUN_END_CAP);
    int64_t counts[5];
    run_counts(counts, "t");
    cr_assert_eq(counts[HPT_TRIAL_COMPLETE], 2, "the refused run changed nothing");
}

Test(run_resume, kill_9_at_any_time_loses_no_told_trial_and_makes_none_too_many)
{
    run_sweep_file("sh -c 'sleep 0.05; :' & (setsid sleep 300 &); sleep 0.03; echo loss=$HPT_TRIAL", 24, NULL);
    int64_t told = 0;
    for (int round = 0; round < 6; round++) {
        pid_t pid = run_fork(NULL);
        run_nap(0.08 + 0.07 * round);
        kill(pid, SIGKILL);
        int status;
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        if (access("hpt_runs/t/study.db", F_OK) != 0) continue;
        hpt_study *study = NULL;
        hpt_study_options o = HPT_STUDY_OPTIONS_INIT;
        o.storage = "sqlite:///hpt_runs/t/study.db";
        o.mode = HPT_OPEN_READ_ONLY;
        if (hpt_study_open(&study, &o) < 0) continue; // killed while it was made
        int64_t counts[5];
        cr_assert_eq(hpt_study_counts(counts, study), 0);
        hpt_study_close(study);
        cr_assert(counts[HPT_TRIAL_COMPLETE] >= told);
        told = counts[HPT_TRIAL_COMPLETE];
    }
    hpt_run_summary s = run_ok(NULL);
    cr_assert_eq(s.end, HPT_RUN_END_CAP);
    int64_t counts[5], total = 0;
    run_counts(counts, "t");
    for (int i = 0; i < 5; i++) total += counts[i];
    cr_assert_eq(total, 24);
    cr_assert_eq(counts[HPT_TRIAL_COMPLETE], 24, "%d complete, %d failed", (int)counts[1], (int)counts[3]);
    cr_assert_eq(run_processes(), 0, "leftovers of all rounds are gone");
}

Test(run_resume, a_lost_trial_starts_again_with_its_number_and_folder)
{
    run_sweep_file("if [ $HPT_RESUME = 0 ]; then echo saved > $HPT_CHECKPOINT_DIR/c; touch up.$HPT_TRIAL; sleep 60; "
                   "else cat $HPT_CHECKPOINT_DIR/c; echo loss=$HPT_ATTEMPT; fi",
                   2, NULL);
    pid_t pid = run_fork(NULL);
    run_wait_for("up.0");
    run_wait_for("up.1");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    hpt_run_summary s = run_ok(NULL);
    cr_assert_eq(s.n_done, 2);
    cr_assert(record.value[0] == 1 && record.value[1] == 1);
    cr_assert_str_eq(run_read("hpt_runs/t/trials/000001/stdout.log"), "saved\nloss=1\n");
    cr_assert(strstr(run_attr("t", 0, "s:hpt:attempts"), "[{\"outcome\": \"lost\"}, {\"outcome\": \"running\""), "%s",
              run_attr("t", 0, "s:hpt:attempts"));
    cr_assert_eq(run_processes(), 0);
}

Test(run_resume, a_trial_lost_eleven_times_is_given_up)
{
    run_sweep_file("touch up.$HPT_ATTEMPT; sleep 60", 1, NULL);
    for (int i = 0; i < 11; i++) {
        char up[16];
        pid_t pid = run_fork(NULL);
        snprintf(up, sizeof up, "up.%d", i);
        run_wait_for(up);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    hpt_run_summary s = run_ok(NULL);
    cr_assert_eq(s.n_failed, 1);
    cr_assert_eq(record.n_started, 0);
    cr_assert_eq(record.outcome[0], HPT_OUTCOME_LOST);
    cr_assert(strstr(record.reason[0], "11 times"));
}

Test(run_resume, an_old_folder_of_another_study_is_put_aside)
{
    run_sweep_file("cat $HPT_CHECKPOINT_DIR/* 2>/dev/null; echo old > $HPT_CHECKPOINT_DIR/c; echo loss=1", 1, NULL);
    run_ok(NULL);
    cr_assert_eq(unlink("hpt_runs/t/study.db"), 0);
    (void)unlink("hpt_runs/t/study.db-wal");
    (void)unlink("hpt_runs/t/study.db-shm");
    hpt_run_summary s = run_ok(NULL);
    cr_assert_eq(s.n_done, 1);
    cr_assert_str_eq(run_read("hpt_runs/t/trials/000000/stdout.log"), "loss=1\n", "no checkpoint of the other study");
}

// ---- stops

Test(run_stop, sigterm_ends_trials_gently_and_the_next_run_goes_on)
{
    run_sweep_file("trap 'touch saved.$HPT_TRIAL; exit 0' TERM; touch up.$HPT_TRIAL; "
                   "[ $HPT_RESUME = 1 ] && { echo loss=1; exit; }; while :; do sleep 0.02; done",
                   3, "hpt: {grace: 20}\n");
    pid_t pid = run_fork(NULL);
    run_wait_for("up.0");
    run_wait_for("up.1");
    kill(pid, SIGTERM);
    cr_assert_eq(run_wait_exit(pid), 100 + HPT_RUN_END_STOPPED);
    cr_assert(access("saved.0", F_OK) == 0 && access("saved.1", F_OK) == 0);
    cr_assert_eq(run_processes(), 0);
    int64_t counts[5];
    run_counts(counts, "t");
    cr_assert_eq(counts[HPT_TRIAL_RUNNING], 2);
    cr_assert(strstr(run_attr("t", 0, "s:hpt:attempts"), "\"outcome\": \"stopped\""));
    setenv("HPT_RESUME", "1", 1); // trial 2 is new and must see 0 whatever is inherited
    pid = run_fork(NULL);
    run_wait_for("up.2");
    run_nap(0.3);
    kill(pid, SIGTERM);
    cr_assert_eq(run_wait_exit(pid), 100 + HPT_RUN_END_STOPPED);
    run_counts(counts, "t");
    cr_assert(counts[HPT_TRIAL_COMPLETE] == 2 && counts[HPT_TRIAL_RUNNING] == 1);
    cr_assert_eq(run_ok(NULL).n_done, 3);
}

Test(run_stop, a_second_signal_ends_everything_at_once)
{
    run_sweep_file("trap '' TERM INT; touch up.$HPT_TRIAL; while :; do sleep 0.02; done", 2, "hpt: {grace: 1000}\n");
    pid_t pid = run_fork(NULL);
    run_wait_for("up.0");
    run_wait_for("up.1");
    kill(pid, SIGINT);
    run_nap(0.3);
    cr_assert_eq(waitpid(pid, NULL, WNOHANG), 0, "the first signal waits for the grace time");
    kill(pid, SIGINT);
    cr_assert_eq(run_wait_exit(pid), 100 + HPT_RUN_END_STOPPED);
    cr_assert_eq(run_processes(), 0);
}

Test(run_stop, hpt_run_stop_ends_the_run)
{
    run_sweep_file("touch up; while :; do sleep 0.02; done", 2, "hpt: {grace: 20}\n");
    cr_assert_eq(hpt_run_stop("hpt_runs/t", -1), HPT_E_NOT_FOUND);
    pid_t pid = run_fork(NULL);
    run_wait_for("up");
    cr_assert_eq(hpt_run_stop("hpt_runs/t", 77), HPT_E_NOT_FOUND);
    cr_assert(strstr(hpt_last_error(), "77"));
    cr_assert_eq(hpt_run_stop("hpt_runs/latest", -1), 0, "%s", hpt_last_error());
    cr_assert_eq(run_wait_exit(pid), 100 + HPT_RUN_END_STOPPED);
    cr_assert_eq(hpt_run_stop("hpt_runs/t", -1), HPT_E_NOT_FOUND);
    cr_assert_eq(run_processes(), 0);
}

Test(run_stop, one_trial_can_be_stopped)
{
    run_sweep_file(
        "if [ $HPT_TRIAL -lt 2 ]; then [ $HPT_TRIAL = 0 ] && echo loss=9; touch up.$HPT_TRIAL; sleep 60; fi; "
        "echo loss=1",
        4, "hpt: {grace: 20}\n");
    pid_t pid = run_fork(NULL);
    run_wait_for("up.0");
    run_wait_for("up.1");
    run_nap(0.1);
    cr_assert_eq(hpt_run_stop("hpt_runs/t", 0), 0, "%s", hpt_last_error());
    cr_assert_eq(hpt_run_stop("hpt_runs/t", 1), 0, "%s", hpt_last_error());
    cr_assert_eq(run_wait_exit(pid), 100 + HPT_RUN_END_CAP);
    int64_t counts[5];
    run_counts(counts, "t");
    cr_assert(counts[HPT_TRIAL_COMPLETE] == 2 && counts[HPT_TRIAL_PRUNED] == 1 && counts[HPT_TRIAL_FAIL] == 1,
              "pruned with a report, failed without");
}

Test(run_stop, the_sweeps_time_limit_leaves_trials_for_the_next_run)
{
    run_sweep_file("[ $HPT_RESUME = 1 ] || sleep 60; echo loss=1", 2, "hpt: {grace: 20}\n");
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.slots = 2;
    o.timeout = 0.4;
    hpt_run_summary s = run_ok(&o);
    cr_assert_eq(s.end, HPT_RUN_END_TIMEOUT);
    cr_assert_eq(s.n_done + s.n_failed + s.n_pruned, 0);
    cr_assert_eq(record.outcome[0], HPT_OUTCOME_STOPPED);
    cr_assert_eq(run_processes(), 0);
    s = run_ok(NULL);
    cr_assert_eq(s.end, HPT_RUN_END_CAP);
    cr_assert_eq(s.n_done, 2);
}

Test(run_stop, the_callers_signals_are_given_back_after_a_run_and_after_one_that_did_not_begin)
{
    sigset_t before, after;
    struct sigaction now;
    hpt_run_summary summary;
    hpt_run_options refused = HPT_RUN_OPTIONS_INIT;
    refused.storage = ":memory:";
    signal(SIGCHLD, SIG_IGN); // with this, children could not be waited for
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    run_sweep_file("echo loss=1", 2, NULL);
    for (int i = 0; i < 2; i++) {
        int subreaper = -1;
        if (i == 0)
            cr_assert_lt(run_it(&summary, &refused), 0);
        else
            cr_assert_eq(run_ok(NULL).n_done, 2);
        pthread_sigmask(SIG_SETMASK, NULL, &after);
        for (int s = 1; s < 32; s++) cr_assert_eq(sigismember(&before, s), sigismember(&after, s));
        sigaction(SIGCHLD, NULL, &now);
        cr_assert_eq(now.sa_handler, SIG_IGN);
        sigaction(SIGTERM, NULL, &now);
        cr_assert_eq(now.sa_handler, SIG_DFL);
        prctl(PR_GET_CHILD_SUBREAPER, &subreaper);
        cr_assert_eq(subreaper, 0);
    }
}

// Lets every signal through, as threads of drivers and numerical libraries may that were started before the run.
static void *of_a_library(void *payload) {
    while (!*(volatile bool *)payload) pause();
    return NULL;
}

static int sent; // what on_tick_send sends, once
static void on_tick_send(const hpt_run_event *e) {
    if (e->kind != HPT_RUN_TICK || sent == 0) return;
    const int number = sent;
    sent = 0;
    kill(getpid(), number);
}

Test(run_stop, a_signal_that_another_thread_lets_through_stops_the_run)
{
    pthread_t thread;
    bool over = false;
    cr_assert_eq(pthread_create(&thread, NULL, of_a_library, &over), 0);
    run_sweep_file("sleep 60", 1, NULL);
    record.hook = on_tick_send;
    sent = SIGTERM;
    cr_assert_eq(run_ok(NULL).end, HPT_RUN_END_STOPPED);
    cr_assert_eq(run_processes(), 0);
}

Test(run_stop, a_hangup_that_the_caller_ignores_does_not_stop_it_as_under_nohup)
{
    run_sweep_file("sleep 1; echo loss=1", 2, NULL);
    record.hook = on_tick_send;
    sent = SIGHUP;
    signal(SIGHUP, SIG_IGN);
    cr_assert_eq(run_ok(NULL).end, HPT_RUN_END_CAP);
    cr_assert_eq(sent, 0);
    cr_assert_eq(signal(SIGHUP, SIG_DFL), SIG_IGN);
}

static bool child_ended;
static void on_tick_fork(const hpt_run_event *e) {
    int fd[2];
    sigset_t all;
    if (e->kind != HPT_RUN_TICK || child_ended) return;
    cr_assert_eq(pipe(fd), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        sigfillset(&all);
        pthread_sigmask(SIG_UNBLOCK, &all, NULL);
        for (;;) pause();
    }
    close(fd[1]);
    kill(pid, SIGTERM);
    child_ended = poll(&(struct pollfd){.fd = fd[0], .events = POLLIN}, 1, 20000) == 1;
    kill(pid, SIGKILL);
    close(fd[0]);
}

Test(run_stop, a_process_that_the_caller_forks_meanwhile_ends_at_a_signal)
{
    run_sweep_file("sleep 1; echo loss=1", 1, NULL);
    record.hook = on_tick_fork;
    run_ok(NULL);
    cr_assert(child_ended);
}

// A thread that is not the main one, whose process lets SIGCHLD through elsewhere: ends are noticed all the same.
static void *in_thread(void *payload) {
    *(int *)payload = (int)run_ok(NULL).n_done;
    return NULL;
}

Test(run_stop, any_thread_may_run_a_sweep)
{
    int done = 0;
    pthread_t thread;
    run_sweep_file("echo loss=1", 20, NULL);
    cr_assert_eq(pthread_create(&thread, NULL, in_thread, &done), 0);
    pthread_join(thread, NULL);
    cr_assert_eq(done, 20);
}

// ---- socket

static int dial(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 20}, sizeof(struct timeval));
    return fd;
}

static const char *talk(int fd, const char *request) {
    static char reply[4096];
    size_t n = 0;
    cr_assert_eq(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
    while (n + 1 < sizeof reply && (n == 0 || reply[n - 1] != '\n')) {
        ssize_t k = recv(fd, reply + n, 1, 0);
        cr_assert_eq(k, 1, "no answer to %s", request);
        n++;
    }
    reply[n ? n - 1 : 0] = '\0';
    return reply;
}

Test(run_socket, reports_come_and_answers_go)
{
    run_sweep_file("touch up; while [ ! -e go ]; do sleep 0.02; done; exit 0", 1, NULL);
    pid_t pid = run_fork(NULL);
    run_wait_for("up");
    int fd = dial("hpt_runs/t/socket");
    cr_assert_str_eq(talk(fd, "{\"trial\":0,\"attempt\":0,\"step\":3,\"value\":0.5}\n"),
                     "{\"ok\":true,\"stop\":false}");
    cr_assert_str_eq(talk(fd, "{\"trial\":0,\"step\":4,\"metrics\":{\"acc\":1,\"loss\":0.25}}\n"),
                     "{\"ok\":true,\"stop\":false}");
    cr_assert_str_eq(talk(fd, "{\"trial\":0,\"metrics\":{\"acc\":1}}\n"), "{\"ok\":true,\"stop\":false}");
    cr_assert(strstr(talk(fd, "{\"trial\":0,\"attempt\":1,\"value\":9}\n"), "\"ok\":false"), "another attempt");
    cr_assert(strstr(talk(fd, "{\"trial\":5,\"value\":9}\n"), "\"ok\":false"));
    cr_assert(strstr(talk(fd, "{\"trial\":0,\"token\":\"wrong\",\"value\":9}\n"), "\"ok\":false"));
    cr_assert(strstr(talk(fd, "{\"value\":9}\n"), "names its trial"));
    cr_assert(strstr(talk(fd, "{nonsense\n"), "\"ok\":false"));
    cr_assert(strstr(talk(fd, "[1]\n"), "object"));
    cr_assert(strstr(talk(fd, "{\"op\":\"dance\"}\n"), "unknown op"));
    const char *status = talk(fd, "{\"op\":\"status\"}\n");
    cr_assert(strstr(status, "\"study\":\"t\"") && strstr(status, "\"trial\":0"), "%s", status);
    int other = dial("hpt_runs/t/socket"); // cut in pieces, on a second connection
    cr_assert_eq(send(other, "{\"trial\":0,", 11, 0), 11);
    run_nap(0.05);
    cr_assert_str_eq(talk(other, "\"step\":5,\"value\":0.125}\n"), "{\"ok\":true,\"stop\":false}");
    close(other);
    close(fd);
    run_file("go", "", false);
    cr_assert_eq(run_wait_exit(pid), 100 + HPT_RUN_END_CAP);
    hpt_study *study = run_study("t");
    hpt_trial *t;
    const double *v;
    int64_t n;
    cr_assert_eq(hpt_study_trial(&t, study, 0), 0);
    cr_assert_eq(hpt_trial_values(&v, &n, t), 0);
    cr_assert(n == 1 && v[0] == 0.125, "the last report is the value");
    hpt_trial_destroy(t);
    hpt_study_close(study);
}

Test(run_socket, a_client_that_never_reads_or_never_ends_its_line_is_cut_off)
{
    run_sweep_file("touch up; while [ ! -e go ]; do sleep 0.02; done; echo loss=1", 1, NULL);
    pid_t pid = run_fork(NULL);
    run_wait_for("up");
    int fd = dial("hpt_runs/t/socket");
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){.tv_sec = 20}, sizeof(struct timeval));
    static char junk[65536];
    memset(junk, 'x', sizeof junk);
    ssize_t sent = 0, k;
    while ((k = send(fd, junk, sizeof junk, MSG_NOSIGNAL)) > 0 && sent < 64 << 20) sent += k;
    cr_assert(sent < 8 << 20, "a line of %d bytes was taken", (int)sent);
    close(fd);
    fd = dial("hpt_runs/t/socket");
    for (sent = 0; sent < 64 << 20; sent += k) {
        static const char status[] = "{\"op\":\"status\"}\n";
        if ((k = send(fd, status, sizeof status - 1, MSG_NOSIGNAL)) <= 0) break;
    }
    cr_assert(sent < 64 << 20, "answers pile up");
    close(fd);
    run_file("go", "", false);
    cr_assert_eq(run_wait_exit(pid), 100 + HPT_RUN_END_CAP, "the run itself is well");
}

Test(run_socket, a_path_too_long_for_a_socket_is_no_obstacle)
{
    char dir[160];
    memset(dir, 'd', sizeof dir - 1);
    dir[sizeof dir - 1] = '\0';
    run_sweep_file(
        "echo $HPT_SOCKET > socket-path; test -S $HPT_SOCKET && touch up; while [ ! -e go ]; do sleep 0.02; done; "
        "echo loss=1",
        1, NULL);
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.run_dir = dir;
    pid_t pid = run_fork(&o);
    run_wait_for("up");
    cr_assert(strlen(run_read("socket-path")) < 108);
    char path[128];
    snprintf(path, sizeof path, "%s", run_read("socket-path"));
    path[strcspn(path, "\n")] = '\0';
    cr_assert(strstr(talk(dial(path), "{\"op\":\"status\"}\n"), "\"ok\":true"));
    cr_assert_eq(hpt_run_stop(dir, 5), HPT_E_NOT_FOUND);
    cr_assert(strstr(hpt_last_error(), "does not run here"), "it was reached: %s", hpt_last_error());
    run_file("go", "", false);
    cr_assert_eq(run_wait_exit(pid), 100 + HPT_RUN_END_CAP);
    cr_assert_neq(access(path, F_OK), 0, "the private folder is removed");
}

// ---- shares

Test(run_shares, gpu_shares_never_exceed_a_device)
{
    // Every trial enters the folder of its device, counts who is there, and leaves.
    run_sweep_file(
        "d=dev.$CUDA_VISIBLE_DEVICES; mkdir -p $d; touch $d/$HPT_TRIAL; sleep 0.1; ls $d | wc -l >> most; "
        "rm $d/$HPT_TRIAL; echo \"$CUDA_VISIBLE_DEVICES $HPT_GPU_SHARE $HPT_GPU_MEM_BYTES\" >> seen; echo loss=1",
        16, "hpt: {resources: {gpu: 0.5, cpu: 0.1}}\n");
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.gpus = "2x40GiB";
    hpt_run_summary s = run_ok(&o);
    cr_assert_eq(s.n_done, 16);
    cr_assert_eq(record.most_running, 4);
    cr_assert_eq(count_files("sort -n most | tail -n 1"), 2, "two halves on a device and no third");
    cr_assert_eq(count_files("sort -u seen | wc -l"), 2);
    cr_assert_eq(count_files("grep -c '^[01] 0.5 21474836480$' seen"), 16);
}

Test(run_shares, trials_without_gpu_see_none_of_the_declared)
{
    run_sweep_file("echo \"<$CUDA_VISIBLE_DEVICES>\" > $HPT_TRIAL_DIR/gpus; echo loss=1", 1, NULL);
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.gpus = "2";
    setenv("CUDA_VISIBLE_DEVICES", "0,1", 1);
    run_ok(&o);
    cr_assert_str_eq(run_read("hpt_runs/t/trials/000000/gpus"), "<>\n");
}

Test(run_shares, whole_gpus_come_as_a_list)
{
    run_sweep_file("echo \"$CUDA_VISIBLE_DEVICES\" >> seen; echo loss=1", 3, "hpt: {resources: {gpu: 2}}\n");
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.gpus = "3";
    run_ok(&o);
    cr_assert_eq(record.most_running, 1);
    cr_assert_eq(count_files("grep -c '^[0-2],[0-2]$' seen"), 3);
}

Test(run_shares, threads_follow_the_cores_a_trial_has)
{
    run_sweep_file("echo \"<$OMP_NUM_THREADS>\" > $HPT_TRIAL_DIR/n; echo loss=1", 1, "hpt: {resources: {cpu: 1.5}}\n");
    cpu_set_t set;
    cr_assert_eq(sched_getaffinity(0, sizeof set, &set), 0);
    if (CPU_COUNT(&set) < 2) cr_skip_test("one core");
    run_ok(NULL);
    cr_assert_str_eq(run_read("hpt_runs/t/trials/000000/n"), "<1>\n");
    setenv("OMP_NUM_THREADS", "7", 1);
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.study = "u";
    run_ok(&o);
    cr_assert_str_eq(run_read("hpt_runs/u/trials/000000/n"), "<7>\n", "the user's setting stands");
}

// ---- client

Test(run_client, outside_a_trial_it_does_nothing)
{
    unsetenv("HPT_REPORT_FILE");
    unsetenv("HPT_STOP_FILE");
    unsetenv("HPT_RESUME");
    cr_assert_not(hpt_client_enabled());
    cr_assert_eq(hpt_client_report(1, 0.5), HPT_CLIENT_CONTINUE);
    cr_assert_eq(hpt_client_report_line("loss=1"), 0);
    cr_assert_not(hpt_client_should_stop());
    cr_assert_null(hpt_client_checkpoint_dir());
    cr_assert_not(hpt_client_resume());
    cr_assert_eq(hpt_client_trial(), -1);
    cr_assert_eq(hpt_client_seed(5), 5);
    cr_assert_eq(hpt_client_param_double("lr", 0.5), 0.5);
}

Test(run_client, parameters_are_read_by_their_names)
{
    setenv("HPT_PARAM_OPT_LR", "1e-05", 1);
    setenv("HPT_PARAM_N", "-12", 1);
    setenv("HPT_PARAM_KIND", "adam", 1);
    cr_assert_eq(hpt_client_param_double("opt.lr", 0), 1e-5);
    cr_assert_eq(hpt_client_param_int("n", 0), -12);
    cr_assert_eq(hpt_client_param_int("opt.lr", 3), 3, "not a whole number");
    cr_assert_str_eq(hpt_client_param_string("kind", ""), "adam");
    cr_assert_eq(hpt_client_param_double("kind", 0.25), 0.25);
    cr_assert_null(hpt_client_param_string("missing", NULL));
}

Test(run_client, reports_are_lines_and_the_stop_file_is_seen)
{
    setenv("HPT_TRIAL", "3", 1);
    setenv("HPT_REPORT_FILE", "report", 1);
    setenv("HPT_STOP_FILE", "stop", 1);
    cr_assert(hpt_client_enabled());
    cr_assert_eq(hpt_client_report(2, 0.1), HPT_CLIENT_CONTINUE);
    cr_assert_eq(hpt_client_report(-1, NAN), HPT_CLIENT_CONTINUE);
    cr_assert_eq(hpt_client_report_line("two\nlines"), -1);
    cr_assert_str_eq(run_read("report"), "step=2 value=0.10000000000000001\nvalue=nan\n");
    cr_assert_not(hpt_client_should_stop());
    run_file("stop", "", false);
    cr_assert_eq(hpt_client_report(3, 1), HPT_CLIENT_STOP);
    cr_assert(hpt_client_should_stop());
}

Test(run_client, a_c_program_works_as_a_trial)
{
    run_file("trial.c",
             "#include <hpt/client.h>\n"
             "int main(void) {\n"
             "    double x = hpt_client_param_double(\"x\", -1);\n"
             "    for (int i = 0; i < 3; i++)\n"
             "        if (hpt_client_report(i, x + 2 - i) == HPT_CLIENT_STOP) return 1;\n"
             "    return hpt_client_seed(-1) >= 0 && hpt_client_checkpoint_dir() ? 0 : 2;\n"
             "}\n",
             false);
    if (system("cc -std=c99 -Wall -Wextra -pedantic -Werror -I" HPT_SOURCE_DIR "/include -o trial trial.c") != 0)
        cr_assert_fail("client.h does not compile as C99");
    run_sweep_file("exec ./trial", 3, NULL);
    hpt_run_summary s = run_ok(NULL);
    cr_assert_eq(s.n_done, 3, "%s", record.reason[0]);
    cr_assert_eq(record.n_reports, 9);
    cr_assert(s.best >= 0 && s.best <= 1);
}
