/* SPDX-License-Identifier: Apache-2.0
 * options.h: the table of options. One definition (src/core/base/options.def) gives the default, the
 * bounds, the environment name (HPT_ and the key in capitals with _ for .), the text of `hpt --help`,
 * docs/options.md and the JSON stored with a study. */
#ifndef HPT_OPTIONS_H
#define HPT_OPTIONS_H

#include <hpt/export.h>
#include <stdint.h>

HPT_BEGIN_DECLS

typedef struct hpt_option_info {
    const char *key;           /* "tpe.n_startup" */
    const char *type;          /* "int", "float", "bool", "string", "enum" */
    const char *default_value; /* as text */
    const char *bounds;        /* "[1, 1000]", "a|b|c", or "" */
    const char *env;           /* "HPT_TPE_N_STARTUP" */
    const char *doc;           /* one sentence */
} hpt_option_info;

/* Option i = 0, 1, ...; returns HPT_S_NOTHING past the last. All strings static. Any thread. */
HPT_API int hpt_option_info_at(hpt_option_info *out, int64_t i);

HPT_END_DECLS
#endif
