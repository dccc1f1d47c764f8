// SPDX-License-Identifier: Apache-2.0
// test_shim_faults.cc: faults that kernels may have, planted; each one is seen caught.
//
// What depends on the order of threads or blocks shows in results that differ. What threads do to each other at barriers and in
// warps is an error of the launch. Memory is AddressSanitizer's business (preset asan): there a child process has to die with
// its report. Without it, a write past a shared array is found by its guard and a read gives NaN, which the result shows; what
// happens to global memory then cannot be seen, and the test says so.
#include "cuda/cuda_dialect.cuh"
#include "shim_testing.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

using std::vector;

#ifdef __SANITIZE_ADDRESS__
static const bool has_asan = true;
#else
static const bool has_asan = false;
#endif
#if defined __x86_64__ && !defined SHIM_UCONTEXT // as in shim_fiber.h
static const bool own_switch = true;
#else
static const bool own_switch = false;
#endif

struct args_of {
    double *out;
    const double *from;
    int64_t n;
    int how;
};

static vector<double> result(const char *order, const shim_kernel *k, unsigned grid, unsigned block, int how) {
    vector<double> out(grid * block, 0);
    const args_of args = {out.data(), nullptr, block, how};
    shim_do(order, k, grid, block, &args);
    return out;
}

// Different results of the forward and another order; `sound`: the same kernel without its fault does not differ.
static void shows_in_results(const shim_kernel *k, unsigned grid, int faulty, int sound) {
    const vector<double> first = result("forward", k, grid, 64, faulty), good = result("forward", k, grid, 64, sound);
    for (const char *order : {"reverse", "random:1"}) {
        cr_expect(result(order, k, grid, 64, faulty) != first, "%s: nothing to see", order);
        cr_expect(result(order, k, grid, 64, sound) == good, "%s", order);
    }
}

// ---- what depends on an order

CUDA__KERNEL(neighbour, args_of, 64) {
    CUDA__SHARED(double, s, 64);
    s[threadIdx.x] = -1;
    CUDA__SYNC();
    s[threadIdx.x] = threadIdx.x;
    if (a.how == 0) CUDA__SYNC();
    a.out[blockIdx.x * blockDim.x + threadIdx.x] = s[63 - threadIdx.x];
}

Test(shim_fault, a_missing_barrier_shows_in_results)
{ shows_in_results(&shim_neighbour, 2, 1, 0); }

CUDA__KERNEL(one_place, args_of, 64) {
    if (a.how == 1 || threadIdx.x == 5) a.out[blockIdx.x] = 1 + threadIdx.x;
}

Test(shim_fault, a_race_of_threads_for_one_place_shows_in_results)
{ shows_in_results(&shim_one_place, 1, 1, 0); }

CUDA__KERNEL(next_block, args_of, 64) {
    if (threadIdx.x == 0) a.out[blockIdx.x] = 1 + (a.how == 1 && blockIdx.x > 0 ? a.out[blockIdx.x - 1] : 0);
}

Test(shim_fault, a_block_that_relies_on_an_earlier_one_shows_in_results)
{ shows_in_results(&shim_next_block, 20, 1, 0); }

CUDA__KERNEL(in_step, args_of, 32) { // as if the threads of a warp ran together
    CUDA__SHARED(double, s, 32);
    s[threadIdx.x] = threadIdx.x;
    CUDA__SYNC_WARP();
    for (unsigned half = 16; half > 0; half /= 2) {
        if (threadIdx.x < half) s[threadIdx.x] += s[threadIdx.x + half] * (1 + threadIdx.x);
        if (a.how == 0) CUDA__SYNC_WARP();
    }
    a.out[threadIdx.x] = s[0];
}

Test(shim_fault, a_warp_that_counts_on_running_in_step_shows_in_results)
{
    const vector<double> good = result("forward", &shim_in_step, 1, 32, 0);
    cr_expect(result("reverse", &shim_in_step, 1, 32, 0) == good);
    cr_expect(result("random:1", &shim_in_step, 1, 32, 0) == good);
    cr_expect(result("forward", &shim_in_step, 1, 32, 1) != good);
    cr_expect(result("reverse", &shim_in_step, 1, 32, 1) != good);
}

