"""The normal distribution of vectors; as `scipy.stats.multivariate_normal`."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.trace import Value
from pullback.numpy import linalg, reductions
from pullback.numpy.arguments import wrong_shape
from pullback.numpy.contraction import matmul
from pullback.numpy.promotion import real_arguments
from pullback.numpy.shaping import broadcast_to
from pullback.primitives import table
from pullback.primitives.linalg import as_column, triangular_solve
from pullback.primitives.saddle import HALF_LOG_TAU
from pullback.primitives.structural import reshape

__all__ = ["logpdf", "pdf"]


def logpdf(x: Any, mean: Any, cov: Any, allow_singular: bool | None = None) -> Value:
    """Give the logarithm of the density.

    Args:
        x: vectors [..., n], or numbers if mean and cov are.
        mean: means [..., n], or a number.
        cov: covariances [..., n, n], or a variance; nan where they are not positive
            definite.
        allow_singular: take covariances of less than full rank, by their
            eigenvalues; the density is that on their range, and 0 elsewhere.
    """
    x, mean, cov = real_arguments("multivariate_normal.logpdf", x, mean, cov)
    if not mean.shape:
        if cov.shape:
            raise _misfit(x, mean, cov)
        gap = x - mean
        return gap * gap / cov * -0.5 - HALF_LOG_TAU - table.log(cov) * 0.5
    n = mean.shape[-1]
    if cov.shape[-2:] != (n, n) or not x.shape or x.shape[-1] not in (1, n):
        raise _misfit(x, mean, cov)
    gap = x - mean
    square, log_det, rank = (_by_rank if allow_singular else _by_cholesky)(gap, cov)
    return square * -0.5 - log_det * 0.5 - rank * HALF_LOG_TAU


def _misfit(x: Value, mean: Value, cov: Value) -> Exception:
    return wrong_shape(
        "multivariate_normal.logpdf",
        f"was given x {x.aval}, mean {mean.aval} and cov {cov.aval}.",
        "Give x [..., n], mean [..., n] and cov [..., n, n], or three numbers.",
    )


def _by_cholesky(gap: Value, cov: Value) -> tuple[Value, Value, Any]:
    """Give gap^T cov^-1 gap, log det(cov) and the rank."""
    n = cov.shape[-1]
    factor = linalg.cholesky(cov)
    batch = np.broadcast_shapes(gap.shape[:-1], cov.shape[:-2])
    factor = broadcast_to(factor, (*batch, n, n))
    column = as_column(broadcast_to(gap, (*batch, n)))
    white = triangular_solve(factor, column, left_side=True, lower=True)
    square = reductions.sum(white * white, axis=(-2, -1))
    logs = table.log(linalg.diagonal(factor))
    return square, reductions.sum(logs, axis=-1) * 2.0, n


def _by_rank(gap: Value, cov: Value) -> tuple[Value, Value, Any]:
    """Give the same on the range of cov, by its eigenvalues."""
    values, vectors = linalg.eigh(cov)
    largest = reductions.max(table.abs(values), axis=-1, keepdims=True)
    # SciPy's limit of what counts as zero.
    factor = 1e3 if dtypes.real_dtype(cov.dtype).itemsize <= 4 else 1e6
    limit = table.stop_gradient(largest) * (factor * float(dtypes.finfo(cov.dtype).eps))
    kept = table.gt(values, limit)
    safe = table.select(kept, values, 1.0)
    turned = matmul(reshape(gap, (*gap.shape[:-1], 1, gap.shape[-1])), vectors)
    along = reshape(turned, (*turned.shape[:-2], turned.shape[-1]))
    across = reductions.sum(table.select(kept, 0.0, along * along), axis=-1)
    apart = table.ge(across, (limit * limit)[..., 0])
    square = reductions.sum(table.select(kept, along * along / safe, 0.0), axis=-1)
    square = table.select(apart, np.inf, square)
    log_det = reductions.sum(table.log(safe), axis=-1)
    return square, log_det, reductions.sum(table.convert(kept, cov.dtype), axis=-1)


def pdf(x: Any, mean: Any, cov: Any) -> Value:
    """Give the density; arguments as `logpdf`."""
    return table.exp(logpdf(x, mean, cov))
