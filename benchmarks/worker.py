"""Times the cases of one peer, inside its environment; prints them as JSON."""

import argparse
import gc
import importlib
import itertools
import json
import time
from functools import partial
from importlib.metadata import version

import cases

ROUNDS = 5
SECONDS_PER_ROUND = 0.04
ENOUGH = 3.0  # seconds, from which work that is never the same is not repeated
MOST_PASSES = max(row.passes for row in cases.ROWS.values())


def timed(work: cases.Call | cases.Fresh) -> float:
    """Give the least time of one call over several rounds.

    Noise on a shared machine only ever adds, so within one process the least is the
    steadiest; between processes the median and the spread are reported.
    """
    if isinstance(work, cases.Fresh):
        times = [_once(work)]
        while len(times) < ROUNDS and sum(times) < ENOUGH:
            times.append(_once(work))
        return min(times)
    start = time.perf_counter()
    work()
    first = time.perf_counter() - start
    number = max(1, int(SECONDS_PER_ROUND / max(min(first, _loop(work, 3)), 1e-7)))
    return min(_loop(work, number) for _ in range(ROUNDS))


def passes(name: str) -> int:
    """Give how often a row is timed, with others between.

    Programs that use all cores are as slow as the least idle of them, which other
    processes may keep busy for longer than a row takes.
    """
    return cases.ROWS[name].passes if name in cases.ROWS else 1


def _once(work: cases.Fresh) -> float:
    made = work.make()
    gc.collect()
    start = time.perf_counter()
    work.call(made)
    return time.perf_counter() - start


def _loop(call: cases.Call, number: int) -> float:
    start = time.perf_counter()
    for _ in range(number):
        call()
    return (time.perf_counter() - start) / number


def main() -> None:
    """Import the peer, time what is asked for, print the results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("peer")
    parser.add_argument("--rows", nargs="*", default=[])
    parser.add_argument("--growth", nargs="*", type=int, default=[])
    options = parser.parse_args()

    start = time.perf_counter()
    importlib.import_module(options.peer)
    if options.peer in ("pullback", "jax", "autograd"):
        importlib.import_module(f"{options.peer}.numpy")
    times = {"import": time.perf_counter() - start}
    lib = cases.load(options.peer)

    work = {
        name: partial(cases.ROWS[name].builders[options.peer], lib)
        for name in options.rows
        if options.peer in cases.ROWS[name].builders
    }
    for eqns, what in itertools.product(options.growth, cases.GROWTH):
        work[f"{what}/{eqns}"] = partial(cases.growth, lib, what, eqns)

    errors = {}
    for number in range(MOST_PASSES):
        for name, build in work.items():
            if number >= passes(name) or name in errors:
                continue
            try:
                times[name] = min(timed(build()), times.get(name, float("inf")))
            except Exception as error:
                errors[name] = f"{type(error).__name__}: {error}".splitlines()[0]
    report = {"version": version(options.peer), "times": times, "errors": errors}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
