# SPDX-License-Identifier: Apache-2.0
"""Compares our TPE (split of the trials, groups, densities of both sides) with Optuna's own classes.

usage: oracle_tpe.py <tpe_density_tool>

States of studies, over float, log float, stepped, integer, log integer and categorical parameters, minimised and
maximised, with complete, pruned, infeasible, failed and running trials, the constant liar on and off:
  tables    random trials, with parameters missing here and there; one joint density and single ones
  branches  trials of a program whose parameters depend on what it drew before; Optuna's groups (group=True)
  recorded  Optuna's own studies with TPESampler(multivariate=True, group=True), looked at after so many trials
  edges     no trial, one, all alike, all at the bounds, 500
  imputed   failed and running trials with impute.*, where the order is a plain sort
Splits and groups must be equal; log densities agree to 1e-9 (relative or absolute), and ours without the wide vector
unit in every bit.

Where values tie, Optuna's widths depend on an unstable sort; it is made stable here, so that they tie by trial as ours do.
"""

import json
import math
import subprocess
import sys
import warnings

import numpy as np
import optuna
from optuna.distributions import (CategoricalDistribution, FloatDistribution, IntDistribution,
                                  distribution_to_json)
from optuna.samplers import TPESampler
from optuna.samplers._tpe import sampler as tpe
from optuna.search_space.group_decomposed import _GroupDecomposedSearchSpace
from optuna.trial import TrialState, create_trial

TOLERANCE = 1e-9

DISTRIBUTIONS = {
    "x": FloatDistribution(-5.0, 10.0),
    "lr": FloatDistribution(1e-6, 1.0, log=True),
    "q": FloatDistribution(0.0, 1.0, step=0.1),
    "fine": FloatDistribution(-1.0, 1.0, step=1e-5),
    "n": IntDistribution(1, 12),
    "even": IntDistribution(2, 20, step=2),
    "wide": IntDistribution(-1000000, 1000000),
    "units": IntDistribution(1, 1024, log=True),
    "few": IntDistribution(1, 5, log=True),
    "opt": CategoricalDistribution(("sgd", "adam", "lion")),
    "flag": CategoricalDistribution((True, False)),
    "narrow": FloatDistribution(100.0, 100.5),
}


def stable_argsort():
    plain = np.argsort

    def argsort(a, axis=-1, kind=None, **kw):
        return plain(a, axis=axis, kind="stable", **kw)

    np.argsort = argsort


def draw(rng, d, good):
    """An internal value; half of them near a few centres, so that values tie and cluster."""
    if isinstance(d, CategoricalDistribution):
        return int(rng.integers(len(d.choices)))
    lo, hi = (math.log(d.low), math.log(d.high)) if d.log else (d.low, d.high)
    u = rng.choice([0.2, 0.21, 0.7, 0.0, 1.0]) if good else rng.random()
    v = lo + u * (hi - lo)
    v = math.exp(v) if d.log else v
    if d.step:
        v = d.low + round((v - d.low) / d.step) * d.step
    v = min(max(v, d.low), d.high)
    return int(round(v)) if isinstance(d, IntDistribution) else v


def make_trials(rng, names, n, mix):
    trials = []
    for _ in range(n):
        state = rng.choice(["COMPLETE", "PRUNED", "RUNNING", "FAIL"], p=mix)
        internal = [draw(rng, DISTRIBUTIONS[k], rng.random() < 0.4) for k in names]
        if state != "FAIL" and rng.random() < 0.1:  # a conditional parameter that is absent
            internal[int(rng.integers(len(names)))] = None
        t = {"state": str(state), "params": internal}
        if state == "COMPLETE":
            t["value"] = float(rng.choice([rng.normal(), 0.25, math.inf, -math.inf], p=[0.8, 0.16, 0.02, 0.02]))
        if state == "PRUNED" and rng.random() < 0.9:
            steps = sorted(rng.choice(20, size=int(rng.integers(1, 5)), replace=False).tolist())
            t["reports"] = [[int(s), float(rng.choice([rng.normal(), math.nan, 1.0], p=[0.7, 0.15, 0.15]))]
                            for s in steps]
        if state in ("COMPLETE", "PRUNED") and rng.random() < 0.1:
            t["constraints"] = [float(rng.normal()), float(rng.normal())]
        trials.append(t)
    return trials


