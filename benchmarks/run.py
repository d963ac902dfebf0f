"""Runs the comparison: `python -m benchmarks.run`; writes docs/benchmarks.md.

Each peer lives in an environment of its own under benchmarks/.envs, made on the first
run. A round starts one process per peer and asks them for each row in turn, so that a
slow minute of the machine falls on all of them; what is reported is the median over the
rounds.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks import report
from benchmarks.cases import GROWTH, ROWS
from benchmarks.eager import FUNCTIONS, GRADIENTS
from benchmarks.gradients import PROGRAMS
from benchmarks.results import Results
from benchmarks.worker_process import TIMEOUT as TIMEOUT  # for wide_run
from benchmarks.worker_process import WorkerProcess, ask_once

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE / ".envs"
DOCS = HERE.parent / "docs"

# What each peer needs; Pullback and NumPy run where this program runs.
REQUIREMENTS = {
    "jax": ["jax>=0.10,<0.11"],
    "autograd": ["autograd>=1.7"],
    "torch": ["torch==2.13.0", "numpy"],
}
GRADIENT_TURNS = 5  # how often the gradient programs of a round are timed
EQNS = [100, 1_000, 10_000, 100_000]
CACHED = {"cached_small", "cached_mlp"}  # the rows of `cache_worker`


def environment(peer: str) -> str:
    """Give the Python of a peer's environment, made if it is not there."""
    if peer not in REQUIREMENTS:
        return sys.executable
    folder = ENVIRONMENTS / peer
    python = folder / "bin" / "python"
    stamp = folder / "requirements.txt"
    wanted = "\n".join(REQUIREMENTS[peer])
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"  making an environment for {peer}", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet"]
        quiet = ["--disable-pip-version-check", *REQUIREMENTS[peer]]
        subprocess.run([*install, *quiet], check=True, capture_output=True, text=True)
        stamp.write_text(wanted)
    return str(python)


def environments(results: Results, wanted: list[str]) -> dict[str, str]:
    """Give the Python of each peer that can be installed; note those that cannot."""
    pythons = {}
    for peer in wanted:
        try:
            pythons[peer] = environment(peer)
        except subprocess.CalledProcessError as error:
            last = (error.stderr.strip() or str(error)).splitlines()[-1]
            results.missing[peer] = last
            print(f"  {peer} is left out: {last}")
    return pythons


def turns(pythons: dict[str, str], rounds: int, what: str) -> Iterator[tuple[str, str]]:
    """Give the peers in turn, every second round backwards."""
    for number in range(rounds):
        print(f"  {what}, round {number + 1} of {rounds}", flush=True)
        yield from list(pythons.items())[:: 1 if number % 2 == 0 else -1]


def run_rounds(
    results: Results,
    pythons: dict[str, str],
    rounds: int,
    names: list[str],
    *script: str,
) -> None:
    """Run one process per peer and round, and ask them for each case in turn."""
    what = script[-1] if script else names[0].split("/")[0]
    for number in range(rounds):
        print(f"  {what}, round {number + 1} of {rounds}", flush=True)
        with ExitStack() as stack:
            workers = [
                stack.enter_context(WorkerProcess(*peer, *script))
                for peer in list(pythons.items())[:: 1 if number % 2 == 0 else -1]
            ]
            for name in names:
                ask_in_turn(workers, name)
            for worker in workers:
                results.add(worker.peer, worker.report())


def ask_in_turn(workers: list[WorkerProcess], name: str) -> None:
    """Ask each process that knows a case for it, as often as the case wants."""
    row = ROWS.get(name)
    for _ in range(row.passes if row else 1):
        for worker in workers:
            if row is None or worker.peer in row.builders:
                worker.ask(name)


def run_cached(results: Results, pythons: dict[str, str], rounds: int) -> None:
    """Time first calls where a process before has compiled the same programs."""
    with tempfile.TemporaryDirectory() as cache:
        for peer, python in pythons.items():
            ask_once([python, "cache_worker.py", peer], cache)
        for peer, python in turns(pythons, rounds, "cache"):
            results.add(peer, ask_once([python, "cache_worker.py", peer], cache))


def run_gradients(results: Results, pythons: dict[str, str], rounds: int) -> None:
    """Time and weigh each gradient program in processes of its own."""
    for name in PROGRAMS:
        times = [f"time/{name}"] * GRADIENT_TURNS
        run_rounds(results, pythons, rounds, times, "gradient_worker.py", name)


def run_eager(results: Results, pythons: dict[str, str], rounds: int) -> None:
    """Time functions of small arrays and gradients of plain Python."""
    for what, titles, peers in (
        ("function", FUNCTIONS, ("pullback", "jax", "numpy")),
        ("gradient", GRADIENTS, ("pullback", "jax", "autograd")),
    ):
        some = {p: pythons[p] for p in peers if p in pythons}
        run_rounds(results, some, rounds, [f"{what}/{title}" for title in titles])


def main() -> int:
    """Run everything and write the page, the plot and the raw numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", nargs="*", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--eqns", nargs="*", type=int, default=EQNS, metavar="N")
    parser.add_argument("--without-gradients", action="store_true")
    parser.add_argument("--without-eager", action="store_true")
    parser.add_argument(
        "--peers", nargs="*", default=["jax", "autograd", "torch", "numpy"]
    )
    options = parser.parse_args()

    results = Results()
    pythons = environments(results, ["pullback", *options.peers])
    run_rounds(results, pythons, options.rounds, options.rows)
    both = {p: pythons[p] for p in ("pullback", "jax") if p in pythons}
    if CACHED & set(options.rows):
        run_cached(results, both, options.rounds)
    if not options.without_gradients:
        run_gradients(results, both, options.rounds)
    if not options.without_eager:
        run_eager(results, pythons, options.rounds)
    if options.eqns:
        names = [f"{what}/{eqns}" for eqns in options.eqns for what in GROWTH]
        run_rounds(results, both, 1, names)

    DOCS.mkdir(exist_ok=True)
    text = report.page(results, options.rounds, options.rows, options.eqns)
    (DOCS / "benchmarks.md").write_text(text)
    if options.eqns:
        report.plot(results, options.eqns, DOCS / "benchmarks.png")
    (HERE / "results.json").write_text(json.dumps(results.times, indent=1))
    print("\n" + text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
