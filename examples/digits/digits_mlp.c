// SPDX-License-Identifier: Apache-2.0
//
// digits_mlp.c - train a small multi-layer perceptron on 8x8 images of handwritten digits.
//
// Role: the training program of the `digits` example. A sweep starts it once per trial with one
// set of hyperparameters and reads one line per epoch from its standard output:
//
//     epoch=3 train_loss=0.1234 val_accuracy=0.956789
//
// Data: 1,797 rows of 64 pixels (0..16) and a label (0..9); source and licence are in DATA.md.
// The rows are split once, 60 % training and 40 % validation within every class, by a fixed key, so
// that trials with different seeds are scored on the same images.
//
// Model: with x the pixels divided by 16, centred per pixel and scaled by one global deviation
// (both from the training rows), h_0 = x and L = depth hidden layers,
//
//     z_l = h_{l-1} W_l + b_l               l = 1..L+1
//     h_l = s(z_l) * mask_l / (1 - p)       l = 1..L,  mask_l ~ Bernoulli(1 - p), 1 - p = kept
//     loss = mean over rows of  log(sum_c exp(z_{L+1,c})) - z_{L+1,label}
//
// where s is relu, tanh or gelu (z Phi(z), Phi the normal distribution function). Backwards, with
// D_{L+1} = (softmax - onehot) / rows,
//
//     dW_l = h_{l-1}^T D_l,   db_l = column sums of D_l,   D_{l-1} = (D_l W_l^T) * dh_{l-1}/dz_{l-1}
//
// Update of a parameter w with gradient g (weight decay is decoupled and skips the biases):
//
//     sgd    u <- momentum u + g;                               w <- (1 - lr wd) w - lr u
//     adam   u <- b1 u + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;
//            w <- (1 - lr wd) w - lr (u / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
//
// Shapes: all matrices are row-major float arrays whose row length is rounded up to LANES columns.
// The extra columns hold zeros and stay zero: s(0) = 0, and all their gradients vanish.
//     h_l    [rows x out_l]       W_l    [in_l x out_l]       b_l    [out_l]
//
// Exit status: 0 finished, 1 unreadable data or out of memory, 2 bad argument, 3 diverged.
// Needs C17 with the vectors of gcc and clang, and libm; relies on NaN, so do not compile it with -ffast-math.

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PIXELS = 64,
    CLASSES = 10,
    MAX_ROWS = 1 << 16,
    MAX_DEPTH = 4,
    MAX_LAYERS = MAX_DEPTH + 1,
#ifdef __AVX__
    WIDTH = 8, // floats in a vector of the machine
#else
    WIDTH = 4,
#endif
    TILE = 2 * WIDTH, // columns per tile of the matrix product
    LANES = 16,       // row lengths are multiples of it, and it of TILE
    EVAL_ROWS = 64,   // rows the activation buffers hold at least
};

enum { EXIT_USAGE = 2, EXIT_DIVERGED = 3 };

static const char *const program = "digits_mlp";

// ---- Random numbers -----------------------------------------------------------------------------
// Counter based: number i of a stream is a hash (the splitmix64 finaliser) of its key and i.

typedef struct {
    uint64_t key;
    uint64_t counter;
} rng;

// What a stream is for; every purpose draws from its own.
enum { RNG_SPLIT = 1, RNG_INIT, RNG_SHUFFLE, RNG_DROPOUT };

