"""SciPy's `minimize`, by the method of Broyden, Fletcher, Goldfarb and Shanno.

J. Nocedal and S. J. Wright, Numerical Optimization (2006): algorithm 6.1, with the line
search of algorithms 3.5 and 3.6. All of it is a loop, which compiles and maps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from pullback import dtypes
from pullback.calls.while_loop import while_loop
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.numpy import reductions
from pullback.numpy.arguments import array_argument, option, wrong_shape
from pullback.numpy.contraction import dot, outer
from pullback.numpy.promotion import as_inexact
from pullback.primitives import table
from pullback.primitives.linalg import identity
from pullback.transforms.derivatives import value_and_grad

__all__ = ["OptimizeResults", "minimize"]

#: Wolfe's conditions: a decrease of this part of the slope, a slope of that part.
_DECREASE, _CURVATURE = 1e-4, 0.9
_SEARCH_STEPS = 30


class OptimizeResults(NamedTuple):
    """What `minimize` found.

    Args:
        x: the place.
        success: whether the gradient is small enough.
        status: 0 then, 1 after too many steps, 3 if no step decreases the function.
        fun: the function there.
        jac: its gradient.
        hess_inv: an estimate of the inverse of its Hessian.
        nfev: how often the function was computed.
        njev: how often its gradient was.
        nit: the number of steps.
    """

    x: Value
    success: Value
    status: Value
    fun: Value
    jac: Value
    hess_inv: Value
    nfev: Value
    njev: Value
    nit: Value


class _State(NamedTuple):
    """Where the search is: place, function, gradient, inverse Hessian, counts."""

    x: Any
    f: Any
    g: Any
    h: Any
    evaluations: Any
    steps: Any
    failed: Any


def minimize(
    fun: Callable[..., Any],
    x0: Any,
    args: tuple[Any, ...] = (),
    *,
    method: str,
    tol: float | None = None,
    options: Mapping[str, Any] | None = None,
) -> OptimizeResults:
    """Find where a function of a vector is least; as `scipy.optimize.minimize`.

    For derivatives of what is found, use `implicit.root` on the gradient.

    Args:
        fun: a function of a vector [n], giving a number.
        x0: where to begin.
        args: what else `fun` takes.
        method: "BFGS".
        tol: how small the gradient must be, 1e-5 if None.
        options: "gtol" for `tol`, "norm" (np.inf) of the gradient, "maxiter" (200 n).

    Example:
        >>> import pullback.numpy as jnp
        >>> from pullback.scipy.optimize import minimize
        >>> found = minimize(lambda x: jnp.sum((x - 1)**2), jnp.zeros(2), method="BFGS")
        >>> print(found.x, found.success)
        [1. 1.] True
    """
    option("minimize", "method", method.upper(), ("BFGS",))
    x = as_inexact(x0, "minimize")
    if len(x.shape) != 1 or not x.shape[0] or dtypes.is_complex(x.dtype):
        raise wrong_shape(
            "minimize", f"was given x0 {x.aval}.", "Give a vector of real numbers."
        )
    known = {"gtol", "norm", "maxiter"}
    given = dict(options or {})
    if set(given) - known:
        raise ArgumentError(
            f"minimize was given options {sorted(set(given) - known)}.",
            where=called_at(),
            mend=f"It takes {', '.join(sorted(known))}.",
        )
    small = given.get("gtol", 1e-5 if tol is None else tol)
    most = given.get("maxiter", 200 * x.shape[0])
    slope_of = value_and_grad(lambda x: array_argument(fun(x, *args), "minimize"))
    return _bfgs(slope_of, x, small, given.get("norm", np.inf), most)


def _bfgs(
    slope_of: Callable[..., Any], x: Value, small: float, norm: float, most: int
) -> OptimizeResults:
    """Step until the gradient is small."""
    f, g = slope_of(x)
    eye = identity(x.shape[0], x.dtype)
    zero = table.convert(array_argument(0, ""), np.dtype(np.int32))
    start = _State(x, f, g, eye, zero + 1, zero, table.ne(zero, 0))

    def size(g: Value) -> Value:
        if norm == math.inf:
            return reductions.max(table.abs(g))
        return reductions.sum(table.abs(g) ** norm) ** (1 / norm)

    def open_(s: _State) -> Value:
        going = table.and_(table.gt(size(s.g), small), table.lt(s.steps, most))
        return table.and_(going, table.not_(s.failed))

    def step(s: _State) -> _State:
        down = table.neg(dot(s.h, s.g))
        length, f, g, count = _line_search(slope_of, s, down)
        failed = table.not_(table.gt(length, 0.0))
        change, turn = down * length, g - s.g
        h = _updated(s.h, change, turn, eye, table.eq(s.steps, 0))
        return _State(
            table.select(failed, s.x, s.x + change),
            table.select(failed, s.f, f),
            table.select(failed, s.g, g),
            table.select(failed, s.h, h),
            s.evaluations + count,
            s.steps + 1,
            failed,
        )

    end = while_loop(open_, step, start)
    success = table.le(size(end.g), small)
    status = table.select(success, zero, table.select(end.failed, zero + 3, zero + 1))
    return OptimizeResults(
        end.x,
        success,
        status,
        end.f,
        end.g,
        end.h,
        end.evaluations,
        end.evaluations,
        end.steps,
    )


def _updated(h: Value, change: Value, turn: Value, eye: Value, first: Value) -> Value:
    """Give the next estimate of the inverse Hessian, (6.17); the first is scaled."""
    product = dot(turn, change)
    fit = table.gt(product, 0.0)
    safe = table.select(fit, product, 1.0)
    # (6.20): the size of the true one along this step.
    scale = safe / table.select(fit, dot(turn, turn), 1.0)
    h = table.select(first, eye * scale, h)
    left = eye - outer(change, turn) / safe
    made = dot(dot(left, h), left.T) + outer(change, change) / safe
    return table.select(fit, made, h)


class _Search(NamedTuple):
    """A line search: its interval with functions and slopes, and the next length."""

    low: Any
    f_low: Any
    d_low: Any
    high: Any
    f_high: Any
    bracketed: Any
    length: Any
    f: Any
    g: Any
    found: Any
    count: Any


def _line_search(
    slope_of: Callable[..., Any], s: _State, down: Value
) -> tuple[Value, Value, Value, Value]:
    """Give a step length with its function, gradient and number of evaluations.

    Lengths grow until an interval has one that fulfils Wolfe's conditions; that is
    narrowed by the parabola through its ends. 0 where the function does not decrease.
    """
    d0 = dot(s.g, down)
    one = s.f * 0.0 + 1.0
    # Before the first step nothing is known of the scale.
    size = reductions.sum(table.abs(s.g))
    first = table.min(one, table.div(1.0, table.max(size, 1e-30)))
    trial = table.select(table.eq(s.steps, 0), first, one)
    flat = table.ne(one, one)
    start = _Search(
        one * 0, s.f, d0, one * 0, s.f, flat, trial, s.f, s.g, flat, s.evaluations * 0
    )

    def more(q: _Search) -> Value:
        return table.and_(table.not_(q.found), table.lt(q.count, _SEARCH_STEPS))

    def step(q: _Search) -> _Search:
        f, g = slope_of(s.x + down * q.length)
        d = dot(g, down)
        bound = s.f + d0 * q.length * _DECREASE
        # A nan or infinity is too far.
        bad = table.or_(table.not_(table.le(f, bound)), table.ge(f, q.f_low))
        good = table.and_(
            table.not_(bad), table.le(table.abs(d), table.abs(d0) * _CURVATURE)
        )
        # The end that is left: where the slope leads away from the new one.
        span = table.select(q.bracketed, q.high - q.low, one)
        past = table.and_(table.not_(bad), table.ge(d * span, 0.0))
        high = table.select(bad, q.length, table.select(past, q.low, q.high))
        f_high = table.select(bad, f, table.select(past, q.f_low, q.f_high))
        low = table.select(bad, q.low, q.length)
        f_low = table.select(bad, q.f_low, f)
        d_low = table.select(bad, q.d_low, d)
        bracketed = table.or_(q.bracketed, table.or_(bad, past))
        inner = _parabola(low, f_low, d_low, high, f_high)
        trial = table.select(bracketed, inner, q.length * 2.0)
        return _Search(
            low, f_low, d_low, high, f_high, bracketed,
            table.select(good, q.length, trial),
            table.select(bad, q.f, f), table.select(bad, q.g, g), good, q.count + 1,
        )  # fmt: skip

    end = while_loop(more, step, start)
    # Without both conditions, the best length that decreases the function.
    return table.select(end.found, end.length, end.low), end.f, end.g, end.count


def _parabola(
    low: Value, f_low: Value, d_low: Value, high: Value, f_high: Value
) -> Value:
    """Give the minimum of the parabola, off the ends; the middle if it has none."""
    width = high - low
    bend = (f_high - f_low - d_low * width) * 2.0
    curved = table.and_(table.gt(bend, 0.0), table.lt(bend, np.inf))
    share = table.neg(d_low * width) / table.select(curved, bend, 1.0)
    share = table.select(curved, share, 0.5)
    return low + width * table.min(table.max(share, 0.1), 0.9)
