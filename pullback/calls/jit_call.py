"""The operation that calls a compiled program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pullback.calls.executable import run_jaxpr
from pullback.core.aval import Aval
from pullback.core.jaxpr import Jaxpr
from pullback.core.jaxpr import prune as prune_jaxpr
from pullback.core.primitive import Primitive
from pullback.core.trace import EVAL, Value, current_trace, using
from pullback.core.zero import Unknown, Zero, is_zero
from pullback.primitives.structural import frozen
from pullback.transforms.batch import batch_jaxpr
from pullback.transforms.jvp import jvp_jaxpr
from pullback.transforms.linearize import (
    Linearized,
    LinearTrace,
    linearize_jaxpr,
)
from pullback.transforms.split import Split, split_jaxpr
from pullback.transforms.transpose import (
    collect_logs,
    logs_wanted,
    transpose_logging,
)


@frozen
class JitCall(Primitive):
    """The results of a program, which is compiled as a whole.

    Every transformation gives the call of a transformed program. These are derived once
    and kept on the program, so that `grad` of a jitted function is one compiled call
    forward and one back.
    """

    # Shown as `name`, which as an attribute is the operation's.
    label: str
    jaxpr: Jaxpr

    multiple = True
    splits = True

    def __call__(self, *operands: Value) -> Any:
        """Apply it; outside of transformations, arrays on the device stay there."""
        trace = current_trace()
        if trace is EVAL:
            return run_jaxpr(self.jaxpr, operands, self)
        return trace.apply(self, operands)

    @property
    def name(self) -> str:
        """The name in jaxprs."""
        return "jit"

    def parameters(self) -> dict[str, Any]:
        return {"name": self.label, "jaxpr": self.jaxpr}

    @property
    def effects(self) -> bool:
        """Whether something in the program must run even if no result is used."""
        cache = self.jaxpr.cache
        if "effects" not in cache:
            cache["effects"] = self.jaxpr.effects
        return cache["effects"]  # type: ignore[no-any-return]

    def split(self, unknown: tuple[bool, ...]) -> Split:
        return split_jaxpr(self.jaxpr, unknown)

    def with_jaxpr(self, jaxpr: Jaxpr) -> JitCall:
        return JitCall(self.label, jaxpr)

    def abstract(self, *avals: Aval) -> list[Aval]:
        return self.jaxpr.out_avals

    def eager(self, *arrays: Any) -> Any:
        return run_jaxpr(self.jaxpr, arrays, self)

    def lower(self, ctx: Any, *operands: Any) -> Any:
        return ctx.call(self.jaxpr, operands)

    def jvp(self, primals: Sequence[Value], tangents: Sequence[Any]) -> Any:
        nonzero = [not is_zero(t) for t in tangents]
        both, out_nonzero = jvp_jaxpr(self.jaxpr, nonzero)
        given = [t for t, n in zip(tangents, nonzero) if n]
        results = JitCall(self.label, both)(*primals, *given)
        outs = results[: len(out_nonzero)]
        return outs, fill(results[len(outs) :], out_nonzero, outs)

    def linearize(self, primals: Sequence[Value], tangents: Sequence[Any]) -> Any:
        nonzero = [not is_zero(t) for t in tangents]
        parts = linearize_jaxpr(self.jaxpr, nonzero)
        smaller, kept, sources = residual_sources(parts)
        trace = current_trace()
        with using(trace.parent if isinstance(trace, LinearTrace) else trace):
            results = JitCall(self.label, smaller)(
                *[x for x, k in zip(primals, kept) if k]
            )
        outs = results[: len(parts.out_nonzero)]
        if not any(parts.out_nonzero):
            return outs, fill((), parts.out_nonzero, outs)
        known = [*primals, *results]
        residuals = [known[i] for i in sources]
        given = [t for t, n in zip(tangents, nonzero) if n]
        dots = JitCall(self.label, parts.linear)(*residuals, *given)
        return outs, fill(dots, parts.out_nonzero, outs)

    def transpose(self, cotangents: Sequence[Any], *operands: Value) -> list[Any]:
        unknown = [isinstance(x, Unknown) for x in operands]
        given = [not is_zero(c) for c in cotangents]
        program, nonzero, logs = transpose_logging(
            self.jaxpr, unknown, given, False, logs_wanted()
        )
        known = [x for x, u in zip(operands, unknown) if not u]
        values = [*known, *[c for c, n in zip(cotangents, given) if n]]
        # Nobody asks for the cotangent of a tangent that is known to be zero.
        asked = [not getattr(x, "zero", False) for x, u in zip(operands, unknown) if u]
        useful = [a for a, n in zip(asked, nonzero) if n]
        useful += [True] * (0 if logs is None else logs.num_leaves)
        smaller, kept = prune_jaxpr(program, useful)
        results = iter(
            JitCall(self.label, smaller)(*[x for x, k in zip(values, kept) if k])
        )
        found = iter(
            [next(results) if a and n else None for a, n in zip(asked, nonzero)]
        )
        collect_logs(logs, list(results))
        return [next(found) if u else None for u in unknown]

    def uses_axis(self, name: Any) -> bool:
        return self.jaxpr.uses_axis(name)

    def batch(self, size: int, operands: Sequence[Value], dims: Sequence[Any]) -> Any:
        program, out_dims = batch_jaxpr(self.jaxpr, size, dims)
        return JitCall(self.label, program)(*operands), out_dims

    def prune(
        self, wanted: Sequence[bool]
    ) -> tuple[JitCall, Sequence[bool], Sequence[bool]]:
        """Drop results, and what only they needed: see `core.jaxpr.prune_eqn`."""
        smaller, kept = prune_jaxpr(self.jaxpr, wanted)
        return JitCall(self.label, smaller), kept, wanted


def residual_sources(parts: Linearized) -> tuple[Jaxpr, list[bool], list[int]]:
    """Spare a compiled program the residuals that its caller has anyway.

    Returns:
        The program without those that are inputs or outputs; for each input, whether it
        is still there; and for each residual, where it is in (inputs, results).
    """
    primal = parts.primal
    if "residuals" not in primal.cache:
        count = len(parts.out_nonzero)
        outputs = list(primal.outputs[:count])
        wanted = [True] * count
        sources = []
        for atom, source in zip(primal.outputs[count:], parts.residual_inputs):
            fresh = source is None and atom not in outputs
            wanted.append(fresh)
            if fresh:
                outputs.append(atom)
            at = len(primal.inputs)
            sources.append(at + outputs.index(atom) if source is None else source)
        smaller, kept = prune_jaxpr(primal, wanted)
        primal.cache["residuals"] = smaller, kept, sources
    return primal.cache["residuals"]  # type: ignore[no-any-return]


def fill(found: Sequence[Any], nonzero: Sequence[bool], outs: Sequence[Value]) -> Any:
    """Put symbolic zeros between the tangents that a program gave."""
    rest = iter(found)
    return [next(rest) if n else Zero(like=y) for n, y in zip(nonzero, outs)]
