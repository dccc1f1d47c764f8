# SPDX-License-Identifier: Apache-2.0
"""test_problems.py: the peers' problems are what they say, the statistics agree with closed forms, the driver survives.

    python3 bench/peers/test_problems.py

Needs nothing but Python; COCO's problems, scikit-learn's and SciPy's figures are checked where those can be imported, which
HPT_TEST_REQUIRE=python insists on.
"""
import importlib
import itertools
import json
import math
import os
import pathlib
import random
import sys
import tempfile
import types
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import problems  # noqa: E402
import report  # noqa: E402
import run  # noqa: E402
import stats  # noqa: E402
import wire  # noqa: E402

OPTIONS = types.SimpleNamespace(timeout=20.0, threads=0, hpt=None)


def wanted(test, name):
    """The module; without it the test is skipped, or fails where HPT_TEST_REQUIRE names python."""
    try:
        return importlib.import_module(name)
    except ImportError as e:
        if "python" in os.environ.get("HPT_TEST_REQUIRE", "").split(","):
            raise
        test.skipTest(str(e))


class TestPeer(wire.PythonPeer):
    """An adapter that this interpreter can run: those without a library."""

    def __init__(self, name, options):
        super().__init__(name, options, [sys.executable, str(HERE / "adapters.py"), name])


class Problems(unittest.TestCase):
    def test_stated_optimum_is_attained_at_the_stated_point(self):
        for p in problems.synthetic():
            with self.subTest(p.name):
                self.assertIsNone(problems.complaint(p.space, p.best))
                self.assertAlmostEqual(p.fn(p.best), p.optimum, delta=1e-6)

    def test_branin_has_three_optima(self):
        p = problems.catalogue()["branin"]
        for x in ((-3.141592653589793, 12.275), (3.141592653589793, 2.275), (9.42477796076938, 2.475)):
            self.assertAlmostEqual(p.fn(problems.point(x)), p.optimum, delta=1e-9)

    def test_no_point_is_below_the_optimum(self):
        rng = random.Random(1)
        for p in problems.synthetic():
            with self.subTest(p.name):
                for _ in range(2000):
                    x = problems.random_point(p.space, rng)
                    self.assertIsNone(problems.complaint(p.space, x))
                    self.assertGreaterEqual(p.fn(x), p.optimum - 1e-9)

    def test_no_point_near_the_optimum_is_below_it(self):
        rng = random.Random(2)
        for p in problems.synthetic():
            with self.subTest(p.name):
                for _ in range(1000):
                    x = dict(p.best)
                    for q in p.space:
                        if q["type"] == "float" and q["name"] in x and rng.random() < 0.7:
                            width = (q["high"] - q["low"]) * 10 ** rng.uniform(-6, -1)
                            x[q["name"]] = min(max(x[q["name"]] + rng.gauss(0, width), q["low"]), q["high"])
                    self.assertGreaterEqual(p.fn(x), p.optimum - 1e-9)

    def test_every_leaf_of_the_tree_has_its_stated_minimum_and_a_second_basin(self):
        for leaf, basins in problems.TREE.items():
            x = {"branch": leaf[0], **({"mode": leaf[2:]} if leaf[0] == "c" else {})}
            names = [q for q in problems.TREE_SPACE if q["type"] != "cat" and problems.active(q, x)]
            at = [{**x, **{q["name"]: problems.from_unit(q, u) for q, u in zip(names, b[2])}} for b in basins]
            self.assertIsNone(problems.complaint(problems.TREE_SPACE, at[0]))
            self.assertAlmostEqual(problems.tree(at[0]), basins[0][0], delta=1e-9)
            between = [
                {**x, **{q["name"]: problems.from_unit(q, t * u + (1 - t) * v) for q, u, v in zip(names, basins[0][2], basins[1][2])}}
                for t in (0.3, 0.4, 0.5, 0.6, 0.7)
            ]
            self.assertGreater(max(problems.tree(b) for b in between), problems.tree(at[1]) + 0.01, leaf)

    def test_mixed_has_interactions_that_mislead_one_change_at_a_time(self):
        p = problems.catalogue()["mixed"]
        rng, stuck = random.Random(3), 0
        for _ in range(20):
            x = problems.random_point(p.space, rng)
            while True:
                moves = [{**x, q["name"]: c} for q in p.space if q["type"] == "cat" for c in q["choices"]]
                best = min(moves, key=p.fn)
                if p.fn(best) >= p.fn(x):
                    break
                x = best
            stuck += any(x[k] != p.best[k] for k in x if k[0] == "k")
        self.assertGreater(stuck, 10)

    def test_what_is_wrong_with_a_point_is_named(self):
        space = problems.TREE_SPACE
        self.assertIn("missing", problems.complaint(space, {"branch": "a", "a1": 0.5, "a2": 0.0}))
        self.assertIn("not active", problems.complaint(space, {"branch": "a", "a1": 0.5, "a2": 0.0, "a3": 0.1, "b1": 0.1}))
        self.assertIn("no integer", problems.complaint(space, {"branch": "b", "b1": 0.5, "b2": 0.1, "b3": 2.5}))
        self.assertIn("not in", problems.complaint(space, {"branch": "b", "b1": 0.5, "b2": 0.1, "b3": 9}))
        self.assertIn("choices", problems.complaint(space, {"branch": "d"}))

    def test_noise_is_the_same_for_everybody_and_has_its_stated_size(self):
        p = problems.catalogue()["hartmann6-noisy"]
        v = [p.observed(1.0, 3, i) for i in range(2000)]
        self.assertEqual(v, [p.observed(1.0, 3, i) for i in range(2000)])
        self.assertNotEqual(v[:5], [p.observed(1.0, 4, i) for i in range(5)])
        sd = (sum((t - 1) ** 2 for t in v) / len(v)) ** 0.5
        self.assertAlmostEqual(sd, p.noise, delta=0.02)

    def test_coco_best_point_is_best(self):
        problems_coco = wanted(self, "problems_coco")
        rng = random.Random(1)
        for p in problems_coco.problems():
            fn, optimum = p.instance(2)
            with self.subTest(p.name):
                for _ in range(100):
                    self.assertGreaterEqual(fn(problems.random_point(p.space, rng)), optimum - 1e-9)

    def test_sklearn_losses_are_finite_and_cached(self):
        problems_sklearn = wanted(self, "problems_sklearn")
        old = problems_sklearn.CACHE
        with tempfile.TemporaryDirectory() as folder:
            problems_sklearn.CACHE = pathlib.Path(folder) / "cache.jsonl"
            problems_sklearn._cache.clear()
            try:
                p = {q.name: q for q in problems_sklearn.problems()}["tree-wine"]
                x = problems.random_point(p.space, random.Random(1))
                y = p.fn(x)
                self.assertTrue(0 <= y < 2)
                self.assertEqual(len(problems_sklearn.CACHE.read_text().splitlines()), 1)
                problems_sklearn._cache.clear()
                self.assertEqual(p.fn(x), y)
                self.assertEqual(len(problems_sklearn.CACHE.read_text().splitlines()), 1)
            finally:
                problems_sklearn.CACHE = old
                problems_sklearn._cache.clear()


