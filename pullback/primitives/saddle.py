"""Densities by the saddle-point expansion: without cancellation for large counts.

C. Loader, Fast and accurate computation of binomial probabilities (2000). The logarithm
of a binomial, Poisson, gamma or beta density is a sum of logarithms of factorials, each
much greater than it. Here each is Stirling's formula and a small error, and what
remains of the main parts is a deviance, computed as one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pullback.core.trace import Value
from pullback.primitives import special, table

HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)
#: From where on Stirling's series is used.
LARGE = 10.0

# B_2k / (2k (2k - 1)), DLMF 5.11.1.
_STIRLING = (
    1 / 12,
    -1 / 360,
    1 / 1260,
    -1 / 1680,
    1 / 1188,
    -691 / 360360,
    1 / 156,
    -3617 / 122400,
)


# -- functions of parts of their domain ------------------------------------------------


def outside(
    apart: Value, fill: Any, inside: Callable[..., Value], *xs: Value, safe: float = 0.5
) -> Value:
    """Give `fill` where `apart`, and elsewhere a function of `xs`.

    The function sees `safe` in their place where `apart`, so that no nan comes from
    there into derivatives. A nan among `xs` is not apart, and comes out as nan.
    """
    return table.select(
        apart, fill, inside(*[table.select(apart, safe, x) for x in xs])
    )


def piecewise(
    first: Value,
    one: Callable[[Value], Value],
    other: Callable[[Value], Value],
    x: Value,
    safe: tuple[float, float],
) -> Value:
    """Give one function of `x` where `first`, another elsewhere.

    Each sees its own `safe` number where the other is meant.
    """
    here = one(table.select(first, x, safe[0]))
    return table.select(first, here, other(table.select(first, safe[1], x)))


# -- parts of the expansion ------------------------------------------------------------


def stirling_error(x: Value) -> Value:
    """Give log(Gamma(x + 1)) less Stirling's formula, for x > 0."""

    def large(x: Value) -> Value:
        inverse = table.div(1.0, x)
        return special.horner(_STIRLING, inverse * inverse) * inverse

    def small(x: Value) -> Value:
        log_factorial = special.lgamma(x + 1.0)
        return log_factorial - (x + 0.5) * table.log(x) + x - HALF_LOG_TAU

    return piecewise(table.lt(x, LARGE), small, large, x, (1.0, LARGE))


def deviance(x: Value, m: Value) -> Value:
    """Give x log(x / m) + m - x for positive x and m, exact where they are close."""
    gap = x - m
    v = gap / (x + m)
    near = table.lt(table.abs(v), 0.1)
    # log(x / m) = 2 atanh(v), of which the first term is taken apart.
    v_near = table.select(near, v, 0.05)
    square = v_near * v_near
    series = special.horner([1 / (2 * j + 3) for j in range(8)], square)
    close = gap * v_near + x * v_near * square * series * 2.0
    ratio = table.select(near, 1.0, x / m)
    far = x * table.log(ratio) - gap
    return table.select(near, close, far)


def log_beta(a: Value, b: Value) -> Value:
    """Give log B(a, b) for positive arguments, without cancellation where one is large.

    A. R. Didonato and A. H. Morris, Algorithm 708 (1992), sections 4 and 8.
    """
    small, large = table.min(a, b), table.max(a, b)
    both = table.ge(small, LARGE)
    one = table.and_(table.ge(large, LARGE), table.not_(both))
    neither = table.not_(table.ge(large, LARGE))

    def expanded(p: Value, q: Value) -> Value:
        errors = stirling_error(p) + stirling_error(q) - stirling_error(p + q)
        powers = p * table.log1p(q / p) + q * table.log1p(p / q)
        spread = (table.log(p) - table.log1p(p / q)) * 0.5
        return errors - powers - spread + HALF_LOG_TAU

    def uneven(p: Value, q: Value) -> Value:
        n = p + q
        errors = stirling_error(q) - stirling_error(n)
        shift = p - p * table.log(n) - (q - 0.5) * table.log1p(p / q)
        return special.lgamma(p) + errors + shift

    def direct(p: Value, q: Value) -> Value:
        return special.lgamma(p) + special.lgamma(q) - special.lgamma(p + q)

    first = outside(table.not_(both), 0.0, expanded, small, large, safe=LARGE)
    second = outside(table.not_(one), 0.0, uneven, small, large, safe=LARGE)
    third = outside(table.not_(neither), 0.0, direct, small, large, safe=1.0)
    return first + second + third


def poisson(x: Value, mean: Value) -> Value:
    """Give the logarithm of exp(-mean) mean^x / Gamma(x + 1), for x >= 0, mean > 0."""
    few = table.lt(x, LARGE)

    def direct(x: Value) -> Value:
        return special.xlogy(x, mean) - mean - special.lgamma(x + 1.0)

    def expanded(x: Value) -> Value:
        main = table.neg(deviance(x, table.select(few, LARGE, mean)))
        return main - stirling_error(x) - table.log(x) * 0.5 - HALF_LOG_TAU

    return piecewise(few, direct, expanded, x, (1.0, LARGE))


def binomial(x: Value, n: Value, p: Value) -> Value:
    """Give the logarithm of C(n, x) p^x (1 - p)^(n - x), for 0 <= x <= n.

    `x` and `n` need not be whole.
    """
    q = 1.0 - p
    none, all_ = table.eq(x, 0.0), table.eq(x, n)
    rest = n - x
    edge = table.or_(none, all_)
    # Where p is 0 or 1 inside, the probability is 0: its logarithm is not a deviance.
    never = table.or_(table.le(p, 0.0), table.ge(p, 1.0))

    def inside(x: Value, rest: Value, n: Value, p: Value, q: Value) -> Value:
        errors = stirling_error(n) - stirling_error(x) - stirling_error(rest)
        main = deviance(x, n * p) + deviance(rest, n * q)
        spread = table.log(x) + table.log(rest / n)
        return errors - main - spread * 0.5 - HALF_LOG_TAU

    middle = outside(
        edge,
        0.0,
        lambda *xs: outside(never, -math.inf, inside, *xs),
        x,
        rest,
        n,
        p,
        q,
    )
    # log of (1 - p)^n and of p^n, 0 where n is.
    first = special.xlog1py(table.select(none, n, 0.0), table.neg(p))
    last = special.xlogy(table.select(none, 0.0, table.select(all_, n, 0.0)), p)
    return table.select(edge, first + last, middle) + x * 0.0
