/* SPDX-License-Identifier: Apache-2.0
 * hpt.h: everything of libhpt_gpu's public interface. */
#ifndef HPT_H
#define HPT_H

#include <hpt/device.h>
#include <hpt/gp.h>
#include <hpt/log.h>
#include <hpt/options.h>
#include <hpt/pruner.h>
#include <hpt/sampler.h>
#include <hpt/sched.h>
#include <hpt/serve.h>
#include <hpt/space.h>
#include <hpt/status.h>
#include <hpt/storage.h>
#include <hpt/study.h>
#include <hpt/sweep.h>
#include <hpt/table.h>
#include <hpt/trial.h>
#include <hpt/version.h>

#endif
