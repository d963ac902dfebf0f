"""Incomplete gamma and beta functions, regularized, with derivatives in all arguments.

They are distribution functions. Derivatives in the last argument are densities (DLMF
8.8 and 8.17). Those in the parameters are integrals of the density's derivatives, which
are the density times moments about the mean of log t: for gamma numbers

    d p / d a = p (log t - psi(a)),  d^2 p / d a^2 = p ((log t - psi(a))^2 - psi'(a)),

and for beta numbers the same of log t and log(1 - t). The integral over all t is 0, so
that of the side in which the argument lies is taken: there its parts do not cancel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pullback.core.array import SCALARS
from pullback.core.trace import Value
from pullback.lazy import scipy_special
from pullback.primitives.elementwise import Elementwise
from pullback.primitives.special import (
    by_scipy,
    digamma,
    lgamma,
    no_partial,
    on_host,
    polygamma,
)
from pullback.primitives.table import add, exp, log, log1p, mul, neg, sub

# -- densities -------------------------------------------------------------------------


def gamma_density(a: Value, x: Value) -> Value:
    """Give x^(a-1) exp(-x) / Gamma(a)."""
    return exp(sub(sub(mul(sub(a, 1.0), log(x)), x), lgamma(a)))


def beta_density(a: Value, b: Value, x: Value) -> Value:
    """Give x^(a-1) (1-x)^(b-1) / B(a, b)."""
    powers = add(mul(sub(a, 1.0), log(x)), mul(sub(b, 1.0), log1p(neg(x))))
    return exp(sub(add(powers, lgamma(add(a, b))), add(lgamma(a), lgamma(b))))


# -- derivatives in the parameters, on the host ----------------------------------------

# Nodes and weights of the double exponential rule for integrals of decaying functions
# over (0, inf): Takahasi and Mori (1974), with the substitution s = exp(z - exp(-z)).
_STEP = 1 / 14
_Z = np.arange(-3.8, 6.3, _STEP)
_NODES = np.exp(_Z - np.exp(-_Z))
_WEIGHTS = _STEP * _NODES * (1 + np.exp(-_Z))


def _deviance(x: Any, m: Any) -> Any:
    """Give x log(x / m) + m - x, exact where they are close (Loader, 2000)."""
    gap = x - m
    v = gap / (x + m)
    square = v * v
    series = sum(square**j / (2 * j + 3) for j in range(8))
    close = gap * v + 2 * x * v * square * series
    return np.where(abs(v) < 0.1, close, x * np.log(x / m) - gap)


def _stirling_error(x: Any) -> Any:
    """Give log(Gamma(x + 1)) less Stirling's formula."""
    y = np.maximum(x, 10.0)
    square = 1 / (y * y)
    series = 1 / 12 - square * (1 / 360 - square * (1 / 1260 - square * (1 / 1680)))
    rest = square**4 * (1 / 1188 - square * (691 / 360360 - square / 156))
    few = np.minimum(x, 10.0)
    direct = scipy_special.gammaln(few + 1) - (few + 0.5) * np.log(few) + few
    return np.where(x < 10, direct - 0.5 * np.log(2 * np.pi), (series + rest) / y)


def _log_mean(a: Any) -> Any:
    """Give psi(a) - log(a)."""
    y = np.maximum(a, 10.0)
    square = 1 / (y * y)
    series = 1 / 12 - square * (1 / 120 - square * (1 / 252 - square * (1 / 240)))
    rest = square**4 * (1 / 132 - square * (691 / 32760 - square / 12))
    few = np.minimum(a, 10.0)
    large = -0.5 / y - square * (series + rest)
    return np.where(a < 10, scipy_special.psi(few) - np.log(few), large)


def _integral(
    scale: Any, decay: Callable[..., Any], weight: Callable[..., Any], lower: Any
) -> Any:
    """Integrate exp(-decay) weight over distances s from the argument, to its side.

    Args:
        scale: about where `decay` is 1.
        decay: a function of the signed distance, and what `weight` takes.
        weight: a function of what `decay` gives besides.
        lower: which side.
    """
    total = 0.0
    for node, factor in zip(_NODES, _WEIGHTS):
        s = scale * np.where(lower, node, -node)
        fall, *logs = decay(s)
        total = total + factor * np.exp(-fall) * weight(*logs)
    return np.where(lower, total, -total) * scale


def _scale(slope: Any, curvature: Any, rate: Any) -> Any:
    """Give about where a decay is 1: by its first terms, or its rate far away."""
    near = 2 / (slope + np.sqrt(slope * slope + 2 * curvature))
    return np.where(rate < 1, 1 / rate, near)


def _float64(*xs: Any) -> Any:
    """Broadcast operands as float64, and give the dtype of the result."""
    dtype = next(x.dtype for x in xs if type(x) not in SCALARS)
    return dtype, np.broadcast_arrays(*[np.asarray(x, np.float64) for x in xs])


