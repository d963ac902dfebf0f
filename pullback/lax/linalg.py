"""Matrix factors as the operations give them: orders and signs are LAPACK's."""

from __future__ import annotations

from typing import Any

from pullback.calls.loops import fori_loop, scan
from pullback.core.calling import as_value
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError, ShapeError
from pullback.numpy import (
    composed,
    contraction,
    creation,
    indexing,
    linalg,
    shaping,
    ufuncs,
)
from pullback.numpy.arguments import static_int
from pullback.primitives import banded, spectral, table
from pullback.primitives import linalg as factors
from pullback.transforms.vmap import vmap

__all__ = [
    "cholesky",
    "eig",
    "eigh",
    "householder_product",
    "lu",
    "lu_pivots_to_permutation",
    "qr",
    "svd",
    "symmetric_product",
    "triangular_solve",
    "tridiagonal_solve",
]


def cholesky(x: Any, *, symmetrize_input: bool = True) -> Value:
    """Factor x = L L^H; of the mean of x and its adjoint unless told not to."""
    return linalg.cholesky(as_value(x), symmetrize_input=symmetrize_input)


def eigh(
    x: Any,
    *,
    lower: bool = True,
    symmetrize_input: bool = True,
    sort_eigenvalues: bool = True,
    subset_by_index: tuple[int, int] | None = None,
) -> tuple[Value, Value]:
    """Give eigenvectors, and then the eigenvalues of Hermitian matrices, ascending.

    Args:
        x: matrices.
        lower: whether the lower triangle is read, without `symmetrize_input`.
        symmetrize_input: take the mean of x and its adjoint.
        sort_eigenvalues: accepted for compatibility; they always ascend.
        subset_by_index: the first of them, and one more than the last, that are given.
    """
    found = linalg.eigh(as_value(x), "L" if lower else "U", symmetrize_input)
    w, v = found
    if subset_by_index is not None:
        start, stop = subset_by_index
        w, v = w[..., start:stop], v[..., start:stop]
    return v, w


def eig(
    x: Any,
    *,
    compute_left_eigenvectors: bool = True,
    compute_right_eigenvectors: bool = True,
    enable_eigvec_derivs: bool = True,
) -> list[Value]:
    """Give eigenvalues, left eigenvectors and right eigenvectors, of length one.

    `enable_eigvec_derivs` is accepted for compatibility: there are derivatives. Left
    ones are made of the right ones, and need them to be independent.
    """
    x = as_value(x)
    if not (compute_left_eigenvectors or compute_right_eigenvectors):
        return [linalg.eigvals(x)]
    w, v = linalg.eig(x)
    out = [w]
    if compute_left_eigenvectors:
        left = factors.adjoint(linalg.inv(v))
        out.append(left / linalg.norm(left, axis=-2, keepdims=True))
    return [*out, v] if compute_right_eigenvectors else out


def lu(x: Any) -> tuple[Value, Value, Value]:
    """Factor P x = L U: both in one array, row exchanges, and where rows come from."""
    packed, pivots, permutation = factors.Lu()(as_value(x))
    return packed, pivots, permutation


def lu_pivots_to_permutation(pivots: Any, permutation_size: int) -> Value:
    """Give the order of rows that exchanges lead to, one after another."""
    pivots = as_value(pivots)
    n = static_int(permutation_size, "lu_pivots_to_permutation", "permutation_size")

    def order(pivots: Value) -> Value:
        def exchange(i: Value, rows: Value) -> Value:
            j = pivots[i]
            here, there = rows[i], rows[j]
            return indexing.At(indexing.At(rows)[i].set(there))[j].set(here)

        start = creation.arange(n, dtype=pivots.dtype)
        return fori_loop(0, pivots.shape[0], exchange, start)

    for _ in pivots.shape[:-1]:
        order = vmap(order)
    return order(pivots)


def qr(
    x: Any, *, pivoting: bool = False, full_matrices: bool = True
) -> tuple[Value, Value]:
    """Factor x = Q R with orthonormal columns of Q, square if `full_matrices`."""
    if pivoting:
        raise ArgumentError(
            "lax.linalg.qr was given pivoting=True.",
            where=called_at(),
            mend="Leave it out, or use external with scipy.linalg.qr.",
        )
    return spectral.qr(as_value(x), full_matrices)


def svd(
    x: Any,
    *,
    full_matrices: bool = True,
    compute_uv: bool = True,
    subset_by_index: tuple[int, int] | None = None,
) -> Any:
    """Factor x = U diag(s) V^H, s descending: give U, s, V^H, or s alone.

    `subset_by_index` is the first of them, and one more than the last, that are given.
    """
    x = as_value(x)
    start, stop = (None, None) if subset_by_index is None else subset_by_index
    if not compute_uv:
        return spectral.svdvals(x)[..., start:stop]
    if subset_by_index is not None and full_matrices:
        raise ArgumentError(
            "lax.linalg.svd was given subset_by_index with full_matrices=True.",
            where=called_at(),
            mend="Pass full_matrices=False.",
        )
    u, s, vh = spectral.svd(x, full_matrices)
    if subset_by_index is None:
        return u, s, vh
    return u[..., start:stop], s[..., start:stop], vh[..., start:stop, :]


