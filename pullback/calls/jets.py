"""Branches and loops in Taylor mode: their programs carry coefficients along."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pullback.calls.cond import Cond
from pullback.calls.program import cut, fresh_inputs, rewired
from pullback.calls.scan import Scan
from pullback.calls.while_loop import While
from pullback.core.jaxpr import Jaxpr, evaluate
from pullback.core.trace import Value, using
from pullback.transforms.curves import Operands, Programs, Row
from pullback.transforms.jet import (
    RULES,
    JetTrace,
    Marks,
    Rules,
    coefficients,
    columns_of,
    jet_jaxpr,
    marks_of,
)


def follow_cond(trace: JetTrace, cond: Cond, given: Operands) -> Any:
    """Follow the branch that is taken, or all of them where that is not known."""
    branch = cond.known_branch(given.values[0])
    if branch is not None:
        return evaluate(branch, given.values[1:])

    def run(order: int) -> list[Row]:
        index, *columns = given.columns(order)
        marks = marks_of(columns)
        plain = [jet_jaxpr(b, order, marks, trace.rules)[1] for b in cond.branches]
        make = either(*plain)
        branches = [
            jet_jaxpr(b, order, marks, trace.rules, make)[0] for b in cond.branches
        ]
        with using(trace.parent):
            found = Cond(tuple(branches))(index[0], *laid(columns, marks))
        outs, terms = cut(found, len(make))
        return columns_of(outs, terms, make)

    return trace.results(Programs(given, run), cond)


def follow_scan(trace: JetTrace, scan: Scan, given: Operands) -> Any:
    """Carry coefficients along, beside stacks of coefficients."""

    def run(order: int) -> list[Row]:
        count, *parts = scan.split(given.columns(order))
        marks = [marks_of(part) for part in parts]
        marks[1] = steady(scan.jaxpr, order, marks, trace.rules)
        body, out_marks = along(scan.jaxpr, order, marks, trace.rules)
        sizes = [len(m) + number(m) for m in marks]
        values = [v for part, m in zip(parts, marks) for v in laid(part, m)]
        with using(trace.parent):
            found = scan.like(body, sizes[0], sizes[1])(*[c[0] for c in count], *values)
        n = scan.num_carry
        outs, terms, ys, y_terms = cut(found, n, number(marks[1]), len(out_marks) - n)
        return columns_of([*outs, *ys], [*terms, *y_terms], out_marks)

    return trace.results(Programs(given, run), scan)


def follow_while(trace: JetTrace, loop: While, given: Operands) -> Any:
    """Carry coefficients along; the condition does not look at them."""

    def run(order: int) -> list[Row]:
        conditions, *parts = loop.split(given.columns(order))
        marks = [marks_of(part) for part in parts]
        marks[1] = steady(loop.body_jaxpr, order, marks, trace.rules)
        body, out_marks = along(loop.body_jaxpr, order, marks, trace.rules)
        holds = looking_at(loop.cond_jaxpr, body, number(marks[1]))
        consts, carry = (laid(part, m) for part, m in zip(parts, marks))
        follower = While(holds, body, loop.cond_consts, len(consts), loop.max_steps)
        with using(trace.parent):
            found = follower(*[c[0] for c in conditions], *consts, *carry)
        outs, terms = cut(found, len(out_marks))
        return columns_of(outs, terms, out_marks)

    return trace.results(Programs(given, run), loop)


#: All rules of Taylor mode.
ALL_RULES: Rules = {
    **RULES,
    Cond: follow_cond,
    Scan: follow_scan,
    While: follow_while,
}

# -- programs --------------------------------------------------------------------------


def number(marks: Marks) -> int:
    """Give the number of marks that are set."""
    return sum(map(sum, marks))


def either(*marks: Marks) -> Marks:
    """Set the marks that are set somewhere."""
    return tuple(
        [tuple(map(any, zip(*same, strict=True))) for same in zip(*marks, strict=True)]
    )


def laid(columns: Sequence[Row], marks: Marks) -> list[Value]:
    """Give values, and then their marked coefficients."""
    return [*[column[0] for column in columns], *coefficients(columns, marks)]


def steady(body: Jaxpr, order: int, marks: Sequence[Marks], rules: Rules) -> Marks:
    """Mark coefficients of the carry until a step of the body makes no more.

    Args:
        body: a program of constants, carry and maybe stacks.
        order: up to which order.
        marks: what is marked in each of these parts before the first step.
        rules: as for `jet_jaxpr`.
    """
    consts, carry, *rest = marks
    while True:
        given = (*consts, *carry, *[m for part in rest for m in part])
        found = jet_jaxpr(body, order, given, rules)[1]
        after = either(carry, found[: len(carry)])
        if after == carry:
            return carry
        carry = after


def along(
    body: Jaxpr, order: int, marks: Sequence[Marks], rules: Rules
) -> tuple[Jaxpr, Marks]:
    """Give the body of a loop with coefficients, each part's after the part.

    Args:
        body, order, marks, rules: as for `steady`, which made the marks of the carry.

    Returns:
        The program, whose outputs are the carry, its coefficients, and the others with
        theirs; and the marks of all outputs.
    """
    key = ("jet body", order, tuple(marks))
    if key in body.cache:
        return body.cache[key]  # type: ignore[no-any-return]
    carry = marks[1]
    others = len(body.outputs) - len(carry)
    make = (*carry, *((False,) * order,) * others)
    given = tuple([m for part in marks for m in part])
    program, out_marks = jet_jaxpr(body, order, given, rules, make)
    plain = cut(program.inputs, *map(len, marks))
    terms = cut(plain.pop(), *map(number, marks))
    inputs = [v for pair in zip(plain, terms) for part in pair for v in part]
    outs, ys, out_terms, y_terms = cut(
        program.outputs, len(carry), others, number(carry)
    )
    whole = rewired(program, inputs, [*outs, *out_terms, *ys, *y_terms])
    result = body.cache[key] = whole, out_marks
    return result


def looking_at(holds: Jaxpr, body: Jaxpr, unseen: int) -> Jaxpr:
    """Give the condition of a loop whose body carries more than it looks at."""
    key = ("jet condition", body)
    if key not in holds.cache:
        more = fresh_inputs(body.out_avals[len(body.outputs) - unseen :])
        holds.cache[key] = rewired(holds, [*holds.inputs, *more])
    return holds.cache[key]  # type: ignore[no-any-return]
