"""The logistic distribution; as `scipy.stats.logistic`."""

from __future__ import annotations

from typing import Any

from pullback.core.trace import Value
from pullback.numpy.promotion import real_arguments
from pullback.primitives import table
from pullback.scipy.stats.support import standard

__all__ = [
    "cdf",
    "isf",
    "logpdf",
    "pdf",
    "ppf",
    "sf",
]


def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of the density."""
    z, scale = standard("logistic.logpdf", x, loc, scale)
    # The density is even; its slope at 0 is that of either side.
    fall = table.neg(table.select(table.lt(z, 0.0), table.neg(z), z))
    return fall - table.log1p(table.exp(fall)) * 2.0 - table.log(scale)


def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the density."""
    return table.exp(logpdf(x, loc, scale))


def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the probability of values up to `x`."""
    return table.logistic(standard("logistic.cdf", x, loc, scale)[0])


def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the probability of values above `x`."""
    return table.logistic(table.neg(standard("logistic.sf", x, loc, scale)[0]))


def _logit(p: Value) -> Value:
    return table.log(p) - table.log1p(table.neg(p))


def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Invert `cdf`."""
    q, loc, scale = real_arguments("logistic.ppf", q, loc, scale)
    return _logit(q) * scale + loc


def isf(q: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Invert `sf`."""
    q, loc, scale = real_arguments("logistic.isf", q, loc, scale)
    return loc - _logit(q) * scale
