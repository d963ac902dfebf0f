"""What the wide table times: one operation a row, as each peer writes it.

Run in the environment of each peer, with its name and the sizes; prints JSON.
"""

import argparse
import functools
import importlib
import itertools
import json
import re
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

X64 = {"jax": "jax_enable_x64", "pullback": "enable_x64"}
SECONDS = 0.06  # for one row
ROUNDS = 4
SLOW = 0.3  # seconds a call, of which there are no more then

# A row: how Pullback and JAX write it, then NumPy, then PyTorch where they differ; None
# where a peer has no such function. `x` and `y` are in (0.05, 0.95), `w` in (-50, 50),
# `i` are places, `m` is a square matrix with as many elements, `q` as many points in
# four dimensions as it has rows, `s` a matrix 1/16 as long on each side, positive
# definite.
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
    "arccosh": row("np.arccosh(g)"),
    "erfinv": row("special.erfinv(x)"),
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
}
ELEMENTWISE = list(ROWS)
ROWS |= {
    "sum": row("np.sum(x)"),
    "sum of rows": row("np.sum(m, 1)"),
    "sum of columns": row("np.sum(m, 0)"),
    "max": row("np.max(x)"),
    "max of int32": row("np.max(k)"),
    "argmax": row("np.argmax(x)"),
    "argmax of rows": row("np.argmax(m, 1)"),
    "argmax of columns": row("np.argmax(m, 0)"),
    "argmin of int32": row("np.argmin(k)"),
    "count": row("np.count_nonzero(x > 0.5)"),
    "prod": row("np.prod(x)"),
    "var": row("np.var(x)"),
    "logsumexp": row("special.logsumexp(x)", torch="np.logsumexp(x, 0)"),
    "cumsum": row("np.cumsum(x)", torch="np.cumsum(x, 0)"),
    "cumsum of columns": row("np.cumsum(m, 0)"),
    "cumprod": row("np.cumprod(x)", torch="np.cumprod(x, 0)"),
    "cummax": row("lax.cummax(x)", "np.maximum.accumulate(x)", "np.cummax(x, 0)[0]"),
    "softmax": row("nn.softmax(m)", "special.softmax(m, 1)", "np.softmax(m, 1)"),
    "all": row("np.all(x > 0)"),
    "sums of eight": row("np.sum(x.reshape(-1, 8) ** 2, 1)"),
    "squared distances": row("np.sum((q[:, None] - q) ** 2, -1)"),
    "norm": row("np.sqrt(np.sum(x * x))"),
    "sort": row("np.sort(x)", torch="np.sort(x)[0]"),
    "argsort": row("np.argsort(x)"),
    "median": row("np.median(x)"),
    "top 10": row("lax.top_k(x, 10)[0]", "np.partition(x, -10)[-10:]",
                  "np.topk(x, 10)[0]"),
    "histogram": row("np.histogram(x, bins=100, range=(0, 1))[0]",
                     torch="np.histc(x, 100, 0, 1)"),
    "gather": row("x[i]"),
    "take along rows": row("np.take_along_axis(m, j, 1)", torch="np.gather(m, 1, j)"),
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
    "gamma": row("random.gamma(key, 2.0, x.shape)",
                 "rng.standard_gamma(2.0, x.size, np.float32)",
                 "np._standard_gamma(np.full_like(x, 2.0))"),
    "matmul": row("s @ s"),
    "row products": row("np.einsum('ij,ij->i', m, m)"),
    "matrix times vector": row("m @ m[0]"),
    "solve": row("np.linalg.solve(s, s[0])"),
    "cholesky": row("np.linalg.cholesky(s)"),
    "inverse": row("np.linalg.inv(s)"),
    "fft": row("np.fft.fft(x)", torch="np.fft.fft(x)"),
    "convolution": row("np.convolve(x, r[:9], 'valid')",
                       torch="np.conv1d(x[None, None], r[None, None, :9])"),
    "image convolution": row("lax.conv(m[None, None], r[:9].reshape(1, 1, 3, 3), "
                             "(1, 1), 'VALID')", None,
                             "np.conv2d(m[None, None], r[:9].reshape(1, 1, 3, 3))"),
}  # fmt: skip


