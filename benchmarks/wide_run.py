"""Compares single operations at several sizes: `python -m benchmarks.wide_run`.

Writes docs/benchmarks_wide.md: the compiled operation of Pullback and of JAX, and that
of NumPy and PyTorch. Processes of the peers take turns; the least time of all counts,
since noise on a shared machine only ever adds.
"""

import argparse
import json
import os
import subprocess
import sys

from benchmarks.report import TITLES, duration
from benchmarks.results import Results
from benchmarks.run import DOCS, HERE, TIMEOUT, environments
from benchmarks.wide import ROWS

SIZES = [1_000, 100_000, 10_000_000]
# Why a row is slower than another library's, where it is known.
REASONS: dict[str, str] = {
    "": "A call of a compiled program costs 4 us, of NumPy or PyTorch 1 us: this "
    "decides at 1,000 elements.",
    "sin": "NumPy's float32 functions err by up to 3.2 ulp, these by 0.501: computed "
    "in float64, and right for arguments of any size. So for tan, arcsin and so on.",
    "abs": "At 10,000,000 elements the time is that of the system giving fresh memory "
    "for the result; NumPy asks for large pages. So for all that is cheap to compute.",
    "sort": "NumPy sorts; to this come the call and a copy of the result.",
    "argmax": "Two passes, the greatest and then its first place; NumPy makes one.",
    "permutation": "The result depends on the key only: random numbers are sorted.",
}


def run_worker(peer: str, python: str, rows: list[str], sizes: list[int]) -> dict:
    """Time the rows of one peer in a process of its own."""
    arguments = ["--rows", *rows, "--sizes", *map(str, sizes)]
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


def table(results: Results, rows: list[str], sizes: list[int]) -> list[str]:
    """Write a table: Pullback's time, and the ratios of it to the others'."""
    peers = [p for p in ("jax", "torch", "numpy") if p in results.versions]
    lines = [
        f"| operation | elements | Pullback | {' | '.join(TITLES[p] for p in peers)} |",
        "|---|---|---|" + "---|" * len(peers),
    ]
    for name in rows:
        for size in sizes:
            key = f"{name}/{size}"
            if key not in results.times["pullback"]:
                continue
            ours = min(results.times["pullback"][key])
            cells = [
                f"{ours / min(results.times[p][key]):.2f}"
                if key in results.times[p]
                else "-"
                for p in peers
            ]
            cells = [duration(ours), *cells]
            lines.append(f"| {name} | {size:,} | {' | '.join(cells)} |")
    return lines


def page(results: Results, rows: list[str], sizes: list[int]) -> str:
    """Write the page."""
    versions = ", ".join(f"{TITLES.get(p, p)} {v}" for p, v in results.versions.items())
    reasons = [f"- {f'`{name}`: ' * bool(name)}{why}" for name, why in REASONS.items()]
    return "\n".join(
        [
            "# Single operations",
            "",
            "Written by `make bench-wide`; not to be edited by hand.",
            "",
            f"{versions}; {os.cpu_count()} cores. The time of the compiled operation "
            "on float32, and its ratio to each peer's: below 1, Pullback is faster.",
            "",
            *table(results, rows, sizes),
            "",
            "Where others are faster:",
            "",
            *reasons,
            "",
        ]
    )


def main() -> int:
    """Run everything and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", nargs="*", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--sizes", nargs="*", type=int, default=SIZES)
    options = parser.parse_args()
    results = Results()
    pythons = environments(results, ["pullback", "jax", "torch", "numpy"])
    for number in range(options.rounds):
        for peer, python in pythons.items():
            print(f"  round {number + 1} of {options.rounds}: {peer}", flush=True)
            results.add(peer, run_worker(peer, python, options.rows, options.sizes))
    text = page(results, options.rows, options.sizes)
    DOCS.mkdir(exist_ok=True)
    (DOCS / "benchmarks_wide.md").write_text(text)
    print("\n" + text)
    for where, error in results.errors.items():
        print(f"{where}: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
