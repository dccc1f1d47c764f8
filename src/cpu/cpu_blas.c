// SPDX-License-Identifier: Apache-2.0
// cpu_blas.c: finds a BLAS at run time and keeps it to one thread while backend `cpu` computes.
//
// Why not linked: loading a threaded BLAS costs milliseconds and starts its threads (2 ms on two cores), which every
// `hpt version` would pay; and which BLAS is the fast one is a matter of the machine that runs, not of the one that builds.
// HPT_BLAS_LIBRARY names one (a soname or a path); else the list below is tried, the optimised ones first. Only BLAS is
// needed: factorisations are ours (cpu_factor.c), because those of a threaded LAPACK give other bits for other numbers of
// threads.
//
// Threads: our pool has them all, so the BLAS gets one inside our tiles; two pools on the same cores were measured four to
// five times slower. The number is set at the entry of an operation and restored at its end, because the host program may
// use the same library. OpenBLAS with threads of its own and BLIS have one number for the process. An OpenBLAS on OpenMP
// asks OpenMP, which has a number for each thread, and MKL has one that overrides the process's: there every thread that
// computes sets its own, or it would start a team for each tile, with other bits.
// Libraries with 64-bit integers (ILP64) are refused: they read our arguments as other numbers.
// Processors younger than the library: an OpenBLAS with kernels for many processors takes those of the oldest, a tenth as
// fast, when it does not know the model (0.3.21 on Xeons of 2023). It is then loaded again with OPENBLAS_CORETYPE set, for
// that moment, to the youngest kernels whose instructions the processor has. A value that the user set is left alone.
// Ownership: the library stays loaded until the process ends. Cost: first call 2 to 3 ms, then nothing.
#include "cpu_blas.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const LIBRARIES[] = {
    "libopenblasp.so.0",
    "libopenblas.so.0",
    "libmkl_rt.so.3",
    "libmkl_rt.so.2",
    "libmkl_rt.so.1",
    "libblis-mt.so.4",
    "libblis.so.4",
    "libblis.so.3",
    "libcblas.so.3",
    "libblas.so.3",
    NULL,
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static cpu__blas blas;
static char reason[256]; // of not having one
static int (*get_int)(void);
static void (*set_int)(int);
static int64_t (*get_long)(void); // BLIS counts in its own integers of 64 bits
static void (*set_long)(int64_t);
static int (*swap_own)(int); // sets the calling thread's number and returns the one before; NULL: there is one for all

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t depth, before; // under lock: how many are inside, and the number of threads to restore
static _Thread_local int64_t own_depth;
static _Thread_local int own_before;

// POSIX gives functions as object pointers; C has no cast for it, so the bytes are copied.
#define FIND(field, symbol)                       \
    do {                                          \
        void *found_ = dlsym(library, symbol);    \
        memcpy(&(field), &found_, sizeof found_); \
    } while (0)

static int swap_openmp(int n) {
    const int old = get_int();
    set_int(n);
    return old;
}

static void find_threads(void *library) {
    enum { OPENMP = 2 };
    int (*parallel)(void);
    FIND(parallel, "openblas_get_parallel");
    const bool openmp = parallel && parallel() == OPENMP;
    FIND(get_int, openmp ? "omp_get_max_threads" : "openblas_get_num_threads");
    FIND(set_int, openmp ? "omp_set_num_threads" : "openblas_set_num_threads");
    if (get_int && set_int) {
        if (openmp) swap_own = swap_openmp;
        return;
    }
    FIND(get_int, "MKL_Get_Max_Threads");
    FIND(swap_own, "MKL_Set_Num_Threads_Local");
    if (get_int && swap_own) return;
    get_int = NULL;
    set_int = NULL;
    swap_own = NULL;
    FIND(get_long, "bli_thread_get_num_threads");
    FIND(set_long, "bli_thread_set_num_threads");
    if (get_long && set_long) return;
    get_long = NULL;
    set_long = NULL;
}

static const char *core_name(void *library) {
    char *(*core)(void);
    FIND(core, "openblas_get_corename");
    return core ? core() : "";
}

static void describe(void *library, const char *file) {
    char *(*openblas_config)(void);
    const char *(*blis_version)(void);
    void (*mkl_version)(char *, int);
    FIND(openblas_config, "openblas_get_config");
    FIND(blis_version, "bli_info_get_version_str");
    FIND(mkl_version, "MKL_Get_Version_String");
    const char *base = strrchr(file, '/');
    base = base ? base + 1 : file;
    if (openblas_config) {
        const char *config = openblas_config(); // "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ..."
        const size_t first = strcspn(config, " ");
        size_t end = first;
        if (config[first]) end += 1 + strcspn(config + first + 1, " ");
        snprintf(blas.name, sizeof blas.name, "%.*s (%s), %s", (int)end, config, core_name(library), base);
    } else if (blis_version) {
        snprintf(blas.name, sizeof blas.name, "BLIS %s, %s", blis_version(), base);
    } else if (mkl_version) {
        char text[200] = ""; // with less room than its line takes it gives nothing
        mkl_version(text, (int)sizeof text - 1);
        char *rest = strstr(text, "-Product");
        if (rest) *rest = 0;
        snprintf(blas.name, sizeof blas.name, "%.80s, %.40s", text, base);
    } else {
        snprintf(blas.name, sizeof blas.name, "a BLAS without a version, %s", base);
    }
}

