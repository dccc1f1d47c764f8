// SPDX-License-Identifier: Apache-2.0
// storage_table.h: what every storage does with the table it fills.
#ifndef HPT_STORAGE_TABLE_H
#define HPT_STORAGE_TABLE_H

#include "storage_ops.h"

// Appends a stored trial to the table. On error the row may be there in part: truncate the table.
HPT_NODISCARD int hpt__storage_add_row(hpt__trials *table, const hpt__new_trial *trial);
// Sets info.foreign: `strange` (a value was left out), or the parameters are not those of the space. point: the row's d
// values, NULL: none. A waiting trial is never foreign: what it lacks is chosen when it is claimed.
void hpt__storage_judge(hpt__trials *table, int64_t row, const double *point, bool strange);
// Whether a distribution text is the kind of the parameter, so that its internal values mean the same: same class, and
// for categoricals the same choices. Ranges may differ. A text that cannot be read fits nothing. HPT_E_MEMORY.
HPT_NODISCARD int hpt__storage_fits(bool *out, const hpt__param *p, const char *dist_json);

#endif
