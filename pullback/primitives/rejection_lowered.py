"""Gamma numbers by rejection in compiled programs, as functions of values.

They split keys, and try, in the order of `rejection`, which says whose methods
these are. Every element is tried once, in one loop without branches; the one in twenty
that this leaves starts again from its key, in the loop of `unfinished`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pullback import dtypes
from pullback.backend.stablehlo import Emitter
from pullback.core.aval import Shape
from pullback.core.trace import Value
from pullback.primitives.creation import BitcastConvertType
from pullback.primitives.random_bits import emit_counts, emit_hash, emit_words
from pullback.primitives.recipes import LoweredValue, repeat_while
from pullback.primitives.reduction import reduce_or
from pullback.primitives.shaping import concatenate, split
from pullback.primitives.special import erf_inv
from pullback.primitives.structural import full, reshape
from pullback.primitives.table import (
    add,
    and_,
    convert,
    div,
    eq,
    exp,
    ge,
    le,
    log,
    log1p,
    lt,
    max,
    mul,
    neg,
    or_,
    rem,
    select,
    shift_left,
    shift_right_logical,
    sqrt,
    sub,
    xor,
)
from pullback.primitives.unfinished import FEW, finish, read

#: The two words of keys: vectors of `uint32`.
Words = tuple[Value, Value]

#: What stands for a number that was not found yet; numbers are positive, or nan.
NOTHING = -1.0
#: One in how many elements has a place in the buffer; 1 in 18 is left by the first try
#: in the worst case, alpha = 1.
SHARE = 16

# -- numbers from keys, one each -------------------------------------------------------


def hashed(ctx: Emitter, keys: Words, counts: Words) -> Words:
    """Hash one counter under each key."""
    operands = [x.operand for x in (*keys, *counts)]
    x0, x1 = emit_hash(ctx, *operands)
    return LoweredValue(x0), LoweredValue(x1)


def child(ctx: Emitter, keys: Words, i: int) -> Words:
    """Give the key `i` of those that each key splits into."""
    aval = keys[0].aval
    counts = [LoweredValue(ctx.constant(n, aval)) for n in (0, i)]
    return hashed(ctx, keys, (counts[0], counts[1]))


def children(ctx: Emitter, wanted: Sequence[tuple[Value, int]]) -> list[Value]:
    """Give several keys that keys split into, as integers of 64 bits.

    For each, `wanted` holds the keys and its number. One hash of a longer vector is
    much less code than a hash for each, and takes as long.
    """
    sizes = [keys.shape[0] for keys, _ in wanted]
    keys = concatenate([keys for keys, _ in wanted], 0)
    word = dtypes.uint32
    counts = concatenate([full((n,), i, word) for n, (_, i) in zip(sizes, wanted)], 0)
    found = hashed(ctx, words_of(keys), (full(keys.shape, 0, word), counts))
    return split(joined_words(*found), sizes, 0)


def words_of(keys: Value) -> Words:
    """Take the two words of keys of 64 bits."""
    high = shift_right_logical(keys, 32)
    return convert(high, dtypes.uint32), convert(keys, dtypes.uint32)


def joined_words(x0: Value, x1: Value) -> Value:
    """Join two words to one of 64 bits."""
    high, low = (convert(x, dtypes.uint64) for x in (x0, x1))
    return or_(shift_left(high, 32), low)


def floats_of_bits(x0: Value, x1: Value, dtype: dtypes.Dtype) -> Value:
    """Make numbers in [0, 1) of hashes, as `random.uniform` does."""
    if dtype == dtypes.float64:
        bits = shift_right_logical(joined_words(x0, x1), 12)
        return sub(BitcastConvertType(dtype)(or_(bits, 0x3FF0000000000000)), 1.0)
    bits = or_(shift_right_logical(xor(x0, x1), 9), 0x3F800000)
    return sub(BitcastConvertType(dtype)(bits), 1.0)


def normal_of_bits(x0: Value, x1: Value, dtype: dtypes.Dtype) -> Value:
    """Make normal numbers of hashes, as `random.normal` does."""
    low = np.nextafter(dtype.type(-1), dtype.type(0))
    u = floats_of_bits(x0, x1, dtype)
    u = max(add(mul(u, float(dtype.type(1) - low)), float(low)), float(low))
    return mul(erf_inv(u), number(math.sqrt(2), dtype))


def element_keys(ctx: Emitter, key: LoweredValue, shape: Shape) -> Words:
    """Give a key for each element of `shape`, whose leading axes are those of keys."""
    batch = key.shape[:-1]
    rest = shape[len(batch) :]
    words, counts = emit_words(ctx, key.operand, rest), emit_counts(ctx, batch, rest)
    x0, x1 = emit_hash(ctx, *words, *counts)
    n = (math.prod(shape),)
    return reshape(LoweredValue(x0), n), reshape(LoweredValue(x1), n)


def keys_at(ctx: Emitter, key: LoweredValue, shape: Shape, places: Value) -> Words:
    """Give the keys of the elements at some places of the vector of all."""
    count = math.prod(shape[len(key.shape) - 1 :])
    row = div(places, count)
    k0, k1 = (read(words, row) for words in rows_of(key))
    counts = words_of(convert(rem(places, count), dtypes.uint64))
    return hashed(ctx, (k0, k1), counts)


def rows_of(key: Value) -> Words:
    """Give the two words of keys `[*batch, 2]` as vectors."""
    rows = math.prod(key.shape[:-1])
    pairs = reshape(key, (rows, 2))
    k0, k1 = (reshape(part, (rows,)) for part in split(pairs, (1, 1), 1))
    return k0, k1


# -- gamma -----------------------------------------------------------------------------


def gamma(
    ctx: Emitter, key: LoweredValue, alpha: LoweredValue, log_space: bool
) -> Value:
    """Give gamma numbers or their logs: keys `[*batch, 2]`, alpha `[*batch, ...]`."""
    shape, dtype = alpha.shape, alpha.dtype
    n = math.prod(shape)
    if not n:
        return alpha
    wide = dtype if dtype.itemsize > 4 else dtypes.float32
    a = reshape(convert(alpha, wide), (n,))
    large = ge(a, 1.0)
    d = sub(select(large, a, add(a, 1.0)), number(1 / 3, wide))
    cube_keys, boost_keys = (
        child(ctx, element_keys(ctx, key, shape), i) for i in (0, 1)
    )
    if n <= FEW:
        cube = cubes_in_loop(ctx, cube_keys, d)
    else:
        cube = finish(
            ctx,
            first_try(ctx, cube_keys, d),
            is_missing,
            lambda places: cubes_in_loop(
                ctx, child(ctx, keys_at(ctx, key, shape, places), 0), read(d, places)
            ),
            n // SHARE + FEW // 2,
        )
    log_u = log1p(neg(floats_of_bits(*child(ctx, boost_keys, 0), wide)))
    nothing = or_(large, eq(log_u, 0.0))
    boost = select(nothing, 0.0, mul(log_u, div(1.0, a)))
    logs = add(add(log(d), log(cube)), boost)
    return reshape(convert(logs if log_space else exp(logs), dtype), shape)


def number(x: float, dtype: dtypes.Dtype) -> float:
    """Round a number to a dtype."""
    return float(dtype.type(x))


def is_missing(found: Value) -> Value:
    """Whether a number was not found yet."""
    return lt(found, 0.0)


def first_try(ctx: Emitter, keys: Words, d: Value) -> Value:
    """Try once for each key."""
    fresh = child(ctx, child(ctx, keys, 1), 1)
    x_bits = child(ctx, fresh, 0)
    u_bits = child(ctx, child(ctx, keys, 2), 0)
    return one_try(x_bits, u_bits, d)[1]


def one_try(x_bits: Words, u_bits: Words, d: Value) -> tuple[Value, Value]:
    """Try once with the hashes of a normal and a uniform number.

    Gives 1 + c x, and its cube if accepted.
    """
    dtype = d.dtype
    x, u = normal_of_bits(*x_bits, dtype), floats_of_bits(*u_bits, dtype)
    v = add(mul(x, div(number(1 / 3, dtype), sqrt(d))), 1.0)
    square = mul(x, x)
    cube = mul(mul(v, v), v)
    bound = add(mul(square, 0.5), mul(d, add(sub(1.0, cube), log(cube))))
    squeeze = sub(1.0, mul(mul(square, number(0.0331, dtype)), square))
    again = and_(ge(u, squeeze), ge(log(u), bound))
    return v, select(or_(again, le(v, 0.0)), NOTHING, cube)


def cubes_in_loop(ctx: Emitter, keys: Words, d: LoweredValue) -> Value:
    """Try until all numbers are found.

    A step tries a normal number for each element: the next one of the same try after
    one that gave no positive 1 + c x, the first one of the next try after a rejection.
    """

    def step(cube: Value, k: Value, x: Value) -> list[Value]:
        wanted = [(k, 0), (k, 2), (x, 0), (x, 1)]
        next_k, u, next_x, fresh = children(ctx, wanted)
        wanted = [(u, 0), (fresh, 0), (next_k, 1)]
        u_bits, x_bits, first_x = children(ctx, wanted)
        v, found = one_try(words_of(x_bits), words_of(u_bits), d)
        same = le(v, 0.0)
        return [
            select(is_missing(cube), found, cube),
            select(same, k, next_k),
            select(same, next_x, first_x),
        ]

    def going(cube: Value, *_: Value) -> Value:
        return reduce_or(is_missing(cube), (0,))

    start = full(d.shape, NOTHING, d.dtype)
    carry = [start, joined_words(*keys), joined_words(*child(ctx, keys, 1))]
    return repeat_while(ctx, going, step, carry)[0]
