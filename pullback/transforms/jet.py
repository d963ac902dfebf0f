"""Taylor mode: each value moves along a curve, known by its Taylor coefficients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pullback import dtypes
from pullback.core.array import SCALARS
from pullback.core.jaxpr import Jaxpr, evaluate
from pullback.core.primitive import Primitive
from pullback.core.trace import (
    PrimalTracer,
    Trace,
    Value,
    aval_of,
    current_trace,
    leak_watches,
    using,
)
from pullback.core.zero import Forbidden, Zero, is_zero
from pullback.primitives.elementwise import Elementwise
from pullback.primitives.table import (
    IntegerPow,
    div,
    max,
    min,
    mul,
    repeated_squaring,
)
from pullback.transforms.curves import (
    Bilinear,
    Curve,
    Linear,
    Operands,
    Programs,
    Quotient,
    Row,
    Solution,
    Velocity,
    array_of,
    complete,
)
from pullback.transforms.repeated import Repeated
from pullback.transforms.stage import stage_closed

#: How results move: a function of the trace, the operation and its operands.
Rule = Callable[[Any, Any, Operands], Any]
#: Rules by the operation, or by its class if it is no row of the table.
Rules = Mapping[Any, Rule]
#: For each value, which of its coefficients after the first are no `Zero`s.
Marks = tuple[tuple[bool, ...], ...]


class JetTracer(PrimalTracer):
    """A value that moves: one of the results of a curve."""

    __slots__ = ("aval", "curve", "index", "owner", "primal")

    state = "with a Taylor series (jet)"

    def __init__(self, trace: JetTrace, curve: Curve, index: int) -> None:
        self.owner = trace
        self.curve = curve
        self.index = index
        self.primal = curve.rows[0][index]
        self.aval = aval_of(self.primal)


class JetTrace(Trace):
    """Gives the curves of results, with all coefficients computed in the parent trace.

    An operation of the user's function is followed to the full order at once. While
    that goes on, what its rules apply is followed only as far as it is asked for, and
    kept in `known`, so that a rule finds the very curve which it is to continue.

    Args:
        parent: the trace below.
        order: the number of coefficients after the first.
        rules: how operations move whose `jvp` would be no good way to know.
    """

    __slots__ = ("known", "order", "parent", "rules")

    passes_on = True

    def __init__(self, parent: Trace, order: int, rules: Rules) -> None:
        self.parent = parent
        self.order = order
        self.rules = rules
        self.known: dict[Any, Any] | None = None

    def owns(self, x: Any) -> bool:
        """Whether a value moves along a curve of this trace."""
        return type(x) is JetTracer and x.owner is self

    def apply(self, primitive: Primitive, operands: tuple[Value, ...]) -> Any:
        """Give results with their curves."""
        moving = [type(x) is JetTracer and x.owner is self for x in operands]
        if True not in moving:
            return self.parent.apply(primitive, operands)
        if isinstance(primitive, Repeated):
            with using(self):
                return primitive.forward(*operands)
        given = Operands(operands, moving)
        if self.known is not None:
            return self.follow(primitive, given)
        for x, m in zip(operands, moving):
            if m and type(x.curve.rows[1][x.index]) is Forbidden:
                out = self.parent.apply(primitive, tuple(given.row(0)))
                return self.spread(out, x.curve.rows[1][x.index])
        self.known = {}
        try:
            calls = primitive.calls or primitive.effects
            if calls and self.rule_of(primitive) is None:
                out = self.follow_call(primitive, given)
            else:
                out = self.follow(primitive, given)
            many = isinstance(out, list)
            return [self.settled(y) for y in out] if many else self.settled(out)
        finally:
            self.forget()

    def forget(self) -> None:
        """Drop what was followed; curves made of themselves are cycles: cut them."""
        assert self.known is not None, "while an operation is followed"
        for found, _ in self.known.values():
            for y in found if isinstance(found, list) else [found]:
                if self.owns(y) and isinstance(y.curve, Solution):
                    y.curve.dots = ()
        self.known = None

    def follow(self, primitive: Primitive, given: Operands) -> Any:
        """Give the results of an operation, the same ones for the same operands.

        One that has effects has them each time.
        """
        if primitive.effects:
            return self.results_of(primitive, given)
        key = (primitive, *[identity(x) for x in given.values])
        return self.kept(key, given, lambda: self.results_of(primitive, given))

    def follow_call(self, primitive: Primitive, given: Operands) -> Any:
        """Call the user's function: its rule says what the results are, as in `jvp`.

        What that rule applies may be the same function again. It is followed like any
        other operation, lest this goes on for ever.
        """
        outs, dots = self.differentiate(primitive, given)
        if not primitive.multiple:
            outs, dots = [outs], [dots]
        first = [self.split(y)[0] for y in outs]
        return self.results(Solution(self, given, first, lambda: dots), primitive)

    def kept(self, key: Any, held: Any, make: Callable[[], Any]) -> Any:
        """Give what was made under a key before; the ids in it are of what is held."""
        assert self.known is not None, "only while an operation is followed"
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = (make(), held)
        return found[0]

    def settled(self, y: Value) -> Value:
        """Complete the curve of a result; one that does not move is a constant."""
        if not self.owns(y):
            return y
        with using(self.parent):
            complete(y.curve, self.order)
        if all(is_zero(row[y.index]) for row in y.curve.rows[1:]):
            return y.primal
        return self.pair([row[y.index] for row in y.curve.rows])

    def spread(self, out: Any, forbidden: Forbidden) -> Any:
        """Give results whose coefficients must not be asked for, where they move."""
        if isinstance(out, list):
            return [self.spread(y, forbidden) for y in out]
        aval = aval_of(out).tangent()
        if not dtypes.is_inexact(aval.dtype):
            return out
        return self.pair([out, *[Forbidden(aval, forbidden.error)] * self.order])

    def rule_of(self, primitive: Primitive) -> Rule | None:
        """Give the rule for an operation, if there is one."""
        row = isinstance(primitive, Elementwise)
        found = self.rules.get(primitive if row else type(primitive))
        return follow_program if found is None and primitive.splits else found

    def results_of(self, primitive: Primitive, given: Operands) -> Any:
        """Give the results of an operation, as far as they are known."""
        rule = self.rule_of(primitive)
        if rule is not None:
            with using(self):
                return rule(self, primitive, given)
        groups = linear_groups(primitive, given)
        curve: Curve
        if len(groups) == 1:
            curve = Linear(self.parent, primitive, given, groups[0])
        elif groups:
            curve = Bilinear(self.parent, primitive, given, (groups[0], groups[1]))
        else:
            curve = self.solution(primitive, given)
        return self.results(curve, primitive)

    def solution(self, primitive: Primitive, given: Operands) -> Solution:
        """Give the curve of which the operation's `jvp` rule is the equation."""
        out = self.parent.apply(primitive, tuple(given.row(0)))

        def derivative() -> Sequence[Any]:
            _, dots = self.differentiate(primitive, given)
            return dots if primitive.multiple else [dots]

        return Solution(self, given, out if primitive.multiple else [out], derivative)

    def differentiate(self, primitive: Primitive, given: Operands) -> tuple[Any, Any]:
        """Run an operation's `jvp` rule on curves; velocities are the tangents."""
        with using(self.parent):
            tangents = [
                self.velocity(x) if m else Zero(like=x)
                for x, m in zip(given.values, given.moving)
            ]
        with using(self):
            return primitive.jvp(given.values, tangents)

    def velocity(self, x: JetTracer) -> Value:
        """Give the derivative of a moving value."""

        def make() -> JetTracer:
            return JetTracer(self, Velocity(x.curve, x.index), 0)

        return self.kept(("velocity", id(x.curve), x.index), x.curve, make)

    def results(self, curve: Curve, primitive: Primitive) -> Any:
        """Give the results along a curve; whole numbers do not move."""
        found = [
            JetTracer(self, curve, i) if dtypes.is_inexact(aval_of(y).dtype) else y
            for i, y in enumerate(curve.rows[0])
        ]
        return found if primitive.multiple else found[0]

    def pair(self, coefficients: Row) -> Value:
        """Make a tracer of a value's coefficients, or give a value that rests."""
        if all(map(is_zero, coefficients[1:])):
            return coefficients[0]
        return JetTracer(self, Curve([[c] for c in coefficients]), 0)

    def split(self, x: Value) -> Row:
        """Give all coefficients of any value."""
        if self.owns(x):
            return [row[x.index] for row in x.curve.rows]
        return [x, *[Zero(like=x)] * self.order]


