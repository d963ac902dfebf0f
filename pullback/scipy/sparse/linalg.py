"""Iterative solvers of linear systems, under SciPy's names.

They are `pullback.implicit.linear_solve` with SciPy's arguments and results.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback import numpy as jnp
from pullback.core.trace import Value
from pullback.implicit.linear_solve import linear_solve

__all__ = ["bicgstab", "cg", "gmres"]


def _solve(
    method: str,
    A: Any,
    b: Any,
    x0: Any,
    tol: float,
    atol: float,
    maxiter: int | None,
    M: Callable[[Any], Any] | None,
    restart: int = 20,
) -> tuple[Any, Value]:
    """Solve, and say how it ended as SciPy does: 0, or the number of steps."""
    found = linear_solve(
        A,
        b,
        method,
        x0=x0,
        tol=tol,
        atol=atol,
        max_iter=maxiter,
        preconditioner=M,
        restart=restart,
    )
    return found.x, jnp.where(found.converged, 0, found.iterations)


def cg(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    tol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    M: Callable[[Any], Any] | None = None,
) -> tuple[Any, Value]:
    """Solve `A x = b` by conjugate gradients, as `scipy.sparse.linalg.cg`.

    `A` and `M` are functions, or `A` a matrix; `x` and `b` may be trees of arrays.

    Example:
        >>> import pullback.numpy as jnp
        >>> x, info = cg(lambda x: 2. * x, jnp.ones(2))
        >>> print(x, info)
        [0.5 0.5] 0
    """
    return _solve("cg", A, b, x0, tol, atol, maxiter, M)


def bicgstab(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    tol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    M: Callable[[Any], Any] | None = None,
) -> tuple[Any, Value]:
    """Solve `A x = b` by stabilised biconjugate gradients; arguments as `cg`."""
    return _solve("bicgstab", A, b, x0, tol, atol, maxiter, M)


def gmres(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    tol: float = 1e-5,
    atol: float = 0.0,
    restart: int = 20,
    maxiter: int | None = None,
    M: Callable[[Any], Any] | None = None,
) -> tuple[Any, Value]:
    """Solve `A x = b` by generalised minimal residuals; arguments as `cg`.

    `maxiter` counts products with the matrix, not restarts.
    """
    return _solve("gmres", A, b, x0, tol, atol, maxiter, M, restart)
