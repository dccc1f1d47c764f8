// SPDX-License-Identifier: Apache-2.0
// sweep_tool.c: lets oracle_yaml.py and oracle_sweep.py see what this library makes of a text on standard input.
//
//   sweep_tool              a YAML document: its tree as Python's json.dumps writes it, then, on a line of its own for
//                           each member of a top-level list, Python's str() of it
//   sweep_tool words        a sweep file: the command of the point in the middle of the space, a NUL after each word
//   sweep_tool grid         the same for every point of the grid, two NULs after each command
//   sweep_tool values U...  the values of all parameters at each u of the unit cube: one JSON object a line
#include "core/base/error.h"
#include "core/space/codec.h"
#include "core/space/grid.h"
#include "core/sweep/sweep_impl.h"
#include <hpt/status.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int print_tree(const char *text, size_t n) {
    hpt__str out = HPT__STR_INIT;
    hpt__arena arena;
    hpt__json *tree = NULL;
    hpt__arena_init(&arena);
    const int rc = hpt__yaml_parse(&tree, &arena, text, n, "stdin");
    if (rc >= 0) {
        hpt__json_dumps(&out, tree);
        hpt__str_addc(&out, '\n');
        for (int64_t i = 0; tree->kind == HPT__JSON_ARRAY && i < tree->a.n; i++) {
            hpt__json_pystr(&out, tree->a.items[i]);
            hpt__str_addc(&out, '\n');
        }
        fputs(hpt__str_text(&out), stdout);
    }
    hpt__str_fini(&out);
    hpt__arena_fini(&arena);
    return rc;
}

static int print_words(const hpt_sweep *sweep, const double *point) {
    char **argv = NULL;
    const int rc = hpt__sweep_command(&argv, sweep, point, "params.json");
    for (char **word = argv; word && *word; word++) fwrite(*word, 1, strlen(*word) + 1, stdout);
    hpt_free(argv);
    return rc;
}

static int print_grid(const hpt_sweep *sweep, double *point) {
    hpt__grid *grid = NULL;
    int rc = hpt__grid_create(&grid, sweep->space);
    for (int64_t i = 0; rc >= 0 && i < hpt__grid_size(grid); i++) {
        hpt__grid_point(point, grid, i);
        rc = print_words(sweep, point);
        putchar('\0');
    }
    hpt__grid_destroy(grid);
    return rc;
}

static void print_values(const hpt_sweep *sweep, double *point, double *cube, double u) {
    hpt__str out = HPT__STR_INIT;
    for (int64_t i = 0; i < sweep->space->d; i++) cube[i] = u;
    hpt__codec_decode(point, sweep->space, cube);
    hpt__space_point_json(&out, sweep->space, point, true);
    puts(hpt__str_text(&out));
    hpt__str_fini(&out);
}

int main(int argc, char **argv) {
    hpt__str text = HPT__STR_INIT;
    hpt_sweep *sweep = NULL;
    double *point = NULL, *cube = NULL;
    char chunk[4096];
    size_t n;
    int rc;
    const char *mode = argc > 1 ? argv[1] : "";
    while ((n = fread(chunk, 1, sizeof chunk, stdin)) > 0) hpt__str_addn(&text, chunk, n);
    if (!*mode) {
        rc = print_tree(hpt__str_text(&text), text.len);
    } else if ((rc = hpt_sweep_parse(&sweep, hpt__str_text(&text), "stdin")) >= 0) {
        const size_t d = (size_t)sweep->space->d;
        point = calloc(d, sizeof *point);
        cube = calloc(d, sizeof *cube);
        for (size_t i = 0; i < d; i++) cube[i] = 0.5;
        hpt__codec_decode(point, sweep->space, cube);
        if (strcmp(mode, "words") == 0) rc = print_words(sweep, point);
        if (strcmp(mode, "grid") == 0) rc = print_grid(sweep, point);
        for (int i = 2; i < argc; i++) print_values(sweep, point, cube, atof(argv[i]));
    }
    if (rc < 0) fprintf(stderr, "%s\n", hpt_last_error());
    free(point);
    free(cube);
    hpt_sweep_destroy(sweep);
    hpt__str_fini(&text);
    return rc < 0;
}
