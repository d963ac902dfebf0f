"""The uniform distribution on [loc, loc + scale]; as `scipy.stats.uniform`."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.core.trace import Value
from pullback.numpy.promotion import real_arguments
from pullback.primitives import table
from pullback.scipy.stats.support import or_nan, standard

__all__ = [
    "cdf",
    "logpdf",
    "pdf",
    "ppf",
]


def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of the density."""
    z, scale = standard("uniform.logpdf", x, loc, scale)
    apart = table.or_(table.lt(z, 0.0), table.gt(z, 1.0))
    # z times 0 is 0, or nan.
    return table.select(apart, -np.inf, z * 0.0 - table.log(scale))


def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the density."""
    return table.exp(logpdf(x, loc, scale))


def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the probability of values up to `x`."""
    z, _ = standard("uniform.cdf", x, loc, scale)
    low, high = table.lt(z, 0.0), table.gt(z, 1.0)
    return table.select(low, 0.0, table.select(high, 1.0, z))


def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Invert `cdf`."""
    q, loc, scale = real_arguments("uniform.ppf", q, loc, scale)
    wrong = table.or_(table.lt(q, 0.0), table.gt(q, 1.0))
    return or_nan(wrong, q * scale + loc)
