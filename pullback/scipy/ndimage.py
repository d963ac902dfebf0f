"""SciPy's interpolation in images."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.trace import Value
from pullback.numpy.arguments import array_argument, option, wrong_shape
from pullback.numpy.promotion import promote_arrays
from pullback.primitives import table

__all__ = ["map_coordinates"]

_MODES = ("constant", "nearest", "wrap", "mirror", "reflect")
#: SciPy's names of what its "constant" and "wrap" would be without special edges.
_GRID = {"grid-constant": "constant", "grid-wrap": "wrap"}


def map_coordinates(
    input: Any,
    coordinates: Sequence[Any],
    order: int,
    mode: str = "constant",
    cval: Any = 0.0,
) -> Value:
    """Read an array between its elements; as `scipy.ndimage.map_coordinates`.

    Args:
        input: an array.
        coordinates: for each axis, the places along it.
        order: 0 for the nearest element, 1 for linear interpolation.
        mode: what lies outside: "constant" is `cval`, "nearest" the element at the
            edge, "wrap" the array again, "mirror" its image without the edge, "reflect"
            with it. "constant" and "wrap" are SciPy's "grid-constant" and "grid-wrap".
        cval: the number outside.
    """
    mode = _GRID.get(mode, mode)
    option("map_coordinates", "mode", mode, _MODES)
    option("map_coordinates", "order", order, (0, 1))
    image = array_argument(input, "map_coordinates")
    if len(coordinates) != len(image.shape) or not len(coordinates):
        raise wrong_shape(
            "map_coordinates",
            f"was given {len(coordinates)} coordinates for {image.aval}.",
            "Give one array of coordinates for each axis.",
        )
    places = promote_arrays("map_coordinates", *coordinates, inexact=True)
    exact = not dtypes.is_inexact(image.dtype)
    values = table.convert(image, places[0].dtype) if exact else image
    outside = table.convert(array_argument(cval, "map_coordinates"), values.dtype)
    corners = [_corners(x, n, order, mode) for x, n in zip(places, image.shape)]
    total: Any = None
    for choice in itertools.product(*corners):
        found = values[tuple([index for index, _, _ in choice])]
        weight: Any = 1.0
        inside: Any = None
        for _, share, valid in choice:
            weight = share * weight
            inside = valid if inside is None else table.and_(inside, valid)
        if mode == "constant":
            found = table.select(inside, found, outside)
        part = table.convert(weight, values.dtype) * found
        total = part if total is None else total + part
    if exact:
        return table.convert(table.floor(total + 0.5), image.dtype)
    return total


def _corners(x: Value, n: int, order: int, mode: str) -> list[tuple[Any, Any, Any]]:
    """Give elements around places along an axis: index, weight, whether it exists."""
    if order == 0:
        found = [(table.floor(x + 0.5), x * 0.0 + 1.0)]
    else:
        low = table.floor(x)
        share = x - table.stop_gradient(low)
        found = [(low, 1.0 - share), (low + 1.0, share)]
    corners = []
    for index, weight in found:
        whole = table.convert(index, np.dtype(np.int32))
        valid = table.and_(table.ge(whole, 0), table.lt(whole, n))
        corners.append((_folded(whole, n, mode), weight, valid))
    return corners


def _folded(index: Value, n: int, mode: str) -> Value:
    """Bring indices into the array."""
    if mode == "wrap":
        return index % n
    if mode == "mirror":
        period = max(2 * n - 2, 1)
        index = index % period
        return table.min(index, period - index) if n > 1 else index * 0
    if mode == "reflect":
        index = index % (2 * n)
        return table.min(index, 2 * n - 1 - index)
    return table.min(table.max(index, 0), n - 1)
