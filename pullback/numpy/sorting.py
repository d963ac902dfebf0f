"""Sorting, searching in sorted arrays, and sets of elements."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pullback import dtypes
from pullback.core.array import from_host
from pullback.core.at_once import at_once
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.numpy import composed, creation, shaping, taking, ufuncs
from pullback.numpy.arguments import (
    array_argument,
    describe,
    static_array,
    static_int,
    wrong_shape,
)
from pullback.numpy.promotion import convert, promote_arrays
from pullback.primitives import cumulative, sorting, structural, table
from pullback.primitives import shaping as pieces
from pullback.primitives.creation import iota
from pullback.primitives.recipes import canonical_axis


def _along(a: Any, axis: int | None, who: str) -> tuple[Value, int]:
    """Give an array with axes and one of them; None ravels."""
    a = array_argument(a, who)
    if axis is None:
        return shaping.ravel(a), 0
    return a, canonical_axis(axis, len(a.shape), who)


# -- order -----------------------------------------------------------------------------


def sort(
    a: Any,
    axis: int | None = -1,
    *,
    kind: None = None,
    order: None = None,
    stable: bool = True,
    descending: bool = False,
) -> Value:
    """Sort along an axis, nan last; stable by default."""
    a, along = _along(a, axis, "sort")
    if not descending:
        return sorting.sort([a], along, 1, stable)[0]
    turned = pieces.reverse(a, (along,))
    return pieces.reverse(sorting.sort([turned], along, 1, stable)[0], (along,))


def argsort(
    a: Any,
    axis: int | None = -1,
    *,
    kind: None = None,
    order: None = None,
    stable: bool = True,
    descending: bool = False,
) -> Value:
    """Give the places that sort an axis; stable by default."""
    a, along = _along(a, axis, "argsort")
    dtype = dtypes.scalar_dtype(int)
    if not descending:
        return sorting.argsort(a, along, stable, dtype)
    turned = sorting.argsort(pieces.reverse(a, (along,)), along, stable, dtype)
    return pieces.reverse(table.sub(a.shape[along] - 1, turned), (along,))


def lexsort(keys: Any, axis: int = -1) -> Value:
    """Give the places that sort by the last key, then by the one before, and so on."""
    given = promote_keys(keys)
    along = canonical_axis(axis, len(given[0].shape), "lexsort")
    dtype = dtypes.scalar_dtype(int)
    shape = given[0].shape
    places = structural.broadcast(iota(dtype, shape[along]), shape, (along,))
    operands = [*reversed(given), places]
    return sorting.sort(operands, along, len(given), True)[-1]


def promote_keys(keys: Any) -> list[Value]:
    """Give the sort keys as arrays of one shape.

    Raises:
        ArgumentError: there are none.
    """
    given = [creation.asarray(k) for k in keys]
    if not given:
        raise ArgumentError(
            "lexsort was given no keys.", where=called_at(), mend="Give one or more."
        )
    return [shaping.atleast_1d(k) for k in given]


def partition(a: Any, kth: Any, axis: int = -1) -> Value:
    """Give the array sorted along an axis, which is a partition at any place."""
    a, along = _along(a, axis, "partition")
    canonical_axis(static_int(kth, "partition", "kth"), a.shape[along], "partition")
    return sort(a, along)


def argpartition(a: Any, kth: Any, axis: int = -1) -> Value:
    """Give the places that sort an axis, which is a partition at any place."""
    a, along = _along(a, axis, "argpartition")
    canonical_axis(static_int(kth, "argpartition", "kth"), a.shape[along], "partition")
    return argsort(a, along)


# -- search ----------------------------------------------------------------------------


def searchsorted(
    a: Any,
    v: Any,
    side: str = "left",
    sorter: Any = None,
    *,
    method: str = "compare_all",
) -> Value:
    """Give where elements belong in a sorted vector, by bisection."""
    if side not in ("left", "right"):
        raise ArgumentError(
            f"searchsorted was given side={side!r}.",
            where=called_at(),
            mend="Use 'left' or 'right'.",
        )
    a, v = promote_arrays("searchsorted", a, v)
    if len(a.shape) != 1:
        raise wrong_shape(
            "searchsorted",
            f"takes a vector a; got {describe(a)}.",
            "Sort and ravel it.",
        )
    if sorter is not None:
        a = taking.take(a, sorter, mode="clip")
    dtype = dtypes.scalar_dtype(int)
    found = at_once(
        lambda a, v: a.searchsorted(v, side).astype(dtype), a, v, weak=False
    )
    if found is not None:
        return found
    places = structural.full(v.shape, 0, dtype)
    rest = a.shape[0]
    goes_before = _before_left if side == "left" else _before_right

    def passed(offset: int, by: int) -> Value:
        """Where the element at an offset belongs before that of v, a number, else 0."""
        at = taking.take(a, table.add(places, offset), mode="promise_in_bounds")
        return table.select(goes_before(at, v), by, structural.full(v.shape, 0, dtype))

    # What is looked for stands among the `rest` elements from `places` on, or after.
    while rest > 1:
        half = rest // 2
        places = table.add(places, passed(half - 1, half))
        rest -= half
    return table.add(places, passed(0, 1)) if rest else places


def _before_left(at: Value, v: Value) -> Value:
    """Whether `at` belongs before v, and not beside it; nan comes last."""
    return table.or_(
        ufuncs.less(at, v),
        table.and_(composed.isnan(v), table.not_(composed.isnan(at))),
    )


def _before_right(at: Value, v: Value) -> Value:
    """Whether `at` belongs before v or beside it; nan comes last."""
    return table.or_(ufuncs.less_equal(at, v), composed.isnan(v))


def digitize(x: Any, bins: Any, right: bool = False) -> Value:
    """Give the numbers of the bins that elements fall into."""
    x, bins = array_argument(x, "digitize"), array_argument(bins, "digitize", "bins")
    if len(bins.shape) != 1:
        raise wrong_shape(
            "digitize", f"takes a vector of bins; got {describe(bins)}.", "Ravel it."
        )
    n = bins.shape[0]
    if not n:
        return structural.full(x.shape, 0, dtypes.scalar_dtype(int))
    up = searchsorted(bins, x, "left" if right else "right")
    turned = pieces.reverse(bins, (0,))
    # Decreasing bins: count from the other end.
    down = table.sub(n, searchsorted(turned, x, "right" if right else "left"))
    last = taking.take(bins, n - 1, mode="clip")
    first = taking.take(bins, 0, mode="clip")
    return composed.where(ufuncs.greater_equal(last, first), up, down)


def bincount(
    x: Any, weights: Any = None, minlength: int = 0, *, length: int | None = None
) -> Value:
    """Count how often each integer occurs; a static `length` allows traced x."""
    x = array_argument(x, "bincount")
    if len(x.shape) != 1 or not (dtypes.is_integer(x.dtype) or ufuncs.is_boolean(x)):
        raise wrong_shape(
            "bincount", f"takes a vector of integers; got {describe(x)}.", "Convert it."
        )
    x = convert(x, dtypes.scalar_dtype(int)) if ufuncs.is_boolean(x) else x
    if length is None:
        known = static_array(x, "bincount", "x", "which fix the length of the result")
        if known.size and known.min() < 0:
            raise ArgumentError(
                "bincount was given negative numbers.",
                where=called_at(),
                mend="Shift them.",
            )
        length = max(minlength, int(known.max()) + 1 if known.size else 0)
    unit: Any = weights
    if weights is None:
        unit = structural.full((), 1, dtypes.scalar_dtype(int))
    unit = creation.asarray(unit)
    start = structural.full((length,), ufuncs.scalar_like(unit, 0), unit.dtype)
    places = x if x.dtype.kind == "u" else table.max(x, 0)
    return start.at[places].add(unit)


# -- sets ------------------------------------------------------------------------------


class UniqueAll(NamedTuple):
    """The distinct elements, where they are first, how to rebuild, how often."""

    values: Value
    indices: Value
    inverse_indices: Value
    counts: Value


class UniqueCounts(NamedTuple):
    """The distinct elements and how often each occurs."""

    values: Value
    counts: Value


class UniqueInverse(NamedTuple):
    """The distinct elements and how to rebuild the array of them."""

    values: Value
    inverse_indices: Value


def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
    size: int | None = None,
    fill_value: Any = None,
    sorted: bool = True,
) -> Any:
    """Give the distinct elements, sorted; a static `size` allows traced arrays.

    With `size`, results are cut off, or filled with `fill_value` (the least element).
    """
    ar = array_argument(ar, "unique")
    wanted = return_index, return_inverse, return_counts
    if size is not None:
        if axis is not None:
            raise ArgumentError(
                "unique was given both size= and axis=.",
                where=called_at(),
                mend="Ravel the array, or leave out size.",
            )
        return _unique_of_size(ar, wanted, size, fill_value, equal_nan)
    known = static_array(ar, "unique", "ar", "which fix the length of the result")
    find: Any = np.unique
    found = find(
        known, return_index, return_inverse, return_counts, axis, equal_nan=equal_nan
    )
    if not any(wanted):
        return from_host(found)
    dtype = dtypes.scalar_dtype(int)
    return (from_host(found[0]), *(from_host(i.astype(dtype)) for i in found[1:]))


def _unique_of_size(
    ar: Value, wanted: tuple[bool, bool, bool], size: int, fill: Any, equal_nan: bool
) -> Any:
    """Find distinct elements of a traced array."""
    x = shaping.ravel(ar)
    n = x.shape[0]
    if not n:
        none = creation.zeros(size, dtypes.scalar_dtype(int))
        values = creation.full(size, fill or 0, x.dtype)
        extras = (none, creation.zeros(ar.shape, none.dtype), none)
        found = [values, *(e for e, w in zip(extras, wanted) if w)]
        return tuple(found) if len(found) > 1 else values
    order = argsort(x)
    ordered = taking.take(x, order, mode="clip")
    fresh = _fresh(ordered, equal_nan)
    (starts,) = taking.nonzero(fresh, size=size, fill_value=n)
    used = table.lt(starts, n)
    values = taking.take(ordered, starts, mode="clip")
    rest: Any = x.min() if fill is None else creation.asarray(fill)
    out: list[Any] = [table.select(used, values, convert(rest, x.dtype))]
    if wanted[0]:
        out.append(taking.take(order, starts, mode="clip"))
    if wanted[1]:
        rank = table.sub(cumulative.cumsum(convert(fresh, order.dtype), 0), 1)
        inverse = creation.zeros_like(order).at[order].set(rank)
        out.append(structural.reshape(inverse, ar.shape))
    if wanted[2]:
        ends = shaping.append(starts[1:], creation.array([n], starts.dtype))
        out.append(table.sub(ends, starts))
    return tuple(out) if len(out) > 1 else out[0]


def _fresh(ordered: Value, equal_nan: bool = True) -> Value:
    """Give which of sorted elements differ from the one before."""
    fresh = table.ne(ordered[1:], ordered[:-1])
    if equal_nan:
        nans = composed.isnan(ordered)
        fresh = table.and_(fresh, table.not_(table.and_(nans[1:], nans[:-1])))
    return shaping.concatenate([creation.ones(min(ordered.shape[0], 1), bool), fresh])


def unique_values(
    x: Any, /, *, size: int | None = None, fill_value: Any = None
) -> Value:
    """Give the distinct elements."""
    return unique(x, size=size, fill_value=fill_value)


def unique_counts(x: Any, /, **options: Any) -> UniqueCounts:
    """Give the distinct elements and how often each occurs."""
    return UniqueCounts(*unique(x, return_counts=True, **options))


def unique_inverse(x: Any, /, **options: Any) -> UniqueInverse:
    """Give the distinct elements and how to rebuild the array of them."""
    return UniqueInverse(*unique(x, return_inverse=True, **options))


def unique_all(x: Any, /, **options: Any) -> UniqueAll:
    """Give all that `unique` can give."""
    return UniqueAll(*unique(x, True, True, True, **options))


def isin(
    element: Any,
    test_elements: Any,
    assume_unique: bool = False,
    invert: bool = False,
    *,
    method: str = "auto",
) -> Value:
    """Give which elements are among others; nan equals nothing."""
    x, among = promote_arrays(
        "isin", creation.asarray(element), creation.asarray(test_elements)
    )
    among = sort(among, None)
    n = among.shape[0]
    if n:
        place = composed.clip(searchsorted(among, x), 0, n - 1)
        found = table.eq(taking.take(among, place, mode="clip"), x)
    else:
        found = structural.full(x.shape, False, dtypes.bool_)
    return table.not_(found) if invert else found


in1d = isin


def _known_pair(ar1: Any, ar2: Any, who: str) -> list[Any]:
    """Give two arrays of one dtype whose values fix the shape of a result."""
    pair = promote_arrays(who, creation.asarray(ar1), creation.asarray(ar2))
    return [
        static_array(x, who, "its arguments", "which fix the length of the result")
        for x in pair
    ]


def union1d(
    ar1: Any, ar2: Any, *, size: int | None = None, fill_value: Any = None
) -> Value:
    """Give the distinct elements of both; a static `size` allows traced arrays.

    With `size`, they are cut off, or filled with `fill_value` (the least).
    """
    if size is not None:
        both = shaping.concatenate([creation.asarray(ar1), creation.asarray(ar2)], None)
        return unique(both, size=size, fill_value=fill_value)
    return from_host(np.union1d(*_known_pair(ar1, ar2, "union1d")))


def intersect1d(
    ar1: Any,
    ar2: Any,
    assume_unique: bool = False,
    return_indices: bool = False,
    *,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """Give the distinct elements that are in both; a static `size` allows traced ones.

    With `size`, they are cut off, or filled with `fill_value` (the first found), the
    indices with the lengths of the arrays.
    """
    if size is None:
        pair = _known_pair(ar1, ar2, "intersect1d")
        find: Any = np.intersect1d
        found = find(*pair, assume_unique, return_indices)
        if not return_indices:
            return from_host(found)
        dtype = dtypes.scalar_dtype(int)
        return (from_host(found[0]), *(from_host(i.astype(dtype)) for i in found[1:]))
    x, y = _flat_pair(ar1, ar2, "intersect1d")
    order, ordered = _in_order(x)
    keep = table.and_(_fresh(ordered), isin(ordered, y))
    (places,) = taking.nonzero(keep, size=size, fill_value=x.shape[0])
    values = _first_kept(ordered, places, fill_value)
    if not return_indices:
        return values
    used = table.lt(places, x.shape[0])
    first = composed.where(used, taking.take(order, places, mode="clip"), x.shape[0])
    order, ordered = _in_order(y)
    found = taking.take(order, searchsorted(ordered, values), mode="clip")
    return values, first, composed.where(used, found, y.shape[0])


def _flat_pair(ar1: Any, ar2: Any, who: str) -> list[Value]:
    """Give two vectors of one dtype."""
    pair = promote_arrays(who, creation.asarray(ar1), creation.asarray(ar2))
    return [shaping.ravel(x) for x in pair]


def _in_order(x: Value) -> tuple[Value, Value]:
    """Give the order of a vector's elements, and these in order."""
    order = argsort(x)
    return order, taking.take(x, order, mode="clip")


