/* SPDX-License-Identifier: Apache-2.0
 * export.h: what the shared library exports. Everything else is hidden. */
#ifndef HPT_EXPORT_H
#define HPT_EXPORT_H

#if defined(__GNUC__)
#define HPT_API __attribute__((visibility("default")))
#define HPT_NODISCARD __attribute__((warn_unused_result))
#define HPT_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#else
#define HPT_API
#define HPT_NODISCARD
#define HPT_PRINTF(fmt, first)
#endif

#ifdef __cplusplus
#define HPT_BEGIN_DECLS extern "C" {
#define HPT_END_DECLS }
#else
#define HPT_BEGIN_DECLS
#define HPT_END_DECLS
#endif

#endif
