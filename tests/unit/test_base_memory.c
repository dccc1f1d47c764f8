// SPDX-License-Identifier: Apache-2.0
// test_base_memory.c: allocation with its failing hook, arena, growing string, hash map, UTF-8, nearest name.
#include "core/base/alloc.h"
#include "core/base/arena.h"
#include "core/base/map.h"
#include "core/base/rng.h"
#include "core/base/str.h"
#include "core/base/utf8.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

// Fails the k-th allocation from now on (0: the next), and only that one.
static bool fail_kth(size_t size, void *payload) {
    (void)size;
    int *left = payload;
    return (*left)-- == 0;
}

static bool fail_all(size_t size, void *payload) {
    (void)size;
    (void)payload;
    return true;
}

Test(base_alloc, zero_bytes_are_a_pointer_and_overflow_is_not)
{
    void *p = hpt__malloc(0), *q = hpt__calloc(0, 8), *r = hpt__realloc(NULL, 0);
    cr_expect(p && q && r);
    hpt__free(p), hpt__free(q), hpt__free(r);
    cr_expect_null(hpt__calloc(SIZE_MAX / 2, 3));
    char *a = hpt__strdup("abc"), *b = hpt__strndup("abcdef", 2), *c = hpt__strndup("ab\0cd", 5),
         *d = hpt__strndup("", 0);
    cr_expect_str_eq(a, "abc");
    cr_expect_str_eq(b, "ab");
    cr_expect_str_eq(c, "ab");
    cr_expect_str_eq(d, "");
    hpt_free(a), hpt_free(b), hpt_free(c), hpt_free(d);
}

Test(base_alloc, grow_keeps_the_array_when_it_fails)
{
    double *array = NULL;
    int64_t cap = 0, n = 0;
    for (; n < 1000; n++) {
        cr_assert_eq(hpt__grow(&array, &cap, n + 1, sizeof *array), 0);
        array[n] = (double)n;
    }
    cr_expect(cap >= 1000 && cap < 2000);
    hpt__alloc_set_hook(fail_all, NULL);
    int64_t before = cap;
    cr_expect_eq(hpt__grow(&array, &cap, cap + 1, sizeof *array), HPT_E_MEMORY);
    cr_expect_eq(hpt__grow(&array, &cap, cap, sizeof *array), 0); // nothing to do
    cr_expect_null(hpt__malloc(1));
    cr_expect_null(hpt__calloc(1, 1));
    cr_expect_null(hpt__strdup(""));
    cr_expect_null(hpt__strndup("", 0));
    hpt__alloc_set_hook(NULL, NULL);
    cr_expect_str_eq(hpt_last_error(), "out of memory");
    cr_expect_eq(hpt__grow(&array, &cap, INT64_MAX, sizeof *array), HPT_E_MEMORY);
    cr_expect_eq(cap, before);
    for (n = 0; n < 1000; n++) cr_assert_eq(array[n], (double)n);
    hpt__free(array);
}

Test(base_arena, memory_is_aligned_and_apart)
{
    hpt__arena arena;
    hpt__arena_init(&arena);
    hpt__rng rng;
    hpt__rng_init(&rng, 3, 0);
    for (int round = 0; round < 3; round++) {
        unsigned char *parts[500];
        size_t sizes[500];
        for (int i = 0; i < 500; i++) {
            sizes[i] = (size_t)hpt__rng_below(&rng, i % 50 == 0 ? 40000 : 200);
            parts[i] = hpt__arena_alloc(&arena, sizes[i]);
            cr_assert_not_null(parts[i]);
            cr_assert_eq((uintptr_t)parts[i] % 16, 0);
            memset(parts[i], i % 251, sizes[i]);
        }
        for (int i = 0; i < 500; i++) {
            for (size_t j = 0; j < sizes[i]; j++) cr_assert_eq(parts[i][j], i % 251);
        }
        cr_expect_gt(arena.used, 0);
        hpt__arena_reset(&arena);
        cr_expect_eq(arena.used, 0);
    }
    // A large request gets a block of its own and does not cost the rest of the present one.
    char *before = hpt__arena_alloc(&arena, 16);
    char *large = hpt__arena_alloc(&arena, 5 << 20);
    memset(large, 1, 5 << 20);
    cr_expect_eq(hpt__arena_alloc(&arena, 16), before + 16);
    unsigned char *zero = hpt__arena_alloc0(&arena, 333);
    for (int i = 0; i < 333; i++) cr_assert_eq(zero[i], 0);
    char *copy = hpt__arena_strndup(&arena, "a\0b", 3);
    cr_expect(memcmp(copy, "a\0b", 4) == 0);
    cr_expect_null(hpt__arena_alloc(&arena, SIZE_MAX - 3));
    hpt__alloc_set_hook(fail_all, NULL);
    cr_expect_null(hpt__arena_alloc(&arena, 10 << 20));
    hpt__alloc_set_hook(NULL, NULL);
    hpt__arena_fini(&arena);
    hpt__arena none = {0};
    hpt__arena_reset(&none);
    hpt__arena_fini(&none);
}

