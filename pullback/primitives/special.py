"""Special functions, elementwise: error, gamma, zeta, Bessel and incomplete functions.

Derivatives are those of the NIST Digital Library of Mathematical Functions: 7.10 (error
function), 5.15 (polygamma), 25.11.17 (Hurwitz zeta), 10.29 (modified Bessel), 8.8 and
8.17 (incomplete gamma and beta).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from pullback import dtypes
from pullback.core.array import SCALARS
from pullback.core.aval import Aval
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import MissingDerivative
from pullback.lazy import scipy_special
from pullback.primitives.callbacks import emit_callback
from pullback.primitives.elementwise import Elementwise
from pullback.primitives.recipes import lower_as
from pullback.primitives.table import (
    abs,
    add,
    convert,
    div,
    eq,
    exp,
    le,
    log,
    log1p,
    max,
    min,
    mul,
    neg,
    select,
    sign,
    sqrt,
    sub,
)

# -- forms -----------------------------------------------------------------------------


def by_scipy(name: str) -> Callable[..., Any]:
    """Give the eager rule that calls a function of `scipy.special`.

    Types narrower than 32 bits are computed in 32.
    """

    def apply(*operands: Any) -> Any:
        dtype = next(x.dtype for x in operands if type(x) not in SCALARS)
        wide = dtype if dtype.itemsize >= 4 else dtypes.float32
        arguments = [np.asarray(x, wide) for x in operands]
        return np.asarray(getattr(scipy_special, name)(*arguments)).astype(dtype)

    return apply


def by_chlo(name: str) -> Callable[..., Any]:
    """Give the lowering to a CHLO operation, in at least 32 bits."""

    def lower(ctx: Any, out: Aval, *operands: Any) -> Any:
        wide = out.dtype if out.dtype.itemsize >= 4 else dtypes.float32
        arguments = [ctx.convert(x, wide) for x in operands]
        result = ctx.emit(f"chlo.{name}", arguments, Aval(out.shape, wide, out.weak))
        return ctx.convert(result, out.dtype)

    return lower


def by_callback(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give the lowering that calls the eager rule back."""

    def lower(ctx: Any, out: Aval, *operands: Any) -> Any:
        def call(*arrays: Any) -> list[Any]:
            with np.errstate(all="ignore"):
                return [function(*arrays)]

        return emit_callback(ctx, call, operands, [out], False)[0]

    return lower


def no_partial(function: str, argument: str) -> Callable[..., NoReturn]:
    """Give a partial derivative that says that there is none."""

    def refuse(*_: Any) -> NoReturn:
        raise MissingDerivative(
            f"{function} has no derivative with respect to {argument}: no closed form "
            "is known.",
            where=called_at(),
            mend="Use stop_gradient on that argument, or write a custom_jvp rule.",
        )

    return refuse


# -- error functions -------------------------------------------------------------------

_ROOT = 2 / math.sqrt(math.pi)


def gaussian(x: Value) -> Value:
    """Give exp(-x^2)."""
    return exp(neg(mul(x, x)))


erf: Elementwise = Elementwise(
    "erf", by_scipy("erf"), by_chlo("erf"), "f",
    [lambda t, ans, x: mul(t, mul(gaussian(x), _ROOT))],
)
erfc: Elementwise = Elementwise(
    "erfc", by_scipy("erfc"), by_chlo("erfc"), "f",
    [lambda t, ans, x: mul(t, mul(gaussian(x), -_ROOT))],
)
erf_inv: Elementwise = Elementwise(
    "erf_inv", by_scipy("erfinv"), by_chlo("erf_inv"), "f",
    [lambda t, ans, x: mul(t, mul(exp(mul(ans, ans)), 1 / _ROOT))],
)

# -- gamma and zeta functions ----------------------------------------------------------

