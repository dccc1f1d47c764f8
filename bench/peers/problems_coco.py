# SPDX-License-Identifier: Apache-2.0
"""problems_coco.py: functions of COCO's bbob and bbob-mixint suites, through the PyPI package coco-experiment.

N. Hansen et al., COCO: a platform for comparing continuous optimizers, Optim. Methods Softw. 36 (2021) 114. A seed is an
instance (another shift and rotation, another optimum), so that no contender can profit from one. The optimum is the value at the point that COCO names as the best one."""
import os
import pathlib
import tempfile

import cocoex

from problems import Problem, integer, real

BBOB = (3, 8, 10, 15, 21, 24)  # separable Rastrigin, Rosenbrock, ellipsoid, Rastrigin, Gallagher 101 peaks, Lunacek
MIXINT = (3, 8, 15)
MIXINT_DIMENSIONS = (5, 10)
BUDGET = {5: 120, 10: 150}
N_INSTANCES = 15


class Coco(Problem):
    """A function of a suite; instance(seed) makes the instance 1 + seed mod 15."""

    def __init__(self, name, group, suite, function, d):
        self.suite_name, self.function, self.d = suite, function, d
        kept = self.problem(1)
        p = kept[1]
        n_int = p.number_of_integer_variables
        space = []
        for i in range(d):
            low, high = float(p.lower_bounds[i]), float(p.upper_bounds[i])
            space.append(integer(f"x{i}", round(low), round(high)) if i < n_int else real(f"x{i}", low, high))
        super().__init__(name, group, space, None, None, None, BUDGET[d], source=__doc__)

    def problem(self, instance):
        suite = cocoex.Suite(self.suite_name, f"instances: {instance}", f"function_indices: {self.function} dimensions: {self.d}")
        return suite, suite.get_problem(0)

    def instance(self, seed):
        suite, p = self.problem(1 + seed % N_INSTANCES)

        def fn(x, keep=suite):  # the suite owns the problem's memory
            return float(p([float(x[f"x{i}"]) for i in range(self.d)]))

        return fn, fn(self.best_point(p))

    def best_point(self, p):
        """Where COCO's optimum lies. Its Python interface only writes that into a file of the current folder."""
        here = os.getcwd()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try:
                p._best_parameter("print")
            finally:
                os.chdir(here)
            values = [float(t) for t in (pathlib.Path(folder) / "._bbob_problem_best_parameter.txt").read_text().split()]
        return {q["name"]: round(v) if q["type"] == "int" else v for q, v in zip(self.space, values)}


def problems():
    out = []
    for d in (5, 10):
        out += [Coco(f"f{f}-{d}d", "bbob", "bbob", f, d) for f in BBOB]
        out += [Coco(f"mixint-f{f}-{d}d", "mixint", "bbob-mixint", f, d) for f in MIXINT]
    return out
