"""Softmax and its kin, standardization, one-hot codes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.trace import Value
from pullback.numpy import reductions
from pullback.numpy.arguments import array_argument, static_int
from pullback.numpy.composed import where as choose
from pullback.numpy.promotion import as_inexact
from pullback.primitives import table
from pullback.primitives.creation import broadcasted_iota
from pullback.primitives.recipes import canonical_axes, canonical_axis
from pullback.primitives.reduction import reduce_top
from pullback.primitives.structural import expand_axes, full
from pullback.scipy.special import logsumexp as _logsumexp

__all__ = [
    "log_softmax",
    "logmeanexp",
    "logsumexp",
    "one_hot",
    "softmax",
    "standardize",
]


def softmax(x: Any, axis: Any = -1, where: Any = None, initial: Any = None) -> Value:
    """Give exp(x) over its sum along axes; elements where `where` is false are 0.

    `initial` is accepted for the ecosystem's sake; an empty maximum is safe without.
    """
    x = as_inexact(x, "softmax")
    axes = canonical_axes(axis, len(x.shape), "softmax")
    if where is not None:
        x = choose(where, x, -np.inf)
    top = _safe_top(x, axes)
    powers = table.exp(table.sub(x, top))
    return table.div(powers, reductions.sum(powers, axis=axes, keepdims=True))


def _safe_top(x: Value, axes: tuple[int, ...]) -> Value:
    """Give the maximum, the least finite number where there is no finite one."""
    top = expand_axes(reduce_top(table.stop_gradient(x), axes), axes)
    # A comparison would part the loops of softmax, which the compiler's library joins
    # with a product before it: attention scores take 1.6 times as long.
    return table.max(top, float(dtypes.finfo(x.dtype).min))


def log_softmax(x: Any, axis: Any = -1, where: Any = None) -> Value:
    """Give the logarithm of `softmax`; elements where `where` is false are -inf."""
    x = as_inexact(x, "log_softmax")
    axes = canonical_axes(axis, len(x.shape), "log_softmax")
    if where is not None:
        x = choose(where, x, -np.inf)
    shifted = table.sub(x, _safe_top(x, axes))
    total = reductions.sum(table.exp(shifted), axis=axes, keepdims=True)
    return table.sub(shifted, table.log(total))


def logsumexp(
    a: Any,
    axis: Any = None,
    b: Any = None,
    keepdims: bool = False,
    return_sign: bool = False,
    where: Any = None,
) -> Any:
    """Give log(sum(b exp(a))) without overflow; as `scipy.special.logsumexp`."""
    return _logsumexp(a, axis, b, keepdims, return_sign, where)


def logmeanexp(
    x: Any, axis: Any = None, where: Any = None, keepdims: bool = False
) -> Value:
    """Give log(mean(exp(x))) without overflow."""
    x = as_inexact(x, "logmeanexp")
    axes = canonical_axes(axis, len(x.shape), "logmeanexp")
    total = _logsumexp(x, axes, None, keepdims, False, where)
    if where is None:
        return table.sub(total, math.log(math.prod(x.shape[i] for i in axes)))
    shown = reductions.sum(choose(where, full(x.shape, 1, x.dtype), 0.0), axes)
    count = expand_axes(shown, axes) if keepdims else shown
    return table.sub(total, table.log(count))


def standardize(
    x: Any,
    axis: Any = -1,
    mean: Any = None,
    variance: Any = None,
    epsilon: Any = 1e-5,
    where: Any = None,
) -> Value:
    """Give (x - mean) / sqrt(variance + epsilon), both along axes unless given."""
    x = as_inexact(x, "standardize")
    if mean is None:
        mean = reductions.mean(x, axis, keepdims=True, where=where)
    if variance is None:
        gap = x - mean
        variance = reductions.mean(gap * gap, axis, keepdims=True, where=where)
    return (x - mean) * table.rsqrt(as_inexact(variance, "standardize") + epsilon)


def one_hot(x: Any, num_classes: Any, *, dtype: Any = None, axis: Any = -1) -> Value:
    """Give 1 at the class of each element along a new axis, 0 elsewhere.

    Args:
        x: integers; outside 0 to `num_classes` - 1 gives zeros only.
        num_classes: the length of the new axis.
        dtype: the result's, the default float if None.
        axis: the place of the new axis in the result.
    """
    x = array_argument(x, "one_hot")
    size = static_int(num_classes, "one_hot", "num_classes")
    wanted = dtypes.canonical(float if dtype is None else dtype)
    rank = len(x.shape) + 1
    place = canonical_axis(axis, rank, "one_hot")
    shape = [1] * rank
    shape[place] = size
    classes = broadcasted_iota(x.dtype, tuple(shape), place)
    return table.convert(table.eq(expand_axes(x, (place,)), classes), wanted)
