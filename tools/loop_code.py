"""Times the ways in which the compiler writes loops; prints a table.

Run `python -m tools.loop_code`, with sizes of square arrays or without. See
`pullback/backend/options.py`, which chooses among them.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import pullback
import pullback.numpy as jnp
from pullback import lax, nn
from pullback.backend import options

WAYS = {
    "older": options.OLDER_LOOPS,
    "newer": options.NEWER_LOOPS,
    "newer, fused": options.NEWER_FUSED_LOOPS,
}


def in_a_loop(f: Callable[..., Any]) -> Callable[..., Any]:
    """Apply a function 20 times."""
    return lambda x: lax.fori_loop(0, 20, lambda _, c: f(c, x), x)


PROGRAMS: dict[str, Callable[..., Any]] = {
    "x + x": lambda x: x + x,
    "exp(x)": jnp.exp,
    "rsqrt(x)": lax.rsqrt,
    "pad(x)": lambda x: jnp.pad(x, 1),
    "2 x + 1": lambda x: 2 * x + 1,
    "d tanh(d), d = x / (1 + x)": lambda x: (lambda d: d * jnp.tanh(d))(x / (1 + x)),
    "softmax(x)": nn.softmax,
    "grad of softmax": pullback.grad(lambda x: jnp.sum(nn.softmax(x) ** 2)),
    "tanh(sort(x))": lambda x: jnp.tanh(jnp.sort(x, 1)),
    "-sort(x)": lambda x: -jnp.sort(x, 1),
    "tanh(x y)": lambda x: jnp.tanh(x[:, :8] @ x[:8]),
    "sqrt(x y)": lambda x: jnp.sqrt(x[:, :8] @ x[:8]),
    "x y + x": lambda x: x[:, :8] @ x[:8] + x,
    "gelu(x y)": lambda x: nn.gelu(x[:, :8] @ x[:8]),
    "loop of c + x": in_a_loop(lambda c, x: c + x),
    "loop of sqrt(c)": in_a_loop(lambda c, x: jnp.sqrt(c)),
    "loop of tanh(c) + x": in_a_loop(lambda c, x: jnp.tanh(c) + x),
    "x^T": lambda x: x.T,
    "exp(x^T)": lambda x: jnp.exp(x.T),
    "x + x^T": lambda x: x + x.T,
    "(x + x^T) summed": lambda x: jnp.sum(x + x.T, 1),
}


def microseconds(f: Callable[..., Any], x: Any) -> float:
    """Give the least time of a call."""
    times = []
    start = time.perf_counter()
    while time.perf_counter() - start < 0.1 or len(times) < 5:
        begin = time.perf_counter()
        pullback.block_until_ready(f(x))
        times.append(time.perf_counter() - begin)
    return 1e6 * min(times)


def main() -> None:
    """Print a row a program and size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=[100, 300, 1000])
    print("microseconds a call: " + ", ".join(WAYS))
    for size in parser.parse_args().sizes:
        x = np.random.default_rng(0).uniform(0.1, 1, (size, size)).astype("f4")
        x = jnp.asarray(x)
        for name, f in PROGRAMS.items():
            lowered = pullback.jit(f).lower(x)
            width = options.vector_width()
            programs = [lowered.compile(dict(width + way)) for way in WAYS.values()]
            row = "".join(f"{microseconds(p, x):12.1f}" for p in programs)
            print(f"{size:5} {name:28}{row}", flush=True)


if __name__ == "__main__":
    main()
