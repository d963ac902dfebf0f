"""Diagonals of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.core.at_once import at_once
from pullback.core.aval import Aval
from pullback.core.trace import Value
from pullback.primitives.creation import broadcasted_iota
from pullback.primitives.recipes import Linear, batch_to_front, lower_as
from pullback.primitives.shaping import slice_in_dim
from pullback.primitives.structural import expand_axes, frozen, reshape
from pullback.primitives.table import eq, select


@frozen
class Diagonal(Linear):
    """The diagonals of the square matrices in the last two axes."""

    def abstract(self, x: Aval) -> Aval:
        return Aval(x.shape[:-1], x.dtype, x.weak)

    def eager(self, x: Any) -> Any:
        return np.diagonal(x, 0, -2, -1)

    def lower(self, ctx: Any, x: Any) -> Any:
        return lower_as(ctx, every_nth, x)

    # As a choice: elements that stand far apart, spread out again, would be slow.
    def transpose(self, ct: Any, x: Any) -> Any:
        n = ct.shape[-1]
        return (select(on_diagonal(n, n), expand_axes(ct, (len(ct.shape),)), 0),)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        return self(*batch_to_front(size, operands, dims)), 0


def every_nth(x: Value) -> Value:
    """Cut the diagonals of square matrices out of their elements in a row."""
    *lead, n, _ = x.shape
    flat = reshape(x, (*lead, n * n))
    return slice_in_dim(flat, 0, n * n, len(lead), n + 1)


def diagonal(x: Value) -> Value:
    """Give the diagonals of the matrices in the last two axes."""
    rows, columns = x.shape[-2:]
    n, rank = min(rows, columns), len(x.shape)
    x = slice_in_dim(slice_in_dim(x, 0, n, rank - 2), 0, n, rank - 1)
    return Diagonal()(x) if n > 1 else reshape(x, (*x.shape[:-2], n))


def on_diagonal(rows: int, columns: int) -> Value:
    """Give the boolean matrix that is true on the diagonal."""
    found = at_once(lambda: np.eye(rows, columns, dtype=bool))
    if found is not None:
        return found
    shape = (rows, columns)
    return eq(
        broadcasted_iota(np.int32, shape, 0), broadcasted_iota(np.int32, shape, 1)
    )
