// SPDX-License-Identifier: Apache-2.0
// sweep_hpt.c: our own keys, the `hpt:` block of a sweep file. docs/sweep-file.md lists them.
#include "../base/num.h"
#include "../base/options.h"
#include "sweep_check.h"

#include <hpt/pruner.h>
#include <hpt/sampler.h>
#include <math.h>
#include <regex.h>
#include <string.h>

static const char *const KEYS[] = {"storage", "sampler", "pruner",  "resources", "parallel", "retries",    "timeout",
                                   "grace",   "seed",    "metrics", "options",   "executor", "objectives", NULL};
static const char *const LATER[] = {"folds", "constraints", "enforce", NULL};

int hpt__check_option(const hpt__check *c, const hpt__json *node, const char *path, const char *key,
                      const char *given) {
    hpt_sweep *s = c->sweep;
    hpt__options scratch;
    hpt__str value = HPT__STR_INIT, pair = HPT__STR_INIT;
    if (given)
        hpt__str_add(&value, given);
    else if (node->kind == HPT__JSON_BOOL)
        hpt__str_add(&value, node->b ? "true" : "false");
    else
        hpt__json_pystr(&value, node);
    hpt__str_addf(&pair, "%s=%s", key, hpt__str_text(&value));
    int rc = hpt__str_status(&value);
    if (rc >= 0) rc = hpt__str_status(&pair);
    hpt__options_default(&scratch);
    if (rc >= 0) rc = hpt__check_at(c, node, path, hpt__options_set(&scratch, key, hpt__str_text(&value)));
    if (rc >= 0) {
        const char **options = hpt__arena_alloc(c->arena, (size_t)(s->n_options + 1) * sizeof *options);
        const char *copy = hpt__arena_strndup(c->arena, hpt__str_text(&pair), pair.len);
        if (!options || !copy) {
            rc = hpt__fail_memory();
        } else {
            if (s->n_options) memcpy(options, s->options, (size_t)s->n_options * sizeof *options);
            options[s->n_options++] = copy;
            s->options = options;
        }
    }
    hpt__str_fini(&value);
    hpt__str_fini(&pair);
    return rc < 0 ? rc : HPT_OK;
}

// Optuna's and W&B's words for options of ours, so that a user's habit works.
static const char *option_of(const char *key) {
    static const char *const alias[][2] = {{"warmup_steps", "n_warmup"},    {"n_warmup_steps", "n_warmup"},
                                           {"startup_trials", "n_startup"}, {"n_startup_trials", "n_startup"},
                                           {"interval_steps", "interval"},  {"n_ei_candidates", "n_candidates"},
                                           {"min_trials", "n_min_trials"},  {"wrapped_pruner", "pruner"}};
    for (size_t i = 0; i < sizeof alias / sizeof *alias; i++)
        if (strcmp(alias[i][0], key) == 0) return alias[i][1];
    return key;
}

// name is one that name_at lists.
static int check_tool(const hpt__check *c, const hpt__json *node, const char *path, const char *name,
                      const char *(*name_at)(int64_t)) {
    enum { LISTED_MAX = 32 };
    const char *names[LISTED_MAX];
    int64_t n = 0;
    for (const char *known; n < LISTED_MAX && (known = name_at(n)); n++) {
        if (strcmp(known, name) == 0) return HPT_OK;
        names[n] = known;
    }
    const char *near = hpt__nearest(name, names, n);
    hpt__str list = HPT__STR_INIT;
    for (int64_t i = 0; i < n; i++) hpt__str_addf(&list, "%s%s", i ? ", " : "", names[i]);
    int rc = hpt__check_fail(c, node, path, "there is no '%.60s'%s%s%s; there are: %s", name,
                             near ? ", did you mean '" : "", near ? near : "", near ? "'" : "", hpt__str_text(&list));
    hpt__str_fini(&list);
    return rc;
}

