"""Runs the comparison: `python -m benchmarks.run`; writes docs/benchmarks.md.

Each peer lives in an environment of its own under benchmarks/.envs, made on the first
run. A round starts one process per peer, one after the other, so that a slow minute of
the machine falls on all of them; what is reported is the median over the rounds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

from benchmarks import report
from benchmarks.cases import ROWS
from benchmarks.gradients import PROGRAMS
from benchmarks.results import Results

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE / ".envs"
DOCS = HERE.parent / "docs"

# What each peer needs; Pullback and NumPy run where this program runs.
REQUIREMENTS = {
    "jax": ["jax>=0.10,<0.11"],
    "autograd": ["autograd>=1.7"],
    "torch": ["torch==2.13.0", "numpy"],
}
TIMEOUT = 900  # seconds, of one process
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


def run_worker(
    peer: str,
    python: str,
    arguments: list[str],
    script: str = "worker.py",
    cache: str | None = None,
) -> dict:
    """Time cases in a process of their own.

    Args:
        peer: the library.
        python: the Python of its environment.
        arguments: what the script is given beside the library.
        script: which of this folder.
        cache: where compiled programs are kept for other processes; None for nowhere.
    """
    command = [python, str(HERE / script), peer, *arguments]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env={**os.environ, **switches(cache)},
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the process of {peer} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def switches(cache: str | None) -> dict[str, str]:
    """Give the environment variables of a process: on the CPU, with this cache."""
    if cache is None:
        return {"JAX_PLATFORMS": "cpu", "PULLBACK_COMPILATION_CACHE": "0"}
    return {
        "JAX_PLATFORMS": "cpu",
        "PULLBACK_COMPILATION_CACHE": "1",
        "PULLBACK_CACHE_DIR": f"{cache}/pullback",
        "JAX_COMPILATION_CACHE_DIR": f"{cache}/jax",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


def turns(pythons: dict[str, str], rounds: int, what: str) -> Iterator[tuple[str, str]]:
    """Give the peers in turn, every second round backwards."""
    for number in range(rounds):
        for peer in list(pythons)[:: 1 if number % 2 == 0 else -1]:
            print(f"  {what}, round {number + 1} of {rounds}: {peer}", flush=True)
            yield peer, pythons[peer]


def run_rounds(
    results: Results, pythons: dict[str, str], rounds: int, arguments: list[str]
) -> None:
    """Run one process per peer and round."""
    for peer, python in turns(pythons, rounds, arguments[0].strip("-")):
        results.add(peer, run_worker(peer, python, arguments))


def run_cached(results: Results, pythons: dict[str, str], rounds: int) -> None:
    """Time first calls where a process before has compiled the same programs."""
    with tempfile.TemporaryDirectory() as cache:
        for peer, python in pythons.items():
            run_worker(peer, python, [], "cache_worker.py", cache)
        for peer, python in turns(pythons, rounds, "cache"):
            results.add(peer, run_worker(peer, python, [], "cache_worker.py", cache))


def run_gradients(results: Results, pythons: dict[str, str], rounds: int) -> None:
    """Time and weigh each gradient program in processes of its own."""
    for name in PROGRAMS:
        for peer, python in turns(pythons, rounds, name):
            said = run_worker(peer, python, [name], "gradient_worker.py")
            results.add(peer, said)


def main() -> int:
    """Run everything and write the page, the plot and the raw numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", nargs="*", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--eqns", nargs="*", type=int, default=EQNS, metavar="N")
    parser.add_argument("--without-gradients", action="store_true")
    parser.add_argument(
        "--peers", nargs="*", default=["jax", "autograd", "torch", "numpy"]
    )
    options = parser.parse_args()

    results = Results()
    pythons = environments(results, ["pullback", *options.peers])
    run_rounds(results, pythons, options.rounds, ["--rows", *options.rows])
    both = {p: pythons[p] for p in ("pullback", "jax") if p in pythons}
    if CACHED & set(options.rows):
        run_cached(results, both, options.rounds)
    if not options.without_gradients:
        run_gradients(results, both, options.rounds)
    if options.eqns:
        sizes = [str(eqns) for eqns in options.eqns]
        run_rounds(results, both, 1, ["--growth", *sizes])

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
