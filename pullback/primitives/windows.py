"""Reductions over moving windows, as pooling does."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from pullback import dtypes
from pullback.core.aval import Aval, Shape
from pullback.core.primitive import Primitive
from pullback.core.trace import Value
from pullback.core.zero import Zero, is_zero
from pullback.dtypes import Dtype
from pullback.primitives.convolution import Pairs, dilated, spread_out, window_view
from pullback.primitives.creation import broadcasted_iota
from pullback.primitives.indexing import PROMISE, GatherDimensionNumbers, gather
from pullback.primitives.recipes import Linear, shape_error
from pullback.primitives.reduction import halves, highest, lowest
from pullback.primitives.shaping import concatenate, pad, slice_, slice_in_dim
from pullback.primitives.structural import (
    broadcast,
    expand_axes,
    frozen,
    reduce_sum,
    reshape,
    transpose,
)
from pullback.primitives.table import add, convert, div, eq, mul, select


@frozen
class ReduceWindow(Primitive):
    """A reduction of each window of an operand, one entry a parameter for each axis.

    The operand is spread out by `base_dilation`, then padded with what changes nothing;
    windows take each `window_dilation`-th element and stand `strides` apart.
    """

    window: Shape
    strides: Shape
    padding: Pairs
    base_dilation: Shape
    window_dilation: Shape

    ufunc: ClassVar[np.ufunc]
    hlo: ClassVar[str]

    def initial(self, dtype: Dtype) -> Any:
        """Give the value that changes nothing."""
        raise NotImplementedError

    def rows(self) -> Any:
        """Give the parameters axis by axis."""
        return zip(
            self.window,
            self.strides,
            self.padding,
            self.base_dilation,
            self.window_dilation,
        )

    def abstract(self, x: Aval) -> Aval:
        if any(len(p) != x.ndim for p in self.parameters().values()):
            raise shape_error(
                f"{self.name} was given a window {self.window} with strides "
                f"{self.strides} and padding {self.padding} for an operand {x}.",
                "Give an entry for each axis of the operand.",
            )
        shape = tuple(
            max(0, (dilated(n, p) + low + high - dilated(k, q)) // s + 1)
            for n, (k, s, (low, high), p, q) in zip(x.shape, self.rows())
        )
        return Aval(shape, x.dtype, x.weak)

    def edges(self) -> list[tuple[int, int, int]]:
        """Give the padding configuration that spreads the operand out."""
        return [
            (low, high, p - 1)
            for (low, high), p in zip(self.padding, self.base_dilation)
        ]

    def eager(self, x: Any) -> Any:
        out = self.abstract(Aval(np.shape(x), x.dtype))
        initial = self.initial(x.dtype)
        if 0 in out.shape or 0 in self.window:
            return np.full(out.shape, initial, x.dtype)
        x = spread_out(np.asarray(x), self.edges(), initial)
        view = window_view(
            x, self.window, self.strides, self.window_dilation, out.shape
        )
        axes = tuple(range(x.ndim, 2 * x.ndim))
        return self.ufunc.reduce(view, axis=axes, dtype=x.dtype)

    def lower(self, ctx: Any, x: Any) -> Any:
        initial = self.initial(x.aval.dtype)
        return emit_reduce_window(ctx, self, x, self.hlo, initial)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        (x,), (d,) = operands, dims

        def insert(values: Any, value: Any) -> Any:
            return (*values[:d], value, *values[d:])

        mapped = type(self)(
            insert(self.window, 1),
            insert(self.strides, 1),
            insert(self.padding, (0, 0)),
            insert(self.base_dilation, 1),
            insert(self.window_dilation, 1),
        )
        return mapped(x), d


def emit_reduce_window(
    ctx: Any, like: ReduceWindow, x: Any, hlo: str, initial: Any
) -> Any:
    """Emit a reduction of windows by any binary operation.

    Args:
        ctx: the emitter.
        like: a reduction with the same windows.
        x: the operand.
        hlo: the binary operation.
        initial: the value that changes nothing.
    """
    rank = len(like.window)
    attributes = (
        f"window_dimensions = {ctx.ints(like.window)}, "
        f"window_strides = {ctx.ints(like.strides)}, "
        f"base_dilations = {ctx.ints(like.base_dilation)}, "
        f"window_dilations = {ctx.ints(like.window_dilation)}, "
        f"padding = dense<{[list(p) for p in like.padding] if rank else ''}> : "
        f"tensor<{rank}x2xi64>"
    )
    scalar = Aval((), x.aval.dtype)
    start = ctx.constant(initial, scalar)
    region = ctx.region([scalar, scalar], lambda a, b: [ctx.emit(hlo, [a, b], scalar)])
    outs = [like.abstract(x.aval)]
    return ctx.emit_many(
        "stablehlo.reduce_window", [x, start], outs, attributes, [region]
    )[0]


@frozen
class ReduceWindowSum(Linear, ReduceWindow):
    """The sum of each window."""

    ufunc = np.add
    hlo = "stablehlo.add"

    def initial(self, dtype: Dtype) -> Any:
        return 0

    # As for a convolution with a kernel of ones.
    def transpose(self, ct: Any, x: Any) -> Any:
        padding = []
        for n, m, (k, s, (low, _), p, q) in zip(x.aval.shape, ct.shape, self.rows()):
            before = dilated(k, q) - 1 - low
            after = dilated(n, p) + dilated(k, q) - 1 - dilated(m, s) - before
            padding.append((before, after))
        back = ReduceWindowSum(
            self.window,
            self.base_dilation,
            tuple(padding),
            self.strides,
            self.window_dilation,
        )
        return (back(ct),)


class ReduceWindowExtremum(ReduceWindow):
    """The common derivative of the maximum and minimum of each window."""

    __slots__ = ()

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (x,), (t,) = primals, tangents
        ans = self(x)
        if is_zero(t) or 0 in ans.shape or 0 in self.window:
            return ans, Zero(like=ans)
        # The slope is shared equally among the elements that attain the extremum.
        outside = self.initial(x.dtype)
        if is_small(self):
            attained = [eq(v, ans) for v in window_elements(x, self, outside)]
            counts = [convert(a, x.dtype) for a in attained]
            parts = window_elements(t, self, 0)
            chosen = [select(a, v, 0.0) for a, v in zip(attained, parts)]
            slope, count = (functools.reduce(add, v) for v in (chosen, counts))
        else:
            inside = window_axes(x, self, outside)
            axes = tuple(range(1, len(inside.shape), 2))
            windows_of = range(0, len(inside.shape), 2)
            every = eq(inside, broadcast(ans, inside.shape, windows_of))
            slope = reduce_sum(select(every, window_axes(t, self, 0), 0.0), axes)
            count = reduce_sum(convert(every, x.dtype), axes)
        return ans, div(slope, count)


@frozen
class ReduceWindowMax(ReduceWindowExtremum):
    """The greatest element of each window."""

    ufunc = np.maximum
    hlo = "stablehlo.maximum"

    def initial(self, dtype: Dtype) -> Any:
        return lowest(dtype)


@frozen
class ReduceWindowMin(ReduceWindowExtremum):
    """The least element of each window."""

    ufunc = np.minimum
    hlo = "stablehlo.minimum"

    def initial(self, dtype: Dtype) -> Any:
        return highest(dtype)


#: Windows of up to so many elements are worked on element by element, one fused loop in
#: compiled code: the gradient of a maximum over 3 x 3 takes 1/3 of the time.
SMALL_WINDOW = 64


def is_small(reduction: ReduceWindow) -> bool:
    """Whether windows are small enough to be worked on element by element."""
    return math.prod(reduction.window) <= SMALL_WINDOW


def window_elements(x: Value, reduction: ReduceWindow, fill: Any) -> Iterator[Value]:
    """Give the first element of each window, the second of each, and so on.

    Args:
        x: the operand.
        reduction: whose windows; there is at least one.
        fill: what stands outside and between the operand's elements.
    """
    out = reduction.abstract(Aval(x.shape, x.dtype))
    x = pad(x, fill, reduction.edges())
    strides = reduction.strides
    reach = [(m - 1) * s + 1 for m, s in zip(out.shape, strides)]
    for place in itertools.product(*map(range, reduction.window)):
        starts = [i * q for i, q in zip(place, reduction.window_dilation)]
        limits = [i + n for i, n in zip(starts, reach)]
        yield slice_(x, starts, limits, strides)


def window_axes(x: Value, reduction: ReduceWindow, fill: Any) -> Value:
    """Give the elements of each window, two axes for each: of windows, and inside.

    Args:
        x: the operand.
        reduction: whose windows.
        fill: what stands outside and between the operand's elements.
    """
    out = reduction.abstract(Aval(x.shape, x.dtype))
    x = pad(x, fill, reduction.edges())
    axis = 0
    for m, (k, s, _, _, q) in zip(out.shape, reduction.rows()):
        x = windows_along(x, axis, (m, k), s, q)
        axis += 2
    return x


def windows(x: Value, reduction: ReduceWindow, fill: Any) -> Value:
    """Give the elements of each window along a new last axis, as `window_axes` does."""
    x = window_axes(x, reduction, fill)
    rank = len(x.shape)
    order = [*range(0, rank, 2), *range(1, rank, 2)]
    shape = (*x.shape[::2], math.prod(reduction.window))
    return reshape(transpose(x, order), shape)


def windows_along(
    x: Value, axis: int, shape: tuple[int, int], stride: int, dilation: int
) -> Value:
    """Replace one axis by two: of the windows, and of the elements inside."""
    m, k = shape
    if k == 1:
        last = (m - 1) * stride + 1 if m else 0
        return expand_axes(slice_in_dim(x, 0, last, axis, stride), (axis + 1,))
    if stride == k and dilation == 1:
        # They lie side by side.
        shape_now = (*x.shape[:axis], m, k, *x.shape[axis + 1 :])
        return reshape(slice_in_dim(x, 0, m * k, axis), shape_now)
    starts = mul(broadcasted_iota(dtypes.int32, shape, 0), stride)
    places = add(starts, mul(broadcasted_iota(dtypes.int32, shape, 1), dilation))
    rank = len(x.shape) + 1
    offsets = tuple([i for i in range(rank) if i not in (axis, axis + 1)])
    numbers = GatherDimensionNumbers(offsets, (axis,), (axis,))
    sizes = [1 if i == axis else n for i, n in enumerate(x.shape)]
    return gather(x, expand_axes(places, (2,)), numbers, sizes, PROMISE)


def fold_windows(
    f: Callable[[Value, Value], Value], x: Value, reduction: ReduceWindow, fill: Value
) -> Value:
    """Reduce windows by any associative function of two arrays.

    Args:
        f: an associative function that works elementwise.
        x: the operand.
        reduction: whose windows.
        fill: a scalar that every reduction begins with, and that stands outside and
            between the operand's elements.
    """
    shape = reduction.abstract(Aval(x.shape, x.dtype)).shape
    if 0 in shape or not is_small(reduction):
        return fold_last(f, windows(x, reduction, fill), fill)
    start = broadcast(fill, shape, ())
    return functools.reduce(f, window_elements(x, reduction, fill), start)


def fold_last(
    f: Callable[[Value, Value], Value], x: Value, initial: Value | None = None
) -> Value:
    """Reduce the last axis by any associative function of two arrays.

    Args:
        f: an associative function that works elementwise.
        x: an array.
        initial: what every reduction begins with; needed if the axis is empty.
    """
    axis = len(x.shape) - 1
    while (n := x.shape[axis]) > 1:
        a, b, rest = (slice_in_dim(x, i, j, axis) for i, j in halves(n))
        x = concatenate([f(a, b), rest], axis) if n % 2 else f(a, b)
    shape = x.shape[:-1]
    if n == 0:
        if initial is None:
            raise shape_error(
                "an empty axis was to be reduced without an initial value.",
                "Give an initial value.",
            )
        return broadcast(initial, shape, ())
    out = reshape(x, shape)
    return out if initial is None else f(broadcast(initial, shape, ()), out)


def reduce_window(
    kind: str,
    x: Value,
    window: Sequence[int],
    strides: Sequence[int],
    padding: Pairs,
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> Value:
    """Reduce each window of `x`.

    Args:
        kind: "sum", "max" or "min".
        x: an array.
        window: the lengths of a window.
        strides: the steps between windows.
        padding: (low, high) for each axis.
        base_dilation: the factors by which `x` is spread out.
        window_dilation: the factors by which windows are.
    """
    return window_operation(
        kind, window, strides, padding, base_dilation, window_dilation
    )(x)


def window_operation(
    kind: str,
    window: Sequence[int],
    strides: Sequence[int],
    padding: Pairs,
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> ReduceWindow:
    """Make the operation that reduces each window; parameters as `reduce_window`."""
    ones = (1,) * len(window)
    return WINDOW_KINDS[kind](
        tuple(window),
        tuple(strides),
        tuple((int(low), int(high)) for low, high in padding),
        ones if base_dilation is None else tuple(base_dilation),
        ones if window_dilation is None else tuple(window_dilation),
    )


WINDOW_KINDS: dict[str, type[ReduceWindow]] = {
    "sum": ReduceWindowSum,
    "max": ReduceWindowMax,
    "min": ReduceWindowMin,
}
