"""Operations as boxes: one each, or one for many where there are too many to read."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pullback.core.jaxpr import Eqn, Jaxpr, Literal, Var
from pullback.core.pretty import literal_text, parameter_text
from pullback.drawing.program import Program, Tag


@dataclass(slots=True, eq=False)
class Box:
    """One node of the picture.

    Fields:
        kind: "input", "output", "operation", "rule", "call" or "group".
        part: "forward" or "backward".
        lines: what stands in it, the title first.
        tip: what is shown on hovering over it.
    """

    kind: str
    part: str
    lines: list[str]
    tip: str = ""


@dataclass(slots=True, eq=False)
class Edge:
    """Values that flow from one box to another.

    Fields:
        source, target: the boxes.
        types: their types, each once.
        residual: whether they are kept from the forward to the backward pass.
    """

    source: Box
    target: Box
    types: list[str] = field(default_factory=list)
    residual: bool = False


@dataclass(slots=True)
class Diagram:
    """Boxes and edges of a program; boxes in an order that edges follow."""

    name: str
    boxes: list[Box]
    edges: list[Edge]
    operations: int


Run = list[Eqn]


def diagram_of(program: Program, limit: int) -> Diagram:
    """Make the boxes and edges of a program.

    Args:
        program: the program.
        limit: how many boxes there may be for the operations of either pass.
    """
    boxes: list[Box] = []
    maker: dict[Any, Box] = {}
    most = max(4, limit // 6)
    constants = {var: "constant" for var in program.constants}
    user = first_users(fold(program.forward, program.tags, limit))
    for names in (program.inputs, constants):
        items = [(name, var) for var, name in names.items()]
        for box, atom in end_boxes("input", "forward", items, most, boxes, user):
            maker[atom] = box
    edges: dict[tuple[int, int], Edge] = {}
    place_runs(program, program.forward, "forward", limit, boxes, maker, edges)
    add_ends(program.outputs, "forward", most, boxes, maker, edges)
    for var, name in program.seeds.items():
        maker[var] = add(boxes, Box("input", "backward", [name, str(var.aval)]))
    place_runs(program, program.backward, "backward", limit, boxes, maker, edges)
    add_ends(program.gradients, "backward", most, boxes, maker, edges)
    used = {id(b) for e in edges.values() for b in (e.source, e.target)}
    kept = [b for b in boxes if id(b) in used or b.kind != "input"]
    count = len(program.forward) + len(program.backward)
    return Diagram(program.name, kept, list(edges.values()), count)


def add(boxes: list[Box], box: Box) -> Box:
    """Append a box and give it."""
    boxes.append(box)
    return box


def place_runs(
    program: Program,
    eqns: Sequence[Eqn],
    part: str,
    limit: int,
    boxes: list[Box],
    maker: dict[Any, Box],
    edges: dict[tuple[int, int], Edge],
) -> None:
    """Make a box for each run of operations, and the edges into it."""
    for run in fold(eqns, program.tags, limit):
        box = add(boxes, box_of(run, program.tags, part))
        inside = {v for eqn in run for v in eqn.outputs}
        for eqn in run:
            for atom in eqn.inputs:
                if isinstance(atom, Var) and atom not in inside and atom in maker:
                    connect(edges, maker[atom], box, atom)
        for v in inside:
            maker[v] = box


def add_ends(
    ends: Sequence[tuple[str, Any]],
    part: str,
    most: int,
    boxes: list[Box],
    maker: dict[Any, Box],
    edges: dict[tuple[int, int], Edge],
) -> None:
    """Make a box for each result."""
    near = {atom: id(maker[atom]) for _, atom in ends if atom in maker}
    for box, atom in end_boxes("output", part, ends, most, boxes, near):
        if isinstance(atom, Var) and atom in maker:
            connect(edges, maker[atom], box, atom)


def first_users(runs: Sequence[Run]) -> dict[Any, int]:
    """Give for each variable the number of the first run that uses it."""
    found: dict[Any, int] = {}
    for number, run in enumerate(runs):
        for eqn in run:
            for atom in eqn.inputs:
                found.setdefault(atom, number)
    return found


def end_boxes(
    kind: str,
    part: str,
    ends: Sequence[tuple[str, Any]],
    most: int,
    boxes: list[Box],
    near: dict[Any, int],
) -> Iterator[tuple[Box, Any]]:
    """Make a box for each argument or result.

    Where there are many, those of one container that belong to one box share theirs.
    """
    keys = [(container_of(name), near.get(atom)) for name, atom in ends]
    sizes = Counter(keys)
    shared: dict[Any, Box] = {}
    for key, (name, atom) in zip(keys, ends):
        if len(ends) <= most or sizes[key] == 1:
            yield add(boxes, Box(kind, part, [name, str(atom.aval)])), atom
            continue
        if key not in shared:
            lines = [key[0], f"{sizes[key]} arrays"]
            shared[key] = add(boxes, Box(kind, part, lines))
        shared[key].tip += f"{name}: {atom.aval}\n"
        yield shared[key], atom


def container_of(name: str) -> str:
    """Give the argument that a leaf is in: `w` of `w['a'][0]`."""
    return re.split(r"[\[.]", name, maxsplit=1)[0]


def connect(
    edges: dict[tuple[int, int], Edge], source: Box, target: Box, var: Var
) -> None:
    """Let a value flow from box to box."""
    key = id(source), id(target)
    if key not in edges:
        residual = source.part != target.part
        edges[key] = Edge(source, target, residual=residual)
    text = str(var.aval)
    if text not in edges[key].types:
        edges[key].types.append(text)


# -- folding ---------------------------------------------------------------------------


def fold(eqns: Sequence[Eqn], tags: dict[int, Tag], limit: int) -> list[Run]:
    """Cut a list of operations into runs, each to be one box.

    A custom rule's operations are one run. Beyond the limit, neighbours from one line
    of the user's code are joined, then from one function, then as many as need be.
    Runs are contiguous, so that boxes have no cycles.
    """

    def rule(eqn: Eqn) -> Hashable:
        tag = tags.get(id(eqn))
        return None if tag is None else tag.number

    def by(key: Callable[[Eqn], Hashable]) -> list[Run]:
        return runs_of(eqns, lambda e: rule(e) or ("", key(e)))

    single = by(id)
    if len(single) <= limit:
        return single
    lines = by(lambda e: (function_of(e), e.origin.line if e.origin else 0))
    functions = by(function_of)
    for candidate in (lines, functions):
        if len(candidate) <= limit and len(candidate) >= min(limit // 4, 8):
            return candidate
    finest = lines if len(lines) > len(functions) else functions
    return split_evenly(finest, single, limit)


def runs_of(eqns: Sequence[Eqn], key: Callable[[Eqn], Hashable]) -> list[Run]:
    """Group neighbours with equal keys."""
    runs: list[Run] = []
    last: Hashable = object()
    for eqn in eqns:
        here = key(eqn)
        if here != last:
            runs.append([])
        runs[-1].append(eqn)
        last = here
    return runs


def split_evenly(runs: list[Run], single: list[Run], limit: int) -> list[Run]:
    """Join or cut runs to chunks of about equal size."""
    count = sum(map(len, runs))
    size = math.ceil(count / max(1, limit // 4))
    chunks: list[Run] = [[]]
    for run in single if len(runs) < limit // 4 else runs:
        if chunks[-1] and len(chunks[-1]) + len(run) > size:
            chunks.append([])
        chunks[-1].extend(run)
    return chunks


def function_of(eqn: Eqn) -> str:
    """Give the user's function that applied an operation."""
    return eqn.origin.code.co_name if eqn.origin else ""


