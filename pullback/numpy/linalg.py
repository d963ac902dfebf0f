"""NumPy's linear algebra.

Matrices stand in the last two axes and leading axes are a batch. Where NumPy raises
`LinAlgError` for a matrix without the wanted factors, the result is nan: compiled
programs cannot raise. Derivatives assume what the function assumes (`eigh` and
`cholesky` of Hermitian matrices, `pinv` of constant rank).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pullback.core.at_once import at_once
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ShapeError
from pullback.numpy import reductions
from pullback.numpy.arguments import array_argument, static_int
from pullback.numpy.contraction import (
    cross,
    matmul,
    outer,
    tensordot,
    vecdot,
)
from pullback.numpy.diagonals import diagonal as _diagonal
from pullback.numpy.norms import (
    choice,
    hermitian_part,
    matrices,
    matrix,
    matrix_norm,
    norm,
    norm_of_matrices,
    numpy_hermitian_part,
    squared_size,
    vector_norm,
)
from pullback.numpy.promotion import promote_arrays
from pullback.numpy.shaping import broadcast_to, matrix_transpose
from pullback.numpy.ufuncs import abs as _absolute
from pullback.primitives import linalg as factors
from pullback.primitives import row_order, spectral
from pullback.primitives.diagonal import on_diagonal
from pullback.primitives.elementwise import try_broadcast
from pullback.primitives.linalg import adjoint, as_column, identity
from pullback.primitives.recipes import canonical_axis
from pullback.primitives.shaping import slice_in_dim
from pullback.primitives.sorting import argsort
from pullback.primitives.stacking import pick
from pullback.primitives.structural import full, move_axis, reshape
from pullback.primitives.table import (
    add,
    convert,
    div,
    gt,
    mul,
    neg,
    select,
    stop_gradient,
    sub,
)

__all__ = [
    "EighResult",
    "QRResult",
    "SVDResult",
    "SlogdetResult",
    "cholesky",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "inv",
    "lstsq",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "multi_dot",
    "norm",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "tensorinv",
    "tensorsolve",
    "trace",
    "vecdot",
    "vector_norm",
]


class EigResult(NamedTuple):
    """Eigenvalues, and the eigenvectors as columns."""

    eigenvalues: Value
    eigenvectors: Value


class EighResult(NamedTuple):
    """Ascending eigenvalues, and the eigenvectors as columns."""

    eigenvalues: Value
    eigenvectors: Value


class QRResult(NamedTuple):
    """A matrix with orthonormal columns, and an upper triangular one."""

    Q: Value
    R: Value


class SVDResult(NamedTuple):
    """Left vectors, descending singular values, right vectors as rows."""

    U: Value
    S: Value
    Vh: Value


class SlogdetResult(NamedTuple):
    """The sign (or phase) of a determinant, and the logarithm of its size."""

    sign: Value
    logabsdet: Value


# -- systems ---------------------------------------------------------------------------


def solve(a: Any, b: Any) -> Value:
    """Solve a x = b; as `numpy.linalg.solve`: `b` is a vector if it has one axis."""
    a, b = matrices("solve", a, b)
    if len(a.shape) == 2 and len(b.shape) in (1, 2) and {*a.shape} == {b.shape[0]}:
        found = at_once(_unless_refused(np.linalg.solve), a, b)
        if found is not None:
            return found
    matrix("solve", a, square=True)
    vector = len(b.shape) == 1
    right = as_column(b) if vector else b
    n = a.shape[-1]
    batch = try_broadcast((a.shape[:-2], right.shape[:-2]))
    if len(b.shape) == 0 or right.shape[-2] != n or batch is None:
        raise ShapeError(
            f"linalg.solve was given a matrix {a.aval} and a right side {b.aval}.",
            where=called_at(),
            mend="Give a right side [n] or [..., n, k] for a matrix [..., n, n].",
        )
    if len(a.shape) == 2 and len(right.shape) > 2:
        x = _solve_side_by_side(a, right)
    else:
        if a.shape[:-2] != batch or right.shape[:-2] != batch:
            right = broadcast_to(right, (*batch, *right.shape[-2:]))
            a = broadcast_to(a, (*batch, n, n))
        x = factors.solve(a, right)
    return reshape(x, x.shape[:-1]) if vector else x


def _unless_refused(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function of NumPy's, or None of matrices that it refuses."""

    def apply(*xs: Any) -> Any:
        try:
            return function(*xs)
        except np.linalg.LinAlgError:
            return None

    return apply


