"""Scans by any associative function."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pullback import dtypes
from pullback.core.trace import Value
from pullback.primitives import table
from pullback.primitives.shaping import concatenate, pad, reverse, slice_in_dim

Combine = Callable[[Sequence[Value], Sequence[Value]], list[Value]]


def associative_scan(
    combine: Combine, elems: Sequence[Value], axis: int, backwards: bool = False
) -> list[Value]:
    """Give all running combinations along an axis, in O(log n) operations.

    Neighbours are combined in pairs and the half as long sequence scanned, which gives
    every second result; the others take one more combination (Ladner and Fischer,
    "Parallel prefix computation", 1980).

    Args:
        combine: an associative function of two lists of arrays, working elementwise
            along the axis.
        elems: arrays with the axis.
        axis: a non-negative axis.
        backwards: go from the end to the beginning.
    """
    if backwards:
        elems = [reverse(x, (axis,)) for x in elems]
        return [reverse(y, (axis,)) for y in associative_scan(combine, elems, axis)]
    n = elems[0].shape[axis]
    if n < 2:
        return list(elems)
    evens = [cut(x, 0, n - 1, axis, 2) for x in elems]
    odds = [cut(x, 1, n, axis, 2) for x in elems]
    scanned = associative_scan(combine, combine(evens, odds), axis)
    later = [cut(x, 2, n, axis, 2) for x in elems]
    short = [cut(x, 0, (n - 1) // 2, axis, 1) for x in scanned]
    between = combine(short, later) if n > 2 else later
    heads = [cut(x, 0, 1, axis, 1) for x in elems]
    firsts = [concatenate([h, b], axis) for h, b in zip(heads, between)]
    return [interleave(a, b, axis) for a, b in zip(firsts, scanned)]


def cut(x: Value, start: int, limit: int, axis: int, step: int) -> Value:
    """Take each `step`-th element from `start` up to `limit`, along one axis."""
    return slice_in_dim(x, start, max(start, limit), axis, step)


def interleave(a: Value, b: Value, axis: int) -> Value:
    """Alternate the elements of two arrays along an axis, beginning with the first."""
    n, m = a.shape[axis], b.shape[axis]
    rank = len(a.shape)

    def spread(x: Value, low: int, high: int) -> Value:
        config = [(0, 0, 0)] * rank
        config[axis] = (low, high, 1)
        return pad(x, dtypes.kind_of(x.dtype)(0), config)

    left, right = spread(a, 0, int(n == m)), spread(b, 1, int(n > m))
    join = table.or_ if a.dtype == dtypes.bool_ else table.add
    return join(left, right)
