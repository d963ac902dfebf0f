"""Activations: functions of one number, and gates."""

from __future__ import annotations

import math
from typing import Any

from pullback import dtypes
from pullback.core.trace import Value
from pullback.numpy.arguments import array_argument
from pullback.numpy.promotion import as_inexact, convert, promote
from pullback.numpy.shaping import split
from pullback.primitives import smooth, special, table
from pullback.primitives.structural import full

__all__ = [
    "celu",
    "elu",
    "gelu",
    "glu",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "identity",
    "leaky_relu",
    "log1mexp",
    "log_sigmoid",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_sign",
    "softplus",
    "sparse_plus",
    "sparse_sigmoid",
    "squareplus",
    "swish",
    "tanh",
]


def identity(x: Any) -> Value:
    """Give the argument."""
    return array_argument(x, "identity")


def relu(x: Any) -> Value:
    """Give max(x, 0); the derivative at 0 is 0. Booleans become integers."""
    return special.relu(_number(x, "relu"))


def _number(x: Any, who: str) -> Value:
    """Give an array of numbers; booleans become integers."""
    x = array_argument(x, who)
    return convert(x, dtypes.scalar_dtype(int)) if x.dtype == dtypes.bool_ else x


def relu6(x: Any) -> Value:
    """Give min(max(x, 0), 6); the derivative at 0 and at 6 is 0."""
    x = _number(x, "relu6")
    return table.select(table.lt(x, 6), special.relu(x), full((), 6, x.dtype))


def sigmoid(x: Any) -> Value:
    """Give 1 / (1 + exp(-x))."""
    return table.logistic(as_inexact(x, "sigmoid"))


def tanh(x: Any) -> Value:
    """Give the hyperbolic tangent."""
    return table.tanh(as_inexact(x, "tanh"))


def softplus(x: Any) -> Value:
    """Give log(1 + exp(x)) without overflow."""
    return smooth.softplus(as_inexact(x, "softplus"))


def log_sigmoid(x: Any) -> Value:
    """Give log(sigmoid(x)) without underflow."""
    return table.neg(softplus(table.neg(as_inexact(x, "log_sigmoid"))))


def silu(x: Any) -> Value:
    """Give x sigmoid(x), the sigmoid-weighted linear unit (also called swish)."""
    x = as_inexact(x, "silu")
    return table.mul(x, table.logistic(x))


swish = silu


def mish(x: Any) -> Value:
    """Give x tanh(softplus(x))."""
    x = as_inexact(x, "mish")
    return table.mul(x, table.tanh(softplus(x)))


def gelu(x: Any, approximate: bool = True) -> Value:
    """Give x P(X <= x) for normal X: the Gaussian error linear unit.

    Hendrycks and Gimpel, Gaussian error linear units (2016); `approximate` takes their
    approximation by the hyperbolic tangent.
    """
    x = as_inexact(x, "gelu")
    if not approximate:
        return table.mul(x, special.ndtr(x))
    cubic = table.add(x, table.mul(table.integer_pow(x, 3), 0.044715))
    inner = table.tanh(table.mul(cubic, math.sqrt(2 / math.pi)))
    return table.mul(x, table.mul(table.add(inner, 1.0), 0.5))


def elu(x: Any, alpha: Any = 1.0) -> Value:
    """Give x above 0, alpha (exp(x) - 1) below."""
    x, alpha = promote("elu", x, alpha, inexact=True)
    above = table.gt(x, 0.0)
    safe = table.select(above, 0.0, x)
    return table.select(above, x, table.mul(table.expm1(safe), alpha))


def celu(x: Any, alpha: Any = 1.0) -> Value:
    """Give x above 0, alpha (exp(x / alpha) - 1) below; differentiable."""
    x, alpha = promote("celu", x, alpha, inexact=True)
    above = table.gt(x, 0.0)
    safe = table.select(above, 0.0, x)
    return table.select(above, x, table.mul(table.expm1(table.div(safe, alpha)), alpha))


def selu(x: Any) -> Value:
    """Give the scaled exponential linear unit.

    Klambauer et al., Self-normalizing neural networks (2017), equation (2).
    """
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return table.mul(elu(as_inexact(x, "selu"), alpha), scale)


def leaky_relu(x: Any, negative_slope: Any = 0.01) -> Value:
    """Give x above or at 0, negative_slope x below."""
    x, slope = promote("leaky_relu", x, negative_slope, inexact=True)
    return table.select(table.ge(x, 0.0), x, table.mul(x, slope))


def glu(x: Any, axis: int = -1) -> Value:
    """Give one half of the array times the sigmoid of the other half."""
    x = as_inexact(x, "glu")
    first, second = split(x, 2, axis)
    return table.mul(first, table.logistic(second))


def soft_sign(x: Any) -> Value:
    """Give x / (|x| + 1)."""
    x = as_inexact(x, "soft_sign")
    return table.div(x, table.add(table.abs(x), 1.0))


def hard_tanh(x: Any) -> Value:
    """Give x limited to -1 and 1."""
    x = as_inexact(x, "hard_tanh")
    low, high = (full((), v, x.dtype) for v in (-1, 1))
    inner = table.select(table.lt(x, -1.0), low, x)
    return table.select(table.gt(x, 1.0), high, inner)


def hard_sigmoid(x: Any) -> Value:
    """Give relu6(x + 3) / 6."""
    return table.div(relu6(table.add(as_inexact(x, "hard_sigmoid"), 3.0)), 6.0)


def hard_silu(x: Any) -> Value:
    """Give x hard_sigmoid(x) (also called hard swish)."""
    x = as_inexact(x, "hard_silu")
    return table.mul(x, hard_sigmoid(x))


hard_swish = hard_silu


def squareplus(x: Any, b: Any = 4) -> Value:
    """Give (x + sqrt(x^2 + b)) / 2."""
    x, b = promote("squareplus", x, b, inexact=True)
    root = table.sqrt(table.add(table.mul(x, x), b))
    return table.mul(table.add(x, root), 0.5)


def sparse_plus(x: Any) -> Value:
    """Give 0 below -1, x above 1, (x + 1)^2 / 4 between."""
    x = as_inexact(x, "sparse_plus")
    moved = table.add(x, 1.0)
    middle = table.mul(table.mul(moved, moved), 0.25)
    below = table.select(table.le(x, -1.0), full((), 0, x.dtype), middle)
    return table.select(table.ge(x, 1.0), x, below)


def sparse_sigmoid(x: Any) -> Value:
    """Give 0 below -1, 1 above 1, (x + 1) / 2 between; sparse_plus has this slope."""
    x = as_inexact(x, "sparse_sigmoid")
    half = table.mul(table.add(x, 1.0), 0.5)
    low, high = (full((), v, x.dtype) for v in (0, 1))
    below = table.select(table.le(x, -1.0), low, half)
    return table.select(table.ge(x, 1.0), high, below)


def log1mexp(x: Any) -> Value:
    """Give log(1 - exp(-x)) of positive x, exact near 0 and far from it.

    Mächler, Accurately computing log(1 - exp(-|a|)) (2012), equation (7).
    """
    x = as_inexact(x, "log1mexp")
    near = table.lt(x, math.log(2))
    few, many = table.select(near, x, 1.0), table.select(near, 1.0, x)
    small = table.log(table.neg(table.expm1(table.neg(few))))
    return table.select(near, small, table.log1p(table.neg(table.exp(table.neg(many)))))