// sampler and pruner: a name, or {type: name, option: value}.
static int read_tool(const char **name, const hpt__check *c, const hpt__json *node, const char *path,
                     const char *(*name_at)(int64_t)) {
    int rc = 0;
    const bool map = node->kind == HPT__JSON_OBJECT;
    const hpt__json *type = map ? hpt__json_get(node, "type") : node;
    if (!type) return hpt__check_fail(c, node, path, "needs 'type', e.g. {type: median}");
    HPT_TRY(hpt__check_text(name, c, type, path));
    HPT_TRY(check_tool(c, type, path, *name, name_at));
    if (!map) return HPT_OK;
    for (int64_t i = 0; i < node->o.n; i++) {
        if (strcmp(node->o.keys[i], "type") == 0) continue;
        const char *where = hpt__check_path(c, path, node->o.keys[i]);
        const char *key = hpt__check_path(c, *name, option_of(node->o.keys[i]));
        if (!where || !key) return hpt__fail_memory();
        const hpt__json *v = node->o.values[i];
        if (v->kind == HPT__JSON_OBJECT && strcmp(key, "patience.pruner") == 0) { // with options of its own
            const char *inner = NULL;
            HPT_TRY(read_tool(&inner, c, v, where, name_at));
            HPT_TRY(hpt__check_option(c, v, where, key, inner));
        } else {
            HPT_TRY(hpt__check_option(c, v, where, key, NULL));
        }
    }
    rc = 0;
out:
    return rc;
}

// The pruner, which only one may choose and which looks at one metric.
static int read_pruner(const hpt__check *c, const hpt__json *node, const char *path) {
    hpt_sweep *s = c->sweep;
    if (s->pruner)
        return hpt__check_fail(c, node, path, "stands beside early_terminate, which is a pruner too; keep one of them");
    int rc = read_tool(&s->pruner, c, node, path, hpt_pruner_name);
    if (rc < 0 || s->n_metrics < 2 || strcmp(s->pruner, "nop") == 0) return rc;
    return hpt__check_fail(c, node, path, "a pruner looks at one metric, and this sweep has %lld; remove it",
                           (long long)s->n_metrics);
}

static int read_options(const hpt__check *c, const hpt__json *node, const char *path) {
    int rc = hpt__check_map(c, node, path);
    for (int64_t i = 0; rc >= 0 && i < node->o.n; i++) {
        const char *where = hpt__check_path(c, path, node->o.keys[i]);
        rc = where ? hpt__check_option(c, node->o.values[i], where, node->o.keys[i], NULL) : hpt__fail_memory();
    }
    return rc;
}

// Seconds: a number, or "90s", "10m", "2h", "1d".
static int read_seconds(double *out, const hpt__check *c, const hpt__json *node, const char *path) {
    double v = 0, unit = 1;
    if (!hpt__json_number(&v, node)) {
        const char *text = hpt__json_string(node);
        const size_t n = text ? strlen(text) : 0;
        const char suffix = n ? text[n - 1] : 0;
        unit = suffix == 's' ? 1 : suffix == 'm' ? 60 : suffix == 'h' ? 3600 : suffix == 'd' ? 86400 : 0;
        if (unit == 0 || !hpt__parse_double(&v, text, n - 1, false))
            return hpt__check_fail(c, node, path,
                                   "needs a time: seconds, or a number with s, m, h or d, e.g. 90s or 2h");
    }
    *out = v * unit;
    if (!(*out > 0) || !isfinite(*out)) return hpt__check_fail(c, node, path, "must be a time greater than 0");
    return HPT_OK;
}

static int read_timeout(const hpt__check *c, const hpt__json *node, const char *path) {
    static const char *const keys[] = {"trial", "sweep", "silent", NULL};
    int rc = 0;
    hpt_sweep *s = c->sweep;
    if (node->kind != HPT__JSON_OBJECT) return read_seconds(&s->sweep_timeout, c, node, path);
    HPT_TRY(hpt__check_keys(c, node, path, keys));
    for (int64_t i = 0; i < node->o.n; i++) {
        const char *where = hpt__check_path(c, path, node->o.keys[i]);
        if (!where) return hpt__fail_memory();
        double *out = strcmp(node->o.keys[i], "trial") == 0    ? &s->trial_timeout
                      : strcmp(node->o.keys[i], "silent") == 0 ? &s->silent_timeout
                                                               : &s->sweep_timeout;
        HPT_TRY(read_seconds(out, c, node->o.values[i], where));
    }
    rc = 0;
out:
    return rc;
}