def triangular_solve(
    a: Any,
    b: Any,
    *,
    left_side: bool = False,
    lower: bool = False,
    transpose_a: bool = False,
    conjugate_a: bool = False,
    unit_diagonal: bool = False,
) -> Value:
    """Solve op(a) x = b (left) or x op(a) = b (right) for triangular matrices a.

    Args:
        a: matrices, of which one triangle is read.
        b: matrices, or vectors with one axis less than `a`.
        left_side: whether `a` stands on the left.
        lower: whether the lower triangle is read.
        transpose_a, conjugate_a: what op is.
        unit_diagonal: whether the diagonal is taken for ones.
    """
    a, b = as_value(a), as_value(b)
    vector = len(b.shape) == len(a.shape) - 1
    if vector:
        b = shaping.expand_dims(b, -1 if left_side else -2)
    found = factors.triangular_solve(
        a,
        b,
        left_side=left_side,
        lower=lower,
        transpose_a=transpose_a,
        conjugate_a=conjugate_a and ufuncs.is_complex(a),
        unit_diagonal=unit_diagonal,
    )
    return shaping.squeeze(found, -1 if left_side else -2) if vector else found


def tridiagonal_solve(
    dl: Any, d: Any, du: Any, b: Any, *, perturb_singular: bool = False
) -> Value:
    """Solve A x = b for matrices of three diagonals, in time that grows as they do.

    Row i of A x is dl[i] x[i - 1] + d[i] x[i] + du[i] x[i + 1]. Rows are exchanged
    so that pivots stay large, by LAPACK's gtsv: the diagonal need not dominate. If A is
    singular, x is nan. All four operands have derivatives.

    Args:
        dl: the diagonal below the main one [..., n]; dl[0] is not read.
        d: the main diagonal [..., n].
        du: the diagonal above it [..., n]; du[n - 1] is not read.
        b: right sides [..., n, k] of the same leading axes and dtype.
        perturb_singular: make pivots no smaller than rounding leaves them, eps times
            the greatest, so that x is finite; compiled programs call the host for it.

    Raises:
        ShapeError: shapes are not those.
        DtypeError: dtypes differ, or are not float32, float64 or complex.

    Example:
        >>> from pullback import lax, numpy as jnp
        >>> side, middle = jnp.full(4, -1.0), jnp.full(4, 2.0)
        >>> print(lax.linalg.tridiagonal_solve(side, middle, side, jnp.ones((4, 1))).T)
        [[2. 3. 3. 2.]]
    """
    solve = banded.TridiagonalSolve(perturb_singular)
    return solve(as_value(dl), as_value(d), as_value(du), as_value(b))


def householder_product(a: Any, taus: Any) -> Value:
    """Multiply reflections: Q of their vectors below the diagonal, and their factors.

    The first columns of (1 - tau_1 v_1 v_1^H) (1 - tau_2 v_2 v_2^H) ..., as LAPACK's
    orgqr; column i of `a` holds v_i below a 1 that is not stored.

    Args:
        a: matrices [..., m, n], m >= n.
        taus: factors [..., k], k <= n.
    """
    a, taus = as_value(a), as_value(taus)
    *batch, m, n = a.shape if len(a.shape) > 1 else (0, 0)
    count = taus.shape[-1] if taus.shape else n + 1
    if len(a.shape) < 2 or m < n or count > n or taus.shape[:-1] != tuple(batch):
        raise ShapeError(
            f"householder_product was given {a.aval} and {taus.aval}.",
            where=called_at(),
            mend="Give vectors [..., m, n] with m >= n, and factors [..., k], k <= n.",
        )

    def product(a: Value, taus: Value) -> Value:
        vectors = creation.tril(a, -1) + creation.eye(m, n, dtype=a.dtype)

        def reflect(q: Value, one: tuple[Value, Value]) -> tuple[Value, None]:
            v, tau = one
            seen = contraction.matmul(composed.conj(v), q)
            return q - tau * contraction.outer(v, seen), None

        start = creation.eye(m, n, dtype=a.dtype)
        each = (shaping.transpose(vectors)[:count], taus)
        return scan(reflect, start, each, reverse=True)[0]

    for _ in batch:
        product = vmap(product)
    return product(a, taus)


def symmetric_product(
    a_matrix: Any,
    c_matrix: Any,
    *,
    alpha: float = 1.0,
    beta: float = 0.0,
    symmetrize_output: bool = False,
) -> Value:
    """Give alpha a a^T + beta c; it is symmetric where c is, whatever is asked."""
    a, c = as_value(a_matrix), as_value(c_matrix)
    made = table.mul(contraction.matmul(a, factors.transposed(a)), alpha)
    return table.add(made, table.mul(c, beta))
