"""The logarithm of the gamma function, and its derivative.

NIST Digital Library of Mathematical Functions, 5.5 (recurrence and reflection) and 5.11
(asymptotic expansions).
"""

from __future__ import annotations

import math

from pullback import dtypes
from pullback.primitives.host_math.coefficients import LGAMMA, SIN_DOUBLE
from pullback.primitives.host_math.expression import Term, polynomial, widen
from pullback.primitives.host_math.power import log_positive

# B(2k) / (2k (2k - 1)) and B(2k) / (2k) with the Bernoulli numbers B: DLMF 5.11.1 and
# 5.11.2. At 8 and beyond, what follows these is less than half a unit of float64.
_STIRLING = tuple(
    a / b
    for a, b in (
        (1, 12),
        (-1, 360),
        (1, 1260),
        (-1, 1680),
        (1, 1188),
        (-691, 360360),
        (1, 156),
        (-3617, 122400),
        (43867, 244188),
    )
)
_SLOPES = tuple(c * (2 * k + 1) for k, c in enumerate(_STIRLING))
_SHIFT = 8
_HALF_LOG_TURN = 0.5 * math.log(2 * math.pi)


def sine_of_half_turns(x: Term) -> tuple[Term, Term]:
    """Give sin(pi r) with r = x - round(x), and r / 2."""
    turns = (x - x.round()) * 0.5
    return turns * polynomial(turns * turns, SIN_DOUBLE), turns


def reflected(x: Term) -> tuple[Term, Term]:
    """Give whether x < 1/2, and 1 - x there, x elsewhere."""
    left = x < 0.5
    return left, left.choose(1.0 - x, x)


# -- lgamma ----------------------------------------------------------------------------


def log_gamma(x: Term) -> tuple[Term, Term]:
    """Give S and w with log |Gamma(x)| = S - log(w), or log(w) - S for x < 1/2."""
    left, y = reflected(x)
    near = y < float(_SHIFT)
    product = y
    for k in range(1, _SHIFT):
        product = product * (y + float(k))
    z = near.choose(y + float(_SHIFT), y)
    inverse = 1.0 / z
    series = inverse * polynomial(inverse * inverse, _STIRLING)
    stirling = (z - 0.5) * (log_positive(z) - 1.0) + (series + (_HALF_LOG_TURN - 0.5))
    sine, _ = sine_of_half_turns(x)
    w = near.choose(product, 1.0)
    return stirling, left.choose(w * math.pi / abs(sine), w)


def lgamma_single(x: Term) -> Term:
    """Give log |Gamma(x)| of float32."""
    wide = widen(abs(x)).with_sign(x.to(dtypes.float64).sign_bit())
    stirling, w = log_gamma(wide)
    found = stirling - log_positive(w)
    found = (wide < 0.5).choose(-found, found)
    found = abs(wide).equals(math.inf).choose(math.inf, found)
    zero = x.equals(1.0) | x.equals(2.0)
    return zero.choose(0.0, found.to(dtypes.float32))


def lgamma_double(x: Term) -> Term:
    """Give log |Gamma(x)| of float64."""
    stirling, w = log_gamma(x)
    # Near its zeros 1 and 2 from a polynomial on [1, 2] and the recurrence.
    below, above = x < 1.0, x > 2.0
    inside = (x >= 0.5) & (x < 3.0)
    first = below.choose(x, above.choose(x - 2.0, x - 1.0))
    second = below.choose(x - 1.0, above.choose(x - 3.0, x - 2.0))
    core = first * second * polynomial(first - 0.5, LGAMMA)
    step = below.choose(x, above.choose(x - 1.0, 1.0))
    logarithm = log_positive(inside.choose(step, w))
    far = (x < 0.5).choose(logarithm - stirling, stirling - logarithm)
    near = core + below.choose(-logarithm, logarithm)
    found = inside.choose(near, far)
    return abs(x).equals(math.inf).choose(math.inf, found)


# -- digamma ---------------------------------------------------------------------------


def digamma_wide(x: Term) -> Term:
    """Give the derivative of log |Gamma(x)| of float64."""
    left, y = reflected(x)
    near = y < float(_SHIFT)
    # The sum of 1 / (y + k) as one quotient.
    above, below = y.like(1.0), y
    for k in range(1, _SHIFT):
        above = above * (y + float(k)) + below
        below = below * (y + float(k))
    z = near.choose(y + float(_SHIFT), y)
    inverse = 1.0 / z
    square = inverse * inverse
    rest = 0.5 * inverse + square * polynomial(square, _SLOPES)
    sine, turns = sine_of_half_turns(x)
    aside = 0.25 - abs(turns)
    cosine = aside * polynomial(aside * aside, SIN_DOUBLE)
    found = (log_positive(z) - rest) - near.choose(above / below, 0.0)
    return left.choose(found - cosine * math.pi / sine, found)


def poles(x: Term, found: Term) -> Term:
    """Give what was found, with the values at zeros, poles and infinity."""
    pole = (x < 0.0) & x.round().equals(x)
    found = pole.choose(math.nan, found)
    found = x.equals(math.inf).choose(x, found)
    zero = x.like(-math.inf).with_sign(x.sign_bit())
    return x.is_zero().choose(zero, found)


def digamma_single(x: Term) -> Term:
    """Give the digamma function of float32."""
    wide = widen(abs(x)).with_sign(x.to(dtypes.float64).sign_bit())
    return poles(x, digamma_wide(wide).to(dtypes.float32))


def digamma_double(x: Term) -> Term:
    """Give the digamma function of float64."""
    return poles(x, digamma_wide(x))
