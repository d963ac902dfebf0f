"""Reductions in steps that the compiler vectorises on the host.

It folds an axis of more than 32 elements in windows of 32, which are not fused with
what comes before, and take one element at a time if the axis is the last and its
elements no floats. A shorter axis that is not the last it folds with vectors, in one
loop with everything before it. So an axis that others follow is cut into groups of a
few rows; then the rows of each group are folded, then the groups, then what is left; if
the rows are wide, group by group until one is left. Of
the last axis pieces of 32 elements are laid upon each other, of a stretch of it at a
time, then the elements of each are folded, then the stretches. Measured on 1e7
elements: the greatest int32 3.6 to 0.4 ms, the greatest float32 1.3 to 0.5 ms, the
product of float32 2.2 to 0.5 ms, the place of the greatest float32 30 to 1.8 ms; on
5e5, the greatest of rows of 500 numbers 0.26 to 0.09 ms, of their exponentials 1.0 to
0.15; `benchmarks/wide.py`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.aval import Aval
from pullback.core.trace import Value
from pullback.dtypes import Dtype
from pullback.primitives.creation import BitcastConvertType
from pullback.primitives.own_loops import store
from pullback.primitives.recipes import LoweredValue, lower_as
from pullback.primitives.table import add, and_, shift_right_arithmetic, sub, xor

#: The least number of elements that is folded in steps.
ENOUGH = 256
#: More groups than these are folded by themselves; fewer are fused with their rows.
FEW = 32
EXTREMES = ("maximum", "minimum")
#: Operations that may meet an element twice.
REPEATABLE = (*EXTREMES, "and", "or")
#: Of how many pieces a stretch is made at the most: more are not joined in one loop.
PIECES = 12
#: How many rows make a group, how long they may be, and what both are best.
ROWS, LENGTHS, BEST = range(2, 13), (32, 1024), (8, 256)
#: From how many numbers on an element is a row that fills vectors by itself.
WIDE = 64


@functools.cache
def group(n: int, inner: int) -> tuple[int, int] | None:
    """Give how many rows of what length make a group of `n` elements, if any do.

    Args:
        n: the length of the axis.
        inner: how many numbers an element has.
    """
    low = -(-LENGTHS[0] // inner)
    # What is computed before is dearer where axes are joined.
    high = LENGTHS[1] // inner if low > 1 else 1
    found = [
        (rows, length)
        for length in range(low, min(high, n) + 1)
        if not n % length
        for rows in ROWS
        if not n // length % rows and not 1 < n // length // rows <= FEW
    ]

    def unfit(g: tuple[int, int]) -> tuple[bool, float]:
        rows, width = g[0], g[1] * inner
        far = abs(math.log(rows / BEST[0])) + abs(math.log(width / BEST[1]))
        return width % 16 != 0, far

    return min(found, key=unfit, default=None)


def barrier(ctx: Any, x: Any) -> Any:
    """Emit that `x` is to be computed by itself: two reductions become one else."""
    return ctx.emit_many("stablehlo.optimization_barrier", [x], [x.aval])[0]


def reshaped(ctx: Any, x: Any, *shape: int) -> Any:
    """Emit a reshape."""
    return ctx.emit("stablehlo.reshape", [x], Aval(shape, x.aval.dtype))


def opposite(ctx: Any, x: Any) -> Any:
    """Emit the opposite of truth values."""
    return ctx.emit("stablehlo.not", [x], x.aval)


def cut(ctx: Any, x: Any, start: int, limit: int) -> Any:
    """Emit a piece of the middle one of three axes."""
    lines, _, inner = x.aval.shape
    attributes = (
        f"start_indices = {ctx.ints([0, start, 0])}, "
        f"limit_indices = {ctx.ints([lines, limit, inner])}, "
        f"strides = {ctx.ints([1, 1, 1])}"
    )
    out = Aval((lines, limit - start, inner), x.aval.dtype)
    return ctx.emit("stablehlo.slice", [x], out, attributes)


def fold(ctx: Any, op: str, x: Any, initial: Any, wide: Dtype | None = None) -> Any:
    """Emit the reduction of the middle one of three axes, in steps.

    Args:
        ctx: the emitter.
        op: the binary operation.
        x: the operand.
        initial: the value that changes nothing.
        wide: the dtype of the result, if that of `x` has room for a few rows only.
    """
    wide = wide or x.aval.dtype
    lines, n, inner = x.aval.shape
    if inner == 1 and op == "and" and wide == dtypes.bool_:
        # Of truth values the compiler has a good loop for "or" only: 13 us, not 51.
        some = fold_line(ctx, "or", opposite(ctx, x), False, wide)
        return opposite(ctx, some)
    if inner == 1:
        return fold_line(ctx, op, x, initial, wide)
    if inner >= WIDE:
        return fold_wide(ctx, op, x, wide)
    best = group(n, inner)
    if best is None:
        return reduced(ctx, op, ctx.convert(x, wide), initial, [1])
    rows, length = best
    count = n // (rows * length)
    x = fold_rows(ctx, op, reshaped(ctx, x, lines * count, rows, length * inner))
    x = reshaped(ctx, ctx.convert(x, wide), lines, count, length * inner)
    x = barrier(ctx, reduced(ctx, op, x, initial, [1]))
    x = reshaped(ctx, x, lines, length, inner)
    return reduced(ctx, op, x, initial, [1])


def fold_wide(ctx: Any, op: str, x: Any, wide: Dtype) -> Any:
    """Emit the reduction of the middle one of three axes, whose elements are rows.

    The combination of a few rows is one loop with what they are computed by; rows
    left over are folded by themselves.
    """
    lines, n, inner = x.aval.shape
    if n <= ROWS[-1]:
        return ctx.convert(reshaped(ctx, fold_rows(ctx, op, x), lines, inner), wide)
    divisors = [rows for rows in ROWS[2:] if not n % rows]
    if not divisors:
        whole = n - n % BEST[0]
        parts = [cut(ctx, x, 0, whole), cut(ctx, x, whole, n)]
        return combined(ctx, op, [fold_wide(ctx, op, p, wide) for p in parts])
    rows = min(divisors, key=lambda k: abs(k - BEST[0]))
    x = fold_rows(ctx, op, reshaped(ctx, x, lines * (n // rows), rows, inner))
    x = store(ctx, ctx.convert(x, wide))
    return fold_wide(ctx, op, reshaped(ctx, x, lines, n // rows, inner), wide)


def fold_line(ctx: Any, op: str, x: Any, initial: Any, wide: Dtype) -> Any:
    """Emit the reduction of an axis whose elements lie next to each other.

    It is cut into stretches, each stretch into pieces that are laid upon each other.
    """
    lines, n, _ = x.aval.shape
    if n <= FEW:
        return reduced(ctx, op, ctx.convert(x, wide), initial, [1])
    length = stretch(n)
    if length is None:
        whole = n - n % BEST[1]
        parts = [cut(ctx, x, 0, whole), cut(ctx, x, whole, n)]
        folded = [fold_line(ctx, op, part, initial, wide) for part in parts]
        return combined(ctx, op, folded)
    x = reshaped(ctx, x, lines * (n // length), length, 1)
    x = fold_pieces(ctx, op, x, initial, wide)
    if length == n:
        return x
    x = barrier(ctx, reshaped(ctx, x, lines, n // length, 1))
    return fold_line(ctx, op, x, initial, wide)


@functools.cache
def stretch(n: int) -> int | None:
    """Give a good length of the stretches that `n` elements are cut into, if any is."""
    most = FEW * PIECES
    found = [k for k in range(FEW + 1, min(n, most) + 1) if not n % k]
    return min(found, key=lambda k: (k % FEW != 0, abs(k - BEST[1])), default=None)


def fold_pieces(ctx: Any, op: str, x: Any, initial: Any, wide: Dtype) -> Any:
    """Emit the reduction of lines of a few times `FEW` elements.

    The last piece begins in the one before it, if that does no harm.
    """
    n = x.aval.shape[1]
    rest = 0 if op in REPEATABLE else n % FEW
    starts = [min(i, n - FEW) for i in range(0, n - rest, FEW)]
    parts = [combined(ctx, op, [cut(ctx, x, i, i + FEW) for i in starts])]
    if rest:
        parts.append(cut(ctx, x, n - rest, n))
    within = dtypes.int32 if narrow(x.aval.dtype) else wide
    folded = [reduced(ctx, op, ctx.convert(p, within), initial, [1]) for p in parts]
    return ctx.convert(combined(ctx, op, folded), wide)


def narrow(dtype: Dtype) -> bool:
    """Whether the compiler has no good loop over a row of such integers."""
    return dtype.kind in "biu" and dtype.itemsize < 4


def fold_rows(ctx: Any, op: str, x: Any) -> Any:
    """Emit the combination of the few rows that the middle one of three axes has.

    As a reduction it would be a loop inside of a loop, which is not unrolled, and then
    not vectorised, if much is computed before: the greatest of the sines of 1e7 numbers
    took 80 ms, and takes 2.8.
    """
    rows = [cut(ctx, x, i, i + 1) for i in range(x.aval.shape[1])]
    return barrier(ctx, combined(ctx, op, rows))


def combined(ctx: Any, op: str, parts: list[Any]) -> Any:
    """Emit the combination of arrays of one shape, as a tree."""
    while len(parts) > 1:
        pairs = [parts[i : i + 2] for i in range(0, len(parts), 2)]
        parts = [
            ctx.emit(f"stablehlo.{op}", pair, pair[0].aval) if pair[1:] else pair[0]
            for pair in pairs
        ]
    return parts[0]


def reduced(ctx: Any, op: str, x: Any, initial: Any, axes: Sequence[int]) -> Any:
    """Emit one reduction; the greatest or least of floats is nan if one of them is.

    The compiler's reductions of floats pass nan over, unlike its operations on two
    numbers. So these are reductions of integers in the same order.
    """
    dtype = x.aval.dtype
    if not (ctx.platform == "cpu" and dtypes.is_float(dtype) and op in EXTREMES):
        return ctx.reduce(op, x, initial, axes)
    if dtype.itemsize == 1:  # float16 holds all of them
        x = ctx.convert(x, dtypes.float16)
    wide = x.aval.dtype
    step = nan_count(wide) * (1 if op == "minimum" else -1)
    keys = lower_as(ctx, lambda x: keys_of(x, step), x)
    bounds = np.iinfo(keys.aval.dtype)
    first = int(bounds.max if op == "minimum" else bounds.min)
    best = ctx.reduce(op, keys, first, axes)
    return ctx.convert(lower_as(ctx, lambda k: of_keys(k, step, wide), best), dtype)


def nan_count(dtype: Dtype) -> int:
    """Give how many nans of one sign there are: those whose bits exceed infinity's."""
    integer = np.dtype(f"i{dtype.itemsize}")
    return int(np.iinfo(integer).max - np.array(np.inf, dtype).view(integer))


