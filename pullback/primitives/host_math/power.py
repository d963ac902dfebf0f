"""Powers, cube roots, and the logarithms and exponentials they are made of."""

from __future__ import annotations

import math

import numpy as np

from pullback import dtypes
from pullback.primitives.host_math.coefficients import CBRT, EXP2, EXP_REST, LOG2
from pullback.primitives.host_math.expression import Term, halved, polynomial, widen

_INT64 = np.dtype("i8")
# The bits of sqrt(1/2) and of sqrt(3)/2.
_ROOT_HALF, _HALF_ROOT_THREE = 0x3FE6A09E << 32, 0x3FEBB67A << 32


def mantissa(x: Term, least: int = _ROOT_HALF) -> tuple[Term, Term]:
    """Write a positive normal float64 as 2**e m with m from a least value to twice it.

    Args:
        x: the number.
        least: the bits of the least value, with zeros in the lower word.

    Returns:
        m and e, both as float64.
    """
    bits = x.bits() - least
    signed = bits.emit("bitcast_convert", [], _INT64)
    exponent = (signed >> 52).to(dtypes.float64)
    return ((bits & (2**52 - 1)) + least).number(), exponent


def power_of_two(n: Term) -> Term:
    """Give 2**n of an integral float64 from -1022 to 1023."""
    # The sum's last bits are those of n: 1.5 * 2**52 has units in its last place.
    return ((n + (1.5 * 2.0**52 + 1023)).bits() << 52).number()


def finish(x: Term, y: Term, size: Term, zero: Term) -> Term:
    """Give x^y where `size` is |x|^y for finite numbers: signs, zeros, inf and nan.

    IEEE 754-2019, section 9.2.1, and C11, annex F.10.4.4. A subnormal exponent is zero,
    as it is for all arithmetic of compiled programs.

    Args:
        x: the base.
        y: the exponent, of the same dtype.
        size: what was computed, without meaning where either is no finite number.
        zero: whether the base is zero; subnormal float32 are not.
    """
    base, infinite = abs(x), abs(y).equals(math.inf)
    rising, half = y > 0.0, y * 0.5
    whole = y.round().equals(y)
    odd = whole & half.round().differs(half)
    negative = x.sign_bit().differs(0)
    grows = (base > 1.0).choose(rising, ~rising)
    endless = base.equals(math.inf)
    found = (zero | endless | infinite).choose(
        grows.choose(math.inf, size.like(0.0)), size
    )
    found = (negative & odd).choose(-found, found)
    undefined = (negative & ~whole & ~zero & ~endless) | x.differs(x) | y.differs(y)
    found = undefined.choose(math.nan, found)
    one = y.equals(0.0) | x.equals(1.0) | (infinite & base.equals(1.0))
    return one.choose(1.0, found)


# -- the natural logarithm -------------------------------------------------------------

# Sun's fdlibm, e_log.c.
_LOG_SERIES = (
    6.666666666666735130e-01,
    3.999999999940941908e-01,
    2.857142874366239149e-01,
    2.222219843214978396e-01,
    1.818357216161805012e-01,
    1.531383769920937332e-01,
    1.479819860511658591e-01,
)
_LN2_PARTS = (6.93147180369123816490e-01, 1.90821492927058770002e-10)


def log_positive(x: Term) -> Term:
    """Give the natural logarithm of a normal float64 > 0, or of inf."""
    m, exponent = mantissa(x)
    f = m - 1.0
    s = halved(f * 2.0 / (f + 2.0))
    square, half = s * s, 0.5 * f * f
    rest = square * polynomial(square, _LOG_SERIES)
    inner = s * (half + rest) + exponent * _LN2_PARTS[1]
    found = exponent * _LN2_PARTS[0] - ((half - inner) - f)
    return x.equals(math.inf).choose(x, found)


def log_double(x: Term) -> Term:
    """Give the natural logarithm of float64."""
    found = x.equals(0.0).choose(-math.inf, log_positive(x))
    return (x >= 0.0).choose(found, math.nan)


def log1p_double(x: Term) -> Term:
    """Give log(1 + x) of float64: what 1 + x loses makes a correction."""
    # The compiler takes (x + 1) - 1 for x, but not through the maximum.
    total = (x + 1.0).max(0.0)
    lost = (x - (total - 1.0)) / total
    found = log_positive(total) + (abs(x) < 2.0**53).choose(lost, 0.0)
    found = x.equals(-1.0).choose(-math.inf, found)
    found = (x >= -1.0).choose(found, math.nan)
    return (abs(x) < 2.0**-54).choose(x, found)


# -- the natural exponential -----------------------------------------------------------


def exp_of_sum(high: Term, low: Term | float, halvings: float = 0.0) -> Term:
    """Give 2**-`halvings` e**(`high` + `low`) of float64, `low` a small correction."""
    high = high.max(-800.0).min(800.0)
    n = (high * (1 / math.log(2))).round()
    # Its product with a number of 11 bits is exact.
    r = high - n * _LN2_PARTS[0]
    tail = low - n * _LN2_PARTS[1]
    total = r + tail
    found = 1.0 + (r + (tail + total * total * polynomial(total, EXP_REST)))
    return scaled(found, n - halvings)


def scaled(x: Term, n: Term) -> Term:
    """Give 2**n x, by two factors, since 2**n alone may be beyond the range."""
    half = (n * 0.5).round()
    return x * power_of_two(half) * power_of_two(n - half)


# -- cube roots ------------------------------------------------------------------------


