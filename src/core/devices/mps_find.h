// SPDX-License-Identifier: Apache-2.0
// mps_find.h: MPS daemons that run on this machine, whoever started them.
#ifndef HPT_DEVICES_MPS_FIND_H
#define HPT_DEVICES_MPS_FIND_H

#include <stdbool.h>
#include <sys/types.h>

// Whether a process is an MPS server. hpt_mps_list (hpt/device.h) lists them and their controllers.
bool hpt__mps_is_server(pid_t pid);

#endif
