"""Matrix factors as the operations give them: orders and signs are LAPACK's."""

from __future__ import annotations

import enum
from collections.abc import Callable
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
    diagonals,
    linalg,
    shaping,
    ufuncs,
    writing,
)
from pullback.numpy.arguments import option, static_int
from pullback.primitives import banded, reflections, spectral, table
from pullback.primitives import linalg as factors
from pullback.primitives import schur as forms
from pullback.primitives.lapack import check_matrix
from pullback.primitives.recipes import check_same_dtype
from pullback.transforms.vmap import vmap

__all__ = [
    "EigImplementation",
    "EighImplementation",
    "SvdAlgorithm",
    "cholesky",
    "cholesky_update",
    "eig",
    "eigh",
    "hessenberg",
    "householder_product",
    "lu",
    "lu_pivots_to_permutation",
    "ormqr",
    "qr",
    "schur",
    "svd",
    "symmetric_product",
    "triangular_solve",
    "tridiagonal",
    "tridiagonal_solve",
]


def cholesky(x: Any, *, symmetrize_input: bool = True) -> Value:
    """Factor x = L L^H; of the mean of x and its adjoint unless told not to."""
    return linalg.cholesky(as_value(x), symmetrize_input=symmetrize_input)


class EighImplementation(enum.Enum):
    """How eigenvalues of Hermitian matrices are computed: `QR`, by LAPACK."""

    QR = "qr"
    JACOBI = "jacobi"
    QDWH = "qdwh"


class EigImplementation(enum.Enum):
    """Where eigenvalues are computed: by `LAPACK`, on the host."""

    CUSOLVER = "cusolver"
    MAGMA = "magma"
    LAPACK = "lapack"


def eigh(
    x: Any,
    *,
    lower: bool = True,
    symmetrize_input: bool = True,
    sort_eigenvalues: bool = True,
    subset_by_index: tuple[int, int] | None = None,
    implementation: EighImplementation | None = None,
) -> tuple[Value, Value]:
    """Give eigenvectors, and then the eigenvalues of Hermitian matrices, ascending.

    Args:
        x: matrices.
        lower: whether the lower triangle is read, without `symmetrize_input`.
        symmetrize_input: take the mean of x and its adjoint.
        sort_eigenvalues: accepted for compatibility; they always ascend.
        subset_by_index: the first of them, and one more than the last, that are given.
        implementation: None or `EighImplementation.QR`, which are the same here.

    Raises:
        ArgumentError: another implementation.
    """
    kinds = (None, EighImplementation.QR)
    option("lax.linalg.eigh", "implementation", implementation, kinds)
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
    implementation: EigImplementation | None = None,
    use_magma: bool | None = None,
) -> list[Value]:
    """Give eigenvalues, left eigenvectors and right eigenvectors, of length one.

    `enable_eigvec_derivs` is accepted for compatibility: there are derivatives; so is
    `use_magma`. Left ones are made of the right ones, and need them to be independent.

    Raises:
        ArgumentError: an `implementation` but `EigImplementation.LAPACK`.
    """
    kinds = (None, EigImplementation.LAPACK)
    option("lax.linalg.eig", "implementation", implementation, kinds)
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
            return writing.At(writing.At(rows)[i].set(there))[j].set(here)

        start = creation.arange(n, dtype=pivots.dtype)
        return fori_loop(0, pivots.shape[0], exchange, start)

    for _ in pivots.shape[:-1]:
        order = vmap(order)
    return order(pivots)


def qr(
    x: Any,
    *,
    pivoting: bool = False,
    full_matrices: bool = True,
    use_magma: bool | None = None,
) -> Any:
    """Factor x = Q R with orthonormal columns of Q: give Q and R.

    Args:
        x: matrices [..., m, n].
        pivoting: order the columns so that the diagonal of R descends in size; then the
            order p [..., n] is given too, x[:, p] = Q R. Derivatives hold it.
        full_matrices: whether Q is square.
        use_magma: changes nothing.
    """
    x = as_value(x)
    return (spectral.pivoted_qr if pivoting else spectral.qr)(x, full_matrices)


