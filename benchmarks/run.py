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
import venv
from pathlib import Path

from benchmarks import report
from benchmarks.cases import ROWS
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


def run_worker(peer: str, python: str, arguments: list[str]) -> dict:
    """Time cases in a process of their own."""
    # On the CPU, and with every program compiled anew.
    switches = {"JAX_PLATFORMS": "cpu", "PULLBACK_COMPILATION_CACHE": "0"}
    command = [python, str(HERE / "worker.py"), peer, *arguments]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env={**os.environ, **switches},
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the process of {peer} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def run_rounds(
    results: Results, pythons: dict[str, str], rounds: int, arguments: list[str]
) -> None:
    """Run one process per peer and round, in turn, every second round backwards."""
    for number in range(rounds):
        order = list(pythons)[:: 1 if number % 2 == 0 else -1]
        for peer in order:
            print(f"  round {number + 1} of {rounds}: {peer}", flush=True)
            results.add(peer, run_worker(peer, pythons[peer], arguments))


def main() -> int:
    """Run everything and write the page, the plot and the raw numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", nargs="*", default=list(ROWS), choices=list(ROWS))
    parser.add_argument(
        "--eqns", nargs="*", type=int, default=[100, 1_000, 10_000], metavar="N"
    )
    parser.add_argument(
        "--peers", nargs="*", default=["jax", "autograd", "torch", "numpy"]
    )
    options = parser.parse_args()

    results = Results()
    pythons = environments(results, ["pullback", *options.peers])
    run_rounds(results, pythons, options.rounds, ["--rows", *options.rows])
    growing = {p: pythons[p] for p in ("pullback", "jax") if p in pythons}
    if options.eqns:
        sizes = [str(eqns) for eqns in options.eqns]
        run_rounds(results, growing, 1, ["--growth", *sizes])

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
