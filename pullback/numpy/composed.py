"""Elementwise functions made of several operations: choice, classification, scaling."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.numpy.arguments import array_argument, describe, wrong_dtype
from pullback.numpy.promotion import (
    as_inexact,
    as_weak_as,
    bounds,
    convert,
    promote,
    promote_arrays,
)
from pullback.numpy.ranks import check_ranks
from pullback.numpy.ufuncs import (
    constant,
    is_boolean,
    is_complex,
    is_exact,
    is_unsigned,
    is_weak,
    maximum,
    minimum,
    one_like,
    real_only,
    truth,
    zero_like,
)
from pullback.primitives import smooth, structural, table
from pullback.primitives.reduction import reduce_and

# -- choice ----------------------------------------------------------------------------


def where(condition: Any, x: Any = None, y: Any = None) -> Value:
    """Choose from x where the condition holds, from y elsewhere.

    With the condition alone, see `nonzero`. The derivative reaches only the chosen
    side; a nan made on the other side's way still spreads (use a safe argument there).
    """
    if x is None or y is None:
        raise ArgumentError(
            "where was given only one of x and y.",
            where=called_at(),
            mend="Give both, or the condition alone.",
        )
    condition = truth(condition, "where")
    x, y = promote("where", x, y)
    out = table.select(condition, x, y)
    if is_weak(x) and is_weak(y):
        return convert(out, out.dtype, True)
    return out


def clip(arr: Any = None, /, min: Any = None, max: Any = None, **old: Any) -> Value:
    """Limit values to at least `min`, then at most `max`; None is no limit.

    Where a value equals a limit, both have derivative 1/2.
    """
    arr = array_argument(old.pop("a", arr), "clip", "its first argument")
    low, high = old.pop("a_min", min), old.pop("a_max", max)
    if old:
        raise ArgumentError(
            f"clip has no argument {next(iter(old))}.",
            where=called_at(),
            mend="Write clip(x, min, max).",
        )
    if any(v is not None and is_complex(v) for v in (arr, low, high)):
        raise wrong_dtype(
            "clip",
            "was given complex numbers, which have no order.",
            "Clip real and imaginary parts, or the absolute value.",
        )
    check_ranks("clip", arr, low, high)
    if low is not None:
        arr = maximum(arr, low)
    return arr if high is None else minimum(arr, high)


def fmax(x: Any, y: Any) -> Value:
    """Give the larger; a nan gives way to the other."""
    check_ranks("fmax", x, y)
    x, y = promote_arrays("fmax", x, y)
    kept = table.select(isnan(y), x, maximum(x, y))
    return as_weak_as(x, table.select(isnan(x), y, kept))


def fmin(x: Any, y: Any) -> Value:
    """Give the smaller; a nan gives way to the other."""
    check_ranks("fmin", x, y)
    x, y = promote_arrays("fmin", x, y)
    kept = table.select(isnan(y), x, minimum(x, y))
    return as_weak_as(x, table.select(isnan(x), y, kept))


def heaviside(x: Any, y: Any) -> Value:
    """Give 0 below 0, y at 0, 1 above."""
    x, y = promote_arrays("heaviside", x, y, inexact=True)
    real_only(x, "heaviside")
    zero, one = zero_like(x), one_like(x)
    above = table.select(table.gt(x, zero), table.add(zero, one), x)
    out = table.select(table.lt(x, zero), zero, above)
    return as_weak_as(x, table.select(table.eq(x, zero), y, out))


# -- classification --------------------------------------------------------------------


def isnan(x: Any) -> Value:
    """Give where x is nan."""
    x = array_argument(x, "isnan")
    return constant(x, False, dtypes.bool_) if is_exact(x) else table.ne(x, x)


def isfinite(x: Any) -> Value:
    """Give where x is neither nan nor infinite."""
    x = array_argument(x, "isfinite")
    if is_exact(x):
        return constant(x, True, dtypes.bool_)
    if is_complex(x):
        parts = table.real(x), table.imag(x)
        return table.and_(*[table.is_finite(part) for part in parts])
    return table.is_finite(x)


def isinf(x: Any) -> Value:
    """Give where x is plus or minus infinity."""
    x = array_argument(x, "isinf")
    if is_exact(x):
        return constant(x, False, dtypes.bool_)
    if is_complex(x):
        return table.or_(isinf(table.real(x)), isinf(table.imag(x)))
    return table.eq(table.abs(x), _infinity(x))


def isposinf(x: Any) -> Value:
    """Give where x is plus infinity."""
    x = real_only(array_argument(x, "isposinf"), "isposinf")
    return isinf(x) if is_exact(x) else table.eq(x, _infinity(x))


def isneginf(x: Any) -> Value:
    """Give where x is minus infinity."""
    x = real_only(array_argument(x, "isneginf"), "isneginf")
    return isinf(x) if is_exact(x) else table.eq(x, table.neg(_infinity(x)))


def _infinity(x: Value) -> Value:
    return structural.full((), math.inf, x.dtype)


def signbit(x: Any) -> Value:
    """Give where x is negative, -0.0 included; of nan, False."""
    x = real_only(array_argument(x, "signbit"), "signbit")
    if is_boolean(x) or is_unsigned(x):
        return constant(x, False, dtypes.bool_)
    below = table.lt(x, zero_like(x))
    if is_exact(x):
        return below
    zero = table.eq(x, zero_like(x))
    # A given infinity over zero has the sign of the zero; 1 over zero makes one, and
    # fails test_the_sign_of_zero_makes_no_infinity.
    infinity = structural.full((), math.inf, x.dtype)
    inverse = table.div(infinity, table.select(zero, x, one_like(x)))
    return table.or_(below, table.lt(inverse, zero_like(x)))


def copysign(x: Any, y: Any) -> Value:
    """Give |x| with the sign of y."""
    check_ranks("copysign", x, y)
    x, y = promote_arrays("copysign", x, y, inexact=True)
    real_only(x, "copysign")
    size = table.abs(x)
    return as_weak_as(x, table.select(signbit(y), table.neg(size), size))


def isclose(
    a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False
) -> Value:
    """Give where |a - b| <= atol + rtol |b|; equal infinities are close."""
    check_ranks("isclose", a, b)
    a, b = promote_arrays("isclose", a, b, inexact=True)
    same = table.eq(a, b)
    if equal_nan:
        same = table.or_(same, table.and_(isnan(a), isnan(b)))
    gap, size = table.abs(table.sub(a, b)), table.abs(b)
    rtol, atol, size = promote_arrays("isclose", rtol, atol, size)
    near = table.le(convert(gap, size.dtype), table.add(atol, table.mul(rtol, size)))
    return table.or_(same, table.and_(near, table.and_(isfinite(a), isfinite(b))))


def nan_to_num(
    x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Value:
    """Replace nan by a number, and infinities by numbers or the largest floats."""
    x = array_argument(x, "nan_to_num")
    if is_exact(x):
        return x
    if is_complex(x):
        parts = table.real(x), table.imag(x)
        return table.make_complex(
            *[nan_to_num(p, copy, nan, posinf, neginf) for p in parts]
        )
    limit = float(dtypes.finfo(x.dtype).max)
    high = limit if posinf is None else posinf
    low = -limit if neginf is None else neginf
    for place, number in ((isnan(x), nan), (isposinf(x), high), (isneginf(x), low)):
        number = convert(array_argument(number, "nan_to_num"), x.dtype)
        x = table.select(place, number, x)
    return x


# -- complex parts ---------------------------------------------------------------------


def real(x: Any) -> Value:
    """Give the real part."""
    x = array_argument(x, "real")
    return table.real(x) if is_complex(x) else x


def imag(x: Any) -> Value:
    """Give the imaginary part."""
    x = array_argument(x, "imag")
    return table.imag(x) if is_complex(x) else constant(x, dtypes.kind_of(x.dtype)(0))


def conjugate(x: Any) -> Value:
    """Give the complex conjugate."""
    x = array_argument(x, "conjugate")
    return table.conj(x) if is_complex(x) else x


conj = conjugate


def angle(z: Any, deg: bool = False) -> Value:
    """Give the argument of complex numbers, in radians or degrees."""
    z = as_inexact(z, "angle")
    turn = table.atan2(imag(z), real(z))
    return (
        table.mul(turn, structural.full((), 180 / math.pi, turn.dtype)) if deg else turn
    )


def iscomplex(x: Any) -> Value:
    """Give where the imaginary part is not zero."""
    return truth(imag(x))


def isreal(x: Any) -> Value:
    """Give where the imaginary part is zero."""
    return table.not_(iscomplex(x))


def iscomplexobj(x: Any) -> bool:
    """Whether the dtype is complex."""
    return is_complex(array_argument(x, "iscomplexobj"))


def isrealobj(x: Any) -> bool:
    """Whether the dtype is not complex."""
    return not is_complex(array_argument(x, "isrealobj"))


# -- careful sums, products and scalings -----------------------------------------------


def hypot(x: Any, y: Any) -> Value:
    """Give sqrt(x^2 + y^2) without overflow; the derivative at (0, 0) is 0."""
    check_ranks("hypot", x, y)
    x, y = promote_arrays("hypot", x, y, inexact=True)
    real_only(x, "hypot")
    return smooth.hypot(x, y)


def logaddexp(x: Any, y: Any) -> Value:
    """Give log(exp(x) + exp(y)) without overflow."""
    check_ranks("logaddexp", x, y)
    x, y = promote_arrays("logaddexp", x, y, inexact=True)
    if not is_complex(x):
        return smooth.log_add_exp(x, y)
    gap = table.sub(x, y)
    # Equal infinities make a nan here; the sum is right for them, and for nan.
    undefined = table.ne(gap, gap)
    gap = table.select(undefined, zero_like(gap), gap)
    higher = table.ge(table.real(gap), table.real(zero_like(gap)))
    gap = table.select(higher, table.neg(gap), gap)
    out = table.add(table.select(higher, x, y), table.log1p(table.exp(gap)))
    return as_weak_as(x, table.select(undefined, table.add(x, y), out))


def logaddexp2(x: Any, y: Any) -> Value:
    """Give log2(2^x + 2^y) without overflow."""
    check_ranks("logaddexp2", x, y)
    x, y = promote_arrays("logaddexp2", x, y, inexact=True)
    unit = structural.full((), math.log(2), x.dtype)
    found = logaddexp(table.mul(x, unit), table.mul(y, unit))
    return as_weak_as(x, table.div(found, unit))


def sinc(x: Any) -> Value:
    """Give sin(pi x) / (pi x), 1 at 0; derivatives there are exact to the fourth."""
    x = as_inexact(x, "sinc")
    angle = table.mul(x, structural.full((), math.pi, x.dtype))
    near = table.lt(
        table.abs(angle), structural.full((), 1e-2, dtypes.real_dtype(x.dtype))
    )
    # Taylor's series: the next term is below 2^-53 for |pi x| < 0.01.
    z = table.mul(angle, angle)
    series = constant(x, -1 / 5040)
    for coefficient in (1 / 120, -1 / 6, 1.0):
        number = structural.full((), coefficient, x.dtype)
        series = table.add(table.mul(series, z), number)
    safe = table.select(near, structural.full((), 1.0, x.dtype), angle)
    return as_weak_as(x, table.select(near, series, table.div(table.sin(safe), safe)))


def modf(x: Any) -> tuple[Value, Value]:
    """Give the fractional and the integer part, both with the sign of x."""
    x = as_inexact(x, "modf")
    whole = table.trunc(x)
    rest = table.select(isinf(x), zero_like(x), table.sub(x, whole))
    return as_weak_as(x, copysign(rest, x)), whole


def ldexp(x: Any, n: Any) -> Value:
    """Give x * 2^n, exactly."""
    check_ranks("ldexp", x, n)
    x, n = as_inexact(x, "ldexp"), array_argument(n, "ldexp")
    if not is_exact(n):
        raise wrong_dtype(
            "ldexp", f"takes integer exponents; got {describe(n)}.", "Use x * exp2(n)."
        )
    if is_complex(x):
        raise wrong_dtype(
            "ldexp", f"takes real numbers; got {describe(x)}.", "Use x * exp2(n)."
        )
    if is_unsigned(n):  # not the bits of a signed integer: 2^32 - 1 is not -1
        most = builtins.min(1 << 14, bounds(n.dtype)[1])
        n = table.min(n, structural.full((), most, n.dtype))
    n = convert(n, dtypes.scalar_dtype(int))
    step = dtypes.finfo(x.dtype).maxexp - 2
    for _ in range(4):
        part = table.max(table.min(n, int(step)), -int(step))
        x, n = table.mul(x, _power_of_two(part, x.dtype, int(step))), table.sub(n, part)
    return x


def _power_of_two(n: Value, dtype: dtypes.Dtype, limit: int) -> Value:
    """Give 2^n for |n| <= limit, from the bits of n, exactly."""
    size, out = table.abs(n), structural.full((), 1, dtype)
    for bit in range(limit.bit_length()):
        on = table.ne(table.and_(size, 1 << bit), 0)
        factor = structural.full((), 2.0 ** (1 << bit), dtype)
        out = table.mul(out, table.select(on, factor, structural.full((), 1, dtype)))
    return table.select(
        table.lt(n, 0), table.div(structural.full((), 1, dtype), out), out
    )


def frexp(x: Any) -> tuple[Value, Value]:
    """Give mantissas in [0.5, 1) and exponents with x = m * 2^e; denormals too."""
    x = as_inexact(x, "frexp")
    info = dtypes.finfo(x.dtype)
    lift = int(info.nmant) + 2
    plain = table.and_(table.is_finite(x), table.ne(x, zero_like(x)))
    tiny = table.lt(table.abs(x), structural.full((), float(info.tiny), x.dtype))
    safe = table.select(plain, x, structural.full((), 1, x.dtype))
    safe = table.select(
        tiny, table.mul(safe, structural.full((), 2.0**lift, x.dtype)), safe
    )
    unit = structural.full((), 1 / math.log(2), x.dtype)
    guess = table.floor(table.mul(table.log(table.abs(safe)), unit))
    e = table.add(convert(guess, dtypes.scalar_dtype(int)), 1)
    m = ldexp(safe, table.neg(e))
    size, half = table.abs(m), structural.full((), 0.5, x.dtype)
    high, low = table.ge(size, structural.full((), 1, x.dtype)), table.lt(size, half)
    m = table.select(high, table.mul(m, half), table.select(low, table.add(m, m), m))
    e = table.add(e, table.sub(convert(high, e.dtype), convert(low, e.dtype)))
    e = table.sub(e, table.select(tiny, structural.full((), lift, e.dtype), 0))
    return table.select(plain, m, x), convert(
        table.select(plain, e, structural.full((), 0, e.dtype)), dtypes.int32
    )


def i0(x: Any) -> Value:
    """Give the modified Bessel function of order 0."""
    x = as_inexact(x, "i0")
    return smooth.bessel_i0(x)


def _all(x: Value) -> Value:
    """Whether all elements are true."""
    return reduce_and(x, range(len(x.shape)))


def array_equiv(a: Any, b: Any) -> Value:
    """Whether shapes broadcast and all elements are equal."""
    a, b = promote_arrays("array_equiv", a, b)
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        return structural.full((), False, dtypes.bool_)
    return _all(table.eq(a, b))


def array_equal(a: Any, b: Any, equal_nan: bool = False) -> Value:
    """Whether shapes and all elements are equal."""
    a, b = promote_arrays("array_equal", a, b)
    if a.shape != b.shape:
        return structural.full((), False, dtypes.bool_)
    same = table.eq(a, b)
    if equal_nan:
        same = table.or_(same, table.and_(isnan(a), isnan(b)))
    return _all(same)


def allclose(
    a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False
) -> Value:
    """Whether all elements are close, as `isclose` has it; an array, not a bool."""
    check_ranks("allclose", a, b)
    return _all(isclose(a, b, rtol, atol, equal_nan))
