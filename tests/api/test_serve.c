// SPDX-License-Identifier: Apache-2.0
// test_serve.c: the JSON-lines protocol, request by request, and what it answers to nonsense.
#include <criterion/criterion.h>
#include <hpt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static hpt_serve *begin(void) {
    hpt_serve *serve;
    cr_assert_eq(hpt_serve_create(&serve), 0, "%s", hpt_last_error());
    return serve;
}

static const char *say(hpt_serve *serve, const char *line) {
    const char *reply;
    const int rc = hpt_serve_request(&reply, serve, line);
    cr_assert(rc == 0 || rc == HPT_S_STOPPED, "%s: %s", line, hpt_last_error());
    cr_assert_not(strchr(reply, '\n'), "%s", reply);
    return reply;
}

static void is(hpt_serve *serve, const char *line, const char *expected) {
    const char *reply = say(serve, line);
    cr_assert_str_eq(reply, expected, "%s -> %s", line, reply);
}

static void has(hpt_serve *serve, const char *line, const char *part) {
    const char *reply = say(serve, line);
    cr_assert_eq(strncmp(reply, "{\"ok\":true", 10), 0, "%s -> %s", line, reply);
    cr_assert(strstr(reply, part), "%s -> %s, without %s", line, reply, part);
}

static void fails(hpt_serve *serve, const char *line, const char *part) {
    const char *reply = say(serve, line);
    cr_assert_eq(strncmp(reply, "{\"ok\":false,\"error\":\"", 21), 0, "%s -> %s", line, reply);
    cr_assert_eq(strcmp(reply + strlen(reply) - 2, "\"}"), 0, "%s -> %s", line, reply);
    cr_assert(strstr(reply, part), "%s -> %s, without %s", line, reply, part);
}

#define CREATE                                                                                                      \
    "{\"op\":\"create\",\"study\":\"s\",\"storage\":\":memory:\",\"sampler\":\"auto\",\"seed\":1,\"n_trials\":100," \
    "\"objectives\":[{\"name\":\"loss\",\"goal\":\"minimize\"}],"                                                   \
    "\"parameters\":{\"lr\":{\"distribution\":\"log_uniform_values\",\"min\":1e-5,\"max\":1}}}"

#define LINE "\"parameters\":{\"x\":{\"min\":0.0,\"max\":1.0}}"

Test(api_serve, a_session_as_in_the_design)
{
    hpt_serve *serve = begin();
    is(serve, CREATE, "{\"ok\":true,\"study\":\"s\"}");
    has(serve, "{\"op\":\"ask\",\"n\":2}", "\"trials\":[{\"number\":0,\"params\":{\"lr\":");
    is(serve, "{\"op\":\"report\",\"trial\":0,\"step\":3,\"value\":0.5}", "{\"ok\":true,\"prune\":false}");
    is(serve, "{\"op\":\"tell\",\"trial\":0,\"values\":[0.25]}", "{\"ok\":true}");
    is(serve, "{\"op\":\"tell\",\"trial\":1,\"state\":\"fail\"}", "{\"ok\":true}");
    is(serve, "{\"op\":\"enqueue\",\"params\":{\"lr\":0.5}}", "{\"ok\":true}");
    is(serve, "{\"op\":\"ask\"}", "{\"ok\":true,\"trials\":[{\"number\":2,\"params\":{\"lr\":0.5}}]}");
    is(serve, "{\"op\":\"tell\",\"trial\":2,\"state\":\"pruned\"}", "{\"ok\":true}");
    has(serve, "{\"op\":\"best\"}",
        "\"trial\":{\"number\":0,\"state\":\"COMPLETE\",\"values\":[0.25],\"params\":{\"lr\":");
    has(serve, "{\"op\":\"pareto\"}", "\"trials\":[{\"number\":0,\"state\":\"COMPLETE\",");
    has(serve, "{\"op\":\"trials\",\"since\":1}", "\"trials\":[{\"number\":1,\"state\":\"FAIL\",\"values\":null,");
    has(serve, "{\"op\":\"trials\"}", "},{\"number\":2,\"state\":\"PRUNED\",");
    has(serve, "{\"op\":\"stats\"}", "\"stats\":{\"asks\":3,\"tells\":3,\"reports\":1,\"seconds\":{\"ask\":");
    fails(serve, "{\"op\":\"importance\"}", "not available");
    const char *reply;
    cr_assert_eq(hpt_serve_request(&reply, serve, "{\"op\":\"close\"}"), HPT_S_STOPPED);
    cr_assert_str_eq(reply, "{\"ok\":true}");
    fails(serve, "{\"op\":\"ask\"}", "no study is open");
    hpt_serve_destroy(serve);
    hpt_serve_destroy(NULL);
}

