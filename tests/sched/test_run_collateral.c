// SPDX-License-Identifier: Apache-2.0
// test_run_collateral.c: a fault of one client of an MPS server takes its neighbours: who is charged, who is started again
// and how, and when the GPU is used again. Over the fakes of test_run_mps.c: a file `fault` in the pipe folder puts the
// server in state FAULT until it has no clients.
#include "../../src/core/base/clock.h"
#include "run_support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(run_collateral, .init = run_enter_mps, .fini = run_leave);

static const char QUARTER[] = "hpt: {resources: {gpu: 0.25, cpu: 0.1}, grace: 1}\n";
// A client that was seen, as its n - 1 neighbours were.
#define CLIENTS(n)                                                                \
    "d=$CUDA_MPS_PIPE_DIRECTORY; > $d/client.$$; while [ ! -e $d/seen.$$ ] || [ " \
    "$(ls $d | grep -c seen) -lt " n " ]; do sleep 0.02; done; "
#define FAULT "> $d/fault; "

static hpt_run_options slots(int64_t n) {
    hpt_run_options o = HPT_RUN_OPTIONS_INIT;
    o.slots = n;
    return o;
}

// Ends with a failure once the fault has been seen, as a trial would that computes a little on before it notices.
#define VICTIM "while [ ! -e $d/fault ] || [ ! -e told ]; do sleep 0.02; done; exit 1; "

static int64_t n_collateral;

static void tell_faults(const hpt_run_event *e) {
    n_collateral += e->kind == HPT_RUN_TRIAL_ENDED && e->outcome == HPT_OUTCOME_COLLATERAL;
    if (e->kind != HPT_RUN_NOTICE) return;
    if (strstr(e->text, "nothing is started there until the")) run_file("told", "", false);
    if (strstr(e->text, "is used again") || strstr(e->text, "faults of shared work")) unlink("told");
}

static void tell_that_it_is_over(const hpt_run_event *e) {
    tell_faults(e);
    if (e->kind == HPT_RUN_NOTICE && strstr(e->text, "is used again")) run_file("over", "", false);
}

Test(run_collateral, neighbours_of_a_fault_are_started_again_and_nobody_is_charged)
{
    run_sweep_file("echo $HPT_RESUME >> $HPT_CHECKPOINT_DIR/all; [ $HPT_RESUME = 1 ] && exec echo loss=1; " CLIENTS(
                       "3") "[ $HPT_TRIAL = 0 ] && { " FAULT "exit 1; }; " VICTIM,
                   3, QUARTER);
    const hpt_run_options o = slots(3);
    n_collateral = 0;
    record.hook = tell_faults;
    const hpt_run_summary s = run_ok(&o);
    cr_assert(s.n_done == 3 && s.n_failed == 0, "%s", record.notices);
    cr_assert_eq(n_collateral, 3);
    for (int i = 0; i < 3; i++) {
        char path[96];
        snprintf(path, sizeof path, "hpt_runs/t/trials/%06d/checkpoint/all", i);
        cr_assert_str_eq(run_read(path), "0\n1\n", "the folder is kept and the trial knows that it goes on");
        run_has(run_attr("t", i, "s:hpt:attempts"), "{\"outcome\": \"collateral\", ");
        cr_assert_str_eq(run_attr("t", i, "s:hpt:outcome"), "");
    }
    run_has(record.notices, "nothing is started there until the 3 trials that it served have ended");
    run_has(record.notices, "gpu:0 is used again");
}

Test(run_collateral, a_point_that_always_faults_gets_a_gpu_to_itself_and_is_charged)
{
    run_sweep_file(
        CLIENTS("1") "if [ $HPT_ATTEMPT -lt 2 ]; then while [ $(ls $d | grep -c client) -lt 4 ]; do sleep 0.02; "
                     "done; fi; if [ $HPT_TRIAL = 0 ]; then " FAULT "echo illegal address >&2; exit 3; fi; "
                     "[ $HPT_ATTEMPT = 2 ] && exec echo loss=1; " VICTIM,
        4, QUARTER);
    const hpt_run_options o = slots(4);
    record.hook = tell_faults;
    const hpt_run_summary s = run_ok(&o);
    cr_assert(s.n_done == 3 && s.n_failed == 1, "%d done, %d failed: %s", (int)s.n_done, (int)s.n_failed,
              record.notices);
    cr_assert_eq(record.outcome[0], HPT_OUTCOME_FAILED);
    cr_assert_str_eq(record.reason[0], "exit code 3: illegal address");
    cr_assert_eq(record.starts[0], 3, "%d", (int)record.starts[0]);
    cr_assert_eq(run_count(run_attr("t", 0, "s:hpt:attempts"), "collateral"), 2);
    run_has(run_attr("t", 0, "s:hpt:use"), "\"gpu\": 1.0,");
    run_has(run_attr("t", 0, "s:hpt:use"), "\"tier\": \"mps\"");
}

