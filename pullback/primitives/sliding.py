"""A vector of weights slid along another vector: the sums of products at each place."""

from __future__ import annotations

import functools
import itertools
from typing import Any

from pullback.core.trace import Value
from pullback.primitives import table
from pullback.primitives.contraction import dot_general
from pullback.primitives.shaping import concatenate, pad, slice_in_dim, split
from pullback.primitives.structural import broadcast, full, reshape

#: Up to so many weights are gone through in the loop over the result, which reads the
#: vector once: of 9 and 1e7 float32, 249 to 2.4 ms (`benchmarks/wide.py`).
FEW = 16
# More are a product of matrices. Of float32 on a 2-core Xeon, in us, with NumPy's time
# and that of the compiler's convolution: 300 by 1,000 numbers 50, 55, 550; 1,000 by
# 10,000 numbers 400, 555, 5,300; 5,000 by 5,000 1,400, 1,100, 83,000.
#: How many places are a row: the first number that is for so many products.
WIDTHS = ((2**17, 32), (2**22, 64), (float("inf"), 128))
#: More weights are taken a piece at a time, so that the matrices fit into memory.
PIECE = 2**12


def slide(x: Value, weights: Value, precision: Any = None) -> Value:
    """Give sum_j weights[j] x[i + j] for each place i where all of them lie inside.

    Args:
        x: a vector of n numbers.
        weights: a vector of m <= n numbers, of the same dtype.
        precision: as `dot_general` takes it.

    Returns:
        A vector of n - m + 1 numbers.
    """
    m = weights.shape[0]
    places = x.shape[0] - m + 1
    if m <= FEW and x.dtype.itemsize >= 4:
        terms = [
            table.mul(slice_in_dim(x, i, i + places, 0), reshape(weight, ()))
            for i, weight in enumerate(split(weights, (1,) * m, 0))
        ]
        return functools.reduce(table.add, terms)
    width = next(width for most, width in WIDTHS if places * m <= most)
    cuts = [*range(0, m, PIECE), m]
    parts = [
        slide_as_matrices(
            slice_in_dim(x, start, places + end - 1, 0),
            slice_in_dim(weights, start, end, 0),
            width,
            precision,
        )
        for start, end in itertools.pairwise(cuts)
    ]
    return functools.reduce(table.add, parts)


def slide_as_matrices(x: Value, weights: Value, width: int, precision: Any) -> Value:
    """Give `slide` as a product, of `width` places a row and shifts of the weights."""
    n, m = x.shape[0], weights.shape[0]
    places = n - m + 1
    rows, blocks = -(-places // width), -(-(m + width - 1) // width)
    inner = blocks * width
    lines = reshape(fill_up(x, (rows + blocks - 1) * width), (rows + blocks - 1, width))
    seen = [slice_in_dim(lines, i, i + rows, 0) for i in range(blocks)]
    # A vector one longer than a row, again and again, is one place further in each row.
    again = broadcast(fill_up(weights, inner + 1), (width, inner + 1), (1,))
    shifts = reshape(again, (width * (inner + 1),))
    shifts = reshape(slice_in_dim(shifts, 0, width * inner, 0), (width, inner))
    sums = dot_general(
        concatenate(seen, 1), shifts, (((1,), (1,)), ((), ())), precision=precision
    )
    return slice_in_dim(reshape(sums, (rows * width,)), 0, places, 0)


def fill_up(x: Value, length: int) -> Value:
    """Put zeros after a vector."""
    return pad(x, full((), 0, x.dtype), [(0, length - x.shape[0], 0)])
