"""`custom_vjp`: a function with a reverse-mode rule of its own."""

from __future__ import annotations

from pullback.custom.function import CustomFunction


class custom_vjp(CustomFunction):
    """Give a function a custom reverse-mode rule: a forward and a backward pass.

    Use as a decorator, with `partial(custom_vjp, nondiff_argnums=...)`, or with options
    only: `custom_vjp(nondiff_argnums=...)`. Then attach the rule with `defvjp`; see
    `CustomFunction` for all options and rules.

    Example:
        >>> import pullback.numpy as jnp
        >>> from pullback import grad
        >>> @custom_vjp
        ... def clip_gradient(lo, hi, x):
        ...     return x
        >>> def clip_gradient_bwd(bounds, g):
        ...     return None, None, jnp.clip(g, *bounds)
        >>> clip_gradient.defvjp(lambda lo, hi, x: (x, (lo, hi)), clip_gradient_bwd)
        >>> print(grad(lambda x: 10. * clip_gradient(-1., 1., x))(2.))
        1.0
    """

    kind = "custom_vjp"
