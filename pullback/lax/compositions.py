"""Operations that are made of others, and what is known of shapes beforehand."""

from __future__ import annotations

import enum
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

from pullback import dtypes, tree
from pullback.core.aval import Aval
from pullback.core.calling import as_value
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError, DtypeError, ShapeError
from pullback.lax.arrays import top_k
from pullback.numpy import contraction, creation, diagonals, shaping
from pullback.primitives import (
    barrier,
    convolution,
    fourier,
    incomplete,
    table,
    windows,
)
from pullback.primitives.elementwise import broadcast_shapes
from pullback.primitives.structural import broadcast_to
from pullback.transforms.stage import eval_shape


class FftType(enum.Enum):
    """The kinds of Fourier transforms."""

    FFT = "FFT"
    IFFT = "IFFT"
    RFFT = "RFFT"
    IRFFT = "IRFFT"


def fft(x: Any, fft_type: Any, fft_lengths: Sequence[int]) -> Value:
    """Transform the last axes, of these lengths; `fft_type` may be a name."""
    kind = fft_type.value if isinstance(fft_type, FftType) else str(fft_type)
    return fourier.fft(as_value(x, "fft"), kind, tuple(fft_lengths))


def optimization_barrier(operand: Any, /) -> Any:
    """Give a tree of arrays; compiled programs have all of them before they use one."""
    leaves, treedef = tree.flatten(operand)
    values = [as_value(x, "optimization_barrier") for x in leaves]
    return treedef.unflatten(barrier.optimization_barrier(values) if values else [])


def dtype(x: Any) -> dtypes.Dtype:
    """Give the dtype that an array or a number has as an operand."""
    found: dtypes.Dtype = as_value(x, "dtype").dtype
    return found


def empty(shape: Any, dtype: Any) -> Value:
    """Fill an array with zeros: there is no uninitialised memory."""
    return creation.empty(shape, dtype)


def broadcast_like(arr: Any, like_arr: Any) -> Value:
    """Repeat an array to the shape that it and another broadcast to."""
    x, other = as_value(arr, "broadcast_like"), as_value(like_arr, "broadcast_like")
    return broadcast_to(x, broadcast_shapes([x.shape, other.shape], "broadcast_like"))


def stack(operands: Sequence[Any], axis: int = 0) -> Value:
    """Join arrays of one shape and dtype along a new axis."""
    values = [as_value(x, "stack") for x in operands]
    if len({x.dtype for x in values}) > 1:
        raise DtypeError(
            f"stack was given operands of types "
            f"{', '.join(str(x.aval) for x in values)}.",
            where=called_at(),
            mend="Convert them to one dtype first.",
        )
    return shaping.stack(values, axis)


def unstack(x: Any, axis: int = 0) -> tuple[Value, ...]:
    """Take an array apart along an axis, which goes."""
    return tuple(shaping.unstack(as_value(x, "unstack"), axis=axis))


def tile(operand: Any, reps: Sequence[int]) -> Value:
    """Repeat an array so often along each axis."""
    x = as_value(operand, "tile")
    if len(reps) != len(x.shape):
        raise ShapeError(
            f"tile was given an operand of type {x.aval} and reps {tuple(reps)}.",
            where=called_at(),
            mend="Give a number for each axis.",
        )
    return shaping.tile(x, tuple(reps))


def mulhi(x: Any, y: Any, /) -> Value:
    """Give the upper half of the bits of products of integers of one dtype."""
    x, y = as_value(x, "mulhi"), as_value(y, "mulhi")
    if x.dtype != y.dtype or not dtypes.is_integer(x.dtype):
        raise DtypeError(
            f"mulhi was given operands of types {x.aval} and {y.aval}.",
            where=called_at(),
            mend="Convert them to one integer dtype.",
        )
    bits = 8 * x.dtype.itemsize
    signed = x.dtype.kind == "i"
    if bits < 64:
        wide = dtypes.int64 if signed else dtypes.uint64
        product = table.mul(table.convert(x, wide), table.convert(y, wide))
        shift = table.shift_right_arithmetic if signed else table.shift_right_logical
        return table.convert(shift(product, bits), x.dtype)
    high = _upper_half(*(table.convert(v, dtypes.uint64) for v in (x, y)))
    if not signed:
        return high
    # Read as unsigned, a negative number is 2^64 more than it is.
    high = table.convert(high, dtypes.int64)
    for one, other in ((x, y), (y, x)):
        high = table.sub(high, table.select(table.lt(one, 0), other, 0))
    return high


