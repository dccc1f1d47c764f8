// SPDX-License-Identifier: Apache-2.0
// test_shim.cc: what kernels may rely on holds under the shim, in every order.
#include "cuda/cuda_dialect.cuh"
#include "shim_testing.h"

#include <stdlib.h>
#include <thread>
#include <vector>

using std::vector;

// ---- barriers and shared memory

struct sum_args {
    const double *x;
    double *out; // one per block
    int64_t n;
};

CUDA__KERNEL(sum_by_halves, sum_args, 1024) {
    CUDA__SHARED(double, part, 1024);
    double sum = 0;
    for (int64_t i = blockIdx.x * blockDim.x + threadIdx.x; i < a.n; i += gridDim.x * blockDim.x) sum += a.x[i];
    part[threadIdx.x] = sum;
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        CUDA__SYNC();
        if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
    }
    if (threadIdx.x == 0) a.out[blockIdx.x] = part[0];
}

CUDA__DEVICE double warp_sum(double value) {
    for (int by = CUDA__WARP / 2; by > 0; by /= 2) value += CUDA__SHUFFLE_DOWN(value, by);
    return value;
}

CUDA__KERNEL(sum_by_shuffles, sum_args, 1024) {
    CUDA__SHARED(double, part, CUDA__WARP);
    double sum = 0;
    for (int64_t i = blockIdx.x * blockDim.x + threadIdx.x; i < a.n; i += gridDim.x * blockDim.x) sum += a.x[i];
    sum = warp_sum(sum);
    if (threadIdx.x % CUDA__WARP == 0) part[threadIdx.x / CUDA__WARP] = sum;
    CUDA__SYNC();
    if (threadIdx.x >= CUDA__WARP) return;
    sum = warp_sum(threadIdx.x < blockDim.x / CUDA__WARP ? part[threadIdx.x] : 0);
    if (threadIdx.x == 0) a.out[blockIdx.x] = sum;
}

// Numbers whose sums round, so that another order of additions would show.
static vector<double> rough(int64_t n) {
    vector<double> x(static_cast<size_t>(n));
    for (size_t i = 0; i < x.size(); i++) x[i] = sin(static_cast<double>(i + 1)) * exp(static_cast<double>(i % 7));
    return x;
}

static void sums_agree(const shim_kernel *k) {
    for (unsigned block : {32u, 64u, 256u, 1024u})
        for (int64_t n : {1, 31, 33, 1000, 5000}) {
            const unsigned grid = 3;
            const vector<double> x = rough(n);
            vector<double> first;
            double want = 0;
            for (double v : x) want += v;
            for (const char *order : shim_orders) {
                vector<double> out(grid, NAN);
                const sum_args args = {x.data(), out.data(), n};
                shim_do(order, k, grid, block, &args);
                cr_expect(fabs(out[0] + out[1] + out[2] - want) <= 1e-10, "%s", order);
                if (first.empty()) first = out;
                cr_expect_arr_eq(out.data(), first.data(), grid * sizeof(double), "%s, block %u", order, block);
            }
        }
}

Test(shim, block_sums_over_barriers_have_the_same_bits_in_every_order)
{ sums_agree(&shim_sum_by_halves); }

Test(shim, block_sums_by_shuffles_have_the_same_bits_in_every_order)
{ sums_agree(&shim_sum_by_shuffles); }

struct tile_args {
    const double *from;
    double *to;
    int64_t n;
};

CUDA__KERNEL(transpose, tile_args, 256) {
    CUDA__SHARED(double, tile, 16 * 17);
    const int64_t tiles = (a.n + 15) / 16, row = threadIdx.x % 16, column = threadIdx.x / 16;
    for (int64_t t = blockIdx.x; t < tiles * tiles;
         t += gridDim.x) { // the tile is used again: a barrier on either side
        const int64_t i = t % tiles * 16, j = t / tiles * 16;
        if (i + row < a.n && j + column < a.n) tile[row + 17 * column] = a.from[i + row + a.n * (j + column)];
        CUDA__SYNC();
        if (j + row < a.n && i + column < a.n) a.to[j + row + a.n * (i + column)] = tile[column + 17 * row];
        CUDA__SYNC();
    }
}

Test(shim, tiles_in_shared_memory_are_transposed)
{
    for (int64_t n : {1, 15, 16, 17, 40})
        for (const char *order : shim_orders) {
            const vector<double> from = rough(n * n);
            vector<double> to(from.size(), NAN);
            const tile_args args = {from.data(), to.data(), n};
            shim_do(order, &shim_transpose, 2, 256, &args);
            for (int64_t j = 0; j < n; j++)
                for (int64_t i = 0; i < n; i++)
                    cr_assert_eq(to[static_cast<size_t>(j + n * i)], from[static_cast<size_t>(i + n * j)], "%s", order);
        }
}

