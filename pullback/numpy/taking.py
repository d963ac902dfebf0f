"""Picking elements by index arrays, by masks, and finding where elements are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.array import from_host
from pullback.core.at_once import at_once
from pullback.core.origin import called_at
from pullback.core.trace import Tracer, Value
from pullback.errors import ArgumentError, IndexBoundsError
from pullback.numpy import (
    composed,
    creation,
    indexing,
    reductions,
    shaping,
    ufuncs,
    writing,
)
from pullback.numpy.arguments import (
    array_argument,
    describe,
    no_out,
    shape_argument,
    static_array,
    static_int,
    wrong_shape,
)
from pullback.numpy.promotion import convert, promote_arrays
from pullback.primitives import cumulative, structural, table
from pullback.primitives import shaping as pieces
from pullback.primitives.creation import broadcasted_iota, iota
from pullback.primitives.indexing import CLIP, FILL
from pullback.primitives.indexing import take_along_axis as picked
from pullback.primitives.recipes import canonical_axis

_MODES = {None: FILL, "fill": FILL, "clip": CLIP, "wrap": "wrap", "raise": FILL}

# -- reading ---------------------------------------------------------------------------


def take(
    a: Any,
    indices: Any,
    axis: int | None = None,
    out: None = None,
    mode: str | None = None,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    fill_value: Any = None,
) -> Value:
    """Pick members of an axis; out of bounds gives nan, or as `mode` says.

    Modes: "fill" (default, nan or `fill_value`), "clip", "wrap". None raises.
    """
    no_out(out, "take")
    a = array_argument(a, "take")
    if axis is None:
        a, axis = shaping.ravel(a), 0
    axis = canonical_axis(axis, len(a.shape), "take")
    places = creation.asarray(indices)
    if not dtypes.is_integer(places.dtype):
        raise IndexBoundsError(
            f"take was given indices of type {describe(places)}.",
            where=called_at(),
            mend="Give integers; for a boolean mask use compress, or x[mask].",
        )
    n = a.shape[axis]
    if mode not in _MODES and mode != "promise_in_bounds":
        raise ArgumentError(
            f"take was given mode={mode!r}.",
            where=called_at(),
            mend="Use 'fill', 'clip' or 'wrap'.",
        )
    found = at_once(lambda a, i: _take(a, i, axis, mode), a, places, weak=a.weak_type)
    if found is not None:
        return found
    how = _MODES.get(mode, mode)
    if how == "wrap":
        places, how = ufuncs.remainder(places, n), CLIP
    elif how == CLIP:
        places = composed.clip(places, 0, max(n - 1, 0))
    if not places.shape:
        places = structural.reshape(places, (1,))
        item = (*[slice(None)] * axis, places)
        out_value = indexing.getitem(a, item, how, fill_value)
        return shaping.squeeze(out_value, axis)
    return indexing.getitem(
        a,
        (*[slice(None)] * axis, places),
        how,
        fill_value,
        sorted_indices=indices_are_sorted,
        unique_indices=unique_indices,
    )


def _take(a: Any, places: Any, axis: int, mode: str | None) -> Any:
    """Let NumPy take members of an axis; None where a place is outside."""
    try:
        return a.take(places, axis, mode=mode if mode in ("clip", "wrap") else "raise")
    except IndexError:
        return None


def take_along_axis(
    arr: Any,
    indices: Any,
    axis: int | None = -1,
    mode: str | None = None,
    fill_value: Any = None,
) -> Value:
    """Pick elements along an axis by an index array with as many axes."""
    arr = array_argument(arr, "take_along_axis")
    indices = array_argument(indices, "take_along_axis", "indices")
    if not dtypes.is_integer(indices.dtype):
        raise IndexBoundsError(
            f"take_along_axis was given indices of type {describe(indices)}.",
            where=called_at(),
            mend="Give integers.",
        )
    if axis is None:
        arr, axis = shaping.ravel(arr), 0
    rank = len(arr.shape)
    if len(indices.shape) != rank:
        raise wrong_shape(
            "take_along_axis",
            f"was given arr of type {describe(arr)} and indices of type "
            f"{describe(indices)}.",
            "Give as many axes; expand_dims helps.",
        )
    axis = canonical_axis(axis, rank, "take_along_axis")
    common = list(
        shaping.broadcast_shapes(
            [1 if i == axis else n for i, n in enumerate(arr.shape)],
            [1 if i == axis else n for i, n in enumerate(indices.shape)],
        )
    )
    n, m = arr.shape[axis], indices.shape[axis]
    common[axis] = n
    arr = structural.broadcast_to(arr, tuple(common))
    common[axis] = m
    indices = structural.broadcast_to(indices, tuple(common))
    if indices.dtype.kind == "i":
        indices = table.select(table.lt(indices, 0), table.add(indices, n), indices)
    how = _MODES.get(mode, mode)
    return picked(arr, indices, axis, how or FILL, fill_value)


def put_along_axis(
    arr: Any,
    indices: Any,
    values: Any,
    axis: int | None = None,
    inplace: bool = True,
    *,
    mode: str | None = None,
) -> Value:
    """Put values at places along an axis; `inplace` must be False."""
    if inplace:
        raise ArgumentError(
            "put_along_axis was asked to write in place: arrays never change.",
            where=called_at(),
            mend="Pass inplace=False, and use the result.",
        )
    arr = array_argument(arr, "put_along_axis")
    shape = arr.shape
    if axis is None:
        arr, axis = shaping.ravel(arr), 0
    axis = canonical_axis(axis, len(arr.shape), "put_along_axis")
    indices = creation.asarray(indices)
    grid = [
        indices if i == axis else broadcasted_iota(np.int32, indices.shape, i)
        for i in range(len(arr.shape))
    ]
    out = writing.At(arr)[tuple(grid)].set(values, mode=mode)
    return structural.reshape(out, shape)


def put(
    a: Any, ind: Any, v: Any, mode: str | None = None, *, inplace: bool = True
) -> Value:
    """Give the array with values put at flat places; `inplace` must be False.

    Places out of bounds are clipped; mode "wrap" takes them modulo the size.
    """
    if inplace:
        raise ArgumentError(
            "put was asked to write in place: arrays never change.",
            where=called_at(),
            mend="Pass inplace=False, and use the result.",
        )
    a, places = array_argument(a, "put"), shaping.ravel(creation.asarray(ind))
    values = shaping.resize(creation.asarray(v), places.shape)
    flat = shaping.ravel(a)
    if mode == "wrap":
        places, mode = ufuncs.remainder(places, flat.shape[0]), None
    mode = "clip" if mode is None else mode
    out = writing.At(flat)[places].set(values, mode=mode)
    return structural.reshape(out, a.shape)


def choose(a: Any, choices: Any, out: None = None, mode: str = "raise") -> Value:
    """Pick each element from the array that its number in `a` names.

    Mode "raise" needs values of `a`; use "clip" or "wrap" for traced ones.
    """
    no_out(out, "choose")
    a = array_argument(a, "choose")
    options = promote_arrays("choose", *list(choices))
    n = len(options)
    if mode == "raise":
        known = static_array(a, "choose", "a", "to check them (mode='raise')")
        if known.size and not (0 <= known.min() and known.max() < n):
            raise ArgumentError(
                f"choose was given numbers outside 0..{n - 1}.",
                where=called_at(),
                mend="Use mode='clip' or mode='wrap'.",
            )
    elif mode == "wrap":
        a = ufuncs.remainder(a, n)
    elif mode == "clip":
        a = composed.clip(a, 0, n - 1)
    a, *options = shaping.broadcast_arrays(a, *options)
    out_value = options[-1]
    for i in range(n - 2, -1, -1):
        out_value = table.select(table.eq(a, i), options[i], out_value)
    return out_value


def compress(
    condition: Any,
    a: Any,
    axis: int | None = None,
    *,
    size: int | None = None,
    fill_value: Any = 0,
    out: None = None,
) -> Value:
    """Keep members of an axis where a mask is true; `size` allows a traced one."""
    no_out(out, "compress")
    mask = ufuncs.truth(creation.asarray(condition), "compress")
    a = creation.asarray(a)
    if axis is None:
        a, axis = shaping.ravel(a), 0
    axis = canonical_axis(axis, len(a.shape), "compress")
    (places,) = nonzero(mask, size=size, fill_value=a.shape[axis])
    return take(a, places, axis, mode="fill", fill_value=fill_value)


def extract(
    condition: Any, arr: Any, *, size: int | None = None, fill_value: Any = 0
) -> Value:
    """Keep elements where a known mask is true; `size` allows a traced one."""
    return compress(
        shaping.ravel(creation.asarray(condition)),
        arr,
        size=size,
        fill_value=fill_value,
    )


# -- finding ---------------------------------------------------------------------------


def nonzero(a: Any, *, size: int | None = None, fill_value: Any = None) -> Any:
    """Give the indices of elements that are not zero, a tuple with one array an axis.

    With a static `size`, traced arrays work: results are cut off, or filled up with
    `fill_value` (0 by default).
    """
    a = array_argument(a, "nonzero")
    if not a.shape:
        raise wrong_shape("nonzero", "was given a scalar.", "Use atleast_1d first.")
    dtype = dtypes.scalar_dtype(int)
    if size is None:
        known = static_array(
            a, "nonzero", "its argument", "which fix the length of the result"
        )
        return tuple(from_host(i.astype(dtype)) for i in np.nonzero(known))
    size = static_int(size, "nonzero", "size")
    mask = shaping.ravel(ufuncs.truth(a, "nonzero"))
    count = convert(mask, dtype)
    total = reductions.sum(count)
    flat: Any = creation.zeros((size,), dtype)
    if mask.shape[0] and size:
        rank_of = table.sub(cumulative.cumsum(count, 0), 1)
        places = table.select(mask, rank_of, structural.full((), size, dtype))
        flat = flat.at[places].set(iota(dtype, mask.shape[0]), mode="drop")
    found = unravel_index(flat, a.shape)
    fills = (
        fill_value if isinstance(fill_value, tuple) else (fill_value,) * len(a.shape)
    )
    inside = table.lt(iota(dtype, size), total)
    return tuple(
        table.select(inside, i, convert(creation.asarray(0 if f is None else f), dtype))
        for i, f in zip(found, fills)
    )


def flatnonzero(a: Any, *, size: int | None = None, fill_value: Any = None) -> Value:
    """Give the flat places of elements that are not zero."""
    return nonzero(shaping.ravel(a), size=size, fill_value=fill_value)[0]


def argwhere(a: Any, *, size: int | None = None, fill_value: Any = None) -> Value:
    """Give the places of elements that are not zero, one a row."""
    a = array_argument(a, "argwhere")
    found = nonzero(shaping.atleast_1d(a), size=size, fill_value=fill_value)
    out = shaping.stack(found, axis=1)
    return out if a.shape else out[:, :0]


def where(
    condition: Any,
    x: Any = None,
    y: Any = None,
    *,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """Choose from x where the condition holds, else from y; alone, see `nonzero`.

    The derivative reaches the chosen side only; but a nan in the derivative of the
    other side spreads, so give that side a harmless argument.
    """
    if x is None and y is None:
        return nonzero(condition, size=size, fill_value=fill_value)
    if size is not None or fill_value is not None:
        raise ArgumentError(
            "where was given size= or fill_value= beside x and y.",
            where=called_at(),
            mend="They are for the condition alone: leave them out.",
        )
    return composed.where(condition, x, y)


def unravel_index(indices: Any, shape: Any) -> tuple[Value, ...]:
    """Give the coordinates of flat places; out of bounds they are clipped."""
    indices = creation.asarray(indices)
    lengths = shape_argument(shape, "unravel_index")
    total = math.prod(lengths)
    rest = ufuncs.where_negative(indices, total)
    rest = composed.clip(rest, 0, max(total - 1, 0))
    out: list[Value] = []
    for n in reversed(lengths):
        rest, place = ufuncs.divmod(rest, max(n, 1))
        out.append(place)
    return tuple(reversed(out))


def ravel_multi_index(
    multi_index: Sequence[Any], dims: Any, mode: str = "raise", order: str = "C"
) -> Value:
    """Give the flat places of coordinates; mode "raise" needs known values."""
    lengths = shape_argument(dims, "ravel_multi_index")
    places = promote_arrays("ravel_multi_index", *multi_index)
    if len(places) != len(lengths):
        raise wrong_shape(
            "ravel_multi_index",
            f"was given {len(places)} coordinates for the shape {lengths}.",
            "Give one for each axis.",
        )
    if mode == "raise" and not any(isinstance(p, Tracer) for p in places):
        for p, n in zip(places, lengths):
            known = np.asarray(p)
            if known.size and not (0 <= known.min() and known.max() < n):
                raise ArgumentError(
                    f"ravel_multi_index was given a coordinate outside 0..{n - 1}.",
                    where=called_at(),
                    mend="Use mode='clip' or mode='wrap'.",
                )
    elif mode == "raise":
        static_array(
            next(p for p in places if isinstance(p, Tracer)),
            "ravel_multi_index",
            "multi_index",
            "to check them (mode='raise')",
        )
    elif mode == "wrap":
        places = [ufuncs.remainder(p, n) for p, n in zip(places, lengths)]
    else:
        places = [composed.clip(p, 0, n - 1) for p, n in zip(places, lengths)]
    pairs = list(zip(places, lengths))
    total: Any = 0
    for p, n in pairs if order == "C" else reversed(pairs):
        total = ufuncs.add(ufuncs.multiply(total, n), p)
    return total


# -- repeating, inserting, deleting ----------------------------------------------------


def repeat(
    a: Any,
    repeats: Any,
    axis: int | None = None,
    *,
    total_repeat_length: int | None = None,
) -> Value:
    """Repeat each element along an axis, each a static number of times.

    With `total_repeat_length` the numbers may be traced; the last element fills up.
    """
    a = array_argument(a, "repeat")
    if axis is None:
        a, axis = shaping.ravel(a), 0
    axis = canonical_axis(axis, len(a.shape), "repeat")
    if np.ndim(repeats) == 0 and total_repeat_length is None:
        times = static_int(repeats, "repeat", "repeats")
        lengths = list(a.shape)
        spread = [*lengths[: axis + 1], times, *lengths[axis + 1 :]]
        axes = [i for i in range(len(spread)) if i != axis + 1]
        lengths[axis] *= times
        return structural.reshape(structural.broadcast(a, tuple(spread), axes), lengths)
    n = a.shape[axis]
    if total_repeat_length is None:
        counts = static_array(repeats, "repeat", "repeats", "which fix the length")
        places: Any = from_host(
            np.repeat(np.arange(n), counts).astype(dtypes.scalar_dtype(int))
        )
        return take(a, places, axis, mode="clip")
    counts = shaping.broadcast_to(creation.asarray(repeats), (n,))
    ends = cumulative.cumsum(counts, 0)
    wanted = structural.expand_axes(iota(ends.dtype, total_repeat_length), (1,))
    before = reductions.sum(table.le(ends, wanted), 1)
    return take(a, before, axis, mode="clip")


def delete(
    arr: Any, obj: Any, axis: int | None = None, *, assume_unique_indices: bool = False
) -> Value:
    """Leave out members of an axis at static places."""
    arr = array_argument(arr, "delete")
    if axis is None:
        arr, axis = shaping.ravel(arr), 0
    axis = canonical_axis(axis, len(arr.shape), "delete")
    where_to = (
        obj
        if isinstance(obj, slice)
        else static_array(obj, "delete", "obj", "which fix the shape of the result")
    )
    try:
        kept = np.delete(np.arange(arr.shape[axis]), where_to)
    except IndexError as error:
        raise IndexBoundsError(f"delete: {error}.", where=called_at()) from error
    return rearranged(arr, axis, kept)


def rearranged(x: Value, axis: int, places: np.ndarray[Any, Any]) -> Value:
    """Take elements along an axis; in pieces, whose derivatives are pieces again."""
    runs = _runs(places.tolist())
    if len(runs) > MANY_PIECES:
        index = from_host(places.astype(dtypes.scalar_dtype(int)))
        return take(x, index, axis, mode="clip")
    parts = []
    for first, step, count in runs:
        start = min(first, first + step * (count - 1))
        stop = start + (count if step else 1)
        part = pieces.slice_in_dim(x, start, stop, axis)
        if step < 0:
            part = pieces.reverse(part, (axis,))
        shape = tuple(count if i == axis else n for i, n in enumerate(x.shape))
        parts.append(structural.broadcast_to(part, shape))
    return shaping.concatenate(parts, axis)


#: Arrays made of more pieces are gathered element by element.
MANY_PIECES = 16


def _runs(places: list[int]) -> list[tuple[int, int, int]]:
    """Cut places into runs of equal steps of 1, 0 or -1: first place, step, count."""
    found: list[tuple[int, int, int]] = []
    for place in places:
        if found:
            first, step, count = found[-1]
            if count == 1 and abs(place - first) <= 1:
                found[-1] = first, place - first, 2
                continue
            if count > 1 and place == first + step * count:
                found[-1] = first, step, count + 1
                continue
        found.append((place, 1, 1))
    return found


def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Value:
    """Put values before static places of an axis, in the dtype of the array."""
    arr = creation.asarray(arr)
    values = convert(creation.asarray(values), arr.dtype)
    if axis is None:
        arr, axis = shaping.ravel(arr), 0
    axis = canonical_axis(axis, len(arr.shape), "insert")
    n = arr.shape[axis]
    places = (
        np.arange(n)[obj]
        if isinstance(obj, slice)
        else static_array(obj, "insert", "obj", "which fix the shape of the result")
    )
    single = places.ndim == 0
    if single:
        lead = (1,) * (len(arr.shape) - len(values.shape))
        values = structural.reshape(values, (*lead, *values.shape))
        values = shaping.moveaxis(values, 0, axis)
    flat = np.atleast_1d(places)
    flat = np.where(flat < 0, flat + n, flat)
    if flat.size and not (0 <= flat.min() and flat.max() <= n):
        raise IndexBoundsError(
            f"insert was given a place outside 0..{n}.",
            where=called_at(),
            mend=f"Use places from {-n} to {n}.",
        )
    count = values.shape[axis] if single else flat.size
    flat = np.repeat(flat, count) if single else flat
    lengths = list(arr.shape)
    lengths[axis] = count
    values = creation.broadcast_array(values, tuple(lengths), "insert")
    order = np.argsort(np.concatenate([flat - 0.5, np.arange(n)]), kind="stable")
    joined = shaping.concatenate([values, arr], axis)
    places_of = from_host(order.astype(dtypes.scalar_dtype(int)))
    return take(joined, places_of, axis, mode="clip")


# -- choosing among many ---------------------------------------------------------------


def select(
    condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0
) -> Value:
    """Pick each element from the first choice whose condition holds."""
    if len(condlist) != len(choicelist) or not condlist:
        raise ArgumentError(
            f"select was given {len(condlist)} conditions and {len(choicelist)} "
            "choices.",
            where=called_at(),
            mend="Give as many of both, one at least.",
        )
    *choices, out = promote_arrays("select", *choicelist, default)
    for condition, choice in zip(reversed(condlist), reversed(choices)):
        out = composed.where(condition, choice, out)
    return out


def piecewise(
    x: Any, condlist: Any, funclist: Sequence[Any], *args: Any, **kw: Any
) -> Value:
    """Evaluate functions everywhere; the last true condition picks the element."""
    x = array_argument(x, "piecewise")
    conditions = (
        [condlist] if not isinstance(condlist, (list, tuple)) else list(condlist)
    )
    conditions = [ufuncs.truth(creation.asarray(c)) for c in conditions]
    functions = list(funclist)
    if len(functions) == len(conditions):
        functions.append(0)
    if len(functions) != len(conditions) + 1:
        raise ArgumentError(
            f"piecewise was given {len(conditions)} conditions and {len(funclist)} "
            "functions.",
            where=called_at(),
            mend="Give as many functions, and perhaps one more for elsewhere.",
        )
    values = [f(x, *args, **kw) if callable(f) else f for f in functions]
    out = convert(creation.asarray(values[-1]), x.dtype)
    out = structural.broadcast_to(out, x.shape)
    for condition, value in zip(conditions, values):
        out = table.select(condition, convert(creation.asarray(value), x.dtype), out)
    return out


def apply_over_axes(func: Callable[..., Any], a: Any, axes: Any) -> Value:
    """Apply a reduction to axes in turn, keeping them with length one."""
    out = array_argument(a, "apply_over_axes")
    for axis in np.atleast_1d(axes).tolist():
        reduced = func(out, axis)
        same = len(reduced.shape) == len(out.shape)
        out = reduced if same else shaping.expand_dims(reduced, axis)
    return out