Test(base_str, appends_join)
{
    hpt__str s = HPT__STR_INIT;
    cr_expect_str_eq(hpt__str_text(&s), "");
    hpt__str_add(&s, "a");
    hpt__str_addc(&s, 'b');
    hpt__str_addn(&s, "cdef", 2);
    hpt__str_addf(&s, "%d-%s", 5, "x");
    hpt__str_add_int(&s, INT64_MIN);
    hpt__str_addc(&s, ' ');
    hpt__str_add_int(&s, 0);
    hpt__str_addc(&s, ' ');
    hpt__str_add_double(&s, 1e-5);
    cr_expect_str_eq(hpt__str_text(&s), "abcd5-x-9223372036854775808 0 1e-05");
    char big[1000];
    memset(big, 'z', sizeof big - 1);
    big[sizeof big - 1] = 0;
    hpt__str_clear(&s);
    hpt__str_addf(&s, "%s%s", big, big);
    cr_expect_eq(s.len, 2 * (sizeof big - 1));
    cr_expect_eq(hpt__str_status(&s), 0);
    char *taken = hpt__str_take(&s);
    cr_expect_eq(strlen(taken), 2 * (sizeof big - 1));
    hpt_free(taken);
    taken = hpt__str_take(&s); // an empty string is a string
    cr_expect_str_eq(taken, "");
    hpt_free(taken);
    hpt__str_fini(&s);
}

Test(base_str, failure_is_sticky_until_cleared)
{
    hpt__str s = HPT__STR_INIT;
    hpt__str_add(&s, "kept");
    hpt__alloc_set_hook(fail_all, NULL);
    for (int i = 0; i < 100; i++) hpt__str_add(&s, "more");
    hpt__alloc_set_hook(NULL, NULL);
    hpt__str_add(&s, "late");
    cr_expect_eq(hpt__str_status(&s), HPT_E_MEMORY);
    cr_expect_eq(strncmp(hpt__str_text(&s), "keptmore", 8), 0);
    cr_expect_null(strstr(hpt__str_text(&s), "late"));
    cr_expect_null(hpt__str_take(&s));
    hpt__str_clear(&s);
    hpt__str_add(&s, "new");
    cr_expect_eq(hpt__str_status(&s), 0);
    cr_expect_str_eq(hpt__str_text(&s), "new");
    hpt__str_fini(&s);
}

Test(base_str, nearest_finds_slips_and_nothing_else)
{
    static const char *const keys[] = {"learning_rate", "batch_size", "lr", "momentum", "weight_decay"};
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"learnign_rate", "learning_rate"}, // swapped letters cost one
        {"LEARNING_RATE", "learning_rate"},
        {"batchsize", "batch_size"},
        {"lr", "lr"},
        {"rl", "lr"},
        {"momemtum", "momentum"},
        {"weigth-decay", "weight_decay"},
        {"zzz", NULL},
        {"optimizer", NULL},
        {"x", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *got = hpt__nearest(cases[i].text, keys, 5);
        if (cases[i].want)
            cr_expect(got && strcmp(got, cases[i].want) == 0, "%s", cases[i].text);
        else
            cr_expect_null(got, "%s gave %s", cases[i].text, got ? got : "");
    }
    cr_expect_null(hpt__nearest("", keys, 0));
    char big[300];
    memset(big, 'l', sizeof big - 1);
    big[sizeof big - 1] = 0;
    cr_expect_null(hpt__nearest(big, keys, 5));
    const char *long_keys[] = {big, "lr"};
    cr_expect_str_eq(hpt__nearest("lr", long_keys, 2), "lr");
}

