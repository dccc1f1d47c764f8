# SPDX-License-Identifier: Apache-2.0
"""run.py: optimisers beside each other: the same problems, seeds and budgets, in turn, ask by ask.

    python3 bench/peers/run.py --quick
    python3 bench/peers/run.py --problems synthetic tree mixed --peers hpt-auto optuna-gp cma random --seeds 10

Every contender is a process of its own (wire.py). For a problem and a seed all of them run side by side, one trial each
in turn and beginning with another one each turn, so that load of the machine meets all alike; ratios are taken inside
such a group only. Peers come from PyPI into build/peers at the first call; those that need torch (2 GB to download) only
if --peers names them or they are there already. Finished runs are appended to a file of JSON lines; --resume FILE goes
on where it ended. The report (report.py) is a page of markdown with plots beside it.

Contenders that take seconds an ask (botorch, hebo, smac-*) get 3 seeds and the problems of problems.SLOW_SUBSET, unless
--slow-everywhere is given.
"""
import argparse
import datetime
import json
import os
import pathlib
import sys
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import problems  # noqa: E402
import report  # noqa: E402
import wire  # noqa: E402

QUICK_PEERS = ("hpt-auto", "optuna-gp", "optuna-tpe", "cma", "random")
DEFAULT_PEERS = ("hpt-auto", "optuna-gp", "optuna-tpe", "optuna-cma", "skopt", "cma", "random")
SLOW_SEEDS = 3


class Log:
    """Rows of finished runs in a file of JSON lines; a line that a kill cut off is ignored and stays alone."""

    def __init__(self, path):
        self.path, self.rows = pathlib.Path(path), []
        torn = False
        if self.path.exists():
            text = self.path.read_text()
            torn = bool(text) and not text.endswith("\n")
            for line in text.splitlines():
                try:
                    self.rows.append(json.loads(line))
                except ValueError:
                    continue
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if torn:
            self.write("\n")

    def write(self, text):
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)

    def add(self, row):
        self.rows.append(row)
        self.write(json.dumps(row) + "\n")

    def runs(self):
        return [r for r in self.rows if r["kind"] == "run"]

    def done(self):
        return {(r["problem"], r["peer"], r["seed"], r["budget"]) for r in self.runs()}


class Contender:
    """One run: a peer on a problem with a seed."""

    def __init__(self, name, problem, seed, budget, options):
        self.name, self.problem, self.seed, self.budget = name, problem, seed, budget
        self.status, self.error, self.peer, self.start_s = "ok", None, None, None
        self.told, self.true, self.ask_s, self.tell_s = [], [], [], []
        self.cpu_begin = None
        try:
            begin = time.perf_counter()
            self.peer = wire.make(name, options)
            self.peer.start(problem.space, seed, budget)
            self.start_s = time.perf_counter() - begin
            self.cpu_begin = self.peer.process.usage()[0]
        except wire.PeerError as e:
            self.fail("start", str(e))

    def fail(self, status, error):
        self.status, self.error = status, error
        self.close()

    def turn(self, number, fn):
        """One ask, one evaluation, one tell."""
        try:
            x, ask_s = self.peer.ask()
            wrong = problems.complaint(self.problem.space, x)
            if wrong:
                raise wire.PeerError("invalid", wrong)
            value = fn(x)
            told = self.problem.observed(value, self.seed, number)
            tell_s = self.peer.tell(told)
        except wire.PeerError as e:
            self.fail(e.kind, str(e))
            return
        self.true.append(value)
        self.told.append(told)
        self.ask_s.append(round(ask_s, 7))
        self.tell_s.append(round(tell_s, 7))

    def row(self, group, optimum):
        cpu, peak = self.peer.process.usage() if self.status == "ok" else (None, None)
        return {
            "kind": "run", "problem": self.problem.name, "peer": self.name, "seed": self.seed, "budget": self.budget,
            "status": self.status, "error": self.error, "version": self.peer.version, "group": group, "optimum": optimum,
            "start_s": round(self.start_s, 4), "cpu_s": None if cpu is None else round(cpu - self.cpu_begin, 2),
            "peak_mib": None if peak is None else round(peak, 1), "true": self.true,
            "told": self.told if self.problem.noise else None, "ask_s": self.ask_s, "tell_s": self.tell_s,
        }  # fmt: skip

    def close(self):
        if self.peer is not None:
            self.peer.close()


def run_group(problem, seed, budget, names, options, log, skipped):
    """All contenders of `names` on one problem and seed, in turn."""
    fn, optimum = problem.instance(seed)
    group, contenders = uuid.uuid4().hex[:12], []
    try:
        for name in names:
            if name in skipped:
                continue
            c = Contender(name, problem, seed, budget, options)
            if c.status == "start":
                # Not booked: a later call with what was missing runs it.
                skipped[name] = f"does not start: {c.error}"
                print(f"{name} {skipped[name]}", file=sys.stderr)
                continue
            contenders.append(c)
        for number in range(budget):
            for k in range(len(contenders)):
                c = contenders[(k + number) % len(contenders)]
                if c.status == "ok":
                    c.turn(number, fn)
        for c in contenders:
            log.add(c.row(group, optimum))
    finally:
        for c in contenders:
            c.close()


