"""SciPy's special functions; `out` is not supported."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.lazy import scipy_special
from pullback.numpy import reductions
from pullback.numpy.arguments import array_argument, option, static_int
from pullback.numpy.composed import where as choose
from pullback.numpy.promotion import as_inexact, promote_arrays, real_arguments
from pullback.numpy.ranks import check_ranks
from pullback.numpy.ufuncs import named
from pullback.primitives import (
    hypergeometric,
    incomplete,
    integrals,
    saddle,
    smooth,
    special,
    table,
)
from pullback.primitives.recipes import canonical_axes
from pullback.primitives.reduction import reduce_top
from pullback.primitives.structural import expand_axes, full, reshape
from pullback.primitives.zeta import zeta as zeta_function

__all__ = [
    "bernoulli",
    "bessel_jn",
    "beta",
    "betainc",
    "betaincc",
    "betaln",
    "boxcox",
    "boxcox1p",
    "comb",
    "dawsn",
    "digamma",
    "entr",
    "erf",
    "erfc",
    "erfcx",
    "erfinv",
    "exp1",
    "expi",
    "expit",
    "expm1",
    "expn",
    "factorial",
    "fresnel",
    "gamma",
    "gammainc",
    "gammaincc",
    "gammaln",
    "gammasgn",
    "hyp1f1",
    "hyp2f1",
    "i0",
    "i0e",
    "i1",
    "i1e",
    "kl_div",
    "log1p",
    "log_ndtr",
    "log_softmax",
    "loggamma",
    "logit",
    "logsumexp",
    "multigammaln",
    "ndtr",
    "ndtri",
    "owens_t",
    "poch",
    "polygamma",
    "psi",
    "rel_entr",
    "sici",
    "softmax",
    "spence",
    "sph_harm_y",
    "wofz",
    "xlog1py",
    "xlogy",
    "zeta",
]


def _function(name: str, op: Callable[..., Value], what: str) -> Callable[..., Value]:
    """Make a public function of an operation on real numbers."""

    def function(*xs: Any) -> Value:
        check_ranks(name, *xs)
        return op(*real_arguments(name, *xs))

    return named(function, name, f"{what}; as `scipy.special.{name}`.")


erf = _function("erf", special.erf, "Give the error function")
erfc = _function("erfc", special.erfc, "Give 1 - erf(x), accurate for large x")
erfinv = _function("erfinv", special.erf_inv, "Invert `erf`")
gammaln = _function("gammaln", special.lgamma, "Give log |Gamma(x)|")
digamma = psi = _function("digamma", special.digamma, "Give the derivative of gammaln")
polygamma = _function(
    "polygamma", special.polygamma, "Give derivative n of digamma, for (n, x)"
)
gammainc = _function(
    "gammainc",
    incomplete.igamma,
    "Give the regularized lower incomplete gamma function",
)
gammaincc = _function(
    "gammaincc",
    incomplete.igammac,
    "Give the regularized upper incomplete gamma function",
)
betainc = _function(
    "betainc", incomplete.betainc, "Give the regularized incomplete beta function"
)
betaincc = _function("betaincc", incomplete.betaincc, "Give 1 - betainc(a, b, x)")
dawsn = _function("dawsn", integrals.dawsn, "Give Dawson's integral")
erfcx = _function("erfcx", integrals.erfcx, "Give exp(x^2) erfc(x)")
exp1 = _function("exp1", integrals.exp1, "Give the exponential integral E1")
expi = _function("expi", integrals.expi, "Give the exponential integral Ei")
expn = _function(
    "expn", integrals.expn, "Give the exponential integral of whole order n, for (n, x)"
)
hyp1f1 = _function(
    "hyp1f1",
    hypergeometric.hyp1f1,
    "Give Kummer's function, with derivatives in x only",
)
hyp2f1 = _function(
    "hyp2f1",
    hypergeometric.hyp2f1,
    "Give Gauss's hypergeometric function, with derivatives in x only",
)
owens_t = _function("owens_t", integrals.owens_t, "Give Owen's T function")
poch = _function("poch", hypergeometric.poch, "Give Gamma(z + m) / Gamma(z)")
spence = _function("spence", integrals.spence, "Give the dilogarithm of 1 - z")
i0 = _function("i0", smooth.bessel_i0, "Give the modified Bessel function of order 0")
i1 = _function("i1", smooth.bessel_i1, "Give the modified Bessel function of order 1")
i0e = _function("i0e", special.bessel_i0e, "Give exp(-|x|) I0(x)")
i1e = _function("i1e", special.bessel_i1e, "Give exp(-|x|) I1(x)")
ndtr = _function("ndtr", special.ndtr, "Give the normal distribution function")
ndtri = _function("ndtri", special.ndtri, "Invert `ndtr`")
log_ndtr = _function("log_ndtr", special.log_ndtr, "Give log(ndtr(x))")
xlogy = _function("xlogy", special.xlogy, "Give x log(y), 0 where x is 0")
xlog1py = _function("xlog1py", special.xlog1py, "Give x log(1 + y), 0 where x is 0")
expit = _function("expit", table.logistic, "Give 1 / (1 + exp(-x))")
log1p = _function("log1p", table.log1p, "Give log(1 + x)")
expm1 = _function("expm1", table.expm1, "Give exp(x) - 1")


def zeta(x: Any, q: Any = None) -> Value:
    """Give the Hurwitz zeta function, Riemann's if `q` is None; as SciPy's."""
    x, q = promote_arrays("zeta", x, 1.0 if q is None else q, inexact=True)
    return zeta_function(x, q)


def logit(p: Any) -> Value:
    """Give log(p / (1 - p)); as `scipy.special.logit`."""
    p = as_inexact(p, "logit")
    return table.sub(table.log(p), table.log1p(table.neg(p)))


def gammasgn(x: Any) -> Value:
    """Give the sign of the gamma function; as `scipy.special.gammasgn`."""
    x = as_inexact(x, "gammasgn")
    whole = table.floor(x)
    odd = table.ne(table.rem(whole, 2.0), 0.0)
    negative = table.lt(x, 0.0)
    pole = table.and_(negative, table.eq(whole, x))
    sign = table.select(table.and_(negative, odd), -1.0, full((), 1, x.dtype))
    return table.select(pole, np.nan, sign)


def gamma(x: Any) -> Value:
    """Give the gamma function; as `scipy.special.gamma`."""
    x = as_inexact(x, "gamma")
    return table.mul(gammasgn(x), table.exp(special.lgamma(x)))


def factorial(n: Any, exact: bool = False) -> Value:
    """Give n!, 0 for negative n; as `scipy.special.factorial` without `exact`."""
    if exact:
        raise ArgumentError(
            "factorial computes with floats only.",
            where=called_at(),
            mend="Leave `exact` out, or use math.factorial.",
        )
    n = as_inexact(n, "factorial")
    found = table.exp(special.lgamma(table.add(n, 1.0)))
    return table.select(table.lt(n, 0.0), 0.0, found)


def betaln(a: Any, b: Any) -> Value:
    """Give log |B(a, b)|; as `scipy.special.betaln`."""
    a, b = promote_arrays("betaln", a, b, inexact=True)
    negative = table.or_(table.le(a, 0.0), table.le(b, 0.0))

    def direct(a: Value, b: Value) -> Value:
        parts = table.add(special.lgamma(a), special.lgamma(b))
        return table.sub(parts, special.lgamma(table.add(a, b)))

    positive = saddle.outside(negative, 0.0, saddle.log_beta, a, b)
    other = saddle.outside(table.not_(negative), 0.0, direct, a, b)
    return table.select(negative, other, positive)


def beta(a: Any, b: Any) -> Value:
    """Give the beta function; as `scipy.special.beta`."""
    a, b = promote_arrays("beta", a, b, inexact=True)
    signs = gammasgn(a) * gammasgn(b) * gammasgn(a + b)
    return signs * table.exp(betaln(a, b))


def multigammaln(a: Any, d: int) -> Value:
    """Give the log of the multivariate gamma function; as SciPy's."""
    a, d = as_inexact(a, "multigammaln"), static_int(d, "multigammaln", "d")
    total: Any = d * (d - 1) / 4 * math.log(math.pi)
    for j in range(d):
        total = table.add(special.lgamma(table.sub(a, j / 2)), total)
    return total


