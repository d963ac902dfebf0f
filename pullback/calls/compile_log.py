"""What is logged of tracing and compiling, while `log_compiles` is on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pullback.config import config
from pullback.core.aval import Aval
from pullback.core.origin import called_at
from pullback.lazy import logging

#: The switches that decide what a function is staged to, in the order of their values.
SWITCHES = (
    "enable_x64",
    "strong_zeros",
    "debug_nans",
    "debug_infs",
    "check_tracer_leaks",
    "nondiff_arrays",
    "custom_vjp_forward",
    "default_matmul_precision",
    "numpy_dtype_promotion",
    "numpy_rank_promotion",
    "epoch",
)


class ProgramKey(NamedTuple):
    """What a function is staged once for.

    Fields:
        treedef: the structure of the arguments.
        avals: the types of their leaves.
        statics: position or name, class and value of each static argument.
        axes: the names of mapped axes that are bound.
        switches: the values of `SWITCHES`.
    """

    treedef: Any
    avals: tuple[Aval, ...]
    statics: tuple[tuple[int | str, type, Any], ...]
    axes: Any
    switches: tuple[Any, ...]


class Tracing(NamedTuple):
    """A function that is traced.

    Fields:
        name: that of the function.
        place: the file and line where it is defined.
        key: what it was traced for.
        before: what it was traced for the last time, None if it never was.
        leaves: names of the leaves of its arguments.
        statics: names of the static arguments of both, by position or name.
        kept: whether its program is kept for the next call.
    """

    name: str
    place: str
    key: ProgramKey
    before: ProgramKey | None
    leaves: Sequence[str]
    statics: dict[int | str, str]
    kept: bool


def logs_tracing() -> bool:
    """Whether each tracing is logged, with the reason."""
    return config.log_compiles or config.explain_cache_misses


def log_tracing(tracing: Tracing, seconds: float) -> None:
    """Log that a function was traced, for which types, and why again."""
    text = f"{said_of_tracing(tracing, f'was traced in {seconds:.6f} s')}."
    where = called_at()
    _log(f"{text} {where}" if where else text)


def said_of_tracing(tracing: Tracing, verb: str) -> str:
    """Say which function is traced, for which types, and why again."""
    key = tracing.key
    given = [f"{n}: {typed(a)}" for n, a in zip(tracing.leaves, key.avals)]
    given += [f"{tracing.statics[k]}={v!r:.60}" for k, _, v in key.statics]
    what = f"{tracing.name} ({tracing.place})"
    types, why = ", ".join(given), "; ".join(reasons(tracing))
    return f"{what} {verb} for ({types}), {why}"


def log_compiling(
    name: str, avals: Sequence[Aval], loaded: bool, seconds: float
) -> None:
    """Log that a program was compiled, or loaded from disk."""
    if config.log_compiles:
        verb, source = ("loaded", " from disk") if loaded else ("compiled", "")
        types = ", ".join(map(str, avals))
        _log(f"{name} was {verb}{source} in {seconds:.6f} s for ({types}).")


def _log(text: str) -> None:
    logging.getLogger("pullback").warning("%s", text)


def reasons(tracing: Tracing) -> Iterator[str]:
    """Say what made the tracing necessary."""
    key, before = tracing.key, tracing.before
    if not tracing.kept:
        yield "as at each call, since it captures traced values"
    elif before is None:
        yield "for the first time"
    else:
        yield "again"
        yield from differences(tracing, key, before)


def differences(tracing: Tracing, key: ProgramKey, before: ProgramKey) -> Iterator[str]:
    """Say in what two keys differ."""
    now_static = {k: (kind, value) for k, kind, value in key.statics}
    then_static = {k: (kind, value) for k, kind, value in before.statics}
    for k in {**then_static, **now_static}:
        name = f"static argument {tracing.statics[k]}"
        if k not in then_static:
            yield f"{name} is given, was not the last time"
        elif k not in now_static:
            yield f"{name} is not given, was the last time"
        elif now_static[k] != then_static[k]:
            now, then = now_static[k][1], then_static[k][1]
            yield f"{name} is {now!r:.60}, was {then!r:.60} the last time"
    if key.treedef == before.treedef:
        for name, now, then in zip(tracing.leaves, key.avals, before.avals):
            if now != then:
                yield f"{name} is {typed(now)}, was {typed(then)} the last time"
    elif now_static.keys() == then_static.keys():
        yield "the structure of its arguments differs from that of the last time"
    if key.axes != before.axes:
        yield "the names of mapped axes differ from those of the last time"
    for switch, now, then in zip(SWITCHES, key.switches, before.switches):
        if switch == "epoch" and now != then:
            yield "caches were cleared"
        elif now != then:
            yield f"the switch {switch} is {now!r}, was {then!r} the last time"


def typed(aval: Aval) -> str:
    """Write a type, and that it is weak, since a weak one is another."""
    return f"{aval} (weak)" if aval.weak else str(aval)
