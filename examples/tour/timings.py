"""How long the document's functions take here."""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pullback.numpy as jnp
from pullback import custom_jvp, custom_vjp, grad, jit, make_jaxpr, vmap

ROUNDS = 7
SECONDS_PER_ROUND = 0.02


@dataclass(frozen=True)
class Timing:
    """The time of one call: median, least and greatest of several rounds."""

    title: str
    median: float
    least: float
    greatest: float


def plain(x: Any) -> Any:
    """log(1 + exp x), differentiated through its operations."""
    return jnp.log(1.0 + jnp.exp(x))


with_jvp = custom_jvp(plain)
with_jvp.defjvps(lambda t, ans, x: (1 - 1 / (1 + jnp.exp(x))) * t)

with_vjp = custom_vjp(plain)
with_vjp.defvjp(
    lambda x: (with_vjp(x), x),
    lambda x, g: ((1 - 1 / (1 + jnp.exp(x))) * g,),
)


def first_call(numbers: Iterator[float]) -> Any:
    """Stage, lower, compile and call a function not seen before."""
    scale = next(numbers)
    return jit(grad(lambda x: with_jvp(scale * x)))(3.0).block_until_ready()


def subjects() -> list[tuple[str, Callable[[], Any]]]:
    """Name what is timed, and give a call of each."""
    compiled = jit(grad(with_jvp))
    mapped = jit(vmap(grad(with_jvp)))
    million = jnp.linspace(-10.0, 10.0, 1_000_000)
    new = iter(x / 7.0 for x in range(1, 1_000_000))
    return [
        ("log(1 + exp x)", partial(plain, 3.0)),
        ("its gradient, without a rule", partial(grad(plain), 3.0)),
        ("its gradient, custom_jvp", partial(grad(with_jvp), 3.0)),
        ("its gradient, custom_vjp", partial(grad(with_vjp), 3.0)),
        ("jaxpr of the gradient", lambda: make_jaxpr(grad(with_jvp))(3.0)),
        ("gradient, first call of jit", partial(first_call, new)),
        ("gradient, later calls of jit", partial(compiled, 3.0)),
        (
            "a million gradients, jit(vmap(grad))",
            lambda: mapped(million).block_until_ready(),
        ),
    ]


def measure(title: str, call: Callable[[], Any]) -> Timing:
    """Time a call, in rounds long enough for the clock."""
    start = time.perf_counter()
    call()
    call()
    once = (time.perf_counter() - start) / 2
    number = max(1, int(SECONDS_PER_ROUND / max(once, 1e-7)))
    rounds = [_round(call, number) for _ in range(ROUNDS)]
    return Timing(title, statistics.median(rounds), min(rounds), max(rounds))


def _round(call: Callable[[], Any], number: int) -> float:
    start = time.perf_counter()
    for _ in range(number):
        call()
    return (time.perf_counter() - start) / number


def duration(seconds: float) -> str:
    """Write a time with three digits and its unit."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
