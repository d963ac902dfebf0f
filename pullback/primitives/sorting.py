"""Sorting, ranking, and the greatest few."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.aval import Aval
from pullback.core.primitive import Primitive
from pullback.core.trace import Value
from pullback.core.zero import Zero, is_zero
from pullback.dtypes import Dtype
from pullback.primitives.callbacks import emit_callback
from pullback.primitives.creation import Iota, broadcasted_iota
from pullback.primitives.host_reduce import greatest_of_rows
from pullback.primitives.indexing import PROMISE, take_along_axis
from pullback.primitives.order import ordered_bits, single_of_bits
from pullback.primitives.recipes import batch_to_front, lower_as, shape_error
from pullback.primitives.shaping import concatenate, slice_in_dim
from pullback.primitives.structural import broadcast, frozen, reshape
from pullback.primitives.table import add, compare, convert, mul, or_, shift_left

#: From this many elements on, compiled programs on the host call NumPy back to sort: it
#: uses vector instructions, and is 14 times faster than the compiler's own code at 1e6
#: float32, 32 times at 1e6 float64. At 3,000 elements both take as long; to order rows
#: of fewer than `SHORT` elements takes it longer.
LARGE, SHORT = 4096, 64
#: The blocks that a vector is searched by have a multiple of so many elements.
BLOCK = 64


@frozen
class Sort(Primitive):
    """Arrays sorted together along an axis, by the first `keys` of them.

    The order is ascending; nan comes last; -0 and 0 are equal; complex numbers are
    ordered by real, then by imaginary part.
    """

    axis: int
    keys: int = 1
    stable: bool = True

    multiple = True

    def abstract(self, *avals: Aval) -> list[Aval]:
        if any(a.shape != avals[0].shape for a in avals):
            raise shape_error(
                f"sort was given operands of different shapes: "
                f"{', '.join(map(str, avals))}.",
                "Broadcast them to one shape first.",
            )
        return [Aval(a.shape, a.dtype) for a in avals]

    def weak_result(self, all_weak: bool) -> bool:
        return False

    def eager(self, *arrays: Any) -> list[Any]:
        if len(arrays) == 1:
            return [sort_values(arrays[0], self.axis, self.stable)]
        order = sort_order(arrays[: self.keys], self.axis, self.stable)
        return [np.take_along_axis(x, order, self.axis) for x in arrays]

    def lower(self, ctx: Any, *operands: Any) -> list[Any]:
        key, n = operands[0].aval, operands[0].aval.shape[self.axis]
        outs = [Aval(x.aval.shape, x.aval.dtype) for x in operands]
        wide = len(operands) == 1 or n >= SHORT
        if ctx.platform == "cpu" and wide and math.prod(key.shape) >= LARGE:
            return emit_callback(ctx, self.eager, operands, outs, False)
        small = key.dtype.itemsize <= 4 and n < 2**31
        if ctx.platform == "cpu" and self.keys == 1 and small:
            out: list[Any] = lower_as(ctx, self.packed, *operands)
            return out
        scalars = [Aval((), x.aval.dtype) for x in operands for _ in range(2)]
        region = ctx.region(scalars, lambda *pairs: [self.before(ctx, pairs)])
        attributes = (
            f"dimension = {self.axis} : i64, is_stable = {str(self.stable).lower()}"
        )
        found: list[Any] = ctx.emit_many(
            "stablehlo.sort", operands, outs, attributes, [region]
        )
        return found

    def packed(self, *arrays: Value) -> list[Value]:
        """Sort keys joined with their places to 64-bit integers, then pick.

        The compiler sorts plain integers four times faster on the host than anything
        that needs a comparison of its own, or carries something along.
        """
        axis, wide = self.axis, dtypes.uint64
        places = Iota(wide, arrays[0].shape, axis)()
        keys = shift_left(convert(ordered_bits(arrays[0]), wide), 32)
        (joined,) = PlainSort(axis)(or_(keys, places))
        order = convert(convert(joined, dtypes.uint32), dtypes.int32)
        return [take_along_axis(x, order, axis, PROMISE) for x in arrays]

    def before(self, ctx: Any, pairs: Sequence[Any]) -> Any:
        """Emit whether one tuple of elements comes before another."""
        bit = Aval((), dtypes.bool_)
        columns: list[tuple[Any, Any]] = []
        for x, y in zip(pairs[: 2 * self.keys : 2], pairs[1 : 2 * self.keys : 2]):
            columns += zip(sort_keys(ctx, x), sort_keys(ctx, y))
        found: Any = None
        for x, y in reversed(columns):
            less = compare_totally(ctx, "LT", x, y)
            if found is not None:
                tie = compare_totally(ctx, "EQ", x, y)
                tie = ctx.emit("stablehlo.and", [tie, found], bit)
                less = ctx.emit("stablehlo.or", [less, tie], bit)
            found = less
        return found

    def jvp(self, primals: Any, tangents: Any) -> Any:
        if all(map(is_zero, tangents)):
            outs = self(*primals)
            return outs, [Zero(like=y) for y in outs]
        shape = primals[0].shape
        index = dtypes.canonical("int64")
        places = broadcasted_iota(index, shape, self.axis)
        *outs, order = self(*primals, places)
        dots = [
            Zero(like=y)
            if is_zero(t)
            else take_along_axis(t, order, self.axis, PROMISE)
            for y, t in zip(outs, tangents)
        ]
        return outs, dots

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        arrays = batch_to_front(size, operands, dims)
        return Sort(self.axis + 1, self.keys, self.stable)(*arrays), [0] * len(arrays)


@frozen
class PlainSort(Primitive):
    """Integers sorted by the compiler's own comparison; for lowerings only."""

    axis: int

    multiple = True

    def lower(self, ctx: Any, x: Any) -> list[Any]:
        scalar = Aval((), x.aval.dtype)
        bit = Aval((), dtypes.bool_)
        region = ctx.region(
            [scalar, scalar], lambda a, b: [compare("LT")(ctx, bit, a, b)]
        )
        attributes = f"dimension = {self.axis} : i64, is_stable = false"
        out: list[Any] = ctx.emit_many(
            "stablehlo.sort", [x], [x.aval], attributes, [region]
        )
        return out


