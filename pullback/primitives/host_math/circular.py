"""sin, cos and tan."""

from __future__ import annotations

import math

from pullback import dtypes
from pullback.primitives.host_math.coefficients import (
    COS_EIGHTH,
    SIN_EIGHTH,
    SIN_QUARTER,
)
from pullback.primitives.host_math.expression import Term, halved, polynomial, product
from pullback.primitives.host_math.range_reduction import reduce_double, reduce_single

# Below, sin x and tan x round to x. Compiled programs take subnormal operands of
# arithmetic for zero, but not those of a choice.
_SMALL_SINGLE, _SMALL_DOUBLE = 2.0**-12, 2.0**-27

# -- float32, by float64 ---------------------------------------------------------------


def sine_of_turns(turns: Term, halves: Term) -> Term:
    """Give the sine of a rest of at most a quarter turn and a number of half turns."""
    found = turns * polynomial(turns * turns, SIN_QUARTER)
    return found.with_sign(halves << 63).to(dtypes.float32)


def sin_single(x: Term) -> Term:
    """Give the sine of float32."""
    return (abs(x) < _SMALL_SINGLE).choose(x, sine_of_turns(*reduce_single(x, 2)))


def cos_single(x: Term) -> Term:
    """Give the cosine of float32: the sine a quarter turn ahead."""
    return sine_of_turns(*reduce_single(x, 2, 0.25))


def tan_single(x: Term) -> Term:
    """Give the tangent of float32."""
    turns, quarters = reduce_single(x, 4)
    square = turns * turns
    sine = turns * polynomial(square, SIN_EIGHTH)
    cosine = polynomial(square, COS_EIGHTH)
    odd = (quarters & 1).differs(0)
    found = odd.choose(-cosine, sine) / odd.choose(sine, cosine)
    return (abs(x) < _SMALL_SINGLE).choose(x, found.to(dtypes.float32))


# -- float64 ---------------------------------------------------------------------------

# Minimax polynomials of Sun's fdlibm, k_sin.c and k_cos.c, up to pi/4.
_SIN = (
    -1.66666666666666324348e-01,
    8.33333333332248946124e-03,
    -1.98412698298579493134e-04,
    2.75573137070700676789e-06,
    -2.50507602534068634195e-08,
    1.58969099521155010221e-10,
)
_COS = (
    4.16666666666666019037e-02,
    -1.38888888888741095749e-03,
    2.48015872894767294178e-05,
    -2.75573143513906633035e-07,
    2.08757232129817482790e-09,
    -1.13596475577881948265e-11,
)
_TURN = (2 * math.pi, 2.4492935982947064e-16)


def radians(x: Term) -> tuple[Term, Term, Term]:
    """Give |x| less quarter turns, as a sum of two, and the number of these."""
    turns, tail, quarters = reduce_double(x)
    r, error = product(turns, turns.like(_TURN[0]))
    return r, error + (turns * _TURN[1] + tail * _TURN[0]), quarters


def sine(r: Term, tail: Term) -> tuple[Term, Term]:
    """Give the sine of `r + tail` as a sum of `r` and a correction."""
    square = r * r
    cube = square * r
    rest = polynomial(square, _SIN[1:])
    return r, (square * (cube * rest - 0.5 * tail) + tail) + cube * _SIN[0]


def cosine(r: Term, tail: Term) -> tuple[Term, Term]:
    """Give the cosine of `r + tail` as a sum of a number and a correction."""
    square = r * r
    half = square * 0.5
    most = 1.0 - half
    rest = square * (square * polynomial(square, _COS)) - r * tail
    return most, ((1.0 - most) - half) + rest


def finite(x: Term, found: Term) -> Term:
    """Give what was found where x is finite, nan elsewhere."""
    return (abs(x) < math.inf).choose(found, math.nan)


def sin_double(x: Term) -> Term:
    """Give the sine of float64."""
    r, tail, quarters = radians(x)
    odd = (quarters & 1).differs(0)
    parts = zip(sine(r, tail), cosine(r, tail), strict=True)
    most, rest = (odd.choose(c, s) for s, c in parts)
    found = (most + rest).with_sign(((quarters & 2) << 62) ^ x.sign_bit())
    return (abs(x) < _SMALL_DOUBLE).choose(x, finite(x, found))


def cos_double(x: Term) -> Term:
    """Give the cosine of float64."""
    r, tail, quarters = radians(x)
    odd = (quarters & 1).differs(0)
    parts = zip(sine(r, tail), cosine(r, tail), strict=True)
    most, rest = (odd.choose(s, c) for s, c in parts)
    found = (most + rest).with_sign(((quarters + 1) & 2) << 62)
    return (abs(x) < _SMALL_DOUBLE).choose(1.0, finite(x, found))


def tan_double(x: Term) -> Term:
    """Give the tangent of float64, a quotient of sums of two."""
    r, tail, quarters = radians(x)
    odd = (quarters & 1).differs(0)
    (s, s_rest), (c, c_rest) = sine(r, tail), cosine(r, tail)
    above, above_rest = odd.choose(-c, s), odd.choose(-c_rest, s_rest)
    below, below_rest = odd.choose(s, c), odd.choose(s_rest, c_rest)
    inverse = halved(2.0 / (below + below_rest))
    quotient = above * inverse
    whole, error = product(quotient, below)
    left = ((above - whole) - error) + (above_rest - quotient * below_rest)
    found = (quotient + left * inverse).with_sign(x.sign_bit())
    return (abs(x) < _SMALL_DOUBLE).choose(x, finite(x, found))
