"""`implicit_diff`: solvers differentiated by the equation that they solve.

Where F(x, p) = 0, the derivative of x solves (dF/dx) x_dot = -(dF/dp) p_dot: the
implicit function theorem. The one custom rule below says this for all solvers here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NoReturn

from pullback import tree
from pullback.core.aval import Aval
from pullback.core.calling import Signature, as_value, check_callable, is_arraylike
from pullback.core.origin import called_at, defined_at, name_of
from pullback.core.trace import aval_of
from pullback.core.zero import is_zero
from pullback.custom.custom_jvp import custom_jvp
from pullback.errors import ArgumentError, TreeError
from pullback.implicit.linear_operation import custom_linear_solve
from pullback.implicit.linear_solve import tree_solver
from pullback.primitives.table import neg
from pullback.transforms.vjp import jvp, linearize


@functools.partial(custom_jvp, nondiff_argnums=(0,))
def solution(
    names: tuple[str, str],
    optimality: Callable[..., Any],
    solver: Callable[..., Any],
    linear_solve: Callable[..., Any],
    x0: Any,
    params: tuple[Any, ...],
) -> Any:
    """Run a solver: `(x, aux)` with `optimality(x, *params) == 0`.

    Functions are arguments, so that what they capture is differentiated too.

    Args:
        names: those of the user's solver and optimality condition, for errors.
        optimality: `(x, *params) -> residual` of x's structure.
        solver: `(x0, *params) -> (x, aux)`.
        linear_solve: `(matvec, b) -> x`, for the derivatives.
        x0: where the search starts.
        params: whatever else solver and condition take.
    """
    return solver(x0, *params)


@functools.partial(solution.defjvp, symbolic_zeros=True)
def solution_jvp(names: tuple[str, str], primals: Any, tangents: Any) -> Any:
    """Solve the linear system of the implicit function theorem."""
    optimality, _, linear_solve, _, params = primals
    optimality_dot, _, _, _, params_dot = tangents
    x, aux = solution(names, *primals)
    if all(map(is_zero, tree.leaves((optimality_dot, params_dot)))):
        return (x, aux), None

    def residual_of(f: Any, p: Any) -> Any:
        return f(x, *p)

    moved = (optimality_dot, params_dot)
    residual, residual_dot = jvp(residual_of, (optimality, params), moved)
    check_square(names, x, residual)
    _, product = linearize(lambda y: optimality(y, *params), x)
    right = tree.map(neg, residual_dot)
    return (x, aux), (
        custom_linear_solve(product, right, linear_solve, linear_solve),
        None,
    )


def check_square(names: tuple[str, str], x: Any, residual: Any) -> None:
    """Raise unless there are as many equations as unknowns, in the same containers.

    Raises:
        TreeError: condition and solution differ in structure, shape or dtype.
    """
    wanted, wanted_tree = tree.flatten(tree.map(leaf_aval, x))
    given, given_tree = tree.flatten(tree.map(leaf_aval, residual))
    if wanted_tree != given_tree or not all(map(Aval.matches, wanted, given)):
        solver, optimality = names
        raise TreeError(
            f"the condition {optimality} gives {given_tree.unflatten(given)}; the "
            f"solution of {solver} is {wanted_tree.unflatten(wanted)}.",
            where=called_at(),
            mend="Give one residual an unknown: the structure, shapes and dtypes of x.",
        )


def leaf_aval(x: Any) -> Aval:
    """Give the type of a leaf."""
    return aval_of(as_value(x))


def implicit_diff(
    optimality: Callable[..., Any],
    *,
    has_aux: bool = False,
    linear_solve: Any = "auto",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a decorator of solvers, which are differentiated by what they solve.

    The solver itself is never differentiated: it may loop in Python, or leave the
    library. Derivatives of all orders, in both modes, are solutions of linear systems.
    Solver and condition may capture values that are being differentiated.

    Args:
        optimality: `(x, *params) -> residual` of x's structure, zero at the solution.
        has_aux: the solver gives `(x, aux)`; aux has derivative zero.
        linear_solve: how those systems are solved: "direct", "cg", "gmres", "bicgstab",
            "auto" (direct up to 512 unknowns, then GMRES), or a function
            `(matvec, b) -> x`.

    Returns:
        A decorator for `solver(x0, *params)`. The derivative for the start is zero.

    Raises:
        TreeError: residual and solution differ in structure, when differentiated.

    Example:
        >>> from pullback import grad
        >>> @implicit_diff(lambda x, a: x * x - a)
        ... def square_root(x, a):
        ...     for _ in range(10):
        ...         x = (x + a / x) / 2.
        ...     return x
        >>> print(grad(square_root, argnums=1)(1., 9.))
        0.16666667
    """
    check_callable(optimality, "implicit_diff")
    solve = tree_solver(linear_solve)

    def decorate(solver: Callable[..., Any]) -> Callable[..., Any]:
        check_callable(solver, "the decorator of implicit_diff")
        signature = Signature(solver)

        @functools.wraps(solver)
        def solved(*args: Any, **kwargs: Any) -> Any:
            """Run the solver."""
            full, keywords = signature.resolve(args, kwargs)
            if not full or keywords:
                refuse(solver)
            pair = solver if has_aux else with_nothing(solver)
            x, aux = implicitly(optimality, pair, full[0], full[1:], solve)
            return (x, aux) if has_aux else x

        return solved

    return decorate


