"""The Pareto distribution, of power-law tail `b`; as `scipy.stats.pareto`."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.core.trace import Value
from pullback.numpy.promotion import real_arguments
from pullback.primitives import table
from pullback.scipy.stats.support import (
    log_one_minus_exp,
    or_nan,
    outside,
    standard,
)

__all__ = [
    "cdf",
    "logcdf",
    "logpdf",
    "logsf",
    "pdf",
    "ppf",
    "sf",
]


def logpdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of the density."""
    z, scale, b = standard("pareto.logpdf", x, loc, scale, b)
    out = table.log(b) - table.log(scale)

    def inside(z: Value) -> Value:
        return out - (b + 1.0) * table.log(z)

    return outside(table.lt(z, 1.0), -np.inf, inside, z, safe=2.0)


def pdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the density."""
    return table.exp(logpdf(x, b, loc, scale))


def cdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the probability of values up to `x`."""
    return table.neg(table.expm1(logsf(x, b, loc, scale)))


def logcdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of `cdf`."""
    z, _, b = standard("pareto.logcdf", x, loc, scale, b)

    def inside(z: Value) -> Value:
        return log_one_minus_exp(b * table.log(z))

    return outside(table.le(z, 1.0), -np.inf, inside, z, safe=2.0)


def sf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the probability of values above `x`."""
    return table.exp(logsf(x, b, loc, scale))


def logsf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of `sf`."""
    z, _, b = standard("pareto.logsf", x, loc, scale, b)

    def inside(z: Value) -> Value:
        return table.neg(b * table.log(z))

    return outside(table.lt(z, 1.0), 0.0, inside, z, safe=2.0)


def ppf(q: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Invert `cdf`."""
    q, b, loc, scale = real_arguments("pareto.ppf", q, b, loc, scale)
    z = table.exp(table.neg(table.log1p(table.neg(q)) / b))
    return or_nan(table.lt(q, 0.0), z * scale + loc)
