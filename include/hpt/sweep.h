/* SPDX-License-Identifier: Apache-2.0
 * sweep.h: a sweep file (the W&B schema and our own keys under `hpt:`), read and checked whole. */
#ifndef HPT_SWEEP_H
#define HPT_SWEEP_H

#include <hpt/export.h>
#include <hpt/space.h>
#include <hpt/study.h>

HPT_BEGIN_DECLS

typedef struct hpt_sweep hpt_sweep;

/* Reads and validates a file. HPT_E_IO (cannot be read), HPT_E_PARSE (the message is
 * "file:line: key: what is wrong; the remedy"), HPT_E_UNSUPPORTED (a key of the schema that this
 * version does not do yet). Destroy with hpt_sweep_destroy. */
HPT_API HPT_NODISCARD int hpt_sweep_load(hpt_sweep **out, const char *path);

/* The same from text; name stands for the file in messages. */
HPT_API HPT_NODISCARD int hpt_sweep_parse(hpt_sweep **out, const char *text, const char *name);
HPT_API void hpt_sweep_destroy(hpt_sweep *sweep);

HPT_API const char *hpt_sweep_name(const hpt_sweep *sweep); /* `name`, else the file's stem */
HPT_API const char *hpt_sweep_path(const hpt_sweep *sweep);
HPT_API const char *hpt_sweep_method(const hpt_sweep *sweep); /* "grid", "random", "bayes" (custom as well) */
HPT_API const char *hpt_sweep_metric(const hpt_sweep *sweep);
HPT_API hpt_direction hpt_sweep_direction(const hpt_sweep *sweep);
HPT_API int64_t hpt_sweep_n_metrics(const hpt_sweep *sweep); /* several: several objectives */
HPT_API const char *hpt_sweep_metric_at(const hpt_sweep *sweep, int64_t i);
HPT_API hpt_direction hpt_sweep_direction_at(const hpt_sweep *sweep, int64_t i);
HPT_API int64_t hpt_sweep_run_cap(const hpt_sweep *sweep); /* 0: none */
HPT_API const hpt_space *hpt_sweep_space(const hpt_sweep *sweep);

/* `gpu_memory: learn`: how much of a GPU a trial gets is taken from what finished trials used. */
HPT_API bool hpt_sweep_learns_gpu_memory(const hpt_sweep *sweep);

/* Remarks about accepted but doubtful things, one line each; NULL past the last. Borrowed. */
HPT_API const char *hpt_sweep_warning(const hpt_sweep *sweep, int64_t i);

HPT_END_DECLS
#endif
