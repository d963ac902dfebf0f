"""The normal distribution; as `scipy.stats.norm`."""

from __future__ import annotations

import math
from typing import Any

from pullback.core.trace import Value
from pullback.numpy.promotion import promote_arrays
from pullback.primitives import special, table

__all__ = [
    "cdf",
    "entropy",
    "isf",
    "logcdf",
    "logpdf",
    "logsf",
    "pdf",
    "ppf",
    "sf",
]


def _standard(x: Any, loc: Any, scale: Any) -> tuple[Value, Value]:
    """Give (x - loc) / scale, and the scale."""
    x, loc, scale = promote_arrays("norm", x, loc, scale, inexact=True)
    return table.div(table.sub(x, loc), scale), scale


def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of the density."""
    z, scale = _standard(x, loc, scale)
    half = table.mul(table.mul(z, z), -0.5)
    return half - 0.5 * math.log(2 * math.pi) - table.log(scale)


def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the density."""
    return table.exp(logpdf(x, loc, scale))


def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the probability of values up to `x`."""
    return special.ndtr(_standard(x, loc, scale)[0])


def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of `cdf`."""
    return special.log_ndtr(_standard(x, loc, scale)[0])


def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the probability of values above `x`."""
    return special.ndtr(table.neg(_standard(x, loc, scale)[0]))


def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of `sf`."""
    return special.log_ndtr(table.neg(_standard(x, loc, scale)[0]))


def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Invert `cdf`."""
    q, loc, scale = promote_arrays("ppf", q, loc, scale, inexact=True)
    return special.ndtri(q) * scale + loc


def isf(q: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Invert `sf`."""
    q, loc, scale = promote_arrays("isf", q, loc, scale, inexact=True)
    return loc - special.ndtri(q) * scale


def entropy(loc: Any = 0, scale: Any = 1) -> Value:
    """Give the differential entropy."""
    loc, scale = promote_arrays("entropy", loc, scale, inexact=True)
    return table.log(scale) + 0.5 * math.log(2 * math.pi * math.e) + loc * 0
