// SPDX-License-Identifier: Apache-2.0
// beta.c: the beta law: distribution function and quantile.
//
//   I_x(a, b) = x^a y^b / B(a, b) K, y = 1 - x, K a continued fraction that converges fast for x < (a+1)/(a+b+2); beyond,
//   I_x(a, b) = 1 - I_y(b, a). K is that of DiDonato and Morris, "Algorithm 708", ACM TOMS 18 (1992) 360-373, eq. (9):
//     K = 1 / (B0 + A1 / (B1 + A2 / (B2 + ...))),  A_m = (a+m-1) (a+b+m-1) m (b-m) x^2 / (a+2m-1)^2,
//     B_m = m + m (b-m) x / (a+2m-1) + (a+m) (l + 1 + m (1+y)) / (a+2m+1),  l = a - (a+b) x
//   It is the even part of the fraction in the NIST Digital Library of Mathematical Functions, 8.17.22, which near the mean
//   takes 1 - (a+b) x / (a+1) and so loses as many digits as a has; here only l cancels, and is had exactly (excess()).
//   Evaluated by the modified Lentz algorithm (Lentz, Applied Optics 15 (1976) 668; Thompson and Barnett, J. Comput. Phys.
//   64 (1986) 490).
//
//   The factor in front is a binomial probability with real arguments. From logarithms of gamma functions it would lose
//   digits with a and b (lgamma(1e6) has an error of 1e-9), so it is composed of the errors of Stirling's formula and of
//   deviances that vanish at the mean (Loader, "Fast and accurate computation of binomial probabilities", 2000):
//     x^a y^b / B(a, b) = sqrt(a b / (2 pi n)) exp(s(n) - s(a) - s(b) - a d(n x / a) - b d(n y / b)),  n = a + b
//     s(z) = log Gamma(z+1) - (z + 1/2) log z + z - log(2 pi) / 2,  d(r) = r - 1 - log r
//
//   Quantile: the side where x <= 1/2 is solved (the other by symmetry, so that 1 - x keeps its digits while solving), in
//   t = log x, for the logarithm of the smaller tail, by Newton's method inside a bracket, else by bisection. In t the
//   lower tail is nearly a line where x is small: I_x ~ x^a / (a B(a, b)), which is also the first guess.
//
// Threads: pure functions. Cost: cdf O(sqrt(max(a, b))) steps at worst, 0.2 us for small shapes; quantile some five cdfs.
#include "special.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>

static const double half_log_2pi = 0.91893853320467274178;

// s(z): Stirling's series; for small z what it stands for, where nothing is lost.
static double stirling_error(double z) {
    if (z < 16) return lgamma(z + 1) - (z + 0.5) * log(z) + z - half_log_2pi;
    const double r = 1 / (z * z);
    return (1.0 / 12 - r * (1.0 / 360 - r * (1.0 / 1260 - r * (1.0 / 1680 - r * (1.0 / 1188 - r * 691.0 / 360360))))) /
           z;
}

// a d(m / a): m - a - a log(m / a), where e = m - a is known better than by subtracting.
static double deviance(double a, double m, double e) {
    const double v = e / (a + m);
    if (fabs(v) > 0.1) return e - a * log(m / a);
    // log(m/a) = 2 atanh(v), and e = 2 v a + v e: the linear terms cancel exactly.
    double sum = v * e, term = 2 * a * v;
    for (int j = 3; j < 60; j += 2) {
        term *= v * v;
        const double next = sum - term / j;
        if (next == sum) break;
        sum = next;
    }
    return sum;
}

typedef struct shape {
    double a, b;
    double n, n_rest; // a + b, and what rounding dropped
    double front;     // log of sqrt(a b / (2 pi n)) and the Stirling errors
} shape;

static shape shape_of(double a, double b) {
    const double large = fmax(a, b), small = fmin(a, b), n = large + small;
    const double ratio = small / (1 + small / large); // a b / n without overflow or underflow on the way
    return (shape){.a = a,
                   .b = b,
                   .n = n,
                   .n_rest = small - (n - large),
                   .front =
                       0.5 * log(ratio) - half_log_2pi + stirling_error(n) - stirling_error(a) - stirling_error(b)};
}

static shape mirrored(const shape *s) {
    shape m = *s;
    m.a = s->b;
    m.b = s->a;
    return m;
}