def _upper_half(x: Value, y: Value) -> Value:
    """Give the upper 64 bits of products of unsigned integers, by halves."""

    def high(v: Value) -> Value:
        return table.shift_right_logical(v, 32)

    def low(v: Value) -> Value:
        return table.and_(v, 0xFFFFFFFF)

    first = table.mul(low(x), low(y))
    middle = table.add(table.mul(high(x), low(y)), high(first))
    other = table.add(table.mul(low(x), high(y)), low(middle))
    top = table.mul(high(x), high(y))
    return table.add(table.add(top, high(middle)), high(other))


def random_gamma_grad(a: Any, x: Any) -> Value:
    """Give the derivative of gamma numbers `x` in their parameter `a`."""
    a, x = as_value(a, "random_gamma_grad"), as_value(x, "random_gamma_grad")
    slope = table.div(incomplete.igamma_grad_a(a, x), incomplete.gamma_density(a, x))
    return table.neg(slope)


# -- greatest elements -----------------------------------------------------------------


def approx_max_k(
    operand: Any,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
) -> tuple[Value, Value]:
    """Give the k greatest elements along an axis, and their places.

    All of them are found, whatever the other parameters allow.
    """
    return _greatest(operand, k, reduction_dimension, "approx_max_k")


def approx_min_k(
    operand: Any,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
) -> tuple[Value, Value]:
    """Give the k least elements along an axis, and their places.

    All of them are found, whatever the other parameters allow.
    """
    x = table.neg(as_value(operand, "approx_min_k"))
    values, places = _greatest(x, k, reduction_dimension, "approx_min_k")
    return table.neg(values), places


def _greatest(operand: Any, k: int, axis: int, who: str) -> tuple[Value, Value]:
    x = as_value(operand, who)
    if not dtypes.is_float(x.dtype):
        raise DtypeError(
            f"{who} takes floats; got {x.aval}.",
            where=called_at(),
            mend="Use top_k, or convert it.",
        )
    return top_k(x, k, axis=axis)


# -- products --------------------------------------------------------------------------


def ragged_dot(
    lhs: Any,
    rhs: Any,
    group_sizes: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
    group_offset: None = None,
) -> Value:
    """Multiply groups of rows by a matrix each.

    Args:
        lhs: rows [m, k], those of a group side by side.
        rhs: matrices [g, k, n].
        group_sizes: integers [g], how many rows each group has.
        precision: as for `dot_general`.
        preferred_element_type: the dtype of products and result.
        group_offset: must be None.

    Returns:
        An array [m, n]; rows after the last group are 0. The work is that of all rows
        times all matrices.
    """
    x, y, sizes = (as_value(v, "ragged_dot") for v in (lhs, rhs, group_sizes))
    fits = (
        (len(x.shape), len(y.shape), len(sizes.shape)) == (2, 3, 1)
        and x.shape[1] == y.shape[1]
        and sizes.shape[0] == y.shape[0]
        and group_offset is None
    )
    if not fits:
        raise ShapeError(
            f"ragged_dot was given {x.aval}, {y.aval} and group sizes {sizes.aval}.",
            where=called_at(),
            mend="Give [m, k], [g, k, n] and [g], and no group_offset.",
        )
    ends = sizes.cumsum()[:, None]
    row = creation.arange(x.shape[0], dtype=ends.dtype)[None, :]
    member = table.and_(table.lt(row, ends), table.ge(row, ends - sizes[:, None]))
    spread = table.select(member[..., None], x[None], 0)
    options = {"precision": precision, "preferred_element_type": preferred_element_type}
    return contraction.einsum("gmk,gkn->mn", spread, y, **options)


# -- convolutions ----------------------------------------------------------------------


