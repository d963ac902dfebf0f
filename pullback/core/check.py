"""Checks that a jaxpr is well formed and that every operation's types add up."""

from __future__ import annotations

from pullback.core.jaxpr import Eqn, Jaxpr, Var


def check_jaxpr(jaxpr: Jaxpr) -> None:
    """Raise if a variable is used before it is defined, or a type is wrong.

    Raises:
        AssertionError: an operation's `abstract` rule gives other types than the eqn.
    """
    known: set[Var] = set(jaxpr.inputs)
    for eqn in jaxpr.eqns:
        check_eqn(eqn, known)
        known.update(eqn.outputs)
    for atom in jaxpr.outputs:
        assert not isinstance(atom, Var) or atom in known, "output is never defined"


def check_eqn(eqn: Eqn, known: set[Var]) -> None:
    """Raise if one eqn uses unknown variables or has results of wrong types."""
    name = eqn.primitive.name
    for atom in eqn.inputs:
        assert not isinstance(atom, Var) or atom in known, f"{name} uses an unknown"
    out = eqn.primitive.abstract(*[a.aval for a in eqn.inputs])
    expected = list(out) if eqn.primitive.multiple else [out]
    given = [v.aval for v in eqn.outputs]
    assert len(expected) == len(given), f"{name}: wrong number of results"
    for want, have in zip(expected, given):
        assert want.matches(have), f"{name}: {have} where abstract says {want}"
    for value in eqn.primitive.parameters().values():
        for inner in value if isinstance(value, tuple) else (value,):
            if isinstance(inner, Jaxpr):
                check_jaxpr(inner)
