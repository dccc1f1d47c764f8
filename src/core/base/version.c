// SPDX-License-Identifier: Apache-2.0
// version.c: what this library is. The build passes HPT_GIT_COMMIT and HPT_BUILD_TYPE, and may pass
// HPT_SQLITE_VERSION and HPT_YAML_VERSION, each as a quoted string; base itself includes neither library,
// so a version that is not passed is left out. All of it is one string literal. Threads: any. Cost: none.
#include <hpt/version.h>

#ifndef HPT_GIT_COMMIT
#define HPT_GIT_COMMIT "unknown"
#endif
#ifndef HPT_BUILD_TYPE
#define HPT_BUILD_TYPE "unknown"
#endif
#ifdef HPT_SQLITE_VERSION
#define SQLITE_PART ", \"sqlite\": \"" HPT_SQLITE_VERSION "\""
#else
#define SQLITE_PART ""
#endif
#ifdef HPT_YAML_VERSION
#define YAML_PART ", \"libyaml\": \"" HPT_YAML_VERSION "\""
#else
#define YAML_PART ""
#endif
#define PIN(x) #x
#define TEXT(x) PIN(x)
#if defined(__clang__)
#define COMPILER "clang " TEXT(__clang_major__) "." TEXT(__clang_minor__) "." TEXT(__clang_patchlevel__)
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER "unknown"
#endif

#define NUMBERS TEXT(HPT_VERSION_MAJOR) "." TEXT(HPT_VERSION_MINOR) "." TEXT(HPT_VERSION_PATCH)
_Static_assert(sizeof(NUMBERS) == sizeof(HPT_VERSION_STRING), "HPT_VERSION_STRING is out of step with its numbers");

const char *hpt_version_string(void) {
    return HPT_VERSION_STRING;
}

const char *hpt_build_info(void) {
    return "{\"version\": \"" HPT_VERSION_STRING "\", \"commit\": \"" HPT_GIT_COMMIT "\", \"compiler\": \"" COMPILER
           "\", \"build_type\": \"" HPT_BUILD_TYPE "\"" SQLITE_PART YAML_PART "}";
}
