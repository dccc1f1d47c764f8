// SPDX-License-Identifier: Apache-2.0
// gp_nearest.c: the posterior by nearest neighbours.
//
//   mean(z), var(z): those of an exact model of the m points with the largest  k(z, x)^2 / (k(x, x) + noise)
//
// The prediction of Vecchia's approximation (J. R. Stat. Soc. B, 1988; review: Katzfuss and Guinness, Stat. Sci., 2021): a
// candidate is conditioned on few points instead of all. What is maximised is the part of the variance at z that x alone
// takes away, so "near" is what the covariance itself says, with choices and with parameters that exist in one of the two
// points only. With one term it is the order of the scaled distances.
//
// Where it is good: few points determine the function at z anyway when noise is small, and leaving points out only makes the
// variance larger. Where noise is large, averages over many points count: the caller takes more neighbours.
//
// Method: covariances of a part of the points with a part of the candidates in one call of the device, a heap of m per
// candidate over the parts; then a small model a candidate, by the backend's own operations. Ties go to the earlier point.
// Ownership: copies of the points, one small model. Threads: those of the device.
// Cost: n k covariances (about 10 ns each on a core), k m^3 / 3.
#include "gp_nearest.h"

#include "../base/alloc.h"
#include "../base/error.h"

#include <math.h>
#include <string.h>

enum { PART = 4096, CHUNK = 64 };

typedef struct near_point { // a heap's entry: the least near one is at the top
    double score;
    int64_t at;
} near_point;

struct hpt__neighbours {
    hpt__device *device;
    const hpt__cov *cov;
    double *theta;     // p
    int64_t n, n_told; // pending ones come last
    double *rows;
    uint64_t *masks;
    double *values; // told ones
    double *weight; // n: 1 / (k(x, x) + noise)
    int64_t cap_rows, cap_masks, cap_values, cap_weight;
    hpt__model *model;
    // scratch
    double *cross;    // PART x CHUNK
    near_point *heap; // CHUNK x 2 m: of told ones, then of pending ones
    int64_t cap_heap;
    double *some_rows, *some_values; // 2 m
    uint64_t *some_masks;
    int64_t n_some; // told points of the last model
    int64_t cap_some_rows, cap_some_masks, cap_some_values;
};

int hpt__neighbours_create(hpt__neighbours **out, hpt__device *device, const hpt__cov *cov, const double *theta) {
    int rc = 0;
    const size_t p = (size_t)hpt__cov_n_theta(cov);
    hpt__neighbours *s = hpt__calloc(1, sizeof *s);
    if (!s) return hpt__fail_memory();
    s->device = device;
    s->cov = cov;
    s->theta = hpt__malloc(p * sizeof *s->theta);
    s->cross = hpt__malloc(sizeof *s->cross * PART * CHUNK);
    if (!s->theta || !s->cross) HPT_TRY(hpt__fail_memory());
    memcpy(s->theta, theta, p * sizeof *theta);
    *out = s;
    s = NULL;
    rc = 0;
out:
    hpt__neighbours_destroy(s);
    return rc;
}

void hpt__neighbours_destroy(hpt__neighbours *s) {
    if (!s) return;
    hpt__model_destroy(s->model);
    hpt__free(s->theta);
    hpt__free(s->rows);
    hpt__free(s->masks);
    hpt__free(s->values);
    hpt__free(s->weight);
    hpt__free(s->cross);
    hpt__free(s->heap);
    hpt__free(s->some_rows);
    hpt__free(s->some_values);
    hpt__free(s->some_masks);
    hpt__free(s);
}

