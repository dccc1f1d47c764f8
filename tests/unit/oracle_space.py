#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Golden values for tests/unit/test_space_*.c, made by Optuna and SciPy.

usage: oracle_space.py > tests/unit/golden_space.inc      writes them
       oracle_space.py --check tests/unit/golden_space.inc   exits 1 if what is installed says otherwise

So the C tests need no Python, and a new Optuna or SciPy that changed its mind shows as a failing check.
"""
import json
import math
import random
import sys
import warnings
from fractions import Fraction

import numpy as np
from optuna._transform import _SearchSpaceTransform
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
    _convert_old_distribution_to_new_distribution,
)
from scipy.stats import qmc

warnings.simplefilter("ignore")


def c_string(text):
    return json.dumps(text)  # ASCII; JSON's escapes of what occurs here are C's too


def c_double(v):
    return float(v).hex()


FLOATS = [  # low, high, step, log
    (0.0, 1.0, 0, 0), (-1.0, 1.0, 0, 0), (1e-5, 1.0, 0, 1), (0.0, 1.0, 0.1, 0), (0.0, 0.95, 0.1, 0), (0.1, 0.8, 0.1, 0),
    (0.0, 0.3, 0.1, 0), (-0.7, 0.7, 0.2, 0), (1.0, 1.0, 0, 0), (2.5, 2.5, 0.5, 0), (0.0, 0.4, 0.5, 0),
    (1e-300, 1e300, 0, 1), (0.0, 1e16, 1e3, 0), (0.05, 10.0, 0.05, 0), (-3.3, 9.9, 1.1, 0), (1.0, 2.0, 1 / 3, 0),
    (0.0, 7 / 3, 1 / 3, 0), (1e-7, 1e-6, 3e-7, 0), (123456.789, 987654.321, 0.001, 0), (0.0, 5e-324, 0, 0),
    (-1e308, 1e308, 0, 0), (0.001, 0.1, 0.001, 0), (16.0, 128.0, 16.0, 0), (0.7, 0.8, 0.1, 0), (0.1, 1.0, 0.3, 0),
]
INTS = [  # low, high, step, log
    (0, 10, 1, 0), (1, 10, 1, 1), (1, 8, 2, 0), (-7, 7, 3, 0), (5, 5, 1, 0), (5, 6, 10, 0), (1, 1 << 20, 1, 1),
    (-(1 << 53), 1 << 53, 1, 0), (0, (1 << 53) - 1, 7, 0), (32, 1024, 32, 0), (-10, -2, 3, 0),
]
CATEGORICALS = [
    ["a", "b"], ["sgd"], [None, True, False], [1, 2.5, "x"], ["\u00e9", "tab\t", 'quote"', "back\\slash", "\U0001f600"],
    [0.1, 1e-5, 1e22, -0.0], [math.nan, math.inf, -math.inf], [[1, 2], {"k": [None]}], ["true", True, "1", 1, 1.5],
]
READ = [  # what Optuna 3 to 5 reads beside its own form
    '{"type": "float", "low": 0, "high": 1}',
    '{"type": "float", "low": 0.5, "high": 2, "log": true}',
    '{"type": "float", "low": 0, "high": 1, "step": 0.3}',
    '{"type": "float", "low": 0, "high": 1, "step": null, "log": false}',
    '{"type": "int", "low": 1, "high": 9}',
    '{"type": "int", "low": 1, "high": 9, "step": 3}',
    '{"type": "int", "low": 1, "high": 9, "log": true, "step": null}',
    '{"type": "categorical", "choices": ["a", 1, null]}',
    '{"name": "FloatDistribution", "attributes": {"low": 0, "high": 1}}',
    '{"name":"FloatDistribution","attributes":{"high":1,"step":0.25,"low":0,"log":false}}',
    '{"name": "IntDistribution", "attributes": {"low": 1, "high": 10}}',
    '{"name": "IntDistribution", "attributes": {"low": 1.0, "high": 10.9}}',
    '{"name": "UniformDistribution", "attributes": {"low": 0.0, "high": 1.5}}',
    '{"name": "LogUniformDistribution", "attributes": {"low": 0.001, "high": 10}}',
    '{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 10.0, "q": 2.0}}',
    '{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 10.0, "q": 3.0}}',
    '{"name": "IntUniformDistribution", "attributes": {"low": 0, "high": 10}}',
    '{"name": "IntUniformDistribution", "attributes": {"low": 0, "high": 10, "step": 4}}',
    '{"name": "IntLogUniformDistribution", "attributes": {"low": 1, "high": 100, "step": 1}}',
    '{"name": "IntLogUniformDistribution", "attributes": {"low": 1, "high": 100}}',
    '{"name": "CategoricalDistribution", "attributes": {"choices": [NaN, Infinity, -Infinity, "\\u00e9"]}}',
    '{"name": "CategoricalDistribution", "attributes": {"choices": ["a", "a"]}}',
]
REFUSED = [
    "{}", "[]", '"x"', '{"name": "NoDistribution", "attributes": {}}', '{"type": "real", "low": 0, "high": 1}',
    '{"type": "float", "low": 1, "high": 0}', '{"type": "float", "low": 0, "high": 1, "log": true}',
    '{"type": "float", "low": 0, "high": 1, "step": 0}', '{"type": "int", "low": 0, "high": 3, "step": -1}',
    '{"type": "int", "low": 0, "high": 3, "log": true}', '{"type": "categorical", "choices": []}', '{"type": "float"}',
    '{"name": "IntDistribution"}', '{"name": "CategoricalDistribution", "attributes": {}}', "{",
]
LAWS = [  # law as in space_impl.h (1 rounded, 2 normal, 3 beta), whole, a, b, q, log
    (1, 0, 0.0, 10.0, 0.5, 0), (1, 0, 0.3, 0.7, 0.1, 0), (1, 0, 0.05, 0.95, 0.1, 0), (1, 0, -0.75, 0.35, 0.1, 0),
    (1, 1, 1.0, 100.0, 7.0, 0), (1, 1, 0.5, 1.5, 1.0, 0), (1, 1, -5.0, 5.0, 2.0, 0), (1, 0, 0.0, 0.4, 1.0, 0),
    (1, 1, 16.0, 256.0, 16.0, 0), (1, 1, 1.0, 100.0, 1.0, 1), (1, 1, 1.0, 100.0, 10.0, 1), (1, 0, 1e-5, 1.0, 1e-5, 1),
    (1, 1, 0.4, 100.0, 1.0, 1), (1, 0, 2.0, 2.0, 1.0, 0), (1, 0, 0.0, 1e-4, 1e-7, 0), (1, 0, 2.5, 2.5, 1.0, 0),
    (2, 0, 0.0, 1.0, 0.0, 0), (2, 0, 0.5, 0.1, 0.1, 0), (2, 1, 100.0, 30.0, 8.0, 0), (2, 0, 0.0, 1.0, 0.0, 1),
    (2, 0, -7.0, 2.0, 0.0, 1), (2, 0, 0.0, 1.0, 0.1, 1), (2, 1, 4.0, 0.5, 1.0, 1), (2, 1, 7.0, 0.5, 1.0, 1),
    (2, 0, 0.0, 0.001, 1.0, 0), (3, 0, 2.0, 5.0, 0.0, 0), (3, 0, 2.0, 5.0, 0.1, 0), (3, 0, 2.0, 5.0, 0.3, 0),
    (3, 1, 2.0, 2.0, 1.0, 0), (3, 0, 1.0, 3.0, 0.4, 0), (3, 1, 1.0, 1.0, 2.0, 0),
]
SOBOL = [(1, 256), (2, 256), (3, 256), (10, 256), (100, 128), (1000, 64), (1111, 64)]  # d, n


def ranges():
    for low, high, step, log in FLOATS:
        yield 0, low, high, step, log, FloatDistribution(low, high, log=bool(log), step=step or None)
    for low, high, step, log in INTS:
        yield 1, low, high, step, log, IntDistribution(low, high, log=bool(log), step=step)


def law_distribution(law, whole, a, b, q, log):
    """What Optuna can know of a law: the range of its values, -+ 7 sigma of a normal one."""
    low, high = (a, b) if law == 1 else (a - 7 * b, a + 7 * b) if law == 2 else (0.0, 1.0)
    if law == 2 and log:
        low, high = math.exp(low), math.exp(high)
    if q:
        # The multiples that numbers inside (low, high) round to. Where a bound is half way, in decimals, only one side is.
        low_k, high_k = (Fraction(str(v)) / Fraction(str(q)) for v in (low, high))
        first, last = math.floor(low_k + Fraction(1, 2)), math.ceil(high_k - Fraction(1, 2))
        if first > last:
            first = last = round(low_k)
        low, high = (float(k * Fraction(str(q))) for k in (first, last))
    if whole:
        return IntDistribution(int(low), int(high), step=int(q), log=bool(log) and q == 1 and low > 0)
    return FloatDistribution(low, high, step=q or None, log=bool(log) and not q)


def decoded():
    """Optuna's map from the unit cube, away from the borders of cells, where rounding decides."""
    rng = random.Random(7)
    for kind, low, high, step, log, dist in ranges():
        if dist.single() or high - low > 1e15 or (high - low) < 1e-300:
            continue
        transform = _SearchSpaceTransform({"x": dist}, transform_log=True, transform_step=True, transform_0_1=True)
        for _ in range(12):
            u = rng.random()
            near = [transform.untransform(np.array([min(max(u + e, 0), 1)]))["x"] for e in (-1e-9, 0, 1e-9)]
            if (step or kind) and len(set(near)) > 1:
                continue
            yield kind, low, high, step, log, u, near[1]


