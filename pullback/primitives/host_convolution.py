"""Convolutions in groups, or of one feature, on the host: sums of shifted operands.

They are no large matrix product, which the compiler's own code makes of all. For 8
images of 64 x 64 with 32 features, each with its window of 3 x 3, it takes 20 ms, the
loop here 0.15; for the kernel's cotangent 7 ms, and 2.5.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from pullback import dtypes
from pullback.core.aval import Aval, Shape
from pullback.core.trace import Value
from pullback.primitives.contraction import DotGeneral
from pullback.primitives.host_reduce import barrier
from pullback.primitives.recipes import lower_as
from pullback.primitives.shaping import Pad, concatenate, slice_
from pullback.primitives.sliding import slide
from pullback.primitives.structural import expand_axes, move_axis, reshape
from pullback.primitives.table import add, mul

#: The most terms of a sum, or places of a result: each is an operation of its own.
MANY = 128


def is_separate(
    platform: str,
    x: Aval,
    kernel: Aval,
    out: Aval,
    steps: Sequence[tuple[int, int]],
    groups: tuple[int, int],
) -> bool:
    """Whether a convolution is computed here.

    Args:
        platform: where it runs.
        x, kernel, out: the types of its operands and its result.
        steps, groups: as for `emit_separate`.
    """
    if platform != "cpu" or 0 in (x.size, kernel.size, out.size):
        return False
    if x.dtype not in (dtypes.float32, dtypes.float64) or x.dtype != out.dtype:
        return False
    features, batches = groups
    if batches > 1:
        return math.prod(out.shape[2:]) <= MANY
    apart = features > 1 or kernel.shape[1] == 1
    if apart and math.prod(kernel.shape[1:]) <= MANY:
        return True
    vectors = x.shape[:2] == kernel.shape[:2] == (1, 1)
    return vectors and list(steps) == [(1, 1)]


def emit_separate(
    ctx: Any,
    x: Any,
    kernel: Any,
    space: Shape,
    edges: Sequence[tuple[int, int, int]],
    steps: Sequence[tuple[int, int]],
    groups: tuple[int, int],
) -> Any:
    """Emit a convolution place by place of the window, or of the result.

    Args:
        ctx: the emitter.
        x: the operand, (batch, features, space...).
        kernel: (output features, features of a group, window...).
        space: the lengths of the result's axes of space.
        edges: for each of the operand's, zeros before, after, and between elements.
        steps: for each, the steps from result to result and from tap to tap.
        groups: how many groups of features, and of the batch.
    """
    if any(map(any, edges)):
        # Kept apart, since zeros would be chosen anew for each place.
        zero = ctx.constant(0, Aval((), x.aval.dtype))
        padded = lower_as(ctx, Pad(((0, 0, 0), (0, 0, 0), *edges)), x, zero)
        x = barrier(ctx, padded)
    features, batches = groups
    if batches == 1 and math.prod(kernel.aval.shape[1:]) > MANY:
        return lower_as(ctx, slide_vectors, x, kernel)
    if batches > 1:
        return lower_as(
            ctx, lambda x, w: by_results(x, w, space, steps, batches), x, kernel
        )
    return lower_as(ctx, lambda x, w: by_taps(x, w, space, steps, features), x, kernel)


def slide_vectors(x: Value, kernel: Value) -> Value:
    """Convolve one image of one axis and one feature, with one window."""
    x, kernel = (reshape(z, (z.shape[2],)) for z in (x, kernel))
    return expand_axes(slide(x, kernel), (0, 1))


def by_taps(
    x: Value, kernel: Value, space: Shape, steps: Sequence[tuple[int, int]], groups: int
) -> Value:
    """Add up the operand, shifted by each place of the window, times its weight."""
    n = x.shape[0]
    outputs, inputs, *window = kernel.shape
    x = reshape(x, (n, groups, inputs, *x.shape[2:]))
    weights = reshape(kernel, (1, groups, outputs // groups, inputs, *window))
    strides = [stride for stride, _ in steps]
    total: Any = None
    for i, *tap in itertools.product(*map(range, (inputs, *window))):
        starts = [k * between for k, (_, between) in zip(tap, steps)]
        ends = [a + (m - 1) * s + 1 for a, m, s in zip(starts, space, strides)]
        low, high = (0, 0, i, *starts), (n, groups, i + 1, *ends)
        shifted = slice_(x, low, high, (1, 1, 1, *strides))
        low, high = (
            (0, 0, 0, i, *tap),
            (*weights.shape[:3], i + 1, *[k + 1 for k in tap]),
        )
        weight = reshape(
            slice_(weights, low, high), (*weights.shape[:3], *[1] * len(tap))
        )
        term = mul(shifted, weight)
        total = term if total is None else add(total, term)
    return reshape(total, (n, outputs, *space))


def by_results(
    x: Value, kernel: Value, space: Shape, steps: Sequence[tuple[int, int]], groups: int
) -> Value:
    """Give each place of the result as a product of a part and the kernel."""
    n, features = x.shape[:2]
    outputs, _, *window = kernel.shape
    kernel = reshape(kernel, (groups, outputs // groups, *kernel.shape[1:]))
    between = [step for _, step in steps]
    axes = tuple(range(2, 3 + len(space)))
    product = DotGeneral((axes, axes), ((0,), (0,)))
    found = []
    for place in itertools.product(*map(range, space)):
        starts = [k * stride for k, (stride, _) in zip(place, steps)]
        ends = [a + (m - 1) * s + 1 for a, m, s in zip(starts, window, between)]
        part = slice_(x, (0, 0, *starts), (n, features, *ends), (1, 1, *between))
        part = reshape(part, (groups, n // groups, features, *window))
        found.append(expand_axes(product(part, kernel), (3,)))
    whole = move_axis(concatenate(found, 3), 1, 0)
    return reshape(whole, (n // groups, outputs, *space))
