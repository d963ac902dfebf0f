"""`jet`: the derivatives of a function along a curve, up to any order at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from pullback.calls.jets import ALL_RULES
from pullback.core.array import SCALARS, Array
from pullback.core.calling import check_callable
from pullback.core.origin import called_at, name_of
from pullback.core.trace import Tracer, Value, aval_of
from pullback.errors import ArgumentError, TreeError
from pullback.primitives.structural import instantiate
from pullback.primitives.table import div, mul
from pullback.transforms.jet import jet_flat
from pullback.transforms.tangents import (
    Mismatch,
    Paths,
    aval_text,
    flatten_up_to,
)
from pullback.transforms.vjp import Flat, fit_input, flatten_arguments

__all__ = ["jet"]


def jet(
    fun: Callable[..., Any], primals: Any, series: Any, factorial_scaled: bool = True
) -> tuple[Any, Any]:
    """Give the output of `fun` and its derivatives along a curve of its arguments.

    The arguments move along x(t), known by x(0) and its derivatives up to some order K;
    so are the outputs. The cost of an operation grows as K^2, or at worst as K^3.

    Args:
        fun: a function of pytrees of arrays.
        primals: a tuple or list with its arguments.
        series: a tuple or list like `primals`, with a list of K terms in the place of
            every array: the derivatives from the first to the K-th, each of the array's
            shape and dtype. None stands for zero, as a term, a list, or a whole
            argument's lists; at integers nothing else may stand. Terms that are None
            cost nothing.
        factorial_scaled: whether the terms, given and returned, are derivatives; else
            they are Taylor coefficients, derivatives divided by k!.

    Returns:
        `(output, series)`, the series like the output, with a list of K terms in the
        place of every array.

    Raises:
        TreeError: series and primals differ in structure, shape or kind.
        ArgumentError: lists of different lengths.
        ForwardModeError: a function with only a reverse rule is on the way.

    Example:
        >>> import pullback.numpy as jnp
        >>> y, (first, second) = jet(jnp.sin, (0.5,), ([1.0, 0.0],))
        >>> print(y, first, second)
        0.47942555 0.87758255 -0.47942555
    """
    check_callable(fun, "jet")
    for name, given in (("primals", primals), ("series", series)):
        if not isinstance(given, (tuple, list)):
            raise TreeError(
                f"jet of {name_of(fun)}: {name} is a {type(given).__name__}, not a "
                "tuple.",
                where=called_at(),
                mend="Write jet(fun, (x,), ([x_dot, x_dot_dot],)), with a tuple for "
                f"{name}.",
            )
    values, in_tree, primals = flatten_arguments(primals, fun, "jet")
    columns = series_of(fun, primals, tuple(series), values)
    order = len(columns[0]) if columns else 0
    scales = [math.factorial(k + 1) if factorial_scaled else 1 for k in range(order)]
    inputs = [
        [x, *[scaled(div, c, n) for c, n in zip(terms, scales)]]
        for x, terms in zip(values, columns)
    ]
    flat = Flat(fun, in_tree, False, "jet")
    outputs = jet_flat(flat, inputs, order, ALL_RULES)
    series_out: list[Any] = [
        [instantiate(scaled(mul, c, n)) for c, n in zip(terms, scales)]
        for _, *terms in outputs
    ]
    primals_out = flat.out_tree.unflatten([y for y, *_ in outputs])
    return primals_out, flat.out_tree.unflatten(series_out)


def scaled(operation: Any, coefficient: Any, number: int) -> Any:
    """Multiply or divide a coefficient by a factorial."""
    if number == 1 or not isinstance(coefficient, (Array, Tracer)):
        return coefficient
    return operation(coefficient, float(number))


def series_of(
    fun: Callable[..., Any],
    primals: tuple[Any, ...],
    series: tuple[Any, ...],
    values: Sequence[Value],
) -> list[list[Any]]:
    """Give the terms of every leaf of the arguments, `Zero` where there are none.

    Raises:
        TreeError: they do not fit the arguments.
        ArgumentError: there are more of them at one leaf than at another.
    """

    def complain(found: Mismatch) -> NoReturn:
        raise TreeError(
            f"jet of {name_of(fun)}: series{found.path} is {found.what}.",
            where=called_at(),
            mend="Give each array a list of terms in its place, each of its shape and "
            "dtype; None stands for zero. To move an integer, convert it to a float.",
        )

    paths = Paths(primals)
    found = flatten_up_to(primals, series, complain)
    for i, terms in enumerate(found):
        if terms is not None and not isinstance(terms, (list, tuple)):
            what = f"{aval_text(terms)} where a list of terms {aval_text(values[i])} "
            complain(Mismatch("tree", f"{what}is expected", paths.named(i)()))
    order = order_of(fun, found, paths)

    def fitted(i: int, k: int, term: Any) -> Any:
        """Fit one term to the leaf that it moves; a Python zero costs nothing."""
        if type(term) in SCALARS and not term:
            term = None
        path = paths.named(i)
        return fit_input(term, aval_of(values[i]), complain, lambda: f"{path()}[{k}]")

    return [
        [fitted(i, k, t) for k, t in enumerate(terms or [None] * order)]
        for i, terms in enumerate(found)
    ]


def order_of(fun: Callable[..., Any], found: Sequence[Any], paths: Paths) -> int:
    """Give the common length of the lists of terms; raise if there is none."""
    places = {len(terms): i for i, terms in enumerate(found) if terms is not None}
    if len(places) > 1:
        lengths = [
            f"{n} at series{paths.named(i)()}" for n, i in sorted(places.items())
        ]
        raise ArgumentError(
            f"jet of {name_of(fun)}: the lists of terms have inconsistent lengths: "
            f"{', '.join(lengths)}.",
            where=called_at(),
            mend="Give every array as many terms; None stands for zero.",
        )
    return max(places, default=0)
