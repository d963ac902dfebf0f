"""The normal distribution cut off at `a` and `b`, in standard deviations.

As `scipy.stats.truncnorm`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pullback.core.trace import Value
from pullback.primitives import integrals, saddle, special, table
from pullback.scipy.stats.support import log_one_minus_exp, outside, standard

__all__ = [
    "cdf",
    "logcdf",
    "logpdf",
    "logsf",
    "pdf",
    "sf",
]


def _log_mass(a: Value, b: Value, z: Value) -> Value:
    """Give the logarithm of the normal probability between a and b over exp(-z^2 / 2).

    Narrow intervals are integrated by series; in either tail logarithms are subtracted;
    around 0, the two tails from 1. Each gives the mass over a density next by, so that
    far out no squares are subtracted.
    """
    width = b - a
    reach = table.max(table.abs(a + b) * 0.5, 1.0)
    narrow = table.lt(width * reach, 0.5)
    right = table.gt(a, 0.0)
    low, high = table.select(right, -b, a), table.select(right, -a, b)
    central = table.and_(table.lt(low, 0.0), table.gt(high, 0.0))

    def in_tail(low: Value, high: Value) -> Value:
        ends = [_log_scaled(table.neg(x)) for x in (low, high)]
        rest = _square_gap(low, high) + ends[1] - ends[0]
        return ends[1] + log_one_minus_exp(rest)

    def around(low: Value, high: Value) -> Value:
        return table.log1p(-special.ndtr(low) - special.ndtr(-high))

    tail_or_not = table.or_(narrow, central)
    tail = _of_two(tail_or_not, (-2.0, -1.0), in_tail, low, high)
    inner = _of_two(
        table.or_(narrow, table.not_(central)), (-1.0, 1.0), around, low, high
    )
    short = _of_two(table.not_(narrow), (0.1, 0.2), _log_narrow, a, b)
    found = table.select(narrow, short, table.select(central, inner, tail))
    # Of which density: that at the middle, at the end next to 0, or at 0.
    middle = table.select(narrow, (a + b) * 0.5, 0.0)
    end = table.select(tail_or_not, middle, high)
    return found + _square_gap(z, end)


def _square_gap(z: Value, end: Value) -> Value:
    """Give (z^2 - end^2) / 2."""
    return (z - end) * (z + end) * 0.5


def _log_scaled(h: Value) -> Value:
    """Give log(ndtr(-h) exp(h^2 / 2)), for h > 0."""
    return table.log(integrals.erfcx(h * math.sqrt(0.5)) * 0.5)


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
    """Give the logarithm of the mass over exp(-m^2 / 2), m the middle, by its series.

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
    return table.log(width) + table.log1p(total) - saddle.HALF_LOG_TAU


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
        return -saddle.HALF_LOG_TAU - _log_mass(a, b, z)

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
        whole = _log_mass(a, b, z)
        small = _log_mass(a, z, z) - whole
        rest = _log_mass(z, b, z) - whole
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
