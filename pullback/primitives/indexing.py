"""Reading and writing at places that are values, of every kind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.aval import Shape
from pullback.core.trace import Value
from pullback.core.zero import Unknown, Zero, is_zero
from pullback.primitives.creation import iota
from pullback.primitives.gather_scatter import (
    Gather,
    JointlyLinear,
    Scatter,
    ScatterAdd,
)
from pullback.primitives.places import (
    CLIP,
    FILL,
    PROMISE,
    Axes,
    GatherDimensionNumbers,
    ScatterDimensionNumbers,
    canonical_mode,
    wide_index,
)
from pullback.primitives.structural import (
    add_tangents,
    expand_axes,
    frozen,
    full,
    reshape,
)
from pullback.primitives.table import add, convert, div, eq, mul, select

__all__ = [
    "CLIP",
    "FILL",
    "PROMISE",
    "Gather",
    "GatherDimensionNumbers",
    "Scatter",
    "ScatterAdd",
    "ScatterDimensionNumbers",
    "ScatterMax",
    "ScatterMin",
    "ScatterMul",
    "ScatterSet",
    "canonical_mode",
    "element_numbers",
    "gather",
    "scatter",
    "take_along_axis",
    "wide_index",
]


def gather(
    x: Value,
    indices: Value,
    numbers: GatherDimensionNumbers,
    sizes: Sequence[int],
    mode: str = CLIP,
    fill: Any = None,
    sorted_indices: bool = False,
    unique_indices: bool = False,
) -> Value:
    """Read slices of fixed sizes from `x` at the starts in the last axis of `indices`.

    Args:
        x: an array.
        indices: signed integers of shape (..., len(numbers.start_index_map)).
        numbers: how the axes belong together.
        sizes: the length of a slice on each axis of `x`.
        mode: "clip", "fill" or "promise_in_bounds".
        fill: what mode "fill" reads outside; None for nan.
        sorted_indices: a promise that the indices ascend.
        unique_indices: a promise that no two slices overlap.
    """
    gather_ = Gather(numbers, tuple(sizes), mode, fill, sorted_indices, unique_indices)
    return gather_(x, wide_index(indices))


@frozen
class ScatterSet(JointlyLinear):
    """Updates written into windows of an operand, the last one staying."""

    @property
    def name(self) -> str:
        """The name in jaxprs, the ecosystem's."""
        return "scatter"

    def transpose(self, ct: Any, x: Any, indices: Any, updates: Any) -> Any:
        shape = updates.aval.shape if isinstance(updates, Unknown) else updates.shape
        at_x = at_updates = None
        if isinstance(x, Unknown):
            at_x = self(ct, indices, full(shape, 0, ct.dtype))
        if isinstance(updates, Unknown):
            reading = self.reading(ct.shape, shape)
            at_updates = reading(ct, indices)
            slices = math.prod(indices.shape[:-1])
            if not self.unique_indices and slices > 1:
                stays = self.last_written(ct.shape, indices, shape)
                at_updates = select(stays, at_updates, 0.0)
        return at_x, None, at_updates

    def last_written(self, shape: Shape, indices: Value, updates: Shape) -> Value:
        """Give which elements of the updates are not overwritten by another."""
        dtype = dtypes.canonical("int64")
        numbers = reshape(iota(dtype, math.prod(updates)), updates)
        written = self(full(shape, -1, dtype), indices, numbers)
        return eq(self.reading(shape, updates)(written, indices), numbers)


@frozen
class ScatterMul(Scatter):
    """Updates multiplied into windows of an operand."""

    hlo = "stablehlo.multiply"
    ufunc = np.multiply
    linear = ((0,),)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (x, indices, updates), (s, _, t) = primals, tangents
        ans = self(x, indices, updates)
        from_x = s if is_zero(s) else self(s, indices, updates)
        from_updates = t
        if not is_zero(t):
            slope = self.slope(x, indices, updates)
            add_at = self.adding()
            from_updates = add_at(zeros(x), indices, mul(t, slope))
        total = add_tangents(from_x, from_updates)
        return ans, Zero(like=ans) if is_zero(total) else total

    def adding(self) -> ScatterAdd:
        """Give the scatter that adds at the same places."""
        return ScatterAdd(
            self.numbers, self.mode, self.sorted_indices, self.unique_indices
        )

    def slope(self, x: Value, indices: Value, updates: Value) -> Value:
        """Give for each update the product of all the other factors.

        Updates that are zero are counted: the only zero among the updates of an element
        has the product of the others for slope, one of several has zero. (Second
        derivatives between two zero updates of one element are lost.)
        """
        reading = self.reading(x.shape, updates.shape)
        if self.unique_indices or math.prod(indices.shape[:-1]) <= 1:
            return reading(x, indices)
        zero = eq(updates, zeros(updates))
        nonzero = select(zero, full((), 1, x.dtype), updates)
        product = reading(self(x, indices, nonzero), indices)
        count = self.adding()(zeros(x), indices, convert(zero, x.dtype))
        others = reading(count, indices)
        others = add(others, select(zero, full((), -1, x.dtype), full((), 0, x.dtype)))
        none = full((), 0, x.dtype)
        return select(eq(others, none), div(product, nonzero), none)

    def transpose(self, ct: Any, x: Any, indices: Any, updates: Any) -> Any:
        return self(ct, indices, updates), None, None