def entr(x: Any) -> Value:
    """Give -x log(x), and -inf for negative x; as `scipy.special.entr`."""
    x = as_inexact(x, "entr")
    below = table.lt(x, 0.0)
    safe = table.select(below, 1.0, x)
    return table.select(below, -np.inf, table.neg(special.xlogy(safe, safe)))


def rel_entr(p: Any, q: Any) -> Value:
    """Give p log(p / q), 0 where p is 0, inf outside; as `scipy.special.rel_entr`."""
    p, q = promote_arrays("rel_entr", p, q, inexact=True)
    both = table.and_(table.gt(p, 0.0), table.gt(q, 0.0))
    nothing = table.and_(table.eq(p, 0.0), table.ge(q, 0.0))
    safe_p, safe_q = (table.select(both, x, 1.0) for x in (p, q))
    logs = table.sub(table.log(safe_p), table.log(safe_q))
    inside = table.mul(safe_p, logs)
    outside = table.select(nothing, 0.0, full((), np.inf, p.dtype))
    return table.select(both, inside, outside)


def kl_div(p: Any, q: Any) -> Value:
    """Give p log(p / q) - p + q; as `scipy.special.kl_div`."""
    p, q = promote_arrays("kl_div", p, q, inexact=True)
    return table.add(table.sub(rel_entr(p, q), p), q)