CUDA__KERNEL(shared_at_begin, tile_args, 64) {
    CUDA__SHARED(double, odd, 3);
    CUDA__SHARED(int, whole, 5);
    CUDA__SHARED_DYNAMIC(double, more);
    if (threadIdx.x == 0) {
        a.to[3 * blockIdx.x] = odd[0] + odd[2];
        a.to[3 * blockIdx.x + 1] = whole[0] == -1 && whole[4] == -1 ? NAN : 0;
        a.to[3 * blockIdx.x + 2] = more[0] + more[a.n - 1];
    }
    CUDA__SYNC();
    if (threadIdx.x > 0) return;
    for (int i = 0; i < 3; i++) odd[i] = 1;
    for (int i = 0; i < 5; i++) whole[i] = 1;
    for (int64_t i = 0; i < a.n; i++) more[i] = 1;
}

Test(shim, each_block_begins_with_shared_memory_of_nan)
{
    char why[200];
    const unsigned grid[] = {4, 1, 1}, block[] = {64, 1, 1};
    vector<double> out(12, 0);
    const tile_args args = {nullptr, out.data(), 100};
    shim_set_order("forward");
    cr_assert_eq(shim_launch_dynamic(&shim_shared_at_begin, grid, block, 100 * sizeof(double), &args, why, sizeof why),
                 0, "%s", why);
    for (double v : out) cr_expect(isnan(v));
}

// ---- warps

struct warp_args {
    int *down;
    double *steps;
    unsigned *votes;
};

CUDA__KERNEL(warps, warp_args, 256) {
    const int lane = static_cast<int>(threadIdx.x % CUDA__WARP), me = static_cast<int>(threadIdx.x);
    a.down[me] = CUDA__SHUFFLE_DOWN(me, lane % 5 == 0 ? 31 : lane % 7); // each lane from a lane of its own choice
    double x = me;
    for (int i = 0; i < 40; i++)
        x += 1e-3 * CUDA__SHUFFLE_DOWN(x, 1); // a lane that runs ahead must not take the next value
    a.steps[me] = x;
    a.votes[me] = CUDA__BALLOT(me % 3 == 0);
    CUDA__SYNC_WARP();
}

Test(shim, a_lane_takes_what_the_other_lane_brought_to_the_same_shuffle)
{
    const int n = 96;
    for (const char *order : shim_orders) {
        vector<int> down(n);
        vector<double> steps(n);
        vector<unsigned> votes(n);
        const warp_args args = {down.data(), steps.data(), votes.data()};
        shim_do(order, &shim_warps, 1, n, &args);
        for (int first = 0; first < n; first += 32) {
            double x[32];
            unsigned vote = 0;
            for (int i = 0; i < 32; i++) {
                x[i] = first + i;
                vote |= ((first + i) % 3 == 0 ? 1u : 0u) << i;
            }
            for (int step = 0; step < 40; step++)
                for (int i = 0; i < 32; i++)
                    x[i] += 1e-3 * (i < 31 ? x[i + 1] : x[i]); // upwards: i + 1 is still the old one
            for (int i = 0; i < 32; i++) {
                const int by = i % 5 == 0 ? 31 : i % 7, me = first + i;
                cr_assert_eq(down[static_cast<size_t>(me)], i + by < 32 ? me + by : me, "%s: %d", order, me);
                cr_assert_eq(steps[static_cast<size_t>(me)], x[i], "%s: %d", order, me);
                cr_assert_eq(votes[static_cast<size_t>(me)], vote);
            }
        }
    }
}

// ---- atomics, indices, functions

struct count_args {
    int *whole;
    unsigned long long *most, *sum;
    double *real;
    double *seen;
};

CUDA__KERNEL(counts, count_args, 256) {
    const unsigned me = blockIdx.x * blockDim.x + threadIdx.x;
    atomicAdd(a.whole, 2);
    atomicAdd(a.sum, static_cast<unsigned long long>(me));
    atomicMax(a.most, static_cast<unsigned long long>(me * 7919 % 1024));
    atomicAdd(a.real, 0.5);
    a.seen[atomicAdd(a.whole + 1, 1)] = 1;
}

Test(shim, atomics_count_every_thread_once)
{
    for (const char *order : shim_orders) {
        int whole[2] = {1, 0};
        unsigned long long most = 0, sum = 0;
        double real = 0.25;
        vector<double> seen(1024, 0);
        const count_args args = {whole, &most, &sum, &real, seen.data()};
        shim_do(order, &shim_counts, 8, 128, &args);
        cr_expect_eq(whole[0], 2049);
        cr_expect_eq(whole[1], 1024);
        cr_expect_eq(sum, 1023ull * 512);
        cr_expect_eq(most, 1023);
        cr_expect_eq(real, 512.25);
        for (double v : seen) cr_expect_eq(v, 1);
    }
}

struct index_args {
    unsigned *at;
    unsigned *times;
};

CUDA__KERNEL(indices, index_args, 512) {
    const unsigned b = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    const unsigned t = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    CUDA__SYNC(); // indices are those of the thread after a change as well
    const unsigned i = b * blockDim.x * blockDim.y * blockDim.z + t;
    a.at[i] = threadIdx.x + 100 * threadIdx.y + 10000 * threadIdx.z + 1000000 * blockIdx.x + 100000000 * blockIdx.z;
    a.times[i]++;
}