def sobol_hash(d, n):
    """h = h * 6364136223846793005 + x over all coordinates as 32-bit integers, row by row, modulo 2^64."""
    words = (qmc.Sobol(d, scramble=False, bits=32).random(n) * 2.0**32).astype(np.uint64).ravel().tolist()
    h = 1
    for x in words:
        h = (h * 6364136223846793005 + x) % 2**64
    return h


def golden():
    out = [
        "// SPDX-License-Identifier: Apache-2.0",
        "// golden_space.inc: made by oracle_space.py with Optuna and SciPy; do not edit.",
        "",
        "static const golden_range golden_ranges[] = { // kind, low, high, step, log, distribution_json",
    ]
    for kind, low, high, step, log, dist in ranges():
        numbers = ", ".join(c_double(v) for v in (low, high, step))
        out.append(f"    {{{kind}, {numbers}, {log},\n     {c_string(distribution_to_json(dist))}}},")
    out += ["};", "", "static const golden_law golden_laws[] = { // law, whole, a, b, q, log, distribution_json"]
    for law, whole, a, b, q, log in LAWS:
        text = distribution_to_json(law_distribution(law, whole, a, b, q, log))
        if json_to_distribution(text) != law_distribution(law, whole, a, b, q, log):
            sys.exit(f"Optuna reads another distribution from {text}")
        numbers = ", ".join(c_double(v) for v in (a, b, q))
        out.append(f"    {{{law}, {whole}, {numbers}, {log},\n     {c_string(text)}}},")
    out += ["};", "", "static const char *const golden_categoricals[] = { // distribution_json"]
    out += [f"    {c_string(distribution_to_json(CategoricalDistribution(c)))}," for c in CATEGORICALS]
    out += ["};", "", "static const char *const golden_reads[][2] = { // text, the same as Optuna writes it today"]
    for text in READ:
        dist = _convert_old_distribution_to_new_distribution(json_to_distribution(text), suppress_warning=True)
        out.append(f"    {{{c_string(text)},\n     {c_string(distribution_to_json(dist))}}},")
    out += ["};", "", "static const char *const golden_refused[] = {"]
    for text in REFUSED:
        try:
            json_to_distribution(text)
            sys.exit(f"Optuna accepts {text}")
        except Exception:
            out.append(f"    {c_string(text)},")
    out += ["};", "", "static const golden_decode golden_decodes[] = { // kind, low, high, step, log, u, value"]
    for kind, low, high, step, log, u, value in decoded():
        numbers = ", ".join(c_double(v) for v in (low, high, step))
        out.append(f"    {{{kind}, {numbers}, {log}, {c_double(u)}, {c_double(value)}}},")
    out += ["};", "", "static const golden_sobol golden_sobols[] = { // d, n, hash"]
    out += [f"    {{{d}, {n}, UINT64_C({sobol_hash(d, n)})}}," for d, n in SOBOL]
    out += ["};", ""]
    return "\n".join(out)


def main():
    text = golden()
    if len(sys.argv) == 1:
        sys.stdout.write(text)
    elif len(sys.argv) == 3 and sys.argv[1] == "--check":
        with open(sys.argv[2], encoding="ascii") as f:
            stored = f.read().splitlines()
        wrong = [(a, b) for a, b in zip(stored, text.splitlines()) if a != b]
        if wrong or len(stored) != len(text.splitlines()):
            sys.exit(f"{sys.argv[2]} is not what Optuna and SciPy say; first difference:\n{wrong[:1]}")
        print(f"{len(stored)} lines agree")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