def zeros(x: Value) -> Value:
    """Give zeros like `x`, never weak."""
    return full(x.shape, 0, x.dtype)


class ScatterExtremum(Scatter):
    """The common derivative of the scatters that keep an extreme element."""

    __slots__ = ()

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (x, indices, updates), (s, _, t) = primals, tangents
        ans = self(x, indices, updates)
        if is_zero(s) and is_zero(t):
            return ans, Zero(like=ans)
        # Shared equally among the operand and the updates that attain the extremum.
        add_at = ScatterAdd(
            self.numbers, self.mode, self.sorted_indices, self.unique_indices
        )
        best = self.reading(x.shape, updates.shape)(ans, indices)
        from_x, from_updates = eq(x, ans), eq(updates, best)
        count = add_at(
            convert(from_x, x.dtype), indices, convert(from_updates, x.dtype)
        )
        total = add_at(
            zeros(x) if is_zero(s) else select(from_x, s, 0.0),
            indices,
            zeros(updates) if is_zero(t) else select(from_updates, t, 0.0),
        )
        return ans, div(total, count)


@frozen
class ScatterMin(ScatterExtremum):
    """The least of an operand's elements and the updates for them."""

    hlo = "stablehlo.minimum"
    ufunc = np.minimum


@frozen
class ScatterMax(ScatterExtremum):
    """The greatest of an operand's elements and the updates for them."""

    hlo = "stablehlo.maximum"
    ufunc = np.maximum


def scatter(
    kind: str,
    x: Value,
    indices: Value,
    updates: Value,
    numbers: ScatterDimensionNumbers,
    mode: str = FILL,
    sorted_indices: bool = False,
    unique_indices: bool = False,
) -> Value:
    """Combine updates into `x` at the starts in the last axis of `indices`.

    Args:
        kind: "set", "add", "mul", "min" or "max".
        x: an array.
        indices: signed integers of shape (..., starts).
        updates: an array of the shape that a gather at these places would read.
        numbers: how the axes belong together.
        mode: "clip", "fill" (windows that reach outside are dropped) or
            "promise_in_bounds".
        sorted_indices: a promise that the indices ascend.
        unique_indices: a promise that no two windows overlap.
    """
    operation = KINDS[kind](numbers, mode, sorted_indices, unique_indices)
    return operation(x, wide_index(indices), updates)


KINDS: dict[str, type[Scatter]] = {
    "set": ScatterSet,
    "add": ScatterAdd,
    "mul": ScatterMul,
    "min": ScatterMin,
    "max": ScatterMax,
}


# -- the plain cases -------------------------------------------------------------------


def element_numbers(axes: Axes, index_rank: int, rank: int) -> GatherDimensionNumbers:
    """Give the numbers that index whole elements along leading or other axes.

    The index axes come first in the result, then the operand's other axes.
    """
    others = rank - len(axes)
    offsets = tuple(range(index_rank, index_rank + others))
    return GatherDimensionNumbers(offsets, tuple(sorted(axes)), tuple(axes))


def take_along_axis(
    x: Value, indices: Value, axis: int, mode: str = CLIP, fill: Any = None
) -> Value:
    """Pick elements along one axis by an index array that has the other axes too.

    Other axes of `x` and `indices` have equal lengths.
    """
    rank = len(x.shape)
    others = tuple([i for i in range(rank) if i != axis])
    numbers = GatherDimensionNumbers((), (axis,), (axis,), others, others)
    index = expand_axes(indices, (rank,))
    return gather(x, index, numbers, tuple(1 if n else 0 for n in x.shape), mode, fill)
