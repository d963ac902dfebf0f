"""What a checkpointed function keeps for its backward pass, beside its arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pullback.core.aval import Aval
from pullback.core.jaxpr import Eqn
from pullback.core.origin import called_at, name_of
from pullback.core.primitive import Dim, Primitive
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.primitives.contraction import DotGeneral
from pullback.primitives.convolution import ConvGeneralDilated
from pullback.primitives.structural import frozen, linear_jvp


class Policy:
    """Says of which operations results are kept; compared by its function and names.

    Args:
        function: from an operation, its operands' types and its static parameters to a
            boolean.
        names: what leads the function's arguments, if not None.
    """

    __slots__ = ("function", "names")

    def __init__(
        self, function: Callable[..., Any], names: tuple[Any, ...] | None = None
    ) -> None:
        self.function = function
        self.names = names

    def __call__(self, primitive: Primitive, *avals: Aval, **parameters: Any) -> bool:
        """Say whether the results of an operation are kept."""
        if self.names is not None:
            return bool(self.function(self.names, primitive, *avals, **parameters))
        return bool(self.function(primitive, *avals, **parameters))

    def saves(self, eqn: Eqn) -> bool:
        """Say whether the results of an eqn are kept."""
        avals = [x.aval for x in eqn.inputs]
        return self(eqn.primitive, *avals, **eqn.primitive.parameters())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Policy) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> Any:
        return self.function, self.names

    def __repr__(self) -> str:
        given = self.names
        inside = "" if given is None else f"({', '.join(map(repr, given))})"
        return f"{name_of(self.function).lstrip('_')}{inside}"


@frozen
class Name(Primitive):
    """The identity, which gives its operand a name for checkpoint policies."""

    label: str

    linear = ((0,),)

    def parameters(self) -> dict[str, Any]:
        return {"label": self.label}

    def abstract(self, x: Aval) -> Aval:
        return x

    def eager(self, x: Any) -> Any:
        return x

    def lower(self, ctx: Any, x: Any) -> Any:
        return x

    def jvp(self, primals: Sequence[Value], tangents: Sequence[Any]) -> Any:
        return linear_jvp(self, primals, tangents)

    def transpose(self, ct: Value, x: Any) -> Any:
        return (ct,)

    def batch(self, size: int, operands: Sequence[Value], dims: Sequence[Dim]) -> Any:
        return self(operands[0]), dims[0]


def as_policy(policy: Any) -> Policy:
    """Make a policy of what a user gives: one of ours, a function, or None."""
    if policy is None:
        return nothing_saveable
    if isinstance(policy, Policy):
        return policy
    if not callable(policy):
        raise ArgumentError(
            f"checkpoint was given policy={policy!r}, which is no function.",
            where=called_at(),
            mend="Give one of checkpoint_policies, or a function of (primitive, "
            "*avals, **parameters).",
        )
    return Policy(policy)


def _nothing_saveable(primitive: Primitive, *_: Any, **__: Any) -> bool:
    return False


def _everything_saveable(primitive: Primitive, *_: Any, **__: Any) -> bool:
    return True


def _dots_saveable(primitive: Primitive, *_: Any, **__: Any) -> bool:
    return isinstance(primitive, (DotGeneral, ConvGeneralDilated))


def _dots_with_no_batch_dims_saveable(primitive: Primitive, *_: Any, **__: Any) -> bool:
    if not isinstance(primitive, DotGeneral):
        return False
    left, right = primitive.batching
    return not left and not right


def _save_only_these_names(
    names: tuple[str, ...], primitive: Primitive, *_: Any, **__: Any
) -> bool:
    return isinstance(primitive, Name) and primitive.label in names


def _save_any_names_but_these(
    names: tuple[str, ...], primitive: Primitive, *_: Any, **__: Any
) -> bool:
    return isinstance(primitive, Name) and primitive.label not in names


def _save_anything_except_these_names(
    names: tuple[str, ...], primitive: Primitive, *_: Any, **__: Any
) -> bool:
    return not isinstance(primitive, Name) or primitive.label not in names


def _save_from_both_policies(
    policies: tuple[Any, ...], primitive: Primitive, *avals: Any, **parameters: Any
) -> bool:
    return any(p(primitive, *avals, **parameters) for p in policies)


nothing_saveable = Policy(_nothing_saveable)
everything_saveable = Policy(_everything_saveable)
dots_saveable = checkpoint_dots = Policy(_dots_saveable)
dots_with_no_batch_dims_saveable = Policy(_dots_with_no_batch_dims_saveable)
checkpoint_dots_with_no_batch_dims = dots_with_no_batch_dims_saveable


def save_only_these_names(*names: str) -> Policy:
    """Keep the values that `checkpoint_name` gave one of these names."""
    return Policy(_save_only_these_names, names)


def save_any_names_but_these(*names: str) -> Policy:
    """Keep the values that `checkpoint_name` gave a name, but not one of these."""
    return Policy(_save_any_names_but_these, names)


def save_anything_except_these_names(*names: str) -> Policy:
    """Keep all values but those that `checkpoint_name` gave one of these names."""
    return Policy(_save_anything_except_these_names, names)


def save_from_both_policies(one: Any, other: Any) -> Policy:
    """Keep what either of two policies keeps."""
    return Policy(_save_from_both_policies, (as_policy(one), as_policy(other)))
