"""SciPy's linear algebra: factors that are used again, triangular systems, `expm`.

Matrices of special form stand in `special_matrices.py`, other decompositions and
functions in `matrix_functions.py`.

The arguments `overwrite_a` and `check_finite` are accepted and change nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.calls.cond import cond
from pullback.calls.loops import scan
from pullback.core.calling import as_value
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ShapeError
from pullback.numpy import linalg, reductions
from pullback.numpy.arguments import static_int
from pullback.numpy.contraction import matmul
from pullback.numpy.norms import choice, matrices, matrix
from pullback.numpy.shaping import broadcast_to
from pullback.primitives import banded, row_order, spectral, table
from pullback.primitives import linalg as factors
from pullback.primitives.linalg import as_column, identity
from pullback.primitives.shaping import concatenate
from pullback.primitives.structural import reshape
from pullback.scipy.matrix_functions import (
    eigh_tridiagonal,
    funm,
    hessenberg,
    polar,
    qr_multiply,
    rsf2csf,
    schur,
    solve_sylvester,
    sqrtm,
)
from pullback.scipy.special_matrices import (
    block_diag,
    circulant,
    companion,
    convolution_matrix,
    dft,
    fiedler,
    fiedler_companion,
    hadamard,
    hankel,
    helmert,
    hilbert,
    invhilbert,
    invpascal,
    leslie,
    pascal,
    toeplitz,
)
from pullback.transforms.vjp import jvp

__all__ = [
    "block_diag",
    "cho_factor",
    "cho_solve",
    "cholesky",
    "circulant",
    "companion",
    "convolution_matrix",
    "det",
    "dft",
    "eigh",
    "eigh_tridiagonal",
    "expm",
    "expm_frechet",
    "fiedler",
    "fiedler_companion",
    "funm",
    "hadamard",
    "hankel",
    "helmert",
    "hessenberg",
    "hilbert",
    "inv",
    "invhilbert",
    "invpascal",
    "leslie",
    "lu",
    "lu_factor",
    "lu_solve",
    "pascal",
    "polar",
    "qr",
    "qr_multiply",
    "rsf2csf",
    "schur",
    "solve",
    "solve_banded",
    "solve_sylvester",
    "solve_triangular",
    "solveh_banded",
    "sqrtm",
    "svd",
    "toeplitz",
]

det, inv = linalg.det, linalg.inv

#: A factor, and whether it is the lower one.
Factor = tuple[Value, bool]
_CODES = {0: (False, False), 1: (True, False), 2: (True, True)}
_CODES_BY_LETTER = {"N": 0, "T": 1, "C": 2}


def cholesky(
    a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> Value:
    """Factor positive definite matrices, upper by default; as SciPy's."""
    return linalg.cholesky(a, upper=not lower)


