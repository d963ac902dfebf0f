"""Special functions defined by integrals: exponential, error, Fresnel and others.

Values are SciPy's, which compiled programs call. Derivatives are those of the NIST
Digital Library of Mathematical Functions: 6.2 (exponential, sine and cosine integrals),
8.19.13 (generalized exponential integral), 7.10 (Dawson's integral and relatives), 7.2
(Fresnel), 25.12.2 (dilogarithm); of Owen's T: D. B. Owen (1956).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.array import SCALARS
from pullback.core.trace import Value
from pullback.lazy import scipy_special
from pullback.primitives.elementwise import Elementwise
from pullback.primitives.special import (
    by_scipy,
    erf,
    horner,
    no_partial,
    on_host,
)
from pullback.primitives.table import (
    abs,
    add,
    cos,
    div,
    eq,
    exp,
    ge,
    imag,
    log,
    lt,
    make_complex,
    mul,
    neg,
    select,
    sin,
    sub,
)

_ROOT = 2 / math.sqrt(math.pi)


def one_of(name: str, place: int) -> Callable[..., Any]:
    """Give the eager rule for one result of a function of `scipy.special`."""

    def apply(x: Any) -> Any:
        wide = x.dtype if x.dtype.itemsize >= 4 else dtypes.float32
        found = getattr(scipy_special, name)(np.asarray(x, wide))
        return np.asarray(found[place]).astype(x.dtype)

    return apply


# -- exponential, sine and cosine integrals --------------------------------------------

exp1: Elementwise = on_host(
    "exp1",
    by_scipy("exp1"),
    [lambda t, ans, x: neg(mul(t, div(exp(neg(x)), x)))],
)
expi: Elementwise = on_host(
    "expi", by_scipy("expi"), [lambda t, ans, x: mul(t, div(exp(x), x))]
)


def generalized(n: Any, x: Any) -> Any:
    """Give the exponential integral of whole order `n`, also a negative one."""
    dtype = (n if type(x) in SCALARS else x).dtype
    n, x = np.broadcast_arrays(np.asarray(n, np.float64), np.asarray(x, np.float64))
    whole, below = n == np.floor(n), n < 0
    usual = scipy_special.expn(np.where(whole & ~below, n, 1).astype(np.int64), x)
    # DLMF 8.19.1.
    a = 1 - np.where(below, n, 0.0)
    parts = scipy_special.gammaincc(a, np.abs(x)), scipy_special.gamma(a)
    found = np.where(below, parts[0] * parts[1] * np.abs(x) ** -a, usual)
    return np.asarray(np.where(whole & (x >= 0), found, np.nan)).astype(dtype)


def _before(n: Any) -> Any:
    return n - 1.0 if type(n) in SCALARS else sub(n, 1.0)


expn: Elementwise = on_host(
    "expn",
    generalized,
    [
        no_partial("expn", "its order"),
        lambda t, ans, n, x: neg(mul(t, expn(_before(n), x))),
    ],
)


def sine_over(x: Value) -> Value:
    """Give sin(x) / x; around 0 by series, which has all derivatives."""
    near = lt(abs(x), 0.5)
    small = select(near, x, 0.1)
    square = mul(small, small)
    series = horner([(-1) ** k / math.factorial(2 * k + 1) for k in range(8)], square)
    safe = select(near, 1.0, x)
    return select(near, series, div(sin(safe), safe))


sine_integral: Elementwise = on_host(
    "sine_integral", one_of("sici", 0), [lambda t, ans, x: mul(t, sine_over(x))]
)
cosine_integral: Elementwise = on_host(
    "cosine_integral", one_of("sici", 1), [lambda t, ans, x: mul(t, div(cos(x), x))]
)


def _quarter(x: Value) -> Value:
    return mul(mul(x, x), math.pi / 2)


fresnel_sine: Elementwise = on_host(
    "fresnel_sine",
    one_of("fresnel", 0),
    [lambda t, ans, x: mul(t, sin(_quarter(x)))],
)
fresnel_cosine: Elementwise = on_host(
    "fresnel_cosine",
    one_of("fresnel", 1),
    [lambda t, ans, x: mul(t, cos(_quarter(x)))],
)

# -- relatives of the error function ---------------------------------------------------

# (2k - 1)!!, k = 1, 2, ...: the asymptotic series of DLMF 7.12 in 1 / (2 x^2).
_ODD = [float(math.prod(range(1, 2 * k, 2))) for k in range(1, 18)]
_FAR = 8.0


def far_series(x: Value, sign: float) -> Value:
    """Give the sum of (2k - 1)!! (sign / (2 x^2))^k from k = 1 on."""
    y = div(0.5 * sign, mul(x, x))
    return mul(horner(_ODD, y), y)


def dawson_slope(ans: Value, x: Value) -> Value:
    """Give 1 - 2 x D(x); where that cancels, by series."""
    far = ge(abs(x), _FAR)
    series = neg(far_series(select(far, x, _FAR), 1.0))
    return select(far, series, sub(1.0, mul(mul(x, ans), 2.0)))


def scaled_slope(ans: Value, x: Value) -> Value:
    """Give 2 x erfcx(x) - 2 / sqrt(pi); where that cancels, by series."""
    far = ge(x, _FAR)
    series = mul(far_series(select(far, x, _FAR), -1.0), _ROOT)
    # The infinity far to the left stays out of the series' place.
    near = sub(mul(mul(select(far, 0.0, x), select(far, 0.0, ans)), 2.0), _ROOT)
    return select(far, series, near)


def faddeeva_slope(ans: Value, z: Value) -> Value:
    """Give 2i / sqrt(pi) - 2 z w(z); where that cancels, by series.

    In the lower half plane w(z) is 2 exp(-z^2) - w(-z).
    """
    unit = complex(0, _ROOT)
    far = ge(abs(z), _FAR)
    lower = lt(imag(z), 0.0)
    safe = select(far, z, _FAR)
    series = mul(far_series(safe, 1.0), -unit)
    below = select(lower, mul(mul(safe, exp(neg(mul(safe, safe)))), -4.0), 0.0)
    near = sub(unit, mul(mul(z, ans), 2.0))
    return select(far, add(series, below), near)


dawsn: Elementwise = on_host(
    "dawsn", by_scipy("dawsn"), [lambda t, ans, x: mul(t, dawson_slope(ans, x))]
)
erfcx: Elementwise = on_host(
    "erfcx", by_scipy("erfcx"), [lambda t, ans, x: mul(t, scaled_slope(ans, x))]
)
wofz: Elementwise = on_host(
    "wofz",
    by_scipy("wofz"),
    [lambda t, ans, z: mul(t, faddeeva_slope(ans, z))],
    "c",
)
# In h: -phi(h) erf(a h / sqrt(2)) / 2, of which the density is exp(-h^2/2)/sqrt(2 pi).
owens_t: Elementwise = on_host(
    "owens_t",
    by_scipy("owens_t"),
    [
        lambda t, ans, h, a: mul(
            t,
            mul(
                mul(exp(mul(mul(h, h), -0.5)), erf(mul(mul(a, h), math.sqrt(0.5)))),
                -0.5 / math.sqrt(2 * math.pi),
            ),
        ),
        lambda t, ans, h, a: mul(t, _owens_in_a(h, a)),
    ],
)


def _owens_in_a(h: Value, a: Value) -> Value:
    more = add(mul(a, a), 1.0)
    return div(exp(mul(mul(mul(h, h), more), -0.5)), mul(more, 2 * math.pi))


# -- others ----------------------------------------------------------------------------


def log_over(z: Value) -> Value:
    """Give log(z) / (z - 1); around 1 by series, which has all derivatives."""
    u = sub(z, 1.0)
    near = lt(abs(u), 0.3)
    small = select(near, u, 0.1)
    # log(1 + u) is 2 atanh(v).
    v = div(small, add(small, 2.0))
    square = mul(v, v)
    series = horner([1 / (2 * j + 1) for j in range(12)], square)
    close = div(mul(series, 2.0), add(small, 2.0))
    return select(near, close, div(log(select(near, 2.0, z)), select(near, 1.0, u)))


spence: Elementwise = on_host(
    "spence", by_scipy("spence"), [lambda t, ans, z: neg(mul(t, log_over(z)))]
)
log_gamma: Elementwise = on_host(
    "log_gamma",
    by_scipy("loggamma"),
    [lambda t, ans, z: mul(t, complex_digamma(z))],
    "c",
)
complex_digamma: Elementwise = on_host(
    "complex_digamma",
    by_scipy("psi"),
    [no_partial("complex_digamma", "its argument")],
    "c",
)


def as_complex(x: Value) -> Value:
    """Give a real number as a complex one."""
    if dtypes.is_complex(x.dtype):
        return x
    return make_complex(x, select(eq(x, x), 0.0, x))
