// SPDX-License-Identifier: Apache-2.0
// pool.h: a fixed set of threads and one blocking parallel loop. Nested loops run in the calling thread.
#ifndef HPT_BASE_POOL_H
#define HPT_BASE_POOL_H

#include <hpt/export.h>
#include <stdint.h>

typedef struct hpt__pool hpt__pool;

// n_threads >= 1 counts the caller: 1 starts no thread. 0: the cores this process may use.
HPT_NODISCARD int hpt__pool_create(hpt__pool **out, int64_t n_threads);
void hpt__pool_destroy(hpt__pool *pool);
int64_t hpt__pool_size(const hpt__pool *pool);

// Calls fn(i, payload) for every i in [0, n), in any order and thread; returns when all are done. fn returns
// 0 or an error; the error of the lowest i that failed is returned, its message set for the caller.
typedef int (*hpt__pool_fn)(int64_t i, void *payload);
int hpt__pool_run(hpt__pool *pool, int64_t n, hpt__pool_fn fn, void *payload);

int64_t hpt__cpu_count(void); // cores in this process's affinity mask, at least 1

#endif
