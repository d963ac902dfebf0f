"""The Gumbel distribution of maxima; as `scipy.stats.gumbel_r`."""

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
    z, scale = standard("gumbel_r.logpdf", x, loc, scale)
    return gumbel.logpdf(z) - table.log(scale)


def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the density."""
    return table.exp(logpdf(x, loc, scale))


def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the probability of values up to `x`."""
    z, _ = standard("gumbel_r.cdf", x, loc, scale)
    return gumbel.cdf(z)


def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of `cdf`."""
    z, _ = standard("gumbel_r.logcdf", x, loc, scale)
    return gumbel.logcdf(z)


def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the probability of values above `x`."""
    z, _ = standard("gumbel_r.sf", x, loc, scale)
    return gumbel.sf(z)


def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of `sf`."""
    z, _ = standard("gumbel_r.logsf", x, loc, scale)
    return gumbel.logsf(z)


def ppf(p: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Invert `cdf`."""
    p, loc, scale = real_arguments("gumbel_r.ppf", p, loc, scale)
    return gumbel.ppf(p) * scale + loc
