"""The Laplace distribution; as `scipy.stats.laplace`."""

from __future__ import annotations

import math
from typing import Any

from pullback.core.trace import Value
from pullback.primitives import table
from pullback.scipy.stats.support import standard

__all__ = [
    "cdf",
    "logpdf",
    "pdf",
]


def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of the density."""
    z, scale = standard("laplace.logpdf", x, loc, scale)
    return table.neg(table.abs(z)) - math.log(2) - table.log(scale)


def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the density."""
    return table.exp(logpdf(x, loc, scale))


def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the probability of values up to `x`."""
    z, _ = standard("laplace.cdf", x, loc, scale)
    tail = table.exp(table.neg(table.abs(z))) * 0.5
    return table.select(table.lt(z, 0.0), tail, 1.0 - tail)
