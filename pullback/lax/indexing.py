"""Boxes, gather and scatter as users call them."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any

from pullback.core.calling import as_value
from pullback.core.trace import Value
from pullback.primitives import (
    indexing,
    shaping,
    slicing,
    structural,
    table,
)
from pullback.primitives.indexing import (
    FILL,
    GatherDimensionNumbers,
    ScatterDimensionNumbers,
    canonical_mode,
)
from pullback.primitives.recipes import canonical_axis


def starts_at(start: Any, axis: int, rank: int) -> list[Any]:
    """Give starts that are zero on all axes but one."""
    return [start if i == axis else 0 for i in range(rank)]


def dynamic_slice(
    operand: Any, start_indices: Any, slice_sizes: Sequence[int]
) -> Value:
    """Read a box of static sizes, moved inside where it reaches outside.

    Args:
        operand: an array.
        start_indices: an integer for each axis, in a sequence or an array; negative
            ones count from the end.
        slice_sizes: the length of the box on each axis.
    """
    x = as_value(operand, "dynamic_slice")
    return slicing.dynamic_slice(x, unpacked(start_indices), slice_sizes)


def unpacked(starts: Any) -> list[Any]:
    """Give starts one by one, of a sequence or of an array of one axis."""
    if isinstance(starts, (tuple, list)):
        return [s if isinstance(s, int) else as_value(s, "a start") for s in starts]
    array = as_value(starts, "start_indices")
    pieces = shaping.split(array, (1,) * array.shape[0], 0)
    return [shaping.squeeze(p, (0,)) for p in pieces]


def dynamic_slice_in_dim(
    operand: Any, start_index: Any, slice_size: int, axis: int = 0
) -> Value:
    """Read a piece of one axis at a start that is a value."""
    x = as_value(operand, "dynamic_slice_in_dim")
    rank = len(x.shape)
    axis = canonical_axis(axis, rank, "dynamic_slice_in_dim")
    sizes = [slice_size if i == axis else n for i, n in enumerate(x.shape)]
    return dynamic_slice(x, starts_at(start_index, axis, rank), sizes)


def dynamic_index_in_dim(
    operand: Any, index: Any, axis: int = 0, keepdims: bool = True
) -> Value:
    """Take one place along an axis, given as a value."""
    x = as_value(operand, "dynamic_index_in_dim")
    axis = canonical_axis(axis, len(x.shape), "dynamic_index_in_dim")
    found = dynamic_slice_in_dim(x, index, 1, axis)
    return found if keepdims else shaping.squeeze(found, (axis,))


def dynamic_update_slice(operand: Any, update: Any, start_indices: Any) -> Value:
    """Write a box, moved inside where it reaches outside; see `dynamic_slice`."""
    x, new = (as_value(y, "dynamic_update_slice") for y in (operand, update))
    return slicing.dynamic_update_slice(x, new, unpacked(start_indices))


def dynamic_update_slice_in_dim(
    operand: Any, update: Any, start_index: Any, axis: int
) -> Value:
    """Write a piece of one axis at a start that is a value."""
    x = as_value(operand, "dynamic_update_slice_in_dim")
    rank = len(x.shape)
    axis = canonical_axis(axis, rank, "dynamic_update_slice_in_dim")
    return dynamic_update_slice(x, update, starts_at(start_index, axis, rank))


def dynamic_update_index_in_dim(
    operand: Any, update: Any, index: Any, axis: int
) -> Value:
    """Write one place along an axis, given as a value."""
    x = as_value(operand, "dynamic_update_index_in_dim")
    new = as_value(update, "dynamic_update_index_in_dim")
    axis = canonical_axis(axis, len(x.shape), "dynamic_update_index_in_dim")
    if len(new.shape) < len(x.shape):
        new = structural.expand_axes(new, (axis,))
    return dynamic_update_slice_in_dim(x, new, index, axis)


class GatherScatterMode(enum.Enum):
    """What is done with slices and windows that reach outside."""

    CLIP = "clip"
    FILL_OR_DROP = "fill"
    PROMISE_IN_BOUNDS = "promise_in_bounds"


def gather(
    operand: Any,
    start_indices: Any,
    dimension_numbers: GatherDimensionNumbers,
    slice_sizes: Sequence[int],
    *,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    mode: Any = None,
    fill_value: Any = None,
) -> Value:
    """Read slices of fixed sizes at the starts in the last axis of `start_indices`.

    Args:
        operand: an array.
        start_indices: integers of shape (..., starts).
        dimension_numbers: how the axes belong together.
        slice_sizes: the length of a slice on each axis of the operand.
        unique_indices: a promise that no two slices overlap.
        indices_are_sorted: a promise that the starts ascend.
        mode: what slices that reach outside give: "fill" (the default), "clip" (they
            are moved inside), "promise_in_bounds".
        fill_value: what "fill" gives; nan by default, the least integer.
    """
    x, places = as_value(operand, "gather"), as_value(start_indices, "gather")
    return indexing.gather(
        x,
        places,
        dimension_numbers,
        slice_sizes,
        canonical_mode(mode, FILL),
        fill_value,
        indices_are_sorted,
        unique_indices,
    )


def scattering(kind: str, name: str, combined: str) -> Callable[..., Value]:
    """Make the public function of a scatter."""

    def function(
        operand: Any,
        scatter_indices: Any,
        updates: Any,
        dimension_numbers: ScatterDimensionNumbers,
        *,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
        mode: Any = None,
    ) -> Value:
        x, places, new = (
            as_value(y, name) for y in (operand, scatter_indices, updates)
        )
        return indexing.scatter(
            kind,
            x,
            places,
            new,
            dimension_numbers,
            canonical_mode(mode, FILL),
            indices_are_sorted,
            unique_indices,
        )

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"{combined} at the starts in the last axis of `scatter_indices`.\n\n"
        "Windows that reach outside are dropped, or moved inside in mode 'clip'.\n"
    )
    return function


scatter = scattering("set", "scatter", "Write updates into an operand")
scatter_add = scattering("add", "scatter_add", "Add updates into an operand")
scatter_mul = scattering("mul", "scatter_mul", "Multiply updates into an operand")
scatter_min = scattering("min", "scatter_min", "Keep the least of operand and updates")
scatter_max = scattering(
    "max", "scatter_max", "Keep the greatest of operand and updates"
)


def scatter_sub(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: Any = None,
) -> Value:
    """Subtract updates from an operand; see `scatter_add`."""
    return scatter_add(
        operand,
        scatter_indices,
        table.neg(as_value(updates, "scatter_sub")),
        dimension_numbers,
        indices_are_sorted=indices_are_sorted,
        unique_indices=unique_indices,
        mode=mode,
    )


def scatter_apply(
    operand: Any,
    scatter_indices: Any,
    func: Callable[[Any], Any],
    dimension_numbers: ScatterDimensionNumbers,
    *,
    update_shape: Sequence[int] = (),
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: Any = None,
) -> Value:
    """Replace windows by a function of them.

    Args:
        operand: an array.
        scatter_indices: integers of shape (..., starts).
        func: a function of one array that works elementwise; it is applied once where
            windows overlap.
        dimension_numbers: how the axes belong together.
        update_shape: the shape that updates for these windows would have.
        indices_are_sorted: a promise that the starts ascend.
        unique_indices: a promise that no two windows overlap.
        mode: "fill" (windows that reach outside are left), "clip",
            "promise_in_bounds".
    """
    x = as_value(operand, "scatter_apply")
    places = indexing.wide_index(as_value(scatter_indices, "scatter_apply"))
    write = indexing.ScatterSet(
        dimension_numbers,
        canonical_mode(mode, FILL),
        indices_are_sorted,
        unique_indices,
    )
    found = write.reading(x.shape, tuple(update_shape))(x, places)
    return write(x, places, as_value(func(found), "scatter_apply"))
