"""Trees of arrays as vectors of named real numbers, and functions between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pullback import dtypes, tree
from pullback.config import config
from pullback.core.array import Array
from pullback.core.calling import argument_name, is_arraylike
from pullback.core.origin import name_of
from pullback.core.trace import Value

#: How many numbers of a tree are looked at one by one; others are sampled.
LIMIT = 48


class Coordinate(NamedTuple):
    """One real number in a tree.

    Fields:
        leaf: which leaf.
        element: which element of it, in row-major order.
        imaginary: whether it is the imaginary part of a complex element.
        name: how a user would write it: `x['w'][0, 2]`.
    """

    leaf: int
    element: int
    imaginary: bool
    name: str


class Space:
    """The real numbers in the floating-point and complex leaves of a tree.

    Args:
        leaves: the leaves.
        names: what to call each.
        limit: how many numbers to look at; a fixed random sample of more.
    """

    __slots__ = ("coordinates", "dtypes", "names", "sampled", "shapes")

    def __init__(
        self, leaves: Sequence[Any], names: Sequence[str], limit: int = LIMIT
    ) -> None:
        self.shapes = [np.shape(x) for x in leaves]
        self.dtypes = [leaf_dtype(x) for x in leaves]
        self.names = list(names)
        found = [c for k in range(len(leaves)) for c in self._of_leaf(k)]
        self.sampled = len(found) > limit
        if self.sampled:
            chosen = np.random.default_rng(0).choice(len(found), limit, replace=False)
            found = [found[i] for i in sorted(chosen)]
        self.coordinates: list[Coordinate] = found

    def _of_leaf(self, k: int) -> list[Coordinate]:
        if not dtypes.is_inexact(self.dtypes[k]):
            return []
        complex_leaf = dtypes.is_complex(self.dtypes[k])
        found = []
        for i, index in enumerate(np.ndindex(self.shapes[k])):
            name = self.names[k] + (f"[{', '.join(map(str, index))}]" if index else "")
            if complex_leaf:
                found.append(Coordinate(k, i, False, name + ".real"))
                found.append(Coordinate(k, i, True, name + ".imag"))
            else:
                found.append(Coordinate(k, i, False, name))
        return found

    def read(self, leaves: Sequence[Any]) -> np.ndarray:
        """Give the numbers in a list of leaves; a missing leaf is zero."""
        flat = [None if x is None else np.asarray(x).reshape(-1) for x in leaves]
        out = np.zeros(len(self.coordinates))
        for n, c in enumerate(self.coordinates):
            values = flat[c.leaf]
            if values is not None:
                x = values[c.element]
                out[n] = x.imag if c.imaginary else x.real
        return out

    def direction(self, c: Coordinate, size: Any = 1.0) -> list[Any]:
        """Give leaves that are zero but for one number; None for whole zero leaves."""
        out: list[Any] = [None] * len(self.shapes)
        array = np.zeros(self.shapes[c.leaf], self.dtypes[c.leaf])
        array.reshape(-1)[c.element] = size * (1j if c.imaginary else 1)
        out[c.leaf] = array
        return out

    def of_leaf(self, k: int) -> np.ndarray:
        """Say which coordinates belong to a leaf."""
        return np.array([c.leaf == k for c in self.coordinates], bool)


def leaf_dtype(x: Any) -> dtypes.Dtype:
    """Give the dtype of a leaf as operations see it."""
    dtype = getattr(x, "dtype", None)
    if dtype is None:
        dtype = dtypes.scalar_dtype(type(x))
    return dtypes.canonical(dtype) if not isinstance(x, Array) else dtype


def widened(x: Any) -> Any:
    """Give a leaf in 64 bits; Python numbers and integers as they are."""
    if not hasattr(x, "dtype") or not dtypes.is_inexact(x.dtype):
        return x
    wide = np.complex128 if dtypes.is_complex(x.dtype) else np.float64
    value = np.asarray(x).astype(wide)
    return value if value.shape else value[()]


def nudged(x: Any, delta: Any) -> Any:
    """Add to a leaf; a Python float stays one, for functions that look at it."""
    if type(x) is float and np.shape(delta) == ():
        return x + float(np.real(delta))
    return np.asarray(x) + delta


class Subject:
    """A function of trees at a point, as a function of its inexact leaves.

    Args:
        f: the function.
        args: its arguments; what is no float or complex number is held fixed.
        names: the arguments' names; () to read them off the function.
    """

    __slots__ = ("f", "leaves", "name", "names", "out_names", "treedef", "varied")

    def __init__(
        self, f: Callable[..., Any], args: Sequence[Any], names: Sequence[str] = ()
    ) -> None:
        self.f = f
        self.name = name_of(f)
        self.leaves, self.treedef = tree.flatten(tuple(args))
        names = names or [argument_name(f, i) for i in range(len(args))]
        self.names = [
            name + path for name, a in zip(names, args) for path in tree.path_strings(a)
        ]
        self.varied = [i for i, x in enumerate(self.leaves) if varies(x)]
        self.out_names: list[str] = []

    def with_leaves(self, leaves: Sequence[Any]) -> Subject:
        """Give the same function at another point."""
        made = object.__new__(Subject)
        made.f, made.name, made.names = self.f, self.name, self.names
        made.treedef, made.varied = self.treedef, self.varied
        made.leaves, made.out_names = list(leaves), self.out_names
        return made

    def with_function(self, f: Callable[..., Any]) -> Subject:
        """Give another function at the same point."""
        made = self.with_leaves(self.leaves)
        made.f = f
        return made

    def wide(self) -> Subject:
        """Give the same point in 64 bits."""
        return self.with_leaves([widened(x) for x in self.leaves])

    @property
    def point(self) -> list[Any]:
        """The leaves that vary."""
        return [self.leaves[i] for i in self.varied]

    @property
    def varied_names(self) -> list[str]:
        """The names of the leaves that vary."""
        return [self.names[i] for i in self.varied]

    def space(self, limit: int = LIMIT) -> Space:
        """Give the numbers that vary."""
        return Space(self.point, self.varied_names, limit)

    def args(self, varied: Sequence[Any] | None = None) -> tuple[Any, ...]:
        """Give the arguments, with other values for the leaves that vary."""
        full = list(self.leaves)
        for i, x in zip(self.varied, self.point if varied is None else varied):
            full[i] = x
        given: Any = self.treedef.unflatten(full)
        return tuple(given)

    def __call__(self, *varied: Value) -> list[Value]:
        """Give the inexact leaves of the output, in order."""
        out = self.f(*self.args(varied))
        found, _ = tree.flatten(out)
        paths = tree.path_strings(out)
        kept = [i for i, y in enumerate(found) if varies(y)]
        self.out_names = ["output" + paths[i] for i in kept]
        return [found[i] for i in kept]


def varies(x: Any) -> bool:
    """Whether a leaf is a float or a complex number, or an array of them."""
    if not is_arraylike(x):
        return False
    dtype = getattr(x, "dtype", None)
    if dtype is None:
        return isinstance(x, (float, complex))
    return dtypes.is_inexact(dtype)


def in_64_bits() -> Any:
    """Give the context in which 64-bit types are kept."""
    return config.context(enable_x64=True)
