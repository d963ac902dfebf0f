"""Running sums, products and extrema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from pullback import dtypes
from pullback.core.aval import Aval
from pullback.core.primitive import Primitive
from pullback.core.trace import Value
from pullback.core.zero import Zero, is_zero
from pullback.primitives import table
from pullback.primitives.creation import broadcasted_iota
from pullback.primitives.host_running import run_in_loop
from pullback.primitives.indexing import PROMISE, take_along_axis
from pullback.primitives.recipes import Linear, lower_as
from pullback.primitives.recurrence import recurrence, shifted
from pullback.primitives.reduction import highest, lowest
from pullback.primitives.scans import associative_scan
from pullback.primitives.structural import frozen
from pullback.primitives.table import (
    add,
    eq,
    exp,
    gt,
    is_finite,
    log,
    mul,
    select,
    stop_gradient,
    sub,
)
from pullback.primitives.windows import emit_reduce_window, window_operation


@frozen
class Cumulative(Primitive):
    """A running combination along an axis, from the end if `backwards`."""

    axis: int
    backwards: bool = False

    ufunc: ClassVar[np.ufunc]
    combine: ClassVar[Callable[[Value, Value], Value]]
    hlo: ClassVar[str | None] = None

    def abstract(self, x: Aval) -> Aval:
        return x

    def eager(self, x: Any) -> Any:
        if self.backwards:
            x = np.flip(x, self.axis)
        out = self.ufunc.accumulate(x, self.axis, x.dtype)
        return np.flip(out, self.axis) if self.backwards else out

    def lower(self, ctx: Any, x: Any) -> Any:
        n = x.aval.shape[self.axis]
        if self.hlo is None or ctx.platform != "cpu" or n < 2:
            return lower_as(ctx, self.scan, x)
        initial = self.initial(x.aval.dtype)
        found = run_in_loop(ctx, self.hlo, x, initial, self.axis, self.backwards)
        if found is not None:
            return found
        # The compiler makes a tree of windows of this, in a fifth of the time that it
        # takes for our scan, and as fast to run.
        window = [n if i == self.axis else 1 for i in range(x.aval.ndim)]
        edge = (0, n - 1) if self.backwards else (n - 1, 0)
        padding = tuple(edge if i == self.axis else (0, 0) for i in range(x.aval.ndim))
        every = window_operation("sum", window, [1] * x.aval.ndim, padding)
        return emit_reduce_window(ctx, every, x, self.hlo, initial)

    def initial(self, dtype: dtypes.Dtype) -> Any:
        """Give the value that changes nothing."""
        raise NotImplementedError

    def scan(self, x: Value) -> Value:
        """Compute it with other operations."""
        combine = type(self).combine
        (out,) = associative_scan(
            lambda a, b: [combine(a[0], b[0])], [x], self.axis, self.backwards
        )
        return out

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        (x,), (d,) = operands, dims
        return type(self)(self.axis + (self.axis >= d), self.backwards)(x), d


@frozen
class CumSum(Linear, Cumulative):
    """The running sum along an axis."""

    name = "cumsum"
    ufunc = np.add
    combine = add
    hlo = "stablehlo.add"

    def initial(self, dtype: dtypes.Dtype) -> Any:
        return 0

    def transpose(self, ct: Any, x: Any) -> Any:
        return (CumSum(self.axis, not self.backwards)(ct),)


@frozen
class CumProd(Cumulative):
    """The running product along an axis."""

    name = "cumprod"
    ufunc = np.multiply
    combine = mul
    hlo = "stablehlo.multiply"

    def initial(self, dtype: dtypes.Dtype) -> Any:
        return 1

    # By the product rule step by step, so that zeros among the factors are nothing
    # special: d(p x) = x dp + p dx.
    def jvp(self, primals: Any, tangents: Any) -> Any:
        (x,), (t,) = primals, tangents
        ans = self(x)
        if is_zero(t):
            return ans, Zero(like=ans)
        before = shifted(ans, self.axis, self.backwards, 1)
        return ans, recurrence(x, mul(before, t), self.axis, self.backwards)


@frozen
class CumLogSumExp(Cumulative):
    """The logarithm of the running sum of exponentials along an axis."""

    name = "cumlogsumexp"
    ufunc = np.logaddexp

    @staticmethod
    def combine(x: Value, y: Value) -> Value:
        return log_add_exp(x, y)

    def eager(self, x: Any) -> Any:
        narrow = x.dtype.kind != "f"
        wide = x.astype(np.float32) if narrow else x
        return Cumulative.eager(self, wide).astype(x.dtype, copy=False)

    # A mean of the tangent so far and the next, weighted by the shares of the sum.
    def jvp(self, primals: Any, tangents: Any) -> Any:
        (x,), (t,) = primals, tangents
        ans = self(x)
        if is_zero(t):
            return ans, Zero(like=ans)
        before = shifted(ans, self.axis, self.backwards, -np.inf)
        # Where all are -inf the weights are exp(-inf) = 0, not exp(-inf + inf).
        level = select(is_finite(ans), ans, 0.0)
        kept, gained = (exp(sub(v, level)) for v in (before, x))
        return ans, recurrence(kept, mul(gained, t), self.axis, self.backwards)


def log_add_exp(x: Value, y: Value) -> Value:
    """Give log(exp(x) + exp(y)) without overflow, with all derivatives.

    The level cancels, so it counts as constant: no kink of `max` gets into derivatives.
    """
    top = stop_gradient(table.max(x, y))
    level = select(is_finite(top), top, 0.0)
    total = add(exp(sub(x, level)), exp(sub(y, level)))
    positive = gt(total, 0.0)
    return select(positive, add(level, log(select(positive, total, 1.0))), top)


class RunningExtremum(Cumulative):
    """The common derivative of running maximum and minimum."""

    __slots__ = ()

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (x,), (t,) = primals, tangents
        ans = self(x)
        if is_zero(t):
            return ans, Zero(like=ans)
        # The tangent of the latest element that attains the extremum so far.
        index = dtypes.canonical("int64")
        places = broadcasted_iota(index, x.shape, self.axis)
        attained = eq(x, ans)
        if self.backwards:
            n = x.shape[self.axis]
            latest = CumMin(self.axis, True)(select(attained, places, n - 1))
        else:
            latest = CumMax(self.axis)(select(attained, places, 0))
        return ans, take_along_axis(t, latest, self.axis, PROMISE)


@frozen
class CumMax(RunningExtremum):
    """The running maximum along an axis."""

    name = "cummax"
    ufunc = np.maximum
    combine = table.max
    hlo = "stablehlo.maximum"

    def initial(self, dtype: dtypes.Dtype) -> Any:
        return lowest(dtype)


@frozen
class CumMin(RunningExtremum):
    """The running minimum along an axis."""

    name = "cummin"
    ufunc = np.minimum
    combine = table.min
    hlo = "stablehlo.minimum"

    def initial(self, dtype: dtypes.Dtype) -> Any:
        return highest(dtype)


def cumsum(x: Value, axis: int, backwards: bool = False) -> Value:
    """Sum along a non-negative axis, keeping all partial sums."""
    return CumSum(axis, backwards)(x)


def cumprod(x: Value, axis: int, backwards: bool = False) -> Value:
    """Multiply along a non-negative axis, keeping all partial products."""
    return CumProd(axis, backwards)(x)


def cummax(x: Value, axis: int, backwards: bool = False) -> Value:
    """Give the greatest element so far along a non-negative axis."""
    return CumMax(axis, backwards)(x)


def cummin(x: Value, axis: int, backwards: bool = False) -> Value:
    """Give the least element so far along a non-negative axis."""
    return CumMin(axis, backwards)(x)


def cumlogsumexp(x: Value, axis: int, backwards: bool = False) -> Value:
    """Sum exponentials along a non-negative axis, keeping all logarithms."""
    return CumLogSumExp(axis, backwards)(x)