Test(api_serve, nonsense_is_answered_and_the_next_request_served)
{
    hpt_serve *serve = begin();
    fails(serve, "{\"op\":\"ask\"}", "create");
    say(serve, CREATE);
    const char *const lines[] = {
        "",
        " ",
        "x",
        "{",
        "}",
        "[]",
        "1",
        "null",
        "\"op\"",
        "{}",
        "{\"op\":1}",
        "{\"op\":null}",
        "{\"op\":\"\"}",
        "{\"op\":\"aks\"}",
        "{\"op\":\"ask\",\"n\":0}",
        "{\"op\":\"ask\",\"n\":-1}",
        "{\"op\":\"ask\",\"n\":1e300}",
        "{\"op\":\"ask\",\"n\":\"2\"}",
        "{\"op\":\"ask\",\"n\":99999999999999999999999}",
        "{\"op\":\"ask\",\"n\":NaN}",
        "{\"op\":\"ask\",\"n\":2.5}",
        "{\"op\":\"ask\",\"m\":1}",
        "{\"op\":\"ask\"} x",
        "{\"op\":\"report\"}",
        "{\"op\":\"report\",\"trial\":0}",
        "{\"op\":\"report\",\"trial\":0,\"step\":0}",
        "{\"op\":\"report\",\"trial\":99,\"step\":0,\"value\":1}",
        "{\"op\":\"report\",\"trial\":0,\"step\":-1,\"value\":1}",
        "{\"op\":\"report\",\"trial\":0,\"step\":0,\"value\":\"1\"}",
        "{\"op\":\"report\",\"trial\":0,\"step\":0,\"value\":[1]}",
        "{\"op\":\"tell\"}",
        "{\"op\":\"tell\",\"trial\":0}",
        "{\"op\":\"tell\",\"trial\":0,\"values\":[]}",
        "{\"op\":\"tell\",\"trial\":0,\"values\":[1,2]}",
        "{\"op\":\"tell\",\"trial\":0,\"values\":1}",
        "{\"op\":\"tell\",\"trial\":0,\"values\":[\"a\"]}",
        "{\"op\":\"tell\",\"trial\":0,\"values\":[{}]}",
        "{\"op\":\"tell\",\"trial\":0,\"values\":[1],\"value\":1}",
        "{\"op\":\"tell\",\"trial\":0,\"state\":\"done\"}",
        "{\"op\":\"tell\",\"trial\":0,\"state\":7}",
        "{\"op\":\"tell\",\"trial\":0,\"state\":\"fail\",\"values\":[1]}",
        "{\"op\":\"tell\",\"trial\":0,\"state\":\"waiting\"}",
        "{\"op\":\"tell\",\"trial\":0,\"values\":[1],\"constraints\":1}",
        "{\"op\":\"tell\",\"trial\":0,\"values\":[1],\"constraints\":[\"a\"]}",
        "{\"op\":\"tell\",\"trial\":0,\"values\":[1],\"constraints\":[NaN]}",
        "{\"op\":\"tell\",\"trial\":99,\"values\":[1]}",
        "{\"op\":\"tell\",\"trial\":-1,\"values\":[1]}",
        "{\"op\":\"tell\",\"trial\":1e18,\"values\":[1]}",
        "{\"op\":\"enqueue\"}",
        "{\"op\":\"enqueue\",\"params\":1}",
        "{\"op\":\"enqueue\",\"params\":{\"lr\":7}}",
        "{\"op\":\"enqueue\",\"params\":{\"rl\":0.5}}",
        "{\"op\":\"best\"}",
        "{\"op\":\"best\",\"n\":1}",
        "{\"op\":\"trials\",\"since\":\"a\"}",
        "{\"op\":\"trials\",\"since\":-5}",
        "{\"op\":\"stats\",\"x\":1}",
        "{\"op\":\"\\ud800\"}",
        "{\"op\":\"ask\\u0000\"}",
        "{\"op\":\"create\"}",
        "{\"op\":\"open\",\"study\":\"nope\"}",
        "{\"op\":\"create\",\"parameters\":[]}",
        "{\"op\":\"create\",\"parameters\":{}}",
        "{\"op\":\"create\",\"parameters\":{\"x\":1}}",
        "{\"op\":\"create\",\"parameters\":{\"x\":{\"min\":2.0,\"max\":1.0}}}",
        "{\"op\":\"create\",\"study\":1," LINE "}",
        "{\"op\":\"create\",\"study\":\"\"," LINE "}",
        "{\"op\":\"create\",\"seed\":-1," LINE "}",
        "{\"op\":\"create\",\"seed\":1e30," LINE "}",
        "{\"op\":\"create\",\"n_trials\":0," LINE "}",
        "{\"op\":\"create\",\"objectives\":[]," LINE "}",
        "{\"op\":\"create\",\"objectives\":{}," LINE "}",
        "{\"op\":\"create\",\"objectives\":[1]," LINE "}",
        "{\"op\":\"create\",\"objectives\":[{\"goal\":\"min\"}]," LINE "}",
        "{\"op\":\"create\",\"objectives\":[{\"target\":1}]," LINE "}",
        "{\"op\":\"create\",\"sampler\":\"tpee\"," LINE "}",
        "{\"op\":\"create\",\"sampler\":1," LINE "}",
        "{\"op\":\"create\",\"sampler\":{}," LINE "}",
        "{\"op\":\"create\",\"pruner\":{\"type\":\"median\",\"n_startupp\":1}," LINE "}",
        "{\"op\":\"create\",\"pruner\":{\"type\":\"median\",\"n_startup\":[1]}," LINE "}",
        "{\"op\":\"create\",\"options\":[1]," LINE "}",
        "{\"op\":\"create\",\"options\":{\"tpe.x\":1}," LINE "}",
        "{\"op\":\"create\",\"device\":\"cuda:99\"," LINE "}",
        "{\"op\":\"create\",\"storage\":\"ftp://x\"," LINE "}",
        "{\"op\":\"create\",\"parametrs\":{}}",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) fails(serve, lines[i], "");
    has(serve, "{\"op\":\"ask\"}", "\"number\":0,"); // nothing above made a trial, or closed the study
    fails(serve, "{\"op\":\"tell\",\"trial\":1,\"values\":[1]}", "no trial 1");
    is(serve, "{\"op\":\"tell\",\"trial\":0,\"values\":[1]}", "{\"ok\":true}");
    fails(serve, "{\"op\":\"tell\",\"trial\":0,\"values\":[1]}", "finished already (COMPLETE)");
    fails(serve, "{\"op\":\"report\",\"trial\":0,\"step\":0,\"value\":1}", "not running");
    hpt_serve_destroy(serve);
}

