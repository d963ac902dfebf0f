"""The order of rows that a factorization with row exchanges leads to."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.aval import Aval
from pullback.core.primitive import Primitive
from pullback.core.trace import Value
from pullback.core.zero import Zero, is_zero
from pullback.primitives.creation import broadcasted_iota
from pullback.primitives.indexing import gather, take_along_axis
from pullback.primitives.lapack import permutation_of
from pullback.primitives.places import GatherDimensionNumbers
from pullback.primitives.recipes import Flat, batch_to_front, lower_as, repeat_while
from pullback.primitives.slicing import dynamic_slice, dynamic_update_slice
from pullback.primitives.sorting import argsort
from pullback.primitives.structural import expand_axes, frozen, full, move_axis
from pullback.primitives.table import add, eq, lt, select


@frozen
class PermuteRows(Primitive):
    """Rows of matrices in an order, or back from it if `inverse`."""

    inverse: bool

    linear = ((0,),)

    def abstract(self, x: Aval, order: Aval) -> Aval:
        return x.strong()

    def eager(self, x: Any, order: Any) -> Any:
        places = np.argsort(order, -1) if self.inverse else order
        if x.ndim == 2:
            return x[places]
        return np.take_along_axis(x, places[..., None], -2)

    def lower(self, ctx: Any, x: Any, order: Any) -> Any:
        return lower_as(ctx, self.by_reading, x, order)

    def by_reading(self, x: Value, order: Value) -> Value:
        """Read row after row."""
        rank = len(x.shape)
        if 0 in x.shape:
            return x
        axis, batch = rank - 2, tuple(range(rank - 2))
        places = argsort(order, axis) if self.inverse else order
        numbers = GatherDimensionNumbers((rank - 1,), (axis,), (axis,), batch, batch)
        sizes = (*[1] * (rank - 1), x.shape[-1])
        rows = expand_axes(places, (rank - 1,))
        return gather(x, rows, numbers, sizes, "promise_in_bounds")

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (x, order), (t, _) = primals, tangents
        y = self(x, order)
        return y, Zero(like=y) if is_zero(t) else self(t, order)

    def transpose(self, ct: Any, x: Any, order: Any) -> Any:
        return PermuteRows(not self.inverse)(ct, order), None

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        return self(*batch_to_front(size, operands, dims)), 0


def permute_rows(x: Value, permutation: Value, inverse: bool = False) -> Value:
    """Put rows of `x: [..., n, k]` in the order `permutation` names, or back."""
    return PermuteRows(inverse)(x, permutation)


@frozen
class PivotsToPermutation(Flat):
    """The order of `rows` rows that successive exchanges lead to."""

    rows: int

    def abstract(self, pivots: Aval) -> Aval:
        return Aval((*pivots.shape[:-1], self.rows), dtypes.int32)

    def eager(self, pivots: Any) -> Any:
        return permutation_of(pivots, self.rows)

    def lower(self, ctx: Any, pivots: Any) -> Any:
        return emit_permutation(ctx, pivots, self.rows)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        return self(move_axis(operands[0], dims[0], 0)), 0


def pivots_to_permutation(pivots: Value, rows: int) -> Value:
    """Give the order of rows that 0-based exchanges lead to."""
    return PivotsToPermutation(rows)(pivots)


def emit_permutation(ctx: Any, pivots: Any, rows: int) -> Any:
    """Emit the order that row exchanges lead to, one exchange at a time."""
    return lower_as(ctx, lambda p: after_exchanges(ctx, p, rows), pivots)


def after_exchanges(ctx: Any, exchanges: Value, rows: int) -> Value:
    """Give the order of rows that 0-based exchanges lead to, in a loop."""
    *batch, steps = exchanges.shape
    axis, shape, one = len(batch), (*batch, rows), (*batch, 1)
    start = broadcasted_iota(np.int32, shape, axis)
    if steps == 0:
        return start

    def exchange(i: Value, order: Value) -> list[Value]:
        place = [*[0] * axis, i]
        other = dynamic_slice(exchanges, place, one)
        at_here = dynamic_slice(order, place, one)
        at_there = take_along_axis(order, other, axis, "promise_in_bounds")
        # A choice for all rows is one loop with vectors; to write one place is not.
        there = eq(broadcasted_iota(np.int32, shape, axis), other)
        moved = select(there, at_here, order)
        return [add(i, 1), dynamic_update_slice(moved, at_there, place)]

    carry = [full((), 0, dtypes.int32), start]
    return repeat_while(ctx, lambda i, _: lt(i, steps), exchange, carry)[1]
