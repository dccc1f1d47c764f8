// SPDX-License-Identifier: Apache-2.0
// sched_main.c: `hpt-bench sched`: the ledger and its queue under a simulated load.
//
// Trials arrive so that always --waiting of them wait (until --trials have come), on --gpus devices of 80 GiB; simulated
// time jumps from end to end, decisions are the real ones of core/devices/ledger_queue.c and are timed. Requests:
// (with --distinct each share below one with 0.5 to 1.5 times 60 GiB of it, drawn for each)
//   30 % 0.1 of a GPU, 25 % 0.25, 20 % 0.5, 5 % 0.15 with 20 to 40 GiB, 17 % one GPU, 2 % two, 0.8 % four, 0.2 % eight
// Durations in s, mean near 600 each:
//   constant   600
//   lognormal  median 364, sigma of the logarithm 1: what training times of one program look like over a search space
//   halving    80 in 4 rungs of successive halving: three trials of four end at each, the rest goes on four times as long
// Rules:
//   reserve    the engine's: the oldest has a device reserved, others go ahead elsewhere
//   first-fit  no reservation: whoever fits starts; what utilisation could be had, and who waits for it
//   fifo       nobody goes ahead
// Reported until the last trial has started: utilisation (compute granted / compute there), waiting times, and how long
// the decisions took: all that is spent in push, next and give, per started trial, and the slowest single decision
// of the median percentile and the 99th.
//
// A program of its own, started by hpt-bench, like hpt-bench-surrogate: the ledger is no public interface.
#include "core/base/rng.h"
#include "core/devices/ledger_queue.h"

#include <hpt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const int64_t GIB = 1073741824;
enum { GPUS_MAX = 4096, TRIALS_MAX = 10000000 };

typedef struct sim_options {
    int64_t gpus, trials, waiting, seed;
    bool distinct; // hardly two requests are equal, as where memory is computed from parameters
    const char *format;
    FILE *out;
} sim_options;

typedef enum rule { RESERVE, FIRST_FIT, FIFO, RULES } rule;
typedef enum law { CONSTANT, LOGNORMAL, HALVING, LAWS } law;
static const char *const RULE_NAMES[] = {"reserve", "first-fit", "fifo"};
static const char *const LAW_NAMES[] = {"constant", "lognormal", "halving"};

typedef struct trial {
    hpt__demand demand;
    double duration, pushed, started;
    hpt__grant *grant;
} trial;

typedef struct result {
    double utilisation, wait_median, wait_99, wait_most, wait_whole; // s; whole: the longest of those above one GPU
    double us_start, us_median, us_99;                               // microseconds of a decision
    double per_second;
    int64_t waiting_most;
} result;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *values, int64_t n, double q) {
    if (n == 0) return 0;
    qsort(values, (size_t)n, sizeof *values, by_value);
    return values[(int64_t)floor(q * (double)(n - 1))];
}

// ---- the load

static int make_demand(hpt__demand *d, hpt__rng *rng, int64_t gpus, bool distinct) {
    static const double parts[] = {0.30, 0.55, 0.75, 0.80, 0.97, 0.99, 0.998, 1};
    static const double shares[] = {0.1, 0.25, 0.5, 0.15, 1, 2, 4, 8};
    const double u = hpt__rng_uniform(rng);
    int k = 0;
    while (k < 7 && u >= parts[k]) k++;
    while (shares[k] > (double)gpus) k--;
    if (distinct && k < 4)
        return hpt__demand_make(d, 0.5, 0, shares[k],
                                (int64_t)(shares[k] * (double)(60 * GIB) * (0.5 + hpt__rng_uniform(rng))));
    const int64_t bytes = k == 3 ? (20 + hpt__rng_below(rng, 21)) * GIB : 0;
    return hpt__demand_make(d, 0.5, 0, shares[k], bytes);
}

static double make_duration(law l, hpt__rng *rng) {
    if (l == CONSTANT) return 600;
    if (l == LOGNORMAL) return 364 * exp(hpt__rng_normal(rng));
    double seconds = 80;
    for (int rung = 0; rung < 4 && hpt__rng_below(rng, 4) == 0; rung++) seconds *= 4;
    return seconds * (0.8 + 0.4 * hpt__rng_uniform(rng)) * 1.9;
}

// ---- what runs: a heap by the time of its end

