// SPDX-License-Identifier: Apache-2.0
// special.c: the normal distribution in logarithms.
//
//   Phi(z) = erfc(-z / sqrt 2) / 2. What limits the plain formula is the rounding of z / sqrt 2: a relative
//   error e of x moves erfc(x) by 2 x^2 e, 1e-13 at z = 20. So upper_tail() carries the rounding error of
//   the argument along and applies it to first order, by d erfc / dx = -2/sqrt(pi) exp(-x^2).
//   log Phi(z):  z > 0: log1p(-upper_tail(z));  -36 < z <= 0: log of the tail itself, fine since |log| grows
//   as fast as the error;  below: -z^2/2 - log(|z| sqrt(2 pi)) + log(1 - 1/z^2 + 3/z^4 - 15/z^6 + ...)
//   (Abramowitz and Stegun 26.2.12; terms below 1e-16 after five at |z| = 36).
//   Phi^-1: M. J. Wichura, algorithm AS 241 (PPND16), Applied Statistics 37 (1988) 477-484, about 1e-16.
//   log(Phi(b) - Phi(a)) for close a, b of one sign: the difference of logarithms would cancel, so the integral
//   of exp(-m t - t^2/2), |t| < h, with m, h the middle and the half width, by 16-point Gauss-Legendre
//   (error below 1e-20 for |m| h <= 2, h <= 1); for distant ones la + log1p(-exp(...)) has nothing to lose.
//   erfcx(x) = exp(x^2) erfc(x): up to x = 25 as it stands, the rounding error of x^2 (625 half ulps would be 7e-14)
//   carried along by fma; beyond, Laplace's series 1/(x sqrt pi) (1 - 1/(2x^2) + 3/(2x^2)^2 - ...), seven terms.
// Threads: pure functions. Cost: 20 to 100 ns each. Not for denormal results: past z = 37.5 the tail itself
// has fewer bits, and log Phi(z) with it.
#include "special.h"

#include <math.h>

static const double half_log_2pi = 0.91893853320467274178;
static const double sqrt_half = 0x1.6a09e667f3bcdp-1;         // 1/sqrt 2 rounded ...
static const double sqrt_half_rest = -4.8336466567264565e-17; // ... and what rounding dropped

// P(Z > z) for z >= 0.
static double upper_tail(double z) {
    double x = z * sqrt_half;
    double rest = fma(z, sqrt_half, -x) + z * sqrt_half_rest;           // x + rest = z / sqrt 2
    return 0.5 * erfc(x) - rest * exp(-x * x) * 0.56418958354775628695; // 1/sqrt(pi)
}

double hpt__ndtr(double z) {
    if (isnan(z)) return z;
    const double tail = fabs(z) < 39 ? upper_tail(fabs(z)) : 0.5 * erfc(fabs(z) * sqrt_half);
    return z > 0 ? 1 - tail : tail;
}

double hpt__log_ndtr(double z) {
    if (isnan(z)) return z;
    if (z > 0) return log1p(-(z < 39 ? upper_tail(z) : 0.5 * erfc(z * sqrt_half)));
    if (z > -36) return log(upper_tail(-z));
    if (isinf(z)) return z;
    double r = 1 / z, s = r * r; // r * r underflows to 0 for huge |z|: then the series is 1
    double series = -s * (1 - s * (3 - s * (15 - s * (105 - s * 945))));
    return -0.5 * z * z - log(-z) - half_log_2pi + log1p(series);
}

