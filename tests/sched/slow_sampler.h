// SPDX-License-Identifier: Apache-2.0
// slow_sampler.h: in this program the sampler `random` can be made slow: it then counts as a model, which reads rows
// and thinks without the study's lock. hpt__sampler_find is replaced by the linker (--wrap).
#ifndef HPT_TESTS_SLOW_SAMPLER_H
#define HPT_TESTS_SLOW_SAMPLER_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

extern atomic_bool slow_sampler;       // false: as in the library
extern double slow_sampler_seconds;    // of each suggestion
extern atomic_int_least64_t slow_gate; // number of the trial whose suggestion stops until slow_go_on; -1: none
extern atomic_bool slow_inside;        // it has stopped
extern atomic_int slow_calls;
extern sem_t slow_go_on;

#endif
