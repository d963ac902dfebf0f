"""Reductions in steps that the compiler vectorises on the host.

It folds an axis of more than 32 elements in windows of 32, which are not fused with
what comes before, and take one element at a time if the axis is the last and its
elements no floats. A shorter axis that is not the last it folds with vectors, in one
loop with everything before it. So an axis is cut into groups of a few rows; then the
rows of each group are folded, then the groups, then what is left. Measured on 1e7
elements: the greatest int32 3.6 to 0.7 ms, `all` of booleans 0.54 to 0.13 ms, the
product of float32 2.2 to 0.5 ms, the place of the greatest float32 30 to 1.8 ms;
`benchmarks/wide.py`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

from pullback import dtypes
from pullback.core.aval import Aval
from pullback.primitives.recipes import LoweredValue
from pullback.primitives.table import compare

#: The least number of elements that is folded in steps.
ENOUGH = 2048
#: More groups than these are folded by themselves; fewer are fused with their rows.
FEW = 32
EXTREMES = ("maximum", "minimum")
#: How many rows make a group, how long they may be, and what both are best: loops over
#: more rows are not unrolled, and then not vectorised, if much is computed before.
ROWS, LENGTHS, BEST = range(2, 13), (32, 1024), (8, 256)


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


def fold(ctx: Any, op: str, x: Any, initial: Any) -> Any:
    """Emit the reduction of the middle one of three axes, in steps."""
    lines, n, inner = x.aval.shape
    if (few := small_factors(n)) and inner == 1:
        return ctx.reduce(op, reshaped(ctx, x, lines, *few, 1), initial, [1, 2])
    best = group(n, inner)
    if best is None:
        return fold_and_rest(ctx, op, x, initial)
    rows, length = best
    x = reshaped(ctx, x, lines, n // (rows * length), rows, length * inner)
    for axis in (2, 1):
        x = barrier(ctx, ctx.reduce(op, x, initial, [axis]))
    return ctx.reduce(op, reshaped(ctx, x, lines, length, inner), initial, [1])


def small_factors(n: int) -> tuple[int, int] | None:
    """Give two factors that are folded in one loop, if there are such."""
    found = [(k, n // k) for k in range(2, FEW) if not n % k and n // k < FEW]
    return min(found, key=max, default=None) if FEW < n < 4 * FEW else None


def fold_and_rest(ctx: Any, op: str, x: Any, initial: Any) -> Any:
    """Emit a reduction of a number of elements that has no good divisors."""
    lines, n, inner = x.aval.shape
    rows = BEST[0]
    length = max(LENGTHS[0], min(BEST[1], n // (rows * 2 * FEW) // 16 * 16))
    whole = n - n % (rows * length)
    # A piece of many lines is not read with vectors.
    if lines > 1 or inner > 1 or whole < ENOUGH or group(whole, 1) is None:
        return ctx.reduce(op, x, initial, [1])
    head = fold(ctx, op, cut(ctx, x, 0, whole), initial)
    tail = ctx.reduce(op, cut(ctx, x, whole, n), initial, [1])
    return ctx.emit(f"stablehlo.{op}", [head, tail], head.aval)


def extremum_or_nan(
    ctx: Any, op: str, x: Any, initial: Any, axes: Sequence[int]
) -> Any:
    """Emit the greatest or least of floats: nan where there is one.

    The compiler's own code for it passes nan over. A sum of sizes is nan where one of
    them is, and there only; at 1e5 float32 it takes 4 us, at 1e7 0.5 ms.
    """
    found = ctx.reduce(op, x, initial, axes)
    sizes = ctx.emit("stablehlo.abs", [x], x.aval)
    total = ctx.reduce("add", sizes, 0, axes)
    is_nan = compare("NE")(ctx, Aval(found.aval.shape, dtypes.bool_), total, total)
    return ctx.emit("stablehlo.select", [is_nan, total, found], found.aval)


def reduce_in_steps(
    ctx: Any, op: str, x: Any, initial: Any, axes: Sequence[int]
) -> Any:
    """Emit a reduction, on the host in steps where that is faster.

    Args:
        ctx: the emitter.
        op: the binary operation: "maximum", "and".
        x: the operand.
        initial: the value that changes nothing.
        axes: the axes, in ascending order.
    """
    aval = x.aval
    together = len(axes) == 1 + axes[-1] - axes[0]
    before, after = aval.shape[: axes[0]], aval.shape[axes[-1] + 1 :]
    n = math.prod(aval.shape[axes[0] : axes[-1] + 1])
    if ctx.platform == "cpu" and dtypes.is_float(aval.dtype) and op in EXTREMES:
        return extremum_or_nan(ctx, op, x, initial, axes)
    # Floats have their own vectorised code in the compiler, but for products.
    plain = dtypes.is_inexact(aval.dtype) and op != "multiply"
    if ctx.platform != "cpu" or plain or not together or n <= FEW or aval.size < ENOUGH:
        return ctx.reduce(op, x, initial, axes)
    inner = math.prod(after)
    if not inner:
        return ctx.reduce(op, x, initial, axes)
    x = reshaped(ctx, x, math.prod(before), n, inner)
    out = fold(ctx, op, x, initial)
    kept = Aval((*before, *after), aval.dtype, aval.weak)
    return ctx.emit("stablehlo.reshape", [out], kept)


# -- for `lower_as` --------------------------------------------------------------------


def computed_alone(ctx: Any, x: Any) -> LoweredValue:
    """Give a value that is not joined with the reductions that follow."""
    return LoweredValue(barrier(ctx, x.operand))


def read_block(ctx: Any, x: Any, start: Any, size: int) -> LoweredValue:
    """Read `size` elements of a vector from a place on."""
    attribute = f"slice_sizes = {ctx.ints([size])}"
    operands = [x.operand, start.operand]
    out = Aval((size,), x.aval.dtype)
    found = ctx.emit("stablehlo.dynamic_slice", operands, out, attribute)
    return LoweredValue(barrier(ctx, found))