double hpt__ndtri(double p) {
    if (!(p > 0 && p < 1)) {
        if (p == 0) return -INFINITY;
        return p == 1 ? INFINITY : NAN;
    }
    double q = p - 0.5;
    if (fabs(q) <= 0.425) {
        double r = 0.180625 - q * q;
        double num = ((((((2.5090809287301226727e3 * r + 3.3430575583588128105e4) * r + 6.7265770927008700853e4) * r +
                         4.5921953931549871457e4) *
                            r +
                        1.3731693765509461125e4) *
                           r +
                       1.9715909503065514427e3) *
                          r +
                      1.3314166789178437745e2) *
                         r +
                     3.3871328727963666080e0;
        double den = ((((((5.2264952788528545610e3 * r + 2.8729085735721942674e4) * r + 3.9307895800092710610e4) * r +
                         2.1213794301586595867e4) *
                            r +
                        5.3941960214247511077e3) *
                           r +
                       6.8718700749205790830e2) *
                          r +
                      4.2313330701600911252e1) *
                         r +
                     1;
        return q * num / den;
    }
    double r = sqrt(-log(q < 0 ? p : 1 - p)), num, den;
    if (r <= 5) {
        r -= 1.6;
        num = ((((((7.74545014278341407640e-4 * r + 2.27238449892691845833e-2) * r + 2.41780725177450611770e-1) * r +
                  1.27045825245236838258e0) *
                     r +
                 3.64784832476320460504e0) *
                    r +
                5.76949722146069140550e0) *
                   r +
               4.63033784615654529590e0) *
                  r +
              1.42343711074968357734e0;
        den = ((((((1.05075007164441684324e-9 * r + 5.47593808499534494600e-4) * r + 1.51986665636164571966e-2) * r +
                  1.48103976427480074590e-1) *
                     r +
                 6.89767334985100004550e-1) *
                    r +
                1.67638483018380384940e0) *
                   r +
               2.05319162663775882187e0) *
                  r +
              1;
    } else {
        r -= 5;
        num = ((((((2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r + 1.24266094738807843860e-3) * r +
                  2.65321895265761230930e-2) *
                     r +
                 2.96560571828504891230e-1) *
                    r +
                1.78482653991729133580e0) *
                   r +
               5.46378491116411436990e0) *
                  r +
              6.65790464350110377720e0;
        den = ((((((2.04426310338993978564e-15 * r + 1.42151175831644588870e-7) * r + 1.84631831751005468180e-5) * r +
                  7.86869131145613259100e-4) *
                     r +
                 1.48753612908506148525e-2) *
                    r +
                1.36929880922735805310e-1) *
                   r +
               5.99832206555887937690e-1) *
                  r +
              1;
    }
    return q < 0 ? -num / den : num / den;
}

// log of the integral of the normal density over a narrow [a, b].
static double log_narrow(double a, double b) {
    static const double node[8] = {0.095012509837637440185, 0.28160355077925891323, 0.45801677765722738634,
                                   0.61787624440264374845,  0.7554044083550030339,  0.86563120238783174388,
                                   0.94457502307323257608,  0.9894009349916499326};
    static const double weight[8] = {0.18945061045506849629,  0.18260341504492358887, 0.16915651939500253819,
                                     0.14959598881657673208,  0.12462897125553387205, 0.09515851168249278481,
                                     0.062253523938647892863, 0.027152459411754094852};
    double h = 0.5 * (b - a), m = a + h, sum = 0;
    for (int i = 0; i < 8; i++) {
        double t = h * node[i];
        sum += weight[i] * cosh(m * t) * exp(-0.5 * t * t); // the two nodes at -t and t
    }
    return log(2 * h) + log(sum) - 0.5 * m * m - half_log_2pi;
}

double hpt__erfcx(double x) {
    if (x < 25) { // erfc is normal up to 26.5
        const double square = x * x, rest = fma(x, x, -square);
        return x < -26.7 ? INFINITY : exp(square) * (1 + rest) * erfc(x);
    }
    const double s = 0.5 / x / x; // x * x may be infinite
    const double series = 1 - s * (1 - 3 * s * (1 - 5 * s * (1 - 7 * s * (1 - 9 * s * (1 - 11 * s)))));
    return series / x * 0.56418958354775628695; // 1/sqrt(pi); x * sqrt(pi) may be infinite
}

double hpt__log_diff_ndtr(double a, double b) {
    if (isnan(a) || isnan(b) || a > b) return NAN;
    if (a == b) return -INFINITY;
    if (a >= 0) { // the mirror image, so that the far tail is the left one
        double mirrored = -a;
        a = -b;
        b = mirrored;
    }
    if (isinf(a)) return hpt__log_ndtr(b);
    if (b <= 0) {
        double h = 0.5 * (b - a);
        if (h <= 1 && h * -(a + h) <= 2) return log_narrow(a, b);
        double la = hpt__log_ndtr(a), lb = hpt__log_ndtr(b);
        return lb + log1p(-exp(la - lb));
    }
    // a < 0 < b: a sum of two positive halves, or one minus two tails when little is missing.
    double tails = upper_tail(-a) + (isinf(b) ? 0 : upper_tail(b));
    if (tails < 0.5) return log1p(-tails);
    return log(0.5 * (erf(b * sqrt_half) + erf(-a * sqrt_half)));
}