#if defined(__x86_64__)
static bool is_fallback(const char *core) {
    return !strcmp(core, "Prescott") || !strcmp(core, "Nehalem") || !strcmp(core, "Sandybridge");
}

// See "processors younger than the library" above. Returns the library, loaded again if that helped; NULL: lost.
static void *with_known_core(void *library, const char *file) {
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    const bool bf16 = avx512 && __builtin_cpu_supports("avx512bf16");
    const char *const cores[] = {bf16 ? "Cooperlake" : NULL, avx512 ? "SkylakeX" : NULL, "Haswell"};
    if (!avx2 || !is_fallback(core_name(library)) || getenv("OPENBLAS_CORETYPE")) return library;
    for (size_t i = 0; library && i < sizeof cores / sizeof cores[0] && is_fallback(core_name(library)); i++) {
        if (!cores[i] || setenv("OPENBLAS_CORETYPE", cores[i], 1) != 0) continue;
        dlclose(library);
        library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
        unsetenv("OPENBLAS_CORETYPE");
    }
    return library;
}
#else
static void *with_known_core(void *library, const char *file) {
    (void)file;
    (void)core_name;
    return library;
}
#endif

static bool has_long_integers(void *library) {
    char *(*openblas_config)(void);
    int64_t (*blis_size)(void);
    void *mkl;
    FIND(openblas_config, "openblas_get_config");
    FIND(blis_size, "bli_info_get_blas_int_type_size");
    FIND(mkl, "MKL_Get_Version_String");
    const char *mkl_layer = mkl ? getenv("MKL_INTERFACE_LAYER") : NULL;
    return (openblas_config && strstr(openblas_config(), "USE64BITINT")) || (blis_size && blis_size() == 64) ||
           (mkl_layer && strstr(mkl_layer, "ILP64"));
}

// True if the library has all that is needed.
static bool take(const char *file) {
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (library) library = with_known_core(library, file);
    if (!library) {
        const char *text = dlerror();
        snprintf(reason, sizeof reason, "%s", text ? text : file);
        return false;
    }
    FIND(blas.gemm, "cblas_dgemm");
    FIND(blas.syrk, "cblas_dsyrk");
    FIND(blas.trsm, "cblas_dtrsm");
    FIND(blas.trsv, "cblas_dtrsv");
    if (!blas.gemm || !blas.syrk || !blas.trsm || !blas.trsv) {
        snprintf(reason, sizeof reason, "%s has no C interface (cblas_dgemm and three more)", file);
        blas.gemm = NULL;
        dlclose(library);
        return false;
    }
    if (has_long_integers(library)) {
        snprintf(reason, sizeof reason, "%s counts in 64-bit integers (ILP64); one with 32-bit integers is needed",
                 file);
        blas.gemm = NULL;
        dlclose(library);
        return false;
    }
    find_threads(library);
    describe(library, file);
    return true;
}

static void load(void) {
    const char *wanted = getenv("HPT_BLAS_LIBRARY");
    if (wanted && *wanted) {
        if (!take(wanted)) {
            char detail[sizeof reason];
            memcpy(detail, reason, sizeof detail);
            snprintf(reason, sizeof reason, "HPT_BLAS_LIBRARY: %.200s", detail);
        }
        return;
    }
    for (int i = 0; LIBRARIES[i]; i++)
        if (take(LIBRARIES[i])) return;
    snprintf(reason, sizeof reason,
             "no BLAS library found; install one (Debian: libopenblas0) or name one in HPT_BLAS_LIBRARY");
}

const cpu__blas *cpu__blas_get(char *why, size_t size) {
    pthread_once(&once, load);
    if (blas.gemm) return &blas;
    if (why && size > 0) snprintf(why, size, "%s", reason);
    return NULL;
}

int64_t cpu__blas_threads(void) {
    return get_int ? get_int() : get_long ? get_long() : 0;
}

static void set_threads(int64_t n) {
    if (set_int)
        set_int((int)n);
    else if (set_long)
        set_long(n);
}

void cpu__blas_enter_thread(void) {
    if (swap_own && own_depth++ == 0) own_before = swap_own(1);
}

void cpu__blas_leave_thread(void) {
    if (swap_own && --own_depth == 0) (void)swap_own(own_before);
}

void cpu__blas_enter(void) {
    cpu__blas_enter_thread();
    if (swap_own) return;
    pthread_mutex_lock(&lock);
    if (depth++ == 0) {
        before = cpu__blas_threads();
        if (before != 1) set_threads(1);
    }
    pthread_mutex_unlock(&lock);
}

void cpu__blas_leave(void) {
    cpu__blas_leave_thread();
    if (swap_own) return;
    pthread_mutex_lock(&lock);
    if (--depth == 0 && before != 1) set_threads(before);
    pthread_mutex_unlock(&lock);
}
