"""Iterative solvers of linear systems: conjugate gradients, BiCGSTAB, GMRES.

They act on vectors and stop when the residual is at most `limit` long. A matrix is
known by its products with vectors only. All are loops of the library, so that they
compile and batch; derivatives come from `custom_linear_solve`, never from the loops.
"""

from __future__ import annotations

from typing import Any

from pullback import numpy as jnp
from pullback.calls.while_loop import while_loop
from pullback.core.trace import Value
from pullback.implicit.solution import Info
from pullback.implicit.vectors import VectorFunction, norm


def identity(x: Value) -> Value:
    """Precondition by nothing."""
    return x


def divided(x: Value, y: Value) -> Value:
    """Divide, giving zero where the divisor is zero."""
    zero = y == 0
    return jnp.where(zero, jnp.zeros_like(x), x / jnp.where(zero, jnp.ones_like(y), y))


def ended(residual: Value, limit: Value, count: Value) -> Info:
    """Say how a search ended from its last residual."""
    error = norm(residual)
    return Info(count, error, error <= limit)


def cg(
    matvec: VectorFunction,
    b: Value,
    limit: Value,
    max_iter: int,
    preconditioner: VectorFunction = identity,
) -> tuple[Value, Info]:
    """Solve with a positive definite matrix by conjugate gradients.

    Hestenes and Stiefel, Methods of conjugate gradients for solving linear systems
    (1952); preconditioned as in Saad, Iterative methods for sparse linear systems
    (2003), algorithm 9.1.
    """

    def going(state: Any) -> Value:
        return (norm(state[1]) > limit) & (state[4] < max_iter)

    def step(state: Any) -> Any:
        x, r, p, rho, count = state
        product = matvec(p)
        length = rho / jnp.vdot(p, product)
        x, r = x + length * p, r - length * product
        z = preconditioner(r)
        rho_next = jnp.vdot(r, z)
        return x, r, z + (rho_next / rho) * p, rho_next, count + 1

    z = preconditioner(b)
    start = (jnp.zeros_like(b), b, z, jnp.vdot(b, z), jnp.asarray(0))
    x, r, _, _, count = while_loop(going, step, start)
    return x, ended(r, limit, count)


def bicgstab(
    matvec: VectorFunction,
    b: Value,
    limit: Value,
    max_iter: int,
    preconditioner: VectorFunction = identity,
) -> tuple[Value, Info]:
    """Solve with any matrix by stabilised biconjugate gradients.

    Van der Vorst, Bi-CGSTAB: a fast and smoothly converging variant of Bi-CG for the
    solution of nonsymmetric linear systems (1992), with a right preconditioner.
    """

    def going(state: Any) -> Value:
        return (norm(state[1]) > limit) & (state[-1] < max_iter)

    def step(state: Any) -> Any:
        x, r, p, v, rho, alpha, omega, count = state
        rho_next = jnp.vdot(b, r)
        beta = divided(rho_next, rho) * divided(alpha, omega)
        p = r + beta * (p - omega * v)
        p_hat = preconditioner(p)
        v = matvec(p_hat)
        alpha = divided(rho_next, jnp.vdot(b, v))
        s = r - alpha * v
        s_hat = preconditioner(s)
        t = matvec(s_hat)
        omega = divided(jnp.vdot(t, s), jnp.vdot(t, t))
        x = x + alpha * p_hat + omega * s_hat
        return x, s - omega * t, p, v, rho_next, alpha, omega, count + 1

    zero, one = jnp.zeros_like(b), jnp.ones((), b.dtype)
    start = (zero, b, zero, zero, one, one, one, jnp.asarray(0))
    found = while_loop(going, step, start)
    return found[0], ended(found[1], limit, found[-1])


def gmres(
    matvec: VectorFunction,
    b: Value,
    limit: Value,
    max_iter: int,
    preconditioner: VectorFunction = identity,
    restart: int = 20,
) -> tuple[Value, Info]:
    """Solve with any matrix by generalised minimal residuals, restarted.

    Saad and Schultz, GMRES: a generalized minimal residual algorithm for solving
    nonsymmetric linear systems (1986), with a right preconditioner. The basis is made
    orthogonal by two passes of classical Gram-Schmidt (Giraud, Langou, Rozloznik 2005).
    """
    depth = min(restart, b.shape[0])

    def going(state: Any) -> Value:
        return (norm(state[1]) > limit) & (state[2] < max_iter)

    def cycle(state: Any) -> Any:
        x, r, count = state
        basis, hessenberg = arnoldi(matvec, preconditioner, r, depth)
        right = jnp.zeros(depth + 1, b.dtype).at[0].set(norm(r).astype(b.dtype))
        weights = jnp.linalg.pinv(hessenberg) @ right
        x = x + preconditioner(weights @ basis[:depth])
        return x, b - matvec(x), count + depth

    start = (jnp.zeros_like(b), b, jnp.asarray(0))
    x, r, count = while_loop(going, cycle, start)
    return x, ended(r, limit, count)


def arnoldi(
    matvec: VectorFunction, preconditioner: VectorFunction, r: Value, depth: int
) -> tuple[Value, Value]:
    """Give a basis of the Krylov space of `r`, and the matrix in that basis.

    Returns:
        The basis as rows, one more than `depth`; and the Hessenberg matrix
        [depth + 1, depth]. Rows beyond an invariant space are zero.
    """
    rows = jnp.arange(depth + 1)

    def step(state: Any) -> Any:
        basis, hessenberg, k = state
        w = matvec(preconditioner(basis[k]))
        size = norm(w)
        first = jnp.conj(basis) @ w
        w = w - first @ basis
        second = jnp.conj(basis) @ w
        w = w - second @ basis
        length = norm(w)
        # What rounding leaves of a vector inside the space is no new direction.
        length = jnp.where(length > 10 * jnp.finfo(w.dtype).eps * size, length, 0.0)
        column = first + second + jnp.where(rows == k + 1, length, 0.0)
        basis = basis.at[k + 1].set(divided(w, length.astype(w.dtype)))
        hessenberg = hessenberg.at[:, k].set(column.astype(w.dtype))
        return basis, hessenberg, k + 1

    basis = jnp.zeros((depth + 1, r.shape[0]), r.dtype)
    basis = basis.at[0].set(divided(r, norm(r).astype(r.dtype)))
    hessenberg = jnp.zeros((depth + 1, depth), r.dtype)
    start = (basis, hessenberg, jnp.asarray(0))
    basis, hessenberg, _ = while_loop(lambda state: state[2] < depth, step, start)
    return basis, hessenberg