def _solve_side_by_side(a: Value, b: Value) -> Value:
    """Solve for a batch of right sides with one matrix, which is factored once."""
    rank = len(b.shape)
    rows_first = move_axis(b, rank - 2, 0)
    flat = reshape(rows_first, (b.shape[-2], math.prod(rows_first.shape[1:])))
    x = reshape(factors.solve(a, flat), rows_first.shape)
    return move_axis(x, 0, rank - 2)


def inv(a: Any) -> Value:
    """Invert matrices; as `numpy.linalg.inv`."""
    x = matrix("inv", a, square=True)
    found = at_once(_unless_refused(np.linalg.inv), x)
    if found is not None:
        return found
    unit = identity(x.shape[-1], x.dtype)
    return factors.solve(x, broadcast_to(unit, x.shape) if len(x.shape) > 2 else unit)


def lstsq(
    a: Any, b: Any, rcond: Any = None, *, numpy_resid: bool = False
) -> tuple[Value, Value, Value, Value]:
    """Solve in the sense of least squares; as `numpy.linalg.lstsq`.

    The residuals are given whatever the rank; with `numpy_resid` they are empty where
    the shape alone says so (no more rows than columns).
    """
    a, b = matrices("lstsq", a, b)
    if len(a.shape) != 2 or len(b.shape) not in (1, 2) or a.shape[0] != b.shape[0]:
        raise ShapeError(
            f"linalg.lstsq was given a matrix {a.aval} and a right side {b.aval}.",
            where=called_at(),
            mend="Give a matrix [m, n] and a right side [m] or [m, k].",
        )
    rows, columns = a.shape
    rtol = None if rcond is None or rcond < 0 else float(rcond)
    s = spectral.svdvals(a)
    cutoff = mul(slice_in_dim(s, 0, 1, 0), spectral.tolerance(rtol, a))
    rank = reductions.sum(gt(s, cutoff))
    x = matmul(spectral.pinv(a, rtol), b)
    rest = reductions.sum(squared_size(sub(b, matmul(a, x))), axis=0)
    if numpy_resid and rows <= columns:
        rest = full((0,), 0, rest.dtype)
    return x, reshape(rest, rest.shape or (1,)), rank, s


def tensorsolve(a: Any, b: Any, axes: Sequence[int] | None = None) -> Value:
    """Solve tensordot(a, x, x.ndim) = b; as `numpy.linalg.tensorsolve`."""
    a, b = matrices("tensorsolve", a, b)
    rank = len(a.shape)
    for axis in axes or ():
        a = move_axis(a, canonical_axis(axis, rank, "tensorsolve"), rank - 1)
    shape = a.shape[len(b.shape) :]
    size = math.prod(b.shape)
    if math.prod(shape) != size or a.shape[: len(b.shape)] != b.shape:
        raise ShapeError(
            f"linalg.tensorsolve was given {a.aval} (after moving axes) and {b.aval}.",
            where=called_at(),
            mend="The first axes of `a` must be those of `b`, and the product of the "
            "others must be the size of `b`.",
        )
    found = solve(reshape(a, (size, size)), reshape(b, (size,)))
    return reshape(found, shape)


