"""The same elements under other shapes: axes moved, arrays joined, cut and repeated."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.array import Operators
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.numpy import creation, ufuncs
from pullback.numpy.arguments import (
    array_argument,
    describe,
    shape_argument,
    static_array,
    static_int,
    wrong_shape,
)
from pullback.numpy.promotion import convert, promote_arrays
from pullback.primitives import shaping, stacking, structural
from pullback.primitives.elementwise import broadcast_shapes as common_shape
from pullback.primitives.recipes import canonical_axes, canonical_axis

# -- one array, other axes -------------------------------------------------------------


def shape(a: Any) -> tuple[int, ...]:
    """Give the shape."""
    return tuple(array_argument(a, "shape").shape)


def ndim(a: Any) -> int:
    """Give the number of dimensions."""
    return len(array_argument(a, "ndim").shape)


def size(a: Any, axis: Any = None) -> int:
    """Give the number of elements, or the length of an axis."""
    lengths = shape(a)
    axes = canonical_axes(axis, len(lengths), "size")
    return math.prod(lengths[i] for i in axes)


def reshape(a: Any, shape: Any, order: str = "C", *, copy: bool | None = None) -> Value:
    """Give the same elements under another shape, one length of which may be -1."""
    a = array_argument(a, "reshape")
    wanted = _whole_shape(a, shape)
    if order == "C":
        return structural.reshape(a, wanted)
    if order != "F":
        raise ArgumentError(
            f"reshape was given order={order!r}.",
            where=called_at(),
            mend="Use 'C', 'F'.",
        )
    flipped = structural.reshape(_turned(a), wanted[::-1])
    return _turned(flipped)


def _turned(x: Value) -> Value:
    """Reverse the order of the axes."""
    return structural.transpose(x, range(len(x.shape))[::-1])


def _whole_shape(a: Value, shape: Any) -> tuple[int, ...]:
    """Give a shape with -1 worked out."""
    given = shape if isinstance(shape, (tuple, list)) else (shape,)
    if len(given) == 1 and isinstance(given[0], (tuple, list)):
        given = given[0]
    lengths = [
        n if type(n) is int else static_int(n, "reshape", "shape") for n in given
    ]
    total, free = math.prod(a.shape), lengths.count(-1)
    known = math.prod([n for n in lengths if n != -1])
    fits = known == total if not free else known and total % known == 0
    if free > 1 or not fits or any([n < -1 for n in lengths]):
        raise wrong_shape(
            "reshape",
            f"cannot give {describe(a)} ({total} elements) the shape {tuple(lengths)}.",
            "Use a shape with as many elements; one length may be -1.",
        )
    return tuple([total // known if n == -1 else n for n in lengths])


def ravel(a: Any, order: str = "C") -> Value:
    """Give all elements as a vector."""
    a = array_argument(a, "ravel")
    if order != "C":
        return reshape(a, (math.prod(a.shape),), order)
    return structural.reshape(a, (math.prod(a.shape),))


def transpose(a: Any, axes: Any = None) -> Value:
    """Permute axes; by default reverse their order."""
    a = array_argument(a, "transpose")
    rank = len(a.shape)
    if axes is None:
        return _turned(a)
    order = [canonical_axis(i, rank, "transpose") for i in axes]
    if sorted(order) != list(range(rank)):
        raise ArgumentError(
            f"transpose was given axes {tuple(axes)} for {describe(a)}.",
            where=called_at(),
            mend=f"Name each of its {rank} axes once.",
        )
    return structural.transpose(a, order)


permute_dims = transpose


def matrix_transpose(x: Any) -> Value:
    """Swap the last two axes."""
    x = array_argument(x, "matrix_transpose")
    if len(x.shape) < 2:
        raise wrong_shape(
            "matrix_transpose", f"takes matrices; got {describe(x)}.", "Reshape it."
        )
    return swapaxes(x, -1, -2)


def swapaxes(a: Any, axis1: int, axis2: int) -> Value:
    """Swap two axes."""
    a = array_argument(a, "swapaxes")
    order = list(range(len(a.shape)))
    i, j = (canonical_axis(n, len(order), "swapaxes") for n in (axis1, axis2))
    order[i], order[j] = order[j], order[i]
    return structural.transpose(a, order)


def moveaxis(a: Any, source: Any, destination: Any) -> Value:
    """Move axes to other places, the others keeping their order."""
    a = array_argument(a, "moveaxis")
    rank = len(a.shape)
    sources, targets = (
        [canonical_axis(i, rank, "moveaxis") for i in np.atleast_1d(v).tolist()]
        for v in (source, destination)
    )
    if len(sources) != len(targets) or len({*sources}) != len({*targets}):
        raise ArgumentError(
            f"moveaxis was given source={source} and destination={destination}.",
            where=called_at(),
            mend="Give as many sources as destinations, each once.",
        )
    order = [i for i in range(rank) if i not in sources]
    for target, origin in sorted(zip(targets, sources)):
        order.insert(target, origin)
    return structural.transpose(a, order)


def rollaxis(a: Any, axis: int, start: int = 0) -> Value:
    """Move an axis before another."""
    a = array_argument(a, "rollaxis")
    rank = len(a.shape)
    axis = canonical_axis(axis, rank, "rollaxis")
    start = start if start == rank else canonical_axis(start, rank, "rollaxis")
    return moveaxis(a, axis, start - (start > axis))


def expand_dims(a: Any, axis: Any) -> Value:
    """Insert axes of length one at places of the result."""
    a = array_argument(a, "expand_dims")
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    return structural.expand_axes(
        a, canonical_axes(tuple(given), len(a.shape) + len(given), "expand_dims")
    )


def squeeze(a: Any, axis: Any = None) -> Value:
    """Drop axes of length one: all, or those named."""
    a = array_argument(a, "squeeze")
    if axis is None:
        return structural.reshape(a, [n for n in a.shape if n != 1])
    return shaping.squeeze(a, canonical_axes(axis, len(a.shape), "squeeze"))


def _at_least(who: str, rank: int, place: Callable[[int], Sequence[int]]) -> Any:
    """Make one of the functions that give arrays a least number of axes."""

    def function(*arys: Any) -> Any:
        out = []
        for x in arys:
            x = array_argument(x, who)
            have = len(x.shape)
            out.append(x if have >= rank else structural.expand_axes(x, place(have)))
        return out[0] if len(out) == 1 else out

    doc = f"Give arrays at least {rank} axes; one array, or a list of them."
    return ufuncs.named(function, who, doc)


atleast_1d = _at_least("atleast_1d", 1, lambda rank: [0])
atleast_2d = _at_least("atleast_2d", 2, lambda rank: [0, 1][: 2 - rank])
atleast_3d = _at_least(
    "atleast_3d", 3, lambda rank: {0: [0, 1, 2], 1: [0, 2], 2: [2]}[rank]
)


def broadcast_to(array: Any, shape: Any) -> Value:
    """Repeat an array to a shape by the broadcasting rules."""
    array = array_argument(array, "broadcast_to")
    wanted = shape_argument(shape, "broadcast_to")
    return creation.broadcast_array(array, wanted, "broadcast_to")


def broadcast_arrays(*args: Any) -> list[Value]:
    """Repeat arrays to their common shape."""
    arrays = [array_argument(x, "broadcast_arrays") for x in args]
    common = common_shape([x.shape for x in arrays] or [()], "broadcast_arrays")
    return [structural.broadcast_to(x, common) for x in arrays]


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """Give the common shape of shapes."""
    return common_shape(
        [shape_argument(s, "broadcast_shapes") for s in shapes] or [()],
        "broadcast_shapes",
    )


# -- several arrays --------------------------------------------------------------------


def _sequence(arrays: Any, who: str) -> list[Value]:
    """Bring the members of a sequence, or the rows of an array, to one dtype.

    Raises:
        ArgumentError: nothing was given.
    """
    if isinstance(arrays, Operators):
        return stacking.unstack(arrays, 0) if arrays.shape else []  # type: ignore[attr-defined]
    items = [creation.asarray(x) for x in arrays]
    if not items:
        raise ArgumentError(
            f"{who} was given no arrays.", where=called_at(), mend="Give at least one."
        )
    return promote_arrays(who, *items)


def concatenate(arrays: Any, axis: int | None = 0, dtype: Any = None) -> Value:
    """Join arrays along an axis they have; None ravels them first."""
    items = _sequence(arrays, "concatenate")
    if dtype is not None:
        items = [convert(x, dtypes.canonical(dtype)) for x in items]
    if axis is None:
        items, axis = [ravel(x) for x in items], 0
    if any([not x.shape for x in items]):
        raise wrong_shape(
            "concatenate", "was given a scalar.", "Use stack, or atleast_1d first."
        )
    first = items[0].shape
    axis = canonical_axis(axis, len(first), "concatenate")
    before, after = first[:axis], first[axis + 1 :]
    for i, x in enumerate(items):
        shape = x.shape
        same = shape[:axis] == before and shape[axis + 1 :] == after
        if len(shape) != len(first) or not same:
            raise wrong_shape(
                "concatenate",
                f"was given {describe(items[0])} and, as array {i}, {describe(x)}, "
                f"which differ in more than axis {axis}.",
                "Make all other axes equal.",
            )
    return shaping.concatenate(items, axis)


concat = concatenate


def stack(arrays: Any, axis: int = 0, dtype: Any = None) -> Value:
    """Join arrays of one shape along a new axis."""
    items = _sequence(arrays, "stack")
    if len({x.shape for x in items}) > 1:
        raise wrong_shape(
            "stack",
            f"was given arrays of different shapes: {', '.join(map(describe, items))}.",
            "Make all shapes equal.",
        )
    axis = canonical_axis(axis, len(items[0].shape) + 1, "stack")
    out = stacking.stack(items, axis)
    return out if dtype is None else convert(out, dtypes.canonical(dtype))


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Value, ...]:
    """Give the members of an array along an axis."""
    x = array_argument(x, "unstack")
    return tuple(stacking.unstack(x, canonical_axis(axis, len(x.shape), "unstack")))


def vstack(tup: Any, dtype: Any = None) -> Value:
    """Join arrays along the first axis; vectors are rows."""
    return concatenate([atleast_2d(x) for x in _sequence(tup, "vstack")], 0, dtype)


def hstack(tup: Any, dtype: Any = None) -> Value:
    """Join arrays along the second axis; vectors along their only one."""
    items = [atleast_1d(x) for x in _sequence(tup, "hstack")]
    return concatenate(items, 0 if len(items[0].shape) == 1 else 1, dtype)


def dstack(tup: Any, dtype: Any = None) -> Value:
    """Join arrays along the third axis."""
    return concatenate([atleast_3d(x) for x in _sequence(tup, "dstack")], 2, dtype)


def column_stack(tup: Any) -> Value:
    """Join vectors as columns, and matrices along their second axis."""
    items = [atleast_1d(x) for x in _sequence(tup, "column_stack")]
    columns = [
        x if len(x.shape) > 1 else structural.expand_axes(x, (1,)) for x in items
    ]
    return concatenate(columns, 1)


def block(arrays: Any) -> Value:
    """Join nested lists of blocks: the innermost along the last axis."""

    def depth(x: Any) -> int:
        return 1 + max(map(depth, x)) if isinstance(x, list) else 0

    def join(x: Any, axis: int) -> Value:
        if not isinstance(x, list):
            return padded_rank(creation.asarray(x))
        return concatenate([join(item, axis + 1) for item in x], axis)

    def leaves(x: Any) -> list[Any]:
        return [y for item in x for y in leaves(item)] if isinstance(x, list) else [x]

    levels = depth(arrays)
    rank = max([levels, *(len(creation.asarray(x).shape) for x in leaves(arrays))])

    def padded_rank(x: Value) -> Value:
        return structural.reshape(x, (1,) * (rank - len(x.shape)) + tuple(x.shape))

    return join(arrays, -levels)


def append(arr: Any, values: Any, axis: int | None = None) -> Value:
    """Join values to an array, along an axis or both ravelled."""
    return concatenate([creation.asarray(arr), creation.asarray(values)], axis)


# -- pieces ----------------------------------------------------------------------------


def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Value]:
    """Cut an axis at static places, or into nearly equal pieces."""
    ary = array_argument(ary, "array_split")
    axis = canonical_axis(axis, len(ary.shape), "array_split")
    n = ary.shape[axis]
    given = indices_or_sections
    if np.ndim(given) == 0:
        parts = static_int(given, "array_split", "indices_or_sections")
        if parts <= 0:
            raise ArgumentError(
                f"array_split was asked for {parts} pieces.",
                where=called_at(),
                mend="Ask for one or more.",
            )
        lengths = [n // parts + (i < n % parts) for i in range(parts)]
        bounds = [0, *np.cumsum(lengths).tolist()]
    else:
        places = static_array(given, "array_split", "the places", "to know the shapes")
        bounds = [0, *(slice(None, i).indices(n)[1] for i in places.tolist()), n]
    if bounds == sorted(bounds):
        return shaping.split(ary, np.diff(bounds).tolist(), axis)
    pairs = [(i, max(i, j)) for i, j in itertools.pairwise(bounds)]
    return [shaping.slice_in_dim(ary, i, j, axis) for i, j in pairs]


def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Value]:
    """Cut an axis at static places, or into equal pieces."""
    ary = array_argument(ary, "split")
    if np.ndim(indices_or_sections) == 0:
        n = ary.shape[canonical_axis(axis, len(ary.shape), "split")]
        parts = static_int(indices_or_sections, "split", "indices_or_sections")
        if parts <= 0 or n % parts:
            raise wrong_shape(
                "split",
                f"cannot cut axis {axis} of {describe(ary)} into {parts} equal pieces.",
                "Use array_split, or the places at which to cut.",
            )
    return array_split(ary, indices_or_sections, axis)


def hsplit(ary: Any, indices_or_sections: Any) -> list[Value]:
    """Cut the second axis, or the only one."""
    return split(ary, indices_or_sections, 0 if ndim(ary) == 1 else 1)


def vsplit(ary: Any, indices_or_sections: Any) -> list[Value]:
    """Cut the first axis."""
    return split(ary, indices_or_sections, 0)


def dsplit(ary: Any, indices_or_sections: Any) -> list[Value]:
    """Cut the third axis."""
    return split(ary, indices_or_sections, 2)


# -- repetition and order --------------------------------------------------------------


def tile(A: Any, reps: Any) -> Value:
    """Repeat an array as a whole along its axes."""
    A = array_argument(A, "tile")
    times = shape_argument(reps, "tile")
    rank = max(len(times), len(A.shape))
    times = (1,) * (rank - len(times)) + times
    lengths = (1,) * (rank - len(A.shape)) + tuple(A.shape)
    spread = [n for pair in zip(times, lengths) for n in pair]
    axes = range(1, 2 * rank, 2)
    out = structural.broadcast(structural.reshape(A, lengths), tuple(spread), axes)
    return structural.reshape(out, [m * n for m, n in zip(times, lengths)])


def roll(a: Any, shift: Any, axis: Any = None) -> Value:
    """Shift elements along axes cyclically, by static numbers of places."""
    a = array_argument(a, "roll")
    if axis is None:
        flat = roll(ravel(a), shift, 0)
        return structural.reshape(flat, a.shape)
    shifts, axes = np.broadcast_arrays(
        static_array(shift, "roll", "shift", "to cut there"), np.asarray(axis)
    )
    for by, i in zip(np.atleast_1d(shifts).tolist(), np.atleast_1d(axes).tolist()):
        i = canonical_axis(i, len(a.shape), "roll")
        n = a.shape[i]
        cut = -by % n if n else 0
        if cut:
            before, after = shaping.split(a, (cut, n - cut), i)
            a = shaping.concatenate([after, before], i)
    return a


def flip(m: Any, axis: Any = None) -> Value:
    """Reverse the order along axes; along all by default."""
    m = array_argument(m, "flip")
    return shaping.reverse(m, canonical_axes(axis, len(m.shape), "flip"))


def fliplr(m: Any) -> Value:
    """Reverse the second axis."""
    return flip(m, 1)


def flipud(m: Any) -> Value:
    """Reverse the first axis."""
    return flip(m, 0)


def rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Value:
    """Turn by quarter turns in the plane of two axes."""
    m = array_argument(m, "rot90")
    i, j = (canonical_axis(a, len(m.shape), "rot90") for a in axes)
    if i == j:
        raise ArgumentError(
            f"rot90 was given axes={axes}.", where=called_at(), mend="Give two axes."
        )
    turns = k % 4
    if turns == 2:
        return flip(m, (i, j))
    if turns == 1:
        return swapaxes(flip(m, j), i, j)
    return flip(swapaxes(m, i, j), j) if turns == 3 else m


def resize(a: Any, new_shape: Any) -> Value:
    """Give an array of another shape, its elements repeated in order or cut off."""
    flat, wanted = ravel(a), shape_argument(new_shape, "resize")
    n, total = flat.shape[0], math.prod(wanted)
    if not n or not total:
        return creation.zeros(wanted, flat.dtype)
    copies = shaping.concatenate([flat] * -(-total // n), 0)
    return structural.reshape(shaping.slice_in_dim(copies, 0, total, 0), wanted)


def trim_zeros(filt: Any, trim: str = "fb") -> Value:
    """Cut off the zeros at the ends of a vector whose values are known."""
    values = static_array(filt, "trim_zeros", "filt", "which fix the result's length")
    kept = np.nonzero(values)[0]
    start, stop = (int(kept[0]), int(kept[-1]) + 1) if len(kept) else (0, 0)
    x = creation.asarray(filt)
    start = start if "f" in trim.lower() else 0
    return shaping.slice_in_dim(
        x, start, stop if "b" in trim.lower() or not len(kept) else x.shape[0], 0
    )
