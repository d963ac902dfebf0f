"""Custom derivatives under the names by which the ecosystem imports them."""

from typing import Any

from pullback import tree as trees
from pullback.core.origin import called_at
from pullback.core.trace import aval_of
from pullback.core.zero import SymbolicZero, Zero
from pullback.custom.closure import closure_convert
from pullback.custom.custom_jvp import custom_jvp
from pullback.custom.custom_vjp import custom_vjp
from pullback.custom.gradient import custom_gradient
from pullback.custom.linear_call import linear_call
from pullback.custom.pull import CustomVJPPrimal
from pullback.errors import RuleTreeError
from pullback.primitives.structural import instantiate

__all__ = [
    "CustomVJPPrimal",
    "SymbolicZero",
    "closure_convert",
    "custom_gradient",
    "custom_jvp",
    "custom_vjp",
    "custom_vjp_primal_tree_values",
    "linear_call",
    "zero_from_primal",
]


def zero_from_primal(primal: Any, symbolic_zeros: bool = False) -> Any:
    """Give the zero tangent of each array in a container, of dtype float0 for integers.

    With `symbolic_zeros`, as `SymbolicZero`, which takes no memory.
    """
    kind = SymbolicZero if symbolic_zeros else Zero
    zeros = trees.map(lambda x: kind(aval_of(x).tangent()), primal)
    return zeros if symbolic_zeros else trees.map(instantiate, zeros)


def custom_vjp_primal_tree_values(tree: Any) -> Any:
    """Give the primal values of arguments of a `fwd` with `symbolic_zeros=True`.

    Args:
        tree: a container whose leaves are `CustomVJPPrimal`.

    Raises:
        RuleTreeError: a leaf is something else.

    Example:
        >>> import pullback
        >>> @pullback.custom_vjp
        ... def norm2(p):
        ...     return p["x"] ** 2 + p["y"] ** 2
        >>> def fwd(p):
        ...     p = custom_vjp_primal_tree_values(p)
        ...     return norm2(p), p
        >>> def bwd(p, ct):
        ...     return ({"x": 2 * p["x"] * ct, "y": 2 * p["y"] * ct},)
        >>> norm2.defvjp(fwd, bwd, symbolic_zeros=True)
        >>> print(pullback.grad(norm2)({"x": 1.0, "y": 2.0})["y"])
        4.0
    """
    return trees.map(_value, tree)


def _value(leaf: Any) -> Any:
    if type(leaf) is not CustomVJPPrimal:
        raise RuleTreeError(
            f"custom_vjp_primal_tree_values met a leaf of type {type(leaf).__name__} "
            "where it wants CustomVJPPrimal.",
            where=called_at(),
            mend="Give it arguments of fwd as they come, of a rule with defvjp(fwd, "
            "bwd, symbolic_zeros=True).",
        )
    return leaf.value
