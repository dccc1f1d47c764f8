# SPDX-License-Identifier: Apache-2.0
"""problems.py: objectives with known optimum for comparing optimisers; all are minimised.

Role: what run.py gives to every contender. Method: closed forms from the papers named at each, written here from their
formulas; two constructions of our own (`tree`, `mixed`) whose optimum is planted and so known exactly. Pure Python, so
that the tests need nothing installed. COCO's and scikit-learn's problems are in problems_coco.py and
problems_sklearn.py and appear here through `catalogue()` when those packages can be imported.

A space is a list of parameters: {"name", "type": "float" | "int" | "cat", "low", "high", "log", "choices", "when"}.
`when` = [parent, [values]]: the parameter exists only while the parent has one of the values. A point is a dict of the
active parameters. Parents precede their children.
"""
import math
import random

BRANCHES = ("a", "b", "c")


def real(name, low, high, log=False, when=None):
    return {"name": name, "type": "float", "low": low, "high": high, "log": log, "when": when}


def integer(name, low, high, log=False, when=None):
    return {"name": name, "type": "int", "low": low, "high": high, "log": log, "when": when}


def choice(name, choices, when=None):
    return {"name": name, "type": "cat", "choices": list(choices), "when": when}


def active(p, x):
    return p["when"] is None or (p["when"][0] in x and x[p["when"][0]] in p["when"][1])


def random_point(space, rng):
    """A point drawn from the space: uniform, or uniform in the logarithm."""
    x = {}
    for p in space:
        if not active(p, x):
            continue
        if p["type"] == "cat":
            x[p["name"]] = rng.choice(p["choices"])
        elif p["type"] == "int" and not p["log"]:
            x[p["name"]] = rng.randint(p["low"], p["high"])
        elif p["log"]:
            v = math.exp(rng.uniform(math.log(p["low"]), math.log(p["high"])))
            v = round(v) if p["type"] == "int" else v
            x[p["name"]] = min(max(v, p["low"]), p["high"])
        else:
            x[p["name"]] = rng.uniform(p["low"], p["high"])
    return x


def complaint(space, x):
    """What is wrong with the point x, or None."""
    known = set()
    for p in space:
        name = p["name"]
        if not active(p, x):
            continue
        known.add(name)
        if name not in x:
            return f"{name} is missing"
        v = x[name]
        if p["type"] == "cat":
            if v not in p["choices"]:
                return f"{name}={v!r} is none of its choices"
        elif isinstance(v, bool) or not isinstance(v, (int, float)) or not p["low"] <= v <= p["high"]:
            return f"{name}={v!r} is not in [{p['low']}, {p['high']}]"
        elif p["type"] == "int" and v != int(v):
            return f"{name}={v!r} is no integer"
    extra = [k for k in x if k not in known]
    return f"{extra[0]} is not active" if extra else None


class Problem:
    """One objective. fn(x) is its true value, optimum None where nobody knows it, best a point that attains it."""

    def __init__(self, name, group, space, fn, optimum, best, budget, noise=0.0, source=""):
        self.name, self.group, self.space, self.fn = name, group, space, fn
        self.optimum, self.best, self.budget, self.noise, self.source = optimum, best, budget, noise, source

    def instance(self, seed):
        """(true function, its optimum) for a seed; COCO's problems differ from seed to seed."""
        return self.fn, self.optimum

    def observed(self, value, seed, number):
        """What the optimiser is told: the same noise for every contender at the same trial of the same seed."""
        if self.noise == 0:
            return value
        return value + random.Random(f"{self.name}/{seed}/{number}").gauss(0.0, self.noise)


def vector(x, d):
    return [x[f"x{i}"] for i in range(d)]


def point(values):
    return {f"x{i}": v for i, v in enumerate(values)}


# ---- closed forms -------------------------------------------------------------------------------------------------


def branin(x):
    """F. H. Branin, IBM J. Res. Dev. 16 (1972) 504; the form and domain of Dixon and Szego, Towards Global
    Optimisation 2 (1978). Three optima."""
    u, v = vector(x, 2)
    return (v - 5.1 / (4 * math.pi**2) * u * u + 5 / math.pi * u - 6) ** 2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(u) + 10


