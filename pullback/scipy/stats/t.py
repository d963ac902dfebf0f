"""Student's t distribution of `df` degrees of freedom; as `scipy.stats.t`."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.core.trace import Value
from pullback.primitives import saddle, table
from pullback.scipy.stats.support import log1p_square, outside, standard

__all__ = [
    "logpdf",
    "pdf",
]


def logpdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the logarithm of the density."""
    z, scale, df = standard("t.logpdf", x, loc, scale, df)
    normal = table.eq(df, np.inf)

    def inside(df: Value) -> Value:
        fall = (df + 1.0) * 0.5 * log1p_square(z / table.sqrt(df))
        return _log_height(df * 0.5) - fall

    limit = z * z * -0.5 - saddle.HALF_LOG_TAU
    return outside(normal, limit, inside, df, safe=1.0) - table.log(scale)


def _log_height(n: Value) -> Value:
    """Give log(Gamma(n + 1/2) / Gamma(n)) - log(2 pi n) / 2, of 2n degrees of freedom.

    Of two Gamma functions by Stirling's formula what does not cancel is left.
    """
    errors = saddle.stirling_error(n + 0.5) - saddle.stirling_error(n)
    shift = (n + 1.0) * table.log1p(table.div(0.5, n)) - 0.5
    above = table.log((n + 0.5) / n)
    return errors + shift - above - saddle.HALF_LOG_TAU


def pdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Value:
    """Give the density."""
    return table.exp(logpdf(x, df, loc, scale))
