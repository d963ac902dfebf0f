"""Arguments of circular functions reduced to a part of a turn, however large.

M. H. Payne and R. N. Hanek, Radian reduction for trigonometric functions, SIGNUM
Newsletter 18 (1983): x is multiplied by those digits of 1 / (2 pi) that do not only add
whole turns.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from pullback import dtypes
from pullback.primitives.host_math.expression import Term

#: The first 1,280 binary digits of 1 / (2 pi) after the point.
TURNS_PER_RADIAN = int(
    "28be60db9391054a7f09d5f47d4d377036d8a5664f10e4107f9458eaf7aef1586dc91b8e909374b8"
    "01924bba827464873f877ac72c4a69cfba208d7d4baed1213a671c09ad17df904e64758e60d4ce7d"
    "272117e2ef7e4a0ec7fe25fff7816603fbcbc462d6829b47db4d9fb3c9f2c26dd3d18fd9a797fa8b"
    "5d49eeb1faf97c5ecf41ce7de294a4ba9afed7ec47e357421580cc11bf1edaeafc33ef0826bd0d87",
    16,
)
DIGITS = 1280
INT64 = np.dtype("i8")

# -- float32 ---------------------------------------------------------------------------


def pieces(start: int, widths: Sequence[int]) -> list[float]:
    """Cut 1 / (2 pi) into floats of given numbers of bits, from the bit `start` on."""
    found, end = [], start
    for width in widths:
        end += width
        bits = (TURNS_PER_RADIAN >> (DIGITS - end)) & ((1 << width) - 1)
        found.append(math.ldexp(bits, -end))
    return found


# A float32 has 24 bits, so its product with a piece of 29 is an exact float64. The
# digits before those of _FAR only add whole turns if |x| is at least _LIMIT, and those
# after _NEAR are worth less than 2**-58 of a turn if it is less. No float32 but 0 comes
# nearer to a multiple of a quarter turn than 2**-32 of a turn.
_WIDTHS = (29, 29, 29, 53)
_NEAR = pieces(2, _WIDTHS)
_FAR = pieces(61, _WIDTHS)
_LIMIT = 2.0**84
_SHIFT = 1.5 * 2.0**52


def reduce_single(x: Term, parts: int, offset: float = 0.0) -> tuple[Term, Term]:
    """Give x / (2 pi) + `offset` less the nearest multiple of a part of a turn.

    Args:
        x: float32.
        parts: how many parts a turn has.
        offset: a multiple of 1/4.

    Returns:
        The rest in turns, as float64; the number of parts as the lowest bits of an
        uint64, right up to whole turns.
    """
    wide = x.to(dtypes.float64)
    far = abs(x) >= _LIMIT
    products = [wide * far.choose(a, wide.like(b)) for a, b in zip(_FAR, _NEAR)]
    turns = [p - p.round() for p in products[:-1]]
    coarse, fine = turns[0] + turns[1], turns[2] + products[-1]
    rough = coarse + fine
    if offset:
        rough = rough + offset
    # So large a sum has no bits after the point, and the count as its lowest bits. The
    # compiler would take `(y + _SHIFT) - _SHIFT` for y.
    shifted = rough * float(parts) + _SHIFT
    whole = shifted * (1.0 / parts) - _SHIFT / parts
    # From the coarsest digits to the finest: what is lost is less than what remains.
    rest = coarse - whole
    if offset:
        rest = rest + offset
    return rest + fine, shifted.bits()


# -- float64 ---------------------------------------------------------------------------

#: The digits in words of 64 bits, after 128 zeros.
_WORDS = [0, 0] + [
    (TURNS_PER_RADIAN >> (DIGITS - 64 * (i + 1))) & (2**64 - 1) for i in range(20)
]
_LOW = 2**32 - 1


def digits_for(place: Term) -> list[Term]:
    """Give three words of digits from a place of `_WORDS` on: a shift in six stages."""
    words = [place.like(w) for w in _WORDS]
    for step in (16, 8, 4, 2, 1):
        chosen = (place & (64 * step)).differs(0)
        count = 2 * step + 2 if step < 16 else 19
        words = [
            chosen.choose(words[i + step], w) if i + step < len(words) else w
            for i, w in enumerate(words[:count])
        ]
    bits = place & 63
    back = bits ^ 63
    return [(a << bits) | ((b >> 1) >> back) for a, b in itertools.pairwise(words)]


def multiply_digits(m: Term, digits: Sequence[Term]) -> tuple[Term, Term]:
    """Give the first 128 bits of a product of 53 and 192 bits after its first 64.

    The last of them may be too low by a few units.
    """
    m_low, m_high = m & _LOW, m >> 32
    first, second, third = digits
    a_low, a_high = second & _LOW, second >> 32
    lowest = m_low * a_low
    inner = m_high * a_low + (lowest >> 32)
    outer = m_low * a_high + (inner & _LOW)
    high = m_high * a_high + (inner >> 32) + (outer >> 32)
    low = (outer << 32) | (lowest & _LOW)
    b_low, b_high = third & _LOW, third >> 32
    cross = ((m_low * b_high) >> 32) + ((m_high * b_low) >> 32)
    tail = m_high * b_high + cross
    low = low + tail
    carry = (low < tail).choose(1, low.like(0))
    return m * first + high + carry, low


def reduce_double(x: Term) -> tuple[Term, Term, Term]:
    """Give |x| / (2 pi) less the nearest multiple of a quarter, for |x| >= 2**-27.

    Args:
        x: float64; for inf and nan the results have no meaning.

    Returns:
        The rest in turns as a sum of two float64, relatively accurate to 2**-66; the
        number of quarters as uint64, right up to multiples of four.
    """
    bits = x.bits()
    # x is m 2**(exponent - 1075), and only digits after that place add parts of turns.
    place = ((bits >> 52) & 0x7FF) - (1075 - 128)
    m = (bits & (2**52 - 1)) | 2**52
    high, low = multiply_digits(m, digits_for(place))
    quarters = (high + 2**61) >> 62
    rest = high - (quarters << 62)
    signed = rest.emit("bitcast_convert", [], INT64)

    def scaled(integer: Term, power: int) -> Term:
        if integer.dtype.kind == "u":  # less than 2**63: signed is the same, and fast
            integer = integer.emit("bitcast_convert", [], INT64)
        return integer.to(dtypes.float64) * 2.0**power

    a = scaled(signed >> 11, -53)
    b = scaled(((rest & 0x7FF) << 42) | (low >> 22), -106)
    c = scaled(low & (2**22 - 1), -128)
    total = a + b
    return total, ((a - total) + b) + c, quarters
