"""SciPy's vector quantization: the nearest of a code book's vectors."""

from __future__ import annotations

from typing import Any

from pullback import dtypes
from pullback.core.trace import Value
from pullback.numpy import reductions
from pullback.numpy.arguments import wrong_dtype, wrong_shape
from pullback.numpy.norms import vector_norm
from pullback.numpy.promotion import promote_arrays
from pullback.primitives import table
from pullback.primitives.structural import reshape

__all__ = ["vq"]


def vq(obs: Any, code_book: Any, check_finite: bool = True) -> tuple[Value, Value]:
    """Give the nearest vector of a code book to each observation; as SciPy's.

    Distances have derivatives in both arguments, which are 0 where a distance is.

    Args:
        obs: observations [m, n], or [m] for numbers.
        code_book: vectors [k, n], or [k].
        check_finite: changes nothing.

    Returns:
        The places in the code book, int32[m], the first of those equally near; and the
        Euclidean distances [m].

    Raises:
        ShapeError: shapes that do not fit, or an empty code book.
        DtypeError: complex numbers.

    Example:
        >>> import pullback.numpy as jnp
        >>> code, distance = vq(jnp.array([0.9, 2.2]), jnp.array([1.0, 2.0, 3.0]))
        >>> print(code, distance.round(2))
        [0 1] [0.1 0.2]
    """
    x, book = promote_arrays("vq", obs, code_book, inexact=True)
    if dtypes.is_complex(x.dtype):
        raise wrong_dtype(
            "vq",
            f"takes real numbers; it was given {x.aval}.",
            "Give real and imaginary parts beside each other.",
        )
    ranks = len(x.shape), len(book.shape)
    if ranks not in ((1, 1), (2, 2)) or x.shape[1:] != book.shape[1:]:
        raise wrong_shape(
            "vq",
            f"was given {x.aval} and a code book {book.aval}.",
            "Give observations [m, n] and a code book [k, n], or [m] and [k].",
        )
    if not book.shape[0]:
        raise wrong_shape(
            "vq",
            f"was given an empty code book {book.aval}.",
            "Give one vector or more.",
        )
    if ranks == (1, 1):
        x, book = (reshape(y, (*y.shape, 1)) for y in (x, book))
    # Which is nearest is no matter of derivatives: these go through one distance each.
    apart = table.stop_gradient(x)[:, None] - table.stop_gradient(book)
    code = reductions.argmin(reductions.sum(apart * apart, axis=-1), axis=-1)
    code = table.convert(code, dtypes.int32)
    return code, vector_norm(x - book[code], axis=-1)
