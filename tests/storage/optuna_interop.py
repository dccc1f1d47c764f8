#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Optuna and we on one database: each reads what the other wrote, and all write at once.

usage: optuna_interop.py PROGRAM [OPTUNA_TRIALS]      (PROGRAM: make_storage_fixture)

The local time zone is far from UTC on purpose: times in the file are UTC for both.
"""
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import warnings
from datetime import timezone

os.environ["TZ"] = "Asia/Kolkata"
time.tzset()

import optuna  # noqa: E402
from optuna.trial import TrialState  # noqa: E402

optuna.logging.set_verbosity(optuna.logging.CRITICAL)
warnings.simplefilter("ignore")  # it says that it lowers a bound to the step grid, which is one of the cases here
PROGRAM = sys.argv[1]
failures = 0


def check(name, got, expected):
    global failures
    if not same(got, expected):
        failures += 1
        print(f"FAIL {name}:\n  got      {got!r}\n  expected {expected!r}")


def same(a, b):
    """Equal, NaN to NaN, True apart from 1."""
    if isinstance(a, float) and isinstance(b, float):
        return a == b or (math.isnan(a) and math.isnan(b))
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    return a == b


def program(*args):
    done = subprocess.run([PROGRAM, *map(str, args)], stdout=subprocess.PIPE, check=True)
    return done.stdout.decode("ascii")


def system_attrs(study):
    return study._storage.get_study_system_attrs(study._study_id)


def stamp(t):
    """Optuna hands out local times without a zone; the program prints what is stored."""
    return None if t is None else t.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")


def as_dump(trial, k):
    """A trial of Optuna's in the form that the program prints; a float parameter stays a float."""
    values = trial.values if trial.values is not None else [math.nan] * k
    return {
        "number": trial.number,
        "state": trial.state.name,
        "params": trial.params,
        "values": values,
        "reports": [[s, float(v)] for s, v in sorted(trial.intermediate_values.items())],
        "user_attrs": trial.user_attrs,
        "system_attrs": trial.system_attrs,
        "start": stamp(trial.datetime_start),
        "complete": stamp(trial.datetime_complete),
    }


def compare(name, study, dump):
    distributions = {k: optuna.distributions.json_to_distribution(json.dumps(v)) for k, v in dump["distributions"].items()}
    check(f"{name}: directions", [int(d) for d in study.directions], dump["directions"])
    check(f"{name}: number of trials", len(study.trials), len(dump["trials"]))
    seen = {}
    for theirs, ours in zip(study.trials, dump["trials"]):
        ours = dict(ours)
        ours.pop("foreign")
        check(f"{name}: trial {theirs.number}", as_dump(theirs, len(study.directions)), ours)
        seen.update(theirs.distributions)
    check(f"{name}: distributions", distributions, seen)
    check(f"{name}: order of parameters", list(distributions), list(seen))


def optuna_reads_ours(folder):
    url = f"sqlite:///{folder}/ours.db"
    program("make", f"{folder}/ours.db")
    for name in ("first", "second"):
        study = optuna.load_study(storage=url, study_name=name)
        dump = json.loads(program("dump", f"{folder}/ours.db", name))
        compare(name, study, dump)
        if name == "first":
            check("states", {t.state.name for t in study.trials}, {s.name for s in TrialState})
            check("best", study.best_trial.number, dump["best"])
            check("user attribute", study.user_attrs, {"note": "caf\u00e9"})
            check("system attribute", system_attrs(study), {"hpt:config": {"seed": 7}})
            check("values of known trials", [t.values for t in study.trials[19:22]], [[1 / 22], [math.inf], [-math.inf]])
            check("UTC", stamp(study.trials[0].datetime_start), "2025-06-15 15:06:40.123456")
            running = study.trials[25]
            check("attributes of a trial", [running.user_attrs, running.system_attrs],
                  [{"t\u00e9st": [1, 2.5, None, "\u00e9"]}, {"hpt:by": "tpe"}])
        # Optuna goes on with the study: its sampler learns from our trials and its result follows ours.
        before = len(study.trials)
        if name == "first":
            study.optimize(optuna_objective, n_trials=2)  # the first takes our waiting trial
            check("Optuna took the waiting trial", study.trials[26].state, TrialState.COMPLETE)
            check("Optuna numbered on", [t.number for t in study.trials[before:]], [before])
            compare("first, continued", study, json.loads(program("dump", f"{folder}/ours.db", name)))


def optuna_objective(trial):
    x = trial.suggest_float("x", -1.0, 1.0)
    trial.suggest_float("lr", 1e-5, 1.0, log=True)
    trial.suggest_int("n", 1, 10)
    trial.report(x, 1)
    return x