static uint64_t mix64(uint64_t x) {
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static rng rng_stream(uint64_t seed, uint64_t purpose) {
    return (rng){.key = mix64(mix64(seed) + purpose), .counter = 0};
}

static uint64_t rng_bits(rng *r) {
    return mix64(r->key + ++r->counter * UINT64_C(0x9e3779b97f4a7c15));
}

// Uniform in (0, 1].
static double rng_uniform(rng *r) {
    return ((double)(rng_bits(r) >> 11) + 1.0) * 0x1p-53;
}

// Standard normal (Box-Muller).
static double rng_normal(rng *r) {
    const double two_pi = 6.283185307179586;
    const double radius = sqrt(-2.0 * log(rng_uniform(r)));
    return radius * cos(two_pi * rng_uniform(r));
}

// Fisher-Yates shuffle.
static void rng_shuffle(rng *r, int count, int *items) {
    for (int i = count - 1; i > 0; --i) {
        const int j = (int)(((rng_bits(r) >> 32) * ((uint64_t)i + 1)) >> 32);
        const int kept = items[i];
        items[i] = items[j];
        items[j] = kept;
    }
}

// ---- Arguments ----------------------------------------------------------------------------------

typedef enum { SGD, ADAM } optimizer_kind;
typedef enum { RELU, TANH, GELU } activation_kind;

typedef struct {
    double learning_rate, momentum, beta2, dropout, weight_decay;
    int batch_size, width, depth, epochs;
    int optimizer, activation;
    int seed;
    const char *data;
} config;

// Indexed by optimizer_kind and activation_kind.
static const char *const optimizer_names[] = {"sgd", "adam", NULL};
static const char *const activation_names[] = {"relu", "tanh", "gelu", NULL};

typedef enum { ARG_REAL, ARG_INT, ARG_CHOICE, ARG_TEXT } argument_kind;

typedef struct {
    const char *name;
    argument_kind kind;
    size_t offset;              // of the field in config
    double min, max;            // ARG_REAL, ARG_INT: both ends are allowed
    const char *const *choices; // ARG_CHOICE
    const char *help;
} argument;

static const argument arguments[] = {
    {"learning_rate", ARG_REAL, offsetof(config, learning_rate), 1e-8, 100, NULL, "step size"},
    {"optimizer", ARG_CHOICE, offsetof(config, optimizer), 0, 0, optimizer_names, "update rule"},
    {"momentum", ARG_REAL, offsetof(config, momentum), 0, 0.9999, NULL, "of sgd; adam ignores it"},
    {"beta2", ARG_REAL, offsetof(config, beta2), 0, 0.999999, NULL, "of adam; sgd ignores it"},
    {"dropout", ARG_REAL, offsetof(config, dropout), 0, 0.95, NULL, "share of hidden units dropped"},
    {"weight_decay", ARG_REAL, offsetof(config, weight_decay), 0, 100, NULL, "decoupled"},
    {"batch_size", ARG_INT, offsetof(config, batch_size), 1, 1024, NULL, "rows per update"},
    {"activation", ARG_CHOICE, offsetof(config, activation), 0, 0, activation_names, "hidden units"},
    {"width", ARG_INT, offsetof(config, width), 1, 1024, NULL, "units per hidden layer"},
    {"depth", ARG_INT, offsetof(config, depth), 1, MAX_DEPTH, NULL, "number of hidden layers"},
    {"epochs", ARG_INT, offsetof(config, epochs), 1, 10000, NULL, "passes over the training rows"},
    {"seed", ARG_INT, offsetof(config, seed), 0, INT32_MAX, NULL, "of weights, order and dropout"},
    {"data", ARG_TEXT, offsetof(config, data), 0, 0, NULL, "path of digits.csv"},
};
enum { ARGUMENTS = sizeof arguments / sizeof arguments[0] };

static void print_help(void) {
    printf("usage: %s [--name=value | --name value]...\n", program);
    for (int i = 0; i < ARGUMENTS; ++i) {
        const argument *a = &arguments[i];
        printf("  --%-14s %s", a->name, a->help);
        if (a->kind == ARG_REAL || a->kind == ARG_INT)
            printf(" (%s, %.10g..%.10g)", a->kind == ARG_INT ? "integer" : "number", a->min, a->max);
        for (int c = 0; a->kind == ARG_CHOICE && a->choices[c]; ++c)
            printf("%s%s", c == 0 ? " (" : ", ", a->choices[c]);
        puts(a->kind == ARG_CHOICE ? ")" : "");
    }
}

static _Noreturn void fail_unknown(const char *text) {
    fprintf(stderr, "%s: unknown argument '%s'; valid:", program, text);
    for (int i = 0; i < ARGUMENTS; ++i) fprintf(stderr, " --%s", arguments[i].name);
    fputc('\n', stderr);
    exit(EXIT_USAGE);
}

static _Noreturn void fail_value(const argument *a, const char *value) {
    fprintf(stderr, "%s: bad value '%s' for --%s; valid:", program, value, a->name);
    switch (a->kind) {
    case ARG_CHOICE:
        for (int c = 0; a->choices[c]; ++c) fprintf(stderr, " %s", a->choices[c]);
        break;
    case ARG_TEXT:
        fputs(" a path", stderr);
        break;
    case ARG_INT:
        fprintf(stderr, " an integer from %.10g to %.10g", a->min, a->max);
        break;
    case ARG_REAL:
        fprintf(stderr, " a number from %.10g to %.10g", a->min, a->max);
        break;
    }
    fputc('\n', stderr);
    exit(EXIT_USAGE);
}

// Stores the text of one argument in its field of cfg.
static void set_argument(config *cfg, const argument *a, const char *value) {
    char *field = (char *)cfg + a->offset;
    if (a->kind == ARG_TEXT) {
        if (*value == '\0') fail_value(a, value);
        memcpy(field, &value, sizeof value);
        return;
    }
    if (a->kind == ARG_CHOICE) {
        int c = 0;
        while (a->choices[c] && strcmp(a->choices[c], value) != 0) ++c;
        if (!a->choices[c]) fail_value(a, value);
        memcpy(field, &c, sizeof c);
        return;
    }
    char *end;
    const double number = strtod(value, &end);
    if (end == value || *end != '\0' || !(number >= a->min && number <= a->max)) fail_value(a, value);
    if (a->kind == ARG_REAL) {
        memcpy(field, &number, sizeof number);
        return;
    }
    const int integer = (int)number;
    if ((double)integer != number) // "64.0" is an integer, "64.5" is not
        fail_value(a, value);
    memcpy(field, &integer, sizeof integer);
}

static config parse_arguments(int argc, char **argv) {
    config cfg = {
        .learning_rate = 0.005,
        .optimizer = SGD,
        .momentum = 0.0,
        .beta2 = 0.999,
        .dropout = 0.0,
        .weight_decay = 0.0,
        .batch_size = 32,
        .activation = RELU,
        .width = 64,
        .depth = 2,
        .epochs = 60,
        .seed = 1,
        .data = NULL,
    };
    for (int i = 1; i < argc; ++i) {
        const char *text = argv[i];
        if (strcmp(text, "--help") == 0) {
            print_help();
            exit(EXIT_SUCCESS);
        }
        if (strncmp(text, "--", 2) != 0) fail_unknown(text);
        const char *name = text + 2;
        const size_t length = strcspn(name, "=");
        const argument *a = NULL;
        for (int k = 0; k < ARGUMENTS && !a; ++k)
            if (strlen(arguments[k].name) == length && strncmp(arguments[k].name, name, length) == 0) a = &arguments[k];
        if (!a) fail_unknown(text);
        const char *value = "";
        if (name[length] == '=')
            value = name + length + 1;
        else if (i + 1 < argc)
            value = argv[++i];
        set_argument(&cfg, a, value);
    }
    return cfg;
}

// ---- Memory -------------------------------------------------------------------------------------

// Zeroed memory, or the end of the program.
static void *allocate(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (!memory) {
        fprintf(stderr, "%s: out of memory\n", program);
        exit(EXIT_FAILURE);
    }
    return memory;
}

static float *allocate_floats(size_t count) {
    return allocate(count, sizeof(float));
}

// ---- Data ---------------------------------------------------------------------------------------

typedef struct {
    int rows;
    float *pixels; // [rows x PIXELS]
    int *labels;   // [rows]
    int n_train, n_valid;
    int *train, *valid; // row numbers, [n_train] and [n_valid]
} dataset;

static _Noreturn void fail_data(const char *path, int line, const char *what) {
    fprintf(stderr, "%s: %s:%d: %s\n", program, path, line, what);
    exit(EXIT_FAILURE);
}

// The path to read: --data, else the environment's DIGITS_DATA, else digits.csv beside the program.
static char *data_path(const config *cfg, const char *argv0) {
    const char *named = cfg->data;
    if (!named) named = getenv("DIGITS_DATA");
    if (named && *named != '\0') {
        char *path = allocate(strlen(named) + 1, 1);
        return strcpy(path, named);
    }
    const char *slash = strrchr(argv0, '/');
    const size_t folder = slash ? (size_t)(slash - argv0) + 1 : 0;
    static const char file[] = "digits.csv";
    char *path = allocate(folder + sizeof file, 1);
    memcpy(path, argv0, folder);
    memcpy(path + folder, file, sizeof file);
    return path;
}

// Reads lines of PIXELS pixel values (0..16) and a label (0..9), separated by commas.
static void read_rows(dataset *set, const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) {
        fprintf(stderr, "%s: cannot open %s: %s\n", program, path, strerror(errno));
        exit(EXIT_FAILURE);
    }
    char line[512];
    size_t capacity = 0;
    set->rows = 0;
    while (fgets(line, sizeof line, file)) {
        const int row = set->rows;
        if (row == MAX_ROWS) fail_data(path, row + 1, "too many rows");
        if ((size_t)row == capacity) {
            capacity = capacity == 0 ? 2048 : 2 * capacity;
            set->pixels = realloc(set->pixels, capacity * PIXELS * sizeof *set->pixels);
            set->labels = realloc(set->labels, capacity * sizeof *set->labels);
            if (!set->pixels || !set->labels) fail_data(path, row + 1, "out of memory");
        }
        const char *text = line;
        for (int p = 0; p <= PIXELS; ++p) {
            char *end;
            const long value = strtol(text, &end, 10);
            const bool last = p == PIXELS;
            if (end == text || value < 0 || value > (last ? CLASSES - 1 : 16))
                fail_data(path, row + 1, "expected 64 pixels from 0 to 16 and a label from 0 to 9");
            if (last ? end[strspn(end, "\r\n")] != '\0' : *end != ',')
                fail_data(path, row + 1, "expected 65 values separated by commas");
            if (last)
                set->labels[row] = (int)value;
            else
                set->pixels[(size_t)row * PIXELS + (size_t)p] = (float)value / 16.0f;
            text = end + 1;
        }
        ++set->rows;
    }
    if (ferror(file)) fail_data(path, set->rows + 1, "read error");
    fclose(file);
}

