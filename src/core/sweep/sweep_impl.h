// SPDX-License-Identifier: Apache-2.0
// sweep_impl.h: a sweep file after reading: everything the scheduler and `hpt serve` need of it.
//
// YAML becomes the same tree as JSON (base/json.h) with line numbers, scalars resolved by the YAML 1.1 rules of
// PyYAML's safe_load; then one checker walks the tree and builds the struct. Nested `parameters:` blocks are flattened
// with "." for the engine and nested again for the trial. Immutable after load; readers need no lock.
#ifndef HPT_SWEEP_IMPL_H
#define HPT_SWEEP_IMPL_H

#include "../base/arena.h"
#include "../base/json.h"
#include <hpt/sweep.h>

typedef struct hpt__sweep_pattern {
    const char *name;  // metric the first group gives; "step" for the step
    const char *regex; // POSIX extended, compiled once by the checker to prove it
} hpt__sweep_pattern;

typedef struct hpt__amounts { // what a trial asks for; 0: not given
    double cpu, gpu, memory, gpu_memory;
} hpt__amounts;
struct hpt__formula;

struct hpt_sweep {
    hpt__arena arena;              // everything below
    const char *name, *path, *dir; // dir: absolute folder of the file ("" when parsed from text)
    const char *method;            // "grid", "random", "bayes"
    const char *metric;            // first metric; NULL only for grid and random without metric
    hpt_direction direction;
    const char **metrics; // n_metrics names, metrics[0] == metric; several: several objectives, in this order
    const hpt_direction *directions;
    int64_t n_metrics; // 0 without metric
    bool has_target;
    double target;
    int64_t run_cap;      // 0: none
    const char *program;  // NULL when command does not use ${program}
    const char **command; // as written, or the default [${env}, ${interpreter}, ${program}, ${args}]
    int64_t n_command;
    const char *description, *entity, *project; // labels, may be NULL
    hpt_space *space;                           // owned
    const hpt__json *parameters;                // the block as written: says what was nested
    // ---- hpt:
    const char *storage, *sampler, *pruner; // NULL: not given
    double cpu;                             // cores a trial asks for; 0: not given (1)
    double gpu;                             // GPUs a trial asks for, fractions allowed; 0: none
    int64_t memory_bytes, gpu_memory_bytes; // 0: not given
    bool gpu_memory_learned;                // gpu_memory: learn
    bool gpu_follows;                       // and gpu was not given: as many on a GPU as its memory holds
    const char *gpu_profile;                // gpu is a whole MIG instance of this profile; NULL: any device
    // Computed from a trial's parameters; the four above are then the largest, `least` the smallest. NULL: constant.
    const struct hpt__formula *cpu_of, *gpu_of, *memory_of, *gpu_memory_of;
    hpt__amounts least;
    int64_t parallel;                    // most trials at once; 0: what the resources allow
    int64_t retries;                     // more attempts of a failed trial
    double trial_timeout, sweep_timeout; // seconds; 0: none
    double silent_timeout;               // seconds that a trial may run without a report; 0: none
    double grace;                        // seconds between SIGTERM and SIGKILL
    uint64_t seed;
    bool has_seed;
    const hpt__sweep_pattern *patterns;
    int64_t n_patterns;
    const char **options; // "key=value" for the options table (early_terminate and impute end up here and in pruner)
    int64_t n_options;
    const char **warnings;
    int64_t n_warnings;
};

// A YAML document as a tree. HPT_E_PARSE: "name:line: ...".
HPT_NODISCARD int hpt__yaml_parse(hpt__json **out, hpt__arena *arena, const char *text, size_t n, const char *name);
// One plain scalar by YAML 1.1 rules (PyYAML safe_load): yes/on -> bool, 017 -> 15, 1_000, 1:30 -> 90, 1e-3 -> string...
hpt__json *hpt__yaml_scalar(hpt__arena *arena, const char *text, size_t n);

// A `parameters` block (YAML or JSON tree) -> space. file NULL: no "file:line:" prefix in messages (serve).
// Warnings are appended to *warnings (arena array). sweep may be NULL.
HPT_NODISCARD int hpt__sweep_space(hpt_space **out, const hpt__json *parameters, const char *file, hpt_sweep *sweep);

// Whether trials ask for different amounts.
bool hpt__sweep_has_formula(const hpt_sweep *sweep);
// What the trial at a point of the sweep's space asks for; HPT_E_ARG: a formula gives nothing that can be asked for.
HPT_NODISCARD int hpt__sweep_amounts(hpt__amounts *out, const hpt_sweep *sweep, const double *point);

// Expands the command for one trial. point: internal values (absent NaN). config_path: file for ${args_json_file}.
// *argv: NULL-terminated, one block, owned (hpt__free frees it all at once).
HPT_NODISCARD int hpt__sweep_command(char ***argv, const hpt_sweep *sweep, const double *point,
                                     const char *config_path);
// The nested configuration of a trial as JSON (json.dumps form): what params.json and ${args_json} hold.
void hpt__sweep_config_json(hpt__str *out, const hpt_sweep *sweep, const double *point);

#endif
