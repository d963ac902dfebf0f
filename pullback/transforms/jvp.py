"""Forward mode: each value is paired with its tangent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pullback import dtypes
from pullback.core.jaxpr import Jaxpr, evaluate
from pullback.core.primitive import Primitive
from pullback.core.trace import (
    PrimalTracer,
    Trace,
    Value,
    aval_of,
    current_trace,
    leak_watches,
    using,
)
from pullback.core.zero import Forbidden, Zero, is_zero
from pullback.primitives.structural import instantiate
from pullback.transforms.stage import stage_closed


class JVPTracer(PrimalTracer):
    """A primal value and its tangent, which may be a symbolic zero."""

    __slots__ = ("aval", "owner", "primal", "tangent")

    state = "being differentiated (jvp)"

    def __init__(self, trace: JVPTrace, primal: Value, tangent: Any) -> None:
        self.owner = trace
        self.primal = primal
        self.tangent = tangent
        self.aval = aval_of(primal)


class JVPTrace(Trace):
    """Runs each operation's `jvp` rule in the parent trace."""

    __slots__ = ("parent",)

    passes_on = True

    def __init__(self, parent: Trace) -> None:
        self.parent = parent

    def apply(self, primitive: Primitive, operands: tuple[Value, ...]) -> Any:
        """Give results paired with tangents."""
        primals: list[Value] = []
        tangents: list[Any] = []
        live = False
        forbidden: Forbidden | None = None
        for x in operands:
            if type(x) is JVPTracer and x.owner is self:
                primals.append(x.primal)
                tangents.append(x.tangent)
                live = live or not is_zero(x.tangent)
                if type(x.tangent) is Forbidden:
                    forbidden = x.tangent
            else:
                primals.append(x)
                tangents.append(Zero(like=x))
        if not live:
            return self.parent.apply(primitive, tuple(primals))
        if forbidden is not None:
            return self.spread(self.parent.apply(primitive, tuple(primals)), forbidden)
        # Where tangents are recorded, an operation that holds a program keeps what they
        # do not reach out of the record.
        with using(self.parent):
            rule = primitive.linearize if self.parent.records else primitive.jvp
            out, out_dot = rule(primals, tangents)
        if primitive.multiple:
            return [self.pair(y, t) for y, t in zip(out, out_dot)]
        return self.pair(out, out_dot)

    def spread(self, out: Any, forbidden: Forbidden) -> Any:
        """Give results whose tangents are forbidden too, where they have tangents."""
        if isinstance(out, list):
            return [self.spread(y, forbidden) for y in out]
        aval = aval_of(out).tangent()
        if aval.dtype == dtypes.float0:
            return out
        return JVPTracer(self, out, Forbidden(aval, forbidden.error))

    def pair(self, primal: Value, tangent: Any) -> Value:
        """Make a tracer, or give the primal alone if its tangent is zero."""
        return primal if is_zero(tangent) else JVPTracer(self, primal, tangent)

    def split(self, x: Value) -> tuple[Value, Any]:
        """Give the primal and the tangent of any value."""
        if type(x) is JVPTracer and x.owner is self:
            return x.primal, x.tangent
        return x, Zero(like=x)


def jvp_flat(
    f: Callable[..., Sequence[Value]],
    primals: Sequence[Value],
    tangents: Sequence[Any],
) -> tuple[list[Value], list[Any]]:
    """Run a flat function with tangents; both results may hold symbolic zeros.

    Args:
        f: a function of flat values, giving a list of values.
        primals: its inputs.
        tangents: one an input; a `Zero` where the input is constant.
    """
    trace = JVPTrace(current_trace())
    if leak_watches:
        trace = leak_watches[0].begin(trace)
    inputs = [trace.pair(x, t) for x, t in zip(primals, tangents)]
    with using(trace):
        outputs = f(*inputs)
    pairs = [trace.split(y) for y in outputs]
    if leak_watches:
        leak_watches[0].end(trace, inputs, outputs)
    return [p for p, _ in pairs], [t for _, t in pairs]


def jvp_jaxpr(
    jaxpr: Jaxpr, nonzero: Sequence[bool], make: Sequence[bool] | None = None
) -> tuple[Jaxpr, list[bool]]:
    """Give the program that computes a program's outputs and their tangents.

    Args:
        jaxpr: the program.
        nonzero: for each input, whether it has a tangent.
        make: for each output, whether its tangent is wanted even where it is zero.

    Returns:
        A program of the inputs and then the nonzero tangents, giving the outputs and
        then the nonzero tangents of outputs; and which those are.
    """
    key = ("jvp", tuple(nonzero), None if make is None else tuple(make))
    if key in jaxpr.cache:
        return jaxpr.cache[key]  # type: ignore[no-any-return]
    avals = jaxpr.in_avals
    dot_avals = [a.tangent() for a, n in zip(avals, nonzero) if n]
    out_nonzero: list[bool] = []

    def both(*values: Value) -> list[Value]:
        primals = values[: len(avals)]
        given = iter(values[len(avals) :])
        tangents = [
            next(given) if n else Zero(like=x) for x, n in zip(primals, nonzero)
        ]
        outs, dots = jvp_flat(lambda *xs: evaluate(jaxpr, xs), primals, tangents)
        wanted = make or [False] * len(outs)
        out_nonzero[:] = [not is_zero(t) or m for t, m in zip(dots, wanted)]
        kept = [instantiate(t) for t, n in zip(dots, out_nonzero) if n]
        return [*outs, *kept]

    staged = stage_closed(both, [*avals, *dot_avals], jaxpr.name)
    result = jaxpr.cache[key] = staged, out_nonzero
    return result
