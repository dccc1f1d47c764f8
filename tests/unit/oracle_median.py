# SPDX-License-Identifier: Apache-2.0
"""Compares every decision of our median pruner with Optuna's on random learning curves.

usage: oracle_median.py <median_tool>

Curves have NaN reports, gaps, steps that arrive out of order, equal values, and trials in all states; start-up, warm-up,
interval and minimum number of trials vary. Infinite values are left out: there numpy's interpolation gives NaN and Optuna
keeps every trial, which ours does not follow on purpose (see pruner_median.c).
"""

import json
import math
import subprocess
import sys
import warnings

import numpy as np
import optuna
from optuna.pruners import MedianPruner
from optuna.trial import TrialState, create_trial


def curve(rng, n_steps, nan, ties):
    steps = [s for s in range(n_steps) if rng.random() < 0.8]
    level = rng.normal()
    out = []
    for s in steps:
        v = level + 1.0 / (1 + s) + 0.2 * rng.normal()
        v = round(v, 1) if ties else v
        out.append([s, math.nan if rng.random() < nan else float(v)])
    return out


def make_case(rng):
    n_steps = int(rng.integers(1, 14))
    nan, ties = float(rng.choice([0, 0.2, 0.9])), bool(rng.integers(2))
    running = curve(rng, n_steps, nan, ties)
    if rng.random() < 0.2:
        rng.shuffle(running)
    return {
        "maximize": bool(rng.integers(2)),
        "n_startup": int(rng.choice([0, 1, 3, 5])),
        "n_warmup": int(rng.choice([0, 0, 2, 5])),
        "interval": int(rng.choice([1, 1, 2, 4])),
        "n_min_trials": int(rng.choice([1, 1, 3])),
        "trials": [{"state": str(rng.choice(["COMPLETE", "PRUNED", "FAIL"], p=[0.8, 0.1, 0.1])),
                    "reports": curve(rng, n_steps, nan, ties)} for _ in range(int(rng.integers(0, 12)))],
        "running": running,
    }


def decisions(case):
    study = optuna.create_study(direction="maximize" if case["maximize"] else "minimize")
    for t in case["trials"]:
        study.add_trial(create_trial(state=TrialState[t["state"]], value=0.0 if t["state"] == "COMPLETE" else None,
                                     intermediate_values=dict(map(tuple, t["reports"]))))
    pruner = MedianPruner(case["n_startup"], case["n_warmup"], case["interval"], n_min_trials=case["n_min_trials"])
    out = []
    for i in range(len(case["running"])):
        trial = create_trial(state=TrialState.RUNNING, intermediate_values=dict(map(tuple, case["running"][: i + 1])))
        out.append(bool(pruner.prune(study, trial)))
    return out


def main():
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(77)
    cases = [make_case(rng) for _ in range(1500)]
    done = subprocess.run([sys.argv[1]], input=json.dumps(cases), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{sys.argv[1]} failed: {done.stderr}")
    ours = json.loads(done.stdout)
    n, n_pruned = 0, 0
    for case, got in zip(cases, ours, strict=True):
        expected = decisions(case)
        if got != expected:
            sys.exit(f"decisions differ\n case {json.dumps(case)}\n ours   {got}\n optuna {expected}")
        n += len(got)
        n_pruned += sum(got)
    if not 0.1 * n < n_pruned < 0.9 * n:
        sys.exit(f"the cases say little: {n_pruned} of {n} decisions are to stop")
    print(f"{n} decisions equal to Optuna {optuna.__version__}, {n_pruned} of them to stop")


if __name__ == "__main__":
    main()
