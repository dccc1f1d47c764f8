# SPDX-License-Identifier: Apache-2.0
"""oracle_yaml.py TOOL: our YAML 1.1 scalars against PyYAML's safe_load, and our Python formatting against Python's.

At least 2,000 generated plain scalars around the resolver's edges, and 2,000 generated values whose str() must agree.
"""
import json
import math
import random
import subprocess
import sys

import yaml


def same(a, b):
    if isinstance(a, bool) or isinstance(b, bool) or isinstance(a, str) or isinstance(b, str) or a is None or b is None:
        return type(a) is type(b) and a == b
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b):
        return True
    return type(a) is type(b) and a == b and math.copysign(1, a) == math.copysign(1, b)


def scalars(rng):
    fixed = """yes Yes YES yEs no No on On oN off true True TRUE tRue false ~ null Null NULL nULL 0 -0 +0 00 007 017 018 08
    0b101 0b12 -0b1 0x1F 0xg -0xff 0o17 1_000 1__0 _1 1_ 0_7 1:30 1:60 -1:30:30 1:30.5 0:30 01:30 1e3 1e-3 1.0e3 1.0e+3
    1.0e-3 1.e-3 .5 -.5 +.5 .5e-3 5. -5. 1.5_0 . .. .e3 +. - + .inf -.inf +.inf .Inf .iNf inf nan .nan .NaN -.nan 12e
    1.2.3 1-2 190:20:30.15 685_230.15 6.8523015e+5 9223372036854775807 9223372036854775808 -9223372036854775808 1e400
    1.0e+400 -1.0e+400 1.7976931348623157e+308 4.9e-324 0.1 100.0 1.0 abc a.b =""".split()
    alphabets = ["0123456789+-._eExXbo:ainfn", "0123456789.", "0123456789_:", "-+.0123456789eE", "abcefxon01~ .-é世"]
    shapes = ["{d}.{d}e{s}{d}", "{s}{d}.{d}", ".{d}", "0x{d}", "0{d}", "{d}:{d}:{d}", "{s}{d}:{d}.{d}", "{d}_{d}", "{d}e{d}"]
    keep, seen = [], set()

    def made():
        if rng.random() < 0.6:
            return "".join(rng.choice(rng.choice(alphabets)) for _ in range(rng.randint(1, 9))).strip()
        text = rng.choice(shapes)
        while "{" in text:
            text = text.replace("{d}", str(rng.randrange(10 ** rng.randint(1, 4))), 1)
            text = text.replace("{s}", rng.choice(["", "+", "-"]), 1)
        return text

    while len(keep) < 2400:
        text = fixed.pop(0) if fixed else made()
        if text in seen:
            continue
        seen.add(text)
        try:
            value = yaml.safe_load("- " + text)
        except (yaml.YAMLError, ValueError, AttributeError):
            continue
        # Mappings like "a:" and dates are outside the scalar rules; huge integers become floats with us.
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], (str, int, float, bool, type(None))):
            keep.append((text, value[0]))
    return keep


def values(rng, n):
    def scalar():
        kind = rng.randrange(6)
        if kind == 0:
            return rng.choice([True, False, None])
        if kind == 1:
            return rng.randint(-(10**12), 10**12)
        if kind == 2:
            return rng.uniform(-1, 1) * 10 ** rng.randint(-20, 20)
        return "".join(rng.choice("ab'\"\\ \n\té世\x07") for _ in range(rng.randint(0, 5)))

    def value(depth):
        kind = rng.randrange(6 if depth < 3 else 4)
        if kind == 4:
            return [value(depth + 1) for _ in range(rng.randint(0, 3))]
        if kind == 5:
            return {"k%d" % i: value(depth + 1) for i in range(rng.randint(0, 3))}
        return scalar()

    return [value(0) for _ in range(n)]


def main():
    tool = sys.argv[1]
    rng = random.Random(20260101)
    bad = 0

    cases = scalars(rng)
    kinds = {t.__name__: sum(type(v) is t for _, v in cases) for t in (str, int, float, bool, type(None))}
    document = "\n".join("- " + text for text, _ in cases) + "\n"
    out = subprocess.run([tool], input=document, capture_output=True, text=True, check=True).stdout
    ours = json.loads(out.splitlines()[0])
    assert len(ours) == len(cases), (len(ours), len(cases))
    for (text, theirs), mine in zip(cases, ours):
        if isinstance(theirs, int) and not isinstance(theirs, bool) and not -(2**63) <= theirs < 2**63:
            theirs = float(theirs)
        if not same(theirs, mine):
            bad += 1
            print(f"scalar {text!r}: PyYAML {theirs!r}, ours {mine!r}")

    made = values(rng, 2000)
    out = subprocess.run([tool], input=json.dumps(made), capture_output=True, text=True, check=True).stdout
    # str() of text may hold line ends, so compare the whole.
    mine = out.split("\n", 1)[1]
    theirs = "".join(str(v) + "\n" for v in made)
    if mine != theirs:
        bad += 1
        for a, b in zip(mine.split("\n"), theirs.split("\n")):
            if a != b:
                print(f"str(): Python {b!r}, ours {a!r}")
                break
    print(f"scalars by kind: {kinds}")
    print(f"{len(cases)} scalars and {len(made)} values compared, {bad} differences")
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
