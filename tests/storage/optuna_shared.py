#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two Optuna workers and two `hpt serve` workers on one SQLite file: nothing is lost, nothing is doubled.

usage: optuna_shared.py HPT [TRIALS]     (HPT: the program; TRIALS in all: 400, with HPT_TEST_FULL=1 in the environment 1000)

Every worker writes down what it told; in the end the file must hold exactly that, under the numbers 0, 1, 2, ...
"""
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter

import optuna

optuna.logging.set_verbosity(optuna.logging.CRITICAL)
NAME = "shared"


def value_of(params):
    return params["x"] ** 2 + params["n"] * 0.1 + len(params["c"])


def optuna_worker(path, count, told):
    study = optuna.load_study(study_name=NAME, storage=f"sqlite:///{path}",
                              sampler=optuna.samplers.TPESampler(seed=os.getpid()))

    def objective(trial):
        params = {"x": trial.suggest_float("x", -1.0, 1.0), "n": trial.suggest_int("n", 1, 8),
                  "c": trial.suggest_categorical("c", ["a", "bb", "ccc"])}
        trial.report(params["x"], 0)
        return value_of(params)

    def note(_, trial):
        told.write(json.dumps([trial.number, trial.value]) + "\n")

    study.optimize(objective, n_trials=count, callbacks=[note])


def hpt_worker(hpt, path, count, told):
    """Pauses between trials, so that it is there as long as Optuna's workers are."""
    serve = subprocess.Popen([hpt, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def call(**request):
        serve.stdin.write(json.dumps(request) + "\n")
        serve.stdin.flush()
        reply = json.loads(serve.stdout.readline())
        if not reply["ok"]:
            raise RuntimeError(reply["error"])
        return reply

    call(op="open", study=NAME, storage=path, sampler="tpe")
    for i in range(count):
        trial = call(op="ask", n=1)["trials"][0]
        call(op="report", trial=trial["number"], step=0, value=trial["params"]["x"])
        time.sleep(0.02)
        call(op="tell", trial=trial["number"], values=[value_of(trial["params"])])
        told.write(json.dumps([trial["number"], value_of(trial["params"])]) + "\n")
    call(op="close")
    serve.stdin.close()
    serve.wait()


def main():
    hpt, total = os.path.abspath(sys.argv[1]), 1000 if os.environ.get("HPT_TEST_FULL") == "1" else 400
    if len(sys.argv) > 2:
        total = int(sys.argv[2])
    failures = []

    def check(name, good, detail=""):
        print(f"{'ok  ' if good else 'FAIL'} {name}{'' if good else ': ' + str(detail)}")
        if not good:
            failures.append(name)

    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path, share = f"{folder}/shared.db", total // 4
        request = {"op": "create", "study": NAME, "storage": path, "parameters": {
            "x": {"min": -1.0, "max": 1.0}, "n": {"min": 1, "max": 8}, "c": {"values": ["a", "bb", "ccc"]}}}
        made = subprocess.run([hpt, "serve"], input=json.dumps(request) + "\n", stdout=subprocess.PIPE, text=True)
        check("the study is made", '"ok":true' in made.stdout, made.stdout)
        workers = []
        for i, kind in enumerate(["optuna", "hpt", "optuna", "hpt"]):
            workers.append(subprocess.Popen([sys.executable, __file__, "worker", kind, hpt, path, str(share), f"{folder}/{i}"]))
        check("all workers ended well", [w.wait() for w in workers] == [0, 0, 0, 0])
        told = []
        for i in range(4):
            with open(f"{folder}/{i}") as f:
                told += [json.loads(line) for line in f]
        check("every worker told its share", len(told) == 4 * share, len(told))
        doubled = [n for n, count in Counter(n for n, _ in told).items() if count > 1]
        check("no number was given twice", not doubled, doubled)
        study = optuna.load_study(study_name=NAME, storage=f"sqlite:///{path}")
        trials = study.get_trials(deepcopy=False)
        check("numbers are 0, 1, 2, ... for Optuna", [t.number for t in trials] == list(range(4 * share)), len(trials))
        check("none is running or failed", Counter(t.state.name for t in trials) == {"COMPLETE": 4 * share},
              Counter(t.state.name for t in trials))
        stored = {t.number: t.value for t in trials}
        check("every told value is stored", stored == dict(map(tuple, told)),
              [(n, v, stored.get(n)) for n, v in told if stored.get(n) != v][:5])
        check("every value belongs to its parameters", all(t.value == value_of(t.params) for t in trials))
        check("every report is there", all(t.intermediate_values == {0: t.params["x"]} for t in trials))
        out = subprocess.run([hpt, "trials", "--storage", path, "--format", "json"], stdout=subprocess.PIPE, text=True).stdout
        ours = {t["number"]: t["values"][0] for t in json.loads(out)}
        check("hpt reads the same", ours == stored)
        done = subprocess.run([hpt, "storage", "check", path], stdout=subprocess.PIPE, text=True)
        check("the database is without damage", done.returncode == 0, done.stdout)
    print(f"optuna_shared: {total} trials, {len(failures)} failures in {time.monotonic() - start:.1f} s")
    sys.exit(1 if failures else 0)


if len(sys.argv) == 7 and sys.argv[1] == "worker":
    _, _, kind, program, database, n, notes = sys.argv
    with open(notes, "w") as f:
        if kind == "optuna":
            optuna_worker(database, int(n), f)
        else:
            hpt_worker(program, database, int(n), f)
else:
    main()
