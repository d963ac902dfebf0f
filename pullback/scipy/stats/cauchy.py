"""The Cauchy distribution; as `scipy.stats.cauchy`."""

from __future__ import annotations

import math
from typing import Any

from pullback.core.trace import Value
from pullback.numpy.promotion import real_arguments
from pullback.primitives import table
from pullback.scipy.stats.support import (
    log1p_square,
    or_nan,
    piecewise,
    standard,
)

__all__ = [
    "cdf",
    "isf",
    "logcdf",
    "logpdf",
    "logsf",
    "pdf",
    "ppf",
    "sf",
]


def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of the density."""
    z, scale = standard("cauchy.logpdf", x, loc, scale)
    return table.neg(log1p_square(z)) - math.log(math.pi) - table.log(scale)


def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the density."""
    return table.exp(logpdf(x, loc, scale))


def _below(z: Value) -> Value:
    """Give the probability below `z`, exact in the left tail."""
    return table.atan2(1.0, table.neg(z)) * (1 / math.pi)


def _log_below(z: Value) -> Value:
    """Give its logarithm, exact in both tails."""
    return piecewise(
        table.lt(z, 0.0),
        lambda z: table.log(_below(z)),
        lambda z: table.log1p(table.neg(_below(table.neg(z)))),
        z,
        (-1.0, 1.0),
    )


def _quantile(q: Value) -> Value:
    """Invert `_below`, exact in both tails."""
    upper = table.gt(q, 0.5)
    tail = table.select(upper, 1.0 - q, q)
    # The tangent's pole is in the middle, where its own is not.
    size = piecewise(
        table.lt(tail, 0.25),
        lambda q: table.div(1.0, table.tan(q * math.pi)),
        lambda q: table.tan((0.5 - q) * math.pi),
        tail,
        (0.2, 0.4),
    )
    wrong = table.or_(table.lt(q, 0.0), table.gt(q, 1.0))
    return or_nan(wrong, table.select(upper, size, table.neg(size)))


def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the probability of values up to `x`."""
    return _below(standard("cauchy.cdf", x, loc, scale)[0])


def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of `cdf`."""
    return _log_below(standard("cauchy.logcdf", x, loc, scale)[0])


def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the probability of values above `x`."""
    return _below(table.neg(standard("cauchy.sf", x, loc, scale)[0]))


def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of `sf`."""
    return _log_below(table.neg(standard("cauchy.logsf", x, loc, scale)[0]))


def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Invert `cdf`."""
    q, loc, scale = real_arguments("cauchy.ppf", q, loc, scale)
    return _quantile(q) * scale + loc


def isf(q: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Invert `sf`."""
    q, loc, scale = real_arguments("cauchy.isf", q, loc, scale)
    return loc - _quantile(q) * scale
