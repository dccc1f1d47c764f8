// SPDX-License-Identifier: Apache-2.0
// sweep_tool.c: lets oracle_yaml.py see our reading of YAML. Standard input: a YAML document. Output: its tree as
// Python's json.dumps writes it, then, on a line of its own for each member of a top-level list, Python's str() of it.
#include "core/base/error.h"
#include "core/sweep/sweep_impl.h"
#include <hpt/status.h>
#include <stdio.h>

int main(void) {
    hpt__str text = HPT__STR_INIT, out = HPT__STR_INIT;
    hpt__arena arena;
    hpt__json *tree = NULL;
    char chunk[4096];
    size_t n;
    hpt__arena_init(&arena);
    while ((n = fread(chunk, 1, sizeof chunk, stdin)) > 0) hpt__str_addn(&text, chunk, n);
    int rc = hpt__yaml_parse(&tree, &arena, hpt__str_text(&text), text.len, "stdin");
    if (rc < 0) {
        fprintf(stderr, "%s\n", hpt_last_error());
    } else {
        hpt__json_dumps(&out, tree);
        hpt__str_addc(&out, '\n');
        for (int64_t i = 0; tree->kind == HPT__JSON_ARRAY && i < tree->a.n; i++) {
            hpt__json_pystr(&out, tree->a.items[i]);
            hpt__str_addc(&out, '\n');
        }
        fputs(hpt__str_text(&out), stdout);
    }
    hpt__str_fini(&text);
    hpt__str_fini(&out);
    hpt__arena_fini(&arena);
    return rc < 0;
}
