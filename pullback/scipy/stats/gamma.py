"""The gamma distribution of shape `a`; as `scipy.stats.gamma`."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.core.trace import Value
from pullback.primitives import incomplete, saddle, special, table
from pullback.scipy.stats.support import outside, piecewise, standard

__all__ = [
    "cdf",
    "logcdf",
    "logpdf",
    "logsf",
    "pdf",
    "sf",
]


def log_density(z: Value, a: Value) -> Value:
    """Give the logarithm of z^(a-1) exp(-z) / Gamma(a), for finite z >= 0."""
    small = table.lt(a, saddle.LARGE)

    def direct(a: Value) -> Value:
        return special.xlogy(a - 1.0, z) - z - special.lgamma(a)

    def expanded(a: Value) -> Value:
        x = table.select(small, saddle.LARGE, z)
        none = table.eq(x, 0.0)

        def inside(x: Value) -> Value:
            return saddle.poisson(a, x) + table.log(a) - table.log(x)

        return outside(none, -np.inf, inside, x)

    return piecewise(small, direct, expanded, a, (1.0, saddle.LARGE))


def logpdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of the density."""
    z, scale, a = standard("gamma.logpdf", x, loc, scale, a)
    apart = table.or_(table.lt(z, 0.0), table.eq(z, np.inf))
    inside = outside(apart, -np.inf, lambda z: log_density(z, a), z)
    return inside - table.log(scale)


def pdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the density."""
    return table.exp(logpdf(x, a, loc, scale))


def cdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the probability of values up to `x`."""
    z, _, a = standard("gamma.cdf", x, loc, scale, a)
    return outside(table.le(z, 0.0), 0.0, lambda z: incomplete.igamma(a, z), z)


def logcdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of `cdf`, -inf where that underflows."""
    z, _, a = standard("gamma.logcdf", x, loc, scale, a)

    def inside(z: Value) -> Value:
        return log_of_part(incomplete.igamma(a, z), incomplete.igammac(a, z))

    return outside(table.le(z, 0.0), -np.inf, inside, z)


def sf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the probability of values above `x`."""
    z, _, a = standard("gamma.sf", x, loc, scale, a)
    return outside(table.le(z, 0.0), 1.0, lambda z: incomplete.igammac(a, z), z)


def logsf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of `sf`, -inf where that underflows."""
    z, _, a = standard("gamma.logsf", x, loc, scale, a)

    def inside(z: Value) -> Value:
        return log_of_part(incomplete.igammac(a, z), incomplete.igamma(a, z))

    return outside(table.le(z, 0.0), 0.0, inside, z)


def log_of_part(p: Value, rest: Value) -> Value:
    """Give log(p), where p is 1 - rest and both are exact."""
    large = table.gt(p, 0.5)
    complement = table.log1p(table.neg(table.select(large, rest, 0.5)))
    return table.select(large, complement, table.log(table.select(large, 0.5, p)))
