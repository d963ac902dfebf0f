"""The Dirichlet distribution of probabilities; as `scipy.stats.dirichlet`."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.core.trace import Value
from pullback.numpy import reductions
from pullback.numpy.arguments import wrong_shape
from pullback.numpy.promotion import real_arguments
from pullback.numpy.shaping import concatenate
from pullback.primitives import special, table
from pullback.primitives.structural import expand_axes

__all__ = ["logpdf", "pdf"]

#: How far probabilities may be from a sum of 1, in units in the last place.
_SLACK = 1e4


def logpdf(x: Any, alpha: Any) -> Value:
    """Give the logarithm of the density.

    Args:
        x: probabilities along the first axis; the last of them may be left out. -inf
            where they are not in [0, 1] or do not sum to 1.
        alpha: exponents [n].
    """
    x, alpha = real_arguments("dirichlet.logpdf", x, alpha)
    n = alpha.shape[0] if len(alpha.shape) == 1 else 0
    if not x.shape or not n or x.shape[0] not in (n, n - 1):
        raise wrong_shape(
            "dirichlet.logpdf",
            f"was given x {x.aval} and alpha {alpha.aval}.",
            "Give alpha [n], and x [n, ...] or, without the last, [n - 1, ...].",
        )
    total = reductions.sum(x, axis=0)
    if x.shape[0] == n - 1:
        x = concatenate([x, expand_axes(1.0 - total, (0,))])
        total = reductions.sum(table.stop_gradient(x), axis=0)
    slack = float(np.finfo(x.dtype).eps) * _SLACK
    off = table.gt(table.abs(total - 1.0), slack)
    outer = reductions.any(table.or_(table.lt(x, 0.0), table.gt(x, 1.0)), axis=0)
    exponents = expand_axes(alpha, range(1, len(x.shape)))
    powers = reductions.sum(special.xlogy(exponents - 1.0, x), axis=0)
    whole = special.lgamma(reductions.sum(alpha))
    found = powers + whole - reductions.sum(special.lgamma(alpha))
    return table.select(table.or_(off, outer), -np.inf, found)


def pdf(x: Any, alpha: Any) -> Value:
    """Give the density; arguments as `logpdf`."""
    return table.exp(logpdf(x, alpha))