def keys_of(x: Value, step: int) -> Value:
    """Give signed integers in the order of floats, nans of both signs at one end.

    Args:
        x: the floats.
        step: how many nans of a sign there are, negative if they are to be the
            greatest: as many places on, those at the other end come round.
    """
    return add(mirrored(BitcastConvertType(np.dtype(f"i{x.dtype.itemsize}"))(x)), step)


def of_keys(keys: Value, step: int, dtype: Dtype) -> Value:
    """Give the floats whose keys these are."""
    return BitcastConvertType(dtype)(mirrored(sub(keys, step)))


def mirrored(bits: Value) -> Value:
    """Turn over all bits but the sign of negative integers: a size falls then."""
    last = 8 * bits.dtype.itemsize - 1
    return xor(bits, and_(shift_right_arithmetic(bits, last), 2**last - 1))


def reduce_in_steps(
    ctx: Any,
    op: str,
    x: Any,
    initial: Any,
    axes: Sequence[int],
    wide: Dtype | None = None,
) -> Any:
    """Emit a reduction, on the host in steps where that is faster.

    Args:
        ctx: the emitter.
        op: the binary operation: "maximum", "and".
        x: the operand.
        initial: the value that changes nothing.
        axes: the axes, in ascending order.
        wide: the dtype of the result, if that of `x` has room for a few rows only.
    """
    aval = x.aval
    wide = wide or aval.dtype
    # Sums of floats have their own vectorised code in the compiler.
    plain = dtypes.is_inexact(aval.dtype) and op == "add"
    if ctx.platform != "cpu" or plain or aval.size < ENOUGH:
        return reduced(ctx, op, ctx.convert(x, wide), initial, axes)
    apart = [a for a in axes if axes[-1] - a > sum(a < b for b in axes)]
    together = axes[len(apart) :]
    before, after = aval.shape[: together[0]], aval.shape[together[-1] + 1 :]
    n, inner = math.prod(aval.shape[a] for a in together), math.prod(after)
    if n <= FEW or not inner:
        return reduced(ctx, op, ctx.convert(x, wide), initial, axes)
    if apart:
        x = reduce_in_steps(ctx, op, x, initial, together, wide)
        return reduce_in_steps(ctx, op, x, initial, apart)
    x = reshaped(ctx, x, math.prod(before), n, inner)
    out = fold(ctx, op, x, initial, wide)
    kept = Aval((*before, *after), wide, aval.weak)
    return ctx.emit("stablehlo.reshape", [out], kept)