def cube_root(x: Term) -> Term:
    """Give the cube root of a positive normal float64, or of 0 or inf."""
    m, exponent = mantissa(x)
    third = (exponent * (1 / 3)).round()
    # Halley's method, which takes the error to its cube.
    scaled = m * power_of_two(exponent - 3.0 * third)
    t = polynomial(scaled, CBRT)
    for _ in range(2):
        cube = t * t * t
        t = t - t * ((cube - scaled) / (2.0 * cube + scaled))
    found = t * power_of_two(third)
    same = x.equals(0.0) | x.equals(math.inf) | x.differs(x)
    return same.choose(x, found)


def cbrt_single(x: Term) -> Term:
    """Give the cube root of float32."""
    return cube_root(widen(abs(x))).to(dtypes.float32).with_sign(x.sign_bit())


def cbrt_double(x: Term) -> Term:
    """Give the cube root of float64."""
    return cube_root(abs(x)).with_sign(x.sign_bit())


# -- float32, by float64 ---------------------------------------------------------------


def log2_of(x: Term) -> Term:
    """Give the binary logarithm of a positive float64, to 45 bits."""
    m, exponent = mantissa(x)
    s = halved((m - 1.0) * 2.0 / (m + 1.0))
    return s * polynomial(s * s, LOG2) + exponent


def exp2_single(x: Term) -> Term:
    """Give 2 to the power of float32."""
    return exp2_wide(x.to(dtypes.float64)).to(dtypes.float32)


def exp2_wide(t: Term) -> Term:
    """Give 2 to the power of float64, to 34 bits, for results in float32."""
    t = t.max(-300.0).min(300.0)
    n = t.round()
    return polynomial(t - n, EXP2) * power_of_two(n)


def pow_single(x: Term, y: Term) -> Term:
    """Give the power of float32."""
    base = widen(abs(x))
    size = exp2_wide(y.to(dtypes.float64) * log2_of(base))
    return finish(x, y, size.to(dtypes.float32), base.equals(0.0))


# -- float64 ---------------------------------------------------------------------------

# The method and the constants of Sun's fdlibm, e_pow.c: log2(x) as a sum of two, from
# s = (m - c) / (m + c) with c = 1 or 3/2; products of numbers cut to 21 and 32 bits are
# exact.
_LOG = (
    5.99999999999994648725e-01,
    4.28571428578550184252e-01,
    3.33333329818377432918e-01,
    2.72728123808534006489e-01,
    2.30660745775561754067e-01,
    2.06975017800338417784e-01,
)
_EXP = (
    1.66666666666666019037e-01,
    -2.77777777770155933842e-03,
    6.61375632143793436117e-05,
    -1.65339022054652515390e-06,
    4.13813679705723846039e-08,
)
_LOG2_CENTRE = (5.84962487220764160156e-01, 1.35003920212974897128e-08)  # of 3/2
_LN2 = (6.93147182464599609375e-01, -1.90465429995776804525e-09, math.log(2))
# 2 / (3 log 2)
_SCALE = (9.61796700954437255859e-01, -7.02846165095275826516e-09, 0.9617966939259756)
_TOP_WORD = 2**64 - 2**32


def top(x: Term) -> Term:
    """Cut a float64 to 21 bits."""
    return (x.bits() & _TOP_WORD).number()


def log2_double(x: Term) -> tuple[Term, Term]:
    """Give the binary logarithm of |x| as a sum of a number of 21 bits and the rest."""
    m, exponent = mantissa(abs(x), _HALF_ROOT_THREE)
    above = m > 1.224744871391589
    centre = above.choose(1.5, m.like(1.0))
    centre_high = above.choose(_LOG2_CENTRE[0], m.like(0.0))
    centre_low = above.choose(_LOG2_CENTRE[1], m.like(0.0))
    u, total = m - centre, m + centre
    inverse = halved(2.0 / total)
    s = u * inverse
    s_high, total_high = top(s), top(total)
    total_low = m - (total_high - centre)
    s_low = inverse * ((u - s_high * total_high) - s_high * total_low)
    square = s * s
    r = square * square * polynomial(square, _LOG) + s_low * (s_high + s)
    square = s_high * s_high
    factor = top((3.0 + square) + r)
    factor_low = r - ((factor - 3.0) - square)
    u, v = s_high * factor, s_low * factor + factor_low * s
    p = top(u + v)
    p_low = v - (p - u)
    z = p * _SCALE[0]
    z_low = (p * _SCALE[1] + p_low * _SCALE[2]) + centre_low
    high = top(((z + z_low) + centre_high) + exponent)
    return high, z_low - (((high - exponent) - centre_high) - z)


def exp2_of_sum(high: Term, low: Term) -> Term:
    """Give 2 to the power of a sum of two."""
    z = high + low
    n = z.max(-1100.0).min(1100.0).round()
    rest = high - n
    t = top(low + rest)
    u = t * _LN2[0]
    v = (low - (t - rest)) * _LN2[2] + t * _LN2[1]
    r = u + v
    lacks = v - (r - u)
    square = r * r
    even = r - square * polynomial(square, _EXP)
    quotient = (r * even) / (even - 2.0)
    found = scaled(1.0 - ((quotient - (lacks + r * lacks)) - r), n)
    found = (z > 1100.0).choose(math.inf, found)
    return (z < -1100.0).choose(0.0, found)


def exp2_double(x: Term) -> Term:
    """Give 2 to the power of float64."""
    return exp2_of_sum(x, x.like(0.0))


def pow_double(x: Term, y: Term) -> Term:
    """Give the power of float64."""
    log_high, log_low = log2_double(x)
    y_high = top(y)
    low = (y - y_high) * log_high + y * log_low
    size = exp2_of_sum(y_high * log_high, low)
    return finish(x, y, size, x.equals(0.0))
