/* SPDX-License-Identifier: Apache-2.0
 * pruner.h: names of what can stop unpromising trials. Options of each are in the
 * options table (options.h). */
#ifndef HPT_PRUNER_H
#define HPT_PRUNER_H

#include <hpt/export.h>
#include <stdint.h>

HPT_BEGIN_DECLS

/* Name and one-line description of pruner i = 0, 1, ...; NULL past the last. Static storage. */
HPT_API const char *hpt_pruner_name(int64_t i);
HPT_API const char *hpt_pruner_doc(int64_t i);

HPT_END_DECLS
#endif
