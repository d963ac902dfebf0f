"""The Cauchy distribution wrapped around the circle, 0 <= x <= 2 pi.

As `scipy.stats.wrapcauchy`.
"""

from __future__ import annotations

import math
from typing import Any

from pullback.core.trace import Value
from pullback.numpy.promotion import real_arguments
from pullback.primitives import table
from pullback.scipy.stats.support import or_nan, outside

__all__ = [
    "logpdf",
    "pdf",
]


def logpdf(x: Any, c: Any) -> Value:
    """Give the logarithm of the density, for 0 < c < 1."""
    x, c = real_arguments("wrapcauchy.logpdf", x, c)
    wrong = table.or_(table.le(c, 0.0), table.ge(c, 1.0))

    def inside(x: Value) -> Value:
        sine = table.sin(x * 0.5)
        # 1 + c^2 - 2 c cos(x), without cancellation near 0.
        distance = (1.0 - c) * (1.0 - c) + c * sine * sine * 4.0
        return table.log((1.0 - c) * (1.0 + c) / distance) - math.log(2 * math.pi)

    apart = table.or_(table.lt(x, 0.0), table.gt(x, 2 * math.pi))
    return or_nan(wrong, outside(apart, -math.inf, inside, x))


def pdf(x: Any, c: Any) -> Value:
    """Give the density."""
    return table.exp(logpdf(x, c))
