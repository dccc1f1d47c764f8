# SPDX-License-Identifier: Apache-2.0
"""adapters.py: one optimiser of somebody else behind the peers' JSON-lines protocol.

    python adapters.py NAME        NAME: a class of this file

start {space, seed, budget}, ask -> x, tell y, load {points, values} (where the library can take foreign points). Each
library is used as its documentation shows, with its defaults, unless said here. What a library cannot express is
flattened: all parameters always, conditions ignored on the way in, inactive ones dropped on the way out. Answers go to a
private copy of standard output, because some libraries print.
"""
import json
import math
import os
import random
import sys
import warnings

warnings.filterwarnings("ignore")


def active(p, x):
    return p["when"] is None or (p["when"][0] in x and x[p["when"][0]] in p["when"][1])


def version(module):
    from importlib import metadata

    return f"{module} {metadata.version(module)}"


class Flat:
    """A space as a box [0, 1]^d; categories as one coordinate in equal parts, or one coordinate each (`hot`)."""

    def __init__(self, space, hot):
        self.space, self.hot = space, hot
        self.d = sum(len(p["choices"]) if hot and p["type"] == "cat" else 1 for p in space)

    def decode(self, u):
        """(point of active parameters, the same snapped to what it means in the box)."""
        x, snapped, i = {}, [], 0
        for p in self.space:
            if p["type"] == "cat":
                n = len(p["choices"])
                if self.hot:
                    k = max(range(n), key=lambda j: u[i + j])
                    snapped += [1.0 if j == k else 0.0 for j in range(n)]
                    i += n
                else:
                    k = min(int(u[i] * n), n - 1)
                    snapped.append((k + 0.5) / n)
                    i += 1
                v = p["choices"][k]
            else:
                t = min(max(float(u[i]), 0.0), 1.0)
                low, high = (math.log(p["low"]), math.log(p["high"])) if p["log"] else (p["low"], p["high"])
                v = low + t * (high - low)
                v = math.exp(v) if p["log"] else v
                if p["type"] == "int":
                    v = round(v)
                    t = ((math.log(v) if p["log"] else v) - low) / (high - low)
                v = min(max(v, p["low"]), p["high"])
                snapped.append(t)
                i += 1
            if active(p, x):
                x[p["name"]] = v
        return x, snapped


    def encode(self, x):
        """The box's point of x; parameters that are not in it: the middle."""
        u = []
        for p in self.space:
            if p["type"] == "cat":
                k, n = p["choices"].index(x.get(p["name"], p["choices"][0])), len(p["choices"])
                u += [1.0 if j == k else 0.0 for j in range(n)] if self.hot else [(k + 0.5) / n]
            elif p["name"] not in x:
                u.append(0.5)
            else:
                scale = math.log if p["log"] else float
                low, high = scale(p["low"]), scale(p["high"])
                u.append((scale(x[p["name"]]) - low) / (high - low))
        return u


class Random:
    """Independent draws, uniform or log-uniform."""

    def start(self, space, seed, budget):
        self.flat, self.rng = Flat(space, False), random.Random(seed)
        return "random"

    def ask(self):
        return self.flat.decode([self.rng.random() for _ in range(self.flat.d)])[0]

    def tell(self, y):
        pass


class Optuna:
    """Define-by-run, through study.ask: the way Optuna knows conditions."""

    def sampler(self, optuna, seed):
        raise NotImplementedError

    def start(self, space, seed, budget):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.optuna, self.space = optuna, space
        self.study = optuna.create_study(sampler=self.sampler(optuna, seed))
        return version("optuna")

    def ask(self):
        self.trial, x = self.study.ask(), {}
        for p in self.space:
            if not active(p, x):
                continue
            if p["type"] == "cat":
                x[p["name"]] = self.trial.suggest_categorical(p["name"], p["choices"])
            elif p["type"] == "int":
                x[p["name"]] = self.trial.suggest_int(p["name"], p["low"], p["high"], log=p["log"])
            else:
                x[p["name"]] = self.trial.suggest_float(p["name"], p["low"], p["high"], log=p["log"])
        return x

    def tell(self, y):
        self.study.tell(self.trial, y)

    def load(self, points, values):
        d = self.optuna.distributions
        laws = {}
        for p in self.space:
            if p["type"] == "cat":
                laws[p["name"]] = d.CategoricalDistribution(p["choices"])
            else:
                law = d.IntDistribution if p["type"] == "int" else d.FloatDistribution
                laws[p["name"]] = law(p["low"], p["high"], log=p["log"])
        make = self.optuna.trial.create_trial
        self.study.add_trials([make(params=x, distributions={k: laws[k] for k in x}, value=y) for x, y in zip(points, values)])


class OptunaGP(Optuna):
    def sampler(self, optuna, seed):
        import torch  # noqa: F401  (Optuna imports it at the first suggestion; that is start-up, not asking)

        return optuna.samplers.GPSampler(seed=seed)