CUDA__KERNEL(two_sums, args_of, 64) { // two reductions that share an array
    CUDA__SHARED(double, parts, 2);
    for (int turn = 0; turn < 2; turn++) {
        double v = threadIdx.x * (turn + 1.0);
        for (int by = CUDA__WARP / 2; by > 0; by /= 2) v += CUDA__SHUFFLE_DOWN(v, by);
        if (threadIdx.x % CUDA__WARP == 0) parts[threadIdx.x / CUDA__WARP] = v;
        CUDA__SYNC();
        if (threadIdx.x == 0) a.out[turn] = parts[0] + parts[1];
        if (a.how == 0) CUDA__SYNC();
    }
}

Test(shim_fault, a_warp_that_runs_ahead_through_shuffles_shows_in_results)
{
    const vector<double> good = result("forward", &shim_two_sums, 1, 64, 0);
    cr_expect_eq(good[0], 2016);
    cr_expect_eq(good[1], 4032);
    cr_expect(result("reverse", &shim_two_sums, 1, 64, 0) == good);
    cr_expect(result("reverse", &shim_two_sums, 1, 64, 1) != good);
}

// ---- barriers and warps that not all reach

CUDA__KERNEL(divergent, args_of, 64) {
    CUDA__SHARED(double, s, 64);
    const unsigned t = threadIdx.x;
    double x = t;
    s[t] = x;
    CUDA__SYNC();
    switch (a.how) {
    case 0: // one ends early
        if (t == 7) return;
        CUDA__SYNC();
        break;
    case 1: // one goes to another barrier
        if (t == 7)
            CUDA__SYNC();
        else
            CUDA__SYNC();
        break;
    case 2: // one goes round once more
        for (unsigned i = 0; i < (t == 7 ? 3u : 2u); i++) CUDA__SYNC();
        break;
    case 3: // one waits while the others are done
        if (t == 7) CUDA__SYNC();
        break;
    case 4: // a lane is not at the shuffle
        if (t != 40) x = CUDA__SHUFFLE_DOWN(x, 1);
        break;
    case 5: // a lane is at the barrier meanwhile
        if (t != 40) x = CUDA__SHUFFLE_DOWN(x, 1);
        CUDA__SYNC();
        break;
    case 6: // a lane is at another shuffle
        if (t == 40)
            x = CUDA__SHUFFLE_DOWN(x, 1);
        else
            x = CUDA__SHUFFLE_DOWN(x, 2);
        break;
    case 7: // a lane does not vote
        if (t != 40) x += CUDA__BALLOT(t > 3);
        break;
    case 10: // the first or last ends without it
        if (t == a.n) return;
        CUDA__SYNC();
        break;
    case 11: // the first or last is alone at it
        if (t == a.n) CUDA__SYNC();
        break;
    default:
        x += CUDA__SHUFFLE_DOWN(x, 1);
    }
    a.out[t] = x;
}

static void fails_with(int how, unsigned block, const char *expected, const char *and_, int64_t n = 0) {
    for (const char *order : shim_orders) {
        vector<double> out(64, 0);
        const args_of args = {out.data(), nullptr, n, how};
        char why[300];
        cr_expect_eq(shim_try(order, &shim_divergent, 2, block, &args, why, sizeof why), -1, "%d in order %s", how,
                     order);
        cr_expect(strstr(why, "kernel divergent, block (") && strstr(why, expected) && strstr(why, and_), "%s: %s",
                  order, why);
        cr_expect(!strchr(why, '\n'));
        char small[10];
        cr_expect_eq(shim_try(order, &shim_divergent, 2, block, &args, small, sizeof small), -1);
        // The stacks that were given up serve again.
        shim_do(order, &shim_divergent, 2, 64, &(const args_of &)(args_of{out.data(), nullptr, 0, 9}));
    }
}

Test(shim_fault, a_thread_that_ends_before_a_barrier_is_named)
{
    fails_with(0, 64, "thread 7", "the barrier of test_shim_faults.cc:");
    fails_with(3, 64, "thread 7", "the barrier of test_shim_faults.cc:");
    fails_with(2, 64, "thread 7", "the barrier of test_shim_faults.cc:");
    for (int64_t t : {0, 63}) {
        fails_with(10, 64, "ended", "the barrier of test_shim_faults.cc:", t);
        fails_with(11, 64, "ended", "the barrier of test_shim_faults.cc:", t);
    }
}

