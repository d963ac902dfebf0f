"""Reductions of segments: of the rows of an array that have the same number."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pullback import dtypes
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.numpy import creation, reductions, writing
from pullback.numpy.arguments import describe, static_array, static_int, wrong_shape
from pullback.primitives import structural, table

__all__ = ["segment_max", "segment_min", "segment_prod", "segment_sum"]


def _number_of_segments(ids: Value, who: str, given: int | None) -> int:
    """Give how many segments there are: as many as said, or one above the greatest."""
    if given is not None:
        count = static_int(given, who, "num_segments")
        if count < 0:
            raise ArgumentError(
                f"{who} was given num_segments={count}.",
                where=called_at(),
                mend="Give zero or more.",
            )
        return count
    known = static_array(ids, who, "segment_ids", "unless num_segments is given")
    return max(0, int(known.max()) + 1) if known.size else 0


def _segments(
    who: str,
    how: str,
    combine: Callable[..., Value],
    start: Any,
    data: Any,
    segment_ids: Any,
    num_segments: int | None,
    bucket_size: int | None,
    mode: Any,
    promises: dict[str, bool],
) -> Value:
    """Write rows into an array of `start`, combined where they meet."""
    data, ids = creation.asarray(data), creation.asarray(segment_ids)
    rank = len(ids.shape)
    if not dtypes.is_integer(ids.dtype) or data.shape[:rank] != ids.shape:
        raise wrong_shape(
            who,
            f"was given data of type {describe(data)} and segment_ids of type "
            f"{describe(ids)}.",
            "Give one integer for each row: the first axes of data must be theirs.",
        )
    count = _number_of_segments(ids, who, num_segments)
    if ids.dtype.kind == "i":
        # A negative number counts from the end elsewhere; here it names no segment.
        outside = structural.full((), 0 if mode == "clip" else count, ids.dtype)
        ids = table.select(table.lt(ids, 0), outside, ids)
    shape = (count, *data.shape[rank:])
    if bucket_size is None:
        whole = creation.full(shape, start, data.dtype)
        return getattr(writing.At(whole)[ids], how)(data, mode=mode, **promises)
    size = static_int(bucket_size, who, "bucket_size")
    if size < 1 or not rank:
        raise ArgumentError(
            f"{who} was given bucket_size={size} for ids of type {describe(ids)}.",
            where=called_at(),
            mend="Give a bucket_size of at least 1, or leave it out.",
        )
    buckets = max(1, -(-ids.shape[0] // size))
    whole = creation.full((buckets, *shape), start, data.dtype)
    bucket = table.div(creation.arange(ids.shape[0], dtype=ids.dtype), size)
    bucket = structural.expand_axes(bucket, range(1, rank))
    found = getattr(writing.At(whole)[bucket, ids], how)(data, mode=mode)
    return combine(found, 0)


def segment_sum(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: Any = None,
) -> Value:
    """Add up the rows of each segment.

    Args:
        data: an array.
        segment_ids: for each row an integer; rows of numbers that are no segment's are
            left out.
        num_segments: how many segments there are; left out, one more than the greatest
            number, which must then be known.
        indices_are_sorted: a promise that the numbers ascend.
        unique_indices: a promise that no number comes twice.
        bucket_size: combine so many rows at a time, and then these; sums lose less.
        mode: "drop" (the default), "clip" (to the nearest segment) or
            "promise_in_bounds".

    Returns:
        An array [num_segments, ...].

    Example:
        >>> import pullback.numpy as jnp
        >>> segment_sum(jnp.array([1, 2, 3]), jnp.array([0, 0, 2]))
        Array([3, 0, 3], dtype=int32)
    """
    promises = _promises(indices_are_sorted, unique_indices)
    return _segments(
        "segment_sum",
        "add",
        reductions.sum,
        0,
        data,
        segment_ids,
        num_segments,
        bucket_size,
        mode,
        promises,
    )


def segment_prod(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: Any = None,
) -> Value:
    """Multiply the rows of each segment; see `segment_sum`."""
    promises = _promises(indices_are_sorted, unique_indices)
    return _segments(
        "segment_prod",
        "multiply",
        reductions.prod,
        1,
        data,
        segment_ids,
        num_segments,
        bucket_size,
        mode,
        promises,
    )


def segment_max(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: Any = None,
) -> Value:
    """Give the greatest of each segment, the least number where it has no rows.

    See `segment_sum`.
    """
    promises = _promises(indices_are_sorted, unique_indices)
    return _segments(
        "segment_max",
        "max",
        reductions.max,
        _extreme(data, -1),
        data,
        segment_ids,
        num_segments,
        bucket_size,
        mode,
        promises,
    )


def segment_min(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: Any = None,
) -> Value:
    """Give the least of each segment, the greatest number where it has no rows.

    See `segment_sum`.
    """
    promises = _promises(indices_are_sorted, unique_indices)
    return _segments(
        "segment_min",
        "min",
        reductions.min,
        _extreme(data, 1),
        data,
        segment_ids,
        num_segments,
        bucket_size,
        mode,
        promises,
    )


def _promises(indices_are_sorted: bool, unique_indices: bool) -> dict[str, bool]:
    return {"indices_are_sorted": indices_are_sorted, "unique_indices": unique_indices}


def _extreme(data: Any, sign: int) -> Any:
    """Give the greatest number of a dtype, or the least."""
    dtype = creation.asarray(data).dtype
    if dtype == dtypes.bool_:
        return sign > 0
    if dtypes.is_integer(dtype):
        info = dtypes.iinfo(dtype)
        return int(info.max if sign > 0 else info.min)
    return sign * math.inf
