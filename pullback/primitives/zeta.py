"""The Hurwitz zeta function, with derivatives in both arguments."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pullback.core.array import SCALARS
from pullback.core.trace import Value
from pullback.primitives.elementwise import Elementwise
from pullback.primitives.special import (
    by_chlo,
    by_scipy,
    no_partial,
    on_host,
    successor,
)
from pullback.primitives.table import add, mul, neg, sub

# B_2k / (2k)!, DLMF 24.2.
_BERNOULLI = (
    1 / 6,
    -1 / 30,
    1 / 42,
    -1 / 30,
    5 / 66,
    -691 / 2730,
    7 / 6,
    -3617 / 510,
    43867 / 798,
    -174611 / 330,
)
_TERMS = 12


def zeta_slope(order: Any, s: Any, q: Any) -> Any:
    """Give a derivative of zeta(s, q) in `s`, for s > 1 and q > 0, on the host."""
    dtype = next(x.dtype for x in (q, s, order) if type(x) not in SCALARS)
    arrays = [np.asarray(x, np.float64) for x in (order, s, q)]
    order, s, q = np.broadcast_arrays(*arrays)
    inside = (s > 1) & (q > 0)
    safe_s, safe_q = np.where(inside, s, 2.0), np.where(inside, q, 1.0)
    found = np.full(s.shape, np.nan)
    for m in np.unique(order):
        if m < 0:
            # What `_slope_in_q` asks for at order 0, and multiplies by it.
            found = np.where(inside & (order == m), 0.0, found)
        elif m == int(m):
            slope = _taylor(int(m), safe_s, safe_q)[-1] * math.factorial(int(m))
            found = np.where(inside & (order == m), slope, found)
    return np.asarray(found).astype(dtype)


def _taylor(order: int, s: Any, q: Any) -> list[Any]:
    """Give Taylor's coefficients in s, each part of the Euler-Maclaurin formula's.

    DLMF 25.11.5, with every part as a polynomial in the distance from s.
    """

    def power(x: Any) -> list[Any]:
        slope = -np.log(x)
        return [x**-s * slope**i / math.factorial(i) for i in range(order + 1)]

    def times(u: list[Any], v: list[Any]) -> list[Any]:
        return [
            sum(u[j] * v[i - j] for j in range(i + 1) if i - j < len(v))
            for i in range(order + 1)
        ]

    total: list[Any] = [0.0] * (order + 1)
    for k in range(_TERMS):
        total = [x + y for x, y in zip(total, power(q + k))]
    end = q + _TERMS
    last = power(end)
    inverse = [(-1) ** i / (s - 1) ** (i + 1) for i in range(order + 1)]
    for i, x in enumerate(times(last, inverse)):
        total[i] = total[i] + x * end + last[i] * 0.5
    rising = times(last, [s, 1.0])
    for k, number in enumerate(_BERNOULLI, 1):
        factor = number / math.factorial(2 * k) * end ** (1.0 - 2 * k)
        total = [x + y * factor for x, y in zip(total, rising)]
        for step in (2 * k - 1, 2 * k):
            rising = times(rising, [s + step, 1.0])
    return total


def _slope_in_q(t: Value, ans: Value, order: Any, s: Value, q: Value) -> Value:
    """Give the derivative of -s zeta(s + 1, q), order by order in s."""
    ahead = successor(s)
    main = mul(zeta_grad_s(order, ahead, q), s)
    before = order - 1.0 if type(order) in SCALARS else sub(order, 1.0)
    return neg(mul(t, add(main, mul(zeta_grad_s(before, ahead, q), order))))


zeta: Elementwise = Elementwise(
    "zeta",
    by_scipy("zeta"),
    by_chlo("zeta"),
    "f",
    [
        lambda t, ans, s, q: mul(t, zeta_grad_s(1.0, s, q)),
        lambda t, ans, s, q: neg(mul(t, mul(zeta(successor(s), q), s))),
    ],
)
zeta_grad_s: Elementwise = on_host(
    "zeta_grad_s",
    zeta_slope,
    [
        no_partial("zeta_grad_s", "its order"),
        lambda t, ans, order, s, q: mul(t, zeta_grad_s(successor(order), s, q)),
        _slope_in_q,
    ],
)
