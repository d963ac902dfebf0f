"""The text of an operation, kept to be written again under other names.

Programs repeat themselves: the layers of a network are the same operations on the same
types. What a `lower` rule wrote once is written again by filling in names.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from typing import Any

from pullback.core.aval import Aval

_NAME = re.compile(r"(%[A-Za-z0-9]+)")
#: The names that are given, in order; longer when longer programs were met.
_names = ["%0"]


def placeholder(index: int) -> str:
    """Give the name that stands for an operand while a template is made."""
    return f"%x{index}"


class Operand:
    """A name in the emitted text, with its type."""

    __slots__ = ("aval", "name")

    def __init__(self, name: str, aval: Aval) -> None:
        self.name = name
        self.aval = aval


class Template:
    """Lines in which the names of operands and of results are holes.

    Args:
        lines: what a `lower` rule wrote for operands named by `placeholder`.
        operands: how many these are.
        start: the number of names given before the lines were written.
        end: the number given after.
        results: what the rule gave.
    """

    __slots__ = ("count", "pick", "result", "results", "text")

    def __init__(
        self,
        lines: Sequence[str],
        operands: int,
        start: int,
        end: int,
        results: Sequence[Operand],
    ) -> None:
        self.count = end - start
        holes = {placeholder(i): i for i in range(operands)}
        holes.update((f"%{start + 1 + i}", operands + i) for i in range(self.count))
        self.text, self.pick = _with_holes("\n    ".join(lines), holes)
        self.results = [_hole_of(x.name, holes) for x in results]
        # The hole of the only result, as most operations have one.
        plain = len(self.results) == 1 and not self.results[0][1]
        self.result = self.results[0][0] if plain else None

    def fill(self, names: list[str], start: int, lines: list[str]) -> list[str]:
        """Write the lines for operands, and give the names of the results.

        Args:
            names: those of the operands; those given here are appended.
            start: the number of names given so far; `count` more are given here.
            lines: where to write.
        """
        end = start + self.count
        while len(_names) <= end:
            _names.extend([f"%{i}" for i in range(len(_names), 2 * len(_names))])
        names += _names[start + 1 : end + 1]
        if self.text:
            lines.append(self.text % self.pick(names))
        if self.result is not None:
            return [names[self.result]]
        return [names[hole] + rest for hole, rest in self.results]


def _with_holes(
    text: str, holes: dict[str, int]
) -> tuple[str, Callable[[Sequence[str]], Any]]:
    """Make a format of a text, and what picks the names that fill it."""
    parts: list[str] = []
    numbers: list[int] = []
    for part in _NAME.split(text):
        number = holes.get(part)
        if number is None:
            parts.append(part.replace("%", "%%"))
        else:
            parts.append("%s")
            numbers.append(number)
    if not numbers:
        return "".join(parts), lambda names: ()
    return "".join(parts), operator.itemgetter(*numbers)


def _hole_of(name: str, holes: dict[str, int]) -> tuple[int, str]:
    """Give the hole that a result's name begins with, and what follows it (`#0`)."""
    name, mark, rest = name.partition("#")
    return holes[name], mark + rest
