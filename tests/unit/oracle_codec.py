#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The laws of a space against SciPy, NumPy and Optuna, at many points of the unit interval and not by chance.

usage: oracle_codec.py CODEC_TOOL

decode(u) is held against scipy.stats.<law>.ppf(u), rounded as numpy.round(x / q) * q does; encode(decode(u)) against the
middle of the value's cell under the law's distribution function; the range that Optuna is told against what Optuna makes
of it. One line a check; exit status 1 if one fails.
"""
import json
import math
import subprocess
import sys
import warnings

import numpy as np
from optuna.distributions import distribution_to_json, json_to_distribution
from scipy import special, stats

EPS = 2.0**-52
failed = 0


def check(name, worst, limit, note=""):
    global failed
    ok = worst <= limit
    failed += not ok
    print(f"{'ok  ' if ok else 'FAIL'} {name}: {worst:.3g} (at most {limit:g}) {note}".rstrip())


def ask(tool, lines):
    text = "".join(json.dumps(line) + "\n" for line in lines)
    out = subprocess.run([tool], input=text, capture_output=True, text=True, timeout=300, check=False)
    if out.returncode:
        sys.exit(out.stderr)
    return [json.loads(line) for line in out.stdout.splitlines()]


def points(n, seed):
    """0, 1, both tails and n points between."""
    tail = [10.0**-k for k in range(1, 17)]
    u = np.random.default_rng(seed).random(n)
    return np.concatenate([[0.0, 1.0, 0.5], tail, [1 - t for t in tail], u])


UNIFORM = [  # low, high, q, whole
    (0, 10, 0.5, 0), (0, 1, 0.1, 0), (0.05, 0.95, 0.1, 0), (-3.3, 7.7, 1.1, 0), (1, 100, 7, 1), (0.5, 1.5, 1, 1),
    (-5, 5, 2, 1), (0, 0.4, 1, 0), (1e-3, 2e-3, 1e-5, 0), (16, 256, 16, 1), (-1e6, 1e6, 0.25, 0), (2, 2, 1, 1),
    (0, 1, 1 / 3, 0), (1e10, 2e10, 1e3, 1), (0.15, 0.85, 0.1, 0), (-0.25, 0.25, 0.5, 0), (3, 4, 10, 1), (0.3, 0.7, 0.1, 0),
]
LOG_UNIFORM = [(1, 100, 1, 1), (1e-5, 1, 1e-5, 0), (0.1, 10, 0.5, 0), (1, 1e6, 10, 1), (0.001, 0.4, 0.1, 0), (1, 1.5, 0.01, 0)]
NORMAL = [  # mu, sigma, q, whole
    (0, 1, 0, 0), (5, 0.1, 0, 0), (-1e6, 3, 0, 0), (0, 1, 0.1, 0), (0, 1, 1, 1), (100, 30, 8, 1), (0.3, 0.01, 0.001, 0),
    (0, 1e-3, 1, 0), (0, 1, 1e-5, 0), (1e-200, 1e-201, 0, 0), (32.5, 8, 1, 1),
]
LOG_NORMAL = [(0, 1, 0, 0), (-7, 2, 0, 0), (0, 1, 0.1, 0), (3, 0.5, 1, 1), (0, 0.25, 0.25, 0), (-90, 0.01, 0, 0), (4, 1, 8, 1)]
BETA = [  # a, b, q, whole
    (1, 1, 0, 0), (2, 5, 0, 0), (0.5, 0.5, 0, 0), (0.1, 3, 0, 0), (5, 1, 0, 0), (2, 5, 0.1, 0), (0.5, 0.5, 0.01, 0),
    (2, 2, 1, 1), (50, 30, 0.05, 0), (1, 3, 0.4, 0), (3, 1, 0.3, 0), (1e4, 2e4, 0, 0), (1e4, 1e4, 0.001, 0),
]


def cases():
    """Text of the space, frozen distribution, its logarithm's if there is one, q, whether whole."""
    for low, high, q, whole in UNIFORM:
        yield {"law": "uniform", "low": low, "high": high}, stats.uniform(low, high - low), q, whole
    for low, high, q, whole in LOG_UNIFORM:
        yield {"law": "uniform", "low": low, "high": high, "log": True}, stats.loguniform(low, high), q, whole
    for mu, sigma, q, whole in NORMAL:
        yield {"law": "normal", "mu": mu, "sigma": sigma}, stats.norm(mu, sigma), q, whole
    for mu, sigma, q, whole in LOG_NORMAL:
        law = stats.lognorm(s=sigma, scale=math.exp(mu))
        yield {"law": "normal", "mu": mu, "sigma": sigma, "log": True}, law, q, whole
    for a, b, q, whole in BETA:
        yield {"law": "beta", "a": a, "b": b}, stats.beta(a, b), q, whole


def rounded(x, q):
    return np.round(x / q) * q


def beta_cdf(a, b, x):
    """SciPy's betainc for the arcsine law has an error of 1e-11 near x = 1, which its mirror image has not; near 0 the mirror would
    round x away."""
    p = special.betainc(a, b, x)
    return np.where((x <= 0.5) | (p < 0.5), p, 1 - special.betainc(b, a, 1 - x))


