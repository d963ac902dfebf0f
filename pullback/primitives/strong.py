"""Strong zeros: a tangent that is zero stays zero, whatever the partial derivative.

While the switch is on, elementwise derivatives are products by `strong_mul`, and the
transposes of `mul` and `div` keep zeros. The rules are exchanged when the switch is
set, so that nothing is tested while it is off.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.config import config, listeners
from pullback.core.aval import Aval
from pullback.core.trace import Value
from pullback.core.zero import Zero, is_zero
from pullback.primitives.elementwise import Elementwise
from pullback.primitives.structural import accumulate, broadcast_to, full
from pullback.primitives.table import (
    IntegerPow,
    compare,
    div,
    eq,
    mul,
    select,
    zeros_like,
)

Rule = Callable[[Any, Sequence[Value], Sequence[Any]], tuple[Any, Any]]

#: Operations whose partial derivatives are finite, and chosen rather than multiplied.
FINITE = frozenset(("max", "min", "clamp", "strong_mul"))


def product(t: Any, slope: Any) -> Any:
    """Multiply by NumPy, giving zero where `t` is zero."""
    return np.where(
        t == 0, np.zeros((), np.result_type(t, slope)), operator.mul(t, slope)
    )


def lower_product(ctx: Any, out: Aval, t: Any, slope: Any) -> Any:
    """Lower the product that keeps zeros."""
    zero = ctx.constant(0, out)
    is_null = compare("EQ")(ctx, Aval(out.shape, dtypes.bool_), t, zero)
    plain = ctx.emit("stablehlo.multiply", [t, slope], out)
    return ctx.emit("stablehlo.select", [is_null, zero, plain], out)


strong_mul: Elementwise = Elementwise(
    "strong_mul",
    product,
    lower_product,
    "fc",
    [
        lambda t, ans, x, y: strong_mul(t, y),
        lambda t, ans, x, y: strong_mul(t, x),
    ],
    linear=((0,),),
    transposes=[lambda ct, x, y: strong_mul(ct, y), None],
)


def keep_zero(ct: Value, moved: Value) -> Value:
    """Give what a cotangent becomes, but zero where it is zero."""
    return select(eq(ct, zeros_like(ct)), zeros_like(moved), moved)


def strong_jvp(
    self: Elementwise, primals: Sequence[Value], tangents: Sequence[Any]
) -> tuple[Any, Any]:
    """Give the derivative with slopes apart from tangents, and zeros kept."""
    ans = self(*primals)
    if not multiplies(self, ans, tangents):
        return plain_tangent(self, ans, primals, tangents)
    total: Any = None
    for tangent, partial in zip(tangents, self.partials):
        if partial is None or is_zero(tangent):
            continue
        slope = partial(full((), 1, tangent.dtype), ans, *primals)
        if is_zero(slope):
            continue
        term = strong_mul(tangent, slope)
        if term.shape != ans.shape:
            term = broadcast_to(term, ans.shape)
        total = term if total is None else accumulate(total, term)
    return ans, Zero(like=ans) if total is None else total


def multiplies(self: Elementwise, ans: Value, tangents: Sequence[Any]) -> bool:
    """Whether the derivative is tangents times slopes that may be infinite."""
    if self.name in FINITE or (self.linear and self not in (mul, div)):
        return False
    given = [t.dtype for t in tangents if not is_zero(t)]
    # Over the complex numbers a partial may conjugate, or take a part.
    return all(d == ans.dtype and dtypes.is_float(d) for d in given)


def strong_power_jvp(
    self: IntegerPow, primals: Sequence[Value], tangents: Sequence[Any]
) -> tuple[Any, Any]:
    """Give the derivative of a power with zeros kept."""
    (t,) = tangents
    if is_zero(t):
        return plain_power_rule(self, primals, tangents)
    ans, slope = plain_power_rule(self, primals, [full(t.shape, 1, t.dtype)])
    return ans, slope if is_zero(slope) else strong_mul(t, slope)


plain_tangent_rule: Rule = Elementwise.jvp
plain_power_rule: Rule = IntegerPow.jvp
_plain_transposes = mul.transposes, div.transposes
_strong_transposes = (
    (
        lambda ct, x, y: keep_zero(ct, mul(ct, y)),
        lambda ct, x, y: keep_zero(ct, mul(x, ct)),
    ),
    (lambda ct, x, y: keep_zero(ct, div(ct, y)), None),
)


def plain_tangent(
    self: Elementwise, ans: Value, primals: Sequence[Value], tangents: Sequence[Any]
) -> tuple[Any, Any]:
    """Give the derivative as it is without the switch."""
    return ans, plain_tangent_rule(self, primals, tangents)[1]


def follow_switch() -> None:
    """Take the rules that `config.strong_zeros` asks for."""
    strong = config.strong_zeros
    Elementwise.jvp = strong_jvp if strong else plain_tangent_rule  # type: ignore[assignment, method-assign]
    IntegerPow.jvp = strong_power_jvp if strong else plain_power_rule  # type: ignore[assignment, method-assign]
    mul.transposes, div.transposes = _strong_transposes if strong else _plain_transposes


def strong_zeros() -> AbstractContextManager[None]:
    """Let zero tangents and cotangents stay zero inside a `with` block.

    Without it a zero cotangent times an infinite or undefined partial derivative is a
    nan, as in `jnp.where(x > 0, jnp.sqrt(x), 0.)` at 0. Infinities that are no product
    with zero stay.

    Example:
        >>> import pullback.numpy as jnp
        >>> from pullback import grad
        >>> with strong_zeros():
        ...     print(grad(lambda x: jnp.where(x > 0, jnp.sqrt(x), 0.))(0.))
        0.0
    """
    return config.context(strong_zeros=True)


listeners.append(follow_switch)
follow_switch()