def refuse(solver: Callable[..., Any]) -> NoReturn:
    """Raise the error for a solver whose parameters cannot be told by position."""
    raise ArgumentError(
        f"implicit_diff was given a solver, {name_of(solver)}, with keyword-only "
        "parameters or without any.",
        where=f"Defined at {defined_at(solver)}. {called_at()}",
        mend="Write `def solver(x0, *params)`; the condition takes `(x, *params)`.",
    )


def with_nothing(solver: Callable[..., Any]) -> Callable[..., Any]:
    """Give a solver that has an empty aux."""

    @functools.wraps(solver)
    def solver_and_nothing(*args: Any) -> Any:
        return solver(*args), ()

    return solver_and_nothing


def implicitly(
    optimality: Callable[..., Any],
    solver: Callable[..., Any],
    x0: Any,
    params: tuple[Any, ...],
    linear_solve: Callable[..., Any],
) -> tuple[Any, Any]:
    """Run a solver that gives `(x, aux)`, differentiable by its optimality condition.

    Parameters that are neither arrays nor functions go to both as they are.
    """
    leaves, treedef = tree.flatten(params)
    static = [None if is_arraylike(x) or callable(x) else (x,) for x in leaves]
    names = name_of(solver), name_of(optimality)
    if not any(static):
        return solution(names, optimality, solver, linear_solve, x0, params)  # type: ignore[no-any-return]

    def joined(values: tuple[Any, ...]) -> Any:
        rest = iter(values)
        return treedef.unflatten([next(rest) if s is None else s[0] for s in static])

    def condition(x: Any, *values: Any) -> Any:
        return optimality(x, *joined(values))

    def solve(x: Any, *values: Any) -> Any:
        return solver(x, *joined(values))

    values = tuple([x for x, s in zip(leaves, static) if s is None])
    return solution(names, condition, solve, linear_solve, x0, values)  # type: ignore[no-any-return]


def custom_root(
    f: Callable[[Any], Any],
    initial_guess: Any,
    solve: Callable[[Callable[[Any], Any], Any], Any],
    tangent_solve: Callable[[Callable[[Any], Any], Any], Any],
    has_aux: bool = False,
) -> Any:
    """Find x with `f(x) == 0` by a solver that is never differentiated itself.

    Args:
        f: a function of trees of arrays; derivatives are with respect to the values
            that it captures.
        initial_guess: where the search starts; its derivative is zero.
        solve: `(f, initial_guess) -> x`.
        tangent_solve: `(g, y) -> x` with `g(x) == y`, for linear functions `g` of x's
            structure.
        has_aux: `solve` gives `(x, aux)`; aux has derivative zero.

    Returns:
        `x`, or `(x, aux)`.

    Example:
        >>> from pullback import grad
        >>> def newton(f, x):
        ...     for _ in range(10):
        ...         x = x - f(x) / grad(f)(x)
        ...     return x
        >>> def divide(g, y):
        ...     return y / g(1.)
        >>> def square_root(a):
        ...     return custom_root(lambda x: x * x - a, 1., newton, divide)
        >>> print(square_root(9.), grad(square_root)(9.))
        3.0 0.16666667
    """
    for name, g in (("f", f), ("solve", solve), ("tangent_solve", tangent_solve)):
        check_callable(g, f"custom_root: {name}")

    @functools.wraps(solve)
    def solver(x0: Any) -> Any:
        return solve(f, x0) if has_aux else (solve(f, x0), ())

    x, aux = implicitly(f, solver, initial_guess, (), tangent_solve)
    return (x, aux) if has_aux else x
