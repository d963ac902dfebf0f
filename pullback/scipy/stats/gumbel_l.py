"""The Gumbel distribution of minima; as `scipy.stats.gumbel_l`."""

from __future__ import annotations

from typing import Any

from pullback.core.trace import Value
from pullback.numpy.promotion import real_arguments
from pullback.primitives import table
from pullback.scipy.stats import gumbel
from pullback.scipy.stats.support import standard

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
    z, scale = standard("gumbel_l.logpdf", x, loc, scale)
    return gumbel.logpdf(table.neg(z)) - table.log(scale)


def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the density."""
    return table.exp(logpdf(x, loc, scale))


def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the probability of values up to `x`."""
    z, _ = standard("gumbel_l.cdf", x, loc, scale)
    return gumbel.sf(table.neg(z))


def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of `cdf`."""
    z, _ = standard("gumbel_l.logcdf", x, loc, scale)
    return gumbel.logsf(table.neg(z))


def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the probability of values above `x`."""
    z, _ = standard("gumbel_l.sf", x, loc, scale)
    return gumbel.cdf(table.neg(z))


def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of `sf`."""
    z, _ = standard("gumbel_l.logsf", x, loc, scale)
    return gumbel.logcdf(table.neg(z))


def ppf(p: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Invert `cdf`."""
    p, loc, scale = real_arguments("gumbel_l.ppf", p, loc, scale)
    return loc - gumbel.isf(p) * scale