class SvdAlgorithm(enum.Enum):
    """How `svd` computes: by LAPACK's gesdd (the default) or its gesvd (`QR`)."""

    DEFAULT = "default"
    QR = "QR"
    JACOBI = "Jacobi"
    POLAR = "polar"
    DIVIDE_AND_CONQUER = "divide_and_conquer"


def svd(
    x: Any,
    *,
    full_matrices: bool = True,
    compute_uv: bool = True,
    subset_by_index: tuple[int, int] | None = None,
    algorithm: SvdAlgorithm | None = None,
) -> Any:
    """Factor x = U diag(s) V^H, s descending: give U, s, V^H, or s alone.

    Args:
        x: matrices [..., m, n].
        full_matrices: whether U and V are square.
        compute_uv: whether U and V^H are given.
        subset_by_index: the first singular value, and one more than the last, given.
        algorithm: `SvdAlgorithm.QR` for LAPACK's gesvd; None, `DEFAULT` and
            `DIVIDE_AND_CONQUER` for gesdd.

    Raises:
        ArgumentError: a subset of square U and V, or another algorithm.
    """
    x = as_value(x)
    both = (SvdAlgorithm.DEFAULT, SvdAlgorithm.DIVIDE_AND_CONQUER)
    option("lax.linalg.svd", "algorithm", algorithm, (None, *both, SvdAlgorithm.QR))
    routine = "gesvd" if algorithm is SvdAlgorithm.QR else "gesdd"
    start, stop = (None, None) if subset_by_index is None else subset_by_index
    if not compute_uv:
        return spectral.svdvals(x, routine)[..., start:stop]
    if subset_by_index is not None and full_matrices:
        raise ArgumentError(
            "lax.linalg.svd was given subset_by_index with full_matrices=True.",
            where=called_at(),
            mend="Pass full_matrices=False.",
        )
    u, s, vh = spectral.svd(x, full_matrices, routine)
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
        >>> x = lax.linalg.tridiagonal_solve(side, middle, side, jnp.ones((4, 1)))
        >>> print(x.T.round(3))
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

    return reflections.householder_product(a, taus)


def ormqr(
    a: Any, taus: Any, c: Any, *, left: bool = True, transpose: bool = False
) -> Value:
    """Give Q c, or c Q if not `left`; of Q^H if `transpose`; Q is not made.

    Q, which is square, is the product of reflections that `householder_product` gives
    columns of. All three operands have derivatives. Formula: Puglisi, Modification of
    the Householder method based on the compact WY representation (1992).

    Args:
        a: matrices [..., m, n] of reflections.
        taus: factors [..., k], k <= min(m, n).
        c: matrices [..., m, p], or [..., p, m] if not `left`.
        left: whether Q stands on the left.
        transpose: whether Q is transposed, and conjugated if it is complex.

    Raises:
        ShapeError: shapes are not those.
        DtypeError: dtypes differ.
    """
    a, taus, c = as_value(a), as_value(taus), as_value(c)
    check_same_dtype((a.aval, taus.aval, c.aval), "ormqr")
    ranks = len(a.shape) == len(c.shape) == len(taus.shape) + 1 > 1
    batches = a.shape[:-2] == c.shape[:-2] == taus.shape[:-1]
    if not (
        ranks
        and batches
        and taus.shape[-1] <= min(a.shape[-2:])
        and c.shape[-2 if left else -1] == a.shape[-2]
    ):
        raise ShapeError(
            f"ormqr was given {a.aval}, {taus.aval} and {c.aval}.",
            where=called_at(),
            mend="Give reflections [..., m, n], factors [..., k] with k <= min(m, n), "
            f"and a matrix {'[..., m, p]' if left else '[..., p, m]'}.",
        )
    return reflections.reflect(a, taus, c, left=left, adjoint_q=transpose)


