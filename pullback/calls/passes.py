"""The forward and the backward pass of a function as two functions, compiled once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback.calls.jit import jit
from pullback.core.calling import check_callable
from pullback.core.origin import called_at, name_of
from pullback.errors import ArgumentError
from pullback.transforms.derivatives import Argnums, pick
from pullback.transforms.linearize import needed_steps
from pullback.transforms.tangents import aval_text
from pullback.transforms.vjp import Pullback, vjp


def fwd_and_bwd(
    fun: Callable[..., Any],
    argnums: Argnums,
    has_aux: bool = False,
    jitted: bool = True,
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Give the forward and the backward pass of `fun` as two functions.

    What `vjp` gives is another function at each call, which `jit` compiles each time.
    Here the residuals are an argument: both passes are compiled once for each type of
    their arguments, and may stand in different programs.

    Args:
        fun: a function of pytrees of arrays.
        argnums: the positional argument to differentiate, or a sequence of them.
        has_aux: `fun` returns `(output, aux)`.
        jitted: compile both. Residuals of passes that are not compiled have a
            structure of their own at each call.

    Returns:
        `(fwd, bwd)`. `fwd` takes what `fun` does and gives `(output, residuals)`, or
        `(output, residuals, aux)`; `bwd(residuals, cotangent)` gives the cotangent of
        the argument, or a tuple of them for a sequence of argnums (`float0` zeros at
        integers). Residuals are a pytree of arrays to be passed on as it is.

    Raises:
        ArgumentError: `fun` has no such argument, or `bwd` is given no residuals.

    Example:
        >>> import pullback.numpy as jnp
        >>> fwd, bwd = fwd_and_bwd(lambda x, y: x * jnp.sin(y), (0, 1))
        >>> y, residuals = fwd(2., 0.5)
        >>> print(y, *bwd(residuals, 1.))
        0.9588511 0.47942555 1.7551651
    """
    check_callable(fun, "fwd_and_bwd")
    name = name_of(fun)

    def fwd(*args: Any, **kwargs: Any) -> Any:
        """Compute the output, and what the backward pass needs."""
        _, chosen, partial = pick(fun, argnums, args, kwargs, "fwd_and_bwd")
        out, residuals, *aux = vjp(partial, *chosen, has_aux=has_aux)
        program = residuals.program
        program.steps[:] = needed_steps(program.steps, program.outputs)
        return (out, residuals, *aux)

    def bwd(residuals: Any, cotangent: Any) -> Any:
        """Compute the cotangents of the arguments."""
        if not isinstance(residuals, Pullback):
            raise ArgumentError(
                f"the backward pass of {name} was given {aval_text(residuals)} where "
                "it wants residuals.",
                where=called_at(),
                mend="Write y, residuals = fwd(...) and then bwd(residuals, y_bar).",
            )
        found = residuals(cotangent)
        return found[0] if isinstance(argnums, int) else found

    return (jit(fwd), jit(bwd)) if jitted else (fwd, bwd)
