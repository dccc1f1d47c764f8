# SPDX-License-Identifier: Apache-2.0
"""problems_sklearn.py: tuning scikit-learn's models on the small data sets that it ships.

The kind of task of the 2020 black-box challenge (Turner et al., arXiv 2104.10201): loss of 3-fold cross-validation as a
function of the model's parameters. Classification: share of errors, plus a hundredth of the log loss where the model
gives probabilities (errors alone are a staircase); regression: mean squared error over the variance. The optimum is not
known; reports use the best value that any contender found. Values are cached in build/peers/sklearn.jsonl, so that a
resumed or repeated run pays once for a point. Models are trained on one thread: a network's products are so small that a BLAS
on two threads took five times as long (180 units, batches of 16: 44 s against 9 s, the other core busy)."""
import json
import math
import os
import pathlib
import warnings

import sklearn  # noqa: F401  (its absence must show when this file is imported)

from problems import Problem, choice, integer, real

CACHE = pathlib.Path(__file__).resolve().parents[2] / "build/peers/sklearn.jsonl"
SPACES = {
    "svm": [real("C", 1e-2, 1e3, log=True), real("gamma", 1e-5, 1e1, log=True), real("tol", 1e-5, 1e-1, log=True)],
    "tree": [
        integer("max_depth", 1, 15),
        real("min_samples_split", 0.01, 0.99),
        real("min_samples_leaf", 0.005, 0.49),
        real("max_features", 0.05, 1.0),
        real("min_impurity_decrease", 1e-6, 0.5, log=True),
    ],
    "mlp": [
        integer("hidden", 10, 200, log=True),
        choice("activation", ["relu", "tanh", "logistic"]),
        real("alpha", 1e-5, 1e1, log=True),
        integer("batch_size", 16, 256, log=True),
        real("learning_rate_init", 1e-5, 1e-1, log=True),
        real("beta_1", 0.5, 0.99),
    ],
    "forest": [
        integer("max_depth", 1, 20),
        integer("min_samples_split", 2, 32),
        integer("min_samples_leaf", 1, 16),
        real("max_features", 0.05, 1.0),
        choice("bootstrap", [True, False]),
    ],
}
DATA = ("digits", "wine", "breast", "diabetes")
_data, _cache = {}, {}


def data(name):
    if name not in _data:
        from sklearn import datasets

        load = {"digits": datasets.load_digits, "wine": datasets.load_wine, "breast": datasets.load_breast_cancer, "diabetes": datasets.load_diabetes}
        x, y = load[name](return_X_y=True)
        _data[name] = (x, (y - y.mean()) / y.std() if name == "diabetes" else y)
    return _data[name]


def model(kind, regression, x):
    from sklearn import ensemble, neural_network, svm, tree

    x = dict(x)
    if kind == "svm":
        return (svm.SVR if regression else svm.SVC)(max_iter=20000, **x)
    if kind == "tree":
        return (tree.DecisionTreeRegressor if regression else tree.DecisionTreeClassifier)(random_state=0, **x)
    if kind == "forest":
        make = ensemble.RandomForestRegressor if regression else ensemble.RandomForestClassifier
        return make(n_estimators=20, random_state=0, n_jobs=1, **x)
    make = neural_network.MLPRegressor if regression else neural_network.MLPClassifier
    return make(hidden_layer_sizes=(x.pop("hidden"),), max_iter=30, random_state=0, **x)


def loss(kind, name, x):
    import numpy as np
    from sklearn import model_selection, pipeline, preprocessing
    from threadpoolctl import threadpool_limits

    a, y = data(name)
    regression = name == "diabetes"
    split = model_selection.KFold if regression else model_selection.StratifiedKFold
    total = 0.0
    for train, test in split(3, shuffle=True, random_state=0).split(a, y):
        fit = pipeline.make_pipeline(preprocessing.StandardScaler(), model(kind, regression, x))
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                fit.fit(a[train], y[train])
                guess = fit.predict(a[test])
            except ValueError:  # a network that diverged
                total += 2.0
                continue
            if regression:
                total += min(float(np.mean((guess - y[test]) ** 2)), 2.0)
                continue
            total += float(np.mean(guess != y[test]))
            if hasattr(fit, "predict_proba"):
                p = fit.predict_proba(a[test])[np.arange(len(test)), np.searchsorted(fit.classes_, y[test])]
                total += 0.01 * min(float(np.mean(-np.log(np.clip(np.nan_to_num(p), 1e-10, 1)))), 20.0)
    return total / 3


def cached(kind, name):
    def fn(x):
        if not _cache and CACHE.exists():
            for line in CACHE.read_text().splitlines():
                try:
                    row = json.loads(line)
                    _cache[row["key"]] = row["y"]
                except (ValueError, KeyError):  # a line cut off by a kill
                    continue
        key = f"{kind}-{name} {json.dumps(x, sort_keys=True)}"
        if key not in _cache:
            y = loss(kind, name, x)
            _cache[key] = y if math.isfinite(y) else 2.0
            CACHE.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(CACHE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            os.write(fd, (json.dumps({"key": key, "y": _cache[key]}) + "\n").encode())
            os.close(fd)
        return _cache[key]

    return fn


def problems():
    return [Problem(f"{kind}-{name}", "sklearn", SPACES[kind], cached(kind, name), None, None, 50, source=__doc__) for kind in SPACES for name in DATA]
