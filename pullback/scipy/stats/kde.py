"""Densities estimated from points by Gaussian kernels."""

from __future__ import annotations

import math
from typing import Any

from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.numpy import linalg, reductions
from pullback.numpy.arguments import array_argument, shape_argument, wrong_shape
from pullback.numpy.contraction import matmul
from pullback.numpy.promotion import as_inexact, promote_arrays
from pullback.numpy.shaping import atleast_2d, broadcast_to, reshape
from pullback.numpy.statistics import cov
from pullback.primitives import special, table
from pullback.primitives.linalg import triangular_solve
from pullback.primitives.saddle import HALF_LOG_TAU
from pullback.random.continuous import normal
from pullback.random.discrete import choice
from pullback.random.keys import split
from pullback.scipy.special import logsumexp
from pullback.tree import register_node_class

__all__ = ["gaussian_kde"]


@register_node_class
class gaussian_kde:
    """A density estimated from points; as `scipy.stats.gaussian_kde`.

    A container of arrays: transformations take it as an argument.

    Args:
        dataset: points [n], or [d, n] with a column for each.
        bw_method: the kernel's width as a multiple of the data's: a number, "scott"
            (also None), "silverman", or a function of the estimate.
        weights: of the points, equal if None.

    Example:
        >>> import pullback.numpy as jnp
        >>> print(gaussian_kde(jnp.array([0.0, 1.0, 3.0])).evaluate(1.0))
        [0.21489535]
    """

    neff: Any
    dataset: Any
    weights: Any
    covariance: Any
    inv_cov: Any

    def __init__(self, dataset: Any, bw_method: Any = None, weights: Any = None):
        data = atleast_2d(as_inexact(dataset, "gaussian_kde"))
        if len(data.shape) != 2 or data.shape[1] < 2:
            raise wrong_shape(
                "gaussian_kde", f"was given {data.aval}.", "Give [n] or [d, n], n > 1."
            )
        d, n = data.shape
        if weights is None:
            shares = broadcast_to(table.div(1.0, as_inexact(float(n), "")), (n,))
            data, shares = promote_arrays("gaussian_kde", data, shares)
        else:
            data, shares = promote_arrays("gaussian_kde", data, weights, inexact=True)
            if shares.shape != (n,):
                raise wrong_shape(
                    "gaussian_kde",
                    f"was given {n} points and weights {shares.aval}.",
                    "Give a weight for each point.",
                )
            shares = shares / reductions.sum(shares)
        self.dataset, self.weights = data, shares
        self.neff = 1.0 / reductions.sum(shares * shares)
        factor = self._factor(bw_method)
        spread = cov(data, rowvar=True, bias=False, aweights=shares)
        spread = reshape(spread, (d, d))
        self.covariance = spread * factor**2
        self.inv_cov = linalg.inv(spread) / factor**2

    def _factor(self, method: Any) -> Value:
        """Give the kernel's width as a multiple of the data's."""
        if method is None or method == "scott":
            return self.neff ** (-1.0 / (self.d + 4))
        if isinstance(method, str):
            if method == "silverman":
                return (self.neff * (self.d + 2) / 4.0) ** (-1.0 / (self.d + 4))
            raise ArgumentError(
                f"gaussian_kde was given bw_method={method!r}.",
                where=called_at(),
                mend="Give 'scott', 'silverman', a number or a function.",
            )
        return array_argument(method(self) if callable(method) else method, "bw_method")

    @property
    def d(self) -> int:
        """The number of coordinates."""
        return int(self.dataset.shape[0])

    @property
    def n(self) -> int:
        """The number of points."""
        return int(self.dataset.shape[1])

    def tree_flatten(self) -> Any:
        """Give the arrays."""
        arrays = (
            self.neff,
            self.dataset,
            self.weights,
            self.covariance,
            self.inv_cov,
        )
        return arrays, None

    @classmethod
    def tree_unflatten(cls, _: Any, arrays: Any) -> gaussian_kde:
        """Make the estimate of the arrays."""
        made = object.__new__(cls)
        made.neff, made.dataset, made.weights, made.covariance, made.inv_cov = arrays
        return made

    def evaluate(self, points: Any) -> Value:
        """Give the density at points [m] or [d, m]."""
        return table.exp(self.logpdf(points))

    def __call__(self, points: Any) -> Value:
        """Give the density, as `evaluate`."""
        return self.evaluate(points)

    def pdf(self, x: Any) -> Value:
        """Give the density, as `evaluate`."""
        return self.evaluate(x)

    def logpdf(self, x: Any) -> Value:
        """Give the logarithm of the density at points [m] or [d, m]."""
        points = self._points(x)
        factor = linalg.cholesky(self.covariance)
        logs = _log_kernels(self.dataset, points, factor)
        return logsumexp(logs, axis=0, b=reshape(self.weights, (self.n, 1)))

    def _points(self, x: Any) -> Value:
        points = atleast_2d(as_inexact(x, "gaussian_kde"))
        if points.shape[0] == 1 and points.shape[1] == self.d != 1:
            points = reshape(points, (self.d, 1))
        if len(points.shape) != 2 or points.shape[0] != self.d:
            raise wrong_shape(
                "gaussian_kde",
                f"has points of {self.d} coordinates; it was given {points.aval}.",
                f"Give points [{self.d}, m].",
            )
        return promote_arrays("gaussian_kde", points, self.dataset)[0]

    def integrate_gaussian(self, mean: Any, cov: Any) -> Value:
        """Give the integral of the density times a normal one of this mean and cov."""
        mean = reshape(as_inexact(mean, "integrate_gaussian"), (-1,))
        cov = atleast_2d(as_inexact(cov, "integrate_gaussian"))
        d = self.d
        if mean.shape != (d,) or cov.shape != (d, d):
            raise wrong_shape(
                "integrate_gaussian",
                f"was given mean {mean.aval} and cov {cov.aval} for {d} coordinates.",
                f"Give mean [{d}] and cov [{d}, {d}].",
            )
        factor = linalg.cholesky(self.covariance + cov)
        logs = _log_kernels(self.dataset, reshape(mean, (d, 1)), factor)
        return reductions.sum(table.exp(logs[:, 0]) * self.weights)

    def integrate_box_1d(self, low: Any, high: Any) -> Value:
        """Give the probability between two numbers, of points on the line."""
        if self.d != 1:
            raise ArgumentError(
                f"integrate_box_1d was called on points of {self.d} coordinates.",
                where=called_at(),
                mend="Call it on points on the line.",
            )
        width = table.sqrt(self.covariance[0, 0])
        ends = ((as_inexact(x, "") - self.dataset[0]) / width for x in (low, high))
        first, last = (special.ndtr(z) for z in ends)
        return reductions.sum(self.weights * (last - first))

    def integrate_kde(self, other: gaussian_kde) -> Value:
        """Give the integral of the product with another estimated density."""
        if other.d != self.d:
            raise ArgumentError(
                f"integrate_kde was given points of {other.d} coordinates; the others "
                f"have {self.d}.",
                where=called_at(),
                mend="Estimate both from points of one space.",
            )
        factor = linalg.cholesky(self.covariance + other.covariance)
        logs = _log_kernels(self.dataset, other.dataset, factor)
        return matmul(matmul(self.weights, table.exp(logs)), other.weights)

    def resample(self, key: Any, shape: Any = ()) -> Value:
        """Draw points [d, *shape] from the density."""
        size = shape_argument(shape, "gaussian_kde.resample")
        first, second = split(key)
        count = math.prod(size)
        places = choice(first, self.n, (count,), p=self.weights)
        noise = normal(second, (self.d, count), self.dataset.dtype)
        moved = matmul(linalg.cholesky(self.covariance), noise)
        return reshape(self.dataset[:, places] + moved, (self.d, *size))


def _log_kernels(centres: Value, points: Value, factor: Value) -> Value:
    """Give the logarithms of normal densities [n, m] of cov factor factor^T."""
    n, m = centres.shape[1], points.shape[1]
    whites = [
        triangular_solve(factor, x, left_side=True, lower=True)
        for x in (centres, points)
    ]
    d = centres.shape[0]
    gaps = reshape(whites[0], (d, n, 1)) - reshape(whites[1], (d, 1, m))
    square = reductions.sum(gaps * gaps, axis=0)
    log_det = reductions.sum(table.log(linalg.diagonal(factor)))
    return square * -0.5 - log_det - d * HALF_LOG_TAU
