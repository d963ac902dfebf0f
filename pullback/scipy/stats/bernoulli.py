"""One trial of probability `p`: 0 or 1; as `scipy.stats.bernoulli`."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.core.trace import Value
from pullback.numpy.promotion import real_arguments
from pullback.primitives import table
from pullback.scipy.stats.support import or_nan

__all__ = [
    "cdf",
    "logpmf",
    "pmf",
    "ppf",
]


def logpmf(k: Any, p: Any, loc: Any = 0) -> Value:
    """Give the logarithm of the probability of `k`."""
    k, p, loc = real_arguments("bernoulli.logpmf", k, p, loc)
    k = k - loc
    no, yes = table.eq(k, 0.0), table.eq(k, 1.0)
    neither = table.and_(table.not_(table.or_(no, yes)), table.eq(k, k))
    fails = table.log1p(table.neg(table.select(no, p, 0.5)))
    found = table.select(no, fails, table.log(table.select(no, 0.5, p)))
    wrong = table.or_(_wrong(p), table.ne(k, k))
    return or_nan(wrong, table.select(neither, -np.inf, found))


def pmf(k: Any, p: Any, loc: Any = 0) -> Value:
    """Give the probability of `k`."""
    return table.exp(logpmf(k, p, loc))


def _wrong(p: Value) -> Value:
    return table.or_(table.lt(p, 0.0), table.gt(p, 1.0))


def cdf(k: Any, p: Any) -> Value:
    """Give the probability of values up to `k`."""
    k, p = real_arguments("bernoulli.cdf", k, p)
    step = table.select(table.lt(k, 1.0), 1.0 - p, 1.0)
    found = table.select(table.lt(k, 0.0), 0.0, step)
    return or_nan(table.or_(_wrong(p), table.ne(k, k)), found)


def ppf(q: Any, p: Any) -> Value:
    """Give the least value up to which the probability is at least `q`."""
    q, p = real_arguments("bernoulli.ppf", q, p)
    no = table.and_(table.le(q, 1.0 - p), table.lt(q, 1.0))
    above = table.select(no, 0.0, 1.0)
    found = table.select(table.eq(q, 0.0), -1.0, above)
    return or_nan(table.or_(_wrong(p), _wrong(q)), found + q * 0.0)