def plan(options, chosen, names, log):
    """(problem, seed, budget, names that still have to run), seeds outermost: a run cut short has all problems."""
    done, out = log.done(), []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for problem in chosen:
            budget = options.budget or problem.budget
            todo = []
            for name in names:
                slow = name in wire.PEERS and wire.PEERS[name][2] and not options.slow_everywhere
                if slow and (seed - options.first_seed >= SLOW_SEEDS or problem.name not in problems.SLOW_SUBSET):
                    continue
                if (problem.name, name, seed, budget) not in done:
                    todo.append(name)
            if todo:
                out.append((problem, seed, budget, todo))
    return out


def available(names, asked, skipped):
    """Installs what the contenders need; those that cannot be had go to `skipped` with the reason."""
    for name in names:
        environment = wire.PEERS[name][0]
        if environment in (None, "base"):
            continue
        if not asked and environment == "torch" and not (wire.PLACE / environment / "installed.json").exists():
            skipped[name] = "needs torch (2 GB to download), which is installed only if --peers names this contender"
            continue
        why = wire.install(environment)
        if why:
            skipped[name] = why


def parse(argv):
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--quick", action="store_true", help="four problems, 3 seeds, 40 trials: a look, in minutes")
    p.add_argument("--problems", nargs="+", metavar="NAME", help="problems or groups: synthetic tree mixed noisy bbob mixint sklearn all (default: all but sklearn)")
    p.add_argument("--peers", nargs="+", metavar="NAME", choices=list(wire.PEERS), help=", ".join(wire.PEERS))
    p.add_argument("--seeds", type=int, metavar="N", help="how many (default 10)")
    p.add_argument("--first-seed", type=int, default=0, metavar="N")
    p.add_argument("--budget", type=int, metavar="N", help="trials a run (default: the problem's own)")
    p.add_argument("--resume", metavar="FILE", help="JSON lines of an earlier run to go on with (made if it is not there)")
    p.add_argument("--report", metavar="FILE", help="markdown page; its plots lie beside it (default: build/peers/report.md)")
    p.add_argument("--report-only", action="store_true", help="run nothing, report what --resume has")
    p.add_argument("--threads", type=int, default=0, metavar="N", help="threads of every contender (default: as each likes)")
    p.add_argument("--timeout", type=float, default=300.0, metavar="S", help="longest ask before a contender is given up")
    p.add_argument("--slow-everywhere", action="store_true", help="all problems and seeds for the slow contenders too")
    p.add_argument("--hpt", metavar="PROGRAM", help="the program to test (default: build/release/bin/hpt)")
    p.add_argument("--list", action="store_true", help="list problems and contenders, run nothing")
    options = p.parse_args(argv)
    if options.seeds is None:
        options.seeds = 3 if options.quick else 10
    if options.quick and options.budget is None:
        options.budget = 40
    if options.report_only and not options.resume:
        p.error("--report-only needs --resume FILE")
    return options


def main(argv=None):
    options = parse(argv)
    wire.into_base(__file__)
    notes, skipped = [], {}
    table = problems.catalogue(notes)
    if options.list:
        for q in table.values():
            print(f"{q.name:18} {q.group:10} {len(q.space):3} parameters, {q.budget:3} trials")
        print("contenders:", ", ".join(wire.PEERS))
        return 0
    for note in notes:
        print(note, file=sys.stderr)
    chosen = problems.choose(options.problems or (problems.QUICK if options.quick else [g for g in dict.fromkeys(q.group for q in table.values()) if g != "sklearn"]), table)
    names = list(dict.fromkeys(options.peers or (QUICK_PEERS if options.quick else DEFAULT_PEERS)))
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    log = Log(options.resume or wire.PLACE / f"runs/{stamp}.jsonl")
    if not options.report_only:
        available(names, bool(options.peers), skipped)
        for name, why in skipped.items():
            print(f"{name} is left out: {why}", file=sys.stderr)
        if any(n.startswith("hpt-") for n in names):
            options.hpt = wire.find_hpt(options.hpt)
        todo = plan(options, chosen, [n for n in names if n not in skipped], log)
        log.add({"kind": "head", "date": datetime.date.today().isoformat(), "machine": wire.machine(), "threads": options.threads, "notes": notes})
        try:
            for i, (problem, seed, budget, group) in enumerate(todo):
                begin = time.perf_counter()
                run_group(problem, seed, budget, group, options, log, skipped)
                print(f"{i + 1}/{len(todo)} {problem.name} seed {seed}: {time.perf_counter() - begin:.1f} s", file=sys.stderr)
        except KeyboardInterrupt:
            print(f"\nstopped; go on with --resume {log.path}", file=sys.stderr)
            return 130
        log.add({"kind": "skipped", "skipped": skipped})
    page = pathlib.Path(options.report) if options.report else wire.PLACE / "report.md"
    if not log.runs():
        sys.exit("no finished run to report")
    wanted = {q.name for q in chosen} if options.problems or options.quick else None
    text = report.write(log.rows, page, wanted, options.peers)
    print(text)
    print(f"rows: {os.path.relpath(log.path)}; page and plots: {os.path.relpath(page)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
