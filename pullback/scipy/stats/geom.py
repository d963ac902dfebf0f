"""Which of many trials of probability `p` is the first to succeed.

As `scipy.stats.geom`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.core.trace import Value
from pullback.numpy.promotion import real_arguments
from pullback.primitives import special, table
from pullback.scipy.stats.support import apart_from_counts, or_nan, outside

__all__ = [
    "logpmf",
    "pmf",
]


def logpmf(k: Any, p: Any, loc: Any = 0) -> Value:
    """Give the logarithm of the probability of `k`."""
    k, p, loc = real_arguments("geom.logpmf", k, p, loc)
    before = k - loc - 1.0
    apart = apart_from_counts(before)

    def inside(before: Value) -> Value:
        return special.xlog1py(before, table.neg(p)) + table.log(p)

    found = outside(apart, -np.inf, inside, before, safe=0)
    return or_nan(table.or_(table.le(p, 0.0), table.gt(p, 1.0)), found)


def pmf(k: Any, p: Any, loc: Any = 0) -> Value:
    """Give the probability of `k`."""
    return table.exp(logpmf(k, p, loc))
