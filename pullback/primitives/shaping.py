"""Operations that cut, join, pad and turn arrays at places known beforehand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback.core.array import from_host
from pullback.core.aval import Aval, Shape
from pullback.core.primitive import Primitive
from pullback.core.trace import Value
from pullback.core.zero import Unknown, Zero, is_zero
from pullback.primitives.own_loops import has_computed_operand
from pullback.primitives.recipes import (
    Joining,
    Linear,
    Parting,
    batch_to_front,
    check_same_dtype,
    shape_error,
    shifted,
)
from pullback.primitives.structural import (
    Transpose,
    broadcast,
    expand_axes,
    frozen,
    full,
    instantiate,
    reduce_sum,
    reshape,
    zeros_of,
)
from pullback.primitives.table import select, sub

PaddingConfig = tuple[tuple[int, int, int], ...]


@frozen
class Concatenate(Joining):
    """Arrays joined along an axis they have."""

    axis: int

    def abstract(self, *avals: Aval) -> Aval:
        first, axis = avals[0], self.axis
        check_same_dtype(avals, "concatenate")
        shape = list(first.shape)
        for a in avals:
            if len(a.shape) != len(shape) or any(
                n != m and i != axis for i, (n, m) in enumerate(zip(a.shape, shape))
            ):
                raise shape_error(
                    "concatenate was given operands that differ in other axes than "
                    f"axis {axis}: {', '.join(map(str, avals))}.",
                    "Reshape or broadcast them first.",
                )
        shape[axis] = sum(a.shape[axis] for a in avals)
        return Aval(tuple(shape), first.dtype, all(a.weak for a in avals))

    def eager(self, *arrays: Any) -> Any:
        return np.concatenate(arrays, self.axis)

    def lower(self, ctx: Any, *operands: Any) -> Any:
        axis, rank = self.axis, len(operands[0].aval.shape)
        if ctx.platform == "cpu" and has_thin_pieces(axis, operands):
            ctx.uses["concatenate"] += 1  # what is written depends on the place
            if not has_computed_operand(ctx.place):
                return self.write(ctx, operands)
            turn = Transpose((*range(axis, rank), *range(axis)))
            back = Transpose((*range(rank - axis, rank), *range(rank - axis)))
            turned = [turn.write(ctx, x) for x in operands]
            return back.write(ctx, Concatenate(0).write(ctx, turned))
        return self.write(ctx, operands)

    def write(self, ctx: Any, operands: Sequence[Any]) -> Any:
        """Emit the compiler's operation."""
        out = self.abstract(*[x.aval for x in operands])
        attribute = f"dimension = {self.axis} : i64"
        return ctx.emit("stablehlo.concatenate", operands, out, attribute)

    def transpose(self, ct: Any, *operands: Any) -> Any:
        out: list[Any] = []
        start = 0
        for x in operands:
            n = x.aval.shape[self.axis]
            known = not isinstance(x, Unknown)
            piece = None if known else slice_in_dim(ct, start, start + n, self.axis)
            out.append(piece)
            start += n
        return out

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        return Concatenate(self.axis + 1)(*batch_to_front(size, operands, dims)), 0


# In the loop that the compiler writes, the piece to read is chosen for each element. Of
# pieces of few numbers, as `stack(..., axis=-1)` joins, that is in the innermost loop,
# which then has no vectors; the same loop over pieces put one behind the other has:
# three functions of 20,000 numbers take 36 us instead of 115. Nothing computed in the
# same loop, the pieces are copied either way. Measured on a 2-core Xeon.
THIN_PIECE, MANY_PIECES_OF_ONE = 4, 2**8


def has_thin_pieces(axis: int, operands: Sequence[Any]) -> bool:
    """Whether each operand has few numbers from an axis on, and many before it."""
    shapes = [x.aval.shape for x in operands]
    return math.prod(shapes[0][:axis]) >= MANY_PIECES_OF_ONE and all(
        math.prod(shape[axis:]) <= THIN_PIECE for shape in shapes
    )


