"""Operations between arrays and the members of their axes: pick, stack, unstack.

Each is a cut or a join together with a reshape. Code that goes through an array member
by member does little else: as two operations each would cost twice in eager code.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback.core.at_once import at_once
from pullback.core.aval import Aval
from pullback.core.trace import Value
from pullback.core.zero import Unknown, is_zero
from pullback.primitives.recipes import (
    Joining,
    Parting,
    batch_to_front,
    check_same_dtype,
    shape_error,
    shifted,
    without,
)
from pullback.primitives.shaping import Concatenate, Slice, Split, slice_
from pullback.primitives.structural import (
    Reshape,
    expand_axes,
    frozen,
    instantiate,
    reshape,
)

Axes = tuple[int, ...]


@frozen
class Pick(Slice):
    """A box without those axes, of length one, that are `dropped`."""

    dropped: Axes

    def abstract(self, x: Aval) -> Aval:
        box = Slice.abstract(self, x)
        return Aval(without(box.shape, self.dropped), box.dtype, box.weak)

    def index(self) -> tuple[Any, ...]:
        index = list(Slice.index(self))
        for axis in self.dropped:
            index[axis] = self.starts[axis]
        return tuple(index)

    def lower(self, ctx: Any, x: Any) -> Any:
        box = Slice(self.starts, self.limits, self.strides).lower(ctx, x)
        return Reshape(without(box.aval.shape, self.dropped)).lower(ctx, box)

    def transpose(self, ct: Any, x: Any) -> Any:
        found = at_once(lambda ct: self.put_into_zeros(ct, x.aval), ct)
        if found is not None:
            return (found,)
        return Slice.transpose(self, expand_axes(ct, self.dropped), x)

    def put_into_zeros(self, ct: Any, x: Aval) -> Any:
        """Give the transpose of NumPy's."""
        total = np.zeros(x.shape, ct.dtype)
        total[self.index()] = ct
        return total

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        (x,), (d,) = operands, dims
        box = self.with_axis(size, d)
        dropped = shifted(self.dropped, d)
        out = Pick(box.starts, box.limits, box.strides, dropped)(x)
        return out, d - sum(axis < d for axis in self.dropped)


def pick(
    x: Value,
    starts: Sequence[int],
    limits: Sequence[int],
    strides: Sequence[int],
    dropped: Sequence[int],
) -> Value:
    """Cut out a box that fits, and leave out some of its axes of length one."""
    if not dropped:
        return slice_(x, starts, limits, strides)
    return Pick(tuple(starts), tuple(limits), tuple(strides), tuple(dropped))(x)


def member(x: Value, i: int, axis: int) -> Value:
    """Give a member of an axis, counted from the front, without that axis."""
    return _pick_member(x.shape, i, axis)(x)


@functools.lru_cache(1024)
def _pick_member(shape: tuple[int, ...], i: int, axis: int) -> Pick:
    starts, limits = [0] * len(shape), list(shape)
    starts[axis], limits[axis] = i, i + 1
    return Pick(tuple(starts), tuple(limits), (1,) * len(shape), (axis,))


@frozen
class Stack(Joining):
    """Arrays of one shape joined along a new axis."""

    axis: int

    def abstract(self, *avals: Aval) -> Aval:
        first = avals[0]
        check_same_dtype(avals, "stack")
        if any(a.shape != first.shape for a in avals):
            raise shape_error(
                f"stack was given operands of different shapes: "
                f"{', '.join(map(str, avals))}.",
                "Reshape or broadcast them first.",
            )
        shape = (*first.shape[: self.axis], len(avals), *first.shape[self.axis :])
        return Aval(shape, first.dtype, all(a.weak for a in avals))

    def eager(self, *arrays: Any) -> Any:
        # NumPy's `stack` takes twice the time.
        return np.stack(arrays, self.axis) if self.axis else np.array(arrays)

    def lower(self, ctx: Any, *operands: Any) -> Any:
        shape = operands[0].aval.shape
        one = Reshape((*shape[: self.axis], 1, *shape[self.axis :]))
        pieces = [one.lower(ctx, x) for x in operands]
        return Concatenate(self.axis).lower(ctx, *pieces) if pieces[1:] else pieces[0]

    def transpose(self, ct: Any, *operands: Any) -> Any:
        unknown = [isinstance(x, Unknown) for x in operands]
        if all(unknown):
            return Unstack(self.axis)(ct)
        return [member(ct, i, self.axis) if u else None for i, u in enumerate(unknown)]

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        return Stack(self.axis + 1)(*batch_to_front(size, operands, dims)), 0


def stack(operands: Sequence[Value], axis: int) -> Value:
    """Join arrays of one shape and dtype along a new axis."""
    if len(operands) == 1:
        return expand_axes(operands[0], (axis,))
    return Stack(axis)(*operands)


@frozen
class Unstack(Parting):
    """All members of an axis, each without that axis."""

    axis: int

    def abstract(self, x: Aval) -> list[Aval]:
        each = Aval(without(x.shape, (self.axis,)), x.dtype, x.weak)
        return [each] * x.shape[self.axis]

    def eager(self, x: Any) -> list[Any]:
        return list(np.moveaxis(x, self.axis, 0) if self.axis else x)

    def lower(self, ctx: Any, x: Any) -> list[Any]:
        n = x.aval.shape[self.axis]
        each = Reshape(without(x.aval.shape, (self.axis,)))
        pieces = Split((1,) * n, self.axis).lower(ctx, x)
        return [each.lower(ctx, piece) for piece in pieces]

    def transpose(self, cotangents: Any, x: Any) -> Any:
        given = [i for i, ct in enumerate(cotangents) if not is_zero(ct)]
        if len(given) == 1:
            (i,) = given
            only = _pick_member(x.aval.shape, i, self.axis)
            return only.transpose(cotangents[i], x)
        return (stack([instantiate(ct) for ct in cotangents], self.axis),)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        (x,), (d,) = operands, dims
        axis = self.axis + (d <= self.axis)
        outs = Unstack(axis)(x)
        return outs, [d - (axis < d)] * len(outs)


def unstack(x: Value, axis: int) -> list[Value]:
    """Give the members of an axis."""
    n = x.shape[axis]
    if n == 1:
        return [reshape(x, without(x.shape, (axis,)))]
    return Unstack(axis)(x) if n else []
