"""Operations across a mapped axis, which they know by its name.

Seen from inside the mapped function each takes and gives what one element has. `vmap`
runs it for all elements at once: its `across` is an operation on arrays that have the
mapped axis, with a derivative, a transpose and a lowering of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.array import from_host
from pullback.core.aval import Aval
from pullback.core.axes import AxisSize
from pullback.core.frozen import replaced
from pullback.core.origin import called_at
from pullback.core.primitive import Dim, Primitive
from pullback.core.trace import Value, current_trace
from pullback.core.zero import Zero, is_zero
from pullback.errors import UnboundAxisError
from pullback.primitives.creation import iota
from pullback.primitives.indexing import element_numbers, gather
from pullback.primitives.recipes import Flat, Linear, without
from pullback.primitives.reduction import reduce_max, reduce_min
from pullback.primitives.structural import (
    broadcast_new_axis,
    frozen,
    move_axis,
    reduce_sum,
)
from pullback.primitives.table import convert, div, eq, mul, select


@frozen
class Collective(Primitive):
    """An operation with one operand, across the mapped axis called `axis`."""

    axis: Any

    def uses_axis(self, name: Any) -> bool:
        return name is None or bool(name == self.axis)

    def eager(self, *arrays: Any) -> Any:
        raise unbound(self.axis, self.name)

    def lower(self, ctx: Any, *operands: Any) -> Any:
        raise unbound(self.axis, self.name)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        (x,), (d,) = operands, dims
        if type(size) is AxisSize:
            return self.across(int(size), x, d)
        return self.behind()(move_axis(x, d, 0)), 0

    def across(self, size: int, x: Value, dim: Dim) -> tuple[Value, Dim]:
        """Do it for all elements of the axis, which the operand has at `dim`.

        Returns:
            The results, and where they have the axis; None if all have the same.
        """
        raise NotImplementedError

    def behind(self) -> Collective:
        """Give the operation on arrays with one more axis in front."""
        return self


def bound_size(axis: Any, who: str) -> int:
    """Give the length of the mapped axis of a name.

    Raises:
        UnboundAxisError: no axis has that name here.
    """
    for name, size in current_trace().axes:
        if name == axis:
            return size
    raise unbound(axis, who)


def unbound(axis: Any, who: str) -> UnboundAxisError:
    """Make the error for a name that no mapped axis has where it is used."""
    axes = current_trace().axes
    listed = ", ".join(f"{name!r} (length {size})" for name, size in axes)
    known = f"the names there are {listed}" if axes else "no axis has a name there"
    return UnboundAxisError(
        f"{who} was asked for the mapped axis {axis!r}, an unbound axis name: {known}.",
        where=called_at(),
        mend=f"Call it inside the function that vmap(..., axis_name={axis!r}) maps"
        + (", or use a name that is there." if axes else "."),
    )


# -- reductions ------------------------------------------------------------------------


@frozen
class PSum(Linear, Collective):
    """The sum over a mapped axis, which every element gets."""

    def abstract(self, x: Aval) -> Aval:
        return x

    def transpose(self, ct: Any, x: Any) -> Any:
        # Each element's x goes into the sum of each.
        return (self(ct),)

    def across(self, size: int, x: Value, dim: Dim) -> tuple[Value, Dim]:
        if dim is None:
            return mul(x, dtypes.kind_of(x.dtype)(size)), None
        return reduce_sum(x, (dim,)), None


@frozen
class PExtremum(Collective):
    """The greatest or least value along a mapped axis, which every element gets."""

    def abstract(self, x: Aval) -> Aval:
        return x

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (x,), (t,) = primals, tangents
        ans = self(x)
        if is_zero(t):
            return ans, Zero(like=ans)
        # As for maxima over an axis: the elements that attain it have equal shares.
        attained = eq(x, ans)
        total = PSum(self.axis)
        count = total(convert(attained, x.dtype))
        return ans, div(total(select(attained, t, 0.0)), count)

    def across(self, size: int, x: Value, dim: Dim) -> tuple[Value, Dim]:
        return (x if dim is None else self.reduce(x, (dim,))), None

    def reduce(self, x: Value, axes: tuple[int, ...]) -> Value:
        """Give the extremum over axes of an array."""
        raise NotImplementedError


@frozen
class PMax(PExtremum):
    """The greatest value along a mapped axis."""

    def reduce(self, x: Value, axes: tuple[int, ...]) -> Value:
        return reduce_max(x, axes)


@frozen
class PMin(PExtremum):
    """The least value along a mapped axis."""

    def reduce(self, x: Value, axes: tuple[int, ...]) -> Value:
        return reduce_min(x, axes)


# -- places ----------------------------------------------------------------------------


@frozen
class AxisIndex(Flat, Collective):
    """The place of an element along a mapped axis."""

    def abstract(self) -> Aval:
        return Aval((), dtypes.int32)

    def weak_result(self, all_weak: bool) -> bool:
        return False

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        return iota(dtypes.int32, int(size)), 0


@frozen
class PPermute(Linear, Collective):
    """Values sent along a mapped axis; zero where none arrives.

    `perm` has pairs (from, to), in which no place stands twice on one side.
    """

    perm: tuple[tuple[int, int], ...]

    def abstract(self, x: Aval) -> Aval:
        return x

    def transpose(self, ct: Any, x: Any) -> Any:
        return (PPermute(self.axis, tuple([(j, i) for i, j in self.perm]))(ct),)

    def across(self, size: int, x: Value, dim: Dim) -> tuple[Value, Dim]:
        if dim is None:
            if len(self.perm) == size:
                return x, None
            x, dim = broadcast_new_axis(x, size, 0), 0
        x = move_axis(x, dim, 0)
        sources = np.full((size, 1), size, np.int32)
        for i, j in self.perm:
            sources[j] = i
        numbers = element_numbers((0,), 1, len(x.shape))
        sizes = (1, *x.shape[1:])
        where = from_host(sources)
        return gather(x, where, numbers, sizes, "fill", 0, unique_indices=True), 0


# -- exchanges -------------------------------------------------------------------------


@frozen
class AllGather(Linear, Collective):
    """What all elements have, along a new axis `position` of length `size`."""

    size: int
    position: int

    def abstract(self, x: Aval) -> Aval:
        shape = (*x.shape[: self.position], self.size, *x.shape[self.position :])
        return Aval(shape, x.dtype, x.weak)

    def transpose(self, ct: Any, x: Any) -> Any:
        return (PSumScatter(self.axis, self.position)(ct),)

    def behind(self) -> Collective:
        return replaced(self, position=self.position + 1)  # type: ignore[no-any-return]

    def across(self, size: int, x: Value, dim: Dim) -> tuple[Value, Dim]:
        if dim is None:
            return broadcast_new_axis(x, size, self.position), None
        return move_axis(x, dim, self.position), None


@frozen
class PSumScatter(Linear, Collective):
    """The sum over a mapped axis, of which element i gets part i of axis `position`."""

    position: int

    def abstract(self, x: Aval) -> Aval:
        return Aval(without(x.shape, (self.position,)), x.dtype, x.weak)

    def transpose(self, ct: Any, x: Any) -> Any:
        size = x.aval.shape[self.position]
        return (AllGather(self.axis, size, self.position)(ct),)

    def behind(self) -> Collective:
        return PSumScatter(self.axis, self.position + 1)

    def across(self, size: int, x: Value, dim: Dim) -> tuple[Value, Dim]:
        return PSum(self.axis).across(size, x, dim)[0], self.position


@frozen
class AllToAll(Linear, Collective):
    """Part j of each element's axis `split_axis` sent to element j.

    What arrives, one part from each element, is put along a new axis `concat_axis`.
    """

    split_axis: int
    concat_axis: int

    def abstract(self, x: Aval) -> Aval:
        shape = list(x.shape)
        shape.insert(self.concat_axis, shape.pop(self.split_axis))
        return Aval(tuple(shape), x.dtype, x.weak)

    def transpose(self, ct: Any, x: Any) -> Any:
        return (AllToAll(self.axis, self.concat_axis, self.split_axis)(ct),)

    def behind(self) -> Collective:
        return AllToAll(self.axis, self.split_axis + 1, self.concat_axis + 1)

    def across(self, size: int, x: Value, dim: Dim) -> tuple[Value, Dim]:
        if dim is None:
            x, dim = broadcast_new_axis(x, size, 0), 0
        # Two axes change their parts: the split one becomes the mapped one.
        x = move_axis(x, dim, 0)
        parts = move_axis(x, self.split_axis + 1, 0)
        return move_axis(parts, 1, self.concat_axis + 1), 0
