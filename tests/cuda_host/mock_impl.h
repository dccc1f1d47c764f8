// SPDX-License-Identifier: Apache-2.0
// mock_impl.h: what the files of the mock share (mock.h says what it is): entering a call, memory, handles, misuse.
#ifndef HPT_CUDA_MOCK_IMPL_H
#define HPT_CUDA_MOCK_IMPL_H

#include "mock.h"

// Every function of the table, with the type that the toolkit's headers give the real one.
#define MOCK__DECLARE(library, symbol) extern __typeof__(symbol) mock_##symbol;
CUDA__FUNCTIONS(MOCK__DECLARE)

extern const unsigned char cuda__kernels_image[]; // mock_api.c

typedef enum mock_kind { // of handles
    MOCK__CONTEXT = 1,
    MOCK__POOL,
    MOCK__STREAM,
    MOCK__MODULE,
    MOCK__FUNCTION,
    MOCK__BLAS,
    MOCK__SOLVER,
    MOCK__PARAMS,
    MOCK__KINDS,
} mock_kind;

typedef struct mock_object { // what a handle stands for
    uintptr_t handle;
    mock_kind kind;
    int device;
    uintptr_t parent;   // FUNCTION: its module
    uintptr_t stream;   // libraries: 0 before it is set
    const void *kernel; // FUNCTION: a shim_kernel
    struct mock_object *next;
} mock_object;

// ---- mock_state.c
typedef enum mock_need { // what has to be there for a call
    MOCK__NOTHING,       // cuInit
    MOCK__INIT,          // calls about devices and contexts
    MOCK__CURRENT,       // a live current context without a sticky error
} mock_need;

// Begins a call: counts it, injects the fault, checks what is needed. The error that the call returns, or CUDA_SUCCESS.
CUresult mock__enter(const char *call, mock_need need);
// Keeps the line as the misuse, if it is the first. Returns CUDA_ERROR_INVALID_VALUE.
CUresult mock__misuse(const char *call, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// The current context's error from now on (CUDA_ERROR_LAUNCH_FAILED); returns it.
CUresult mock__break(void);

void mock__init(bool worked);
bool mock__is_missing(cuda__library library);
int mock__device_count(void);
int mock__ratio(void); // of single to double precision
bool mock__is_coarse(void);
int mock__device(void); // of the current context
CUresult mock__retain(int device, CUcontext *context);
CUresult mock__release(int device);
CUresult mock__push(CUcontext context);
void mock__push_failed(CUcontext context); // by a fault: what is then left in it is no leak
CUresult mock__pop(CUcontext *context);
uintptr_t mock__pool(int device);
void mock__memory(int device, size_t *free, size_t *total);

CUresult mock__alloc(CUdeviceptr *at, size_t bytes);
CUresult mock__free(CUdeviceptr at);
// Whether bytes at `at` lie in one live block of the current device (none: yes); misuse is recorded.
bool mock__on_device(const char *call, const char *what, const void *at, size_t bytes);
// Whether the host's pointer is not NULL and no device memory.
bool mock__on_host(const char *call, const char *what, const void *at, size_t bytes);

// A new handle on the current device; 0: no memory.
mock_object *mock__create(mock_kind kind);
// The object of a live handle of that kind on the current device; NULL with misuse recorded. Valid until it is destroyed.
mock_object *mock__find(const char *call, mock_kind kind, const void *handle);
// Of a library's handle whose live stream is set: what computes wants this.
mock_object *mock__find_ready(const char *call, mock_kind kind, const void *handle);
// Destroys the handle in whatever state the context is; false with misuse recorded: it is dead.
bool mock__destroy(const char *call, mock_kind kind, const void *handle);
bool mock__stream_live(const char *call, CUstream stream); // misuse recorded where not

// Copies rows of `width` bytes to the host once the stream is waited for.
CUresult mock__copy_later(CUstream stream, char *to, size_t to_pitch, const char *from, size_t from_pitch, size_t width,
                          size_t rows);
// Copies of the stream (NULL: of all) arrive, or are forgotten; whether there was one.
bool mock__deliver(CUstream stream, bool deliver);

// ---- mock_blas.c
// A matrix as a call touches it: full, or the triangle. Elements at at[i + j ld].
typedef enum mock_part { MOCK__FULL, MOCK__LOWER, MOCK__UPPER } mock_part;
typedef struct mock_matrix {
    const char *name;
    const void *at;
    int64_t rows, cols, ld;
    mock_part part;
    size_t size; // of an element
} mock_matrix;
bool mock__matrix_live(const char *call, const mock_matrix *a);
// Whether the two have no element in common; misuse recorded where they have.
bool mock__apart(const char *call, const mock_matrix *a, const mock_matrix *b);

// ---- mock_loops.c. Matrices as in BLAS, checked by the caller; nothing but the named triangles is read or written.
// C (m x n) += alpha op(A) op(B), over k.
void mock__gemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, double alpha, const double *a, int64_t lda,
                const double *b, int64_t ldb, double *c, int64_t ldc);
// C += alpha op(A) op(A)' in the triangle only.
void mock__syrk(bool lower, bool trans, int64_t n, int64_t k, double alpha, const double *a, int64_t lda, double *c,
                int64_t ldc);
// A triangle of order n as a call describes it.
typedef struct mock_triangle {
    const double *a;
    int64_t n, lda;
    bool lower, trans, unit;
} mock_triangle;
// C (m x n) = alpha op(A) B, or alpha B op(A) where right. B may be C.
void mock__trmm(const mock_triangle *t, bool right, int64_t m, int64_t n, double alpha, const double *b, int64_t ldb,
                double *c, int64_t ldc);
// C (n x s) = alpha A B in single precision, with A lower. C is not B.
void mock__trmm_single(const float *a, int64_t lda, int64_t n, int64_t s, float alpha, const float *b, int64_t ldb,
                       float *c, int64_t ldc);
// B = alpha op(A)^-1 B, or alpha B op(A)^-1 where right.
void mock__trsm(const mock_triangle *t, bool right, int64_t m, int64_t n, double alpha, double *b, int64_t ldb);
// A = L L' in the lower triangle: 0, or the order of the first minor that is not positive, with the columns before it done.
int64_t mock__potrf(int64_t n, double *a, int64_t lda);

#endif
