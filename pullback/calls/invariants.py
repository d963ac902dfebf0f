"""What a loop computes anew in each step from constants alone, computed before it.

The compiler leaves such operations in the loop, and so would derivatives: the cotangent
of a matrix of which each step takes a part would be as large as the whole in each step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pullback import dtypes
from pullback.calls.program import Written
from pullback.core.jaxpr import Eqn, Jaxpr, Var, evaluate
from pullback.core.trace import Value, aval_of
from pullback.primitives.guarding import guard


def without_invariants(
    body: Written, runs: Callable[[], Value] | None = None
) -> Written:
    """Move eqns out of the body of a loop that depend on its constants only.

    Eqns with effects stay, and those whose result would be larger than what it is made
    of: such are written into the loops of what reads them, and need no memory there.

    Args:
        body: the body.
        runs: says whether the loop makes a step, if it may make none and be walked
            backwards: no cotangent comes from what it does not do.
    """
    count = len(body.consts)
    constants, inner = body.jaxpr.inputs[:count], body.jaxpr.inputs[count:]
    inside, outside = split_eqns(body.jaxpr, constants)
    if not outside:
        return body
    used: set[Any] = {v for eqn in inside for v in eqn.inputs}.union(body.jaxpr.outputs)
    used.difference_update(v for eqn in inside for v in eqn.outputs)
    moved = [v for eqn in outside for v in eqn.outputs if v in used]
    kept = [(v, x) for v, x in zip(constants, body.consts) if v in used]
    before = Jaxpr(constants, moved, outside, body.jaxpr.name)
    given = body.consts if runs is None else guarded(runs(), body.consts)
    values = [*[x for _, x in kept], *evaluate(before, given)]
    inputs = [*[v for v, _ in kept], *moved, *inner]
    jaxpr = Jaxpr(inputs, body.jaxpr.outputs, inside, body.jaxpr.name)
    return Written(jaxpr, tuple(values), body.out_tree)


def guarded(used: Value, values: Sequence[Value]) -> list[Value]:
    """Let no cotangent pass to floating-point values that are not used."""
    inexact = [dtypes.is_inexact(aval_of(x).dtype) for x in values]
    return [guard(used, x) if f else x for x, f in zip(values, inexact)]


def split_eqns(jaxpr: Jaxpr, constants: Any) -> tuple[list[Eqn], list[Eqn]]:
    """Give the eqns that stay in a loop, and those that go before it."""
    fixed: set[Any] = set(constants)
    # What no input reaches, such as zeros, is made where it is used.
    free: set[Any] = set()
    for eqn in jaxpr.eqns:
        atoms = [v for v in eqn.inputs if type(v) is Var]
        if eqn.primitive.effects or not all(v in fixed or v in free for v in atoms):
            continue
        (fixed if any(v in fixed for v in atoms) else free).update(eqn.outputs)
    inside: list[Eqn] = []
    outside: list[Eqn] = []
    needed_inside: set[Any] = set(jaxpr.outputs)
    needed_outside: set[Any] = set()
    for eqn in reversed(jaxpr.eqns):
        out = eqn.outputs[0] if eqn.outputs else None
        here = not needed_inside.isdisjoint(eqn.outputs)
        goes = out in fixed and here and not grows(eqn, free)
        if goes or not needed_outside.isdisjoint(eqn.outputs):
            outside.append(eqn)
            needed_outside.update(eqn.inputs)
        if (here and not goes) or (out not in fixed and out not in free):
            inside.append(eqn)
            needed_inside.update(eqn.inputs)
    return inside[::-1], outside[::-1]


def grows(eqn: Eqn, free: set[Any]) -> bool:
    """Whether the results of an eqn are larger than those operands that are stored."""
    given = [v.aval.size for v in eqn.inputs if type(v) is Var and v not in free]
    return sum(v.aval.size for v in eqn.outputs) > sum(given)