Test(api_serve, errors_name_the_nearest_key_and_operation)
{
    hpt_serve *serve = begin();
    fails(serve, "{\"op\":\"aks\"}", "'ask'");
    fails(serve, "{\"op\":\"creat\"}", "'create'");
    fails(serve, "{\"op\":\"frobnicate\"}", "importance");
    fails(serve, "{\"op\":\"create\",\"parametrs\":{}}", "'parameters'");
    fails(serve, "{\"op\":\"create\",\"sampler\":\"randm\"," LINE "}", "random");
    fails(serve, "{\"op\":\"create\",\"pruner\":{\"type\":\"median\",\"n_startupp\":1}," LINE "}", "median.n_startup");
    say(serve, CREATE);
    fails(serve, "{\"op\":\"enqueue\",\"params\":{\"rl\":0.5}}", "lr");
    fails(serve, "{\"op\":\"tell\",\"trail\":0}", "'trial'");
    hpt_serve_destroy(serve);
}

Test(api_serve, hostile_input_never_crashes)
{
    hpt_serve *serve = begin();
    say(serve, CREATE);
    enum { DEEP = 200000 };
    char *deep = malloc(DEEP + 64);
    cr_assert_not_null(deep);
    strcpy(deep, "{\"op\":");
    memset(deep + 6, '[', DEEP);
    deep[6 + DEEP] = 0;
    fails(serve, deep, "");
    strcpy(deep, "{\"op\":\"");
    memset(deep + 7, 'a', DEEP);
    strcpy(deep + 7 + DEEP, "\"}");
    fails(serve, deep, "unknown op");
    memset(deep, '9', DEEP);
    deep[DEEP] = 0;
    fails(serve, deep, "");
    // every request cut short at every byte, and with every byte replaced
    const char *const lines[] = {CREATE, "{\"op\":\"tell\",\"trial\":0,\"values\":[0.25],\"constraints\":[-1]}",
                                 "{\"op\":\"enqueue\",\"params\":{\"lr\":0.5}}"};
    for (int k = 0; k < 3; k++) {
        char line[512];
        const size_t n = strlen(lines[k]);
        for (size_t i = 0; i < n; i++) {
            memcpy(line, lines[k], n + 1);
            line[i] = 0;
            fails(serve, line, "");
            static const char marks[] = "\"{[}],:0-x\\\x01\xff";
            for (size_t m = 0; m < sizeof marks - 1; m++) {
                memcpy(line, lines[k], n + 1);
                line[i] = marks[m];
                const char *reply = say(serve, line);
                cr_assert_eq(strncmp(reply, "{\"ok\":", 6), 0, "%s -> %s", line, reply);
            }
        }
    }
    free(deep);
    say(serve, CREATE);
    has(serve, "{\"op\":\"ask\"}", "\"number\":0");
    hpt_serve_destroy(serve);
}

