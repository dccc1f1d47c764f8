// SPDX-License-Identifier: Apache-2.0
// logging.h: the inside of hpt/log.h.
#ifndef HPT_BASE_LOGGING_H
#define HPT_BASE_LOGGING_H

#include <hpt/log.h>

void hpt__log(hpt_log_level level, const char *fmt, ...) HPT_PRINTF(2, 3);

#endif
