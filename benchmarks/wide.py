"""What the wide table times: one operation a row, as each peer writes it.

Run in the environment of each peer, with its name and the sizes; prints JSON.
"""

import argparse
import importlib
import json
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np

SECONDS = 0.06  # for one row
ROUNDS = 4

# A row: how Pullback and JAX write it, then NumPy, then PyTorch where they differ; None
# where a peer has no such function. `x` and `y` are in (0.05, 0.95), `w` in (-50, 50),
# `i` are places, `m` is a square matrix with as many elements, `s` one 1/16 as long on
# each side, positive definite.
Row = tuple[str, str | None, str | None]


def row(code: str, numpy: str | None = "", torch: str | None = "") -> Row:
    """Give a row; an empty string stands for the same code."""
    return (
        code,
        code if numpy == "" else numpy,
        code if torch == "" else torch,
    )


ROWS: dict[str, Row] = {
    **{
        name: row(f"np.{name}(w)")
        for name in ("sin", "cos", "tan", "tanh", "exp", "sinh", "abs", "floor")
    },
    **{
        name: row(f"np.{name}(x)")
        for name in ("arcsin", "arccos", "arctan", "log", "log1p", "expm1", "sqrt")
    },
    **{
        name: row(f"np.{name}(x)")
        for name in ("exp2", "arcsinh", "arctanh", "square", "log2")
    },
    "cbrt": row("np.cbrt(x)", torch=None),
    "arctan2": row("np.arctan2(w, x)"),
    "power": row("x ** w", torch="x ** w"),
    "x ** 3": row("x ** 3"),
    "mod": row("np.mod(w, x)", torch="np.remainder(w, x)"),
    "add": row("x + y"),
    "divide": row("x / y"),
    "maximum": row("np.maximum(x, y)"),
    "where": row("np.where(x > y, x, y)"),
    "erf": row("special.erf(w)"),
    "lgamma": row("special.gammaln(x)"),
    "digamma": row("special.digamma(x)", "special.psi(x)"),
    "sum": row("np.sum(x)"),
    "sum of rows": row("np.sum(m, 1)"),
    "sum of columns": row("np.sum(m, 0)"),
    "max": row("np.max(x)"),
    "argmax": row("np.argmax(x)"),
    "var": row("np.var(x)"),
    "logsumexp": row("special.logsumexp(x)", torch="np.logsumexp(x, 0)"),
    "cumsum": row("np.cumsum(x)", torch="np.cumsum(x, 0)"),
    "cumsum of columns": row("np.cumsum(m, 0)"),
    "all": row("np.all(x > 0)"),
    "norm": row("np.sqrt(np.sum(x * x))"),
    "sort": row("np.sort(x)", torch="np.sort(x)[0]"),
    "argsort": row("np.argsort(x)"),
    "median": row("np.median(x)"),
    "gather": row("x[i]"),
    "scatter add": row("np.zeros_like(x).at[i].add(y)", "scatter_add(x, i, y)",
                       "np.zeros_like(x).scatter_add_(0, i, y)"),
    "scatter set": row("x.at[i].set(y)", "scatter_set(x, i, y)",
                       "x.clone().scatter_(0, i, y)"),
    "reverse": row("x[::-1]+0", torch="np.flip(x, (0,))+0"),
    "every second": row("x[::2]+0"),
    "transpose": row("m.T+0"),
    "concatenate": row("np.concatenate([x, y])"),
    "roll": row("np.roll(x, 7)", torch="np.roll(x, 7)"),
    "repeat": row("np.repeat(x, 3)", torch="np.repeat_interleave(x, 3)"),
    "searchsorted": row("np.searchsorted(r, x)"),
    "bincount": row("np.bincount(i, length=1000)", "np.bincount(i, minlength=1000)",
                    "np.bincount(i, minlength=1000)"),
    "uniform": row("random.uniform(key, x.shape)", "rng.random(x.size, np.float32)",
                   "np.rand(x.shape)"),
    "normal": row("random.normal(key, x.shape)",
                  "rng.standard_normal(x.size, np.float32)", "np.randn(x.shape)"),
    "permutation": row("random.permutation(key, x)", "rng.permutation(x)",
                       "x[np.randperm(x.shape[0])]"),
    "matmul": row("s @ s"),
    "matrix times vector": row("m @ m[0]"),
    "solve": row("np.linalg.solve(s, s[0])"),
    "cholesky": row("np.linalg.cholesky(s)"),
    "inverse": row("np.linalg.inv(s)"),
    "fft": row("np.fft.fft(x)", torch="np.fft.fft(x)"),
}  # fmt: skip


