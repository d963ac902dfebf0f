"""Identities that look at what flows back through them."""

from __future__ import annotations

import contextvars
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pullback import dtypes, tree
from pullback.core.aval import Aval
from pullback.core.calling import as_value, check_callable
from pullback.core.origin import Origin, user_origin
from pullback.core.primitive import Dim, Primitive
from pullback.core.trace import Value, aval_of
from pullback.core.zero import Zero, is_zero
from pullback.errors import NanError
from pullback.primitives.callbacks import emit_callback
from pullback.primitives.structural import frozen, instantiate, move_axis


@frozen
class Look(Primitive):
    """Its operands, after a function has seen them.

    Results depend on the call, so that compiled programs keep the calls in order.

    Args:
        look: called with NumPy arrays, one an operand.
    """

    look: Any

    multiple = True
    effects = True
    linear = ((0, ...),)

    def parameters(self) -> dict[str, Any]:
        return {}

    def abstract(self, *avals: Aval) -> list[Aval]:
        return list(avals)

    def linear_result(self, operands: Sequence[Value]) -> list[Aval]:
        return [aval_of(x) for x in operands]

    def eager(self, *arrays: Any) -> Any:
        self.look(*[np.asarray(x) for x in arrays])
        return list(arrays)

    def lower(self, ctx: Any, *operands: Any) -> Any:
        outs = [x.aval for x in operands]
        return emit_callback(ctx, self.eager, operands, outs, True)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        return self(*primals), list(tangents)

    def transpose(self, ct: Any, *operands: Value) -> list[Any]:
        return list(ct)

    def batch(self, size: int, operands: Sequence[Value], dims: Sequence[Dim]) -> Any:
        moved = [x if d is None else move_axis(x, d, 0) for x, d in zip(operands, dims)]
        mapped = tuple(d is not None for d in dims)
        outs = Look(EachElement(self.look, mapped, size))(*moved)
        return outs, [0 if m else None for m in mapped]


@frozen
class EachElement:
    """A function called for each element along the leading axis of some operands.

    Args:
        look: the function.
        mapped: for each operand, whether it has the axis.
        size: the length of the axis.
    """

    look: Callable[..., None]
    mapped: tuple[bool, ...]
    size: int

    def __call__(self, *arrays: Any) -> None:
        """Call it for every element."""
        for i in range(self.size):
            self.look(*[x[i] if m else x for x, m in zip(arrays, self.mapped)])


@frozen
class CotangentTap(Primitive):
    """Its operands; in the backward pass a function is called with the cotangents.

    Args:
        look: called with the cotangents as NumPy arrays, one an operand.
        label: what jaxprs show.
    """

    look: Any
    label: str

    multiple = True
    linear = ((0, ...),)

    def parameters(self) -> dict[str, Any]:
        return {"label": self.label}

    def abstract(self, *avals: Aval) -> list[Aval]:
        return list(avals)

    def linear_result(self, operands: Sequence[Value]) -> list[Aval]:
        return [aval_of(x) for x in operands]

    def eager(self, *arrays: Any) -> Any:
        return list(arrays)

    def lower(self, ctx: Any, *operands: Any) -> Any:
        return list(operands)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        outs = self(*primals)
        varies = [
            not is_zero(t) or dtypes.is_inexact(x.dtype)
            for t, x in zip(tangents, primals)
        ]
        given = [instantiate(t) for t, v in zip(tangents, varies) if v]
        found = iter(CotangentTap(self.look, self.label)(*given))
        return outs, [next(found) if v else Zero(like=y) for v, y in zip(varies, outs)]

    def transpose(self, ct: Any, *operands: Value) -> list[Any]:
        return list(Look(self.look)(*[instantiate(c) for c in ct]))

    def batch(self, size: int, operands: Sequence[Value], dims: Sequence[Dim]) -> Any:
        return self(*operands), list(dims)


def tap(x: Any, look: Callable[..., None], label: str) -> Any:
    """Give a tree; `look` sees the cotangents of its inexact leaves, in order."""
    leaves, treedef = tree.flatten(x)
    values = [as_value(leaf) for leaf in leaves]
    inexact = [dtypes.is_inexact(v.dtype) for v in values]
    found = iter(CotangentTap(look, label)(*[v for v, i in zip(values, inexact) if i]))
    return treedef.unflatten([next(found) if i else v for v, i in zip(values, inexact)])


def inspect_cotangent(x: Any, fn: Callable[[Any], Any]) -> Any:
    """Give `x`, and call `fn` with its cotangent in the backward pass.

    Args:
        x: a tree of arrays.
        fn: called with a tree like `x` of NumPy arrays, once for each backward pass;
            None stands at integers. Under `vmap` it sees the whole batch if the mapped
            function is differentiated, and each example if the gradient is mapped.

    Example:
        >>> from pullback import grad
        >>> print(grad(lambda x: 3. * inspect_cotangent(x, print))(2.))
        3.0
        3.0
    """
    check_callable(fn, "inspect_cotangent")
    leaves, treedef = tree.flatten(x)
    inexact = [dtypes.is_inexact(as_value(leaf).dtype) for leaf in leaves]

    def look(*cts: Any) -> None:
        rest = iter(cts)
        fn(treedef.unflatten([next(rest) if i else None for i in inexact]))

    return tap(x, look, getattr(fn, "__name__", "fn"))


class Marker(NamedTuple):
    """A place in the user's program.

    Fields:
        name: the user's name for it.
        number: markers count up in the order of the forward pass.
        origin: the user's line.
    """

    name: str
    number: int
    origin: Origin | None

    def __str__(self) -> str:
        """Write name and place."""
        return f"`{self.name}`" + (f" ({self.origin})" if self.origin else "")


_numbers = itertools.count()
#: The marker that the backward pass came through last, its cotangent being clean.
_passed: contextvars.ContextVar[Marker | None] = contextvars.ContextVar(
    "passed", default=None
)


def backward_nan(x: Any, name: str) -> Any:
    """Give `x`; in the backward pass raise if its cotangent has a nan.

    With several markers the error names the two between which the nan came up.

    Args:
        x: a tree of arrays.
        name: a name for this place.

    Raises:
        NanError: in the backward pass (a `FloatingPointError`).
    """
    marker = Marker(name, next(_numbers), user_origin())

    def look(*cts: Any) -> None:
        if not any(np.isnan(c).any() for c in cts):
            _passed.set(marker)
            return
        raise nan_between(marker, _passed.get())

    return tap(x, look, name)


def nan_between(marker: Marker, later: Marker | None) -> NanError:
    """Make the error for a nan that reached a marker from the one after it."""
    if later is not None and later.number > marker.number:
        entered = f"it entered between {marker} and {later}, where it was finite"
    else:
        entered = f"it entered after {marker}, before any other marker was reached"
    return NanError(
        f"the cotangent at marker `{marker.name}` has a nan in the backward pass: "
        f"{entered}.",
        where=f"Marked at {marker.origin}." if marker.origin else "",
        mend="Run debug.find_nan on the function to see the operation, or put more "
        "markers in between.",
    )
