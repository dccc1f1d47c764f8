# SPDX-License-Identifier: Apache-2.0
"""Compares our L-BFGS-B with SciPy's (memory 10, the same tolerances).

usage: oracle_lbfgsb.py <lbfgsb_tool>

Rosenbrock in 2 to 50 dimensions, rotated quadratics of condition 1e6 in 2 to 20, Beale, Wood, Powell's singular function;
each without bounds, in a box that holds the minimum, with active bounds, with fixed variables, from starts outside.
Where SciPy finds a minimum, ours is as low to 1e-6 (relative to 1 + |f|), within the bounds; on Rosenbrock and
Beale either may end in another local minimum, which is told and limited. Evaluations: at most 1.5 times SciPy's in total.
"""

import subprocess
import sys

import numpy as np
from scipy.optimize import minimize


def rosenbrock(x):
    a, b = x[1:] - x[:-1] ** 2, 1 - x[:-1]
    g = np.zeros_like(x)
    g[:-1] = -400 * a * x[:-1] - 2 * b
    g[1:] += 200 * a
    return float((100 * a * a + b * b).sum()), g


def quadratic(x):
    n = len(x)
    v = np.arange(1, n + 1, dtype=float)
    c = 10 ** (6 * np.arange(n) / max(n - 1, 1))
    z = x - 0.3 - 2 * (v @ (x - 0.3)) / (v @ v) * v
    g = c * z
    return float(0.5 * (c * z * z).sum()), g - 2 * (v @ g) / (v @ v) * v


def beale(x):
    f, g = 0.0, np.zeros(2)
    for i, c in enumerate((1.5, 2.25, 2.625)):
        r = c - x[0] * (1 - x[1] ** (i + 1))
        f += r * r
        g += 2 * r * np.array([-(1 - x[1] ** (i + 1)), x[0] * (i + 1) * x[1] ** i])
    return f, g


def wood(x):
    a, b, c, d = x[1] - x[0] ** 2, x[3] - x[2] ** 2, x[1] + x[3] - 2, x[1] - x[3]
    f = 100 * a * a + (1 - x[0]) ** 2 + 90 * b * b + (1 - x[2]) ** 2 + 10 * c * c + 0.1 * d * d
    return f, np.array([-400 * a * x[0] - 2 * (1 - x[0]), 200 * a + 20 * c + 0.2 * d,
                        -360 * b * x[2] - 2 * (1 - x[2]), 180 * b + 20 * c - 0.2 * d])


def powell(x):
    a, b, c, d = x[0] + 10 * x[1], x[2] - x[3], x[1] - 2 * x[2], x[0] - x[3]
    return (a * a + 5 * b * b + c ** 4 + 10 * d ** 4,
            np.array([2 * a + 40 * d ** 3, 20 * a + 4 * c ** 3, 10 * b - 8 * c ** 3, -10 * b - 40 * d ** 3]))


FUNCTIONS = dict(rosenbrock=rosenbrock, quadratic=quadratic, beale=beale, wood=wood, powell=powell)


def problems():
    rng = np.random.default_rng(1)
    cases = [("rosenbrock", n) for n in (2, 3, 5, 10, 20, 50)] + [("quadratic", n) for n in (2, 5, 10, 20)]
    cases += [("beale", 2), ("wood", 4), ("powell", 4)]
    for name, n in cases:
        inf = 4.5 if name == "beale" else np.inf  # without bounds it falls slowly for ever along a valley to the left
        for seed in range(1 if name == "quadratic" and n > 10 else 4):  # thousands of evaluations each
            x0 = rng.uniform(-2, 2, n)
            yield name, np.full(n, -inf), np.full(n, inf), x0
            yield name, np.full(n, -5.0), np.full(n, 5.0), x0
            high = np.where(rng.random(n) < 0.5, rng.uniform(-0.5, 0.9, n), 3.0)
            yield name, np.full(n, -2.5), high, x0
            yield name, np.full(n, -inf), high, x0 * 4
            low, high = np.full(n, -3.0), np.full(n, 3.0)
            fixed = rng.random(n) < 0.3
            low[fixed] = high[fixed] = rng.uniform(-1, 1, fixed.sum())
            yield name, low, high, x0 * 3


def main():
    cases = list(problems())
    text = "\n".join(" ".join([name, str(len(x0))] + [repr(float(v)) for part in (low, high, x0) for v in part])
                     for name, low, high, x0 in cases)
    got = subprocess.run([sys.argv[1]], input=text, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(got) == len(cases)
    ours = theirs = higher = lower = bad = 0
    for (name, low, high, x0), line in zip(cases, got):
        numbers = [float(v) for v in line.split()]
        f, evaluations, x = numbers[0], numbers[1], np.array(numbers[4:])
        if not ((x >= low) & (x <= high)).all() or abs(FUNCTIONS[name](x)[0] - f) > 1e-9 * (1 + abs(f)):
            print("outside the bounds, or not the value there:", name, len(x))
            bad += 1
        r = minimize(FUNCTIONS[name], np.clip(x0, low, high), jac=True, method="L-BFGS-B", bounds=list(zip(low, high)),
                     options=dict(maxcor=10, ftol=1e-14, gtol=1e-7, maxiter=5000, maxfun=10000))
        ours += evaluations
        theirs += r.nfev
        if f > r.fun + 1e-6 * (1 + abs(r.fun)):
            _, g = FUNCTIONS[name](x)
            stationary = np.abs(np.clip(x - g, low, high) - x).max() < 1e-3
            print(f"{name} {len(x)}: {f!r}, SciPy {r.fun!r}, {'another local minimum' if stationary else 'not a minimum'}")
            higher += 1
            bad += not (stationary and name in ("rosenbrock", "beale"))
        lower += f < r.fun - 1e-6 * (1 + abs(r.fun))
    print(f"{len(cases)} problems, evaluations {ours:.0f}, SciPy {theirs} (ratio {ours / theirs:.2f}); "
          f"higher in {higher}, lower in {lower}")
    if bad or ours > 1.5 * theirs or higher > 0.03 * len(cases):
        sys.exit(1)


main()
