"""SciPy's `detrend`: samples without their mean, or without straight lines."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from pullback.core.trace import Value
from pullback.numpy import reductions
from pullback.numpy.arguments import array_argument, option, wrong_shape
from pullback.numpy.contraction import matmul
from pullback.numpy.promotion import as_inexact
from pullback.numpy.shaping import concatenate, moveaxis
from pullback.primitives import table
from pullback.primitives.recipes import canonical_axis
from pullback.primitives.structural import reshape

__all__ = ["detrend"]


def detrend(
    data: Any,
    axis: int = -1,
    type: str = "linear",
    bp: Any = 0,
    overwrite_data: Any = None,
) -> Value:
    """Subtract the mean, or the best straight lines; as `scipy.signal.detrend`.

    Args:
        data: an array.
        axis: along which.
        type: "linear" or "constant".
        bp: where a new line begins, a place or several.
        overwrite_data: changes nothing.
    """
    option("detrend", "type", type, ("linear", "constant"))
    x = as_inexact(data, "detrend")
    place = canonical_axis(axis, len(x.shape), "detrend")
    if type == "constant":
        return x - reductions.mean(x, axis=place, keepdims=True)
    x = moveaxis(x, place, 0)
    n = x.shape[0]
    breaks = [0, *map(int, np.atleast_1d(bp)), n]
    breaks = sorted(set(breaks))
    if breaks[0] < 0 or breaks[-1] > n:
        raise wrong_shape(
            "detrend", f"was given breaks {bp} for {n} elements.", "Break within them."
        )
    flat = reshape(x, (n, math.prod(x.shape[1:])))
    parts = []
    for start, end in itertools.pairwise(breaks):
        part = flat[start:end]
        line = np.linspace(-1.0, 1.0, end - start)
        design = np.stack([np.ones(end - start), line], 1)
        # The factor is the same for all data, so that the solution is linear in it.
        solve, design = (
            table.convert(array_argument(m, "detrend"), x.dtype)
            for m in (np.linalg.pinv(design), design)
        )
        parts.append(part - matmul(design, matmul(solve, part)))
    out = reshape(concatenate(parts, 0), x.shape)
    return moveaxis(out, 0, place)
