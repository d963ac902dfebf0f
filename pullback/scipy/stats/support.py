"""Arguments of distributions, and values inside and outside of their supports."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pullback.core.trace import Value
from pullback.numpy.promotion import real_arguments
from pullback.primitives import table
from pullback.primitives.saddle import outside, piecewise

__all__ = [
    "apart_from_counts",
    "log1p_square",
    "log_one_minus_exp",
    "or_nan",
    "outside",
    "piecewise",
    "standard",
]


def standard(who: str, x: Any, loc: Any, scale: Any, *shapes: Any) -> list[Value]:
    """Give (x - loc) / scale, the scale, and the shape parameters."""
    x, loc, scale, *rest = real_arguments(who, x, loc, scale, *shapes)
    return [table.div(table.sub(x, loc), scale), scale, *rest]


def log1p_square(z: Value) -> Value:
    """Give log(1 + z^2), also where z^2 overflows."""

    def far(z: Value) -> Value:
        inverse = table.div(1.0, z)
        return table.log(table.abs(z)) * 2.0 + table.log1p(inverse * inverse)

    near = table.le(table.abs(z), 1.0)
    return piecewise(near, lambda z: table.log1p(z * z), far, z, (0.5, 2.0))


def log_one_minus_exp(y: Value) -> Value:
    """Give log(1 - exp(-y)) for y >= 0.

    Maechler, Accurately computing log(1 - exp(-|a|)) (2012): each form where it is
    exact.
    """
    return piecewise(
        table.le(y, math.log(2)),
        lambda y: table.log(table.neg(table.expm1(table.neg(y)))),
        lambda y: table.log1p(table.neg(table.exp(table.neg(y)))),
        y,
        (0.5, 1.0),
    )


def or_nan(wrong: Value, x: Value) -> Value:
    """Give nan where arguments are wrong."""
    return table.select(wrong, np.nan, x)


def apart_from_counts(k: Value, most: Any = np.inf) -> Value:
    """Whether a number is none of 0, 1, ..., `most`; nan is not."""
    beyond = table.or_(table.lt(k, 0.0), table.gt(k, most))
    broken = table.and_(table.ne(table.floor(k), k), table.eq(k, k))
    return table.or_(beyond, table.or_(broken, table.eq(k, np.inf)))