def concatenate(operands: Sequence[Value], axis: int) -> Value:
    """Join arrays of one dtype along a non-negative axis."""
    return operands[0] if len(operands) == 1 else Concatenate(axis)(*operands)


@frozen
class Pad(Primitive):
    """An array with a value put before, after and between its elements.

    `config` has for each axis how many go before, after and between every two; negative
    numbers before and after cut elements off, once those between are in.
    """

    config: PaddingConfig

    linear = ((0, 1),)

    def abstract(self, x: Aval, value: Aval) -> Aval:
        check_same_dtype((x, value), "pad")
        if value.shape or len(self.config) != len(x.shape):
            raise shape_error(
                f"pad was given an operand of type {x}, a value of type {value} and "
                f"{len(self.config)} axes to pad.",
                "Give a scalar value, and (low, high, interior) for each axis.",
            )
        return Aval(padded_shape(x.shape, self.config), x.dtype, x.weak and value.weak)

    def eager(self, x: Any, value: Any) -> Any:
        shape = x.shape
        out = np.empty(padded_shape(shape, self.config), x.dtype)
        out.fill(value)
        if all([low >= 0 and high >= 0 and not k for low, high, k in self.config]):
            inside = [slice(low, low + n) for n, (low, _, _) in zip(shape, self.config)]
            out[tuple(inside)] = x
            return out
        target, source = [], []
        for n, m, (low, _, interior) in zip(shape, out.shape, self.config):
            step = interior + 1
            first = max(0, -(low // step))
            last = min(n, (m - 1 - low) // step + 1) if m else 0
            start = low + first * step
            target.append(slice(start, max(start, low + (last - 1) * step + 1), step))
            source.append(slice(first, max(first, last)))
        out[tuple(target)] = x[tuple(source)]
        return out

    def lower(self, ctx: Any, x: Any, value: Any) -> Any:
        low, high, interior = zip(*self.config) if self.config else ((), (), ())
        attributes = (
            f"edge_padding_low = {ctx.ints(low)}, "
            f"edge_padding_high = {ctx.ints(high)}, "
            f"interior_padding = {ctx.ints(interior)}"
        )
        out = self.abstract(x.aval, value.aval)
        return ctx.emit("stablehlo.pad", [x, value], out, attributes)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        y = self(*primals)
        if all(map(is_zero, tangents)):
            return y, Zero(like=y)
        # A constant zero around the tangent, so that nothing flows back to it.
        t, value = tangents
        rim = zeros_of(value.aval) if is_zero(value) else value
        return y, self(instantiate(t), rim)

    def transpose(self, ct: Any, x: Any, value: Any) -> Any:
        wanted = isinstance(x, Unknown) or isinstance(value, Unknown)
        inner = unpad(ct, self.config, x.aval.shape) if wanted else None
        rim = None
        if isinstance(value, Unknown):
            every = range(len(self.config))
            rim = sub(reduce_sum(ct, every), reduce_sum(inner, every))
        return inner if isinstance(x, Unknown) else None, rim

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        (x, value), (d, e) = operands, dims
        if e is None:
            config = (*self.config[:d], (0, 0, 0), *self.config[d:])
            return Pad(config)(x, value), d
        (x,) = batch_to_front(size, (x,), (d,))
        config = ((0, 0, 0), *self.config)
        inside = pad(full(x.shape, True, np.dtype(bool)), False, config)
        zero = full((), 0, x.dtype)
        rim = broadcast(value, inside.shape, (0,))
        return select(inside, Pad(config)(x, zero), rim), 0


def padded_shape(shape: Shape, config: PaddingConfig) -> Shape:
    """Give the shape after padding."""
    return tuple(
        max(0, low + n + max(0, n - 1) * interior + high)
        for n, (low, high, interior) in zip(shape, config)
    )


def unpad(ct: Value, config: PaddingConfig, shape: Shape) -> Value:
    """Take from a padded array what was there before; zero for what was cut off."""
    edges = tuple((-low, -high, 0) for low, high, _ in config)
    inner = pad(ct, 0, edges)
    strides = tuple(interior + 1 for *_, interior in config)
    if any(interior and not n for n, (*_, interior) in zip(shape, config)):
        return full(shape, 0, ct.dtype)
    return slice_(inner, (0,) * len(shape), inner.shape, strides)


def pad(x: Value, value: Any, config: Sequence[tuple[int, int, int]]) -> Value:
    """Pad with a value: (low, high, interior) for each axis."""
    config = tuple(tuple(c) for c in config)  # type: ignore[misc]
    if not any(map(any, config)):
        return x
    if not hasattr(value, "dtype"):
        value = from_host(x.dtype.type(value))
    return Pad(config)(x, value)


@frozen
class Slice(Linear):
    """The elements from `starts` up to `limits`, each `strides`-th."""

    starts: tuple[int, ...]
    limits: tuple[int, ...]
    strides: tuple[int, ...]

    def abstract(self, x: Aval) -> Aval:
        shape = tuple(
            max(0, -(-(limit - start) // stride))
            for start, limit, stride in zip(self.starts, self.limits, self.strides)
        )
        return Aval(shape, x.dtype, x.weak)

    def eager(self, x: Any) -> Any:
        return x[self.index()]

    def index(self) -> tuple[Any, ...]:
        """Give the index that means the same to NumPy."""
        return tuple(map(slice, self.starts, self.limits, self.strides))

    def lower(self, ctx: Any, x: Any) -> Any:
        attributes = (
            f"start_indices = {ctx.ints(self.starts)}, "
            f"limit_indices = {ctx.ints(self.limits)}, "
            f"strides = {ctx.ints(self.strides)}"
        )
        return ctx.emit("stablehlo.slice", [x], self.abstract(x.aval), attributes)

    def transpose(self, ct: Any, x: Any) -> Any:
        config = []
        for n, m, start, stride in zip(
            x.aval.shape, ct.shape, self.starts, self.strides
        ):
            width = (m - 1) * stride + 1 if m else 0
            config.append((start, n - start - width, stride - 1))
        return (pad(ct, 0, config),)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        (x,), (d,) = operands, dims
        return self.with_axis(size, d)(x), d

    def with_axis(self, size: int, d: int) -> Slice:
        """Give the same box with all of one more axis, at `d`."""
        starts = (*self.starts[:d], 0, *self.starts[d:])
        limits = (*self.limits[:d], size, *self.limits[d:])
        strides = (*self.strides[:d], 1, *self.strides[d:])
        return Slice(starts, limits, strides)


def slice_(
    x: Value,
    starts: Sequence[int],
    limits: Sequence[int],
    strides: Sequence[int] | None = None,
) -> Value:
    """Cut out a box, with 0 <= start <= limit <= length and stride > 0 on each axis.

    Raises:
        ShapeError: the bounds do not fit the operand.
    """
    starts, limits = tuple(starts), tuple(limits)
    strides = (1,) * len(starts) if strides is None else tuple(strides)
    shape = x.shape
    fits = len(starts) == len(limits) == len(strides) == len(shape)
    for i, j, k, n in zip(starts, limits, strides, shape):
        fits = fits and 0 <= i <= j <= n and k > 0
    if not fits:
        raise shape_error(
            f"slice was given starts {starts}, limits {limits} and strides {strides} "
            f"for an operand of shape {shape}.",
            "Give for each axis 0 <= start <= limit <= length, and a positive stride.",
        )
    if limits == shape and not any(starts) and set(strides) <= {1}:
        return x
    return Slice(starts, limits, strides)(x)


def slice_in_dim(x: Value, start: int, limit: int, axis: int, stride: int = 1) -> Value:
    """Cut along one axis only."""
    shape = x.shape
    starts, limits, strides = [0] * len(shape), list(shape), [1] * len(shape)
    starts[axis], limits[axis], strides[axis] = start, limit, stride
    return slice_(x, starts, limits, strides)


@frozen
class Split(Parting):
    """The pieces of an axis, of given lengths, from its beginning to its end.

    Of slices each would add its cotangent, padded, to those of the others; that of all
    pieces is one array.
    """

    sizes: tuple[int, ...]
    axis: int

    def bounds(self) -> list[tuple[int, int]]:
        """Give where each piece begins and ends."""
        return list(itertools.pairwise(itertools.accumulate(self.sizes, initial=0)))

    def abstract(self, x: Aval) -> list[Aval]:
        before, after = x.shape[: self.axis], x.shape[self.axis + 1 :]
        return [Aval((*before, n, *after), x.dtype, x.weak) for n in self.sizes]

    def eager(self, x: Any) -> list[Any]:
        before = (slice(None),) * self.axis
        return [x[(*before, slice(i, j))] for i, j in self.bounds()]

    def lower(self, ctx: Any, x: Any) -> list[Any]:
        rank = len(x.aval.shape)
        found = []
        for i, j in self.bounds():
            starts, limits = [0] * rank, list(x.aval.shape)
            starts[self.axis], limits[self.axis] = i, j
            piece = Slice(tuple(starts), tuple(limits), (1,) * rank)
            found.append(piece.lower(ctx, x))
        return found

    def transpose(self, cotangents: Any, x: Any) -> Any:
        pieces = []
        for zero, run in itertools.groupby(zip(cotangents, self.sizes), _is_left_out):
            if not zero:
                pieces += [instantiate(ct) for ct, _ in run]
                continue
            shape = list(x.aval.shape)
            shape[self.axis] = sum(n for _, n in run)
            pieces.append(full(tuple(shape), 0, x.aval.dtype))
        return (concatenate(pieces, self.axis),)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        (x,), (d,) = operands, dims
        axis = self.axis + (d <= self.axis)
        return Split(self.sizes, axis)(x), [d] * len(self.sizes)


def _is_left_out(piece: tuple[Any, int]) -> bool:
    """Whether a piece, with its length, has no cotangent."""
    return is_zero(piece[0])


def split(x: Value, sizes: Sequence[int], axis: int) -> list[Value]:
    """Cut an axis into pieces of the given lengths.

    Raises:
        ShapeError: the lengths do not add up to that of the axis.
    """
    if sum(sizes) != x.shape[axis]:
        raise shape_error(
            f"split was given sizes {tuple(sizes)} for an axis of length "
            f"{x.shape[axis]}.",
            "Give sizes that add up to the length of the axis.",
        )
    if len(sizes) == 1:
        return [x]
    return Split(tuple(sizes), axis)(x)  # type: ignore[no-any-return]


@frozen
class Reverse(Linear):
    """The elements in the opposite order along some axes."""

    axes: tuple[int, ...]

    @property
    def name(self) -> str:
        """The name in jaxprs, the ecosystem's."""
        return "rev"

    def abstract(self, x: Aval) -> Aval:
        return x

    def eager(self, x: Any) -> Any:
        return np.flip(x, self.axes)

    def lower(self, ctx: Any, x: Any) -> Any:
        attribute = f"dimensions = {ctx.ints(self.axes)}"
        return ctx.emit("stablehlo.reverse", [x], x.aval, attribute)

    def transpose(self, ct: Any, x: Any) -> Any:
        return (self(ct),)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        (x,), (d,) = operands, dims
        return Reverse(shifted(self.axes, d))(x), d


def reverse(x: Value, axes: Sequence[int]) -> Value:
    """Reverse the order along non-negative axes."""
    axes = tuple(sorted(axes))
    return Reverse(axes)(x) if axes else x


def squeeze(x: Value, axes: Sequence[int]) -> Value:
    """Drop non-negative axes of length one.

    Raises:
        ShapeError: an axis is longer.
    """
    shape = x.shape
    long = [a for a in axes if shape[a] != 1]
    if long:
        raise shape_error(
            f"squeeze was asked to drop axes {tuple(long)} of an operand of shape "
            f"{shape}, which are not of length 1.",
            "Reduce or index these axes instead.",
        )
    return reshape(x, [n for i, n in enumerate(shape) if i not in axes])


def expand_dims(x: Value, axes: Sequence[int]) -> Value:
    """Insert axes of length one at non-negative places of the result."""
    return expand_axes(x, axes)