def identity(x: Value) -> Any:
    """Give what makes two operands the same one, while both are held."""
    # By their text, 0.0 and -0.0 differ, and nan is itself.
    return (type(x), repr(x)) if type(x) in SCALARS else id(x)


def linear_groups(primitive: Primitive, given: Operands) -> list[list[int]]:
    """Give one or two groups of operands, in each of which an operation is linear.

    They contain all that move; none are given where there are no such groups.
    """
    groups = []
    for group in primitive.linear:
        if group[-1] is ...:
            group = (*group[:-1], *range(group[-2] + 1, len(given.values)))
        if given.move_only_in(group):
            return [list(group)]
        groups.append(list(group))
    both = [i for group in groups for i in group]
    two = len(groups) == 2 and len(set(both)) == len(both)
    return groups if two and given.move_only_in(both) else []


# -- rules -----------------------------------------------------------------------------


def follow_quotient(trace: JetTrace, primitive: Any, given: Operands) -> Value:
    """Divide; by a constant, each coefficient."""
    if not given.moving[1]:
        return trace.results(Linear(trace.parent, primitive, given, [0]), primitive)
    return trace.results(Quotient(trace.parent, primitive, given), primitive)


def follow_choice(trace: JetTrace, primitive: Any, given: Operands) -> Value:
    """Move as the operand that was chosen at t = 0: near there the choice is linear."""
    places = range(len(given.values))
    return trace.results(Linear(trace.parent, primitive, given, places), primitive)