Test(run_collateral, a_fault_without_neighbours_is_the_trials_own)
{
    run_sweep_file(CLIENTS("1") FAULT "exit 1", 1, QUARTER);
    const hpt_run_summary s = run_ok(NULL);
    cr_assert_eq(s.n_failed, 1);
    cr_assert_eq(record.outcome[0], HPT_OUTCOME_FAILED);
    cr_assert_str_eq(run_attr("t", 0, "s:hpt:attempts"), "");
}

Test(run_collateral, failures_beside_others_are_charged_where_no_server_failed)
{
    run_sweep_file(CLIENTS("3") "exit 4", 3, QUARTER);
    const hpt_run_options o = slots(3);
    const hpt_run_summary s = run_ok(&o);
    cr_assert_eq(s.n_failed, 3);
    for (int i = 0; i < 3; i++) cr_assert_str_eq(record.reason[i], "exit code 4");
}

// Trial 0 faults; 1 has not noticed; 2 does not use its GPU and ends last.
static void let_time_pass(const hpt_run_event *e) {
    if (e->kind == HPT_RUN_NOTICE && strstr(e->text, "nothing is started there until")) run_time_passes(5);
    if (e->kind == HPT_RUN_TRIAL_ENDED && e->number == 1 && e->outcome == HPT_OUTCOME_COLLATERAL)
        run_file("go", "", false);
}

Test(run_collateral, who_has_not_noticed_is_ended_and_who_is_no_client_goes_on)
{
    run_sweep_file(
        "[ $HPT_RESUME = 1 ] && exec echo loss=1; if [ $HPT_TRIAL = 2 ]; then while [ ! -e go ]; do sleep 0.02; "
        "done; exec echo loss=2; fi; " CLIENTS("2") "[ $HPT_TRIAL = 1 ] && exec sleep 100; " FAULT "exit 1",
        3, QUARTER);
    const hpt_run_options o = slots(3);
    record.hook = let_time_pass;
    const hpt_run_summary s = run_ok(&o);
    cr_assert(s.n_done == 3, "%s", record.notices);
    cr_assert(record.starts[0] == 2 && record.starts[1] == 2 && record.starts[2] == 1);
    cr_assert_eq(record.value[2], 2.0);
}

Test(run_collateral, two_that_fail_together_with_the_words_of_a_fault_had_one)
{
    run_sweep_file(
        "[ $HPT_RESUME = 1 ] && exec echo loss=1; " CLIENTS(
            "3") "rm $d/client.$$; "
                 "[ $HPT_TRIAL = 2 ] || echo 'CUDA error: an illegal memory access was encountered' >&2; exit 1",
        3, QUARTER);
    const hpt_run_options o = slots(3);
    const hpt_run_summary s = run_ok(&o);
    cr_assert(s.n_done >= 2 && record.starts[0] == 2 && record.starts[1] == 2, "%s", record.notices);
}

// As on an H200: the daemon is busy when it is first asked, nobody sees FAULT, the server has no clients at once, and those
// that compute fail within a millisecond. Trial 2 computes on the host meanwhile and notices when the fault is over.
Test(run_collateral, a_fault_that_only_the_words_tell_of_charges_nobody_also_who_notices_later)
{
    setenv("FAKE_MPS", "busy=2", 1);
    run_sweep_file("[ $HPT_RESUME = 1 ] && exec echo loss=1; " CLIENTS(
                       "3") "rm $d/client.$$; while [ $HPT_TRIAL = 2 ] && [ ! -e over ]; do sleep 0.02; done; "
                            "echo 'probe: cuStreamSynchronize: CUDA_ERROR_ILLEGAL_ADDRESS' >&2; exit 1",
                   3, QUARTER);
    const hpt_run_options o = slots(3);
    n_collateral = 0;
    record.hook = tell_that_it_is_over;
    const hpt_run_summary s = run_ok(&o);
    unsetenv("FAKE_MPS");
    cr_assert(s.n_done == 3 && s.n_failed == 0 && n_collateral == 3, "%s", record.notices);
    run_has(record.notices, "nothing is started there until the 2 trials that it served have ended");
}

// Both are told by one look, which found the server idle again: the next routine look is half a minute later.
Test(run_collateral, a_gpu_whose_server_recovered_at_once_is_used_again_at_once)
{
    setenv("FAKE_MPS", "busy=1", 1);
    run_sweep_file("[ $HPT_RESUME = 1 ] && exec echo loss=1; " CLIENTS(
                       "2") "rm $d/client.$$; rm -f $d/busy; "
                            "echo 'probe: cuStreamSynchronize: CUDA_ERROR_ILLEGAL_ADDRESS' >&2; exit 1",
                   2, QUARTER);
    const hpt_run_options o = slots(2);
    const double from = hpt__now_mono();
    const hpt_run_summary s = run_ok(&o);
    unsetenv("FAKE_MPS");
    cr_assert(s.n_done == 2 && s.n_failed == 0, "%s", record.notices);
    run_has(record.notices, "gpu:0 is used again");
    cr_assert_lt(hpt__now_mono() - from, 25.0, "it waited for the routine look");
}

