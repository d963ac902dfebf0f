"""Times the cases of one peer, inside its environment, as it is asked for them.

The processes of all peers wait side by side and are asked in turn, so that a slow
minute of the machine falls on all of them.
"""

import gc
import importlib
import json
import sys
import time
from importlib.metadata import version
from typing import Any

import cases

ROUNDS = 5
SECONDS_PER_ROUND = 0.04
ENOUGH = 1.0  # seconds, from which work that is never the same is not repeated


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


def answer(lib: Any, peer: str, name: str) -> cases.Call | cases.Fresh:
    """Build what a name stands for.

    It is a row of the first table, an eager function or gradient with its title, or a
    growth curve with a number of eqns.
    """
    if name in cases.ROWS:
        return cases.ROWS[name].builders[peer](lib)
    import eager  # late: it imports NumPy, which is part of each peer's import

    what, _, which = name.partition("/")
    if what == "function":
        return eager.build_function(which, lib)
    if what == "gradient":
        return eager.build_gradient(which, lib)
    return cases.growth(lib, what, int(which))


def main() -> None:
    """Import the peer; then time what each line of the input names, in a line each."""
    peer = sys.argv[1]
    start = time.perf_counter()
    importlib.import_module(peer)
    if peer in ("pullback", "jax", "autograd"):
        importlib.import_module(f"{peer}.numpy")
    times = {"import": time.perf_counter() - start}
    print(json.dumps({"version": version(peer), "times": times}), flush=True)

    lib = cases.load(peer)
    for line in sys.stdin:
        try:
            said = {"time": timed(answer(lib, peer, line.strip()))}
        except Exception as error:
            said = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
