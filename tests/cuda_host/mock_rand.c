// SPDX-License-Identifier: Apache-2.0
// mock_rand.c: the cuRAND functions of the mock (mock.h). The numbers are normals of its own: pair i of a seed is the same
// whatever was drawn before, as with the real counter based generators, but not the real one's.
//
//   u, v = two hashes of (seed, i) in (0, 1];  sqrt(-2 log u) cos(2 pi v), sqrt(-2 log u) sin(2 pi v)
#include "mock_impl.h"

#include <math.h>

#define CALL (__func__ + 5) // without "mock_"

static curandStatus_t status_of(CUresult rc) {
    switch (rc) {
    case CUDA_SUCCESS:
        return CURAND_STATUS_SUCCESS;
    case CUDA_ERROR_OUT_OF_MEMORY:
        return CURAND_STATUS_ALLOCATION_FAILED;
    case CUDA_ERROR_INVALID_VALUE:
        return CURAND_STATUS_OUT_OF_RANGE;
    case CUDA_ERROR_LAUNCH_FAILED:
        return CURAND_STATUS_LAUNCH_FAILURE;
    case CUDA_ERROR_DEVICE_UNAVAILABLE:
        return CURAND_STATUS_PREEXISTING_FAILURE;
    default: // not initialised, no context
        return CURAND_STATUS_INITIALIZATION_FAILED;
    }
}

#define ENTER()                                                \
    do {                                                       \
        const CUresult rc_ = mock__enter(CALL, MOCK__CURRENT); \
        if (rc_ != CUDA_SUCCESS) return status_of(rc_);        \
    } while (0)

curandStatus_t mock_curandCreateGenerator(curandGenerator_t *generator, curandRngType_t type) {
    ENTER();
    if (type < CURAND_RNG_PSEUDO_DEFAULT || type > CURAND_RNG_PSEUDO_PHILOX4_32_10) {
        (void)mock__misuse(CALL, "the mock has no generator of type %d", (int)type);
        return CURAND_STATUS_TYPE_ERROR;
    }
    const mock_object *o = mock__create(MOCK__GENERATOR);
    if (!o) return CURAND_STATUS_ALLOCATION_FAILED;
    *generator = (curandGenerator_t)o->handle;
    return CURAND_STATUS_SUCCESS;
}

curandStatus_t mock_curandDestroyGenerator(curandGenerator_t generator) {
    const CUresult rc = mock__enter(CALL, MOCK__CURRENT);
    const bool live = mock__destroy(CALL, MOCK__GENERATOR, generator);
    return rc == CUDA_SUCCESS && !live ? CURAND_STATUS_NOT_INITIALIZED : status_of(rc);
}

curandStatus_t mock_curandSetStream(curandGenerator_t generator, cudaStream_t stream) {
    ENTER();
    mock_object *o = mock__find(CALL, MOCK__GENERATOR, generator);
    if (!o || !mock__stream_live(CALL, stream)) return CURAND_STATUS_NOT_INITIALIZED;
    o->stream = (uintptr_t)stream;
    return CURAND_STATUS_SUCCESS;
}

curandStatus_t mock_curandSetPseudoRandomGeneratorSeed(curandGenerator_t generator, unsigned long long seed) {
    ENTER();
    mock_object *o = mock__find(CALL, MOCK__GENERATOR, generator);
    if (!o) return CURAND_STATUS_NOT_INITIALIZED;
    o->seed = seed;
    o->offset = 0;
    return CURAND_STATUS_SUCCESS;
}

curandStatus_t mock_curandSetGeneratorOffset(curandGenerator_t generator, unsigned long long offset) {
    ENTER();
    mock_object *o = mock__find(CALL, MOCK__GENERATOR, generator);
    if (!o) return CURAND_STATUS_NOT_INITIALIZED;
    o->offset = offset;
    return CURAND_STATUS_SUCCESS;
}

static double uniform(uint64_t seed, uint64_t i) { // (0, 1]
    uint64_t x = seed * UINT64_C(0xD1342543DE82EF95) + i * UINT64_C(0x9E3779B97F4A7C15) + 1;
    for (int round = 0; round < 2; round++) {
        x = (x ^ x >> 32) * UINT64_C(0xE9846AF9B1A615D5);
        x ^= x >> 29;
    }
    return ((double)(x >> 11) + 1) * 0x1p-53;
}

curandStatus_t mock_curandGenerateNormalDouble(curandGenerator_t generator, double *out, size_t n, double mean,
                                               double sd) {
    ENTER();
    mock_object *o = mock__find_ready(CALL, MOCK__GENERATOR, generator);
    if (!o) return CURAND_STATUS_NOT_INITIALIZED;
    if (n % 2) { // they come in pairs
        (void)mock__misuse(CALL, "%zu numbers, which is odd", n);
        return CURAND_STATUS_LENGTH_NOT_MULTIPLE;
    }
    if (!mock__on_device(CALL, "output", out, n * sizeof *out)) return CURAND_STATUS_LAUNCH_FAILURE;
    for (size_t i = 0; i < n; i += 2) {
        const double u = uniform(o->seed, o->offset + i), v = uniform(o->seed, o->offset + i + 1);
        const double r = sd * sqrt(-2 * log(u)), angle = 2 * 3.14159265358979323846 * v;
        out[i] = mean + r * cos(angle);
        out[i + 1] = mean + r * sin(angle);
    }
    o->offset += n;
    return CURAND_STATUS_SUCCESS;
}
