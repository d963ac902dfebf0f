"""Calls of decorated functions with checks: function and rules say what they found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pullback.core.aval import Aval
from pullback.core.trace import Tracer, Value, aval_of, using
from pullback.core.zero import Zero
from pullback.custom.call import CustomCall
from pullback.custom.pull import Forward
from pullback.primitives.checks import CODE, Check, Info, Kind
from pullback.primitives.structural import full, zeros_of
from pullback.primitives.table import eq, select
from pullback.transforms.checks import (
    Around,
    CheckTrace,
    Findings,
    Rules,
    check_flat,
    nothing_found,
)
from pullback.transforms.stage import stage_flat


class CheckedSite(Around):
    """A site whose outputs are followed by what checks found, which has no tangents.

    Whichever runs first, the function or a rule, says which checks there are. A program
    is told by its function; what a rule then finds beyond that is checked where it is
    run, by whoever differentiates.
    """

    __slots__ = ()

    def has_vmap(self) -> bool:
        """Whether a batching rule may be used: it would not say what it found."""
        return False

    def typed(self, operands: Sequence[Value]) -> None:
        """Say that the type of the output is not enough."""

    def settle(self, found: Findings) -> list[Value]:
        """Give what was found as the checks that are known describe it."""
        if self.info is None:
            self.info = found.info
        if found.info == self.info:
            return found.leaves
        return told(found, self.info)

    def run(self, operands: Sequence[Value]) -> list[Value]:
        """Call the function itself."""
        outs, found = check_flat(lambda *xs: self.inner.run(xs), operands, *self.asked)
        return [*outs, *self.settle(found)]

    def jvp(
        self, operands: Sequence[Value], tangents: Sequence[Any]
    ) -> tuple[list[Value], list[Any]]:
        """Run the jvp rule."""
        dots: list[Any] = []

        def rule(*values: Value) -> list[Value]:
            outs, found = self.inner.jvp(values, tangents)
            dots.extend(found)
            return outs  # type: ignore[no-any-return]

        outs, found = check_flat(rule, operands, *self.asked)
        leaves = self.settle(found)
        return [*outs, *leaves], [*dots, *[Zero(like=x) for x in leaves]]

    def fwd(self, operands: Sequence[Value], perturbed: Sequence[bool]) -> Forward:
        """Run `fwd`, and keep what `bwd` will need."""
        kept: list[Forward] = []

        def rule(*values: Value) -> list[Value]:
            kept.append(self.inner.fwd(values, perturbed))
            return kept[0].outs

        outs, found = check_flat(rule, operands, *self.asked)
        leaves = self.settle(found)
        pull = CheckedPull(kept[0].pull, [aval_of(x) for x in leaves])
        return Forward([*outs, *leaves], kept[0].residuals, pull)


class CheckedPull:
    """A backward pass of outputs that are followed by what checks found."""

    __slots__ = ("inner", "more")

    def __init__(self, inner: Any, more: Sequence[Aval]) -> None:
        self.inner = inner
        self.more = list(more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    @property
    def out_avals(self) -> list[Aval]:
        """The types of the outputs."""
        return [*self.inner.out_avals, *self.more]

    def backward(self, residuals: Sequence[Value], cts: Sequence[Any]) -> list[Any]:
        """Run `bwd`."""
        count = len(self.inner.out_avals)
        return self.inner.backward(residuals, cts[:count])  # type: ignore[no-any-return]

    def forward(self, residuals: Sequence[Value], tangents: Sequence[Any]) -> list[Any]:
        """Apply the linear function forward."""
        dots = self.inner.forward(residuals, tangents)
        return [*dots, *[Zero(a.tangent()) for a in self.more]]


def told(found: Findings, info: Info) -> list[Value]:
    """Give what was found as other checks describe it, and check the rest here.

    Checks that were not written by the user, and are not among them, are dropped.
    """
    if not found.records:
        return nothing_found(info)
    code = zeros_of(CODE)
    rest = zeros_of(CODE)
    own = [r for r in found.records if r not in info.records and r.kind is Kind.USER]
    for i, record in enumerate(found.records):
        here = eq(found.code, i + 1)
        if record in info.records:
            place = info.records.index(record) + 1
            code = select(here, full((), place, CODE.dtype), code)
        elif record.kind is Kind.USER:
            place = own.index(record) + 1
            rest = select(here, full((), place, CODE.dtype), rest)
    if own:
        Check(Info(tuple(own), found.info.slots))(rest, *found.values.values())
    if not info.records:
        return []
    values = [
        found.values[s] if s in found.values else zeros_of(s[0]) for s in info.slots
    ]
    return [code, *values]


def check_custom_call(
    trace: CheckTrace, call: CustomCall, operands: tuple[Value, ...]
) -> list[Value]:
    """Call a decorated function with checks in it, and in its rules."""
    if not any(isinstance(x, Tracer) for x in operands):
        # Nothing that is known of a value now would make a rule run.
        with using(trace):
            return call.function(operands)
    if call.call_jaxpr is not None:
        program, info = trace.checked(call.call_jaxpr)
        if not info.records:
            return trace.run(call, operands)  # type: ignore[no-any-return]
        site = CheckedSite(call.site, trace, info)
        checked = CustomCall(site, program, call.count_consts)
    else:
        if call.site.has_vmap() and not has_checks(trace, call, operands):
            return trace.run(call, operands)  # type: ignore[no-any-return]
        site = CheckedSite(call.site, trace)
        checked = CustomCall(site)
    results = trace.run(checked, operands)
    assert site.info is not None, "said by what ran"
    return trace.collect(site.info, results)


def has_checks(trace: CheckTrace, call: CustomCall, operands: Sequence[Value]) -> bool:
    """Whether there are checks in a function."""
    closed = stage_flat(
        lambda *xs: call.function(xs), [aval_of(x) for x in operands], call.name
    )
    return bool(trace.checked(closed.jaxpr).info.records)


#: What is done with operations of this layer.
CALL_RULES: Rules = {CustomCall: check_custom_call}
