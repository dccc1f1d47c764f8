// SPDX-License-Identifier: Apache-2.0
// backend_list.h: the candidates among which a device is chosen. Inside the room only; tables are in backend_impl.h.
#ifndef HPT_BACKEND_BACKEND_LIST_H
#define HPT_BACKEND_BACKEND_LIST_H

#include "backend_impl.h"

typedef struct hpt__candidate {
    const char *name;
    const char *doc;           // one line
    const hpt__backend *table; // NULL: not in this build, or
    const char *plugin;        // in a library of its own: its file without .so (NULL: none), and
    const char *folders;       // the environment variable that names folders for it
    const char *missing;       // what the backend needs, said where it cannot be had
} hpt__candidate;

extern const hpt__candidate hpt__candidates[]; // best first; ends with a NULL name

// The table of a candidate, or NULL with one line in why (size bytes). A table of another ABI is refused. variant: of a
// candidate with a plugin, another build of it; NULL: the plugin itself.
const hpt__backend *hpt__candidate_table(const hpt__candidate *c, const char *variant, char *why, size_t size);

#endif
