"""Measures the memory of the gradient of a bounded loop.

Run with `python -m benchmarks.loop_memory`.

The figure is the compiler's own: temporary bytes of the compiled gradient, in units
of one carry. A loop with `max_steps=N` should need about 2 sqrt(N) of them, where a
scan needs N. Writes docs/loop_memory.md and docs/loop_memory.png.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import pullback.numpy as jnp
from pullback import grad, jit, lax

DOCS = Path(__file__).resolve().parent.parent / "docs"
STEPS = (16, 64, 256, 1024, 4096, 16384)
WIDTH = 256  # elements of the carry, float32


def bounded(x, steps):
    """Take `steps` steps in a loop that does not know their number."""

    def unfinished(state):
        return state[0] < steps

    def step(state):
        return state[0] + 1, jnp.sin(state[1]) * 1.01

    return jnp.sum(lax.while_loop(unfinished, step, (0, x), max_steps=steps)[1])


def scanned(x, steps):
    """Take the same steps in a scan."""
    last, _ = lax.scan(lambda c, _: (jnp.sin(c) * 1.01, None), x, None, length=steps)
    return jnp.sum(last)


def carries(f, steps):
    """Give the temporary memory of the compiled gradient, in carries."""
    x = jnp.ones(WIDTH)
    compiled = jit(grad(lambda x: f(x, steps))).lower(x).compile()
    return compiled.memory_analysis().temp_size_in_bytes / (4 * WIDTH)


def plot(measured, path):
    """Draw memory against the number of steps, with the bound."""
    figure = Figure(figsize=(6.4, 4.2), dpi=150, layout="constrained")
    axes = figure.subplots()
    grid = np.geomspace(STEPS[0], STEPS[-1], 100)
    axes.loglog(grid, 2 * np.sqrt(grid) + 16, "--", color="0.6", label="2 √N + 16")
    axes.loglog(grid, grid, ":", color="0.6", label="N")
    axes.loglog(STEPS, measured["bounded"], "o-", label="while_loop, max_steps=N")
    axes.loglog(STEPS, measured["scanned"], "s-", label="scan of length N")
    axes.set_xlabel("steps N")
    axes.set_ylabel("temporary memory of the gradient, in carries")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path)


def main():
    """Measure, and write the page and the plot."""
    measured = {
        "bounded": [carries(bounded, n) for n in STEPS],
        "scanned": [carries(scanned, n) for n in STEPS],
    }
    rows = zip(STEPS, measured["bounded"], measured["scanned"])
    lines = [
        "# Memory of the gradient of a loop",
        "",
        "Written by `make bench`; not to be edited by hand. Temporary memory of the",
        "compiled gradient, in units of one carry, as the compiler counts it.",
        "",
        "| steps N | `while_loop`, `max_steps=N` | 2 √N + 16 | `scan` of length N |",
        "| --: | --: | --: | --: |",
        *(f"| {n} | {a:.1f} | {2 * n**0.5 + 16:.0f} | {b:.1f} |" for n, a, b in rows),
        "",
        "![Memory against steps](loop_memory.png)",
        "",
    ]
    (DOCS / "loop_memory.md").write_text("\n".join(lines))
    plot(measured, DOCS / "loop_memory.png")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
