"""Operations that hold programs, taken apart and applied one by one."""

from __future__ import annotations

import contextvars
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pullback.calls.checkpoint import Checkpoint
from pullback.calls.cond import Cond
from pullback.calls.jit_call import JitCall
from pullback.calls.scan import Scan
from pullback.calls.while_loop import While
from pullback.core.jaxpr import evaluate
from pullback.core.primitive import Primitive
from pullback.core.trace import Value
from pullback.primitives.shaping import concatenate, slice_in_dim
from pullback.primitives.structural import reshape, zeros_of

#: Which step of which loop is running, innermost last.
_steps: contextvars.ContextVar[tuple[str, ...]] = contextvars.ContextVar(
    "steps", default=()
)


def inside() -> str:
    """Say which step of which loop is running, "" outside of loops."""
    return " of ".join(reversed(_steps.get()))


@contextmanager
def step(text: str) -> Iterator[None]:
    """Name the step that runs inside a `with` block."""
    token = _steps.set((*_steps.get(), text))
    try:
        yield
    finally:
        _steps.reset(token)


def can_unfold(primitive: Primitive) -> bool:
    """Whether the operation holds programs that can be run one operation at a time."""
    return isinstance(primitive, (JitCall, Checkpoint, Cond, Scan, While))


def unfold(primitive: Any, operands: Sequence[Value]) -> list[Value]:
    """Run the programs in an operation, each operation under the current trace."""
    if isinstance(primitive, Cond):
        return evaluate(primitive.branches[int(operands[0])], operands[1:])
    if isinstance(primitive, Scan):
        return unfold_scan(primitive, operands)
    if isinstance(primitive, While):
        return unfold_while(primitive, operands)
    return evaluate(primitive.jaxpr, operands)


def unfold_scan(scan: Scan, operands: Sequence[Value]) -> list[Value]:
    """Run a scan step by step."""
    count, consts, carry, xs = scan.split(operands)
    total = int(count[0]) if count else scan.length
    rows: list[list[Value]] = []
    numbers = range(total)
    for i in reversed(numbers) if scan.reverse else numbers:
        slices = [take(x, i) for x in xs]
        with step(f"in step {i} of a scan of {total}"):
            outs = evaluate(scan.jaxpr, [*consts, *carry, *slices])
        carry, ys = outs[: scan.num_carry], outs[scan.num_carry :]
        rows.append(ys)
    if scan.reverse:
        rows.reverse()
    blank = [zeros_of(a) for a in scan.jaxpr.out_avals[scan.num_carry :]]
    rows += [blank] * (scan.length - total)
    stacked = [stack(list(column), blank[k]) for k, column in enumerate(zip(*rows))]
    if not rows:
        stacked = [zeros_of(a) for a in scan.abstract()[scan.num_carry :]]
    return [*carry, *stacked]


def take(x: Value, i: int) -> Value:
    """Give one slice along the first axis."""
    return reshape(slice_in_dim(x, i, i + 1, 0), x.shape[1:])


def stack(rows: list[Value], like: Value) -> Value:
    """Join slices along a new first axis."""
    return concatenate([reshape(y, (1, *like.shape)) for y in rows], 0)


def unfold_while(loop: While, operands: Sequence[Value]) -> list[Value]:
    """Run a while loop step by step."""
    cond_consts, body_consts, carry = loop.split(operands)
    number = 0
    limit = loop.max_steps
    while limit is None or number < limit:
        with step(f"in step {number} of a while loop"):
            (goes_on,) = evaluate(loop.cond_jaxpr, [*cond_consts, *carry])
            if not bool(goes_on):
                break
            carry = evaluate(loop.body_jaxpr, [*body_consts, *carry])
        number += 1
    return list(carry)