Test(api_serve, parameters_come_in_their_json_types_and_only_when_active)
{
    hpt_serve *serve = begin();
    say(serve,
        "{\"op\":\"create\",\"sampler\":\"random\",\"seed\":2,\"parameters\":{"
        "\"opt\":{\"values\":[\"sgd\",\"adam\"]},\"momentum\":{\"min\":0.0,\"max\":0.9,\"hpt:when\":{\"opt\":[\"sgd\"]}},"
        "\"n\":{\"min\":1,\"max\":5},\"flag\":{\"values\":[true]},\"none\":{\"value\":null},\"net\":{\"parameters\":"
        "{\"width\":{\"values\":[16]}}}}}");
    int with = 0, without = 0;
    for (int i = 0; i < 20; i++) {
        const char *reply = say(serve, "{\"op\":\"ask\"}");
        const bool sgd = strstr(reply, "\"opt\":\"sgd\"") != NULL;
        cr_assert_eq(strstr(reply, "\"momentum\":0.") != NULL, sgd, "%s", reply);
        cr_assert(strstr(reply, "\"flag\":true") && strstr(reply, "\"none\":null") && strstr(reply, "\"net.width\":16"),
                  "%s", reply);
        cr_assert(strstr(reply, "\"n\":1,") || strstr(reply, "\"n\":2,") || strstr(reply, "\"n\":3,") ||
                      strstr(reply, "\"n\":4,") || strstr(reply, "\"n\":5,"),
                  "%s", reply);
        with += sgd;
        without += !sgd;
    }
    cr_assert(with > 0 && without > 0);
    fails(serve, "{\"op\":\"enqueue\",\"params\":{\"momentum\":0.5,\"opt\":\"adam\"}}", "sgd");
    is(serve, "{\"op\":\"enqueue\",\"params\":{\"net.width\":16}}", "{\"ok\":true}");
    hpt_serve_destroy(serve);
}