def tensorinv(a: Any, ind: int = 2) -> Value:
    """Invert with respect to tensordot(a, b, ind); as `numpy.linalg.tensorinv`."""
    (x,) = matrices("tensorinv", a)
    first, last = x.shape[:ind], x.shape[ind:]
    size = math.prod(first)
    if ind <= 0 or math.prod(last) != size:
        raise ShapeError(
            f"linalg.tensorinv was given {x.aval} with ind={ind}.",
            where=called_at(),
            mend="The product of the first `ind` lengths must be that of the others.",
        )
    return reshape(inv(reshape(x, (size, size))), (*last, *first))


# -- determinants and powers -----------------------------------------------------------


def det(a: Any) -> Value:
    """Give determinants; as `numpy.linalg.det`."""
    x = matrix("det", a, square=True)
    n = x.shape[-1]
    if n == 0:
        return full(x.shape[:-2], 1, x.dtype)
    if n > 3:
        return factors.det(x)
    # Polynomials are differentiable where the matrix is singular, to any order.
    entries = [[_entry(x, i, j) for j in range(n)] for i in range(n)]
    return _expanded(entries)


def _entry(x: Value, i: int, j: int) -> Value:
    """Give one entry of each matrix."""
    lead, rank = x.shape[:-2], len(x.shape)
    zeros = (0,) * len(lead)
    bounds = (*zeros, i, j), (*lead, i + 1, j + 1)
    return pick(x, *bounds, (1,) * rank, (rank - 2, rank - 1))


def _expanded(rows: list[list[Value]]) -> Value:
    """Expand a determinant by its first row."""
    first, *rest = rows
    total = None
    for j, x in enumerate(first):
        minor = [row[:j] + row[j + 1 :] for row in rest]
        term = mul(x, _expanded(minor)) if minor else x
        signed = term if total is None else (sub if j % 2 else add)(total, term)
        total = signed
    return total


def slogdet(a: Any) -> SlogdetResult:
    """Give signs and logarithms of determinants; as `numpy.linalg.slogdet`."""
    x = matrix("slogdet", a, square=True)
    return SlogdetResult(*factors.slogdet(x))


def matrix_power(a: Any, n: int) -> Value:
    """Raise matrices to an integer power; as `numpy.linalg.matrix_power`."""
    count = static_int(n, "matrix_power", "n")
    x = matrix("matrix_power", a, square=True)
    if count >= 0:  # integers stay integers
        x = array_argument(a, "matrix_power")
    if count < 0:
        x, count = inv(x), -count
    result = None
    while count:
        if count & 1:
            result = x if result is None else matmul(result, x)
        count >>= 1
        if count:
            x = matmul(x, x)
    if result is None:
        return broadcast_to(identity(x.shape[-1], x.dtype), x.shape)
    return result


def multi_dot(arrays: Sequence[Any], *, precision: Any = None) -> Value:
    """Multiply a chain of matrices in the cheapest order; as NumPy's.

    The order is that of Cormen et al., Introduction to Algorithms, section 15.2.
    """
    chain = promote_arrays("multi_dot", *arrays)
    ranks = [len(x.shape) for x in chain]
    edges_ok = all(rank in (1, 2) for rank in (ranks[:1] + ranks[-1:]))
    if len(chain) < 2 or not edges_ok or any(rank != 2 for rank in ranks[1:-1]):
        raise ShapeError(
            f"linalg.multi_dot was given {', '.join(str(x.aval) for x in chain)}.",
            where=called_at(),
            mend="Give two or more matrices; the first and last may be vectors.",
        )
    if len(chain) == 2:
        return matmul(chain[0], chain[1], precision=precision)
    sizes = [1 if ranks[0] == 1 else chain[0].shape[0]]
    sizes += [x.shape[0] for x in chain[1:]]
    sizes += [1 if ranks[-1] == 1 else chain[-1].shape[1]]
    cuts = _chain_order(sizes)

    def product(i: int, j: int) -> Value:
        if i == j:
            return chain[i]
        k = cuts[i, j]
        return matmul(product(i, k), product(k + 1, j), precision=precision)

    return product(0, len(chain) - 1)


