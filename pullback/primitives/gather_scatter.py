"""Gather, and the scatter that is its transpose.

Both follow XLA's gather and scatter with their dimension numbers, because these are
closed under batching and transposition: the batch rule of either, and the transpose of
one, is the same operation or the other with other numbers.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from pullback import dtypes
from pullback.core.aval import Aval, Shape
from pullback.core.origin import called_at
from pullback.core.primitive import Primitive
from pullback.core.trace import Value
from pullback.core.zero import Unknown, Zero, is_zero
from pullback.dtypes import Dtype
from pullback.errors import ArgumentError
from pullback.primitives.own_loops import gathered_has_own_loop, store
from pullback.primitives.places import (
    CLIP,
    FILL,
    PROMISE,
    GatherDimensionNumbers,
    ScatterDimensionNumbers,
    find_places,
    index_constant,
    inverse,
    linear_places,
    slices_inside,
    up,
)
from pullback.primitives.recipes import (
    batch_to_front,
    check_same_dtype,
    lower_as,
    shape_error,
    without,
)
from pullback.primitives.shaping import concatenate
from pullback.primitives.structural import (
    broadcast,
    frozen,
    full,
    instantiate,
    reshape,
)
from pullback.primitives.table import clamp, select

# -- gather ----------------------------------------------------------------------------


@frozen
class Gather(Primitive):
    """Slices of fixed sizes read from an operand at starts given by indices.

    `fill` is what is read outside in mode "fill": a number, or None for nan (the least
    integer for signed integers, the greatest for unsigned, True for booleans).
    """

    numbers: GatherDimensionNumbers
    sizes: Shape
    mode: str = CLIP
    fill: bool | int | float | complex | None = None
    sorted_indices: bool = False
    unique_indices: bool = False

    linear = ((0,),)

    reads_part = True

    def fill_value(self, dtype: Dtype) -> Any:
        """Give what is read outside."""
        if self.fill is not None:
            return self.fill
        if dtypes.is_inexact(dtype):
            return np.nan
        if dtype == dtypes.bool_:
            return True
        limits = np.iinfo(dtype)
        return int(limits.min if dtype.kind == "i" else limits.max)

    def takes_elements(self, shape: Shape) -> bool:
        """Whether slices have length one on the indexed axes, full length elsewhere."""
        n = self.numbers
        return (
            n.collapsed_slice_dims == n.start_index_map
            and not n.operand_batching_dims
            and without(self.sizes, n.start_index_map)
            == without(shape, n.start_index_map)
        )

    def abstract(self, x: Aval, indices: Aval) -> Aval:
        check_gather(self, x, indices)
        n = self.numbers
        inner = iter(
            without(self.sizes, (*n.collapsed_slice_dims, *n.operand_batching_dims))
        )
        outer = iter(indices.shape[:-1])
        rank = len(n.offset_dims) + len(indices.shape) - 1
        shape = tuple(
            [next(inner) if i in n.offset_dims else next(outer) for i in range(rank)]
        )
        return Aval(shape, x.dtype)

    def weak_result(self, all_weak: bool) -> bool:
        return False

    def eager(self, x: Any, indices: Any) -> Any:
        return read(x, indices, self)

    def lower(self, ctx: Any, x: Any, indices: Any) -> Any:
        if self.mode == FILL and self.numbers.start_index_map:
            return lower_as(ctx, self.filled, x, indices)
        n = self.numbers
        numbers = (
            f"offset_dims = {list(n.offset_dims)}, "
            f"collapsed_slice_dims = {list(n.collapsed_slice_dims)}, "
            f"operand_batching_dims = {list(n.operand_batching_dims)}, "
            f"start_indices_batching_dims = {list(n.start_indices_batching_dims)}, "
            f"start_index_map = {list(n.start_index_map)}, "
            f"index_vector_dim = {indices.aval.ndim - 1}"
        )
        attributes = (
            f"dimension_numbers = #stablehlo.gather<{numbers}>, "
            f"slice_sizes = {ctx.ints(self.sizes)}, "
            f"indices_are_sorted = {str(self.sorted_indices).lower()}"
        )
        out = self.abstract(x.aval, indices.aval)
        if ctx.platform == "cpu" and gathered_has_own_loop(ctx.place, out):
            ctx.uses["gather"] += 1  # what is written depends on the place
            x = store(ctx, x)
        return ctx.emit("stablehlo.gather", [x, indices], out, attributes)

    def filled(self, x: Value, indices: Value) -> Value:
        """Read everything inside, then choose: mode "fill" in other operations."""
        found = Gather(self.numbers, self.sizes, CLIP)(x, indices)
        valid = slices_inside(
            x.shape, indices, self.numbers.start_index_map, self.sizes
        )
        offsets = self.numbers.offset_dims
        batch = [i for i in range(len(found.shape)) if i not in offsets]
        mask = broadcast(valid, found.shape, batch)
        return select(mask, found, full((), self.fill_value(x.dtype), x.dtype))

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (x, indices), (t, _) = primals, tangents
        ans = self(x, indices)
        if is_zero(t):
            return ans, Zero(like=ans)
        fill = 0 if self.mode == FILL else None
        return ans, self.with_numbers(self.numbers, self.sizes, fill)(t, indices)

    def with_numbers(
        self, numbers: GatherDimensionNumbers, sizes: Shape, fill: Any
    ) -> Gather:
        """Give the same gather with other dimension numbers."""
        return Gather(
            numbers, sizes, self.mode, fill, self.sorted_indices, self.unique_indices
        )

    def transpose(self, ct: Any, x: Any, indices: Any) -> Any:
        if not isinstance(x, Unknown):
            return None, None
        zeros = full(x.aval.shape, 0, ct.dtype)
        return self.transpose_onto(zeros, ct, indices), None

    def transpose_onto(self, total: Any, ct: Any, indices: Any) -> Any:
        numbers = ScatterDimensionNumbers(*self.numbers)
        put = ScatterAdd(numbers, self.mode, self.sorted_indices, self.unique_indices)
        return put(total, indices, ct)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        x, indices = batch_to_front(size, operands, dims, False)
        d, e = dims
        n, sizes = self.numbers, self.sizes
        if e is None:
            numbers = GatherDimensionNumbers(
                (0, *up(n.offset_dims)),
                up(n.collapsed_slice_dims),
                up(n.start_index_map),
                up(n.operand_batching_dims),
                n.start_indices_batching_dims,
            )
            sizes = (size, *sizes)
        elif d is None:
            numbers = n._replace(
                offset_dims=up(n.offset_dims),
                start_indices_batching_dims=up(n.start_indices_batching_dims),
            )
        else:
            numbers = GatherDimensionNumbers(
                up(n.offset_dims),
                up(n.collapsed_slice_dims),
                up(n.start_index_map),
                (0, *up(n.operand_batching_dims)),
                (0, *up(n.start_indices_batching_dims)),
            )
            sizes = (1 if size else 0, *sizes)
        # Sortedness and uniqueness hold for each element of the batch, not for all.
        return Gather(numbers, sizes, self.mode, self.fill)(x, indices), 0


def check_gather(gather: Gather, x: Aval, indices: Aval) -> None:
    """Raise unless operand, indices and sizes fit the dimension numbers."""
    n = gather.numbers
    if not dtypes.is_integer(indices.dtype):
        raise ArgumentError(
            f"gather was given indices of type {indices}, which are no integers.",
            where=called_at(),
            mend="Convert them with astype(int).",
        )
    fits = (
        len(gather.sizes) == x.ndim
        and indices.ndim >= 1
        and indices.shape[-1] == len(n.start_index_map)
        and all(0 <= s <= m for s, m in zip(gather.sizes, x.shape))
        and len(n.offset_dims)
        == x.ndim - len(n.collapsed_slice_dims) - len(n.operand_batching_dims)
    )
    if not fits:
        raise shape_error(
            f"gather was given an operand of type {x}, indices of type {indices}, "
            f"slice sizes {gather.sizes} and {n}, which do not fit together.",
            "The indices' last axis holds a start for each axis in start_index_map; "
            "slice sizes have an entry for each operand axis, no longer than it.",
        )


def read(x: Any, indices: Any, gather: Gather) -> Any:
    """Gather with NumPy."""
    numbers = gather.numbers
    axes = numbers.start_index_map
    if len(axes) == 1 and gather.takes_elements(x.shape):
        return take(x, indices, gather)
    places = find_places(x.shape, indices, numbers, gather.sizes, gather.mode)
    moved = np.transpose(x, (*places.axes, *places.whole))
    if places.arrays:
        out = moved[tuple(places.arrays)]
    else:
        batch = indices.shape[:-1]
        out = np.broadcast_to(moved, (*batch, *moved.shape))
    out = np.transpose(out, inverse(places.order))
    if places.valid is None:
        return out
    return fill_outside(out, places.valid, gather)


def take(x: Any, indices: Any, gather: Gather) -> Any:
    """Gather whole elements along one axis: the common case, with `numpy.take`."""
    (axis,) = gather.numbers.start_index_map
    index = indices[..., 0]
    if not x.shape[axis]:
        out_shape = gather.abstract(
            Aval(x.shape, x.dtype), Aval(indices.shape, indices.dtype)
        )
        return fill_outside(
            np.zeros(out_shape.shape, x.dtype), np.zeros(index.shape, bool), gather
        )
    out = np.take(x, index, axis, mode="clip")
    offsets = gather.numbers.offset_dims
    rank = index.ndim
    # `take` puts the index axes where the axis was; the result wants them elsewhere.
    batch = [i for i in range(out.ndim) if i not in offsets]
    natural = [*offsets[:axis], *batch, *offsets[axis:]]
    if natural != list(range(out.ndim)):
        out = np.transpose(out, inverse(natural))
    if gather.mode != FILL or (not rank and 0 <= index < x.shape[axis]):
        return out
    valid = (index >= 0) & (index < x.shape[axis])
    return out if valid.all() else fill_outside(out, valid, gather)


def fill_outside(out: Any, valid: Any, gather: Gather) -> Any:
    """Put the fill value where slices do not lie inside."""
    expanded = np.expand_dims(valid, gather.numbers.offset_dims)
    return np.where(expanded, out, gather.fill_value(out.dtype)).astype(out.dtype)


# -- scatter ---------------------------------------------------------------------------


@frozen
class Scatter(Primitive):
    """Updates written into windows of an operand at starts given by indices.

    Operands are the operand, the indices and the updates; a result is the operand with
    updates combined into it. Windows that reach outside are moved inside in mode
    "clip", else not written.
    """

    numbers: ScatterDimensionNumbers
    mode: str = FILL
    sorted_indices: bool = False
    unique_indices: bool = False

    hlo: ClassVar[str | None] = None
    ufunc: ClassVar[np.ufunc | None] = None

    def abstract(self, x: Aval, indices: Aval, updates: Aval) -> Aval:
        check_same_dtype((x, updates), self.name)
        reading = self.reading(x.shape, updates.shape)
        found = reading.abstract(x, indices)
        if found.shape != updates.shape:
            raise shape_error(
                f"{self.name} was given updates of type {updates} for an operand of "
                f"type {x} and indices of type {indices}; wanted shape {found.shape}.",
                "Broadcast the updates to what a gather at these places would read.",
            )
        return Aval(x.shape, x.dtype)

    def weak_result(self, all_weak: bool) -> bool:
        return False

    def window_sizes(self, shape: Shape, updates: Shape) -> Shape:
        """Give the length of a window on each operand axis."""
        n = self.numbers
        dropped = (*n.inserted_window_dims, *n.operand_batching_dims)
        lengths = iter([updates[i] for i in n.update_window_dims])
        return tuple(
            [
                (1 if shape[i] else 0) if i in dropped else next(lengths)
                for i in range(len(shape))
            ]
        )

    def reading(self, shape: Shape, updates: Shape) -> Gather:
        """Give the gather that reads, as zero outside, what this scatter writes."""
        return Gather(
            GatherDimensionNumbers(*self.numbers),
            self.window_sizes(shape, updates),
            self.mode,
            0,
            self.sorted_indices,
            self.unique_indices,
        )

    def eager(self, x: Any, indices: Any, updates: Any) -> Any:
        sizes = self.window_sizes(x.shape, updates.shape)
        mode = CLIP if self.mode == CLIP else FILL
        numbers = GatherDimensionNumbers(*self.numbers)
        places = find_places(x.shape, indices, numbers, sizes, mode)
        out = np.array(x, order="C")
        if not updates.size:
            return out
        updates = np.transpose(updates, places.order)
        moved = np.transpose(out, (*places.axes, *places.whole))
        arrays = places.arrays
        if places.valid is not None:
            shape = places.valid.shape
            arrays = [
                np.broadcast_to(a, (*shape, *a.shape[len(shape) :]))[places.valid]
                for a in arrays
            ]
            updates = updates[places.valid]
        if not arrays:
            moved = moved[None]
            arrays = [np.zeros(indices.shape[:-1], np.intp)]
        self.write(out, moved, tuple(arrays), updates)
        return out

    def write(self, out: Any, moved: Any, arrays: Any, updates: Any) -> None:
        """Combine updates into a view of the output, in place."""
        ufunc = self.ufunc
        if ufunc is None:
            moved[arrays] = updates
        elif self.unique_indices:
            moved[arrays] = ufunc(moved[arrays], updates)
        else:
            # `ufunc.at` is several times faster on one flat axis.
            flat = np.broadcast_to(linear_places(moved, arrays), updates.shape)
            ufunc.at(out.reshape(-1), flat.ravel(), updates.ravel())

    def lower(self, ctx: Any, x: Any, indices: Any, updates: Any) -> Any:
        if self.mode == CLIP:
            return lower_as(ctx, self.clipped, x, indices, updates)
        n = self.numbers
        numbers = (
            f"update_window_dims = {list(n.update_window_dims)}, "
            f"inserted_window_dims = {list(n.inserted_window_dims)}, "
            f"input_batching_dims = {list(n.operand_batching_dims)}, "
            f"scatter_indices_batching_dims = {list(n.scatter_indices_batching_dims)}, "
            f"scatter_dims_to_operand_dims = {list(n.scatter_dims_to_operand_dims)}, "
            f"index_vector_dim = {indices.aval.ndim - 1}"
        )
        attributes = (
            f"scatter_dimension_numbers = #stablehlo.scatter<{numbers}>, "
            f"indices_are_sorted = {str(self.sorted_indices).lower()}, "
            f"unique_indices = {str(self.unique_indices).lower()}"
        )
        scalar = Aval((), x.aval.dtype)
        region = ctx.region([scalar, scalar], lambda a, b: [self.combine(ctx, a, b)])
        out = Aval(x.aval.shape, x.aval.dtype)
        return ctx.emit_many(
            "stablehlo.scatter", [x, indices, updates], [out], attributes, [region]
        )[0]

    def combine(self, ctx: Any, a: Any, b: Any) -> Any:
        """Emit the combination of an element with its update."""
        return b if self.hlo is None else ctx.emit(self.hlo, [a, b], a.aval)

    def clipped(self, x: Value, indices: Value, updates: Value) -> Value:
        """Move windows inside, then write: mode "clip" in other operations."""
        sizes = self.window_sizes(x.shape, updates.shape)
        axes = self.numbers.scatter_dims_to_operand_dims
        if axes:
            limits = [
                index_constant(x.shape[i] - sizes[i], indices.dtype) for i in axes
            ]
            bound = concatenate([reshape(n, (1,)) for n in limits], 0)
            last = len(indices.shape) - 1
            bound = broadcast(bound, indices.shape, (last,))
            indices = clamp(full((), 0, indices.dtype), indices, bound)
        inside = type(self)(
            self.numbers, PROMISE, self.sorted_indices, self.unique_indices
        )
        return inside(x, indices, updates)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        n = self.numbers
        if dims[1] is None:
            x, updates = batch_to_front(size, operands[::2], dims[::2])
            numbers = ScatterDimensionNumbers(
                (0, *up(n.update_window_dims)),
                up(n.inserted_window_dims),
                up(n.scatter_dims_to_operand_dims),
                up(n.operand_batching_dims),
                n.scatter_indices_batching_dims,
            )
            return type(self)(numbers, self.mode)(x, operands[1], updates), 0
        x, indices, updates = batch_to_front(size, operands, dims)
        numbers = ScatterDimensionNumbers(
            up(n.update_window_dims),
            up(n.inserted_window_dims),
            up(n.scatter_dims_to_operand_dims),
            (0, *up(n.operand_batching_dims)),
            (0, *up(n.scatter_indices_batching_dims)),
        )
        unique = self.unique_indices
        return type(self)(numbers, self.mode, False, unique)(x, indices, updates), 0


class JointlyLinear(Scatter):
    """What scatters share that are linear in operand and updates together."""

    __slots__ = ()

    linear = ((0, 2),)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (x, indices, updates), (s, _, t) = primals, tangents
        ans = self(x, indices, updates)
        if is_zero(s) and is_zero(t):
            return ans, Zero(like=ans)
        return ans, self(instantiate(s), indices, instantiate(t))


@frozen
class ScatterAdd(JointlyLinear):
    """Updates added into windows of an operand."""

    hlo = "stablehlo.add"
    ufunc = np.add

    def transpose(self, ct: Any, x: Any, indices: Any, updates: Any) -> Any:
        at = None
        if isinstance(updates, Unknown):
            at = self.reading(ct.shape, updates.aval.shape)(ct, indices)
        return ct if isinstance(x, Unknown) else None, None, at

    def combine(self, ctx: Any, a: Any, b: Any) -> Any:
        kind = "stablehlo.or" if a.aval.dtype == dtypes.bool_ else self.hlo
        return ctx.emit(kind, [a, b], a.aval)
