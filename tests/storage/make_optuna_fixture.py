#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a database with the Optuna at hand and prints it as SQL: how tests/storage/data/optuna_<major>.sql were made.

usage: make_optuna_fixture.py >data/optuna_<major>.sql     (with Optuna 4.9.0 and 5.0.0)

The same calls for every version; what differs in the files is what the versions store: times (4: local, 5: UTC; the zone
is Asia/Kolkata here) and constraints (4: one list, 5: a key each).
"""
import math
import os
import sqlite3
import sys
import tempfile
import time
import warnings
from datetime import datetime, timedelta

os.environ["TZ"] = "Asia/Kolkata"
time.tzset()

import optuna  # noqa: E402
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution  # noqa: E402
from optuna.trial import FrozenTrial, TrialState  # noqa: E402

optuna.logging.set_verbosity(optuna.logging.CRITICAL)
warnings.simplefilter("ignore")
START = datetime(2026, 1, 31, 12, 0, 0, 123456)
DISTRIBUTIONS = {
    "float": FloatDistribution(-2.5, 7.0),
    "log": FloatDistribution(1e-6, 1e3, log=True),
    "step": FloatDistribution(0.0, 1.0, step=0.1),
    "int": IntDistribution(-3, 3),
    "int step": IntDistribution(0, 9, step=4),
    "int log": IntDistribution(1, 100, log=True),
    "choice": CategoricalDistribution(["a", None, True, 1.5, "\u00e9\u4e16\U0001f600", 3]),
}
PARAMS = {"float": 0.1 + 0.2, "log": 1e-5, "step": 0.3, "int": -3, "int step": 8, "int log": 64, "choice": None}


def trial(state, values=None, params=PARAMS, reports=None, user=None, system=None, start=START, seconds=1.5):
    finished = state.is_finished()
    return FrozenTrial(number=-1, trial_id=-1, state=state, value=None, values=values, params=params,
                       distributions={k: DISTRIBUTIONS[k] for k in params}, user_attrs=user or {},
                       system_attrs=system or {}, intermediate_values=reports or {}, datetime_start=start,
                       datetime_complete=start + timedelta(seconds=seconds) if finished else None)


def constraints(values):
    if optuna.__version__ < "5":
        return {"constraints": values}
    return {f"constraints:{i}": v for i, v in enumerate(values)}


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "study.db")
        storage = optuna.storages.RDBStorage(f"sqlite:///{path}", heartbeat_interval=60)
        one = optuna.create_study(storage=storage, study_name="one", direction="maximize")
        one.set_user_attr("owner", {"name": "caf\u00e9", "nan": math.nan})
        one.set_metric_names(["accuracy"])
        reports = {5: math.nan, 1: -math.inf, 3: 2.5, 0: math.inf}
        one.add_trial(trial(TrialState.COMPLETE, [0.5], reports=reports, user={"k\u00e9y": [1, None, 2.5]},
                            system=constraints([-1.0, 0.5])))
        one.add_trial(trial(TrialState.COMPLETE, [math.inf]))
        one.add_trial(trial(TrialState.COMPLETE, [-math.inf], params={"float": 7.0}, seconds=2))
        one.add_trial(trial(TrialState.PRUNED, [2.5], reports={1: 2.5}))
        one.add_trial(trial(TrialState.PRUNED))
        one.add_trial(trial(TrialState.FAIL, params={}))
        one.add_trial(trial(TrialState.FAIL, system={"failed_trial": 5, "retry_history": [5]}))
        one.add_trial(trial(TrialState.RUNNING))
        one.enqueue_trial({"float": 0.25, "choice": None}, user_attrs={"queued": True})
        storage.record_heartbeat(one.trials[7]._trial_id)
        two = optuna.create_study(storage=storage, study_name="two", directions=["minimize", "maximize"])
        two.add_trial(trial(TrialState.COMPLETE, [1.0, -math.inf], params={"int": 2}))
        storage.remove_session()
        db = sqlite3.connect(path)
        db.execute("UPDATE trial_heartbeats SET heartbeat = '2026-01-31 06:31:00'")
        db.commit()
        sys.stdout.write("\n".join(db.iterdump()) + "\n")
        db.close()


main()
