"""The standard Gumbel distribution of maxima, for both Gumbel distributions."""

from __future__ import annotations

import numpy as np

from pullback.core.trace import Value
from pullback.primitives import table
from pullback.scipy.stats.support import log_one_minus_exp, outside, piecewise

__all__ = ["cdf", "isf", "logcdf", "logpdf", "logsf", "ppf", "sf"]


def logpdf(z: Value) -> Value:
    """Give the logarithm of the density."""
    lowest = table.eq(z, -np.inf)
    fall = outside(lowest, -np.inf, lambda z: table.neg(z) - table.exp(table.neg(z)), z)
    return fall


def logcdf(z: Value) -> Value:
    """Give the logarithm of the probability up to `z`."""
    return table.neg(table.exp(table.neg(z)))


def cdf(z: Value) -> Value:
    """Give the probability up to `z`."""
    return table.exp(logcdf(z))


def sf(z: Value) -> Value:
    """Give the probability above `z`."""
    return table.neg(table.expm1(logcdf(z)))


def logsf(z: Value) -> Value:
    """Give its logarithm; far up by series, where the probability underflows."""

    def far(z: Value) -> Value:
        y = table.exp(table.neg(z))
        return table.log1p(y * (y * (1 / 6) - 0.5)) - z

    return piecewise(
        table.gt(z, 12.0),
        far,
        lambda z: log_one_minus_exp(table.exp(table.neg(z))),
        z,
        (13.0, 0.0),
    )


def ppf(p: Value) -> Value:
    """Give the `z` up to which the probability is `p`."""
    return table.neg(table.log(table.neg(table.log(p))))


def isf(p: Value) -> Value:
    """Give the `z` above which the probability is `p`."""
    return table.neg(table.log(table.neg(table.log1p(table.neg(p)))))
