"""Curves: the Taylor coefficients of operations' results, each made when it is needed.

A curve knows its coefficients up to some order, what the next one is made of, and how.
So a curve may be made of itself: y = exp(x) solves y' = x' y, where coefficient k of y
asks for those of x' y up to k - 1 only. That is how the recurrences of Griewank and
Walther, Evaluating Derivatives, 2nd ed., section 13.2, come about: nobody writes them
down, they are the `jvp` rules, read as differential equations.

Coefficients are those of powers of t: the k-th derivative divided by k!.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pullback.core.primitive import Primitive
from pullback.core.trace import Trace, Value, aval_of
from pullback.core.zero import Forbidden, Zero, is_zero
from pullback.primitives.elementwise import Elementwise
from pullback.primitives.structural import (
    accumulate,
    add_tangents,
    instantiate,
    zeros_of,
)
from pullback.primitives.table import div, mul, neg, sub

#: One coefficient of each result: values, `Zero`s, or `Forbidden`s; no `Zero` in row 0.
Row = list[Any]


class Curve:
    """The Taylor coefficients of an operation's results: row k holds those of t^k.

    A curve that is given has all of its rows. Those of others are made by `complete`,
    while the trace below that of the curves is the current one.
    """

    __slots__ = ("rows",)

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows

    def needs(self, row: int) -> list[tuple[Curve, int]]:
        """Say which rows of other curves a row is made of."""
        raise NotImplementedError

    def more(self) -> list[Row]:
        """Make the next row, or several."""
        raise NotImplementedError


def complete(curve: Curve, order: int) -> None:
    """Make the rows of a curve up to an order, after those that they are made of.

    What is still to do is a list, not Python's stack: the curves of a rule may be
    nested as deep as the rule is long (`test_a_long_rule_is_no_deep_recursion`).

    Raises:
        PullbackError: a coefficient that must not be asked for is needed.
    """
    todo = [(curve, order)]
    while todo:
        last, wanted = todo[-1]
        row = len(last.rows)
        if row > wanted:
            todo.pop()
            continue
        needed = last.needs(row)
        missing = [(c, k) for c, k in needed if len(c.rows) <= k]
        if missing:
            todo += missing
            continue
        for c, k in needed:
            for t in c.rows[k]:
                if type(t) is Forbidden:
                    raise t.error()
        last.rows += last.more()


class Operands:
    """The operands of an operation, of which some move along curves.

    Args:
        values: the operands; a moving one is a tracer with its `curve` and its `index`
            among the results there.
        moving: which of them move.
    """

    __slots__ = ("moving", "values")

    def __init__(self, values: Sequence[Any], moving: Sequence[bool]) -> None:
        self.values = values
        self.moving = moving

    @property
    def curves(self) -> list[Curve]:
        """The curves along which operands move."""
        return [x.curve for x, m in zip(self.values, self.moving) if m]

    @property
    def known(self) -> int:
        """Up to which order all of them are known."""
        return min([len(c.rows) for c in self.curves]) - 1

    def row(self, k: int) -> Row:
        """Give coefficient k of every operand."""
        if k == 0:
            return [
                x.curve.rows[0][x.index] if m else x
                for x, m in zip(self.values, self.moving)
            ]
        return [
            x.curve.rows[k][x.index] if m else Zero(like=x)
            for x, m in zip(self.values, self.moving)
        ]

    def columns(self, order: int) -> list[Row]:
        """Give all coefficients of every operand, up to an order."""
        rows = [self.row(k) for k in range(order + 1)]
        return [list(column) for column in zip(*rows)]

    def move_only_in(self, places: Sequence[int]) -> bool:
        """Whether no operand moves but those at the given places."""
        return all(i in places for i, m in enumerate(self.moving) if m)


class Follower(Curve):
    """Results whose row k is made of rows up to k of the operands.

    Args:
        trace: the trace below, where coefficients are computed.
        primitive: the operation.
        operands: its operands.
    """

    __slots__ = ("operands", "primitive", "trace")

    def __init__(self, trace: Trace, primitive: Primitive, operands: Operands) -> None:
        self.trace = trace
        self.primitive = primitive
        self.operands = operands
        super().__init__([])
        self.rows.append(self.compute(operands.row(0)))

    def needs(self, row: int) -> list[tuple[Curve, int]]:
        return [(c, row) for c in self.operands.curves]

    def compute(self, values: Sequence[Value]) -> Row:
        """Apply the operation in the trace below."""
        out = self.trace.apply(self.primitive, tuple(values))
        return out if self.primitive.multiple else [out]

    def zeros(self) -> Row:
        """Give a row of zeros."""
        return [Zero(like=y) for y in self.rows[0]]


class Linear(Follower):
    """Results of an operation linear in what moves: each coefficient by itself.

    Args:
        trace, primitive, operands: as `Follower`.
        group: the places in which it is jointly linear.
    """

    __slots__ = ("group",)

    def __init__(
        self,
        trace: Trace,
        primitive: Primitive,
        operands: Operands,
        group: Sequence[int],
    ) -> None:
        super().__init__(trace, primitive, operands)
        self.group = group

    def more(self) -> list[Row]:
        row = self.operands.row(len(self.rows))
        if all(is_zero(row[i]) for i in self.group):
            return [self.zeros()]
        first = self.operands.row(0)
        if isinstance(self.primitive, Elementwise):
            return [[self.primitive.derive(self.rows[0][0], first, row)[1]]]
        values = [
            array_of(t, x) if i in self.group else x
            for i, (t, x) in enumerate(zip(row, first))
        ]
        return [self.compute(values)]


class Bilinear(Follower):
    """Results of an operation linear in two groups of operands: Leibniz' rule.

    Args:
        trace, primitive, operands: as `Follower`.
        groups: the places of each.
    """

    __slots__ = ("groups",)

    def __init__(
        self,
        trace: Trace,
        primitive: Primitive,
        operands: Operands,
        groups: tuple[Sequence[int], Sequence[int]],
    ) -> None:
        super().__init__(trace, primitive, operands)
        self.groups = groups

    def more(self) -> list[Row]:
        order = len(self.rows)
        rows = [self.operands.row(k) for k in range(order + 1)]
        left, right = self.groups
        total = self.zeros()
        for k in range(order + 1):
            one, other = rows[k], rows[order - k]
            if all(is_zero(one[i]) for i in left):
                continue
            if all(is_zero(other[i]) for i in right):
                continue
            values = list(rows[0])
            for group, row in ((left, one), (right, other)):
                for i in group:
                    values[i] = array_of(row[i], values[i])
            total = [add_tangents(s, t) for s, t in zip(total, self.compute(values))]
        return [total]


class Quotient(Follower):
    """A quotient q of x and y, from x = q y (Griewank and Walther, table 13.1)."""

    __slots__ = ()

    def more(self) -> list[Row]:
        order = len(self.rows)
        rows = [self.operands.row(k) for k in range(order + 1)]
        total: Any = None
        for k in range(1, order + 1):
            q, y = self.rows[order - k][0], rows[k][1]
            if not is_zero(q) and not is_zero(y):
                product = mul(q, y)
                total = product if total is None else accumulate(total, product)
        x, y = rows[order][0], rows[0][1]
        if total is None:
            return [self.zeros() if is_zero(x) else [div(x, y)]]
        return [[div(neg(total) if is_zero(x) else sub(x, total), y)]]


class Solution(Curve):
    """Results of any operation, from the differential equation that they solve.

    Along curves x(t) of operands, y' = jvp(x, x'): one coefficient less of the right
    side gives the next one of y. The `jvp` rule is run once, on curves; what it applies
    to the same operands again, above all the operation itself, is known by then.

    Args:
        trace: the trace of the curves.
        operands: the operands.
        first: the results at t = 0.
        derivative: runs the rule and gives the tangents of the results, as tracers of
            `trace` where they move.
    """

    __slots__ = ("derivative", "dots", "operands", "trace")

    def __init__(
        self,
        trace: Any,
        operands: Operands,
        first: Row,
        derivative: Callable[[], Sequence[Any]],
    ) -> None:
        super().__init__([first])
        self.trace = trace
        self.operands = operands
        self.derivative = derivative
        self.dots: Sequence[Any] | None = None

    def needs(self, row: int) -> list[tuple[Curve, int]]:
        given = [(c, row) for c in self.operands.curves]
        if self.dots is None:
            if any(len(c.rows) <= row for c, _ in given):
                return given
            self.dots = self.derivative()
        moving = [t.curve for t in self.dots if self.trace.owns(t)]
        return given + [(c, row - 1) for c in moving]

    def more(self) -> list[Row]:
        assert self.dots is not None, "`needs` was asked first"
        order = len(self.rows)
        return [[self.integrated(t, order) for t in self.dots]]

    def integrated(self, t: Any, order: int) -> Any:
        """Give a coefficient of the result whose derivative is a tangent."""
        if self.trace.owns(t):
            t = t.curve.rows[order - 1][t.index]
            return t if order == 1 or is_zero(t) else div(t, float(order))
        return Zero(like=t) if order > 1 and type(t) not in (Zero, Forbidden) else t


class Velocity(Curve):
    """The derivative of a moving value.

    Args:
        of: the curve along which the value moves.
        index: which of the results there it is.
    """

    __slots__ = ("index", "of")

    def __init__(self, of: Curve, index: int) -> None:
        super().__init__([])
        self.of = of
        self.index = index
        complete(self, 0)

    def needs(self, row: int) -> list[tuple[Curve, int]]:
        return [(self.of, row + 1)]

    def more(self) -> list[Row]:
        order = len(self.rows) + 1
        x = self.of.rows[order][self.index]
        if order == 1:
            return [[array_of(x, self.of.rows[0][self.index])]]
        return [[x if is_zero(x) else mul(x, float(order))]]


class Programs(Curve):
    """Results of an operation that holds programs, which carry coefficients along.

    Args:
        operands: the operands.
        run: from an order to the coefficients of each result up to there; it runs the
            programs.
    """

    __slots__ = ("operands", "run")

    def __init__(self, operands: Operands, run: Callable[[int], list[Row]]) -> None:
        super().__init__([])
        self.operands = operands
        self.run = run
        self.rows += self.more()

    def needs(self, row: int) -> list[tuple[Curve, int]]:
        return [(c, row) for c in self.operands.curves]

    def more(self) -> list[Row]:
        order = self.operands.known
        columns = self.run(order)
        return [
            [column[k] for column in columns] for k in range(len(self.rows), order + 1)
        ]


def array_of(coefficient: Any, like: Value) -> Value:
    """Make an array of a coefficient of a value; zeros where it is zero.

    Raises:
        PullbackError: the coefficient must not be asked for.
    """
    if is_zero(coefficient):
        return zeros_of(aval_of(like))
    return instantiate(coefficient)
