"""The generalized normal distribution, exp(-|x|^beta); as `scipy.stats.gennorm`."""

from __future__ import annotations

from typing import Any

from pullback.core.trace import Value
from pullback.numpy.promotion import real_arguments
from pullback.primitives import incomplete, special, table

__all__ = [
    "cdf",
    "logpdf",
    "pdf",
]


def logpdf(x: Any, beta: Any) -> Value:
    """Give the logarithm of the density."""
    x, beta = real_arguments("gennorm.logpdf", x, beta)
    height = table.log(beta * 0.5) - special.lgamma(table.div(1.0, beta))
    return height - _power(x, beta)


def _power(x: Value, beta: Value) -> Value:
    """Give |x|^beta, with derivative 0 at 0."""
    none = table.eq(x, 0.0)
    size = table.abs(table.select(none, 1.0, x))
    return table.select(none, 0.0, table.exp(beta * table.log(size)))


def pdf(x: Any, beta: Any) -> Value:
    """Give the density."""
    return table.exp(logpdf(x, beta))


def cdf(x: Any, beta: Any) -> Value:
    """Give the probability of values up to `x`."""
    x, beta = real_arguments("gennorm.cdf", x, beta)
    middle = table.eq(x, 0.0)
    # The slope at 0 is the density's, which is that of no power of |x|.
    near = 0.5 + x * pdf(table.stop_gradient(x), beta)
    away = table.select(middle, 1.0, x)
    tail = incomplete.igammac(table.div(1.0, beta), _power(away, beta)) * 0.5
    found = table.select(table.lt(away, 0.0), tail, 1.0 - tail)
    return table.select(middle, near, found)
