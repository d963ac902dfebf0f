"""Hypergeometric functions, Bessel functions of whole order, and rising factorials.

Values are SciPy's, which compiled programs call, except for Legendre functions. Of the
hypergeometric functions, derivatives in their parameters have no closed form.
Derivatives are those of DLMF 13.3.15, 15.5.1, 10.6.1, 5.4 and 14.10.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pullback.core.array import SCALARS
from pullback.core.trace import Value
from pullback.primitives.elementwise import Elementwise
from pullback.primitives.special import (
    by_scipy,
    digamma,
    no_partial,
    on_host,
    successor,
)
from pullback.primitives.table import add, div, max, mul, sqrt, sub

hyp1f1: Elementwise = on_host(
    "hyp1f1",
    by_scipy("hyp1f1"),
    [
        no_partial("hyp1f1", "its first argument"),
        no_partial("hyp1f1", "its second argument"),
        lambda t, ans, a, b, x: mul(
            t, mul(hyp1f1(successor(a), successor(b), x), div(a, b))
        ),
    ],
)
hyp2f1: Elementwise = on_host(
    "hyp2f1",
    by_scipy("hyp2f1"),
    [
        no_partial("hyp2f1", "its first argument"),
        no_partial("hyp2f1", "its second argument"),
        no_partial("hyp2f1", "its third argument"),
        lambda t, ans, a, b, c, x: mul(
            t,
            mul(
                hyp2f1(successor(a), successor(b), successor(c), x),
                div(mul(a, b), c),
            ),
        ),
    ],
)
poch: Elementwise = on_host(
    "poch",
    by_scipy("poch"),
    [
        lambda t, ans, z, m: mul(t, mul(ans, sub(digamma(add(z, m)), digamma(z)))),
        lambda t, ans, z, m: mul(t, mul(ans, digamma(add(z, m)))),
    ],
)


def _before(n: Any) -> Any:
    return n - 1.0 if type(n) in SCALARS else sub(n, 1.0)


bessel_j: Elementwise = on_host(
    "bessel_j",
    by_scipy("jv"),
    [
        no_partial("bessel_j", "its order"),
        lambda t, ans, n, x: mul(
            t, mul(sub(bessel_j(_before(n), x), bessel_j(successor(n), x)), 0.5)
        ),
    ],
)

# -- Legendre functions ----------------------------------------------------------------


def normalized_legendre(n: Any, m: Any, theta: Any) -> Any:
    """Give the Legendre function of cos(theta) in Y_nm, by recurrence in the degree.

    DLMF 14.30.1 and 14.10.3, of which each function is normalized.
    """
    dtype = next(x.dtype for x in (theta, m, n) if type(x) not in SCALARS)
    arrays = [np.asarray(x, np.float64) for x in (n, m, theta)]
    n, m, theta = np.broadcast_arrays(*arrays)
    size = np.abs(m)
    inside = (size <= n) & (n == np.floor(n)) & (m == np.floor(m))
    x, sine = np.cos(theta), np.sin(theta)
    start = np.full(theta.shape, math.sqrt(0.25 / math.pi))
    for k in range(1, int(np.max(np.where(inside, size, 0), initial=0)) + 1):
        start = np.where(k <= size, -start * sine * math.sqrt(1 + 0.5 / k), start)
    before, current = np.zeros(theta.shape), start
    for k in range(1, int(np.max(np.where(inside, n, 0), initial=0)) + 1):
        above = (k > size) & (k <= n)
        squares = np.where(above, k * k - size * size, 1.0)
        ratio = (4.0 * k * k - 1) / squares
        rest = ((k - 1.0) ** 2 - size * size) / (4.0 * (k - 1) ** 2 - 1)
        ahead = np.sqrt(ratio) * (x * current - np.sqrt(np.maximum(rest, 0)) * before)
        before = np.where(above, current, before)
        current = np.where(above, ahead, current)
    flip = np.where((m < 0) & (size % 2 == 1), -1.0, 1.0)
    return np.asarray(np.where(inside, flip * current, 0.0)).astype(dtype)


def _turn(n: Value, m: Value, up: bool) -> Value:
    """Give the factor that leads to the next order."""
    first = sub(n, m) if up else add(n, m)
    second = add(add(n, m), 1.0) if up else add(sub(n, m), 1.0)
    return sqrt(max(mul(first, second), 0.0))


legendre: Elementwise = on_host(
    "legendre",
    normalized_legendre,
    [
        no_partial("legendre", "its degree"),
        no_partial("legendre", "its order"),
        lambda t, ans, n, m, theta: mul(
            t,
            mul(
                sub(
                    mul(_turn(n, m, True), legendre(n, successor(m), theta)),
                    mul(_turn(n, m, False), legendre(n, _before(m), theta)),
                ),
                0.5,
            ),
        ),
    ],
)