HARTMANN_ALPHA = (1.0, 1.2, 3.0, 3.2)
HARTMANN3 = (
    ((3, 10, 30), (0.1, 10, 35), (3, 10, 30), (0.1, 10, 35)),
    ((3689, 1170, 2673), (4699, 4387, 7470), (1091, 8732, 5547), (381, 5743, 8828)),
)
HARTMANN6 = (
    ((10, 3, 17, 3.5, 1.7, 8), (0.05, 10, 17, 0.1, 8, 14), (3, 3.5, 1.7, 10, 17, 8), (17, 8, 0.05, 10, 0.1, 14)),
    (
        (1312, 1696, 5569, 124, 8283, 5886),
        (2329, 4135, 8307, 3736, 1004, 9991),
        (2348, 1451, 3522, 2883, 3047, 6650),
        (4047, 8828, 8732, 5743, 1091, 381),
    ),
)


def hartmann(x, table):
    """J. K. Hartman, Naval Res. Logistics Quarterly 20 (1973) 569; constants of Dixon and Szego (1978)."""
    a, p = table
    v = vector(x, len(a[0]))
    total = 0.0
    for i in range(4):
        total += HARTMANN_ALPHA[i] * math.exp(-sum(a[i][j] * (v[j] - p[i][j] * 1e-4) ** 2 for j in range(len(v))))
    return -total


def ackley(v):
    """D. H. Ackley, A Connectionist Machine for Genetic Hillclimbing (1987); T. Back's form for any dimension (1996)."""
    n = len(v)
    r = math.sqrt(sum(t * t for t in v) / n)
    c = sum(math.cos(2 * math.pi * t) for t in v) / n
    return -20 * math.exp(-0.2 * r) - math.exp(c) + 20 + math.e


def levy(v):
    """A. V. Levy, A. Montalvo, SIAM J. Sci. Stat. Comput. 6 (1985) 15; general form of Laguna and Marti (2005)."""
    w = [1 + (t - 1) / 4 for t in v]
    s = math.sin(math.pi * w[0]) ** 2
    for t in w[:-1]:
        s += (t - 1) ** 2 * (1 + 10 * math.sin(math.pi * t + 1) ** 2)
    return s + (w[-1] - 1) ** 2 * (1 + math.sin(2 * math.pi * w[-1]) ** 2)


def rosenbrock(v):
    """H. H. Rosenbrock, Computer Journal 3 (1960) 175; the sum over neighbours for any dimension."""
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in zip(v, v[1:]))


def griewank(v):
    """A. O. Griewank, J. Optim. Theory Appl. 34 (1981) 11."""
    p = 1.0
    for i, t in enumerate(v):
        p *= math.cos(t / math.sqrt(i + 1))
    return 1 + sum(t * t for t in v) / 4000 - p


def shift(i, low, high):
    """Where coordinate i of a shifted optimum lies: in the middle half of the range, all different, none central.

    An optimum at the centre, or with all coordinates alike, would be a gift to whoever tries that point first."""
    return low + (high - low) * (0.25 + 0.5 * math.fmod((i + 1) * 0.6180339887498949, 1.0))


def on_vector(f, d, offset=None):
    if offset is None:
        return lambda x: f(vector(x, d))
    return lambda x: f([t - o for t, o in zip(vector(x, d), offset)])


# ---- a conditional tree -------------------------------------------------------------------------------------------

# Basins: (depth that is left at the bottom, width, centre in the unit cube). The first is the leaf's best. Leaf a is easy
# and shallow, b has its basin in a corner, and the optimum 0 lies where c chooses `deep`, whose typical value is the worst.
TREE = {
    "a": ((0.25, 0.60, (0.30, 0.65, 0.45)), (0.40, 0.50, (0.80, 0.20, 0.75))),
    "b": ((0.15, 0.40, (0.85, 0.20, 5 / 7)), (0.30, 0.60, (0.25, 0.70, 2 / 7))),
    "c/flat": ((0.35, 0.60, (0.60, 0.40)), (0.45, 0.50, (0.15, 0.85))),
    "c/deep": ((0.00, 0.35, (0.72, 0.31, 0.58)), (0.10, 0.45, (0.20, 0.75, 0.20))),
}
TREE_SLOPE = {"a": 0.2, "b": 0.2, "c/flat": 0.2, "c/deep": 1.2}
TREE_SPACE = [
    choice("branch", BRANCHES),
    real("a1", 0.0, 1.0, when=["branch", ["a"]]),
    real("a2", -5.0, 5.0, when=["branch", ["a"]]),
    real("a3", 1e-4, 1.0, log=True, when=["branch", ["a"]]),
    real("b1", 0.0, 1.0, when=["branch", ["b"]]),
    real("b2", 1e-3, 10.0, log=True, when=["branch", ["b"]]),
    integer("b3", 1, 8, when=["branch", ["b"]]),
    choice("mode", ["flat", "deep"], when=["branch", ["c"]]),
    real("c1", 0.0, 1.0, when=["branch", ["c"]]),
    real("c2", 0.0, 1.0, when=["branch", ["c"]]),
    real("c3", -2.0, 2.0, when=["mode", ["deep"]]),
]