// n x - a with the relative accuracy of x, y = 1 - x.
static double excess(const shape *s, double x, double y) {
    const bool low = x <= 0.5; // else n x - a = b - n y; the smaller of x and y is the exact one
    const double t = low ? x : y, of = low ? s->a : s->b, product = s->n * t;
    const double e = (product - of) + fma(s->n, t, -product) + s->n_rest * t;
    return low ? e : -e;
}

// log of x^a y^b / B(a, b), e = n x - a.
static double log_front(const shape *s, double x, double y, double e) {
    return s->front - deviance(s->a, s->n * x, e) - deviance(s->b, s->n * y, -e);
}

static double away_from_0(double v) {
    return fabs(v) < 1e-300 ? 1e-300 : v;
}

// K; l = a - n x.
static double fraction(double a, double b, double x, double y, double l) {
    enum { STEPS = 20000 };
    double f = away_from_0(a * (l + 1) / (a + 1)), c = f, d = 0;
    for (int i = 1; i < STEPS; i++) {
        const double m = i, at = a + 2 * m, factor = m * (b - m) * x / (at - 1);
        const double num = (a + m - 1) * (a + b + m - 1) * x / (at - 1) * factor;
        const double den = m + factor + (a + m) * (l + 1 + m * (1 + y)) / (at + 1);
        d = 1 / away_from_0(den + num * d);
        c = away_from_0(den + num / c);
        f *= c * d;
        if (fabs(c * d - 1) <= DBL_EPSILON) break;
    }
    return 1 / f;
}

typedef struct tails {
    double lower, upper; // I and 1 - I, each with its own accuracy where it is the smaller
    double front;        // x^a y^b / B(a, b)
} tails;

static tails tails_at(const shape *s, double x, double y) {
    const double e = excess(s, x, y), front = exp(log_front(s, x, y, e));
    tails t = {.front = front};
    if (x < (s->a + 1) / (s->n + 2)) {
        t.lower = fmin(front * fraction(s->a, s->b, x, y, -e), 1);
        t.upper = 1 - t.lower;
    } else {
        t.upper = fmin(front * fraction(s->b, s->a, y, x, e), 1);
        t.lower = 1 - t.upper;
    }
    return t;
}

double hpt__beta_cdf(double a, double b, double x) {
    if (isnan(x) || !(a > 0 && b > 0)) return NAN;
    if (x <= 0) return 0;
    if (x >= 1) return 1;
    const shape s = shape_of(a, b);
    return tails_at(&s, x, 1 - x).lower;
}

// x <= 1/2 with I_x = p, q = 1 - p.
static double solve_low(const shape *s, double p, double q) {
    // log(1 / (a B)): from the factor in front at x -> 0.
    const double log_ab = lgamma(s->a + 1) + lgamma(s->b) - lgamma(s->a + s->b);
    const bool by_lower = p <= q;
    double lo = -INFINITY, hi = log(0.5), t = fmin((log(p) + log_ab) / s->a, hi);
    for (int i = 0; i < 200; i++) {
        if (t < -745) {
            if (hi < -745 || isinf(lo)) return 0; // the guess is below the root for b >= 1, and next to it for b < 1
            t = 0.5 * (lo + hi);
        }
        const double x = exp(t);
        const tails at = tails_at(s, x, 1 - x);
        const double slope = at.front / (1 - x); // d I / d t
        const bool above = by_lower ? at.lower > p : at.upper < q;
        if (above)
            hi = t;
        else
            lo = t;
        const double step = by_lower ? log(at.lower / p) * at.lower / slope : log(q / at.upper) * at.upper / slope;
        if (fabs(step) <= 4 * DBL_EPSILON * fmax(1, fabs(t))) return exp(t - step);
        double next = t - step;
        if (!(next > lo && next < hi)) next = isinf(lo) ? hi - 1 - fabs(hi) : 0.5 * (lo + hi);
        if (next == t || hi - lo <= DBL_EPSILON * fabs(t)) break;
        t = next;
    }
    return exp(t);
}

double hpt__beta_quantile(double a, double b, double p) {
    if (!(p >= 0 && p <= 1) || !(a > 0 && b > 0)) return NAN;
    if (p == 0 || p == 1) return p;
    const shape s = shape_of(a, b);
    const tails half = tails_at(&s, 0.5, 0.5);
    if (p <= half.lower) return solve_low(&s, p, 1 - p);
    const shape mirror = mirrored(&s);
    return 1 - solve_low(&mirror, 1 - p, p);
}