class Statistics(unittest.TestCase):
    def test_quantiles_interpolate(self):
        self.assertEqual(stats.quantile([4, 1, 3, 2], 0.25), 1.75)
        self.assertEqual(stats.median([3, 1, 2]), 2)
        self.assertEqual(stats.median([5]), 5)

    def test_ties_share_their_rank(self):
        self.assertEqual(stats.ranks([2, 1, 2, 3]), [2.5, 1, 2.5, 4])

    def test_ranksum_counts_ways_to_deal_the_ranks(self):
        for a, b in (([3, 1, 4], [1, 5, 9, 2]), ([1, 2, 2], [2, 3]), ([7], [1, 2, 3])):
            every = list(a) + list(b)
            r = stats.ranks(every)
            mean = len(a) * sum(r) / len(r)
            far = abs(sum(r[: len(a)]) - mean)
            deals = list(itertools.combinations(r, len(a)))
            p = sum(abs(sum(d) - mean) >= far - 1e-9 for d in deals) / len(deals)
            self.assertAlmostEqual(stats.ranksum(a, b), p, delta=1e-12)
        self.assertAlmostEqual(stats.ranksum(range(12), range(12, 17)), 2 / math.comb(17, 5))
        self.assertEqual(stats.ranksum([1, 1], [1, 1]), 1.0)

    def test_ranksum_agrees_with_scipy(self):
        mannwhitneyu = wanted(self, "scipy.stats").mannwhitneyu
        rng = random.Random(6)
        for _ in range(20):
            a, b = [rng.random() for _ in range(12)], [rng.random() for _ in range(5)]
            self.assertAlmostEqual(stats.ranksum(a, b), mannwhitneyu(a, b, method="exact").pvalue, delta=1e-9)

    def test_holm_steps_down(self):
        self.assertEqual([round(p, 10) for p in stats.holm([0.01, 0.04, 0.03])], [0.03, 0.06, 0.06])


