"""Containers as one vector, and back."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

from pullback import dtypes, tree
from pullback.core.calling import as_value
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ShapeError
from pullback.primitives import structural
from pullback.primitives.shaping import concatenate, slice_in_dim
from pullback.primitives.table import convert

__all__ = ["ravel_pytree"]


def ravel_pytree(pytree: Any) -> tuple[Value, Callable[[Any], Any]]:
    """Make one vector of all arrays in a container.

    Args:
        pytree: a container of arrays and numbers.

    Returns:
        The vector, of their common dtype, and a function that takes such a vector
        apart, and gives a container of arrays of the old shapes and dtypes. Complex
        numbers lose their imaginary part where real ones were.

    Example:
        >>> import pullback.numpy as jnp
        >>> x, unravel = ravel_pytree({"a": jnp.ones(2), "b": 3.0})
        >>> x
        Array([1., 1., 3.], dtype=float32)
        >>> unravel(2 * x)
        {'a': Array([2., 2.], dtype=float32), 'b': Array(6., dtype=float32)}
    """
    leaves, treedef = tree.flatten(pytree)
    arrays = [as_value(x, "ravel_pytree") for x in leaves]
    types = [(x.shape, x.dtype) for x in arrays]
    ends = [0, *itertools.accumulate(math.prod(shape) for shape, _ in types)]
    if arrays:
        dtype = dtypes.promote(*[(d, False) for _, d in types])[0]
        pieces = [structural.reshape(x, (x.size,)) for x in arrays]
        vector = concatenate([convert(x, dtype) for x in pieces], 0)
    else:
        vector = structural.full((0,), 0.0, dtypes.scalar_dtype(float))
    wanted = vector.aval

    def unravel(x: Any) -> Any:
        """Take a vector apart into a container like the one it was made of."""
        given = as_value(x, "unravel")
        if given.shape != wanted.shape or (arrays and given.dtype != wanted.dtype):
            raise ShapeError(
                f"unravel was given a value of type {given.aval}; the container was "
                f"made a vector of type {wanted}.",
                where=called_at(),
                mend="Give a vector of this type, or convert it with astype.",
            )
        pieces = [
            convert(structural.reshape(slice_in_dim(given, a, b, 0), shape), dtype)
            for a, b, (shape, dtype) in zip(ends, ends[1:], types)
        ]
        return treedef.unflatten(pieces)

    return vector, unravel
