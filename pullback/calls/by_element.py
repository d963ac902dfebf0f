"""Programs run on a whole batch, of which each element uses one, or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pullback import dtypes
from pullback.core.jaxpr import Jaxpr, evaluate
from pullback.core.primitive import Dim
from pullback.core.trace import Value, aval_of
from pullback.primitives.guarding import guard, is_small
from pullback.primitives.reduction import ReduceOr
from pullback.primitives.structural import reshape
from pullback.primitives.table import eq, ge, select
from pullback.transforms.batch import to_front

#: Maps operations with checks in programs that only some elements run; filled once, by
#: `experimental.checkify`, without which there are no checks.
lift_checks: list[Callable[..., Any]] = []


def with_checks(
    operation: Any, size: int, operands: Sequence[Value], dims: Sequence[Dim]
) -> Any:
    """Map an operation so that checks count for the elements that run them.

    Returns:
        Results and their batch axes; None if there are no checks.
    """
    if not (lift_checks and operation.effects):
        return None
    return lift_checks[0](operation, size, operands, dims)


def choose_elements(
    index: Value,
    branches: Sequence[Jaxpr],
    operands: Sequence[Value],
    dims: Sequence[Dim],
    guarded: bool,
) -> list[Value]:
    """Run every branch on the whole batch, and choose for each element.

    Args:
        index: the branch that each element uses; the last one from there on.
        branches: programs whose outputs have the batch axis first.
        operands: their operands.
        dims: the operands' batch axes.
        guarded: whether cotangents are kept from elements that do not use a branch.
    """
    last = len(branches) - 1
    used = [eq(index, i) for i in range(last)]
    results = [
        evaluate(b, guard_unused(u, operands, dims) if guarded else operands)
        for b, u in zip(branches, [*used, ge(index, last)])
    ]
    outs = results[-1]
    for u, result in zip(reversed(used), reversed(results[:-1])):
        outs = [where_used(u, x, y) for x, y in zip(result, outs)]
    return outs


def where_used(used: Value, x: Value, y: Value) -> Value:
    """Choose `x` for the elements of a leading batch axis that use it, else `y`."""
    return select(reshape(used, used.shape + (1,) * (len(x.shape) - 1)), x, y)


def with_small(
    values: Sequence[Value], dims: Sequence[Dim], size: int
) -> tuple[list[Value], list[Dim]]:
    """Copy small floating-point values for each element, for `guard_unused`."""
    copied, marked = [], []
    for x, dim in zip(values, dims):
        aval = aval_of(x)
        if dim is None and is_small(aval) and dtypes.is_inexact(aval.dtype):
            x, dim = to_front(x, None, size), 0
        copied.append(x)
        marked.append(dim)
    return copied, marked


def guard_unused(
    used: Value, operands: Sequence[Value], dims: Sequence[Dim]
) -> list[Value]:
    """Keep cotangents from elements that do not use what a program gives for them.

    Their cotangents are zero times whatever the program's derivative is there, which is
    nan if that is infinite (`test_unused_branches_must_not_reach_cotangents`). Mapped
    operands are guarded, so `with_small` maps what is small; others, which would be
    copied for each element, only from a program that no element uses.

    Args:
        used: for each element, whether it uses the program.
        operands: the program's operands.
        dims: their batch axes.
    """
    out = []
    for x, dim in zip(operands, dims):
        aval = aval_of(x)
        if not dtypes.is_inexact(aval.dtype):
            out.append(x)
        elif dim is None:
            out.append(guard(ReduceOr((0,))(used), x))
        else:
            after = len(aval.shape) - 1 - dim
            out.append(guard(reshape(used, used.shape + (1,) * after), x))
    return out
