"""Ranks, the most frequent value, and the error of the mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pullback import dtypes
from pullback.core.trace import Value
from pullback.numpy import reductions
from pullback.numpy.arguments import array_argument, option
from pullback.numpy.shaping import moveaxis, reshape
from pullback.numpy.sorting import argsort, searchsorted, sort
from pullback.primitives import table
from pullback.primitives.cumulative import cumsum
from pullback.primitives.recipes import canonical_axis
from pullback.primitives.reduction import argmax
from pullback.transforms.vmap import vmap

__all__ = ["ModeResult", "mode", "rankdata", "sem"]


class ModeResult(NamedTuple):
    """The most frequent values, and how often each occurs."""

    mode: Value
    count: Value


def _along(
    f: Callable[..., Any], a: Any, axis: int | None, who: str
) -> tuple[Any, int]:
    """Apply a function of a vector along an axis, put last; give its place too."""
    x = array_argument(a, who)
    if axis is None:
        return f(reshape(x, -1)), 0
    place = canonical_axis(axis, len(x.shape), who)
    x = moveaxis(x, place, -1)
    for _ in range(len(x.shape) - 1):
        f = vmap(f)
    return f(x), place


def rankdata(
    a: Any,
    method: str = "average",
    *,
    axis: int | None = None,
    nan_policy: str = "propagate",
) -> Value:
    """Give the ranks, from 1; as `scipy.stats.rankdata`.

    Args:
        a: values; along an axis with a nan, all ranks are nan.
        method: what equal values get: the "average", "min" or "max" of their ranks,
            the "dense" rank, without gaps, or "ordinal" ones, in order.
        axis: along which axis; None takes all values as a vector.
        nan_policy: "propagate".
    """
    methods = ("average", "min", "max", "dense", "ordinal")
    option("rankdata", "method", method, methods)
    option("rankdata", "nan_policy", nan_policy, ("propagate",))
    x = array_argument(a, "rankdata")
    floating = dtypes.scalar_dtype(float)
    count = x.size if axis is None else x.shape[axis]
    if not count:
        return table.convert(reshape(x, -1) if axis is None else x, floating)

    def ranks(x: Value) -> Value:
        found = _ranks(table.stop_gradient(x), method)
        if not dtypes.is_inexact(x.dtype):
            wanted = floating if method == "average" else dtypes.scalar_dtype(int)
            return table.convert(found, wanted)
        missing = reductions.any(table.ne(x, x))
        return table.select(missing, np.nan, table.convert(found, floating))

    found, place = _along(ranks, x, axis, "rankdata")
    return found if axis is None else moveaxis(found, -1, place)


def _ranks(x: Value, method: str) -> Value:
    """Give the ranks of a vector."""
    if method == "ordinal":
        return argsort(argsort(x, stable=True)) + 1
    in_order = sort(x)
    if method == "dense":
        steps = table.ne(in_order[1:], in_order[:-1])
        level = cumsum(table.convert(steps, dtypes.scalar_dtype(int)), 0)
        first = searchsorted(in_order, x)
        return table.select(table.eq(first, 0), 0, level[table.max(first - 1, 0)]) + 1
    below, upto = (searchsorted(in_order, x, side) for side in ("left", "right"))
    if method == "average":
        return table.convert(below + upto + 1, dtypes.scalar_dtype(float)) * 0.5
    return below + 1 if method == "min" else upto


def mode(
    a: Any,
    axis: int | None = 0,
    nan_policy: str = "propagate",
    keepdims: bool = False,
) -> ModeResult:
    """Give the most frequent value, the least of several; as `scipy.stats.mode`.

    Args:
        a: values; where there is a nan, the mode and its count are those of nan.
        axis: along which axis; None takes all values as a vector.
        nan_policy: "propagate".
        keepdims: keep the axis, with length one.
    """
    option("mode", "nan_policy", nan_policy, ("propagate",))
    x = array_argument(a, "mode")

    def most(x: Value) -> tuple[Value, Value]:
        in_order = sort(x)
        last = searchsorted(in_order, in_order, "right")
        counts = last - searchsorted(in_order, in_order)
        place = argmax(counts, 0, dtypes.int32)
        value, count = in_order[place], counts[place]
        if not dtypes.is_inexact(x.dtype):
            return value, count
        missing = table.ne(x, x)
        some = reductions.any(missing)
        nans = table.convert(reductions.sum(missing), count.dtype)
        return table.select(some, np.nan, value), table.select(some, nans, count)

    (value, count), place = _along(most, x, axis, "mode")
    if keepdims:
        shape = [1] * len(x.shape) if axis is None else list(x.shape)
        if axis is not None:
            shape[place] = 1
        value, count = reshape(value, shape), reshape(count, shape)
    return ModeResult(value, count)


def sem(
    a: Any,
    axis: int | None = 0,
    ddof: int = 1,
    nan_policy: str = "propagate",
    *,
    keepdims: bool = False,
) -> Value:
    """Give the standard error of the mean; as `scipy.stats.sem`.

    With `nan_policy` "omit", nans are left out.
    """
    option("sem", "nan_policy", nan_policy, ("propagate", "omit"))
    x = array_argument(a, "sem")
    if nan_policy == "omit":
        there = table.eq(x, x)
        count = reductions.sum(there, axis=axis, keepdims=keepdims)
        spread = reductions.std(x, axis=axis, ddof=ddof, keepdims=keepdims, where=there)
        return spread / table.sqrt(table.convert(count, spread.dtype))
    count = x.size if axis is None else x.shape[axis]
    return (
        reductions.std(x, axis=axis, ddof=ddof, keepdims=keepdims) / float(count) ** 0.5
    )