// What regcomp would take without a word and the user would regret: \d, which POSIX reads as the letter d; \1, a glibc
// extension that takes exponential time; and repetitions of repetitions, which glibc writes out in memory: x{n} as n
// copies of x, x+ as two. So the written-out size is counted, group by group. NULL if the pattern is fine.
static const char *bad_regex(const char *regex) {
    enum { LENGTH_MAX = 1000, SIZE_MAX_NODES = 4000, NESTED_MAX = 50 };
    double before[NESTED_MAX + 1] = {0}, last[NESTED_MAX + 1] = {0}; // size of a group's last part, and of those before
    int depth = 0;
    if (strlen(regex) > LENGTH_MAX) return "is longer than 1000 bytes; match less of the line";
    for (const char *p = regex; *p; p++) {
        double copies = 0; // 0: a new part begins
        if (*p == '\\') {
            if (p[1] == 'd') return "uses \\d, which POSIX regular expressions do not have; write [0-9]";
            if (p[1] >= '1' && p[1] <= '9') return "refers back to a group, which takes too long; write the text again";
            if (p[1]) p++;
        } else if (*p == '[') { // a ']' that comes first is a member
            p += p[1] == '^' ? 2 : 1;
            if (*p) p++;
            while (*p && *p != ']') p++;
        } else if (*p == '(') {
            if (depth == NESTED_MAX) return "nests more than 50 groups; match less of the line";
            depth++;
            before[depth] = last[depth] = 0;
            continue;
        } else if (*p == ')' && depth > 0) {
            depth--;
            before[depth] += last[depth];
            last[depth] = before[depth + 1] + last[depth + 1] + 1;
            copies = 1;
        } else if (*p == '*' || *p == '?' || *p == '+') {
            copies = *p == '+' ? 2 : 1;
        } else if (*p == '{') {
            double number = 0;
            for (copies = 1; p[1] && *p != '}'; p++) {
                number = p[1] >= '0' && p[1] <= '9' ? number * 10 + (p[1] - '0') : 0;
                if (number > copies) copies = number;
            }
        }
        if (copies > 0) {
            last[depth] = last[depth] * copies + 1;
        } else {
            before[depth] += last[depth];
            last[depth] = 1;
        }
        if (before[depth] + last[depth] > SIZE_MAX_NODES) return "repeats too often (counts and + of groups multiply)";
        if (!*p) break;
    }
    return NULL;
}

static bool is_reported(const hpt_sweep *s, const char *name) {
    for (int64_t i = 0; i < s->n_metrics; i++)
        if (strcmp(s->metrics[i], name) == 0) return true;
    return strcmp(name, "step") == 0;
}

