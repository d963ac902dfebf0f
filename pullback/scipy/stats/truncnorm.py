"""The normal distribution cut off at `a` and `b`, in standard deviations.

As `scipy.stats.truncnorm`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pullback.core.trace import Value
from pullback.primitives import saddle, special, table
from pullback.scipy.stats.support import log_one_minus_exp, outside, standard

__all__ = [
    "cdf",
    "logcdf",
    "logpdf",
    "logsf",
    "pdf",
    "sf",
]


def _log_mass(a: Value, b: Value) -> Value:
    """Give the logarithm of the normal probability between a and b, for a < b.

    Narrow intervals are integrated by series; in either tail logarithms are subtracted;
    around 0, the two tails from 1.
    """
    width = b - a
    # Where tails are not nearly equal, their difference is exact.
    middle = (a + b) * 0.5
    reach = table.max(table.abs(middle), 1.0)
    narrow = table.lt(width * reach, 0.5)
    right = table.gt(a, 0.0)
    low, high = table.select(right, table.neg(b), a), table.select(right, -a, b)
    central = table.and_(table.lt(low, 0.0), table.gt(high, 0.0))

    def in_tail(low: Value, high: Value) -> Value:
        top = special.log_ndtr(high)
        return top + log_one_minus_exp(top - special.log_ndtr(low))

    def around(low: Value, high: Value) -> Value:
        return table.log1p(-special.ndtr(low) - special.ndtr(-high))

    def apart(low: Value, high: Value) -> Value:
        tail = _of_two(central, (-2.0, -1.0), in_tail, low, high)
        inner = _of_two(table.not_(central), (-1.0, 1.0), around, low, high)
        return table.select(central, inner, tail)

    wide = _of_two(narrow, (-1.0, 1.0), apart, low, high)
    short = _of_two(table.not_(narrow), (0.1, 0.2), _log_narrow, a, b)
    return table.select(narrow, short, wide)


def _of_two(
    other: Value,
    safe: tuple[float, float],
    f: Callable[[Value, Value], Value],
    a: Value,
    b: Value,
) -> Value:
    """Apply a function of an interval to a safe one where the other is meant."""
    return f(table.select(other, safe[0], a), table.select(other, safe[1], b))


def _log_narrow(a: Value, b: Value) -> Value:
    """Give the logarithm of the mass, from Taylor's series around the middle.

    The derivatives of the density are Hermite polynomials times it, DLMF 18.5.5; those
    of odd order do not count.
    """
    m, width = (a + b) * 0.5, b - a
    half = width * 0.5
    before, hermite = 1.0, m
    power, total = half * half, 0.0
    for order in range(1, 15):
        before, hermite = hermite, m * hermite - before * float(order)
        if order % 2:
            # hermite is now of the even order `order + 1`.
            total = total + hermite * power * (1 / math.factorial(order + 2))
            power = power * half * half
    return table.log(width) + table.log1p(total) - m * m * 0.5 - saddle.HALF_LOG_TAU


def _within(
    z: Value,
    a: Value,
    b: Value,
    ends: tuple[float, float],
    inside: Callable[[Value], Value],
) -> Value:
    """Give a function of `z` between a and b, constants below and above."""
    lowest, highest = table.le(z, a), table.ge(z, b)
    edge = table.or_(lowest, highest)
    safe = table.select(edge, _inner(a, b), z)
    found = table.select(highest, ends[1], inside(safe))
    return table.select(lowest, ends[0], found)


def _inner(a: Value, b: Value) -> Value:
    """Give a number between a and b, which may be infinite."""
    low = table.max(a, table.select(table.lt(b, 0.0), b * 2.0 - 2.0, -1.0))
    high = table.min(b, table.select(table.gt(a, 0.0), a * 2.0 + 2.0, 1.0))
    return table.stop_gradient((low + high) * 0.5)


def logpdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of the density."""
    z, scale, a, b = standard("truncnorm.logpdf", x, loc, scale, a, b)
    apart = table.or_(table.lt(z, a), table.gt(z, b))

    def inside(z: Value) -> Value:
        return z * z * -0.5 - saddle.HALF_LOG_TAU - _log_mass(a, b)

    return outside(apart, -np.inf, inside, z) - table.log(scale)


def pdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the density."""
    return table.exp(logpdf(x, a, b, loc, scale))


def logcdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of `cdf`."""
    z, _, a, b = standard("truncnorm.logcdf", x, loc, scale, a, b)
    return _log_part(z, a, b)


def _log_part(z: Value, a: Value, b: Value) -> Value:
    """Give the logarithm of the part of the mass below `z`."""

    def inside(z: Value) -> Value:
        whole = _log_mass(a, b)
        small = _log_mass(a, z) - whole
        rest = _log_mass(z, b) - whole
        most = table.gt(small, -0.5)
        by_rest = log_one_minus_exp(table.neg(table.select(most, rest, -1.0)))
        return table.select(most, by_rest, small)

    return _within(z, a, b, (-np.inf, 0.0), inside)


def cdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the probability of values up to `x`."""
    return table.exp(logcdf(x, a, b, loc, scale))


def logsf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of `sf`."""
    z, _, a, b = standard("truncnorm.logsf", x, loc, scale, a, b)
    return _log_part(table.neg(z), table.neg(b), table.neg(a))


def sf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the probability of values above `x`."""
    return table.exp(logsf(x, a, b, loc, scale))