class OptunaTPE(Optuna):
    def sampler(self, optuna, seed):
        return optuna.samplers.TPESampler(seed=seed)


class OptunaTPEMultivariate(Optuna):
    def sampler(self, optuna, seed):
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True)


class OptunaCMA(Optuna):
    def sampler(self, optuna, seed):
        import cmaes  # noqa: F401

        return optuna.samplers.CmaEsSampler(seed=seed)


class OptunaRandom(Optuna):
    def sampler(self, optuna, seed):
        return optuna.samplers.RandomSampler(seed=seed)


class PyCMA:
    """pycma's ask and tell in the unit box, from its centre with sigma 0.25; a stopped run begins again at a random
    point with twice the population (IPOP, Auger and Hansen, CEC 2005). Integers and categories are rounded."""

    def start(self, space, seed, budget):
        import cma

        self.cma, self.flat, self.rng = cma, Flat(space, False), random.Random(seed)
        self.seed, self.popsize = seed, None
        self.begin([0.5] * self.flat.d)
        return version("cma")

    def begin(self, mean):
        options = {"bounds": [0, 1], "seed": self.seed + 1, "verbose": -9}
        if self.popsize:
            options["popsize"] = self.popsize
        self.es = self.cma.CMAEvolutionStrategy(mean, 0.25, options)
        self.queue, self.done, self.values = [], [], []

    def ask(self):
        if not self.queue:
            self.queue = list(self.es.ask())
        self.u = self.queue.pop(0)
        return self.flat.decode(self.u)[0]

    def tell(self, y):
        self.done.append(self.u)
        self.values.append(y)
        if not self.queue:
            self.es.tell(self.done, self.values)
            self.done, self.values = [], []
            if self.es.stop():
                self.popsize, self.seed = 2 * self.es.popsize, self.seed + 1
                self.begin([self.rng.random() for _ in range(self.flat.d)])


class Skopt:
    """scikit-optimize's Optimizer as its documentation has it: GP, acquisition hedge, 10 initial points."""

    def start(self, space, seed, budget):
        import skopt

        self.space = space
        dimensions = []
        for p in space:
            prior = "log-uniform" if p.get("log") else "uniform"
            if p["type"] == "cat":
                dimensions.append(skopt.space.Categorical(p["choices"]))
            else:
                dimensions.append((skopt.space.Integer if p["type"] == "int" else skopt.space.Real)(p["low"], p["high"], prior=prior))
        self.opt = skopt.Optimizer(dimensions, base_estimator="GP", random_state=seed)
        return version("scikit-optimize")

    def ask(self):
        self.v, x = self.opt.ask(), {}
        for p, v in zip(self.space, self.v):
            if active(p, x):
                x[p["name"]] = v.item() if hasattr(v, "item") else v
                if p["type"] != "cat":
                    x[p["name"]] = min(max(x[p["name"]], p["low"]), p["high"])
        return x

    def tell(self, y):
        self.opt.tell(self.v, y)


