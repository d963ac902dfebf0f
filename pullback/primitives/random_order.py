"""Random orders: the places 0, 1, ... sorted by random numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.aval import Aval
from pullback.core.trace import Value
from pullback.primitives.creation import Iota
from pullback.primitives.random_bits import KeyOperation, RandomBits, check_key
from pullback.primitives.recipes import lower_as
from pullback.primitives.shaping import pad, slice_in_dim
from pullback.primitives.sorting import Sort
from pullback.primitives.structural import frozen
from pullback.primitives.table import (
    and_,
    convert,
    eq,
    or_,
    select,
    shift_right_logical,
)

#: Up to this width of places, two random numbers are equal in one of a million orders.
SAFE = 14


@frozen
class RandomOrder(KeyOperation):
    """A uniformly random order of 0 to `size` - 1 from each key.

    Each place is the lower bits of a 64-bit integer whose upper bits are random: these
    are sorted as plain integers. Of 1e7 random numbers 45 pairs are equal: their order
    is that of their lowest random bit, as good a coin as any. Three are equal in one of
    7,000 such orders, and only there are not all orders as likely.
    """

    size: int

    @property
    def width(self) -> int:
        """How many bits a place has."""
        return max(1, (self.size - 1).bit_length())

    def abstract(self, key: Aval) -> Aval:
        check_key("random order", key)
        return Aval((*key.shape[:-1], self.size), dtypes.int32)

    def eager(self, key: Any) -> Any:
        width = np.uint64(self.width)
        low = np.uint64(2**self.width - 1)
        bits = RandomBits(64, (self.size,)).eager(key)
        joined = np.sort(bits & ~low | np.arange(self.size, dtype=np.uint64), -1)
        order = (joined & low).astype(np.int32)
        if self.width <= SAFE:
            return order
        tops = joined >> width
        # Compared in place of both: most orders have no such pair.
        swapped = (tops[..., 1:] == tops[..., :-1]) & ((tops[..., 1:] & 1) == 1)
        if swapped.any():
            first = np.pad(swapped, [(0, 0)] * (swapped.ndim - 1) + [(0, 1)])
            second = np.roll(first, 1, -1)
            before, after = np.roll(order, 1, -1), np.roll(order, -1, -1)
            order = np.where(first, after, np.where(second, before, order))
        return order

    def lower(self, ctx: Any, key: Any) -> Any:
        return lower_as(ctx, self.sorted, key)

    def sorted(self, key: Value) -> Value:
        """Compute it with other operations."""
        wide, low = dtypes.uint64, 2**self.width - 1
        bits = RandomBits(64, (self.size,))(key)
        axis = len(bits.shape) - 1
        places = Iota(wide, bits.shape, axis)()
        (joined,) = Sort(axis, 1, False)(or_(and_(bits, 2**64 - 1 - low), places))
        order = convert(and_(joined, low), dtypes.int32)
        if self.width <= SAFE:
            return order
        tops = shift_right_logical(joined, self.width)
        here, there = cut(tops, 0, -1), cut(tops, 1, 0)
        odd = eq(and_(here, 1), 1)
        swapped = convert(and_(eq(here, there), odd), dtypes.int32)
        first, second = eq(moved(swapped, 0, 1), 1), eq(moved(swapped, 1, 0), 1)
        after, before = moved(cut(order, 1, 0), 0, 1), moved(cut(order, 0, -1), 1, 0)
        return select(first, after, select(second, before, order))


def cut(x: Value, start: int, end: int) -> Value:
    """Cut the last axis."""
    axis = len(x.shape) - 1
    return slice_in_dim(x, start, x.shape[axis] + end, axis)


def moved(x: Value, low: int, high: int) -> Value:
    """Put zeros before and after the last axis."""
    return pad(x, 0, [*[(0, 0, 0)] * (len(x.shape) - 1), (low, high, 0)])


def random_order(key: Value, size: int) -> Value:
    """Make a random order `i32[..., size]` from each of `key: u32[..., 2]`."""
    return RandomOrder(size)(key)
