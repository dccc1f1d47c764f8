#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Studies of Optuna's carried by `hpt storage copy`, `hpt import` and `hpt export`: Optuna reads the same at the end.

usage: optuna_transfer.py HPT      (HPT: the program)

The local time zone is far from UTC on purpose.
"""
import csv
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import warnings
from datetime import datetime, timedelta

os.environ["TZ"] = "Asia/Kolkata"
time.tzset()

import optuna  # noqa: E402
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution  # noqa: E402
from optuna.storages import JournalStorage, RDBStorage  # noqa: E402
from optuna.storages.journal import JournalFileBackend  # noqa: E402
from optuna.trial import TrialState, create_trial  # noqa: E402

optuna.logging.set_verbosity(optuna.logging.CRITICAL)
warnings.simplefilter("ignore")
HPT = os.path.abspath(sys.argv[1])
failures = 0
checks = 0


def check(name, good, detail=""):
    global failures, checks
    checks += 1
    if not good:
        failures += 1
    print(f"{'ok  ' if good else 'FAIL'} {name}{'' if good else ': ' + str(detail)}")


def hpt(*args, status=0):
    done = subprocess.run([HPT, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != status:
        check("hpt " + " ".join(map(str, args)), False, f"status {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def same(a, b):
    """Equal, NaN to NaN, 1 apart from 1.0 and True."""
    if isinstance(a, float) and isinstance(b, float):
        return a == b or (math.isnan(a) and math.isnan(b))
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    return a == b


def picture(study, sort=False):
    """All that a study holds. sort: by key, where the way there keeps no order."""
    def ordered(d):
        return dict(sorted(d.items())) if sort else dict(d)

    return {
        "directions": list(study.directions),
        "user": ordered(study.user_attrs),
        "system": ordered(study._storage.get_study_system_attrs(study._study_id)),
        "trials": [
            {
                "number": t.number,
                "state": t.state,
                "values": None if t.values is None else [float(v) for v in t.values],
                "params": ordered(t.params),
                "distributions": ordered(t.distributions),
                "user": ordered(t.user_attrs),
                "system": ordered(t.system_attrs),
                "reports": {k: float(v) for k, v in sorted(t.intermediate_values.items())},
                "start": t.datetime_start,
                "complete": t.datetime_complete,
            }
            for t in study.trials
        ],
    }


def compare(name, got, expected):
    if same(got, expected):
        check(name, True)
        return
    for key in ("directions", "user", "system"):
        if not same(got[key], expected[key]):
            check(f"{name}: {key}", False, f"{got[key]} is not {expected[key]}")
    check(f"{name}: number of trials", len(got["trials"]) == len(expected["trials"]), len(got["trials"]))
    for a, b in zip(got["trials"], expected["trials"]):
        for key in a:
            if not same(a[key], b[key]):
                check(f"{name}: trial {b['number']}, {key}", False, f"{a[key]!r} is not {b[key]!r}")


def objective(trial):
    x = trial.suggest_float("float", -2.5, 7)
    trial.suggest_float("log", 1e-6, 1e3, log=True)
    trial.suggest_float("step", 0.0, 1.0, step=0.1)
    trial.suggest_int("int", -3, 3)
    trial.suggest_int("int step", 0, 9, step=4)
    trial.suggest_int("int log", 1, 100, log=True)
    trial.suggest_float("changes", 0, 1 + trial.number % 3)
    choice = trial.suggest_categorical("choice", ["a", None, True, 1.5, "\u00e9\u4e16\U0001f600", 3])
    if choice == "a":
        trial.suggest_float("only then", 0, 1)
    trial.set_user_attr("k\u00e9y", {"a": [1, None, "\u00e9\n\"q\""], "nan": float("nan")})
    for step in (5, 1, 3, 0):
        trial.report([math.nan, -math.inf, 2.5, math.inf][step % 4], step)
    trial.set_constraint("c", x - 1) if hasattr(trial, "set_constraint") else None
    if trial.number % 5 == 3:
        raise optuna.TrialPruned()
    if trial.number % 5 == 4:
        raise ValueError("fails")
    return [0.5, math.inf, -math.inf][trial.number % 3] if trial.number != 5 else 0.1 + 0.2


def fill(storage):
    """A study of every kind: 'one' with one objective, 'two' with two, an empty one."""
    one = optuna.create_study(storage=storage, study_name="one", direction="maximize",
                              sampler=optuna.samplers.RandomSampler(seed=1))
    one.set_user_attr("owner", "caf\u00e9")
    one.set_metric_names(["accuracy"])
    one.optimize(objective, n_trials=12, catch=(ValueError,))
    one.enqueue_trial({"float": 0.25, "choice": None}, user_attrs={"queued": True})
    one.ask().suggest_float("float", -2.5, 7)  # stays running
    one.enqueue_trial({"int": 2})
    one.add_trial(create_trial(state=TrialState.WAITING, params={"float": 1.5},
                               distributions={"float": FloatDistribution(-2.5, 7)}))
    one.add_trial(create_trial(state=TrialState.FAIL, system_attrs={"failed_trial": 4, "retry_history": [4]}))
    one.add_trial(create_trial(value=1.0, params={"float": 0.5, "int": 1},
                               distributions={"float": FloatDistribution(-2.5, 7), "int": IntDistribution(-3, 3)},
                               system_attrs={"constraints": [-1.0, 0.5]}, intermediate_values={7: 1.0, 2: -1.0}))
    two = optuna.create_study(storage=storage, study_name="two", directions=["minimize", "maximize"],
                              sampler=optuna.samplers.RandomSampler(seed=2))
    two.optimize(lambda t: (t.suggest_float("x", 0, 1), math.inf if t.number == 2 else t.suggest_int("n", 1, 4)),
                 n_trials=6)
    two.add_trial(create_trial(values=[1.0, -math.inf], params={"c": "b"},
                               distributions={"c": CategoricalDistribution(["a", "b"])}))
    optuna.create_study(storage=storage, study_name="empty")
    return one, two


def load(storage, name):
    return optuna.load_study(storage=storage, study_name=name)


def sqlite(path):
    return RDBStorage(f"sqlite:///{path}")


def by_copy():
    one, two = fill(sqlite("theirs.db"))
    before = {"one": picture(one), "two": picture(two)}
    hpt("storage", "copy", "theirs.db", "--to", "copy.db")
    copy = sqlite("copy.db")
    for name in before:
        compare(f"copied database, study {name}", picture(load(copy, name)), before[name])
    check("the empty study too", picture(load(copy, "empty"))["trials"] == [])
    hpt("storage", "copy", "theirs.db", "--to", "theirs.db", "--study", "two", "--as", "again")
    compare("a copy within one database", picture(load(sqlite("theirs.db"), "again")), before["two"])
    check("a copy is without damage", "0 problems" in hpt("storage", "check", "copy.db"))
    load(copy, "one").optimize(objective, n_trials=2, catch=(ValueError,))
    numbers = [t.number for t in load(sqlite("copy.db"), "one").trials]
    check("Optuna goes on with a copy", numbers == list(range(len(numbers))), numbers)
    return before


def by_journal(before):
    hpt("export", "--storage", "theirs.db", "--study", "one", "--format", "journal", "--output", "one.log")
    journal = JournalStorage(JournalFileBackend("one.log"))
    compare("exported journal", picture(load(journal, "one"), True), sorted_picture(before["one"]))
    load(journal, "one").optimize(objective, n_trials=1, catch=(ValueError,))
    hpt("export", "--storage", "theirs.db", "--study", "two", "--format", "journal", "--output", "two.log")
    compare("exported journal, two objectives",
            picture(load(JournalStorage(JournalFileBackend("two.log")), "two"), True), sorted_picture(before["two"]))

    theirs = JournalStorage(JournalFileBackend("theirs.log"))
    one, two = fill(theirs)
    optuna.create_study(storage=theirs, study_name="gone").optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=2)
    optuna.delete_study(study_name="gone", storage=theirs)
    two.optimize(lambda t: (t.suggest_float("x", 0, 1), 1), n_trials=1)
    expected = {"one": picture(one, True), "two": picture(two, True)}
    out = hpt("import", "theirs.log", "--storage", "sqlite:///journal.db")
    check("three studies are imported", "3 studies" in out, out)
    for name in expected:
        compare(f"imported journal, study {name}", picture(load(sqlite("journal.db"), name), True), expected[name])
    check("an imported journal is without damage", "0 problems" in hpt("storage", "check", "journal.db"))

    with open("theirs.log", "rb") as f:
        text = f.read()
    with open("torn.log", "wb") as f:
        f.write(text + b'{"op_code":4,"worker_')
    out = hpt("import", "torn.log", "--storage", "sqlite:///torn.db")
    check("a torn last line is told and left out", "not whole" in out, out)
    compare("torn journal", picture(load(sqlite("torn.db"), "two"), True), expected["two"])
    with open("broken.log", "wb") as f:
        lines = text.split(b"\n")
        f.write(b"\n".join(lines[:5] + [b"{nonsense"] + lines[5:]))
    out = hpt("import", "broken.log", "--storage", "sqlite:///broken.db", status=2)
    check("a broken line in the middle is an error", "broken.log:6" in out and not os.path.exists("broken.db"), out)


def sorted_picture(p):
    for t in [p] + p["trials"]:
        for key in ("user", "system", "params", "distributions"):
            if key in t:
                t[key] = dict(sorted(t[key].items()))
    return p


def old_journal():
    """Optuna 4 wrote local times without a zone."""
    one = optuna.create_study(storage=JournalStorage(JournalFileBackend("new.log")), study_name="s")
    one.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=3)
    with open("new.log") as f, open("old.log", "w") as g:
        for line in f:
            op = json.loads(line)
            for key in ("datetime_start", "datetime_complete"):
                if key in op:
                    op[key] = datetime.fromisoformat(op[key]).astimezone().replace(tzinfo=None).isoformat()
            g.write(json.dumps(op, separators=(",", ":")) + "\n")
    theirs = picture(load(JournalStorage(JournalFileBackend("old.log")), "s"))
    check("the old form is what it was", same(theirs, picture(one)))
    hpt("import", "old.log", "--storage", "sqlite:///old.db")
    compare("journal of Optuna 4", picture(load(sqlite("old.db"), "s")), theirs)


def by_lines(before):
    for name in ("one", "two"):
        hpt("export", "--storage", "theirs.db", "--study", name, "--format", "jsonl", "--output", f"{name}.jsonl")
    with open("both.jsonl", "w") as f:
        for name in ("one", "two"):
            with open(f"{name}.jsonl") as g:
                f.write(g.read())
    hpt("import", "both.jsonl", "--storage", "sqlite:///lines.db")
    for name in ("one", "two"):
        compare(f"JSON lines, study {name}", picture(load(sqlite("lines.db"), name), True), sorted_picture(before[name]))
    hpt("import", "two.jsonl", "--storage", "sqlite:///lines.db", "--study", "renamed")
    compare("JSON lines under another name", picture(load(sqlite("lines.db"), "renamed"), True), before["two"])
    hpt("export", "--storage", "sqlite:///lines.db", "--study", "one", "--format", "jsonl", "--output", "again.jsonl")
    with open("one.jsonl") as f, open("again.jsonl") as g:
        check("exported again it is the same text", f.read() == g.read())


def write_frame(study, path):
    """What study.trials_dataframe().to_csv(path) writes (pandas is not at hand here), with times in UTC."""
    names = sorted({k for t in study.trials for k in t.params})
    keys = sorted({k for t in study.trials for k in t.user_attrs})
    with open(path, "w", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(["", "number", "value_accuracy", "datetime_start", "datetime_complete", "duration"]
                     + [f"params_{n}" for n in names] + [f"user_attrs_{k}" for k in keys] + ["state"])
        for t in study.trials:
            times = [None if d is None else d - timedelta(hours=5, minutes=30) for d in (t.datetime_start, t.datetime_complete)]
            out.writerow([t.number, t.number, t.value, *times, t.duration] + [t.params.get(n) for n in names]
                         + [t.user_attrs.get(k) for k in keys] + [t.state.name])


def by_csv(before):
    write_frame(load(sqlite("theirs.db"), "one"), "frame.csv")
    out = hpt("import", "frame.csv", "--storage", "sqlite:///frame.db")
    check("a guess is told", "range of their data" in out, out)
    got, expected = picture(load(sqlite("frame.db"), "frame")), before["one"]
    for key in ("number", "state", "values", "start", "complete"):
        check(f"pandas' CSV: {key}", same([t[key] for t in got["trials"]], [t[key] for t in expected["trials"]]),
              [t[key] for t in got["trials"]])
    pairs = [(a["params"], b["params"]) for a, b in zip(got["trials"], expected["trials"])]
    check("pandas' CSV: numbers", all(same(float(a[k]), float(b[k])) for a, b in pairs for k in b if k != "choice"))
    hpt("export", "--storage", "theirs.db", "--study", "two", "--format", "csv", "--output", "two.csv")
    hpt("import", "two.csv", "--storage", "sqlite:///frame.db")
    got = picture(load(sqlite("frame.db"), "two"))
    got = sorted_picture(got)
    for key in ("number", "state", "values", "start", "complete", "params", "user"):
        check(f"our CSV: {key}", same([t[key] for t in got["trials"]], [t[key] for t in before["two"]["trials"]]),
              [t[key] for t in got["trials"]])


def main():
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        before = by_copy()
        by_journal(before)
        old_journal()
        by_lines(before)
        by_csv(before)
        os.chdir("/")
    print(f"optuna_transfer: {checks} checks, {failures} failures in {time.monotonic() - start:.1f} s")
    sys.exit(1 if failures else 0)


main()