def scatter_add(x: Any, i: Any, y: Any) -> Any:
    """Add at places, as NumPy does it."""
    return np.bincount(i, y, len(x)).astype(np.float32)


def scatter_set(x: Any, i: Any, y: Any) -> Any:
    """Set at places, as NumPy does it."""
    out = x.copy()
    out[i] = y
    return out


@functools.lru_cache(1)
def arguments(size: int, dtype: str) -> dict[str, np.ndarray]:
    """Make the arrays of a size."""
    rng = np.random.default_rng(0)
    side = int(size**0.5)
    edge = max(side // 4, 8)
    square = rng.random((edge, edge)) / edge + 4 * np.eye(edge)
    found = {
        "x": rng.uniform(0.05, 0.95, size),
        "y": rng.uniform(0.05, 0.95, size),
        "w": rng.uniform(-50, 50, size),
        "g": rng.uniform(1, 50, size),
        "r": np.linspace(0, 1, 1000),
        "m": rng.random((side, side)),
        "q": rng.random((side, 4)),
        "s": square + square.T,
    }
    kept = {name: value.astype(dtype) for name, value in found.items()}
    return {
        **kept,
        "i": rng.integers(0, min(size, 1000), size),
        "j": rng.integers(0, side, (side, side)),
        "k": rng.integers(-(2**30), 2**30, size, dtype=np.int32),
    }


def namespace(peer: str) -> dict[str, Any]:
    """Give the names that the code of a peer uses."""
    if peer in ("pullback", "jax"):
        random = importlib.import_module(f"{peer}.random")
        return {
            "np": importlib.import_module(f"{peer}.numpy"),
            "special": importlib.import_module(f"{peer}.scipy.special"),
            "random": random,
            "lax": importlib.import_module(f"{peer}.lax"),
            "nn": importlib.import_module(f"{peer}.nn"),
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


def build(peer: str, code: str, size: int, dtype: str) -> Callable[[], Any]:
    """Give what is to be timed."""
    values = dict(arguments(size, dtype))
    names = namespace(peer)
    if peer == "torch":
        made = {n: names["np"].from_numpy(v) for n, v in values.items()}
    elif peer == "numpy":
        made = values
    else:
        lib = importlib.import_module(peer)
        lib.config.update(X64[peer], dtype == "float64")
        for name in "ij":
            values[name] = values[name].astype(np.int32)
        used = [n for n in values if re.search(rf"\b{n}\b", code)]
        f = eval(f"lambda {', '.join(used)}: {code}", names)
        compiled = lib.jit(f)
        given = [names["np"].asarray(values[n]) for n in used]
        return lambda: compiled(*given).block_until_ready()
    f = eval(f"lambda {', '.join(made)}: {code}", names)
    return functools.partial(f, *made.values())


def timed(call: Callable[[], Any]) -> float:
    """Give the least time of a call."""
    call()
    start = time.perf_counter()
    call()
    once = time.perf_counter() - start
    number = max(1, int(SECONDS / ROUNDS / max(once, 1e-7)))
    best = once
    for _ in range(ROUNDS if once < SLOW else 1):
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
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--rows", nargs="*", default=list(ROWS))
    options = parser.parse_args()
    which = {"numpy": 1, "torch": 2}.get(options.peer, 0)
    times, errors = {}, {}
    for size, name in itertools.product(options.sizes, options.rows):
        if code := ROWS[name][which]:
            try:
                call = build(options.peer, code, size, options.dtype)
                times[f"{name}/{size}"] = timed(call)
            except Exception as error:
                errors[name] = f"{type(error).__name__}: {error}".splitlines()[0]
    report = {"version": version(options.peer), "times": times, "errors": errors}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
