"""The von Mises distribution, on the circle, of concentration `kappa`.

As `scipy.stats.vonmises`.
"""

from __future__ import annotations

import math
from typing import Any

from pullback.core.trace import Value
from pullback.numpy.promotion import real_arguments
from pullback.primitives import special, table

__all__ = [
    "logpdf",
    "pdf",
]


def logpdf(x: Any, kappa: Any) -> Value:
    """Give the logarithm of the density."""
    x, kappa = real_arguments("vonmises.logpdf", x, kappa)
    sine = table.sin(x * 0.5)
    normalizer = math.log(2 * math.pi) + table.log(special.bessel_i0e(kappa))
    return kappa * sine * sine * -2.0 - normalizer


def pdf(x: Any, kappa: Any) -> Value:
    """Give the density."""
    return table.exp(logpdf(x, kappa))
