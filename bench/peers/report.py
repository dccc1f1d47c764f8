# SPDX-License-Identifier: Apache-2.0
"""report.py: a page of markdown and three plots from the rows that run.py wrote.

Regret: true value of the trial with the best told value so far, minus the optimum (minus the best value in the rows
where nobody knows the optimum). A run that broke off keeps its last regret, and the page says so. For ranks and plots
regrets below a floor count as equal: nobody tunes to the seventh digit. Times are seconds of an ask plus its tell, seen
from outside; ratios are taken inside a group of runs that took turns.
"""
import math
import pathlib

import wire
from stats import holm, median, quantile, ranks, ranksum

FLOOR, FLOOR_UNKNOWN = 1e-6, 1e-4
COLOURS = {
    "hpt-auto": "#c1121f", "hpt-gp": "#780000", "hpt-tpe": "#e76f51", "hpt-random": "#bcb8b1",
    "optuna-gp": "#1d4e89", "optuna-tpe": "#4ea8de", "optuna-tpe-mv": "#90caf9", "optuna-cma": "#6a4c93",
    "optuna-random": "#8d99ae", "botorch": "#2a9d3f", "hebo": "#f4a300", "smac-hpo": "#7f5539", "smac-bb": "#b08968",
    "skopt": "#0f8b8d", "cma": "#b14aed", "random": "#6c757d",
}  # fmt: skip


class Data:
    """Rows by (problem, peer, seed), with regret curves."""

    def __init__(self, rows, wanted=None, peers=None):
        self.heads = [r for r in rows if r["kind"] == "head"]
        self.skipped = {}
        for r in rows:
            if r["kind"] == "skipped":
                self.skipped.update(r["skipped"])
        runs = [r for r in rows if r["kind"] == "run" and (wanted is None or r["problem"] in wanted) and (not peers or r["peer"] in peers)]
        # One budget a problem: the one that was run last.
        last = {r["problem"]: r["budget"] for r in runs}
        self.runs = {(r["problem"], r["peer"], r["seed"]): r for r in runs if r["budget"] == last[r["problem"]]}
        # A run that was done again counts by its last row; ratios of time come from whichever group took turns.
        self.grouped = {(r["group"], r["peer"]): r for r in runs}
        self.budget = last
        self.problems = list(dict.fromkeys(k[0] for k in self.runs))
        present = {k[1] for k in self.runs}
        self.peers = [p for p in wire.PEERS if p in present] + sorted(present - set(wire.PEERS))
        self.skipped = {k: v for k, v in self.skipped.items() if k not in present}
        best = {}
        for r in self.runs.values():
            if r["optimum"] is None and r["true"]:
                best[r["problem"]] = min(best.get(r["problem"], math.inf), min(r["true"]))
        self.floor = {p: FLOOR_UNKNOWN if p in best else FLOOR for p in self.problems}
        self.curve = {k: curve(r, best.get(k[0])) for k, r in self.runs.items()}

    def seeds(self, problem, peer):
        return sorted(s for p, q, s in self.runs if (p, q) == (problem, peer))

    def final(self, problem, peer, seed):
        """Final regret, not below the floor; infinite for a run that broke off before its first result."""
        c = self.curve[problem, peer, seed]
        return max(c[-1], self.floor[problem]) if c else math.inf

    def finals(self, problem, peer):
        return [self.final(problem, peer, s) for s in self.seeds(problem, peer)]


def curve(row, best):
    """Regret after each trial, as long as the budget."""
    reference = row["optimum"] if row["optimum"] is not None else best
    told, out, incumbent = row["told"] or row["true"], [], None
    for t, v in zip(told, row["true"]):
        if incumbent is None or t < incumbent[0]:
            incumbent = (t, v)
        out.append(incumbent[1] - reference)
    return out + out[-1:] * (row["budget"] - len(out))


def seconds(row):
    return [a + t for a, t in zip(row["ask_s"], row["tell_s"])]


