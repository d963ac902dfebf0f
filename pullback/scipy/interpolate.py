"""SciPy's interpolation on grids."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.numpy import reductions
from pullback.numpy.arguments import array_argument, option, wrong_shape
from pullback.numpy.promotion import promote_arrays
from pullback.numpy.shaping import stack
from pullback.numpy.sorting import searchsorted
from pullback.primitives import table
from pullback.primitives.structural import reshape

__all__ = ["RegularGridInterpolator"]


class RegularGridInterpolator:
    """Interpolation between values on a rectangular grid; as SciPy's.

    Args:
        points: for each axis of the grid, its places, ascending.
        values: values on the grid, which may have more axes after those.
        method: "linear" or "nearest".
        bounds_error: False; compiled code cannot raise errors for values.
        fill_value: what points outside get; None extrapolates.

    Example:
        >>> import pullback.numpy as jnp
        >>> f = RegularGridInterpolator((jnp.array([0.0, 2.0]),), jnp.array([1.0, 5.0]))
        >>> print(f(jnp.array([[0.5], [3.0]])))
        [ 2. nan]
    """

    def __init__(
        self,
        points: Sequence[Any],
        values: Any,
        method: str = "linear",
        bounds_error: bool = False,
        fill_value: Any = np.nan,
    ) -> None:
        self.method = option(
            "RegularGridInterpolator", "method", method, ("linear", "nearest")
        )
        if bounds_error:
            raise ArgumentError(
                "RegularGridInterpolator was given bounds_error=True.",
                where=called_at(),
                mend="Leave it out: points outside get fill_value.",
            )
        *grid, self.values = promote_arrays(
            "RegularGridInterpolator",
            *[array_argument(p, "RegularGridInterpolator") for p in points],
            values,
            inexact=True,
        )
        self.grid, self.fill_value, self.bounds_error = tuple(grid), fill_value, False
        shape = tuple(p.shape[0] if len(p.shape) == 1 else 0 for p in grid)
        if self.values.shape[: len(shape)] != shape or 0 in shape or not shape:
            raise wrong_shape(
                "RegularGridInterpolator",
                f"was given points {[p.aval for p in grid]} for {self.values.aval}.",
                "Give one vector of places for each leading axis of the values.",
            )

    def __call__(self, xi: Any, method: str | None = None) -> Value:
        """Give the values at points [..., d], or at a tuple of d arrays."""
        method = self.method if method is None else method
        option("RegularGridInterpolator", "method", method, ("linear", "nearest"))
        d = len(self.grid)
        if isinstance(xi, (tuple, list)):
            parts = promote_arrays("RegularGridInterpolator", *xi, inexact=True)
            shape = np.broadcast_shapes(*[p.shape for p in parts])
            xi = stack([p + full_zero(shape, p) for p in parts], -1)
        xi = array_argument(xi, "RegularGridInterpolator")
        if d == 1 and len(xi.shape) == 1:
            xi = reshape(xi, (*xi.shape, 1))
        if not xi.shape or xi.shape[-1] != d:
            raise wrong_shape(
                "RegularGridInterpolator",
                f"has {d} axes; it was given points {xi.aval}.",
                f"Give points [..., {d}].",
            )
        xi = table.convert(xi, self.grid[0].dtype)
        places = [_between(xi[..., i], self.grid[i], method) for i in range(d)]
        extra = len(self.values.shape) - d
        total: Any = None
        for choice in itertools.product(*places):
            weight: Any = 1.0
            for _, share in choice:
                weight = share * weight
            weight = reshape(weight, (*weight.shape, *[1] * extra))
            part = self.values[tuple([index for index, _ in choice])] * weight
            total = part if total is None else total + part
        if self.fill_value is None:
            return total
        outside = self._outside(xi)
        outside = reshape(outside, (*outside.shape, *[1] * extra))
        fill = table.convert(array_argument(self.fill_value, ""), total.dtype)
        return table.select(outside, fill, total)

    def _outside(self, xi: Value) -> Value:
        """Whether points lie outside of the grid."""
        tests = [
            table.or_(table.lt(xi[..., i], p[0]), table.gt(xi[..., i], p[-1]))
            for i, p in enumerate(self.grid)
        ]
        return reductions.any(stack(tests, 0), axis=0)


def full_zero(shape: tuple[int, ...], like: Value) -> Value:
    """Give zeros of a shape and another array's dtype."""
    return array_argument(np.zeros(shape, like.dtype), "")


def _between(x: Value, grid: Value, method: str) -> list[tuple[Value, Value]]:
    """Give the neighbours of points along an axis, with their weights."""
    n = grid.shape[0]
    if n == 1:
        return [(searchsorted(grid, x) * 0, x * 0.0 + 1.0)]
    low = table.min(table.max(searchsorted(grid, x, "right") - 1, 0), n - 2)
    start, end = grid[low], grid[low + 1]
    share = (x - start) / (end - start)
    if method == "nearest":
        upper = table.convert(table.gt(share, 0.5), low.dtype)
        return [(low + upper, x * 0.0 + 1.0)]
    return [(low, 1.0 - share), (low + 1, share)]
