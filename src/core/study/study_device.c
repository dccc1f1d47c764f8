// SPDX-License-Identifier: Apache-2.0
// study_device.c: which GPU a study's own models would compute on, for the ledger of who uses what of it.
#include "../backend/backend.h"
#include "../base/num.h"
#include "study_impl.h"

#include <stdlib.h>
#include <string.h>

int64_t hpt__study_accelerator(const char *device) {
    char name[64];
    int64_t index = 0;
    if (hpt__device_is_auto(device)) return -2;
    const char *text = device ? device : getenv("HPT_DEVICE"), *colon = strrchr(text, ':');
    const size_t n = strcspn(text, ":");
    if (n >= sizeof name) return -1;
    memcpy(name, text, n);
    name[n] = '\0';
    if (hpt__device_names_host(name)) return -1;
    return colon && hpt__parse_int(&index, colon + 1, strlen(colon + 1)) && index > 0 ? index : 0;
}
