"""`custom_vmap`: a function with a batching rule of its own."""

from __future__ import annotations

from pullback.custom.function import CustomFunction


class custom_vmap(CustomFunction):
    """Give a function a custom batching rule, which `vmap` uses in place of its body's.

    Attach the rule with `def_vmap`. Derivative rules may be attached to the same
    function, or come from `custom_jvp` or `custom_vjp` above or below this decorator;
    without any, the function is differentiated through its body (and a mapped call
    through the body of the batching rule).

    Example:
        >>> import pullback.numpy as jnp
        >>> from pullback import vmap
        >>> @custom_vmap
        ... def scale(a, x):
        ...     return a * x
        >>> @scale.def_vmap
        ... def scale_batched(axis_size, in_batched, a, x):
        ...     print(axis_size, in_batched)
        ...     return a * x, in_batched[0] or in_batched[1]
        >>> print(vmap(scale, in_axes=(None, 0))(2., jnp.arange(3.)))
        3 [False, True]
        [0. 2. 4.]
    """

    kind = "custom_vmap"
