"""Binomial and multinomial numbers: how often trials succeed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.calls.loops import scan
from pullback.calls.while_loop import while_loop
from pullback.core.trace import Value
from pullback.numpy import reductions
from pullback.numpy.arguments import array_argument, shape_argument, wrong_shape
from pullback.numpy.shaping import broadcast_to, flip, moveaxis
from pullback.primitives import saddle, table
from pullback.primitives.cumulative import cumsum
from pullback.primitives.elementwise import try_broadcast
from pullback.random.keys import float_dtype, one_key, parameters, split, uniform

__all__ = ["binomial", "multinomial"]

#: From which mean on numbers are drawn by rejection.
_MANY = 10.0


def binomial(key: Any, n: Any, p: Any, shape: Any = None, dtype: Any = None) -> Value:
    """Give how many of `n` trials of probability `p` succeed, as floats.

    nan where `n` is negative, `p` not in [0, 1], or either is nan. Derivatives are 0.

    Example:
        >>> from pullback import random
        >>> print(random.binomial(random.key(1), 10, 0.3, (5,)))
        [4. 5. 1. 1. 0.]
    """
    key = one_key(key, "binomial")
    (n, p), _, wanted = parameters("binomial", dtype, shape, n, p)
    work = wanted if wanted.itemsize >= 4 else dtypes.float32
    n, p = (table.convert(table.stop_gradient(x), work) for x in (n, p))
    wrong = table.not_(
        table.and_(table.ge(n, 0.0), table.and_(table.ge(p, 0.0), table.le(p, 1.0)))
    )
    n = table.select(wrong, 0.0, table.floor(n))
    p = table.select(wrong, 0.0, p)
    # The rarer of success and failure is counted.
    flipped = table.gt(p, 0.5)
    rare = table.select(flipped, 1.0 - p, p)
    many = table.ge(n * rare, _MANY)
    first, second = split(key)
    few = _by_waiting(first, table.select(many, 0.0, n), rare)
    great = _by_rejection(
        second, table.select(many, n, 40.0), table.select(many, rare, 0.5), many
    )
    count = table.select(many, great, few)
    count = table.select(flipped, n - count, count)
    return table.convert(table.select(wrong, np.nan, count), wanted)


def _until(
    key: Value, state: Any, more: Callable[[Any], Value], step: Callable[..., Any]
) -> Any:
    """Repeat a step with new keys while some element wants more."""

    def body(carry: Any) -> Any:
        now, later = split(carry[0])
        return later, step(now, carry[1])

    return while_loop(lambda c: reductions.any(more(c[1])), body, (key, state))[1]


def _by_waiting(key: Value, n: Value, p: Value) -> Value:
    """Count successes within `n` trials by the geometric waits between them.

    L. Devroye, Non-Uniform Random Variate Generation (1986), section X.4.3.
    """
    never = table.le(p, 0.0)
    rate = table.log1p(table.neg(table.select(never, 0.5, p)))

    def more(state: Any) -> Value:
        return table.le(state[1], n)

    def step(key: Value, state: Any) -> Any:
        count, trials = state
        u = uniform(key, n.shape, n.dtype)
        wait = table.floor(table.log1p(table.neg(u)) / rate) + 1.0
        trials = table.select(more(state), trials + wait, trials)
        success = table.and_(more(state), table.le(trials, n))
        return table.select(success, count + 1.0, count), trials

    start = table.select(never, np.inf, n * 0.0)
    return _until(key, (n * 0.0, start), more, step)[0]


def _by_rejection(key: Value, n: Value, p: Value, wanted: Value) -> Value:
    """Draw by transformed rejection, for n p >= 10 and p <= 1/2.

    W. Hoermann, The generation of binomial random variates (1993), algorithm BTRS; the
    ratio of probabilities is taken from their saddle-point expansion.
    """
    spread = table.sqrt(n * p * (1.0 - p))
    b = spread * 2.53 + 1.15
    a = b * 0.0248 - 0.0873 + p * 0.01
    c = n * p + 0.5
    v_r = 0.92 - 4.2 / b
    alpha = (5.1 / b + 2.83) * spread
    mode = table.floor((n + 1.0) * p)
    top = saddle.binomial(mode, n, p)

    def step(key: Value, state: Any) -> Any:
        count, open_ = state
        first, second = split(key)
        u = uniform(first, n.shape, n.dtype) - 0.5
        v = 1.0 - uniform(second, n.shape, n.dtype)
        us = 0.5 - table.abs(u)
        k = table.floor((a * 2.0 / us + b) * u + c)
        inside = table.and_(table.ge(k, 0.0), table.le(k, n))
        at_once = table.and_(table.ge(us, 0.07), table.le(v, v_r))
        safe = table.select(inside, k, mode)
        bound = saddle.binomial(safe, n, p) - top
        below = table.le(table.log(v * alpha / (a / (us * us) + b)), bound)
        taken = table.and_(open_, table.and_(inside, table.or_(at_once, below)))
        return table.select(taken, k, count), table.and_(open_, table.not_(taken))

    return _until(key, (mode, wanted), lambda state: state[1], step)[0]


def multinomial(
    key: Any,
    n: Any,
    p: Any,
    *,
    shape: Any = None,
    dtype: Any = None,
    unroll: int | bool = 1,
) -> Value:
    """Give how often each of several outcomes comes in `n` trials, as floats.

    Each count is binomial given those before it.

    Args:
        key: a key.
        n: numbers of trials.
        p: probabilities along the last axis; the last is what is left.
        shape: of the result, with the outcomes along the last axis.
        dtype: of the result.
        unroll: as that of `scan`.
    """
    wanted = float_dtype(dtype, "multinomial")
    work = wanted if wanted.itemsize >= 4 else dtypes.float32
    n, p = (
        table.convert(
            table.stop_gradient(array_argument(x, "random.multinomial")), work
        )
        for x in (n, p)
    )
    batch = try_broadcast((n.shape, p.shape[:-1])) if p.shape else None
    size = None if shape is None else shape_argument(shape, "random.multinomial")
    if size is None and batch is not None:
        size = (*batch, p.shape[-1])
    if (
        batch is None
        or not size
        or size[-1] != p.shape[-1]
        or (try_broadcast((batch, size[:-1])) != size[:-1])
    ):
        raise wrong_shape(
            "random.multinomial",
            f"was given n {n.aval} and p {p.aval} for shape={shape}.",
            "Give p [..., k], n that broadcasts to its leading axes, and a shape "
            "[..., k].",
        )
    # Sums from the end, so that the share of each in what is left is at most 1.
    left = flip(cumsum(flip(p, -1), p.ndim - 1), -1)
    share = p / table.select(table.eq(left, 0.0), 1.0, left)
    shares = moveaxis(broadcast_to(share, size), -1, 0)

    def step(rest: Value, given: Any) -> tuple[Value, Value]:
        key, share = given
        count = binomial(key, rest, share, dtype=work)
        return rest - count, count

    keys = split(one_key(key, "multinomial"), size[-1])
    trials = broadcast_to(n, size[:-1])
    counts = scan(step, trials, (keys, shares), unroll=unroll)[1]
    return table.convert(moveaxis(counts, 0, -1), wanted)
