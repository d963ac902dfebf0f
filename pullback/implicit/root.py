"""Roots f(x) = 0, differentiable in whatever f captures or takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback import numpy as jnp
from pullback.calls.while_loop import while_loop
from pullback.core.calling import check_callable
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.implicit.decorator import implicitly
from pullback.implicit.fixed_point import largest
from pullback.implicit.krylov import divided
from pullback.implicit.linear_solve import VectorSolver, tree_solver
from pullback.implicit.solution import Info, Solution, default_tolerance, report
from pullback.implicit.vectors import Packing, VectorFunction
from pullback.transforms.vjp import linearize

#: How often Newton's method halves a step that does not make the residual smaller.
_HALVINGS = 10


def newton(f: VectorFunction, x0: Value, tol: Any, max_iter: int) -> tuple[Value, Info]:
    """Follow the tangent, each step halved until it makes the residual smaller.

    Deuflhard, Newton methods for nonlinear problems (2004), chapter 3. The error is the
    largest element of the residual.
    """
    solver = VectorSolver("auto")

    def going(state: Any) -> Value:
        _, residual, count = state
        error = largest(residual)
        return (error > tol) & (count < max_iter)

    def step(state: Any) -> Any:
        x, residual, count = state
        _, product = linearize(f, x)
        direction, _ = solver(product, -residual)
        x, residual = shortened(f, x, direction, residual)
        return x, residual, count + 1

    state = while_loop(going, step, (x0, f(x0), jnp.asarray(0)))
    # Convergence is quadratic: one more step gives all the digits there are.
    last = step(state)
    better = largest(last[1]) < largest(state[1])
    x = jnp.where(better, last[0], state[0])
    error = jnp.where(better, largest(last[1]), largest(state[1]))
    count = state[2]
    return x, Info(count, error, error <= tol)


def shortened(
    f: VectorFunction, x: Value, direction: Value, residual: Value
) -> tuple[Value, Value]:
    """Take the longest step, of those halved a few times, that helps."""
    before = largest(residual)

    def halve(state: Any) -> Any:
        _, _, length, count = state
        length = length / 2
        y = x + length * direction
        return y, f(y), length, count + 1

    def helps_not(state: Any) -> Value:
        _, now, _, count = state
        return jnp.logical_not(largest(now) < before) & (count < _HALVINGS)

    start = x + direction
    one = jnp.ones((), x.dtype)
    state = (start, f(start), one, jnp.asarray(0))
    x, residual, _, _ = while_loop(helps_not, halve, state)
    return x, residual


def broyden(
    f: VectorFunction, x0: Value, tol: Any, max_iter: int
) -> tuple[Value, Info]:
    """Follow an approximate tangent, whose inverse is corrected at every step.

    Broyden, A class of methods for solving nonlinear simultaneous equations (1965), the
    "good" method, started from the inverse of the Jacobian at the start.
    """
    _, product = linearize(f, x0)
    identity = jnp.eye(x0.shape[0], dtype=x0.dtype)
    columns = jnp.stack([product(e) for e in identity], axis=1)

    def going(state: Any) -> Value:
        return (largest(state[1]) > tol) & (state[3] < max_iter)

    def step(state: Any) -> Any:
        x, residual, inverse, count = state
        moved = -(inverse @ residual)
        x = x + moved
        now = f(x)
        change = inverse @ (now - residual)
        row = moved @ inverse
        factor = divided(moved - change, jnp.vdot(moved, change))
        return x, now, inverse + jnp.outer(factor, row), count + 1

    start = (x0, f(x0), jnp.linalg.inv(columns), jnp.asarray(0))
    x, residual, _, count = while_loop(going, step, start)
    error = largest(residual)
    return x, Info(count, error, error <= tol)


def bisection(
    f: VectorFunction, low: Value, high: Value, tol: Any, max_iter: int
) -> tuple[Value, Info]:
    """Halve an interval at whose ends `f` differs in sign, element by element.

    The error is the length of the longest interval, relative to one plus the largest
    element of x.
    """
    f_low, f_high = f(low), f(high)
    bracketed = jnp.all(f_low * f_high <= 0)

    def width(low: Value, high: Value) -> Value:
        return largest(high - low) / (1 + jnp.maximum(largest(low), largest(high)))

    def going(state: Any) -> Value:
        low, high, count = state
        return bracketed & (width(low, high) > tol) & (count < max_iter)

    def step(state: Any) -> Any:
        low, high, count = state
        middle = low + (high - low) / 2
        left = jnp.sign(f(middle)) == jnp.sign(f_low)
        return jnp.where(left, middle, low), jnp.where(left, high, middle), count + 1

    # An end that is a root itself is the whole interval.
    start_low = jnp.where(f_high == 0, high, low)
    start_high = jnp.where(f_low == 0, low, high)
    start = (start_low, start_high, jnp.asarray(0))
    low, high, count = while_loop(going, step, start)
    error = jnp.where(bracketed, width(low, high), jnp.inf)
    return low + (high - low) / 2, Info(count, error, error <= tol)


_METHODS = {"newton": newton, "broyden": broyden}


def root(
    f: Callable[..., Any],
    x0: Any = None,
    method: str | None = None,
    tol: float | None = None,
    max_iter: int = 100,
    *,
    bracket: tuple[Any, Any] | None = None,
    params: tuple[Any, ...] = (),
    linear_solve: Any = "auto",
) -> Solution:
    """Find x with `f(x) == 0`.

    Derivatives of all orders, in both modes, come from the equation: with respect to
    the values that `f` captures, and to `params`. That for the start is zero.

    Args:
        f: a function of trees of arrays, `(x, *params) -> residual` of x's structure.
        x0: where to start.
        method: "newton" (damped; the default with `x0`), "broyden", or "bisection" (the
            default with `bracket`), which takes f's elements one by one.
        tol: when to stop: the largest element of the residual; for bisection the length
            of the interval relative to one plus x. By default the machine epsilon to
            the power 3/4.
        max_iter: the most steps.
        bracket: for bisection, a pair of trees between which the roots lie; `f` differs
            in sign there.
        params: further arguments of `f`.
        linear_solve: how the linear systems of derivatives are solved; see
            `implicit_diff`.

    Returns:
        A `Solution`, which stands for its `x` and tells `iterations`, `error` and
        `converged`. Outside of `jit`, a `ConvergenceWarning` too says that the search
        ended early.

    Raises:
        ArgumentError: an unknown method, or neither a start nor a bracket.

    Example:
        >>> from pullback import grad
        >>> print(root(lambda x: x ** 3 - 8., 1.).x)
        2.0
        >>> print(root(lambda x: x ** 3 - 8., bracket=(0., 3.), max_iter=30).x.round(4))
        2.0
        >>> print(grad(lambda a: root(lambda x: x ** 3 - a, 1.).x)(8.).round(4))
        0.0833
    """
    check_callable(f, "root")
    method = method or ("newton" if bracket is None else "bisection")
    wants_bracket = method == "bisection"
    if method not in (*_METHODS, "bisection") or wants_bracket == (bracket is None):
        raise ArgumentError(
            f"root was given method={method!r}, x0={x0!r:.40} and "
            f"bracket={bracket!r:.60}.",
            where=called_at(),
            mend="Use method='newton' or 'broyden' with x0, or 'bisection' with "
            "bracket=(low, high).",
        )
    given = (x0,) if bracket is None else bracket
    packing = Packing(given[0], "root")
    limit = default_tolerance(packing.dtype) if tol is None else tol

    def condition(x: Value, *values: Any) -> Value:
        return packing.pack(f(packing.unpack(x), *values))

    def solver(start: tuple[Value, ...], *values: Any) -> Any:
        def function(x: Value) -> Value:
            return condition(x, *values)

        if wants_bracket:
            return bisection(function, start[0], start[1], limit, max_iter)
        return _METHODS[method](function, start[0], limit, max_iter)

    starts = tuple([packing.pack(x) for x in given])
    solve = tree_solver(linear_solve)
    x, info = implicitly(condition, solver, starts, tuple(params), solve)
    mend = (
        "Start closer to the root, give it more iterations (max_iter) or a larger tol."
    )
    return report(f"root by {method}", packing.unpack(x), info, mend)
