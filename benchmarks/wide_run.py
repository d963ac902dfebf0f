"""Compares single operations at several sizes: `python -m benchmarks.wide_run`.

Writes docs/benchmarks_wide.md: the compiled operation of Pullback and of JAX, and that
of NumPy and PyTorch. Processes of the peers take turns; the least time of all counts,
since noise on a shared machine only ever adds. It fails where a row is slower than
another library's and `wide_reasons` does not say why.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys

from benchmarks.report import TITLES, duration
from benchmarks.results import Results
from benchmarks.run import DOCS, HERE, TIMEOUT, environments
from benchmarks.wide import ELEMENTWISE, ROWS
from benchmarks.wide_reasons import ALL, MIDDLE, REASONS, reason_for

PEERS = ("jax", "torch", "numpy")
SLOWER = 1.05  # a ratio that is due to noise at most


def run_worker(
    peer: str, python: str, rows: list[str], size: int, dtype: str = "float32"
) -> dict:
    """Time the rows of one peer in a process of its own."""
    arguments = ["--rows", *rows, "--sizes", str(size), "--dtype", dtype]
    switches = {"JAX_PLATFORMS": "cpu", "PULLBACK_COMPILATION_CACHE": "0"}
    done = subprocess.run(
        [python, str(HERE / "wide.py"), peer, *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env={**os.environ, **switches, "PYTHONPATH": str(HERE.parent)},
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def best_time(results: Results, peer: str, key: str) -> float:
    """Give the least time of a row, infinite where a peer does not have it."""
    return min(results.times[peer].get(key, ()), default=float("inf"))


def table(
    results: Results, rows: list[str], sizes: list[int], unexplained: list[str]
) -> list[str]:
    """Write a table: Pullback's time, the ratios of it to the others', the reasons.

    Rows that are slower for no known reason are added to `unexplained`.
    """
    titles = " | ".join(TITLES[p] for p in PEERS)
    lines = [
        f"| operation | elements | Pullback | {titles} | reason |",
        "|---|---|---|" + "---|" * len(PEERS) + "---|",
    ]
    for name, size in itertools.product(rows, sizes):
        key = f"{name}/{size}"
        if key not in results.times["pullback"]:
            continue
        ours = best_time(results, "pullback", key)
        ratios = {p: ours / best_time(results, p, key) for p in PEERS}
        cells = [f"{r:.2f}" if r else "-" for r in ratios.values()]
        slower = [p for p in PEERS if ratios[p] > SLOWER]
        reasons = {p: reason_for(name, p, size) for p in slower}
        unexplained += [
            f"{name} at {size:,}: {ratios[p]:.2f} x {TITLES[p]}"
            for p, letter in reasons.items()
            if not letter
        ]
        said = ", ".join(sorted({x or "?" for x in reasons.values()}))
        shown = " | ".join([duration(ours), *cells, said])
        lines.append(f"| {name} | {size:,} | {shown} |")
    return lines


def page(
    single: Results,
    double: Results,
    rows: list[str],
    sizes: list[int],
    unexplained: list[str],
) -> str:
    """Write the page."""
    versions = ", ".join(f"{TITLES.get(p, p)} {v}" for p, v in single.versions.items())
    wide = [name for name in rows if name in ELEMENTWISE]
    return "\n".join(
        [
            "# Single operations",
            "",
            "Written by `make bench-wide`; not to be edited by hand.",
            "",
            f"{versions}; {os.cpu_count()} cores. The time of the compiled operation "
            "on float32, and its ratio to each peer's: below 1, Pullback is faster. "
            "Letters refer to the reasons below.",
            "",
            *table(single, rows, sizes, unexplained),
            "",
            "On float64:",
            "",
            *table(double, wide, [MIDDLE], unexplained),
            "",
            "Where others are faster:",
            "",
            *[f"- {letter}: {reason.text}" for letter, reason in REASONS.items()],
            "",
        ]
    )


def main() -> int:
    """Run everything and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", nargs="*", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--sizes", nargs="*", type=int, default=list(ALL))
    options = parser.parse_args()
    single, double, unexplained = Results(), Results(), list[str]()
    pythons = environments(single, ["pullback", *PEERS])
    wide = [name for name in options.rows if name in ELEMENTWISE]
    for number, size in itertools.product(range(options.rounds), options.sizes):
        print(f"  round {number + 1} of {options.rounds}: {size:,}", flush=True)
        for peer, python in pythons.items():
            single.add(peer, run_worker(peer, python, options.rows, size))
            if size == MIDDLE and wide:
                double.add(peer, run_worker(peer, python, wide, size, "float64"))
    text = page(single, double, options.rows, options.sizes, unexplained)
    DOCS.mkdir(exist_ok=True)
    (DOCS / "benchmarks_wide.md").write_text(text)
    print("\n" + text)
    for where, error in {**single.errors, **double.errors}.items():
        print(f"{where}: {error}")
    for line in unexplained:
        print(f"slower for no known reason: {line}")
    return int(bool(unexplained))


if __name__ == "__main__":
    sys.exit(main())