class BoTorch:
    """SingleTaskGP with its default prior, outcomes standardised, LogEI by optimize_acqf (10 restarts, 512 raw samples);
    max(5, min(2 d, budget / 5)) Sobol points first, as Ax does. Integers and categories (one coordinate each) are relaxed
    and rounded; the model is told the rounded point. On the GPU where PEER_DEVICE=cuda."""

    def start(self, space, seed, budget):
        import botorch
        import torch

        torch.manual_seed(seed)
        self.device = torch.device(os.environ.get("PEER_DEVICE", "cpu"))
        self.torch, self.flat = torch, Flat(space, True)
        self.n_start = max(5, min(2 * self.flat.d, (budget or 100) // 5))
        self.sobol = torch.quasirandom.SobolEngine(self.flat.d, scramble=True, seed=seed)
        self.xs, self.ys = [], []
        import botorch.acquisition.analytic  # noqa: F401
        import botorch.fit  # noqa: F401
        import botorch.models  # noqa: F401
        import botorch.optim  # noqa: F401

        self.botorch = botorch
        return version("botorch")

    def ask(self):
        torch, b = self.torch, self.botorch
        if len(self.xs) < self.n_start:
            u = self.sobol.draw(1)[0].tolist()
        else:
            from botorch.models.transforms import Standardize
            from gpytorch.mlls import ExactMarginalLogLikelihood

            x = torch.tensor(self.xs, dtype=torch.double, device=self.device)
            y = -torch.tensor(self.ys, dtype=torch.double, device=self.device).unsqueeze(-1)
            model = b.models.SingleTaskGP(x, y, outcome_transform=Standardize(1))
            b.fit.fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
            acquisition = b.acquisition.analytic.LogExpectedImprovement(model, best_f=y.max())
            bounds = torch.tensor([[0.0] * self.flat.d, [1.0] * self.flat.d], dtype=torch.double, device=self.device)
            u = b.optim.optimize_acqf(acquisition, bounds, q=1, num_restarts=10, raw_samples=512)[0][0].tolist()
        x, self.u = self.flat.decode(u)
        return x

    def tell(self, y):
        self.xs.append(self.u)
        self.ys.append(y)

    def load(self, points, values):
        self.xs += [self.flat.encode(x) for x in points]
        self.ys += values


class Hebo:
    """HEBO's suggest and observe with its defaults."""

    def start(self, space, seed, budget):
        import numpy
        import pandas
        import torch
        from hebo.design_space.design_space import DesignSpace
        from hebo.optimizers.hebo import HEBO

        numpy.random.seed(seed)
        torch.manual_seed(seed)
        self.numpy, self.pandas, self.space, spec = numpy, pandas, space, []
        for p in space:
            if p["type"] == "cat":
                spec.append({"name": p["name"], "type": "cat", "categories": [str(c) for c in p["choices"]]})
            else:
                kind = {("float", False): "num", ("float", True): "pow", ("int", False): "int", ("int", True): "pow_int"}[p["type"], p["log"]]
                spec.append({"name": p["name"], "type": kind, "lb": p["low"], "ub": p["high"]})
                if kind.startswith("pow"):
                    spec[-1]["base"] = 10
        self.opt = HEBO(DesignSpace().parse(spec), scramble_seed=seed)
        return version("HEBO")

    def ask(self):
        self.row, x = self.opt.suggest(n_suggestions=1), {}
        for p in self.space:
            v = self.row[p["name"]].iloc[0]
            if p["type"] == "cat":
                v = next(c for c in p["choices"] if str(c) == str(v))
            else:
                v = min(max(int(v) if p["type"] == "int" else float(v), p["low"]), p["high"])
            if active(p, x):
                x[p["name"]] = v
        return x

    def tell(self, y):
        self.opt.observe(self.row, self.numpy.array([[y]]))


class Smac:
    """SMAC3's ask and tell; conditions are ConfigSpace's own."""

    facade = ""

    def start(self, space, seed, budget):
        import logging
        import tempfile

        import ConfigSpace as cs
        import smac

        logging.disable(logging.CRITICAL)
        self.space, config = space, cs.ConfigurationSpace(seed=seed)
        for p in space:
            if p["type"] == "cat":
                h = cs.CategoricalHyperparameter(p["name"], [str(c) for c in p["choices"]])
            else:
                make = cs.UniformIntegerHyperparameter if p["type"] == "int" else cs.UniformFloatHyperparameter
                h = make(p["name"], p["low"], p["high"], log=p["log"])
            config.add(h)
            if p["when"]:
                config.add(cs.InCondition(h, config[p["when"][0]], [str(c) for c in p["when"][1]]))
        self.folder = tempfile.TemporaryDirectory()
        scenario = smac.Scenario(config, deterministic=True, n_trials=budget or 100000, seed=seed, output_directory=self.folder.name)
        facade = getattr(smac, self.facade)
        self.smac = facade(scenario, lambda c, seed=0: 0.0, overwrite=True, logging_level=False)
        return version("smac")

    def ask(self):
        self.info = self.smac.ask()
        config, x = dict(self.info.config), {}
        for p in self.space:
            if p["name"] in config and active(p, x):
                v = config[p["name"]]
                if p["type"] == "cat":
                    v = next(c for c in p["choices"] if str(c) == str(v))
                else:
                    v = min(max(int(v) if p["type"] == "int" else float(v), p["low"]), p["high"])
                x[p["name"]] = v
        return x

    def tell(self, y):
        from smac.runhistory import TrialValue

        self.smac.tell(self.info, TrialValue(cost=y))


class SmacHPO(Smac):
    facade = "HyperparameterOptimizationFacade"


class SmacBB(Smac):
    facade = "BlackBoxFacade"


class Crasher(Random):
    """For the tests: dies at its third ask."""

    n = 0

    def ask(self):
        self.n += 1
        if self.n == 3:
            print("out of memory, said the crasher", file=sys.stderr)
            os._exit(7)
        return super().ask()


class Sleeper(Random):
    """For the tests: never answers its second ask."""

    n = 0

    def ask(self):
        import time

        self.n += 1
        if self.n == 2:
            time.sleep(3600)
        return super().ask()


class Cheater(Random):
    """For the tests: names a point outside of the space."""

    def ask(self):
        return {k: 1e9 for k in super().ask()}


def main():
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    peer = globals()[sys.argv[1]]()
    for line in sys.stdin:
        request = json.loads(line)
        op = request["op"]
        if op == "start":
            answer = {"version": peer.start(request["space"], request["seed"], request["budget"])}
        elif op == "ask":
            answer = {"x": peer.ask()}
        elif op == "load":
            answer = {"n": len(request["points"])}
            peer.load(request["points"], request["values"])
        else:
            answer = {}
            peer.tell(request["y"])
        out.write(json.dumps({"ok": True, **answer}) + "\n")


if __name__ == "__main__":
    main()
