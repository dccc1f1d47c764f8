// SPDX-License-Identifier: Apache-2.0
// cpu_path.c: functions drawn pathwise at m candidates (formulas: backend_impl.h).
//
//   out = K(z, x) W + waves(z) UV     (m x s);   K (m x n), waves (m x 2 F T), 0 where a term is not active in a candidate
//
// A task is a strip of candidates: its covariances, then its waves, each as columns of the thread's scratch and a product of
// matrices, so that neither m x n nor m x 2 F T numbers ever exist. Phases are sums over few columns: by loops, since choices and
// conditions would make most of a product zeros.
// Cost: m n (60 + 2 s) + m F T (2 d + 60 + 4 s) flops. Threads: strips over the pool, BLAS alone in each.
#include "cpu_impl.h"

#include "../core/base/error.h"
#include <string.h>

enum { STRIP = 64 };

typedef struct drawn {
    const cpu__model *m;
    const hpt__paths *p;
    const double *z;
    const uint64_t *zmask;
    double *out;
    int64_t n_z, ldo, n_waves, ldk, ldw; // ldk, ldw: of a strip's covariances and waves
} drawn;

// The waves of candidate j. scratch: 3 padded F.
static void waves_of(const drawn *f, int64_t j, double *wave, double *scratch) {
    const hpt__cov *cov = f->m->cov;
    const hpt__paths *p = f->p;
    const cpu__vec_ops *vec = f->m->ctx->vec;
    const int64_t n = p->n_features, padded = cpu__round(n, CPU__LANES);
    const size_t bytes = (size_t)n * sizeof(double);
    const double *z = f->z + j * cov->d;
    double *phase = scratch, *cosine = phase + padded, *sine = cosine + padded;
    for (int64_t t = 0; t < cov->n_terms; t++, wave += 2 * n) {
        if (cov->term_blocks[t] & ~f->zmask[j]) {
            memset(wave, 0, 2 * bytes);
            continue;
        }
        memset(phase, 0, (size_t)padded * sizeof(double));
        for (int64_t c = 0; c < cov->d; c++) {
            if (!(cov->term_blocks[t] >> cov->block[c] & 1)) continue;
            const int64_t row = p->first[c] + (cov->categorical[c] ? 1 + (int64_t)z[c] : 0);
            vec->add(phase, cov->categorical[c] ? 1 : z[c], p->omega + (t * p->first[cov->d] + row) * n, n);
        }
        vec->waves(cosine, sine, phase, padded);
        memcpy(wave, cosine, bytes);
        memcpy(wave + n, sine, bytes);
    }
}

// Rows from .. from + width - 1 of out = (beta = 0) or += (1) A'B, A (n x width, lda), B (n x s).
static void apply(const drawn *f, int64_t from, int64_t width, const double *a, int64_t lda, const double *b, int64_t n,
                  double beta) {
    f->m->ctx->blas->gemm(CPU__COL_MAJOR, CPU__T, CPU__N, (int)width, (int)f->p->s, (int)n, 1.0, a, (int)lda, b, (int)n,
                          beta, f->out + from, (int)f->ldo);
}

static void strip_task(void *payload, int64_t task, double *scratch) {
    const drawn *f = payload;
    const cpu__model *m = f->m;
    const int64_t n = f->p->n, from = task * STRIP, width = f->n_z - from < STRIP ? f->n_z - from : STRIP;
    double *columns = scratch, *rest = columns + (f->ldk > f->ldw ? f->ldk : f->ldw) * STRIP;
    if (n > 0) {
        for (int64_t q = 0; q < width; q++)
            cpu__column(m->ctx, &m->fit, &m->points, 0, n, &m->candidates, from + q, columns + q * f->ldk, rest);
        apply(f, from, width, columns, f->ldk, f->p->w, n, 0);
    }
    if (f->n_waves > 0) {
        for (int64_t q = 0; q < width; q++) waves_of(f, from + q, columns + q * f->ldw, rest);
        apply(f, from, width, columns, f->ldw, f->p->uv, f->n_waves, n > 0 ? 1 : 0);
    }
}

int cpu__paths(void *model, const hpt__paths *p, const double *z, const uint64_t *zmask, int64_t m, double *out,
               int64_t ldo) {
    cpu__model *own = model;
    cpu__ctx *c = own->ctx;
    const int64_t n_waves = 2 * p->n_features * own->cov->n_terms, column = cpu__column_scratch(&own->fit),
                  wave = 3 * cpu__round(p->n_features, CPU__LANES);
    drawn f = {.m = own,
               .p = p,
               .z = z,
               .zmask = zmask,
               .out = out,
               .n_z = m,
               .ldo = ldo,
               .n_waves = n_waves,
               .ldk = cpu__round(p->n, CPU__LANES) + CPU__PAD,
               .ldw = cpu__round(n_waves, CPU__LANES) + CPU__PAD};
    const double s = (double)p->s, work = (double)m * ((double)p->n * (60 + 2 * s) + (double)n_waves * (30 + 2 * s));
    int rc = HPT_OK;
    cpu__blas_enter();
    HPT_TRY(cpu__points_reserve(c, &own->candidates, &own->fit, m, 0));
    cpu__points_set(&own->candidates, &own->fit, 0, z, zmask, m);
    HPT_TRY(cpu__parallel(c, (m + STRIP - 1) / STRIP,
                          (f.ldk > f.ldw ? f.ldk : f.ldw) * STRIP + (column > wave ? column : wave), work, strip_task,
                          &f));
out:
    cpu__blas_leave();
    return rc;
}
