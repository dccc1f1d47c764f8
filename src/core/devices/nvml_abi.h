// SPDX-License-Identifier: Apache-2.0
// nvml_abi.h: the part of NVML's binary interface that the engine uses: types, numbers and signatures.
//
// Declared here so that no header of the toolkit is needed to build and no library to start. Source: NVML's documented
// C interface (https://docs.nvidia.com/deploy/nvml-api/). tests/nvml/nvml_abi_check.c holds each of them against the
// toolkit's nvml.h where that is installed; tests/nvml/fake_nvml.c is another implementation of the same interface.
#ifndef HPT_DEVICES_NVML_ABI_H
#define HPT_DEVICES_NVML_ABI_H

typedef struct nvmlDevice_st *hpt__nvml_device;
typedef struct nvmlEventSet_st *hpt__nvml_event_set;

enum { // nvmlReturn_t
    HPT__NVML_SUCCESS = 0,
    HPT__NVML_ERROR_UNINITIALIZED = 1,
    HPT__NVML_ERROR_INVALID_ARGUMENT = 2,
    HPT__NVML_ERROR_NOT_SUPPORTED = 3,
    HPT__NVML_ERROR_NOT_FOUND = 6,
    HPT__NVML_ERROR_INSUFFICIENT_SIZE = 7,
    HPT__NVML_ERROR_DRIVER_NOT_LOADED = 9,
    HPT__NVML_ERROR_TIMEOUT = 10,
    HPT__NVML_ERROR_GPU_IS_LOST = 15,
    HPT__NVML_ERROR_UNKNOWN = 999,
};
enum { // nvmlComputeMode_t
    HPT__NVML_COMPUTE_DEFAULT = 0,
    HPT__NVML_COMPUTE_EXCLUSIVE_THREAD = 1,
    HPT__NVML_COMPUTE_PROHIBITED = 2,
    HPT__NVML_COMPUTE_EXCLUSIVE_PROCESS = 3,
};
enum { HPT__NVML_MIG_ON = 1, HPT__NVML_MEMORY_VERSION = 2, HPT__NVML_EVENT_XID = 8 };

typedef struct hpt__nvml_pci { // nvmlPciInfo_t
    char bus_id_legacy[16];
    unsigned domain, bus, device, pci_device_id, pci_subsystem_id;
    char bus_id[32];
} hpt__nvml_pci;

typedef struct hpt__nvml_memory { // nvmlMemory_t
    unsigned long long total, free, used;
} hpt__nvml_memory;

typedef struct hpt__nvml_memory_v2 { // nvmlMemory_v2_t; version: size | 2 << 24
    unsigned version;
    unsigned long long total, reserved, free, used;
} hpt__nvml_memory_v2;

typedef struct hpt__nvml_process { // nvmlProcessInfo_t (v2 and v3)
    unsigned pid;
    unsigned long long used; // all bits set: not available
    unsigned gpu_instance, compute_instance;
} hpt__nvml_process;

typedef struct hpt__nvml_event { // nvmlEventData_t
    hpt__nvml_device device;
    unsigned long long type, data; // data: the Xid
    unsigned gpu_instance, compute_instance;
} hpt__nvml_event;

// X(field, symbol, required, parameters): every function returns an nvmlReturn_t. One that is not required may be
// missing in an old driver; what it tells is then unknown.
#define HPT__NVML_FUNCTIONS(X)                                                                            \
    X(init, nvmlInit_v2, 1, (void))                                                                       \
    X(shutdown, nvmlShutdown, 1, (void))                                                                  \
    X(count, nvmlDeviceGetCount_v2, 1, (unsigned *n))                                                     \
    X(by_index, nvmlDeviceGetHandleByIndex_v2, 1, (unsigned i, hpt__nvml_device *device))                 \
    X(by_uuid, nvmlDeviceGetHandleByUUID, 1, (const char *uuid, hpt__nvml_device *device))                \
    X(uuid, nvmlDeviceGetUUID, 1, (hpt__nvml_device device, char *text, unsigned size))                   \
    X(memory, nvmlDeviceGetMemoryInfo, 1, (hpt__nvml_device device, hpt__nvml_memory * memory))           \
    X(memory_v2, nvmlDeviceGetMemoryInfo_v2, 0, (hpt__nvml_device device, hpt__nvml_memory_v2 * memory))  \
    X(name, nvmlDeviceGetName, 0, (hpt__nvml_device device, char *text, unsigned size))                   \
    X(pci, nvmlDeviceGetPciInfo_v3, 0, (hpt__nvml_device device, hpt__nvml_pci * pci))                    \
    X(compute_mode, nvmlDeviceGetComputeMode, 0, (hpt__nvml_device device, unsigned *mode))               \
    X(processes, nvmlDeviceGetComputeRunningProcesses_v3, 0,                                              \
      (hpt__nvml_device device, unsigned *n, hpt__nvml_process *list))                                    \
    X(mps_processes, nvmlDeviceGetMPSComputeRunningProcesses_v3, 0,                                       \
      (hpt__nvml_device device, unsigned *n, hpt__nvml_process *list))                                    \
    X(mig_mode, nvmlDeviceGetMigMode, 0, (hpt__nvml_device device, unsigned *current, unsigned *pending)) \
    X(mig_max, nvmlDeviceGetMaxMigDeviceCount, 0, (hpt__nvml_device device, unsigned *n))                 \
    X(mig_handle, nvmlDeviceGetMigDeviceHandleByIndex, 0,                                                 \
      (hpt__nvml_device device, unsigned i, hpt__nvml_device *instance))                                  \
    X(event_set_create, nvmlEventSetCreate, 0, (hpt__nvml_event_set * set))                               \
    X(event_set_free, nvmlEventSetFree, 0, (hpt__nvml_event_set set))                                     \
    X(event_register, nvmlDeviceRegisterEvents, 0,                                                        \
      (hpt__nvml_device device, unsigned long long types, hpt__nvml_event_set set))                       \
    X(event_wait, nvmlEventSetWait_v2, 0, (hpt__nvml_event_set set, hpt__nvml_event * event, unsigned wait_ms))

#define HPT__NVML_POINTER(field, symbol, required, parameters) int(*field) parameters;
typedef struct hpt__nvml_api {
    HPT__NVML_FUNCTIONS(HPT__NVML_POINTER)
} hpt__nvml_api;
#undef HPT__NVML_POINTER

#endif
