# SPDX-License-Identifier: Apache-2.0
"""Compares our surrogate's predictions and likelihood with scikit-learn's Gaussian process under the same hyperparameters.

usage: oracle_gp.py <gp_tool> [<device>]

Matern 5/2, Matern 3/2 and RBF in 1 to 8 dimensions, 3 to 80 points, told in pieces of seven, noise from 1e-6 to 0.3 of the
variance. Values are standardised on both sides. Mean and deviation agree to 1e-8 in units of the objective's standard
deviation (1e-6 where the noise is below 1e-4, whose condition numbers leave no more), log likelihoods to 1e-8 relative.
"""

import json
import subprocess
import sys

import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern


def cases():
    rng = np.random.default_rng(4)
    for kernel in range(3):
        for d in (1, 2, 4, 8):
            for n in (3, 20, 80):
                theta = np.concatenate([rng.normal(np.log(0.5), 0.7, d), [rng.normal(0, 0.5)],
                                        [np.log(10 ** rng.uniform(-6, -0.5))]])
                x, z = rng.random((n, d)), rng.random((30, d))
                y = 50 + 7 * np.sin(4 * x).sum(1) + rng.normal(0, 0.5, n)
                yield dict(d=d, kernel=kernel, theta=theta.tolist(), x=x.tolist(), y=y.tolist(), z=z.tolist())


def expected(case):
    d, theta = case["d"], np.array(case["theta"])
    length = np.exp(theta[:d])
    kernel = RBF(length) if case["kernel"] == 2 else Matern(length, nu=2.5 if case["kernel"] == 0 else 1.5)
    y = np.array(case["y"])
    mean, sd = y.mean(), y.std()
    gp = GaussianProcessRegressor(ConstantKernel(np.exp(theta[d])) * kernel, alpha=np.exp(theta[d + 1]), optimizer=None)
    gp.fit(np.array(case["x"]), (y - mean) / sd)
    m, s = gp.predict(np.array(case["z"]), return_std=True)
    return mean + sd * m, sd * s, gp.log_marginal_likelihood_value_ - len(y) * np.log(sd), sd


def main():
    tests = list(cases())
    text = "\n".join(json.dumps(c) for c in tests) + "\n"
    device = sys.argv[2] if len(sys.argv) > 2 else "ref"
    got = subprocess.run([sys.argv[1], device], input=text, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(got) == len(tests)
    bad, worst = 0, 0.0
    for case, line in zip(tests, got):
        ours = json.loads(line)
        mean, sd, value, unit = expected(case)
        error = max(np.abs(np.array(ours["mean"]) - mean).max(), np.abs(np.array(ours["sd"]) - sd).max()) / unit
        relative = abs(ours["log_likelihood"] - value) / max(1, abs(value))
        limit = 1e-8 if case["theta"][-1] > np.log(1e-4) else 1e-6
        if limit == 1e-8:
            worst = max(worst, error)
        if error > limit or relative > 1e-8:
            print(f"kernel {case['kernel']}, {case['d']} d, {len(case['y'])} points: error {error:.2g}, likelihood {relative:.2g}")
            bad += 1
    print(f"{len(tests)} cases on {device}, largest error {worst:.2g} (noise above 1e-4)")
    sys.exit(bad > 0)


main()
