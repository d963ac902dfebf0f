"""What rules of several operations share: axes, batching, lowering by composition."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from pullback.core.array import SCALARS
from pullback.core.aval import Aval
from pullback.core.origin import called_at
from pullback.core.primitive import Dim, Primitive, zeros_like_outputs
from pullback.core.trace import Trace, Tracer, Value, using
from pullback.core.zero import Zero, is_zero
from pullback.errors import ArgumentError, DtypeError, ShapeError
from pullback.primitives.structural import (
    broadcast_new_axis,
    instantiate,
    linear_jvp,
    move_axis,
)


class Linear(Primitive):
    """An operation linear in its only operand, which is so its own derivative."""

    __slots__ = ()

    linear = ((0,),)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        return linear_jvp(self, primals, tangents)


class Joining(Primitive):
    """An operation linear in all its operands together; zeros are written out."""

    __slots__ = ()

    linear = ((0, ...),)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        y = self(*primals)
        if all(map(is_zero, tangents)):
            return y, Zero(like=y)
        return y, self(*map(instantiate, tangents))


class Parting(Primitive):
    """An operation linear in its only operand, with several results."""

    __slots__ = ()

    multiple = True
    linear = ((0,),)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        outs = self(*primals)
        if is_zero(tangents[0]):
            return outs, [Zero(like=y) for y in outs]
        return outs, self(*tangents)


class Flat(Primitive):
    """An operation whose derivative is zero by design: its results are discrete."""

    __slots__ = ()

    def jvp(self, primals: Any, tangents: Any) -> Any:
        ans = self(*primals)
        zeros = zeros_like_outputs(ans)
        return ans, zeros


# -- axes ------------------------------------------------------------------------------


def canonical_axis(axis: Any, rank: int, who: str) -> int:
    """Give a non-negative axis.

    Raises:
        ArgumentError: there is no such axis; names the function `who`.
    """
    found = operator.index(axis)
    if not -rank <= found < rank:
        raise ArgumentError(
            f"{who} was given axis {found}, but the operand has {rank} axes.",
            where=called_at(),
            mend=f"Use an axis from {-rank} to {rank - 1}."
            if rank
            else "Give it an operand with axes, or no axis.",
        )
    return found % rank


def canonical_axes(axes: Any, rank: int, who: str) -> tuple[int, ...]:
    """Give non-negative axes in ascending order; None means all.

    Raises:
        ArgumentError: an axis that does not exist, or is given twice.
    """
    if axes is None:
        return tuple(range(rank))
    given = axes if isinstance(axes, (tuple, list)) else (axes,)
    found = sorted(canonical_axis(a, rank, who) for a in given)
    if len(set(found)) < len(found):
        raise ArgumentError(
            f"{who} was given an axis twice: {tuple(given)}.",
            where=called_at(),
            mend="Name each axis once.",
        )
    return tuple(found)


def shifted(axes: Sequence[int], dim: int) -> tuple[int, ...]:
    """Give the places of axes once a batch axis stands at `dim`."""
    return tuple([a + (a >= dim) for a in axes])


def without(shape: Sequence[int], axes: Sequence[int]) -> tuple[int, ...]:
    """Give a shape without some of its axes."""
    return tuple([n for i, n in enumerate(shape) if i not in axes])


# -- operands --------------------------------------------------------------------------


def check_same_dtype(avals: Sequence[Aval], who: str) -> None:
    """Raise unless all operands have one dtype.

    Raises:
        DtypeError: they differ.
    """
    first = avals[0].dtype
    if any([a.dtype != first for a in avals]):
        raise DtypeError(
            f"{who} was given operands of different dtypes: "
            f"{', '.join(map(str, avals))}.",
            where=called_at(),
            mend="Convert them to one dtype with astype, or use pullback.numpy, which "
            "promotes.",
        )


def shape_error(what: str, mend: str) -> ShapeError:
    """Make the error for operands whose shapes do not fit an operation."""
    return ShapeError(what, where=called_at(), mend=mend)


def batch_to_front(
    size: int, operands: Sequence[Value], dims: Sequence[Dim], force: bool = True
) -> list[Value]:
    """Move the batch axis of each operand to the front, making it where it is missing.

    Args:
        size: the length of the batch axis.
        operands: the operands.
        dims: their batch axes.
        force: whether operands without a batch axis are repeated along a new one.
    """
    return [
        (broadcast_new_axis(x, size, 0) if force else x)
        if d is None
        else move_axis(x, d, 0)
        for x, d in zip(operands, dims)
    ]


# -- lowering by composition -----------------------------------------------------------


class LoweredValue(Tracer):
    """An operand of the emitted program, as functions of values take it."""

    __slots__ = ("aval", "operand")

    def __init__(self, operand: Any) -> None:
        self.operand = operand
        self.aval = operand.aval


class LowerTrace(Trace):
    """Lowers each operation that is applied while this trace is current."""

    __slots__ = ("ctx",)

    def __init__(self, ctx: Any) -> None:
        self.ctx = ctx

    def apply(self, primitive: Primitive, operands: tuple[Value, ...]) -> Any:
        """Emit the operation, and wrap its results."""
        avals = primitive.operand_avals(operands)
        raw = [self.operand(x, a) for x, a in zip(operands, avals)]
        out = primitive.lower(self.ctx, *raw)
        if primitive.multiple:
            return [LoweredValue(y) for y in out]
        return LoweredValue(out)

    def operand(self, x: Value, aval: Aval) -> Any:
        """Give the operand behind a value, or emit a constant."""
        if isinstance(x, LoweredValue):
            return x.operand
        return self.ctx.constant(x if type(x) in SCALARS else x.fetch(), aval)


def lower_as(ctx: Any, f: Callable[..., Any], *operands: Any) -> Any:
    """Lower an operation to what a function of values does with other operations.

    Args:
        ctx: the emitter.
        f: a function of values, giving a value or a list of values.
        operands: the emitter's operands.
    """
    with using(LowerTrace(ctx)):
        out = f(*[LoweredValue(x) for x in operands])
    if isinstance(out, (list, tuple)):
        return [y.operand for y in out]
    return out.operand


def repeat_while(
    ctx: Any,
    going: Callable[..., Value],
    step: Callable[..., Sequence[Value]],
    carry: Sequence[LoweredValue],
) -> list[LoweredValue]:
    """Emit a loop: `step` gives new values of what is carried while `going` holds."""
    outs = ctx.loop(
        [x.operand for x in carry],
        lambda *xs: [lower_as(ctx, going, *xs)],
        lambda *xs: lower_as(ctx, lambda *ys: list(step(*ys)), *xs),
    )
    return [LoweredValue(x) for x in outs]
