/* SPDX-License-Identifier: Apache-2.0
 * log.h: where the library's messages go. The library itself never prints; without a callback,
 * messages are dropped. */
#ifndef HPT_LOG_H
#define HPT_LOG_H

#include <hpt/export.h>

HPT_BEGIN_DECLS

typedef enum hpt_log_level {
    HPT_LOG_ERROR = 0,
    HPT_LOG_WARN = 1,
    HPT_LOG_INFO = 2,
    HPT_LOG_DEBUG = 3,
} hpt_log_level;

/* message: one line without newline, borrowed for the call. Called from any thread of the library,
 * never two calls at once. It must not call back into the library. */
typedef void (*hpt_log_fn)(hpt_log_level level, const char *message, void *payload);

/* Sets the process-wide callback (NULL: none) and the most verbose level it wants. Any thread. */
HPT_API void hpt_log_set(hpt_log_fn fn, void *payload, hpt_log_level max_level);

HPT_END_DECLS
#endif
