"""Functions of small arrays, applied to all of a larger one through `vmap`."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from typing import Any

from pullback import tree
from pullback.core.calling import check_callable
from pullback.core.origin import called_at, name_of
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.numpy import creation, shaping
from pullback.numpy.arguments import array_argument, describe, wrong_shape
from pullback.primitives import structural
from pullback.primitives.recipes import canonical_axis
from pullback.transforms.vmap import vmap

_TERM = re.compile(r"\(([^()]*)\)")


def apply_along_axis(
    func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any
) -> Value:
    """Apply a function of vectors to all vectors along an axis, at once."""
    arr = array_argument(arr, "apply_along_axis")
    axis = canonical_axis(axis, len(arr.shape), "apply_along_axis")
    moved = shaping.moveaxis(arr, axis, -1)
    lead = moved.shape[:-1]
    rows = structural.reshape(moved, (math.prod(lead), moved.shape[-1]))
    made = vmap(lambda row: creation.asarray(func1d(row, *args, **kwargs)))(rows)
    out = structural.reshape(made, (*lead, *made.shape[1:]))
    source = range(len(lead), len(out.shape))
    return shaping.moveaxis(out, tuple(source), tuple(range(axis, axis + len(source))))


def vectorize(
    pyfunc: Callable[..., Any] | None = None,
    *,
    excluded: Any = (),
    signature: str | None = None,
) -> Any:
    """Make a function of scalars, or of what a signature says, broadcast like a ufunc.

    Args:
        pyfunc: the function; left out, a decorator is given.
        excluded: positions and names of arguments passed on as they are.
        signature: core axes such as "(n),(n)->()"; scalars by default.
    """
    if pyfunc is None:
        return functools.partial(vectorize, excluded=excluded, signature=signature)
    function = pyfunc
    check_callable(function, "vectorize")

    @functools.wraps(function)
    def vectorized(*args: Any, **kwargs: Any) -> Any:
        mapped = [i for i in range(len(args)) if i not in excluded]
        fixed = {i: x for i, x in enumerate(args) if i in excluded}
        arrays = [creation.asarray(args[i]) for i in mapped]
        cores = _core_ranks(signature, len(arrays), name_of(function))

        def core(*values: Any) -> Any:
            rest = iter(values)
            full = [fixed[i] if i in fixed else next(rest) for i in range(len(args))]
            return tree.map(creation.asarray, function(*full, **kwargs))

        return _mapped(core, arrays, cores, name_of(function))

    return vectorized


def _core_ranks(signature: str | None, count: int, name: str) -> list[int]:
    """Give how many core axes each argument has.

    Raises:
        ArgumentError: the signature does not fit the arguments.
    """
    if signature is None:
        return [0] * count
    terms = _TERM.findall(signature.replace(" ", "").partition("->")[0])
    if len(terms) != count or "->" not in signature:
        raise ArgumentError(
            f"vectorize({name}) has signature {signature!r} and got {count} arguments.",
            where=called_at(),
            mend="Write one term an argument, such as '(n),(n)->()'.",
        )
    return [len([axis for axis in term.split(",") if axis]) for term in terms]


def _mapped(
    core: Callable[..., Any], arrays: list[Value], cores: list[int], name: str
) -> Any:
    """Map a function over the axes before the core axes, which broadcast."""
    for x, n in zip(arrays, cores):
        if len(x.shape) < n:
            raise wrong_shape(
                f"vectorize({name})",
                f"wants {n} core axes and got {describe(x)}.",
                "Give an array with more axes.",
            )
    leads = [tuple(x.shape[: len(x.shape) - n]) for x, n in zip(arrays, cores)]
    common = shaping.broadcast_shapes(*leads)
    rank = len(common)
    # For each argument the mapped axes it has itself; those of length one are shared.
    present = [
        [rank - len(lead) + i for i, n in enumerate(lead) if n != 1] for lead in leads
    ]
    values = [
        shaping.squeeze(x, tuple(i for i, n in enumerate(lead) if n == 1))
        for x, lead in zip(arrays, leads)
    ]
    f = core
    for axis in reversed(range(rank)):
        if any(axis in axes for axes in present):
            f = vmap(f, tuple([0 if axis in axes else None for axes in present]))
    absent = tuple(i for i in range(rank) if not any(i in axes for axes in present))
    return tree.map(
        lambda y: shaping.expand_dims(y, absent) if absent else y, f(*values)
    )
