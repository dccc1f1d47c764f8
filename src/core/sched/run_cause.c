// SPDX-License-Identifier: Apache-2.0
// run_cause.c: which failures are of one kind.
//
// The kind of a failure is its reason with every number replaced by N: "loss is 0.31 at step 17" and "loss is 12 at
// step 4" are one. A number is a run of digits with its point and exponent, a hexadecimal 0x..., or a word of eight or
// more hexadecimal digits with a decimal one among them (addresses, identifiers). The exit code at the head stays: it
// is the program's own way to tell kinds apart.
//
// A program may fail in ever new words; beyond CAUSES_MAX kinds all further ones are one, so that memory is bounded.
//
// Ownership: the table hangs on the run. Threads: the run's. Cost: one pass over the reason, then a search by
// comparison over the kinds so far; only for trials that failed.
#include "../base/alloc.h"
#include "run_impl.h"

#include <ctype.h>
#include <string.h>

enum { CAUSES_MAX = 1000 };

static size_t hex_word(const char *p) { // length of a word that is an address or identifier; 0: it is none
    size_t n = 0, decimal = 0;
    const bool prefixed = p[0] == '0' && (p[1] == 'x' || p[1] == 'X') && isxdigit((unsigned char)p[2]);
    if (prefixed) n = 2;
    for (; isxdigit((unsigned char)p[n]); n++) decimal += isdigit((unsigned char)p[n]) != 0;
    if (isalnum((unsigned char)p[n])) return 0;
    return prefixed || (n >= 8 && decimal > 0) ? n : 0;
}

static size_t decimal(const char *p) {
    size_t n = 0;
    while (isdigit((unsigned char)p[n])) n++;
    while (n > 0 && p[n] == '.' && isdigit((unsigned char)p[n + 1])) // versions and addresses have several points
        for (n++; isdigit((unsigned char)p[n]);) n++;
    if (n > 0 && (p[n] == 'e' || p[n] == 'E')) {
        size_t m = n + 1;
        if (p[m] == '+' || p[m] == '-') m++;
        if (isdigit((unsigned char)p[m]))
            for (n = m; isdigit((unsigned char)p[n]);) n++;
    }
    return n;
}

void hpt__cause_text(hpt__str *out, const char *reason) {
    static const char head[] = "exit code ";
    const char *p = reason;
    bool inside = false; // a word
    hpt__str_clear(out);
    if (strncmp(p, head, sizeof head - 1) == 0) {
        size_t n = sizeof head - 1;
        while (isdigit((unsigned char)p[n])) n++;
        hpt__str_addn(out, p, n);
        p += n;
    }
    while (*p) {
        const bool hex_start = !inside && isxdigit((unsigned char)*p);
        size_t n = hex_start ? hex_word(p) : 0;
        if (n == 0) n = decimal(p);
        if (n > 0) {
            hpt__str_addc(out, 'N');
            inside = true;
            p += n;
        } else {
            inside = isalnum((unsigned char)*p) || (unsigned char)*p >= 0x80;
            hpt__str_addc(out, *p++);
        }
    }
}

int hpt__run_count_cause(const char **text, int64_t *n, hpt__run *run, const char *reason) {
    int rc = 0;
    int64_t i = 0;
    hpt__str key = HPT__STR_INIT;
    hpt__cause_text(&key, reason);
    HPT_TRY(hpt__str_status(&key));
    if (run->n_causes >= CAUSES_MAX) {
        while (i < run->n_causes && strcmp(run->causes[i].text, hpt__str_text(&key)) != 0) i++;
        if (i == run->n_causes) hpt__str_clear(&key), hpt__str_add(&key, "other failures");
        HPT_TRY(hpt__str_status(&key));
    }
    for (i = 0; i < run->n_causes; i++)
        if (strcmp(run->causes[i].text, hpt__str_text(&key)) == 0) break;
    if (i == run->n_causes) {
        HPT_TRY(hpt__grow(&run->causes, &run->cap_causes, run->n_causes + 1, sizeof *run->causes));
        char *copy = hpt__strdup(hpt__str_text(&key));
        if (!copy) {
            rc = hpt__fail_memory();
            goto out;
        }
        run->causes[run->n_causes++] = (hpt__cause){.text = copy};
    }
    run->causes[i].n++;
    *text = run->causes[i].text;
    *n = run->causes[i].n;
    rc = 0;
out:
    hpt__str_fini(&key);
    return rc;
}

void hpt__run_causes_fini(hpt__run *run) {
    for (int64_t i = 0; i < run->n_causes; i++) hpt__free(run->causes[i].text);
    hpt__free(run->causes);
    run->causes = NULL;
    run->n_causes = run->cap_causes = 0;
}