lgamma: Elementwise = Elementwise(
    "lgamma", by_scipy("gammaln"), by_chlo("lgamma"), "f",
    [lambda t, ans, x: mul(t, digamma(x))],
)
digamma: Elementwise = Elementwise(
    "digamma", by_scipy("psi"), by_chlo("digamma"), "f",
    [lambda t, ans, x: mul(t, polygamma(1.0, x))],
)
polygamma: Elementwise = Elementwise(
    "polygamma", by_scipy("polygamma"), by_chlo("polygamma"), "f",
    [no_partial("polygamma", "its order"),
     lambda t, ans, n, x: mul(t, polygamma(add(n, 1.0), x))],
)
zeta: Elementwise = Elementwise(
    "zeta", by_scipy("zeta"), by_chlo("zeta"), "f",
    [no_partial("zeta", "its first argument"),
     lambda t, ans, s, q: mul(t, mul(neg(s), zeta(add(s, 1.0), q)))],
)

# -- modified Bessel functions, scaled by exp(-|x|) ------------------------------------

# Chebyshev coefficients, computed with 40 digits by mpmath at 64 nodes: exp(-x) I0(x)
# in x/4 - 1 on [0, 8], and sqrt(x) exp(-x) I0(x) in 16/x - 1 on [8, inf).
_I0E_NEAR = (
    0.33839763720473804, -0.3046826723431984, 0.17162090152220878,
    -0.094901097048047644, 0.049305284239670708, -0.023737414805899469,
    0.010546460394594998, -0.0043243099950505759, 0.0016394756169413358,
    -0.00057637557453858237, 0.00018850288509584166, -5.7541950100821037e-5,
    1.6448448070728897e-5, -4.4167383584587506e-6, 1.1173875391201037e-6,
    -2.6707938539406117e-7, 6.0469950225419189e-8, -1.300025009986248e-8,
    2.6598237246823867e-9, -5.1897956016352629e-10, 9.6758090353732369e-11,
    -1.7268262914415557e-11, 2.9550526631296398e-12, -4.8564467831119295e-13,
    7.6761854986049356e-14, -1.1685332877993452e-14, 1.715391285555133e-15,
    -2.4312798465479547e-16, 3.3307945188222381e-17, -4.4153416464793394e-18,
)
_I0E_FAR = (
    0.40224520550705442, 0.0033691164782556941, 6.889758346916824e-5,
    2.8913705208347565e-6, 2.0489185894690637e-7, 2.2666689904981781e-8,
    3.3962320257083863e-9, 4.9406023882249696e-10, 1.1889147107846438e-11,
    -3.1499165279632414e-11, -1.3215811840447713e-11, -1.7941785315068061e-12,
    7.1801244513836662e-13, 3.8527783827421427e-13, 1.5400862175214098e-14,
    -4.1505693472872221e-14, -9.5548466988283076e-15, 3.8116806693526224e-15,
    1.7725601330565264e-15, -3.4254856196772191e-16, -2.8276239805165835e-16,
    3.4612228676974611e-17, 4.46562142029676e-17, -4.8305044859441821e-18,
)


def chebyshev(coefficients: Sequence[float], t: Value) -> Value:
    """Sum a Chebyshev series by Clenshaw's recurrence."""
    twice = add(t, t)
    ahead = behind = mul(t, 0.0)
    for c in coefficients[:0:-1]:
        ahead, behind = add(sub(mul(twice, ahead), behind), c), ahead
    return add(sub(mul(t, ahead), behind), coefficients[0])


def bessel_i0e_series(x: Value) -> Value:
    """Give exp(-|x|) I0(x) by series, for compiled programs."""
    dtype = x.dtype
    if dtype.itemsize < 4:
        return convert(bessel_i0e_series(convert(x, dtypes.float32)), dtype)
    size = abs(x)
    large = max(size, 8.0)
    near = chebyshev(_I0E_NEAR, sub(mul(min(size, 8.0), 0.25), 1.0))
    far = chebyshev(_I0E_FAR, sub(div(16.0, large), 1.0))
    return select(le(size, 8.0), near, div(far, sqrt(large)))


def bessel_i1e_slope(ans: Value, x: Value) -> Value:
    """Give the derivative of exp(-|x|) I1(x); it is 1/2 at 0."""
    flat = eq(x, 0.0)
    safe = select(flat, 1.0, x)
    away = sub(bessel_i0e(safe), mul(bessel_i1e(safe), add(sign(safe), div(1.0, safe))))
    return select(flat, 0.5, away)


