# SPDX-License-Identifier: Apache-2.0
"""ask_time.py: seconds of one ask and tell of ours and of Optuna's GPSampler or BoTorch, with n trials told before.

    python3 bench/peers/ask_time.py [--n 100 300 1000 2000] [--rounds 3] [--ours hpt-gp] [--rival optuna-gp] [--report FILE]
    python3 bench/peers/ask_time.py --gpu --rival botorch --python python3      both on the GPU, a Python that has BoTorch

Both are told the same n points in 10 dimensions (half of them spread over the box, half gathered around the optimum, as
a run would have left them), then asked and told in turn: one trial of the rival, a few of ours. The first ask after the
load fits from nothing and is reported by itself; the mean is over the trials after it, for ours at least 30, so that it
holds its share of refits. The ratio is taken within a round, which has its own data. CPU seconds stand beside: where the
wall clock says much more than they do, the machine was busy, and libraries with several threads suffer most from that
(--threads 1 for both is the fairer figure there).
"""
import argparse
import json
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import problems  # noqa: E402
import wire  # noqa: E402
from report import number  # noqa: E402
from stats import median  # noqa: E402

D = 10
N_OURS = 30


def asks_of_rival(n):
    """How often the rival is asked: its asks take seconds to half a minute at large n."""
    return 20 if n <= 100 else 10 if n <= 300 else 5 if n <= 1000 else 3


def told_data(problem, n, seed):
    rng, points = random.Random(seed), []
    for i in range(n):
        x = problems.random_point(problem.space, rng)
        if i % 2:
            width = 10 ** rng.uniform(-2, -0.3)
            for p in problem.space:
                v = problem.best[p["name"]] + width * (p["high"] - p["low"]) * rng.gauss(0, 1)
                x[p["name"]] = min(max(v, p["low"]), p["high"])
        points.append(x)
    return points, [problem.fn(x) for x in points]


def trial(peer, problem):
    x, ask = peer.ask()
    wrong = problems.complaint(problem.space, x)
    if wrong:
        raise wire.PeerError("invalid", wrong)
    return ask + peer.tell(problem.fn(x))


def measure(n, seed, options, problem):
    """One round at one n: a row. A contender that fails gets its error instead of times."""
    points, values = told_data(problem, n, seed)
    names = [options.ours, options.rival]
    row = {"kind": "ask_time", "n": n, "seed": seed, "d": D, "ours": options.ours, "rival": options.rival, "first": {}, "mean": {}, "cpu": {}, "asks": {}, "peak_mib": {}, "error": {}}
    peers, times = {}, {name: [] for name in names}
    k = asks_of_rival(n)
    share = {options.ours: -(-N_OURS // k), options.rival: 1}
    try:
        for name in names:
            try:
                peers[name] = wire.make(name, options)
                peers[name].start(problem.space, seed, None)
                peers[name].load(points, values)
                row["first"][name] = trial(peers[name], problem)
            except wire.PeerError as e:
                row["error"][name] = f"{e.kind}: {e}"
        begin = {name: peer.process.usage()[0] for name, peer in peers.items()}
        for _ in range(k):
            for name in names:
                try:
                    for _ in range(0 if name in row["error"] else share[name]):
                        times[name].append(trial(peers[name], problem))
                except wire.PeerError as e:
                    row["error"][name] = f"{e.kind}: {e}"
        for name in names:
            row["asks"][name] = len(times[name])
            if times[name] and name not in row["error"]:
                row["mean"][name] = sum(times[name]) / len(times[name])
                end, row["peak_mib"][name] = peers[name].process.usage()
                if end is not None:
                    row["cpu"][name] = (end - begin[name]) / len(times[name])
                row.setdefault("version", {})[name] = peers[name].version
    finally:
        for peer in peers.values():
            peer.close()
    return row


def table(rows, options):
    versions = {}
    for r in rows:
        versions.update(r.get("version", {}))
    threads = f"{options.threads} threads" if options.threads else "threads as each likes"
    if options.gpu:
        threads += f"; both on {wire.gpu_name()}"
    out = [f"{wire.machine()}; {threads}; {', '.join(f'{k}: {v}' for k, v in versions.items())}; d={D}, {len({r['seed'] for r in rows})} rounds.", ""]
    out.append(f"| trials told | {options.ours}, s | {options.rival}, s | {options.rival} / {options.ours} (min..max of rounds) | CPU s: {options.ours} | {options.rival} | first ask, s: {options.ours} | {options.rival} | peak MiB: {options.ours} | {options.rival} |")
    out.append("|" + "--:|" * 10)
    for n in sorted({r["n"] for r in rows}):
        mine = [r for r in rows if r["n"] == n]

        def cell(key, name, form):
            v = [r[key][name] for r in mine if r[key].get(name) is not None]
            return form.format(median(v)) if v else next((r["error"][name] for r in mine if name in r["error"]), "-")

        ratios = [r["mean"][options.rival] / r["mean"][options.ours] for r in mine if len(r["mean"]) == 2]
        ratio = f"{number(median(ratios))} ({number(min(ratios))}..{number(max(ratios))})" if ratios else "-"
        cells = [cell("mean", options.ours, "{:.3g}"), cell("mean", options.rival, "{:.3g}"), ratio]
        for key, form in (("cpu", "{:.3g}"), ("first", "{:.3g}"), ("peak_mib", "{:.0f}")):
            cells += [cell(key, options.ours, form), cell(key, options.rival, form)]
        out.append(f"| {n} | " + " | ".join(cells) + " |")
    return "\n".join(out) + "\n"


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--n", nargs="+", type=int, default=[100, 300, 1000, 2000], metavar="N", help="trials told before")
    p.add_argument("--rounds", type=int, default=3, metavar="N")
    p.add_argument("--ours", default="hpt-gp", choices=[k for k in wire.PEERS if k.startswith("hpt-")])
    p.add_argument("--rival", default="optuna-gp", choices=[k for k in wire.PEERS if k.startswith("optuna-") or k == "botorch"])
    p.add_argument("--threads", type=int, default=0, metavar="N", help="threads of both (default: as each likes)")
    p.add_argument("--timeout", type=float, default=600.0, metavar="S", help="longest ask before a contender is given up")
    p.add_argument("--report", metavar="FILE", help="markdown table; rows of JSON beside it (default: build/peers/ask_time.md)")
    p.add_argument("--gpu", action="store_true", help="ours and BoTorch on the first GPU")
    p.add_argument("--python", metavar="PROGRAM", help="run the rival with this Python instead of build/peers' own")
    p.add_argument("--hpt", metavar="PROGRAM", help="the program to test (default: build/release/bin/hpt)")
    options = p.parse_args()
    if not options.python:
        wire.into_base(__file__)
        why = wire.install(wire.PEERS[options.rival][0])
        if why:
            sys.exit(why)
    options.hpt = wire.find_hpt(options.hpt)
    problem = problems.catalogue()[f"levy{D}"]
    page = pathlib.Path(options.report) if options.report else wire.PLACE / "ask_time.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for round_ in range(options.rounds):
        for n in sorted(options.n):
            row = measure(n, round_, options, problem)
            rows.append(row)
            said = ", ".join(f"{k} {v:.3g} s" for k, v in row["mean"].items()) or "no times"
            print(f"round {round_ + 1}/{options.rounds}, n={n}: {said}" + "".join(f"; {k}: {v}" for k, v in row["error"].items()), file=sys.stderr)
            # Written as it goes: a round at n=2000 takes minutes.
            page.with_suffix(".jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
            page.write_text(table(rows, options))
    print(page.read_text())


if __name__ == "__main__":
    main()
