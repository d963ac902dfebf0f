"""Matrices of special form, for `scipy.linalg`."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.array import from_host
from pullback.core.trace import Value
from pullback.lazy import scipy_linalg
from pullback.numpy.arguments import (
    option,
    static_int,
    wrong_shape,
)
from pullback.numpy.composed import where
from pullback.numpy.creation import zeros
from pullback.numpy.promotion import promote_arrays, to_inexact
from pullback.numpy.shaping import atleast_2d, broadcast_to, concatenate, flip, reshape
from pullback.numpy.taking import take
from pullback.primitives import table

__all__ = [
    "block_diag",
    "circulant",
    "companion",
    "convolution_matrix",
    "dft",
    "fiedler",
    "fiedler_companion",
    "hadamard",
    "hankel",
    "helmert",
    "hilbert",
    "invhilbert",
    "invpascal",
    "leslie",
    "pascal",
    "toeplitz",
]


def _vectors(who: str, *xs: Any, least: int = 1) -> list[Value]:
    """Give vectors [..., n] of one dtype.

    Raises:
        ShapeError: fewer than `least` elements.
    """
    found = promote_arrays(who, *xs)
    for x in found:
        if not x.shape or x.shape[-1] < least:
            raise wrong_shape(
                who,
                f"takes vectors of {least} or more elements; it was given {x.aval}.",
                "Put the vector in the last axis; leading axes are a batch.",
            )
    return found


def _spread(values: Value, places: Any) -> Value:
    """Read a matrix of elements from the last axis."""
    found = take(values, places.reshape(-1), axis=-1)
    return reshape(found, (*values.shape[:-1], *places.shape))


def _grid(rows: int, columns: int) -> tuple[Any, Any]:
    """Give row and column numbers."""
    i, j = np.indices((rows, columns))
    return i, j


# -- along diagonals -------------------------------------------------------------------


def toeplitz(c: Any, r: Any = None) -> Value:
    """Give matrices of first column `c` and first row `r`; as SciPy's.

    Args:
        c: first columns [..., m].
        r: first rows [..., n], of which the first element is not read; the conjugate
            of `c` if None.
    """
    if r is None:
        (column,) = _vectors("toeplitz", c)
        row = column
        if dtypes.is_complex(column.dtype):
            row = table.conj(column)
    else:
        column, row = _vectors("toeplitz", c, r)
    m, n = column.shape[-1], row.shape[-1]
    batch = np.broadcast_shapes(column.shape[:-1], row.shape[:-1])
    column, row = broadcast_to(column, (*batch, m)), broadcast_to(row, (*batch, n))
    i, j = _grid(m, n)
    return _spread(concatenate([flip(column, -1), row[..., 1:]], -1), m - 1 - i + j)


def hankel(c: Any, r: Any = None) -> Value:
    """Give matrices of first column `c` and last row `r`, 0 if None; as SciPy's."""
    if r is None:
        (column,) = _vectors("hankel", c)
        row = column * 0
    else:
        column, row = _vectors("hankel", c, r)
    m, n = column.shape[-1], row.shape[-1]
    batch = np.broadcast_shapes(column.shape[:-1], row.shape[:-1])
    column, row = broadcast_to(column, (*batch, m)), broadcast_to(row, (*batch, n))
    i, j = _grid(m, n)
    return _spread(concatenate([column, row[..., 1:]], -1), i + j)


def circulant(c: Any) -> Value:
    """Give circulant matrices of first column `c`; as `scipy.linalg.circulant`."""
    (column,) = _vectors("circulant", c)
    n = column.shape[-1]
    i, j = _grid(n, n)
    return _spread(column, (i - j) % n)


