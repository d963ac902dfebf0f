"""Dtypes, their promotion, and the switch between 32 and 64 bits.

The promotion lattice is the one documented for JAX ("Type promotion semantics"): Python
scalars are weak, integers never widen floats, and unsigned and signed meet above both.
"""

from __future__ import annotations

import functools
from typing import Any

import ml_dtypes
import numpy as np

from pullback.config import config
from pullback.errors import DtypeError

__all__ = [
    "bfloat16",
    "canonicalize_dtype",
    "finfo",
    "float0",
    "iinfo",
    "issubdtype",
    "itemsize_bits",
    "result_type",
    "scalar_type_of",
]

Dtype = np.dtype[Any]

bool_ = np.dtype(np.bool_)
int8, int16, int32, int64 = (np.dtype(f"i{n}") for n in (1, 2, 4, 8))
uint8, uint16, uint32, uint64 = (np.dtype(f"u{n}") for n in (1, 2, 4, 8))
float16, float32, float64 = (np.dtype(f"f{n}") for n in (2, 4, 8))
bfloat16 = np.dtype(ml_dtypes.bfloat16)
float8_e4m3fn = np.dtype(ml_dtypes.float8_e4m3fn)
float8_e5m2 = np.dtype(ml_dtypes.float8_e5m2)
float8_e3m4 = np.dtype(ml_dtypes.float8_e3m4)
float8_e4m3 = np.dtype(ml_dtypes.float8_e4m3)
float8_e4m3b11fnuz = np.dtype(ml_dtypes.float8_e4m3b11fnuz)
float8_e4m3fnuz = np.dtype(ml_dtypes.float8_e4m3fnuz)
float8_e5m2fnuz = np.dtype(ml_dtypes.float8_e5m2fnuz)
#: The eight-bit floats: exponent and mantissa, and what they lack ("fn": infinities,
#: "uz": negative zero).
EIGHT_BITS = (
    *(float8_e4m3fn, float8_e5m2, float8_e3m4, float8_e4m3),
    *(float8_e4m3b11fnuz, float8_e4m3fnuz, float8_e5m2fnuz),
)
complex64, complex128 = np.dtype("c8"), np.dtype("c16")
#: The dtype of tangents of integers and booleans: it holds nothing.
float0 = np.dtype([("float0", np.void, 0)])

_NARROW: dict[Dtype, Dtype] = {
    int64: int32,
    uint64: uint32,
    float64: float32,
    complex128: complex64,
}
FLOATS = frozenset((bfloat16, *EIGHT_BITS, float16, float32, float64))
_SHORT: dict[Dtype, str] = {
    bool_: "bool",
    bfloat16: "bf16",
    **{d: d.name.replace("float8", "f8") for d in EIGHT_BITS},
    float0: "float0",
    complex64: "c64",
    complex128: "c128",
    **{np.dtype(f"i{n}"): f"i{8 * n}" for n in (1, 2, 4, 8)},
    **{np.dtype(f"u{n}"): f"u{8 * n}" for n in (1, 2, 4, 8)},
    **{np.dtype(f"f{n}"): f"f{8 * n}" for n in (2, 4, 8)},
}
#: The dtypes of Python scalars with 64-bit types switched off and on.
_SCALARS_32: dict[type, Dtype] = {
    bool: bool_,
    int: int32,
    float: float32,
    complex: complex64,
}
_SCALARS_64: dict[type, Dtype] = {
    bool: bool_,
    int: int64,
    float: float64,
    complex: complex128,
}
# Weak types stand between the strong kinds, under the names of the Python types.
_Node = Dtype | type
_ABOVE: dict[_Node, tuple[_Node, ...]] = {
    bool_: (int,),
    int: (uint8, int8),
    uint8: (int16, uint16),
    uint16: (int32, uint32),
    uint32: (int64, uint64),
    uint64: (float,),
    int8: (int16,),
    int16: (int32,),
    int32: (int64,),
    int64: (float,),
    float: (*EIGHT_BITS, bfloat16, float16, complex),
    **{d: (bfloat16, float16) for d in EIGHT_BITS},
    bfloat16: (float32,),
    float16: (float32,),
    float32: (float64, complex64),
    float64: (complex128,),
    complex: (complex64,),
    complex64: (complex128,),
    complex128: (),
}


def short(dtype: Dtype) -> str:
    """Give the name of a dtype as jaxprs and errors show it: `f32`, `bool`."""
    return _SHORT.get(dtype) or str(dtype)