// Stratified split: of every class, 60 % of the rows (rounded) train and the others validate.
static void split_rows(dataset *set, const char *path) {
    set->train = allocate((size_t)set->rows + 1, sizeof *set->train);
    set->valid = allocate((size_t)set->rows + 1, sizeof *set->valid);
    int *members = allocate((size_t)set->rows + 1, sizeof *members);
    rng random = rng_stream(0, RNG_SPLIT); // independent of --seed
    for (int class = 0; class < CLASSES; ++class) {
        int count = 0;
        for (int row = 0; row < set->rows; ++row)
            if (set->labels[row] == class) members[count++] = row;
        rng_shuffle(&random, count, members);
        const int n_train = (6 * count + 5) / 10;
        for (int i = 0; i < count; ++i) {
            if (i < n_train)
                set->train[set->n_train++] = members[i];
            else
                set->valid[set->n_valid++] = members[i];
        }
    }
    free(members);
    if (set->n_train == 0 || set->n_valid == 0)
        fail_data(path, set->rows, "too few rows to split into training and validation");
}

// Subtracts the training mean of every pixel and divides by the deviation over all of them.
static void standardise(dataset *set) {
    double mean[PIXELS] = {0};
    double variance = 0.0;
    for (int i = 0; i < set->n_train; ++i)
        for (int p = 0; p < PIXELS; ++p) mean[p] += (double)set->pixels[set->train[i] * PIXELS + p] / set->n_train;
    for (int i = 0; i < set->n_train; ++i)
        for (int p = 0; p < PIXELS; ++p) {
            const double d = (double)set->pixels[set->train[i] * PIXELS + p] - mean[p];
            variance += d * d / ((double)set->n_train * PIXELS);
        }
    const double scale = variance > 0.0 ? 1.0 / sqrt(variance) : 1.0;
    for (int row = 0; row < set->rows; ++row)
        for (int p = 0; p < PIXELS; ++p) {
            float *pixel = &set->pixels[row * PIXELS + p];
            *pixel = (float)(((double)*pixel - mean[p]) * scale);
        }
}

