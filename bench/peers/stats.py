# SPDX-License-Identifier: Apache-2.0
"""stats.py: the few statistics of the peers' report, in plain Python.

quantile: linear interpolation. ranks: ties share their mean. ranksum: the two-sided rank-sum test (F. Wilcoxon,
Biometrics Bulletin 1 (1945) 80; Mann and Whitney's U), exact by counting all ways to deal the ranks to the two samples, ties
by mean ranks. holm: S. Holm, Scand. J. Statistics 6 (1979) 65.
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


def ranksum(a, b):
    """p that a and b, unpaired and of any lengths, have the same law."""
    # Mean ranks are multiples of one half, so twice the rank sum is an integer and its law a table.
    r = [round(2 * t) for t in ranks(list(a) + list(b))]
    n, total = len(a), sum(r)
    count = [[0] * (total + 1) for _ in range(n + 1)]  # ways to choose k of the ranks with this sum
    count[0][0] = 1
    for t in r:
        for k in range(n, 0, -1):
            for s in range(total, t - 1, -1):
                count[k][s] += count[k - 1][s - t]
    ways = count[n]
    far = abs(sum(r[:n]) * len(r) - n * total)  # from the mean, times the number of ranks
    return sum(c for s, c in enumerate(ways) if abs(s * len(r) - n * total) >= far) / sum(ways)


def holm(p):
    """Adjusted p values, in the order given."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    out, high = [0.0] * len(p), 0.0
    for k, i in enumerate(order):
        high = max(high, min(1.0, (len(p) - k) * p[i]))
        out[i] = high
    return out
