"""Arrays made of nothing but their type."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.aval import Aval, Shape
from pullback.core.primitive import Primitive
from pullback.core.trace import Value, aval_of
from pullback.core.zero import Zero
from pullback.dtypes import Dtype
from pullback.primitives.structural import frozen, full


@frozen
class Iota(Primitive):
    """The index along one axis, at each place of a shape."""

    dtype: Dtype
    shape: Shape
    axis: int

    def weak_result(self, all_weak: bool) -> bool:
        return False

    def abstract(self) -> Aval:
        return Aval(self.shape, self.dtype)

    def eager(self) -> Any:
        expanded = [1] * len(self.shape)
        n = expanded[self.axis] = self.shape[self.axis]
        index = np.arange(n).astype(self.dtype).reshape(expanded)
        return np.broadcast_to(index, self.shape)

    def lower(self, ctx: Any) -> Any:
        attribute = f"iota_dimension = {self.axis} : i64"
        return ctx.emit("stablehlo.iota", [], self.abstract(), attribute)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        return self(), Zero(self.abstract().tangent())

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        return self(), None


def iota(dtype: Any, size: int) -> Value:
    """Give 0, 1, ... in a dtype."""
    return Iota(dtypes.canonical(dtype), (size,), 0)()


def broadcasted_iota(dtype: Any, shape: Shape, axis: int) -> Value:
    """Give the index along one axis, at each place of a shape."""
    return Iota(dtypes.canonical(dtype), tuple(shape), axis)()


def full_like(
    x: Value, value: Any, dtype: Any = None, shape: Shape | None = None
) -> Value:
    """Fill an array with a Python number; shape and dtype are those of `x` if None."""
    aval = aval_of(x)
    wanted = aval.dtype if dtype is None else dtypes.canonical(dtype)
    weak = aval.weak and dtype is None
    return full(aval.shape if shape is None else tuple(shape), value, wanted, weak)