def sort_keys(ctx: Any, x: Any) -> list[Any]:
    """Emit what an element is compared by: -0 as 0, every nan the same, two parts."""
    dtype = x.aval.dtype
    if dtypes.is_complex(dtype):
        part = Aval((), dtypes.real_dtype(dtype))
        parts = [ctx.emit(f"stablehlo.{p}", [x], part) for p in ("real", "imag")]
        return [key for p in parts for key in sort_keys(ctx, p)]
    if not dtypes.is_float(dtype):
        return [x]
    bit = Aval((), dtypes.bool_)
    zero = ctx.constant(0, x.aval)
    is_null = compare("EQ")(ctx, bit, x, zero)
    x = ctx.emit("stablehlo.select", [is_null, zero, x], x.aval)
    return [positive_nan(ctx, x)]


def positive_nan(ctx: Any, x: Any) -> Any:
    """Emit `x` with the same nan for every nan."""
    is_nan = compare("NE")(ctx, Aval(x.aval.shape, dtypes.bool_), x, x)
    nan = ctx.constant(np.nan, x.aval)
    return ctx.emit("stablehlo.select", [is_nan, nan, x], x.aval)


def compare_totally(ctx: Any, direction: str, x: Any, y: Any) -> Any:
    """Emit a comparison in which nan equals itself and is greater than all."""
    bit = Aval((), dtypes.bool_)
    if not dtypes.is_float(x.aval.dtype):
        return compare(direction)(ctx, bit, x, y)
    attributes = (
        f"comparison_direction = #stablehlo<comparison_direction {direction}>, "
        "compare_type = #stablehlo<comparison_type TOTALORDER>"
    )
    return ctx.emit("stablehlo.compare", [x, y], bit, attributes)


def comparable(x: Any) -> Any:
    """Give what NumPy sorts in this order: it does not know nan in narrow floats."""
    narrow = dtypes.is_float(x.dtype) and x.dtype.kind != "f"
    return x.astype(np.float32) if narrow else x


def sort_values(x: Any, axis: int, stable: bool) -> Any:
    """Sort one array.

    NumPy's unstable sort is many times faster, and differs for one array only where
    zeros of both signs meet.
    """
    wide = comparable(x)
    if stable and negative_zeros(wide):
        return np.sort(wide, axis, kind="stable").astype(x.dtype)
    return np.sort(wide, axis).astype(x.dtype, copy=False)


