"""Divisors and multiples of integers."""

from __future__ import annotations

from typing import Any

from pullback.calls.while_loop import while_loop
from pullback.core.trace import Value
from pullback.numpy import reductions, shaping, ufuncs
from pullback.numpy.arguments import describe, wrong_dtype
from pullback.numpy.promotion import as_weak_as, promote_arrays
from pullback.primitives import table


def gcd(x1: Any, x2: Any) -> Value:
    """Give the greatest common divisor of integers, by Euclid's algorithm."""
    divisor, x, _ = _euclid("gcd", x1, x2)
    return as_weak_as(x, divisor)


def lcm(x1: Any, x2: Any) -> Value:
    """Give the least common multiple of integers."""
    divisor, x, y = _euclid("lcm", x1, x2)
    safe = table.select(table.eq(divisor, 0), table.add(divisor, 1), divisor)
    return as_weak_as(x, table.mul(x, table.div(y, safe)))


def _euclid(who: str, x1: Any, x2: Any) -> tuple[Value, Value, Value]:
    """Give the greatest common divisor and the absolute values."""
    x, y = promote_arrays(who, x1, x2)
    if not ufuncs.is_exact(x) or ufuncs.is_boolean(x):
        raise wrong_dtype(
            who,
            f"takes integers; got {describe(x)} and {describe(y)}.",
            "Convert them with astype(int).",
        )
    x, y = shaping.broadcast_arrays(ufuncs.abs(x), ufuncs.abs(y))

    def unfinished(pair: tuple[Value, Value]) -> Value:
        return reductions.any(table.ne(pair[1], 0))

    def step(pair: tuple[Value, Value]) -> tuple[Value, Value]:
        a, b = pair
        done = table.eq(b, 0)
        rest = table.rem(a, table.select(done, table.add(b, 1), b))
        return table.select(done, a, b), table.select(done, b, rest)

    return while_loop(unfinished, step, (x, y))[0], x, y
