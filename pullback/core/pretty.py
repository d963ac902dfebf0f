"""Jaxprs as text: `{ lambda ; a:f32[]. let b:f32[] = exp a in (b,) }`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core import jaxpr as jaxprs
from pullback.core.jaxpr import Atom, ClosedJaxpr, Eqn, Jaxpr, Literal, Var


class Names:
    """Gives each variable a name: a to z, then aa, ab, and so on."""

    __slots__ = ("known",)

    def __init__(self) -> None:
        self.known: dict[Var, str] = {}

    def __getitem__(self, atom: Atom) -> str:
        """Give the name of a variable or the text of a literal."""
        if isinstance(atom, Literal):
            return literal_text(atom)
        if atom not in self.known:
            self.known[atom] = letters(len(self.known))
        return self.known[atom]

    def typed(self, atoms: Sequence[Atom]) -> str:
        """Write variables with their types."""
        return " ".join(f"{self[v]}:{v.aval}" for v in atoms)


def letters(number: int) -> str:
    """Write a number in base 26 with letters, as columns of a sheet are."""
    text = ""
    number += 1
    while number:
        number, digit = divmod(number - 1, 26)
        text = "abcdefghijklmnopqrstuvwxyz"[digit] + text
    return text


def literal_text(literal: Literal) -> str:
    """Write a scalar constant: `1.0`; with its type where that is not obvious."""
    value = literal.value
    if isinstance(value, (bool, int, float, complex)):
        return str(value)
    value = np.asarray(value)[()]
    short = dtypes.short(literal.aval.dtype)
    return str(value) if literal.aval.weak else f"{value}:{short}[]"


def parameter_text(value: Any) -> str:
    """Write one static parameter on one line."""
    if isinstance(value, np.dtype):
        return dtypes.short(value)
    if isinstance(value, tuple):
        inner = ", ".join(map(parameter_text, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return str(value)


def eqn_lines(eqn: Eqn, names: Names) -> Iterator[str]:
    """Write one eqn; the jaxprs it holds follow, indented."""
    parameters = eqn.primitive.parameters()
    nested = {k: v for k, v in parameters.items() if holds_jaxpr(v)}
    given = [(k, v) for k, v in parameters.items() if k not in nested and v is not None]
    plain = [f"{k}={parameter_text(v)}" for k, v in given]
    operands = " ".join(names[v] for v in eqn.inputs)
    left = names.typed(eqn.outputs) or "_"
    head = f"{left} = {eqn.primitive.name}"
    if not nested:
        inside = f"[{' '.join(plain)}]" if plain else ""
        yield f"{head}{inside} {operands}".rstrip()
        return
    yield f"{head}["
    for item in plain:
        yield f"  {item}"
    for key, value in nested.items():
        for j in value if isinstance(value, tuple) else (value,):
            lines = list(jaxpr_lines(j, ()))
            yield f"  {key}={lines[0]}"
            for line in lines[1:]:
                yield f"  {line}"
    yield f"] {operands}".rstrip()


def holds_jaxpr(value: Any) -> bool:
    """Whether a parameter is a jaxpr or a tuple of them."""
    if isinstance(value, tuple) and value:
        return all(isinstance(v, (Jaxpr, ClosedJaxpr)) for v in value)
    return isinstance(value, (Jaxpr, ClosedJaxpr))


def jaxpr_lines(program: Jaxpr | ClosedJaxpr, consts: Sequence[Any]) -> Iterator[str]:
    """Write a program line by line."""
    if isinstance(program, ClosedJaxpr):
        consts = program.consts
    program = program.jaxpr if isinstance(program, ClosedJaxpr) else program
    names = Names()
    split = len(consts)
    known = names.typed(program.inputs[:split])
    given = names.typed(program.inputs[split:])
    body = [line for eqn in program.eqns for line in eqn_lines(eqn, names)]
    result = ", ".join(names[v] for v in program.outputs)
    result = f"({result},)" if len(program.outputs) == 1 else f"({result})"
    head = " ".join(part for part in ("{ lambda", known, ";", given) if part) + "."
    if not body:
        yield f"{head} let in {result} }}"
        return
    yield f"{head} let"
    for line in body:
        yield f"    {line}"
    yield f"  in {result} }}"


def jaxpr_text(program: Jaxpr, consts: Sequence[Any]) -> str:
    """Write a whole program."""
    return "\n".join(jaxpr_lines(program, consts))


jaxprs.printer[0] = jaxpr_text
