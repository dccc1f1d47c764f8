#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/core/space/joe_kuo.inc, the Sobol direction numbers of Joe & Kuo.

usage: gen_joe_kuo.py SOURCE [DIMENSIONS] > src/core/space/joe_kuo.inc

SOURCE is either the authors' text file new-joe-kuo-6.21201 (columns d s a m_i...) or the same data as
SciPy installs it, scipy/stats/_sobol_direction_numbers.npz (arrays poly and vinit). Both give the same
output. Default: 1111 dimensions, the width of HPT__SOBOL_MAX_DIM in sobol.h.
"""
import sys

DIMENSIONS = 1111
DEGREE_MAX = 13  # of the polynomials of the first 1111 dimensions; the C struct has that many m_i

LICENCE = """\
// SPDX-License-Identifier: Apache-2.0 AND BSD-3-Clause
// joe_kuo.inc: direction numbers for Sobol points, the first %d dimensions of new-joe-kuo-6.21201
// (S. Joe and F. Y. Kuo, "Constructing Sobol sequences with better two-dimensional projections",
// SIAM J. Sci. Comput. 30, 2635-2654, 2008; https://web.maths.unsw.edu.au/~fkuo/sobol/).
// Written by scripts/gen_joe_kuo.py; do not edit. Included once, by sobol.c.
//
// One row a dimension: the primitive polynomial over GF(2), all coefficients as bits, then m_1..m_s with s its
// degree. Row 0 is the van der Corput sequence (polynomial 1, every m_i 1).
//
// The numbers are the authors', under this licence:
//
// Copyright (c) 2008, Frances Y. Kuo and Stephen Joe
// All rights reserved.
//
// Redistribution and use in source and binary forms, with or without modification, are permitted provided
// that the following conditions are met:
//
//   * Redistributions of source code must retain the above copyright notice, this list of conditions and the
//     following disclaimer.
//
//   * Redistributions in binary form must reproduce the above copyright notice, this list of conditions and
//     the following disclaimer in the documentation and/or other materials provided with the distribution.
//
//   * Neither the names of the copyright holders nor the names of the University of New South Wales and the
//     University of Waikato and its contributors may be used to endorse or promote products derived from
//     this software without specific prior written permission.
//
// THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS ``AS IS'' AND ANY EXPRESS OR IMPLIED WARRANTIES,
// INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR
// PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDERS BE LIABLE FOR ANY DIRECT, INDIRECT,
// INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF
// SUBSTITUTE GOODS OR SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND
// ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR
// OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH
// DAMAGE."""


def read_npz(path, n):
    import numpy

    with numpy.load(path) as z:
        for poly, m in zip(z["poly"][1:n].tolist(), z["vinit"][1:n].tolist()):
            yield poly, m[: poly.bit_length() - 1]


def read_text(path, n):
    with open(path, encoding="ascii") as f:
        next(f)  # column names
        for _, line in zip(range(n - 1), f):
            _, s, a, *m = (int(word) for word in line.split())
            yield (1 << s) | (a << 1) | 1, m


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    n = int(sys.argv[2]) if len(sys.argv) == 3 else DIMENSIONS
    read = read_npz if sys.argv[1].endswith(".npz") else read_text
    rows = list(read(sys.argv[1], n))
    if len(rows) != n - 1:
        sys.exit(f"{sys.argv[1]}: {len(rows) + 1} dimensions, {n} wanted")
    print(LICENCE % n)
    print("{1, {1}},")
    for j, (poly, m) in enumerate(rows, 2):
        s = poly.bit_length() - 1
        if len(m) != s or s > DEGREE_MAX or any(x % 2 == 0 or x >> (i + 1) for i, x in enumerate(m)):
            sys.exit(f"{sys.argv[1]}: dimension {j} is not as expected: {poly} {m}")
        print("{%d, {%s}}," % (poly, ", ".join(map(str, m))))


if __name__ == "__main__":
    main()