class Driver(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name) / "rows.jsonl"
        self.options = types.SimpleNamespace(**vars(OPTIONS), seeds=2, first_seed=0, budget=6, slow_everywhere=False)
        self.chosen = problems.choose(["branin", "tree"], {p.name: p for p in problems.synthetic()})
        make, wire.make = wire.make, TestPeer
        self.addCleanup(setattr, wire, "make", make)

    def go(self, names, skipped=None):
        log = run.Log(self.path)
        todo = run.plan(self.options, self.chosen, names, log)
        for problem, seed, budget, group in todo:
            run.run_group(problem, seed, budget, group, self.options, log, {} if skipped is None else skipped)
        return log, len(todo)

    def test_a_crash_is_a_row_and_the_others_go_on(self):
        log, _ = self.go(["Random", "Crasher", "Cheater"])
        rows = {(r["peer"], r["problem"], r["seed"]): r for r in log.runs()}
        self.assertEqual(len(rows), 12)
        for (peer, _, _), r in rows.items():
            status, trials = {"Random": ("ok", 6), "Crasher": ("crash", 2), "Cheater": ("invalid", 0)}[peer]
            self.assertEqual((r["status"], len(r["true"])), (status, trials))
        self.assertIn("out of memory, said the crasher (exit status 7)", rows["Crasher", "branin", 0]["error"])
        text = report.write(log.rows, pathlib.Path(self.folder.name) / "page.md")
        self.assertIn("Crasher: 4 runs broke off (crash", text)

    def test_a_silent_contender_times_out(self):
        self.options.timeout = 0.5
        self.options.seeds = 1
        log, _ = self.go(["Sleeper", "Random"])
        self.assertEqual({(r["peer"], r["status"]) for r in log.runs()}, {("Sleeper", "timeout"), ("Random", "ok")})

    def test_one_that_does_not_start_is_left_out_and_not_booked(self):
        skipped = {}
        log, _ = self.go(["Nobody", "Random"], skipped)
        self.assertEqual({r["peer"] for r in log.runs()}, {"Random"})
        self.assertIn("Nobody", skipped["Nobody"])

    def test_resume_runs_only_what_is_missing(self):
        log, n = self.go(["Random"])
        self.assertEqual((len(log.runs()), n), (4, 4))
        before = self.path.read_bytes()
        log, n = self.go(["Random"])
        self.assertEqual((n, self.path.read_bytes()), (0, before))
        lines = before.splitlines(keepends=True)
        self.path.write_bytes(b"".join(lines[:2]) + lines[2][:40])  # killed while the third row was written
        log, n = self.go(["Random"])
        self.assertEqual((len(log.runs()), n), (4, 2))
        again = [json.loads(line) for line in self.path.read_text().splitlines() if line.endswith("}")]
        self.assertEqual([r["true"] for r in again], [json.loads(line)["true"] for line in lines])

    def test_a_run_done_again_counts_last_and_ratios_stay_those_of_the_group(self):
        row = {"kind": "run", "problem": "p", "seed": 0, "budget": 1, "status": "ok", "optimum": 0.0, "told": None, "tell_s": [0.0],
               "cpu_s": None, "peak_mib": None, "start_s": 0.0}  # fmt: skip
        ours = dict(row, peer="hpt-auto", group="a", true=[5.0], ask_s=[0.1])
        theirs = dict(row, peer="random", group="a", true=[3.0], ask_s=[0.4])
        data = report.Data([ours, theirs, dict(ours, group="b", true=[2.0], ask_s=[0.2])])
        self.assertEqual(data.finals("p", "hpt-auto"), [2.0])
        self.assertIn("| 4 (4..4) |", report.time_lines(data, "hpt-auto")[-1])

    def test_slow_contenders_get_the_stated_subset(self):
        self.options.seeds = 10
        chosen = problems.choose(["branin", "levy20"], {p.name: p for p in problems.synthetic()})
        todo = run.plan(self.options, chosen, ["hebo", "random"], run.Log(self.path))
        slow = [(p.name, s) for p, s, _, names in todo if "hebo" in names]
        self.assertEqual(slow, [("branin", 0), ("branin", 1), ("branin", 2)])
        self.assertEqual(len(todo), 20)

    def test_regret_is_of_the_true_value_at_the_best_told_trial(self):
        row = {"optimum": 1.0, "told": [5.0, 2.0, 3.0], "true": [4.0, 3.5, 2.0], "budget": 5}
        self.assertEqual(report.curve(row, None), [3.0, 2.5, 2.5, 2.5, 2.5])
        row = {"optimum": None, "told": None, "true": [4.0, 3.5], "budget": 2}
        self.assertEqual(report.curve(row, 3.0), [1.0, 0.5])


if __name__ == "__main__":
    unittest.main()
