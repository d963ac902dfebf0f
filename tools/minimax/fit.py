"""Fits the polynomials of `pullback/primitives/host_math/coefficients.py`.

Run `python -m tools.minimax.fit > pullback/primitives/host_math/coefficients.py`; it
needs mpmath. The second number of a row is the degree; the greatest relative error
stands beside each result.
"""

from collections.abc import Callable
from typing import NamedTuple

import mpmath as mp

from tools.minimax.remez import Number, minimax

TURN = 2 * mp.pi
TINY = mp.mpf(10) ** -30  # below, a quotient is taken to be its limit


class Fit(NamedTuple):
    """What is fitted: a name, a sentence, the function, the interval, the degree."""

    name: str
    meaning: str
    function: Callable[[Number], Number]
    low: Number
    high: Number
    degree: int


def at_root(f: Callable[[Number], Number], limit: Number) -> Callable[..., Number]:
    """Give a function of the square of what `f` takes; `limit` is its value at 0."""
    return lambda u: f(mp.sqrt(u)) if u > TINY else mp.mpf(limit)


def complement(centre: float) -> Callable[[Number], Number]:
    """Give (1 + 2 a) exp(a^2) erfc(a) as a function of (a - centre) / (a + centre).

    M. M. Shepherd and J. G. Laframboise, Chebyshev approximation of
    (1 + 2 x) exp(x^2) erfc x in 0 <= x < infinity, Math. Comp. 36 (1981).
    """

    def f(t: Number) -> Number:
        a = centre * (1 + t) / (1 - t)
        return (1 + 2 * a) * mp.exp(a * a) * mp.erfc(a)

    return f


def exponential_rest(r: Number) -> Number:
    """Give (e^r - 1 - r) / r^2."""
    small = abs(r) < mp.mpf(10) ** -12
    return mp.mpf(1) / 2 + r / 6 if small else (mp.expm1(r) - r) / r**2


def lgamma_rest(x: Number) -> Number:
    """Give log Gamma(y) / ((y - 1) (y - 2)) at y = x + 3/2, without its poles."""
    y = x + mp.mpf(3) / 2
    if abs(y - 1) < TINY:
        return mp.euler
    if abs(y - 2) < TINY:
        return 1 - mp.euler
    return mp.loggamma(y) / ((y - 1) * (y - 2))


sine = at_root(lambda t: mp.sin(TURN * t) / t, TURN)
cosine = at_root(lambda t: mp.cos(TURN * t), 1)
arcsine = at_root(lambda t: mp.asin(t) / t, 1)
arctangent = at_root(lambda t: mp.atan(t) / t, 1)
logarithm = at_root(lambda s: 2 * mp.atanh(s) / s / mp.log(2), 2 / mp.log(2))
error = at_root(lambda t: mp.erf(t) / t, 2 / mp.sqrt(mp.pi))
hyperbolic = at_root(lambda t: mp.sinh(t) / t, 1)
power = lambda t: mp.mpf(2) ** t  # noqa: E731
SLOPE = mp.mpf(3) - 2 * mp.sqrt(2)  # (m - 1) / (m + 1) at m = sqrt(2)

FITS = [
    Fit("SIN_QUARTER", "sin(2 pi t) / t in t^2, |t| <= 1/4", sine, 0, 1 / 16, 5),
    Fit("SIN_EIGHTH", "the same for |t| <= 1/8", sine, 0, 1 / 64, 4),
    Fit("COS_EIGHTH", "cos(2 pi t) in t^2, |t| <= 1/8", cosine, 0, 1 / 64, 5),
    Fit("ASIN", "asin(t) / t in t^2, |t| <= 1/2", arcsine, 0, 1 / 4, 7),
    Fit("ATAN", "atan(t) / t in t^2, |t| <= 1", arctangent, 0, 1, 12),
    Fit("LOG2", "log2((1+s)/(1-s)) / s in s^2", logarithm, 0, SLOPE**2 * 1.001, 5),
    Fit("LOG2_WIDE", "the same for ratios up to 1.6", logarithm, 0, 0.0533, 6),
    Fit("SINH", "sinh(t) / t in t^2, |t| <= 1", hyperbolic, 0, 1, 5),
    Fit("EXP2", "2^t, |t| <= 1/2", power, -0.5, 0.5, 7),
    Fit("SINH_DOUBLE", "sinh(t) / t in t^2, |t| <= 1", hyperbolic, 0, 1, 7),
    Fit("EXP_REST", "(e^r-1-r) / r^2, |r| < 0.347", exponential_rest, -0.347, 0.347, 9),
    Fit("ERF", "erf(t) / t in t^2, |t| <= 1", error, 0, 1, 12),
    Fit("ERF_HALF", "the same for |t| <= 1/2", error, 0, 1 / 4, 5),
    Fit(
        "ERFC",
        "(1+2a) e^(a^2) erfc(a) in (a-15/4) / (a+15/4), 1/2 <= a <= 27.5",
        complement(3.75),
        -3.25 / 4.25,
        23.75 / 31.25,
        21,
    ),
    Fit(
        "ERFC_SINGLE",
        "the same in (a-2) / (a+2), 1/2 <= a <= 11",
        complement(2.0),
        -1.5 / 2.5,
        9 / 13,
        11,
    ),
    Fit("CBRT", "the cube root of 0.35 to 2.83", mp.cbrt, 0.35, 2.84, 4),
    Fit("SIN_DOUBLE", "sin(2 pi t) / t in t^2, |t| <= 1/4", sine, 0, 1 / 16, 8),
    Fit(
        "LGAMMA",
        "log Gamma(y) / ((y-1) (y-2)) in y - 3/2, 1 <= y <= 2",
        lgamma_rest,
        -0.5,
        0.5,
        21,
    ),
]


def main() -> None:
    """Print the module."""
    print(
        '"""Minimax polynomials, constant term first; tools/minimax made this file."""'
    )
    print("\n# fmt: off")
    for fit in FITS:
        found, error = minimax(fit.function, fit.low, fit.high, fit.degree)
        print(f"\n#: {fit.meaning}: error 2**{mp.nstr(mp.log(error, 2), 4)}.")
        print(f"{fit.name} = (")
        for c in found:
            print(f"    {float(c)!r},")
        print(")")


if __name__ == "__main__":
    main()