Test(api_serve, budget_and_exhausted_spaces_give_fewer_trials)
{
    hpt_serve *serve = begin();
    say(serve, "{\"op\":\"create\",\"n_trials\":3," LINE "}");
    const char *reply = say(serve, "{\"op\":\"ask\",\"n\":2}");
    cr_assert_not(strstr(reply, "exhausted"));
    say(serve, "{\"op\":\"enqueue\",\"params\":{\"x\":0.5}}");
    has(serve, "{\"op\":\"ask\",\"n\":2}", "\"params\":{\"x\":0.5}}],\"exhausted\":true}");
    is(serve, "{\"op\":\"ask\"}", "{\"ok\":true,\"trials\":[],\"exhausted\":true}");
    is(serve, "{\"op\":\"tell\",\"trial\":2,\"value\":1}", "{\"ok\":true}");
    say(serve, "{\"op\":\"create\",\"sampler\":\"grid\",\"parameters\":{\"a\":{\"values\":[1,2]}}}");
    has(serve, "{\"op\":\"ask\",\"n\":5}", "],\"exhausted\":true}");
    is(serve, "{\"op\":\"ask\",\"n\":5}", "{\"ok\":true,\"trials\":[],\"exhausted\":true}");
    hpt_serve_destroy(serve);
}

Test(api_serve, nan_and_infinity_travel_as_python_writes_them)
{
    hpt_serve *serve = begin();
    say(serve, "{\"op\":\"create\"," LINE "}");
    say(serve, "{\"op\":\"ask\",\"n\":5}");
    is(serve, "{\"op\":\"tell\",\"trial\":0,\"values\":[NaN]}", "{\"ok\":true,\"state\":\"FAIL\"}");
    is(serve, "{\"op\":\"tell\",\"trial\":1,\"values\":[null]}", "{\"ok\":true,\"state\":\"FAIL\"}");
    is(serve, "{\"op\":\"tell\",\"trial\":2,\"value\":null}", "{\"ok\":true,\"state\":\"FAIL\"}");
    is(serve, "{\"op\":\"report\",\"trial\":3,\"step\":0,\"value\":NaN}", "{\"ok\":true,\"prune\":false}");
    is(serve, "{\"op\":\"report\",\"trial\":3,\"step\":1,\"value\":-Infinity}", "{\"ok\":true,\"prune\":false}");
    is(serve, "{\"op\":\"tell\",\"trial\":3,\"values\":[Infinity]}", "{\"ok\":true}");
    has(serve, "{\"op\":\"trials\",\"since\":3}", "\"values\":[Infinity],");
    has(serve, "{\"op\":\"trials\",\"since\":3}", "\"reports\":[[0,NaN],[1,-Infinity]]");
    is(serve, "{\"op\":\"tell\",\"trial\":4,\"state\":\"FAIL\",\"value\":null,\"values\":null}", "{\"ok\":true}");
    hpt_serve_destroy(serve);
}

Test(api_serve, infeasible_trials_are_never_best)
{
    hpt_serve *serve = begin();
    say(serve, "{\"op\":\"create\"," LINE "}");
    say(serve, "{\"op\":\"ask\",\"n\":4}");
    is(serve, "{\"op\":\"tell\",\"trial\":0,\"value\":0,\"constraints\":[0.5,-1]}", "{\"ok\":true}");
    fails(serve, "{\"op\":\"best\"}", "no feasible complete trial");
    is(serve, "{\"op\":\"tell\",\"trial\":1,\"value\":3,\"constraints\":[0,-1]}", "{\"ok\":true}");
    is(serve, "{\"op\":\"tell\",\"trial\":2,\"value\":2,\"constraints\":[-1e-9]}", "{\"ok\":true}");
    is(serve, "{\"op\":\"tell\",\"trial\":3,\"value\":1,\"constraints\":[1e-9]}", "{\"ok\":true}");
    has(serve, "{\"op\":\"best\"}", "\"trial\":{\"number\":2,");
    const char *reply = say(serve, "{\"op\":\"pareto\"}");
    cr_assert(strstr(reply, "\"trials\":[{\"number\":2,") && !strstr(reply, "\"number\":0"), "%s", reply);
    hpt_serve_destroy(serve);
}

