"""Programs run on a whole batch, of which each element uses one, or none."""

from __future__ import annotations

from collections.abc import Sequence

from pullback import dtypes
from pullback.core.jaxpr import Jaxpr, evaluate
from pullback.core.primitive import Dim
from pullback.core.trace import Value, aval_of
from pullback.primitives.structural import reshape
from pullback.primitives.table import eq, ge, guard, select


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


def with_scalars(values: Sequence[Value], dims: Sequence[Dim]) -> list[Dim]:
    """Mark floating-point scalars as mapped too, for `guard_unused` to copy them."""
    avals = map(aval_of, values)
    return [
        0 if d is None and a.shape == () and dtypes.is_inexact(a.dtype) else d
        for a, d in zip(avals, dims)
    ]


def guard_unused(
    used: Value, operands: Sequence[Value], dims: Sequence[Dim]
) -> list[Value]:
    """Keep cotangents from elements that do not use what a program gives for them.

    Their cotangents are zero times whatever the program's derivative is there, which is
    nan if that is infinite (`test_unused_branches_must_not_reach_cotangents`). Mapped
    operands and scalars are guarded; to guard others would copy them for each element.

    Args:
        used: for each element, whether it uses the program.
        operands: the program's operands.
        dims: the batch axes that the program takes, of `with_scalars`.
    """
    out = []
    for x, dim in zip(operands, dims):
        aval = aval_of(x)
        if dim is not None and dtypes.is_inexact(aval.dtype):
            after = max(len(aval.shape) - 1 - dim, 0)
            x = guard(reshape(used, used.shape + (1,) * after), x)
        out.append(x)
    return out
