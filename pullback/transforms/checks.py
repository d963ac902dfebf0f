"""Checks as values: which one failed first is carried along with what is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pullback.core.jaxpr import Jaxpr, evaluate
from pullback.core.primitive import Primitive
from pullback.core.trace import Trace, Value, current_trace, using
from pullback.core.zero import Unknown
from pullback.primitives.checks import (
    CODE,
    NOTHING,
    Check,
    Info,
    Kind,
    Record,
    Slot,
)
from pullback.primitives.structural import full, zeros_of
from pullback.primitives.table import add, convert, ne, select, stop_gradient
from pullback.transforms.automatic_checks import Suspicion, suspicions
from pullback.transforms.repeated import Repeated
from pullback.transforms.stage import stage_closed

#: What is done with an operation: a function of the trace, the operation, its operands.
Rule = Callable[[Any, Any, tuple[Value, ...]], Any]
#: Rules by the class of the operation, for those that check or hold programs.
Rules = Mapping[Any, Rule]
#: The checks that were asked for.
Kinds = frozenset[Kind]


class Findings:
    """Which check failed first, and the values for its message.

    Args:
        infos: checks that are known to come, in the order of their codes.
        leaves: the code and the values of these found so far; nothing for none.
    """

    __slots__ = ("code", "places", "records", "values")

    def __init__(self, infos: Iterable[Info] = (), leaves: Sequence[Value] = ()):
        self.records: list[Record] = []
        # Where the records of a part begin: a part that is run again keeps its codes.
        self.places: dict[tuple[Record, ...], int] = {}
        slots: dict[Slot, None] = {}
        for info in infos:
            self.place(info.records)
            slots.update(dict.fromkeys(info.slots))
        self.code: Value | None = leaves[0] if leaves else None
        self.values: dict[Slot, Value] = dict(zip(slots, leaves[1:]))

    @property
    def info(self) -> Info:
        """The checks so far."""
        return Info(tuple(self.records), tuple(self.values))

    @property
    def leaves(self) -> list[Value]:
        """The code and the values, as `info` describes them."""
        return [] if self.code is None else [self.code, *self.values.values()]

    def place(self, records: tuple[Record, ...]) -> int:
        """Give what is added to the codes of a part."""
        if records not in self.places:
            self.places[records] = len(self.records)
            self.records.extend(records)
        return self.places[records]

    def add(self, info: Info, leaves: Sequence[Value]) -> None:
        """Take in what a later part of the program found; what failed first stays."""
        if info.records:
            code, *values = leaves
            code = shifted(code, self.place(info.records))
            self.take(code, info.slots, values)

    def note(self, record: Record, failed: Value, values: Sequence[Value]) -> None:
        """Take in a check."""
        number = full((), self.place((record,)) + 1, CODE.dtype)
        code = select(failed, number, full((), 0, CODE.dtype))
        self.take(code, record.slots, values)

    def take(self, code: Value, slots: Sequence[Slot], values: Sequence[Value]) -> None:
        """Take in a code and values, unless a check has failed before."""
        earlier = None if self.code is None else ne(self.code, 0)
        self.code = code if earlier is None else select(earlier, self.code, code)
        for slot, x in zip(slots, values, strict=True):
            old = self.values.get(slot)
            kept = old is not None and earlier is not None
            self.values[slot] = select(earlier, old, x) if kept else x


def shifted(code: Value, offset: int) -> Value:
    """Give the code of a part among others."""
    return select(ne(code, 0), add(code, offset), code) if offset else code


def joined(infos: Sequence[Info]) -> Info:
    """Give the checks of several parts, in their order."""
    found = Findings(infos)
    slots = dict.fromkeys([slot for info in infos for slot in info.slots])
    return Info(tuple(found.records), tuple(slots))


def laid(info: Info, offset: int, leaves: Sequence[Value], whole: Info) -> list[Value]:
    """Give the code and the values of a part as those of the whole."""
    if not info.records:
        return nothing_found(whole)
    code, *values = leaves
    known = dict(zip(info.slots, values))
    rest = [known[s] if s in known else zeros_of(s[0]) for s in whole.slots]
    return [shifted(code, offset), *rest]


def nothing_found(info: Info) -> list[Value]:
    """Give the code and the values where no check has failed."""
    return [zeros_of(aval) for aval in info.avals]


class Checked(NamedTuple):
    """A program whose outputs are followed by what its checks found.

    Fields:
        jaxpr: the program.
        info: what it checks.
    """

    jaxpr: Jaxpr
    info: Info


class CheckTrace(Trace):
    """Computes in the parent trace, and keeps what checks find.

    Values are those of the parent; there is nothing that a single one would carry.

    Args:
        parent: the trace below.
        kinds: which checks are made; others are left to the parent.
        rules: what is done with operations that check or hold programs.
    """

    __slots__ = ("adds", "findings", "kinds", "parent", "rules")

    def __init__(self, parent: Trace, kinds: Kinds, rules: Rules) -> None:
        self.parent = parent
        self.kinds = kinds
        self.rules = rules
        self.findings = Findings()
        self.adds = bool(kinds - {Kind.USER, Kind.DEBUG})

    @property
    def notes_indices(self) -> bool:
        """Whether an index out of bounds is noted, and no error at once."""
        return Kind.INDEX in self.kinds or self.parent.notes_indices

    @property
    def at_once(self) -> bool:
        """Whether NumPy computes what is applied to arrays, and nobody looks on."""
        return not self.adds and self.parent.at_once

    def apply(self, primitive: Primitive, operands: tuple[Value, ...]) -> Any:
        """Apply the operation in the parent trace, with its checks."""
        rule = self.rules.get(type(primitive))
        if rule is not None:
            return rule(self, primitive, operands)
        if isinstance(primitive, Repeated):
            return run_repeated(self, primitive, operands)
        out = self.parent.apply(primitive, operands)
        if self.adds:
            outs = out if primitive.multiple else [out]
            with using(self.parent):
                for found in suspicions(primitive, operands, outs, self.kinds):
                    self.suspect(found)
        return out

    def suspect(self, found: Suspicion) -> None:
        """Take in a check of an operation."""
        record, failed, values = found
        self.findings.note(record, failed, values)

    def run(self, primitive: Primitive, operands: Sequence[Value]) -> Any:
        """Apply an operation in the parent trace."""
        with using(self.parent):
            return primitive(*operands)

    def collect(self, info: Info, results: Sequence[Value]) -> list[Value]:
        """Take in what a program found: its last results. Give the others."""
        count = len(results) - len(info.avals)
        with using(self.parent):
            self.findings.add(info, results[count:])
        return list(results[:count])

    def checked(self, jaxpr: Jaxpr) -> Checked:
        """Give a program whose outputs are followed by what its checks found."""
        key = ("checked", self.kinds)
        found: Checked | None = jaxpr.cache.get(key)
        if found is None:
            found = jaxpr.cache[key] = checked_jaxpr(jaxpr, self.kinds, self.rules)
        return found


class Around:
    """What stands in the place of something that runs a user's functions, with checks.

    Args:
        inner: that something; all that runs nothing is its own.
        trace: who asks.
        info: the checks, if they are known.
    """

    __slots__ = ("asked", "info", "inner")

    def __init__(self, inner: Any, trace: CheckTrace, info: Info | None = None):
        self.inner = inner
        self.asked = trace.kinds, trace.rules
        self.info = info

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def check_flat(
    f: Callable[..., Sequence[Value]],
    values: Sequence[Value],
    kinds: Kinds,
    rules: Rules,
) -> tuple[list[Value], Findings]:
    """Run a flat function with checks.

    Args:
        f: a function of flat values, giving a list of values.
        values: its inputs.
        kinds: which checks are made.
        rules: what is done with operations that check or hold programs.

    Returns:
        The outputs, and what was found.
    """
    trace = CheckTrace(current_trace(), kinds, rules)
    with using(trace):
        outs = f(*values)
    return list(outs), trace.findings


def checked_jaxpr(jaxpr: Jaxpr, kinds: Kinds, rules: Rules) -> Checked:
    """Stage a program with its checks; it stays as it is where it has none."""
    infos: list[Info] = []

    def run(*values: Value) -> list[Value]:
        outs, found = check_flat(lambda *xs: evaluate(jaxpr, xs), values, kinds, rules)
        infos.append(found.info)
        return [*outs, *found.leaves]

    staged = stage_closed(run, jaxpr.in_avals, jaxpr.name)
    info = infos[0]
    return Checked(staged, info) if info.records else Checked(jaxpr, NOTHING)


def raise_again(found: Findings, debug: bool) -> list[Value]:
    """Check what was found in the current trace; that gives no results."""
    return Check(found.info, debug)(*found.leaves) if found.records else []


# -- rules -----------------------------------------------------------------------------


def take_in(trace: CheckTrace, check: Check, operands: tuple[Value, ...]) -> list[Any]:
    """Note a check of the user's; leave it to the parent if it was not asked for."""
    if check.kind not in trace.kinds:
        return trace.run(check, operands)  # type: ignore[no-any-return]
    with using(trace.parent):
        code, *values = operands
        # A message has no derivative, and its values one type wherever they come from.
        kept = [
            convert(stop_gradient(x), aval.dtype)
            for x, (aval, _) in zip(values, check.info.slots)
        ]
        trace.findings.add(check.info, [code, *kept])
    return []


def run_repeated(
    trace: CheckTrace, primitive: Repeated, operands: tuple[Value, ...]
) -> Any:
    """Run the operations behind an operation, unless it is to be transposed."""
    if any(isinstance(x, Unknown) for x in operands):
        return trace.parent.apply(primitive, operands)
    with using(trace):
        return primitive.forward(*operands)


def run_with_jaxpr(
    trace: CheckTrace, primitive: Any, operands: tuple[Value, ...]
) -> list[Value]:
    """Apply an operation to its program with checks."""
    program, info = trace.checked(primitive.jaxpr)
    whole = primitive.with_jaxpr(program) if info.records else primitive
    return trace.collect(info, trace.run(whole, operands))


#: What is done with checks themselves.
RULES: Rules = {Check: take_in}
