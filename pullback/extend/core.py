"""Programs as data, and what runs them, by the names of the ecosystem."""

from collections.abc import Callable
from typing import Any

from pullback.core.check import check_jaxpr
from pullback.core.jaxpr import ClosedJaxpr, Jaxpr, Literal, Var, eval_jaxpr
from pullback.core.jaxpr import Eqn as JaxprEqn
from pullback.core.primitive import Primitive
from pullback.core.trace import Value

__all__ = [
    "ClosedJaxpr",
    "Jaxpr",
    "JaxprEqn",
    "Literal",
    "Primitive",
    "Var",
    "check_jaxpr",
    "jaxpr_as_fun",
]


def jaxpr_as_fun(closed_jaxpr: ClosedJaxpr) -> Callable[..., list[Value]]:
    """Give a program as a function of its inputs, which gives the list of its outputs.

    Example:
        >>> import pullback, pullback.numpy as jnp
        >>> closed = pullback.make_jaxpr(lambda x: jnp.sin(x) ** 2)(1.)
        >>> (slope,) = pullback.jvp(jaxpr_as_fun(closed), (1.,), (1.,))[1]
        >>> print(slope)
        0.9092974
    """

    def run(*args: Any) -> list[Value]:
        """Run the program."""
        return eval_jaxpr(closed_jaxpr.jaxpr, closed_jaxpr.consts, *args)

    return run
