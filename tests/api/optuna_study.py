# SPDX-License-Identifier: Apache-2.0
"""Studies of ours read and continued by Optuna, and Optuna's by us.

usage: optuna_study.py <path of study_tool>

What `study_tool dump` prints and what optuna.load_study gives must be the same trials: states, values, parameters,
distributions, reports, attributes, times. Exit status 0, or an assertion.
"""
import datetime
import json
import math
import os
import subprocess
import sys
import tempfile
import warnings

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.simplefilter("ignore")
TOOL = sys.argv[1]


def tool(mode, url):
    done = subprocess.run([TOOL, mode, url], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, (mode, done.stderr)
    return done.stdout


def same(a, b):
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b):
        return True
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def system_attrs(study):  # Study.system_attrs went with Optuna 5
    return study._storage.get_study_system_attrs(study._study_id)


def check_dump(url, study):
    """Our export against Optuna's view of every trial."""
    dump = json.loads(tool("dump", url))
    assert dump["study"] == study.study_name
    assert dump["directions"] == [d.name.lower() for d in study.directions]
    trials = study.get_trials(deepcopy=False)
    assert [t["number"] for t in dump["trials"]] == [t.number for t in trials] == list(range(len(trials)))
    for ours, theirs in zip(dump["trials"], trials):
        where = (url, ours["number"])
        assert ours["state"] == theirs.state.name, where
        assert ours["values"] == (None if theirs.values is None else list(theirs.values)), where
        assert ours["params"].keys() == theirs.params.keys(), where
        assert all(same(ours["params"][k], v) for k, v in theirs.params.items()), (where, ours["params"], theirs.params)
        reports = {step: value for step, value in ours["reports"]}
        assert reports.keys() == theirs.intermediate_values.keys(), where
        assert all(same(reports[k], v) for k, v in theirs.intermediate_values.items()), where
        assert ours["user_attrs"] == theirs.user_attrs, where
        assert ours["system_attrs"] == theirs.system_attrs, where
        for key in ("datetime_start", "datetime_complete"):
            time = getattr(theirs, key)
            text = None if time is None else time.replace(tzinfo=None).strftime("%Y-%m-%d %H:%M:%S.%f")
            assert ours[key] == text, (where, key, ours[key], text)
        if theirs.duration is not None:
            assert abs(ours["duration"] - theirs.duration.total_seconds()) < 1e-6, where
    return trials


def ours_in_optuna(folder):
    url = "sqlite:///" + os.path.join(folder, "ours.db")
    tool("create", url)
    study = optuna.load_study(study_name="ours", storage=url)
    trials = check_dump(url, study)
    assert len(trials) == 31
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert set(system_attrs(study)) >= {"hpt:space", "hpt:config"}
    states = {s: sum(t.state == s for t in trials) for s in TrialState}
    assert states[TrialState.RUNNING] == 1 and states[TrialState.WAITING] == 1, states
    assert all(states[s] > 2 for s in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)), states
    assert trials[0].params["lr"] == 0.125 and trials[0].params["momentum"] == 0.5
    assert trials[9].state == TrialState.FAIL and trials[9].value is None  # told NaN
    assert trials[8].state == TrialState.PRUNED and trials[8].value == -math.inf  # its last report
    assert trials[7].state == TrialState.PRUNED and trials[7].value is None  # its last report is NaN
    expected = {
        "lr": FloatDistribution(1e-5, 1.0, log=True),
        "dropout": FloatDistribution(0.0, 0.95, step=0.1),
        "bias": FloatDistribution(-2.5, 2.5),
        "layers": IntDistribution(1, 10, step=3),
        "units": IntDistribution(1, 1024, log=True),
        "opt": CategoricalDistribution(("sgd", "adam", "r\u00e9sum\u00e9 \"q\"")),
        "mixed": CategoricalDistribution((1, 2.5, None, True, "t")),
        "epochs": CategoricalDistribution((12,)),
        "momentum": FloatDistribution(0.0, 0.99),
    }
    for t in trials[:30]:
        assert set(t.params) == set(expected) - (set() if t.params["opt"] == "sgd" else {"momentum"}), t
        assert all(t.distributions[k] == expected[k] for k in t.params), t
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        assert abs((now - t.datetime_start.replace(tzinfo=None)).total_seconds()) < 600, t.datetime_start
    best = study.best_trial
    assert best.value == max(t.value for t in trials if t.state == TrialState.COMPLETE)

    # Optuna goes on: it takes the waiting trial with the values we fixed, then new ones of its own.
    def objective(trial):
        trial.suggest_float("lr", 1e-5, 1.0, log=True)
        trial.suggest_int("layers", 1, 10, step=3)
        opt = trial.suggest_categorical("opt", ["sgd", "adam", "r\u00e9sum\u00e9 \"q\""])
        if opt == "sgd":
            trial.suggest_float("momentum", 0.0, 0.99)
        trial.suggest_float("new", 0.0, 1.0)  # a parameter that our space lacks
        return 0.5

    study.optimize(objective, n_trials=4)
    popped = study.trials[30]
    assert popped.state == TrialState.COMPLETE
    assert popped.params["lr"] == 0.0625 and popped.params["layers"] == 7, popped.params
    check_dump(url, optuna.load_study(study_name="ours", storage=url))

    # and we go on after it
    tool("continue", url)
    trials = check_dump(url, optuna.load_study(study_name="ours", storage=url))
    assert len(trials) == 39
    assert all(t.state == TrialState.COMPLETE for t in trials[34:])


