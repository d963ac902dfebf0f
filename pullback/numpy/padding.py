"""Padding: arrays made longer at the ends of their axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.array import from_host
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.numpy import (
    contraction,
    creation,
    reductions,
    shaping,
    statistics,
    taking,
    ufuncs,
)
from pullback.numpy.arguments import array_argument, describe, static_array, wrong_shape
from pullback.numpy.promotion import convert
from pullback.primitives import shaping as pieces
from pullback.primitives import structural
from pullback.primitives.recipes import canonical_axis

_BY_INDEX = ("edge", "reflect", "symmetric", "wrap")
_BY_STATISTIC = {
    "maximum": reductions.max,
    "minimum": reductions.min,
    "mean": reductions.mean,
    "median": statistics.median,
}


def pad(array: Any, pad_width: Any, mode: str = "constant", **options: Any) -> Value:
    """Make axes longer at both ends by static widths; a mode must be a name."""
    x = array_argument(array, "pad")
    widths = _widths(pad_width, x)
    known = ("constant", "empty", "linear_ramp", *_BY_INDEX, *_BY_STATISTIC)
    if mode not in known:
        raise ArgumentError(
            f"pad was given mode={mode!r}.",
            where=called_at(),
            mend=f"Use one of {', '.join(known)}.",
        )
    if mode in ("constant", "empty"):
        return _constant(x, widths, options.pop("constant_values", 0), options)
    for axis, (low, high) in enumerate(widths):
        if (low or high) and not x.shape[axis]:
            raise wrong_shape(
                "pad",
                f"cannot extend the empty axis {axis} of {describe(x)} by {mode!r}.",
                "Use mode='constant'.",
            )
        if low or high:
            x = _padded_axis(x, axis, low, high, mode, options, len(widths))
    return x


def _widths(given: Any, x: Value) -> list[tuple[int, int]]:
    """Give (before, after) for each axis."""
    rank = len(x.shape)
    if isinstance(given, dict):
        table = [(0, 0)] * rank
        for axis, pair in given.items():
            low, high = np.broadcast_to(pair, (2,)).tolist()
            table[canonical_axis(axis, rank, "pad")] = (low, high)
        return table
    widths = static_array(
        given, "pad", "pad_width", "which fix the shape of the result"
    )
    try:
        pairs = np.broadcast_to(widths, (rank, 2)).tolist()
    except ValueError:
        raise wrong_shape(
            "pad",
            f"was given pad_width of shape {widths.shape} for {describe(x)}.",
            "Give a number, (before, after), or such a pair for each axis.",
        ) from None
    if any(n < 0 or n != int(n) for pair in pairs for n in pair):
        raise ArgumentError(
            f"pad was given pad_width={given}.",
            where=called_at(),
            mend="Give integers of zero or more.",
        )
    return [(int(i), int(j)) for i, j in pairs]


def _pairs(given: Any, rank: int, axis: int) -> list[Any]:
    """Give the option (before, after) of one axis."""
    value = creation.asarray(given)
    table = shaping.broadcast_to(value, (rank, 2))
    return [table[axis, 0], table[axis, 1]]


def _constant(
    x: Value, widths: list[tuple[int, int]], value: Any, rest: dict[str, Any]
) -> Value:
    """Pad with constants, which may be traced."""
    if rest:
        raise ArgumentError(
            f"pad with mode='constant' has no option {next(iter(rest))}.",
            where=called_at(),
            mend="Use constant_values=.",
        )
    value = creation.asarray(value)
    if not value.shape:
        config = [(low, high, 0) for low, high in widths]
        return pieces.pad(x, convert(value, x.dtype), config)
    for axis, (low, high) in enumerate(widths):
        ends = _pairs(value, len(widths), axis)
        parts = [x]
        for n, end, place in ((low, ends[0], 0), (high, ends[1], 2)):
            shape = tuple(n if i == axis else m for i, m in enumerate(x.shape))
            filled = structural.broadcast_to(convert(end, x.dtype), shape)
            parts.insert(place, filled)
        x = shaping.concatenate(parts, axis)
    return x


def _padded_axis(
    x: Value,
    axis: int,
    low: int,
    high: int,
    mode: str,
    options: dict[str, Any],
    rank: int,
) -> Value:
    """Pad one axis in another mode than constant."""
    n = x.shape[axis]
    if mode in _BY_INDEX:
        if options.get("reflect_type") == "odd":
            return _by_matrix(x, axis, low, high, mode)
        places = np.pad(np.arange(n), (low, high), mode=mode)  # type: ignore[call-overload]
        return taking.rearranged(x, axis, places)
    if mode == "linear_ramp":
        ends = _pairs(options.get("end_values", 0), rank, axis)
        sides = [_ramp(x, axis, low, ends[0], 0), _ramp(x, axis, high, ends[1], n - 1)]
    else:
        length = options.get("stat_length")
        counts = np.broadcast_to(n if length is None else length, (rank, 2))[axis]
        sides = [
            _statistic(x, axis, width, mode, bounds)
            for width, bounds in (
                (low, (0, min(n, int(counts[0])))),
                (high, (max(0, n - int(counts[1])), n)),
            )
        ]
    return shaping.concatenate([sides[0], x, sides[1]], axis)


def _by_matrix(x: Value, axis: int, low: int, high: int, mode: str) -> Value:
    """Pad by odd reflection: a linear map; NumPy pads the identity to its matrix."""
    basis = np.eye(x.shape[axis], dtype=np.float64)
    matrix = np.pad(basis, ((low, high), (0, 0)), mode=mode, reflect_type="odd")  # type: ignore[call-overload]
    out = contraction.tensordot(x, from_host(matrix.astype(x.dtype)), ((axis,), (1,)))
    return shaping.moveaxis(out, -1, axis)


def _ramp(x: Value, axis: int, width: int, end: Value, edge_at: int) -> Value:
    """Go evenly from an edge to an end value, outwards."""
    edge = pieces.slice_in_dim(x, edge_at, edge_at + 1, axis)
    steps = np.arange(width) if edge_at == 0 else np.arange(width, 0, -1) - 1
    part = steps.reshape([width if i == axis else 1 for i in range(len(x.shape))])
    t = from_host((part / max(width, 1)).astype(dtypes.scalar_dtype(float)))
    line = end + (edge - end) * t
    return convert(line, x.dtype)


def _statistic(
    x: Value, axis: int, width: int, mode: str, bounds: tuple[int, int]
) -> Value:
    """Repeat a statistic of the elements near an end."""
    near = pieces.slice_in_dim(x, *bounds, axis)
    value = _BY_STATISTIC[mode](near, axis, keepdims=True)
    if ufuncs.is_exact(x) and not ufuncs.is_exact(value):
        value = ufuncs.rint(value)
    value = convert(value, x.dtype)
    shape = tuple(width if i == axis else m for i, m in enumerate(x.shape))
    return structural.broadcast_to(value, shape)
