"""Types for annotations of functions that take arrays."""

from typing import Any, Protocol

import numpy as np

from pullback.core.array import Operators as Array

__all__ = ["Array", "ArrayLike", "DTypeLike"]


class SupportsDType(Protocol):
    """Anything with a `dtype`, as `pullback.numpy.float32` is."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype."""
        ...


#: What functions take for an array: arrays, traced values, NumPy's, and numbers.
ArrayLike = Array | np.ndarray | np.bool_ | np.number | bool | int | float | complex
#: What functions take for a dtype: a name, a type, a dtype, or what has one.
DTypeLike = str | type[Any] | np.dtype | SupportsDType