# -- for `lower_as` --------------------------------------------------------------------


def computed_alone(ctx: Any, x: Any) -> LoweredValue:
    """Give a value that is not joined with the reductions that follow."""
    return LoweredValue(barrier(ctx, x.operand))


def greatest_of_rows(ctx: Any, x: Any) -> LoweredValue:
    """Give the greatest of each row of unsigned integers, 64 of which divide a row.

    What they are computed by is joined with a loop, as it is no long computation:
    `fold_rows` would have them computed and written first.
    """
    lines, n = x.aval.shape
    x = reshaped(ctx, x.operand, lines, 8, n // 8)
    x = reshaped(ctx, barrier(ctx, ctx.reduce("maximum", x, 0, [1])), lines, 8, n // 64)
    x = reshaped(ctx, fold_rows(ctx, "maximum", x), lines, n // 64)
    return LoweredValue(ctx.reduce("maximum", x, 0, [1]))


def read_block(ctx: Any, x: Any, start: Any, size: int) -> LoweredValue:
    """Read `size` elements of a vector from a place on."""
    attribute = f"slice_sizes = {ctx.ints([size])}"
    operands = [x.operand, start.operand]
    out = Aval((size,), x.aval.dtype)
    found = ctx.emit("stablehlo.dynamic_slice", operands, out, attribute)
    return LoweredValue(barrier(ctx, found))
