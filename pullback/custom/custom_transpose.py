"""`custom_transpose`: a linear function whose transpose is given by hand."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

from pullback.core.calling import Signature
from pullback.core.origin import called_at, name_of
from pullback.core.trace import EVAL, current_trace
from pullback.custom.function import check_function
from pullback.custom.linear_call import linear_call
from pullback.custom.rule import check_arity
from pullback.errors import ArgumentError


class custom_transpose:
    """Give a linear function a custom transpose, which reverse mode uses.

    The function is linear in its last argument; the arguments before are residuals.
    Forward mode uses linearity; transposing twice gives the function back.

    Args:
        fun: `(*residuals, operand) -> out`.

    Example:
        >>> from pullback import grad
        >>> @custom_transpose
        ... def halve(x):
        ...     return x / 2.
        >>> @halve.def_transpose
        ... def halve_transpose(ct):
        ...     return 10. * ct     # wrong, to be seen
        >>> print(grad(halve)(3.), halve(3.))
        10.0 1.5
    """

    __closure_fields__ = ("fun", "transpose")

    def __init__(self, fun: Callable[..., Any]) -> None:
        check_function(fun, "custom_transpose")
        functools.update_wrapper(self, fun)
        self.fun = fun
        self.transpose: Callable[..., Any] | None = None
        self.call_signature = Signature(fun)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function; outside of transformations, just that."""
        if current_trace() is EVAL:
            return self.fun(*args, **kwargs)
        full, keywords = self.call_signature.resolve(args, kwargs)
        if keywords or not full:
            raise ArgumentError(
                f"custom_transpose function {name_of(self)} has no last positional "
                "argument in which it could be linear.",
                where=called_at(),
                mend="Write `def f(residuals, operand)`.",
            )
        transpose = self.transpose
        return linear_call(
            spread(self.fun),
            None if transpose is None else spread(transpose),
            full[:-1],
            full[-1],
        )

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Bind the function to an instance, as methods are."""
        return self if instance is None else types.MethodType(self, instance)

    def def_transpose(self, transpose: Callable[..., Any]) -> Callable[..., Any]:
        """Attach the transpose, as a decorator.

        Args:
            transpose: `(*residuals, ct) -> cotangent` like the operand.

        Raises:
            RuleArityError: it cannot take as many arguments as the function.
        """
        signature = self.call_signature.signature
        parameters = signature.parameters.values() if signature else ()
        variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        if parameters and not variadic:
            names = [p.name for p in parameters][:-1]
            form = f"def transpose({', '.join([*names, 'ct'])})"
            count = len(parameters)
            check_arity(transpose, count, "custom_transpose", self.fun, form)
        self.transpose = transpose
        return transpose

    def __repr__(self) -> str:
        """Show the function and its transpose."""
        rule = f"transpose={name_of(self.transpose)}" if self.transpose else "no rules"
        return f"<custom_transpose {name_of(self.fun)}: {rule}>"


def spread(f: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function of `(residuals, operand)` that calls `f(*residuals, operand)`."""

    @functools.wraps(f)
    def spread_f(residuals: Any, operand: Any) -> Any:
        return f(*residuals, operand)

    return spread_f