def number(v):
    if v is None or math.isinf(v):
        return "-"
    return f"{v:,.0f}" if 1000 <= abs(v) < 1e6 else f"{v:.3g}"


def head_lines(data):
    heads = {(h["machine"], h["threads"]) for h in data.heads}
    dates = sorted({h["date"] for h in data.heads})
    lines = [f"{m}; threads {'as each contender likes' if not t else t}." for m, t in sorted(heads)]
    lines.append(f"Run {dates[0]}{' to ' + dates[-1] if len(dates) > 1 else ''}; contenders took turns, trial by trial." if dates else "")
    versions = {}
    for r in data.runs.values():
        versions.setdefault(r["version"], []).append(r["peer"])
    lines.append("Versions: " + "; ".join(f"{v} ({', '.join(sorted(set(p)))})" for v, p in versions.items() if v != "random") + ".")
    broken = {}
    for (_, peer, _), r in data.runs.items():
        if r["status"] != "ok":
            broken.setdefault((peer, r["status"], r["error"]), []).append(r)
    for (peer, status, error), rows in broken.items():
        lines.append(f"{peer}: {len(rows)} runs broke off ({status}: {error}); their last regret counts.")
    lines += [f"Left out: {name}: {why}." for name, why in data.skipped.items()]
    lines += sorted({n + "." for h in data.heads for n in h["notes"]})
    return [line for line in lines if line]


def regret_table(data):
    lines = ["| problem | trials | seeds | " + " | ".join(data.peers) + " |", "|---|--:|--:|" + "--:|" * len(data.peers)]
    for p in data.problems:
        cells, counts = [], set()
        for q in data.peers:
            f = data.finals(p, q)
            if not f:
                cells.append("")
                continue
            counts.add(len(f))
            cells.append(f"{number(median(f))} [{number(quantile(f, 0.25))}, {number(quantile(f, 0.75))}]")
        best = min((median(data.finals(p, q)) for q in data.peers if data.finals(p, q)), default=None)
        cells = [f"**{c}**" if c and median(data.finals(p, q)) == best else c for c, q in zip(cells, data.peers)]
        lines.append(f"| {p} | {data.budget[p]} | {'/'.join(str(c) for c in sorted(counts))} | " + " | ".join(cells) + " |")
    return lines


def mean_ranks(data, peers):
    """(mean rank by peer, geometric mean of regret over random's median, pairs) over what all of `peers` have run."""
    pairs = [(p, s) for p in data.problems for s in data.seeds(p, peers[0]) if all((p, q, s) in data.runs for q in peers)]
    if not pairs:
        return None
    by_problem = {}
    for p, s in pairs:
        r = ranks([data.final(p, q, s) for q in peers])
        by_problem.setdefault(p, []).append(r)
    # Problems weigh alike, whatever the number of their seeds.
    rank = [sum(sum(r[i] for r in rs) / len(rs) for rs in by_problem.values()) / len(by_problem) for i in range(len(peers))]
    return dict(zip(peers, rank)), relative(data, peers, by_problem), len(pairs), len(by_problem)


def relative(data, peers, used):
    """Geometric mean over problems of median regret over random search's."""
    base = next((q for q in ("random", "optuna-random", "hpt-random") if q in data.peers), None)
    out = {}
    for q in peers:
        logs = []
        for p in used:
            if base and data.finals(p, base) and data.finals(p, q):
                a, b = median(data.finals(p, q)), median(data.finals(p, base))
                logs.append(math.log(a / b) if math.isfinite(a) else 0.0)
        out[q] = math.exp(sum(logs) / len(logs)) if logs else None
    return out


