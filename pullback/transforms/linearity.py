"""What is linear in what: operations, programs split by it, and the errors about it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

from pullback.core.jaxpr import Atom, Eqn, Jaxpr, Literal, Var, prune
from pullback.core.origin import Origin, called_at
from pullback.core.primitive import Primitive
from pullback.errors import LinearityError
from pullback.primitives.structural import Broadcast, Full, Reshape, is_known_zero


def linear_group(
    primitive: Primitive, unknown: tuple[bool, ...]
) -> tuple[int, ...] | None:
    """Give the operands in which the operation is jointly linear, cached."""
    if type(primitive).linear_in is not Primitive.linear_in:
        return primitive.linear_in(unknown)
    return _group(primitive.linear, unknown)


@functools.lru_cache(1024)
def _group(groups: Any, unknown: tuple[bool, ...]) -> tuple[int, ...] | None:
    for group in groups:
        if group[-1] is ...:
            group = (*group[:-1], *range(group[-2] + 1, len(unknown)))
        if all(i in group for i, u in enumerate(unknown) if u):
            return tuple(i for i in group if i < len(unknown))
    return None


def not_linear(primitive: Primitive, origin: Origin | None = None) -> LinearityError:
    """Make the error for an operation that is not linear in a tangent."""
    kind = type(primitive)
    declare = ""
    if not kind.linear and not kind.__module__.startswith("pullback."):
        declare = f" If {kind.__name__} is linear there, say so in its class: for the "
        declare += "first operand `linear = ((0,),)`."
    return LinearityError(
        f"operation {primitive.name} was applied to a tangent, in which it is not "
        "linear.",
        where=f"Called at {origin}." if origin else called_at(),
        mend="Derivative rules must be linear in their tangents: use each tangent at "
        "most once in a product, and apply nonlinear functions to primals only."
        + declare,
    )


def affine(primitive: Primitive, origin: Origin | None = None) -> LinearityError:
    """Make the error for a constant joined to a tangent."""
    return LinearityError(
        f"operation {primitive.name} joined a tangent with a value that does not "
        "depend on it, so the result is affine, not linear.",
        where=f"Called at {origin}." if origin else called_at(),
        mend="Derivative rules must be linear in their tangents: drop the constant "
        "term; for a zero, use jnp.zeros_like.",
    )


class Split(NamedTuple):
    """A program taken apart into what tangents do not reach and what is linear in them.

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
        jaxpr.cache[key] = _Splitter(jaxpr, unknown).result()
    return jaxpr.cache[key]  # type: ignore[no-any-return]


class _Splitter:
    """Sorts the eqns of a program.

    `tangents` are the variables that depend on unknown inputs; `constants` those that
    depend on no input at all, which both parts compute for themselves.
    """

    def __init__(self, jaxpr: Jaxpr, unknown: Sequence[bool]) -> None:
        self.jaxpr = jaxpr
        self.unknown = tuple(unknown)
        self.tangents = {v for v, u in zip(jaxpr.inputs, unknown) if u}
        self.constants: set[Any] = set()
        self.zeros: set[Any] = set()
        self.known: list[Eqn] = []
        self.linear: list[Eqn] = []
        for eqn in jaxpr.eqns:
            self.sort(eqn)

    def sort(self, eqn: Eqn) -> None:
        """Put an eqn where it belongs, or raise if it is not linear."""
        flags = tuple([x in self.tangents for x in eqn.inputs])
        if True in flags:
            if eqn.primitive.splits:
                self.take_apart(eqn, flags)
                return
            self.check(eqn, flags)
            self.tangents.update(eqn.outputs)
            self.linear.append(eqn)
            return
        self.known.append(eqn)
        fixed = all(type(x) is Literal or x in self.constants for x in eqn.inputs)
        if fixed and not eqn.primitive.effects:
            self.constants.update(eqn.outputs)
            self.linear.append(eqn)
        if self.gives_zero(eqn):
            self.zeros.update(eqn.outputs)

    def check(self, eqn: Eqn, flags: tuple[bool, ...]) -> None:
        """Raise unless an operation is linear in its unknown operands."""
        group = linear_group(eqn.primitive, flags)
        if group is None:
            raise not_linear(eqn.primitive, eqn.origin)
        for i in group:
            if not flags[i] and not self.is_zero(eqn.inputs[i]):
                raise affine(eqn.primitive, eqn.origin)

    def is_zero(self, atom: Atom) -> bool:
        """Whether an atom is zero by its own evidence."""
        if isinstance(atom, Literal):
            return is_known_zero(atom.value)
        return atom in self.zeros

    def gives_zero(self, eqn: Eqn) -> bool:
        """Whether an eqn makes zeros, or moves them."""
        if isinstance(eqn.primitive, Full):
            return not eqn.primitive.value
        moves = isinstance(eqn.primitive, (Broadcast, Reshape))
        return moves and all(map(self.is_zero, eqn.inputs))

    def take_apart(self, eqn: Eqn, flags: tuple[bool, ...]) -> None:
        """Sort the two parts of an operation that holds a program."""
        parts = eqn.primitive.split(flags)
        known = [x for x, u in zip(eqn.inputs, flags) if not u]
        given = [x for x, u in zip(eqn.inputs, flags) if u]
        plain = [v for v, n in zip(eqn.outputs, parts.out_linear) if not n]
        fresh = [Var(a) for a in parts.known.out_avals[len(plain) :]]
        pool = [*known, *plain, *fresh]
        residuals = [pool[i] for i in parts.sources]
        if plain or fresh:
            call = eqn.primitive.with_jaxpr(parts.known)
            outs = (*plain, *fresh)
            self.known.append(Eqn(call, tuple(known), outs, eqn.origin))
        outs = tuple(v for v, n in zip(eqn.outputs, parts.out_linear) if n)
        if outs:
            call = eqn.primitive.with_jaxpr(parts.linear)
            self.tangents.update(outs)
            self.linear.append(Eqn(call, (*residuals, *given), outs, eqn.origin))

    def result(self) -> Split:
        """Give both parts, each without what it does not need."""
        jaxpr = self.jaxpr
        out_linear = [v in self.tangents for v in jaxpr.outputs]
        linear_outs = [v for v, n in zip(jaxpr.outputs, out_linear) if n]
        linear_eqns = prune(
            Jaxpr([], linear_outs, self.linear), [True] * len(linear_outs)
        )[0].eqns
        made = {*self.tangents, *(v for e in linear_eqns for v in e.outputs)}
        read = (v for e in linear_eqns for v in e.inputs if type(v) is Var)
        residuals = list(dict.fromkeys(v for v in read if v not in made))
        known_inputs = [v for v, u in zip(jaxpr.inputs, self.unknown) if not u]
        outs = [v for v, n in zip(jaxpr.outputs, out_linear) if not n]
        pool: list[Atom] = [*known_inputs, *outs]
        sources = []
        for v in residuals:
            if v not in pool:
                pool.append(v)
            sources.append(pool.index(v))
        results = pool[len(known_inputs) :]
        body = prune(Jaxpr([], results, self.known), [True] * len(results))[0].eqns
        known = Jaxpr(known_inputs, results, body, jaxpr.name)
        given = [v for v, u in zip(jaxpr.inputs, self.unknown) if u]
        linear = Jaxpr([*residuals, *given], linear_outs, linear_eqns, jaxpr.name)
        return Split(known, linear, out_linear, sources)
