"""Functions that are smooth where their formulas choose, by rules of their own.

Without overflow, log(exp x + exp y) and the like take a greatest or an absolute value
apart, whose kinks cancel. The derivative of a derivative would not see that: it would
be 0 at the kink, where the Hessian of a logistic loss at zero weights, for one, is not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pullback.core.array import SCALARS
from pullback.core.trace import Value
from pullback.primitives.elementwise import Elementwise
from pullback.primitives.special import (
    bessel_i0e,
    bessel_i1e,
    by_scipy,
    by_values,
    horner,
)
from pullback.primitives.table import (
    abs,
    add,
    as_array_like,
    div,
    eq,
    exp,
    log1p,
    logistic,
    lt,
    max,
    min,
    mul,
    ne,
    neg,
    or_,
    select,
    sqrt,
    sub,
)


def in_single(f: Callable[..., Any]) -> Callable[..., Any]:
    """Give the eager rule by a function of NumPy values, in at least 32 bits."""

    def apply(*operands: Any) -> Any:
        dtype = next(x.dtype for x in operands if type(x) not in SCALARS)
        if dtype.itemsize >= 4:
            return f(*operands)
        return f(*[np.asarray(x, np.float32) for x in operands]).astype(dtype)

    return apply


# -- logarithms of sums of exponentials ------------------------------------------------


def log_add_eager(x: Any, y: Any) -> Any:
    """Give log(exp x + exp y) of NumPy values."""
    gap = np.abs(x - y)
    out = np.maximum(x, y) + np.log1p(np.exp(-gap))
    return np.where(gap != gap, x + y, out)[()]  # equal infinities, and nan


def log_add(x: Value, y: Value) -> Value:
    """Give log(exp x + exp y), for compiled programs."""
    gap = abs(sub(x, y))
    out = add(max(x, y), log1p(exp(neg(gap))))
    return select(ne(gap, gap), add(x, y), out)


def share(x: Value, y: Value, ans: Value) -> Value:
    """Give exp x / (exp x + exp y), 1/2 if both are the same infinity."""
    gap = sub(as_array_like(x, ans), as_array_like(y, ans))
    return logistic(select(ne(gap, gap), select(eq(x, y), 0.0, gap), gap))


log_add_exp: Elementwise = Elementwise(
    "log_add_exp",
    in_single(log_add_eager),
    by_values(log_add),
    "f",
    [
        lambda t, ans, x, y: mul(t, share(x, y, ans)),
        lambda t, ans, x, y: mul(t, share(y, x, ans)),
    ],
)
softplus: Elementwise = Elementwise(
    "softplus",
    in_single(lambda x: np.maximum(x, x.dtype.type(0)) + np.log1p(np.exp(-np.abs(x)))),
    by_values(lambda x: add(max(x, 0.0), log1p(exp(neg(abs(x)))))),
    "f",
    [lambda t, ans, x: mul(t, logistic(x))],
)

# -- lengths ---------------------------------------------------------------------------


def length(x: Value, y: Value) -> Value:
    """Give sqrt(x^2 + y^2) without overflow, for compiled programs."""
    x, y = abs(x), abs(y)
    large, small = max(x, y), min(x, y)
    flat = eq(large, 0.0)
    ratio = div(small, select(flat, 1.0, large))
    out = mul(large, sqrt(add(mul(ratio, ratio), 1.0)))
    # An infinity beside anything, nan too, is an infinity.
    infinite = or_(eq(x, np.inf), eq(y, np.inf))
    return select(infinite, np.inf, select(flat, large, out))


def cosine_to(x: Value, ans: Value) -> Value:
    """Give x / ans, and 0 where the length is 0 or infinite."""
    flat = or_(eq(ans, 0.0), eq(ans, np.inf))
    return select(flat, 0.0, div(x, select(flat, 1.0, ans)))


hypot: Elementwise = Elementwise(
    "hypot",
    np.hypot,
    by_values(length),
    "f",
    [
        lambda t, ans, x, y: mul(t, cosine_to(as_array_like(x, ans), ans)),
        lambda t, ans, x, y: mul(t, cosine_to(as_array_like(y, ans), ans)),
    ],
)

# -- modified Bessel functions, with their growth --------------------------------------

#: I1(x) / x in x^2, DLMF 10.25.2; for |x| < 1/10 to 2**-56.
_I1_OVER_X = (1 / 2, 1 / 16, 1 / 384, 1 / 18432, 1 / 1474560)


def i1_over_x(x: Value, ans: Value) -> Value:
    """Give I1(x) / x, by its series near 0."""
    near = lt(abs(x), 0.1)
    far = div(ans, select(near, 1.0, x))
    return select(near, horner(_I1_OVER_X, mul(x, x)), far)


bessel_i0: Elementwise = Elementwise(
    "bessel_i0",
    by_scipy("i0"),
    by_values(lambda x: mul(exp(abs(x)), bessel_i0e(x))),
    "f",
    [lambda t, ans, x: mul(t, bessel_i1(x))],
)
# DLMF 10.29.2: I1' = I0 - I1 / x.
bessel_i1: Elementwise = Elementwise(
    "bessel_i1",
    by_scipy("i1"),
    by_values(lambda x: mul(exp(abs(x)), bessel_i1e(x))),
    "f",
    [lambda t, ans, x: mul(t, sub(bessel_i0(x), i1_over_x(x, ans)))],
)


def root_slope(ans: Value) -> Value:
    """Give the derivative of a square root by its value, 0 at 0."""
    flat = eq(ans, 0.0)
    return select(flat, 0.0, div(0.5, select(flat, 1.0, ans)))


#: The square root with derivative 0 at 0, in any order: norms are flat there.
root: Elementwise = Elementwise(
    "root",
    np.sqrt,
    "stablehlo.sqrt",
    "f",
    [lambda t, ans, x: mul(t, root_slope(ans))],
)
