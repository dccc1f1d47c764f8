# SPDX-License-Identifier: Apache-2.0
"""Parameter files for WANDB_SWEEP_PARAM_PATH, read back by PyYAML as wandb does, against the values that went in.

usage: oracle_wandb.py wandb_tool
"""
import json
import math
import random
import subprocess
import sys

import yaml

TEXTS = ["", "adam", "yes", "on", "null", "~", "1e-3", "1.0", "0x10", "017", "1:30", "- a", "a: b", "# no", "'", '"', "\\",
         "line\nline", "tab\t", " blanks ", "é", "\u2028", "\x7f", "\x85", "\ufeff", "\U0001f600", "\x01", "{a}", "%x", "@"]
FLOATS = [0.0, -0.0, 1.0, 0.1, 1e-5, 1e22, 1e16, 123456789.0, 5e-324, 1.7976931348623157e308, 2.5e-7, math.inf,
          -math.inf, math.nan]


def value(rng, depth):
    kind = rng.randrange(8 if depth < 3 else 6)
    if kind == 0:
        return rng.choice([None, True, False])
    if kind == 1:
        return rng.choice([0, -1, 7, 2**53, -2**63, 2**63 - 1, rng.randrange(-10**6, 10**6)])
    if kind == 2:
        return rng.choice(FLOATS)
    if kind == 3:
        return rng.uniform(-1, 1) * 10.0 ** rng.randrange(-300, 300)
    if kind == 4:
        return rng.choice(TEXTS)
    if kind == 5:
        return "".join(rng.choice("ab:{}[],&*#?|-<>=!%@\\\"' \n\té\U0001f600") for _ in range(rng.randrange(12)))
    if kind == 6:
        return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(TEXTS) or "k": value(rng, depth + 1) for _ in range(rng.randrange(4))}


def same(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    return a == b


def main():
    rng = random.Random(1)
    names = ["lr", "yes", "on", "n", "opt.name", "_x", "a-b", "null", "batch_size"]
    configs = [{}] + [{k: value(rng, 0) for k in rng.sample(names, rng.randrange(1, 6))} for _ in range(2000)]
    lines = "".join(json.dumps(c) + "\n" for c in configs)
    out = subprocess.run([sys.argv[1]], input=lines.encode(), stdout=subprocess.PIPE, check=True).stdout
    files = out.split(b"\0")[:-1]
    wrong = 0
    for config, text in zip(configs, files):
        try:
            read = yaml.safe_load(text)
            ok = read.pop("wandb_version") == 1 and all(list(v) == ["value"] for v in read.values())
            ok = ok and same({k: v["value"] for k, v in read.items()}, config)
        except (yaml.YAMLError, AttributeError) as error:
            ok, read = False, error
        if not ok:
            wrong += 1
            print(f"FAILED: {config!r}\n  became {text!r}\n  read as {read!r}")
    print(f"{len(files)} of {len(configs)} files written, {wrong} read back differently")
    return 1 if wrong or len(files) != len(configs) else 0


if __name__ == "__main__":
    sys.exit(main())
