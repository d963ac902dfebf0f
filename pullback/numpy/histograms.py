"""Histograms of points in several dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.core.trace import Value
from pullback.numpy import creation, reductions, shaping, statistics, ufuncs
from pullback.numpy.arguments import describe, wrong_shape
from pullback.numpy.promotion import as_inexact, promote_arrays
from pullback.primitives import structural, table


def histogramdd(
    sample: Any,
    bins: Any = 10,
    range: Any = None,
    density: Any = None,
    weights: Any = None,
) -> tuple[Value, list[Value]]:
    """Count points, one a row or a vector for each axis, in boxes; a float result.

    Args:
        sample: an array [points, axes], or a list of vectors, one for each axis.
        bins: a number of bins, or for each axis a number or a vector of edges.
        range: for each axis its two ends, or None for those of the points.
        density: divide by the sum and by the volumes of the boxes.
        weights: what each point counts; 1 by default.
    """
    columns = _columns(sample)
    count = len(columns)
    each = list(bins) if _is_sequence(bins) else [bins] * count
    ends = [None] * count if range is None else list(range)
    if len(each) != count or len(ends) != count:
        raise wrong_shape(
            "histogramdd",
            f"was given points with {count} coordinates, {len(each)} entries in bins "
            f"and {len(ends)} in range.",
            "Give one entry for each coordinate.",
        )
    edges, place, inside = [], None, None
    for x, b, r in zip(columns, each, ends):
        edge = statistics.histogram_bin_edges(x, b, r)
        x, edge = promote_arrays("histogramdd", x, edge)
        at, within = statistics.bin_of(x, edge, np.ndim(b) == 0)
        n = edge.shape[0] - 1
        place = at if place is None else table.add(table.mul(place, n), at)
        inside = within if inside is None else table.and_(inside, within)
        edges.append(edge)
    shape = [e.shape[0] - 1 for e in edges]
    counts = _counted(place, inside, weights, tuple(shape))
    if density:
        counts = ufuncs.divide(counts, reductions.sum(counts))
        for axis, edge in enumerate(edges):
            widths = table.sub(edge[1:], edge[:-1])
            layout = [-1 if i == axis else 1 for i, _ in enumerate(shape)]
            counts = ufuncs.divide(counts, shaping.reshape(widths, layout))
    return counts, edges


def _is_sequence(bins: Any) -> bool:
    """Whether `bins` is more than one number."""
    return isinstance(bins, (list, tuple)) or bool(getattr(bins, "shape", ()))


def _columns(sample: Any) -> list[Value]:
    """Give the coordinates of points, one vector for each axis."""
    if isinstance(sample, (list, tuple)):
        columns = [shaping.ravel(creation.asarray(x)) for x in sample]
    else:
        x = creation.asarray(sample)
        x = x[:, None] if len(x.shape) == 1 else x
        if len(x.shape) != 2:
            raise wrong_shape(
                "histogramdd",
                f"takes points as [points, axes]; got {describe(x)}.",
                "Reshape them.",
            )
        columns = list(shaping.unstack(x, axis=1))
    if len({x.shape for x in columns}) > 1:
        raise wrong_shape(
            "histogramdd",
            f"was given coordinates of types {', '.join(map(describe, columns))}.",
            "Give vectors of one length.",
        )
    return columns


def _counted(place: Any, inside: Any, weights: Any, shape: tuple[int, ...]) -> Value:
    """Add up the points in each box."""
    unit: Any = 1.0 if weights is None else shaping.ravel(creation.asarray(weights))
    unit = as_inexact(unit, "histogramdd")
    if unit.shape and unit.shape != inside.shape:
        raise wrong_shape(
            "histogramdd",
            f"was given {inside.shape[0]} points and weights of type {describe(unit)}.",
            "Give one weight for each point.",
        )
    zero = structural.full((), ufuncs.scalar_like(unit, 0), unit.dtype)
    add = table.select(inside, unit, zero)
    flat = creation.zeros(int(np.prod(shape)), unit.dtype).at[place].add(add)
    return structural.reshape(flat, shape)


def histogram2d(
    x: Any,
    y: Any,
    bins: Any = 10,
    range: Any = None,
    density: Any = None,
    weights: Any = None,
) -> tuple[Value, Value, Value]:
    """Count points in the plane in rectangles; `bins` also as one vector for both."""
    if _is_sequence(bins) and len(bins) != 2:
        bins = [bins, bins]
    counts, (first, second) = histogramdd([x, y], bins, range, density, weights)
    return counts, first, second
