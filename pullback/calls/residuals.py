"""Residuals that the way back computes again, since others make them cheaply.

The derivative of tanh multiplies by 1 - y*y. Where a loop keeps y for another reason,
stacking 1 - y*y beside it costs as much memory again, and more time to write and to
read than to compute.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pullback.core.jaxpr import Atom, Eqn, Jaxpr, Var
from pullback.primitives import table
from pullback.primitives.table import ConvertElementType
from pullback.transforms.linearize import Linearized

#: Operations that cost less than reading their result from memory.
CHEAP = frozenset(
    (
        *(table.add, table.sub, table.mul, table.neg, table.abs, table.sign),
        *(table.max, table.min, table.eq, table.ne, table.lt, table.le, table.gt),
        *(table.ge, table.and_, table.or_, table.not_, table.select),
    )
)
#: The most of them that are done again for one residual.
LONGEST = 8


def with_fewer_residuals(split: Linearized, free: Collection[Atom]) -> Linearized:
    """Move operations from the part that computes to the linear part.

    Args:
        split: a linearized program.
        free: outputs of its primal part that are kept whether they are residuals or
            not.
    """
    residuals = split.primal.outputs[len(split.out_nonzero) :]
    if len(set(residuals)) < len(residuals):
        return split
    makers = cheap_makers(split.primal)
    kept = {*residuals, *free}
    # What is made last is made of the others.
    for atom in [v for v in reversed(makers) if v in residuals and v not in free]:
        steps = chain(atom, kept - {atom}, makers)
        if steps is not None and len(steps) <= LONGEST:
            kept.remove(atom)
    if all(atom in kept for atom in residuals):
        return split
    return moved(split, residuals, kept, makers)


def cheap_makers(jaxpr: Jaxpr) -> dict[Var, Eqn]:
    """Give the eqn of each variable that is made by a cheap operation, in order."""
    return {
        eqn.outputs[0]: eqn
        for eqn in jaxpr.eqns
        if eqn.primitive in CHEAP or type(eqn.primitive) is ConvertElementType
    }


def chain(
    atom: Var, kept: Collection[Atom], makers: Mapping[Var, Eqn]
) -> dict[Var, Eqn] | None:
    """Give the eqns that make a variable of kept ones, in order; None if none do."""
    found: dict[Var, Eqn] = {}

    def reach(v: Atom) -> bool:
        if type(v) is not Var or v in kept or v in found:
            return True
        if v not in makers or len(found) > LONGEST:
            return False
        eqn = makers[v]
        if not all(reach(x) for x in eqn.inputs):
            return False
        found[v] = eqn
        return True

    return found if reach(atom) else None


def moved(
    split: Linearized,
    residuals: Sequence[Atom],
    kept: Collection[Atom],
    makers: Mapping[Var, Eqn],
) -> Linearized:
    """Give a linear part that computes the residuals that are not kept."""
    count = len(residuals)
    names: dict[Atom, Var] = dict(zip(residuals, split.linear.inputs))
    eqns: dict[Var, Eqn] = {}
    for atom in residuals:
        if atom not in kept:
            assert type(atom) is Var, "only variables have makers"
            eqns |= chain(atom, kept, makers) or {}
    used = dict.fromkeys(
        x for eqn in eqns.values() for x in eqn.inputs if type(x) is Var
    )
    added = [v for v in used if v not in names and v not in eqns]
    for v in (*added, *eqns):
        names.setdefault(v, Var(v.aval))
    again = [
        Eqn(e.primitive, tuple([names.get(x, x) for x in e.inputs]), (names[v],))
        for v, e in eqns.items()
    ]
    outs = split.primal.outputs[: len(split.out_nonzero)]
    stay = [(a, i) for a, i in zip(residuals, split.residual_inputs) if a in kept]
    atoms = [*(a for a, _ in stay), *added]
    linear = Jaxpr(
        [*(names[a] for a in atoms), *split.linear.inputs[count:]],
        split.linear.outputs,
        [*again, *split.linear.eqns],
        split.linear.name,
    )
    primal = Jaxpr(
        split.primal.inputs, [*outs, *atoms], split.primal.eqns, split.primal.name
    )
    sources = [*(i for _, i in stay), *[None] * len(added)]
    return Linearized(primal, linear, split.out_nonzero, sources)
