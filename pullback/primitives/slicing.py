"""Boxes read and written at starts that are values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.aval import Aval, Shape
from pullback.core.primitive import Primitive
from pullback.core.trace import Value, aval_of, current_trace
from pullback.core.zero import Unknown, Zero, is_zero
from pullback.primitives.indexing import (
    CLIP,
    Gather,
    GatherDimensionNumbers,
    ScatterDimensionNumbers,
    ScatterSet,
    wide_index,
)
from pullback.primitives.places import index_constant
from pullback.primitives.recipes import (
    batch_to_front,
    check_same_dtype,
    shape_error,
)
from pullback.primitives.shaping import concatenate, slice_
from pullback.primitives.structural import (
    accumulate,
    broadcast,
    frozen,
    full,
    instantiate,
    move_axis,
    reshape,
)
from pullback.primitives.table import add, convert, lt, select


def box(shape: Shape, sizes: Shape, starts: Sequence[Any]) -> tuple[slice, ...]:
    """Give the NumPy slices of a box, moved inside where it reaches outside."""
    return tuple(
        [
            slice(s := min(max(0, int(start)), n - m), s + m)
            for n, m, start in zip(shape, sizes, starts)
        ]
    )


def start_matrix(starts: Sequence[Value], dims: Sequence[Any], size: int) -> Value:
    """Make indices of shape (batch, axes) of starts, some with a batch axis."""
    columns = [
        reshape(s, (size, 1)) if d is not None else broadcast(s, (size, 1), ())
        for s, d in zip(starts, dims)
    ]
    return concatenate(columns, 1)


@frozen
class DynamicSlice(Primitive):
    """A box of static sizes read at starts that are operands, moved inside."""

    sizes: Shape

    linear = ((0,),)

    reads_part = True

    def abstract(self, x: Aval, *starts: Aval) -> Aval:
        check_box("dynamic_slice", x, self.sizes, len(starts))
        return Aval(self.sizes, x.dtype)

    def weak_result(self, all_weak: bool) -> bool:
        return False

    def eager(self, x: Any, *starts: Any) -> Any:
        return x[box(x.shape, self.sizes, starts)]

    def lower(self, ctx: Any, x: Any, *starts: Any) -> Any:
        out = self.abstract(x.aval, *[s.aval for s in starts])
        attribute = f"slice_sizes = {ctx.ints(self.sizes)}"
        return ctx.emit("stablehlo.dynamic_slice", [x, *starts], out, attribute)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        x, *starts = primals
        ans, t = self(x, *starts), tangents[0]
        return ans, Zero(like=ans) if is_zero(t) else self(t, *starts)

    def transpose(self, ct: Any, x: Any, *starts: Any) -> Any:
        none = [None] * len(starts)
        if not isinstance(x, Unknown):
            return None, *none
        zeros = full(x.aval.shape, 0, ct.dtype)
        return DynamicUpdateSlice()(zeros, ct, *starts), *none

    def transpose_onto(self, total: Any, ct: Any, *starts: Any) -> Any:
        part = accumulate(self(total, *starts), ct)
        return DynamicUpdateSlice()(total, part, *starts)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        (x, *starts), (d, *es) = operands, dims
        if all(e is None for e in es):
            starts.insert(d, zero_start(starts))
            sizes = (*self.sizes[:d], size, *self.sizes[d:])
            return DynamicSlice(sizes)(x, *starts), d
        indices = start_matrix(starts, es, size)
        rank = len(self.sizes)
        inner = tuple(range(1, rank + 1))
        if d is None:
            numbers = GatherDimensionNumbers(inner, (), tuple(range(rank)))
            return Gather(numbers, self.sizes, CLIP)(x, indices), 0
        numbers = GatherDimensionNumbers(inner, (), inner, (0,), (0,))
        sizes = (1 if size else 0, *self.sizes)
        return Gather(numbers, sizes, CLIP)(move_axis(x, d, 0), indices), 0


@frozen
class DynamicUpdateSlice(Primitive):
    """An operand with a box overwritten at starts that are operands, moved inside.

    Operands are the operand, the update, and a start for each axis.
    """

    linear = ((0, 1),)

    def abstract(self, x: Aval, update: Aval, *starts: Aval) -> Aval:
        check_same_dtype((x, update), "dynamic_update_slice")
        check_box("dynamic_update_slice", x, update.shape, len(starts))
        return Aval(x.shape, x.dtype)

    def weak_result(self, all_weak: bool) -> bool:
        return False

    def eager(self, x: Any, update: Any, *starts: Any) -> Any:
        out = np.array(x)
        out[box(out.shape, np.shape(update), starts)] = update
        return out

    def lower(self, ctx: Any, x: Any, update: Any, *starts: Any) -> Any:
        out = Aval(x.aval.shape, x.aval.dtype)
        return ctx.emit("stablehlo.dynamic_update_slice", [x, update, *starts], out)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (x, update, *starts), (s, t, *_) = primals, tangents
        ans = self(x, update, *starts)
        if is_zero(s) and is_zero(t):
            return ans, Zero(like=ans)
        return ans, self(instantiate(s), instantiate(t), *starts)

    def transpose(self, ct: Any, x: Any, update: Any, *starts: Any) -> Any:
        at_x = at_update = None
        if isinstance(x, Unknown):
            shape = aval_of(update).shape
            at_x = self(ct, full(shape, 0, ct.dtype), *starts)
        if isinstance(update, Unknown):
            at_update = DynamicSlice(update.aval.shape)(ct, *starts)
        return at_x, at_update, *[None] * len(starts)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        x, update = batch_to_front(size, operands[:2], dims[:2])
        starts, es = operands[2:], dims[2:]
        if all(e is None for e in es):
            return self(x, update, zero_start(starts), *starts), 0
        indices = start_matrix(starts, es, size)
        inner = tuple(range(1, len(x.shape)))
        numbers = ScatterDimensionNumbers(inner, (), inner, (0,), (0,))
        write = ScatterSet(numbers, CLIP, unique_indices=True)
        return write(x, indices, update), 0


def zero_start(starts: Sequence[Value]) -> Value:
    """Make a start at zero of the dtype of the others."""
    dtype = starts[0].dtype if starts else dtypes.int32
    return full((), 0, dtype)


def check_box(who: str, x: Aval, sizes: Shape, count: int) -> None:
    """Raise unless a box fits into an operand, with a start for each axis."""
    fits = len(sizes) == x.ndim and all(0 <= m <= n for m, n in zip(sizes, x.shape))
    if not fits or count != x.ndim:
        raise shape_error(
            f"{who} was given {count} starts and a box of shape {sizes} for an operand "
            f"of type {x}.",
            "Give a start and a size for each axis, no size greater than the axis.",
        )


def canonical_starts(starts: Sequence[Any], shape: Shape) -> list[Any]:
    """Make starts of one dtype, counted from the end where they are negative."""
    dtype = dtypes.int32
    for s in starts:
        if hasattr(s, "dtype") and s.dtype in (dtypes.int64, dtypes.uint32):
            dtype = dtypes.canonical("int64")
    out = []
    for start, n in zip(starts, shape):
        if is_static(start):
            static = int(start) + n if start < 0 else int(start)
            inside = static if current_trace().notes_indices else max(0, static)
            out.append(index_constant(inside, dtype))
            continue
        value = wide_index(start)
        value = convert(value, dtype) if value.dtype != dtype else value
        out.append(select(lt(value, 0), add(value, n), value))
    return out


def is_static(start: Any) -> bool:
    """Whether a start is a Python or NumPy integer."""
    return isinstance(start, (int, np.integer))


def dynamic_slice(x: Value, starts: Sequence[Any], sizes: Sequence[int]) -> Value:
    """Read a box of static sizes, moved inside where it reaches outside.

    Args:
        x: an array.
        starts: an integer for each axis; negative ones count from the end.
        sizes: the length of the box on each axis.
    """
    sizes, shape = tuple(sizes), x.shape
    check_box("dynamic_slice", aval_of(x), sizes, len(starts))
    if all(map(is_static, starts)) and not current_trace().notes_indices:
        wrapped = [s + n if s < 0 else s for s, n in zip(starts, shape)]
        bounds = box(shape, sizes, wrapped)
        return slice_(x, [b.start for b in bounds], [b.stop for b in bounds])
    return DynamicSlice(sizes)(x, *canonical_starts(starts, shape))


def dynamic_update_slice(x: Value, update: Value, starts: Sequence[Any]) -> Value:
    """Write a box, moved inside where it reaches outside.

    Args:
        x: an array.
        update: an array of the same dtype and rank, no axis longer than that of `x`.
        starts: an integer for each axis; negative ones count from the end.
    """
    return DynamicUpdateSlice()(x, update, *canonical_starts(starts, x.shape))
