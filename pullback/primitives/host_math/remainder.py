"""The remainder of a division, exact for quotients of any size."""

from __future__ import annotations

import math

from pullback import dtypes
from pullback.primitives.host_math.expression import Term, halved, widen

# A quotient of float32 is less than 2**278: ten digits of 28 bits, from the highest on.
# A digit times a float32 has at most 53 bits, an exact float64.
_DIGIT, _DIGITS = 28, 10


def rem_single(x: Term, y: Term) -> Term:
    """Give x less the multiple of y that leaves the least of the same sign.

    Long division: a digit that is estimated wrong by one is made good by the next.
    """
    size, divisor = widen(abs(x)), widen(abs(y))
    inverse = halved(2.0 / divisor)
    rest = size
    for place in range(_DIGITS - 1, -1, -1):
        scale = 2.0 ** (_DIGIT * place)
        digit = (rest * inverse * (1.0 / scale)).round()
        rest = rest - digit * (divisor * scale)
    rest = (rest < 0.0).choose(rest + divisor, rest)
    found = rest.to(dtypes.float32).with_sign(x.sign_bit())
    found = (size < divisor).choose(x, found)
    whole = (size < math.inf) & (divisor > 0.0)
    return whole.choose(found, math.nan)
