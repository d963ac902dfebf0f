"""The first operation whose result is not finite though its operands are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pullback import dtypes, tree
from pullback.core.array import from_host
from pullback.core.calling import as_value, check_callable, leaf_names
from pullback.core.origin import name_of
from pullback.core.trace import Value, using
from pullback.core.zero import is_zero
from pullback.debugging.births import Birth, all_finite
from pullback.debugging.switch import checks_off, noting_steps
from pullback.debugging.watch import WatchTrace, watched_linearize
from pullback.transforms.transpose import backward


class NanReport(str):
    """What `find_nan` found, as text; empty and false if all is finite.

    Attributes:
        birth: the first operation whose result is not finite, None if there is none.
        operation: its name.
        phase: "forward" or "backward".
        where: the user's file and line.
        operands: its operands where the result is not finite.
        derivative_of: the operation whose derivative it is part of, or "".
        rule: the custom rule it is part of, or "".
        mend: what would help.
    """

    birth: Birth | None
    operation: str
    phase: str
    where: str
    operands: tuple[str, ...]
    derivative_of: str
    rule: str
    mend: str

    def __new__(cls, text: str = "", last: Birth | None = None) -> NanReport:
        """Make the report of what made the last value, by its first operation."""
        made = super().__new__(cls, text)
        first = None if last is None else last.first
        made.birth = first
        made.operation = first.operation if first else ""
        made.phase = first.phase if first else ""
        made.where = first.where if first else ""
        made.operands = first.operands if first else ()
        made.derivative_of = first.derivative_of if first else ""
        made.rule = first.rule if first else ""
        made.mend = last.mend() if last else ""
        return made

    def __repr__(self) -> str:
        """Show the text as it is, for shells and notebooks."""
        return str(self) or "all values and derivatives are finite"


def find_nan(f: Callable[..., Any]) -> Callable[..., NanReport]:
    """Give a function that looks for the first value of `f` that is not finite.

    Value and derivative are computed operation by operation, also inside `jit`, `scan`,
    `cond` and `while_loop`. The derivative is that of the sum of all outputs.

    Args:
        f: a function of pytrees of arrays.

    Returns:
        A function of `f`'s arguments giving a `NanReport`: text that names the first
        operation whose result is not finite though its operands are, whether forward or
        backward, the user's line, the operands' values, and what would mend it; empty
        if value and derivative are finite.

    Example:
        >>> import pullback.numpy as jnp
        >>> print(find_nan(lambda x: jnp.where(x > 0, jnp.log(x), 0.))(0.).operation)
        div
    """
    check_callable(f, "find_nan")

    def finder(*args: Any, **kwargs: Any) -> NanReport:
        """Run value and derivative, and report."""
        leaves, in_tree = tree.flatten((args, kwargs))
        values = [as_value(x, f"find_nan of {name_of(f)}") for x in leaves]
        given = given_report(f, args, kwargs, values)
        if given:
            return given
        with checks_off(), noting_steps():
            return search(f, in_tree, values)

    return finder


def given_report(
    f: Any, args: Sequence[Any], kwargs: dict[str, Any], values: Sequence[Value]
) -> NanReport | None:
    """Report an argument that is not finite itself, None if all are."""
    names = [*leaf_names(f, args), *[p[2:-2] for p in tree.path_strings(kwargs)]]
    for name, x in zip(names, values):
        if not all_finite(x):
            return NanReport(
                f"find_nan of {name_of(f)}: argument {name} is not finite: {x}."
            )
    return None


def search(f: Any, in_tree: tree.TreeDef, values: Sequence[Value]) -> NanReport:
    """Run value and derivative under a watching trace."""
    watch = WatchTrace()
    varied = [dtypes.is_inexact(x.dtype) for x in values]

    def flat(*xs: Value) -> list[Value]:
        args, kwargs = in_tree.unflatten(xs)
        return [as_value(y) for y in tree.leaves(f(*args, **kwargs))]

    with using(watch):
        outs, program = watched_linearize(flat, values, varied)
        bad = next((y for y in outs if not all_finite(y)), None)
        if bad is not None:
            return report_of(f, "value", watch.birth(bad))
        cts = [
            from_host(np.ones(y.shape, y.dtype)) if dtypes.is_inexact(y.dtype) else None
            for y in outs
        ]
        found = backward(program, cts)
    for ct in found:
        if not is_zero(ct) and not all_finite(ct):
            return report_of(f, "derivative", watch.birth(ct))
    return NanReport()


def report_of(f: Any, what: str, birth: Birth | None) -> NanReport:
    """Write the report of a value or derivative that is not finite."""
    head = f"find_nan of {name_of(f)}: its {what} is not finite."
    if birth is None:
        return NanReport(f"{head} A value that is not finite was among its constants.")
    first = birth.first
    parts = [f"{head} First, {first.sentence()}", first.where_text()]
    if first is not birth:
        at = f" at {birth.where}" if birth.where and birth.where != first.where else ""
        parts.append(
            f"It becomes {birth.result} in {birth.operation}{at}, from "
            f"({', '.join(birth.operands)})."
        )
    parts += [birth.explanation(), birth.mend()]
    return NanReport(" ".join(p for p in parts if p), birth)
