// SPDX-License-Identifier: Apache-2.0
// plugin_load.h: finding and loading a backend that is a library of its own. Inside the room only; what the two say to each
// other is in plugin.h.
#ifndef HPT_BACKEND_PLUGIN_LOAD_H
#define HPT_BACKEND_PLUGIN_LOAD_H

#include "backend_list.h"

// The table of the backend in <plugin>.so of the candidate, or with a variant (not NULL) in <plugin>_<variant>.so; NULL with
// the step that failed in why (size bytes, one line). The first result for a file is kept for the process, be it a
// failure; a library stays loaded. Threads: any.
const hpt__backend *hpt__plugin_load(const hpt__candidate *c, const char *variant, char *why, size_t size);

#endif