int hpt__neighbours_add(hpt__neighbours *s, const double *rows, const uint64_t *mask, const double *values, int64_t n) {
    int rc = 0;
    const int64_t d = s->cov->d, at = s->n;
    HPT_FAIL_IF(values && s->n_told < s->n, HPT_E_STATE, "told points come before pending ones");
    if (n < 1) return 0;
    HPT_TRY(hpt__grow(&s->rows, &s->cap_rows, (at + n) * d, sizeof *s->rows));
    HPT_TRY(hpt__grow(&s->masks, &s->cap_masks, at + n, sizeof *s->masks));
    HPT_TRY(hpt__grow(&s->values, &s->cap_values, at + n, sizeof *s->values));
    HPT_TRY(hpt__grow(&s->weight, &s->cap_weight, at + n, sizeof *s->weight));
    memcpy(s->rows + at * d, rows, (size_t)(n * d) * sizeof *rows);
    memcpy(s->masks + at, mask, (size_t)n * sizeof *mask);
    if (values) memcpy(s->values + at, values, (size_t)n * sizeof *values);
    const double noise = exp(s->theta[d + s->cov->n_terms]);
    for (int64_t i = 0; i < n; i++) s->weight[at + i] = 1 / (hpt__cov_variance(s->cov, s->theta, mask[i]) + noise);
    s->n += n;
    if (values) s->n_told += n;
    rc = 0;
out:
    return rc;
}

hpt__device *hpt__neighbours_device(const hpt__neighbours *s) {
    return s->device;
}

// ---- neighbours

static bool farther(near_point a, near_point b) {
    return a.score < b.score || (a.score == b.score && a.at > b.at);
}

static void sift_down(near_point *heap, int64_t n, int64_t i) {
    const near_point moving = heap[i];
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && farther(heap[child + 1], heap[child])) child++;
        if (!farther(heap[child], moving)) break;
        heap[i] = heap[child];
    }
    heap[i] = moving;
}

static void offer(near_point *heap, int64_t *n, int64_t m, near_point p) {
    if (*n < m) {
        heap[(*n)++] = p;
        for (int64_t i = *n / 2 - 1; *n == m && i >= 0; i--) sift_down(heap, m, i); // full: now it becomes a heap
    } else if (farther(heap[0], p)) {
        heap[0] = p;
        sift_down(heap, m, 0);
    }
}

static void by_place(near_point *list, int64_t n) { // Shell's sort: few, and no order to speak of
    for (int64_t gap = n / 2; gap > 0; gap /= 2)
        for (int64_t i = gap; i < n; i++) {
            const near_point moving = list[i];
            int64_t at = i;
            for (; at >= gap && list[at - gap].at > moving.at; at -= gap) list[at] = list[at - gap];
            list[at] = moving;
        }
}

// The neighbours of k <= CHUNK candidates among the points from .. end into heap + j stride, found[j] of them, in their order.
static int find(near_point *heap, int64_t stride, int64_t *found, hpt__neighbours *s, int64_t from, int64_t end,
                const double *z, const uint64_t *zmask, int64_t k, int64_t m) {
    for (int64_t j = 0; j < k; j++) found[j] = 0;
    for (int64_t at = from; at < end; at += PART) {
        const int64_t part = end - at < PART ? end - at : PART;
        int rc = hpt__cov_cross(s->device, s->cov, s->theta, s->rows + at * s->cov->d, s->masks + at, part, z, zmask, k,
                                s->cross, PART);
        if (rc < 0) return rc;
        for (int64_t j = 0; j < k; j++) {
            const double *c = s->cross + j * PART;
            for (int64_t i = 0; i < part; i++)
                offer(heap + j * stride, &found[j], m, (near_point){c[i] * c[i] * s->weight[at + i], at + i});
        }
    }
    for (int64_t j = 0; j < k; j++) by_place(heap + j * stride, found[j]);
    return 0;
}

// ---- small models

// Copies n neighbours behind the `at` ones that are there.
static void gather(hpt__neighbours *s, int64_t at, const near_point *list, int64_t n) {
    const int64_t d = s->cov->d;
    for (int64_t i = 0; i < n; i++) {
        memcpy(s->some_rows + (at + i) * d, s->rows + list[i].at * d, (size_t)d * sizeof *s->rows);
        s->some_masks[at + i] = s->masks[list[i].at];
        if (list[i].at < s->n_told) s->some_values[at + i] = s->values[list[i].at];
    }
}

