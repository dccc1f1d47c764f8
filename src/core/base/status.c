// SPDX-License-Identifier: Apache-2.0
// status.c: status numbers as text, and the thread's last error line.
//
// Why : the line lives in a thread-local array of fixed size, so that "out of memory" can be reported when
//       there is none, and so that creating an object that fails needs no object to hold the message.
//       A line is built in a local buffer first: its arguments may point into the old line.
// Ownership: hpt_last_error borrows until the thread's next failure.
// Threads: each sees its own line; hpt__error_copy and hpt__error_set carry one across (pool.c).
// Cost: one vsnprintf per failure. 512 bytes of static TLS per thread.
// Note: vsnprintf follows the locale for %f and %g; messages write doubles with hpt__double_repr.
#include "alloc.h"
#include "error.h"

#include <stdio.h>
#include <string.h>

static _Thread_local char last_error[HPT__ERROR_MAX];

const char *hpt_status_string(int status) {
    switch (status) {
#define X(name, number, text) \
    case number:              \
        return text;
        HPT_STATUS_LIST(X)
#undef X
    default:
        return "unknown status";
    }
}

const char *hpt_status_name(int status) {
    switch (status) {
#define X(name, number, text) \
    case number:              \
        return #name;
        HPT_STATUS_LIST(X)
#undef X
    default:
        return "unknown";
    }
}

const char *hpt_last_error(void) {
    return last_error;
}

void hpt_free(void *ptr) {
    hpt__free(ptr);
}

// Makes the text one clean line. `wanted` is the length that snprintf asked for; when it did not fit, the
// end becomes "..." and a UTF-8 sequence cut in half is dropped whole.
static void tidy(char *line, int wanted) {
    size_t len = strlen(line);
    if (wanted >= HPT__ERROR_MAX && len >= 4) {
        len -= 3;
        while (len > 0 && ((unsigned char)line[len] & 0xC0) == 0x80) len--;
        memcpy(line + len, "...", 4);
    }
    for (char *p = line; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c == 0x7F) *p = '?';
    }
}

int hpt__fail(int status, const char *fmt, ...) {
    char line[HPT__ERROR_MAX] = "";
    va_list args;
    va_start(args, fmt);
    int wanted = vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (wanted < 0) memcpy(line, "message could not be formatted", 31);
    tidy(line, wanted);
    memcpy(last_error, line, sizeof line);
    return status;
}

int hpt__fail_prefix(int status, const char *fmt, ...) {
    char prefix[HPT__ERROR_MAX] = "", line[HPT__ERROR_MAX] = "";
    va_list args;
    va_start(args, fmt);
    int wanted = vsnprintf(prefix, sizeof prefix, fmt, args);
    va_end(args);
    if (wanted < 0) return status;
    // Built by hand: gcc sees that "%s: %s" may not fit and would warn, and cutting is what we want.
    size_t a = strlen(prefix), b = strlen(last_error), room = sizeof line - 1;
    memcpy(line, prefix, a);
    const char *parts[2] = {": ", last_error};
    const size_t lengths[2] = {2, b};
    size_t len = a;
    for (int i = 0; i < 2; i++) {
        size_t n = lengths[i] < room - len ? lengths[i] : room - len;
        memcpy(line + len, parts[i], n);
        len += n;
    }
    line[len] = 0;
    tidy(line, a + 2 + b > room ? HPT__ERROR_MAX : (int)len);
    memcpy(last_error, line, sizeof line);
    return status;
}

int hpt__fail_memory(void) {
    memcpy(last_error, HPT__OUT_OF_MEMORY, sizeof HPT__OUT_OF_MEMORY);
    return HPT_E_MEMORY;
}

bool hpt__error_is_host_memory(void) {
    const size_t n = strlen(last_error), own = sizeof HPT__OUT_OF_MEMORY - 1;
    if (n < own || strcmp(last_error + n - own, HPT__OUT_OF_MEMORY) != 0) return false;
    return n == own || (n > own + 2 && strncmp(last_error + n - own - 2, ": ", 2) == 0);
}

void hpt__error_copy(char out[HPT__ERROR_MAX]) {
    memcpy(out, last_error, HPT__ERROR_MAX);
}

void hpt__error_set(const char *message) {
    char line[HPT__ERROR_MAX] = "";
    size_t len = strlen(message), n = len < sizeof line - 1 ? len : sizeof line - 1;
    memcpy(line, message, n);
    tidy(line, len > n ? HPT__ERROR_MAX : (int)n);
    memcpy(last_error, line, sizeof line);
}
