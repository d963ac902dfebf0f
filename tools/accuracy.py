"""Measures the compiled elementwise functions against mpmath; writes docs/accuracy.md.

Run `python -m tools.accuracy`. An error is counted in units in the last place (ulp) of
the correctly rounded value: a result is correctly rounded if its error is at most 1/2.
Compiled programs flush subnormal results to zero, so samples with these are left out.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import mpmath as mp
import numpy as np

import pullback
from pullback import lax
from pullback.primitives.host_math import rows

PAGE = Path(__file__).resolve().parent.parent / "docs" / "accuracy.md"
DIGITS = 2400  # bits: enough for the largest quotient of two float64

mp.mp.prec = DIGITS


class Range(NamedTuple):
    """Where arguments are taken from: a name, and a function `(rng, n, dtype)`."""

    name: str
    sample: Callable[..., list[np.ndarray]]


# -- arguments -------------------------------------------------------------------------


def uniform(low: float, high: float) -> Callable[..., list[np.ndarray]]:
    """Take arguments from an interval."""
    return lambda rng, n, dtype: [rng.uniform(low, high, n)]


def spaced(low: float | None, high: float | None) -> Callable[..., list[np.ndarray]]:
    """Take arguments of either sign whose logarithm is uniform; None is a limit."""

    def sample(rng, n, dtype):
        info = np.finfo(dtype)
        ends = np.log2([low or float(info.tiny), high or float(info.max)])
        size = np.exp2(rng.uniform(*ends, n))
        return [np.minimum(size, float(info.max)) * rng.choice([-1, 1], n)]

    return sample


def multiples(rng, n, dtype):
    """Take the floats next to multiples of pi/2."""
    k = rng.integers(1, 2**20, n) * rng.choice([-1, 1], n)
    return [k.astype(np.float64) * (np.pi / 2)]


def subnormal(rng, n, dtype):
    """Take arguments below the least normal number."""
    info = np.finfo(dtype)
    return [rng.uniform(-1, 1, n) * float(info.tiny)]


def near(*points: float) -> Callable[..., list[np.ndarray]]:
    """Take arguments near to some points, at distances of all sizes, not beyond 1."""

    def sample(rng, n, dtype):
        bits = np.finfo(dtype).nmant
        distance = np.exp2(rng.uniform(-bits, -3, n)) * rng.choice([-1, 1], n)
        return [np.asarray(points)[rng.integers(0, len(points), n)] + distance]

    return sample


def inward(rng, n, dtype):
    """Take arguments of size just below 1."""
    distance = np.exp2(rng.uniform(-np.finfo(dtype).nmant, -3, n))
    return [(1 - distance) * rng.choice([-1, 1], n)]


def above_one(rng, n, dtype):
    """Take arguments just above 1."""
    return [1 + np.exp2(rng.uniform(-np.finfo(dtype).nmant, -3, n))]


def inward_negative(rng, n, dtype):
    """Take arguments just above -1."""
    return [-abs(x) for x in inward(rng, n, dtype)]


def both(x: Callable[..., list], y: Callable[..., list]) -> Callable[..., list]:
    """Take two arguments."""
    return lambda rng, n, dtype: [*x(rng, n, dtype), *y(rng, n, dtype)]


def positive(sample: Callable[..., list]) -> Callable[..., list]:
    """Drop the signs of the arguments."""
    return lambda rng, n, dtype: [abs(x) for x in sample(rng, n, dtype)]


def exact_multiples(rng, n, dtype):
    """Take multiples of a small number of bits, and the divisors."""
    y = rng.integers(1, 2**10, n) * np.exp2(rng.integers(-30, 30, n))
    return [y * rng.integers(-(2**10), 2**10, n), y]


def powers(rng, n, dtype):
    """Take bases of all sizes, and exponents whose powers are of all sizes."""
    info = np.finfo(dtype)
    x = np.exp2(rng.uniform(np.log2(float(info.tiny)), np.log2(float(info.max)), n))
    return [x, rng.uniform(-1, 1, n) * info.maxexp / abs(np.log2(x))]


def powers_near_one(rng, n, dtype):
    """Take bases near 1 with large exponents."""
    info = np.finfo(dtype)
    distance = np.exp2(rng.uniform(-info.nmant + 4, -3, n)) * rng.choice([-1, 1], n)
    x = (1 + distance).astype(dtype).astype(np.float64)
    return [x, rng.uniform(-1, 1, n) * info.maxexp / abs(np.log2(x))]


CIRCULAR = [
    Range("small, log-spaced", spaced(None, 1.0)),
    Range("-50 to 50", uniform(-50, 50)),
    Range("next to multiples of pi/2", multiples),
    Range("huge, log-spaced", spaced(1e5, None)),
    Range("subnormal", subnormal),
]
ARC = [
    Range("small, log-spaced", spaced(None, 1.0)),
    Range("-1 to 1", uniform(-1, 1)),
    Range("just below 1", inward),
]
GAMMA = [
    Range("around 1 and 2", near(1.0, 2.0)),
    Range("1.4 to 1.5", uniform(1.4, 1.5)),
    Range("0.01 to 0.9", uniform(0.01, 0.9)),
    Range("2.1 to 30", uniform(2.1, 30.0)),
    Range("30 to 1e5", uniform(30.0, 1e5)),
    Range("-10 to 0", uniform(-10.0, 0.0)),
]
RANGES = {
    "sin": CIRCULAR,
    "cos": CIRCULAR,
    "tan": CIRCULAR,
    "asin": ARC,
    "acos": ARC,
    "atan": [
        Range("small, log-spaced", spaced(None, 1.0)),
        Range("-50 to 50", uniform(-50, 50)),
        Range("large, log-spaced", spaced(1.0, None)),
        Range("subnormal", subnormal),
    ],
    "atan2": [
        Range("-1 to 1", both(uniform(-1, 1), uniform(-1, 1))),
        Range("1e-15 to 1e15", both(spaced(1e-15, 1e15), spaced(1e-15, 1e15))),
    ],
    "pow": [
        Range("0 to 10 to the -5 to 5", both(uniform(0, 10), uniform(-5, 5))),
        Range("all results", powers),
        Range("base near 1", powers_near_one),
    ],
    "rem": [
        Range("-50 to 50", both(uniform(-50, 50), uniform(-5, 5))),
        Range("all quotients", both(spaced(None, None), spaced(None, None))),
        Range("multiples", exact_multiples),
    ],
    "exp2": [
        Range("-10 to 10", uniform(-10.0, 10.0)),
        Range("-120 to 120", uniform(-120.0, 120.0)),
    ],
    "cbrt": [
        Range("-50 to 50", uniform(-50, 50)),
        Range("log-spaced", spaced(None, None)),
    ],
    "log": [
        Range("log-spaced", positive(spaced(None, None))),
        Range("around 1", near(1.0)),
    ],
    "log1p": [
        Range("small, log-spaced", spaced(None, 0.9)),
        Range("around -1", inward_negative),
        Range("large, log-spaced", positive(spaced(1.0, None))),
    ],
    "sinh": [
        Range("small, log-spaced", spaced(None, 1.0)),
        Range("-50 to 50", uniform(-50, 50)),
    ],
    "cosh": [Range("-50 to 50", uniform(-50, 50)), Range("-2 to 2", uniform(-2, 2))],
    "erf": [
        Range("small, log-spaced", spaced(None, 1.0)),
        Range("-5 to 5", uniform(-5, 5)),
    ],
    "erfc": [
        Range("-5 to 1", uniform(-5, 1)),
        Range("1 to 9", uniform(1, 9)),
        Range("9 to 26", uniform(9, 26)),
    ],
    "asinh": [
        Range("small, log-spaced", spaced(None, 1.0)),
        Range("-50 to 50", uniform(-50, 50)),
        Range("large, log-spaced", spaced(1.0, None)),
    ],
    "acosh": [
        Range("just above 1", above_one),
        Range("1 to 50", uniform(1, 50)),
        Range("large, log-spaced", positive(spaced(1.0, None))),
    ],
    "atanh": ARC,
    "lgamma": GAMMA,
    "digamma": GAMMA,
}
EXACT = {
    "sin": mp.sin,
    "cos": mp.cos,
    "tan": mp.tan,
    "asin": mp.asin,
    "acos": mp.acos,
    "atan": mp.atan,
    "atan2": mp.atan2,
    "pow": mp.power,
    "rem": lambda x, y: mp.sign(x) * (abs(x) - abs(y) * mp.floor(abs(x / y))),
    "exp2": lambda x: mp.mpf(2) ** x,
    "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)),
    "log": mp.log,
    "log1p": mp.log1p,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "erf": mp.erf,
    "erfc": mp.erfc,
    "asinh": mp.asinh,
    "acosh": mp.acosh,
    "atanh": mp.atanh,
    "lgamma": lambda x: mp.re(mp.loggamma(x)),
    "digamma": mp.digamma,
}


# -- errors ----------------------------------------------------------------------------


def error(found: float, exact: mp.mpf, dtype: np.dtype) -> float:
    """Give the error of one result in ulp of the correctly rounded one."""
    rounded = dtype.type(float(exact))
    if not np.isfinite(rounded):
        return 0.0 if found == rounded else np.inf
    if abs(rounded) < np.finfo(dtype).tiny and found in (0, rounded):
        return 0.0
    return float(abs(mp.mpf(float(found)) - exact) / float(np.spacing(abs(rounded))))


def compiled(name: str, arguments: list[np.ndarray], own: bool) -> np.ndarray:
    """Compute by a compiled program; by the compiler's own code if `own`."""
    count = len(arguments[0])
    enough = [np.resize(x, max(count, rows.FEW)) for x in arguments]
    many = 0 if own else rows.MANY
    with mock.patch.object(rows, "MANY", many), pullback.enable_x64(True):
        f = pullback.jit(lambda *xs: getattr(lax, name)(*xs))
        return np.asarray(f(*enough))[:count]


