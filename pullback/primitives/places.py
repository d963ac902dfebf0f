"""Where the slices of a gather and the windows of a scatter lie in their operand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pullback import dtypes
from pullback.core.aval import Shape
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.dtypes import Dtype
from pullback.errors import ArgumentError
from pullback.primitives.recipes import without
from pullback.primitives.reduction import reduce_and
from pullback.primitives.shaping import concatenate
from pullback.primitives.structural import full, reshape
from pullback.primitives.table import and_, convert, ge, le

Axes = tuple[int, ...]


class GatherDimensionNumbers(NamedTuple):
    """How the axes of a gather's operand, indices and result belong together.

    The last axis of the indices holds one start for each axis in `start_index_map`; the
    other axes of the indices come back in the result.

    Args:
        offset_dims: the axes of the result that run inside a slice.
        collapsed_slice_dims: axes of the operand with slices of length one, dropped.
        start_index_map: the operand axes that the starts are for.
        operand_batching_dims: operand axes that go along with axes of the indices.
        start_indices_batching_dims: those axes of the indices.
    """

    offset_dims: Axes
    collapsed_slice_dims: Axes
    start_index_map: Axes
    operand_batching_dims: Axes = ()
    start_indices_batching_dims: Axes = ()


class ScatterDimensionNumbers(NamedTuple):
    """How the axes of a scatter's operand, indices and updates belong together.

    Args:
        update_window_dims: the axes of the updates that run inside a window.
        inserted_window_dims: axes of the operand in which windows have length one.
        scatter_dims_to_operand_dims: the operand axes that the starts are for.
        operand_batching_dims: operand axes that go along with axes of the indices.
        scatter_indices_batching_dims: those axes of the indices.
    """

    update_window_dims: Axes
    inserted_window_dims: Axes
    scatter_dims_to_operand_dims: Axes
    operand_batching_dims: Axes = ()
    scatter_indices_batching_dims: Axes = ()


#: What is done with slices that reach outside: moved inside; read as a fill value and
#: not written; or promised not to happen.
CLIP, FILL, PROMISE = "clip", "fill", "promise_in_bounds"


def canonical_mode(mode: Any, default: str) -> str:
    """Give one of the three modes for what a user wrote.

    Raises:
        ArgumentError: there is no such mode.
    """
    if mode is None:
        return default
    name = str(getattr(mode, "name", mode)).lower()
    found = {"drop": FILL, "fill_or_drop": FILL, "wrap": ""}.get(name, name)
    if found not in (CLIP, FILL, PROMISE):
        raise ArgumentError(
            f"the indexing mode must be 'fill', 'drop', 'clip' or 'promise_in_bounds'; "
            f"got {mode!r}.",
            where=called_at(),
            mend="Leave it out for the default.",
        )
    return found


# -- in NumPy's terms -----------------------------------------------------------------


class Places(NamedTuple):
    """Where slices lie, in NumPy's terms.

    Args:
        axes: the operand axes indexed by arrays.
        arrays: an index array for each, of shape (batch axes, partial windows).
        whole: the operand axes taken whole.
        order: for each axis of (batch, windows, whole axes) its place in the slices'
            array (the result of a gather, the updates of a scatter).
        valid: which slices lie inside, of the batch shape; None if all do.
    """

    axes: Axes
    arrays: list[Any]
    whole: Axes
    order: Axes
    valid: Any


def find_places(
    shape: Shape,
    indices: Any,
    numbers: GatherDimensionNumbers,
    sizes: Shape,
    mode: str,
) -> Places:
    """Give the places of slices in an operand of `shape`."""
    batch_shape = indices.shape[:-1]
    dropped = (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims)
    offsets = [i for i in range(len(shape)) if i not in dropped]
    started = set(numbers.start_index_map)
    partial = [i for i in offsets if i in started or sizes[i] != shape[i]]
    starts: dict[int, Any] = dict.fromkeys((*partial, *numbers.collapsed_slice_dims), 0)
    valid: Any = None
    for k, i in enumerate(numbers.start_index_map):
        start, limit = indices[..., k], shape[i] - sizes[i]
        if mode == FILL:
            inside = (start >= 0) & (start <= limit)
            if not inside.all():
                valid = inside if valid is None else valid & inside
        starts[i] = np.clip(start, 0, max(0, limit)).astype(np.intp)
    for i, b in zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims):
        along = [1] * len(batch_shape)
        along[b] = batch_shape[b]
        starts[i] = np.arange(batch_shape[b]).reshape(along)
    arrays = []
    for i, start in starts.items():
        full_start = np.reshape(start, np.shape(start) + (1,) * len(partial))
        if i in partial:
            along = [1] * len(partial)
            along[partial.index(i)] = sizes[i]
            full_start = full_start + np.arange(sizes[i]).reshape(along)
        arrays.append(full_start)
    whole = tuple([i for i in offsets if i not in partial])
    batch_out = without(range(len(batch_shape) + len(offsets)), numbers.offset_dims)
    place = dict(zip(offsets, numbers.offset_dims))
    order = (*batch_out, *[place[i] for i in (*partial, *whole)])
    shape_of_arrays = (*batch_shape, *[sizes[i] for i in partial])
    if arrays and np.broadcast_shapes(*map(np.shape, arrays)) != shape_of_arrays:
        arrays[0] = np.broadcast_to(arrays[0], shape_of_arrays)
    return Places(tuple(starts), arrays, whole, order, valid)


def inverse(order: Sequence[int]) -> list[int]:
    """Give the permutation that undoes another."""
    return sorted(range(len(order)), key=order.__getitem__)


def linear_places(moved: Any, arrays: Any) -> Any:
    """Give the flat places, in the memory behind a view, of what arrays index in it.

    The view is a permutation of a C-contiguous array, so strides tell the places.
    """
    steps = [s // moved.itemsize for s in moved.strides]
    total = sum(a * s for a, s in zip(arrays, steps))
    whole = moved.ndim - len(arrays)
    total = np.reshape(total, np.shape(total) + (1,) * whole)
    for k in range(whole):
        axis = len(arrays) + k
        along = [1] * whole
        along[k] = moved.shape[axis]
        total = total + (np.arange(moved.shape[axis]) * steps[axis]).reshape(along)
    return total


# -- in terms of operations ------------------------------------------------------------


def up(axes: Axes) -> Axes:
    """Give the places of axes after one was put before all."""
    return tuple([a + 1 for a in axes])


def slices_inside(
    shape: Shape, indices: Value, axes: Axes, sizes: Sequence[int]
) -> Value:
    """Give, for each slice, whether it lies inside an operand of `shape`."""
    limits = [index_constant(shape[i] - sizes[i], indices.dtype) for i in axes]
    rank = len(indices.shape)
    bound = reshape(
        concatenate([reshape(n, (1,)) for n in limits], 0),
        (*(1,) * (rank - 1), len(limits)),
    )
    inside = and_(ge(indices, 0), le(indices, bound))
    return reduce_and(inside, (rank - 1,))


def index_constant(value: int, dtype: Dtype) -> Value:
    """Make a constant that holds in the dtype of indices: the greatest if too great."""
    return full((), min(value, int(np.iinfo(dtype).max)), dtype)


def wide_index(indices: Value) -> Value:
    """Convert indices to a signed dtype that can count far enough."""
    dtype = indices.dtype
    if dtype in (dtypes.int32, dtypes.int64) or not dtypes.is_integer(dtype):
        return indices
    wide = dtype.itemsize == 8 or dtype == dtypes.uint32
    return convert(indices, dtypes.canonical("int64" if wide else "int32"))
