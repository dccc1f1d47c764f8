// SPDX-License-Identifier: Apache-2.0
// share_probe.c: gpu_share_probe: a trial that shows how its share of a GPU is held, for scripts/gpu-share-check.sh.
//
//   report [SECONDS]        what it sees: GPU, number of GPUs, multiprocessors, how much it can allocate; then as spin
//   spin SECONDS [FILE]     short kernels whose results are checked; ends early once FILE exists
//   deaf SECONDS            likewise with kernels of half a second; ignores SIGTERM
//   fault STEPS             as spin, and after STEPS a kernel that writes to an illegal address
//   hold SECONDS [PART]     that part of the device's memory; without it all that is left, to the last megabyte
//   grow TO [FROM]          holds FROM of the device's memory, then a hundredth more each 0.6 s until TO, then 20 s
//   escape SECONDS [FILE]   as spin, without the variables that lead to the MPS server
//   ptx                     prints the kernels; needs no GPU
//
// Prints name=value: what it sees, start, ready, end (seconds since 1970), and a few times a second step and loss, which
// is the time of a step in milliseconds. Status 0: all results were right; 1: a call failed (its name and reason are on standard
// error); 2: usage; 3: a result was wrong; 77: there is no GPU.
//
// The kernel: thread i of n writes x after ROUNDS of x <- 1664525 x + 1013904223 (mod 2^32) from seed + i, and spins for a
// number of clock cycles before it does so. PTX text, which each driver compiles for its GPU, so that nvcc is not needed. A
// driver in a container may lack its compiler: a file named by SHARE_PROBE_IMAGE, made of that text by ptxas, is tried first.
//
// Threads: one. Ends with the process; only what is measured is freed.
#include "cuda/cuda_api.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 128, ROUNDS = 100, PIECES = 1 << 14, FAILED = 1, USAGE = 2, WRONG = 3, NO_GPU = 77 };
static const size_t PIECE = 64U << 20, LEAST_PIECE = 1U << 20;
static const double SHORT_KERNEL = 0.02, LONG_KERNEL = 0.5, GROW_SECONDS = 0.6, HOLD_SECONDS = 20;

static const char PTX[] = ".version 7.0\n"
                          ".target sm_70\n"
                          ".address_size 64\n"
                          ".visible .entry spin(.param .u64 out, .param .u64 cycles, .param .u32 seed)\n"
                          "{\n"
                          "    .reg .pred again;\n"
                          "    .reg .b32 i, x, block, width, thread;\n"
                          "    .reg .b64 place, limit, begin, now, offset;\n"
                          "    ld.param.u64 place, [out];\n"
                          "    ld.param.u64 limit, [cycles];\n"
                          "    ld.param.u32 x, [seed];\n"
                          "    cvta.to.global.u64 place, place;\n"
                          "    mov.u32 block, %ctaid.x;\n"
                          "    mov.u32 width, %ntid.x;\n"
                          "    mov.u32 thread, %tid.x;\n"
                          "    mad.lo.u32 thread, block, width, thread;\n"
                          "    add.u32 x, x, thread;\n"
                          "    mov.u32 i, 0;\n"
                          "ROUND:\n"
                          "    mad.lo.u32 x, x, 1664525, 1013904223;\n"
                          "    add.u32 i, i, 1;\n"
                          "    setp.lt.u32 again, i, 100;\n"
                          "    @again bra ROUND;\n"
                          "    mov.u64 begin, %clock64;\n"
                          "SPIN:\n"
                          "    mov.u64 now, %clock64;\n"
                          "    sub.u64 now, now, begin;\n"
                          "    setp.lt.u64 again, now, limit;\n"
                          "    @again bra SPIN;\n"
                          "    mul.wide.u32 offset, thread, 4;\n"
                          "    add.u64 offset, place, offset;\n"
                          "    st.global.u32 [offset], x;\n"
                          "    ret;\n"
                          "}\n"
                          ".visible .entry fault(.param .u64 where)\n"
                          "{\n"
                          "    .reg .b32 x;\n"
                          "    .reg .b64 place;\n"
                          "    ld.param.u64 place, [where];\n"
                          "    mov.u32 x, 1;\n"
                          "    st.global.u32 [place], x;\n"
                          "    ret;\n"
                          "}\n";

