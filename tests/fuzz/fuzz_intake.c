// SPDX-License-Identifier: Apache-2.0
// fuzz_intake.c: metric values out of any output, by any pattern that a sweep file may hold.
//
// Input: one byte of flags, the metric's name up to a newline, a pattern up to a newline (empty: none), then output. The
// pattern goes through the sweep file's reader, whose guards decide whether it is taken. The values found must not depend
// on how the output is cut into chunks.
#include "core/intake/intake.h"
#include "fuzz.h"

#include <math.h>

enum { OUTPUT_MAX = 4096, NAME_MAX_BYTES = 64, PATTERN_MAX = 64, CHUNK = 7 };

typedef struct found {
    int64_t n;
    uint64_t mix; // of steps and values, in order
} found;

static int take(int64_t step, double value, void *payload) {
    found *f = payload;
    uint64_t bits = 0;
    FUZZ_CHECK(step >= 0, "step %lld", (long long)step);
    if (!isnan(value)) memcpy(&bits, &value, sizeof bits);
    f->n++;
    f->mix = (f->mix ^ bits ^ ((uint64_t)step << 1)) * 0x9E3779B97F4A7C15U;
    return 0;
}

static found feed(const hpt__intake *in, const uint8_t *data, size_t size, size_t chunk, bool protocol) {
    found f = {0};
    hpt__intake_trial trial = {0};
    hpt__intake_stream s = {.protocol = protocol};
    for (size_t i = 0; i < size; i += chunk) {
        const size_t n = size - i < chunk ? size - i : chunk;
        char *copy = fuzz_text(data + i, n);
        FUZZ_CHECK(hpt__intake_feed(in, &s, &trial, copy, n, take, &f) == 0, "%s", hpt_last_error());
        free(copy);
    }
    FUZZ_CHECK(hpt__intake_end(in, &s, &trial, take, &f) == 0, "%s", hpt_last_error());
    hpt__intake_stream_fini(&s);
    return f;
}

// A line of at most max bytes, as JSON text (which is YAML's double-quoted form too).
static bool quoted_line(hpt__str *out, const uint8_t **p, size_t *size, size_t max) {
    const uint8_t *end = memchr(*p, '\n', *size);
    const size_t n = end ? (size_t)(end - *p) : *size;
    if (n > max) return false;
    hpt__str_add_json_string(out, (const char *)*p, n);
    *p += n;
    *size -= n;
    if (end) ++*p, --*size;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hpt__str name = HPT__STR_INIT, pattern = HPT__STR_INIT, file = HPT__STR_INIT;
    hpt_sweep *sweep = NULL;
    hpt__intake in;
    if (size < 2) return 0;
    const uint8_t flags = *data++;
    size--;
    if (!quoted_line(&name, &data, &size, NAME_MAX_BYTES) || !quoted_line(&pattern, &data, &size, PATTERN_MAX))
        goto out;
    if (size > OUTPUT_MAX) size = OUTPUT_MAX;
    hpt__str_addf(&file, "method: random\nprogram: t\nmetric: {name: %s}\nparameters: {x: {min: 0.0, max: 1.0}}\n",
                  hpt__str_text(&name));
    if (pattern.len > 2)
        hpt__str_addf(&file, "hpt: {metrics: {%s: %s}}\n", flags & 1 ? "step" : hpt__str_text(&name),
                      hpt__str_text(&pattern));
    if (hpt_sweep_parse(&sweep, hpt__str_text(&file), "f.yaml") < 0) {
        fuzz_check_error(-1);
        goto out;
    }
    FUZZ_CHECK(hpt__intake_init(&in, sweep->metric, sweep->patterns, sweep->n_patterns) == 0, "%s", hpt_last_error());
    const bool protocol = flags & 2;
    const found whole = feed(&in, data, size, size ? size : 1, protocol), cut = feed(&in, data, size, CHUNK, protocol);
    FUZZ_CHECK(whole.n == cut.n && whole.mix == cut.mix, "%lld values at once, %lld in pieces", (long long)whole.n,
               (long long)cut.n);
    hpt__intake_fini(&in);
out:
    hpt_sweep_destroy(sweep);
    hpt__str_fini(&name);
    hpt__str_fini(&pattern);
    hpt__str_fini(&file);
    return 0;
}