def _chain_order(sizes: Sequence[int]) -> dict[tuple[int, int], int]:
    """Give for each part of a chain of matrices where to cut it."""
    n = len(sizes) - 1
    cost = {(i, i): 0 for i in range(n)}
    cuts: dict[tuple[int, int], int] = {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            choices = {
                k: cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1]
                for k in range(i, j)
            }
            cuts[i, j] = min(choices, key=choices.__getitem__)
            cost[i, j] = choices[cuts[i, j]]
    return cuts


# -- factorizations --------------------------------------------------------------------


def cholesky(a: Any, *, upper: bool = False, symmetrize_input: bool = True) -> Value:
    """Factor positive definite matrices; as `numpy.linalg.cholesky`.

    nan where a matrix is not positive definite. With `symmetrize_input`, the mean of
    the matrix and its adjoint is factored, so that derivatives are Hermitian.
    """
    x = matrix("cholesky", a, square=True)
    if symmetrize_input and not upper:
        factored = _unless_refused(np.linalg.cholesky)
        found = at_once(lambda x: factored(numpy_hermitian_part(x)), x)
        if found is not None:
            return found
    lower = factors.cholesky(hermitian_part(x) if symmetrize_input else x)
    return adjoint(lower) if upper else lower


def qr(a: Any, mode: str = "reduced") -> Any:
    """Factor into Q and R; as `numpy.linalg.qr` without its mode 'raw'."""
    choice("qr", "mode", mode, ("reduced", "complete", "r"))
    q, r = spectral.qr(matrix("qr", a), mode == "complete")
    return r if mode == "r" else QRResult(q, r)


def svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    """Give singular vectors and values; as `numpy.linalg.svd`.

    With `full_matrices` only square matrices have derivatives. Vectors whose singular
    values coincide are not turned towards each other by derivatives, as in JAX: that is
    right only for what does not depend on their choice.
    """
    x = matrix("svd", a)
    if not compute_uv:
        return svdvals(x) if not hermitian else _descending(x)[1]
    if hermitian:
        u, s, w = _descending(x)
        phases = convert(select(gt(0.0, w), -1.0, full((), 1, w.dtype)), x.dtype)
        return SVDResult(u, s, adjoint(mul(u, factors.as_row(phases))))
    return SVDResult(*spectral.svd(x, full_matrices))


def _descending(a: Value) -> tuple[Value, Value, Value]:
    """Give the eigenvectors of Hermitian matrices by size of the eigenvalues."""
    w, v = eigh(a)
    size = _absolute(w)
    order = argsort(neg(stop_gradient(size)), len(w.shape) - 1)
    w = reshape(row_order.permute_rows(as_column(w), order), w.shape)
    v = matrix_transpose(row_order.permute_rows(matrix_transpose(v), order))
    return v, _absolute(w), w


def svdvals(x: Any, /) -> Value:
    """Give singular values, descending; as `numpy.linalg.svdvals`."""
    return spectral.svdvals(matrix("svdvals", x))


def eigh(a: Any, UPLO: str | None = None, symmetrize_input: bool = True) -> EighResult:
    """Give eigenvalues and eigenvectors of Hermitian matrices; as `numpy.linalg.eigh`.

    With `symmetrize_input` (and UPLO None), the mean of the matrix and its adjoint.
    Derivatives of vectors whose values coincide are nan: the vectors are arbitrary.
    """
    x = matrix("eigh", a, square=True)
    lower = choice("eigh", "UPLO", UPLO, (None, "L", "U")) != "U"
    x = hermitian_part(x) if symmetrize_input and UPLO is None else _reflected(x, lower)
    return EighResult(*spectral.eigh(x, lower))