static dataset dataset_load(const char *path) {
    dataset set = {0};
    read_rows(&set, path);
    split_rows(&set, path);
    standardise(&set);
    return set;
}

static void dataset_free(dataset *set) {
    free(set->pixels);
    free(set->labels);
    free(set->train);
    free(set->valid);
}

// ---- Matrix product -----------------------------------------------------------------------------

// The sums of a tile stay in registers as explicit vectors (an extension that gcc and clang share): sums in an array are
// written to memory in every step, and vectors wider than the machine's are worse still.
typedef float vector __attribute__((vector_size(WIDTH * sizeof(float)), aligned(sizeof(float)), may_alias));

// Four rows: c[4 x TILE] = A[4 x depth] b[depth x TILE], b and c with `columns` floats per row.
static void multiply_four_rows(int columns, int depth, const float *restrict a, int a_row, int a_col,
                               const float *restrict b, float *restrict c) {
    vector s00 = {0}, s01 = {0}, s10 = {0}, s11 = {0}, s20 = {0}, s21 = {0}, s30 = {0}, s31 = {0};
    for (int k = 0; k < depth; ++k) {
        const vector b0 = ((const vector *)b)[0], b1 = ((const vector *)b)[1];
        const float a0 = a[0], a1 = a[a_row], a2 = a[2 * a_row], a3 = a[3 * a_row];
        s00 += a0 * b0;
        s01 += a0 * b1;
        s10 += a1 * b0;
        s11 += a1 * b1;
        s20 += a2 * b0;
        s21 += a2 * b1;
        s30 += a3 * b0;
        s31 += a3 * b1;
        a += a_col;
        b += columns;
    }
    const vector sums[4][2] = {{s00, s01}, {s10, s11}, {s20, s21}, {s30, s31}};
    for (int i = 0; i < 4; ++i) memcpy(c + i * columns, sums[i], sizeof sums[i]);
}