typedef struct heap {
    int64_t *items, n;
} heap;

static double end_of(const trial *trials, int64_t i) {
    return trials[i].started + trials[i].duration;
}

static void heap_push(heap *h, const trial *trials, int64_t item) {
    int64_t i = h->n++;
    for (; i > 0 && end_of(trials, h->items[(i - 1) / 2]) > end_of(trials, item); i = (i - 1) / 2)
        h->items[i] = h->items[(i - 1) / 2];
    h->items[i] = item;
}

static int64_t heap_pop(heap *h, const trial *trials) {
    const int64_t top = h->items[0], last = h->items[--h->n];
    int64_t i = 0;
    for (;;) {
        int64_t child = 2 * i + 1;
        if (child >= h->n) break;
        if (child + 1 < h->n && end_of(trials, h->items[child + 1]) < end_of(trials, h->items[child])) child++;
        if (end_of(trials, h->items[child]) >= end_of(trials, last)) break;
        h->items[i] = h->items[child];
        i = child;
    }
    h->items[i] = last;
    return top;
}

// ---- one run

static bool next(hpt__grant *g, int64_t *id, rule r, hpt__queue *q, hpt__ledger *l) {
    if (r == RESERVE) return hpt__queue_next(g, id, q, l);
    // The other rules are here for comparison only; their queue is the same list.
    for (int64_t i = 0; i < q->n && (r == FIRST_FIT || i == 0); i++) {
        if (!hpt__ledger_take(g, l, &q->items[i].demand)) continue;
        *id = q->items[i].id;
        return hpt__queue_remove(q, l, *id);
    }
    return false;
}

typedef struct sim {
    const sim_options *o;
    hpt__ledger ledger;
    hpt__queue queue;
    trial *trials;
    double *waits, *decisions; // of started ones; seconds of each call that could start one
    heap running;
    int64_t n_pushed, n_started, n_decisions;
} sim;

static void fini(sim *s) {
    for (int64_t i = 0; s->trials && i < s->n_pushed; i++) free(s->trials[i].grant);
    free(s->trials);
    free(s->waits);
    free(s->decisions);
    free(s->running.items);
    hpt__queue_fini(&s->queue);
    hpt__ledger_fini(&s->ledger);
}

static int init(sim *s, hpt__policy policy) {
    const sim_options *o = s->o;
    const size_t n = (size_t)o->trials;
    hpt_device_info *d = calloc((size_t)o->gpus + 1, sizeof *d);
    s->trials = calloc(n, sizeof *s->trials);
    s->waits = calloc(n, sizeof *s->waits);
    s->decisions = calloc(3 * n + 1, sizeof *s->decisions);
    s->running.items = calloc(n, sizeof *s->running.items);
    int rc = d && s->trials && s->waits && s->decisions && s->running.items ? 0 : HPT_E_MEMORY;
    for (int64_t i = 0; rc == 0 && i <= o->gpus; i++) {
        strcpy(d[i].kind, i ? "gpu" : "cpu");
        d[i].capacity = i ? 1 : 16.0 * (double)o->gpus;
        d[i].memory_bytes = i ? 80 * GIB : 0;
    }
    if (rc == 0) rc = hpt__ledger_init(&s->ledger, d, o->gpus + 1);
    s->ledger.policy = policy;
    free(d);
    return rc;
}

static int arrive(sim *s, double at, double *spent) {
    while (s->n_pushed < s->o->trials && s->queue.n < s->o->waiting) {
        trial *t = &s->trials[s->n_pushed];
        t->pushed = at;
        const double t0 = now();
        int rc = hpt__queue_push(&s->queue, &t->demand, s->n_pushed);
        *spent += now() - t0;
        if (rc < 0) return rc;
        s->n_pushed++;
    }
    return 0;
}

static int start_all(sim *s, rule r, double at, double *spent) {
    static hpt__grant g;
    for (bool any = true; any;) {
        int64_t id = -1;
        const double t0 = now();
        any = next(&g, &id, r, &s->queue, &s->ledger);
        const double seconds = now() - t0;
        *spent += seconds;
        if (s->n_decisions < 3 * s->o->trials) s->decisions[s->n_decisions++] = seconds;
        if (!any) break;
        trial *t = &s->trials[id];
        t->grant = malloc(sizeof g);
        if (!t->grant) return HPT_E_MEMORY;
        *t->grant = g;
        t->started = at;
        s->waits[s->n_started++] = at - t->pushed;
        heap_push(&s->running, s->trials, id);
        int rc = arrive(s, at, spent);
        if (rc < 0) return rc;
    }
    return 0;
}

