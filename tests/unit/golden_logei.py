#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""golden_logei.py: log expected improvement at 200 digits, as a table for the C tests.

    h(u) = phi(u) + u Phi(u);  the table has u, log h(u), Phi(u)/h(u), phi(u)/h(u)

h(u) loses 2 log10 |u| digits to cancellation, and its terms are as small as exp(-u^2/2): mpmath's exponents are unlimited, so
200 digits leave more than 180. Then erfcx(x) = exp(x^2) erfc(x).

    python3 golden_logei.py > ../backend/golden_logei.inc     (needs mpmath)
"""
import sys

from mpmath import erfc, exp, log, mp, mpf, pi, sqrt

mp.dps = 200


def phi(u):
    return exp(-u * u / 2) / sqrt(2 * pi)


def big_phi(u):
    return erfc(-u / sqrt(2)) / 2


def number(v):
    if 0 < abs(v) < mpf("1e-305"):
        return "0"  # below the range of doubles
    return mp.nstr(v, 25, min_fixed=0, max_fixed=0)


def main():
    points = []
    for exponent in range(-3, 9):  # both sides of every power of ten, and numbers that are not round
        for factor in (1, 2.5, 4.75, 7.3):
            points.append(-factor * 10.0**exponent)
            if exponent < 3:
                points.append(factor * 10.0**exponent)
    points = [u for u in points if -1e8 <= u <= 1e3]
    points += [0.0, 1e3, -1.0 + 2**-53, -1.0, -1.0 - 2**-52, -12.0 + 2**-49, -12.0, -12.0 - 2**-49, -11.9, -12.1]
    points += [-38.0, -38.6, -40.0, -1e6, 0.9, 0.901, 3.0, 6.0, 8.3, 37.0]
    print("// SPDX-License-Identifier: Apache-2.0")
    print("// golden_logei.inc: made by tests/unit/golden_logei.py; do not edit.")
    print("static const struct {")
    print("    double u, log_h, big_phi_h, phi_h;")
    print("} golden_logei[] = {")
    for u in sorted(set(points)):
        x = mpf(u)
        h = phi(x) + x * big_phi(x)
        print(f"    {{{u!r}, {number(log(h))}, {number(big_phi(x) / h)}, {number(phi(x) / h)}}},")
    print("};")
    print("static const struct {")
    print("    double x, want;")
    print("} golden_erfcx[] = {")
    for x in (-26.5, -10.0, -3.3, -1.0, -1e-9, 0.0, 1e-9, 0.1, 0.7, 1.0, 2.3, 5.5, 9.9, 15.7, 24.999, 25.0, 25.001, 26.6, 40.0,
              1e4, 1e9, 1e160, 1e300):
        value = exp(mpf(x) ** 2) * erfc(mpf(x)) if abs(x) < 1e4 else 1 / (mpf(x) * sqrt(pi)) * (1 - 1 / (2 * mpf(x) ** 2))
        if x == 1e4:  # three more terms of the series: erfc itself takes too long
            s = 1 / (2 * mpf(x) ** 2)
            value = 1 / (mpf(x) * sqrt(pi)) * (1 - s + 3 * s**2 - 15 * s**3 + 105 * s**4)
        print(f"    {{{x!r}, {number(value)}}},")
    print("};")
    return 0


if __name__ == "__main__":
    sys.exit(main())