static int read_metrics(const hpt__check *c, const hpt__json *node, const char *path) {
    int rc = 0;
    hpt_sweep *s = c->sweep;
    HPT_TRY(hpt__check_map(c, node, path));
    hpt__sweep_pattern *patterns = hpt__arena_alloc(c->arena, (size_t)(node->o.n + 1) * sizeof *patterns);
    if (!patterns) return hpt__fail_memory();
    for (int64_t i = 0; i < node->o.n; i++) {
        const char *where = hpt__check_path(c, path, node->o.keys[i]), *regex = NULL;
        regex_t compiled;
        char why[160];
        if (!where) return hpt__fail_memory();
        HPT_TRY(hpt__check_text(&regex, c, node->o.values[i], where));
        if (!is_reported(s, node->o.keys[i]))
            HPT_TRY(hpt__check_warn(c, node->o.values[i], where,
                                    "is neither a metric of this sweep nor 'step', so nothing looks for it"));
        const char *bad = bad_regex(regex);
        if (bad) return hpt__check_fail(c, node->o.values[i], where, "'%.80s' %s", regex, bad);
        const int err = regcomp(&compiled, regex, REG_EXTENDED);
        if (err) {
            regerror(err, &compiled, why, sizeof why);
            return hpt__check_fail(c, node->o.values[i], where, "'%s' is no POSIX extended regular expression: %s",
                                   regex, why);
        }
        const size_t groups = compiled.re_nsub;
        regfree(&compiled);
        if (groups != 1)
            return hpt__check_fail(
                c, node->o.values[i], where,
                "has %zu groups; put the number, and nothing else, in parentheses: 'loss is ([0-9.eE+-]+)'", groups);
        patterns[i] = (hpt__sweep_pattern){node->o.keys[i], regex};
    }
    s->patterns = patterns;
    s->n_patterns = node->o.n;
    rc = 0;
out:
    return rc;
}

static int read_storage(const hpt__check *c, const hpt__json *v, const char *where) {
    int rc = hpt__check_text(&c->sweep->storage, c, v, where);
    if (rc == 0 && strcmp(c->sweep->storage, ":memory:") == 0)
        rc = hpt__check_fail(c, v, where, "would be gone when the run ends; name a database, or leave it out");
    return rc;
}

static int read_key(const hpt__check *c, const char *key, const hpt__json *v, const char *where) {
    hpt_sweep *s = c->sweep;
    int64_t seed = 0;
    if (strcmp(key, "storage") == 0) return read_storage(c, v, where);
    if (strcmp(key, "sampler") == 0) return read_tool(&s->sampler, c, v, where, hpt_sampler_name);
    if (strcmp(key, "pruner") == 0) return read_pruner(c, v, where);
    if (strcmp(key, "resources") == 0) return hpt__check_resources(c, v, where);
    if (strcmp(key, "parallel") == 0) return hpt__check_int(&s->parallel, c, v, where, 1, 100000);
    if (strcmp(key, "retries") == 0) return hpt__check_int(&s->retries, c, v, where, 0, 1000);
    if (strcmp(key, "timeout") == 0) return read_timeout(c, v, where);
    if (strcmp(key, "grace") == 0) return read_seconds(&s->grace, c, v, where);
    if (strcmp(key, "metrics") == 0) return read_metrics(c, v, where);
    if (strcmp(key, "options") == 0) return read_options(c, v, where);
    if (strcmp(key, "objectives") == 0) return HPT_OK; // read with the metrics
    if (strcmp(key, "executor") == 0) {
        const char *executor = hpt__json_string(v);
        if (executor && strcmp(executor, "local") == 0) return HPT_OK;
        return hpt__check_unsupported(c, v, where, "write local, or leave it out");
    }
    int rc = hpt__check_int(&seed, c, v, where, 0, INT64_MAX); // "seed"
    s->seed = (uint64_t)seed;
    s->has_seed = rc >= 0;
    return rc;
}

int hpt__check_hpt(const hpt__check *c, const hpt__json *node) {
    int rc = 0;
    HPT_TRY(hpt__check_map(c, node, "hpt"));
    for (int64_t i = 0; i < node->o.n; i++)
        for (int64_t k = 0; LATER[k]; k++)
            if (strcmp(LATER[k], node->o.keys[i]) == 0) {
                const char *where = hpt__check_path(c, "hpt", node->o.keys[i]);
                return where ? hpt__check_unsupported(c, node->o.values[i], where, "leave it out") : hpt__fail_memory();
            }
    HPT_TRY(hpt__check_keys(c, node, "hpt", KEYS));
    for (int64_t i = 0; i < node->o.n; i++) {
        const char *where = hpt__check_path(c, "hpt", node->o.keys[i]);
        if (!where) return hpt__fail_memory();
        HPT_TRY(read_key(c, node->o.keys[i], node->o.values[i], where));
    }
    rc = 0;
out:
    return rc;
}