Test(shim_fault, a_thread_at_another_barrier_is_named)
{ fails_with(1, 64, "waits at the barrier of test_shim_faults.cc:", "waits at that of test_shim_faults.cc:"); }

Test(shim_fault, a_lane_that_is_not_at_its_warps_shuffle_is_named)
{
    fails_with(4, 64, "thread 40 ended while thread ",
               "of its warp waits at the shuffle or vote of test_shim_faults.cc:");
    fails_with(5, 64, "thread 40 waits at the barrier of ", "of its warp waits at the shuffle or vote of ");
    fails_with(6, 64, "thread 40", "is at the shuffle or vote of ");
    fails_with(7, 64, "thread 40 ended while thread ",
               "of its warp waits at the shuffle or vote of test_shim_faults.cc:");
}

Test(shim_fault, a_shuffle_in_a_warp_that_is_not_full_is_refused)
{
    fails_with(9, 33, "thread 32: shuffle or vote of ", "in a warp of 1 threads");
    fails_with(9, 63, "", "in a warp of 31 threads");
}

// ---- memory

CUDA__KERNEL(out_of_bounds, args_of, 64) {
    CUDA__SHARED(double, before, 4);
    CUDA__SHARED(double, s, 64);
    CUDA__SHARED(double, after, 4);
    double local[4] = {1, 2, 3, 4};
    double *const shared = s, *volatile own = local; // by pointer: an index into the array would be UBSan's
    const unsigned t = threadIdx.x;
    before[t % 4] = after[t % 4] = s[t] = 2;
    CUDA__SYNC();
    if (t == 9) {
        switch (a.how) {
        case 0:
            a.out[0] = shared[a.n];
            break;
        case 1:
            a.out[0] = shared[-a.n + 63];
            break;
        case 2:
            shared[a.n] = 1;
            break;
        case 3:
            shared[-a.n + 63] = 1;
            break;
        case 4:
            a.out[0] = a.from[a.n];
            break;
        case 5:
            a.out[a.n] = 1;
            break;
        case 6:
            a.out[0] = own[a.n - 60];
            break;
        case 7:
            a.out[0] = s[a.n];
            break;
        default:
            a.out[0] = 2;
        }
    }
    CUDA__SYNC();
}

// Exit status of a child that runs the kernel with fault `how`, and what it wrote to stderr.
static int in_child(int how, char *text, size_t size) {
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    const pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        dup2(ends[1], 2);
        double *out = static_cast<double *>(malloc(64 * sizeof *out)),
               *from = static_cast<double *>(malloc(64 * sizeof *from));
        for (int i = 0; i < 64; i++) out[i] = from[i] = 2;
        const args_of args = {out, from, 64, how};
        char why[300];
        const unsigned one[] = {1, 1, 1}, block[] = {64, 1, 1};
        const int rc = shim_launch(&shim_out_of_bounds, one, block, &args, why, sizeof why);
        if (rc != 0) dprintf(2, "%s\n", why);
        const int status = rc != 0 ? 3 : isnan(out[0]) ? 4 : 0;
        free(from);
        free(out);
        _exit(status);
    }
    close(ends[1]);
    size_t n = 0;
    for (ssize_t got; (got = read(ends[0], text + n, size - 1 - n)) > 0;) n += static_cast<size_t>(got);
    text[n] = 0;
    close(ends[0]);
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static char text[1 << 16];

static void dies(int how, const char *report) {
    const int status = in_child(how, text, sizeof text);
    cr_expect(status != 0 && status != 3 && status != 4, "fault %d: status %d", how, status);
    cr_expect(strstr(text, report), "fault %d: no '%s' in: %s", how, report, text);
}

Test(shim_fault, the_kernel_without_a_fault_ends_well)
{ cr_expect_eq(in_child(9, text, sizeof text), 0, "%s", text); }