def _first_kept(x: Value, places: Value, fill: Any) -> Value:
    """Give elements; `fill`, or the first of them, where a place is beyond the end."""
    if not x.shape[0]:
        return creation.full(places.shape, fill or 0, x.dtype)
    used = table.lt(places, x.shape[0])
    values = taking.take(x, places, mode="clip")
    if fill is None:
        zero = structural.full((), ufuncs.scalar_like(x, 0), x.dtype)
        fill = table.select(used[:1], values[:1], zero) if places.shape[0] else zero
    return table.select(used, values, convert(creation.asarray(fill), x.dtype))


def setdiff1d(
    ar1: Any,
    ar2: Any,
    assume_unique: bool = False,
    *,
    size: int | None = None,
    fill_value: Any = None,
) -> Value:
    """Give the distinct elements of the first that are not in the second.

    A static `size` allows traced arrays: they are cut off, or filled with `fill_value`
    (0).
    """
    if size is None:
        pair = _known_pair(ar1, ar2, "setdiff1d")
        find: Any = np.setdiff1d
        return from_host(find(*pair, assume_unique).astype(creation.asarray(ar1).dtype))
    x, y = _flat_pair(ar1, ar2, "setdiff1d")
    x = x if assume_unique else sort(x)
    keep = isin(x, y, invert=True)
    keep = keep if assume_unique else table.and_(keep, _fresh(x))
    (places,) = taking.nonzero(keep, size=size, fill_value=x.shape[0])
    fill = 0 if fill_value is None else fill_value
    return convert(_first_kept(x, places, fill), creation.asarray(ar1).dtype)


def setxor1d(
    ar1: Any,
    ar2: Any,
    assume_unique: bool = False,
    *,
    size: int | None = None,
    fill_value: Any = None,
) -> Value:
    """Give the distinct elements that are in one of both only.

    A static `size` allows traced arrays: they are cut off, or filled with `fill_value`
    (the first found).
    """
    if size is None:
        find: Any = np.setxor1d
        return from_host(find(*_known_pair(ar1, ar2, "setxor1d"), assume_unique))
    x, y = (sort(v) for v in _flat_pair(ar1, ar2, "setxor1d"))
    alone = [
        table.and_(_fresh(one), isin(one, other, invert=True))
        for one, other in ((x, y), (y, x))
    ]
    both, keep = shaping.concatenate([x, y]), shaping.concatenate(alone)
    order = lexsort((both, table.not_(keep)))
    both, keep = (taking.take(v, order, mode="clip") for v in (both, keep))
    (places,) = taking.nonzero(keep, size=size, fill_value=both.shape[0])
    return _first_kept(both, places, fill_value)


def sort_complex(a: Any) -> Value:
    """Sort along the last axis, as complex numbers."""
    out = sort(array_argument(a, "sort_complex"))
    return convert(out, dtypes.complex_dtype(out.dtype))
