"""Abstract values: the shape, dtype and weak flag of an array, without its contents."""

from __future__ import annotations

import functools
import math
from typing import Any

from pullback import dtypes
from pullback.dtypes import Dtype

Shape = tuple[int, ...]


class Aval:
    """The type of an array: `f32[3,4]`.

    Args:
        shape: one non-negative integer a dimension.
        dtype: a NumPy dtype.
        weak: whether the dtype came from a Python scalar and yields to others.
    """

    # `text` is the compiler's word for the type, kept by `backend.stablehlo`.
    __slots__ = ("_hash", "dtype", "shape", "text", "weak")

    text: str | None

    def __init__(self, shape: Shape, dtype: Dtype, weak: bool = False) -> None:
        self.shape = shape
        self.dtype = dtype
        self.weak = weak
        self.text = None
        self._hash: int | None = None

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The number of bytes the elements take."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def weak_type(self) -> bool:
        """The weak flag under the ecosystem's name."""
        return self.weak

    def strong(self) -> Aval:
        """Give the same type with a dtype that does not yield."""
        return common_aval(self.shape, self.dtype, False) if self.weak else self

    def tangent(self) -> Aval:
        """Give the type of tangents of values of this type."""
        if self.dtype in dtypes.FLOATS:
            return self
        dtype = dtypes.tangent_dtype(self.dtype)
        return self if dtype is self.dtype else Aval(self.shape, dtype)

    def matches(self, other: Aval) -> bool:
        """Whether shape and dtype agree, whatever the weak flags."""
        return self.shape == other.shape and self.dtype == other.dtype

    def __eq__(self, other: object) -> bool:
        """Compare shape, dtype and weak flag."""
        return self is other or (
            type(other) is Aval
            and self.shape == other.shape
            and self.dtype == other.dtype
            and self.weak == other.weak
        )

    def __hash__(self) -> int:
        """Hash shape, dtype and weak flag, once."""
        if self._hash is None:
            self._hash = hash((self.shape, self.dtype, self.weak))
        return self._hash

    def __repr__(self) -> str:
        """Show the type as jaxprs do: `f32[3]`."""
        return f"{dtypes.short(self.dtype)}[{','.join(map(str, self.shape))}]"


#: Gives the type of an array, one object a type where it comes often: that costs half
#: of making one, and what a type remembers (its text) is kept.
common_aval = functools.lru_cache(4096)(Aval)


class ShapeDtypeStruct(Aval):
    """A stand-in for an array in `eval_shape` and `lower`: shape and dtype only.

    Args:
        shape: any iterable of integers.
        dtype: anything NumPy takes for a dtype.
    """

    __slots__ = ()

    def __init__(self, shape: Any, dtype: Any) -> None:
        super().__init__(tuple(int(n) for n in shape), dtypes.canonical(dtype))

    def __repr__(self) -> str:
        """Show shape and dtype by name."""
        return f"ShapeDtypeStruct(shape={self.shape}, dtype={self.dtype.name})"

    __hash__ = Aval.__hash__

    def __eq__(self, other: object) -> bool:
        """Compare shape and dtype; a stand-in is never weak."""
        return isinstance(other, Aval) and self.matches(other) and not other.weak