def to_unit(p, v):
    if p["log"]:
        return math.log(v / p["low"]) / math.log(p["high"] / p["low"])
    return (v - p["low"]) / (p["high"] - p["low"])


def from_unit(p, u):
    if p["log"]:
        return min(max(p["low"] * (p["high"] / p["low"]) ** u, p["low"]), p["high"])
    v = p["low"] + u * (p["high"] - p["low"])
    return round(v) if p["type"] == "int" else v


def tree(x):
    """Two basins in each leaf of a tree. A leaf's value is 1 - max_k (1 - v_k) exp(-|u - c_k|^2 / w_k^2), which is v_1
    at c_1 exactly and more elsewhere, plus a slope towards c_1 that keeps the far field from being flat."""
    leaf = x["branch"] if x["branch"] != "c" else "c/" + x["mode"]
    u = [to_unit(p, x[p["name"]]) for p in TREE_SPACE if p["type"] != "cat" and p["name"] in x]
    best = 0.0
    for bottom, width, centre in TREE[leaf]:
        best = max(best, (1 - bottom) * math.exp(-sum((s - t) ** 2 for s, t in zip(u, centre)) / width**2))
    return 1 - best + TREE_SLOPE[leaf] * sum((s - t) ** 2 for s, t in zip(u, TREE[leaf][0][2])) / len(u)


# ---- a mixed problem ----------------------------------------------------------------------------------------------

MIXED_SPACE = (
    [choice(f"k{i}", "pqrs") for i in range(8)] + [integer(f"o{i}", 0, 7) for i in range(4)] + [real(f"x{i}", 0.0, 1.0) for i in range(4)]
)
_rng = random.Random(20260101)
MIXED_BEST = {f"k{i}": _rng.choice("pqrs") for i in range(8)}
# What a pair of neighbouring categories costs: a random table, 0 for the planted pair only.
MIXED_PAIR = []
for _i in range(8):
    _own, _next = MIXED_BEST[f"k{_i}"], MIXED_BEST[f"k{(_i + 1) % 8}"]
    MIXED_PAIR.append({s + t: 0.0 if s + t == _own + _next else 0.15 + 0.85 * _rng.random() for s in "pqrs" for t in "pqrs"})
# Where an ordinal and a real parameter are best depends on a category.
MIXED_ORDINAL = [{s: _rng.randint(0, 7) for s in "pqrs"} for _ in range(4)]
MIXED_REAL = [{s: 0.1 + 0.8 * _rng.random() for s in "pqrs"} for _ in range(4)]
for _i in range(4):
    MIXED_BEST[f"o{_i}"] = MIXED_ORDINAL[_i][MIXED_BEST[f"k{_i}"]]
    MIXED_BEST[f"x{_i}"] = MIXED_REAL[_i][MIXED_BEST[f"k{_i + 4}"]]


def mixed(x):
    """8 categories of 4, 4 ordinals, 4 reals; each ordinal's and real's best place moves with a category, reals are
    coupled in pairs and with an ordinal. A sum of terms that are never negative and all 0 at the planted point."""
    total = sum(MIXED_PAIR[i][x[f"k{i}"] + x[f"k{(i + 1) % 8}"]] for i in range(8))
    o = [(x[f"o{i}"] - MIXED_ORDINAL[i][x[f"k{i}"]]) / 7 for i in range(4)]
    e = [x[f"x{i}"] - MIXED_REAL[i][x[f"k{i + 4}"]] for i in range(4)]
    total += sum(abs(t) for t in o)
    total += sum(4 * (e[i] + 0.5 * e[(i + 1) % 4]) ** 2 + 0.3 * math.sin(3 * math.pi * e[i]) ** 2 for i in range(4))
    return total + sum(2 * (o[i] - e[i]) ** 2 for i in range(4))


# ---- the list -----------------------------------------------------------------------------------------------------

HARTMANN3_BEST = (0.1145888711895, 0.5556488936331, 0.852546984141)
HARTMANN6_BEST = (0.2016895134, 0.1500106907, 0.4768739706, 0.2753324291, 0.3116516173, 0.6573005352)
BUDGET = {4: 60, 10: 150, 20: 200}


