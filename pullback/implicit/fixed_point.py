"""Fixed points x = f(x), differentiable in whatever f captures or takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback import numpy as jnp
from pullback.calls.while_loop import while_loop
from pullback.core.calling import check_callable
from pullback.core.trace import Value
from pullback.implicit.decorator import implicitly
from pullback.implicit.linear_solve import tree_solver
from pullback.implicit.solution import Info, Solution, fixed_point_tolerance, report
from pullback.implicit.vectors import Packing, VectorFunction


def largest(x: Value) -> Value:
    """Give the largest absolute value in a vector."""
    return jnp.max(jnp.abs(x), initial=0.0)


def iterate(
    f: VectorFunction, x0: Value, tol: Any, max_iter: int
) -> tuple[Value, Info]:
    """Apply a function of vectors until it changes little.

    The error is the largest change of an element relative to one plus the largest
    element; NaN never is small enough.
    """

    def going(state: Any) -> Value:
        _, error, count = state
        return jnp.logical_not(error <= tol) & (count < max_iter) & (error == error)

    def step(state: Any) -> Any:
        x, _, count = state
        y = f(x)
        return y, largest(y - x) / (1 + largest(y)), count + 1

    unknown = jnp.full((), jnp.inf, jnp.abs(x0).dtype)
    x, error, count = while_loop(going, step, (x0, unknown, jnp.asarray(0)))
    return x, Info(count, error, error <= tol)


def fixed_point(
    f: Callable[..., Any],
    x0: Any,
    tol: float | None = None,
    max_iter: int = 1000,
    *,
    params: tuple[Any, ...] = (),
    linear_solve: Any = "auto",
) -> Solution:
    """Find x with `x == f(x)` by applying `f` again and again.

    Derivatives of all orders, in both modes, come from the equation: with respect to
    the values that `f` captures, and to `params`. That for the start is zero.

    Args:
        f: a function of trees of arrays, `(x, *params) -> x`, that contracts.
        x0: where to start.
        tol: when to stop: how much x may change, relative to one plus its largest
            element. By default 2e-12, and 2e-6 in float32.
        max_iter: the most applications of `f`.
        params: further arguments of `f`.
        linear_solve: how the linear systems of derivatives are solved; see
            `implicit_diff`.

    Returns:
        A `Solution`, which stands for its `x` and tells `iterations`, `error` and
        `converged`. Outside of `jit`, a `ConvergenceWarning` too says that the search
        ended early.

    Example:
        >>> import pullback.numpy as jnp
        >>> from pullback import grad
        >>> found = fixed_point(jnp.cos, 1.)
        >>> print(found.x.round(4), found.converged)
        0.7391 True
        >>> def settled(a):
        ...     return fixed_point(lambda x: jnp.cos(a * x), 1.).x
        >>> print(grad(settled)(1.).round(4))
        -0.2975
    """
    check_callable(f, "fixed_point")
    packing = Packing(x0, "fixed_point")
    limit = fixed_point_tolerance(packing.dtype) if tol is None else tol

    def condition(x: Value, *values: Any) -> Value:
        return packing.pack(f(packing.unpack(x), *values)) - x

    def solver(x: Value, *values: Any) -> Any:
        step = packing.on_vectors(lambda y: f(y, *values))
        return iterate(step, x, limit, max_iter)

    solve = tree_solver(linear_solve)
    x, info = implicitly(condition, solver, packing.pack(x0), tuple(params), solve)
    mend = "Give it more iterations (max_iter) or a larger tol; f must contract."
    return report("fixed_point", packing.unpack(x), info, mend)
