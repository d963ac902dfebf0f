"""asin, acos, atan and atan2."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pullback import dtypes
from pullback.primitives.host_math.coefficients import ASIN, ATAN
from pullback.primitives.host_math.expression import Term, halved, polynomial, widen

_QUARTER, _QUARTER_REST = math.pi / 2, 6.123233995736766e-17
_SMALL_SINGLE, _SMALL_DOUBLE = 2.0**-12, 2.0**-27
_TINY = 2.0**-500

# -- float32, by float64 ---------------------------------------------------------------


def arcsine_single(x: Term) -> tuple[Term, Term]:
    """Give asin(s) for an s <= 1/2, and whether this is sqrt((1 - |x|) / 2).

    Otherwise s is |x|; the half-angle formula brings the rest near to 0.
    """
    size = abs(x.to(dtypes.float64))
    large = size > 0.5
    square = large.choose(0.5 - 0.5 * size, size * size)
    s = large.choose(square.sqrt(), size)
    return s * polynomial(square, ASIN), large


def asin_single(x: Term) -> Term:
    """Give the inverse sine of float32."""
    angle, large = arcsine_single(x)
    found = large.choose(_QUARTER - 2.0 * angle, angle).to(dtypes.float32)
    return (abs(x) < _SMALL_SINGLE).choose(x, found.with_sign(x.sign_bit()))


def acos_single(x: Term) -> Term:
    """Give the inverse cosine of float32."""
    angle, large = arcsine_single(x)
    negative = x < 0.0
    beyond = negative.choose(2 * _QUARTER - 2.0 * angle, 2.0 * angle)
    near = negative.choose(_QUARTER + angle, _QUARTER - angle)
    return large.choose(beyond, near).to(dtypes.float32)


def atan_single(x: Term) -> Term:
    """Give the inverse tangent of float32."""
    size = abs(x.to(dtypes.float64))
    large = size > 1.0
    s = halved(large.choose(2.0, size + size) / large.choose(size, 1.0))
    angle = s * polynomial(s * s, ATAN)
    found = large.choose(_QUARTER - angle, angle).to(dtypes.float32)
    return (abs(x) < _SMALL_SINGLE).choose(x, found.with_sign(x.sign_bit()))


def atan2_single(y: Term, x: Term) -> Term:
    """Give the angle of the point (x, y), in float32."""
    up, along = widen(abs(y)), widen(abs(x))
    small, large = up.min(along), up.max(along)
    s = tangent_of_ratio(small, large)
    angle = s * polynomial(s * s, ATAN)
    angle = (up > along).choose(_QUARTER - angle, angle)
    left = x.sign_bit().differs(0)
    found = left.choose(2 * _QUARTER - angle, angle).to(dtypes.float32)
    return found.with_sign(y.sign_bit())


def tangent_of_ratio(small: Term, large: Term) -> Term:
    """Divide; 0 / 0 is 0, and inf / inf is 1."""
    same = small.equals(large)
    return same.choose((small > 0.0).choose(1.0, small), small / large)


# -- float64 ---------------------------------------------------------------------------

# Sun's fdlibm, e_asin.c: asin(x) = x + x R(x^2) up to 1/2, R = x^2 P(x^2) / Q(x^2).
_P = (
    1.66666666666666657415e-01,
    -3.25565818622400915405e-01,
    2.01212532134862925881e-01,
    -4.00555345006794114027e-02,
    7.91534994289814532176e-04,
    3.47933107596021167570e-05,
)
_Q = (
    1.0,
    -2.40339491173441421878e00,
    2.02094576023350569471e00,
    -6.88283971605453293030e-01,
    7.70381505559019352791e-02,
)
# And s_atan.c: atan(x) = x - x (even and odd powers), up to 7/16.
_ATAN = (
    3.33333333333329318027e-01,
    -1.99999999998764832476e-01,
    1.42857142725034663711e-01,
    -1.11111104054623557880e-01,
    9.09088713343650656196e-02,
    -7.69187620504482999495e-02,
    6.66107313738753120669e-02,
    -5.83357013379057348645e-02,
    4.97687799461593236017e-02,
    -3.65315727442169155270e-02,
    1.62858201153657823623e-02,
)
# Where an interval starts, atan(c), and what this float lacks; x is taken to
# (x - c) / (1 + c x).
_INTERVALS = (
    (0.4375, 0.5, 4.63647609000806093515e-01, 2.26987774529616870924e-17),
    (0.6875, 1.0, 7.85398163397448278999e-01, 3.06161699786838301793e-17),
    (1.1875, 1.5, 9.82793723247329054082e-01, 1.39033110312309984516e-17),
    (2.4375, math.inf, 1.57079632679489655800e00, 6.12323399573676603587e-17),
)


def arcsine_double(x: Term) -> tuple[Term, Term, Term, Term, Term]:
    """Give s <= 1/2, R(s), the square of s, what s lacks, and whether s is not |x|."""
    size = abs(x)
    large = size > 0.5
    square = large.choose(0.5 - 0.5 * size, size * size)
    root = square.sqrt()
    s = large.choose(root, size)
    top = (s.bits() & (2**64 - 2**32)).number()
    # A Newton step: what the square root is short of.
    lacks = (square - top * top) / (s + top).max(_TINY)
    rest = 2.0 * square * polynomial(square, _P) / polynomial(square, _Q)
    return s, halved(rest), top, halved(lacks + lacks), large


def asin_double(x: Term) -> Term:
    """Give the inverse sine of float64."""
    s, rest, top, lacks, large = arcsine_double(x)
    inner = 2.0 * s * rest - (_QUARTER_REST - 2.0 * lacks)
    beyond = _QUARTER / 2 - (inner - (_QUARTER / 2 - 2.0 * top))
    found = large.choose(beyond, s + s * rest).with_sign(x.sign_bit())
    return (abs(x) < _SMALL_DOUBLE).choose(x, found)


def acos_double(x: Term) -> Term:
    """Give the inverse cosine of float64."""
    s, rest, top, lacks, large = arcsine_double(x)
    right = 2.0 * (top + (rest * s + lacks))
    left = 2 * _QUARTER - 2.0 * (s + (rest * s - _QUARTER_REST))
    signed = s.with_sign(x.sign_bit())
    near = _QUARTER - (signed - (_QUARTER_REST - signed * rest))
    return large.choose((x < 0.0).choose(left, right), near)


def stepwise(x: Term, values: Sequence[float], first: float) -> Term:
    """Give the value of the interval of `_INTERVALS` in which x lies."""
    found = x.like(first)
    for (start, *_), value in zip(_INTERVALS, values, strict=True):
        found = (x >= start).choose(value, found)
    return found


def atan_double(x: Term) -> Term:
    """Give the inverse tangent of float64."""
    found = positive_atan(abs(x)).with_sign(x.sign_bit())
    return (abs(x) < _SMALL_DOUBLE).choose(x, found)


def positive_atan(x: Term) -> Term:
    """Give the inverse tangent of a float64 >= 0."""
    above, below = x, x.like(1.0)
    for start, centre, _, _ in _INTERVALS[:-1]:
        inside = x >= start
        above = inside.choose(x - centre, above)
        below = inside.choose(x * centre + 1.0, below)
    beyond = x >= _INTERVALS[-1][0]
    above, below = beyond.choose(-1.0, above), beyond.choose(x, below)
    t = halved((above + above) / below)
    square = t * t
    series = t * (square * polynomial(square, _ATAN))
    most = stepwise(x, [angle for _, _, angle, _ in _INTERVALS], 0.0)
    lacks = stepwise(x, [rest for _, _, _, rest in _INTERVALS], 0.0)
    return most - ((series - lacks) - t)


def atan2_double(y: Term, x: Term) -> Term:
    """Give the angle of the point (x, y), in float64."""
    up, along = abs(y), abs(x)
    same = up.equals(along)
    ratio = same.choose((up > 0.0).choose(1.0, up), up / along)
    angle = positive_atan(abs(ratio))
    left = x.sign_bit().differs(0)
    found = left.choose(2 * _QUARTER - (angle - 2 * _QUARTER_REST), angle)
    return found.with_sign(y.sign_bit())
