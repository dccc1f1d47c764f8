// SPDX-License-Identifier: Apache-2.0
// fuzz_json.c: any bytes to the JSON reader; what reads is written, read again and must be the same, text for text.
#include "core/base/json.h"
#include "fuzz.h"

static char *written(const hpt__json *v, void (*write)(hpt__str *, const hpt__json *)) {
    hpt__str s = HPT__STR_INIT;
    write(&s, v);
    FUZZ_CHECK(hpt__str_status(&s) == 0, "%s", hpt_last_error());
    char *text = hpt__str_take(&s);
    FUZZ_CHECK(text, "nothing was written");
    return text;
}

static void round_trip(hpt__arena *arena, const hpt__json *v, void (*write)(hpt__str *, const hpt__json *)) {
    hpt__json *again = NULL;
    char *first = written(v, write);
    FUZZ_CHECK(hpt__json_parse(&again, arena, first, strlen(first)) == 0, "%s: %s", hpt_last_error(), first);
    FUZZ_CHECK(hpt__json_equal(v, again), "%s", first);
    char *second = written(again, write);
    FUZZ_CHECK(strcmp(first, second) == 0, "%s is not %s", first, second);
    hpt_free(first);
    hpt_free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hpt__arena arena;
    hpt__json *v = NULL;
    char *exact = malloc(size ? size : 1); // no NUL behind it: the reader is given a length
    if (!exact) abort();
    if (size) memcpy(exact, data, size);
    hpt__arena_init(&arena);
    const int rc = hpt__json_parse(&v, &arena, exact, size);
    if (rc < 0) {
        fuzz_check_error(rc);
    } else {
        round_trip(&arena, v, hpt__json_dumps);
        round_trip(&arena, v, hpt__json_compact);
        hpt_free(written(v, hpt__json_pystr));
        hpt_free(written(v, hpt__json_pyrepr));
        const hpt__json *copy = hpt__json_dup(&arena, v);
        FUZZ_CHECK(copy && hpt__json_equal(v, copy), "a copy differs");
    }
    hpt__arena_fini(&arena);
    free(exact);
    return 0;
}
