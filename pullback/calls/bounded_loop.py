"""Derivatives of loops that end when a condition says so.

Forward mode runs the loop again with tangents. Reverse mode needs a bound `max_steps`:
the number n of steps made is recorded, and the backward pass runs these n steps anew as
a scan of scans, each about sqrt(max_steps) long, that keeps the carry at the start of
each inner scan only (Griewank and Walther, Evaluating Derivatives, section 12.1, with
two levels). So it holds O(sqrt(max_steps)) carries, and its time is in proportion to n.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pullback import dtypes
from pullback.calls.checkpoint import Checkpoint
from pullback.calls.program import chosen, cut, spread
from pullback.calls.scan import Scan
from pullback.core.aval import Aval
from pullback.core.jaxpr import Jaxpr
from pullback.core.trace import Value
from pullback.core.zero import Unknown, Zero
from pullback.errors import MissingDerivative
from pullback.primitives.structural import frozen, instantiate, zeros_of
from pullback.primitives.table import add, clamp, div, mul, sub
from pullback.transforms.repeated import Repeated
from pullback.transforms.stage import stage_flat

#: Up to so many steps every carry is kept: one level of scan.
ONE_LEVEL = 16


@frozen
class LoopTangent(Repeated):
    """The tangents of a loop's results: linear in the tangents of its operands.

    Operands are the number of steps made (if the loop is bounded), the operands of the
    loop, and their tangents where these are not zero.

    Args:
        loop: the operation; its `jvp` rule is what is applied forward.
        nonzero: which operands of the loop have tangents.
        out_nonzero: which results have tangents.
        steps: the loop as a function of the number of steps and its operands, that can
            be walked backwards; None if the loop has no bound.
        where: the user's line, for the error.
    """

    loop: Any
    nonzero: tuple[bool, ...]
    out_nonzero: tuple[bool, ...]
    steps: Jaxpr | None
    where: str

    @property
    def name(self) -> str:
        """The name in jaxprs."""
        return f"{self.loop.name}_tangent"

    def parameters(self) -> dict[str, Any]:
        return self.loop.parameters()  # type: ignore[no-any-return]

    @property
    def counted(self) -> int:
        """1 if the number of steps leads the operands, else 0."""
        return int(self.steps is not None)

    def linear_in(self, unknown: Sequence[bool]) -> tuple[int, ...] | None:
        first = self.counted + len(self.nonzero)
        return None if any(unknown[:first]) else tuple(range(first, len(unknown)))

    def linear_result(self, operands: Sequence[Value]) -> list[Aval]:
        return self.abstract()

    def abstract(self, *avals: Aval) -> list[Aval]:
        outs = chosen(self.loop.abstract(), self.out_nonzero)
        return [a.tangent() for a in outs]

    def forward(self, *operands: Value) -> list[Value]:
        """Run the loop again, with tangents."""
        _, primals, given = cut(operands, self.counted, len(self.nonzero))
        tangents = [
            Zero(like=x) if t is None else t
            for x, t in zip(primals, spread(given, self.nonzero))
        ]
        _, dots = self.loop.jvp(primals, tangents)
        return [instantiate(t) for t in chosen(dots, self.out_nonzero)]

    def transpose(self, cotangents: Sequence[Any], *operands: Value) -> list[Any]:
        if self.steps is None:
            raise unbounded(self.where)
        known, tangents = cut(operands, 1 + len(self.nonzero))
        rest = iter(cotangents)
        full = [
            next(rest) if n else Zero(a.tangent())
            for n, a in zip(self.out_nonzero, self.steps.out_avals)
        ]
        step = Checkpoint(self.steps)
        marks = (False, *self.nonzero)
        found = step.backward(marks, known, full, [is_asked(t) for t in tangents])
        return [*[None] * len(known), *found]


def unbounded(where: str) -> MissingDerivative:
    """Make the error for reverse mode through a loop without a bound."""
    return MissingDerivative(
        "reverse-mode differentiation does not work for lax.while_loop or "
        "lax.fori_loop with dynamic start and stop values: the number of steps, and "
        "so the memory for the backward pass, is not known.",
        where=where,
        mend="Give the loop a bound with max_steps=..., use lax.scan or a fori_loop "
        "with static bounds, or give the function that holds the loop a derivative "
        "of its own with custom_vjp.",
    )


def is_asked(t: Any) -> bool:
    """Whether the cotangent of an operand is wanted: it is unknown, and not zero."""
    return isinstance(t, Unknown) and not getattr(t, "zero", False)


def steps_again(body: Jaxpr, num_consts: int, max_steps: int) -> Jaxpr:
    """Give n steps of a body as a program that can be walked backwards.

    Args:
        body: constants and carry -> carry.
        num_consts: how many of its inputs are constants.
        max_steps: the greatest n.

    Returns:
        A program of n, constants and carry, giving the carry after n steps.
    """
    key = ("steps", num_consts, max_steps)
    if key not in body.cache:
        body.cache[key] = _steps_again(body, num_consts, max_steps)
    return body.cache[key]  # type: ignore[no-any-return]


def _steps_again(body: Jaxpr, num_consts: int, max_steps: int) -> Jaxpr:
    num_carry = len(body.inputs) - num_consts
    avals = [Aval((), dtypes.int32), *body.in_avals]
    if max_steps <= ONE_LEVEL:
        inner = Scan(body, max_steps, num_consts, num_carry, counted=True)
        return stage_flat(lambda *xs: inner(*xs), avals, body.name).jaxpr
    length = math.isqrt(max_steps - 1) + 1
    segments = -(-max_steps // length)
    part = Scan(body, length, num_consts, num_carry, counted=True)
    part_jaxpr = stage_flat(lambda *xs: part(*xs), avals, body.name).jaxpr

    def segment(count: Value, *values: Value) -> list[Value]:
        consts, (number, *carry) = cut(values, num_consts)
        left = clamp(0, sub(count, mul(number, length)), length)
        return [add(number, 1), *Checkpoint(part_jaxpr)(left, *consts, *carry)]

    carry_avals = [Aval((), dtypes.int32), *body.in_avals[num_consts:]]
    segment_avals = [avals[0], *body.in_avals[:num_consts], *carry_avals]
    outer_jaxpr = stage_flat(segment, segment_avals, body.name).jaxpr
    outer = Scan(outer_jaxpr, segments, 1 + num_consts, 1 + num_carry, counted=True)

    def whole(count: Value, *values: Value) -> list[Value]:
        consts, carry = cut(values, num_consts)
        used = div(add(count, length - 1), length)
        start = zeros_of(avals[0])
        return outer(used, count, *consts, start, *carry)[1:]  # type: ignore[no-any-return]

    return stage_flat(whole, avals, body.name).jaxpr
