"""The beta distribution of exponents `a` and `b`; as `scipy.stats.beta`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pullback.core.trace import Value
from pullback.primitives import incomplete, saddle, special, table
from pullback.scipy.special import betaln
from pullback.scipy.stats.gamma import log_of_part
from pullback.scipy.stats.support import outside, standard

__all__ = [
    "cdf",
    "logcdf",
    "logpdf",
    "logsf",
    "pdf",
    "sf",
]


def logpdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of the density."""
    z, scale, a, b = standard("beta.logpdf", x, loc, scale, a, b)
    apart = table.or_(table.lt(z, 0.0), table.gt(z, 1.0))
    found = outside(apart, -np.inf, lambda z: log_density(z, a, b), z)
    return found - table.log(scale)


def log_density(z: Value, a: Value, b: Value) -> Value:
    """Give the logarithm of z^(a-1) (1-z)^(b-1) / B(a, b), for 0 <= z <= 1."""
    small = table.or_(table.lt(a, saddle.LARGE), table.lt(b, saddle.LARGE))

    def direct(a: Value, b: Value) -> Value:
        powers = special.xlogy(a - 1.0, z) + special.xlog1py(b - 1.0, table.neg(z))
        return powers - betaln(a, b)

    def expanded(z: Value, a: Value, b: Value) -> Value:
        # The density of a binomial number, with a, b for counts; it is 0 at the ends.
        ends = table.or_(table.le(z, 0.0), table.ge(z, 1.0))

        def inside(z: Value) -> Value:
            factor = table.log(a / z) - table.log1p(table.neg(z))
            return saddle.binomial(a, a + b, z) + factor + table.log(b / (a + b))

        return outside(ends, -np.inf, inside, z)

    few = outside(table.not_(small), 0.0, direct, a, b)
    return table.select(small, few, outside(small, 0.0, expanded, z, a, b, safe=0.5))


def pdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the density."""
    return table.exp(logpdf(x, a, b, loc, scale))


def within(
    z: Value, low: float, high: float, inside: Callable[[Value], Value]
) -> Value:
    """Give a function of `z` between 0 and 1, constants below and above."""
    below, above = table.le(z, 0.0), table.ge(z, 1.0)
    apart = table.or_(below, above)
    return table.select(above, high, outside(apart, low, inside, z))


def cdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the probability of values up to `x`."""
    z, _, a, b = standard("beta.cdf", x, loc, scale, a, b)
    return within(z, 0.0, 1.0, lambda z: incomplete.betainc(a, b, z))


def logcdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of `cdf`, -inf where that underflows."""
    z, _, a, b = standard("beta.logcdf", x, loc, scale, a, b)
    return within(z, -np.inf, 0.0, lambda z: log_of_part(*_parts(a, b, z)))


def sf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the probability of values above `x`."""
    z, _, a, b = standard("beta.sf", x, loc, scale, a, b)
    return within(z, 1.0, 0.0, lambda z: incomplete.betaincc(a, b, z))


def logsf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of `sf`, -inf where that underflows."""
    z, _, a, b = standard("beta.logsf", x, loc, scale, a, b)
    return within(z, 0.0, -np.inf, lambda z: log_of_part(*reversed(_parts(a, b, z))))


def _parts(a: Value, b: Value, z: Value) -> tuple[Value, Value]:
    """Give the probabilities below and above `z`."""
    return incomplete.betainc(a, b, z), incomplete.betaincc(a, b, z)