def scatter_add(x: Any, i: Any, y: Any) -> Any:
    """Add at places, as NumPy does it."""
    return np.bincount(i, y, len(x)).astype(np.float32)


def scatter_set(x: Any, i: Any, y: Any) -> Any:
    """Set at places, as NumPy does it."""
    out = x.copy()
    out[i] = y
    return out


def arguments(size: int) -> dict[str, np.ndarray]:
    """Make the arrays of a size."""
    rng = np.random.default_rng(0)
    side = int(size**0.5)
    edge = max(side // 4, 8)
    square = rng.random((edge, edge)) / edge + 4 * np.eye(edge)
    found = {
        "x": rng.uniform(0.05, 0.95, size),
        "y": rng.uniform(0.05, 0.95, size),
        "w": rng.uniform(-50, 50, size),
        "r": np.linspace(0, 1, 1000),
        "m": rng.random((side, side)),
        "s": square + square.T,
    }
    kept = {name: value.astype(np.float32) for name, value in found.items()}
    return {**kept, "i": rng.integers(0, min(size, 1000), size)}


def namespace(peer: str) -> dict[str, Any]:
    """Give the names that the code of a peer uses."""
    if peer in ("pullback", "jax"):
        random = importlib.import_module(f"{peer}.random")
        return {
            "np": importlib.import_module(f"{peer}.numpy"),
            "special": importlib.import_module(f"{peer}.scipy.special"),
            "random": random,
            "key": random.key(0),
        }
    if peer == "torch":
        torch = importlib.import_module("torch")
        return {"np": torch, "special": torch.special}
    return {
        "np": np,
        "special": importlib.import_module("scipy.special"),
        "rng": np.random.default_rng(0),
        "scatter_add": scatter_add,
        "scatter_set": scatter_set,
    }


def build(peer: str, code: str, size: int) -> Callable[[], Any]:
    """Give what is to be timed."""
    values = arguments(size)
    names = namespace(peer)
    if peer == "torch":
        made = {n: names["np"].from_numpy(v) for n, v in values.items()}
    elif peer == "numpy":
        made = values
    else:
        lib = importlib.import_module(peer)
        values["i"] = values["i"].astype(np.int32)
        used = [n for n in values if n in code]
        f = eval(f"lambda {', '.join(used)}: {code}", names)
        compiled = lib.jit(f)
        given = [names["np"].asarray(values[n]) for n in used]
        return lambda: compiled(*given).block_until_ready()
    f = eval(f"lambda {', '.join(made)}: {code}", names)
    return partial(f, *made.values())


def timed(call: Callable[[], Any]) -> float:
    """Give the least time of a call."""
    call()
    start = time.perf_counter()
    call()
    number = max(1, int(SECONDS / ROUNDS / max(time.perf_counter() - start, 1e-7)))
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(number):
            call()
        best = min(best, (time.perf_counter() - start) / number)
    return best


def main() -> None:
    """Time every row of a peer and print the results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("peer")
    parser.add_argument("--sizes", nargs="*", type=int, default=[1000])
    parser.add_argument("--rows", nargs="*", default=list(ROWS))
    options = parser.parse_args()
    which = {"numpy": 1, "torch": 2}.get(options.peer, 0)
    times, errors = {}, {}
    for name in options.rows:
        code = ROWS[name][which]
        for size in options.sizes if code else ():
            try:
                times[f"{name}/{size}"] = timed(build(options.peer, code, size))
            except Exception as error:
                errors[name] = f"{type(error).__name__}: {error}".splitlines()[0]
    report = {"version": version(options.peer), "times": times, "errors": errors}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
