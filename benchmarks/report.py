"""The numbers of a run as a page and a plot."""

import math
import os
import platform
import statistics
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.cases import GROWTH, ROWS, Row
from benchmarks.gradients import PROGRAMS
from benchmarks.results import Results

PEERS = ("jax", "torch", "autograd", "numpy")
TITLES = {"jax": "JAX", "torch": "PyTorch", "autograd": "autograd", "numpy": "NumPy"}


def duration(seconds: float) -> str:
    """Write a time with three digits and its unit."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def page(results: Results, rounds: int, rows: list[str], eqns: list[int]) -> str:
    """Write the page that shows a run."""
    versions = ", ".join(f"{TITLES.get(p, p)} {v}" for p, v in results.versions.items())
    return "\n".join(
        [
            "# Benchmarks",
            "",
            "Written by `make bench`; not to be edited by hand.",
            "",
            f"Machine: {_processor()}, {os.cpu_count()} cores, {platform.system()}; "
            f"Python {platform.python_version()}; {versions}.",
            "",
            f"Each number is the median of {rounds} processes, which the peers take "
            "turns at row by row; within a process the least of several rounds counts. "
            "A ratio is Pullback's time over the peer's: below 1, Pullback is faster. "
            "In brackets, the least and the greatest ratio of the processes of one "
            "round.",
            *_absent(results),
            "",
            *_table(results, rows),
            *_gradients(results),
            *_eager(results),
            *(_growth(results, eqns) if eqns else []),
            "",
        ]
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.machine()


def _absent(results: Results) -> list[str]:
    left_out = [
        f"- {TITLES.get(peer, peer)} is left out: {reason}"
        for peer, reason in results.missing.items()
    ]
    failed = [f"- Failed: {case}: {error}" for case, error in results.errors.items()]
    return ["", *left_out, *failed] if left_out or failed else []


def _table(results: Results, rows: list[str]) -> list[str]:
    peers = [peer for peer in PEERS if peer in results.times]
    columns = ["what", "Pullback", *(f"/ {TITLES[p]}" for p in peers), "aim", "met"]
    lines = [_line(columns), _line(["---"] + ["--:"] * (len(columns) - 1))]
    for name in rows:
        ours = results.times["pullback"].get(name)
        if ours:
            ratios = [_ratio(ours, results.times[peer].get(name)) for peer in peers]
            verdict = _verdict(ROWS[name], name, results)
            median = duration(statistics.median(ours))
            lines.append(_line([ROWS[name].title, median, *ratios, *verdict]))
    return lines


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _ratio(ours: list[float], theirs: list[float] | None) -> str:
    if not theirs:
        return ""
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=False)]
    median = statistics.median(ours) / statistics.median(theirs)
    return f"**{median:.3g}** ({min(ratios):.2g} to {max(ratios):.2g})"


def _verdict(row: Row, name: str, results: Results) -> list[str]:
    if row.aim is None:
        return ["", ""]
    ours = statistics.median(results.times["pullback"][name])
    aim = f"{row.aim:g} x {TITLES[row.against]}" + (" without" if row.row else "")
    theirs = results.times.get(row.against, {}).get(row.row or name)
    if not theirs:
        return [aim, ""]
    return [aim, _mark(ours <= row.aim * statistics.median(theirs))]


def _mark(met: bool) -> str:
    return "yes" if met else "no"


# Eager code


def _eager(results: Results) -> list[str]:
    lines: list[str] = []
    for what, peers, words in (
        (
            "function",
            ("jax", "numpy"),
            "Functions of 100 numbers, or of 10 x 10. The aim is JAX's time.",
        ),
        (
            "gradient",
            ("autograd", "jax"),
            "Gradients of plain Python, not compiled. The aim is autograd's time.",
        ),
    ):
        names = [n for n in results.times["pullback"] if n.startswith(f"{what}/")]
        known = [peer for peer in peers if peer in results.times]
        if not names or not known:
            continue
        columns = [what, "Pullback", *(f"/ {TITLES[p]}" for p in known), "met"]
        lines += ["", words, "", _line(columns)]
        lines.append(_line(["---"] + ["--:"] * (len(columns) - 1)))
        for name in names:
            ours = results.times["pullback"][name]
            theirs = [results.times[peer].get(name) for peer in known]
            met = theirs[0] and statistics.median(ours) <= statistics.median(theirs[0])
            cells = [name.partition("/")[2], duration(statistics.median(ours))]
            cells += [_ratio(ours, others) for others in theirs]
            lines.append(_line([*cells, _mark(bool(met))]))
    return ["", "## Eager code", *lines] if lines else []


# Gradient programs

#: What a gradient program may take at the most, in time and memory, of JAX's.
GRADIENT_AIM = 1.02


def _gradients(results: Results) -> list[str]:
    ours, theirs = results.times["pullback"], results.times.get("jax", {})
    known = [name for name in PROGRAMS if f"time/{name}" in ours]
    if not known:
        return []
    columns = ["gradient of", "time", "/ JAX", "executable", "/ JAX", "process"]
    lines = [
        "",
        "## Gradient programs",
        "",
        "The compiled gradient. Memory of the executable is the compiler's figure, "
        "results and temporaries; that of the process is how much its first calls make "
        f"it grow, its arguments left out. The aim is {GRADIENT_AIM:g} x JAX in time "
        "and in the executable's memory.",
        "",
        _line([*columns, "/ JAX", "met"]),
        _line(["---"] + ["--:"] * (len(columns) + 1)),
    ]
    for name in known:
        cells = []
        for what, written in (
            ("time", duration),
            ("executable", _megabytes),
            ("process", _megabytes),
        ):
            key = f"{what}/{name}"
            median = statistics.median(ours[key])
            cells += [written(median), _ratio(ours[key], theirs.get(key))]
        lines.append(
            _line([PROGRAMS[name].title, *cells, _gradient_met(results, name)])
        )
    return lines


def _megabytes(count: float) -> str:
    return f"{count / 1e6:.3g} MB"


def _gradient_met(results: Results, name: str) -> str:
    ours, theirs = results.times["pullback"], results.times.get("jax", {})
    keys = [f"time/{name}", f"executable/{name}"]
    if not all(key in theirs for key in keys):
        return ""
    medians = [statistics.median(ours[k]) / statistics.median(theirs[k]) for k in keys]
    return _mark(max(medians) <= GRADIENT_AIM)


# Growth


def _growth(results: Results, eqns: list[int]) -> list[str]:
    peers = [p for p in ("pullback", "jax") if f"trace/{eqns[0]}" in results.times[p]]
    sizes = [f"{n:,} eqns" for n in eqns]
    columns = ["what", "", *sizes, "exponent"]
    lines = [
        "",
        "## Growth with the number of eqns",
        "",
        "A chain of elementwise operations. The exponent is that of the last step: 1 "
        "means linear.",
        "",
        _line(columns),
        _line(["---", "---"] + ["--:"] * (len(eqns) + 1)),
    ]
    for what, title in GROWTH.items():
        for peer in peers:
            points = _points(results, peer, what, eqns)
            cells = [duration(points[n]) if n in points else "" for n in eqns]
            name = TITLES.get(peer, "Pullback")
            lines.append(_line([title, name, *cells, _exponent(points)]))
    return [*lines, "", "![Growth with the number of eqns](benchmarks.png)"]


def _points(
    results: Results, peer: str, what: str, eqns: list[int]
) -> dict[int, float]:
    times = results.times[peer]
    return {
        n: statistics.median(times[f"{what}/{n}"])
        for n in eqns
        if times.get(f"{what}/{n}")
    }


def _exponent(points: dict[int, float]) -> str:
    if len(points) < 2:
        return ""
    (n, time), (more, longer) = sorted(points.items())[-2:]
    return f"{math.log(longer / time) / math.log(more / n):.2f}"


def plot(results: Results, eqns: list[int], path: Path) -> None:
    """Draw the growth curves, Pullback's solid and JAX's dashed."""
    canvas = Figure(figsize=(9, 5.6), layout="constrained")
    grid = canvas.subplots(2, len(GROWTH) // 2, sharex=True, sharey=True)
    panels = grid.flatten()
    for axes, (what, title) in zip(panels, GROWTH.items(), strict=True):
        for peer, style, colour in (
            ("pullback", "o-", "#1f6feb"),
            ("jax", "s--", "#d9730d"),
        ):
            points = _points(results, peer, what, eqns)
            label = TITLES.get(peer, "Pullback")
            axes.loglog(
                points.keys(), points.values(), style, color=colour, label=label
            )
        axes.set(title=title)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[-1]:
        axes.set_xlabel("eqns")
    for axes in grid[:, 0]:
        axes.set_ylabel("seconds")
    panels[0].legend(frameon=False)
    canvas.savefig(path, dpi=160)
