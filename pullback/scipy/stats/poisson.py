"""How many events there are, of `mu` on average; as `scipy.stats.poisson`."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.core.array import from_host
from pullback.core.trace import Value
from pullback.numpy import reductions
from pullback.numpy.promotion import real_arguments
from pullback.primitives import incomplete, saddle, special, table
from pullback.primitives.structural import expand_axes
from pullback.scipy.stats.support import apart_from_counts, or_nan, outside

__all__ = [
    "cdf",
    "entropy",
    "logpmf",
    "pmf",
]


def logpmf(k: Any, mu: Any, loc: Any = 0) -> Value:
    """Give the logarithm of the probability of `k`."""
    k, mu, loc = real_arguments("poisson.logpmf", k, mu, loc)
    apart = apart_from_counts(k - loc)
    found = outside(apart, -np.inf, lambda k: saddle.poisson(k, mu), k - loc)
    return or_nan(table.lt(mu, 0.0), found)


def pmf(k: Any, mu: Any, loc: Any = 0) -> Value:
    """Give the probability of `k`."""
    return table.exp(logpmf(k, mu, loc))


def cdf(k: Any, mu: Any, loc: Any = 0) -> Value:
    """Give the probability of values up to `k`."""
    k, mu, loc = real_arguments("poisson.cdf", k, mu, loc)

    def inside(k: Value) -> Value:
        return incomplete.igammac(table.floor(k) + 1.0, mu)

    return outside(table.lt(k - loc, 0.0), 0.0, inside, k - loc)


# Coefficients of powers of 1 / mu, from the expansion of E[log K!] in the moments of K.
_ENTROPY = (-1 / 12, -1 / 24, -19 / 360, -9 / 80, -863 / 2520, -1375 / 1008, -6.7367063)


def entropy(mu: Any, loc: Any = 0) -> Value:
    """Give the entropy: a sum up to a mean of 100, beyond it the asymptotic series."""
    mu, loc = real_arguments("poisson.entropy", mu, loc)
    many = table.gt(mu, 100.0)
    # No more than exp(-70) of the probability lies above.
    few = table.select(many, 100.0, mu)
    counts = from_host(np.arange(300, dtype=mu.dtype))
    logs = saddle.poisson(counts, expand_axes(few, (len(mu.shape),)))
    terms = table.neg(table.exp(logs) * table.max(logs, -1e4))
    total = reductions.sum(terms, axis=-1)
    inverse = table.div(1.0, table.select(many, mu, 100.0))
    spread = 0.5 - table.log(inverse) * 0.5 + saddle.HALF_LOG_TAU
    series = special.horner(_ENTROPY, inverse) * inverse
    found = table.select(many, spread + series, total) + loc * 0.0
    nothing = table.eq(mu, 0.0)
    return or_nan(table.lt(mu, 0.0), table.select(nothing, 0.0, found))
