"""Trees of arrays as single vectors, which is how iterative solvers see them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pullback import dtypes, tree
from pullback import numpy as jnp
from pullback.core.calling import as_value
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import TreeError
from pullback.transforms.vmap import vmap

#: A function of vectors.
VectorFunction = Callable[[Value], Value]


class Packing:
    """How a tree of arrays becomes one vector, and a vector the tree again.

    Integers become floats of the default dtype; the vector has the dtype that all
    leaves promote to.

    Args:
        like: a tree of arrays.
        who: who asks, for errors.
    """

    __slots__ = ("avals", "dtype", "treedef", "who")

    def __init__(self, like: Any, who: str) -> None:
        leaves, self.treedef = tree.flatten(like)
        values = [as_value(x, who) for x in leaves]
        found = [x.dtype for x in values if dtypes.is_inexact(x.dtype)]
        whole = len(found) < len(values) or not found
        found += [dtypes.scalar_dtype(float)] if whole else []
        self.dtype = np.result_type(*found)
        self.avals = [
            (x.shape, x.dtype if dtypes.is_inexact(x.dtype) else self.dtype)
            for x in values
        ]
        self.who = who

    @property
    def size(self) -> int:
        """The number of elements."""
        return sum(math.prod(shape) for shape, _ in self.avals)

    def pack(self, given: Any) -> Value:
        """Make the vector of a tree.

        Raises:
            TreeError: the tree has another structure or other shapes.
        """
        leaves, treedef = tree.flatten(given)
        values = [as_value(x, self.who) for x in leaves]
        shapes = [x.shape for x in values]
        if treedef != self.treedef or shapes != [shape for shape, _ in self.avals]:
            raise TreeError(
                f"{self.who} met a value of structure "
                f"{tree.structure_text(treedef)} and shapes {shapes}, where "
                f"{tree.structure_text(self.treedef)} and "
                f"{[s for s, _ in self.avals]} are expected.",
                where=called_at(),
                mend="Let the function give what it takes: the same structure and "
                "shapes.",
            )
        if not values:
            return jnp.zeros(0, self.dtype)
        flat = [jnp.reshape(x, (-1,)).astype(self.dtype) for x in values]
        return flat[0] if len(flat) == 1 else jnp.concatenate(flat)

    def unpack(self, vector: Value) -> Any:
        """Make the tree of a vector."""
        leaves, start = [], 0
        for shape, dtype in self.avals:
            stop = start + math.prod(shape)
            part = vector if len(self.avals) == 1 else vector[start:stop]
            leaves.append(converted(jnp.reshape(part, shape), dtype))
            start = stop
        return self.treedef.unflatten(leaves)

    def on_vectors(self, f: Callable[[Any], Any]) -> VectorFunction:
        """Give a function of trees as a function of vectors."""

        def on_vector(x: Value) -> Value:
            """Unpack, call, and pack."""
            return self.pack(f(self.unpack(x)))

        return on_vector


def converted(x: Value, dtype: dtypes.Dtype) -> Value:
    """Convert to a dtype; a complex vector's real leaf keeps its real part."""
    if x.dtype == dtype:
        return x
    if dtypes.is_complex(x.dtype) and not dtypes.is_complex(dtype):
        x = jnp.real(x)
    return x.astype(dtype)


def norm(x: Value) -> Value:
    """Give the Euclidean length of a vector."""
    return jnp.sqrt(jnp.sum(jnp.real(x * jnp.conj(x))))


def dense(f: VectorFunction, size: int, dtype: dtypes.Dtype) -> Value:
    """Give the matrix of a linear function of vectors of a length."""
    return jnp.transpose(vmap(f)(jnp.eye(size, dtype=dtype)))