def to_optuna(names, t):
    dists = {k: DISTRIBUTIONS[k] for k, v in zip(names, t["params"]) if v is not None}
    params = {k: DISTRIBUTIONS[k].to_external_repr(v) for k, v in zip(names, t["params"]) if v is not None}
    system = {"constraints": t["constraints"]} if "constraints" in t else {}
    reports = {s: v for s, v in t.get("reports", [])}
    return create_trial(state=TrialState[t["state"]], value=t.get("value"), params=params, distributions=dists,
                        intermediate_values=reports, system_attrs=system)


def close(a, b):
    if math.isinf(a) or math.isinf(b):
        return a == b
    return abs(a - b) <= TOLERANCE * max(1.0, abs(a), abs(b))


def study_of(names, trials, maximize):
    study = optuna.create_study(direction="maximize" if maximize else "minimize")
    for t in trials:
        study.add_trial(to_optuna(names, t))
    return study


def optuna_split(study, liar):
    states = [TrialState.COMPLETE, TrialState.PRUNED] + ([TrialState.RUNNING] if liar else [])
    frozen = study.get_trials(states=states)
    n_finished = sum(t.state != TrialState.RUNNING for t in frozen)
    return tpe._split_trials(study, frozen, tpe.default_gamma(n_finished))


def optuna_groups(study, names):
    """The groups of Optuna's group=True, as sorted lists of indices, without parameters of a single value."""
    found = _GroupDecomposedSearchSpace(True).calculate(study).search_spaces
    groups = [sorted(names.index(k) for k, d in g.items() if not d.single()) for g in found]
    return sorted(g for g in groups if g)


