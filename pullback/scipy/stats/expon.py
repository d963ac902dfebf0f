"""The exponential distribution; as `scipy.stats.expon`."""

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


def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of the density."""
    z, scale = standard("expon.logpdf", x, loc, scale)
    return outside(table.lt(z, 0.0), -np.inf, table.neg, z) - table.log(scale)


def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the density."""
    return table.exp(logpdf(x, loc, scale))


def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the probability of values up to `x`."""
    return table.neg(table.expm1(logsf(x, loc, scale)))


def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of `cdf`."""
    z, _ = standard("expon.logcdf", x, loc, scale)
    return outside(table.lt(z, 0.0), -np.inf, log_one_minus_exp, z)


def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the probability of values above `x`."""
    return table.exp(logsf(x, loc, scale))


def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of `sf`."""
    z, _ = standard("expon.logsf", x, loc, scale)
    return outside(table.lt(z, 0.0), 0.0, table.neg, z)


def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Invert `cdf`."""
    q, loc, scale = real_arguments("expon.ppf", q, loc, scale)
    found = loc - table.log1p(table.neg(q)) * scale
    return or_nan(table.lt(q, 0.0), found)
