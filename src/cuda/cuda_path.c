// SPDX-License-Identifier: Apache-2.0
// cuda_path.c: functions drawn pathwise at m candidates (formulas: backend_impl.h).
//
//   strip of candidates:  K(x, z) (n x width) -> out = K' W;   waves (2 F T x width), in K's place -> out += waves' UV
// A strip is as wide as 256 MB of the larger of the two allow. Candidates, weights and frequencies go to the device at each call:
// 8 (m d + s (n + 2 F T)) bytes beside the 8 m s that come back, so that keeping them there would save little.
// Cost: m n (e + 2 s) + m F T (2 d + 80 + 4 s) flops. Threads: as its context.
#include "cuda_impl.h"

static const double one = 1, zero = 0;

// What a call has on the device beside the candidates, in c->small.
typedef struct drawn {
    cuda__model *m;
    double *w, *uv, *omega; // n x s, n_waves x s, T x rows x F
    int64_t *first;         // d
    int64_t s, n, n_waves, rows, n_features;
} drawn;

static int upload(drawn *f, const hpt__paths *p) {
    cuda__ctx *c = f->m->ctx;
    const int64_t d = f->n_waves ? f->m->cov->d : 0;
    const int64_t sizes[] = {f->n * f->s, f->n_waves * f->s, f->n_waves / 2 * f->rows, d};
    const void *from[] = {p->w, p->uv, p->omega, p->first};
    CUdeviceptr to[4], at;
    int rc = HPT_OK;
    HPT_TRY(cuda__reserve(c, &c->small, 8 * (sizes[0] + sizes[1] + sizes[2] + sizes[3]), "weights of functions"));
    at = c->small.at;
    for (int i = 0; i < 4; i++) {
        to[i] = at;
        HPT_TRY(cuda__upload(c, at, from[i], 8 * sizes[i]));
        at += (CUdeviceptr)(8 * sizes[i]);
    }
    f->w = cuda__doubles(to[0]);
    f->uv = cuda__doubles(to[1]);
    f->omega = cuda__doubles(to[2]);
    f->first = (int64_t *)(uintptr_t)to[3];
out:
    return rc;
}

// Values at candidates from .. from + width - 1, into strips[1] (width x s).
static int strip(const drawn *f, int64_t from, int64_t width) {
    cuda__model *m = f->m;
    cuda__ctx *c = m->ctx;
    const cuda__points z = cuda__points_of(&m->candidates, from, width);
    double *columns = cuda__doubles(c->strips[0].at), *out = cuda__doubles(c->strips[1].at);
    int rc = HPT_OK;
    if (f->n > 0) {
        HPT_TRY(cuda__fill_cross(c, &m->fit, cuda__points_of(&m->points, 0, f->n), z, columns, f->n));
        CUDA__BLAS(c, cublasDgemm_v2_64(c->blas, CUBLAS_OP_T, CUBLAS_OP_N, width, f->s, f->n, &one, columns, f->n, f->w,
                                        f->n, &zero, out, width));
    }
    if (f->n_waves > 0) {
        const int64_t parts = (f->n_features + CUDA__THREADS - 1) / CUDA__THREADS;
        HPT_TRY(cuda__launch_cuda_waves(c, (width + CUDA__PLACES - 1) / CUDA__PLACES, m->cov->n_terms * parts,
                                        &(cuda__waves_args){.cov = m->fit.dev,
                                                            .z = z,
                                                            .first = f->first,
                                                            .omega = f->omega,
                                                            .wave = columns,
                                                            .rows = f->rows,
                                                            .n_features = f->n_features}));
        CUDA__BLAS(c, cublasDgemm_v2_64(c->blas, CUBLAS_OP_T, CUBLAS_OP_N, width, f->s, f->n_waves, &one, columns,
                                        f->n_waves, f->uv, f->n_waves, f->n > 0 ? &one : &zero, out, width));
    }
out:
    return rc;
}

int cuda__paths(void *model, const hpt__paths *p, const double *z, const uint64_t *zmask, int64_t m, double *out,
                int64_t ldo) {
    cuda__model *own = model;
    cuda__ctx *c = own->ctx;
    const int64_t d = own->cov->d;
    drawn f = {.m = own,
               .s = p->s,
               .n = p->n,
               .n_waves = 2 * p->n_features * own->cov->n_terms,
               .rows = p->n_features ? p->first[d] : 0,
               .n_features = p->n_features};
    const int64_t high = f.n > f.n_waves ? f.n : f.n_waves, width = cuda__strip_width(high, m);
    int rc = cuda__enter(c);
    if (rc < 0) return rc;
    HPT_TRY(cuda__set_reserve(c, &own->candidates, d, m));
    HPT_TRY(cuda__set_write(c, &own->candidates, own->cov, &own->sorting, 0, z, zmask, m));
    HPT_TRY(upload(&f, p));
    HPT_TRY(cuda__reserve(c, &c->strips[0], 8 * high * width, "covariances and waves of candidates"));
    HPT_TRY(cuda__reserve(c, &c->strips[1], 8 * width * f.s, "values of functions"));
    for (int64_t from = 0; from < m; from += width) {
        const int64_t now = m - from < width ? m - from : width;
        HPT_TRY(strip(&f, from, now));
        HPT_TRY(cuda__download_2d(c, out + from, 8 * ldo, c->strips[1].at, 8 * now, 8 * now, f.s));
    }
out:
    cuda__leave(c);
    return rc;
}
