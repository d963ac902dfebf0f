"""`closure_convert`: the values a function captures, made arguments by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback import dtypes, tree
from pullback.core.calling import as_value, check_callable
from pullback.core.jaxpr import evaluate
from pullback.core.origin import called_at, name_of
from pullback.core.trace import Tracer, Value, aval_of
from pullback.errors import TreeError
from pullback.transforms.stage import stage


def closure_convert(
    fun: Callable[..., Any], *example_args: Any
) -> tuple[Callable[..., Any], list[Value]]:
    """Give a function without captured tracers, and the values that it captured.

    Args:
        fun: a function of pytrees of arrays, capturing any values.
        example_args: arguments like those it will be called with.

    Returns:
        `(g, values)` with `g(*args, *values) == fun(*args)`. Among the values are all
        captured floating-point tracers, whose derivatives then are those of arguments.
    """
    check_callable(fun, "closure_convert")
    closed, out_tree = stage(fun, example_args)
    in_tree, name = tree.structure(example_args), name_of(fun)
    avals = [aval_of(x) for x in closed.consts]
    hoisted = [
        isinstance(x, Tracer) and dtypes.is_inexact(a.dtype)
        for x, a in zip(closed.consts, avals)
    ]
    values = [x for x, h in zip(closed.consts, hoisted) if h]
    fixed = [None if h else x for x, h in zip(closed.consts, hoisted)]
    jaxpr, count = closed.jaxpr, len(values)

    def converted(*args: Any) -> Any:
        """Run the program of the function, given what it captured last."""
        split = len(args) - count
        leaves, given_tree = tree.flatten(args[:split])
        if given_tree != in_tree:
            raise TreeError(
                f"{name} was converted for arguments of structure {in_tree}, and is "
                f"called with {given_tree} and {count} captured values.",
                where=called_at(),
                mend="Call it with arguments like the example, and then the values.",
            )
        given = iter(args[split:])
        consts = [next(given) if h else x for x, h in zip(fixed, hoisted)]
        return out_tree.unflatten(evaluate(jaxpr, map(as_value, [*consts, *leaves])))

    return converted, values