def negative_zeros(x: Any) -> bool:
    """Whether zeros of both signs may have to be told apart."""
    if x.dtype.kind == "c":
        return negative_zeros(x.real) or negative_zeros(x.imag)
    return x.dtype.kind == "f" and bool(np.any((x == 0) & np.signbit(x)))


def sort_order(keys: Sequence[Any], axis: int, stable: bool) -> Any:
    """Give the order that sorts by the first key, then by the next, and so on."""
    if len(keys) == 1:
        key = comparable(keys[0])
        if stable and key.size > 1000 and key.dtype in (np.float32, np.int32):
            return packed_order(key, axis)
        if stable and key.size > 1000 and key.dtype.kind in "iuf":
            return order_by_runs(key, axis)
        return np.argsort(key, axis, kind="stable" if stable else None)
    return np.lexsort([comparable(k) for k in reversed(keys)], axis)


def packed_order(x: Any, axis: int) -> Any:
    """Give the stable order by sorting keys and places as one integer, 5 times faster.

    NumPy sorts integers with vector instructions, but is slow where it keeps an order.
    """
    bits = x.view(np.int32)
    if x.dtype == np.float32:
        bits = np.where(x == 0, np.float32(0), x).view(np.int32)
        # Negative numbers have the opposite order: all bits but the sign turned over.
        bits = np.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
        bits = np.where(np.isnan(x), np.int32(0x7FFFFFFF), bits)
    along = [1] * x.ndim
    along[axis] = x.shape[axis]
    places = np.arange(x.shape[axis], dtype=np.int64).reshape(along)
    joined = np.sort((bits.astype(np.int64) << 32) | places, axis)
    return joined & 0xFFFFFFFF


def order_by_runs(x: Any, axis: int) -> Any:
    """Give the stable order from an unstable one, by sorting places in runs of equals.

    With vector instructions this takes a quarter of the time of a stable sort.
    """
    along = np.moveaxis(x, axis, -1)
    order = np.argsort(along, -1)
    found = np.take_along_axis(along, order, -1)
    before, after = found[..., :-1], found[..., 1:]
    rises = before != after
    if x.dtype.kind == "f":
        rises &= ~(np.isnan(before) & np.isnan(after))
    if not rises.all():
        runs = np.zeros(found.shape, np.int64)
        np.cumsum(rises, -1, out=runs[..., 1:])
        order = np.sort((runs << 32) | order, -1) & 0xFFFFFFFF
    return np.moveaxis(order, -1, axis)


def sort(
    operands: Sequence[Value], axis: int, keys: int = 1, stable: bool = True
) -> list[Value]:
    """Sort arrays of one shape together along a non-negative axis.

    Args:
        operands: the arrays.
        axis: the axis along which elements move.
        keys: how many of the arrays decide the order, the first before the next.
        stable: whether equal elements keep their order.
    """
    return Sort(axis, keys, stable)(*operands)  # type: ignore[no-any-return]


def argsort(
    x: Value, axis: int, stable: bool = True, index_dtype: Dtype | None = None
) -> Value:
    """Give the places that sort `x` along a non-negative axis."""
    dtype = dtypes.canonical("int64") if index_dtype is None else index_dtype
    places = broadcasted_iota(dtype, x.shape, axis)
    return Sort(axis, 1, stable)(x, places)[1]


