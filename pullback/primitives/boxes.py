"""Many boxes cut out of one array, and pieces added up in many boxes of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import compress
from typing import Any

import numpy as np

from pullback.core.aval import Aval, Shape
from pullback.core.primitive import Primitive
from pullback.core.zero import Unknown, Zero, is_zero
from pullback.primitives.own_loops import store
from pullback.primitives.recipes import batch_to_front
from pullback.primitives.shaping import Slice
from pullback.primitives.structural import frozen

#: Where a box begins and ends on each axis.
Bounds = tuple[tuple[int, int], ...]

_INT32 = np.dtype("i4")


def slice_of(box: Bounds) -> Slice:
    """Give the operation that cuts a box."""
    starts, limits = zip(*box)
    return Slice(starts, limits, (1,) * len(box))


@frozen
class CutBoxes(Primitive):
    """Boxes of an array, each with its bounds on every axis; they may overlap.

    Of slices each would add its cotangent, padded to the array's size, to those of the
    others: for all rows of a matrix, one by one, the square of what there is to do.
    """

    bounds: tuple[Bounds, ...]

    multiple = True
    linear = ((0,),)

    def abstract(self, x: Aval) -> list[Aval]:
        return [slice_of(box).abstract(x) for box in self.bounds]

    def eager(self, x: Any) -> list[Any]:
        return [slice_of(box).eager(x) for box in self.bounds]

    def lower(self, ctx: Any, x: Any) -> list[Any]:
        return [slice_of(box).lower(ctx, x) for box in self.bounds]

    def jvp(self, primals: Any, tangents: Any) -> Any:
        outs = self(*primals)
        if is_zero(tangents[0]):
            return outs, [Zero(like=y) for y in outs]
        return outs, self(*tangents)

    def transpose(self, cotangents: Any, x: Any) -> Any:
        given = [not is_zero(ct) for ct in cotangents]
        bounds = tuple(compress(self.bounds, given))
        pieces = list(compress(cotangents, given))
        return (AddBoxes(bounds, x.aval.shape)(*pieces) if pieces else Zero(x.aval),)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        (x,), (d,) = operands, dims
        bounds = tuple([(*box[:d], (0, size), *box[d:]) for box in self.bounds])
        return CutBoxes(bounds)(x), [d] * len(bounds)


@frozen
class AddBoxes(Primitive):
    """Zeros with pieces added to them, each in its box; the boxes may overlap."""

    bounds: tuple[Bounds, ...]
    shape: Shape

    linear = ((0, ...),)

    def abstract(self, *pieces: Aval) -> Aval:
        return Aval(self.shape, pieces[0].dtype, all(x.weak for x in pieces))

    def eager(self, *pieces: Any) -> Any:
        total = np.zeros(self.shape, pieces[0].dtype)
        for box, piece in zip(self.bounds, pieces):
            total[tuple([slice(*ends) for ends in box])] += piece
        return total

    def lower(self, ctx: Any, *pieces: Any) -> Any:
        total = self.write(ctx, pieces)
        # In one loop with what reads it, it would no longer be in place.
        return store(ctx, total) if ctx.platform == "cpu" else total

    def write(self, ctx: Any, pieces: Sequence[Any]) -> Any:
        """Emit the compiler's operations."""
        out = self.abstract(*[x.aval for x in pieces])
        total = ctx.constant(0, out)
        # In place, one after the other. Joined by `concatenate`, up to eight pieces are
        # one loop without vectors that computes what they share again for each.
        for box, written, piece in zip(self.bounds, overlaps(self.bounds), pieces):
            if written:
                before = slice_of(box).lower(ctx, total)
                piece = ctx.emit("stablehlo.add", [before, piece], piece.aval)
            starts = [ctx.constant(start, Aval((), _INT32)) for start, _ in box]
            operands = [total, piece, *starts]
            total = ctx.emit("stablehlo.dynamic_update_slice", operands, out)
        return total

    def jvp(self, primals: Any, tangents: Any) -> Any:
        y = self(*primals)
        given = [not is_zero(t) for t in tangents]
        if not any(given):
            return y, Zero(like=y)
        pieces = compress(tangents, given)
        return y, AddBoxes(tuple(compress(self.bounds, given)), self.shape)(*pieces)

    def transpose(self, ct: Any, *pieces: Any) -> Any:
        unknown = [isinstance(x, Unknown) for x in pieces]
        cut = iter(CutBoxes(tuple(compress(self.bounds, unknown)))(ct))
        return [next(cut) if some else None for some in unknown]

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        bounds = tuple([((0, size), *box) for box in self.bounds])
        pieces = batch_to_front(size, operands, dims)
        return AddBoxes(bounds, (size, *self.shape))(*pieces), 0


def overlaps(bounds: tuple[Bounds, ...]) -> Iterator[bool]:
    """Say of each box whether it may have elements in common with one before it."""
    ends = np.array(bounds, dtype=np.int64).reshape(len(bounds), -1, 2)
    starts, limits = ends[..., 0], ends[..., 1]
    for i in range(len(bounds)):
        meets = (starts[:i] < limits[i]) & (starts[i] < limits[:i])
        yield bool(meets.all(-1).any())
