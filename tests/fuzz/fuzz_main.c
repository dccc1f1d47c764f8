// SPDX-License-Identifier: Apache-2.0
// fuzz_main.c: drives a fuzz target without libFuzzer: its corpus, then mutations of it that are the same on every machine.
//
//   fuzz_json [--runs N] [--seconds S] [--first K] FOLDER|FILE...
//
// Mutation number k depends on k and the corpus alone (files in the order of their names), so --first K --runs 1 repeats
// it. An input that ends the process, or takes longer than HANG_SECONDS, is kept in the file crash-<target> (slow-...)
// in the working folder. Ends with one line: inputs, mutations, seconds.
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { INPUT_MAX = 8192, HANG_SECONDS = 20 };

typedef struct input {
    char *name;
    uint8_t *data;
    size_t size;
} input;

static input *corpus;
static size_t n_corpus;
static const uint8_t *volatile current;
static volatile size_t current_size;
static char keep[256];

static void keep_input(void) {
    const int fd = open(keep, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return;
    if (write(fd, current, current_size) < 0) (void)unlink(keep);
    close(fd);
}

static void on_signal(int signal) {
    static const char note[] = "the input is kept in the working folder: crash-<target>\n";
    keep_input();
    if (write(2, note, sizeof note - 1) < 0) _exit(2);
    _exit(signal == SIGALRM ? 3 : 2);
}

void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void catch_signals(void) {
    static const int signals[] = {SIGABRT, SIGALRM};
    for (size_t i = 0; i < 2; i++) signal(signals[i], on_signal);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(keep_input);
    else
        for (int s = SIGILL; s <= SIGSEGV; s++)
            if (s == SIGSEGV || s == SIGBUS || s == SIGFPE || s == SIGILL) signal(s, on_signal);
}

static void run(const uint8_t *data, size_t size) {
    current = data;
    current_size = size;
    alarm(HANG_SECONDS);
    LLVMFuzzerTestOneInput(data, size);
    alarm(0);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// ---- corpus

static void add_file(const char *path) {
    FILE *f = fopen(path, "re");
    struct stat st;
    if (!f || fstat(fileno(f), &st) != 0) {
        fprintf(stderr, "%s cannot be read\n", path);
        exit(2);
    }
    input in = {.name = strdup(path), .data = malloc((size_t)st.st_size + 1), .size = (size_t)st.st_size};
    corpus = realloc(corpus, (n_corpus + 1) * sizeof *corpus);
    if (!in.name || !in.data || !corpus || fread(in.data, 1, in.size, f) != in.size) exit(2);
    fclose(f);
    corpus[n_corpus++] = in;
}

static void add(const char *path) {
    struct stat st;
    struct dirent **entries;
    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
        add_file(path);
        return;
    }
    const int n = scandir(path, &entries, NULL, alphasort);
    if (n < 0) {
        fprintf(stderr, "%s cannot be read\n", path);
        exit(2);
    }
    for (int i = 0; i < n; i++) {
        char name[4096];
        snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') add_file(name);
        free(entries[i]);
    }
    free(entries);
}

// ---- mutations

static uint64_t state; // splitmix64

static uint64_t draw(void) {
    uint64_t z = state += 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
}

static size_t below(size_t n) {
    return n ? (size_t)(draw() % n) : 0;
}

// Replaces `gone` bytes at `at` by n bytes of text; what does not fit is left out.
static size_t put(uint8_t *data, size_t size, size_t at, size_t gone, const uint8_t *text, size_t n) {
    if (at > size) at = size;
    if (gone > size - at) gone = size - at;
    if (size - gone + n > INPUT_MAX) n = INPUT_MAX - (size - gone);
    memmove(data + at + n, data + at + gone, size - at - gone);
    memcpy(data + at, text, n);
    return size - gone + n;
}

static size_t mutate_once(uint8_t *data, size_t size) {
    static const char *const words[] = {
        "0",       "-1",   "1",    "1e308", "-1e308", "5e-324", "NaN",     "Infinity", "9223372036854775807",
        "null",    "true", "\"\"", "[]",    "{}",     "[[",     "{\"a\":", "\n",       "\"",
        "\\u0000", "\xff", "\xc3", ":",     ",",      " ",      "- ",      "&a ",      "*a",
        "<<: ",    "'",    "(",    ")",     "{9}",    "+",      "*",       "1.5",      "-9223372036854775808"};
    uint8_t copy[64];
    const size_t at = below(size + 1), n = 1 + below(sizeof copy), word = below(sizeof words / sizeof *words);
    const input *other = &corpus[below(n_corpus)];
    size_t from;
    switch (draw() % 9) {
    case 0: // a bit
        if (size) data[below(size)] ^= (uint8_t)(1U << below(8));
        return size;
    case 1: // a byte
        if (size) data[below(size)] = (uint8_t)draw();
        return size;
    case 2:
        return put(data, size, at, 1 + below(8), copy, 0);
    case 3:
        copy[0] = (uint8_t)draw();
        return put(data, size, at, 0, copy, 1);
    case 4: // a piece once more somewhere else
        from = below(size);
        if (size - from < n) return size;
        memcpy(copy, data + from, n);
        return put(data, size, at, 0, copy, n);
    case 5: // a piece of another input
        from = below(other->size);
        if (other->size - from < n) return size;
        memcpy(copy, other->data + from, n);
        return put(data, size, at, below(2) ? n : 0, copy, n);
    case 6: // the rest of another input
        from = below(other->size);
        return put(data, size, at, size, other->data + from, other->size - from);
    case 7:
        return size ? 1 + below(size) : 0; // cut off
    default:
        return put(data, size, at, below(3) * below(6), (const uint8_t *)words[word], strlen(words[word]));
    }
}

static void run_mutation(uint64_t k) {
    static uint8_t data[INPUT_MAX];
    state = k * 0xD1342543DE82EF95U + 1;
    const input *from = &corpus[below(n_corpus)];
    size_t size = from->size < INPUT_MAX ? from->size : INPUT_MAX;
    memcpy(data, from->data, size);
    for (size_t i = 1 + below(6); i > 0; i--) size = mutate_once(data, size);
    uint8_t *exact = malloc(size ? size : 1); // so that reads past the end are seen
    if (!exact) exit(2);
    memcpy(exact, data, size);
    run(exact, size);
    free(exact);
}

int main(int argc, char **argv) {
    uint64_t runs = 20000, first = 0, k;
    double seconds = 8;
    const char *base = strrchr(argv[0], '/');
    snprintf(keep, sizeof keep, "crash-%s", base ? base + 1 : argv[0]);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--runs") == 0 && i + 1 < argc)
            runs = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--first") == 0 && i + 1 < argc)
            first = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            seconds = strtod(argv[++i], NULL);
        else
            add(argv[i]);
    }
    if (n_corpus == 0) {
        fprintf(stderr, "usage: %s [--runs N] [--seconds S] [--first K] FOLDER|FILE...\n", argv[0]);
        return 2;
    }
    catch_signals();
    const double start = now();
    for (size_t i = 0; i < n_corpus; i++) run(corpus[i].data, corpus[i].size);
    for (k = 0; k < runs && now() - start < seconds; k++) {
        run_mutation(first + k);
    }
    printf("%zu inputs and %llu mutations in %.1f s\n", n_corpus, (unsigned long long)k, now() - start);
    for (size_t i = 0; i < n_corpus; i++) {
        free(corpus[i].name);
        free(corpus[i].data);
    }
    free(corpus);
    return 0;
}