def gamma_slope(order: int) -> Callable[..., Any]:
    """Give the function on the host for a derivative of P(a, x) in `a`."""

    def slope(a: Any, x: Any) -> Any:
        dtype, (a, x) = _float64(a, x)
        inside = (x > 0) & (a > 0) & (x < np.inf) & (a < np.inf)
        wrong = np.isnan(a) | np.isnan(x) | (x < 0) | (a <= 0)
        with np.errstate(all="ignore"):
            found = _gamma_slope(
                order, np.where(inside, a, 1.0), np.where(inside, x, 1.0)
            )
        limit = np.where(wrong, np.nan, 0.0)
        return np.asarray(np.where(inside, found, limit)).astype(dtype)

    return slope


def _gamma_slope(order: int, a: Any, x: Any) -> Any:
    """Give it for positive finite arguments."""
    height = a * np.exp(-_deviance(a, x) - _stirling_error(a)) / np.sqrt(2 * np.pi * a)
    lower = x < np.maximum(a, 1.0)
    slope = np.maximum(np.where(lower, a - x, x - a), 0.0)
    centre = np.log(x / a) - _log_mean(a)
    spread = scipy_special.polygamma(1, a) if order == 2 else 0.0

    def decay(s: Any) -> Any:
        return a * s + x * np.expm1(-s), centre - s

    def weight(c: Any) -> Any:
        return c if order == 1 else c * c - spread

    scale = _scale(slope, x, np.where(lower, a, 1.0))
    return height * _integral(scale, decay, weight, lower)


def beta_slope(of_a: int, of_b: int) -> Callable[..., Any]:
    """Give the function on the host for a derivative of I_x(a, b) in `a` and `b`."""

    def slope(a: Any, b: Any, x: Any) -> Any:
        dtype, (a, b, x) = _float64(a, b, x)
        inside = (x > 0) & (x < 1) & (a > 0) & (b > 0) & np.isfinite(a + b)
        wrong = np.isnan(a + b + x) | (x < 0) | (x > 1) | (a <= 0) | (b <= 0)
        with np.errstate(all="ignore"):
            found = _beta_slope(
                of_a, of_b, *[np.where(inside, v, 0.5) for v in (a, b, x)]
            )
        limit = np.where(wrong, np.nan, 0.0)
        return np.asarray(np.where(inside, found, limit)).astype(dtype)

    return slope


def _beta_slope(of_a: int, of_b: int, a: Any, b: Any, x: Any) -> Any:
    """Give it for arguments inside."""
    n, y = a + b, 1 - x
    errors = _stirling_error(n) - _stirling_error(a) - _stirling_error(b)
    main = _deviance(a, n * x) + _deviance(b, n * y)
    height = np.exp(errors - main) * np.sqrt(a / n * b / (2 * np.pi))
    # In logarithms of t / (1 - t), the density falls at the rate a to the left, b to
    # the right; where one is below 1, its side is the longer.
    big_a, big_b = np.maximum(a, 1.0), np.maximum(b, 1.0)
    lower = x * (big_a + big_b) < big_a
    slope = np.maximum(np.where(lower, a * y - b * x, b * x - a * y), 0.0)
    centre_a = np.log(x) - _log_share(a, b)
    centre_b = np.log1p(-x) - _log_share(b, a)

    def decay(s: Any) -> Any:
        right = np.log1p(y * np.expm1(np.minimum(s, 0.0)))
        left = np.log1p(x * np.expm1(-np.maximum(s, 0.0)))
        shift = np.where(s > 0, s + left, right)
        return a * shift + b * (shift - s), centre_a - shift, centre_b - shift + s

    def weight(c_a: Any, c_b: Any) -> Any:
        if of_a + of_b == 1:
            return c_a if of_a else c_b
        trigamma = scipy_special.polygamma
        own = trigamma(1, a) if of_a == 2 else trigamma(1, b) if of_b == 2 else 0.0
        product = c_a**of_a * c_b**of_b
        return product - (own - trigamma(1, n))

    scale = _scale(slope, n * x * y, np.where(lower, a, b))
    return height * _integral(scale, decay, weight, lower)


def _log_share(a: Any, b: Any) -> Any:
    """Give psi(a) - psi(a + b)."""
    n = a + b
    direct = np.log(a / n) + (_log_mean(a) - _log_mean(n))
    # For small b: Taylor's series.
    step = np.where(b < 1e-3 * a, b, 0.0)
    series: Any = 0.0
    power: Any = 1.0
    for k in range(1, 6):
        power = power * step / k
        series = series - power * scipy_special.polygamma(k, a)
    return np.where(b < 1e-3 * a, series, direct)


# -- gamma -----------------------------------------------------------------------------