def everything(trial):
    trial.suggest_float("float", -2.5, 7)
    trial.suggest_float("log", 1e-6, 1e3, log=True)
    trial.suggest_float("step", 0.0, 1.0, step=0.1)
    trial.suggest_int("int", -3, 3)
    trial.suggest_int("int step", 0, 9, step=4)
    trial.suggest_int("int log", 1, 100, log=True)
    trial.suggest_categorical("choice", ["a", None, True, 1.5, "\u00e9\u4e16\U0001f600", 3])
    trial.set_user_attr("k\u00e9y", {"a": [1, None, "\u00e9"], "nan": float("nan")})
    for step in (5, 1, 3):
        trial.report([math.nan, -math.inf, 2.5][step // 2], step)
    if trial.number % 5 == 3:
        raise optuna.TrialPruned()
    if trial.number % 5 == 4:
        raise ValueError("fails")
    return [0.5, math.inf, -math.inf][trial.number % 3] if trial.number != 5 else -1


def we_read_optuna(folder):
    path, name = f"{folder}/theirs.db", "th\u00ebirs"
    study = optuna.create_study(storage=f"sqlite:///{path}", study_name=name, direction="maximize",
                                sampler=optuna.samplers.RandomSampler(seed=1))
    study.set_user_attr("owner", "optuna")
    study.optimize(everything, n_trials=12, catch=(ValueError,))
    study.enqueue_trial({"float": 0.25, "choice": None}, user_attrs={"queued": True})
    study.add_trial(optuna.trial.create_trial(
        state=TrialState.WAITING, params={"float": 1.5},
        distributions={"float": optuna.distributions.FloatDistribution(-2.5, 7)}))
    dump = json.loads(program("dump", path, name))
    compare("Optuna's study", study, dump)
    check("best", study.best_trial.number, dump["best"])
    check("none is foreign", [t["number"] for t in dump["trials"] if t["foreign"]], [])
    # A trial that still runs: chosen in part, then more of it, then told.
    trial = study.ask()
    trial.suggest_float("float", -2.5, 7)
    check("the enqueued trial came first", trial.number, 12)
    ours = json.loads(program("dump", path, name))["trials"][12]
    check("running trial", [ours["state"], ours["params"], ours["foreign"]], ["RUNNING", {"float": 0.25}, True])
    # We take the other waiting trial; its fixed parameter stays, the rest is ours, and Optuna tells it.
    check("claim", program("claim", path, name), "13 float\n")
    check("nothing else waits", program("claim", path, name), "-1 \n")
    claimed = study.trials[13]
    check("claimed", [claimed.state, claimed.params["float"], len(claimed.params)], [TrialState.RUNNING, 1.5, 7])
    study.tell(13, 4.0)
    study.tell(trial, 3.0)
    compare("Optuna's study, later", study, json.loads(program("dump", path, name)))
    compare_unfit(folder)


def compare_unfit(folder):
    """Distributions that change from trial to trial, and a sole trial that has a parameter more."""
    path = f"{folder}/unfit.db"
    study = optuna.create_study(storage=f"sqlite:///{path}", study_name="s")
    study.optimize(lambda t: t.suggest_float("x", 0, 10 if t.number == 0 else 1), n_trials=4)
    study.enqueue_trial({"x": 0.5})
    study.optimize(lambda t: t.suggest_float("x", 0, 1) + t.suggest_int("more", 0, 1), n_trials=1)
    trials = json.loads(program("dump", path, "s"))["trials"]
    check("params", [t["params"] for t in trials], [t.params for t in study.trials])
    # The space is what the newest trial has, so all but that lack a parameter.
    check("foreign", [t["foreign"] for t in trials], [True, True, True, True, False])


def all_write_at_once(folder, optuna_trials):
    path, count = f"{folder}/shared.db", 100
    program("create", path, "shared")
    # The program pauses between trials, so that the three overlap.
    writers = [subprocess.Popen([PROGRAM, "write", path, "shared", str(count)]) for _ in range(2)]
    study = optuna.load_study(storage=f"sqlite:///{path}", study_name="shared", sampler=optuna.samplers.RandomSampler())
    study.optimize(optuna_objective, n_trials=optuna_trials)
    check("writers ended well", [w.wait() for w in writers], [0, 0])
    total = 2 * count + optuna_trials
    for name, numbers in (
        ("Optuna", [t.number for t in optuna.load_study(storage=f"sqlite:///{path}", study_name="shared").trials]),
        ("ours", [t["number"] for t in json.loads(program("dump", path, "shared"))["trials"]]),
    ):
        check(f"numbers, seen by {name}", numbers, list(range(total)))
    check("all told", {t.state for t in study.trials}, {TrialState.COMPLETE})


def main():
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        optuna_reads_ours(folder)
        we_read_optuna(folder)
        all_write_at_once(folder, int(sys.argv[2]) if len(sys.argv) > 2 else 100)
    print(f"optuna_interop: {failures} failures in {time.monotonic() - start:.1f} s")
    sys.exit(1 if failures else 0)


main()