static int64_t granted(const hpt__ledger *l) {
    int64_t sum = 0;
    for (int64_t i = 0; i < l->n_gpus; i++) sum += l->gpus[i].used;
    return sum;
}

static int simulate(result *out, const sim_options *o, hpt__policy policy, rule r, law l) {
    sim s = {.o = o};
    hpt__rng rng;
    double spent = 0, at = 0, area = 0, area_from = 0;
    *out = (result){0};
    hpt__rng_init(&rng, (uint64_t)o->seed, (uint64_t)l);
    int rc = init(&s, policy);
    for (int64_t i = 0; rc == 0 && i < o->trials; i++) {
        rc = make_demand(&s.trials[i].demand, &rng, o->gpus, o->distinct);
        s.trials[i].duration = make_duration(l, &rng);
    }
    if (rc == 0) rc = arrive(&s, 0, &spent);
    out->waiting_most = s.queue.n;
    if (rc == 0) rc = start_all(&s, r, 0, &spent);
    while (rc == 0 && s.n_started < o->trials && s.running.n > 0) {
        const int64_t id = heap_pop(&s.running, s.trials);
        trial *t = &s.trials[id];
        area += (double)granted(&s.ledger) * (end_of(s.trials, id) - area_from);
        area_from = at = end_of(s.trials, id);
        const double t0 = now();
        hpt__ledger_give(&s.ledger, t->grant);
        spent += now() - t0;
        rc = arrive(&s, at, &spent);
        if (rc == 0) rc = start_all(&s, r, at, &spent);
    }
    if (rc == 0 && s.n_started < o->trials) rc = HPT_E_STATE; // something waits although nothing runs
    if (rc == 0) {
        for (int64_t i = 0; i < o->trials; i++) {
            const double wait = s.trials[i].started - s.trials[i].pushed;
            if (s.trials[i].demand.n_gpus > 1 && wait > out->wait_whole) out->wait_whole = wait;
        }
        out->utilisation = at > 0 ? area / (at * (double)o->gpus * HPT__GPU_UNITS) : 0;
        out->wait_median = quantile(s.waits, s.n_started, 0.5);
        out->wait_99 = quantile(s.waits, s.n_started, 0.99);
        out->wait_most = quantile(s.waits, s.n_started, 1);
        out->us_start = 1e6 * spent / (double)s.n_started;
        out->us_median = 1e6 * quantile(s.decisions, s.n_decisions, 0.5);
        out->us_99 = 1e6 * quantile(s.decisions, s.n_decisions, 0.99);
        out->per_second = (double)s.n_started / spent;
    }
    fini(&s);
    return rc;
}

// ---- output

static void head(const sim_options *o) {
    if (!strcmp(o->format, "jsonl")) {
        fprintf(
            o->out,
            "{\"simulated\": {\"distinct\": %s, \"gpus\": %lld, \"trials\": %lld, \"waiting\": %lld, \"seed\": %lld}, \"build\": %s}\n",
            o->distinct ? "true" : "false", (long long)o->gpus, (long long)o->trials, (long long)o->waiting,
            (long long)o->seed, hpt_build_info());
    } else if (!strcmp(o->format, "csv")) {
        fprintf(
            o->out,
            "policy,rule,durations,utilisation,wait_median,wait_99,wait_most,wait_several,us_per_start,us_median,us_99,per_second\r\n");
    } else {
        fprintf(o->out, "%lld trials on %lld simulated GPUs, %lld waiting%s; seed %lld\n%s\n\n", (long long)o->trials,
                (long long)o->gpus, (long long)o->waiting, o->distinct ? ", hardly two alike" : "", (long long)o->seed,
                hpt_build_info());
        fprintf(
            o->out,
            "| policy | rule | durations | utilisation | wait median (s) | 99 %% | longest | longest above one GPU | us per started trial | us of a decision (median) | 99 %% | starts/s |\n"
            "|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n");
    }
}

