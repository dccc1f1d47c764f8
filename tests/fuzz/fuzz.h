// SPDX-License-Identifier: Apache-2.0
// fuzz.h: what the fuzz targets share. A target is one function on bytes; libFuzzer or fuzz_main.c calls it.
//
// Built by clang with -fsanitize=fuzzer it explores; built with fuzz_main.c by any compiler it replays its corpus
// (corpus/<target>/) and a fixed set of mutations of it, which is what ctest runs. A broken promise ends in abort(), so
// that both drivers keep the input.
#ifndef HPT_TESTS_FUZZ_H
#define HPT_TESTS_FUZZ_H

#include <hpt/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(cond, ...)                                                          \
    do {                                                                               \
        if (!(cond)) {                                                                 \
            fprintf(stderr, "%s:%d: broken promise: %s: ", __FILE__, __LINE__, #cond); \
            fprintf(stderr, __VA_ARGS__);                                              \
            fputc('\n', stderr);                                                       \
            abort();                                                                   \
        }                                                                              \
    } while (0)

// A copy of its own size and a NUL, so that reads past the end are seen.
static inline char *fuzz_text(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    if (!text) abort();
    if (size) memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

// An error is negative, is none of our own broken invariants, and has one line that is not empty.
static inline void fuzz_check_error(int rc) {
    const char *line = hpt_last_error();
    FUZZ_CHECK(rc < 0 && rc != HPT_E_INTERNAL, "status %d: %s", rc, line);
    FUZZ_CHECK(*line && !strchr(line, '\n'), "the message of status %d is '%s'", rc, line);
}

#endif
