"""Random numbers of continuous distributions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError, ShapeError
from pullback.numpy import linalg, reductions
from pullback.numpy.arguments import array_argument, shape_argument, static_int
from pullback.numpy.composed import clip
from pullback.numpy.contraction import einsum
from pullback.numpy.promotion import promote_arrays
from pullback.primitives import special, table
from pullback.primitives.rejection import random_gamma
from pullback.primitives.structural import expand_axes, full
from pullback.random.keys import (
    common_shape,
    float_dtype,
    one_key,
    parameters,
    rademacher,
    split,
    uniform,
)

__all__ = [
    "ball",
    "beta",
    "cauchy",
    "chisquare",
    "dirichlet",
    "double_sided_maxwell",
    "exponential",
    "f",
    "gamma",
    "generalized_normal",
    "gumbel",
    "laplace",
    "loggamma",
    "logistic",
    "lognormal",
    "maxwell",
    "multivariate_normal",
    "normal",
    "orthogonal",
    "pareto",
    "rayleigh",
    "t",
    "triangular",
    "truncated_normal",
    "wald",
    "weibull_min",
]

# -- normal and related ----------------------------------------------------------------


def normal(key: Any, shape: Any = (), dtype: Any = None) -> Value:
    """Give standard normal numbers; complex ones have independent parts, |z|^2 ~ 1.

    Example:
        >>> from pullback import random
        >>> random.normal(random.key(42))
        Array(-0.02830462, dtype=float32)
    """
    wanted = dtypes.canonical(float if dtype is None else dtype)
    size = shape_argument(shape, "random.normal")
    if dtypes.is_complex(wanted):
        parts = split(one_key(key, "normal"))
        real, imaginary = (normal(k, size, dtypes.real_dtype(wanted)) for k in parts)
        root = full((), math.sqrt(2), wanted)
        return table.div(table.make_complex(real, imaginary), root)
    wanted = float_dtype(dtype, "normal")
    low = np.nextafter(wanted.type(-1), wanted.type(0))
    u = uniform(one_key(key, "normal"), size, wanted, low, wanted.type(1))
    return table.mul(special.erf_inv(u), float(wanted.type(math.sqrt(2))))


def truncated_normal(
    key: Any, lower: Any, upper: Any, shape: Any = None, dtype: Any = None
) -> Value:
    """Give normal numbers between `lower` and `upper`."""
    wanted = float_dtype(dtype, "truncated_normal")
    low, high = (
        table.convert(array_argument(v, "random.truncated_normal"), wanted)
        for v in (lower, upper)
    )
    size = common_shape(shape, "truncated_normal", low, high)
    root = float(wanted.type(math.sqrt(2)))
    ends = [special.erf(table.div(v, root)) for v in (low, high)]
    u = uniform(key, size, wanted, *ends)
    out = table.mul(special.erf_inv(u), root)
    inner_low = table.nextafter(table.stop_gradient(low), full((), np.inf, wanted))
    inner_high = table.nextafter(table.stop_gradient(high), full((), -np.inf, wanted))
    return clip(out, inner_low, inner_high)


def multivariate_normal(
    key: Any,
    mean: Any,
    cov: Any,
    shape: Any = None,
    dtype: Any = None,
    method: str = "cholesky",
) -> Value:
    """Give normal vectors of given means `[..., n]` and covariances `[..., n, n]`.

    Args:
        key: a key.
        mean: means.
        cov: covariances.
        shape: the shape before the last axis.
        dtype: the result's.
        method: "cholesky", or "eigh" or "svd" for singular covariances.
    """
    mean, cov = promote_arrays("multivariate_normal", mean, cov, inexact=True)
    n = mean.shape[-1] if mean.shape else 0
    if not mean.shape or cov.shape[-2:] != (n, n):
        raise ShapeError(
            f"multivariate_normal was given mean {mean.aval} and cov {cov.aval}.",
            where=called_at(),
            mend="Give a mean [..., n] and a covariance [..., n, n].",
        )
    wanted = float_dtype(mean.dtype if dtype is None else dtype, "multivariate_normal")
    batches = (full(mean.shape[:-1], 0, wanted), full(cov.shape[:-2], 0, wanted))
    size = common_shape(shape, "multivariate_normal", *batches)
    if method == "svd":
        u, s, _ = linalg.svd(cov)
        factor = u * table.sqrt(expand_axes(s, (len(s.shape) - 1,)))
    elif method == "eigh":
        w, v = linalg.eigh(cov)
        factor = v * table.sqrt(expand_axes(w, (len(w.shape) - 1,)))
    elif method == "cholesky":
        factor = linalg.cholesky(cov)
    else:
        raise ArgumentError(
            f"random.multivariate_normal was given method={method!r}.",
            where=called_at(),
            mend="Give 'cholesky', 'eigh' or 'svd'.",
        )
    drawn = normal(key, (*size, n), wanted)
    return mean + einsum("...ij,...j->...i", factor, drawn)


def lognormal(
    key: Any, sigma: Any = 1.0, shape: Any = None, dtype: Any = None
) -> Value:
    """Give exponentials of normal numbers of standard deviation `sigma`."""
    (sigma,), size, wanted = parameters("lognormal", dtype, shape, sigma)
    return table.exp(table.mul(normal(key, size, wanted), sigma))


def maxwell(key: Any, shape: Any = (), dtype: Any = None) -> Value:
    """Give lengths of normal vectors in three dimensions."""
    size = shape_argument(shape, "random.maxwell")
    return linalg.norm(normal(key, (*size, 3), float_dtype(dtype, "maxwell")), axis=-1)


def double_sided_maxwell(
    key: Any, loc: Any, scale: Any, shape: Any = (), dtype: Any = None
) -> Value:
    """Give `loc` plus `scale` times Maxwell numbers of random signs."""
    (loc, scale), common, wanted = parameters(
        "double_sided_maxwell", dtype, None, loc, scale
    )
    size = (*(shape_argument(shape, "random") or common), *common)
    first, second = split(key)
    signs = rademacher(second, size, wanted)
    return signs * maxwell(first, size, wanted) * scale + loc


# -- by inversion ----------------------------------------------------------------------


def _tiny(dtype: dtypes.Dtype) -> float:
    return float(dtypes.finfo(dtype).tiny)


def exponential(key: Any, shape: Any = (), dtype: Any = None) -> Value:
    """Give exponential numbers of rate 1."""
    u = uniform(key, shape, float_dtype(dtype, "exponential"))
    return table.neg(table.log1p(table.neg(u)))


def gumbel(key: Any, shape: Any = (), dtype: Any = None) -> Value:
    """Give Gumbel numbers."""
    wanted = float_dtype(dtype, "gumbel")
    u = uniform(key, shape, wanted, _tiny(wanted), 1.0)
    return table.neg(table.log(table.neg(table.log(u))))


def laplace(key: Any, shape: Any = (), dtype: Any = None) -> Value:
    """Give Laplace numbers."""
    wanted = float_dtype(dtype, "laplace")
    low = wanted.type(-1) + wanted.type(dtypes.finfo(wanted).epsneg)
    u = uniform(key, shape, wanted, low, 1.0)
    return table.mul(table.sign(u), table.log1p(table.neg(table.abs(u))))


def logistic(key: Any, shape: Any = (), dtype: Any = None) -> Value:
    """Give logistic numbers."""
    wanted = float_dtype(dtype, "logistic")
    u = uniform(key, shape, wanted, _tiny(wanted), 1.0)
    return table.sub(table.log(u), table.log1p(table.neg(u)))


def cauchy(key: Any, shape: Any = (), dtype: Any = None) -> Value:
    """Give Cauchy numbers."""
    wanted = float_dtype(dtype, "cauchy")
    u = uniform(key, shape, wanted, dtypes.finfo(wanted).eps, 1.0)
    return table.tan(table.mul(table.sub(u, 0.5), math.pi))


def pareto(key: Any, b: Any, shape: Any = None, dtype: Any = None) -> Value:
    """Give Pareto numbers of shape `b`."""
    (b,), size, wanted = parameters("pareto", dtype, shape, b)
    return table.exp(table.div(exponential(key, size, wanted), b))


def rayleigh(key: Any, scale: Any, shape: Any = None, dtype: Any = None) -> Value:
    """Give Rayleigh numbers."""
    (scale,), size, wanted = parameters("rayleigh", dtype, shape, scale)
    logs = table.log(uniform(key, size, wanted))
    return table.mul(scale, table.sqrt(table.mul(logs, -2.0)))


def weibull_min(
    key: Any, scale: Any, concentration: Any, shape: Any = (), dtype: Any = None
) -> Value:
    """Give Weibull numbers."""
    (scale, power), size, wanted = parameters(
        "weibull_min", dtype, shape or None, scale, concentration
    )
    return exponential(key, size, wanted) ** (1.0 / power) * scale


def triangular(
    key: Any, left: Any, mode: Any, right: Any, shape: Any = None, dtype: Any = None
) -> Value:
    """Give numbers of triangular density between `left` and `right`."""
    (left, mode, right), size, wanted = parameters(
        "triangular", dtype, shape, left, mode, right
    )
    u = uniform(key, size, wanted)
    rising = left + table.sqrt(u * (right - left) * (mode - left))
    falling = right - table.sqrt((1 - u) * (right - left) * (right - mode))
    return table.select(u < (mode - left) / (right - left), rising, falling)


def wald(key: Any, mean: Any, shape: Any = None, dtype: Any = None) -> Value:
    """Give inverse Gaussian numbers of scale 1."""
    (mean,), size, wanted = parameters("wald", dtype, shape, mean)
    first, second = split(key)
    v, z = normal(first, size, wanted), uniform(second, size, wanted)
    y = v * v
    root = table.sqrt(4 * mean * y + mean * mean * y * y)
    x = mean + mean * mean * y / 2 - mean / 2 * root
    return table.select(z <= mean / (mean + x), x, mean * mean / x)


# -- gamma and related -----------------------------------------------------------------


def gamma(key: Any, a: Any, shape: Any = None, dtype: Any = None) -> Value:
    """Give gamma numbers of shape `a` and scale 1, differentiable in `a`."""
    (a,), _, _ = parameters("gamma", dtype, shape, a)
    return random_gamma(one_key(key, "gamma"), a)


def loggamma(key: Any, a: Any, shape: Any = None, dtype: Any = None) -> Value:
    """Give logarithms of gamma numbers, accurate for small `a`."""
    (a,), _, _ = parameters("loggamma", dtype, shape, a)
    return random_gamma(one_key(key, "loggamma"), a, log_space=True)


def beta(key: Any, a: Any, b: Any, shape: Any = None, dtype: Any = None) -> Value:
    """Give beta numbers."""
    (a, b), _, wanted = parameters("beta", dtype, shape, a, b)
    first, second = split(key)
    logs = loggamma(first, a, None, wanted), loggamma(second, b, None, wanted)
    top = table.max(*logs)
    x, y = (table.exp(table.sub(v, top)) for v in logs)
    return table.div(x, table.add(x, y))


def dirichlet(key: Any, alpha: Any, shape: Any = None, dtype: Any = None) -> Value:
    """Give positive vectors of sum 1, with concentrations `alpha[..., n]`."""
    wanted = float_dtype(dtype, "dirichlet")
    x = table.convert(array_argument(alpha, "random.dirichlet"), wanted)
    batch = common_shape(shape, "dirichlet", full(x.shape[:-1], 0, wanted))
    logs = loggamma(key, x, (*batch, x.shape[-1]), wanted)
    top = reductions.max(table.stop_gradient(logs), axis=-1, keepdims=True)
    powers = table.exp(table.sub(logs, top))
    return table.div(powers, reductions.sum(powers, axis=-1, keepdims=True))


def chisquare(key: Any, df: Any, shape: Any = None, dtype: Any = None) -> Value:
    """Give chi-square numbers of `df` degrees of freedom."""
    (df,), size, wanted = parameters("chisquare", dtype, shape, df)
    return table.mul(table.exp(loggamma(key, table.mul(df, 0.5), size, wanted)), 2.0)


def f(key: Any, dfnum: Any, dfden: Any, shape: Any = None, dtype: Any = None) -> Value:
    """Give F numbers: the ratio of two mean squares."""
    (dfnum, dfden), size, wanted = parameters("f", dtype, shape, dfnum, dfden)
    below, above = split(key)
    top = chisquare(above, dfnum, size, wanted) / dfnum
    return top / (chisquare(below, dfden, size, wanted) / dfden)


def t(key: Any, df: Any, shape: Any = None, dtype: Any = None) -> Value:
    """Give Student's t numbers of `df` degrees of freedom."""
    (df,), size, wanted = parameters("t", dtype, shape, df)
    first, second = split(key)
    half = table.mul(df, 0.5)
    scale = table.sqrt(table.div(half, gamma(second, half, size, wanted)))
    return table.mul(normal(first, size, wanted), scale)


