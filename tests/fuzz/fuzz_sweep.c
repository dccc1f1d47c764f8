// SPDX-License-Identifier: Apache-2.0
// fuzz_sweep.c: any text as a sweep file. What is accepted can be used: its space holds, commands expand, the
// configuration is JSON, the patterns of its metrics compile.
#include "core/base/alloc.h"
#include "core/intake/intake.h"
#include "core/sweep/sweep_impl.h"
#include "fuzz_space_check.h"

static void use(const hpt_sweep *sweep) {
    const hpt_space *s = hpt_sweep_space(sweep);
    double *cube = malloc(((size_t)s->d + 1) * sizeof *cube), *point = malloc(((size_t)s->d + 1) * sizeof *point);
    char **argv = NULL;
    hpt__str config = HPT__STR_INIT;
    hpt__arena arena;
    hpt__json *object = NULL;
    hpt__intake in;
    if (!cube || !point) abort();
    fuzz_check_space(s);
    for (int64_t i = 0; i < s->d; i++) cube[i] = 0.7;
    hpt__codec_decode(point, s, cube);
    int rc = hpt__sweep_command(&argv, sweep, point, "params.json");
    if (rc < 0)
        fuzz_check_error(rc); // ${envvar:...} of a variable that is not set
    else
        FUZZ_CHECK(argv && argv[0], "an empty command");
    hpt__free(argv);
    hpt__sweep_config_json(&config, sweep, point);
    FUZZ_CHECK(hpt__str_status(&config) == 0, "%s", hpt_last_error());
    hpt__arena_init(&arena);
    FUZZ_CHECK(hpt__json_parse(&object, &arena, hpt__str_text(&config), config.len) == 0, "%s: %s", hpt_last_error(),
               hpt__str_text(&config));
    FUZZ_CHECK(object->kind == HPT__JSON_OBJECT, "%s", hpt__str_text(&config));
    rc = hpt__intake_init(&in, sweep->metric, sweep->patterns, sweep->n_patterns);
    FUZZ_CHECK(rc == 0, "%s", hpt_last_error());
    hpt__intake_fini(&in);
    hpt__arena_fini(&arena);
    hpt__str_fini(&config);
    free(cube);
    free(point);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hpt_sweep *sweep = NULL;
    char *text = fuzz_text(data, size);
    const int rc = hpt_sweep_parse(&sweep, text, "sweep.yaml");
    if (rc < 0) {
        fuzz_check_error(rc);
        FUZZ_CHECK(strncmp(hpt_last_error(), "sweep.yaml:", 11) == 0, "the message names no place: %s",
                   hpt_last_error());
    } else {
        FUZZ_CHECK(*hpt_sweep_name(sweep) || true, "no name");
        FUZZ_CHECK(hpt_sweep_method(sweep), "no method");
        for (int64_t i = 0; hpt_sweep_warning(sweep, i); i++)
            FUZZ_CHECK(!strchr(hpt_sweep_warning(sweep, i), '\n'), "%s", hpt_sweep_warning(sweep, i));
        use(sweep);
        hpt_sweep_destroy(sweep);
    }
    free(text);
    return 0;
}
