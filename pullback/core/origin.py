"""Where in the user's code something came from: the nearest frame of the user's."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextvars import ContextVar
from types import CodeType, FrameType
from typing import Any

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
#: Code filename -> whether it is the library's own, and None where functions that
#: speak for others are; filled as frames are met.
_internal: dict[str, bool | None] = {"<string>": True}
#: Library functions that work on behalf of another place in the user's code: the file
#: they are in, their code, and what gives that place from their frame.
_speakers: dict[str, list[tuple[CodeType, Callable[[FrameType], Any]]]] = {}


#: The names of the scopes that are open, outermost first, with slashes between.
scope: ContextVar[str] = ContextVar("scope", default="")


class Origin:
    """A place in the user's code, resolved to file and line only when asked.

    `scope` names the scopes that were open there.
    """

    __slots__ = ("code", "lasti", "scope")

    def __init__(self, code: CodeType, lasti: int, scope: str = "") -> None:
        self.code = code
        self.lasti = lasti
        self.scope = scope

    @property
    def line(self) -> int:
        """The line number."""
        line = self.code.co_firstlineno
        positions = self.code.co_positions()
        for index, (start, *_) in enumerate(positions):
            if 2 * index >= self.lasti:
                return start or line
            line = start or line
        return line

    def __str__(self) -> str:
        """Write the place as `file.py:12 (function)`, with its scope if it has one."""
        inside = f" in {self.scope}" if self.scope else ""
        return f"{file_name(self.code)}:{self.line} ({self.code.co_name}){inside}"


def file_name(code: CodeType) -> str:
    """Write which file some code is in, without folders; a notebook's cell by number.

    Cells are compiled under names that say nothing: IPython tells what it made of them.
    """
    name = code.co_filename
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    cell_of = getattr(getattr(shell, "compile", None), "format_code_name", None)
    cell = cell_of(name) if cell_of else None
    if cell:
        return " ".join(cell)  # "Cell In[2]"
    return name if name.startswith("<") else os.path.basename(name)


def is_internal(filename: str) -> bool:
    """Whether a code object of that file belongs to the library."""
    if filename not in _internal:
        ours = filename.startswith(_PACKAGE) or f"{os.sep}optree{os.sep}" in filename
        ours = ours or os.sep + "functools.py" in filename
        _internal[filename] = ours or os.sep + "contextlib.py" in filename
    return _internal[filename] is not False


def user_origin(above: int = 1) -> Origin | None:
    """Find the innermost frame of the running thread that is the user's.

    Args:
        above: how many frames are known to be the library's, this one counted.
    """
    frame: FrameType | None = sys._getframe(above)
    known = _internal.get
    while frame is not None:
        # A walk a step of every traced program: one question for most frames.
        name = frame.f_code.co_filename
        ours = known(name)
        if not ours:
            if ours is False or not is_internal(name):
                return Origin(frame.f_code, frame.f_lasti, scope.get())
            found = spoken_for(frame)
            if found is not None:
                return found
        frame = frame.f_back
    return None


def speaks_for(
    function: Callable[..., Any], origin_of: Callable[[FrameType], Origin | None]
) -> None:
    """Let a library function that is running stand for another place of the user's.

    Args:
        function: it repeats what the user's code did elsewhere.
        origin_of: gives that place from the function's frame; None where unknown.
    """
    code = function.__code__
    _internal[code.co_filename] = None
    _speakers.setdefault(code.co_filename, []).append((code, origin_of))


def spoken_for(frame: FrameType) -> Origin | None:
    """Give the place that a frame of the library stands for, if it is known."""
    for code, origin_of in _speakers.get(frame.f_code.co_filename, ()):
        if code is frame.f_code:
            found: Origin | None = origin_of(frame)
            return found
    return None


def called_at() -> str:
    """Write where the user's code now stands, for error messages, or ""."""
    origin = user_origin()
    return f"Called at {origin}." if origin else ""


def defined_at(f: Callable[..., Any]) -> str:
    """Write where a function was defined: `file.py:12`, or its repr."""
    function: Any = f
    while True:
        inner = getattr(function, "__wrapped__", None) or getattr(
            function, "func", None
        )
        if inner is None:
            break
        function = inner
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    if code is None:
        return repr(f)
    return f"{file_name(code)}:{code.co_firstlineno}"


def name_of(f: Any) -> str:
    """Give the best name of any callable."""
    while True:
        name = getattr(f, "__name__", None)
        if isinstance(name, str):
            return name
        inner = getattr(f, "func", None) or getattr(f, "__wrapped__", None)
        if inner is None:
            return type(f).__name__
        f = inner
