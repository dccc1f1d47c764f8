# SPDX-License-Identifier: Apache-2.0
"""engine.py: ask and tell of libhpt_gpu beside Optuna's and Rustuna's, on the same machine, disk and work, in turn.

    python3 bench/peers/engine.py [--hpt-bench build/release/bin/hpt-bench] [--rounds 3] [--quick]

The peers come from PyPI into build/python (tests/requirements.txt) at the first call, and hpt-bench is built if it is
not there.

Each round runs every contender once; the figures are medians over rounds and ratios within a round, because times of
two runs on a shared machine cannot be compared. hpt-bench measures ours (C interface), the peers run in this process
through their own Python interface, as their users do. Writes bench/results/engine_peers.{md,jsonl}, unless --no-write or
--quick (a fifth of the work, for a look).
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]

try:
    import optuna
except ImportError:
    venv = ROOT / "build/python"
    python = venv / "bin/python"
    if pathlib.Path(sys.prefix).resolve() == venv.resolve():
        sys.exit("build/python has no optuna; delete that folder and try again")
    if not python.exists():
        print("installing the peers from PyPI into build/python", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", str(ROOT / "tests/requirements.txt")]
        subprocess.run(pip, check=True)
    os.execv(python, [str(python), *sys.argv])

optuna.logging.set_verbosity(optuna.logging.ERROR)


def optuna_loop(sampler, storage, d, start, n):
    """Microseconds of one ask + d suggest + tell in Optuna, timed over n trials after `start` others."""
    study = optuna.create_study(sampler=sampler, storage=storage)

    def one():
        trial = study.ask()
        xs = [trial.suggest_float(f"x{i}", 0.0, 1.0) for i in range(d)]
        study.tell(trial, sum((x - 0.3) ** 2 for x in xs[:3]))

    for _ in range(start):
        one()
    t0 = time.perf_counter()
    for _ in range(n):
        one()
    return (time.perf_counter() - t0) / n * 1e6


def rustuna_loop(name, d, start, n):
    """The same in Rustuna, in memory; None where it is not installed or has no such sampler."""
    try:
        import rustuna

        sampler = getattr(rustuna.samplers, name)(seed=1)
        study = rustuna.create_study(sampler=sampler)
    except (ImportError, AttributeError, TypeError):
        return None

    def one():
        trial = study.ask()
        xs = [trial.suggest_float(f"x{i}", 0.0, 1.0) for i in range(d)]
        study.tell(trial.number, sum((x - 0.3) ** 2 for x in xs[:3]))

    for _ in range(start):
        one()
    t0 = time.perf_counter()
    for _ in range(n):
        one()
    return (time.perf_counter() - t0) / n * 1e6


def ours(program, folder, quick):
    """Rows of `hpt-bench engine`, keyed by (sampler, storage, d)."""
    args = [program, "engine", "-o", "jsonl", "-r", "1", "--dir", str(folder), "--keep"] + (["--quick"] if quick else [])
    out = subprocess.run(args, check=True, capture_output=True, text=True).stdout
    lines = [json.loads(line) for line in out.splitlines()]
    rows = {}
    for r in lines[1:]:
        key = (r["case"], r["sampler"], r["storage"], r["d"])
        rows.setdefault(key, []).append(r)
    return lines[0], rows


def measure(args, place):
    """All rounds: the head of the last hpt-bench run, and (ours, peer) microseconds by case."""
    scale = 5 if args.quick else 1
    cases = {}  # name -> list of (ours us, peer us)
    head = None
    for round_ in range(args.rounds):
        folder = place / str(round_)
        folder.mkdir()
        head, rows = ours(args.hpt_bench, folder, args.quick)

        def us(case, sampler, storage, d, i=0):
            return rows[(case, sampler, storage, d)][i]["us_per_op"]

        db = f"sqlite:///{folder}/optuna.db"
        random = optuna.samplers.RandomSampler(seed=round_)
        tpe = lambda: optuna.samplers.TPESampler(seed=round_)  # noqa: E731
        pairs = {
            "random, sqlite, d=5, Optuna": (us("asktell", "random", "sqlite", 5), optuna_loop(random, db, 5, 20, 100 // scale)),
            "random, memory, d=5, Optuna": (us("asktell", "random", "memory", 5), optuna_loop(random, None, 5, 20, 500 // scale)),
            "random, memory, d=40, Optuna": (us("asktell", "random", "memory", 40), optuna_loop(random, None, 40, 20, 300 // scale)),
            "random, memory, d=40, Rustuna": (us("asktell", "random", "memory", 40), rustuna_loop("RandomSampler", 40, 20, 1000 // scale)),
            "tpe at 100 trials, memory, d=10, Optuna": (us("asktell", "tpe", "memory", 10, 0), optuna_loop(tpe(), None, 10, 100, 50 // scale)),
            "tpe at 1000 trials, memory, d=40, Optuna": (us("asktell", "tpe", "memory", 40), optuna_loop(tpe(), None, 40, 1000, 10)) if not args.quick else None,
            "tpe at 1000 trials, memory, d=40, Rustuna": (us("asktell", "tpe", "memory", 40), rustuna_loop("TPESampler", 40, 1000, 50 // scale)),
            "tpe at 3000 trials, memory, d=40, Rustuna": (us("asktell", "tpe", "memory", 40, 1), rustuna_loop("TPESampler", 40, 3000, 20)) if not args.quick else None,
            "2,000 launches of `true`, 2 slots, xargs -P 2": (us("launch", "random", "sqlite", 1), us("launch", "xargs -P 2", "-", 0)),
        }
        for name, pair in pairs.items():
            if pair and pair[1] is not None:
                cases.setdefault(name, []).append(pair)
        print(f"round {round_ + 1} of {args.rounds} done", file=sys.stderr)
    return head, cases


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hpt-bench", default=str(ROOT / "build/release/bin/hpt-bench"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--no-write", action="store_true")
    args = parser.parse_args()
    if not pathlib.Path(args.hpt_bench).exists():
        subprocess.run([str(ROOT / "scripts/hpt"), "version"], check=True)
    # Everything is deleted at the end only: on ext4, creating files is slow for minutes after many were deleted.
    place = pathlib.Path(tempfile.mkdtemp(prefix="hpt-peers-", dir="."))
    try:
        head, cases = measure(args, place)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    machine = head["machine"]
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}, {head['date']}, "
        f"hpt {head['build']['version']} ({head['build']['commit']}), Optuna {optuna.__version__}, "
        f"{args.rounds} rounds, contenders in turn",
        "",
        "| work and peer | ours, us | peer, us | peer / ours (median, min..max of rounds) |",
        "|---|--:|--:|--:|",
    ]
    for name, pairs in cases.items():
        ratios = sorted(p / o for o, p in pairs)
        lines.append(
            f"| {name} | {statistics.median(o for o, _ in pairs):.4g} | {statistics.median(p for _, p in pairs):.4g} "
            f"| {statistics.median(ratios):.3g} ({ratios[0]:.3g}..{ratios[-1]:.3g}) |"
        )
    text = "\n".join(lines) + "\n"
    print(text)
    if not args.no_write and not args.quick:
        results = ROOT / "bench/results"
        results.mkdir(exist_ok=True)
        (results / "engine_peers.md").write_text(text)
        with open(results / "engine_peers.jsonl", "w") as f:
            f.write(json.dumps(head) + "\n")
            for name, pairs in cases.items():
                f.write(json.dumps({"case": name, "ours_us": [o for o, _ in pairs], "peer_us": [p for _, p in pairs]}) + "\n")


if __name__ == "__main__":
    main()