# -- what stands in a box --------------------------------------------------------------


def box_of(run: Run, tags: dict[int, Tag], part: str) -> Box:
    """Write the box of a run of operations."""
    tip = "\n".join(eqn_text(e) for e in run[:40])
    if len(run) > 40:
        tip += f"\n... and {len(run) - 40} more"
    found = list(dict.fromkeys(tags.get(id(e)) for e in run))
    tag = found[0]
    if tag is not None and len(found) == 1:
        lines = [tag.function, tag.rule]
        if len(run) > 1:
            lines.append(f"{len(run)} operations")
        return Box("rule", part, lines, tip)
    if len(run) == 1:
        return single_box(run[0], part, tip)
    names = list(dict.fromkeys(function_of(e) for e in run))
    title = ", ".join(n for n in names[:2] if n) or "operations"
    title += " ..." if len(names) > 2 else ""
    counts = Counter(e.primitive.name for e in run).most_common(3)
    some = ", ".join(f"{n} x{c}" if c > 1 else n for n, c in counts)
    lines = [title, f"{len(run)} operations", some]
    rules = Counter(t.function for t in found if t is not None)
    if rules:
        named = ", ".join(f"{n} x{c}" if c > 1 else n for n, c in rules.items())
        lines.append(f"custom rules: {named}")
    return Box("group", part, lines, tip)


def single_box(eqn: Eqn, part: str, tip: str) -> Box:
    """Write the box of one operation."""
    primitive = eqn.primitive
    parameters = primitive.parameters()
    inner = [j for value in parameters.values() for j in jaxprs_in(value)]
    if inner:
        title = str(parameters.get("name") or primitive.name)
        total = sum(len(j.eqns) for j in inner)
        what = (
            f"{primitive.name}, {total} operations"
            if title != primitive.name
            else f"{total} operations inside"
        )
        kind = "rule" if "custom" in primitive.name else "call"
        return Box(kind, part, [title, what], tip)
    literals = [literal_text(a) for a in eqn.inputs if isinstance(a, Literal)]
    title = " ".join([primitive.name, *literals])
    extra = ", ".join(
        f"{k}={parameter_text(v)}"
        for k, v in parameters.items()
        if isinstance(v, (int, str, tuple)) and not isinstance(v, bool)
    )
    lines = [title]
    if (
        extra
        and len(extra) <= 28
        and primitive.name not in ("broadcast_in_dim", "full")
    ):
        lines.append(extra)
    return Box("operation", part, lines, tip)


def jaxprs_in(value: Any) -> list[Jaxpr]:
    """Give the programs among a parameter's value."""
    items = value if isinstance(value, tuple) else (value,)
    found = [getattr(x, "jaxpr", x) for x in items]
    return [x for x in found if isinstance(x, Jaxpr)]


def eqn_text(eqn: Eqn) -> str:
    """Write an operation with its types and its place, for hovering."""
    ins = ", ".join(
        literal_text(a) if isinstance(a, Literal) else str(a.aval) for a in eqn.inputs
    )
    outs = ", ".join(str(v.aval) for v in eqn.outputs)
    at = f"  at {eqn.origin}" if eqn.origin else ""
    return f"{eqn.primitive.name}({ins}) -> {outs}{at}"