def canonical(dtype: Any) -> Dtype:
    """Make a dtype of anything NumPy takes for one, narrowed to 32 bits by default.

    Raises:
        DtypeError: `dtype` names no dtype that arrays can have.
    """
    if type(dtype) is type and dtype in _SCALARS_32:
        return scalar_dtype(dtype)
    try:
        found = np.dtype(dtype)
    except TypeError as error:
        raise DtypeError(
            f"{dtype!r} is no dtype.", mend="Give a NumPy dtype such as 'float32'."
        ) from error
    if found not in _SHORT:
        raise DtypeError(
            f"arrays cannot have dtype {found}.",
            mend="Use booleans, integers, floats or complex numbers.",
        )
    narrow: Dtype = found if config.enable_x64 else _NARROW.get(found, found)
    return narrow


def scalar_dtype(kind: type) -> Dtype:
    """Give the dtype an array made of a Python scalar of type `kind` has."""
    return (_SCALARS_64 if config.enable_x64 else _SCALARS_32)[kind]


def is_float(dtype: Dtype) -> bool:
    """Whether the dtype is a real floating-point one."""
    return dtype in FLOATS


def is_complex(dtype: Dtype) -> bool:
    """Whether the dtype is complex."""
    return dtype.kind == "c"


def is_inexact(dtype: Dtype) -> bool:
    """Whether the dtype is real or complex floating-point: it has derivatives."""
    return dtype in FLOATS or dtype.kind == "c"


def is_integer(dtype: Dtype) -> bool:
    """Whether the dtype is a signed or unsigned integer."""
    return dtype.kind in "iu"


def tangent_dtype(dtype: Dtype) -> Dtype:
    """Give the dtype of tangents: the same for inexact dtypes, `float0` for others."""
    return dtype if dtype in FLOATS or dtype.kind == "c" else float0


def real_dtype(dtype: Dtype) -> Dtype:
    """Give the dtype of the real part."""
    return {complex64: float32, complex128: float64}.get(dtype, dtype)


def complex_dtype(dtype: Dtype) -> Dtype:
    """Give the complex dtype that holds values of `dtype`."""
    if dtype.kind == "c":
        return dtype
    return complex128 if dtype == float64 else complex64


def kind_of(dtype: Dtype) -> type:
    """Give the Python scalar type of a dtype's kind."""
    if dtype == bool_:
        return bool
    if dtype.kind in "iu":
        return int
    return complex if dtype.kind == "c" else float


@functools.cache
def _ancestors(node: _Node) -> frozenset[_Node]:
    """Give all nodes of the lattice at or above `node`."""
    return frozenset((node,)).union(*(_ancestors(up) for up in _ABOVE[node]))


@functools.cache
def _join(nodes: frozenset[_Node]) -> _Node:
    """Give the least node above all of `nodes`."""
    common = frozenset.intersection(*(_ancestors(n) for n in nodes))
    least = [n for n in common if common <= _ancestors(n)]
    if len(least) != 1:
        names = ", ".join(sorted(str(n) for n in nodes))
        raise DtypeError(
            f"dtypes {names} have no common dtype.",
            mend="Convert one of them with astype first.",
        )
    return least[0]


@functools.cache
def _promote(operands: tuple[tuple[Dtype, bool], ...], x64: bool) -> tuple[Dtype, bool]:
    """Give the common dtype and weak flag of (dtype, weak) pairs."""
    if len({d for d, _ in operands}) == 1:
        return operands[0][0], all(weak for _, weak in operands)
    if any(d == float0 for d, _ in operands):
        raise no_number()
    nodes = frozenset(kind_of(d) if weak and d != bool_ else d for d, weak in operands)
    node = _join(nodes)
    if isinstance(node, type):
        # A weak kind joined with strong dtypes below it (int array with a Python
        # float) keeps the kind's default width, and stays weak.
        return (_SCALARS_64 if x64 else _SCALARS_32)[node], True
    return (node if x64 else _NARROW.get(node, node)), False


def no_number(where: str = "") -> DtypeError:
    """Make the error for computing with the tangent of an integer."""
    return DtypeError(
        "the tangent of an integer or boolean value, of dtype float0, holds no number "
        "to compute with.",
        where=where,
        mend="Leave it out, pass it on as it is, or return None (zero) in its place.",
    )


def promote(*operands: tuple[Dtype, bool]) -> tuple[Dtype, bool]:
    """Give the common dtype of (dtype, weak) pairs, and whether it is weak.

    Raises:
        DtypeError: they differ, and `config.numpy_dtype_promotion` is "strict".
    """
    found = _promote(operands, config.enable_x64)
    if config.numpy_dtype_promotion == "strict":
        strong = {d for d, weak in operands if not weak}
        if strong and strong != {found[0]}:
            names = ", ".join(short(d) + " (weak)" * weak for d, weak in operands)
            raise DtypeError(
                f"operands of dtypes {names} meet while numpy_dtype_promotion is "
                "'strict'.",
                mend="Convert one of them with astype first.",
            )
    return found


