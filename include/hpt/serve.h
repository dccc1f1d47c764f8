/* SPDX-License-Identifier: Apache-2.0
 * serve.h: the JSON-lines protocol of `hpt serve` as a function: one request in, one answer out.
 * docs/serve.md lists the requests. Other languages and benchmark harnesses drive it. */
#ifndef HPT_SERVE_H
#define HPT_SERVE_H

#include <hpt/export.h>

HPT_BEGIN_DECLS

typedef struct hpt_serve hpt_serve;

HPT_API HPT_NODISCARD int hpt_serve_create(hpt_serve **out);
HPT_API void hpt_serve_destroy(hpt_serve *serve);

/* line: one JSON object. *reply: one line of JSON without newline, borrowed until the next call. A bad
 * request is answered {"ok":false,"error":...} and returns 0; only HPT_E_MEMORY, no room for
 * the answer itself, is an error.
 * HPT_S_STOPPED: the request was {"op":"close"}; *reply is still to be sent. One thread at a time. */
HPT_API HPT_NODISCARD int hpt_serve_request(const char **reply, hpt_serve *serve, const char *line);

HPT_END_DECLS
#endif