def follow_power(trace: JetTrace, primitive: Any, given: Operands) -> Value:
    """Multiply; the power with exponent 0 rests."""
    (x,) = given.values
    return repeated_squaring(
        x,
        primitive.exponent,
        mul,
        lambda: trace.parent.apply(primitive, tuple(given.row(0))),
        lambda y: div(1.0, y),
    )


def follow_program(trace: JetTrace, primitive: Any, given: Operands) -> Any:
    """Apply the operation to a program that carries coefficients along.

    While it is not known how all operands move, operation by operation.
    """
    if given.known < trace.order:
        return evaluate(primitive.jaxpr, given.values)

    def run(order: int) -> list[Row]:
        columns = given.columns(order)
        marks = marks_of(columns)
        program, out_marks = jet_jaxpr(primitive.jaxpr, order, marks, trace.rules)
        first = [column[0] for column in columns]
        with using(trace.parent):
            found = primitive.with_jaxpr(program)(*first, *coefficients(columns, marks))
        count = len(out_marks)
        return columns_of(found[:count], found[count:], out_marks)

    return trace.results(Programs(given, run), primitive)


#: How operations move that are neither linear nor best known by their `jvp`.
RULES: Rules = {
    div: follow_quotient,
    max: follow_choice,
    min: follow_choice,
    IntegerPow: follow_power,
}

# -- functions and programs ------------------------------------------------------------


def jet_flat(
    f: Callable[..., Sequence[Value]], inputs: Sequence[Row], order: int, rules: Rules
) -> list[Row]:
    """Run a flat function along curves.

    Args:
        f: a function of flat values, giving a list of values.
        inputs: for each input the coefficients of its curve, `order` after the first,
            any of which may be a `Zero`, but not the first.
        order: up to which order the outputs are followed.
        rules: `RULES`, and those of operations that hold programs.

    Returns:
        For each output its coefficients.
    """
    trace = JetTrace(current_trace(), order, rules)
    if leak_watches:
        trace = leak_watches[0].begin(trace)
    tracers = [trace.pair(row) for row in inputs]
    with using(trace):
        outputs = f(*tracers)
    rows = [trace.split(y) for y in outputs]
    if leak_watches:
        leak_watches[0].end(trace, tracers, outputs)
    return rows


def marks_of(columns: Sequence[Row]) -> Marks:
    """Say which coefficients after the first are not zero."""
    return tuple([tuple([not is_zero(c) for c in column[1:]]) for column in columns])


def coefficients(columns: Sequence[Row], marks: Marks) -> list[Value]:
    """Give the marked coefficients, one value's after another's."""
    return [
        array_of(c, column[0])
        for column, marked in zip(columns, marks, strict=True)
        for c, m in zip(column[1:], marked, strict=True)
        if m
    ]


def columns_of(
    outs: Sequence[Value], found: Sequence[Value], marks: Marks
) -> list[Row]:
    """Give the coefficients of each value: itself, and what is marked among `found`."""
    rest = iter(found)
    return [
        [y, *[next(rest) if m else Zero(like=y) for m in marked]]
        for y, marked in zip(outs, marks, strict=True)
    ]


def jet_jaxpr(
    jaxpr: Jaxpr, order: int, marks: Marks, rules: Rules, make: Marks | None = None
) -> tuple[Jaxpr, Marks]:
    """Give the program that computes a program's outputs along curves.

    Args:
        jaxpr: the program.
        order: up to which order.
        marks: for each input, which coefficients after the first are given.
        rules: as for `jet_flat`; always the same ones.
        make: for each output, which are wanted even where they are zero.

    Returns:
        A program of the inputs and then the coefficients given, one input's after
        another's, giving the outputs and then their nonzero coefficients; and which
        those are.
    """
    key = ("jet", order, marks, make)
    if key in jaxpr.cache:
        return jaxpr.cache[key]  # type: ignore[no-any-return]
    avals = jaxpr.in_avals
    more = [a.tangent() for a, column in zip(avals, marks) for m in column if m]
    found: list[Marks] = []

    def along(*values: Value) -> list[Value]:
        columns = columns_of(values[: len(avals)], values[len(avals) :], marks)
        outs = jet_flat(lambda *xs: evaluate(jaxpr, xs), columns, order, rules)
        wanted = make or ((False,) * order,) * len(outs)
        found.append(
            tuple(
                [
                    tuple([m or w for m, w in zip(own, asked)])
                    for own, asked in zip(marks_of(outs), wanted)
                ]
            )
        )
        return [*[column[0] for column in outs], *coefficients(outs, found[0])]

    staged = stage_closed(along, [*avals, *more], jaxpr.name)
    result = jaxpr.cache[key] = staged, found[0]
    return result
