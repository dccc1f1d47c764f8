/* SPDX-License-Identifier: Apache-2.0
 * status.h: the result of every call that can fail.
 *
 * 0 is success, a negative HPT_E_* is an error, a positive HPT_S_* is a remark about a call that
 * succeeded. After an error, hpt_last_error() gives one line that names the thing and the remedy; it
 * belongs to the calling thread and stays valid until that thread's next failing call.
 * Numbers are pinned and never reused. */
#ifndef HPT_STATUS_H
#define HPT_STATUS_H

#include <hpt/export.h>

HPT_BEGIN_DECLS

/* X(name, number, text) */
#define HPT_STATUS_LIST(X)                                                  \
    X(OK, 0, "success")                                                     \
    X(E_ARG, -1, "invalid argument")                                        \
    X(E_MEMORY, -2, "out of memory")                                        \
    X(E_IO, -3, "input or output failed")                                   \
    X(E_PARSE, -4, "malformed text")                                        \
    X(E_NOT_FOUND, -5, "no such thing")                                     \
    X(E_EXISTS, -6, "already exists")                                       \
    X(E_STATE, -7, "not possible in this state")                            \
    X(E_STORAGE, -8, "storage failed")                                      \
    X(E_INCOMPATIBLE, -9, "incompatible with what is stored")               \
    X(E_UNSUPPORTED, -10, "not supported")                                  \
    X(E_BUSY, -11, "in use by another process")                             \
    X(E_DEVICE, -12, "device not available")                                \
    X(E_INTERNAL, -13, "internal invariant broken")                         \
    X(E_CALLBACK, -14, "the caller's function asked to stop with an error") \
    X(E_NUMERIC, -15, "not possible with these numbers")                    \
    X(S_EXHAUSTED, 1, "the space has no further point")                     \
    X(S_PRUNE, 2, "the trial should stop")                                  \
    X(S_STOPPED, 3, "stopped on request or at its budget")                  \
    X(S_NOTHING, 4, "nothing to do")                                        \
    X(S_JITTERED, 5, "a matrix was made positive definite by jitter")

typedef enum hpt_status {
#define X(name, number, text) HPT_##name = (number),
    HPT_STATUS_LIST(X)
#undef X
} hpt_status;

/* Fixed English text of a status, never NULL ("unknown status" for a foreign number). Any thread. */
HPT_API const char *hpt_status_string(int status);

/* Name of a status without prefix, e.g. "E_ARG". Never NULL. Any thread. */
HPT_API const char *hpt_status_name(int status);

/* One line about this thread's last failing call; "" if none failed. Borrowed, thread-local. */
HPT_API const char *hpt_last_error(void);

/* Frees strings and arrays that the library handed out as owned. NULL is fine. */
HPT_API void hpt_free(void *ptr);

HPT_END_DECLS
#endif
