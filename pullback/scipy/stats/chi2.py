"""The chi-squared distribution of `df` degrees of freedom; as `scipy.stats.chi2`."""

from __future__ import annotations

from typing import Any

from pullback.core.trace import Value
from pullback.numpy.promotion import real_arguments
from pullback.scipy.stats import gamma

__all__ = [
    "cdf",
    "logcdf",
    "logpdf",
    "logsf",
    "pdf",
    "sf",
]


def logpdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of the density."""
    x, df, loc, scale = real_arguments("chi2.logpdf", x, df, loc, scale)
    return gamma.logpdf(x, df * 0.5, loc, scale * 2.0)


def pdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the density."""
    x, df, loc, scale = real_arguments("chi2.pdf", x, df, loc, scale)
    return gamma.pdf(x, df * 0.5, loc, scale * 2.0)


def cdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the probability of values up to `x`."""
    x, df, loc, scale = real_arguments("chi2.cdf", x, df, loc, scale)
    return gamma.cdf(x, df * 0.5, loc, scale * 2.0)


def logcdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of `cdf`."""
    x, df, loc, scale = real_arguments("chi2.logcdf", x, df, loc, scale)
    return gamma.logcdf(x, df * 0.5, loc, scale * 2.0)


def sf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the probability of values above `x`."""
    x, df, loc, scale = real_arguments("chi2.sf", x, df, loc, scale)
    return gamma.sf(x, df * 0.5, loc, scale * 2.0)


def logsf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of `sf`."""
    x, df, loc, scale = real_arguments("chi2.logsf", x, df, loc, scale)
    return gamma.logsf(x, df * 0.5, loc, scale * 2.0)