static int fill_model(hpt__model *model, hpt__neighbours *s, const near_point *told, int64_t n_told,
                      const near_point *pending, int64_t n_pending) {
    int rc = 0;
    double jitter, logdet;
    gather(s, 0, told, n_told);
    s->n_some = n_told;
    gather(s, n_told, pending, n_pending);
    HPT_TRY(hpt__model_set_points(model, 0, s->some_rows, s->some_masks, n_told + n_pending));
    HPT_TRY(hpt__model_factor(model, s->theta, &jitter, &logdet));
    HPT_TRY(hpt__model_set_y(model, s->some_values, n_told));
    rc = 0;
out:
    return rc;
}

static int reserve(hpt__neighbours *s, int64_t m) {
    int rc = 0;
    HPT_FAIL_IF(m < 1 || s->n_told < 1, HPT_E_STATE, "nearest neighbours: no told point, or %lld wanted", (long long)m);
    HPT_TRY(hpt__grow(&s->heap, &s->cap_heap, 2 * m * CHUNK, sizeof *s->heap));
    HPT_TRY(hpt__grow(&s->some_rows, &s->cap_some_rows, 2 * m * s->cov->d, sizeof *s->some_rows));
    HPT_TRY(hpt__grow(&s->some_masks, &s->cap_some_masks, 2 * m, sizeof *s->some_masks));
    HPT_TRY(hpt__grow(&s->some_values, &s->cap_some_values, 2 * m, sizeof *s->some_values));
out:
    return rc;
}

// What tells candidates first .. first + k - 1 most, and after each `use`.
typedef int (*user)(void *payload, int64_t j, hpt__model *model);

static int each(hpt__model *model, hpt__neighbours *s, const double *z, const uint64_t *zmask, int64_t k, int64_t m,
                user use, void *payload) {
    int rc = 0;
    int64_t n_told[CHUNK], n_pending[CHUNK];
    if (m > s->n) m = s->n;
    HPT_TRY(reserve(s, m));
    for (int64_t first = 0; first < k; first += CHUNK) {
        const int64_t some = k - first < CHUNK ? k - first : CHUNK;
        const double *at = z + first * s->cov->d;
        HPT_TRY(find(s->heap, 2 * m, n_told, s, 0, s->n_told, at, zmask + first, some, m));
        HPT_TRY(find(s->heap + m, 2 * m, n_pending, s, s->n_told, s->n, at, zmask + first, some, m));
        for (int64_t j = 0; j < some; j++) {
            const near_point *list = s->heap + 2 * m * j;
            HPT_TRY(fill_model(model, s, list, n_told[j], list + m, n_pending[j]));
            if (use) HPT_TRY(use(payload, first + j, model));
        }
    }
    rc = 0;
out:
    return rc;
}

int hpt__neighbours_model(hpt__model *model, hpt__neighbours *s, const double *z, uint64_t zmask, int64_t m) {
    return each(model, s, z, &zmask, 1, m, NULL, NULL);
}

void hpt__neighbours_box(double *low, double *high, const hpt__neighbours *s) {
    for (int64_t c = 0; c < s->cov->d; c++) {
        low[c] = INFINITY;
        high[c] = -INFINITY;
        for (int64_t i = 0; i < s->n_some; i++) {
            low[c] = fmin(low[c], s->some_rows[i * s->cov->d + c]);
            high[c] = fmax(high[c], s->some_rows[i * s->cov->d + c]);
        }
    }
}

typedef struct moments {
    const double *z;
    const uint64_t *zmask;
    int64_t d;
    double *mean, *var;
} moments;

static int predict(void *payload, int64_t j, hpt__model *model) {
    const moments *o = payload;
    return hpt__model_posterior(model, o->z + j * o->d, o->zmask + j, 1, o->mean + j, o->var + j, NULL, NULL);
}

int hpt__neighbours_posterior(hpt__neighbours *s, const double *z, const uint64_t *zmask, int64_t k, int64_t m,
                              double *mean, double *var) {
    int rc = 0;
    moments o = {z, zmask, s->cov->d, mean, var};
    if (!s->model) HPT_TRY(hpt__model_create(&s->model, s->device, s->cov, 64));
    HPT_TRY(each(s->model, s, z, zmask, k, m, predict, &o));
    rc = 0;
out:
    return rc;
}
