// SPDX-License-Identifier: Apache-2.0
// nvml_abi_check.c: compiles only if core/devices/nvml_abi.h agrees with the toolkit's nvml.h: sizes, offsets, numbers, and
// how each function is called. Built where CMake finds that header (HPT_NVML_INCLUDE names its folder); never run.
#include "core/devices/nvml_abi.h"

#include <nvml.h>
#include <stddef.h>

#define SAME_SIZE(ours, theirs) _Static_assert(sizeof(ours) == sizeof(theirs), #theirs)
#define SAME_FIELD(ours, a, theirs, b)                                                                             \
    _Static_assert(offsetof(ours, a) == offsetof(theirs, b) && sizeof(((ours *)0)->a) == sizeof(((theirs *)0)->b), \
                   #theirs "." #b)
#define SAME_NUMBER(ours, theirs) _Static_assert((long long)(ours) == (long long)(theirs), #theirs)

SAME_SIZE(hpt__nvml_pci, nvmlPciInfo_t);
SAME_FIELD(hpt__nvml_pci, bus, nvmlPciInfo_t, bus);
SAME_FIELD(hpt__nvml_pci, bus_id, nvmlPciInfo_t, busId);
SAME_SIZE(hpt__nvml_memory, nvmlMemory_t);
SAME_FIELD(hpt__nvml_memory, total, nvmlMemory_t, total);
SAME_FIELD(hpt__nvml_memory, free, nvmlMemory_t, free);
SAME_FIELD(hpt__nvml_memory, used, nvmlMemory_t, used);
SAME_SIZE(hpt__nvml_memory_v2, nvmlMemory_v2_t);
SAME_FIELD(hpt__nvml_memory_v2, total, nvmlMemory_v2_t, total);
SAME_FIELD(hpt__nvml_memory_v2, reserved, nvmlMemory_v2_t, reserved);
SAME_FIELD(hpt__nvml_memory_v2, free, nvmlMemory_v2_t, free);
SAME_FIELD(hpt__nvml_memory_v2, used, nvmlMemory_v2_t, used);
SAME_NUMBER(sizeof(hpt__nvml_memory_v2) | HPT__NVML_MEMORY_VERSION << 24, nvmlMemory_v2);
SAME_SIZE(hpt__nvml_process, nvmlProcessInfo_t);
SAME_FIELD(hpt__nvml_process, pid, nvmlProcessInfo_t, pid);
SAME_FIELD(hpt__nvml_process, used, nvmlProcessInfo_t, usedGpuMemory);
SAME_FIELD(hpt__nvml_process, gpu_instance, nvmlProcessInfo_t, gpuInstanceId);
SAME_SIZE(hpt__nvml_event, nvmlEventData_t);
SAME_FIELD(hpt__nvml_event, device, nvmlEventData_t, device);
SAME_FIELD(hpt__nvml_event, type, nvmlEventData_t, eventType);
SAME_FIELD(hpt__nvml_event, data, nvmlEventData_t, eventData);
SAME_SIZE(hpt__nvml_device, nvmlDevice_t);
SAME_SIZE(hpt__nvml_event_set, nvmlEventSet_t);

SAME_NUMBER(HPT__NVML_SUCCESS, NVML_SUCCESS);
SAME_NUMBER(HPT__NVML_ERROR_UNINITIALIZED, NVML_ERROR_UNINITIALIZED);
SAME_NUMBER(HPT__NVML_ERROR_INVALID_ARGUMENT, NVML_ERROR_INVALID_ARGUMENT);
SAME_NUMBER(HPT__NVML_ERROR_NOT_SUPPORTED, NVML_ERROR_NOT_SUPPORTED);
SAME_NUMBER(HPT__NVML_ERROR_NOT_FOUND, NVML_ERROR_NOT_FOUND);
SAME_NUMBER(HPT__NVML_ERROR_INSUFFICIENT_SIZE, NVML_ERROR_INSUFFICIENT_SIZE);
SAME_NUMBER(HPT__NVML_ERROR_DRIVER_NOT_LOADED, NVML_ERROR_DRIVER_NOT_LOADED);
SAME_NUMBER(HPT__NVML_ERROR_TIMEOUT, NVML_ERROR_TIMEOUT);
SAME_NUMBER(HPT__NVML_ERROR_GPU_IS_LOST, NVML_ERROR_GPU_IS_LOST);
SAME_NUMBER(HPT__NVML_ERROR_UNKNOWN, NVML_ERROR_UNKNOWN);
SAME_NUMBER(HPT__NVML_COMPUTE_DEFAULT, NVML_COMPUTEMODE_DEFAULT);
SAME_NUMBER(HPT__NVML_COMPUTE_EXCLUSIVE_THREAD, NVML_COMPUTEMODE_EXCLUSIVE_THREAD);
SAME_NUMBER(HPT__NVML_COMPUTE_PROHIBITED, NVML_COMPUTEMODE_PROHIBITED);
SAME_NUMBER(HPT__NVML_COMPUTE_EXCLUSIVE_PROCESS, NVML_COMPUTEMODE_EXCLUSIVE_PROCESS);
SAME_NUMBER(HPT__NVML_MIG_ON, NVML_DEVICE_MIG_ENABLE);
SAME_NUMBER(HPT__NVML_EVENT_XID, nvmlEventTypeXidCriticalError);

// A call through theirs with arguments as ours declares them compiles only if number and types agree.
int check_calls(nvmlDevice_t d, nvmlEventSet_t set);
int check_calls(nvmlDevice_t d, nvmlEventSet_t set) {
    unsigned n = 0, m = 0;
    char text[96];
    nvmlMemory_t memory;
    nvmlMemory_v2_t memory_v2;
    nvmlPciInfo_t pci;
    nvmlProcessInfo_t list[1];
    nvmlEventData_t event;
    nvmlComputeMode_t mode;
    _Static_assert(sizeof(nvmlComputeMode_t) == sizeof(unsigned), "an enum of the size of a number");
    _Static_assert(sizeof(nvmlReturn_t) == sizeof(int), "an enum of the size of a number");
    return (int)nvmlInit_v2() + (int)nvmlShutdown() + (int)nvmlDeviceGetCount_v2(&n) +
           (int)nvmlDeviceGetHandleByIndex_v2(n, &d) + (int)nvmlDeviceGetHandleByUUID(text, &d) +
           (int)nvmlDeviceGetUUID(d, text, n) + (int)nvmlDeviceGetMemoryInfo(d, &memory) +
           (int)nvmlDeviceGetMemoryInfo_v2(d, &memory_v2) + (int)nvmlDeviceGetName(d, text, n) +
           (int)nvmlDeviceGetPciInfo_v3(d, &pci) + (int)nvmlDeviceGetComputeMode(d, &mode) +
           (int)nvmlDeviceGetComputeRunningProcesses_v3(d, &n, list) +
           (int)nvmlDeviceGetMPSComputeRunningProcesses_v3(d, &n, list) + (int)nvmlDeviceGetMigMode(d, &n, &m) +
           (int)nvmlDeviceGetMaxMigDeviceCount(d, &n) + (int)nvmlDeviceGetMigDeviceHandleByIndex(d, n, &d) +
           (int)nvmlEventSetCreate(&set) + (int)nvmlEventSetFree(set) + (int)nvmlDeviceRegisterEvents(d, 8ULL, set) +
           (int)nvmlEventSetWait_v2(set, &event, n);
}
