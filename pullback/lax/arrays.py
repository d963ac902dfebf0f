"""Making, shaping, sorting and multiplying arrays as users call it."""

from __future__ import annotations

import builtins
import enum
import math
from collections.abc import Sequence
from typing import Any

from pullback import dtypes
from pullback.core.array import SCALARS
from pullback.core.calling import as_value
from pullback.core.trace import Value
from pullback.primitives import (
    contraction,
    creation,
    shaping,
    sorting,
    structural,
    table,
)
from pullback.primitives.elementwise import broadcast_shapes as common_shape
from pullback.primitives.recipes import canonical_axes, canonical_axis, shape_error

# -- creation --------------------------------------------------------------------------


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Value:
    """Fill an array with a value.

    Args:
        shape: the lengths of its axes.
        fill_value: a number or a scalar array.
        dtype: its dtype; that of the value if None.
    """
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    if type(fill_value) in SCALARS and dtype is not None:
        found = dtypes.canonical(dtype)
        return structural.full(sizes, dtypes.kind_of(found)(fill_value), found)
    value = as_value(fill_value, "full")
    if dtype is not None:
        value = table.convert(value, dtypes.canonical(dtype))
    return structural.broadcast(value, sizes, ())


def full_like(x: Any, fill_value: Any, dtype: Any = None, shape: Any = None) -> Value:
    """Fill an array like another; a dtype or shape given here takes precedence."""
    model = as_value(x, "full_like")
    wanted = model.dtype if dtype is None else dtype
    return full(model.shape if shape is None else shape, fill_value, wanted)


def iota(dtype: Any, size: int) -> Value:
    """Give 0, 1, ... in a dtype."""
    return creation.iota(dtype, size)


def broadcasted_iota(dtype: Any, shape: Sequence[int], dimension: int) -> Value:
    """Give the index along one axis, at each place of a shape."""
    axis = canonical_axis(dimension, len(shape), "broadcasted_iota")
    return creation.broadcasted_iota(dtype, tuple(shape), axis)


def bitcast_convert_type(operand: Any, new_dtype: Any) -> Value:
    """Read the bits of an array as another dtype.

    A narrower one adds a last axis, a wider one joins it.
    """
    return creation.bitcast_convert_type(as_value(operand), new_dtype)


# -- shaping ---------------------------------------------------------------------------


def reshape(
    operand: Any, new_sizes: Sequence[int], dimensions: Sequence[int] | None = None
) -> Value:
    """Reshape, after permuting the axes to the order `dimensions` if given."""
    x = as_value(operand, "reshape")
    if dimensions is not None:
        x = structural.transpose(x, dimensions)
    return structural.reshape(x, new_sizes)


def broadcast(operand: Any, sizes: Sequence[int]) -> Value:
    """Repeat along new leading axes of the given lengths."""
    x = as_value(operand, "broadcast")
    shape = (*sizes, *x.shape)
    return structural.broadcast(x, shape, range(len(sizes), len(shape)))


def broadcast_in_dim(
    operand: Any, shape: Sequence[int], broadcast_dimensions: Sequence[int]
) -> Value:
    """Repeat to a shape; operand axis i becomes axis `broadcast_dimensions[i]`.

    Raises:
        ShapeError: the axes do not fit the shape.
    """
    x, axes = as_value(operand, "broadcast_in_dim"), tuple(broadcast_dimensions)
    fits = len(axes) == len(x.shape) and all(
        0 <= a < len(shape) and n in (1, shape[a]) for a, n in zip(axes, x.shape)
    )
    if not fits or list(axes) != sorted(set(axes)):
        raise shape_error(
            f"broadcast_in_dim was given an operand of type {x.aval}, shape "
            f"{tuple(shape)} and axes {axes}.",
            "Give for each operand axis, in ascending order, an axis of the shape that "
            "is as long, unless the operand's has length 1.",
        )
    return structural.broadcast(x, tuple(shape), axes)


