"""Linear recurrences, which running products and such have as their derivatives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pullback.core.aval import Aval
from pullback.core.primitive import Primitive
from pullback.core.trace import Value
from pullback.core.zero import Zero, is_zero
from pullback.primitives.host_running import along_middle
from pullback.primitives.recipes import batch_to_front, lower_as
from pullback.primitives.scans import associative_scan
from pullback.primitives.shaping import pad
from pullback.primitives.structural import add_tangents, frozen
from pullback.primitives.table import add, mul


@frozen
class Recurrence(Primitive):
    """y[i] = a[i] y[i - 1] + b[i] along an axis, with y[-1] = 0.

    Operands are `a`, whose first element has no effect, and `b`, of one shape. If
    `backwards` it starts at the end.
    """

    axis: int
    backwards: bool = False

    linear = ((1,),)

    def abstract(self, a: Aval, b: Aval) -> Aval:
        return Aval(b.shape, b.dtype)

    # Each pass joins twice as many steps (Hillis and Steele, "Data parallel
    # algorithms", 1986).
    def eager(self, a: Any, b: Any) -> Any:
        if self.backwards:
            a, b = np.flip(a, self.axis), np.flip(b, self.axis)
        a, b = (np.moveaxis(np.array(x), self.axis, 0) for x in (a, b))
        done = 1
        while done < len(b):
            b[done:] = b[done:] + a[done:] * b[:-done]
            a[done:] = a[done:] * a[:-done]
            done *= 2
        out = np.moveaxis(b, 0, self.axis)
        return np.flip(out, self.axis) if self.backwards else out

    def lower(self, ctx: Any, a: Any, b: Any) -> Any:
        shape = b.aval.shape
        axis, n = self.axis, shape[self.axis]
        lines, inner = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
        if ctx.platform != "cpu" or not b.aval.size:
            return lower_as(ctx, self.by_pairs, a, b)

        def step(y: Any, a: Any, b: Any) -> Any:
            grown = ctx.emit("stablehlo.multiply", [a, y], y.aval)
            return ctx.emit("stablehlo.add", [grown, b], y.aval)

        start = ctx.constant(0, Aval((lines, 1, inner), b.aval.dtype))
        sizes = lines, n, inner
        return along_middle(ctx, step, [a, b], start, sizes, self.backwards)

    def by_pairs(self, a: Value, b: Value) -> Value:
        """Compute it by an associative scan of pairs."""

        def join(one: Any, two: Any) -> list[Value]:
            (a, b), (c, d) = one, two
            return [mul(a, c), add(mul(c, b), d)]

        return associative_scan(join, [a, b], self.axis, self.backwards)[1]

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (a, b), (s, t) = primals, tangents
        ans = self(a, b)
        if not is_zero(s):
            before = shifted(ans, self.axis, self.backwards, 0)
            t = add_tangents(t, mul(s, before))
        return ans, Zero(like=ans) if is_zero(t) else self(a, t)

    def transpose(self, ct: Any, a: Any, b: Any) -> Any:
        following = shifted(a, self.axis, not self.backwards, 0)
        return None, Recurrence(self.axis, not self.backwards)(following, ct)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        a, b = batch_to_front(size, operands, dims)
        return Recurrence(self.axis + 1, self.backwards)(a, b), 0


def recurrence(a: Value, b: Value, axis: int, backwards: bool = False) -> Value:
    """Give y[i] = a[i] y[i - 1] + b[i] along an axis, with y[-1] = 0."""
    return Recurrence(axis, backwards)(a, b)


def shifted(x: Value, axis: int, backwards: bool, fill: Any) -> Value:
    """Move elements to the next place along an axis, or to the one before."""
    edges = [(0, 0, 0)] * len(x.shape)
    edges[axis] = (-1, 1, 0) if backwards else (1, -1, 0)
    return pad(x, fill, edges)
