"""Running sums, products and extremes as loops, on the host.

The compiler makes trees of windows of them, which read and write every element several
times. A loop over the axis that combines whole rows uses vectors: for the columns of
3,162 x 3,162 float32 43 to 6.3 ms, of 316 x 316 290 to 41 us. A vector is taken as
rows, each of which starts with what the rows before it add up to: 1e5 float32 254 to
70 us; `benchmarks/wide.py`. Rows are turned to columns and back: of 512 x 512 float32,
343 to 131 us.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from pullback import dtypes
from pullback.core.aval import Aval
from pullback.primitives.host_reduce import reduce_in_steps, reshaped
from pullback.primitives.windows import emit_reduce_window, window_operation

#: The least number of elements, of steps, and of what is combined in one step.
ENOUGH, STEPS, TOGETHER = 4096, 16, 4
#: From this many elements on, last axes are left to the compiler: a loop is slower.
TOO_MANY = 2**20


@functools.cache
def step_count(n: int) -> int:
    """Give the divisor of `n` nearest its square root, 0 if none is any good."""
    most = n // (2 * STEPS)
    fits = [k for k in range(STEPS, most + 1) if not n % k and k * k < 16 * n]
    return min(fits, key=lambda k: abs(math.log(k * k / n)), default=0)


def run_in_loop(
    ctx: Any, op: str, x: Any, initial: Any, axis: int, backwards: bool
) -> Any:
    """Emit a running combination as a loop; None where that is no faster.

    Args:
        ctx: the emitter.
        op: the binary operation: "stablehlo.add".
        x: the operand.
        initial: the value that changes nothing.
        axis: the axis.
        backwards: whether it starts at the end.
    """
    shape, dtype = x.aval.shape, x.aval.dtype
    if ctx.platform != "cpu" or x.aval.size < ENOUGH or dtype == dtypes.bool_:
        return None
    lines, n, inner = math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])
    if inner == 1 and x.aval.size >= TOO_MANY:
        return None
    if lines * inner >= TOGETHER and n >= STEPS:
        start = ctx.constant(initial, Aval((lines, 1, inner), dtype))
    elif lines == inner == 1 and (steps := step_count(n)):
        lines, n = n // steps, steps
        name = op.removeprefix("stablehlo.")
        cube = reshaped(ctx, x, lines, n, 1)
        totals = reduce_in_steps(ctx, name, cube, initial, (1,))
        start = totals_before(ctx, op, totals, initial, backwards)
    else:
        return None

    def step(total: Any, found: Any) -> Any:
        return ctx.emit(op, [total, found], total.aval)

    return along_middle(ctx, step, [x], start, (lines, n, inner), backwards)


def along_middle(
    ctx: Any,
    step: Callable[..., Any],
    xs: Sequence[Any],
    start: Any,
    sizes: tuple[int, int, int],
    backwards: bool,
) -> Any:
    """Emit a loop along the middle one of three axes, and give its totals.

    Args:
        ctx: the emitter.
        step: gives the next total from the total and what stands there in each operand.
        xs: operands of one shape, whose elements are taken as those of `sizes`.
        start: the first total, with a middle axis of length one.
        sizes: the lengths of the three axes.
        backwards: whether it starts at the end.

    Returns:
        The totals in the shape of the operands.
    """
    lines, n, inner = sizes
    if inner > 1:
        cubes = [reshaped(ctx, x, lines, n, inner) for x in xs]
        out = loop(ctx, step, cubes, start, backwards)
    else:
        # Turned, so that what is combined in one step lies side by side.
        cubes = [
            reshaped(ctx, turned(ctx, reshaped(ctx, x, lines, n)), 1, n, lines)
            for x in xs
        ]
        out = loop(ctx, step, cubes, reshaped(ctx, start, 1, 1, lines), backwards)
        out = turned(ctx, reshaped(ctx, out, n, lines))
    return ctx.emit("stablehlo.reshape", [out], xs[0].aval)


def turned(ctx: Any, x: Any) -> Any:
    """Emit the transpose of a matrix."""
    rows, columns = x.aval.shape
    aval = Aval((columns, rows), x.aval.dtype)
    return ctx.write("stablehlo.transpose", [x], aval, ", dims = [1, 0]")


def totals_before(ctx: Any, op: str, totals: Any, initial: Any, backwards: bool) -> Any:
    """Emit for each row the combination of the totals of those before it."""
    rows = totals.aval.shape[0]
    totals = reshaped(ctx, totals, rows)
    edge = (0, rows) if backwards else (rows, 0)
    every = window_operation("sum", [rows], [1], (edge,))
    found = emit_reduce_window(ctx, every, totals, op, initial)
    first = int(backwards)
    bounds = (
        f"start_indices = {ctx.ints([first])}, "
        f"limit_indices = {ctx.ints([rows + first])}, strides = {ctx.ints([1])}"
    )
    kept = ctx.emit("stablehlo.slice", [found], totals.aval, bounds)
    return reshaped(ctx, kept, rows, 1, 1)


def loop(
    ctx: Any, step: Callable[..., Any], xs: Sequence[Any], start: Any, backwards: bool
) -> Any:
    """Emit the loop over the middle one of three axes."""
    whole = xs[0].aval
    _, n, _ = whole.shape
    count, bit, row = Aval((), dtypes.int32), Aval((), dtypes.bool_), start.aval
    compare = (
        "comparison_direction = #stablehlo<comparison_direction LT>, "
        "compare_type = #stablehlo<comparison_type SIGNED>"
    )

    def condition(i: Any, *_: Any) -> list[Any]:
        end = ctx.constant(n, count)
        return [ctx.emit("stablehlo.compare", [i, end], bit, compare)]

    def body(i: Any, total: Any, out: Any, *xs: Any) -> list[Any]:
        zero, one = ctx.constant(0, count), ctx.constant(1, count)
        place = i
        if backwards:
            last = ctx.constant(n - 1, count)
            place = ctx.emit("stablehlo.subtract", [last, i], count)
        places = [zero, place, zero]
        sizes = f"slice_sizes = {ctx.ints(row.shape)}"
        found = [
            ctx.emit("stablehlo.dynamic_slice", [x, *places], row, sizes) for x in xs
        ]
        total = step(total, *found)
        out = ctx.emit("stablehlo.dynamic_update_slice", [out, total, *places], whole)
        return [ctx.emit("stablehlo.add", [i, one], count), total, out, *xs]

    given = [ctx.constant(0, count), start, ctx.constant(0, whole), *xs]
    return ctx.loop(given, condition, body)[2]
