// SPDX-License-Identifier: Apache-2.0
// test_mps.c: MPS controllers of our own, over tests/mps/fake_mps_control.c: started, asked, ended; what a killed run
// left; and every way in which the control program can fail, each with one line, no hang and nothing left behind.
#include "core/base/alloc.h"
#include "core/mps/mps.h"
#include <criterion/criterion.h>
#include <hpt/device.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char UUID[] = "GPU-aaaa-1";
static char folder[] = "/tmp/hpt_mps_test_XXXXXX", record[64];
static hpt__mps_set set;

static void enter(void) {
    cr_assert(mkdtemp(folder));
    snprintf(record, sizeof record, "%s/mps.txt", folder);
    setenv("HPT_MPS_CONTROL", HPT_BINARY_DIR "/tests/fake/nvidia-cuda-mps-control", 1);
    unsetenv("FAKE_MPS");
    prctl(PR_SET_CHILD_SUBREAPER, 1); // as a run is
    cr_assert_eq(hpt__mps_open(&set, NULL), 0, "%s", hpt_last_error());
}

static void leave(void) {
    hpt__mps_close(&set, folder);
    rmdir(folder);
}
TestSuite(mps, .init = enter, .fini = leave, .timeout = 120);

static hpt__mps *start(void) {
    int64_t k = -1;
    cr_assert_eq(hpt__mps_start(&k, &set, folder, UUID), 0, "%s", hpt_last_error());
    return &set.items[k];
}

// How many processes of MPS have a pipe folder that begins so.
static int count(const char *begin, const char *role) {
    hpt_mps_info *list = NULL;
    int64_t n = 0;
    int found = 0;
    cr_assert_eq(hpt_mps_list(&list, &n), 0);
    for (int64_t i = 0; i < n; i++)
        found += strncmp(list[i].pipe_directory, begin, strlen(begin)) == 0 && strcmp(list[i].role, role) == 0;
    hpt__free(list);
    return found;
}

static void touch(const hpt__mps *m, const char *fmt, int number) {
    char name[64], path[128];
    snprintf(name, sizeof name, fmt, number);
    snprintf(path, sizeof path, "%s/%s", m->pipe, name);
    FILE *f = fopen(path, "w");
    cr_assert(f);
    fclose(f);
}

static hpt__mps_state wait_for(hpt__mps *m) {
    hpt__mps_state state = HPT__MPS_BUSY;
    while (state == HPT__MPS_BUSY) {
        hpt__mps_call_wait(&m->call);
        state = hpt__mps_look(&set, m);
    }
    return state;
}

static hpt__mps_state look(hpt__mps *m) {
    return hpt__mps_look_begin(&set, m) < 0 ? HPT__MPS_FAILED : wait_for(m);
}

// Ends this process's client.
static hpt__mps_state end(hpt__mps *m, double seconds) {
    const hpt__family me = {.leader = getpid(), .run_id = ""};
    cr_assert_eq(hpt__mps_select(m, &me), 1);
    return hpt__mps_end_begin(&set, m, seconds) < 0 ? HPT__MPS_FAILED : wait_for(m);
}