def generalized_normal(key: Any, p: Any, shape: Any = (), dtype: Any = None) -> Value:
    """Give numbers of density proportional to exp(-|x|^p)."""
    wanted = float_dtype(dtype, "generalized_normal")
    size = shape_argument(shape, "random.generalized_normal")
    first, second = split(key)
    sizes = gamma(first, 1 / p, size, wanted) ** (1 / p)
    return rademacher(second, size, wanted) * sizes


def ball(key: Any, d: int, p: Any = 2, shape: Any = (), dtype: Any = None) -> Value:
    """Give points spread uniformly in the unit ball of the p-norm in `d` dimensions.

    Barthe et al., A probabilistic approach to the geometry of the l_p^n-ball (2005).
    """
    wanted = float_dtype(dtype, "ball")
    size = shape_argument(shape, "random.ball")
    first, second = split(key)
    g = generalized_normal(first, p, (*size, static_int(d, "ball", "d")), wanted)
    e = exponential(second, size, wanted)
    length = (reductions.sum(abs(g) ** p, axis=-1) + e) ** (1 / p)
    return g / expand_axes(length, (len(size),))


def orthogonal(
    key: Any, n: int, shape: Any = (), dtype: Any = None, m: int | None = None
) -> Value:
    """Give matrices spread uniformly over those with orthonormal rows or columns.

    Mezzadri, How to generate random matrices from the classical compact groups (2007).
    """
    size: Sequence[int] = shape_argument(shape, "random.orthogonal")
    rows = static_int(n, "random.orthogonal", "n")
    columns = rows if m is None else static_int(m, "random.orthogonal", "m")
    tall = (*size, max(rows, columns), min(rows, columns))
    q, r = linalg.qr(normal(key, tall, dtype))
    d = linalg.diagonal(r)
    if dtypes.is_complex(d.dtype):
        phases = table.div(d, table.convert(table.abs(d), d.dtype))
    else:
        phases = table.sign(d)
    out = table.mul(q, expand_axes(phases, (len(phases.shape) - 1,)))
    return linalg.matrix_transpose(out) if rows < columns else out