def bernoulli(n: int) -> Value:
    """Give the Bernoulli numbers 0 to n; as `scipy.special.bernoulli`."""
    numbers = scipy_special.bernoulli(static_int(n, "bernoulli", "n"))
    return array_argument(numbers.astype(dtypes.scalar_dtype(float)), "bernoulli")


def comb(N: Any, k: Any, *, repetition: bool = False) -> Value:
    """Give the number of ways to choose `k` of `N`; as `scipy.special.comb`.

    0 where `k` or `N` is negative, or `k` above `N` (without repetition). Whole numbers
    are exact as far as the dtype holds them.
    """
    n, k = promote_arrays("comb", N, k, inexact=True)
    if repetition:
        n = table.select(table.gt(k, 0.0), n + k - 1.0, table.max(n, 0.0) + k)
    none = table.or_(table.lt(k, 0.0), table.or_(table.lt(n, 0.0), table.gt(k, n)))

    def ways(n: Value, k: Value) -> Value:
        return table.exp(-saddle.log_beta(n - k + 1.0, k + 1.0) - table.log(n + 1.0))

    found = saddle.outside(none, 0.0, ways, n, k)
    whole = table.and_(table.eq(table.floor(n), n), table.eq(table.floor(k), k))
    fixed = table.stop_gradient(found)
    exact = table.and_(whole, table.lt(fixed, 0.01 / float(dtypes.finfo(n.dtype).eps)))
    return found + table.select(exact, table.round(fixed) - fixed, 0.0)


def _exp_ratio(u: Value) -> Value:
    """Give (exp(u) - 1) / u; around 0 by series, which has all derivatives."""
    near = table.lt(table.abs(u), 0.5)
    small = table.select(near, u, 0.1)
    series = special.horner([1 / math.factorial(k + 1) for k in range(15)], small)
    safe = table.select(near, 1.0, u)
    return table.select(near, series, table.expm1(safe) / safe)


def _power_of_logarithm(log: Value, lmbda: Value) -> Value:
    """Give (exp(lmbda log) - 1) / lmbda, which is log where lmbda is 0."""
    lowest = table.eq(log, -np.inf)
    end = table.select(
        table.gt(lmbda, 0.0),
        table.neg(table.div(1.0, table.select(table.gt(lmbda, 0.0), lmbda, 1.0))),
        -np.inf,
    )
    return saddle.outside(lowest, end, lambda x: x * _exp_ratio(x * lmbda), log)


def boxcox(x: Any, lmbda: Any) -> Value:
    """Give (x^lmbda - 1) / lmbda, log(x) where lmbda is 0; as SciPy's."""
    x, lmbda = promote_arrays("boxcox", x, lmbda, inexact=True)
    return _power_of_logarithm(table.log(x), lmbda)


def boxcox1p(x: Any, lmbda: Any) -> Value:
    """Give boxcox(1 + x, lmbda), accurate for small `x`; as SciPy's."""
    x, lmbda = promote_arrays("boxcox1p", x, lmbda, inexact=True)
    return _power_of_logarithm(table.log1p(x), lmbda)


def sici(x: Any) -> tuple[Value, Value]:
    """Give the sine and the cosine integral; as `scipy.special.sici`."""
    (x,) = real_arguments("sici", x)
    return integrals.sine_integral(x), integrals.cosine_integral(x)


def fresnel(x: Any) -> tuple[Value, Value]:
    """Give the Fresnel integrals S and C; as `scipy.special.fresnel`."""
    (x,) = real_arguments("fresnel", x)
    return integrals.fresnel_sine(x), integrals.fresnel_cosine(x)


def wofz(z: Any) -> Value:
    """Give exp(-z^2) erfc(-iz), which is complex; as `scipy.special.wofz`."""
    return integrals.wofz(integrals.as_complex(as_inexact(z, "wofz")))


def loggamma(x: Any) -> Value:
    """Give the analytic logarithm of Gamma; as `scipy.special.loggamma`.

    nan for negative real numbers; complex ones have a first derivative.
    """
    x = as_inexact(x, "loggamma")
    if dtypes.is_complex(x.dtype):
        return integrals.log_gamma(x)
    return saddle.outside(table.lt(x, 0.0), np.nan, special.lgamma, x)


