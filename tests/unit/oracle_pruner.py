# SPDX-License-Identifier: Apache-2.0
"""Compares every decision of our pruners with Optuna's, taken live while generated studies run.

usage: oracle_pruner.py <pruner_tool> [decisions]

A generated study runs in Optuna: up to five trials at once, each with a learning curve that has gaps, NaN and infinite
values, steps that arrive late and steps that are reported twice (the later report replaces the earlier in the storage).
Optuna's pruner is asked after each report; the trial stops when it says so, or sometimes goes on all the same; trials end
complete, stopped or failed. What happened is then replayed by <pruner_tool>, and compared are each decision, the attributes
"completed_rung_<k>" of each trial as JSON text, and the bracket of each trial.

What is not compared: where numpy's percentile is NaN or infinite because of an infinite report beside it, ours is held
against the rule in pruner_percentile.c instead, and the number of such decisions is printed.

`bands` is W&B's rule, not Optuna's. It is held against a second implementation below, written from its description.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import optuna
from optuna.pruners import (HyperbandPruner, MedianPruner, NopPruner, PatientPruner, PercentilePruner,
                            SuccessiveHalvingPruner, ThresholdPruner)
from optuna.trial import TrialState

STUDY_NAMES = ["study", "a b", "größe", "", "no-name-7c1d2a"]


# ---- the pruners in both worlds: (name, options, what makes Optuna's)

def percentile_like(rng, prefix):
    o = {"n_startup": int(rng.choice([0, 1, 3, 5])), "n_warmup": int(rng.choice([0, 0, 2, 5])),
         "interval": int(rng.choice([1, 1, 2, 4])), "n_min_trials": int(rng.choice([1, 1, 3]))}
    args = {"n_startup_trials": o["n_startup"], "n_warmup_steps": o["n_warmup"], "interval_steps": o["interval"],
            "n_min_trials": o["n_min_trials"]}
    return {f"{prefix}.{k}": str(v) for k, v in o.items()}, args


def make_median(rng):
    options, args = percentile_like(rng, "median")
    return options, MedianPruner(**args)


def make_percentile(rng):
    options, args = percentile_like(rng, "percentile")
    p = float(rng.choice([0, 100, 25, 50, 75, 33.3, 12.5, 90, round(float(rng.uniform(0, 100)), 3)]))
    return {**options, "percentile.percentile": repr(p)}, PercentilePruner(p, **args)


def make_threshold(rng):
    warmup, interval = int(rng.choice([0, 0, 3])), int(rng.choice([1, 1, 3]))
    lower, upper = sorted(round(float(v), 2) for v in rng.normal(0.4, 0.8, 2))
    options = {"threshold.n_warmup": str(warmup), "threshold.interval": str(interval)}
    which = rng.integers(3)
    if which != 1:
        options["threshold.lower"] = repr(lower)
    if which != 2:
        options["threshold.upper"] = repr(upper)
    return options, ThresholdPruner(lower if which != 1 else None, upper if which != 2 else None, warmup, interval)


def make_asha(rng):
    r, eta = int(rng.choice([0, 1, 1, 2, 3])), int(rng.choice([2, 3, 4, 4, 7]))
    rate, bootstrap = int(rng.choice([0, 0, 1])), int(rng.choice([0, 0, 2, 5])) if r > 0 else 0
    options = {"asha.min_resource": str(r), "asha.reduction_factor": str(eta),
               "asha.min_early_stopping_rate": str(rate), "asha.bootstrap_count": str(bootstrap)}
    return options, SuccessiveHalvingPruner(r or "auto", eta, rate, bootstrap)


def make_hyperband(rng):
    least, eta = int(rng.choice([1, 1, 2, 3])), int(rng.choice([2, 3, 3, 4]))
    most = int(rng.choice([0, 0, 9, 27, 81, 243, least]))
    bootstrap = int(rng.choice([0, 0, 3])) if most > 0 else 0
    options = {"hyperband.min_resource": str(least), "hyperband.max_resource": str(most),
               "hyperband.reduction_factor": str(eta), "hyperband.bootstrap_count": str(bootstrap)}
    return options, HyperbandPruner(least, most or "auto", eta, bootstrap)


def make_patience(rng):
    inner = str(rng.choice(["nop", "median", "percentile", "threshold", "asha", "hyperband"]))
    options, pruner = MAKERS[inner](rng)
    patience, delta = int(rng.choice([0, 0, 1, 2, 5])), float(rng.choice([0, 0, 0.05, 0.5]))
    options = {**options, "patience.pruner": inner, "patience.patience": str(patience),
               "patience.min_delta": repr(delta)}
    return options, PatientPruner(None if inner == "nop" else pruner, patience, delta)


def make_nop(rng):
    return {}, NopPruner()


class Bands:
    """W&B's rule, from its description: bands count finite reports; the value at the largest band that the run reached
    is held against number int(n / eta) of what all runs had at it."""

    def __init__(self, o):
        self.strict, self.eta = o["strict"], o["eta"]
        if o["max_iter"]:
            raw = [o["max_iter"] / self.eta ** i for i in range(1, o["s"] + 1)]
            self.bands = sorted(int(b) for b in raw if b >= 1)
        else:
            self.bands = [int(o["min_iter"] * self.eta ** k) for k in range(100)]

    def prune(self, study, trial):
        sign = -1 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1

        def history(t):
            return [sign * v for _, v in sorted(t.intermediate_values.items()) if math.isfinite(v)]

        own = history(trial)
        reached = [b for b in self.bands if b <= len(own)]
        if not reached:
            return False
        band = reached[-1]
        others = [h[band - 1] for h in map(history, study.get_trials(deepcopy=False)) if len(h) >= band]
        threshold = sorted(others)[int(len(others) * (1 / self.eta))]
        return (own[band - 1] if self.strict else min(own)) > threshold


def make_bands(rng):
    o = {"min_iter": 0, "max_iter": 0, "s": 0, "eta": float(rng.choice([3, 2, 4, 1.5, 2.5])),
         "strict": bool(rng.integers(2))}
    if rng.random() < 0.5:
        o["min_iter"] = int(rng.choice([1, 2, 3]))
    else:
        o["max_iter"], o["s"] = int(rng.choice([9, 16, 27, 40])), int(rng.choice([1, 2, 3, 9]))
    text = {k: str(v).lower() if isinstance(v, bool) else repr(v) for k, v in o.items()}
    return {f"bands.{k}": v for k, v in text.items()}, Bands(o)


MAKERS = {"median": make_median, "percentile": make_percentile, "threshold": make_threshold, "asha": make_asha,
          "hyperband": make_hyperband, "patience": make_patience, "nop": make_nop, "bands": make_bands}
SHARES = {"median": 3, "percentile": 4, "threshold": 2, "asha": 5, "hyperband": 5, "patience": 4, "nop": 0.1, "bands": 3}


# ---- a study

def curve(rng, shape):
    """Reports of one trial in the order in which they arrive; the same step may come twice."""
    n = int(rng.integers(1, shape["n_steps"] + 1)) if rng.random() < 0.3 else shape["n_steps"]
    level = rng.normal()
    out = []
    for step in range(0, n * shape["stride"], shape["stride"]):
        if rng.random() < shape["gaps"]:
            continue
        v = level + 1.0 / (1 + step) + 0.2 * rng.normal()
        v = round(v, 1) if shape["ties"] else float(v)
        if rng.random() < shape["nan"]:
            v = math.nan
        elif rng.random() < shape["inf"]:
            v = float(rng.choice([math.inf, -math.inf], p=[0.7, 0.3]))
        out.append((step, float(v)))
    if out and rng.random() < 0.15:
        rng.shuffle(out)
        out = [(int(s), float(v)) for s, v in out]
    for _ in range(int(rng.integers(0, 3)) if rng.random() < 0.2 else 0):
        if out:
            step, v = out[int(rng.integers(len(out)))]
            out.insert(int(rng.integers(len(out) + 1)), (step, float(v - rng.random())))
    return out


def report(study, trial, step, value):
    """Trial.report; a repeated step, which Optuna leaves out, replaces the earlier report in the storage as ours does."""
    if step in trial._cached_frozen_trial.intermediate_values:
        study._storage.set_trial_intermediate_value(trial._trial_id, step, value)
        trial._cached_frozen_trial.intermediate_values[step] = value
    else:
        trial.report(value, step)


def interpolated(values, q):
    """The percentile as pruner_percentile.c has it beside infinities."""
    values = sorted(v for v in values if not math.isnan(v))
    if not values:
        return math.nan
    at = (len(values) - 1) * q
    k = math.floor(at)
    if at >= len(values) - 1:
        return values[-1]
    low, high, t = values[k], values[k + 1], at - k
    if math.isfinite(high - low):
        return high - (high - low) * (1 - t) if t >= 0.5 else low + (high - low) * t
    return low if t == 0 else (1 - t) * low + t * high


def percentile_decides(study, trial, pruner):
    """Our decision, if the percentile lies beside an infinite value; else None. The pruner has come as far as comparing,
    if Optuna says False, only when warm-up and the like are over: those are checked here again."""
    done = [t for t in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))]
    step = trial.last_step
    if not done or len(done) < pruner._n_startup_trials or step is None or step < pruner._n_warmup_steps:
        return None
    floor = (step - pruner._n_warmup_steps) // pruner._interval_steps * pruner._interval_steps + pruner._n_warmup_steps
    if any(floor <= s < step for s in trial.intermediate_values):
        return None
    values = [t.intermediate_values[step] for t in done if step in t.intermediate_values]
    own = [v for v in trial.intermediate_values.values() if not math.isnan(v)]
    if len(values) < pruner._n_min_trials or not own or not any(map(math.isinf, values)):
        return None
    maximize = study.direction == optuna.study.StudyDirection.MAXIMIZE
    percentile = 100 - pruner._percentile if maximize else pruner._percentile
    theirs = float(np.nanpercentile(np.array(values), percentile))
    if math.isfinite(theirs):
        return None
    ours = interpolated(values, percentile / 100)
    return max(own) < ours if maximize else min(own) > ours


def record(rng, name, wanted):
    """Runs one study in Optuna; returns the case for the tool and what Optuna did."""
    options, pruner = MAKERS[name](rng)
    shape = {"n_steps": int(rng.integers(1, 45)), "stride": int(rng.choice([1, 1, 1, 2, 150])),
             "gaps": float(rng.choice([0, 0, 0.2])), "nan": float(rng.choice([0, 0, 0.05, 0.6])),
             "inf": float(rng.choice([0, 0, 0.03, 0.2])), "ties": bool(rng.integers(2))}
    maximize = bool(rng.integers(2))
    study = optuna.create_study(direction="maximize" if maximize else "minimize", study_name=str(rng.choice(STUDY_NAMES)),
                                pruner=pruner, sampler=optuna.samplers.RandomSampler(seed=0))
    obey, n_parallel = float(rng.choice([1.0, 0.7])), int(rng.integers(1, 6))
    case = {"pruner": name, "options": options, "maximize": maximize, "study": study.study_name, "events": []}
    events, decisions, excused, running = case["events"], [], {}, []
    compares = pruner._wrapped_pruner if isinstance(pruner, PatientPruner) else pruner
    while len(decisions) < wanted:
        if len(running) < n_parallel:
            trial = study.ask()
            events.append(["ask"])
            running.append((trial, curve(rng, shape)))
        i = int(rng.integers(len(running)))
        trial, reports = running[i]
        stop = False
        for _ in range(1 if rng.random() < 0.9 else 2):  # sometimes two reports before the pruner looks
            if reports:
                step, value = reports.pop(0)
                report(study, trial, step, value)
                events.append(["report", trial.number, step, value])
        if isinstance(compares, PercentilePruner):
            ours = percentile_decides(study, study.get_trials(deepcopy=False)[trial.number], compares)
            if ours is not None:
                excused[len(decisions)] = ours
        stop = bool(trial.should_prune())
        events.append(["judge", trial.number])
        decisions.append(stop)
        if stop and rng.random() < obey:
            state = TrialState.PRUNED
        elif reports:
            continue
        else:
            state = TrialState.FAIL if rng.random() < 0.1 else TrialState.COMPLETE
        study.tell(trial, 0.0 if state == TrialState.COMPLETE else None, state)
        events.append(["tell", trial.number, state.name])
        running.pop(i)
    trials = study.get_trials(deepcopy=False)
    rungs = [{k: json.dumps(v) for k, v in t.system_attrs.items() if k.startswith("completed_rung_")} for t in trials]
    brackets = None
    if name == "hyperband":
        brackets = [pruner._get_bracket_id(study, t) if pruner._pruners else -1 for t in trials]
    return case, {"decisions": decisions, "rungs": rungs, "brackets": brackets, "excused": excused}


def check(case, theirs, ours, tally):
    t = tally.setdefault(case["pruner"], {"n": 0, "stop": 0, "excused": 0, "rungs": 0, "trials": 0})
    if len(ours["decisions"]) != len(theirs["decisions"]):
        sys.exit(f"{case['pruner']}: {len(ours['decisions'])} decisions for {len(theirs['decisions'])}")
    for i, (a, b) in enumerate(zip(ours["decisions"], theirs["decisions"])):
        if a == b:
            continue
        if theirs["excused"].get(i) == a:
            t["excused"] += 1
            continue
        judged = [k for k, e in enumerate(case["events"]) if e[0] == "judge"]
        with open(os.path.join(tempfile.gettempdir(), "oracle_pruner_case.json"), "w") as f:
            json.dump(case, f)
        sys.exit(f"{case['pruner']} {case['options']}: decision {i} (event {judged[i]}): ours {a}, expected {b}; "
                 f"the case is in {f.name}")
    rungs = [{k: json.dumps(v) for k, v in attrs.items()} for attrs in ours["attrs"]]
    if rungs != theirs["rungs"]:
        sys.exit(f"{case['pruner']} {case['options']}: rungs differ\n ours     {rungs}\n expected {theirs['rungs']}")
    if theirs["brackets"] is not None and ours["brackets"] != theirs["brackets"]:
        sys.exit(f"{case['options']} of {case['study']!r}: brackets differ\n ours     {ours['brackets']}\n"
                 f" expected {theirs['brackets']}")
    t["n"] += len(theirs["decisions"])
    t["stop"] += sum(theirs["decisions"])
    t["rungs"] += sum(map(len, rungs))
    t["trials"] += len(rungs)


def compare(tool, total):
    rng = np.random.default_rng(2024)
    recorded = []
    for name, share in SHARES.items():
        left = int(total * share / sum(SHARES.values()))
        while left > 0:
            wanted = int(rng.choice([30, 100, 400]))
            recorded.append(record(rng, name, min(wanted, max(left, 20))))
            left -= wanted
    done = subprocess.run([tool], input=json.dumps([c for c, _ in recorded]), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{tool} failed: {done.stderr}")
    tally = {}
    for (case, theirs), ours in zip(recorded, json.loads(done.stdout), strict=True):
        check(case, theirs, ours, tally)
    for name, t in tally.items():
        against = "the second implementation" if name == "bands" else f"Optuna {optuna.__version__}"
        print(f"{name}: {t['n']} decisions over {t['trials']} trials equal to {against}, {t['stop']} of them to stop"
              + (f", {t['rungs']} rungs equal" if t["rungs"] else "")
              + (f"; {t['excused']} differ as documented (infinite reports)" if t["excused"] else ""))
        if name != "nop" and not 0.02 * t["n"] < t["stop"] < 0.98 * t["n"]:
            sys.exit(f"the cases say little: {t['stop']} of {t['n']} decisions of {name} are to stop")
    for name in ("asha", "hyperband", "patience"):
        if tally[name]["rungs"] == 0:
            sys.exit(f"the cases say little: {name} noted no rung")
    if tally["median"]["excused"] + tally["percentile"]["excused"] == 0:
        sys.exit("the cases say little: no percentile lay beside an infinite report")
    print(f"{sum(t['n'] for t in tally.values())} decisions in all")


# ---- rungs in a database, written by one and read by the other

def shared_rungs(tool):
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/s.db"

        def ours(*values):
            done = subprocess.run([tool, "study", url, "s", *values], capture_output=True, text=True)
            if done.returncode != 0:
                sys.exit(f"{tool} failed: {done.stderr}")
            return [line == "true" for line in done.stdout.split()]

        pruner = SuccessiveHalvingPruner(1, 2)

        def theirs(value):
            study = optuna.load_study(study_name="s", storage=url, pruner=pruner)
            trial = study.ask()
            trial.report(value, 1)
            return trial.should_prune()

        # eta 2: the first passes as the best so far, 4 values let 2 pass, and so on
        steps = [("ours", ours("0.5", "inf", "0.25"), [False, True, False]),
                 ("Optuna", [theirs(0.375)], [False]),  # second of four: only if it sees our three
                 ("Optuna", [theirs(0.45)], [True]),    # third of five
                 ("ours", ours("0.4", "0.42"), [False, True])]  # third of six; fourth of seven
        for who, got, expected in steps:
            if got != expected:
                sys.exit(f"one database for both: {who} decided {got}, expected {expected}")
        study = optuna.load_study(study_name="s", storage=url)
        rungs = [t.system_attrs.get("completed_rung_0") for t in study.trials]
        if rungs != [0.5, math.inf, 0.25, 0.375, 0.45, 0.4, 0.42]:
            sys.exit(f"one database for both: Optuna reads the rungs {rungs}")
        print(f"one database for both: {len(rungs)} trials, each judged by the other's rungs")


def main():
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    compare(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 60000)
    shared_rungs(sys.argv[1])


if __name__ == "__main__":
    main()
