"""Printing, callbacks and breakpoints that run where the values become known."""

from __future__ import annotations

import builtins
import cmd
import linecache
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, TextIO

import numpy as np

from pullback import tree
from pullback.core.calling import check_callable, is_arraylike
from pullback.core.trace import EVAL, Tracer, current_trace
from pullback.lazy import pdb
from pullback.primitives.callbacks import debug_callback


def callback(
    f: Callable[..., Any], *args: Any, ordered: bool = False, **kwargs: Any
) -> None:
    """Call `f` with the values of arrays once these are known.

    Under `jit` it is called whenever the program runs, under `vmap` once for each
    element, under differentiation once with the primal values.

    Args:
        f: a function of trees; arrays come as NumPy arrays, other leaves as they are.
        args: its arguments.
        ordered: calls keep the order of the program; they always do here.
        kwargs: its keyword arguments.
    """
    check_callable(f, "debug.callback")
    leaves, treedef = tree.flatten((args, kwargs))
    dynamic = [
        is_arraylike(x) and not isinstance(x, (bool, int, float, complex))
        for x in leaves
    ]
    static = [None if d else x for x, d in zip(leaves, dynamic)]

    def call(*values: Any) -> None:
        rest = iter(values)
        full = [next(rest) if d else s for s, d in zip(static, dynamic)]
        rebuilt: Any = treedef.unflatten(full)
        f(*rebuilt[0], **rebuilt[1])

    call.__name__ = getattr(f, "__name__", "callback")
    debug_callback(call, *[x for x, d in zip(leaves, dynamic) if d], ordered=ordered)


def print(fmt: str, *args: Any, ordered: bool = False, **kwargs: Any) -> None:
    """Print a formatted text once the values in it are known.

    Args:
        fmt: a format string, as of `str.format`: `"x is {} and y {y:.3f}"`. (An
            f-string would be filled in at once, with traced values.)
        args: values for its numbered fields.
        ordered: as of `callback`.
        kwargs: values for its named fields.

    Example:
        >>> from pullback import jit
        >>> @jit
        ... def f(x):
        ...     print("x is {x}", x=x)
        ...     return x
        >>> f(3.)
        x is 3.0
        Array(3., dtype=float32, weak_type=True)
    """

    def show(*values: Any, **named: Any) -> None:
        builtins.print(fmt.format(*values, **named))

    callback(show, *args, ordered=ordered, **kwargs)


def breakpoint(*, stdin: TextIO | None = None, stdout: TextIO | None = None) -> None:
    """Stop here, and let values be looked at from the terminal.

    In plain eager code this is Python's debugger. Under `jit`, `vmap` or `grad` the
    local variables are shown once their values are known, by a small prompt: an
    expression, `locals`, `list`, `where`, `continue`, `quit`.

    Args:
        stdin: read commands from there.
        stdout: write there.
    """
    frame = sys._getframe(1)
    values = dict(frame.f_locals)
    traced = any(isinstance(x, Tracer) for x in tree.leaves(values))
    if current_trace() is EVAL and not traced and stdin is None:
        pdb.Pdb().set_trace(frame)
        return
    place = Place(frame)
    known = {n: x for n, x in values.items() if shown(x)}
    other = {n: x for n, x in values.items() if n not in known}

    def stop(named: dict[str, Any]) -> None:
        Prompt(place, {**other, **named}, stdin, stdout).cmdloop()

    callback(stop, known)


def shown(x: Any) -> bool:
    """Whether a variable holds arrays only."""
    leaves = tree.leaves(x)
    return bool(leaves) and all(map(is_arraylike, leaves))


class Place:
    """A line of the user's code, kept after its frame is gone."""

    def __init__(self, frame: FrameType) -> None:
        self.file = frame.f_code.co_filename
        self.line = frame.f_lineno
        self.function = frame.f_code.co_name
        self.names = frame.f_globals

    def source(self, around: int) -> str:
        """Give the lines around it, an arrow at the line itself."""
        first = max(1, self.line - around)
        lines = []
        for n in range(first, self.line + around + 1):
            text = linecache.getline(self.file, n).rstrip("\n")
            lines.append(f"{'->' if n == self.line else '  '} {n:4} {text}")
        return "\n".join(lines)

    def __str__(self) -> str:
        """Write it as debuggers do."""
        return f"{self.file}({self.line}){self.function}()"


class Prompt(cmd.Cmd):
    """Reads expressions and evaluates them with the variables of a breakpoint.

    Args:
        place: where the breakpoint is.
        variables: the local variables there.
        stdin, stdout: where to read and write; None for the terminal.
    """

    prompt = "(pullback) "

    def __init__(
        self,
        place: Place,
        variables: dict[str, Any],
        stdin: TextIO | None,
        stdout: TextIO | None,
    ) -> None:
        super().__init__(stdin=stdin, stdout=stdout)
        self.use_rawinput = stdin is None
        self.place = place
        self.variables = variables
        self.intro = f"> {place}\n{place.source(0)}"

    def say(self, x: Any) -> None:
        """Write a line."""
        self.stdout.write(f"{x}\n")

    def default(self, line: str) -> None:
        """Evaluate an expression."""
        if line == "EOF":
            line = "None"
        try:
            self.say(repr(eval(line, self.place.names, self.variables)))
        except Exception as error:  # whatever the expression raised is shown
            self.say(f"*** {type(error).__name__}: {error}")

    def emptyline(self) -> bool:
        return False

    def do_p(self, line: str) -> None:
        """Evaluate an expression."""
        self.default(line)

    def do_locals(self, line: str) -> None:
        """Show the local variables."""
        for name, value in self.variables.items():
            self.say(
                f"{name} = {np.asarray(value) if is_arraylike(value) else value!r}"
            )

    def do_list(self, line: str) -> None:
        """Show the source around the breakpoint."""
        self.say(self.place.source(5))

    do_l = do_list

    def do_where(self, line: str) -> None:
        """Show where the breakpoint is."""
        self.say(self.place)

    do_w = do_where

    def do_continue(self, line: str) -> bool:
        """Go on."""
        return True

    do_c = do_continue
    do_EOF = do_continue

    def do_quit(self, line: str) -> bool:
        """Stop the program."""
        raise KeyboardInterrupt("quit at a breakpoint")

    do_q = do_quit