# There is no operation of the compiler for these: compiled programs call SciPy.
igamma: Elementwise = on_host(
    "igamma",
    by_scipy("gammainc"),
    [
        lambda t, ans, a, x: mul(t, igamma_grad_a(a, x)),
        lambda t, ans, a, x: mul(t, gamma_density(a, x)),
    ],
)
igammac: Elementwise = on_host(
    "igammac",
    by_scipy("gammaincc"),
    [
        lambda t, ans, a, x: neg(mul(t, igamma_grad_a(a, x))),
        lambda t, ans, a, x: neg(mul(t, gamma_density(a, x))),
    ],
)
igamma_grad_a: Elementwise = on_host(
    "igamma_grad_a",
    gamma_slope(1),
    [
        lambda t, ans, a, x: mul(t, igamma_grad_aa(a, x)),
        lambda t, ans, a, x: mul(t, mul(gamma_density(a, x), log_offset(a, x))),
    ],
)
igamma_grad_aa: Elementwise = on_host(
    "igamma_grad_aa",
    gamma_slope(2),
    [
        no_partial("igamma_grad_aa", "its first argument"),
        lambda t, ans, a, x: mul(
            t, mul(gamma_density(a, x), centred(log_offset(a, x), polygamma(1.0, a)))
        ),
    ],
)


def log_offset(a: Value, x: Value) -> Value:
    """Give log(x) less the mean of logarithms of gamma numbers."""
    return sub(log(x), digamma(a))


def centred(offset: Value, spread: Value) -> Value:
    """Give a square less its mean."""
    return sub(mul(offset, offset), spread)


# -- beta ------------------------------------------------------------------------------


def offset_a(a: Value, b: Value, x: Value) -> Value:
    """Give log(x) less the mean of logarithms of beta numbers."""
    return sub(log(x), sub(digamma(a), digamma(add(a, b))))


def offset_b(a: Value, b: Value, x: Value) -> Value:
    """Give log(1 - x) less the mean of that of beta numbers."""
    return sub(log1p(neg(x)), sub(digamma(b), digamma(add(a, b))))


def _of_density(factor: Callable[..., Value]) -> Callable[..., Value]:
    """Give the partial derivative in x of a derivative in parameters."""
    return lambda t, ans, a, b, x: mul(t, mul(beta_density(a, b, x), factor(a, b, x)))


def _spread(own: Value, both: Value) -> Value:
    return sub(polygamma(1.0, own), polygamma(1.0, both))


# Float32 overflows inside SciPy's where the result is next to 0 or 1.
betainc: Elementwise = on_host(
    "betainc",
    by_scipy("betainc", np.dtype(np.float64)),
    [
        lambda t, ans, a, b, x: mul(t, betainc_grad_a(a, b, x)),
        lambda t, ans, a, b, x: mul(t, betainc_grad_b(a, b, x)),
        lambda t, ans, a, b, x: mul(t, beta_density(a, b, x)),
    ],
)
betaincc: Elementwise = on_host(
    "betaincc",
    by_scipy("betaincc", np.dtype(np.float64)),
    [
        lambda t, ans, a, b, x: neg(mul(t, betainc_grad_a(a, b, x))),
        lambda t, ans, a, b, x: neg(mul(t, betainc_grad_b(a, b, x))),
        lambda t, ans, a, b, x: neg(mul(t, beta_density(a, b, x))),
    ],
)
betainc_grad_a: Elementwise = on_host(
    "betainc_grad_a",
    beta_slope(1, 0),
    [
        lambda t, ans, a, b, x: mul(t, betainc_grad_aa(a, b, x)),
        lambda t, ans, a, b, x: mul(t, betainc_grad_ab(a, b, x)),
        _of_density(offset_a),
    ],
)
betainc_grad_b: Elementwise = on_host(
    "betainc_grad_b",
    beta_slope(0, 1),
    [
        lambda t, ans, a, b, x: mul(t, betainc_grad_ab(a, b, x)),
        lambda t, ans, a, b, x: mul(t, betainc_grad_bb(a, b, x)),
        _of_density(offset_b),
    ],
)
betainc_grad_aa: Elementwise = on_host(
    "betainc_grad_aa",
    beta_slope(2, 0),
    [
        no_partial("betainc_grad_aa", "its first argument"),
        no_partial("betainc_grad_aa", "its second argument"),
        _of_density(lambda a, b, x: centred(offset_a(a, b, x), _spread(a, add(a, b)))),
    ],
)
betainc_grad_ab: Elementwise = on_host(
    "betainc_grad_ab",
    beta_slope(1, 1),
    [
        no_partial("betainc_grad_ab", "its first argument"),
        no_partial("betainc_grad_ab", "its second argument"),
        _of_density(
            lambda a, b, x: add(
                mul(offset_a(a, b, x), offset_b(a, b, x)), polygamma(1.0, add(a, b))
            )
        ),
    ],
)
betainc_grad_bb: Elementwise = on_host(
    "betainc_grad_bb",
    beta_slope(0, 2),
    [
        no_partial("betainc_grad_bb", "its first argument"),
        no_partial("betainc_grad_bb", "its second argument"),
        _of_density(lambda a, b, x: centred(offset_b(a, b, x), _spread(b, add(a, b)))),
    ],
)
