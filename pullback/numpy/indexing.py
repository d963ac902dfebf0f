"""Indexing: what `x[...]` reads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.array import Array, from_host
from pullback.core.at_once import at_once
from pullback.core.frozen import frozen
from pullback.core.origin import called_at
from pullback.core.trace import Tracer, Value, current_trace
from pullback.errors import ArgumentError, IndexBoundsError
from pullback.numpy import creation, shaping
from pullback.numpy.arguments import (
    array_argument,
    describe,
    static_array,
    wrong_dtype,
    wrong_shape,
)
from pullback.numpy.promotion import convert
from pullback.primitives import structural, table
from pullback.primitives.indexing import (
    CLIP,
    canonical_mode,
    element_numbers,
    gather,
)
from pullback.primitives.shaping import concatenate, reverse, slice_in_dim
from pullback.primitives.slicing import dynamic_slice
from pullback.primitives.stacking import member, pick

Shape = tuple[int, ...]


@frozen
class Cut:
    """A slice of an axis: `length` elements from `start`, each `step`-th."""

    start: int
    length: int
    step: int


#: For each axis of an operand: a slice of it, a static integer, or an integer array.
Entry = Any


@frozen
class Plan:
    """An index, told apart by axes.

    Args:
        entries: what indexes each axis of the operand.
        batch: the common shape of the index arrays.
        layout: the axes of the result: an axis number for a slice, -1 for the batch
            axes together, None for a new axis.
    """

    entries: tuple[Entry, ...]
    batch: Shape
    layout: tuple[int | None, ...]

    @property
    def arrays(self) -> list[tuple[int, Any]]:
        """The axes indexed by arrays or traced integers, with these."""
        return [
            (i, e) for i, e in enumerate(self.entries) if not isinstance(e, (Cut, int))
        ]

    def result_shape(self) -> Shape:
        """Give the shape of what the index reads."""
        out: list[int] = []
        for place in self.layout:
            if place is None:
                out.append(1)
            elif place < 0:
                out.extend(self.batch)
            else:
                out.append(self.entries[place].length)
        return tuple(out)


# -- from an index to a plan -----------------------------------------------------------


def plan_index(shape: Shape, index: Any, mode: Any = None) -> Plan:
    """Work out what an index means for an operand of `shape`.

    A `mode` says what becomes of a static integer out of bounds, as of a traced one.

    Raises:
        IndexBoundsError: too many indices, a boolean array of another shape than the
            axes it indexes, or a static integer out of bounds and no mode.
    """
    items = _expanded(shape, index if isinstance(index, tuple) else (index,))
    entries: list[Entry] = []
    layout: list[int | None] = []
    advanced: list[int] = []
    for place, item in enumerate(items):
        axis = len(entries)
        if item is None:
            layout.append(None)
        elif isinstance(item, slice):
            entries.append(_cut(item, shape[axis], axis))
            layout.append(axis)
        else:
            if isinstance(item, int):
                n = shape[axis]
                refused = mode is None and not current_trace().notes_indices
                if -n <= item < n or refused:
                    item = _inside(item, shape, axis)
                else:
                    item = structural.full((), item, dtypes.int32)
            entries.append(item)
            advanced.append(place)
            layout.append(-1)
    batch = _batch_shape([e for e in entries if not isinstance(e, (Cut, int))])
    return Plan(tuple(entries), batch, _placed(layout, advanced, entries))


def _placed(
    layout: list[int | None], advanced: list[int], entries: list[Entry]
) -> tuple[int | None, ...]:
    """Put the batch axes where NumPy does: in place if the arrays stand together."""
    if not advanced:
        return tuple(layout)
    rest = [p for p in layout if p != -1]
    if all(isinstance(e, (Cut, int)) for e in entries):
        return tuple(rest)
    together = advanced == list(range(advanced[0], advanced[-1] + 1))
    rest.insert(advanced[0] if together else 0, -1)
    return tuple(rest)


def _expanded(shape: Shape, items: tuple[Any, ...]) -> list[Any]:
    """Check the items of an index, write out the ellipsis and boolean arrays."""
    out: list[Any] = []
    masks: list[tuple[int, Shape]] = []
    dots = None
    for item in items:
        if item is Ellipsis:
            if dots is not None:
                raise IndexBoundsError(
                    "an index was given two ellipses.",
                    where=called_at(),
                    mend="Use one `...` at most.",
                )
            dots = len(out)
        elif item is None or isinstance(item, slice):
            out.append(item)
        elif isinstance(item, (bool, np.bool_)):
            raise _truth_value(item)
        elif isinstance(item, (int, np.integer)):
            out.append(int(item))
        else:
            found, mask = _array_item(item)
            if mask is not None:
                masks.append((len(out), mask))
            out.extend(found)
    used = sum(item is not None for item in out)
    if used > len(shape):
        raise IndexBoundsError(
            f"an array of shape {shape} was given {used} indices.",
            where=called_at(),
            mend=f"Give {len(shape)} at most.",
        )
    fill = [slice(None)] * (len(shape) - used)
    at = len(out) if dots is None else dots
    for place, mask in masks:
        axis = sum(item is not None for item in out[:place])
        check_mask(mask, shape, axis if place < at else axis + len(fill))
    return [*out[:at], *fill, *out[at:]]


def check_mask(mask: Shape, shape: Shape, axis: int) -> None:
    """Raise unless a boolean index has the shape of the axes it indexes."""
    wanted = shape[axis : axis + len(mask)]
    if mask != wanted:
        raise IndexBoundsError(
            f"a boolean index of shape {mask} was given for axes of shape {wanted} of "
            f"an array of shape {shape}.",
            where=called_at(),
            mend="Make the mask of a comparison with the array itself, or of its axis.",
        )


def _array_item(item: Any) -> tuple[list[Any], Shape | None]:
    """Give index arrays; of a boolean one its true places, and its shape."""
    if isinstance(item, (list, tuple)):
        # As in NumPy, an empty list picks nothing.
        item = creation.array(item, dtype=None if item else int)
    x = array_argument(item, "indexing", "an index")
    if x.dtype == dtypes.bool_:
        mask = static_array(
            x,
            "indexing with a boolean array",
            "that array",
            "which fix the shape of the result",
        )
        if not mask.shape:
            raise _truth_value(mask)
        dtype = dtypes.scalar_dtype(int)
        places = [from_host(p.astype(dtype)) for p in np.nonzero(mask)]
        return places, tuple(mask.shape)
    if not dtypes.is_integer(x.dtype):
        raise wrong_dtype(
            "indexing",
            f"takes integers and booleans; got {describe(x)}.",
            "Convert the index with astype(int).",
        )
    if not x.shape and not isinstance(x, Tracer):
        return [int(x)], None
    return [x], None


def _truth_value(item: Any) -> IndexBoundsError:
    """Make the error for a single truth value as an index."""
    return IndexBoundsError(
        f"an index was given the truth value {item}.",
        where=called_at(),
        mend="Use jnp.where, or an array of truth values.",
    )


def _inside(item: int, shape: Shape, axis: int) -> int:
    """Give a static index counted from the front."""
    n = shape[axis]
    if not -n <= item < n:
        raise IndexBoundsError(
            f"index {item} is out of bounds for axis {axis} of an array of shape "
            f"{shape}.",
            where=called_at(),
            mend=f"Use an index from {-n} to {n - 1}." if n else "The axis is empty.",
        )
    return item % n


def _cut(item: slice, n: int, axis: int) -> Cut:
    """Work out a slice with static bounds.

    Raises:
        ArgumentError: a traced bound.
    """
    bounds = []
    for bound in (item.start, item.stop, item.step):
        if isinstance(bound, Tracer) and bound.concrete() is None:
            raise ArgumentError(
                f"a slice of axis {axis} has a traced bound, {bound.describe()}; "
                "shapes must be known when tracing.",
                where=called_at(),
                mend="Use lax.dynamic_slice (traced start, static length), or a mask "
                "with jnp.where.",
            )
        bounds.append(None if bound is None else bound.__index__())
    start, stop, step = slice(*bounds).indices(n)
    return Cut(start, len(range(start, stop, step)), step)


def _batch_shape(arrays: list[Any]) -> Shape:
    """Give the common shape of index arrays."""
    try:
        return tuple(np.broadcast_shapes(*[a.shape for a in arrays]))
    except ValueError:
        raise IndexBoundsError(
            f"index arrays do not broadcast: {', '.join(map(describe, arrays))}.",
            where=called_at(),
            mend="Make their shapes fit, for instance with jnp.ix_.",
        ) from None


# -- reading ---------------------------------------------------------------------------


#: What the bounds of a plain slice are.
_BOUNDS = frozenset((int, type(None)))


def getitem(
    x: Any, index: Any, mode: Any = None, fill_value: Any = None, **promises: bool
) -> Value:
    """Read what an index names; traced and array indices out of bounds are clipped."""
    if type(x) is Array and mode is None:
        found = _read_at_once(x, index)
        if found is not None:
            return found
    if type(index) is int and x.shape and -x.shape[0] <= index < x.shape[0]:
        return member(x, index % x.shape[0], 0)
    if type(index) is slice and x.shape and not _unusual(index):
        n = x.shape[0]
        start, stop, step = index.indices(n)
        return slice_in_dim(x, start, max(start, stop), 0, step)
    plan = plan_index(x.shape, index, mode)
    how = canonical_mode(mode, CLIP)
    arrays = plan.arrays
    if arrays and not size_of(plan.result_shape()):
        # An empty axis has no windows of one element, even for no indices.
        return structural.full(plan.result_shape(), dtypes.kind_of(x.dtype)(0), x.dtype)
    boxed = _sliced(x, plan)
    if not arrays:
        return structural.reshape(boxed, plan.result_shape())
    # Axes with static indices have gone: count the others anew.
    kept = [i for i, e in enumerate(plan.entries) if not isinstance(e, int)]
    axes = [kept.index(i) for i, _ in arrays]
    if not plan.batch and how == CLIP:
        return _read_box(boxed, axes, plan)
    places = index_matrix([a for _, a in arrays], [boxed.shape[i] for i in axes], plan)
    numbers = element_numbers(tuple(axes), len(plan.batch), len(kept))
    sizes = [1 if i in axes else n for i, n in enumerate(boxed.shape)]
    out = gather(boxed, places, numbers, sizes, how, fill_value, **promises)
    return _arranged(out, plan)


#: What NumPy reads as this module does, beside arrays.
_PLAIN = frozenset((int, type(None), type(Ellipsis)))


def _read_at_once(x: Array, index: Any) -> Array | None:
    """Let NumPy read an array at hand; None where an index is another or is outside."""
    if not current_trace().at_once:
        return None
    if type(index) not in _PLAIN:
        items = []
        for item in index if type(index) is tuple else (index,):
            if type(item) is Array:
                item = item.fetch()
            kind = type(item)
            if kind is slice:
                if _unusual(item, backwards=True):
                    return None
            elif kind not in _PLAIN:
                if not isinstance(item, (np.ndarray, np.integer)):
                    return None
                sort = item.dtype.kind
                if sort not in "iu" and (sort != "b" or not item.ndim):
                    return None
            items.append(item)
        index = tuple(items)
    try:
        return from_host(x.fetch()[index], x.weak)
    except IndexError:
        return None


def _unusual(index: slice, backwards: bool = False) -> bool:
    """Whether a slice has bounds that are no Python integers, or runs backwards."""
    bounds = (index.start, index.stop, index.step)
    kinds = {type(b) for b in bounds}
    if not kinds <= _BOUNDS:
        return True
    return not backwards and index.step is not None and index.step <= 0


def _sliced(x: Value, plan: Plan) -> Value:
    """Apply the static slices and integers of a plan, whose axes are left out."""
    starts, limits, strides, turned = [], [], [], []
    dropped = [axis for axis, e in enumerate(plan.entries) if isinstance(e, int)]
    for axis, (entry, n) in enumerate(zip(plan.entries, x.shape)):
        if isinstance(entry, int):
            entry = Cut(entry, 1, 1)
        elif not isinstance(entry, Cut):
            entry = Cut(0, n, 1)
        first, count, step = entry.start, entry.length, entry.step
        if step < 0:
            turned.append(axis - sum(i < axis for i in dropped))
            first, step = first + (count - 1) * step, -step
        if not count:
            first, step = 0, 1
        starts.append(first)
        limits.append(first + (count - 1) * step + 1 if count else first)
        strides.append(step)
    return reverse(pick(x, starts, limits, strides, dropped), turned)


def _read_box(x: Value, axes: list[int], plan: Plan) -> Value:
    """Read one box, which is at traced integers on some axes."""
    starts: list[Any] = [0] * len(x.shape)
    sizes = list(x.shape)
    for axis, (_, place) in zip(axes, plan.arrays):
        if not sizes[axis]:
            _inside(0, x.shape, axis)
        starts[axis], sizes[axis] = place, 1
    return structural.reshape(dynamic_slice(x, starts, sizes), plan.result_shape())


def index_matrix(arrays: list[Any], lengths: list[int], plan: Plan) -> Value:
    """Stack index arrays along a new last axis, negative ones counted from the end."""
    columns = []
    wide = any(a.dtype in (dtypes.int64, dtypes.uint32, dtypes.uint64) for a in arrays)
    dtype = dtypes.canonical("int64") if wide else dtypes.int32
    found = at_once(lambda *places: _matrix(places, lengths, plan, dtype), *arrays)
    if found is not None:
        return found
    for a, n in zip(arrays, lengths):
        a = convert(a, dtype)
        a = table.select(table.lt(a, 0), table.add(a, n), a)
        a = structural.broadcast_to(a, plan.batch)
        columns.append(structural.expand_axes(a, (len(plan.batch),)))
    return concatenate(columns, len(plan.batch))


def _matrix(places: Sequence[Any], lengths: list[int], plan: Plan, dtype: Any) -> Any:
    """Do as `index_matrix`, of NumPy arrays."""
    matrix = np.empty((*plan.batch, len(places)), dtype)
    for i, (a, n) in enumerate(zip(places, lengths)):
        a = a.astype(dtype, copy=False)
        matrix[..., i] = np.where(a < 0, a + dtype.type(n), a)
    return matrix


def _arranged(out: Value, plan: Plan) -> Value:
    """Bring (batch axes, sliced axes) into the order of the result."""
    batch = len(plan.batch)
    slices = [i for i, e in enumerate(plan.entries) if isinstance(e, Cut)]
    order: list[int] = []
    for place in plan.layout:
        if place is None:
            continue
        order.extend(range(batch) if place < 0 else [batch + slices.index(place)])
    return structural.reshape(structural.transpose(out, order), plan.result_shape())


def iterate(x: Any) -> Iterator[Value]:
    """Give the members along the first axis."""
    if not x.shape:
        raise wrong_shape("iteration", f"over {describe(x)}, a scalar.", "Use ravel().")
    if isinstance(x, Array):
        weak = x.weak
        return iter([from_host(row, weak) for row in x.fetch()])
    return iter(shaping.unstack(x))


def size_of(shape: Shape) -> int:
    """Give the number of elements of a shape."""
    return math.prod(shape)