def synthetic():
    """Closed forms, noisy variants, the tree and the mixed problem."""
    out = [
        Problem("branin", "synthetic", [real("x0", -5.0, 10.0), real("x1", 0.0, 15.0)], branin, 0.39788735772973816, point((math.pi, 2.275)), 40, source=branin.__doc__),
    ]
    cube = lambda d: [real(f"x{i}", 0.0, 1.0) for i in range(d)]  # noqa: E731
    h3 = lambda x: hartmann(x, HARTMANN3)  # noqa: E731
    h6 = lambda x: hartmann(x, HARTMANN6)  # noqa: E731
    out.append(Problem("hartmann3", "synthetic", cube(3), h3, -3.86277978733267, point(HARTMANN3_BEST), 40, source=hartmann.__doc__))
    out.append(Problem("hartmann6", "synthetic", cube(6), h6, -3.32236801141552, point(HARTMANN6_BEST), 60, source=hartmann.__doc__))
    for d in (4, 10, 20):
        box = lambda low, high, d=d: [real(f"x{i}", low, high) for i in range(d)]  # noqa: E731
        # Ackley on [-5, 10]^d is the form of TuRBO's experiments (Eriksson et al., NeurIPS 2019).
        out.append(Problem(f"ackley{d}", "synthetic", box(-5.0, 10.0), on_vector(ackley, d), 0.0, point([0.0] * d), BUDGET[d], source=ackley.__doc__))
        out.append(Problem(f"levy{d}", "synthetic", box(-10.0, 10.0), on_vector(levy, d), 0.0, point([1.0] * d), BUDGET[d], source=levy.__doc__))
        out.append(Problem(f"rosenbrock{d}", "synthetic", box(-5.0, 10.0), on_vector(rosenbrock, d), 0.0, point([1.0] * d), BUDGET[d], source=rosenbrock.__doc__))
        offset = [shift(i, -600.0, 600.0) for i in range(d)]
        out.append(Problem(f"griewank{d}", "synthetic", box(-600.0, 600.0), on_vector(griewank, d, offset), 0.0, point(offset), BUDGET[d], source=griewank.__doc__))
    out.append(Problem("tree", "tree", TREE_SPACE, tree, 0.0, tree_best(), 120, source=tree.__doc__))
    out.append(Problem("mixed", "mixed", MIXED_SPACE, mixed, 0.0, MIXED_BEST, 150, source=mixed.__doc__))
    by = {p.name: p for p in out}
    for name, sd in (("branin", 5.0), ("hartmann6", 0.3), ("ackley10", 1.0), ("levy4", 3.0)):
        p = by[name]
        out.append(Problem(name + "-noisy", "noisy", p.space, p.fn, p.optimum, p.best, 2 * p.budget if name == "branin" else p.budget + 40, noise=sd, source=p.source))
    return out


def tree_best():
    x = {"branch": "c", "mode": "deep"}
    for p, u in zip((p for p in TREE_SPACE if p["name"] in ("c1", "c2", "c3")), TREE["c/deep"][0][2]):
        x[p["name"]] = from_unit(p, u)
    return x


def catalogue(notes=None):
    """All problems that can be had here, by name; what cannot is said in the list `notes`."""
    out = {p.name: p for p in synthetic()}
    for module in ("problems_coco", "problems_sklearn"):
        try:
            more = __import__(module).problems()
        except ImportError as e:
            if notes is not None:
                notes.append(f"{module[9:]} problems left out: {e}")
            continue
        out.update({p.name: p for p in more})
    return out


QUICK = ("branin", "hartmann6", "rosenbrock4", "tree")
# For contenders that take seconds an ask: smooth, rugged, conditional, mixed and noisy, none of more than 10 dimensions.
SLOW_SUBSET = ("branin", "hartmann6", "rosenbrock4", "ackley4", "tree", "mixed", "hartmann6-noisy", "f8-5d", "f15-5d")


def choose(names, table):
    """The problems that names stand for: problem names, groups, or `all`."""
    out = []
    for name in names:
        found = [p for p in table.values() if name in (p.name, p.group, "all")]
        if not found:
            groups = sorted({p.group for p in table.values()})
            raise SystemExit(f"no problem or group is called {name!r}; groups: {', '.join(groups)}; problems: {', '.join(table)}")
        out += [p for p in found if p not in out]
    return out
