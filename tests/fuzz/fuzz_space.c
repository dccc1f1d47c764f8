// SPDX-License-Identifier: Apache-2.0
// fuzz_space.c: any text as a stored space and as Optuna's distribution_json.
#include "core/space/space_build.h"
#include "fuzz_space_check.h"

static void distribution(const char *text) {
    hpt_space *a = NULL, *b = NULL;
    if (hpt_space_create(&a) < 0 || hpt_space_create(&b) < 0) abort();
    const int rc = hpt__space_add_distribution(a, "x", text);
    if (rc < 0) {
        fuzz_check_error(rc);
        FUZZ_CHECK(hpt_space_size(a) == 0, "a refused distribution left something");
    } else {
        const hpt__param *p = &a->params[0];
        FUZZ_CHECK(hpt__space_add_distribution(b, "x", p->dist_json) == 0, "%s: %s", hpt_last_error(), p->dist_json);
        // Optuna knows no log range with a step; that one is written without log.
        if (hpt__distribution_log(p) == p->log)
            FUZZ_CHECK(hpt__param_same_distribution(p, &b->params[0]), "%s is not %s", p->dist_json,
                       b->params[0].dist_json);
        fuzz_check_space(a);
    }
    hpt_space_destroy(a);
    hpt_space_destroy(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hpt_space *s = NULL;
    char *text = fuzz_text(data, size);
    const int rc = hpt_space_from_json(&s, text);
    if (rc < 0) {
        fuzz_check_error(rc);
    } else {
        fuzz_check_space(s);
        hpt_space_destroy(s);
    }
    distribution(text);
    free(text);
    return 0;
}
