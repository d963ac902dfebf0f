"""What a derivative keeps for its backward pass, and how to keep less."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback import tree
from pullback.calls import policies as checkpoint_policies
from pullback.calls.checkpoint import checkpoint, checkpoint_name
from pullback.calls.jit_call import JitCall
from pullback.calls.policies import Name
from pullback.core.aval import Aval
from pullback.core.calling import check_callable, leaf_names
from pullback.core.jaxpr import Eqn, Jaxpr, Literal, Var
from pullback.dtypes import is_inexact
from pullback.primitives.structural import Constant
from pullback.transforms.linearize import linearize_jaxpr
from pullback.transforms.stage import stage

__all__ = [
    "checkpoint",
    "checkpoint_name",
    "checkpoint_policies",
    "print_saved_residuals",
    "remat",
    "saved_residuals",
]

remat = checkpoint


def saved_residuals(
    f: Callable[..., Any], *args: Any, **kwargs: Any
) -> list[tuple[Aval, str]]:
    """List what reverse mode of a function keeps from its forward pass.

    Args:
        f: a function of trees of arrays; differentiated in all floats among them.
        args, kwargs: its arguments, or `ShapeDtypeStruct`s in their place.

    Returns:
        For each value that is kept its type, and where it comes from: an argument, a
        constant, or an operation at a line of the user's.
    """
    check_callable(f, "saved_residuals")
    closed, _ = stage(f, args, kwargs)
    consts = len(closed.consts)
    nonzero = [
        i >= consts and is_inexact(a.dtype) for i, a in enumerate(closed.jaxpr.in_avals)
    ]
    parts = linearize_jaxpr(closed.jaxpr, nonzero)
    residuals = parts.primal.outputs[len(parts.out_nonzero) :]
    named = [path[2:-2] for path in tree.path_strings(kwargs)]
    names = ["a constant"] * consts
    names += [f"the argument {n}" for n in [*leaf_names(f, args), *named]]
    inputs: dict[Any, str] = dict(zip(parts.primal.inputs, names))
    alias: dict[Any, Any] = {}
    for eqn in parts.primal.eqns:
        if isinstance(eqn.primitive, Name):
            alias[eqn.outputs[0]] = alias.get(eqn.inputs[0], eqn.inputs[0])
    kept = dict.fromkeys(alias.get(v, v) for v in residuals)
    return [(v.aval, source_of(v, parts.primal, inputs)) for v in kept]


def print_saved_residuals(f: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Print what reverse mode of a function keeps, a line for each value.

    Example:
        >>> import pullback.numpy as jnp
        >>> def f(w, x):
        ...     return jnp.sum(jnp.sin(w @ x))
        >>> print_saved_residuals(f, jnp.ones((2, 3)), jnp.ones(3))
        f32[3] from the argument x
        f32[2,3] from the argument w
        f32[2] output of cos from ...
    """
    for aval, source in saved_residuals(f, *args, **kwargs):
        print(f"{aval} {source}")


def source_of(v: Any, jaxpr: Jaxpr, inputs: dict[Any, str]) -> str:
    """Say where a value of a program comes from, inside calls too."""
    if isinstance(v, Literal):
        return "from a literal"
    if v in inputs:
        return f"from {inputs[v]}"
    makers = {y: eqn for eqn in jaxpr.eqns for y in eqn.outputs}
    eqn = makers[v]
    if isinstance(eqn.primitive, Constant):
        return "from a constant"
    label = label_of(v, jaxpr)
    at = f" from {eqn.origin}" if eqn.origin else ""
    if label is not None:
        return f"named {label!r}{at}"
    inner: Any = getattr(eqn.primitive, "jaxpr", None)
    if is_plain_call(eqn, inner):
        return inner_source(v, eqn, inner, jaxpr, inputs)
    return f"output of {eqn.primitive.name}{at}"


def label_of(v: Any, jaxpr: Jaxpr) -> str | None:
    """Give the name that `checkpoint_name` gave a value, if any."""
    users = (e.primitive for e in jaxpr.eqns if v in e.inputs)
    return next((p.label for p in users if isinstance(p, Name)), None)


def is_plain_call(eqn: Eqn, inner: Any) -> bool:
    """Whether an operation runs a program once, on its operands as they are."""
    return isinstance(inner, Jaxpr) and (
        len(inner.inputs) == len(eqn.inputs)
        and len(inner.outputs) == len(eqn.outputs)
        and inner.in_avals == [x.aval for x in eqn.inputs]
        and inner.out_avals == [y.aval for y in eqn.outputs]
    )


def inner_source(
    v: Var, eqn: Eqn, inner: Jaxpr, jaxpr: Jaxpr, inputs: dict[Any, str]
) -> str:
    """Say where the result of a call comes from inside it."""
    made = inner.outputs[eqn.outputs.index(v)]
    outer = dict(zip(inner.inputs, eqn.inputs))
    if made in outer:
        return source_of(outer[made], jaxpr, inputs)
    found = source_of(made, inner, {})
    if isinstance(eqn.primitive, JitCall) and "jitted" not in found:
        return f"{found}, in the jitted function {eqn.primitive.label!r}"
    return found