def hessenberg(a: Any) -> tuple[Value, Value]:
    """Give H of a = Q H Q^H with reflections below its subdiagonal, and their factors.

    H is zero below its subdiagonal; Q is 1 beside
    `householder_product(h[..., 1:, :-1], taus)`. As LAPACK's gehrd. It has no
    derivative.

    Args:
        a: square matrices [..., n, n].

    Returns:
        H and the reflections in one array [..., n, n]; factors [..., n - 1].

    Raises:
        ShapeError: matrices are not square.
    """
    packed, taus = reflections.Hessenberg()(as_value(a))
    return packed, taus


def tridiagonal(a: Any, *, lower: bool = True) -> tuple[Value, Value, Value, Value]:
    """Give T of Hermitian a = Q T Q^H beside reflections, two diagonals, and factors.

    T is real and has three diagonals. As LAPACK's sytrd and hetrd. It has no
    derivative.

    Args:
        a: Hermitian matrices [..., n, n], of which one triangle is read.
        lower: whether it is the lower one.

    Returns:
        T and the reflections, which stand beyond its diagonals in the triangle that was
        read, in one array [..., n, n]; the diagonal [..., n] of T; the one beside it
        [..., n - 1]; factors [..., n - 1].

    Raises:
        ShapeError: matrices are not square.
    """
    packed, d, e, taus = reflections.Tridiagonal(lower)(as_value(a))
    return packed, d, e, taus


def schur(
    x: Any,
    *,
    compute_schur_vectors: bool = True,
    sort_eig_vals: bool = False,
    select_callable: Callable[..., Any] | None = None,
) -> tuple[Value, ...]:
    """Factor x = Q T Q^H, T triangular: give T and Q, or (T,) alone.

    For real matrices T has blocks of two on its diagonal, for pairs of complex
    eigenvalues. It has no derivative.

    Args:
        x: square matrices [..., n, n].
        compute_schur_vectors: whether Q is given.
        sort_eig_vals: changes nothing, as in JAX.
        select_callable: changes nothing, as in JAX.

    Raises:
        ShapeError: matrices are not square.
    """
    return forms.schur(as_value(x), bool(compute_schur_vectors))


def cholesky_update(r_matrix: Any, w_vector: Any) -> Value:
    """Give the factor of R^H R + w w^H, upper triangular, in time that grows as n^2.

    By rotations: Golub and Van Loan, Matrix Computations (4th edition), section 6.5.4.
    The diagonal of the result is not negative.

    Args:
        r_matrix: upper triangular matrices R [..., n, n]; the rest is not read.
        w_vector: vectors w [..., n].

    Raises:
        ShapeError: shapes are not those.
        DtypeError: dtypes differ, or are not float32, float64 or complex.
    """
    r, w = as_value(r_matrix), as_value(w_vector)
    check_matrix("cholesky_update", r.aval, square=True)
    check_same_dtype((r.aval, w.aval), "cholesky_update")
    if w.shape != r.shape[:-1]:
        raise ShapeError(
            f"cholesky_update was given {r.aval} and {w.aval}.",
            where=called_at(),
            mend="Give matrices [..., n, n] and vectors [..., n].",
        )

    def rotate(v: Value, one: tuple[Value, Value]) -> tuple[Value, Value]:
        row, i = one
        x, y = row[i], v[i]
        size = factors.real_part(x * composed.conj(x) + y * composed.conj(y))
        flat = table.eq(size, 0.0)
        length = table.sqrt(table.select(flat, 1.0, size))
        cos = table.select(flat, 1.0, x / length)
        sin = table.select(flat, 0.0, y / length)
        turned = composed.conj(cos) * row + composed.conj(sin) * v
        return cos * v - sin * row, turned

    def update(r: Value, w: Value) -> Value:
        rows = (diagonals.triu(r), creation.arange(r.shape[-1]))
        return diagonals.triu(scan(rotate, composed.conj(w), rows)[1])

    for _ in r.shape[:-2]:
        update = vmap(update)
    return update(r, w)


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
