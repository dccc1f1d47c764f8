# SPDX-License-Identifier: Apache-2.0
"""Compares our TPE (split of the trials, densities of both sides) with Optuna's own classes.

usage: oracle_tpe.py <tpe_density_tool>

Random tables of trials in all states, over float, log float, stepped, integer, log integer and categorical parameters, in
joint and in single densities, minimised and maximised, with pruned, infeasible and running trials. Splits must be
equal; log densities agree to 1e-9 (relative or absolute).

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


def check(tool, rng, names, n, mix, maximize, liar, groups):
    trials = make_trials(rng, names, n, mix)
    study = optuna.create_study(direction="maximize" if maximize else "minimize")
    for t in trials:
        study.add_trial(to_optuna(names, t))
    states = [TrialState.COMPLETE, TrialState.PRUNED] + ([TrialState.RUNNING] if liar else [])
    frozen = study.get_trials(states=states)
    n_finished = sum(t.state != TrialState.RUNNING for t in frozen)
    below, above = tpe._split_trials(study, frozen, tpe.default_gamma(n_finished))
    sampler = TPESampler(multivariate=True, constant_liar=liar)
    request_groups, expected = [], []
    for group in groups:
        space = {names[i]: DISTRIBUTIONS[names[i]] for i in group}
        points = [[draw(rng, DISTRIBUTIONS[names[i]], False) for i in group] for _ in range(40)]
        samples = {names[i]: np.array([p[k] for p in points], dtype=float) for k, i in enumerate(group)}
        est = [sampler._build_parzen_estimator(study, space, side, handle_below=side is below)
               for side in (below, above)]
        expected.append([e.log_pdf(samples) for e in est])
        request_groups.append({"params": group, "points": points})
    request = {"maximize": maximize, "constant_liar": liar,
               "params": [[k, distribution_to_json(DISTRIBUTIONS[k])] for k in names],
               "trials": trials, "groups": request_groups}
    done = subprocess.run([tool], input=json.dumps(request), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{tool} failed: {done.stderr}")
    ours = json.loads(done.stdout)
    what = f"names={names} n={n} mix={mix} maximize={maximize} liar={liar}"
    for side, theirs in (("below", below), ("above", above)):
        if ours[side] != [t.number for t in theirs]:
            sys.exit(f"{side} differs: {what}\n ours   {ours[side]}\n optuna {[t.number for t in theirs]}")
    worst = 0.0
    for group, (eb, ea), got in zip(groups, expected, ours["groups"]):
        for side, theirs in (("below", eb), ("above", ea)):
            for i, (a, b) in enumerate(zip(got[side], theirs)):
                if not close(a, float(b)):
                    sys.exit(f"log density differs: {what} group={group} {side} point {i}: ours {a!r}, optuna {float(b)!r}")
                worst = max(worst, abs(a - b) / max(1.0, abs(b)) if math.isfinite(b) else 0.0)
    return worst, 2 * 40 * len(groups)


def main():
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    stable_argsort()
    tool = sys.argv[1]
    rng = np.random.default_rng(20240)
    names = list(DISTRIBUTIONS)
    worst, n_values, n_cases = 0.0, 0, 0
    mixes = [[1, 0, 0, 0], [0.6, 0.2, 0.1, 0.1], [0.05, 0.75, 0.1, 0.1]]
    for n in (0, 1, 2, 3, 10, 24, 27, 60, 97, 130, 400):
        for mix in mixes:
            for maximize in (False, True):
                subset = sorted(rng.choice(len(names), size=int(rng.integers(2, 7)), replace=False).tolist())
                chosen = [names[i] for i in subset]
                joint = [list(range(len(chosen)))]
                single = [[i] for i in range(len(chosen))]
                w, k = check(tool, rng, chosen, n, mix, maximize, bool(rng.integers(2)), joint + single)
                worst, n_values, n_cases = max(worst, w), n_values + k, n_cases + 1
    w, k = check(tool, rng, names, 300, mixes[1], False, True, [list(range(len(names)))] + [[i] for i in range(len(names))])
    worst, n_values, n_cases = max(worst, w), n_values + k, n_cases + 1
    print(f"{n_cases} tables, {n_values} log densities equal to Optuna {optuna.__version__}; largest difference {worst:.1e}")


if __name__ == "__main__":
    main()