def pareto_agrees(folder):
    url = "sqlite:///" + os.path.join(folder, "two.db")
    numbers = [int(line) for line in tool("pareto", url).split()]
    study = optuna.load_study(study_name="two", storage=url)
    check_dump(url, study)
    assert numbers == sorted(t.number for t in study.best_trials), numbers


def optunas_in_ours(folder):
    url = "sqlite:///" + os.path.join(folder, "optunas.db")
    study = optuna.create_study(study_name="theirs", storage=url, sampler=optuna.samplers.RandomSampler(seed=1))

    def objective(trial):
        x = trial.suggest_float("x", -3.0, 3.0)
        trial.suggest_float("q", 0.0, 1.0, step=0.25)
        trial.suggest_int("k", 1, 64, log=True)
        trial.suggest_categorical("c", ["a", None, True, 2, 0.5])
        trial.set_user_attr("who", ["optuna"])
        trial.report(x, 3)
        if trial.number % 5 == 3:
            raise optuna.TrialPruned()
        if trial.number % 5 == 4:
            raise RuntimeError
        return x * x

    study.optimize(objective, n_trials=15, catch=(RuntimeError,))
    study.enqueue_trial({"x": 1.25, "c": None}, user_attrs={"queued": True})
    study.enqueue_trial({"x": 99.0})
    check_dump(url, study)
    before = dict(system_attrs(study))
    assert "hpt:config" not in before, "reading must not write"

    lines = tool("continue", url).splitlines()
    study = optuna.load_study(study_name="theirs", storage=url)
    trials = check_dump(url, study)
    assert len(trials) == 20
    assert set(system_attrs(study)) - set(before) == {"hpt:config", "hpt:sampler_state"}, system_attrs(study)
    asked = [line.split(" ", 1) for line in lines]
    assert [int(n) for n, _ in asked] == [15, 16, 17, 18, 19]
    for number, params in asked:
        t = trials[int(number)]
        assert json.loads(params) == t.params and set(t.params) == {"x", "q", "k", "c"}, t
        assert t.distributions == trials[0].distributions, t
        assert t.state == TrialState.COMPLETE and t.value == len(params), t
    assert trials[15].params["x"] == 1.25 and trials[15].params["c"] is None
    assert trials[15].user_attrs == {"queued": True}
    assert -3.0 <= trials[16].params["x"] <= 3.0  # the queued 99.0 is outside the space

    study.sampler = optuna.samplers.TPESampler(seed=3)
    study.optimize(objective, n_trials=3, catch=(RuntimeError,))
    check_dump(url, study)


with tempfile.TemporaryDirectory() as folder:
    ours_in_optuna(folder)
    pareto_agrees(folder)
    optunas_in_ours(folder)
print("ok")
