"""`custom_jvp`: a function with a forward-mode rule, which reverse mode transposes."""

from __future__ import annotations

from pullback.custom.function import CustomFunction


class custom_jvp(CustomFunction):
    """Give a function a custom forward-mode rule; reverse mode transposes it.

    Use as a decorator, with `partial(custom_jvp, nondiff_argnums=...)`, or with options
    only: `custom_jvp(nondiff_argnums=...)`. Then attach a rule with `defjvp` or
    `defjvps`; see `CustomFunction` for all options and rules.

    Example:
        >>> import pullback.numpy as jnp
        >>> from pullback import grad
        >>> @custom_jvp
        ... def log1pexp(x):
        ...     return jnp.log(1. + jnp.exp(x))
        >>> log1pexp.defjvps(lambda t, ans, x: (1 - 1/(1 + jnp.exp(x))) * t)
        >>> print(grad(log1pexp)(100.))
        1.0
    """

    kind = "custom_jvp"