Test(base_str, utf8_is_strict_and_round_trips)
{
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        char text[4];
        uint32_t back = 1;
        size_t n = hpt__utf8_encode(text, c);
        cr_assert_eq(hpt__utf8_decode(&back, text, n), n);
        cr_assert_eq(back, c >= 0xD800 && c <= 0xDFFF ? 0xFFFD : c);
        for (size_t k = 0; k < n; k++) cr_assert_eq(hpt__utf8_decode(&back, text, k), 0);
    }
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xe0\x80\x80",
                                      "\xed\xa0\x80",
                                      "\xf0\x80\x80\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "\xc3(",
                                      "\xe2\x82"};
    uint32_t c;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_eq(hpt__utf8_decode(&c, bad[i], strlen(bad[i])), 0, "case %zu", i);
}

Test(base_map, behaves_like_a_dictionary)
{
    // Against an array indexed by the key's number.
    enum { KEYS = 600 };
    int64_t want[KEYS];
    for (int i = 0; i < KEYS; i++) want[i] = -1;
    hpt__map m;
    hpt__map_init(&m);
    hpt__rng rng;
    hpt__rng_init(&rng, 8, 0);
    char key[32];
    int64_t live = 0, got;
    for (int step = 0; step < 50000; step++) {
        int k = (int)hpt__rng_below(&rng, KEYS);
        size_t len = (size_t)snprintf(key, sizeof key, "key%d", k);
        if (hpt__rng_below(&rng, 3) == 0) {
            cr_assert_eq(hpt__map_remove(&m, key, len), want[k] >= 0);
            live -= want[k] >= 0;
            want[k] = -1;
        } else {
            cr_assert_eq(hpt__map_set(&m, key, len, step), 0);
            live += want[k] < 0;
            want[k] = step;
        }
        cr_assert_eq(m.n_live, live);
        k = (int)hpt__rng_below(&rng, KEYS);
        len = (size_t)snprintf(key, sizeof key, "key%d", k);
        bool there = hpt__map_get(&got, &m, key, len);
        cr_assert_eq(there, want[k] >= 0);
        if (there) cr_assert_eq(got, want[k]);
    }
    cr_expect_lt(m.n_slots, 8192); // removed entries do not pile up
    int64_t seen = 0;
    for (int64_t i = 0; i < m.n_entries; i++) seen += m.entries[i].key != NULL;
    cr_expect_eq(seen, live);
    hpt__map_fini(&m);
    hpt__map_fini(&m);
}

Test(base_map, keys_are_bytes_and_order_is_kept)
{
    hpt__map m;
    hpt__map_init(&m);
    int64_t v;
    cr_expect_not(hpt__map_get(&v, &m, "a", 1));
    cr_expect_not(hpt__map_remove(&m, "a", 1));
    static const char *const keys[] = {"z", "", "a\0b", "a\0c", "a"};
    static const size_t lens[] = {1, 0, 3, 3, 1};
    for (int i = 0; i < 5; i++) cr_assert_eq(hpt__map_set(&m, keys[i], lens[i], i), 0);
    for (int i = 0; i < 5; i++) {
        cr_expect(hpt__map_get(&v, &m, keys[i], lens[i]) && v == i);
        cr_expect_eq(m.entries[i].value, i);
        cr_expect_eq(m.entries[i].len, lens[i]);
    }
    cr_expect_eq(hpt__map_set(&m, "", 0, 77), 0); // replaces in place
    cr_expect_eq(m.entries[1].value, 77);
    cr_expect_eq(m.n_entries, 5);
    for (int k = 0; k < 3; k++) { // whichever allocation fails, the map stays as it was
        hpt__map full;
        hpt__map_init(&full);
        int left = k;
        hpt__alloc_set_hook(fail_kth, &left);
        cr_expect_eq(hpt__map_set(&full, "k", 1, 1), HPT_E_MEMORY);
        hpt__alloc_set_hook(NULL, NULL);
        cr_expect_not(hpt__map_get(&v, &full, "k", 1));
        cr_expect_eq(hpt__map_set(&full, "k", 1, 2), 0);
        cr_expect(hpt__map_get(&v, &full, "k", 1) && v == 2);
        hpt__map_fini(&full);
    }
    hpt__map_fini(&m);
}
