"""Weighs the compiled gradient of a program, and times it whenever it is asked to."""

import ctypes
import importlib
import json
import re
import sys
import time
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradients

SECONDS = 0.2  # of timing, each time
LEAST_CALLS = 3
CALLS_WEIGHED = 3


def load(peer: str) -> Any:
    """Import a library and gather what the programs use of it."""
    lib = importlib.import_module(peer)
    ode = {"jax": "jax.experimental.ode", "pullback": "pullback.ode"}[peer]
    special = importlib.import_module(f"{peer}.scipy.special")
    return SimpleNamespace(
        np=importlib.import_module(f"{peer}.numpy"),
        lax=importlib.import_module(f"{peer}.lax"),
        odeint=importlib.import_module(ode).odeint,
        logsumexp=special.logsumexp,
        **{n: getattr(lib, n) for n in ("custom_vjp", "grad", "jit", "vjp")},
    )


def resident(what: str) -> int:
    """Give a figure of the process's resident memory in bytes."""
    status = Path("/proc/self/status").read_text()
    found = re.search(rf"{what}:\s+(\d+) kB", status)
    assert found, f"/proc/self/status has {what}"
    return 1024 * int(found[1])


def weighed(call: Any) -> int:
    """Give the bytes by which the first calls make the process grow, at the most.

    Pages of the program's code, which a first call reads from disk, do not count.
    """
    ctypes.CDLL(None).malloc_trim(0)  # what is left over from compiling
    Path("/proc/self/clear_refs").write_text("5")  # the peak is now the present
    before = resident("RssAnon")
    for _ in range(CALLS_WEIGHED):
        call()
    return resident("VmHWM") - resident("RssFile") - before


def timed(call: Any) -> float:
    """Give the least time of a call: noise only ever adds."""
    best, end, calls = float("inf"), time.perf_counter() + SECONDS, 0
    while calls < LEAST_CALLS or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
        calls += 1
    return best


def main() -> None:
    """Compile the gradient and weigh it; then time it for each line of the input."""
    peer, name = sys.argv[1:]
    lib = load(peer)
    loss, arguments = gradients.PROGRAMS[name].build(lib)
    arguments = lib.jit(lambda *args: args)(*arguments)  # now on the device
    f = lib.jit(lib.grad(loss))
    compiled = f.lower(*arguments).compile()

    def call() -> None:
        leaf = compiled(*arguments)
        while isinstance(leaf, (tuple, list)):
            leaf = leaf[-1]
        leaf.block_until_ready()

    stats = compiled.memory_analysis()
    executable = stats.temp_size_in_bytes + stats.output_size_in_bytes
    figures = {f"executable/{name}": executable, f"process/{name}": weighed(call)}
    print(json.dumps({"version": version(peer), "times": figures}), flush=True)
    for _ in sys.stdin:
        print(json.dumps({"time": timed(call)}), flush=True)


if __name__ == "__main__":
    main()
