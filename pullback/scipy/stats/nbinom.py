"""How many fail before `n` trials of probability `p` succeed.

As `scipy.stats.nbinom`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.core.trace import Value
from pullback.numpy.promotion import real_arguments
from pullback.primitives import saddle, table
from pullback.scipy.stats.support import apart_from_counts, or_nan, outside

__all__ = [
    "logpmf",
    "pmf",
]


def logpmf(k: Any, n: Any, p: Any, loc: Any = 0) -> Value:
    """Give the logarithm of the probability of `k`."""
    k, n, p, loc = real_arguments("nbinom.logpmf", k, n, p, loc)
    apart = apart_from_counts(k - loc)

    def inside(k: Value) -> Value:
        return saddle.binomial(n, n + k, p) + table.log(n / (n + k))

    found = outside(apart, -np.inf, inside, k - loc, safe=0)
    return or_nan(table.or_(table.le(p, 0.0), table.gt(p, 1.0)), found)


def pmf(k: Any, n: Any, p: Any, loc: Any = 0) -> Value:
    """Give the probability of `k`."""
    return table.exp(logpmf(k, n, p, loc))
