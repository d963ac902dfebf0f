"""erf of float64, and erfc.

erfc falls as e^(-x^2) / x: that is taken out, and what is left is a polynomial in
(x - c) / (x + c), as Shepherd and Laframboise have it; see tools/minimax/fit.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pullback import dtypes
from pullback.primitives.host_math.coefficients import (
    ERF,
    ERF_HALF,
    ERFC,
    ERFC_SINGLE,
)
from pullback.primitives.host_math.expression import Term, polynomial, split
from pullback.primitives.host_math.power import exp2_wide, exp_of_sum

# Above, erfc is no normal number.
_GREATEST_SINGLE, _GREATEST_DOUBLE = 11.0, 27.5


def erfc_single(x: Term) -> Term:
    """Give 1 - erf(x) of float32."""
    wide = x.to(dtypes.float64)
    size = abs(wide).min(_GREATEST_SINGLE)
    square = size * size
    power = exp2_wide(square * (-1 / math.log(2)))
    far = power * without_power(size, 2.0, ERFC_SINGLE)
    near = wide * polynomial(square, ERF_HALF)
    return complement(wide, size, near, far).to(dtypes.float32)


def complement(x: Term, size: Term, near: Term, far: Term) -> Term:
    """Give erfc(x) by erf(x) where |x| is at most 1/2, else by erfc(|x|)."""
    far = (x < 0.0).choose(2.0 - far, far)
    return (size < 0.5).choose(1.0 - near, far)


def erfc_double(x: Term) -> Term:
    """Give 1 - erf(x) of float64."""
    size = abs(x)
    return complement(x, size, x * polynomial(x * x, ERF), erfc_above(size))


def erf_double(x: Term) -> Term:
    """Give the error function of float64."""
    size = abs(x)
    far = (1.0 - erfc_above(size)).with_sign(x.sign_bit())
    return (size < 1.0).choose(x * polynomial(x * x, ERF), far)


def erfc_above(size: Term) -> Term:
    """Give erfc of float64 of at least 1/2."""
    size = size.min(_GREATEST_DOUBLE)
    # The square as a sum, since e^(-x^2) has as many times its relative error.
    top, rest = split(size)
    power = exp_of_sum(-(top * top), -(rest * (size + top)))
    return power * without_power(size, 3.75, ERFC)


def without_power(size: Term, centre: float, coefficients: Sequence[float]) -> Term:
    """Give e^(a^2) erfc(a), by a polynomial in (a - c) / (a + c)."""
    # The bound keeps the division in the loop of what follows; see expression.halved.
    ratio = ((size - centre) / (size + centre)).min(1.0)
    return polynomial(ratio, coefficients) / (1.0 + 2.0 * size)