def conv_with_general_padding(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: Any,
    lhs_dilation: Sequence[int] | None,
    rhs_dilation: Sequence[int] | None,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Value:
    """Convolve in the default layout, with dilations."""
    return convolution.conv_general_dilated(
        *(lhs, rhs, window_strides, padding, lhs_dilation, rhs_dilation),
        precision=precision,
        preferred_element_type=preferred_element_type,
    )


def conv_general_dilated_patches(
    lhs: Any,
    filter_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: Any,
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Value:
    """Give what each window of a convolution sees, as features.

    Args:
        lhs: as for `conv_general_dilated`, and so are the others.
        filter_shape: the lengths of a window.

    Returns:
        An array whose features are, for each feature of `lhs`, the places of a window.
    """
    x = as_value(lhs, "conv_general_dilated_patches")
    space = tuple(filter_shape)
    numbers = convolution.conv_dimension_numbers(
        x.shape, (1, 1, *space), dimension_numbers
    )
    features = x.shape[numbers.lhs_spec[1]]
    places = diagonals.eye(math.prod(space), dtype=x.dtype)
    kernel = shaping.tile(places, (features, 1)).reshape((-1, 1, *space))
    kernel = shaping.moveaxis(kernel, tuple(range(len(x.shape))), numbers.rhs_spec)
    return convolution.conv_general_dilated(
        *(x, kernel, window_strides, padding, lhs_dilation, rhs_dilation, numbers),
        feature_group_count=features,
        precision=precision,
        preferred_element_type=preferred_element_type,
    )


def padtype_to_pads(
    in_shape: Sequence[int],
    window_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: Any,
) -> list[tuple[int, int]]:
    """Give the (low, high) padding that "SAME", "SAME_LOWER" or "VALID" stands for."""
    name = getattr(padding, "name", padding)
    sizes, reach = tuple(in_shape), tuple(window_shape)
    return list(convolution.padding_pairs(name, sizes, reach, tuple(window_strides)))


def _shape_of(f: Callable[..., Value], *shapes: Sequence[int]) -> tuple[int, ...]:
    """Give the shape of a result, uncomputed."""
    stand_ins = [Aval(tuple(s), dtypes.float32) for s in shapes]
    return tuple(eval_shape(f, *stand_ins).shape)


def conv_shape_tuple(
    lhs_shape: Sequence[int],
    rhs_shape: Sequence[int],
    strides: Sequence[int],
    pads: Any,
    batch_group_count: int = 1,
) -> tuple[int, ...]:
    """Give the shape of a convolution in the default layout."""

    def conv(x: Any, kernel: Any) -> Value:
        return convolution.conv_general_dilated(
            x, kernel, strides, pads, batch_group_count=batch_group_count
        )

    return _shape_of(conv, lhs_shape, rhs_shape)


def conv_general_shape_tuple(
    lhs_shape: Sequence[int],
    rhs_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: Any,
    dimension_numbers: Any,
) -> tuple[int, ...]:
    """Give the shape of a convolution in any layout."""

    def conv(x: Any, kernel: Any) -> Value:
        return convolution.conv_general_dilated(
            x, kernel, window_strides, padding, dimension_numbers=dimension_numbers
        )

    return _shape_of(conv, lhs_shape, rhs_shape)


def conv_transpose_shape_tuple(
    lhs_shape: Sequence[int],
    rhs_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: Any,
    dimension_numbers: Any,
) -> tuple[int, ...]:
    """Give the shape of a transposed convolution."""

    def conv(x: Any, kernel: Any) -> Value:
        return convolution.conv_transpose(
            x, kernel, window_strides, padding, dimension_numbers=dimension_numbers
        )

    return _shape_of(conv, lhs_shape, rhs_shape)


def conv_general_permutations(dimension_numbers: Any) -> tuple[Any, Any, Any]:
    """Give layouts, as three strings, as permutations of axes."""
    rank = len(dimension_numbers[0])
    numbers = convolution.conv_dimension_numbers(
        (1,) * rank, (1,) * rank, dimension_numbers
    )
    return numbers.lhs_spec, numbers.rhs_spec, numbers.out_spec


def reduce_window_shape_tuple(
    operand_shape: Sequence[int],
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    padding: Any,
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> tuple[int, ...]:
    """Give the shape of reductions of windows."""
    reduction = windows.window_operation(
        *("sum", window_dimensions, window_strides, padding),
        *(base_dilation, window_dilation),
    )
    found: Aval = reduction.abstract(Aval(tuple(operand_shape), dtypes.float32))
    return found.shape


# -- platforms -------------------------------------------------------------------------


def platform_dependent(
    *args: Any, default: Callable[..., Any] | None = None, **per_platform: Any
) -> Any:
    """Call the function given for the platform that programs run on.

    Args:
        args: what it is called with.
        default: the function for all other platforms.
        per_platform: functions by platform: `cpu=`, `cuda=`.

    Raises:
        ArgumentError: there is none.
    """
    platform = os.environ.get("PULLBACK_PLATFORM", "cpu")
    chosen = per_platform.get(platform, default)
    if chosen is None:
        raise ArgumentError(
            f"platform_dependent was given functions for "
            f"{', '.join(per_platform) or 'no platform'}; this is {platform}.",
            where=called_at(),
            mend=f"Give {platform}= or default=.",
        )
    return chosen(*args)
