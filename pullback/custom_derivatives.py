"""Custom derivatives under the names by which the ecosystem imports them."""

from typing import Any

from pullback import tree
from pullback.core.trace import aval_of
from pullback.core.zero import SymbolicZero, Zero
from pullback.custom.closure import closure_convert
from pullback.custom.custom_jvp import custom_jvp
from pullback.custom.custom_vjp import custom_vjp
from pullback.custom.gradient import custom_gradient
from pullback.custom.linear_call import linear_call
from pullback.primitives.structural import instantiate

__all__ = [
    "SymbolicZero",
    "closure_convert",
    "custom_gradient",
    "custom_jvp",
    "custom_vjp",
    "linear_call",
    "zero_from_primal",
]


def zero_from_primal(primal: Any, symbolic_zeros: bool = False) -> Any:
    """Give the zero tangent of each array in a container, of dtype float0 for integers.

    With `symbolic_zeros`, as `SymbolicZero`, which takes no memory.
    """
    kind = SymbolicZero if symbolic_zeros else Zero
    zeros = tree.map(lambda x: kind(aval_of(x).tangent()), primal)
    return zeros if symbolic_zeros else tree.map(instantiate, zeros)
