"""Special functions, elementwise: error, gamma and modified Bessel functions.

Derivatives are those of the NIST Digital Library of Mathematical Functions: 7.10 (error
function), 5.15 (polygamma), 10.29 (modified Bessel).
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
from pullback.primitives.host_math.rows import by_formula
from pullback.primitives.recipes import lower_as
from pullback.primitives.table import (
    abs,
    add,
    and_,
    convert,
    div,
    eq,
    exp,
    gt,
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
    zeros_like,
)

# -- forms -----------------------------------------------------------------------------


def by_scipy(name: str, least: dtypes.Dtype = dtypes.float32) -> Callable[..., Any]:
    """Give the eager rule that calls a function of `scipy.special`.

    Types narrower than `least` are computed in that.
    """

    def apply(*operands: Any) -> Any:
        arrays = [x for x in operands if type(x) not in SCALARS]
        dtype = arrays[0].dtype if arrays else dtypes.scalar_dtype(float)
        wide = dtype if dtype.itemsize >= least.itemsize else least
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


# What of a row does not fill a vector the compiler computes number by number, calling a
# logarithm and a root: erf_inv of 2,000 rows of 10 numbers takes 270 us, in one line 38
# (It takes a reshape for nothing, so that the line must be in a function of its own.)
SHORTEST_ROW, LONGEST_ROW, WHOLE_VECTOR, ENOUGH = 9, 63, 8, 512


def in_one_line(name: str, lower: Callable[..., Any]) -> Callable[..., Any]:
    """Give a lowering that takes short rows for one line, whose result is stored."""

    def flat(ctx: Any, out: Aval, x: Any) -> Any:
        shape = out.shape
        short = len(shape) > 1 and SHORTEST_ROW <= shape[-1] <= LONGEST_ROW
        rest = short and shape[-1] % WHOLE_VECTOR
        if ctx.platform != "cpu" or not rest or math.prod(shape) < ENOUGH:
            return lower(ctx, out, x)
        ctx.uses[name] += 1
        line = Aval((math.prod(shape),), out.dtype)
        x = ctx.emit("stablehlo.reshape", [x], line)
        found = ctx.call_shared(
            f"host_{name}", [x], line, lambda x: lower(ctx, line, x), apart=True
        )
        return ctx.emit("stablehlo.reshape", [found], out)

    return flat


def by_values(function: Callable[..., Value]) -> Callable[..., Any]:
    """Give the lowering to a function of values, in at least 32 bits."""

    def compute(*values: Value) -> Value:
        dtype = values[0].dtype
        if dtype.itemsize >= 4:
            return function(*values)
        wide = [convert(x, dtypes.float32) for x in values]
        return convert(function(*wide), dtype)

    return lambda ctx, out, *operands: lower_as(ctx, compute, *operands)


def by_callback(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give the lowering that calls the eager rule back."""

    def lower(ctx: Any, out: Aval, *operands: Any) -> Any:
        def call(*arrays: Any) -> list[Any]:
            with np.errstate(all="ignore"):
                return [function(*arrays)]

        return emit_callback(ctx, call, operands, [out], False)[0]

    return lower


def on_host(
    name: str,
    function: Callable[..., Any],
    partials: Sequence[Callable[..., Any]],
    kinds: str = "f",
) -> Elementwise:
    """Make the operation of a function on the host, which compiled programs call."""
    return Elementwise(name, function, by_callback(function), kinds, partials)


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


def successor(n: Value) -> Value:
    """Give n + 1, of a Python number at once."""
    return n + 1.0 if type(n) in SCALARS else add(n, 1.0)


# -- error functions -------------------------------------------------------------------

_ROOT = 2 / math.sqrt(math.pi)


def gaussian(x: Value) -> Value:
    """Give exp(-x^2)."""
    return exp(neg(mul(x, x)))


