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
from pullback.primitives.recipes import Parting, batch_to_front, shifted
from pullback.primitives.shaping import Slice
from pullback.primitives.stacking import Pick
from pullback.primitives.structural import Reshape, frozen

#: Where a box begins and ends on each axis.
Bounds = tuple[tuple[int, int], ...]
Axes = tuple[int, ...]

_INT32 = np.dtype("i4")


def slice_of(box: Bounds, dropped: Axes = ()) -> Slice:
    """Give the operation that cuts a box, without some axes of length one."""
    starts, limits = zip(*box)
    ones = (1,) * len(box)
    return (
        Pick(starts, limits, ones, dropped) if dropped else Slice(starts, limits, ones)
    )


@frozen
class CutBoxes(Parting):
    """Boxes of an array, each with its bounds on every axis; they may overlap.

    `dropped` has for each those axes, of length one, that are left out of it.

    Of slices each would add its cotangent, padded to the array's size, to those of the
    others: for all rows of a matrix, one by one, the square of what there is to do.
    """

    bounds: tuple[Bounds, ...]
    dropped: tuple[Axes, ...]

    def slices(self) -> list[Slice]:
        """Give the operations that cut one box each."""
        return list(map(slice_of, self.bounds, self.dropped))

    def abstract(self, x: Aval) -> list[Aval]:
        return [cut.abstract(x) for cut in self.slices()]

    def eager(self, x: Any) -> list[Any]:
        return [cut.eager(x) for cut in self.slices()]

    def lower(self, ctx: Any, x: Any) -> list[Any]:
        return [cut.lower(ctx, x) for cut in self.slices()]

    def transpose(self, cotangents: Any, x: Any) -> Any:
        given = [not is_zero(ct) for ct in cotangents]
        pieces = list(compress(cotangents, given))
        if not pieces:
            return (Zero(x.aval),)
        bounds = tuple(compress(self.bounds, given))
        dropped = tuple(compress(self.dropped, given))
        return (AddBoxes(bounds, dropped, x.aval.shape)(*pieces),)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        (x,), (d,) = operands, dims
        bounds = tuple([(*box[:d], (0, size), *box[d:]) for box in self.bounds])
        dropped = tuple([shifted(axes, d) for axes in self.dropped])
        places = [d - sum(axis < d for axis in axes) for axes in self.dropped]
        return CutBoxes(bounds, dropped)(x), places


@frozen
class AddBoxes(Primitive):
    """Zeros with pieces added to them, each in its box; the boxes may overlap.

    Pieces are without the axes that are `dropped` for their boxes.
    """

    bounds: tuple[Bounds, ...]
    dropped: tuple[Axes, ...]
    shape: Shape

    linear = ((0, ...),)

    def abstract(self, *pieces: Aval) -> Aval:
        return Aval(self.shape, pieces[0].dtype, all(x.weak for x in pieces))

    def eager(self, *pieces: Any) -> Any:
        total = np.zeros(self.shape, pieces[0].dtype)
        for box, axes, piece in zip(self.bounds, self.dropped, pieces):
            total[slice_of(box, axes).index()] += piece
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
            shape = tuple([j - i for i, j in box])
            if piece.aval.shape != shape:
                piece = Reshape(shape).lower(ctx, piece)
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
        bounds = tuple(compress(self.bounds, given))
        dropped = tuple(compress(self.dropped, given))
        return y, AddBoxes(bounds, dropped, self.shape)(*compress(tangents, given))

    def transpose(self, ct: Any, *pieces: Any) -> Any:
        unknown = [isinstance(x, Unknown) for x in pieces]
        bounds = tuple(compress(self.bounds, unknown))
        cut = iter(CutBoxes(bounds, tuple(compress(self.dropped, unknown)))(ct))
        return [next(cut) if some else None for some in unknown]

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        bounds = tuple([((0, size), *box) for box in self.bounds])
        dropped = tuple([shifted(axes, 0) for axes in self.dropped])
        pieces = batch_to_front(size, operands, dims)
        return AddBoxes(bounds, dropped, (size, *self.shape))(*pieces), 0


def overlaps(bounds: tuple[Bounds, ...]) -> Iterator[bool]:
    """Say of each box whether it may have elements in common with one before it."""
    ends = np.array(bounds, dtype=np.int64).reshape(len(bounds), -1, 2)
    starts, limits = ends[..., 0], ends[..., 1]
    for i in range(len(bounds)):
        meets = (starts[:i] < limits[i]) & (starts[i] < limits[:i])
        yield bool(meets.all(-1).any())
