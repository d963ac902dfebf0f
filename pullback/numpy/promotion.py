"""Promotion: operands of different dtypes become operands of one."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.array import SCALARS, Operators, from_host
from pullback.core.calling import scalar_host
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.dtypes import Dtype
from pullback.errors import DtypeError
from pullback.numpy.arguments import array_argument
from pullback.primitives.table import convert

__all__ = [
    "FLOATING",
    "INEXACT",
    "INTEGRAL",
    "NUMERIC",
    "as_inexact",
    "as_weak_as",
    "bounds",
    "convert",
    "number_dtype",
    "promote",
    "promote_arrays",
    "real_arguments",
    "to_inexact",
    "wrapped",
]

# dtypes by number, for the fast branches. These are NumPy's own: Python scalars adopt
# them in NumPy's operators, while bfloat16 and the eight-bit floats would widen there.
INTEGRAL = frozenset(np.dtype(c).num for c in "bhilqBHILQ")
FLOATING = frozenset(np.dtype(c).num for c in "efdFD")
NUMERIC = INTEGRAL | FLOATING
#: The numbers of all real and complex floating-point dtypes.
INEXACT = FLOATING | {d.num for d in (dtypes.bfloat16, *dtypes.EIGHT_BITS)}
_BOOL = np.dtype(np.bool_).num
_NARROW_FLOATS = frozenset((np.dtype("e").num, np.dtype("f").num))
_REAL = frozenset((int, float))


def to_inexact(dtype: Dtype) -> Dtype:
    """Give the dtype in which integers and booleans meet functions like `sin`."""
    return dtype if dtypes.is_inexact(dtype) else dtypes.scalar_dtype(float)


def promote(
    who: str, *xs: Any, inexact: bool = False, scalars: bool = True
) -> list[Value]:
    """Bring operands to their common dtype, as the ecosystem's lattice has it.

    Args:
        who: the public function, for errors.
        xs: arrays, traced values and Python scalars.
        inexact: integers and booleans become floats.
        scalars: leave Python scalars as they are where an array gives the dtype.

    Raises:
        NotAnArrayError: an operand is a list or no array at all.
    """
    quick = _same(xs, inexact) or (_with_number(xs) if scalars else None)
    if quick is not None:
        return quick
    values = [
        x
        if type(x) in SCALARS or isinstance(x, Operators)
        else array_argument(x, who, f"argument {i}")
        for i, x in enumerate(xs)
    ]
    kinds = [type(x) for x in values]
    pairs = [
        (dtypes.scalar_dtype(k), k is not bool)
        if k in SCALARS
        else (x.dtype, x.weak_type)
        for x, k in zip(values, kinds)
    ]
    dtype, weak = dtypes.promote(*pairs)
    if inexact:
        dtype = to_inexact(dtype)
    native = scalars and (dtype.num in NUMERIC or dtype.num == _BOOL)
    keep = native and not all(k in SCALARS for k in kinds)
    return [
        _place(x, dtype, weak, keep)
        if k in SCALARS
        else (x if x.dtype == dtype else convert(x, dtype, weak))
        for x, k in zip(values, kinds)
    ]


def _same(xs: tuple[Any, ...], inexact: bool) -> list[Value] | None:
    """Give operands as they are if they have one dtype."""
    if not all([isinstance(x, Operators) for x in xs]):
        return None
    dtype = xs[0].dtype
    if dtype.num not in (INEXACT if inexact else NUMERIC):
        return None
    return list(xs) if all([x.dtype is dtype for x in xs]) else None


def _with_number(xs: tuple[Any, ...]) -> list[Value] | None:
    """Give a real floating-point array and a Python number, in either order."""
    if len(xs) != 2:
        return None
    x, y = xs
    if type(x) in _REAL:
        return [float(x), y] if _adopts(y) else None
    return [x, float(y)] if type(y) in _REAL and _adopts(x) else None


def _adopts(x: Any) -> bool:
    """Whether a real Python number adopts the dtype of `x`, whatever the switches."""
    return isinstance(x, Operators) and x.dtype.num in _NARROW_FLOATS  # type: ignore[attr-defined]


def _place(x: Any, dtype: Dtype, weak: bool, keep: bool) -> Any:
    """Give a Python scalar in the kind of `dtype`, or as an array of that dtype."""
    kind = dtypes.kind_of(dtype)
    number = x if type(x) is kind else kind(x)
    if kind is int:
        number = wrapped(number, dtype)
    return number if keep else from_host(dtype.type(number), weak or keep)


@functools.cache
def bounds(dtype: Dtype) -> tuple[int, int]:
    """Give the least and the greatest integer of a dtype."""
    info = dtypes.iinfo(dtype)
    return int(info.min), int(info.max)


def wrapped(number: Any, dtype: Dtype) -> int:
    """Give the integer of `dtype` that has the low bits of a Python integer.

    Raises:
        ArgumentError: it does not even fit the dtype that Python integers have.
    """
    low, high = bounds(dtype)
    if low <= number <= high:
        return int(number)
    scalar_host(number)
    return int((number - low) % (high - low + 1) + low)


def promote_arrays(who: str, *xs: Any, inexact: bool = False) -> list[Value]:
    """Bring operands to their common dtype, Python scalars becoming arrays."""
    return promote(who, *xs, inexact=inexact, scalars=False)


def number_dtype(given: list[Any]) -> Dtype:
    """Give the common dtype of numbers and arrays; booleans count as integers."""
    pairs = [
        (dtypes.scalar_dtype(type(v)), True)
        if type(v) in SCALARS
        else (
            dtypes.canonical(getattr(v, "dtype", None) or np.result_type(v)),
            getattr(v, "weak_type", False),
        )
        for v in given
    ]
    found = dtypes.promote(*pairs)[0]
    return dtypes.scalar_dtype(int) if found == dtypes.bool_ else found


def as_weak_as(x: Value, out: Value) -> Value:
    """Make a result as weak as the promoted operand `x`: a choice made it strong."""
    if x.weak_type and not out.weak_type:
        return convert(out, out.dtype, True)
    return out


def as_inexact(x: Any, who: str) -> Value:
    """Give an array of a floating-point dtype."""
    x = array_argument(x, who)
    if x.dtype.num in INEXACT:
        return x
    return convert(x, to_inexact(x.dtype), x.weak_type)


def real_arguments(who: str, *xs: Any) -> list[Value]:
    """Give real arguments as floating-point arrays of one dtype.

    Raises:
        DtypeError: complex arguments.
    """
    values = promote_arrays(who, *xs, inexact=True)
    if dtypes.is_complex(values[0].dtype):
        raise DtypeError(
            f"{who} takes real numbers; it was given {values[0].aval}.",
            where=called_at(),
            mend="Take the real part first.",
        )
    return values