@frozen
class TopK(Primitive):
    """The greatest elements along the last axis, descending, and their places.

    nan is greater than all, 0 than -0; of equal elements the first comes first.
    """

    k: int

    multiple = True

    @property
    def name(self) -> str:
        """The name in jaxprs, the ecosystem's."""
        return "top_k"

    def abstract(self, x: Aval) -> list[Aval]:
        if not x.shape or not 0 <= self.k <= x.shape[-1]:
            raise shape_error(
                f"top_k was asked for {self.k} elements of an operand of type {x}.",
                "Ask for at most as many elements as the last axis has.",
            )
        shape = (*x.shape[:-1], self.k)
        return [Aval(shape, x.dtype), Aval(shape, dtypes.int32)]

    def weak_result(self, all_weak: bool) -> bool:
        return False

    def eager(self, x: Any) -> list[Any]:
        n = x.shape[-1]
        if 0 < 8 * self.k < n:
            places = few_greatest(comparable(x), self.k)
            if places is not None:
                return [np.take_along_axis(x, places, -1), places.astype(np.int32)]
        # Ascending and stable on the reversed array, read backwards: descending, and
        # the first of equal elements first.
        turned = comparable(x)[..., ::-1]
        order = np.argsort(turned, -1, kind="stable")
        if negative_zeros(turned):
            order = np.lexsort([~np.signbit(turned), turned], -1)
        places = n - 1 - order[..., ::-1][..., : self.k]
        return [np.take_along_axis(x, places, -1), places.astype(np.int32)]

    def lower(self, ctx: Any, x: Any) -> list[Any]:
        n = x.aval.shape[-1]
        block = BLOCK * max(1, round((n / max(1, self.k)) ** 0.5 / BLOCK))
        line = ctx.platform == "cpu" and 0 < self.k and x.aval.size == n < 2**31
        if line and n >= LARGE and 8 * self.k * block <= n:
            blocks = functools.partial(self.search_blocks, ctx, block)
            out: list[Any] = lower_as(ctx, blocks, x)
            return out
        return self.search(ctx, x)

    # The compiler's own code goes through all elements with a heap: of 1e7 float32 it
    # finds 10 in 13 ms, and by blocks in 0.7.
    def search_blocks(self, ctx: Any, block: int, x: Value) -> list[Value]:
        """Search the blocks whose greatest elements are greatest, and the rest.

        No other block has any of the greatest: as many elements come before its own.
        """
        n, shape = x.aval.size, (*x.shape[:-1], self.k)
        x = reshape(x, (n,))
        whole = n - n % block
        rows = reshape(slice_in_dim(x, 0, whole, 0), (whole // block, block))
        tops: Value = greatest_of_rows(ctx, ordered_bits(rows, zeros=True))
        if dtypes.is_float(x.dtype) and x.dtype.itemsize <= 4:
            # The compiler has a heap for these only, and sorts all others.
            tops = single_of_bits(tops)
        _, found = self(tops)
        # In ascending order, so that of equal elements the first stays the first.
        (found,) = Sort(0)(found)
        starts = mul(broadcast(found, (self.k, block), (0,)), block)
        inside = add(starts, Iota(dtypes.int32, (self.k, block), 1)())
        after = add(Iota(dtypes.int32, (n - whole,), 0)(), whole)
        places = concatenate([reshape(inside, (self.k * block,)), after], 0)
        values, found = self(take_along_axis(x, places, 0, PROMISE))
        places = take_along_axis(places, found, 0, PROMISE)
        return [reshape(values, shape), reshape(places, shape)]

    def search(self, ctx: Any, x: Any) -> list[Any]:
        """Emit the compiler's own search."""
        # It orders nans by their sign; ours have none.
        found = self.abstract(x.aval)
        if dtypes.is_float(x.aval.dtype):
            x = positive_nan(ctx, x)
        out: list[Any] = ctx.emit_many("chlo.top_k", [x], found, f"k = {self.k} : i64")
        return out

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (x,), (t,) = primals, tangents
        values, places = self(x)
        dot = (
            Zero(like=values)
            if is_zero(t)
            else take_along_axis(t, places, len(x.shape) - 1, PROMISE)
        )
        return [values, places], [dot, Zero(like=places)]

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        (x,) = batch_to_front(size, operands, dims)
        return self(x), [0, 0]


def few_greatest(x: Any, k: int) -> Any:
    """Give the places of the `k` greatest without sorting all; None with nan or -0."""
    if not x.size or (x.dtype.kind == "f" and np.isnan(x).any()) or negative_zeros(x):
        return None
    n = x.shape[-1]
    least = np.partition(x, n - k, -1)[..., n - k :].min(-1, keepdims=True)
    above, ties = x > least, x == least
    # Of the elements equal to the least that counts, the first ones.
    room = k - np.count_nonzero(above, -1, keepdims=True)
    chosen = above | (ties & (np.cumsum(ties, -1) <= room))
    places = np.nonzero(chosen)[-1].reshape((*x.shape[:-1], k))
    values = np.take_along_axis(x, places, -1)
    order = k - 1 - np.argsort(values[..., ::-1], -1, kind="stable")[..., ::-1]
    return np.take_along_axis(places, order, -1)


def top_k(x: Value, k: int) -> list[Value]:
    """Give the `k` greatest elements along the last axis, and their places."""
    return TopK(k)(x)  # type: ignore[no-any-return]
