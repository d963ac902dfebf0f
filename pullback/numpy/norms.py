"""Norms of vectors and matrices, for `numpy.linalg`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.at_once import at_once
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError, ShapeError
from pullback.numpy import reductions
from pullback.numpy.arguments import option
from pullback.numpy.promotion import promote_arrays
from pullback.numpy.ufuncs import abs as _absolute
from pullback.primitives import spectral
from pullback.primitives.linalg import adjoint, conjugate
from pullback.primitives.recipes import canonical_axes, canonical_axis
from pullback.primitives.shaping import slice_in_dim
from pullback.primitives.smooth import root
from pullback.primitives.structural import full, reduce_sum, reshape, transpose
from pullback.primitives.table import (
    add,
    convert,
    div,
    eq,
    mul,
    ne,
    pow,
    real,
    select,
)

__all__ = ["matrix_norm", "norm", "vector_norm"]

# -- arguments -------------------------------------------------------------------------


def matrices(who: str, *xs: Any) -> list[Value]:
    """Give operands of one inexact dtype of at least 32 bits."""
    values = promote_arrays(who, *xs, inexact=True)
    if values[0].dtype.itemsize >= 4:
        return values
    return [convert(x, dtypes.float32) for x in values]


def as_narrow_as(a: Any, out: Value) -> Value:
    """Give a result computed in 32 bits in the half-width dtype its operand had."""
    have = getattr(a, "dtype", None)
    return convert(out, have) if have in (dtypes.float16, dtypes.bfloat16) else out


def matrix(who: str, a: Any, square: bool = False) -> Value:
    """Give an operand of (square) matrices.

    Raises:
        ShapeError: it is none.
    """
    (x,) = matrices(who, a)
    shape = x.shape
    if len(shape) < 2 or (square and shape[-1] != shape[-2]):
        kind = "square matrices [..., n, n]" if square else "matrices [..., m, n]"
        raise ShapeError(
            f"linalg.{who} takes {kind}; it was given {x.aval}.",
            where=called_at(),
            mend="Put the matrix in the last two axes.",
        )
    return x


def choice(who: str, name: str, given: Any, choices: Sequence[Any]) -> Any:
    """Give an option of a function of `linalg` if it is one of the choices."""
    return option(f"linalg.{who}", name, given, choices)


def numpy_hermitian_part(a: Any) -> Any:
    """Do as `hermitian_part`, of NumPy arrays."""
    return (a + np.conj(a.swapaxes(-1, -2))) * a.dtype.type(0.5)


def hermitian_part(a: Value) -> Value:
    """Give the mean of matrices and their adjoints."""
    found = at_once(numpy_hermitian_part, a)
    if found is not None:
        return found
    return mul(add(a, adjoint(a)), 0.5)


# -- norms -----------------------------------------------------------------------------


def squared_size(x: Value) -> Value:
    """Give |x|^2, smooth at 0."""
    if dtypes.is_complex(x.dtype):
        return real(mul(x, conjugate(x)))
    return mul(x, x)


def _root_of_squares(x: Value, axes: tuple[int, ...]) -> Value:
    """Give the square root of sums of |x|^2; at 0 it has derivative 0, in any order."""
    found = at_once(lambda x: _numpy_root_of_squares(x, axes), x)
    if found is not None:
        return found
    return root(reduce_sum(squared_size(x), axes))


def _numpy_root_of_squares(x: Any, axes: tuple[int, ...]) -> Any:
    """Do as `_root_of_squares`, of a NumPy array."""
    square = (x * np.conj(x)).real if x.dtype.kind == "c" else x * x
    return np.sqrt(np.add.reduce(square, axes))


def vector_norm(
    x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2
) -> Value:
    """Give norms of vectors over some axes; as `numpy.linalg.vector_norm`.

    The derivative of the 2-norm (and of any finite order above 1) is 0 at 0.
    """
    given = x
    (x,) = matrices("vector_norm", x)
    axes = canonical_axes(axis, len(x.shape), "vector_norm")
    if ord == 2 or ord is None:
        total = _root_of_squares(x, axes)
    elif ord == np.inf:
        total = reductions.max(_absolute(x), axis=axes)
    elif ord == -np.inf:
        total = reductions.min(_absolute(x), axis=axes)
    elif ord == 0:
        total = reduce_sum(convert(ne(x, 0), dtypes.real_dtype(x.dtype)), axes)
    elif ord == 1:
        total = reduce_sum(_absolute(x), axes)
    else:
        total = _power_norm(_absolute(x), axes, ord)
    total = as_narrow_as(given, total)
    if not keepdims:
        return total
    return reshape(total, [1 if i in axes else n for i, n in enumerate(x.shape)])


def _power_norm(size: Value, axes: tuple[int, ...], ord: Any) -> Value:
    """Give (sum |x|^p)^(1/p), with derivative 0 at 0."""
    try:
        p = float(ord)
    except (TypeError, ValueError):
        raise ArgumentError(
            f"linalg.norm was given ord={ord!r} for a vector.",
            where=called_at(),
            mend="Give a number, inf or -inf.",
        ) from None
    flat = eq(size, 0.0)
    safe = select(flat, 1.0, size)
    exponent = full((), p, size.dtype)
    powers = select(flat, 0.0 if p > 0 else np.inf, pow(safe, exponent))
    total = reduce_sum(powers, axes)
    nothing = eq(total, 0.0)
    return select(nothing, 0.0, pow(select(nothing, 1.0, total), div(1.0, exponent)))


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Value:
    """Give norms of matrices; as `numpy.linalg.matrix_norm`."""
    return as_narrow_as(x, norm_of_matrices(matrix("matrix_norm", x), ord, keepdims))


def norm_of_matrices(x: Value, ord: Any, keepdims: bool) -> Value:
    """Give a norm over the last two axes."""
    rank = len(x.shape)
    rows, columns = rank - 2, rank - 1
    orders = (None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)
    choice("norm", "ord", ord, orders)
    if ord is None or ord == "fro":
        found = _root_of_squares(x, (rows, columns))
    elif ord == "nuc":
        found = reduce_sum(spectral.svdvals(x), (rows,))
    elif ord in (2, -2):
        s = spectral.svdvals(x)
        place = 0 if ord == 2 else s.shape[-1] - 1
        found = reshape(slice_in_dim(s, place, place + 1, rows), s.shape[:-1])
    else:
        summed = rows if ord in (1, -1) else columns
        sums = reduce_sum(_absolute(x), (summed,))
        extreme = reductions.max if ord > 0 else reductions.min
        found = extreme(sums, axis=-1)
    return reshape(found, (*found.shape, 1, 1)) if keepdims else found


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Value:
    """Give norms of vectors or matrices; as `numpy.linalg.norm`.

    The derivative of the 2-norm and of the Frobenius norm is 0 at 0.
    """
    if axis is None is ord:
        return vector_norm(x, keepdims=keepdims)
    whole = x
    (x,) = matrices("norm", x)
    rank = len(x.shape)
    if axis is None:
        axes: tuple[int, ...] = tuple(range(rank))
    else:
        given = axis if isinstance(axis, (tuple, list)) else (axis,)
        axes = tuple(canonical_axis(a, rank, "norm") for a in given)
    if len(axes) == 1:
        return vector_norm(whole, axis=axes, keepdims=keepdims, ord=ord)
    if len(axes) != 2 or axes[0] == axes[1]:
        raise ArgumentError(
            f"linalg.norm was given {x.aval} with ord={ord!r} and axis={axis!r}.",
            where=called_at(),
            mend="Give one axis for vectors, two for matrices.",
        )
    others = [i for i in range(rank) if i not in axes]
    found = norm_of_matrices(transpose(x, (*others, *axes)), ord, False)
    found = as_narrow_as(whole, found)
    if not keepdims:
        return found
    return reshape(found, [1 if i in axes else n for i, n in enumerate(x.shape)])
