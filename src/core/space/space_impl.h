// SPDX-License-Identifier: Apache-2.0
// space_impl.h: the inside of a search space, for the rooms above it.
//
// Letters: d parameters. A point is d doubles in "internal form", as Optuna stores them:
//   float        the value itself
//   integer      the integer as a double
//   categorical  index of the choice
//   absent       NaN (a parameter whose condition does not hold)
// A point in the unit cube is d doubles in [0, 1] (NaN where absent); see codec.h.
//
// Order: parents need not be added before children; `topo` lists parameters with every parent before its
// children. Immutable once built (a study dups it); readers need no lock.
#ifndef HPT_SPACE_IMPL_H
#define HPT_SPACE_IMPL_H

#include "../base/arena.h"
#include "../base/json.h"
#include "../base/map.h"
#include "../base/str.h"
#include <hpt/space.h>
#include <stdbool.h>

typedef enum hpt__param_kind {
    HPT__PARAM_FLOAT = 0,
    HPT__PARAM_INT = 1,
    HPT__PARAM_CATEGORICAL = 2, // a constant is a categorical with one choice and is_constant
} hpt__param_kind;

// What is drawn before rounding. FLAT: every grid value has the same mass (log integers: codec.h), as in Optuna.
// Other laws are drawn by the codec; bounds and step are what Optuna is told (space_law.c).
typedef enum hpt__law {
    HPT__LAW_FLAT = 0,
    HPT__LAW_ROUNDED = 1, // uniform (log: log-uniform) in [a, b], then rounded to multiples of step
    HPT__LAW_NORMAL = 2,  // mean a, deviation b (log: of ln X)
    HPT__LAW_BETA = 3,    // shapes a, b
} hpt__law;

typedef struct hpt__condition {
    int32_t parent;
    double *values; // internal form of the parent's values that switch the child on, ascending
    int64_t n_values;
} hpt__condition;

typedef struct hpt__param {
    char *name;
    hpt__param_kind kind;
    bool log, is_constant;
    double low, high, step; // internal form; step 0: continuous; categorical: 0, n_choices - 1, 0
    hpt__law law;           // not FLAT: legal values are k * step (step > 0), in [low, high]
    double law_a, law_b;
    double *cumulative;    // categorical with probabilities: n_choices running sums, the last is 1; NULL: all alike
    double *probabilities; // the same as given, NULL likewise
    hpt__json **choices;   // categorical; in the space's arena
    char **choice_text;    // what get_string gives: bare string, else compact JSON
    int64_t n_choices;
    hpt__condition *conditions; // all must hold
    int64_t n_conditions;
    bool is_parent;
    char *dist_json; // Optuna's distribution_json (both log and step set: written with log false)
} hpt__param;

struct hpt_space {
    hpt__param *params; // d, in order of addition
    int64_t d, cap;
    hpt__map by_name;
    int32_t *topo;    // d
    hpt__arena arena; // choices
};

// Index of a name, or -1.
int64_t hpt__space_find(const hpt_space *space, const char *name);
HPT_NODISCARD int hpt__space_dup(hpt_space **out, const hpt_space *space);

// Number of values of a parameter: n_choices, grid points of an int or stepped float, or -1 if continuous.
int64_t hpt__param_cardinality(const hpt__param *p);
// A parameter that can take one value only (constant, low == high, one choice).
bool hpt__param_fixed(const hpt__param *p);
// Number of values that grids and sets of points count: as above, but without the choices of probability 0, which are
// never drawn, and -1 for rounded normal laws, whose ends are not the user's but ours.
int64_t hpt__param_enumerable(const hpt__param *p);
// Whether choice k may be drawn: its probability is not 0.
bool hpt__param_drawable(const hpt__param *p, int64_t k);
double hpt__param_value_at(const hpt__param *p, int64_t k); // k-th grid value, 0 <= k < cardinality
int64_t hpt__param_index_of(const hpt__param *p, double v); // nearest grid index
// Whether v is a legal internal value (on the grid up to rounding, in range, choice index).
bool hpt__param_contains(const hpt__param *p, double v);
// Nearest legal internal value.
double hpt__param_clip(const hpt__param *p, double v);

// Whether parameter i exists, given the internal values of its parents in point.
bool hpt__space_active(const hpt_space *space, int64_t i, const double *point);
// Sets absent parameters to NaN, in place, parents first.
void hpt__space_mask(const hpt_space *space, double *point);
// True if exactly the active parameters are present and all are legal. On false, *bad is the index of the culprit.
bool hpt__space_check(const hpt_space *space, const double *point, int64_t *bad);

// External form: JSON value of parameter i (number, integer, or the choice).
void hpt__param_external(hpt__str *out, const hpt__param *p, double v); // compact JSON text
HPT_NODISCARD int hpt__param_internal(double *out, const hpt__param *p,
                                      const hpt__json *external); // HPT_E_ARG names it
// The active parameters of a point as one JSON object, space order; python_style: json.dumps blanks.
void hpt__space_point_json(hpt__str *out, const hpt_space *space, const double *point, bool python_style);
// JSON object -> point; names that are missing stay NaN; unknown name: HPT_E_NOT_FOUND naming the nearest.
HPT_NODISCARD int hpt__space_point_from_json(double *point, const hpt_space *space, const hpt__json *object);

// Adds a parameter described by Optuna's distribution_json (all forms that Optuna 3 to 5 reads,
// reference: optuna/distributions.py). Used for studies that Optuna made.
HPT_NODISCARD int hpt__space_add_distribution(hpt_space *space, const char *name, const char *distribution_json);
// Whether two parameters are the same distribution to Optuna (its ==): laws, probabilities and conditions, which its
// tables do not hold, are not looked at.
bool hpt__param_same_distribution(const hpt__param *a, const hpt__param *b);
// First difference between two spaces as one line ("parameter 'lr': high 1.0 is now 0.1"); false if equal
// (order of parameters ignored).
bool hpt__space_difference(hpt__str *out, const hpt_space *stored, const hpt_space *given);
// Description of a range in words for messages and tables: "float 1e-05..1.0 log", "int 1..8 step 2", "{sgd, adam}",
// "uniform 0..10 rounded to 0.5", "log-normal mu 0 sigma 1", "int normal mu 32 sigma 8 rounded to 1", "beta a 2 b 5",
// "{sgd 0.7, adam 0.3}".
void hpt__param_describe(hpt__str *out, const hpt__param *p);

#endif