erf: Elementwise = Elementwise(
    "erf",
    by_scipy("erf"),
    by_formula("erf", by_chlo("erf")),
    "f",
    [lambda t, ans, x: mul(t, mul(gaussian(x), _ROOT))],
)
erfc: Elementwise = Elementwise(
    "erfc",
    by_scipy("erfc"),
    by_formula("erfc", by_chlo("erfc")),
    "f",
    [lambda t, ans, x: mul(t, mul(gaussian(x), -_ROOT))],
)
erf_inv: Elementwise = Elementwise(
    "erf_inv",
    by_scipy("erfinv"),
    in_one_line("erf_inv", by_chlo("erf_inv")),
    "f",
    [lambda t, ans, x: mul(t, mul(exp(mul(ans, ans)), 1 / _ROOT))],
)

# -- gamma functions ----------------------------------------------------------

lgamma: Elementwise = Elementwise(
    "lgamma",
    by_scipy("gammaln"),
    by_formula("lgamma", by_chlo("lgamma")),
    "f",
    [lambda t, ans, x: mul(t, digamma(x))],
)
digamma: Elementwise = Elementwise(
    "digamma",
    by_scipy("psi"),
    by_formula("digamma", by_chlo("digamma")),
    "f",
    [lambda t, ans, x: mul(t, polygamma(1.0, x))],
)
polygamma: Elementwise = Elementwise(
    "polygamma",
    by_scipy("polygamma"),
    by_chlo("polygamma"),
    "f",
    [
        no_partial("polygamma", "its order"),
        lambda t, ans, n, x: mul(t, polygamma(successor(n), x)),
    ],
)
# -- modified Bessel functions, scaled by exp(-|x|) ------------------------------------

# Chebyshev coefficients, computed with 40 digits by mpmath at 64 nodes: exp(-x) I0(x)
# in x/4 - 1 on [0, 8], and sqrt(x) exp(-x) I0(x) in 16/x - 1 on [8, inf).
_I0E_NEAR = (
    0.33839763720473804,
    -0.3046826723431984,
    0.17162090152220878,
    -0.094901097048047644,
    0.049305284239670708,
    -0.023737414805899469,
    0.010546460394594998,
    -0.0043243099950505759,
    0.0016394756169413358,
    -0.00057637557453858237,
    0.00018850288509584166,
    -5.7541950100821037e-5,
    1.6448448070728897e-5,
    -4.4167383584587506e-6,
    1.1173875391201037e-6,
    -2.6707938539406117e-7,
    6.0469950225419189e-8,
    -1.300025009986248e-8,
    2.6598237246823867e-9,
    -5.1897956016352629e-10,
    9.6758090353732369e-11,
    -1.7268262914415557e-11,
    2.9550526631296398e-12,
    -4.8564467831119295e-13,
    7.6761854986049356e-14,
    -1.1685332877993452e-14,
    1.715391285555133e-15,
    -2.4312798465479547e-16,
    3.3307945188222381e-17,
    -4.4153416464793394e-18,
)
_I0E_FAR = (
    0.40224520550705442,
    0.0033691164782556941,
    6.889758346916824e-5,
    2.8913705208347565e-6,
    2.0489185894690637e-7,
    2.2666689904981781e-8,
    3.3962320257083863e-9,
    4.9406023882249696e-10,
    1.1889147107846438e-11,
    -3.1499165279632414e-11,
    -1.3215811840447713e-11,
    -1.7941785315068061e-12,
    7.1801244513836662e-13,
    3.8527783827421427e-13,
    1.5400862175214098e-14,
    -4.1505693472872221e-14,
    -9.5548466988283076e-15,
    3.8116806693526224e-15,
    1.7725601330565264e-15,
    -3.4254856196772191e-16,
    -2.8276239805165835e-16,
    3.4612228676974611e-17,
    4.46562142029676e-17,
    -4.8305044859441821e-18,
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
    "bessel_i0e",
    by_scipy("i0e"),
    by_values(bessel_i0e_series),
    "f",
    [lambda t, ans, x: mul(t, sub(bessel_i1e(x), mul(sign(x), ans)))],
)
bessel_i1e: Elementwise = Elementwise(
    "bessel_i1e",
    by_scipy("i1e"),
    by_chlo("bessel_i1e"),
    "f",
    [lambda t, ans, x: mul(t, bessel_i1e_slope(ans, x))],
)

