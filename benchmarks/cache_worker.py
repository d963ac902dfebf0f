"""Times first calls of functions that an earlier process compiled; prints JSON."""

import argparse
import json
import time
from importlib.metadata import version
from typing import Any

import cases


def small(lib: Any) -> cases.Call:
    """Build the small function of the row `first_call`."""
    x = lib.np.ones(5000)
    return lambda: lib.jit(lambda x: lib.np.sum(lib.np.exp(x) * x + 1.0))(x)


def main() -> None:
    """Make the first calls of the process; fill the cache where it is empty."""
    parser = argparse.ArgumentParser()
    parser.add_argument("peer")
    options = parser.parse_args()

    lib = cases.load(options.peer)
    lib.jit(lambda x: x - 3.0)(lib.np.ones(3)).block_until_ready()  # starts the backend
    times = {}
    for name, build in (("cached_small", small), ("cached_mlp", cases.mlp_step)):
        call: Any = build(lib)
        start = time.perf_counter()
        call().block_until_ready()
        times[name] = time.perf_counter() - start
    print(json.dumps({"version": version(options.peer), "times": times, "errors": {}}))


if __name__ == "__main__":
    main()
