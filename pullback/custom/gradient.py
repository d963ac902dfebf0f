"""`custom_gradient`: a function that gives its value and its pullback."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from pullback.core.calling import check_callable
from pullback.core.closure import Closure
from pullback.custom.custom_vjp import custom_vjp


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """Give the function whose value and reverse-mode rule `f` gives.

    Args:
        f: gives `(output, pullback)`, where `pullback(cotangent)` is one cotangent for
            each argument: a tuple, or for a single argument the cotangent alone.

    Example:
        >>> from pullback import grad
        >>> @custom_gradient
        ... def square(x):
        ...     return x ** 2, lambda g: 2. * x * g
        >>> print(grad(square)(3.))
        6.0
    """
    check_callable(f, "custom_gradient")

    @functools.wraps(f)
    def fun(*args: Any) -> Any:
        return f(*args)[0]

    def fwd(*args: Any) -> Any:
        out, pullback = f(*args)
        # What the pullback captures are the residuals.
        return out, Closure(pullback)

    def bwd(pullback: Closure, ct: Any) -> Any:
        return pullback(ct)

    wrapped = custom_vjp(fun)
    wrapped.defvjp(fwd, bwd)

    @functools.wraps(f)
    def custom(*args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return wrapped(*args, **kwargs)

    return custom