def cho_factor(
    a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> Factor:
    """Factor positive definite matrices for `cho_solve`; as SciPy's."""
    return cholesky(a, lower), lower


def cho_solve(
    c_and_lower: Factor, b: Any, overwrite_b: bool = False, check_finite: bool = True
) -> Value:
    """Solve a x = b, given `cho_factor(a)`; as SciPy's."""
    c, lower = c_and_lower
    half = solve_triangular(c, b, trans=0 if lower else 2, lower=lower)
    return solve_triangular(c, half, trans=2 if lower else 0, lower=lower)


def solve_triangular(
    a: Any,
    b: Any,
    trans: int | str = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Value:
    """Solve a x = b for triangular `a`; as SciPy's.

    Args:
        a: matrices, of which one triangle is read.
        b: a vector, or matrices of right sides.
        trans: 0 or "N" for `a`, 1 or "T" for its transpose, 2 or "C" for its adjoint.
        lower: which triangle.
        unit_diagonal: take the diagonal to be 1 without reading it.
        overwrite_b: changes nothing.
        check_finite: changes nothing.
    """
    a, b = matrices("solve_triangular", a, b)
    matrix("solve_triangular", a, square=True)
    code = _CODES_BY_LETTER.get(trans, trans) if isinstance(trans, str) else trans
    choice("solve_triangular", "trans", code, (0, 1, 2))
    vector = len(b.shape) == 1
    right = as_column(b) if vector else b
    n = a.shape[-1]
    if len(right.shape) < 2 or right.shape[-2] != n:
        raise ShapeError(
            f"solve_triangular was given a matrix {a.aval} and a right side {b.aval}.",
            where=called_at(),
            mend="Give a right side [n] or [..., n, k] for a matrix [..., n, n].",
        )
    batch = np.broadcast_shapes(a.shape[:-2], right.shape[:-2])
    transpose_a, conjugate_a = _CODES[int(code)]
    x = factors.triangular_solve(
        broadcast_to(a, (*batch, n, n)),
        broadcast_to(right, (*batch, *right.shape[-2:])),
        left_side=True,
        lower=lower,
        transpose_a=transpose_a,
        conjugate_a=conjugate_a,
        unit_diagonal=unit_diagonal,
    )
    return reshape(x, x.shape[:-1]) if vector else x


def lu_factor(
    a: Any, overwrite_a: bool = False, check_finite: bool = True
) -> tuple[Value, Value]:
    """Factor square matrices for `lu_solve`: (L and U in one array, row exchanges)."""
    packed, pivots, _ = factors.lu(matrix("lu_factor", a, square=True))
    return packed, pivots


def lu_solve(
    lu_and_piv: tuple[Value, Value],
    b: Any,
    trans: int = 0,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Value:
    """Solve a x = b (or a^T x, a^H x with `trans` 1, 2), given `lu_factor(a)`."""
    packed, pivots = lu_and_piv
    packed, b = matrices("lu_solve", packed, b)
    choice("lu_solve", "trans", trans, (0, 1, 2))
    order = row_order.pivots_to_permutation(pivots, packed.shape[-1])
    vector = len(b.shape) == 1
    right = as_column(b) if vector else b
    if trans == 0:
        ordered = row_order.permute_rows(right, order)
        half = solve_triangular(packed, ordered, lower=True, unit_diagonal=True)
        x = solve_triangular(packed, half)
    else:
        half = solve_triangular(packed, right, trans=trans)
        whole = solve_triangular(packed, half, trans, lower=True, unit_diagonal=True)
        x = row_order.permute_rows(whole, order, inverse=True)
    return reshape(x, x.shape[:-1]) if vector else x


def lu(
    a: Any,
    permute_l: bool = False,
    overwrite_a: bool = False,
    check_finite: bool = True,
) -> Any:
    """Factor matrices: (P, L, U) with a = P L U, or (P L, U); as `scipy.linalg.lu`."""
    x = matrix("lu", a)
    rows, columns = x.shape[-2:]
    short = min(rows, columns)
    packed, _, order = factors.lu(x)
    strict = factors.triangle(factors.resize(packed, rows, short), True, 1)
    unit = factors.resize(identity(rows, x.dtype), rows, short)
    lower = table.add(strict, unit)
    upper = factors.triangle(factors.resize(packed, short, columns), False)
    if permute_l:
        return row_order.permute_rows(lower, order, inverse=True), upper
    eye = broadcast_to(identity(rows, x.dtype), (*x.shape[:-1], rows))
    return row_order.permute_rows(eye, order, inverse=True), lower, upper


def solve(
    a: Any,
    b: Any,
    lower: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    assume_a: str = "gen",
) -> Value:
    """Solve a x = b; as `scipy.linalg.solve`, `assume_a` gen, sym, her or pos."""
    choice("solve", "assume_a", assume_a, ("gen", "sym", "her", "pos"))
    if assume_a == "pos":
        return cho_solve(cho_factor(a, lower=True), b)
    return linalg.solve(a, b)


def solve_banded(
    l_and_u: tuple[int, int],
    ab: Any,
    b: Any,
    overwrite_ab: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Value:
    """Solve a x = b for matrices of few diagonals; as `scipy.linalg.solve_banded`.

    Rows are exchanged, as in SciPy's. Compiled programs call the host for it, but with
    (1, 1). x is nan where a matrix is singular, or not finite.

    Args:
        l_and_u: how many diagonals are below and above the main one.
        ab: the diagonals [..., l + u + 1, n]: ab[u + i - j, j] is a[i, j].
        b: a vector [n], or matrices of right sides [..., n, k].
        overwrite_ab, overwrite_b, check_finite: change nothing.

    Raises:
        ShapeError: shapes are not those.
    """
    below, above = (static_int(k, "solve_banded", "l_and_u") for k in l_and_u)
    ab, b = matrices("solve_banded", ab, b)
    return _solved(ab, b, below, above, "solve_banded")


def solveh_banded(
    ab: Any,
    b: Any,
    overwrite_ab: bool = False,
    overwrite_b: bool = False,
    lower: bool = False,
    check_finite: bool = True,
) -> Value:
    """Solve a x = b for Hermitian matrices of few diagonals; as SciPy's.

    The other half is filled in for `solve_banded`: the matrix need not be positive
    definite.

    Args:
        ab: the diagonals [..., u + 1, n], the upper ones with ab[u + i - j, j] a[i, j],
            or the lower ones with ab[i - j, j] a[i, j].
        b: a vector [n], or matrices of right sides [..., n, k].
        overwrite_ab, overwrite_b, check_finite: change nothing.
        lower: whether the lower diagonals are given.

    Raises:
        ShapeError: shapes are not those.
    """
    ab, b = matrices("solveh_banded", ab, b)
    count = matrix("solveh_banded", ab).shape[-2] - 1
    half = [banded.band(ab, row) for row in range(count + 1)]
    given = half if lower else half[::-1]
    sign = 1 if lower else -1
    other = [
        factors.conjugate(banded.moved_along(row, sign * places))
        for places, row in enumerate(given)
    ]
    main = table.convert(factors.real_part(given[0]), ab.dtype)
    one, two = (other, given) if lower else (given, other)
    rows = [*one[:0:-1], main, *two[1:]]
    full = concatenate([factors.as_row(row) for row in rows], len(ab.shape) - 2)
    return _solved(full, b, count, count, "solveh_banded")


def _solved(ab: Value, b: Value, below: int, above: int, who: str) -> Value:
    """Solve for matrices of diagonals, with leading axes that broadcast."""
    vector = len(b.shape) == 1
    right = as_column(b) if vector else b
    n = ab.shape[-1] if len(ab.shape) > 1 else -1
    if n < 0 or ab.shape[-2] != below + above + 1 or right.shape[-2:-1] != (n,):
        raise ShapeError(
            f"{who} was given diagonals {ab.aval}, {below} below and {above} above the "
            f"main one, and a right side {b.aval}.",
            where=called_at(),
            mend="Give diagonals [..., below + above + 1, n] and a right side [n] or "
            "[..., n, k].",
        )
    places = np.arange(-above, below + 1)[:, None] + np.arange(n)
    read = as_value((places >= 0) & (places < n))
    ab = table.select(broadcast_to(read, ab.shape), ab, 0.0)
    batch = np.broadcast_shapes(ab.shape[:-2], right.shape[:-2])
    right = broadcast_to(right, (*batch, *right.shape[-2:]))
    ab = broadcast_to(ab, (*batch, *ab.shape[-2:]))
    x = banded.solve_banded(ab, right, below, above)
    return reshape(x, x.shape[:-1]) if vector else x


def qr(
    a: Any,
    overwrite_a: bool = False,
    lwork: None = None,
    mode: str = "full",
    pivoting: bool = False,
    check_finite: bool = True,
) -> Any:
    """Factor into Q and R, and with `pivoting` the order of columns; as SciPy's.

    Derivatives hold the order. `mode` is "full", "economic" or "r".
    """
    choice("qr", "mode", mode, ("full", "economic", "r"))
    if pivoting:
        found = spectral.pivoted_qr(matrix("qr", a), mode != "economic")
    else:
        found = linalg.qr(a, "reduced" if mode == "economic" else "complete")
    return tuple(found[1:] if mode == "r" else found)


def svd(
    a: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    overwrite_a: bool = False,
    check_finite: bool = True,
    lapack_driver: str = "gesdd",
) -> Any:
    """Give singular vectors and values, by LAPACK's gesdd or gesvd; as SciPy's."""
    choice("svd", "lapack_driver", lapack_driver, ("gesdd", "gesvd"))
    x = matrix("svd", a)
    if compute_uv:
        return spectral.svd(x, full_matrices, lapack_driver)
    return spectral.svdvals(x, lapack_driver)


def eigh(
    a: Any,
    b: None = None,
    lower: bool = True,
    eigvals_only: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:
    """Give eigenvalues and vectors of Hermitian matrices; as SciPy's without `b`."""
    choice("eigh", "b", b, (None,))
    side = "L" if lower else "U"
    return linalg.eigvalsh(a, side) if eigvals_only else tuple(linalg.eigh(a, side))


def expm(A: Any, *, upper_triangular: bool = False, max_squarings: int = 16) -> Value:
    """Give matrix exponentials; as `scipy.linalg.expm`.

    Higham, The scaling and squaring method for the matrix exponential revisited (SIAM
    Review 51, 2009): the approximant of order 13 after scaling to 1-norm at most 5.37;
    for float32 and less that of order 7, after scaling to at most 3.92. nan where that
    takes more than `max_squarings` squarings. The order does not depend on the values,
    so that batches and compiled programs run the same operations.
    """
    x = matrix("expm", A, square=True)
    order = 7 if dtypes.real_dtype(x.dtype).itemsize <= 4 else 13
    size = linalg.matrix_norm(table.stop_gradient(x), ord=1, keepdims=True)
    needed = table.log(table.max(size, 1e-30)) * (1 / math.log(2))
    squarings = table.max(table.ceil(needed - math.log2(_REACH[order])), 0.0)
    scale = table.convert(table.exp2(table.neg(squarings)), x.dtype)
    top, bottom = _pade(table.mul(x, scale), order)
    found = _squared(linalg.solve(bottom, top), squarings, max_squarings)
    return table.select(table.gt(squarings, float(max_squarings)), np.nan, found)


def expm_frechet(
    A: Any, E: Any, *, method: str | None = None, compute_expm: bool = True
) -> Any:
    """Give `expm(A)` and its derivative along `E`, or that only; as SciPy's.

    `method` changes nothing.
    """
    a, e = matrices("expm_frechet", A, E)
    if a.shape != e.shape:
        raise ShapeError(
            f"expm_frechet was given {a.aval} and {e.aval}.",
            where=called_at(),
            mend="Give matrices of one shape.",
        )
    value, slope = jvp(expm, (a,), (e,))
    return (value, slope) if compute_expm else slope


def _squared(x: Value, times: Value, most: int) -> Value:
    """Square matrices so many times each; no more products than one of them needs."""

    def square(x: Value, i: Any) -> Value:
        return table.select(table.gt(times, i), matmul(x, x), x)

    known = getattr(times, "concrete", lambda: None)()
    if known is not None:
        value = np.asarray(known)
        needed = np.max(value[np.isfinite(value)], initial=0)
        for i in range(int(min(needed, most))):
            x = square(x, float(i))
        return x

    def step(x: Value, i: Value) -> tuple[Value, None]:
        wanted = reductions.any(table.gt(times, i))
        return cond(wanted, square, lambda x, i: x, x, i), None

    return scan(step, x, np.arange(most, dtype=times.dtype))[0]


# Numerators of the Pade approximants by their orders (Higham 2009, table 2.2 and
# (3.5)), and up to which 1-norm they are right to float32 and to float64 (table 2.3;
# N. J. Higham, Functions of Matrices, 2008, section 10.3).
_PADE = {
    7: (17297280.0, 8648640.0, 1995840.0, 277200.0, 25200.0, 1512.0, 56.0, 1.0),
    13: (
        64764752532480000.0,
        32382376266240000.0,
        7771770303897600.0,
        1187353796428800.0,
        129060195264000.0,
        10559470521600.0,
        670442572800.0,
        33522128640.0,
        1323241920.0,
        40840800.0,
        960960.0,
        16380.0,
        182.0,
        1.0,
    ),
}
_REACH = {7: 3.92, 13: 5.37}


def _pade(a: Value, order: int) -> tuple[Value, Value]:
    """Give numerator and denominator of the approximant of exp(a)."""
    # Over the first coefficient, so that float32 holds them all.
    b = [c / _PADE[order][0] for c in _PADE[order]]
    a2 = matmul(a, a)
    a4 = matmul(a2, a2)
    a6 = matmul(a4, a2)
    one = identity(a.shape[-1], a.dtype)

    def series(start: int) -> Value:
        low = a6 * b[start + 6] + a4 * b[start + 4] + a2 * b[start + 2]
        low = low + one * b[start]
        if order == 7:
            return low
        high = a4 * b[start + 10] + a2 * b[start + 8]
        if start + 12 <= order:
            high = a6 * b[start + 12] + high
        return matmul(a6, high) + low

    odd = matmul(a, series(1))
    even = series(0)
    return even + odd, even - odd
