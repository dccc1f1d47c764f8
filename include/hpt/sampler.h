/* SPDX-License-Identifier: Apache-2.0
 * sampler.h: names of what can choose points. Options of each are in the
 * options table (options.h). */
#ifndef HPT_SAMPLER_H
#define HPT_SAMPLER_H

#include <hpt/export.h>
#include <stdint.h>

HPT_BEGIN_DECLS

/* Name and one-line description of sampler i = 0, 1, ...; NULL past the last. Static storage. */
HPT_API const char *hpt_sampler_name(int64_t i);
HPT_API const char *hpt_sampler_doc(int64_t i);

HPT_END_DECLS
#endif
