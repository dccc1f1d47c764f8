// SPDX-License-Identifier: Apache-2.0
// fill.c: bulk random and quasi-random numbers from a device, with arguments and results checked.
// Ownership: arrays are the caller's. Threads: one at a time per device. Cost: about 50 ns a normal, 20 ns a coordinate on one core.
#include "model_state.h"

#include "../base/error.h"

int hpt__fill_sobol(hpt__device *device, const uint32_t *columns, const uint32_t *shift, int64_t d, int64_t first,
                    int64_t n, double *out) {
    int rc = 0;
    HPT_FAIL_IF(!device || !columns || !shift || (n > 0 && !out), HPT_E_ARG, "Sobol points: a pointer is NULL");
    HPT_FAIL_IF(d < 1 || d > HPT__POINTS_MAX || first < 0 || n < 0 || n > HPT__POINTS_MAX ||
                    first > (INT64_C(1) << 32) - n,
                HPT_E_ARG, "Sobol points: %lld of %lld columns from %lld on; they end at 2^32", (long long)n,
                (long long)d, (long long)first);
    if (n == 0) return 0;
    HPT_TRY(device->ops->fill_sobol(device->ctx, columns, shift, d, first, n, out));
    HPT_TRY(hpt__check_result(device, "Sobol point", out, d, n, d, false));
out:
    return rc;
}

int hpt__fill_normal(hpt__device *device, uint64_t seed, uint64_t stream, int64_t first, int64_t n, double *out) {
    int rc = 0;
    HPT_FAIL_IF(!device || (n > 0 && !out), HPT_E_ARG, "normal numbers: a pointer is NULL");
    HPT_FAIL_IF(first < 0 || n < 0 || first > INT64_MAX - n, HPT_E_ARG, "normal numbers: %lld of them from %lld on",
                (long long)n, (long long)first);
    if (n == 0) return 0;
    HPT_TRY(device->ops->fill_normal(device->ctx, seed, stream, first, n, out));
    HPT_TRY(hpt__check_result(device, "normal number", out, n, 1, n, false));
out:
    return rc;
}
