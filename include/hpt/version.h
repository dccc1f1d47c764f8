/* SPDX-License-Identifier: Apache-2.0
 * version.h: the version of the library that was compiled against and of the one that is loaded. */
#ifndef HPT_VERSION_H
#define HPT_VERSION_H

#include <hpt/export.h>

#define HPT_VERSION_MAJOR 0
#define HPT_VERSION_MINOR 1
#define HPT_VERSION_PATCH 0
#define HPT_VERSION_STRING "0.1.0"

HPT_BEGIN_DECLS

/* Version of the loaded library, e.g. "0.1.0". Static storage. */
HPT_API const char *hpt_version_string(void);

/* One JSON object: version, commit, compiler, build type, sqlite and libyaml versions. Static storage. */
HPT_API const char *hpt_build_info(void);

HPT_END_DECLS
#endif