// One row, likewise; for the last rows of a matrix.
static void multiply_one_row(int columns, int depth, const float *restrict a, int a_col, const float *restrict b,
                             float *restrict c) {
    vector sums[2] = {0};
    for (int k = 0; k < depth; ++k) {
        sums[0] += a[k * a_col] * ((const vector *)b)[0];
        sums[1] += a[k * a_col] * ((const vector *)b)[1];
        b += columns;
    }
    memcpy(c, sums, sizeof sums);
}

// c[rows x columns] = A b with b[depth x columns] and A(i, k) = a[i * a_row + k * a_col], which lets
// the caller pass a matrix or its transpose. columns is a multiple of TILE.
static void multiply(int rows, int columns, int depth, const float *a, int a_row, int a_col, const float *b, float *c) {
    for (int j = 0; j < columns; j += TILE) {
        int i = 0;
        for (; i + 4 <= rows; i += 4)
            multiply_four_rows(columns, depth, a + i * a_row, a_row, a_col, b + j, c + i * columns + j);
        for (; i < rows; ++i) multiply_one_row(columns, depth, a + i * a_row, a_col, b + j, c + i * columns + j);
    }
}

// to[columns x rows] = from[rows x columns]^T, in squares that fit the cache; both counts are multiples of LANES.
static void transpose(int rows, int columns, const float *restrict from, float *restrict to) {
    for (int i0 = 0; i0 < rows; i0 += LANES)
        for (int j0 = 0; j0 < columns; j0 += LANES)
            for (int j = j0; j < j0 + LANES; ++j)
                for (int i = i0; i < i0 + LANES; ++i) to[j * rows + i] = from[i * columns + j];
}

// ---- Network ------------------------------------------------------------------------------------

typedef struct {
    int in, out; // padded to LANES
    size_t w, b; // where W [in x out] and b [out] start in the parameter arrays
    float *h;    // [capacity x out] activations, the logits in the last layer
    float *dh;   // [capacity x out] dh/dz of hidden layers, dropout included
    float *d;    // [capacity x out] gradient of the loss by z
} layer;

typedef struct {
    int n_layers;
    layer layers[MAX_LAYERS];
    int capacity; // rows the buffers hold
    size_t n_params;
    float *theta, *grad; // [n_params] parameters and their gradient
    float *u, *v;        // [n_params] the optimizer's averages
    float *x;            // [capacity x PIXELS] inputs of the batch
    int *labels;         // [capacity] labels of the batch
    float *transposed;   // the largest W_l, transposed
    long steps;          // updates done
    activation_kind activation;
} network;

static int padded(int columns) {
    return (columns + LANES - 1) / LANES * LANES;
}

// Normal weights of variance 2 / in (He; relu and gelu) or 2 / (in + out) (Xavier; tanh and the
// logits); biases are zero.
static void initialise(network *net, const config *cfg) {
    rng random = rng_stream((uint64_t)cfg->seed, RNG_INIT);
    for (int l = 0; l < net->n_layers; ++l) {
        const layer *at = &net->layers[l];
        const bool last = l == net->n_layers - 1;
        const int in = l == 0 ? PIXELS : cfg->width;
        const int out = last ? CLASSES : cfg->width;
        const bool xavier = last || net->activation == TANH;
        const double deviation = sqrt(2.0 / (xavier ? in + out : in));
        for (int i = 0; i < in; ++i)
            for (int j = 0; j < out; ++j)
                net->theta[at->w + (size_t)(i * at->out + j)] = (float)(deviation * rng_normal(&random));
    }
}