def worst(
    name: str,
    where: Range,
    dtype: np.dtype,
    count: int,
    *,
    own: bool = False,
    seed: int = 0,
) -> float:
    """Give the greatest error over a range; of the compiler's own code if `own`."""
    rng = np.random.default_rng(seed)
    arguments = [x.astype(dtype) for x in where.sample(rng, count, dtype)]
    found = compiled(name, arguments, own)
    points = zip(*[x.tolist() for x in arguments], strict=True)
    with mp.workprec(DIGITS if name in ("sin", "cos", "tan", "rem") else 200):
        return max(
            error(x, EXACT[name](*map(mp.mpf, point)), dtype)
            for x, point in zip(found, points, strict=True)
        )


# -- the page --------------------------------------------------------------------------

HEAD = """# Accuracy of compiled functions

Generated by `python -m tools.accuracy`; do not edit. {count} arguments a row.

On the host these functions are not the compiler's own, which compute one element at a
time, but formulas that run as vectors (`pullback/primitives/host_math`). Below is the
greatest error found against mpmath, in units in the last place of the correctly rounded
value: a result with an error of at most 0.5 is correctly rounded. Results below the
least normal number are flushed to zero by every compiled program, and are left out.

| function | arguments | float32 | compiler's own | float64 | compiler's own |
|---|---|---|---|---|---|
"""


def shown(x: float) -> str:
    """Write an error with three digits."""
    return f"{x:.2f}" if x < 100 else f"{x:.1e}"


def main() -> None:
    """Measure everything and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=4000)
    count = parser.parse_args().count
    lines = []
    for name, ranges in RANGES.items():
        for where in ranges:
            cells = [
                shown(worst(name, where, dtype, count, own=own))
                for dtype in (np.dtype("f4"), np.dtype("f8"))
                for own in (False, True)
            ]
            lines.append(f"| `{name}` | {where.name} | {' | '.join(cells)} |\n")
            print(lines[-1], end="", flush=True)
    PAGE.write_text(HEAD.format(count=f"{count:,}") + "".join(lines))


if __name__ == "__main__":
    main()