Test(api_serve, several_objectives_need_as_many_values)
{
    hpt_serve *serve = begin();
    say(serve,
        "{\"op\":\"create\",\"objectives\":[{\"name\":\"loss\"},{\"name\":\"acc\",\"goal\":\"maximize\"}]," LINE "}");
    say(serve, "{\"op\":\"ask\",\"n\":3}");
    fails(serve, "{\"op\":\"tell\",\"trial\":0,\"value\":1}", "2 objectives");
    is(serve, "{\"op\":\"tell\",\"trial\":0,\"values\":[1,1]}", "{\"ok\":true}");
    is(serve, "{\"op\":\"tell\",\"trial\":1,\"values\":[2,2]}", "{\"ok\":true}");
    is(serve, "{\"op\":\"tell\",\"trial\":2,\"values\":[2,1]}", "{\"ok\":true}");
    fails(serve, "{\"op\":\"best\"}", "2 objectives");
    const char *reply = say(serve, "{\"op\":\"pareto\"}");
    cr_assert(strstr(reply, "\"number\":0") && strstr(reply, "\"number\":1") && !strstr(reply, "\"number\":2"), "%s",
              reply);
    hpt_serve_destroy(serve);
}

Test(api_serve, pruners_take_options_and_prune)
{
    hpt_serve *serve = begin();
    say(serve,
        "{\"op\":\"create\",\"pruner\":{\"type\":\"median\",\"n_startup\":2},\"options\":{\"tpe.n_candidates\":8}," LINE
        "}");
    say(serve, "{\"op\":\"ask\",\"n\":4}");
    for (int i = 0; i < 3; i++) {
        char line[128];
        snprintf(line, sizeof line, "{\"op\":\"report\",\"trial\":%d,\"step\":0,\"value\":%d}", i, 3 - i);
        is(serve, line, "{\"ok\":true,\"prune\":false}");
        snprintf(line, sizeof line, "{\"op\":\"tell\",\"trial\":%d,\"value\":%d}", i, i);
        is(serve, line, "{\"ok\":true}");
    }
    is(serve, "{\"op\":\"report\",\"trial\":3,\"step\":0,\"value\":50}", "{\"ok\":true,\"prune\":true}");
    is(serve, "{\"op\":\"tell\",\"trial\":3,\"state\":\"pruned\"}", "{\"ok\":true}");
    has(serve, "{\"op\":\"trials\",\"since\":3}", "\"state\":\"PRUNED\",\"values\":[50.0]");
    hpt_serve_destroy(serve);
}

static char db_path[64];
static void drop_db(void) {
    char side[80];
    unlink(db_path);
    for (int i = 0; i < 2; i++) {
        snprintf(side, sizeof side, "%s%s", db_path, i ? "-wal" : "-shm");
        unlink(side);
    }
}

Test(api_serve, a_later_session_joins_a_stored_study)
{
    char create[512], join[256], wrong[512];
    snprintf(db_path, sizeof db_path, "/tmp/hpt_serve_%ld.db", (long)getpid());
    drop_db();
    atexit(drop_db);
    snprintf(create, sizeof create,
             "{\"op\":\"create\",\"study\":\"a\",\"storage\":\"sqlite:///%s\",\"seed\":4," LINE "}", db_path);
    snprintf(join, sizeof join, "{\"op\":\"open\",\"storage\":\"sqlite:///%s\"}", db_path);
    snprintf(wrong, sizeof wrong,
             "{\"op\":\"open\",\"storage\":\"sqlite:///%s\",\"parameters\":{\"x\":{\"min\":0.0,\"max\":2.0}}}",
             db_path);
    hpt_serve *one = begin(), *two = begin();
    is(one, create, "{\"ok\":true,\"study\":\"a\"}");
    fails(one, create, "a");
    say(one, "{\"op\":\"ask\",\"n\":2}");
    fails(two, wrong, "x");
    is(two, join, "{\"ok\":true,\"study\":\"a\"}");
    is(two, "{\"op\":\"tell\",\"trial\":1,\"value\":0.5}", "{\"ok\":true}");
    has(two, "{\"op\":\"ask\"}", "\"number\":2,");
    has(one, "{\"op\":\"best\"}", "\"number\":1,");
    fails(one, "{\"op\":\"tell\",\"trial\":1,\"value\":0.5}", "finished already");
    hpt_serve_destroy(one);
    hpt_serve_destroy(two);
}
