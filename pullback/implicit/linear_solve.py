"""Linear systems, solved directly or by iteration, differentiable in everything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback import dtypes
from pullback import numpy as jnp
from pullback.core.calling import is_arraylike
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError, ShapeError
from pullback.implicit.krylov import bicgstab, cg, gmres, identity
from pullback.implicit.linear_operation import custom_linear_solve
from pullback.implicit.solution import Info, Solution, default_tolerance, report
from pullback.implicit.vectors import Packing, VectorFunction, dense, norm
from pullback.transforms.transpose import linear_transpose

METHODS = ("auto", "direct", "cg", "gmres", "bicgstab")

#: Up to this many unknowns a matrix is made and factored; beyond, GMRES only
#: multiplies. At 512 the dense way still takes milliseconds.
DENSE_LIMIT = 512

_ITERATIONS = {"cg": cg, "gmres": gmres, "bicgstab": bicgstab}


def direct(matvec: VectorFunction, b: Value) -> tuple[Value, Info]:
    """Solve by making the matrix, column by column, and factoring it."""
    matrix = dense(matvec, b.shape[0], b.dtype)
    x = jnp.linalg.solve(matrix, b)
    return x, Info(jnp.asarray(1), norm(b - matrix @ x), jnp.all(jnp.isfinite(x)))


class VectorSolver:
    """A method with its options: a function `(matvec, b) -> (x, info)` of vectors.

    Args:
        method: one of `METHODS`.
        tol: residual relative to the right side; None for that of the dtype.
        atol: residual by itself; the larger of the two counts.
        max_iter: how many products with the matrix; None for 10 an unknown.
        preconditioner: what approximates the inverse of the matrix, or None.
        restart: after how many steps GMRES starts again.
    """

    #: What `core.closure` looks into.
    __closure_fields__ = ("preconditioner",)

    def __init__(
        self,
        method: str,
        tol: float | None = None,
        atol: Any = 0.0,
        max_iter: int | None = None,
        preconditioner: Callable[[Any], Any] | None = None,
        restart: int = 20,
    ) -> None:
        if method not in METHODS:
            raise ArgumentError(
                f"the method of a linear solver is {method!r}.",
                where=called_at(),
                mend=f"Use one of {', '.join(map(repr, METHODS))}.",
            )
        self.method = method
        self.tol = tol
        self.atol = atol
        self.max_iter = max_iter
        self.preconditioner = preconditioner
        self.restart = restart

    def __call__(self, matvec: VectorFunction, b: Value) -> tuple[Value, Info]:
        """Solve the system."""
        return self.solve(matvec, b, self.preconditioner or identity)

    def transpose(self, matvec: VectorFunction, b: Value) -> tuple[Value, Info]:
        """Solve a transposed system: the preconditioner is transposed too."""
        given = self.preconditioner
        if given is None:
            return self.solve(matvec, b, identity)
        turned = linear_transpose(given, b)
        return self.solve(matvec, b, lambda x: turned(x)[0])

    def solve(
        self, matvec: VectorFunction, b: Value, preconditioner: VectorFunction
    ) -> tuple[Value, Info]:
        """Solve the system with a preconditioner."""
        size = b.shape[0]
        method = self.method
        if method == "auto":
            method = "direct" if size <= DENSE_LIMIT else "gmres"
        if method == "direct":
            return direct(matvec, b)
        tol = default_tolerance(b.dtype) if self.tol is None else self.tol
        limit = jnp.maximum(tol * norm(b), self.atol)
        max_iter = 10 * size if self.max_iter is None else self.max_iter
        options = {"restart": self.restart} if method == "gmres" else {}
        iterate = _ITERATIONS[method]
        return iterate(matvec, b, limit, max_iter, preconditioner, **options)


def solve_vector(matvec: VectorFunction, b: Value, solver: VectorSolver) -> Any:
    """Solve a system of vectors, giving `(x, info)` with derivatives."""
    real = not dtypes.is_complex(b.dtype)
    return custom_linear_solve(
        matvec,
        b,
        solver,
        solver.transpose,
        symmetric=solver.method == "cg" and real,
        has_aux=True,
    )


def tree_solver(method: Any) -> Callable[[Any, Any], Any]:
    """Give `solve(matvec, b) -> x` for trees from a method's name or such a function.

    Raises:
        ArgumentError: it is neither.
    """
    if callable(method):
        return method  # type: ignore[no-any-return]
    solver = VectorSolver(method)

    def solve(matvec: Callable[[Any], Any], b: Any) -> Any:
        packing = Packing(b, "a linear solver")
        x, info = solver(packing.on_vectors(matvec), packing.pack(b))
        who = f"the linear solve ({method}) of an implicit derivative"
        mend = "Give another linear_solve, or make the problem better conditioned."
        return report(who, packing.unpack(x), info, mend).x

    return solve


def as_matvec(matrix: Any, b: Any) -> tuple[Callable[[Any], Any], Any]:
    """Give a matrix as the function that multiplies by it, and b of the same dtype.

    Raises:
        ShapeError: the matrix is not square, or does not fit b.
    """
    if not is_arraylike(matrix):
        return matrix, b
    a, right = jnp.asarray(matrix), jnp.asarray(b)
    if len(a.shape) != 2 or a.shape[0] != a.shape[1] or right.shape != a.shape[:1]:
        raise ShapeError(
            f"linear_solve was given a matrix of shape {a.shape} and a right side of "
            f"shape {right.shape}.",
            where=called_at(),
            mend="Give a square matrix [n, n] and a right side [n]; use vmap for many.",
        )
    dtype = jnp.result_type(a.dtype, right.dtype, jnp.float32)
    a = a.astype(dtype)
    return lambda x: a @ x, right.astype(dtype)


def linear_solve(
    matvec: Any,
    b: Any,
    method: str = "auto",
    *,
    x0: Any = None,
    tol: float | None = None,
    atol: float = 0.0,
    max_iter: int | None = None,
    preconditioner: Callable[[Any], Any] | None = None,
    restart: int = 20,
) -> Solution:
    """Solve a linear system; derivatives are solutions of systems like it.

    Args:
        matvec: a square matrix, or a linear function of trees of arrays, which may
            capture values that are being differentiated.
        b: the right side, of the structure of x.
        method: "direct" makes the matrix and factors it; "cg" needs it Hermitian and
            positive definite; "gmres" and "bicgstab" take any; "auto" is "direct" up to
            512 unknowns, and "gmres" beyond.
        x0: where to start; its derivative is zero.
        tol: how long the residual may be, relative to `b`: by default the machine
            epsilon to the power 3/4.
        atol: how long it may be at least.
        max_iter: the most steps; by default 10 times the number of unknowns.
        preconditioner: a linear function of x's structure close to the inverse.
        restart: after how many steps GMRES starts again.

    Returns:
        A `Solution`, which stands for its `x` and tells `iterations`, `error` (the
        length of the residual) and `converged`.

    Raises:
        ArgumentError: an unknown method.
        TreeError, ShapeError: matrix and right side do not fit.

    Example:
        >>> import pullback.numpy as jnp
        >>> from pullback import grad
        >>> found = linear_solve(lambda x: 4. * x, jnp.array([2., 8.]), "cg")
        >>> print(found.x, found.converged)
        [0.5 2. ] True
        >>> print(grad(lambda a: linear_solve(lambda x: a * x, 8.).x)(4.))
        -0.5
    """
    product, right = as_matvec(matvec, b)
    packing = Packing(right, "linear_solve")
    vector_product = packing.on_vectors(product)
    inverse = None if preconditioner is None else packing.on_vectors(preconditioner)
    solver = VectorSolver(method, tol, atol, max_iter, inverse, restart)
    vector = packing.pack(right)
    if x0 is None:
        x, info = solve_vector(vector_product, vector, solver)
    else:
        start = packing.pack(x0)
        step, info = solve_vector(
            vector_product, vector - vector_product(start), solver
        )
        x = start + step
    mend = "Give it more iterations (max_iter), a preconditioner, or another method."
    who = f"linear_solve by {method}"
    return report(who, packing.unpack(x), info, mend)