def broadcast_to_rank(x: Any, rank: int) -> Value:
    """Add leading axes of length one until there are `rank`."""
    value = as_value(x, "broadcast_to_rank")
    return structural.expand_axes(value, range(rank - len(value.shape)))


def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int, ...]:
    """Give the shape that arrays of these shapes broadcast to."""
    return common_shape([tuple(s) for s in shapes], "broadcast_shapes")


def transpose(operand: Any, permutation: Sequence[int]) -> Value:
    """Permute the axes.

    Raises:
        ShapeError: `permutation` is none of the operand's axes.
    """
    x = as_value(operand, "transpose")
    if sorted(permutation) != list(range(len(x.shape))):
        raise shape_error(
            f"transpose was given permutation {tuple(permutation)} for an operand of "
            f"type {x.aval}.",
            "Name each axis once, without negative numbers.",
        )
    return structural.transpose(x, permutation)


def rev(operand: Any, dimensions: Sequence[int]) -> Value:
    """Reverse the order along some axes."""
    x = as_value(operand, "rev")
    return shaping.reverse(x, canonical_axes(dimensions, len(x.shape), "rev"))


def concatenate(operands: Sequence[Any], dimension: int) -> Value:
    """Join arrays of one dtype along an axis."""
    arrays = [as_value(x, "concatenate") for x in operands]
    if not arrays:
        raise shape_error("concatenate was given no arrays.", "Give at least one.")
    axis = canonical_axis(dimension, len(arrays[0].shape), "concatenate")
    return shaping.concatenate(arrays, axis)


def pad(
    operand: Any, padding_value: Any, padding_config: Sequence[tuple[int, int, int]]
) -> Value:
    """Pad with a value: (low, high, interior) for each axis; negative ones cut."""
    x = as_value(operand, "pad")
    value = padding_value
    if type(value) not in SCALARS:
        value = as_value(value, "pad")
    return shaping.pad(x, value, padding_config)


def slice(
    operand: Any,
    start_indices: Sequence[int],
    limit_indices: Sequence[int],
    strides: Sequence[int] | None = None,
) -> Value:
    """Cut out a box, with a start, a limit and a stride for each axis."""
    x = as_value(operand, "slice")
    return shaping.slice_(x, start_indices, limit_indices, strides)


def slice_in_dim(
    operand: Any,
    start_index: int | None,
    limit_index: int | None,
    stride: int = 1,
    axis: int = 0,
) -> Value:
    """Cut along one axis; negative places count from the end, None means all."""
    x = as_value(operand, "slice_in_dim")
    axis = canonical_axis(axis, len(x.shape), "slice_in_dim")
    n = x.shape[axis]
    start = 0 if start_index is None else int(start_index)
    limit = n if limit_index is None else int(limit_index)
    start, limit = (i + n if i < 0 else i for i in (start, limit))
    return shaping.slice_in_dim(x, start, limit, axis, stride)


def index_in_dim(
    operand: Any, index: int, axis: int = 0, keepdims: bool = True
) -> Value:
    """Take one place along an axis, known beforehand."""
    x = as_value(operand, "index_in_dim")
    axis = canonical_axis(axis, len(x.shape), "index_in_dim")
    place = canonical_axis(index, x.shape[axis], "index_in_dim")
    found = shaping.slice_in_dim(x, place, place + 1, axis)
    return found if keepdims else shaping.squeeze(found, (axis,))


def split(operand: Any, sizes: Sequence[int], axis: int = 0) -> list[Value]:
    """Cut an axis into pieces of the given lengths."""
    x = as_value(operand, "split")
    return shaping.split(x, sizes, canonical_axis(axis, len(x.shape), "split"))


def squeeze(array: Any, dimensions: Sequence[int]) -> Value:
    """Drop axes of length one."""
    x = as_value(array, "squeeze")
    return shaping.squeeze(x, canonical_axes(dimensions, len(x.shape), "squeeze"))