Test(run_collateral, whose_neighbour_was_killed_amidst_its_work_is_not_charged)
{
    run_sweep_file("[ $HPT_RESUME = 1 ] && exec echo loss=1; " CLIENTS(
                       "2") "[ $HPT_TRIAL = 0 ] && kill -9 $$; rm $d/client.$$; "
                            "echo 'probe: cuStreamSynchronize: CUDA_ERROR_ILLEGAL_ADDRESS' >&2; exit 1",
                   2, QUARTER);
    const hpt_run_options o = slots(2);
    const hpt_run_summary s = run_ok(&o);
    cr_assert(s.n_done == 1 && s.n_failed == 1, "%s", record.notices);
    cr_assert_eq(record.outcome[0], HPT_OUTCOME_FAILED);
    run_has(run_attr("t", 1, "s:hpt:attempts"), "collateral");
}

// ---- critical events of the driver. It is polled for a trial that was not seen yet: trial 2 is on the GPU and no client.

static const char XID[] = "gpu GPU-aaaa-1 40960\nfault 0 31 1\n";
#define UNSEEN(n) \
    "[ $HPT_RESUME = 1 ] && exec echo loss=1; if [ $HPT_TRIAL = " n " ]; then sleep 3; exec echo loss=2; fi; "

Test(run_collateral, an_event_and_two_failures_are_a_fault_though_nobody_saw_the_server_fail)
{
    run_file("gpus", XID, false);
    run_sweep_file(UNSEEN("2") CLIENTS("2") "sleep 0.1; exit 1", 3, QUARTER);
    const hpt_run_options o = slots(3);
    const hpt_run_summary s = run_ok(&o);
    cr_assert(s.n_done == 3, "%s", record.notices);
    run_has(record.notices, "Xid 31; nothing is started there until the 2 trials");
    cr_assert_eq(record.starts[2], 1, "it is not touched");
}

Test(run_collateral, an_event_and_one_failure_were_contained_by_the_driver)
{
    run_file("gpus", XID, false);
    run_sweep_file(UNSEEN("1") CLIENTS("1") "exit 1", 2, QUARTER);
    const hpt_run_summary s = run_ok(NULL);
    cr_assert(s.n_done == 1 && s.n_failed == 1, "%s", record.notices);
    cr_assert_eq(record.outcome[0], HPT_OUTCOME_FAILED);
}

// ---- exclusion

// Trials 0 and 1 fault twice together, then pass; 2 and 3 likewise, whose first fault is the third of this GPU.
static void pass_exclusion(const hpt_run_event *e) {
    tell_faults(e);
    if (e->kind == HPT_RUN_TRIAL_ENDED && e->number == 3 && e->outcome == HPT_OUTCOME_DONE) run_time_passes(600);
}

Test(run_collateral, a_gpu_that_faults_again_and_again_is_used_without_mps_for_a_while)
{
    run_sweep_file(
        "[ $HPT_TRIAL -gt 3 ] && { sleep 1; exec echo loss=2; }; [ \"$CUDA_MPS_PIPE_DIRECTORY\" ] || exec echo loss=1; "
        "[ $HPT_ATTEMPT = 2 ] && exec echo loss=1; " CLIENTS(
            "1") "while [ $(ls $d | grep -c client) -lt 2 ] && [ ! -e $d/fault ]; do sleep 0.02; done; "
                 "[ $((HPT_TRIAL % 2)) = 0 ] && { " FAULT "exit 1; }; " VICTIM,
        8, QUARTER);
    const hpt_run_options o = slots(2);
    record.hook = pass_exclusion;
    const hpt_run_summary s = run_ok(&o);
    cr_assert(s.n_done == 8, "%d done, %d failed: %s", (int)s.n_done, (int)s.n_failed, record.notices);
    run_has(record.notices, "gpu:0: 3 faults of shared work; its shares are advisory, without MPS, for 10 minutes");
    run_has(run_attr("t", 2, "s:hpt:use"), "\"tier\": \"advisory\"");
    run_has(record.notices, "gpu:0 is used with MPS again");
    run_has(run_attr("t", 7, "s:hpt:use"), "\"tier\": \"mps-unverified\"");
}

// ---- who is refused, and GPUs that are lost