static void row(const sim_options *o, hpt__policy policy, rule r, law l, const result *x) {
    const char *name = policy == HPT__PACK ? "pack" : "spread";
    const char *format =
        !strcmp(o->format, "jsonl")
            ? "{\"group\": \"sched\", \"policy\": \"%s\", \"rule\": \"%s\", \"durations\": \"%s\", \"utilisation\": %.4f, \"wait_median\": %.0f, \"wait_99\": %.0f, \"wait_most\": %.0f, \"wait_several\": %.0f, \"us_per_start\": %.3g, \"us_median\": %.3g, \"us_99\": %.3g, \"per_second\": %.0f}\n"
        : !strcmp(o->format, "csv")
            ? "%s,%s,\"%s\",%.4f,%.0f,%.0f,%.0f,%.0f,%.3g,%.3g,%.3g,%.0f\r\n"
            : "| %s | %s | %s | %.4f | %.0f | %.0f | %.0f | %.0f | %.3g | %.3g | %.3g | %.0f |\n";
    fprintf(o->out, format, name, RULE_NAMES[r], LAW_NAMES[l], x->utilisation, x->wait_median, x->wait_99, x->wait_most,
            x->wait_whole, x->us_start, x->us_median, x->us_99, x->per_second);
    fflush(o->out);
}

static int usage(int code) {
    fprintf(
        code ? stderr : stdout,
        "usage: hpt-bench sched [--gpus 64] [--trials 10000] [--waiting 1000] [--seed 1] [--distinct] [-o md|csv|jsonl] [--output FILE]\n"
        "  simulates trials on GPUs; the decisions are the scheduler's own. Rules: reserve is what `hpt run` does,\n"
        "  first-fit lets whoever fits start, fifo lets nobody go ahead.\n"
        "  --distinct  shares below one GPU ask for an amount of memory of their own, as where it is computed\n");
    return code;
}

static bool number(int64_t *out, const char *text, int64_t most) {
    char *end;
    *out = strtoll(text, &end, 10);
    return end != text && !*end && *out >= 1 && *out <= most;
}

int main(int argc, char **argv) {
    sim_options o = {.gpus = 64, .trials = 10000, .waiting = 1000, .seed = 1, .format = "md", .out = stdout};
    const char *output = NULL;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool ok = true;
        if (!strcmp(argv[i], "-h") || !strcmp(argv[i], "--help")) return usage(0);
        if (i == 1 && !strcmp(argv[i], "sched")) continue;
        if (!strcmp(argv[i], "--distinct")) {
            o.distinct = true;
            continue;
        }
        if (!value) return usage(2);
        if (!strcmp(argv[i], "--gpus"))
            ok = number(&o.gpus, value, GPUS_MAX);
        else if (!strcmp(argv[i], "--trials"))
            ok = number(&o.trials, value, TRIALS_MAX);
        else if (!strcmp(argv[i], "--waiting"))
            ok = number(&o.waiting, value, TRIALS_MAX);
        else if (!strcmp(argv[i], "--seed"))
            ok = number(&o.seed, value, INT64_MAX);
        else if (!strcmp(argv[i], "-o"))
            o.format = value;
        else if (!strcmp(argv[i], "--output"))
            output = value;
        else
            return usage(2);
        if (!ok) {
            fprintf(stderr, "hpt-bench: %s: '%s' is not a number from 1\n", argv[i], value);
            return 2;
        }
        i++;
    }
    if (strcmp(o.format, "md") != 0 && strcmp(o.format, "csv") != 0 && strcmp(o.format, "jsonl") != 0) return usage(2);
    if (output && !(o.out = fopen(output, "w"))) {
        perror(output);
        return 1;
    }
    int code = 0;
    head(&o);
    for (int l = 0; l < LAWS && code == 0; l++)
        for (int r = 0; r < RULES && code == 0; r++)
            for (int p = 0; p < 2 && code == 0; p++) {
                result x;
                const int rc = simulate(&x, &o, p ? HPT__SPREAD : HPT__PACK, (rule)r, (law)l);
                if (rc == 0) row(&o, p ? HPT__SPREAD : HPT__PACK, (rule)r, (law)l, &x);
                if (rc < 0)
                    fprintf(stderr, "hpt-bench: %s\n",
                            rc == HPT_E_STATE ? "trials wait, nothing runs" : hpt_last_error());
                if (rc < 0) code = 1;
            }
    if (o.out != stdout && fclose(o.out) != 0) code = 1;
    return code;
}