Test(mps, a_controller_has_private_folders_and_ends_with_its_set_leaving_nothing)
{
    char root[32];
    struct stat st;
    hpt__mps *m = start();
    cr_assert(m->alive, "%s", m->why);
    memcpy(root, set.root, sizeof root);
    cr_assert_eq(stat(root, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0700);
    cr_assert_eq(stat(m->pipe, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0700);
    cr_assert_eq(count(root, "control"), 1);
    cr_assert_eq(access(record, F_OK), 0, "who owns it is on disk");
    touch(m, "client.%d", getpid());
    cr_assert_eq(look(m), HPT__MPS_ANSWERED);
    while (count(root, "server") < 1) usleep(1000); // it is on its way through exec
    hpt__mps_close(&set, folder);
    cr_assert_eq(count(root, "control") + count(root, "server"), 0);
    cr_assert(stat(root, &st) < 0 && access(record, F_OK) < 0);
}

Test(mps, each_gpu_has_a_controller_of_its_own)
{
    hpt__mps *a = start();
    cr_assert(a->alive);
    touch(a, "client.%d", getpid());
    hpt__mps *b = start();
    a = &set.items[0];
    cr_assert(b->alive && strcmp(a->pipe, b->pipe) != 0);
    cr_assert_eq(look(b), HPT__MPS_ANSWERED);
    cr_assert_eq(b->n_clients, 0);
    cr_assert_eq(look(a), HPT__MPS_ANSWERED);
    cr_assert_eq(a->n_clients, 1);
}

Test(mps, a_look_names_clients_and_servers_and_sees_a_fault)
{
    hpt__mps *m = start();
    cr_assert_eq(look(m), HPT__MPS_ANSWERED, "%s", m->why);
    cr_assert(m->n_clients == 0 && m->n_servers == 0 && !m->fault);
    touch(m, "client.%d", getpid());
    touch(m, "client.%d", getppid());
    cr_assert_eq(look(m), HPT__MPS_ANSWERED, "%s", m->why);
    cr_assert(m->n_clients == 2 && m->n_servers == 1 && !m->fault);
    cr_assert_eq(m->clients[0].pid + m->clients[1].pid, getpid() + getppid());
    cr_assert_eq(m->clients[0].server, m->servers[0]);
    touch(m, "fault", 0);
    cr_assert_eq(look(m), HPT__MPS_ANSWERED, "%s", m->why);
    cr_assert(m->fault);
}

Test(mps, a_terminated_client_is_a_client_no_more)
{
    hpt__mps *m = start();
    touch(m, "client.%d", getpid());
    cr_assert_eq(look(m), HPT__MPS_ANSWERED);
    touch(m, "client.%d", 1); // another's
    cr_assert_eq(look(m), HPT__MPS_ANSWERED);
    cr_assert_eq(end(m, 5), HPT__MPS_ANSWERED, "%s", hpt__str_text(&m->call.text));
    cr_assert_eq(look(m), HPT__MPS_ANSWERED);
    cr_assert(m->n_clients == 1 && m->clients[0].pid == 1);
}

Test(mps, a_controller_is_started_anew_in_a_new_folder)
{
    char before[HPT__MPS_PATH];
    hpt__mps *m = start();
    touch(m, "client.%d", getpid());
    cr_assert_eq(look(m), HPT__MPS_ANSWERED);
    memcpy(before, m->pipe, sizeof before);
    cr_assert_eq(hpt__mps_restart_begin(&set, m, folder), 0);
    cr_assert_eq(wait_for(m), HPT__MPS_ANSWERED, "%s", m->why);
    cr_assert(m->alive && strcmp(before, m->pipe) != 0);
    cr_assert_eq(look(m), HPT__MPS_ANSWERED);
    cr_assert_eq(m->n_clients, 0);
    while (count(before, "control") + count(before, "server") > 0) usleep(1000);
}

Test(mps, each_failure_at_the_start_is_one_line_and_leaves_nothing)
{
    static const char *const cases[][2] = {
        {"nostart", "Cannot create the control pipe"},
        {"hangstart", "does not answer in time"},
        {"hang", "does not answer in time"},
        {"garbage", "not understood"},
    };
    set.limit = 0.5;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setenv("FAKE_MPS", cases[i][0], 1);
        hpt__mps *m = start();
        cr_assert(!m->alive, "%s", cases[i][0]);
        cr_assert(strstr(m->why, cases[i][1]), "%s: %s", cases[i][0], m->why);
        cr_assert(strstr(m->why, UUID) && !strchr(m->why, '\n'), "%s", m->why);
    }
    char root[32];
    memcpy(root, set.root, sizeof root);
    hpt__mps_close(&set, folder);
    cr_assert_eq(count(root, "control"), 0);
    cr_assert(access(root, F_OK) < 0);
}

Test(mps, a_controller_that_fails_later_is_given_up_with_one_line)
{
    static const char *const cases[][2] = {{"hang", "does not answer in time"}, {"garbage", "not understood"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsetenv("FAKE_MPS");
        hpt__mps *m = start();
        cr_assert(m->alive, "%s", m->why);
        set.limit = 0.1;
        set.patience = 0.3;
        setenv("FAKE_MPS", cases[i][0], 1);
        for (int k = 1; m->alive; k++) {
            cr_assert_eq(look(m), HPT__MPS_FAILED);
            cr_assert(m->alive || k >= HPT__MPS_FAILURES, "after %d", k);
            usleep(10000);
        }
        cr_assert(strstr(m->why, cases[i][1]) && !strchr(m->why, '\n'), "%s", m->why);
        set.limit = 10;
    }
    // One whose daemon was killed by someone.
    unsetenv("FAKE_MPS");
    hpt__mps *m = start();
    hpt_mps_info *list = NULL;
    int64_t n = 0;
    cr_assert_eq(hpt_mps_list(&list, &n), 0);
    for (int64_t i = 0; i < n; i++)
        if (strcmp(list[i].pipe_directory, m->pipe) == 0) kill((pid_t)list[i].pid, SIGKILL);
    hpt__free(list);
    while (waitpid(-1, NULL, WNOHANG) <= 0) usleep(1000);
    cr_assert(hpt__mps_is_gone(m));
    cr_assert_eq(look(m), HPT__MPS_FAILED);
    cr_assert(!m->alive && m->n_failed == 1, "nobody is waited for who is gone");
    cr_assert(strstr(m->why, "Cannot find MPS control daemon"), "%s", m->why);
}

Test(mps, a_busy_daemon_is_not_given_up_and_its_answer_counts_again)
{
    hpt__mps *m = start();
    touch(m, "client.%d", getpid());
    setenv("FAKE_MPS", "busy=3", 1);
    for (int k = 1; k <= 3; k++) {
        cr_assert_eq(look(m), HPT__MPS_FAILED);
        cr_assert(m->alive && m->n_failed == k && !hpt__mps_is_gone(m));
    }
    cr_assert_eq(look(m), HPT__MPS_ANSWERED);
    cr_assert(m->n_failed == 0 && m->n_clients == 1);
}

Test(mps, a_client_that_cannot_be_terminated_is_one_line_and_no_hang)
{
    static const char *const cases[][2] = {{"noterm", "1"}, {"slowterm", "does not answer in time"}};
    hpt__mps *m = start();
    touch(m, "client.%d", getpid());
    cr_assert_eq(look(m), HPT__MPS_ANSWERED);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setenv("FAKE_MPS", cases[i][0], 1);
        cr_assert_eq(end(m, 0.3), HPT__MPS_FAILED);
        cr_assert(strstr(hpt__str_text(&m->call.text), cases[i][1]), "%s", hpt__str_text(&m->call.text));
    }
    cr_assert(m->alive, "its other clients go on");
}

Test(mps, one_that_does_not_obey_quit_is_ended_all_the_same)
{
    char root[32];
    hpt__mps *m = start();
    cr_assert(m->alive, "%s", m->why);
    memcpy(root, set.root, sizeof root);
    setenv("FAKE_MPS", "deaf", 1);
    set.limit = 0.5;
    hpt__mps_close(&set, folder);
    cr_assert_eq(count(root, "control"), 0);
}

Test(mps, leftovers_of_a_killed_run_are_ended_and_those_of_others_are_not)
{
    char text[128] = "", theirs[64], boot[64], root[32] = "";
    int64_t n = 0;
    const pid_t child = fork();
    if (child == 0) { // a run that is killed: nothing of it is closed
        int64_t k;
        if (hpt__mps_start(&k, &set, folder, UUID) < 0 || !set.items[k].alive) _exit(1);
        _exit(0);
    }
    int status = -1;
    cr_assert(waitpid(child, &status, 0) == child && status == 0);
    FILE *f = fopen(record, "r");
    cr_assert(f && fgets(text, sizeof text, f));
    fclose(f);
    cr_assert_eq(sscanf(text, "%63s %31s", boot, root), 2);
    cr_assert_eq(count(root, "control"), 1);
    hpt__mps *m = start(); // another's: of another record
    snprintf(theirs, sizeof theirs, "%s", m->pipe);
    f = fopen(record, "w");
    fputs("another-boot ", f);
    fputs(root, f);
    fclose(f);
    cr_assert_eq(hpt__mps_end_leftovers(&n, folder), 0);
    cr_assert_eq(n, 0, "process ids of another boot name nothing here");
    cr_assert_eq(count(root, "control"), 1);
    f = fopen(record, "w");
    fputs(text, f);
    fclose(f);
    cr_assert_eq(hpt__mps_end_leftovers(&n, folder), 0, "%s", hpt_last_error());
    cr_assert_eq(n, 1);
    cr_assert_eq(count(root, "control"), 0);
    cr_assert(access(root, F_OK) < 0 && access(record, F_OK) < 0);
    cr_assert_eq(count(theirs, "control"), 1);
    cr_assert_eq(hpt__mps_end_leftovers(&n, folder), 0);
    cr_assert_eq(n, 0, "nothing is done twice");
}

Test(mps, a_controller_that_two_runs_use_ends_with_the_last_of_them)
{
    int64_t k = -1;
    char root[32], pipe[HPT__MPS_PATH];
    hpt__mps_set second = {0};
    hpt__mps *m = start();
    memcpy(root, set.root, sizeof root);
    memcpy(pipe, m->pipe, sizeof pipe);
    cr_assert_eq(hpt__mps_open(&second, NULL), 0);
    cr_assert_eq(hpt__mps_join(&k, &second, UUID, pipe), 0, "%s", hpt_last_error());
    cr_assert(second.items[k].alive && second.items[k].daemon == m->daemon && m->daemon > 0);
    cr_assert(!hpt__mps_alone(m), "the second uses it");
    cr_assert(hpt__mps_use(m));
    hpt__mps_close(&set, folder);
    cr_assert_eq(count(root, "control"), 1);
    cr_assert(hpt__mps_alone(&second.items[k]));
    cr_assert_eq(hpt__mps_open(&set, NULL), 0);
    cr_assert_eq(hpt__mps_join(&k, &set, UUID, pipe), HPT_E_BUSY, "it is about to be ended");
    hpt__mps_close(&second, folder);
    cr_assert_eq(count(root, "control"), 0);
    cr_assert(access(root, F_OK) < 0);
    cr_assert_eq(hpt__mps_join(&k, &set, UUID, pipe), HPT_E_BUSY, "and has been");
    cr_assert_eq(hpt__mps_join(&k, &set, UUID, "/tmp/nvidia-mps"), HPT_E_NOT_FOUND, "no run's");
    cr_assert_eq(set.n, 0);
}

Test(mps, a_sweep_ends_what_dead_runs_left_and_nothing_that_one_uses)
{
    char registry[64], text[128] = "", boot[64], root[32] = "", pointer[96];
    snprintf(registry, sizeof registry, "%s/claims", folder);
    cr_assert_eq(mkdir(registry, 0700), 0);
    hpt__mps_close(&set, folder);
    cr_assert_eq(hpt__mps_open(&set, registry), 0);
    const pid_t child = fork();
    if (child == 0) {
        int64_t k;
        if (hpt__mps_start(&k, &set, folder, UUID) < 0 || !set.items[k].alive) _exit(1);
        _exit(0);
    }
    int status = -1;
    cr_assert(waitpid(child, &status, 0) == child && status == 0);
    FILE *f = fopen(record, "r");
    cr_assert(f && fgets(text, sizeof text, f));
    fclose(f);
    cr_assert_eq(sscanf(text, "%63s %31s", boot, root), 2);
    const hpt__mps *m = start();
    snprintf(pointer, sizeof pointer, "%s/mps-%s", registry, strrchr(root, '-') + 1);
    cr_assert_eq(access(pointer, F_OK), 0);
    cr_assert_eq(hpt__mps_sweep(registry, set.program), 1);
    cr_assert_eq(count(root, "control"), 0);
    cr_assert(access(root, F_OK) < 0 && access(pointer, F_OK) < 0);
    cr_assert_eq(count(m->pipe, "control"), 1);
    cr_assert_eq(hpt__mps_sweep(registry, set.program), 0);
    hpt__mps_close(&set, folder);
    cr_assert_eq(rmdir(registry), 0, "nothing is left in it");
}

Test(mps, a_record_that_names_another_folder_removes_nothing)
{
    static const char *const roots[] = {"/tmp", "/tmp/hpt-mps-/../x", "/tmp/hpt-mps-no_such", ""};
    char boot[64] = "", keep[64];
    int64_t n = -1;
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");
    cr_assert(f && fgets(boot, sizeof boot, f));
    fclose(f);
    boot[strcspn(boot, "\n")] = '\0';
    snprintf(keep, sizeof keep, "%s/keep", folder);
    cr_assert_eq(mkdir(keep, 0700), 0);
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        f = fopen(record, "w");
        fprintf(f, "%s %s\n", boot, roots[i]);
        fclose(f);
        cr_assert_eq(hpt__mps_end_leftovers(&n, folder), 0, "%s", hpt_last_error());
        cr_assert_eq(n, 0);
        cr_assert_eq(access(keep, F_OK), 0);
    }
    rmdir(keep);
}

Test(mps, a_program_that_is_not_there_is_named)
{
    hpt__mps_set none = {0};
    setenv("HPT_MPS_CONTROL", "no-such-mps-control", 1);
    cr_assert_eq(hpt__mps_open(&none, NULL), HPT_E_NOT_FOUND);
    cr_assert(strstr(hpt_last_error(), "no-such-mps-control"), "%s", hpt_last_error());
}
