"""Arrays made of nothing but their type, and arrays read as another type."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.aval import Aval, Shape
from pullback.core.origin import called_at
from pullback.core.primitive import Primitive
from pullback.core.trace import Value, aval_of
from pullback.core.zero import Zero
from pullback.dtypes import Dtype
from pullback.errors import DtypeError
from pullback.primitives.recipes import Flat
from pullback.primitives.structural import frozen, full, move_axis


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
        n = self.shape[self.axis]
        index = np.arange(n).astype(self.dtype)
        if len(self.shape) == 1:
            return index
        expanded = [1] * len(self.shape)
        expanded[self.axis] = n
        return np.broadcast_to(index.reshape(expanded), self.shape)

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


@frozen
class BitcastConvertType(Flat):
    """The same bits read as another dtype.

    A narrower dtype adds a last axis with the parts of each element, the low ones
    first; a wider one joins the last axis.
    """

    dtype: Dtype

    def weak_result(self, all_weak: bool) -> bool:
        return False

    def abstract(self, x: Aval) -> Aval:
        old, new = x.dtype.itemsize, self.dtype.itemsize
        shape = x.shape
        if old > new:
            shape = (*shape, old // new)
        joined = old < new and shape[-1:] != (new // old,)
        if joined or (x.dtype.kind == "b") != (self.dtype.kind == "b"):
            raise DtypeError(
                f"the bits of an array of type {x} cannot be read as "
                f"{self.dtype.name}.",
                where=called_at(),
                mend="For a wider dtype, let the last axis hold the parts of each "
                "element; convert booleans with astype.",
            )
        return Aval(shape[:-1] if old < new else shape, self.dtype)

    def eager(self, x: Any) -> Any:
        out = self.abstract(Aval(x.shape, x.dtype))
        return np.ascontiguousarray(x).view(self.dtype).reshape(out.shape)

    def lower(self, ctx: Any, x: Any) -> Any:
        return ctx.emit("stablehlo.bitcast_convert", [x], self.abstract(x.aval))

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        return self(move_axis(operands[0], dims[0], 0)), 0


def bitcast_convert_type(x: Value, dtype: Any) -> Value:
    """Read the bits of `x` as another dtype."""
    return BitcastConvertType(dtypes.canonical(dtype))(x)
