// SPDX-License-Identifier: Apache-2.0
// error.h: how a call inside the library fails: a status and one thread-local line, nothing allocated.
//
// A function that can fail returns int (hpt_status). The place that detects a failure calls hpt__fail,
// which records the line and returns the status; callers forward it untouched with HPT_TRY, so a lower
// message is never masked. Functions that own things use one `out:` label and set `rc`.
#ifndef HPT_BASE_ERROR_H
#define HPT_BASE_ERROR_H

#include <hpt/status.h>
#include <stdarg.h>
#include <stdbool.h>

enum { HPT__ERROR_MAX = 512 };

// Records "message" for this thread and returns status. Control characters are replaced by '?', so that
// it stays one line.
int hpt__fail(int status, const char *fmt, ...) HPT_PRINTF(2, 3);
// Puts "prefix: " before the recorded message (file and line of a sweep, for example); returns status.
int hpt__fail_prefix(int status, const char *fmt, ...) HPT_PRINTF(2, 3);
// Out of memory of the host: HPT_E_MEMORY with a fixed message, which tells it from a device's lack of memory.
#define HPT__OUT_OF_MEMORY "out of memory"
int hpt__fail_memory(void);
bool hpt__error_is_host_memory(void); // of the recorded line, with or without a prefix
// Carries an error from a worker thread to its caller's.
void hpt__error_copy(char out[HPT__ERROR_MAX]);
void hpt__error_set(const char *message);

// The only control-flow macros of the code base. TRY forwards errors (negative) and keeps remarks in rc.
#define HPT_TRY(call)         \
    do {                      \
        rc = (call);          \
        if (rc < 0) goto out; \
    } while (0)
#define HPT_FAIL_IF(cond, status, ...)             \
    do {                                           \
        if (cond) {                                \
            rc = hpt__fail((status), __VA_ARGS__); \
            goto out;                              \
        }                                          \
    } while (0)

// Our own invariants; off in release (NDEBUG). Never for user input.
#include <assert.h>
#define HPT_ASSERT(cond) assert(cond)

#endif
