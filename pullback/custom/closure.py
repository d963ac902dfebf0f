"""`closure_convert`: the values a function captures, made arguments by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback import dtypes, tree
from pullback.core.calling import check_callable
from pullback.core.jaxpr import evaluate
from pullback.core.origin import name_of
from pullback.core.trace import Tracer, Value
from pullback.transforms.stage import stage


def closure_convert(
    f: Callable[..., Any], *example_args: Any
) -> tuple[Callable[..., Any], list[Value]]:
    """Give a function without captured tracers, and the values that it captured.

    Args:
        f: a function of pytrees of arrays, capturing any values.
        example_args: arguments like those it will be called with.

    Returns:
        `(g, values)` with `g(*args, *values) == f(*args)`. Among the values are all
        captured floating-point tracers, whose derivatives then are those of arguments.
    """
    check_callable(f, "closure_convert")
    closed, out_tree = stage(f, example_args)
    in_tree = tree.structure(example_args)
    hoisted = [
        isinstance(x, Tracer) and dtypes.is_inexact(x.dtype) for x in closed.consts
    ]
    values = [x for x, h in zip(closed.consts, hoisted) if h]
    count = len(values)

    def converted(*args: Any) -> Any:
        """Run the program of the function, given what it captured last."""
        split = len(args) - count
        leaves, given_tree = tree.flatten(args[:split])
        assert given_tree == in_tree, f"{name_of(f)} was converted for {in_tree}"
        given = iter(args[split:])
        consts = [next(given) if h else x for x, h in zip(closed.consts, hoisted)]
        return out_tree.unflatten(evaluate(closed.jaxpr, [*consts, *leaves]))

    return converted, values
