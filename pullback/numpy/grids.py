"""Grids and joined arrays written as indices: `mgrid[0:3, 0:4]`, `r_[1:4, 0, x]`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.numpy import creation, diagonals, shaping, taking, ufuncs
from pullback.numpy.arguments import array_argument, describe, static_int, wrong_shape
from pullback.numpy.promotion import promote_arrays


def _range(key: slice) -> Value:
    """Make the numbers of `start:stop:step`; an imaginary step counts them."""
    start = 0 if key.start is None else key.start
    if key.stop is None:
        raise ArgumentError(
            f"a grid was asked for {key}, which has no end.",
            where=called_at(),
            mend="Write start:stop, start:stop:step, or start:stop:5j for five points.",
        )
    if isinstance(key.step, complex):
        return creation.linspace(start, key.stop, int(abs(key.step)))
    return creation.arange(start, key.stop, 1 if key.step is None else key.step)


def _ranges(key: Any) -> list[Value]:
    """Make the numbers along each axis, of one dtype."""
    return promote_arrays("a grid", *[_range(k) for k in key])


class DenseGrid:
    """Coordinates of all places of a grid: `mgrid[0:3, 0:1:5j]`."""

    def __getitem__(self, key: Any) -> Value:
        if isinstance(key, slice):
            return _range(key)
        if not key:
            return creation.array([])
        return shaping.stack(creation.meshgrid(*_ranges(key), indexing="ij"))


class OpenGrid:
    """Coordinates along each axis of a grid, which broadcast: `ogrid[0:3, 0:4]`."""

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return _range(key)
        if not key:
            return []
        return creation.meshgrid(*_ranges(key), indexing="ij", sparse=True)


class Joining:
    """Joins ranges, numbers and arrays along an axis.

    A leading string "axis,ndmin,first" changes where: the axis, the least number of
    axes of an item, and where those that it has go among these.
    """

    def __init__(self, name: str, axis: int, rank: int, first: int) -> None:
        self.name, self.layout = name, (axis, rank, first)

    def __getitem__(self, key: Any) -> Value:
        items = key if isinstance(key, tuple) else (key,)
        layout = self.layout
        if items and isinstance(items[0], str):
            layout, items = self._read(items[0]), items[1:]
        axis, rank, first = layout
        arrays = [self._placed(item, rank, first) for item in items]
        return shaping.concatenate(arrays, axis)

    def _read(self, text: str) -> tuple[int, int, int]:
        """Read a string of up to three integers; the others stay as they are."""
        try:
            given = [int(word) for word in text.split(",")]
        except ValueError:
            given = []
        if not 1 <= len(given) <= 3:
            raise ArgumentError(
                f"{self.name} was given {text!r}; matrices are not there.",
                where=called_at(),
                mend="Give up to three integers as in '0,2,1', or use concatenate.",
            )
        axis, rank, first = (*given, *self.layout[len(given) :])
        return axis, rank, first

    def _placed(self, item: Any, rank: int, first: int) -> Value:
        """Make an item an array of at least `rank` axes, its own from `first` on."""
        x = _range(item) if isinstance(item, slice) else creation.asarray(item)
        extra = rank - len(x.shape)
        if extra <= 0:
            return x
        lead = first + extra + 1 if first < 0 else min(first, extra)
        shape = (*(1,) * lead, *x.shape, *(1,) * (extra - lead))
        return shaping.reshape(x, shape)


mgrid, ogrid = DenseGrid(), OpenGrid()
#: One after another along the first axis; as columns side by side.
r_, c_ = Joining("r_", 0, 1, -1), Joining("c_", -1, 2, 0)


def diag_indices_from(arr: Any) -> tuple[Value, ...]:
    """Give the indices of the main diagonal of an array of equal lengths."""
    arr = array_argument(arr, "diag_indices_from")
    if len(arr.shape) < 2 or len(set(arr.shape)) > 1:
        raise wrong_shape(
            "diag_indices_from",
            f"takes two or more axes of one length; got {describe(arr)}.",
            "Use diag_indices with the length that is meant.",
        )
    return diagonals.diag_indices(arr.shape[0], len(arr.shape))


def mask_indices(
    n: Any, mask_func: Callable[..., Any], k: Any = 0, *, size: int | None = None
) -> tuple[Value, Value]:
    """Give the places that `mask_func(ones((n, n)), k)` keeps, `triu` for one.

    A static `size` allows a mask that is traced.
    """
    n = static_int(n, "mask_indices", "n")
    kept = ufuncs.truth(mask_func(creation.ones((n, n), int), k), "mask_indices")
    rows, columns = taking.nonzero(kept, size=size)
    return rows, columns