def rank_lines(data):
    """Ranks of those that ran everything, and of all on what all of them ran."""
    most = max(len([1 for k in data.runs if k[1] == q]) for q in data.peers)
    full = [q for q in data.peers if len([1 for k in data.runs if k[1] == q]) == most]
    lines = []
    for peers in [full] + ([data.peers] if full != data.peers else []):
        if len(peers) < 2:
            continue
        got = mean_ranks(data, peers)
        if not got:
            lines += ["", f"No problem and seed was run by all of {', '.join(peers)}."]
            continue
        rank, rel, n, m = got
        lines += ["", f"{len(peers)} contenders, {m} problems, {n} pairs of problem and seed:", ""]
        lines += ["| contender | mean rank | regret / random's (geometric mean) |", "|---|--:|--:|"]
        lines += [f"| {q} | {rank[q]:.2f} | {number(rel[q])} |" for q in sorted(peers, key=lambda q: rank[q])]
    return lines


def time_lines(data, ours):
    lines = ["| contender | s per ask | last tenth | CPU s per ask | start, s | peak MiB | " + (f"time / {ours}'s, paired (min..max) |" if ours else "|")]
    lines.append("|---|--:|--:|--:|--:|--:|--:|")
    # Contenders are told nothing about the machine's load; wall time far above CPU time shows that it was busy.
    for q in data.peers:
        rows = [r for (_, peer, _), r in data.runs.items() if peer == q and r["ask_s"]]
        if not rows:
            continue
        every = [t for r in rows for t in seconds(r)]
        late = [t for r in rows for t in seconds(r)[-max(1, len(r["ask_s"]) // 10) :]]
        cpu = [r["cpu_s"] / len(r["ask_s"]) for r in rows if r["cpu_s"] is not None]
        peak = [r["peak_mib"] for r in rows if r["peak_mib"] is not None]
        ratio = ""
        if ours and q != ours:
            paired = []
            for r in rows:
                o = data.grouped.get((r["group"], ours))
                if o and o["status"] == r["status"] == "ok":
                    paired.append(sum(seconds(r)) / sum(seconds(o)))
            ratio = f"{number(median(paired))} ({number(min(paired))}..{number(max(paired))})" if paired else "-"
        cells = [f"{sum(every) / len(every):.2g}", f"{sum(late) / len(late):.2g}", f"{sum(cpu) / len(cpu):.2g}" if cpu else "-"]
        cells += [f"{median([r['start_s'] for r in rows]):.2g}", f"{max(peak):.0f}" if peak else "-"]
        lines.append(f"| {q} | " + " | ".join(cells) + f" | {ratio} |")
    return lines


def versus_lines(data, ours, rival):
    """Wilcoxon's rank sums by problem, ours against the rival, Holm-corrected over the problems. Unpaired, since a rival
    that takes a minute a run has fewer seeds: the pairs alone would throw the others away."""
    rows = []
    for p in data.problems:
        a = [data.final(p, ours, s) for s in data.seeds(p, ours)]
        b = [data.final(p, rival, s) for s in data.seeds(p, rival)]
        if not a or not b:
            continue
        wins = sum(x < y for x in a for y in b) / (len(a) * len(b))
        rows.append((p, len(a), len(b), median(a), median(b), wins, ranksum(a, b)))
    if not rows:
        return []
    adjusted = holm([r[-1] for r in rows])
    lines = ["", f"## {ours} against {rival}", ""]
    least = max(2 / math.comb(r[1] + r[2], r[1]) for r in rows)
    lines.append(f"Wilcoxon's rank-sum test, all seeds of both, two-sided, Holm-corrected over {len(rows)} problems, 5 %. The smallest p that")
    lines.append(f"every problem can reach is {least:.2g}, after correction {min(1, len(rows) * least):.2g}. `wins`: share of all pairs of runs in which {ours} ends lower.")
    lines += ["", f"| problem | seeds | {ours} | {rival} | wins | p | p (Holm) | verdict |", "|---|--:|--:|--:|--:|--:|--:|---|"]
    for (p, n, m, a, b, wins, raw), adj in zip(rows, adjusted):
        verdict = "no difference shown" if adj > 0.05 else "better" if wins > 0.5 else "worse"
        lines.append(f"| {p} | {n}, {m} | {number(a)} | {number(b)} | {wins:.2f} | {raw:.2g} | {adj:.2g} | {verdict} |")
    return lines


# ---- plots --------------------------------------------------------------------------------------------------------


def style(q):
    ours = q.startswith("hpt-")
    return {"color": COLOURS.get(q, "#333333"), "lw": 2.2 if ours else 1.3, "zorder": 5 if ours else 3, "ls": "--" if q.endswith("random") else "-"}


def panels(plt, n, width=3.5, height=2.7):
    columns = min(n, 4 if n > 4 else 2 if n > 1 else 1)
    lines = -(-n // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(max(width * columns, 6), height * lines + 0.7), squeeze=False, layout="constrained")
    for ax in axes.flat[n:]:
        ax.axis("off")
    for ax in axes.flat[:n]:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(True, which="major", lw=0.4, alpha=0.5)
        ax.tick_params(labelsize=8)
    return figure, axes


def legend(figure, axes):
    handles = {}
    for ax in axes.flat:
        for h, label in zip(*ax.get_legend_handles_labels()):
            handles.setdefault(label, h)
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(len(handles), 6), fontsize=9, frameon=False)


def plot_regret(plt, data, path):
    from matplotlib.ticker import LogLocator

    figure, axes = panels(plt, len(data.problems))
    for k, (ax, p) in enumerate(zip(axes.flat, data.problems)):
        low, high = math.inf, 0.0
        for q in data.peers:
            curves = [data.curve[p, q, s] for s in data.seeds(p, q)]
            curves = [c for c in curves if c]
            if not curves:
                continue
            at = [[max(c[t], data.floor[p]) for c in curves] for t in range(len(curves[0]))]
            mid = [median(v) for v in at]
            x = range(1, len(at) + 1)
            ax.plot(x, mid, label=q, **style(q))
            ax.fill_between(x, [quantile(v, 0.25) for v in at], [quantile(v, 0.75) for v in at], color=COLOURS.get(q, "#333333"), alpha=0.10, lw=0)
            low, high = min(low, mid[-1]), max(high, mid[0])
        ax.set_yscale("log")
        if low < high:
            wide = high > 100 * low
            ax.set_ylim(low / (3 if wide else 1.5), high * 1.5)
            if not wide:
                # Less than two decades would show a single label.
                ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                ax.yaxis.set_major_formatter("{x:g}")
        ax.minorticks_off()
        ax.set_title(p, fontsize=10)
        if k % axes.shape[1] == 0:
            ax.set_ylabel("regret", fontsize=9)
        if k + axes.shape[1] >= len(data.problems):
            ax.set_xlabel("trials", fontsize=9)
    figure.suptitle("Regret of the best trial: median and quartiles over seeds", fontsize=11)
    legend(figure, axes)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def smooth(values, k=5):
    return [median(values[max(0, i - k) : i + k + 1]) for i in range(len(values))]


def plot_time(plt, data, path):
    figure, axes = panels(plt, len(data.problems))
    for k, (ax, p) in enumerate(zip(axes.flat, data.problems)):
        for q in data.peers:
            rows = [seconds(data.runs[p, q, s]) for s in data.seeds(p, q)]
            n = min((len(r) for r in rows), default=0)
            if n:
                ax.plot(range(1, n + 1), smooth([median([r[t] for r in rows]) for t in range(n)]), label=q, **style(q))
        ax.set_yscale("log")
        ax.minorticks_off()
        ax.set_title(p, fontsize=10)
        if k % axes.shape[1] == 0:
            ax.set_ylabel("seconds", fontsize=9)
        if k + axes.shape[1] >= len(data.problems):
            ax.set_xlabel("trials", fontsize=9)
    figure.suptitle("Seconds of one ask and tell: median over seeds, running median over 11 trials", fontsize=11)
    legend(figure, axes)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def name_marks(figure, ax, marks):
    """Each mark's name at the first of four sides where it covers no mark and no other name, or above."""
    from matplotlib.transforms import Bbox

    figure.draw_without_rendering()  # settles the layout that the boxes are measured in
    points = [ax.transData.transform((x, y)) for x, y, _ in marks]
    unit = figure.dpi / 72
    taken = [Bbox.from_bounds(x - 5 * unit, y - 5 * unit, 10 * unit, 10 * unit) for x, y in points]
    sides = ((0, 6, "center", "bottom"), (0, -6, "center", "top"), (7, 0, "left", "center"), (-7, 0, "right", "center"))
    for x, y, q in marks:
        texts = []
        for dx, dy, ha, va in sides:
            texts.append(ax.annotate(q, (x, y), xytext=(dx, dy), textcoords="offset points", ha=ha, va=va, fontsize=8, fontweight="bold" if q.startswith("hpt-") else "normal"))
        chosen = next((t for t in texts if not any(t.get_window_extent().overlaps(b) for b in taken)), texts[0])
        taken.append(chosen.get_window_extent())
        for t in texts:
            if t is not chosen:
                t.remove()


def plot_summary(plt, data, path):
    """Mean rank, and what quality costs: regret beside random search over seconds an ask."""
    peers = [q for q in data.peers if any((p, q, s) in data.runs for p in data.problems for s in data.seeds(p, q))]
    got = mean_ranks(data, peers)
    if not got:
        return False
    rank, rel, _, _ = got
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 0.9 + 0.32 * max(len(peers), 7)), layout="constrained")
    order = sorted(peers, key=lambda q: -rank[q])
    left.barh(order, [rank[q] for q in order], color=[COLOURS.get(q, "#333333") for q in order], height=0.65)
    for i, q in enumerate(order):
        left.text(rank[q] + 0.03 * len(peers), i, f"{rank[q]:.2f}", va="center", fontsize=8)
        left.get_yticklabels()[i].set_fontweight("bold" if q.startswith("hpt-") else "normal")
    left.set_xlim(0, len(peers) * 1.02)
    left.set_title("mean rank of the final regret (less is better)", fontsize=10)
    marks = []
    for q in peers:
        every = [t for (_, peer, _), r in data.runs.items() if peer == q for t in seconds(r)]
        if every and rel[q]:
            marks.append((sum(every) / len(every), rel[q], q))
    for x, y, q in marks:
        right.scatter(x, y, s=70 if q.startswith("hpt-") else 40, color=COLOURS.get(q, "#333333"), zorder=3)
    right.set_xscale("log")
    right.set_yscale("log")
    right.margins(0.18)
    right.set_xlabel("seconds of one ask and tell (mean)", fontsize=9)
    right.set_title("regret / random search's (less is better)", fontsize=10)
    right.grid(True, which="major", lw=0.4, alpha=0.5)
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize=8, which="both")
    name_marks(figure, right, sorted(marks))
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return True