def ask_tool(tool, names, trials, **what):
    request = {"params": [[k, distribution_to_json(DISTRIBUTIONS[k])] for k in names], "trials": trials, "groups": [],
               "maximize": False, "constant_liar": True, **what}
    done = subprocess.run([tool], input=json.dumps(request), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{tool} failed: {done.stderr}")
    return json.loads(done.stdout)


TALLY = {}


def check(kind, tool, rng, names, trials, maximize, liar, groups=None, n_points=40):
    """One state. groups None: those that Optuna finds, which must be ours too, and each parameter by itself."""
    what = f"{kind}: names={names} n={len(trials)} maximize={maximize} liar={liar}"
    study = study_of(names, trials, maximize)
    below, above = optuna_split(study, liar)
    theirs_groups = optuna_groups(study, names)
    if groups is None:
        groups = theirs_groups + [[i] for i in range(len(names))]
    sampler = TPESampler(multivariate=True, constant_liar=liar)
    request_groups, expected = [], []
    for group in groups:
        space = {names[i]: DISTRIBUTIONS[names[i]] for i in group}
        points = [[draw(rng, DISTRIBUTIONS[names[i]], rng.random() < 0.3) for i in group] for _ in range(n_points)]
        samples = {names[i]: np.array([p[k] for p in points], dtype=float) for k, i in enumerate(group)}
        est = [sampler._build_parzen_estimator(study, space, side, handle_below=side is below)
               for side in (below, above)]
        expected.append([e.log_pdf(samples) for e in est])
        request_groups.append({"params": group, "points": points})
    ask = {"maximize": maximize, "constant_liar": liar, "groups": request_groups}
    ours = ask_tool(tool, names, trials, **ask)
    if ours != ask_tool(tool, names, trials, plain=True, **ask):
        sys.exit(f"wide and plain vectors differ: {what}")
    for side, theirs in (("below", below), ("above", above)):
        if ours[side] != [t.number for t in theirs]:
            sys.exit(f"{side} differs: {what}\n ours   {ours[side]}\n optuna {[t.number for t in theirs]}")
    seen = {i for g in theirs_groups for i in g}
    found = sorted(sorted(set(g) & seen) for g in ours["partition"] if set(g) & seen)
    if found != theirs_groups:
        sys.exit(f"groups differ: {what}\n ours   {found}\n optuna {theirs_groups}")
    worst, n_values = 0.0, 0
    for group, (eb, ea), got in zip(groups, expected, ours["groups"]):
        for side, theirs in (("below", eb), ("above", ea)):
            for i, (a, b) in enumerate(zip(got[side], theirs)):
                if not close(a, float(b)):
                    sys.exit(f"log density differs: {what} group={group} {side} point {i}: ours {a!r}, optuna {float(b)!r}")
                worst = max(worst, abs(a - b) / max(1.0, abs(b)) if math.isfinite(b) else 0.0)
                n_values += 1
    t = TALLY.setdefault(kind, [0, 0, 0, 0.0])
    t[0] += 1
    t[1] += len(theirs_groups)
    t[2] += n_values
    t[3] = max(t[3], worst)


MIXES = [[1, 0, 0, 0], [0.6, 0.2, 0.1, 0.1], [0.05, 0.75, 0.1, 0.1]]


def tables(tool, rng):
    names = list(DISTRIBUTIONS)
    for n in (0, 1, 2, 3, 10, 24, 27, 60, 97, 130, 400):
        for mix in MIXES:
            for maximize in (False, True):
                subset = sorted(rng.choice(len(names), size=int(rng.integers(2, 7)), replace=False).tolist())
                chosen = [names[i] for i in subset]
                groups = [list(range(len(chosen)))] + [[i] for i in range(len(chosen))]
                check("tables", tool, rng, chosen, make_trials(rng, chosen, n, mix), maximize, bool(rng.integers(2)), groups)
    groups = [list(range(len(names)))] + [[i] for i in range(len(names))]
    check("tables", tool, rng, names, make_trials(rng, names, 300, MIXES[1]), False, True, groups)


# Which parameters a program asks for, given its choice of "opt": root ones always, the others in a branch; "flag" opens
# a second level in the branch of 1.
BRANCHES = {0: ["x", "lr"], 1: ["n", "units", "flag"], 2: ["q", "wide", "even"]}
SECOND = {0: ["few"], 1: ["narrow", "fine"]}


def branch_names(rng, internal):
    present = ["opt"] + BRANCHES[internal["opt"]]
    if internal["opt"] == 1:
        present += SECOND[internal["flag"]]
    return present


def branches(tool, rng):
    names = list(DISTRIBUTIONS)
    for n in (1, 2, 5, 12, 30, 100, 500):
        for mix in MIXES[:2]:
            trials = make_trials(rng, names, n, mix)
            for t in trials:
                internal = {k: draw(rng, DISTRIBUTIONS[k], rng.random() < 0.4) for k in names}
                present = set(branch_names(rng, internal))
                if t["state"] == "FAIL":  # it died on the way: must divide nothing
                    present = set(list(present)[: int(rng.integers(3))])
                t["params"] = [internal[k] if k in present else None for k in names]
            check("branches", tool, rng, names, trials, bool(rng.integers(2)), bool(rng.integers(2)))


def recorded(tool, rng):
    """Studies that Optuna's sampler led itself, with pruned and failed trials."""
    names = list(DISTRIBUTIONS)

    def suggest(trial, k):
        d = DISTRIBUTIONS[k]
        v = trial._suggest(k, d)
        return d.to_internal_repr(v)

    def objective(trial):
        got = {"opt": suggest(trial, "opt")}
        for k in BRANCHES[got["opt"]]:
            got[k] = suggest(trial, k)
        if got["opt"] == 1:
            for k in SECOND[got["flag"]]:
                got[k] = suggest(trial, k)
        loss = sum(abs(v - DISTRIBUTIONS[k].low) / (DISTRIBUTIONS[k].high - DISTRIBUTIONS[k].low)
                   for k, v in got.items() if not isinstance(DISTRIBUTIONS[k], CategoricalDistribution)) + got["opt"]
        for step in range(4):
            trial.report(loss + 1.0 / (step + 1), step)
            if trial.should_prune():
                raise optuna.TrialPruned()
        if trial.number % 17 == 5:
            raise RuntimeError
        return loss

    for seed, group in ((1, True), (2, True), (3, False)):
        study = optuna.create_study(sampler=TPESampler(multivariate=True, group=group, seed=seed),
                                    pruner=optuna.pruners.MedianPruner(n_startup_trials=4))
        study.optimize(objective, n_trials=150, catch=RuntimeError)
        trials = []
        for f in study.get_trials(deepcopy=False):
            internal = [DISTRIBUTIONS[k].to_internal_repr(f.params[k]) if k in f.params else None for k in names]
            t = {"state": f.state.name, "params": internal,
                 "reports": [[s, v] for s, v in sorted(f.intermediate_values.items())]}
            if f.state == TrialState.COMPLETE:
                t["value"] = f.value
            trials.append(t)
        for n in (1, 11, 40, 90, 150):
            part = [dict(t) for t in trials[:n]]
            for t in part[n - 3:] if n > 10 else []:  # as they were before they ended
                t["state"] = "RUNNING"
                t.pop("value", None)
            check("recorded", tool, rng, names, part, False, True)


def edges(tool, rng):
    names = list(DISTRIBUTIONS)

    def complete(values, v):
        return {"state": "COMPLETE", "params": values, "value": v}

    def end(k, high):
        d = DISTRIBUTIONS[k]
        if isinstance(d, CategoricalDistribution):
            return len(d.choices) - 1 if high else 0
        return d.high if high else d.low

    low, high = [end(k, False) for k in names], [end(k, True) for k in names]
    some = [draw(rng, DISTRIBUTIONS[k], False) for k in names]
    joint = [list(range(len(names)))] + [[i] for i in range(len(names))]
    states = [[], [complete(some, 1.0)], [complete(low, 1.0)], [complete(high, 1.0)],
              [complete(some, 1.0)] * 40, [complete(low, float(i % 3)) for i in range(30)],
              [complete(low if i % 2 else high, float(i)) for i in range(120)],
              [complete(some, 0.0)] + [{"state": "RUNNING", "params": high}] * 8,
              make_trials(rng, names, 500, MIXES[0]), make_trials(rng, names, 500, MIXES[1])]
    for trials in states:
        for maximize in (False, True):
            check("edges", tool, rng, names, trials, maximize, True, joint, 60)


def imputed(tool, rng):
    """Not Optuna's: order and number below against a plain sort."""
    names = ["x", "n"]
    for case in range(60):
        n = int(rng.integers(1, 120))
        maximize = bool(case % 2)
        sign = -1 if maximize else 1
        how_failed, how_running = (str(rng.choice(["none", "worst", "best", "latest"])) for _ in range(2))
        trials = make_trials(rng, names, n, [0.4, 0.1, 0.2, 0.3])
        for t in trials:
            if t["state"] in ("FAIL", "RUNNING") and rng.random() < 0.7:
                t["reports"] = [[s, float(rng.choice([rng.normal(), math.nan, math.inf], p=[0.8, 0.1, 0.1]))]
                                for s in range(int(rng.integers(1, 5)))]
            if t["state"] == "FAIL" and rng.random() < 0.2:
                t["params"] = [None, None]
            if t["state"] == "FAIL" and rng.random() < 0.1:
                t["constraints"] = [float(rng.normal())]
        keyed, above, counted = [], set(), 0
        for i, t in enumerate(trials):
            state = t["state"]
            violation = sum(max(c, 0.0) for c in t.get("constraints", []))
            if state in ("COMPLETE", "PRUNED"):
                counted += 1
                above.add(i)
                reports = t.get("reports", [])
                if violation > 0:
                    keyed.append(((2, violation, 0.0), i))
                elif state == "COMPLETE":
                    keyed.append(((0, sign * t["value"], 0.0), i))
                elif reports:
                    v = sign * reports[-1][1]
                    keyed.append(((1, -reports[-1][0], math.inf if math.isnan(v) else v), i))
                else:
                    keyed.append(((1, 1, 0.0), i))
                continue
            how = how_failed if state == "FAIL" else how_running
            if how == "none":
                if state == "RUNNING":
                    above.add(i)
                continue
            if state == "FAIL" and t["params"] == [None, None]:
                continue
            counted += 1
            above.add(i)
            own = [v for _, v in t.get("reports", []) if math.isfinite(v)]
            if how == "worst" or not own:
                continue
            v = own[-1] if how == "latest" else (max(own) if maximize else min(own))
            keyed.append(((2, violation, 0.0) if state == "FAIL" and violation > 0 else (0, sign * v, 0.0), i))
        below = sorted(i for _, i in sorted(keyed)[: min(math.ceil(0.1 * counted), 25)])
        got = ask_tool(tool, names, trials, maximize=maximize, impute_failed=how_failed, impute_running=how_running)
        expected = (below, sorted(above - set(below)))
        if (got["below"], got["above"]) != expected:
            sys.exit(f"imputed split differs: case {case} failed={how_failed} running={how_running}\n"
                     f" ours     {got['below']} {got['above']}\n expected {expected}")
    TALLY["imputed"] = [60, 0, 0, 0.0]


def main():
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    stable_argsort()
    rng = np.random.default_rng(20240)
    for part in (tables, branches, recorded, edges, imputed):
        part(sys.argv[1], rng)
    for kind, (n_states, n_groups, n_values, worst) in TALLY.items():
        print(f"{kind}: {n_states} states, {n_groups} groups, {n_values} log densities as in Optuna "
              f"{optuna.__version__}; largest difference {worst:.1e}")


if __name__ == "__main__":
    main()
