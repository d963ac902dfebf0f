"""What is linear in what, and the errors about what is not."""

from __future__ import annotations

import functools
from typing import Any

from pullback.core.origin import called_at
from pullback.core.primitive import Primitive
from pullback.errors import LinearityError


def linear_group(
    primitive: Primitive, unknown: tuple[bool, ...]
) -> tuple[int, ...] | None:
    """Give the operands in which the operation is jointly linear, cached."""
    if type(primitive).linear_in is not Primitive.linear_in:
        return primitive.linear_in(unknown)
    return _group(primitive.linear, unknown)


@functools.lru_cache(1024)
def _group(groups: Any, unknown: tuple[bool, ...]) -> tuple[int, ...] | None:
    for group in groups:
        if group[-1] is ...:
            group = (*group[:-1], *range(group[-2] + 1, len(unknown)))
        if all(i in group for i, u in enumerate(unknown) if u):
            return tuple(i for i in group if i < len(unknown))
    return None


def not_linear(primitive: Primitive) -> LinearityError:
    """Make the error for an operation that is not linear in a tangent."""
    kind = type(primitive)
    declare = ""
    if not kind.linear and not kind.__module__.startswith("pullback."):
        declare = f" If {kind.__name__} is linear there, say so in its class: for the "
        declare += "first operand `linear = ((0,),)`."
    return LinearityError(
        f"operation {primitive.name} was applied to a tangent, in which it is not "
        "linear.",
        where=called_at(),
        mend="Derivative rules must be linear in their tangents: use each tangent at "
        "most once in a product, and apply nonlinear functions to primals only."
        + declare,
    )


def affine(primitive: Primitive) -> LinearityError:
    """Make the error for a constant joined to a tangent."""
    return LinearityError(
        f"operation {primitive.name} joined a tangent with a value that does not "
        "depend on it, so the result is affine, not linear.",
        where=called_at(),
        mend="Derivative rules must be linear in their tangents: drop the constant "
        "term; for a zero, use jnp.zeros_like.",
    )