Test(shim_fault, a_read_past_a_shared_array_is_caught)
{
    for (int how = 0; how < 2; how++)
        if (has_asan)
            dies(how, "AddressSanitizer: use-after-poison");
        else
            cr_expect_eq(in_child(how, text, sizeof text), 4, "fault %d does not show as NaN", how);
}

Test(shim_fault, a_write_past_a_shared_array_is_caught)
{
    for (int how = 2; how < 4; how++) {
        if (has_asan) {
            dies(how, "AddressSanitizer: use-after-poison");
            continue;
        }
        cr_expect_eq(in_child(how, text, sizeof text), 3);
        cr_expect(strstr(text, how == 2 ? "a write past the end of shared array s, or before after"
                                        : "a write past the end of shared array before, or before s"),
                  "%s", text);
    }
}

Test(shim_fault, an_index_past_a_shared_array_is_caught)
{
    if (!has_asan) cr_skip_test("an index that is too large needs preset asan (UndefinedBehaviorSanitizer)");
    dies(7, "index 64 out of bounds for type 'double [64]'");
}

Test(shim_fault, touching_global_memory_past_its_end_is_caught)
{
    if (!has_asan) cr_skip_test("global memory is watched in preset asan only");
    dies(4, "AddressSanitizer: heap-buffer-overflow");
    dies(5, "AddressSanitizer: heap-buffer-overflow");
}

Test(shim_fault, touching_the_stack_of_a_thread_past_an_array_is_caught)
{
    if (!has_asan) cr_skip_test("stacks are watched in preset asan only");
    if (!own_switch) cr_skip_test("AddressSanitizer forgets the guards of a stack when swapcontext goes to it");
    dies(6, "AddressSanitizer: stack-buffer-overflow");
}

CUDA__KERNEL(too_much, args_of, 64) {
    CUDA__SHARED(double, s, 6 * 1024);
    CUDA__SHARED(double, one, 1);
    s[threadIdx.x] = 1;
    one[0] = 1;
    a.out[threadIdx.x] = s[threadIdx.x];
}

Test(shim_fault, more_shared_memory_than_a_block_has_is_refused)
{
    char why[200];
    double out[64];
    const args_of args = {out, nullptr, 0, 0};
    cr_expect_eq(shim_try("forward", &shim_too_much, 1, 64, &args, why, sizeof why), -1);
    cr_expect(strstr(why, "shared array one: more than 48 KiB"), "%s", why);
}

// ---- launches that CUDA refuses

Test(shim_fault, sizes_that_cuda_or_the_kernel_does_not_allow_are_refused)
{
    static const struct {
        unsigned grid[3], block[3];
        size_t dynamic;
        const char *line;
    } bad[] = {
        {{0, 1, 1}, {1, 1, 1}, 0, "a grid without blocks"},
        {{1, 1, 0}, {1, 1, 1}, 0, "a grid without blocks"},
        {{1, 1, 1}, {32, 0, 1}, 0, "a block without threads"},
        {{0x80000000u, 1, 1}, {1, 1, 1}, 0, "a grid beyond CUDA's limits"},
        {{1, 65536, 1}, {1, 1, 1}, 0, "a grid beyond CUDA's limits"},
        {{1, 1, 65536}, {1, 1, 1}, 0, "a grid beyond CUDA's limits"},
        {{1, 1, 1}, {1025, 1, 1}, 0, "a block beyond CUDA's limits"},
        {{1, 1, 1}, {1, 1, 65}, 0, "a block beyond CUDA's limits"},
        {{1, 1, 1}, {32, 33, 1}, 0, "a block beyond CUDA's limits"},
        {{1, 1, 1}, {65, 1, 1}, 0, "a block of more threads than CUDA__KERNEL states"},
        {{1, 1, 1}, {1, 1, 1}, 49153, "more than 48 KiB of shared memory"},
    };
    for (const auto &b : bad) {
        double out[64];
        const args_of args = {out, nullptr, 0, 0};
        char why[300];
        cr_expect_eq(shim_launch_dynamic(&shim_one_place, b.grid, b.block, b.dynamic, &args, why, sizeof why), -1);
        cr_expect(strstr(why, "kernel one_place, grid (") && strstr(why, b.line), "%s", why);
    }
}
