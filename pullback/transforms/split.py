"""Programs taken apart into what tangents do not reach and what is linear in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pullback.core.jaxpr import Atom, Eqn, Jaxpr, Literal, Var, evaluate, prune
from pullback.core.trace import Value, using
from pullback.core.zero import Zero
from pullback.transforms.linearize import (
    LINEAR,
    LinearProgram,
    LinearTrace,
    LinearTracer,
    linear_jaxpr,
)
from pullback.transforms.stage import StageTrace, without_constants


class Split(NamedTuple):
    """A program taken apart by what tangents reach.

    Fields:
        known: known inputs -> outputs that no tangent reaches, and then residuals.
        linear: residuals and then tangents -> the other outputs.
        out_linear: for each output, whether it is one of these.
        sources: for each residual, where it is in (known inputs, results of `known`).
    """

    known: Jaxpr
    linear: Jaxpr
    out_linear: list[bool]
    sources: list[int]


def split_jaxpr(jaxpr: Jaxpr, unknown: Sequence[bool]) -> Split:
    """Take a program apart by which of its inputs are tangents; cached on the program.

    Raises:
        LinearityError: it is not linear in these inputs; names the line.
    """
    key = ("split", tuple(unknown))
    if key not in jaxpr.cache:
        count = unknown.count(False)
        whole = jaxpr.cache.get(LINEAR) == count and all(unknown[count:])
        parts = wholly_linear(jaxpr, count) if whole else split_anew(jaxpr, unknown)
        jaxpr.cache[key] = parts
    return jaxpr.cache[key]  # type: ignore[no-any-return]


def wholly_linear(jaxpr: Jaxpr, count: int) -> Split:
    """Give the parts of a program of `count` residuals and tangents, all linear."""
    # Were each call in it split again, so would be all in it, at each level of a nest.
    known = Jaxpr(jaxpr.inputs[:count], [], [], jaxpr.name)
    return Split(known, jaxpr, [True] * len(jaxpr.outputs), list(range(count)))


def split_anew(jaxpr: Jaxpr, unknown: Sequence[bool]) -> Split:
    """Run a program with tangents recorded and all else staged."""
    trace = StageTrace(jaxpr.name)
    recording = LinearTrace(trace)
    known: list[Value] = []
    given: list[LinearTracer] = []
    for aval, u in zip(jaxpr.in_avals, unknown):
        if u:
            given.append(recording.input(aval))
        else:
            known.append(trace.input(aval))
    first, second = iter(known), iter(given)
    inputs = [next(second) if u else next(first) for u in unknown]
    with using(recording):
        outs = evaluate(jaxpr, inputs)
    out_linear = [type(y) is LinearTracer and y.owner is recording for y in outs]
    marked = [y if n else Zero(like=y) for y, n in zip(outs, out_linear)]
    program = LinearProgram(recording.steps, given, marked)
    linear, residuals = linear_jaxpr(program, jaxpr.name)
    plain = [y for y, n in zip(outs, out_linear) if not n]
    whole = without_constants(trace.finish([*plain, *residuals]))
    return settle(whole, linear, len(plain), out_linear)


def settle(known: Jaxpr, linear: Jaxpr, count: int, out_linear: list[bool]) -> Split:
    """Let the linear part make its own constants, and name each residual once.

    Args:
        known: known inputs -> `count` outputs, and then residuals.
        linear: residuals and then tangents -> outputs.
        count: how many outputs no tangent reaches.
        out_linear: which outputs these are not.
    """
    fixed = constant_eqns(known)
    eqns: dict[int, Eqn] = {}
    names: dict[Atom, Atom] = {}
    passed: list[Var] = []
    pool: list[Atom] = [*known.inputs, *known.outputs[:count]]
    sources: list[int] = []
    for atom, var in zip(known.outputs[count:], linear.inputs):
        if type(atom) is Literal or atom in fixed:
            names[var] = atom
            for i in fixed.get(atom, ()):
                eqns[i] = known.eqns[i]
            continue
        if atom not in pool:
            pool.append(atom)
        sources.append(pool.index(atom))
        passed.append(var)
    body = [
        Eqn(
            e.primitive, tuple([names.get(x, x) for x in e.inputs]), e.outputs, e.origin
        )
        for e in linear.eqns
    ]
    given = linear.inputs[len(known.outputs) - count :]
    outs = [names.get(y, y) for y in linear.outputs]
    constants = [eqns[i] for i in sorted(eqns)]
    second = Jaxpr([*passed, *given], outs, [*constants, *body], linear.name)
    results = pool[len(known.inputs) :]
    whole = Jaxpr(known.inputs, results, known.eqns, known.name)
    second.cache[LINEAR] = len(passed)
    kept = prune(whole, [True] * len(results))[0].eqns
    return Split(
        Jaxpr(known.inputs, results, kept, known.name), second, out_linear, sources
    )


def constant_eqns(jaxpr: Jaxpr) -> dict[Any, tuple[int, ...]]:
    """Give, for each variable that depends on no input, the eqns that make it."""
    found: dict[Any, tuple[int, ...]] = {}
    for i, eqn in enumerate(jaxpr.eqns):
        known = all(type(x) is Literal or x in found for x in eqn.inputs)
        if known and not eqn.primitive.effects:
            needed = {j for x in eqn.inputs for j in found.get(x, ())}
            for v in eqn.outputs:
                found[v] = (*sorted(needed), i)
    return found