Test(run_collateral, who_was_refused_by_a_recovering_server_or_has_lost_it_is_not_charged)
{
    run_sweep_file(
        "[ $HPT_RESUME = 1 ] && exec echo loss=1; case $HPT_TRIAL in "
        "0) echo 'CUDA error: the MPS server is not ready to accept new MPS client requests';; "
        "1) echo 'RuntimeError: CUDA error: the remote procedural call between the MPS server and the MPS client failed';; "
        "2) echo 'cuInit: CUDA_ERROR_MPS_CONNECTION_FAILED';; esac >&2; exit 1",
        3, QUARTER);
    const hpt_run_summary s = run_ok(NULL);
    cr_assert(s.n_done == 3 && s.n_failed == 0);
    for (int i = 0; i < 3; i++) run_has(run_attr("t", i, "s:hpt:attempts"), "collateral");
}

Test(run_collateral, clients_whose_control_daemon_has_ended_are_not_charged)
{
    run_sweep_file(
        "[ $HPT_RESUME = 1 ] && exec echo loss=1; p=$(cat $CUDA_MPS_PIPE_DIRECTORY/nvidia-cuda-mps-control.pid); " CLIENTS(
            "2") "[ $HPT_TRIAL = 0 ] && kill -9 $p; while kill -0 $p 2>/dev/null; do sleep 0.02; done; exit 1",
        2, QUARTER);
    const hpt_run_summary s = run_ok(NULL);
    cr_assert(s.n_done == 2 && s.n_failed == 0);
    for (int i = 0; i < 2; i++) run_has(run_attr("t", i, "s:hpt:attempts"), "collateral");
}

// Seconds pass with each tick; files tell the trials what was told.
static void tell_trials(const hpt_run_event *e) {
    static bool waits; // until the trial has passed on another GPU
    if (e->kind == HPT_RUN_TICK && !waits) run_time_passes(2);
    if (e->kind == HPT_RUN_TRIAL_ENDED && e->number == 0) run_file("failed", "", false);
    if (e->kind == HPT_RUN_TRIAL_ENDED && e->outcome == HPT_OUTCOME_DONE && e->number == 0) waits = false;
    if (e->kind == HPT_RUN_NOTICE && strstr(e->text, "answers again and")) run_file("again", "", false);
    if (e->kind != HPT_RUN_NOTICE || !strstr(e->text, "until it answers again")) return;
    run_file("lost", "", false);
    waits = true;
}

static const char WHOLE[] = "hpt: {resources: {gpu: 1, cpu: 0.1}}\n";

Test(run_collateral, a_gpu_that_stops_answering_is_left_out_with_the_reason_and_used_again_when_it_answers)
{
    run_file("gpus", "gpu GPU-aaaa-1 40960\ngpu GPU-bbbb-2 40960\nlost 0 2 5\n", false);
    run_sweep_file(
        "[ $HPT_TRIAL = 1 ] && while [ ! -e failed ]; do sleep 0.02; done; "
        "[ $HPT_TRIAL = 2 ] && while [ ! -e again ]; do sleep 0.02; done; "
        "if [ $HPT_TRIAL = 0 ] && [ $HPT_RESUME = 0 ]; then while [ ! -e lost ]; do sleep 0.02; done; exit 1; fi; "
        "echo loss=1",
        4, WHOLE);
    const hpt_run_options o = slots(2);
    record.hook = tell_trials;
    const hpt_run_summary s = run_ok(&o);
    cr_assert(s.n_done == 4 && s.n_failed == 0, "%s", record.notices);
    run_has(record.notices, "gpu:0: GPU-aaaa-1: the GPU is lost");
    run_has(record.notices, "nothing is started there until it answers again");
    run_has(run_attr("t", 0, "s:hpt:attempts"), "collateral");
    run_has(run_attr("t", 0, "s:hpt:use"), "\"gpus\": \"gpu:1\"");
    run_has(run_attr("t", 3, "s:hpt:use"), "\"gpus\": \"gpu:0\"");
}

Test(run_collateral, without_any_gpu_that_answers_the_run_ends_and_the_next_goes_on)
{
    hpt_run_summary s;
    run_file("gpus", "gpu GPU-aaaa-1 40960\nlost 0 2\n", false);
    run_sweep_file("[ $HPT_RESUME = 1 ] && exec echo loss=1; while [ ! -e lost ]; do sleep 0.02; done; exit 1", 1,
                   WHOLE);
    record.hook = tell_trials;
    cr_assert_eq(run_it(&s, NULL), HPT_E_DEVICE, "%s", record.notices);
    run_has(hpt_last_error(), "no GPU answers any more");
    run_file("gpus", "gpu GPU-aaaa-1 40960\n", false);
    s = run_ok(NULL);
    cr_assert(s.n_done == 1 && s.n_failed == 0);
}
