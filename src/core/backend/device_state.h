// SPDX-License-Identifier: Apache-2.0
// device_state.h: the inside of a device and the accounting of its operations. For the files of this room.
#ifndef HPT_BACKEND_DEVICE_STATE_H
#define HPT_BACKEND_DEVICE_STATE_H

#include "backend.h"

typedef struct hpt__rates { // seconds; all positive once measured
    double call;            // of one operation with nothing to do
    double column;          // per column of a factor, whatever the flops: the steps that wait for one another
    double factor;          // per flop of FACTOR and MLL
    double solve;           // per flop of POSTERIOR and POSTERIOR_GRAD
    double byte;            // per byte of APPEND
} hpt__rates;

struct hpt__device {
    const hpt__backend *ops;
    void *ctx;
    int64_t index;
    bool host; // computes in host memory
    char name[48];
    hpt__device_desc desc;
    hpt__ctx_options options;
    hpt__counters counters;
    bool calibrated;
    hpt__rates rates;
};

// Operations and memory traffic by formula, for accounting and cost (cost.c).
double hpt__op_flops(hpt__op op, const hpt__model_shape *shape);
double hpt__op_bytes(hpt__op op, const hpt__model_shape *shape);

#endif
