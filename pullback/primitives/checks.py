"""The operation that checks, and what is known of a check before it is run."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from pullback import dtypes, tree
from pullback.core.array import from_host
from pullback.core.aval import Aval
from pullback.core.primitive import Dim, Primitive
from pullback.core.trace import Value
from pullback.errors import CheckError, StagedCheckError
from pullback.primitives.reduction import argmax
from pullback.primitives.slicing import DynamicSlice
from pullback.primitives.structural import (
    broadcast_new_axis,
    frozen,
    full,
    move_axis,
    reshape,
)
from pullback.primitives.table import convert, ne


class Kind(enum.Enum):
    """What a check looks for."""

    USER = "user"
    DEBUG = "debug"
    NAN = "nan"
    DIVISION = "division"
    INDEX = "index"


#: Where a value for a message is kept: its type, and which of that type it is. Indices
#: of mapped axes have negative numbers.
Slot = tuple[Aval, int]

#: The type of codes: 0 while no check has failed, else the number of a record, from 1.
CODE = Aval((), dtypes.int32)


class Record(NamedTuple):
    """A check as it is written in a program.

    Fields:
        kind: what it looks for.
        text: the message, with places for values as `str.format` has them.
        where: the user's file and line.
        structure: that of the values, `(args, kwargs)`.
        slots: where they are kept.
        mapped: where the indices of mapped axes are, the outermost first.
    """

    kind: Kind
    text: str
    where: str
    structure: tree.TreeDef
    slots: tuple[Slot, ...] = ()
    mapped: tuple[Slot, ...] = ()

    def message(self, found: dict[Slot, Any]) -> str:
        """Write the message with the values that were found."""
        values = [from_host(np.asarray(found[slot])) for slot in self.slots]
        arguments: Any = self.structure.unflatten(values)
        args, kwargs = arguments
        text = self.text.format(*args, **kwargs)
        if self.kind in (Kind.USER, Kind.DEBUG):
            text += " (`check` failed)"
        return f"{text}."

    def index(self, found: dict[Slot, Any]) -> tuple[int, ...]:
        """Give the indices of mapped axes."""
        return tuple([int(found[slot]) for slot in self.mapped])


class Info(NamedTuple):
    """What is known of checks beforehand; beside it stand a code and a value a slot.

    Fields:
        records: the checks; the code says which of them failed first.
        slots: where values for messages are kept, in their order.
    """

    records: tuple[Record, ...]
    slots: tuple[Slot, ...]

    @property
    def avals(self) -> list[Aval]:
        """The types of the code and of the values; nothing where there is no check."""
        return [CODE, *[aval for aval, _ in self.slots]] if self.records else []


#: That of a program without checks.
NOTHING = Info((), ())


def slots_of(avals: Sequence[Aval]) -> tuple[Slot, ...]:
    """Give each value a slot; those of one type are numbered."""
    counts: dict[Aval, int] = {}
    out = []
    for aval in avals:
        out.append((aval, counts.get(aval, 0)))
        counts[aval] = counts.get(aval, 0) + 1
    return tuple(out)


def failures(
    info: Info, leaves: Sequence[Any]
) -> Iterator[tuple[tuple[int, ...], Record, str]]:
    """Give what failed: the indices of mapped axes, the record, and the message.

    Args:
        info: the checks.
        leaves: the code and the values as NumPy arrays, with a leading axis for each
            axis that was mapped outside of the checks.
    """
    if not info.records:
        return
    code, *values = leaves
    for at in np.argwhere(code):
        place = tuple(at.tolist())
        record = info.records[int(code[place]) - 1]
        found = {slot: x[place] for slot, x in zip(info.slots, values)}
        yield (*place, *record.index(found)), record, record.message(found)


def failure(info: Info, leaves: Sequence[Any]) -> CheckError | None:
    """Make the error for what failed, None if nothing did."""
    found = list(failures(info, [np.asarray(x) for x in leaves]))
    if not found:
        return None
    if len(found) == 1 and not found[0][0]:
        _, record, message = found[0]
        return CheckError(message, where=place_of(record))
    lines = [
        " ".join([f"at mapped index {', '.join(map(str, at))}: {message}", *where])
        for at, record, message in found
        for where in [[place_of(record)] if record.where else []]
    ]
    return CheckError("\n".join(lines))


def place_of(record: Record) -> str:
    """Say where the check or the operation stands."""
    return f"At {record.where}." if record.where else ""


@frozen
class Check(Primitive):
    """Raises if the code is not 0. Operands are the code and the values for messages.

    Args:
        info: what the code means.
        debug: whether the check counts under `checkify` only.
    """

    info: Info
    debug: bool = False

    multiple = True
    effects = True

    @property
    def kind(self) -> Kind:
        """Which checks it is one of."""
        return Kind.DEBUG if self.debug else Kind.USER

    def parameters(self) -> dict[str, Any]:
        return {"messages": tuple([record.text for record in self.info.records])}

    def abstract(self, *avals: Aval) -> list[Aval]:
        return []

    def eager(self, *arrays: Any) -> list[Any]:
        error = None if self.debug else failure(self.info, arrays)
        if error is not None:
            raise error
        return []

    def lower(self, ctx: Any, *operands: Any) -> list[Any]:
        return [] if self.debug else self.refuse()

    def refuse(self) -> NoReturn:
        """Raise, since a compiled program has no way to."""
        record = self.info.records[0]
        raise StagedCheckError(
            f"the check {record.text!r} is part of a compiled program, which cannot "
            "raise: it cannot be abstractly evaluated.",
            where=f"Checked at {record.where}." if record.where else "",
            mend="Functionalize it: jit(checkify(f)) gives (error, out), and "
            "error.throw() raises. If it is in a derivative rule, differentiate "
            "inside: checkify(grad(f)). Or use debug_check, which counts under "
            "checkify only.",
        )

    def jvp(self, primals: Sequence[Value], tangents: Sequence[Any]) -> Any:
        return self(*primals), []

    def batch(self, size: int, operands: Sequence[Value], dims: Sequence[Dim]) -> Any:
        front = [
            broadcast_new_axis(x, int(size), 0) if d is None else move_axis(x, d, 0)
            for x, d in zip(operands, dims)
        ]
        if not size:
            return [], []
        first = argmax(convert(ne(front[0], 0), dtypes.int32), 0, dtypes.int32)
        code, *values = [element(x, first) for x in front]
        return Check(mapped(self.info), self.debug)(code, *values, first), []


def element(x: Value, place: Value) -> Value:
    """Give the element of the leading axis at a place."""
    rest = x.shape[1:]
    starts = [full((), 0, dtypes.int32)] * len(rest)
    return reshape(DynamicSlice((1, *rest))(x, place, *starts), rest)


def mapped(info: Info) -> Info:
    """Give the checks of a batch: they have one slot more, for which element failed."""
    depth = max(len(record.mapped) for record in info.records)
    slot = (CODE, -1 - depth)
    records = [r._replace(mapped=(slot, *r.mapped)) for r in info.records]
    return Info(tuple(records), (*info.slots, slot))