def bessel_jn(z: Any, *, v: int, n_iter: int = 50) -> Value:
    """Give the Bessel functions J of orders 0 to `v`, along a new first axis.

    Args:
        z: real arguments.
        v: the highest order.
        n_iter: changes nothing.
    """
    (z,) = real_arguments("bessel_jn", z)
    orders = np.arange(static_int(v, "bessel_jn", "v") + 1, dtype=z.dtype)
    column = array_argument(orders.reshape(-1, *[1] * len(z.shape)), "bessel_jn")
    return hypergeometric.bessel_j(column, z)


def sph_harm_y(
    n: Any,
    m: Any,
    theta: Any,
    phi: Any,
    diff_n: int | None = None,
    n_max: int | None = None,
) -> Value:
    """Give the spherical harmonics of degree `n`, order `m`, which are complex.

    Args:
        n: degrees.
        m: orders, from -n to n; beyond it is 0.
        theta: the angle from the pole.
        phi: the angle around it.
        diff_n: None; for derivatives, use transformations.
        n_max: changes nothing.
    """
    option("sph_harm_y", "diff_n", diff_n, (None,))
    n, m, theta, phi = real_arguments("sph_harm_y", n, m, theta, phi)
    size = hypergeometric.legendre(n, m, theta)
    turn = m * phi
    return table.make_complex(size * table.cos(turn), size * table.sin(turn))


# -- sums of exponentials --------------------------------------------------------------


def logsumexp(
    a: Any,
    axis: Any = None,
    b: Any = None,
    keepdims: bool = False,
    return_sign: bool = False,
    where: Any = None,
) -> Any:
    """Give log(sum(b * exp(a))) without overflow; as `scipy.special.logsumexp`.

    An empty sum, or one of elements that are all -inf, is -inf with derivative 0.

    Args:
        a: exponents.
        axis: the axis or axes summed over, all if None.
        b: factors, 1 if None.
        keepdims: keep the summed axes, with length one.
        return_sign: give (log |sum|, sign of the sum); else a negative sum is nan.
        where: the elements summed, all if None.
    """
    if b is None:
        x = as_inexact(a, "logsumexp")
        weight = None
    else:
        x, weight = promote_arrays("logsumexp", a, b, inexact=True)
        x = choose(weight != 0, x, -np.inf)
    if where is not None:
        x = choose(where, x, -np.inf)
    axes = canonical_axes(axis, len(x.shape), "logsumexp")
    size = table.real(x) if dtypes.is_complex(x.dtype) else x
    size = table.stop_gradient(size)
    top = expand_axes(reduce_top(size, axes), axes)
    largest = float(dtypes.finfo(size.dtype).max)
    top = table.clamp(-largest, top, largest)
    powers = table.exp(table.sub(x, table.convert(top, x.dtype)))
    if weight is not None:
        powers = table.mul(powers, weight)
    total = reductions.sum(powers, axis=axes, keepdims=True)
    sign = _sign(total)
    if return_sign:
        total = abs(total)
    elif weight is not None and not dtypes.is_complex(x.dtype):
        total = table.select(table.lt(total, 0.0), np.nan, total)
    nothing = table.eq(total, 0.0)
    logs = table.log(table.select(nothing, 1.0, total))
    logs = table.add(logs, table.convert(top, logs.dtype))
    out = table.select(nothing, -np.inf, logs)
    if not keepdims:
        shape = [n for i, n in enumerate(out.shape) if i not in axes]
        out, sign = reshape(out, shape), reshape(sign, shape)
    return (out, sign) if return_sign else out


def _sign(total: Value) -> Value:
    """Give the sign of a sum, its phase where it is complex."""
    if not dtypes.is_complex(total.dtype):
        return table.sign(total)
    size = abs(total)
    return total / choose(size == 0, 1.0, size)


def softmax(x: Any, axis: Any = None) -> Value:
    """Give exp(x) over its sum; as `scipy.special.softmax`."""
    x = as_inexact(x, "softmax")
    axes = canonical_axes(axis, len(x.shape), "softmax")
    top = expand_axes(reduce_top(table.stop_gradient(x), axes), axes)
    powers = table.exp(table.sub(x, top))
    return table.div(powers, reductions.sum(powers, axis=axes, keepdims=True))


def log_softmax(x: Any, axis: Any = None) -> Value:
    """Give the logarithm of `softmax`; as `scipy.special.log_softmax`."""
    x = as_inexact(x, "log_softmax")
    axes = canonical_axes(axis, len(x.shape), "log_softmax")
    return table.sub(x, expand_axes(logsumexp(x, axes), axes))
