"""Programs run by NumPy on raw values, planned once: what loops do outside of `jit`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pullback.core.array import SCALARS, Array, from_host
from pullback.core.jaxpr import Jaxpr, Literal
from pullback.core.primitive import Primitive
from pullback.core.trace import unexpected_operand

#: A rule on raw values; where its operands stand; where its result or results go.
Step = tuple[Callable[..., Any], tuple[int, ...], int | tuple[int, ...]]


class Plan:
    """A program as a list of NumPy calls on numbered places.

    Values take the place of one that is no longer needed, so that memory is released as
    it is when values are dropped after their last use.
    """

    __slots__ = ("inputs", "outputs", "places", "steps")

    def __init__(self, jaxpr: Jaxpr) -> None:
        self.places: list[Any] = []
        self.steps: list[Step] = []
        free: list[int] = []
        known: dict[Any, int] = {}

        def place(value: Any = None) -> int:
            if free and value is None:
                return free.pop()
            self.places.append(value)
            return len(self.places) - 1

        def read(atom: Any) -> int:
            if isinstance(atom, Literal):
                value = atom.value
                if type(value) is Array:
                    return place(value.fetch())
                return place(atom.aval.dtype.type(value))
            return known[atom]

        for v in jaxpr.inputs:
            known[v] = place()
        self.inputs = len(jaxpr.inputs)
        for eqn, dead in zip(jaxpr.eqns, jaxpr.dead_after()):
            ins = tuple([read(x) for x in eqn.inputs])
            made = set(eqn.outputs)
            free.extend(known[v] for v in dead if v not in made)
            outs = []
            for v in eqn.outputs:
                known[v] = place()
                outs.append(known[v])
            free.extend(known[v] for v in dead if v in made)
            many = eqn.primitive.multiple
            self.steps.append(
                (raw_rule(eqn.primitive), ins, tuple(outs) if many else outs[0])
            )
        self.outputs = [read(x) for x in jaxpr.outputs]

    def __call__(self, values: Sequence[Any]) -> list[Any]:
        """Run on NumPy values, one an input, with NumPy's warnings off already."""
        env = self.places.copy()
        env[: self.inputs] = values
        for rule, ins, out in self.steps:
            found = rule(*[env[i] for i in ins])
            if type(out) is int:
                env[out] = found
            else:
                for i, y in zip(out, found):  # type: ignore[arg-type]
                    env[i] = y.fetch() if type(y) is Array else y
        return [env[i] for i in self.outputs]


def plan(jaxpr: Jaxpr) -> Plan:
    """Give the plan of a program, made once."""
    found: Plan | None = jaxpr.cache.get("plan")
    if found is None:
        found = jaxpr.cache["plan"] = Plan(jaxpr)
    return found


def raw_rule(primitive: Primitive) -> Callable[..., Any]:
    """Give what computes an operation on raw values.

    Operations of this layer say so themselves, by a method `raw`; other operations that
    hold a program are given arrays.
    """
    raw = getattr(primitive, "raw", None)
    if raw is not None:
        return raw  # type: ignore[no-any-return]
    if not primitive.calls:
        return primitive.eager
    inner = getattr(primitive, "call_jaxpr", None)
    if isinstance(inner, Jaxpr):
        return lambda *values: plan(inner)(values)

    def on_arrays(*values: Any) -> Any:
        wrapped = [x if type(x) in SCALARS else from_host(x) for x in values]
        out = primitive.eager(*wrapped)
        if primitive.multiple:
            return out
        return out.fetch() if type(out) is Array else out

    return on_arrays


def run_raw(primitive: Any, operands: Sequence[Any]) -> list[Array]:
    """Run an operation that has a method `raw` on arrays, and wrap its results."""
    values = [
        x.fetch() if type(x) is Array
        else x if type(x) in SCALARS
        else unexpected_operand(primitive, x)
        for x in operands
    ]  # fmt: skip
    with np.errstate(all="ignore"):
        found = primitive.raw(*values)
    return [
        from_host(y, a.weak) for y, a in zip(found, primitive.abstract(), strict=True)
    ]
