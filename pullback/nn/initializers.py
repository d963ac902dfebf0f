"""Initial weights: each function gives an initializer `(key, shape, dtype) -> array`.

Variance scaling: Glorot and Bengio, Understanding the difficulty of training deep
feedforward neural networks (2010); He et al., Delving deep into rectifiers (2015);
LeCun et al., Efficient backprop (1998).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from pullback import dtypes, random
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.numpy import creation, writing
from pullback.numpy.shaping import moveaxis
from pullback.primitives.structural import reshape

__all__ = [
    "Initializer",
    "constant",
    "delta_orthogonal",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "kaiming_normal",
    "kaiming_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "orthogonal",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]

#: A function of (key, shape, dtype) that gives initial weights.
Initializer = Callable[..., Value]
#: The standard deviation of normal numbers cut off at -2 and 2.
_CUT = 0.87962566103423978


def zeros(key: Any, shape: Any, dtype: Any = float, out_sharding: Any = None) -> Value:
    """Give zeros; itself an initializer."""
    return creation.zeros(shape, dtype)


def ones(key: Any, shape: Any, dtype: Any = float, out_sharding: Any = None) -> Value:
    """Give ones; itself an initializer."""
    return creation.ones(shape, dtype)


def constant(value: Any, dtype: Any = None) -> Initializer:
    """Make an initializer that fills with a value."""
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = default) -> Value:
        return creation.full(shape, value, dtypes.canonical(dtype or float))

    return init


def uniform(scale: Any = 1e-2, dtype: Any = None) -> Initializer:
    """Make an initializer of uniform numbers from 0 to `scale`."""
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = default) -> Value:
        return random.uniform(key, shape, dtype or float) * scale

    return init


def normal(stddev: Any = 1e-2, dtype: Any = None) -> Initializer:
    """Make an initializer of normal numbers of a standard deviation."""
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = default) -> Value:
        return random.normal(key, shape, dtype or float) * stddev

    return init


def truncated_normal(
    stddev: Any = 1e-2, dtype: Any = None, lower: Any = -2.0, upper: Any = 2.0
) -> Initializer:
    """Make an initializer of normal numbers cut off at `lower` and `upper` deviations.

    `stddev` is that of the numbers before the cut.
    """
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = default) -> Value:
        drawn = random.truncated_normal(key, lower, upper, shape, dtype or float)
        return drawn * stddev

    return init


def _fans(
    shape: Sequence[int], in_axis: Any, out_axis: Any, batch_axis: Any
) -> tuple[float, float]:
    """Give the number of inputs and outputs of one unit."""

    def size(axes: Any) -> int:
        names = axes if isinstance(axes, (tuple, list)) else (axes,)
        return math.prod(shape[a] for a in names)

    if len(shape) < 2:
        raise ArgumentError(
            f"a variance scaling initializer was given shape {tuple(shape)}.",
            where=called_at(),
            mend="Give a shape with an axis of inputs and one of outputs.",
        )
    inputs, outputs = size(in_axis), size(out_axis)
    field = math.prod(shape) / inputs / outputs / size(batch_axis)
    return inputs * field, outputs * field


def variance_scaling(
    scale: Any,
    mode: str,
    distribution: str,
    in_axis: Any = -2,
    out_axis: Any = -1,
    batch_axis: Any = (),
    dtype: Any = None,
) -> Initializer:
    """Make an initializer whose variance is `scale` over a number of connections.

    Args:
        scale: the numerator.
        mode: the denominator: "fan_in" (inputs of a unit), "fan_out", "fan_avg" (their
            mean).
        distribution: "truncated_normal", "normal" or "uniform".
        in_axis: the axis or axes of inputs.
        out_axis: the axis or axes of outputs.
        batch_axis: axes that hold independent weights.
        dtype: the default dtype of the weights.
    """
    default = dtype
    shapes = ("truncated_normal", "normal", "uniform")
    choices = (
        ("mode", mode, ("fan_in", "fan_out", "fan_avg")),
        ("distribution", distribution, shapes),
    )
    for name, given, allowed in choices:
        if given not in allowed:
            raise ArgumentError(
                f"variance_scaling was given {name}={given!r}.",
                where=called_at(),
                mend=f"Give one of {', '.join(map(repr, allowed))}.",
            )

    def init(key: Any, shape: Any, dtype: Any = default) -> Value:
        inputs, outputs = _fans(shape, in_axis, out_axis, batch_axis)
        fans = {"fan_in": inputs, "fan_out": outputs}
        variance = scale / max(1.0, fans.get(mode, (inputs + outputs) / 2))
        wanted = dtype or float
        if distribution == "normal":
            return random.normal(key, shape, wanted) * math.sqrt(variance)
        if distribution == "uniform":
            drawn = random.uniform(key, shape, wanted, -1.0)
            return drawn * math.sqrt(3 * variance)
        drawn = random.truncated_normal(key, -2.0, 2.0, shape, wanted)
        return drawn * (math.sqrt(variance) / _CUT)

    return init


def _scaled(name: str, scale: float, mode: str, distribution: str) -> Any:
    def function(
        in_axis: Any = -2, out_axis: Any = -1, batch_axis: Any = (), dtype: Any = None
    ) -> Initializer:
        return variance_scaling(
            scale, mode, distribution, in_axis, out_axis, batch_axis, dtype
        )

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"Make an initializer: variance_scaling({scale}, {mode!r}, {distribution!r})."
    )
    return function


glorot_uniform = xavier_uniform = _scaled("glorot_uniform", 1.0, "fan_avg", "uniform")
glorot_normal = xavier_normal = _scaled(
    "glorot_normal", 1.0, "fan_avg", "truncated_normal"
)
lecun_uniform = _scaled("lecun_uniform", 1.0, "fan_in", "uniform")
lecun_normal = _scaled("lecun_normal", 1.0, "fan_in", "truncated_normal")
he_uniform = kaiming_uniform = _scaled("he_uniform", 2.0, "fan_in", "uniform")
he_normal = kaiming_normal = _scaled("he_normal", 2.0, "fan_in", "truncated_normal")


def orthogonal(
    scale: Any = 1.0, column_axis: int = -1, dtype: Any = None
) -> Initializer:
    """Make an initializer of matrices with orthonormal rows or columns."""
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = default) -> Value:
        columns = shape[column_axis]
        rest = [n for i, n in enumerate(shape) if i != column_axis % len(shape)]
        rows = math.prod(rest)
        drawn = random.orthogonal(key, rows, (), dtype or float, columns)
        return moveaxis(reshape(drawn, (*rest, columns)), -1, column_axis) * scale

    return init


def delta_orthogonal(
    scale: Any = 1.0, column_axis: int = -1, dtype: Any = None
) -> Initializer:
    """Make an initializer of convolutions: an orthogonal matrix at the middle, else 0.

    Of shape [space..., inputs, outputs], with one to three axes of space. Xiao et al.,
    Dynamical isometry and a mean field theory of CNNs (2018), algorithm 1.
    """
    default = dtype
    orthonormal = orthogonal(scale, column_axis)

    def init(key: Any, shape: Any, dtype: Any = default) -> Value:
        if len(shape) not in (3, 4, 5) or shape[-1] < shape[-2]:
            raise ArgumentError(
                f"delta_orthogonal was given shape {tuple(shape)}.",
                where=called_at(),
                mend="Give three to five axes, of which the last is the longer of two.",
            )
        matrix = orthonormal(key, shape[-2:], dtype or float)
        middle = tuple([(n - 1) // 2 for n in shape[:-2]])
        zero = creation.zeros(shape, matrix.dtype)
        return writing.At(zero)[middle].set(matrix)

    return init