def expand_dims(array: Any, dimensions: Sequence[int]) -> Value:
    """Insert axes of length one at the given places of the result."""
    x = as_value(array, "expand_dims")
    rank = len(x.shape) + len(dimensions)
    return shaping.expand_dims(x, canonical_axes(dimensions, rank, "expand_dims"))


def collapse(
    operand: Any, start_dimension: int, stop_dimension: int | None = None
) -> Value:
    """Make one axis of those from start up to stop."""
    x = as_value(operand, "collapse")
    rank = len(x.shape)
    start, stop, _ = builtins.slice(start_dimension, stop_dimension).indices(rank)
    merged = math.prod(x.shape[start:stop])
    return structural.reshape(x, (*x.shape[:start], merged, *x.shape[stop:]))


# -- sorting ---------------------------------------------------------------------------


def sort(
    operand: Any, dimension: int = -1, is_stable: bool = True, num_keys: int = 1
) -> Any:
    """Sort an array, or several together by the first of them, along an axis.

    Args:
        operand: an array, or a tuple or list of arrays of one shape.
        dimension: the axis along which elements move.
        is_stable: whether equal elements keep their order.
        num_keys: how many arrays decide the order, the first before the next.

    Returns:
        An array, or a tuple of arrays.
    """
    several = isinstance(operand, (tuple, list))
    arrays = [as_value(x, "sort") for x in (operand if several else [operand])]
    axis = canonical_axis(dimension, len(arrays[0].shape), "sort")
    found = sorting.sort(arrays, axis, num_keys, is_stable)
    return tuple(found) if several else found[0]


def sort_key_val(
    keys: Any, values: Any, dimension: int = -1, is_stable: bool = True
) -> tuple[Value, Value]:
    """Sort keys along an axis, and values in the same order."""
    first, second = sort((keys, values), dimension, is_stable)
    return first, second


def top_k(operand: Any, k: int, *, axis: int = -1) -> tuple[Value, Value]:
    """Give the `k` greatest elements along an axis, and their places."""
    x = as_value(operand, "top_k")
    last = len(x.shape) - 1
    axis = canonical_axis(axis, len(x.shape), "top_k") if x.shape else last
    if axis == last:
        values, places = sorting.top_k(x, k)
        return values, places
    values, places = sorting.top_k(structural.move_axis(x, axis, last), k)
    return (
        structural.move_axis(values, last, axis),
        structural.move_axis(places, last, axis),
    )


# -- products --------------------------------------------------------------------------


class Precision(enum.Enum):
    """How accurately accelerators multiply floats."""

    DEFAULT = 0
    HIGH = 1
    HIGHEST = 2


def dot_general(
    lhs: Any,
    rhs: Any,
    dimension_numbers: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Value:
    """Contract pairs of axes, for each index of pairs of batch axes.

    Args:
        lhs: an array.
        rhs: an array of the same dtype.
        dimension_numbers: ((contracting axes of lhs, of rhs), (batch axes of both)).
        precision: "default", "high" or "highest"; matters on accelerators only.
        preferred_element_type: the dtype of products and result.

    Returns:
        An array with the batch axes, then the other axes of lhs, then those of rhs.
    """
    x, y = (as_value(z, "dot_general") for z in (lhs, rhs))
    return contraction.dot_general(
        x, y, dimension_numbers, precision, preferred_element_type
    )


def dot(
    lhs: Any, rhs: Any, precision: Any = None, preferred_element_type: Any = None
) -> Value:
    """Multiply vectors and matrices."""
    x, y = (as_value(z, "dot") for z in (lhs, rhs))
    return contraction.dot(x, y, precision, preferred_element_type)


def batch_matmul(lhs: Any, rhs: Any, precision: Any = None) -> Value:
    """Multiply stacks of matrices with equal leading axes."""
    x = as_value(lhs, "batch_matmul")
    rank = len(x.shape)
    stack = tuple(range(rank - 2))
    numbers = (((rank - 1,), (rank - 2,)), (stack, stack))
    return dot_general(x, rhs, numbers, precision)
