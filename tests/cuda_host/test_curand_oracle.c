// SPDX-License-Identifier: Apache-2.0
// test_curand_oracle.c: our Philox and Sobol numbers against cuRAND's, bit for bit. cuRAND's host generators need neither a driver
// nor a GPU, only its library, which is looked for where the toolkit has it and where the loader looks; without it the tests
// are skipped, unless HPT_TEST_REQUIRE names nvcc.
//
// cuRAND's Philox4x32-10, in its default order, takes four words of stream 0, then of stream 1 .. 65535 (that many threads),
// then the next four of each. Its Sobol points (32 bits, Joe and Kuo's direction numbers) come dimension by dimension.
#include "core/base/rng.h"
#include "core/space/sobol.h"
#include <criterion/criterion.h>
#include <curand.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUNCTIONS(X)                           \
    X(curandCreateGeneratorHost)               \
    X(curandSetPseudoRandomGeneratorSeed)      \
    X(curandSetQuasiRandomGeneratorDimensions) \
    X(curandGenerate)                          \
    X(curandDestroyGenerator)
#define POINTER(name) __typeof__(name) *name;
typedef struct oracle {
    FUNCTIONS(POINTER)
} oracle;

static oracle load(void) {
    oracle o;
    char path[600];
    snprintf(path, sizeof path, "%s/lib64/libcurand.so.10", HPT_CUDA_ROOT);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) library = dlopen("libcurand.so.10", RTLD_NOW | RTLD_LOCAL);
    const char *require = getenv("HPT_TEST_REQUIRE");
    if (!library && !(require && strstr(require, "nvcc"))) cr_skip_test("%s", dlerror());
    cr_assert_not_null(library, "%s", dlerror());
#define LOOK_UP(name)                               \
    {                                               \
        void *symbol = dlsym(library, #name);       \
        cr_assert_not_null(symbol, "no %s", #name); \
        memcpy(&o.name, &symbol, sizeof symbol);    \
    }
    FUNCTIONS(LOOK_UP)
    return o;
}

Test(curand_oracle, philox_has_the_same_words_in_every_stream)
{
    enum { STREAMS = 65536, ROUNDS = 2, WORDS = 4 };
    static unsigned theirs[ROUNDS * STREAMS * WORDS];
    const uint64_t seed = UINT64_C(0x0123456789abcdef);
    const oracle o = load();
    curandGenerator_t generator;
    cr_assert_eq(o.curandCreateGeneratorHost(&generator, CURAND_RNG_PSEUDO_PHILOX4_32_10), 0);
    cr_assert_eq(o.curandSetPseudoRandomGeneratorSeed(generator, seed), 0);
    cr_assert_eq(o.curandGenerate(generator, theirs, sizeof theirs / sizeof theirs[0]), 0);
    cr_assert_eq(o.curandDestroyGenerator(generator), 0);
    for (int64_t stream = 0; stream < STREAMS; stream++) {
        hpt__rng rng;
        hpt__rng_init(&rng, seed, (uint64_t)stream);
        for (int round = 0; round < ROUNDS; round++)
            for (int word = 0; word < WORDS; word++)
                cr_assert_eq(hpt__rng_u32(&rng), theirs[(round * STREAMS + stream) * WORDS + word],
                             "stream %d, word %d", (int)stream, round * WORDS + word);
    }
}

Test(curand_oracle, sobol_has_the_same_points_in_every_dimension)
{
    enum { POINTS = 300 };
    static unsigned theirs[HPT__SOBOL_MAX_DIM * POINTS];
    static double point[HPT__SOBOL_MAX_DIM];
    const oracle o = load();
    curandGenerator_t generator;
    hpt__sobol *sobol;
    cr_assert_eq(o.curandCreateGeneratorHost(&generator, CURAND_RNG_QUASI_SOBOL32), 0);
    cr_assert_eq(o.curandSetQuasiRandomGeneratorDimensions(generator, HPT__SOBOL_MAX_DIM), 0);
    cr_assert_eq(o.curandGenerate(generator, theirs, sizeof theirs / sizeof theirs[0]), 0);
    cr_assert_eq(o.curandDestroyGenerator(generator), 0);
    cr_assert_eq(hpt__sobol_create(&sobol, HPT__SOBOL_MAX_DIM, false, 0), 0);
    for (int64_t i = 0; i < POINTS; i++) {
        hpt__sobol_point(point, sobol, (uint64_t)i);
        for (int64_t k = 0; k < HPT__SOBOL_MAX_DIM; k++)
            cr_assert_eq(point[k] * 0x1p32, (double)theirs[k * POINTS + i], "point %d, dimension %d", (int)i, (int)k);
    }
    hpt__sobol_destroy(sobol);
}