static network network_create(const config *cfg) {
    network net = {.n_layers = cfg->depth + 1, .activation = (activation_kind)cfg->activation};
    net.capacity = cfg->batch_size > EVAL_ROWS ? cfg->batch_size : EVAL_ROWS;
    const size_t rows = (size_t)net.capacity;
    size_t largest = 0;
    int in = PIXELS;
    for (int l = 0; l < net.n_layers; ++l) {
        layer *at = &net.layers[l];
        at->in = in;
        at->out = padded(l == net.n_layers - 1 ? CLASSES : cfg->width);
        const size_t weights = (size_t)at->in * (size_t)at->out;
        at->w = net.n_params;
        at->b = at->w + weights;
        net.n_params = at->b + (size_t)at->out;
        at->h = allocate_floats(rows * (size_t)at->out);
        at->dh = allocate_floats(rows * (size_t)at->out);
        at->d = allocate_floats(rows * (size_t)at->out);
        largest = weights > largest ? weights : largest;
        in = at->out;
    }
    net.theta = allocate_floats(net.n_params);
    net.grad = allocate_floats(net.n_params);
    net.u = allocate_floats(net.n_params);
    net.v = allocate_floats(net.n_params);
    net.x = allocate_floats(rows * PIXELS);
    net.labels = allocate(rows, sizeof *net.labels);
    net.transposed = allocate_floats(largest);
    initialise(&net, cfg);
    return net;
}

static void network_free(network *net) {
    for (int l = 0; l < net->n_layers; ++l) {
        free(net->layers[l].h);
        free(net->layers[l].dh);
        free(net->layers[l].d);
    }
    free(net->theta);
    free(net->grad);
    free(net->u);
    free(net->v);
    free(net->x);
    free(net->labels);
    free(net->transposed);
}

// Copies the named rows of the data into the batch buffers.
static void load_batch(network *net, const dataset *set, int count, const int *rows) {
    for (int i = 0; i < count; ++i) {
        memcpy(net->x + (ptrdiff_t)i * PIXELS, set->pixels + (ptrdiff_t)rows[i] * PIXELS, PIXELS * sizeof(float));
        net->labels[i] = set->labels[rows[i]];
    }
}

// h holds z and becomes s(z); dh becomes s'(z). Comparisons are written so that NaN stays NaN.
static void activate(activation_kind kind, size_t count, float *restrict h, float *restrict dh) {
    const float sqrt_half = 0.70710678f;   // sqrt(1/2)
    const float normal_peak = 0.39894228f; // 1 / sqrt(2 pi)
    switch (kind) {
    case RELU:
        for (size_t i = 0; i < count; ++i) {
            dh[i] = h[i] < 0.0f ? 0.0f : 1.0f;
            h[i] = h[i] < 0.0f ? 0.0f : h[i];
        }
        break;
    case TANH:
        for (size_t i = 0; i < count; ++i) {
            h[i] = tanhf(h[i]);
            dh[i] = 1.0f - h[i] * h[i];
        }
        break;
    case GELU:
        for (size_t i = 0; i < count; ++i) {
            const float z = h[i];
            const float below = 0.5f * (1.0f + erff(z * sqrt_half)); // Phi(z)
            h[i] = z * below;
            dh[i] = below + z * normal_peak * expf(-0.5f * z * z);
        }
        break;
    }
}

// Sets each unit to zero with probability p and scales the others by 1 / (1 - p). One 64-bit random
// number decides four units, 16 bits each; count is a multiple of four.
static void drop_units(rng *random, double p, size_t count, float *restrict h, float *restrict dh) {
    const uint64_t threshold = (uint64_t)(p * 65536.0 + 0.5);
    const float scale = (float)(1.0 / (1.0 - p));
    for (size_t i = 0; i < count; i += 4) {
        const uint64_t bits = rng_bits(random);
        for (size_t k = 0; k < 4; ++k) {
            const float gain = ((bits >> (16 * k)) & 0xffff) < threshold ? 0.0f : scale;
            h[i + k] *= gain;
            dh[i + k] *= gain;
        }
    }
}

