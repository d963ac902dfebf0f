"""Diagonals and triangles of matrices, and matrices made of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.array import from_host
from pullback.core.at_once import at_once
from pullback.core.trace import Value
from pullback.numpy import creation, ufuncs
from pullback.numpy.arguments import (
    array_argument,
    describe,
    static_int,
    wrong_shape,
)
from pullback.primitives import structural, table
from pullback.primitives.creation import broadcasted_iota, iota
from pullback.primitives.diagonal import diagonal as diagonal_of
from pullback.primitives.shaping import pad, slice_in_dim
from pullback.primitives.structural import broadcast
from pullback.primitives.structural import full as filled


def eye(N: Any, M: Any = None, k: Any = 0, dtype: Any = None) -> Value:
    """Make a matrix with ones on its k-th diagonal."""
    rows = static_int(N, "eye", "N")
    columns = rows if M is None else static_int(M, "eye", "M")
    found = dtypes.canonical(float if dtype is None else dtype)
    return table.convert(_diagonal_mask((rows, columns), k, table.eq, "eye"), found)


def identity(n: Any, dtype: Any = None) -> Value:
    """Make an identity matrix."""
    return eye(n, dtype=dtype)


def tri(N: Any, M: Any = None, k: Any = 0, dtype: Any = None) -> Value:
    """Make a matrix with ones on and below its k-th diagonal."""
    rows = static_int(N, "tri", "N")
    columns = rows if M is None else static_int(M, "tri", "M")
    found = dtypes.canonical(float if dtype is None else dtype)
    return table.convert(_diagonal_mask((rows, columns), k, table.ge, "tri"), found)


def _diagonal_mask(shape: tuple[int, int], k: Any, relation: Any, who: str) -> Value:
    """Give where `row + k` stands in a relation to `column`."""
    k = static_int(k, who, "k")
    found = at_once(lambda: _numpy_mask(shape, k, relation))
    if found is not None:
        return found
    row = table.add(broadcasted_iota(np.int32, shape, 0), k)
    return relation(row, broadcasted_iota(np.int32, shape, 1))


def _numpy_mask(shape: tuple[int, int], k: int, relation: Any) -> Any:
    """Do as `_diagonal_mask`, with NumPy."""
    if relation is table.eq:
        return np.eye(*shape, k, bool)
    return (
        np.tri(*shape, k, bool)
        if relation is table.ge
        else ~np.tri(*shape, k - 1, bool)
    )


def _triangle(m: Any, k: Any, relation: Any, who: str) -> Value:
    m = array_argument(m, who)
    if len(m.shape) < 2:
        raise wrong_shape(
            who, f"takes matrices; got {describe(m)}.", "Give two or more dimensions."
        )
    keep = _diagonal_mask(m.shape[-2:], k, relation, who)
    return table.select(keep, m, filled((), ufuncs.scalar_like(m, 0), m.dtype))


def tril(m: Any, k: Any = 0) -> Value:
    """Keep what is on and below the k-th diagonal of matrices."""
    return _triangle(m, k, table.ge, "tril")


def triu(m: Any, k: Any = 0) -> Value:
    """Keep what is on and above the k-th diagonal of matrices."""
    return _triangle(m, k, table.le, "triu")


def diagonal(a: Any, offset: Any = 0, axis1: int = 0, axis2: int = 1) -> Value:
    """Give a diagonal of matrices that stand along two axes."""
    a = array_argument(a, "diagonal")
    rank = len(a.shape)
    if rank < 2:
        raise wrong_shape(
            "diagonal", f"takes matrices; got {describe(a)}.", "Give two or more axes."
        )
    k = static_int(offset, "diagonal", "offset")
    found = at_once(lambda a: np.diagonal(a, k, axis1, axis2), a)
    if found is not None:
        return found
    first, second = axis1 % rank, axis2 % rank
    order = [i for i in range(rank) if i not in (first, second)]
    x = structural.transpose(a, [*order, first, second])
    rows, columns = x.shape[-2:]
    top, left = max(0, -k), max(0, k)
    n = max(0, min(rows - top, columns - left))
    x = slice_in_dim(x, top, top + n, rank - 2) if n else x
    x = slice_in_dim(x, left, left + n, rank - 1) if n else x
    return diagonal_of(x) if n else filled((*x.shape[:-2], 0), 0, a.dtype)


def diag(v: Any, k: Any = 0) -> Value:
    """Make a matrix with a given diagonal, or take a diagonal of a matrix."""
    v = array_argument(v, "diag")
    if len(v.shape) == 2:
        return diagonal(v, k)
    if len(v.shape) != 1:
        raise wrong_shape(
            "diag", f"takes a vector or a matrix; got {describe(v)}.", "Use diagonal()."
        )
    k = static_int(k, "diag", "k")
    n = v.shape[0] + abs(k)
    low, high = (0, k) if k >= 0 else (-k, 0)
    # Row i of the result holds v[i] if k > 0, v[i + k] if k < 0.
    row = pad(v, ufuncs.scalar_like(v, 0), [(low, high, 0)])
    keep = _diagonal_mask((n, n), k, table.eq, "diag")
    spread = broadcast(row, (n, n), (0,))
    return table.select(keep, spread, filled((), ufuncs.scalar_like(v, 0), v.dtype))


def diagflat(v: Any, k: Any = 0) -> Value:
    """Make a matrix with all elements of an array as its diagonal."""
    v = creation.array(v)
    return diag(structural.reshape(v, (math.prod(v.shape),)), k)


def tril_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Value, Value]:
    """Give the row and column numbers of the lower triangle."""
    return _index_arrays(np.tril_indices(n, k, m))


def triu_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Value, Value]:
    """Give the row and column numbers of the upper triangle."""
    return _index_arrays(np.triu_indices(n, k, m))


def tril_indices_from(arr: Any, k: int = 0) -> tuple[Value, Value]:
    """Give the row and column numbers of the lower triangle of a matrix."""
    return tril_indices(arr.shape[-2], k, arr.shape[-1])


def triu_indices_from(arr: Any, k: int = 0) -> tuple[Value, Value]:
    """Give the row and column numbers of the upper triangle of a matrix."""
    return triu_indices(arr.shape[-2], k, arr.shape[-1])


def diag_indices(n: int, ndim: int = 2) -> tuple[Value, ...]:
    """Give the indices of the main diagonal."""
    return (iota(dtypes.scalar_dtype(int), n),) * ndim


def _index_arrays(found: Any) -> tuple[Value, Value]:
    dtype = dtypes.scalar_dtype(int)
    rows, columns = (from_host(i.astype(dtype)) for i in found)
    return rows, columns
