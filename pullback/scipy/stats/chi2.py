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
    return gamma.logpdf(*_of_gamma("chi2.logpdf", x, df, loc, scale))


def pdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the density."""
    return gamma.pdf(*_of_gamma("chi2.pdf", x, df, loc, scale))


def cdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the probability of values up to `x`."""
    return gamma.cdf(*_of_gamma("chi2.cdf", x, df, loc, scale))


def logcdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of `cdf`."""
    return gamma.logcdf(*_of_gamma("chi2.logcdf", x, df, loc, scale))


def sf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the probability of values above `x`."""
    return gamma.sf(*_of_gamma("chi2.sf", x, df, loc, scale))


def logsf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of `sf`."""
    return gamma.logsf(*_of_gamma("chi2.logsf", x, df, loc, scale))


def _of_gamma(who: str, x: Any, df: Any, loc: Any, scale: Any) -> list[Value]:
    """Give the arguments of the gamma distribution that it is."""
    x, df, loc, scale = real_arguments(who, x, df, loc, scale)
    return [x, df * 0.5, loc, scale * 2.0]