def write(rows, page, wanted=None, peers=None):
    """Writes the page and its plots; the page's text."""
    data = Data(rows, wanted, peers)
    page = pathlib.Path(page)
    page.parent.mkdir(parents=True, exist_ok=True)
    ours = next((q for q in ("hpt-auto", "hpt-gp", "hpt-tpe", "hpt-random") if q in data.peers), None)
    rival = next((q for q in ("optuna-gp", "optuna-tpe") if q in data.peers), None)
    lines = ["# Optimisers beside each other", "", *[line + "  " for line in head_lines(data)], ""]
    lines += ["Final regret, median [quartiles] over seeds; the least median of a line is bold.", "", *regret_table(data)]
    lines += ["", "## Ranks", *rank_lines(data), "", "## Time", "", *time_lines(data, ours)]
    if ours and rival:
        lines += versus_lines(data, ours, rival)
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt

        names = [page.with_name(f"{page.stem}_{part}.png") for part in ("summary", "regret", "time")]
        drawn = plot_summary(plt, data, names[0])
        plot_regret(plt, data, names[1])
        plot_time(plt, data, names[2])
        lines += ["", "## Plots", ""] + [f"![{n.stem}]({n.name})" for n in names if drawn or n != names[0]]
    except ImportError as e:
        lines += ["", f"No plots: {e}."]
    text = "\n".join(lines) + "\n"
    page.write_text(text)
    return text
