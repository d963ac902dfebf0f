"""Dtypes by name, callable to make arrays, and questions about them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.array import SCALARS
from pullback.core.trace import Value
from pullback.numpy import creation
from pullback.numpy.arguments import array_argument


class ScalarType:
    """A dtype that makes arrays when called: `float32(3)`; usable as `dtype=`."""

    __slots__ = ("__name__", "dtype")

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        self.__name__ = self.dtype.name

    def __call__(self, x: Any = 0) -> Value:
        """Make an array of this dtype."""
        return creation.array(x, self.dtype)

    def __eq__(self, other: object) -> bool:
        """Whether the other names the same dtype."""
        try:
            return bool(np.dtype(other) == self.dtype)  # type: ignore[call-overload]
        except TypeError:
            return NotImplemented

    def __hash__(self) -> int:
        """Hash as the dtype."""
        return hash(self.dtype)

    def __repr__(self) -> str:
        """Show the name as users write it."""
        return f"pullback.numpy.{self.dtype.name}"


bool_ = ScalarType(dtypes.bool_)
int8, int16 = ScalarType(dtypes.int8), ScalarType(dtypes.int16)
int32, int64 = ScalarType(dtypes.int32), ScalarType(dtypes.int64)
uint8, uint16 = ScalarType(dtypes.uint8), ScalarType(dtypes.uint16)
uint32, uint64 = ScalarType(dtypes.uint32), ScalarType(dtypes.uint64)
float16, bfloat16 = ScalarType(dtypes.float16), ScalarType(dtypes.bfloat16)
float32, float64 = ScalarType(dtypes.float32), ScalarType(dtypes.float64)
float8_e4m3fn = ScalarType(dtypes.float8_e4m3fn)
float8_e5m2 = ScalarType(dtypes.float8_e5m2)
float8_e3m4 = ScalarType(dtypes.float8_e3m4)
float8_e4m3 = ScalarType(dtypes.float8_e4m3)
float8_e4m3b11fnuz = ScalarType(dtypes.float8_e4m3b11fnuz)
float8_e4m3fnuz = ScalarType(dtypes.float8_e4m3fnuz)
float8_e5m2fnuz = ScalarType(dtypes.float8_e5m2fnuz)
complex64, complex128 = ScalarType(dtypes.complex64), ScalarType(dtypes.complex128)
#: NumPy's names of the widest types; they narrow to 32 bits by default.
int_, uint, float_, complex_ = int64, uint64, float64, complex128
half, single, double = float16, float32, float64
csingle, cdouble = complex64, complex128

finfo, iinfo = dtypes.finfo, dtypes.iinfo
promote_types = dtypes.promote_types


def issubdtype(arg1: Any, arg2: Any) -> bool:
    """Whether a dtype is of a kind; bfloat16 and the eight-bit floats are floats."""
    kind = arg2.dtype.type if isinstance(arg2, ScalarType) else arg2
    return dtypes.issubdtype(arg1, kind)


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is another, or of a kind named as in the array API standard."""
    if isinstance(kind, tuple):
        return any(isdtype(dtype, k) for k in kind)
    found = np.dtype(dtype)
    tests: dict[str, bool] = {
        "bool": found == dtypes.bool_,
        "signed integer": found.kind == "i",
        "unsigned integer": found.kind == "u",
        "integral": dtypes.is_integer(found),
        "real floating": dtypes.is_float(found),
        "complex floating": dtypes.is_complex(found),
        "numeric": dtypes.is_integer(found) or dtypes.is_inexact(found),
    }
    if isinstance(kind, str) and kind in tests:
        return tests[kind]
    return bool(found == np.dtype(kind))


def result_type(*args: Any) -> dtypes.Dtype:
    """Give the dtype that operations on arrays, numbers and dtypes have."""
    known = (str, type, np.dtype, ScalarType)
    values = [
        x
        if type(x) in SCALARS or isinstance(x, known)
        else array_argument(x, "result_type")
        for x in args
    ]
    return dtypes.result_type(*values)  # type: ignore[no-any-return]


def can_cast(from_: Any, to: Any, casting: str = "safe") -> bool:
    """Whether NumPy would convert one dtype to another under a casting rule."""
    return bool(np.can_cast(np.dtype(from_), np.dtype(to), casting))  # type: ignore[arg-type]


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Value:
    """Convert to a dtype; complex to real drops the imaginary part."""
    return array_argument(x, "astype").astype(dtype)


def isscalar(element: Any) -> bool:
    """Whether `element` is a number or an array without axes."""
    return bool(np.isscalar(element)) or getattr(element, "shape", None) == ()