# -- logarithms that vanish with their factor ------------------------------------------


def vanishes(x: Value, y: Value) -> Value:
    """Whether x is 0 and y is not nan."""
    return and_(eq(x, 0.0), eq(y, y))


def x_times_log(x: Value, y: Value) -> Value:
    """Give x log(y), and 0 where x is 0, for compiled programs."""
    return select(vanishes(x, y), zeros_like(x), mul(x, log(y)))


def x_times_log1p(x: Value, y: Value) -> Value:
    """Give x log(1 + y), and 0 where x is 0, for compiled programs."""
    return select(vanishes(x, y), zeros_like(x), mul(x, log1p(y)))


def numpy_x_times(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give x f(y) by NumPy, and 0 where x is 0."""

    def apply(x: Any, y: Any) -> Any:
        dtype = (y if type(x) in SCALARS else x).dtype
        x, y = np.asarray(x, dtype), np.asarray(y, dtype)
        nothing = np.equal(x, 0) & ~np.isnan(y)
        return np.where(nothing, np.multiply(x, 0), x * function(y))

    return apply


xlogy: Elementwise = Elementwise(
    "xlogy",
    numpy_x_times(np.log),
    lambda ctx, out, x, y: lower_as(ctx, x_times_log, x, y),
    "f",
    [lambda t, ans, x, y: mul(t, log(y)), lambda t, ans, x, y: mul(t, div(x, y))],
)
xlog1py: Elementwise = Elementwise(
    "xlog1py",
    numpy_x_times(np.log1p),
    lambda ctx, out, x, y: lower_as(ctx, x_times_log1p, x, y),
    "f",
    [
        lambda t, ans, x, y: mul(t, log1p(y)),
        lambda t, ans, x, y: mul(t, div(x, add(y, 1.0))),
    ],
)

# -- normal distribution ---------------------------------------------------------------

_HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)
# Rational approximations of the quantile: Wichura, Algorithm AS 241, Applied
# Statistics 37 (1988), routine PPND16; numerator and denominator, constant first.
_CENTRE = (
    (
        3.3871328727963666080e0,
        1.3314166789178437745e2,
        1.9715909503065514427e3,
        1.3731693765509461125e4,
        4.5921953931549871457e4,
        6.7265770927008700853e4,
        3.3430575583588128105e4,
        2.5090809287301226727e3,
    ),
    (
        1.0,
        4.2313330701600911252e1,
        6.8718700749205790830e2,
        5.3941960214247511077e3,
        2.1213794301586595867e4,
        3.9307895800092710610e4,
        2.8729085735721942674e4,
        5.2264952788528545610e3,
    ),
)
_SHOULDER = (
    (
        1.42343711074968357734e0,
        4.63033784615654529590e0,
        5.76949722146069140550e0,
        3.64784832476320460504e0,
        1.27045825245236838258e0,
        2.41780725177450611770e-1,
        2.27238449892691845833e-2,
        7.74545014278341407640e-4,
    ),
    (
        1.0,
        2.05319162663775882187e0,
        1.67638483018380384940e0,
        6.89767334985100004550e-1,
        1.48103976427480074590e-1,
        1.51986665636164571966e-2,
        5.47593808499534494600e-4,
        1.05075007164441684324e-9,
    ),
)
_TAIL = (
    (
        6.65790464350110377720e0,
        5.46378491116411436990e0,
        1.78482653991729133580e0,
        2.96560571828504891230e-1,
        2.65321895265761230930e-2,
        1.24266094738807843860e-3,
        2.71155556874348757815e-5,
        2.01033439929228813265e-7,
    ),
    (
        1.0,
        5.99832206555887937690e-1,
        1.36929880922735805310e-1,
        1.48753612908506148525e-2,
        7.86869131145613259100e-4,
        1.84631831751005468180e-5,
        1.42151175831644588870e-7,
        2.04426310338993978564e-15,
    ),
)


def horner(coefficients: Sequence[float], x: Value) -> Value:
    """Evaluate a polynomial, constant term first."""
    total: Value = coefficients[-1]
    for c in coefficients[-2::-1]:
        total = add(mul(x, total), c)
    return total


def ratio(pair: tuple[Sequence[float], Sequence[float]], x: Value) -> Value:
    """Evaluate a rational function."""
    return div(horner(pair[0], x), horner(pair[1], x))


def normal_quantile(p: Value) -> Value:
    """Give the x with ndtr(x) = p, for compiled programs."""
    away = sub(p, 0.5)
    near = mul(away, ratio(_CENTRE, sub(0.180625, mul(away, away))))
    r = sqrt(neg(log(min(p, sub(1.0, p)))))
    far = select(
        le(r, 5.0), ratio(_SHOULDER, sub(r, 1.6)), ratio(_TAIL, sub(min(r, 30.0), 5.0))
    )
    infinite = select(eq(r, np.inf), r, far)
    return select(le(abs(away), 0.425), near, mul(sign(away), infinite))


def log_normal_cdf(x: Value) -> Value:
    """Give log(ndtr(x)), for compiled programs."""
    root = math.sqrt(0.5)
    right = log1p(mul(erfc(mul(x, root)), -0.5))
    middle = log(mul(erfc(mul(max(x, -10.0), -root)), 0.5))
    # The asymptotic series of the complementary error function, DLMF 7.12.1.
    below = min(x, -10.0)
    square = div(1.0, mul(below, below))
    terms = [1.0]
    for k in range(20):
        terms.append(-terms[-1] * (2 * k + 1))
    series = log(div(horner(terms, square), neg(below)))
    tail = sub(add(mul(mul(below, below), -0.5), series), _HALF_LOG_TAU)
    left = select(le(x, -10.0), tail, middle)
    return select(le(x, 1.0), left, right)


def normal_density(x: Value) -> Value:
    """Give exp(-x^2 / 2) / sqrt(2 pi)."""
    return exp(sub(mul(mul(x, x), -0.5), _HALF_LOG_TAU))


ndtr: Elementwise = Elementwise(
    "ndtr",
    by_scipy("ndtr"),
    lambda ctx, out, x: lower_as(
        ctx, lambda x: mul(erfc(mul(x, -math.sqrt(0.5))), 0.5), x
    ),
    "f",
    [lambda t, ans, x: mul(t, normal_density(x))],
)
ndtri: Elementwise = Elementwise(
    "ndtri",
    by_scipy("ndtri"),
    by_values(normal_quantile),
    "f",
    [lambda t, ans, p: div(t, normal_density(ans))],
)
log_ndtr: Elementwise = Elementwise(
    "log_ndtr",
    by_scipy("log_ndtr"),
    by_values(log_normal_cdf),
    "f",
    [lambda t, ans, x: mul(t, exp(sub(sub(mul(mul(x, x), -0.5), _HALF_LOG_TAU), ans)))],
)

# -- rectifier -------------------------------------------------------------------------

relu: Elementwise = Elementwise(
    "relu",
    lambda x: np.maximum(x, x.dtype.type(0)),
    lambda ctx, out, x: ctx.emit("stablehlo.maximum", [x, ctx.constant(0, out)], out),
    "iuf",
    [lambda t, ans, x: select(gt(x, 0.0), t, zeros_like(t))],
)
