"""Loops on those elements of a vector that are not finished, in compiled programs.

Where nearly all elements are finished by a first computation, the others are packed
into a buffer of a fixed size, computed there, and written back; again, if there were
more than the buffer holds. For `lower_as`: all functions take and give its values.
"""

from __future__ import annotations

from collections.abc import Callable

from pullback import dtypes
from pullback.backend.stablehlo import Emitter
from pullback.core.trace import Value
from pullback.primitives.creation import Iota
from pullback.primitives.cumulative import CumSum
from pullback.primitives.indexing import (
    PROMISE,
    element_numbers,
    gather,
    scatter,
)
from pullback.primitives.places import ScatterDimensionNumbers
from pullback.primitives.recipes import LoweredValue, repeat_while
from pullback.primitives.reduction import reduce_or
from pullback.primitives.shaping import pad
from pullback.primitives.structural import expand_axes, full, reduce_sum, reshape
from pullback.primitives.table import (
    add,
    and_,
    convert,
    ge,
    gt,
    le,
    min,
    mul,
    population_count,
    select,
    shift_left,
    shift_right_logical,
    sub,
)

#: How many elements make a word of bits, and what divides the number of many words.
BITS, ROW = 32, 256
#: Vectors of up to so many elements are not packed, but tried in a loop as they are.
FEW = 128


def finish(
    ctx: Emitter,
    found: LoweredValue,
    unfinished: Callable[[Value], Value],
    compute: Callable[[Value], Value],
    slots: int,
) -> LoweredValue:
    """Compute again what is not finished, a buffer at a time.

    Args:
        ctx: the emitter.
        found: a vector.
        unfinished: which of its elements are not finished.
        compute: gives the finished elements at some places. Elements that were
            finished before may be among them, and are replaced.
        slots: how many places are computed together.
    """

    def step(found: Value) -> list[Value]:
        places = places_of(ctx, unfinished(found), slots)
        return [write(found, places, compute(places))]

    def going(found: Value) -> Value:
        return reduce_or(unfinished(found), (0,))

    return repeat_while(ctx, going, step, [found])[0]


def read(x: Value, places: Value) -> Value:
    """Give the elements of a vector at some places."""
    numbers = element_numbers((0,), 1, 1)
    return gather(x, expand_axes(places, (1,)), numbers, (1,), PROMISE)


def write(x: Value, places: Value, elements: Value) -> Value:
    """Give a vector with other elements at some places."""
    numbers = ScatterDimensionNumbers((), (0,), (0,))
    return scatter("set", x, expand_axes(places, (1,)), elements, numbers, PROMISE)


# -- where they are --------------------------------------------------------------------


def places_of(ctx: Emitter, chosen: Value, slots: int) -> Value:
    """Give places that are chosen, each once; where there are too few, any places.

    Elements that lie `width` apart make a word of bits, which takes vector operations
    only. A slot finds its word by bisection of the running counts of bits, and its bit
    by bisection of the word.
    """
    (n,) = chosen.shape
    index = dtypes.int32 if n < 2**31 else dtypes.int64
    width = -(-n // BITS)
    # Running sums are vectorised where the length has divisors: `host_running`.
    width = width if width < 16 * ROW else -(-width // ROW) * ROW
    rows = reshape(pad(chosen, False, [(0, BITS * width - n, 0)]), (BITS, width))
    bits = shift_left(
        convert(rows, dtypes.uint32), Iota(dtypes.uint32, (BITS, width), 0)()
    )
    words = reduce_sum(bits, (0,))
    counts = convert(population_count(words), index)
    until = CumSum(0)(counts)
    slot = Iota(index, (slots,), 0)()
    which = first_above(ctx, until, slot)
    before = sub(read(until, which), read(counts, which))
    bit = nth_bit(read(words, which), sub(slot, before), index)
    return min(add(which, mul(bit, width)), n - 1)


def first_above(ctx: Emitter, ascending: Value, bounds: Value) -> Value:
    """Give the first place of an ascending vector that is above each bound.

    The last place, where none is.
    """
    (n,), (m,), index = ascending.shape, bounds.shape, bounds.dtype
    if n <= BITS:
        pair = reshape(ascending, (n, 1)), reshape(bounds, (1, m))
        return min(reduce_sum(convert(le(*pair), index), (0,)), n - 1)

    def step(found: Value, width: Value) -> list[Value]:
        # If what stands before `trial` is not above, nothing before that is.
        trial = add(found, width)
        last = read(ascending, min(sub(trial, 1), n - 1))
        closer = select(le(last, bounds), trial, found)
        return [closer, shift_right_logical(width, 1)]

    half = full((), 1 << ((n - 1).bit_length() - 1), index)
    carry = [full((m,), 0, index), half]
    found = repeat_while(ctx, lambda found, width: gt(width, 0), step, carry)[0]
    return min(found, n - 1)


def nth_bit(words: Value, n: Value, index: dtypes.Dtype) -> Value:
    """Give the place of the bit of each word that has `n` set bits below it."""
    place = full(words.shape, 0, index)
    width = BITS
    while width := width // 2:
        below = convert(population_count(and_(words, (1 << width) - 1)), index)
        higher = ge(n, below)
        n = select(higher, sub(n, below), n)
        words = select(higher, shift_right_logical(words, width), words)
        place = select(higher, add(place, width), place)
    return place
