// SPDX-License-Identifier: Apache-2.0
// test_process_leftovers.c: what a trial leaves is found also while the process between it and the run is on its way out.
#include "core/process/process.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 10 };
static const size_t LARGE =
    (size_t)192 << 20; // so that giving it back takes a while: exit frees memory, then hands over children

// A process that has left the trial's session, with a child that carries the trial's marks, and that ends at once when it is told to.
static pid_t intermediate(int tell, int told, pid_t *leaf) {
    int ready[2];
    cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
    const pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        char byte;
        char *memory = mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        (void)setsid();
        const pid_t child = fork();
        if (child == 0) {
            (void)setsid();
            char *const argv[] = {"sleep", "60", NULL}, *const env[] = {"HPT_TRIAL=7", "HPT_RUN_ID=leftovers", NULL};
            execve("/bin/sleep", argv, env);
            _exit(1);
        }
        if (memory == MAP_FAILED) _exit(1);
        memset(memory, 1, LARGE);
        (void)!write(ready[1], &child, sizeof child);
        (void)close(tell);
        (void)!read(told, &byte, 1);
        _exit(0);
    }
    cr_assert_eq(read(ready[0], leaf, sizeof *leaf), (ssize_t)sizeof *leaf);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

// Its memory is no longer its own: it is amidst its exit, or a zombie.
static bool has_no_memory(pid_t pid) {
    char path[64], text[32] = "";
    (void)snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f);
    const bool read = fgets(text, sizeof text, f) != NULL;
    (void)fclose(f);
    return read && strncmp(text, "0 ", 2) == 0;
}

Test(process_leftovers, children_of_a_process_that_is_amidst_its_exit_are_found, .timeout = 60)
{
    cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    for (int i = 0; i < ROUNDS; i++) {
        int gate[2];
        pid_t leaf;
        int64_t n;
        cr_assert_eq(pipe2(gate, O_CLOEXEC), 0); // the leaf must not hold it
        const pid_t pid = intermediate(gate[1], gate[0], &leaf);
        const hpt__orphan_query query = {.session = -1, .trial = 7, .run_id = "leftovers"};
        close(gate[1]); // it ends
        while (!has_no_memory(pid)) continue;
        usleep((useconds_t)i * 500); // another instant of its exit each
        cr_assert_eq(hpt__orphans_end(&n, &query, 5), 0);
        (void)waitpid(pid, NULL, 0);
        const bool lives = kill(leaf, 0) == 0;
        if (lives) (void)kill(leaf, SIGKILL);
        cr_assert_not(lives, "round %d: what the trial left outlives it", i);
        close(gate[0]);
    }
}