// Computes h of every layer for the first `rows` rows of the batch. Without a random stream nothing
// is dropped (validation).
static void forward(network *net, int rows, double dropout, rng *random) {
    const float *input = net->x;
    for (int l = 0; l < net->n_layers; ++l) {
        const layer *at = &net->layers[l];
        const float *bias = net->theta + at->b;
        multiply(rows, at->out, at->in, input, at->in, 1, net->theta + at->w, at->h);
        for (int i = 0; i < rows; ++i)
            for (int j = 0; j < at->out; ++j) at->h[i * at->out + j] += bias[j];
        if (l < net->n_layers - 1) {
            const size_t count = (size_t)rows * (size_t)at->out;
            activate(net->activation, count, at->h, at->dh);
            if (random && dropout > 0.0) drop_units(random, dropout, count, at->h, at->dh);
        }
        input = at->h;
    }
}

// Sum over the batch of the cross-entropies; sets D of the last layer.
static double softmax_loss(network *net, int rows) {
    const layer *last = &net->layers[net->n_layers - 1];
    double loss = 0.0;
    for (int i = 0; i < rows; ++i) {
        const float *z = last->h + i * last->out;
        float *d = last->d + i * last->out; // its padding stays zero
        const int label = net->labels[i];
        float top = z[0];
        for (int c = 1; c < CLASSES; ++c) top = z[c] > top ? z[c] : top;
        float sum = 0.0f;
        for (int c = 0; c < CLASSES; ++c) {
            d[c] = expf(z[c] - top);
            sum += d[c];
        }
        for (int c = 0; c < CLASSES; ++c) d[c] = (d[c] / sum - (c == label ? 1.0f : 0.0f)) / (float)rows;
        loss += log((double)sum) + (double)top - (double)z[label];
    }
    return loss;
}

// Fills grad from D of the last layer and the activations of the batch.
static void backward(network *net, int rows) {
    for (int l = net->n_layers - 1; l >= 0; --l) {
        const layer *at = &net->layers[l];
        const float *input = l == 0 ? net->x : net->layers[l - 1].h;
        float *db = net->grad + at->b;
        multiply(at->in, at->out, rows, input, 1, at->in, at->d, net->grad + at->w);
        memset(db, 0, (size_t)at->out * sizeof *db);
        for (int i = 0; i < rows; ++i)
            for (int j = 0; j < at->out; ++j) db[j] += at->d[i * at->out + j];
        if (l == 0) break;
        const layer *below = &net->layers[l - 1];
        transpose(at->in, at->out, net->theta + at->w, net->transposed);
        multiply(rows, at->in, at->out, at->d, at->out, 1, net->transposed, below->d);
        for (int i = 0; i < rows * at->in; ++i) below->d[i] *= below->dh[i];
    }
}

// ---- Optimizers ---------------------------------------------------------------------------------

static void sgd_update(size_t count, float rate, float momentum, float keep, const float *restrict grad,
                       float *restrict u, float *restrict theta) {
    for (size_t i = 0; i < count; ++i) {
        u[i] = momentum * u[i] + grad[i];
        theta[i] = keep * theta[i] - rate * u[i];
    }
}

// fix1 = 1 / (1 - b1^t) and fix2 = 1 / (1 - b2^t) undo the averages' start at zero.
static void adam_update(size_t count, float rate, float beta2, float fix1, float fix2, float keep,
                        const float *restrict grad, float *restrict u, float *restrict v, float *restrict theta) {
    const float beta1 = 0.9f;
    const float eps = 1e-8f;
    for (size_t i = 0; i < count; ++i) {
        u[i] = beta1 * u[i] + (1.0f - beta1) * grad[i];
        v[i] = beta2 * v[i] + (1.0f - beta2) * grad[i] * grad[i];
        theta[i] = keep * theta[i] - rate * (u[i] * fix1) / (sqrtf(v[i] * fix2) + eps);
    }
}

