"""Indexing: what `x.at[...]` writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from pullback import dtypes
from pullback.core.origin import called_at
from pullback.core.trace import Tracer, Value
from pullback.errors import ArgumentError
from pullback.numpy import creation, ufuncs
from pullback.numpy.arguments import array_argument, describe, wrong_dtype, wrong_shape
from pullback.numpy.indexing import (
    Cut,
    Plan,
    Shape,
    check_mask,
    getitem,
    index_matrix,
    plan_index,
    size_of,
)
from pullback.numpy.promotion import convert
from pullback.primitives import structural, table
from pullback.primitives.creation import broadcasted_iota
from pullback.primitives.indexing import (
    FILL,
    ScatterDimensionNumbers,
    canonical_mode,
    scatter,
)
from pullback.primitives.shaping import concatenate


class At:
    """The property `x.at`: `x.at[index]` names places to read or to give new values."""

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = array

    def __getitem__(self, index: Any) -> Places:
        return Places(self.array, index)

    def __repr__(self) -> str:
        """Show the array whose places are named."""
        return f"At({self.array!r})"


class Places:
    """Places of an array; the methods give a new array that differs there.

    All take `mode`: "drop" (default: writes out of bounds are not done), "clip" or
    "promise_in_bounds", and the promises `indices_are_sorted` and `unique_indices`.
    Repeated places are combined, by `set` in an order that is not fixed.
    """

    __slots__ = ("array", "index")

    def __init__(self, array: Any, index: Any) -> None:
        self.array = array
        self.index = index

    def set(self, values: Any, **options: Any) -> Value:
        """Put values there."""
        return write("set", self.array, self.index, values, **options)

    def add(self, values: Any, **options: Any) -> Value:
        """Add values there."""
        return write("add", self.array, self.index, values, **options)

    def subtract(self, values: Any, **options: Any) -> Value:
        """Subtract values there."""
        return write("add", self.array, self.index, ufuncs.negative(values), **options)

    def multiply(self, values: Any, **options: Any) -> Value:
        """Multiply by values there."""
        return write("mul", self.array, self.index, values, **options)

    mul = multiply

    def divide(self, values: Any, **options: Any) -> Value:
        """Divide by values there."""
        ones = creation.ones_like(self.array)
        return ufuncs.divide(
            self.array, write("mul", ones, self.index, values, **options)
        )

    def power(self, values: Any, **options: Any) -> Value:
        """Raise to powers there."""
        ones = creation.ones_like(self.array)
        return ufuncs.power(
            self.array, write("mul", ones, self.index, values, **options)
        )

    def min(self, values: Any, **options: Any) -> Value:
        """Keep the lesser there."""
        return write("min", self.array, self.index, values, **options)

    def max(self, values: Any, **options: Any) -> Value:
        """Keep the greater there."""
        return write("max", self.array, self.index, values, **options)

    def apply(self, function: Callable[[Any], Any], **options: Any) -> Value:
        """Apply an elementwise function there, once even to repeated places."""
        return self.set(function(self.get()), **options)

    def get(
        self,
        *,
        mode: Any = None,
        fill_value: Any = None,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
    ) -> Value:
        """Read them; out of bounds: clipped, or `fill_value` (nan) with mode="fill"."""
        return getitem(
            self.array,
            self.index,
            mode,
            fill_value,
            sorted_indices=indices_are_sorted,
            unique_indices=unique_indices,
        )

    def __repr__(self) -> str:
        """Show array and index."""
        return f"{self.array!r}.at[{self.index!r}]"


def write(
    kind: str,
    x: Any,
    index: Any,
    values: Any,
    *,
    mode: Any = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
) -> Value:
    """Combine values into the places of `x` that an index names.

    Raises:
        DtypeError: the values do not fit the dtype of `x`, as floats into integers.
        ShapeError: the values do not broadcast to the places.
    """
    x = array_argument(x, f"at[...].{kind}")
    if kind in ("min", "max"):
        ufuncs.real_only(x, f"at[...].{kind}")
    values = _fitting(values, x, f"at[...].{kind}")
    mask = traced_mask(x.shape, index)
    if mask is not None:
        return write_where(kind, x, mask, values)
    plan = plan_index(x.shape, index, mode)
    wanted = plan.result_shape()
    values = _without_new_axes(
        creation.broadcast_array(values, wanted, f"at[...].{kind}"), plan
    )
    how = canonical_mode(mode, FILL)
    if not size_of(wanted):
        return x
    promises = indices_are_sorted, unique_indices
    whole = all(e.step == 1 for e in plan.entries if isinstance(e, Cut))
    if not plan.batch and whole:
        return _write_box(kind, x, plan, values, how)
    return _write_elements(kind, x, plan, values, how, promises)


def traced_mask(shape: Shape, index: Any) -> Value | None:
    """Give the mask if an index is nothing else, and its values are not known yet.

    Raises:
        IndexBoundsError: the mask has another shape than the axes that it is for.
    """
    items = index if isinstance(index, tuple) else (index,)
    if not items or not isinstance(items[0], Tracer):
        return None
    mask, *others = items
    whole = [
        e is Ellipsis or (isinstance(e, slice) and e == slice(None)) for e in others
    ]
    if mask.dtype != dtypes.bool_ or not mask.shape or not all(whole):
        return None
    check_mask(mask.shape, shape, 0)
    return mask


def write_where(kind: str, x: Value, mask: Value, values: Value) -> Value:
    """Combine values into `x` where a mask of its leading axes is true.

    How many places these are is not known, so that all get the same values.

    Raises:
        ShapeError: the values are one for each place.
    """
    inner = x.shape[len(mask.shape) :]
    extra = len(values.shape) - len(inner)
    if extra > 0:
        if size_of(values.shape[:extra]) != 1:
            raise wrong_shape(
                f"at[...].{kind}",
                f"of a mask that is traced: values {describe(values)} are one for each "
                "place, and how many places there are is not known.",
                f"Give values that broadcast to {inner}, or values for all of x to "
                "jnp.where(mask, values, x).",
            )
        values = structural.reshape(values, values.shape[extra:])
    values = creation.broadcast_array(values, inner, f"at[...].{kind}")
    values = structural.broadcast_to(values, x.shape)
    chosen = structural.broadcast(mask, x.shape, range(len(mask.shape)))
    return table.select(chosen, _COMBINED[kind](x, values), x)


_COMBINED: dict[str, Callable[[Value, Value], Value]] = {
    "set": lambda x, values: values,
    "add": table.add,
    "mul": table.mul,
    "min": table.min,
    "max": table.max,
}


def _fitting(values: Any, x: Value, who: str) -> Value:
    """Convert values to the dtype of `x`, unless that loses their kind."""
    values = array_argument(values, who, "values")
    have, want = values.dtype, x.dtype
    ranks = [_KINDS.index(dtypes.kind_of(d)) for d in (have, want)]
    if ranks[0] > ranks[1]:
        raise wrong_dtype(
            who,
            f"cannot put values of type {describe(values)} into {describe(x)}.",
            "Convert the array or the values with astype first.",
        )
    return convert(values, want)


_KINDS = (bool, int, float, complex)


def _without_new_axes(values: Value, plan: Plan) -> Value:
    """Drop the axes of length one that None made in the result."""
    shape: list[int] = []
    for place in plan.layout:
        if place is not None:
            length = plan.batch if place < 0 else (plan.entries[place].length,)
            shape.extend(length)
    return structural.reshape(values, shape)


def _write_box(kind: str, x: Value, plan: Plan, values: Value, how: str) -> Value:
    """Write one box at static or traced starts."""
    dtype = dtypes.int32
    axes, starts = [], []
    for axis, (entry, n) in enumerate(zip(plan.entries, x.shape)):
        if isinstance(entry, Cut):
            if entry.length == n:
                continue
            start: Any = structural.full((), entry.start, dtype)
        elif isinstance(entry, int):
            start = structural.full((), entry, dtype)
        else:
            start = convert(entry, dtype)
            start = table.select(table.lt(start, 0), table.add(start, n), start)
        axes.append(axis)
        starts.append(structural.reshape(start, (1,)))
    dropped = tuple(i for i, e in enumerate(plan.entries) if not isinstance(e, Cut))
    numbers = ScatterDimensionNumbers(
        tuple(range(len(values.shape))), dropped, tuple(axes)
    )
    places = concatenate(starts, 0) if starts else structural.full((0,), 0, dtype)
    return scatter(kind, x, places, values, numbers, how, True, True)


def _write_elements(
    kind: str,
    x: Value,
    plan: Plan,
    values: Value,
    how: str,
    promises: tuple[bool, bool],
) -> Value:
    """Write at index arrays; slices that are not whole become index arrays too."""
    count = len(plan.batch)
    cuts = [
        i
        for i, e in enumerate(plan.entries)
        if isinstance(e, Cut) and (e.length != x.shape[i] or e.step != 1)
    ]
    shape = (*plan.batch, *(plan.entries[i].length for i in cuts))
    axes, arrays = [], []
    for axis, entry in enumerate(plan.entries):
        if isinstance(entry, Cut):
            if axis not in cuts:
                continue
            along = broadcasted_iota(np.int32, shape, count + cuts.index(axis))
            entry = table.add(table.mul(along, entry.step), entry.start)
        elif isinstance(entry, int):
            entry = structural.full((), entry, dtypes.int32)
        else:
            entry = structural.expand_axes(
                structural.broadcast_to(entry, plan.batch), range(count, len(shape))
            )
        axes.append(axis)
        arrays.append(entry)
    matrix = index_matrix(
        arrays, [x.shape[i] for i in axes], Plan(plan.entries, shape, plan.layout)
    )
    others = [i for i in range(len(x.shape)) if i not in axes]
    order = _update_order(plan, [*cuts, *others])
    windows = tuple(range(len(shape), len(shape) + len(others)))
    numbers = ScatterDimensionNumbers(windows, tuple(axes), tuple(axes))
    updates = structural.transpose(values, order)
    return scatter(kind, x, matrix, updates, numbers, how, *promises)


def _update_order(plan: Plan, slices: list[int]) -> list[int]:
    """Give the places of batch and sliced axes among the axes of the values."""
    batch = len(plan.batch)
    at: dict[int, int] = {}
    position = 0
    for place in plan.layout:
        if place is not None:
            at[place] = position
            position += batch if place < 0 else 1
    start = at.get(-1, 0)
    return [*range(start, start + batch), *(at[i] for i in slices)]


def setitem(x: Any, index: Any, value: Any) -> NoReturn:
    """Refuse `x[index] = value`.

    Raises:
        ArgumentError: always; it is a TypeError.
    """
    raise ArgumentError(
        f"x[...] = value was asked of {describe(x)}: arrays never change.",
        where=called_at(),
        mend="Write x = x.at[...].set(value), or x = x.at[...].add(value) for +=.",
    )
