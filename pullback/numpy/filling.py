"""Arrays with new values on a diagonal or where a mask says."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.numpy import creation, reductions, shaping, taking, ufuncs, writing
from pullback.numpy.arguments import array_argument, describe, wrong_shape
from pullback.numpy.promotion import convert
from pullback.primitives import table


def not_in_place(inplace: bool, who: str) -> None:
    """Raise unless the caller said that a new array is wanted.

    Raises:
        ArgumentError: `inplace`, NumPy's way, is True.
    """
    if inplace:
        raise ArgumentError(
            f"{who} was asked to write in place: arrays never change.",
            where=called_at(),
            mend="Pass inplace=False, and use the result.",
        )


def fill_diagonal(
    a: Any, val: Any, wrap: bool = False, *, inplace: bool = True
) -> Value:
    """Give the array with values on its main diagonal; `inplace` must be False."""
    not_in_place(inplace, "fill_diagonal")
    a = array_argument(a, "fill_diagonal")
    rank = len(a.shape)
    if rank < 2 or (rank > 2 and len(set(a.shape)) > 1):
        raise wrong_shape(
            "fill_diagonal",
            f"takes matrices, or more axes of one length; got {describe(a)}.",
            "Reshape it, or use .at[diag_indices(n)].set(values).",
        )
    # One place further on every axis, in the order of memory.
    step = 1 + int(np.cumprod(a.shape[:0:-1]).sum())
    end = a.size if wrap or rank > 2 else min(a.size, a.shape[1] ** 2)
    count = len(range(0, end, step))
    values = shaping.resize(creation.asarray(val), (count,)).astype(a.dtype)
    flat = writing.At(shaping.ravel(a))[:end:step].set(values)
    return shaping.reshape(flat, a.shape)


def place(arr: Any, mask: Any, vals: Any, *, inplace: bool = True) -> Value:
    """Give the array with values in turn where a mask is true; repeated if too few.

    `inplace` must be False.
    """
    not_in_place(inplace, "place")
    arr, keep = array_argument(arr, "place"), ufuncs.truth(creation.asarray(mask))
    if keep.size != arr.size:
        raise wrong_shape(
            "place",
            f"was given an array of type {describe(arr)} and a mask of type "
            f"{describe(keep)}.",
            "Make the mask as large as the array.",
        )
    values = shaping.ravel(creation.asarray(vals)).astype(arr.dtype)
    if not values.size:
        raise wrong_shape("place", "was given no values.", "Give at least one.")
    keep = shaping.ravel(keep)
    number = reductions.cumsum(convert(keep, dtypes.scalar_dtype(int)))
    turn = ufuncs.remainder(table.sub(number, 1), values.shape[0])
    chosen = taking.take(values, turn, mode="clip")
    return shaping.reshape(table.select(keep, chosen, shaping.ravel(arr)), arr.shape)
