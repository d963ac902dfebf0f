"""Batching: each value may have one more axis, which operations carry along."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pullback.core.aval import Aval
from pullback.core.axes import AxisSize, axis_key
from pullback.core.jaxpr import Jaxpr, evaluate
from pullback.core.primitive import Dim, Primitive
from pullback.core.trace import (
    Axes,
    Trace,
    Tracer,
    Value,
    aval_of,
    current,
    current_trace,
    leak_watches,
    using,
    within,
)
from pullback.primitives.structural import broadcast_new_axis, move_axis
from pullback.transforms.stage import stage_closed


class BatchTracer(Tracer):
    """A value with a batch axis that the function being mapped does not see."""

    __slots__ = ("aval", "dim", "owner", "value")

    def __init__(self, trace: BatchTrace, value: Value, dim: int) -> None:
        self.owner = trace
        self.value = value
        self.dim = dim
        full = aval_of(value)
        shape = full.shape
        self.aval = Aval((*shape[:dim], *shape[dim + 1 :]), full.dtype, full.weak)

    def describe(self) -> str:
        """Say that the value stands for a whole batch."""
        return (
            f"a value of type {self.aval} mapped over {self.owner.size} elements by "
            f"vmap{within(self.value)}"
        )

    def refuse(self, error: Any, reason: tuple[str, str]) -> Any:
        """Raise the error; for a batch of tangents it is theirs."""
        inner: Any = self.value
        while type(inner) is BatchTracer:
            inner = inner.value
        if getattr(inner, "is_tangent", False):
            inner.refuse(error, reason)
        super().refuse(error, reason)


class BatchTrace(Trace):
    """Runs `batch` rules in the parent trace."""

    __slots__ = ("parent", "size")

    passes_on = True

    def __init__(self, parent: Trace, size: int) -> None:
        self.parent = parent
        self.size = size

    @property
    def zero_tracer(self) -> Any:
        """What makes zeros that are known as such, if tangents are recorded below."""
        return getattr(self.parent, "zero_tracer", None)

    def apply(self, primitive: Primitive, operands: tuple[Value, ...]) -> Any:
        """Give results with their batch axes."""
        values: list[Value] = []
        dims: list[Dim] = []
        mapped = False
        for x in operands:
            if type(x) is BatchTracer and x.owner is self:
                values.append(x.value)
                dims.append(x.dim)
                mapped = True
            else:
                values.append(x)
                dims.append(None)
        if not mapped:
            return self.parent.apply(primitive, tuple(values))
        token = current.set(self.parent)
        try:
            out, out_dims = primitive.batch(self.size, values, dims)
        finally:
            current.reset(token)
        if primitive.multiple:
            return [self.pair(y, d) for y, d in zip(out, out_dims)]
        return self.pair(out, out_dims)

    def pair(self, value: Value, dim: Dim) -> Value:
        """Make a tracer, or give the value alone if it has no batch axis."""
        return value if dim is None else BatchTracer(self, value, dim)

    def split(self, x: Value) -> tuple[Value, Dim]:
        """Give the value behind a tracer, and its batch axis."""
        if type(x) is BatchTracer and x.owner is self:
            return x.value, x.dim
        return x, None


class NamedBatchTrace(BatchTrace):
    """The trace of an axis that has a name, by which operations may refer to it."""

    __slots__ = ("axis",)

    def __init__(self, parent: Trace, axis: AxisSize) -> None:
        BatchTrace.__init__(self, parent, int(axis))
        self.axis = axis

    @property
    def axes(self) -> Axes:
        """The names of mapped axes that are bound here, the innermost first."""
        return ((self.axis.name, self.size), *self.parent.axes)

    def apply(self, primitive: Primitive, operands: tuple[Value, ...]) -> Any:
        """Give results with their batch axes; say the name where it is used."""
        if not primitive.uses_axis(self.axis.name):
            return BatchTrace.apply(self, primitive, operands)
        pairs = [self.split(x) for x in operands]
        with using(self.parent):
            out, out_dims = primitive.batch(
                self.axis, [x for x, _ in pairs], [d for _, d in pairs]
            )
        if primitive.multiple:
            return [self.pair(y, d) for y, d in zip(out, out_dims)]
        return self.pair(out, out_dims)


def batch_flat(
    f: Callable[..., Sequence[Value]],
    size: int,
    values: Sequence[Value],
    dims: Sequence[Dim],
) -> tuple[list[Value], list[Dim]]:
    """Run a flat function on batched values.

    Args:
        f: a function of flat values, giving a list of values.
        size: the length of the batch axes, with their name if it is an `AxisSize`.
        values: its inputs, with their batch axes.
        dims: where these axes are; None for an input without.
    """
    trace = (
        NamedBatchTrace(current_trace(), size)
        if type(size) is AxisSize
        else BatchTrace(current_trace(), size)
    )
    if leak_watches:
        trace = leak_watches[0].begin(trace)
    inputs = [trace.pair(x, d) for x, d in zip(values, dims)]
    token = current.set(trace)
    try:
        outputs = f(*inputs)
    finally:
        current.reset(token)
    pairs = [trace.split(y) for y in outputs]
    if leak_watches:
        leak_watches[0].end(trace, inputs, outputs)
    return [v for v, _ in pairs], [d for _, d in pairs]


def to_front(x: Value, dim: Dim, size: int, force: bool = True) -> Value:
    """Move a batch axis to the front, making one where it is missing if forced."""
    if dim is None:
        return broadcast_new_axis(x, int(size), 0) if force else x
    return move_axis(x, dim, 0)


def with_axis(a: Aval, size: int, dim: Dim) -> Aval:
    """Give a type with a batch axis of a size, where it is to have one."""
    if dim is None:
        return a
    return Aval((*a.shape[:dim], int(size), *a.shape[dim:]), a.dtype, a.weak)


def batch_jaxpr(
    jaxpr: Jaxpr,
    size: int,
    dims: Sequence[Dim],
    force: Sequence[bool] | None = None,
) -> tuple[Jaxpr, list[Dim]]:
    """Give the program that does a whole batch at once.

    Args:
        jaxpr: the program.
        size: the length of the batch axes, with their name if it is an `AxisSize`.
        dims: the batch axis of each input, or None.
        force: for each output, whether it must have a batch axis.

    Returns:
        The program, and for each output its batch axis: 0 or None.
    """
    key = (
        "batch",
        axis_key(size),
        tuple(dims),
        None if force is None else tuple(force),
    )
    if key in jaxpr.cache:
        return jaxpr.cache[key]  # type: ignore[no-any-return]
    avals = [with_axis(a, size, d) for a, d in zip(jaxpr.in_avals, dims)]
    out_dims: list[Dim] = []

    def batched(*values: Value) -> list[Value]:
        outs, found = batch_flat(lambda *xs: evaluate(jaxpr, xs), size, values, dims)
        wanted = force or [False] * len(outs)
        out_dims[:] = [
            None if d is None and not w else 0 for d, w in zip(found, wanted)
        ]
        return [to_front(y, d, size, w) for y, d, w in zip(outs, found, wanted)]

    staged = stage_closed(batched, avals, jaxpr.name)
    result = jaxpr.cache[key] = staged, out_dims
    return result
