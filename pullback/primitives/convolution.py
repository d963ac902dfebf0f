"""Convolutions in any layout, with strides, dilation and groups.

The operation itself knows one layout: batch, features, space for the operand and the
result; output features, input features, space for the kernel. Other layouts are
transposed on the way in and out, which the compiler folds into the convolution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pullback import dtypes
from pullback.core.aval import Aval, Shape
from pullback.core.calling import as_value
from pullback.core.primitive import Primitive
from pullback.core.trace import Value
from pullback.core.zero import Unknown, Zero, is_zero
from pullback.dtypes import Dtype
from pullback.primitives.contraction import (
    canonical_precision,
    precision_text,
    product_dtype,
)
from pullback.primitives.host_convolution import emit_separate, is_separate
from pullback.primitives.recipes import check_same_dtype, shape_error
from pullback.primitives.shaping import Pad, reverse
from pullback.primitives.structural import (
    add_tangents,
    frozen,
    inverse_permutation,
    move_axis,
    reshape,
    transpose,
)
from pullback.primitives.table import convert

Pairs = tuple[tuple[int, int], ...]


class ConvDimensionNumbers(NamedTuple):
    """The layouts of a convolution.

    Args:
        lhs_spec: the operand's axes in the order (batch, features, space...).
        rhs_spec: the kernel's axes in the order (output features, input features,
            space...).
        out_spec: the result's axes in the order (batch, features, space...).
    """

    lhs_spec: tuple[int, ...]
    rhs_spec: tuple[int, ...]
    out_spec: tuple[int, ...]


def dilated(n: int, dilation: int) -> int:
    """Give the length once gaps are put between elements."""
    return 0 if n == 0 else 1 + dilation * (n - 1)


@frozen
class ConvGeneralDilated(Primitive):
    """Products of a kernel with each window of an operand, summed.

    Operands are (batch, features, space...) and (output features, input features,
    space...). Groups of features, or of batch elements, have kernels of their own.
    """

    strides: Shape
    padding: Pairs
    lhs_dilation: Shape
    rhs_dilation: Shape
    feature_groups: int = 1
    batch_groups: int = 1
    preferred: Dtype | None = None
    precision: tuple[str, str] = ("DEFAULT", "DEFAULT")

    linear = ((0,), (1,))

    def abstract(self, x: Aval, kernel: Aval) -> Aval:
        check_conv(self, x, kernel)
        space = tuple(
            max(
                0,
                (dilated(n, p) + low + high - dilated(k, q)) // stride + 1,
            )
            for n, k, stride, (low, high), p, q in zip(
                x.shape[2:],
                kernel.shape[2:],
                self.strides,
                self.padding,
                self.lhs_dilation,
                self.rhs_dilation,
            )
        )
        shape = (x.shape[0] // self.batch_groups, kernel.shape[0], *space)
        return Aval(shape, self.preferred or x.dtype, x.weak and kernel.weak)

    def eager(self, x: Any, kernel: Any) -> Any:
        out = self.abstract(Aval(x.shape, x.dtype), Aval(kernel.shape, kernel.dtype))
        work = product_dtype(x.dtype, out.dtype)
        x, kernel = x.astype(work, copy=False), kernel.astype(work, copy=False)
        found = convolve(x, kernel, self, out.shape)
        return found.astype(out.dtype, copy=False)

    def lower(self, ctx: Any, x: Any, kernel: Any) -> Any:
        out = self.abstract(x.aval, kernel.aval)
        groups = (self.feature_groups, self.batch_groups)
        steps = list(zip(self.strides, self.rhs_dilation))
        if is_separate(ctx.platform, x.aval, kernel.aval, out, steps, groups):
            gaps = [p - 1 for p in self.lhs_dilation]
            edges = [(*ends, gap) for ends, gap in zip(self.padding, gaps)]
            return emit_separate(ctx, x, kernel, out.shape[2:], edges, steps, groups)
        rank = len(self.strides)
        space = "".join(f", {i}" for i in range(rank))
        padding = (
            f"dense<{[list(p) for p in self.padding]}> : tensor<{rank}x2xi64>"
            if rank
            else "dense<> : tensor<0x2xi64>"
        )
        attributes = (
            f"window_strides = {ctx.ints(self.strides)}, "
            f"padding = {padding}, "
            f"lhs_dilation = {ctx.ints(self.lhs_dilation)}, "
            f"rhs_dilation = {ctx.ints(self.rhs_dilation)}, "
            f"dimension_numbers = #stablehlo.conv<[b, f{space}]x[o, i{space}]->"
            f"[b, f{space}]>, "
            f"feature_group_count = {self.feature_groups} : i64, "
            f"batch_group_count = {self.batch_groups} : i64, "
            f"precision_config = {precision_text(self.precision)}"
        )
        return ctx.emit("stablehlo.convolution", [x, kernel], out, attributes)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (x, kernel), (s, t) = primals, tangents
        ans = self(x, kernel)
        from_x = s if is_zero(s) else self(s, kernel)
        from_kernel = t if is_zero(t) else self(x, t)
        total = add_tangents(from_x, from_kernel)
        return ans, Zero(like=ans) if is_zero(total) else total

    def transpose(self, ct: Any, x: Any, kernel: Any) -> Any:
        if isinstance(x, Unknown):
            kernel = convert(kernel, ct.dtype) if kernel.dtype != ct.dtype else kernel
            out = self.cotangent_of_operand(ct, x.aval, kernel)
            return convert(
                out, x.aval.dtype
            ) if out.dtype != x.aval.dtype else out, None
        x = convert(x, ct.dtype) if x.dtype != ct.dtype else x
        out = self.cotangent_of_kernel(ct, x, kernel.aval)
        wanted = kernel.aval.dtype
        return None, convert(out, wanted) if out.dtype != wanted else out

    def cotangent_of_operand(self, ct: Value, x: Aval, kernel: Value) -> Value:
        """Convolve the cotangent with the turned kernel, its features exchanged."""
        groups = self.feature_groups * self.batch_groups
        o, i, *window = kernel.shape
        turned = reverse(kernel, range(2, kernel.aval.ndim))
        grouped = reshape(turned, (groups, o // groups, i, *window))
        # Each group maps its o/groups output features back to its i input features.
        flipped = reshape(move_axis(grouped, 2, 1), (groups * i, o // groups, *window))
        padding = []
        for n, k, m, (low, _), stride, p, q in zip(
            x.shape[2:],
            window,
            ct.shape[2:],
            self.padding,
            self.strides,
            self.lhs_dilation,
            self.rhs_dilation,
        ):
            reach = dilated(k, q)
            before = reach - 1 - low
            after = dilated(n, p) + reach - 1 - dilated(m, stride) - before
            padding.append((before, after))
        back = ConvGeneralDilated(
            self.lhs_dilation,
            tuple(padding),
            self.strides,
            self.rhs_dilation,
            groups,
            1,
            None,
            self.precision,
        )
        found = back(ct, flipped)
        if self.batch_groups == 1:
            return found
        # (n, groups * features) -> (groups * n, features)
        n, _, *space = found.shape
        split = reshape(found, (n, self.batch_groups, i, *space))
        return reshape(move_axis(split, 1, 0), x.shape)

    def cotangent_of_kernel(self, ct: Value, x: Value, kernel: Aval) -> Value:
        """Convolve the operand with the cotangent, summing over the batch."""
        padding = []
        for n, k, m, (low, _), stride, p, q in zip(
            x.shape[2:],
            kernel.shape[2:],
            ct.shape[2:],
            self.padding,
            self.strides,
            self.lhs_dilation,
            self.rhs_dilation,
        ):
            reach = dilated(m, stride)
            padding.append((low, dilated(k, q) + reach - 1 - dilated(n, p) - low))
        # Batch and features change places: features are the new batch, and a group of
        # the one kind becomes a group of the other.
        back = ConvGeneralDilated(
            self.rhs_dilation,
            tuple(padding),
            self.lhs_dilation,
            self.strides,
            self.batch_groups,
            self.feature_groups,
            None,
            self.precision,
        )
        found = back(move_axis(x, 1, 0), move_axis(ct, 1, 0))
        return move_axis(found, 1, 0)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        (x, kernel), (d, e) = operands, dims
        if e is None:
            return self.batch_operand(size, x, d, kernel)
        if d is None:
            return self.batch_kernel(size, x, kernel, e)
        return self.batch_both(size, x, d, kernel, e)

    def batch_operand(self, size: int, x: Value, d: int, kernel: Value) -> Any:
        """Let the new axis be a part of the batch, inside its groups."""
        groups = self.batch_groups
        x = move_axis(x, d, 0)
        _, n, *rest = x.shape
        x = reshape(x, (size, groups, n // groups, *rest))
        x = reshape(move_axis(x, 0, 1), (size * n, *rest))
        out = self(x, kernel)
        return reshape(out, (size, n // groups, *out.shape[1:])), 0

    def batch_kernel(self, size: int, x: Value, kernel: Value, e: int) -> Any:
        """Let the new axis be a part of the output features, inside their groups."""
        groups = self.feature_groups * self.batch_groups
        kernel = move_axis(kernel, e, 0)
        _, o, *rest = kernel.shape
        kernel = reshape(kernel, (size, groups, o // groups, *rest))
        kernel = reshape(move_axis(kernel, 0, 1), (size * o, *rest))
        out = self(x, kernel)
        n, _, *space = out.shape
        split = reshape(out, (n, groups, size, o // groups, *space))
        return reshape(move_axis(split, 2, 0), (size, n, o, *space)), 0

    def batch_both(self, size: int, x: Value, d: int, kernel: Value, e: int) -> Any:
        """Let each element of the new axis be a group, or several."""
        kernel = move_axis(kernel, e, 0)
        _, o, *rest = kernel.shape
        kernel = reshape(kernel, (size * o, *rest))
        by_batch = self.batch_groups > 1
        x = move_axis(x, d, 0 if by_batch else 1)
        shape = x.shape
        if by_batch:
            x = reshape(x, (size * shape[1], *shape[2:]))
        else:
            x = reshape(x, (shape[0], size * shape[2], *shape[3:]))
        grouped = ConvGeneralDilated(
            self.strides,
            self.padding,
            self.lhs_dilation,
            self.rhs_dilation,
            self.feature_groups * (1 if by_batch else size),
            self.batch_groups * (size if by_batch else 1),
            self.preferred,
            self.precision,
        )
        out = grouped(x, kernel)
        n, _, *space = out.shape
        return reshape(out, (n, size, o, *space)), 1


def check_conv(conv: ConvGeneralDilated, x: Aval, kernel: Aval) -> None:
    """Raise unless operand and kernel fit each other and the parameters."""
    check_same_dtype((x, kernel), "conv_general_dilated")
    rank = len(conv.strides)
    lengths = {rank, len(conv.padding), len(conv.lhs_dilation), len(conv.rhs_dilation)}
    fits = len(lengths) == 1 and x.ndim == kernel.ndim == rank + 2
    if not fits:
        raise shape_error(
            f"conv_general_dilated was given an operand of type {x}, a kernel of type "
            f"{kernel}, {len(conv.strides)} strides, {len(conv.padding)} paddings and "
            f"dilations {conv.lhs_dilation}, {conv.rhs_dilation}.",
            "Give operand and kernel two axes more than there are strides, paddings "
            "and dilations.",
        )
    f, b = conv.feature_groups, conv.batch_groups
    if (
        x.shape[1] != kernel.shape[1] * f
        or kernel.shape[0] % f
        or kernel.shape[0] % b
        or x.shape[0] % b
        or (f > 1 and b > 1)
    ):
        raise shape_error(
            f"conv_general_dilated was given an operand with {x.shape[0]} batch "
            f"elements and {x.shape[1]} features, and a kernel from {kernel.shape[1]} "
            f"to {kernel.shape[0]} features, with feature_group_count={f} and "
            f"batch_group_count={b}.",
            "Let the operand's features be the kernel's input features times the "
            "feature groups, and the output features a multiple of the groups.",
        )


def convolve(x: Any, kernel: Any, conv: ConvGeneralDilated, shape: Shape) -> Any:
    """Convolve with NumPy: windows as a strided view, then one matrix product."""
    b, f = conv.batch_groups, conv.feature_groups
    groups = b * f
    n, c = x.shape[:2]
    o, i, *window = kernel.shape
    m, space = shape[0], shape[2:]
    if 0 in shape or 0 in x.shape or 0 in kernel.shape:
        return np.zeros(shape, x.dtype)
    edges = [
        (low, high, p - 1) for (low, high), p in zip(conv.padding, conv.lhs_dilation)
    ]
    x = spread_out(x, [(0, 0, 0), (0, 0, 0), *edges], 0)
    windows = window_view(x, window, conv.strides, conv.rhs_dilation, space)
    # (b * m, f * i, space, window) -> (groups, m * space, i * window)
    windows = windows.reshape((b, n // b, f, c // f, *space, *window))
    rank = len(space)
    order = [0, 2, 1, *range(4, 4 + rank), 3, *range(4 + rank, 4 + 2 * rank)]
    places, taps = m * math.prod(space), i * math.prod(window)
    patches = windows.transpose(order).reshape((groups, places, taps))
    weights = kernel.reshape((groups, o // groups, taps))
    out = np.matmul(patches, weights.transpose((0, 2, 1)))
    out = out.reshape((groups, m, *space, o // groups))
    back = [1, 0, 2 + rank, *range(2, 2 + rank)]
    return out.transpose(back).reshape(shape)


def spread_out(x: Any, config: Sequence[tuple[int, int, int]], value: Any) -> Any:
    """Pad with NumPy, if there is anything to pad."""
    if not any(map(any, config)):
        return x
    return Pad(tuple(config)).eager(x, x.dtype.type(value))


def window_view(
    x: Any, window: Sequence[int], strides: Shape, dilation: Shape, space: Shape
) -> Any:
    """Give all windows over the trailing axes as a view: (..., space, window)."""
    rank = len(space)
    lead = x.ndim - rank
    steps = x.strides[lead:]
    return np.lib.stride_tricks.as_strided(
        x,
        (*x.shape[:lead], *space, *window),
        (
            *x.strides[:lead],
            *[s * k for s, k in zip(steps, strides)],
            *[s * k for s, k in zip(steps, dilation)],
        ),
        writeable=False,
    )


# -- what users call -------------------------------------------------------------------


def conv_general_dilated(
    x: Value,
    kernel: Value,
    window_strides: Sequence[int],
    padding: Any,
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Value:
    """Convolve an operand with a kernel, as convolutional networks do (no flipping).

    Args:
        x: the operand; by default of shape (batch, features, space...).
        kernel: by default of shape (output features, input features, space...).
        window_strides: the steps between windows, one an axis of space.
        padding: "SAME", "SAME_LOWER", "VALID", or (low, high) for each axis of space.
        lhs_dilation: the factor by which the operand is spread out with zeros.
        rhs_dilation: the factor by which the kernel is.
        dimension_numbers: None, `ConvDimensionNumbers`, or three strings such as
            ("NHWC", "HWIO", "NHWC").
        feature_group_count: into how many groups the features fall that do not mix.
        batch_group_count: into how many groups the batch falls.
        precision: as for `dot_general`.
        preferred_element_type: the dtype of products and result.

    Returns:
        An array; by default of shape (batch, output features, space...).
    """
    x, kernel = as_value(x, "conv"), as_value(kernel, "conv")
    numbers = conv_dimension_numbers(x.shape, kernel.shape, dimension_numbers)
    x = transpose(x, numbers.lhs_spec)
    kernel = transpose(kernel, numbers.rhs_spec)
    rank = len(window_strides)
    ones = (1,) * rank
    spread = ones if lhs_dilation is None else tuple(lhs_dilation)
    wide = ones if rhs_dilation is None else tuple(rhs_dilation)
    sizes = [dilated(n, p) for n, p in zip(x.shape[2:], spread)]
    reach = [dilated(k, q) for k, q in zip(kernel.shape[2:], wide)]
    pairs = padding_pairs(padding, sizes, reach, window_strides)
    preferred = preferred_element_type
    wanted = None if preferred is None else dtypes.canonical(preferred)
    conv = ConvGeneralDilated(
        tuple(window_strides),
        pairs,
        spread,
        wide,
        feature_group_count,
        batch_group_count,
        None if wanted == x.dtype else wanted,
        canonical_precision(precision),
    )
    out = conv(x, kernel)
    return transpose(out, inverse_permutation(numbers.out_spec))


def padding_pairs(
    padding: Any, sizes: Sequence[int], reach: Sequence[int], strides: Sequence[int]
) -> Pairs:
    """Give (low, high) padding for each axis of space.

    Raises:
        ShapeError: a name that is unknown, or a wrong number of pairs.
    """
    if not isinstance(padding, str):
        pairs = tuple((int(low), int(high)) for low, high in padding)
        if len(pairs) == len(sizes):
            return pairs
    elif padding.upper() == "VALID":
        return ((0, 0),) * len(sizes)
    elif padding.upper() in ("SAME", "SAME_LOWER"):
        lower = padding.upper() == "SAME_LOWER"
        totals = [
            max(0, (-(-n // s) - 1) * s + k - n)
            for n, k, s in zip(sizes, reach, strides)
        ]
        return tuple(
            ((t + 1) // 2, t // 2) if lower else (t // 2, (t + 1) // 2) for t in totals
        )
    raise shape_error(
        f"padding {padding!r} does not fit a window over {len(sizes)} axes.",
        "Give 'SAME', 'SAME_LOWER', 'VALID', or a (low, high) pair for each axis.",
    )


def conv_dimension_numbers(
    lhs_shape: Shape, rhs_shape: Shape, dimension_numbers: Any
) -> ConvDimensionNumbers:
    """Give the layouts of a convolution as permutations.

    Args:
        lhs_shape: the operand's shape.
        rhs_shape: the kernel's shape.
        dimension_numbers: None, `ConvDimensionNumbers`, or three strings.
    """
    if isinstance(dimension_numbers, ConvDimensionNumbers):
        return dimension_numbers
    rank = len(lhs_shape)
    if dimension_numbers is None:
        same = tuple(range(rank))
        return ConvDimensionNumbers(same, same, same)
    lhs, rhs, out = dimension_numbers
    if not len(lhs) == len(out) == rank or len(rhs) != len(rhs_shape):
        raise shape_error(
            f"dimension_numbers {dimension_numbers!r} do not fit operands of shapes "
            f"{lhs_shape} and {rhs_shape}.",
            "Give three strings with a letter for each axis, as in ('NHWC', 'HWIO', "
            "'NHWC').",
        )
    space = [c for c in rhs if c not in "OI"]
    return ConvDimensionNumbers(
        (lhs.index("N"), lhs.index("C"), *map(lhs.index, space)),
        (rhs.index("O"), rhs.index("I"), *map(rhs.index, space)),
        (out.index("N"), out.index("C"), *map(out.index, space)),
    )


def conv(
    x: Value,
    kernel: Value,
    window_strides: Sequence[int],
    padding: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Value:
    """Convolve in the default layout, without dilation or groups."""
    return conv_general_dilated(
        x,
        kernel,
        window_strides,
        padding,
        precision=precision,
        preferred_element_type=preferred_element_type,
    )


def conv_transpose(
    x: Value,
    kernel: Value,
    strides: Sequence[int],
    padding: Any,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    transpose_kernel: bool = False,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Value:
    """Convolve an operand spread out by the strides: "deconvolution".

    Args:
        x: the operand; by default (batch, space..., features), as in the ecosystem.
        kernel: by default (space..., input features, output features).
        strides: the factors by which the result is longer than the operand.
        padding: "SAME", "VALID", or (low, high) for each axis of space.
        rhs_dilation: the factor by which the kernel is spread out.
        dimension_numbers: as for `conv_general_dilated`.
        transpose_kernel: turn the kernel around and exchange its features, which makes
            this the transpose of a convolution with the same kernel.
        precision: as for `dot_general`.
        preferred_element_type: the dtype of products and result.
    """
    x, kernel = as_value(x, "conv_transpose"), as_value(kernel, "conv_transpose")
    rank = len(x.shape) - 2
    if dimension_numbers is None:
        space = "HWD"[:rank] if rank <= 3 else "".join(map(chr, range(97, 97 + rank)))
        dimension_numbers = (f"N{space}C", f"{space}IO", f"N{space}C")
    numbers = conv_dimension_numbers(x.shape, kernel.shape, dimension_numbers)
    wide = (1,) * rank if rhs_dilation is None else tuple(rhs_dilation)
    reach = [dilated(kernel.shape[a], q) for a, q in zip(numbers.rhs_spec[2:], wide)]
    if isinstance(padding, str):
        padding = [transposed_padding(k, s, padding) for k, s in zip(reach, strides)]
    if transpose_kernel:
        kernel = reverse(kernel, numbers.rhs_spec[2:])
        o, i, *rest = numbers.rhs_spec
        numbers = numbers._replace(rhs_spec=(i, o, *rest))
    return conv_general_dilated(
        x,
        kernel,
        (1,) * rank,
        padding,
        strides,
        wide,
        numbers,
        precision=precision,
        preferred_element_type=preferred_element_type,
    )


def transposed_padding(reach: int, stride: int, padding: str) -> tuple[int, int]:
    """Give the padding that makes a transposed convolution's length the usual one."""
    if padding.upper() == "SAME":
        total = reach + stride - 2
        low = reach - 1 if stride > reach - 1 else -(-total // 2)
    elif padding.upper() == "VALID":
        total = reach + stride - 2 + max(reach - stride, 0)
        low = reach - 1
    else:
        raise shape_error(
            f"conv_transpose was given padding {padding!r}.",
            "Give 'SAME', 'VALID', or a (low, high) pair for each axis.",
        )
    return low, total - low
