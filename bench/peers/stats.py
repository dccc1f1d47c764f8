# SPDX-License-Identifier: Apache-2.0
"""stats.py: the few statistics of the peers' report, in plain Python.

quantile: linear interpolation. ranks: ties share their mean. wilcoxon: the two-sided signed-rank test (F. Wilcoxon,
Biometrics Bulletin 1 (1945) 80), exact by counting all sign patterns, ties by mean ranks, zero differences dropped.
holm: S. Holm, Scand. J. Statistics 6 (1979) 65.
"""


def quantile(values, q):
    v = sorted(values)
    t = q * (len(v) - 1)
    i = min(int(t), len(v) - 2) if len(v) > 1 else 0
    return v[i] if len(v) == 1 else v[i] + (t - i) * (v[i + 1] - v[i]) if t > i else v[i]


def median(values):
    return quantile(values, 0.5)


def ranks(values):
    order = sorted(range(len(values)), key=lambda i: values[i])
    out, i = [0.0] * len(values), 0
    while i < len(order):
        j = i
        while j + 1 < len(order) and values[order[j + 1]] == values[order[i]]:
            j += 1
        for k in range(i, j + 1):
            out[order[k]] = (i + j) / 2 + 1
        i = j + 1
    return out


def wilcoxon(a, b):
    """p that a and b, paired, have the same centre; 1 where nothing differs."""
    d = [x - y for x, y in zip(a, b) if x != y]
    if not d:
        return 1.0
    # Mean ranks are multiples of one half, so twice the rank sum is an integer and its law a table.
    r = [round(2 * t) for t in ranks([abs(x) for x in d])]
    total = sum(r)
    count = [1] + [0] * total
    for t in r:
        for s in range(total, t - 1, -1):
            count[s] += count[s - t]
    w = sum(t for t, x in zip(r, d) if x > 0)
    w = min(w, total - w)
    return min(1.0, 2 * sum(count[: w + 1]) / 2 ** len(d))


def holm(p):
    """Adjusted p values, in the order given."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    out, high = [0.0] * len(p), 0.0
    for k, i in enumerate(order):
        high = max(high, min(1.0, (len(p) - k) * p[i]))
        out[i] = high
    return out