typedef struct probe {
    const cuda__api *cu;
    CUdevice device;
    CUcontext context;
    CUstream stream;
    CUfunction spin, fault;
    CUdeviceptr out; // n of uint32_t
    uint32_t *values;
    unsigned blocks, n, step;
    double hertz;
} probe;

static double now(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void pause_for(double seconds) {
    struct timespec t = {.tv_sec = (time_t)seconds, .tv_nsec = (long)(1e9 * (seconds - (double)(time_t)seconds))};
    (void)nanosleep(&t, NULL);
}

// The status with which the program ends after a call; 0: it succeeded.
static int judge(const probe *p, const char *call, CUresult rc) {
    const char *name = "?", *text = "?";
    if (rc == CUDA_SUCCESS) return 0;
    (void)p->cu->cuGetErrorName(rc, &name);
    (void)p->cu->cuGetErrorString(rc, &text);
    (void)fprintf(stderr, "gpu_share_probe: %s: %s (%s), status %d at %.3f\n", call, name, text, (int)rc, now());
    return rc == CUDA_ERROR_NO_DEVICE || rc == CUDA_ERROR_STUB_LIBRARY ? NO_GPU : FAILED;
}

#define CALL(function, ...)                                                     \
    do {                                                                        \
        const int call_rc_ = judge(p, #function, p->cu->function(__VA_ARGS__)); \
        if (call_rc_) return call_rc_;                                          \
    } while (0)

// ---- the device

static bool load_image(const probe *p, CUmodule *module) {
    static char image[1 << 16];
    const char *path = getenv("SHARE_PROBE_IMAGE");
    FILE *f = path ? fopen(path, "rb") : NULL;
    const size_t n = f ? fread(image, 1, sizeof image, f) : 0;
    if (f) (void)fclose(f);
    return n > 0 && n < sizeof image && p->cu->cuModuleLoadData(module, image) == CUDA_SUCCESS;
}

static int begin(probe *p) {
    char why[256];
    int count = 0, clock = 0, multiprocessors = 0;
    CUmodule module;
    p->cu = cuda__api_load(CUDA__LIBRARY_DRIVER, why, sizeof why);
    if (!p->cu) {
        (void)fprintf(stderr, "gpu_share_probe: %s\n", why);
        return NO_GPU;
    }
    printf("start=%.3f pid=%d\n", now(), (int)getpid());
    CALL(cuInit, 0);
    CALL(cuDeviceGetCount, &count);
    if (count == 0) return judge(p, "cuDeviceGetCount", CUDA_ERROR_NO_DEVICE);
    CALL(cuDeviceGet, &p->device, 0);
    CALL(cuDevicePrimaryCtxRetain, &p->context, p->device);
    CALL(cuCtxPushCurrent_v2, p->context);
    CALL(cuDeviceGetAttribute, &multiprocessors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, p->device);
    // Without it kernels only last longer or shorter than meant.
    const bool known = p->cu->cuDeviceGetAttribute(&clock, CU_DEVICE_ATTRIBUTE_CLOCK_RATE, p->device) == CUDA_SUCCESS;
    p->hertz = known && clock > 0 ? 1e3 * clock : 1e9;
    p->blocks = 2 * (unsigned)multiprocessors;
    p->n = p->blocks * THREADS;
    p->values = calloc(p->n, sizeof *p->values);
    if (!p->values) {
        (void)fprintf(stderr, "gpu_share_probe: out of memory\n");
        return FAILED;
    }
    if (!load_image(p, &module)) CALL(cuModuleLoadData, &module, PTX);
    CALL(cuModuleGetFunction, &p->spin, module, "spin");
    CALL(cuModuleGetFunction, &p->fault, module, "fault");
    CALL(cuStreamCreate, &p->stream, CU_STREAM_NON_BLOCKING);
    CALL(cuMemAlloc_v2, &p->out, p->n * sizeof *p->values);
    printf("ready=%.3f gpus=%d multiprocessors=%d\n", now(), count, multiprocessors);
    return 0;
}

// ---- kernels

static bool all_right(const probe *p, uint32_t seed) {
    for (uint32_t i = 0; i < p->n; i++) {
        uint32_t x = seed + i;
        for (int k = 0; k < ROUNDS; k++) x = 1664525U * x + 1013904223U;
        if (x != p->values[i]) return false;
    }
    return true;
}

static int step(probe *p, double seconds) {
    uint64_t cycles = (uint64_t)(seconds * p->hertz);
    uint32_t seed = p->step++;
    void *arguments[] = {&p->out, &cycles, &seed};
    CALL(cuLaunchKernel, p->spin, p->blocks, 1, 1, THREADS, 1, 1, 0, p->stream, arguments, NULL);
    CALL(cuStreamSynchronize, p->stream);
    CALL(cuMemcpyDtoHAsync_v2, p->values, p->out, p->n * sizeof *p->values, p->stream);
    CALL(cuStreamSynchronize, p->stream);
    if (all_right(p, seed)) return 0;
    (void)fprintf(stderr, "gpu_share_probe: step %u: a result of the kernel is wrong\n", seed);
    return WRONG;
}

// Steps of a kernel for some seconds, with a report every fifth of a second at most. seconds < 0: steps of them.
static int spin(probe *p, double seconds, double kernel, const char *file) {
    const double until = now() + seconds;
    double told = 0;
    for (unsigned i = 0; seconds < 0 ? i < (unsigned)-seconds : now() < until; i++) {
        const double before = now();
        const int rc = step(p, kernel);
        if (rc) return rc;
        if (now() - told >= 0.2) {
            told = now();
            printf("step=%u loss=%.3f\n", p->step, 1e3 * (told - before));
        }
        if (file && access(file, F_OK) == 0) break;
    }
    return 0;
}

static int fault(probe *p) {
    uint64_t where = 16;
    void *arguments[] = {&where};
    printf("faults=%.3f\n", now());
    CALL(cuLaunchKernel, p->fault, 1, 1, 1, 1, 1, 1, 0, p->stream, arguments, NULL);
    CALL(cuStreamSynchronize, p->stream);
    (void)fprintf(stderr, "gpu_share_probe: writing to an illegal address was no error\n");
    return WRONG;
}

// ---- memory

// Allocates pieces of a size until it is refused, and says what it got. Returns how many.
static int take(const probe *p, CUdeviceptr *pieces, size_t size) {
    const char *name = "none";
    int n = 0;
    CUresult rc = CUDA_SUCCESS;
    while (n < PIECES && (rc = p->cu->cuMemAlloc_v2(&pieces[n], size)) == CUDA_SUCCESS) n++;
    (void)p->cu->cuGetErrorName(rc, &name);
    printf("allocatable_mib=%zu refused_by=%s\n", (size_t)n * (size >> 20), name);
    return n;
}

static int allocatable(const probe *p) {
    static CUdeviceptr pieces[PIECES];
    int n = take(p, pieces, PIECE);
    while (n > 0) CALL(cuMemFree_v2, pieces[--n]);
    return 0;
}

static int hold(const probe *p, double seconds, const char *part) {
    static CUdeviceptr large[PIECES], small[PIECES];
    size_t total = 0;
    CUdeviceptr piece;
    if (part) {
        CALL(cuDeviceTotalMem_v2, &total, p->device);
        CALL(cuMemAlloc_v2, &piece, (size_t)(strtod(part, NULL) * (double)total));
    } else {
        (void)take(p, large, PIECE);
        (void)take(p, small, LEAST_PIECE);
    }
    printf("holds=%.3f\n", now());
    pause_for(seconds);
    return 0;
}

static int show_uuid(const probe *p) {
    CUuuid id;
    void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    CUresult (*get)(CUuuid *, CUdevice) = NULL;
    void *symbol = driver ? dlsym(driver, "cuDeviceGetUuid_v2") : NULL;
    if (!symbol) {
        (void)fprintf(stderr, "gpu_share_probe: the driver lacks the function cuDeviceGetUuid_v2\n");
        return FAILED;
    }
    memcpy(&get, &symbol, sizeof get);
    const int rc = judge(p, "cuDeviceGetUuid_v2", get(&id, p->device));
    if (rc) return rc;
    printf("uuid=GPU");
    for (int i = 0; i < 16; i++)
        printf("%s%02x", i == 0 || i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", (unsigned char)id.bytes[i]);
    printf("\n");
    return 0;
}

static int report(probe *p, double seconds) {
    static const char *const names[] = {"CUDA_VISIBLE_DEVICES", "CUDA_MPS_SM_PARTITION", "CUDA_MPS_PIPE_DIRECTORY",
                                        "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"};
    size_t total = 0, left = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *text = getenv(names[i]);
        printf("%s=%s\n", names[i], text ? text : "");
    }
    int rc = show_uuid(p);
    if (rc) return rc;
    CALL(cuDeviceTotalMem_v2, &total, p->device);
    CALL(cuMemGetInfo_v2, &left, &total);
    printf("total_mib=%zu free_mib=%zu\n", total >> 20, left >> 20);
    rc = allocatable(p);
    return rc ? rc : spin(p, seconds, SHORT_KERNEL, NULL);
}

static int grow(const probe *p, double to, double from) {
    size_t total = 0;
    CUdeviceptr piece;
    CALL(cuDeviceTotalMem_v2, &total, p->device);
    for (int percent = 1; percent <= (int)(100 * to + 0.5); percent++) {
        CALL(cuMemAlloc_v2, &piece, total / 100);
        if (percent < (int)(100 * from + 0.5)) continue;
        printf("step=%d loss=%.2f\n", percent, percent / 100.0);
        pause_for(GROW_SECONDS);
    }
    printf("holds=%.3f\n", now());
    pause_for(HOLD_SECONDS);
    return 0;
}

// ---- the program

static void leave_mps(void) {
    static const char *const names[] = {"CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY",
                                        "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) (void)unsetenv(names[i]);
}

static int run(probe *p, const char *mode, double amount, const char *last) {
    if (strcmp(mode, "escape") == 0) leave_mps();
    if (strcmp(mode, "deaf") == 0) (void)signal(SIGTERM, SIG_IGN);
    int rc = begin(p);
    if (rc) return rc;
    if (strcmp(mode, "report") == 0) return report(p, amount);
    if (strcmp(mode, "hold") == 0) return hold(p, amount, last);
    if (strcmp(mode, "grow") == 0) return grow(p, amount, last ? strtod(last, NULL) : 0);
    if (strcmp(mode, "deaf") == 0) return spin(p, amount, LONG_KERNEL, NULL);
    if (strcmp(mode, "fault") != 0) return spin(p, amount, SHORT_KERNEL, last);
    rc = spin(p, -amount, SHORT_KERNEL, NULL);
    return rc ? rc : fault(p);
}

int main(int argc, char **argv) {
    static const char *const modes[] = {"report", "spin", "deaf", "fault", "hold", "grow", "escape"};
    probe p = {0};
    bool known = false;
    char *end = NULL;
    for (size_t i = 0; argc > 1 && i < sizeof modes / sizeof *modes; i++)
        known = known || strcmp(argv[1], modes[i]) == 0;
    if (argc == 2 && strcmp(argv[1], "ptx") == 0) return fputs(PTX, stdout) < 0 ? FAILED : 0;
    const double amount = argc > 2 ? strtod(argv[2], &end) : 0;
    if (!known || argc > 4 || (end && (*end || !(amount >= 0)))) {
        (void)fprintf(
            stderr,
            "usage: gpu_share_probe report|spin|deaf|fault|hold|grow|escape|ptx [AMOUNT [FILE, PART or FROM]]\n");
        return USAGE;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    const int rc = run(&p, argv[1], amount, argc > 3 ? argv[3] : NULL);
    free(p.values);
    if (rc == 0) printf("end=%.3f step=%u loss=0\n", now(), p.step);
    return rc;
}
