# SPDX-License-Identifier: Apache-2.0
"""oracle_sweep.py TOOL: sweep files against Python, NumPy and SciPy: what W&B's own programs are made of.

1. Commands: 2,000 generated values pass through JSON as W&B's server passes them (a whole double below 1e21 has no
   point there, so Python reads an integer) and are written by every argument macro as Python writes them.
2. Laws: every distribution at 400 places of the unit interval against scipy.stats' ppf and numpy's round.
3. Grids: whole generated grids against numpy.arange and itertools.product.
"""
import itertools
import json
import math
import random
import subprocess
import sys
from decimal import Decimal

import numpy as np
import yaml
from scipy import stats

TOOL = sys.argv[1]
FAILED = []


def check(what, count, differences):
    print(f"{what}: {count} compared, {len(differences)} differences")
    for line in differences[:5]:
        print("  " + line)
    if differences:
        FAILED.append(what)


def run(text, *args):
    done = subprocess.run([TOOL, *args], input=text.encode(), capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"{args}: {done.stderr.decode()}\n{text[:2000]}")
    return done.stdout


# ---- 1: commands


def through_server(value):
    """The value after a round trip through JSON with doubles as the only numbers; integers in YAML stay exact here."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(Decimal(repr(value)))
    if isinstance(value, list):
        return [through_server(v) for v in value]
    if isinstance(value, dict):
        return {k: through_server(v) for k, v in value.items()}
    return value


def generated(rng, depth=0):
    kind = rng.randrange(9 if depth < 3 else 7)
    if kind == 0:
        return rng.choice([True, False, None])
    if kind == 1:
        return rng.choice([0, 1, -1, rng.randint(-(10**6), 10**6), rng.randint(-(2**63), 2**63 - 1)])
    if kind == 2:  # floats of all sizes
        return float(f"{rng.choice(['', '-'])}{rng.uniform(1, 10):.{rng.randint(0, 16)}f}e{rng.randint(-320, 307)}")
    if kind == 3:  # around the ends of Python's plain notation, and whole ones
        return rng.choice([1e-4, 1e-5, 9.9999e-5, 1e15, 1e16, 123456789012345680.0, 2.0**53, 2.0**60, -(2.0**62), 1e18,
                           9.223372036854775e18, 1e19, 1e20, 1e22, 0.1, 100.0, -0.0, 5e-324, 1.7976931348623157e308,
                           float(rng.randint(-(2**60), 2**60)), rng.random(), rng.randint(-9999, 9999) / 8])
    if kind < 7:
        letters = "abz019 _-=.,:'\"\\/{}[]#&*!|>%@`~$()\n\t\x01\x7f\x85\xa0\xadéß世界\u2028\ufeff\U0001f600"
        return "".join(rng.choice(letters) for _ in range(rng.randint(0, 8)))
    if kind == 7:
        return [generated(rng, depth + 1) for _ in range(rng.randint(0, 4))]
    return {generated_key(rng): generated(rng, depth + 1) for _ in range(rng.randint(0, 4))}


def generated_key(rng):
    return "k" + "".join(rng.choice("abz019_'\"\\ é世") for _ in range(rng.randint(0, 4)))


def expected_words(config, macro):
    if macro == "args_json":
        return [json.dumps(config)]
    words = []
    for k, v in config.items():
        if macro == "args_no_equals":
            words += [f"--{k}", str(v)]
        elif macro == "args_no_boolean_flags" and isinstance(v, bool):
            words += [f"--{k}"] if v else []
        else:
            prefix = {"args_no_hyphens": "", "args_append_hydra": "+", "args_override_hydra": "++"}.get(macro, "--")
            words.append(f"{prefix}{k}={v}")
    return words


def commands(rng, n):
    values = {f"p{i}": generated(rng) for i in range(n)}
    sweep = {"method": "random", "parameters": {k: {"value": v} for k, v in values.items()}}
    text = yaml.safe_dump(sweep, sort_keys=False, allow_unicode=True, width=10**6)
    read = {k: v["value"] for k, v in yaml.safe_load(text)["parameters"].items()}  # what W&B's client reads
    config = through_server(read)
    macros = ["args", "args_no_hyphens", "args_no_boolean_flags", "args_no_equals", "args_append_hydra",
              "args_override_hydra", "args_json"]
    for macro in macros:
        out = run(text + f"command: [x, '${{{macro}}}']\n", "words").decode().split("\0")
        wanted = ["x"] + expected_words(config, macro) + [""]
        bad = [f"Python {b!r}, ours {a!r}" for a, b in zip(out, wanted) if a != b]
        if len(out) != len(wanted):
            bad.append(f"{len(out)} words instead of {len(wanted)}")
        check(f"${{{macro}}}", n, bad)


# ---- 2: laws


def laws(rng):
    def rounded(x, q):
        return np.round(x / q) * q

    def uniform(u, low, high):
        return stats.uniform.ppf(u, low, high - low)

    e = math.exp
    table = []  # name, keys, ppf before rounding
    for _ in range(12):
        low = rng.uniform(-5, 5)
        high = low + rng.uniform(0.5, 20)
        a, b = rng.uniform(0.01, 3), rng.uniform(4, 500)
        mu, sigma = rng.uniform(-2, 3), rng.uniform(0.1, 1.5)
        s, t = rng.uniform(0.3, 6), rng.uniform(0.3, 6)
        table += [
            ("uniform", {"min": low, "max": high}, lambda u, l=low, h=high: uniform(u, l, h)),
            ("log_uniform", {"min": low, "max": high}, lambda u, l=low, h=high: np.exp(uniform(u, l, h))),
            ("log_uniform_values", {"min": a, "max": b}, lambda u, l=a, h=b: np.exp(uniform(u, np.log(l), np.log(h)))),
            ("inv_log_uniform", {"min": low, "max": high}, lambda u, l=low, h=high: np.exp(-uniform(1 - u, l, h))),
            ("inv_log_uniform_values", {"min": a, "max": b},
             lambda u, l=a, h=b: np.exp(-uniform(1 - u, -np.log(h), -np.log(l)))),
            ("normal", {"mu": mu, "sigma": sigma}, lambda u, m=mu, s=sigma: stats.norm.ppf(u, m, s)),
            ("log_normal", {"mu": mu, "sigma": sigma}, lambda u, m=mu, s=sigma: stats.lognorm.ppf(u, s, scale=e(m))),
            ("beta", {"a": s, "b": t}, lambda u, s=s, t=t: stats.beta.ppf(u, s, t)),
        ]
    table += [("normal", {}, lambda u: stats.norm.ppf(u)), ("log_normal", {}, lambda u: stats.lognorm.ppf(u, 1)),
              ("beta", {}, lambda u: u)]
    us = [(i + 0.5 + rng.uniform(-0.4, 0.4)) / 400 for i in range(400)]
    parameters, expected = {}, {}
    for name, keys, ppf in table:
        for q in (None, "default", 1, 3, 0.25, 0.1) if not name.startswith("inv") else (None,):
            p = dict(keys, distribution=name if q is None else "q_" + name)
            x = ppf(np.array(us))
            if q is not None and q != "default":
                p["q"] = q
            if q is not None:
                x = rounded(x, 1 if q == "default" else q)
            key = f"p{len(parameters)}"
            parameters[key] = p
            expected[key] = (x, isinstance(q, int) or q == "default", q is not None, ppf(np.array(us)))
    text = yaml.safe_dump({"method": "random", "program": "t", "parameters": parameters}, sort_keys=False)
    got = [json.loads(line) for line in run(text, "values", *map(repr, us)).decode().splitlines()]
    bad = []
    count = 0
    for key, (x, whole, is_rounded, raw) in expected.items():
        q = float(parameters[key].get("q", 1))
        for i, row in enumerate(got):
            count += 1
            v = row[key]
            if isinstance(v, int) != whole:
                bad.append(f"{parameters[key]}: {v!r} should be {'an integer' if whole else 'a float'}")
            elif is_rounded:
                cell = raw[i] / q
                on_edge = abs(abs(cell - math.floor(cell)) - 0.5) < 1e-9 * max(1, abs(cell))
                if not on_edge and abs(v - x[i]) > 1e-9 * max(1, abs(x[i])):
                    bad.append(f"{parameters[key]} at {us[i]}: W&B {x[i]!r}, ours {v!r}")
            elif not math.isclose(v, x[i], rel_tol=1e-9, abs_tol=1e-12):
                bad.append(f"{parameters[key]} at {us[i]}: W&B {x[i]!r}, ours {v!r}")
    check(f"laws, {len(parameters)} parameters", count, bad)

    bad, count = [], 0
    for _ in range(40):  # choices with probabilities
        n = rng.randint(1, 9)
        w = [rng.choice([0, rng.random()]) for _ in range(n)]
        w[rng.randrange(n)] += 0.1
        p = [v / sum(w) for v in w]
        text = yaml.safe_dump({"method": "random", "program": "t",
                               "parameters": {"c": {"values": list(range(n)), "probabilities": p}}})
        cdf = np.cumsum(p)
        for u, line in zip(us, run(text, "values", *map(repr, us)).decode().splitlines()):
            count += 1
            v, wanted = json.loads(line)["c"], int(np.argmin(u >= cdf))
            if v != wanted and np.min(np.abs(cdf - u)) > 1e-9:
                bad.append(f"{p} at {u}: W&B {wanted}, ours {v}")
    check("probabilities", count, bad)


# ---- 3: grids


def grid_values(p):
    if "value" in p:
        return [p["value"]]
    if "values" in p:
        values = []
        for v in map(through_server, p["values"]):
            if not any(type(v) is type(w) and v == w for w in values):
                values.append(v)
        return values
    if p.get("distribution") == "q_uniform":
        return through_server(np.arange(p["min"], p["max"], p.get("q", 1)).tolist())
    return list(range(p["min"], p["max"] + 1))


def generated_grid(rng):
    parameters = {}
    for name in rng.sample(["lr", "Depth", "a", "a_b", "a-b", "zeta", "_x", "B"], rng.randint(1, 4)):
        kind = rng.randrange(5)
        if kind == 0:
            p = {"values": [rng.choice(["x", "y", "1", 1, 1.0, 2.5, True, False, None]) for _ in range(rng.randint(1, 5))]}
        elif kind == 1:
            low = rng.randint(-5, 5)
            p = {"min": low, "max": low + rng.randint(1, 5)}
        elif kind == 2:
            p = {"value": rng.choice(["c", 3, 4.0])}
        elif kind == 3:
            low = rng.randint(-5, 5)
            p = {"distribution": "q_uniform", "min": low, "max": low + rng.randint(1, 9)}
            if rng.random() < 0.7:
                p["q"] = rng.randint(1, 4)
        else:
            low = rng.choice([0.0, 0.1, -1.5, 2, 1e-3])
            p = {"distribution": "q_uniform", "min": low, "max": low + rng.uniform(0.05, 1.2),
                 "q": rng.choice([0.1, 0.25, 0.3, 0.05, 0.7])}
            if rng.random() < 0.5:
                p["max"] = round(p["max"], 2)
                if p["max"] <= p["min"]:
                    p["max"] = p["min"] + 1
        parameters[name] = p
    return parameters


def same_words(mine, wanted):
    """Equal, or numbers that differ in the last digits: arange adds up steps, the grid here multiplies them."""
    if len(mine) != len(wanted):
        return False
    for a, b in zip(mine, wanted):
        if a == b:
            continue
        (ka, va), (kb, vb) = a.split("="), b.split("=")
        try:
            if ka != kb or not math.isclose(float(va), float(vb), rel_tol=1e-12, abs_tol=1e-12):
                return False
        except ValueError:
            return False
    return True


def grids(rng, n):
    bad, points = [], 0
    for _ in range(n):
        parameters = generated_grid(rng)
        text = yaml.safe_dump({"method": "grid", "parameters": parameters, "command": ["x", "${args}"]}, sort_keys=False)
        mine = [c.decode().split("\0") for c in run(text, "grid").split(b"\0\0")[:-1]]
        names = sorted(parameters)
        wanted = []
        for values in itertools.product(*(grid_values(parameters[k]) for k in names)):
            config = dict(zip(names, values))
            wanted.append(["x"] + [f"--{k}={config[k]}" for k in parameters])
        points += len(wanted)
        if len(mine) != len(wanted):
            bad.append(f"{parameters}: {len(wanted)} points, ours {len(mine)}")
        else:
            bad += [f"{parameters}: {b}, ours {a}" for a, b in zip(mine, wanted) if not same_words(a, b)][:1]
    check(f"grids, {n} of them", points, bad)


def main():
    rng = random.Random(20260915)
    commands(rng, 2000)
    laws(rng)
    grids(rng, 150)
    return 1 if FAILED else 0


if __name__ == "__main__":
    sys.exit(main())
