"""Poisson numbers by rejection in compiled programs, as functions of values.

A try of all elements has one key, split off from the key of the try before, under which
an element hashes its own place. As in the ecosystem, all are tried again until each was
accepted once, and the last accepted number counts. So two questions are asked of all
elements by one try, then of those that it leaves, packed in the loop of `unfinished`:
how many tries are needed, and what the last number accepted in these is. Whose methods
these are stands in `rejection`.
"""

from __future__ import annotations

import math

from pullback import dtypes
from pullback.backend.stablehlo import Emitter
from pullback.core.trace import Value
from pullback.primitives.random_bits import emit_counts
from pullback.primitives.recipes import LoweredValue, repeat_while
from pullback.primitives.reduction import reduce_max, reduce_or
from pullback.primitives.rejection_lowered import (
    NOTHING,
    Words,
    child,
    floats_of_bits,
    hashed,
    is_missing,
    rows_of,
    words_of,
)
from pullback.primitives.special import lgamma
from pullback.primitives.structural import broadcast, full, reshape
from pullback.primitives.table import (
    abs,
    add,
    and_,
    convert,
    div,
    eq,
    floor,
    ge,
    gt,
    le,
    log,
    lt,
    max,
    mul,
    ne,
    neg,
    not_,
    or_,
    rem,
    select,
    sqrt,
    sub,
)
from pullback.primitives.unfinished import FEW, finish, read

#: One in how many elements has a place in the buffer: 1 in 4 is left by the first try
#: in the worst case, rate = 10.
SHARE = 4
#: Least rate for which numbers are found by rejection.
LARGE = 10.0


def poisson(
    ctx: Emitter, key: LoweredValue, rate: LoweredValue, dtype: dtypes.Dtype
) -> Value:
    """Give Poisson numbers for keys `[*batch, 2]` and rates `[*batch, ...]`."""
    shape = rate.shape
    n = math.prod(shape)
    if not n:
        return full(shape, 0, dtype)
    rates = reshape(convert(rate, dtypes.float32), (n,))
    places = Places(ctx, key, n)
    small = not_(ge(rates, LARGE))
    few = by_products(ctx, places, select(small, rates, 0.0))
    many = by_rejection(ctx, places, rates)
    found = select(small, convert(few, dtype), convert(many, dtype))
    found = select(eq(rates, 0.0), full((n,), 0, dtype), found)
    wrong = convert(full((n,), -1, dtypes.int32), dtype)
    return reshape(select(ne(rates, rates), wrong, found), shape)


class Places:
    """All elements, or some: under which key and with which counter each one hashes.

    Args:
        ctx: the emitter.
        key: keys `[*batch, 2]`.
        size: how many elements there are, for all keys together.
        chosen: the places of those that are meant; None for all.
    """

    __slots__ = ("chosen", "count", "counts", "ctx", "key", "rows", "size", "start")

    def __init__(
        self, ctx: Emitter, key: Value, size: int, chosen: Value | None = None
    ) -> None:
        self.ctx = ctx
        self.key = key
        self.size = size
        self.chosen = chosen
        self.start = rows_of(key)
        self.rows: int = self.start[0].shape[0]
        self.count = size // self.rows
        if chosen is not None:
            self.counts = words_of(convert(rem(chosen, self.count), dtypes.uint64))
        else:
            x0, x1 = emit_counts(ctx, (self.rows,), (self.count,))
            flat = [reshape(LoweredValue(x), (size,)) for x in (x0, x1)]
            self.counts = flat[0], flat[1]

    def numbers(self, keys: Words) -> Value:
        """Give a number in [0, 1) for each element, for one key of each row."""
        spread = self.spread(keys[0]), self.spread(keys[1])
        return floats_of_bits(*hashed(self.ctx, spread, self.counts), dtypes.float32)

    def spread(self, x: Value) -> Value:
        """Repeat what belongs to a key for each of its elements."""
        n = self.counts[0].shape
        if self.rows == 1:
            return broadcast(reshape(x, ()), n, ())
        if self.chosen is not None:
            return read(x, div(self.chosen, self.count))
        return reshape(broadcast(x, (self.rows, self.count), (0,)), n)

    def only(self, chosen: Value) -> Places:
        """Give some of these places."""
        return Places(self.ctx, self.key, self.size, chosen)


# -- small rates -----------------------------------------------------------------------


def by_products(ctx: Emitter, places: Places, rate: LoweredValue) -> Value:
    """Count uniform numbers whose product stays above exp(-rate)."""
    bound = neg(rate)

    def going(logs: Value, *_: Value) -> Value:
        return reduce_or(gt(logs, bound), (0,))

    def step(logs: Value, count: Value, k0: Value, k1: Value) -> list[Value]:
        (following, fresh) = (child(ctx, (k0, k1), i) for i in (0, 1))
        count = add(count, convert(gt(logs, bound), dtypes.int32))
        return [add(logs, log(places.numbers(fresh))), count, *following]

    start = [full(rate.shape, 0, d) for d in (dtypes.float32, dtypes.int32)]
    carry = [*start, *places.start]
    return sub(repeat_while(ctx, going, step, carry)[1], 1)


# -- large rates -----------------------------------------------------------------------


