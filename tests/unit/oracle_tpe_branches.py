# SPDX-License-Identifier: Apache-2.0
"""Has our tpe go on with studies that an Optuna program made, whose parameters depend on what it drew before.

usage: oracle_tpe_branches.py <tpe_branch_tool>

The program draws "branch", then the parameters of that branch only; a good value needs the right branch and both of its
parameters right. Optuna makes 60 random trials in an SQLite file, none of which has all parameters. A copy of the file is
then gone on with by the tool for 60 trials with sampler tpe, another with random, seeds 0 to 4. tpe must
  - know the good branch from the start: of its first ten trials, taken over all seeds, more than half are in it; whoever
    leaves out trials that lack parameters has nothing to go by then,
  - choose it in most of the later trials, and much more often than random does (Optuna's group=True: 0.68 to 0.78),
  - end at a lower median of the best values (half of it here, three quarters are asked for),
  - do the same twice.
"""

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import optuna

N_MADE, N_ASKED, SEEDS = 60, 60, range(5)
BRANCHES = ["a", "b", "c", "d"]
GOOD = "c"


def value_of(p):
    """Reads only what the program would have asked for; the lowest value is 0, in the good branch."""
    if p["branch"] == "a":
        return 2.0 + abs(p["a_x"]) + 0.1 * p["a_n"]
    if p["branch"] == "b":
        return 1.5 + (p["b_x"] - 0.5) ** 2
    if p["branch"] == "c":
        return abs(p["c_x"] - 0.7) + 0.3 * abs(math.log10(p["c_lr"]) + 3.0) + abs(p["common"]) * 0.2
    return 2.5 + 0.01 * p["d_n"]


def objective(trial):
    p = {"branch": trial.suggest_categorical("branch", BRANCHES), "common": trial.suggest_float("common", -1.0, 1.0)}
    if p["branch"] == "a":
        p["a_x"] = trial.suggest_float("a_x", -1.0, 1.0)
        p["a_n"] = trial.suggest_int("a_n", 1, 20)
    elif p["branch"] == "b":
        p["b_x"] = trial.suggest_float("b_x", 0.0, 1.0, step=0.05)
    elif p["branch"] == "c":
        p["c_x"] = trial.suggest_float("c_x", 0.0, 1.0)
        p["c_lr"] = trial.suggest_float("c_lr", 1e-6, 1.0, log=True)
    else:
        p["d_n"] = trial.suggest_int("d_n", 1, 1000, log=True)
    if trial.number % 13 == 6:
        raise RuntimeError
    return value_of(p)


def make(path, seed):
    study = optuna.create_study(storage=f"sqlite:///{path}", study_name="branches",
                                sampler=optuna.samplers.RandomSampler(seed=seed))
    study.optimize(objective, n_trials=N_MADE, catch=RuntimeError)
    names = {"branch", "common", "a_x", "a_n", "b_x", "c_x", "c_lr", "d_n"}
    assert all(set(t.params) < names for t in study.get_trials())


def go_on(tool, made, sampler, seed):
    """Shares of early and late trials in the good branch, best value, and all that was asked."""
    path = f"{made}.{sampler}"
    shutil.copy(made, path)
    asked, values, line = [], [], ""
    with subprocess.Popen([tool, f"sqlite:///{path}", sampler, str(seed)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as tool_process:
        for _ in range(N_ASKED):
            tool_process.stdin.write(line + "\n")
            tool_process.stdin.flush()
            p = json.loads(tool_process.stdout.readline())
            asked.append(p)
            values.append(value_of(p))
            line = repr(values[-1])
        tool_process.stdin.close()
    if tool_process.returncode != 0:
        sys.exit(f"{tool} failed")
    os.remove(path)
    early, late = ([p["branch"] == GOOD for p in part] for part in (asked[:10], asked[N_ASKED // 3:]))
    return sum(early) / len(early), sum(late) / len(late), min(values), asked


def main():
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    warnings.simplefilter("ignore")
    tool = sys.argv[1]
    early, shares, regrets = {"tpe": [], "random": []}, {"tpe": [], "random": []}, {"tpe": [], "random": []}
    with tempfile.TemporaryDirectory() as folder:
        for seed in SEEDS:
            made = os.path.join(folder, f"made{seed}.db")
            make(made, seed)
            for sampler in shares:
                first, share, best, asked = go_on(tool, made, sampler, seed)
                early[sampler].append(first)
                shares[sampler].append(share)
                regrets[sampler].append(best)
                if seed == 0 and go_on(tool, made, sampler, seed)[3] != asked:
                    sys.exit(f"{sampler} did not do the same twice")
    tpe, random = np.median(regrets["tpe"]), np.median(regrets["random"])
    for what, part in (("first ten trials", early), ("trials after the first third", shares)):
        print(f"share of the {what} in the good branch: "
              + ", ".join(f"{k} " + " ".join(f"{x:.2f}" for x in v) for k, v in part.items()))
    print(f"median of the best values of {N_ASKED} trials: tpe {tpe:.3g}, random {random:.3g}")
    if np.mean(early["tpe"]) <= 0.5:
        sys.exit("tpe does not start in the good branch")
    if min(shares["tpe"]) < 0.6 or np.mean(shares["tpe"]) < 2 * np.mean(shares["random"]):
        sys.exit("tpe does not stay in the good branch")
    if not tpe < 0.75 * random:
        sys.exit("tpe is not clearly better than random")


if __name__ == "__main__":
    main()