def convolution_matrix(a: Any, n: int, mode: str = "full") -> Value:
    """Give the matrix of `convolve(a, x, mode)` for `x` of `n` elements; as SciPy's."""
    option("convolution_matrix", "mode", mode, ("full", "same", "valid"))
    n = static_int(n, "convolution_matrix", "n")
    (kernel,) = _vectors("convolution_matrix", a)
    m = kernel.shape[-1]
    i, j = _grid(m + n - 1, n)
    cut = {"full": 0, "same": min(m, n) - 1, "valid": 2 * (min(m, n) - 1)}[mode]
    rows = slice(cut // 2, m + n - 1 - (cut - cut // 2))
    places = (i - j)[rows]
    inside = (places >= 0) & (places < m)
    return where(inside, _spread(kernel, np.clip(places, 0, m - 1)), 0)


# -- of polynomials and populations ----------------------------------------------------


def _below(ones: Value, top: Value) -> Value:
    """Give matrices of a first row, and a first subdiagonal."""
    n = top.shape[-1]
    i, j = _grid(n, n)
    below = _spread(ones, np.clip(j, 0, n - 2)) if n > 1 else top[..., None, :] * 0
    first = broadcast_to(top[..., None, :], (*top.shape, n))
    return where(i == 0, first, where(i == j + 1, below, 0))


def companion(a: Any) -> Value:
    """Give companion matrices of polynomials, highest power first; as SciPy's."""
    (a,) = _vectors("companion", a, least=2)
    a = table.convert(a, to_inexact(a.dtype))
    top = table.neg(a[..., 1:]) / a[..., :1]
    return _below(top[..., 1:] * 0 + 1, top)


def leslie(f: Any, s: Any) -> Value:
    """Give Leslie matrices of fecundities [n] and survival rates [n-1]; as SciPy's."""
    fecundity, survival = _vectors("leslie", f, s)
    if survival.shape[-1] != fecundity.shape[-1] - 1:
        raise wrong_shape(
            "leslie",
            f"was given {fecundity.aval} and {survival.aval}.",
            "Give one survival rate less than fecundities.",
        )
    batch = np.broadcast_shapes(fecundity.shape[:-1], survival.shape[:-1])
    top = broadcast_to(fecundity, (*batch, fecundity.shape[-1]))
    return _below(broadcast_to(survival, (*batch, survival.shape[-1])), top)


def fiedler(a: Any) -> Value:
    """Give the distances |a_i - a_j|; as `scipy.linalg.fiedler`."""
    (a,) = _vectors("fiedler", a)
    return table.abs(a[..., :, None] - a[..., None, :])


def fiedler_companion(a: Any) -> Value:
    """Give companion matrices of five diagonals; as SciPy's."""
    (a,) = _vectors("fiedler_companion", a, least=2)
    a = table.convert(a, to_inexact(a.dtype))
    a = a / a[..., :1]
    n = a.shape[-1] - 1
    i, j = _grid(n, n)
    coefficients, ones = np.zeros((n, n), int), np.zeros((n, n), bool)
    # Even rows hold a coefficient to the right of the diagonal, and a 1 beyond it; odd
    # ones to the left.
    even, odd = i % 2 == 0, j % 2 == 1
    right, left = even & (j == i + 1), odd & (i == j + 1)
    coefficients[right], coefficients[left] = j[right] + 1, i[left] + 1
    coefficients[0, 0] = 1
    ones |= (even & (j == i + 2)) | (odd & (i == j + 2))
    ones |= (i == 1) & (j == 0)
    found = table.neg(_spread(a, coefficients))
    return where(coefficients > 0, found, where(ones, 1, 0))


def block_diag(*arrs: Any) -> Value:
    """Put matrices along the diagonal of one; as `scipy.linalg.block_diag`."""
    if not arrs:
        return zeros((1, 0))
    blocks = [atleast_2d(x) for x in promote_arrays("block_diag", *arrs)]
    for block in blocks:
        if len(block.shape) != 2:
            raise wrong_shape(
                "block_diag",
                f"takes arrays of at most two axes; it was given {block.aval}.",
                "Use vmap for batches.",
            )
    width, before, rows = sum(b.shape[1] for b in blocks), 0, []
    for block in blocks:
        height, own = block.shape
        after = width - before - own
        sides = [zeros((height, k), block.dtype) for k in (before, after)]
        rows.append(concatenate([sides[0], block, sides[1]], 1))
        before += own
    return concatenate(rows, 0)


# -- of a size only --------------------------------------------------------------------


def _constant(name: str, n: Any, *args: Any, dtype: Any = None) -> Value:
    """Give a matrix that SciPy makes, in the default float dtype."""
    made = getattr(scipy_linalg, name)(static_int(n, name, "n"), *args)
    wanted = dtypes.canonical(float if dtype is None else dtype)
    return from_host(np.asarray(made).astype(wanted))


def dft(n: int, scale: str | None = None, *, dtype: Any = None) -> Value:
    """Give the matrix of the discrete Fourier transform; as `scipy.linalg.dft`."""
    option("dft", "scale", scale, (None, "sqrtn", "n"))
    return _constant("dft", n, scale, dtype=complex if dtype is None else dtype)


def hadamard(n: int, dtype: Any = int) -> Value:
    """Give the Hadamard matrix of a power of two; as `scipy.linalg.hadamard`."""
    size = static_int(n, "hadamard", "n")
    if size < 1 or size & (size - 1):
        raise wrong_shape(
            "hadamard", f"was given n={size}.", "Give a power of two: 1, 2, 4, ..."
        )
    return _constant("hadamard", size, dtype=dtype)


def helmert(n: int, full: bool = False) -> Value:
    """Give the Helmert matrix, with its first row if `full`; as SciPy's."""
    return _constant("helmert", n, full)


def hilbert(n: int) -> Value:
    """Give the Hilbert matrix; as `scipy.linalg.hilbert`."""
    return _constant("hilbert", n)


def invhilbert(n: int) -> Value:
    """Give the inverse of the Hilbert matrix; as `scipy.linalg.invhilbert`."""
    return _constant("invhilbert", n)


def pascal(n: int, kind: str | None = None) -> Value:
    """Give the Pascal matrix: "symmetric" (also None), "lower" or "upper"."""
    option("pascal", "kind", kind, (None, "symmetric", "lower", "upper"))
    return _constant("pascal", n, kind or "symmetric")


def invpascal(n: int, kind: str | None = None) -> Value:
    """Give the inverse of the Pascal matrix; `kind` as `pascal`."""
    option("invpascal", "kind", kind, (None, "symmetric", "lower", "upper"))
    return _constant("invpascal", n, kind or "symmetric")
