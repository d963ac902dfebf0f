"""How many of `n` trials succeed, with a beta-distributed probability.

As `scipy.stats.betabinom`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.core.trace import Value
from pullback.numpy.promotion import real_arguments
from pullback.primitives import table
from pullback.scipy.special import betaln
from pullback.scipy.stats.support import apart_from_counts, outside

__all__ = [
    "logpmf",
    "pmf",
]


def logpmf(k: Any, n: Any, a: Any, b: Any, loc: Any = 0) -> Value:
    """Give the logarithm of the probability of `k`."""
    k, n, a, b, loc = real_arguments("betabinom.logpmf", k, n, a, b, loc)
    apart = apart_from_counts(k - loc, n)

    def inside(k: Value) -> Value:
        ways = betaln(n - k + 1.0, k + 1.0) + table.log(n + 1.0)
        return betaln(k + a, n - k + b) - betaln(a, b) - ways

    return outside(apart, -np.inf, inside, k - loc, safe=0)


def pmf(k: Any, n: Any, a: Any, b: Any, loc: Any = 0) -> Value:
    """Give the probability of `k`."""
    return table.exp(logpmf(k, n, a, b, loc))