// Updates parameters [from, to); keep = 1 - lr wd multiplies them first.
static void update_range(network *net, const config *cfg, size_t from, size_t to, double keep) {
    const float rate = (float)cfg->learning_rate;
    const float *grad = net->grad + from;
    if (cfg->optimizer == SGD) {
        sgd_update(to - from, rate, (float)cfg->momentum, (float)keep, grad, net->u + from, net->theta + from);
        return;
    }
    const double t = (double)net->steps;
    adam_update(to - from, rate, (float)cfg->beta2, (float)(1.0 / (1.0 - pow(0.9, t))),
                (float)(1.0 / (1.0 - pow(cfg->beta2, t))), (float)keep, grad, net->u + from, net->v + from,
                net->theta + from);
}

static void update(network *net, const config *cfg) {
    ++net->steps;
    for (int l = 0; l < net->n_layers; ++l) {
        const layer *at = &net->layers[l];
        const size_t end = at->b + (size_t)at->out;
        update_range(net, cfg, at->w, at->b, 1.0 - cfg->learning_rate * cfg->weight_decay);
        update_range(net, cfg, at->b, end, 1.0);
    }
}

// ---- Training -----------------------------------------------------------------------------------

// One pass over the training rows in the given order: the mean loss, or NaN as soon as the loss of a
// batch is not finite.
static double train_epoch(network *net, const config *cfg, const dataset *set, const int *order, rng *dropout) {
    double loss = 0.0;
    for (int start = 0; start < set->n_train; start += cfg->batch_size) {
        const int left = set->n_train - start;
        const int rows = left < cfg->batch_size ? left : cfg->batch_size;
        load_batch(net, set, rows, order + start);
        forward(net, rows, cfg->dropout, dropout);
        const double batch_loss = softmax_loss(net, rows);
        if (!isfinite(batch_loss)) return (double)NAN;
        loss += batch_loss;
        backward(net, rows);
        update(net, cfg);
    }
    return loss / set->n_train;
}

// Share of validation rows whose largest logit is that of the label; NaN if a logit is not finite.
static double validation_accuracy(network *net, const dataset *set) {
    const layer *last = &net->layers[net->n_layers - 1];
    int right = 0;
    for (int start = 0; start < set->n_valid; start += net->capacity) {
        const int left = set->n_valid - start;
        const int rows = left < net->capacity ? left : net->capacity;
        load_batch(net, set, rows, set->valid + start);
        forward(net, rows, 0.0, NULL);
        for (int i = 0; i < rows; ++i) {
            const float *z = last->h + i * last->out;
            int best = 0;
            for (int c = 0; c < CLASSES; ++c) {
                if (!isfinite(z[c])) return (double)NAN;
                best = z[c] > z[best] ? c : best;
            }
            right += best == net->labels[i];
        }
    }
    return (double)right / set->n_valid;
}

// Trains and prints one line per epoch; returns the exit status.
static int train(network *net, const config *cfg, const dataset *set) {
    rng shuffle = rng_stream((uint64_t)cfg->seed, RNG_SHUFFLE);
    rng dropout = rng_stream((uint64_t)cfg->seed, RNG_DROPOUT);
    int *order = allocate((size_t)set->n_train, sizeof *order);
    memcpy(order, set->train, (size_t)set->n_train * sizeof *order);
    int status = EXIT_SUCCESS;
    for (int epoch = 1; epoch <= cfg->epochs && status == EXIT_SUCCESS; ++epoch) {
        rng_shuffle(&shuffle, set->n_train, order);
        const double loss = train_epoch(net, cfg, set, order, &dropout);
        const double accuracy = isnan(loss) ? loss : validation_accuracy(net, set);
        if (isnan(accuracy)) {
            printf("epoch=%d train_loss=nan val_accuracy=nan\n", epoch);
            fprintf(stderr, "%s: training diverged in epoch %d; a lower learning_rate may help\n", program, epoch);
            status = EXIT_DIVERGED;
        } else {
            printf("epoch=%d train_loss=%.6g val_accuracy=%.6f\n", epoch, loss, accuracy);
        }
        if (fflush(stdout) != 0) {
            fprintf(stderr, "%s: cannot write: %s\n", program, strerror(errno));
            status = EXIT_FAILURE;
        }
    }
    free(order);
    return status;
}

int main(int argc, char **argv) {
    const config cfg = parse_arguments(argc, argv);
    char *path = data_path(&cfg, argc > 0 ? argv[0] : "");
    dataset set = dataset_load(path);
    free(path);
    network net = network_create(&cfg);
    const int status = train(&net, &cfg, &set);
    network_free(&net);
    dataset_free(&set);
    return status;
}
