"""sinh, cosh, asinh, acosh and atanh, and the logarithm of 1 + x in float32."""

from __future__ import annotations

import math

from pullback import dtypes
from pullback.primitives.host_math.coefficients import (
    EXP2,
    LOG2_WIDE,
    SINH,
    SINH_DOUBLE,
)
from pullback.primitives.host_math.expression import Term, halved, polynomial
from pullback.primitives.host_math.power import (
    exp_of_sum,
    log2_of,
    log_positive,
    power_of_two,
)
from pullback.primitives.host_math.range_reduction import INT64

_LN2 = math.log(2)
# Below, sinh x, asinh x and atanh x round to x.
_SMALL_SINGLE, _SMALL_DOUBLE = 2.0**-13, 2.0**-28
# Above, a square root of x^2 +- 1 rounds to x.
_LARGE = 2.0**28

# -- float32, by float64 ---------------------------------------------------------------


def half_exponentials(size: Term) -> tuple[Term, Term]:
    """Give half of e^x and of e^-x for x >= 0, to 34 bits, for results in float32."""
    t = (size * (1 / _LN2)).min(300.0)
    n = t.round()
    rest = t - n
    square = rest * rest
    even, odd = polynomial(square, EXP2[::2]), rest * polynomial(square, EXP2[1::2])
    rising = (even + odd) * power_of_two(n - 1.0)
    return rising, (even - odd) * power_of_two(-1.0 - n)


def sinh_single(x: Term) -> Term:
    """Give the hyperbolic sine of float32."""
    size = abs(x.to(dtypes.float64))
    rising, falling = half_exponentials(size)
    near = size * polynomial(size * size, SINH)
    found = (size < 1.0).choose(near, rising - falling).to(dtypes.float32)
    return kept_if_small(x, found)


def cosh_single(x: Term) -> Term:
    """Give the hyperbolic cosine of float32."""
    rising, falling = half_exponentials(abs(x.to(dtypes.float64)))
    return (rising + falling).to(dtypes.float32)


def kept_if_small(x: Term, found: Term) -> Term:
    """Give a result its sign, x itself where it is small, and nan where it is nan."""
    found = found.with_sign(x.sign_bit())
    least = _SMALL_SINGLE if x.dtype == dtypes.float32 else _SMALL_DOUBLE
    return ((abs(x) < least) | x.differs(x)).choose(x, found)


def log2_ratio(a: Term, b: Term) -> Term:
    """Give the binary logarithm of a / b, of positive normal float64, to 40 bits."""
    distance = (a.bits() - b.bits()).emit("bitcast_convert", [], INT64)
    n = (distance + 2**51) >> 52
    shift = (n << 52).emit("bitcast_convert", [], a.bits().dtype)
    scaled = (b.bits() + shift).number()
    s = halved((a - scaled) * 2.0 / (a + scaled))
    return s * polynomial(s * s, LOG2_WIDE) + n.to(dtypes.float64)


def asinh_single(x: Term) -> Term:
    """Give the inverse hyperbolic sine of float32."""
    size = abs(x.to(dtypes.float64))
    found = log2_of(size + (size * size + 1.0).sqrt()) * _LN2
    found = size.equals(math.inf).choose(size, found).to(dtypes.float32)
    return kept_if_small(x, found)


def acosh_single(x: Term) -> Term:
    """Give the inverse hyperbolic cosine of float32."""
    wide = x.to(dtypes.float64)
    root = ((wide - 1.0) * (wide + 1.0)).max(0.0).sqrt()
    found = (log2_of(wide + root) * _LN2).to(dtypes.float32)
    found = x.equals(math.inf).choose(x, found)
    return (x >= 1.0).choose(found, math.nan)


def atanh_single(x: Term) -> Term:
    """Give the inverse hyperbolic tangent of float32."""
    size = abs(x.to(dtypes.float64))
    found = (log2_ratio(1.0 + size, 1.0 - size) * (_LN2 / 2)).to(dtypes.float32)
    end = size.equals(1.0).choose(math.inf, found.like(math.nan))
    return kept_if_small(x, (size < 1.0).choose(found, end))


def log1p_single(x: Term) -> Term:
    """Give log(1 + x) of float32."""
    wide = x.to(dtypes.float64)
    found = log2_of(1.0 + wide) * _LN2
    found = (abs(wide) < 2.0**-14).choose(wide - wide * wide * 0.5, found)
    found = x.equals(-1.0).choose(-math.inf, found.to(dtypes.float32))
    found = (x >= -1.0).choose(found, math.nan)
    return ((abs(x) < 2.0**-26) | x.equals(math.inf)).choose(x, found)


# -- float64 ---------------------------------------------------------------------------


def sinh_double(x: Term) -> Term:
    """Give the hyperbolic sine of float64."""
    size = abs(x)
    rising = exp_of_sum(size, 0.0, 1.0)
    near = size * polynomial(size * size, SINH_DOUBLE)
    return kept_if_small(x, (size < 1.0).choose(near, rising - 0.25 / rising))


def cosh_double(x: Term) -> Term:
    """Give the hyperbolic cosine of float64."""
    rising = exp_of_sum(abs(x), 0.0, 1.0)
    return rising + 0.25 / rising


def log1p_or_log_twice(x: Term, large: Term, size: Term) -> Term:
    """Give log(1 + x), or log(2 `size`) where that is large, of float64 >= 0."""
    # The compiler takes (x + 1) - 1 for x, but not through the maximum.
    total = large.choose(size, (x + 1.0).max(0.0))
    lost = (x - (total - 1.0)) / total
    return log_positive(total) + large.choose(_LN2, lost)


def asinh_double(x: Term) -> Term:
    """Give the inverse hyperbolic sine of float64: Sun's fdlibm, s_asinh.c."""
    size = abs(x)
    square = size * size
    above = size + square / (1.0 + (square + 1.0).sqrt())
    return kept_if_small(x, log1p_or_log_twice(above, size > _LARGE, size))


def acosh_double(x: Term) -> Term:
    """Give the inverse hyperbolic cosine of float64: Sun's fdlibm, e_acosh.c."""
    t = x - 1.0
    above = t + (t * (t + 2.0)).max(0.0).sqrt()
    found = log1p_or_log_twice(above, x > _LARGE, x)
    return (x >= 1.0).choose(found, math.nan)


def atanh_double(x: Term) -> Term:
    """Give the inverse hyperbolic tangent of float64: Sun's fdlibm, e_atanh.c."""
    size = abs(x)
    double = size + size
    quotient = halved(2.0 * double / (1.0 - size))
    above = (size < 0.5).choose(double + quotient * size, quotient)
    total = (above + 1.0).max(0.0)
    found = (log_positive(total) + (above - (total - 1.0)) / total) * 0.5
    end = size.equals(1.0).choose(math.inf, found.like(math.nan))
    return kept_if_small(x, (size < 1.0).choose(found, end))
