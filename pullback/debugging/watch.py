"""Traces that look at every result, and know where the first bad one came from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pullback.core.primitive import Primitive
from pullback.core.trace import (
    EVAL,
    EvalTrace,
    Trace,
    Value,
    aval_of,
    current_trace,
    using,
)
from pullback.debugging.births import (
    Birth,
    NotedSteps,
    all_finite,
    birth_of,
    has_nan,
    infinity_at,
)
from pullback.debugging.stepping import can_unfold, inside, unfold
from pullback.transforms.linearize import (
    LinearizeTrace,
    LinearizeTracer,
    LinearProgram,
    LinearTracer,
)


class WatchTrace(Trace):
    """Computes at once, and follows values that are not finite to their origin."""

    __slots__ = ("known", "stop_at_infinity", "stop_at_nan")

    def __init__(
        self, stop_at_nan: bool = False, stop_at_infinity: bool = False
    ) -> None:
        #: id -> (the value, what made it): only of values that are not finite.
        self.known: dict[int, tuple[Value, Birth | None]] = {}
        self.stop_at_nan = stop_at_nan
        self.stop_at_infinity = stop_at_infinity

    def apply(self, primitive: Primitive, operands: tuple[Value, ...]) -> Any:
        """Compute and look; programs are run one operation at a time."""
        if primitive.calls:
            with using(self):
                if can_unfold(primitive):
                    return unfold(primitive, operands)
                return primitive.eager(*operands)
        out = EvalTrace.apply(EVAL, primitive, operands)
        self.look(primitive, operands, out if primitive.multiple else [out])
        return out

    def look(
        self, primitive: Primitive, operands: Sequence[Value], outs: Sequence[Value]
    ) -> None:
        """Note what made results that are not finite."""
        bad = [y for y in outs if not all_finite(y)]
        if not bad:
            return
        sources = [x for x in operands if not all_finite(x)]
        parent = next((b for x in sources if (b := self.birth(x)) is not None), None)
        if not sources:
            birth: Birth | None = birth_of(primitive, operands, bad, inside())
        elif any(map(has_nan, bad)) and not any(map(has_nan, sources)):
            birth = birth_of(primitive, operands, bad, inside(), parent)
        else:
            birth = parent
        for y in bad:
            self.known[id(y)] = y, birth
        if self.stop_at_nan and birth is not None and any(map(has_nan, bad)):
            raise Found(birth)
        if self.stop_at_infinity and any(
            infinity_at(primitive, operands, y).any() for y in bad
        ):
            raise Found(birth_of(primitive, operands, bad, inside(), infinity=True))

    def birth(self, x: Value) -> Birth | None:
        """Give what made a value that is not finite, None if it was given so."""
        found = self.known.get(id(x))
        return found[1] if found is not None else None


class Found(Exception):
    """Carries the first nan or infinity out of a program that is run to find it."""

    def __init__(self, birth: Birth) -> None:
        super().__init__(birth.sentence())
        self.birth = birth


class WatchLinearizeTrace(LinearizeTrace):
    """Records tangents with their origins, and takes programs apart."""

    __slots__ = ()

    passes_on = False

    def __init__(self, parent: Trace) -> None:
        super().__init__(parent)
        self.linear.steps = NotedSteps()

    def apply(self, primitive: Primitive, operands: tuple[Value, ...]) -> Any:
        """Pair results with tangents; programs one operation at a time."""
        if can_unfold(primitive):
            with using(self):
                return unfold(primitive, operands)
        return LinearizeTrace.apply(self, primitive, operands)


def watched_linearize(
    f: Callable[..., Sequence[Value]], primals: Sequence[Value], varied: Sequence[bool]
) -> tuple[list[Value], LinearProgram]:
    """Do as `linearize_flat`, one operation at a time, with the steps' origins."""
    trace = WatchLinearizeTrace(current_trace())
    inputs: list[Value] = []
    tangents: list[LinearTracer] = []
    for x, v in zip(primals, varied):
        if v:
            t = LinearTracer(trace.linear, aval_of(x).tangent())
            tangents.append(t)
            x = LinearizeTracer(trace, x, t)
        inputs.append(x)
    with using(trace):
        outputs = f(*inputs)
    pairs = [trace.split(y) for y in outputs]
    program = LinearProgram(trace.linear.steps, tangents, [t for _, t in pairs])
    return [p for p, _ in pairs], program