def beta_pdf(a, b, x):
    with np.errstate(all="ignore"):  # SciPy's raises where it overflows
        return np.exp(special.xlogy(a - 1, x) + special.xlog1py(b - 1, -x) - special.betaln(a, b))


def cdf_of(spec, law):
    return (lambda x: beta_cdf(spec["a"], spec["b"], np.clip(x, 0, 1))) if spec["law"] == "beta" else law.cdf


def check_law(tool_case, law, q, whole, answer, u):
    spec, name = tool_case, " ".join(f"{k}={v}" for k, v in tool_case.items()) + (f" q={q}" if q else "")
    v, back = np.array(answer["decode"], float), np.array(answer["encode"])
    cdf = cdf_of(spec, law)
    with np.errstate(all="ignore"):
        x = law.ppf(u) if not (spec["law"] == "uniform" and spec["low"] == spec["high"]) else np.full(len(u), spec["low"])
        if spec["law"] == "normal":  # all but the last 7 sigma
            low, high = (spec["mu"] + s * 7 * spec["sigma"] for s in (-1, 1))
            x = np.clip(x, *((math.exp(low), math.exp(high)) if spec.get("log") else (low, high)))
    dist = answer["distribution"]["attributes"]
    kind = "IntDistribution" if whole else "FloatDistribution"
    check(f"{name}: class and step", (answer["distribution"]["name"] != kind) + (dist["step"] != (q or None)), 0)

    if q:
        # Where SciPy's x is a rounding error from the border of two cells, either value is right.
        size = np.maximum(np.abs(x), np.abs(spec.get("mu", 0)))
        near = [rounded(x + e * size, q) for e in (-64 * EPS, 0, 64 * EPS)]
        ends = dist["low"], dist["high"]

        def legal(values):  # the ends are multiples of q to the digit: 0.7 where 7 * 0.1 is 0.7000000000000001
            for end in ends:
                values = np.where(np.abs(values - end) <= 4 * EPS * abs(end), end, values)
            return np.clip(values, *ends)

        wanted = [legal(n) for n in near]
        wrong = sum(1 for i in range(len(u)) if v[i] not in [w[i] for w in wanted])
        check(f"{name}: decode is round(ppf / q) * q at {len(u)} points", wrong, 0)
        # Clipping hides nothing but the value that x = low alone rounds to.
        beyond = np.min([np.abs(n - w) / np.maximum(np.abs(n), q) for n, w in zip(near, wanted)], axis=0)
        check(f"{name}: no value outside the range", np.max(beyond[(u > 0) & (u < 1)]), 4 * EPS)
        values = np.array(sorted(set(v)))
        n = round((dist["high"] - dist["low"]) / q) + 1
        if n > 1:
            cell = np.where(v <= dist["low"], 0, cdf(v - q / 2)), np.where(v >= dist["high"], 1, cdf(v + q / 2))
            # A cell in the tail is narrower than what numbers near 1 tell apart: there any u of it will do.
            wide = cell[1] - cell[0] > 1e-10
            check(f"{name}: encode is the middle of the cell", np.max(np.abs(back - (cell[0] + cell[1]) / 2)[wide], initial=0), 1e-13)
        again = np.array(ask(TOOL, [{"space": answer["text"], "u": back.tolist()}])[0]["decode"], float)
        check(f"{name}: decode(encode(v)) is v for {len(values)} values", int(np.sum(again != v)), 0)
        finite = -1 if spec["law"] == "normal" and n > 1 else n
        check(f"{name}: cardinality", abs(answer["cardinality"] - finite), 0)
    else:
        pdf = (lambda x: beta_pdf(spec["a"], spec["b"], x)) if spec["law"] == "beta" else law.pdf
        with np.errstate(all="ignore"):
            # What a last bit of u or of the ratio in the exponent is worth in x.
            slope = 8 * EPS * np.minimum(u, 1 - u) / np.maximum(pdf(x), 1e-300)
            size = np.abs(x) + abs(spec.get("mu", 0)) * (np.abs(x) if spec.get("log") else 1)
            error = np.where(np.maximum(np.abs(v), np.abs(x)) < 1e-290, 0, np.abs(v - x)) / (slope + 1e-13 * size + 1e-300)
        inner = (u > 0) & (u < 1)
        error[~inner] = 0
        k = int(np.argmax(error))
        check(f"{name}: decode is ppf at {len(u)} points", error[k], 1, f"u {u[k]:.17g}: {v[k]:.17g} {x[k]:.17g}")
        check(f"{name}: encode is cdf", np.max(np.abs(back - cdf(v))[inner & (np.abs(v) > 1e-300)]), 1e-13 if spec["law"] != "normal" else 4e-12)
        check(f"{name}: not finite", answer["cardinality"] != -1, 0)

    # Optuna: takes the text without changing it, and every value is in its range.
    text = json.dumps(answer["distribution"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            d = json_to_distribution(text)
            same = json.loads(distribution_to_json(d)) == answer["distribution"]
            inside = all(d._contains(d.to_internal_repr(int(w) if whole else w)) for w in set(v))
            check(f"{name}: Optuna has the same range and each value in it", (not same) + (not inside), 0)
        except (UserWarning, ValueError) as e:
            check(f"{name}: Optuna has the same range and each value in it", 1, 0, str(e))


def check_beta(tool):
    rng = np.random.default_rng(11)
    # Beyond these shapes and tails SciPy itself is wrong (betainc(0.001, 1e6, 1.2e-18) is 0); test_base_beta.c has mpmath's.
    shapes = [(10.0**p, 10.0**r) for p in (-1, 0, 1, 2, 3) for r in (-1, 0, 1, 2, 3)]
    shapes += [tuple(10 ** rng.uniform(-1, 3, 2)) for _ in range(100)] + [(1.0, 2.5), (0.5, 0.5), (16.0, 15.9)]
    lines, wanted = [], []
    for a, b in shapes:
        u = points(40, 3)
        u = u[(u > 0) & (u < 1)]
        # Where the law lives, and far outside of it.
        with np.errstate(all="ignore"):
            x = np.concatenate([special.betaincinv(a, b, u), rng.random(20)])
        x = x[(x > 0) & (x < 1)]
        lines += [{"beta": [a, b], "u": u.tolist()}, {"beta": [a, b], "x": x.tolist()}]
        wanted.append((a, b, u, x))
    answers = ask(tool, lines)
    worst = dict.fromkeys(("cdf", "ppf"), (0.0, ""))
    for i, (a, b, u, x) in enumerate(wanted):
        with np.errstate(all="ignore"):
            p = beta_cdf(a, b, x)
            # Conditioning of the exponent: x^a, known to a last bit of x.
            got = np.array(answers[2 * i + 1])
            front = np.abs(np.log(np.maximum(p, 1e-300)))
            error = np.abs(got - p) / np.maximum(p, 1e-250) / (1 + front)
            k = int(np.argmax(error))
            worst["cdf"] = max(worst["cdf"], (float(error[k]), f"a {a:g} b {b:g} x {x[k]:g}: {got[k]:.17g} {p[k]:.17g}"))
            q = np.array(answers[2 * i])
            s = special.betaincinv(a, b, u)
            pdf = beta_pdf(a, b, s)
            # What a relative error of 1e-15 in u or 1 - u is worth, beside the last bit of the answer.
            worth = np.minimum(u, 1 - u) / np.maximum(pdf, 1e-300) + np.abs(s)
            error = np.where((s < 1e-290) & (q < 1e-290), 0, np.abs(q - s) / worth)
            k = int(np.argmax(error))
            worst["ppf"] = max(worst["ppf"], (float(error[k]), f"a {a:g} b {b:g} u {u[k]:g}: {q[k]:.17g} {s[k]:.17g}"))
    for what, (error, note) in worst.items():
        check(f"beta {what} against SciPy, {len(shapes)} pairs of shapes", error, 1e-13, note)


def check_choices(tool):
    for p in ([0.7, 0.3], [0, 0.25, 0, 0.75, 0], [0.1] * 10, [1 / 3] * 3, [0, 0, 1], [1, 0], [1e-9, 1 - 1e-9], [1e-18, 0.5, 0.5]):
        p = np.array(p)
        text = json.dumps({"parameters": [{"name": "x", "type": "categorical", "choices": list(range(len(p))), "probabilities": p.astype(float).tolist()}]})
        u = points(2000, 5)
        answer = ask(tool, [{"space": text, "u": u.tolist()}])[0]
        v, back = np.array(answer["decode"], int), np.array(answer["encode"])
        c = np.concatenate([[0], np.cumsum(p)])
        wrong = sum(1 for k, x in zip(v, u) if not (c[k] - 1e-15 <= x <= c[k + 1] + 1e-15) or p[k] == 0)
        check(f"probabilities {p.tolist()}: the choice whose cell u is in, never one of 0", wrong, 0)
        check(f"probabilities {p.tolist()}: encode is the middle", np.max(np.abs(back - (c[v] + c[v + 1]) / 2)), 1e-15)
        check(f"probabilities {p.tolist()}: cardinality", abs(answer["cardinality"] - int(np.sum(p > 0))), 0)
        check(f"probabilities {p.tolist()}: the text is kept", answer["text"] != text, 0)


def main():
    global TOOL
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    TOOL = sys.argv[1]
    everything = list(cases())
    us = [points(3000, i) for i in range(len(everything))]
    lines = []
    for (spec, _, q, whole), u in zip(everything, us):
        parameter = {"name": "x", "type": "int" if whole else "float", **spec, **({"q": q} if q else {})}
        lines.append({"space": json.dumps({"parameters": [parameter]}), "u": u.tolist()})
    for (spec, law, q, whole), answer, u in zip(everything, ask(TOOL, lines), us):
        check_law(spec, law, q, whole, answer, u)
    check_choices(TOOL)
    check_beta(TOOL)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