Test(shim, grids_and_blocks_of_three_dimensions_run_each_thread_once)
{
    const unsigned grid[] = {3, 5, 2}, block[] = {4, 3, 7}, n = 30 * 84;
    for (const char *order : shim_orders) {
        vector<unsigned> at(n, 0), times(n, 0);
        const index_args args = {at.data(), times.data()};
        char why[200];
        shim_set_order(order);
        cr_assert_eq(shim_launch(&shim_indices, grid, block, &args, why, sizeof why), 0, "%s", why);
        for (unsigned i = 0; i < n; i++) {
            const unsigned b = i / 84, t = i % 84;
            cr_assert_eq(times[i], 1);
            cr_assert_eq(at[i], t % 4 + t / 4 % 3 * 100 + t / 12 * 10000 + b % 3 * 1000000 + b / 15 * 100000000);
        }
    }
}

CUDA__KERNEL(functions, tile_args, 1) {
    a.to[0] = rsqrt(a.from[0]);
    a.to[1] = erfcx(a.from[1]);
    a.to[2] = normcdf(a.from[2]);
    a.to[3] = max(NAN, 2.0) + min(3.0, NAN); // CUDA's are fmax and fmin
    a.to[4] = __ldg(a.from) + max(3, 4) + static_cast<double>(min(int64_t{5}, a.n));
    a.to[5] = isfinite(a.from[0]) && !isfinite(1 / (a.from[0] - 4)) ? fma(2.0, 3.0, 4.0) : 0;
}

Test(shim, functions_of_cuda_have_their_values)
{
    const double from[] = {4, 30, -8}, want[] = {0.5, 0.018795888861416751, 6.2209605742717841e-16, 5, 13, 10};
    double to[6] = {};
    const tile_args args = {from, to, 7};
    shim_do("forward", &shim_functions, 1, 1, &args);
    for (int i = 0; i < 6; i++) cr_expect(fabs(to[i] - want[i]) <= 4e-15 * want[i], "%d: %.17g", i, to[i]);
}

// ---- launches

CUDA__KERNEL(order_of_threads, index_args, 1024) {
    a.at[(*a.times)++] = blockIdx.x * blockDim.x + threadIdx.x;
}

static vector<unsigned> order_seen(const char *order) {
    unsigned count = 0;
    vector<unsigned> at(40, 99);
    const index_args args = {at.data(), &count};
    shim_do(order, &shim_order_of_threads, 4, 10, &args);
    return at;
}

Test(shim, orders_are_what_they_are_called)
{
    const vector<unsigned> forward = order_seen("forward"), reverse = order_seen("reverse"),
                           one = order_seen("random:1");
    bool seen[40] = {};
    for (unsigned i = 0; i < 40; i++) {
        cr_expect_eq(forward[i], i);
        cr_expect_eq(reverse[i], 39 - i);
        cr_assert(one[i] < 40 && !seen[one[i]]);
        seen[one[i]] = true;
    }
    cr_expect(one == order_seen("random:1"));
    cr_expect(one != order_seen("random:2") && one != forward && one != reverse);
}

Test(shim, the_environment_gives_the_order_unless_the_program_does)
{
    const vector<unsigned> forward = order_seen("forward"), reverse = order_seen("reverse"),
                           seven = order_seen("random:7");
    unsetenv("HPT_SHIM_ORDER");
    cr_expect(order_seen(nullptr) == forward);
    setenv("HPT_SHIM_ORDER", "reverse", 1);
    cr_expect(order_seen(nullptr) == reverse);
    cr_expect(order_seen("forward") == forward);
    setenv("HPT_SHIM_ORDER", "random:7", 1);
    cr_expect(order_seen(nullptr) == seven);
    char why[200];
    for (const char *bad : {"backwards", "random", "random:", "random:x", "random:1x", "random:-1", "forward "}) {
        const sum_args args = {};
        cr_expect_eq(shim_set_order(bad), -1, "%s", bad);
        setenv("HPT_SHIM_ORDER", bad, 1);
        cr_expect_eq(shim_try(nullptr, &shim_sum_by_halves, 1, 1, &args, why, sizeof why), -1);
        cr_expect(strstr(why, "HPT_SHIM_ORDER is '") && strstr(why, "random:SEED"), "%s", why);
    }
}

Test(shim, launches_of_several_threads_wait_for_each_other)
{
    const vector<double> x = rough(1000);
    double want = 0;
    const sum_args reference = {x.data(), &want, 1000};
    shim_do("random:3", &shim_sum_by_halves, 1, 256, &reference);
    bool good[4] = {true, true, true, true};
    vector<std::thread> threads;
    for (bool &ok : good)
        threads.emplace_back([&] {
            for (int i = 0; i < 50; i++) {
                char why[200];
                double out = NAN;
                const unsigned grid[] = {1, 1, 1}, block[] = {256, 1, 1};
                const sum_args args = {x.data(), &out, 1000};
                ok = ok && shim_launch(&shim_sum_by_halves, grid, block, &args, why, sizeof why) == 0 && out == want;
            }
        });
    for (std::thread &t : threads) t.join();
    for (bool ok : good) cr_expect(ok);
}