bessel_i0e: Elementwise = Elementwise(
    "bessel_i0e", by_scipy("i0e"),
    lambda ctx, out, x: lower_as(ctx, bessel_i0e_series, x), "f",
    [lambda t, ans, x: mul(t, sub(bessel_i1e(x), mul(sign(x), ans)))],
)
bessel_i1e: Elementwise = Elementwise(
    "bessel_i1e", by_scipy("i1e"), by_chlo("bessel_i1e"), "f",
    [lambda t, ans, x: mul(t, bessel_i1e_slope(ans, x))],
)

# -- incomplete functions, regularized -------------------------------------------------

# There is no operation of the compiler for these: compiled programs call SciPy.


def gamma_density(a: Value, x: Value) -> Value:
    """Give x^(a-1) exp(-x) / Gamma(a)."""
    return exp(sub(sub(mul(sub(a, 1.0), log(x)), x), lgamma(a)))


def beta_density(a: Value, b: Value, x: Value) -> Value:
    """Give x^(a-1) (1-x)^(b-1) / B(a, b)."""
    powers = add(mul(sub(a, 1.0), log(x)), mul(sub(b, 1.0), log1p(neg(x))))
    return exp(sub(add(powers, lgamma(add(a, b))), add(lgamma(a), lgamma(b))))


def igamma_slope(a: Any, x: Any) -> Any:
    """Give the derivative of P(a, x) in `a`, from the series DLMF 8.7.1 term by term.

    P(a, x) is the sum over n of x^(a+n) exp(-x) / Gamma(a+n+1); each term's
    derivative in `a` is the term times log(x) - digamma(a+n+1). The terms fall off
    beyond n = x - a, within some standard deviations sqrt(x). Far above `a` the
    derivative is less than any float.
    """
    dtype = a.dtype
    a, x = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(x, np.float64))
    inside = (x > 0) & (a > 0) & (x < a + 40.0 * np.sqrt(a) + 800.0)
    a1, x1 = np.where(inside, a, 1.0), np.where(inside, x, 1.0)
    log_x = np.log(x1)
    order = a1 + 1.0
    term = np.exp(a1 * log_x - x1 - scipy_special.gammaln(order))
    slope = log_x - scipy_special.psi(order)
    total = term * slope
    reach = np.maximum(x1 - a1, 0.0) + 12.0 * np.sqrt(x1)
    count = int(np.max(reach, initial=0.0)) + 60
    for _ in range(count):
        slope = slope - 1.0 / order
        term = term * (x1 / order)
        order = order + 1.0
        total = total + term * slope
    limit = np.where(np.isnan(a) | np.isnan(x) | (x < 0) | (a <= 0), np.nan, 0.0)
    return np.asarray(np.where(inside, total, limit)).astype(dtype)


igamma: Elementwise = Elementwise(
    "igamma", by_scipy("gammainc"), by_callback(by_scipy("gammainc")), "f",
    [lambda t, ans, a, x: mul(t, igamma_grad_a(a, x)),
     lambda t, ans, a, x: mul(t, gamma_density(a, x))],
)
igammac: Elementwise = Elementwise(
    "igammac", by_scipy("gammaincc"), by_callback(by_scipy("gammaincc")), "f",
    [lambda t, ans, a, x: neg(mul(t, igamma_grad_a(a, x))),
     lambda t, ans, a, x: neg(mul(t, gamma_density(a, x)))],
)
igamma_grad_a: Elementwise = Elementwise(
    "igamma_grad_a", igamma_slope, by_callback(igamma_slope), "f",
    [no_partial("igamma_grad_a", "its first argument"),
     lambda t, ans, a, x: mul(t, mul(gamma_density(a, x), sub(log(x), digamma(a))))],
)
betainc: Elementwise = Elementwise(
    "betainc", by_scipy("betainc"), by_callback(by_scipy("betainc")), "f",
    [no_partial("betainc", "its first argument"),
     no_partial("betainc", "its second argument"),
     lambda t, ans, a, b, x: mul(t, beta_density(a, b, x))],
)
