"""Random choices, counts and orders."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.array import Operators
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError, ShapeError
from pullback.numpy import reductions
from pullback.numpy.arguments import array_argument, shape_argument, static_int
from pullback.numpy.promotion import as_inexact
from pullback.numpy.shaping import broadcast_to, moveaxis
from pullback.numpy.sorting import searchsorted
from pullback.numpy.taking import take
from pullback.primitives import table
from pullback.primitives.creation import Iota
from pullback.primitives.random_bits import (
    random_bits,
)
from pullback.primitives.recipes import canonical_axis
from pullback.primitives.reduction import argmax
from pullback.primitives.rejection import random_poisson
from pullback.primitives.shaping import slice_in_dim
from pullback.primitives.sorting import Sort, sort, top_k
from pullback.primitives.structural import full, reshape
from pullback.random.continuous import gumbel
from pullback.random.keys import common_shape, one_key, randint, split, uniform

__all__ = [
    "categorical",
    "choice",
    "geometric",
    "permutation",
    "poisson",
]

# -- discrete --------------------------------------------------------------------------


def categorical(
    key: Any, logits: Any, axis: int = -1, shape: Any = None, replace: bool = True
) -> Value:
    """Give indices along an axis with probabilities softmax(logits).

    The greatest of the logits plus Gumbel numbers; without replacement the k greatest.

    Args:
        key: a key.
        logits: logarithms of probabilities, up to a constant.
        axis: the axis of the categories.
        shape: leading axes of draws, then the shape of `logits` without its axis.
        replace: draw with replacement.
    """
    x = as_inexact(logits, "random.categorical")
    place = canonical_axis(axis, len(x.shape), "random.categorical")
    batch = (*x.shape[:place], *x.shape[place + 1 :])
    size = common_shape(shape, "categorical", full(batch, 0, x.dtype))
    prefix = size[: len(size) - len(batch)]
    index = dtypes.scalar_dtype(int)
    if replace:
        inner = list(size[len(prefix) :])
        inner.insert(place, x.shape[place])
        noise = gumbel(key, (*prefix, *inner), x.dtype)
        return argmax(table.add(noise, x), place + len(prefix), index)
    count = math.prod(prefix)
    if count > x.shape[place]:
        raise ArgumentError(
            f"random.categorical was asked for {count} draws without replacement from "
            f"{x.shape[place]} categories.",
            where=called_at(),
            mend="Ask for fewer, or draw with replacement.",
        )
    noisy = moveaxis(table.add(gumbel(key, x.shape, x.dtype), x), place, -1)
    chosen = moveaxis(top_k(noisy, count)[1], -1, 0)
    return reshape(table.convert(chosen, index), size)


def permutation(key: Any, x: Any, axis: int = 0, independent: bool = False) -> Value:
    """Give an array in random order along an axis, or a permutation of 0 to x - 1.

    With `independent`, each vector along the axis is ordered by itself.
    """
    key = one_key(key, "permutation")
    if isinstance(x, Operators) or np.ndim(x):
        x = array_argument(x, "random.permutation")
    if not np.ndim(x):
        count = static_int(x, "random.permutation", "x")
        return table.convert(_order(key, count), dtypes.scalar_dtype(int))
    place = canonical_axis(axis, len(x.shape), "random.permutation")
    if independent and len(x.shape) > 1:
        return _shuffled(key, x, place)
    if x.shape[place] < 2:
        return x
    order = _order(key, x.shape[place])
    return take(x, order, place, mode="clip")


def _order(key: Value, count: int) -> Value:
    """Give the numbers from 0 to `count` - 1 in the order that sorting leaves them in.

    The order is that of `_shuffled`. A place beside its random word makes one integer,
    and integers alone are sorted ten times faster than pairs: `benchmarks/wide.py`.
    """
    places = Iota(dtypes.uint64, (count,), 0)()
    order = table.convert(places, dtypes.int32)
    for fresh in _rounds(key, count):
        words = table.convert(random_bits(fresh, 32, (count,)), dtypes.uint64)
        joined = table.or_(table.shift_left(words, 32), places)
        (found,) = Sort(0, 1, False)(joined)
        first = table.convert(table.and_(found, 2**32 - 1), dtypes.int32)
        order = take(order, first, 0, mode="clip")
    return order


def _shuffled(key: Value, x: Value, axis: int) -> Value:
    """Sort by random words, so often that ties of all rounds are unlikely."""
    for fresh in _rounds(key, math.prod(x.shape)):
        x = sort([random_bits(fresh, 32, x.shape), x], axis)[1]
    return x


def _rounds(key: Value, size: int) -> Iterator[Value]:
    """Give a key for each round of sorting."""
    for _ in range(math.ceil(3 * math.log(max(1, size)) / math.log(2**32 - 1))):
        key, fresh = split(key)
        yield fresh


def choice(
    key: Any,
    a: Any,
    shape: Any = (),
    replace: bool = True,
    p: Any = None,
    axis: int = 0,
) -> Value:
    """Draw from an axis of an array, or from 0 to a - 1.

    Args:
        key: a key.
        a: an array or an integer.
        shape: the shape of draws, in place of the axis.
        replace: draw with replacement.
        p: probabilities, equal if None.
        axis: the axis drawn from.
    """
    size = shape_argument(shape, "random.choice")
    values = None
    if isinstance(a, Operators) or np.ndim(a):
        values = array_argument(a, "random.choice")
    if values is None or not values.shape:
        values, count, axis = None, static_int(a, "random.choice", "a"), 0
    else:
        axis = canonical_axis(axis, len(values.shape), "random.choice")
        count = values.shape[axis]
    draws = math.prod(size)
    if count <= 0 or (not replace and draws > count):
        raise ArgumentError(
            f"random.choice was asked for {draws} draws from {count} elements with "
            f"replace={replace}.",
            where=called_at(),
            mend="Ask for fewer, or draw with replacement.",
        )
    if p is not None:
        index = _weighted_index(key, p, count, size, replace)
    elif replace:
        index = randint(key, size, 0, count)
    else:
        shuffled = permutation(key, count if values is None else values, axis)
        found = slice_in_dim(shuffled, 0, draws, axis)
        rest = found.shape
        return reshape(found, (*rest[:axis], *size, *rest[axis + 1 :]))
    return index if values is None else take(values, index, axis, mode="clip")


def _weighted_index(
    key: Any, p: Any, count: int, size: tuple[int, ...], replace: bool
) -> Value:
    """Draw indices with given probabilities."""
    p = as_inexact(p, "random.choice")
    if p.shape != (count,):
        raise ShapeError(
            f"random.choice was given p of shape {p.shape} for {count} elements.",
            where=called_at(),
            mend="Give one probability an element.",
        )
    index = dtypes.scalar_dtype(int)
    if not replace:
        noisy = table.add(gumbel(key, (count,), p.dtype), table.log(p))
        return reshape(table.convert(top_k(noisy, math.prod(size))[1], index), size)
    sums = reductions.cumsum(p)
    total = reshape(slice_in_dim(sums, count - 1, count, 0), ())
    level = table.mul(table.sub(1.0, uniform(key, size, p.dtype)), total)
    return table.convert(searchsorted(sums, level), index)


def geometric(key: Any, p: Any, shape: Any = None, dtype: Any = None) -> Value:
    """Give the number of trials up to the first success of probability `p`."""
    p = as_inexact(p, "random.geometric")
    size = common_shape(shape, "geometric", p)
    wanted = dtypes.canonical(int if dtype is None else dtype)
    logs = table.log(uniform(key, size, p.dtype))
    ratio = table.div(logs, table.log1p(table.neg(p)))
    return table.convert(table.add(table.floor(ratio), 1.0), wanted)


def poisson(key: Any, lam: Any, shape: Any = None, dtype: Any = None) -> Value:
    """Give Poisson numbers of rate `lam`."""
    wanted = dtypes.canonical(int if dtype is None else dtype)
    rate = table.convert(array_argument(lam, "random.poisson"), dtypes.float32)
    size = common_shape(shape, "poisson", rate)
    return random_poisson(one_key(key, "poisson"), broadcast_to(rate, size), wanted)