def promote_types(a: Any, b: Any) -> Dtype:
    """Give the dtype that values of dtypes `a` and `b` promote to (both strong)."""
    return promote((canonical(a), False), (canonical(b), False))[0]


def canonicalize_dtype(dtype: Any, allow_extended_dtype: bool = False) -> Dtype:
    """Give the dtype that arrays made with a dtype have: 32 bits unless asked for 64.

    Args:
        dtype: anything NumPy takes for a dtype.
        allow_extended_dtype: accepted for compatibility; there are none.

    Raises:
        DtypeError: arrays cannot have it.

    Example:
        >>> canonicalize_dtype("float64")
        dtype('float32')
    """
    return canonical(dtype)


def typed(x: Any) -> tuple[Dtype, bool]:
    """Give the dtype and weak flag of an array, a number, or what names a dtype.

    Raises:
        DtypeError: it is none of these.
    """
    kind = x if isinstance(x, type) else type(x)
    if kind in _SCALARS_32:
        return scalar_dtype(kind), kind is not bool
    if isinstance(x, (str, type, np.dtype)):
        return canonical(x), False
    return canonical(getattr(x, "dtype", x)), getattr(x, "weak_type", False)


def result_type(*args: Any, return_weak_type_flag: bool = False) -> Any:
    """Give the dtype that operations on arrays, numbers and dtypes have.

    Args:
        args: the operands, or dtypes in their place; Python's types are weak, as its
            numbers are.
        return_weak_type_flag: give also whether the result is weak.

    Returns:
        The dtype, or `(dtype, weak)`.

    Raises:
        DtypeError: an argument has no dtype, or none is given.

    Example:
        >>> result_type(np.float16(1.0), 2.0, "int32")
        dtype('float16')
    """
    if not args:
        raise DtypeError(
            "result_type was given nothing to find a dtype of.",
            mend="Give arrays, numbers or dtypes: result_type(x, 'float32').",
        )
    found = promote(*map(typed, args))
    return found if return_weak_type_flag else found[0]


def scalar_type_of(x: Any) -> type:
    """Give the Python type of the numbers in an array: bool, int, float or complex.

    Args:
        x: an array, a number, or what names a dtype.

    Raises:
        DtypeError: it has no dtype.

    Example:
        >>> scalar_type_of(np.zeros(3, np.int8))
        <class 'int'>
    """
    found = typed(x)[0]
    if found == float0:
        raise no_number()
    return kind_of(found)


def itemsize_bits(dtype: Any) -> int:
    """Give the number of bits of an element, also of NumPy's and ML's narrow types.

    Raises:
        DtypeError: it is no dtype of numbers.

    Example:
        >>> itemsize_bits("bfloat16"), itemsize_bits(bool), itemsize_bits("int4")
        (16, 8, 4)
    """
    try:
        if dtype is None:
            raise TypeError("NumPy takes None for float64")
        found: Dtype = np.dtype(dtype)
        if found.kind in "biufc" or found in FLOATS:
            return 8 * found.itemsize
        return int(ml_dtypes.iinfo(found).bits)  # type: ignore[no-untyped-call]
    except (TypeError, ValueError) as error:
        raise DtypeError(
            f"itemsize_bits was given {dtype!r}, which is no dtype of numbers.",
            mend="Give a dtype such as 'float32'.",
        ) from error


def finfo(dtype: Any) -> Any:
    """Give the limits of a floating-point dtype, as `numpy.finfo` does."""
    found = np.dtype(dtype)
    return ml_dtypes.finfo(found) if found in FLOATS else np.finfo(found)  # type: ignore[no-untyped-call]


def iinfo(dtype: Any) -> Any:
    """Give the limits of an integer dtype, as `numpy.iinfo` does."""
    return np.iinfo(np.dtype(dtype))


def issubdtype(a: Any, b: Any) -> bool:
    """Whether dtype `a` is of kind `b`, as `numpy.issubdtype`, bfloat16 a float too."""
    try:
        found = np.dtype(a)
    except TypeError:
        return bool(np.issubdtype(a, b))
    if found in FLOATS and isinstance(b, type):
        return issubclass(np.floating, b) or found.type is b
    return bool(np.issubdtype(found, b))
