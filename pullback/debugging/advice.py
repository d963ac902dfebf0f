"""What mends a value that is not finite, by the operation that made it."""

from __future__ import annotations

_DOUBLE_WHERE = (
    "Give {0} a safe operand where its result is not used, before and not only after "
    "it (double where: `safe = jnp.where(ok, x, 1.0)`, then `jnp.where(ok, {0}(safe), "
    "...)`); or write a custom_jvp rule with the limit; or differentiate inside "
    "`with pullback.strong_zeros():`."
)
_LIMIT = (
    "The derivative of {0} is infinite there. Keep its operand away from that point: "
    "choose a safe operand with jnp.where or jnp.clip before it and the result with "
    "jnp.where after it (double where); or write a custom_jvp rule with the limit that "
    "is wanted."
)

_FORWARD = {
    "exp": "exp overflows. For log(1 + exp(x)) use jnp.logaddexp(x, 0.0), for "
    "log(sum(exp(x))) logsumexp; or give the function a custom_jvp rule.",
    "log": "The logarithm of zero is infinite. For x * log(x) use xlogy; else keep the "
    "operand positive with jnp.where before the logarithm.",
    "div": "A division by zero. Keep the divisor away from zero with jnp.where before "
    "the division.",
    "sqrt": "The root of a negative number. Keep the operand at or above zero with "
    "jnp.maximum or jnp.where before the root.",
    "rsqrt": "The root of a number that is not positive. Keep the operand above zero.",
    "pow": "A power outside its domain, or an overflow. Keep the base positive with "
    "jnp.where before the power.",
    "acos": "The operand is outside [-1, 1]. Clip it before.",
    "asin": "The operand is outside [-1, 1]. Clip it before.",
    "add": "The sum overflows. Rescale the terms, or use 64 bits.",
    "sub": "The difference overflows. Rescale the terms, or use 64 bits.",
    "reduce_sum": "The sum overflows. Rescale the terms, or use 64 bits.",
    "dot_general": "The product overflows. Rescale the factors, or use 64 bits.",
    "integer_pow": "The power overflows. Rescale the base, or use 64 bits.",
    "cumsum": "The sum overflows. Rescale the terms, or use 64 bits.",
    "convert_element_type": "The number is too large for the dtype. Rescale it, or "
    "keep a wider dtype.",
    "mul": "The product overflows. Rescale the factors, or use logarithms or 64 bits.",
}


def advice(operation: str, zero: bool, phase: str, in_rule: bool) -> str:
    """Say in an imperative sentence what would mend it.

    Args:
        operation: the operation, or the one whose derivative it is part of.
        zero: whether a zero cotangent meets an infinite partial.
        phase: "forward" or "backward".
        in_rule: whether it happened in a custom rule.
    """
    if in_rule:
        return (
            "Write the rule in a form that is finite there; jnp.where chooses the "
            "limit, with safe operands in the branch that is not taken."
        )
    if phase == "backward":
        return (_DOUBLE_WHERE if zero else _LIMIT).format(operation)
    return _FORWARD.get(
        operation,
        "Keep its operands inside its domain, with jnp.where before it.",
    )