def by_rejection(ctx: Emitter, places: Places, rate: LoweredValue) -> Value:
    """Reject from a transformed uniform number; of no use for rates below `LARGE`."""
    large = ge(rate, LARGE)
    # Small rates are replaced as in eager code, since their tries count too.
    idle = not_(reduce_or(large, (0,)))
    rate = select(large, rate, 1e5)
    if places.size <= FEW:
        needed = tries_in_loop(ctx, places, rate, idle)
        return last_in_loop(ctx, places, rate, last_of_rows(places, needed))
    slots = places.size // SHARE + FEW // 2
    accepted = not_(is_missing(one_try(ctx, places, places.start, rate)))
    needed = finish(
        ctx,
        convert(or_(accepted, idle), dtypes.int32),
        is_zero,
        lambda p: tries_in_loop(ctx, places.only(p), read(rate, p), idle),
        slots,
    )
    last = last_of_rows(places, needed)
    found = one_try(ctx, places, key_of_try(ctx, places.start, last), rate)
    return finish(
        ctx,
        select(idle, 0.0, found),
        is_missing,
        lambda p: last_in_loop(ctx, places.only(p), read(rate, p), last),
        slots,
    )


def is_zero(tries: Value) -> Value:
    """Whether it is not known yet how many tries an element needs."""
    return eq(tries, 0)


def last_of_rows(places: Places, needed: Value) -> Value:
    """Give for each key how many tries are needed until all were accepted once."""
    return reduce_max(reshape(needed, (places.rows, places.count)), (1,))


def counter() -> Value:
    """Give the number of the first try."""
    return full((), 1, dtypes.int32)


def key_of_try(ctx: Emitter, keys: Words, last: Value) -> Words:
    """Give the keys of later tries, one for each row."""
    end = reduce_max(last, (0,))

    def step(i: Value, *keys: Value) -> list[Value]:
        following = child(ctx, (keys[0], keys[1]), 0)
        moves = lt(i, last)
        kept = [select(moves, a, b) for a, b in zip(following, keys)]
        return [add(i, 1), *kept]

    carry = [counter(), *keys]
    _, k0, k1 = repeat_while(ctx, lambda i, *_: lt(i, end), step, carry)
    return k0, k1


def tries_in_loop(ctx: Emitter, places: Places, rate: Value, idle: Value) -> Value:
    """Count the tries until each element is accepted; 1 for all if `idle`."""

    def going(needed: Value, *_: Value) -> Value:
        return reduce_or(is_zero(needed), (0,))

    def step(needed: Value, i: Value, *keys: Value) -> list[Value]:
        k = keys[0], keys[1]
        accepted = not_(is_missing(one_try(ctx, places, k, rate)))
        now = select(and_(is_zero(needed), accepted), i, needed)
        return [now, add(i, 1), *child(ctx, k, 0)]

    none = select(idle, 1, full(rate.shape, 0, dtypes.int32))
    return repeat_while(ctx, going, step, [none, counter(), *places.start])[0]


def last_in_loop(ctx: Emitter, places: Places, rate: Value, last: Value) -> Value:
    """Give the last number accepted of as many tries as the row needs."""
    end, until = reduce_max(last, (0,)), places.spread(last)

    def step(found: Value, i: Value, *keys: Value) -> list[Value]:
        k = keys[0], keys[1]
        tried = one_try(ctx, places, k, rate)
        counts = and_(not_(is_missing(tried)), le(i, until))
        return [select(counts, tried, found), add(i, 1), *child(ctx, k, 0)]

    start = [full(rate.shape, NOTHING, dtypes.float32), counter(), *places.start]
    return repeat_while(ctx, lambda found, i, *_: le(i, end), step, start)[0]


def one_try(ctx: Emitter, places: Places, keys: Words, rate: Value) -> Value:
    """Try once with one key for each row: algorithm PTRS."""
    u, v = (places.numbers(child(ctx, keys, i)) for i in (1, 2))
    b = add(rounded(mul(sqrt(rate), 2.53)), 0.931)
    a = add(rounded(mul(b, 0.02483)), -0.059)
    u = sub(u, 0.5)
    edge = sub(0.5, abs(u))
    reach = rounded(mul(add(div(mul(a, 2.0), edge), b), u))
    k = floor(add(add(reach, rate), 0.43))
    inverse = add(div(1.1328, sub(b, 3.4)), 1.1239)
    s = log(div(mul(v, inverse), add(div(a, mul(edge, edge)), b)))
    log_rate = convert(log(convert(rate, dtypes.float64)), dtypes.float32)
    t = sub(sub(rounded(mul(k, log_rate)), rate), lgamma(add(k, 1.0)))
    outside = or_(lt(k, 0.0), and_(lt(edge, 0.013), gt(v, edge)))
    squeeze = sub(0.9277, div(3.6224, sub(b, 2.0)))
    inside = and_(ge(edge, 0.07), le(v, squeeze))
    accept = or_(inside, and_(not_(outside), le(s, t)))
    return select(accept, k, NOTHING)


def rounded(product: Value) -> Value:
    """Keep the compiler from joining a product and a sum, which NumPy rounds both.

    Where rates are great a bit more decides which tries are accepted; -3e38 is below
    all that can be. See test_compiled_poisson_numbers_are_those_of_eager_code.
    """
    return max(product, -3e38)
