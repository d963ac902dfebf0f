"""The multinomial distribution of counts; as `scipy.stats.multinomial`."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.core.trace import Value
from pullback.numpy import reductions
from pullback.numpy.promotion import real_arguments
from pullback.primitives import special, table
from pullback.scipy.stats.support import apart_from_counts, outside

__all__ = ["logpmf", "pmf"]


def logpmf(x: Any, n: Any, p: Any) -> Value:
    """Give the logarithm of the probability of counts along the last axis.

    -inf where they are no counts, or do not sum to `n`.
    """
    x, n, p = real_arguments("multinomial.logpmf", x, n, p)
    total = reductions.sum(x, axis=-1)
    apart = reductions.any(apart_from_counts(x), axis=-1)
    wrong = table.or_(apart, table.ne(total, n))
    safe = outside(apart_from_counts(x), 0.0, lambda x: x, x)
    each = special.xlogy(safe, p) - special.lgamma(safe + 1.0)
    found = special.lgamma(n + 1.0) + reductions.sum(each, axis=-1)
    return table.select(wrong, -np.inf, found)


def pmf(x: Any, n: Any, p: Any) -> Value:
    """Give the probability of counts along the last axis."""
    return table.exp(logpmf(x, n, p))