def _reflected(x: Value, lower: bool) -> Value:
    """Give the Hermitian matrix of one triangle."""
    strict = factors.triangle(x, lower, 1)
    n = x.shape[-1]
    middle = select(on_diagonal(n, n), x, 0.0)
    return add(add(strict, adjoint(strict)), hermitian_part(middle))


def eigvalsh(a: Any, UPLO: str | None = None, symmetrize_input: bool = True) -> Value:
    """Give ascending eigenvalues of Hermitian matrices; as `numpy.linalg.eigvalsh`."""
    x = matrix("eigvalsh", a, square=True)
    lower = choice("eigvalsh", "UPLO", UPLO, (None, "L", "U")) != "U"
    x = hermitian_part(x) if symmetrize_input and UPLO is None else _reflected(x, lower)
    return spectral.eigvalsh(x, lower)


def eig(a: Any) -> EigResult:
    """Give complex eigenvalues and eigenvectors of square matrices; as NumPy's.

    The largest entry of each vector is real, where NumPy leaves that open.
    """
    return EigResult(*spectral.eig(matrix("eig", a, square=True)))


def eigvals(a: Any) -> Value:
    """Give complex eigenvalues of square matrices; as `numpy.linalg.eigvals`."""
    return spectral.eigvals(matrix("eigvals", a, square=True))


def pinv(
    a: Any, rtol: float | None = None, hermitian: bool = False, *, rcond: Any = None
) -> Value:
    """Give the Moore-Penrose inverse; as `numpy.linalg.pinv`, `rtol` a Python float.

    `rtol` is max(m, n) times the dtype's epsilon where it is None.
    """
    tolerance = rtol if rtol is not None else rcond
    x = matrix("pinv", a, square=hermitian)
    return spectral.pinv(x, None if tolerance is None else float(tolerance))


# -- counts and diagonals --------------------------------------------------------------


def cond(x: Any, p: Any = None) -> Value:
    """Give condition numbers; as `numpy.linalg.cond`."""
    x = matrix("cond", x)
    if p in (None, 2, -2):
        s = spectral.svdvals(x)
        rank = len(s.shape)
        ends = [slice_in_dim(s, i, i + 1, rank - 1) for i in (0, s.shape[-1] - 1)]
        largest, smallest = [reshape(e, s.shape[:-1]) for e in ends]
        return div(smallest, largest) if p == -2 else div(largest, smallest)
    x = matrix("cond", x, square=True)
    return mul(norm_of_matrices(x, p, False), norm_of_matrices(inv(x), p, False))


def matrix_rank(
    M: Any, rtol: Any = None, hermitian: bool = False, *, tol: Any = None
) -> Value:
    """Count singular values above a tolerance; as `numpy.linalg.matrix_rank`.

    Args:
        M: matrices; a vector has rank 1 unless it is zero.
        rtol: the tolerance over the largest singular value.
        hermitian: use eigenvalues, which is cheaper.
        tol: the tolerance itself.
    """
    M = array_argument(M, "matrix_rank")
    if len(M.shape) < 2:  # of a vector: 1 unless it is zero
        return reductions.any(M).astype(int)
    x = matrix("matrix_rank", M)
    s = _absolute(eigvalsh(x)) if hermitian else spectral.svdvals(x)
    if tol is not None:
        cutoff = array_argument(tol, "matrix_rank", "tol")
    else:
        relative = spectral.tolerance(None, x) if rtol is None else rtol
        cutoff = reductions.max(s, axis=-1) * relative
    cutoff = reshape(cutoff, (*cutoff.shape, 1))
    return reductions.sum(s > cutoff, axis=-1)


def diagonal(x: Any, /, *, offset: int = 0) -> Value:
    """Give diagonals of matrices; as `numpy.linalg.diagonal`."""
    return _diagonal(x, offset, -2, -1)


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Value:
    """Sum the diagonals of matrices; as `numpy.linalg.trace`."""
    return reductions.sum(diagonal(x, offset=offset), axis=-1, dtype=dtype)
