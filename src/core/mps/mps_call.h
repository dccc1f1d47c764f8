// SPDX-License-Identifier: Apache-2.0
// mps_call.h: one run of NVIDIA's MPS control program, with a time limit: commands in, text out.
#ifndef HPT_MPS_MPS_CALL_H
#define HPT_MPS_MPS_CALL_H

#include "../base/str.h"
#include <hpt/status.h>
#include <stdbool.h>
#include <sys/types.h>

typedef enum hpt__mps_state {
    HPT__MPS_IDLE,
    HPT__MPS_BUSY,
    HPT__MPS_ANSWERED, // text holds what it printed
    HPT__MPS_FAILED,   // text holds one line that says why
} hpt__mps_state;

typedef struct hpt__mps_call { // zeroed before its first use; used again and again
    hpt__mps_state state;
    pid_t pid;
    int pidfd, fd;   // of the process and of what it prints; while BUSY. pidfd becomes readable when it ends
    double until;    // hpt__now_mono() at which it is given up
    bool any_status; // an exit status says nothing: the text is judged. Set before its first use
    hpt__str text;
} hpt__mps_call;

typedef struct hpt__mps_where { // which controller is meant; borrowed
    const char *program;        // file of nvidia-cuda-mps-control
    const char *pipe, *log;     // CUDA_MPS_PIPE_DIRECTORY, CUDA_MPS_LOG_DIRECTORY
    const char *uuid;           // CUDA_VISIBLE_DEVICES
} hpt__mps_where;

// Starts the program; commands: lines for its standard input, or its arguments where they begin with '-', a blank between two. Not while
// BUSY.
HPT_NODISCARD int hpt__mps_call_begin(hpt__mps_call *call, const hpt__mps_where *where, const char *commands,
                                      double seconds);
// Takes what there is, without waiting. A call whose time is up is ended and has FAILED.
hpt__mps_state hpt__mps_call_look(hpt__mps_call *call);
// Waits for the end, at most for the call's time.
hpt__mps_state hpt__mps_call_wait(hpt__mps_call *call);
void hpt__mps_call_fini(hpt__mps_call *call); // ends one that is BUSY

#endif
