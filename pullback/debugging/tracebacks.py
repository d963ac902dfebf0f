"""Tracebacks that show the user's frames; the library's own are folded away.

Nothing is done while all goes well: an exception that nobody catches is shown by a hook
of Python, pytest or IPython, and these are told which frames to leave out.
"""

from __future__ import annotations

import builtins
import sys
import threading
from types import TracebackType
from typing import Any

from pullback.config import config
from pullback.core.origin import is_internal
from pullback.errors import PullbackError

_SHOW = "config.update('full_traceback', True) shows them"


def is_ours(tb: TracebackType) -> bool:
    """Whether a frame is the library's; code given to `python -c` is the user's."""
    name = tb.tb_frame.f_code.co_filename
    return name != "<string>" and is_internal(name)


def hides(error: BaseException) -> bool:
    """Whether the library's frames of this exception say nothing to the user.

    They do where the library itself failed, without an error of its own.
    """
    if config.full_traceback:
        return False
    if isinstance(error, PullbackError):
        return True
    tb = error.__traceback__
    while tb is not None and tb.tb_next is not None:
        tb = tb.tb_next
    return tb is not None and not is_ours(tb)


def folded(tb: TracebackType | None) -> tuple[TracebackType | None, int]:
    """Give a traceback without the library's frames, and how many there were.

    A traceback of the library's frames alone stays as it is.
    """
    frames = []
    count = 0
    here = tb
    while here is not None:
        if is_ours(here):
            count += 1
        else:
            frames.append(here)
        here = here.tb_next
    if not frames:
        return tb, 0
    made: TracebackType | None = None
    for entry in reversed(frames):
        made = TracebackType(made, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return made, count


def fold(error: BaseException) -> int:
    """Fold an exception's traceback and those of its causes; count the frames."""
    total = 0
    seen: set[int] = set()
    here: BaseException | None = error
    while here is not None and id(here) not in seen:
        seen.add(id(here))
        if hides(here):
            here.__traceback__, count = folded(here.__traceback__)
            total += count
        here = here.__cause__ or here.__context__
    return total


def fold_uncaught(error: BaseException) -> None:
    """Fold an exception that is about to be shown, and say so in a note."""
    count = fold(error)
    if count:
        error.add_note(f"({count} frames inside pullback are folded; {_SHOW}.)")


def install() -> None:
    """Tell Python, threads, pytest and IPython how to show uncaught exceptions."""
    shown_before = sys.excepthook
    thread_before = threading.excepthook

    def excepthook(
        kind: type[BaseException], error: BaseException, tb: TracebackType | None
    ) -> None:
        fold_uncaught(error)
        shown_before(kind, error, error.__traceback__)

    def thread_hook(args: Any) -> None:
        if args.exc_value is not None:
            fold_uncaught(args.exc_value)
            values = (args.exc_type, args.exc_value, args.exc_value.__traceback__)
            args = threading.ExceptHookArgs((*values, args.thread))
        thread_before(args)

    sys.excepthook = excepthook
    threading.excepthook = thread_hook
    hide_from_pytest()
    hide_from_notebooks()


def hide_from_pytest() -> None:
    """Mark the library's modules as pytest wants it: it asks when a test has failed."""

    def hidden(info: Any = None) -> bool:
        return info is None or hides(info.value)

    for name, module in list(sys.modules.items()):
        if name == "pullback" or name.startswith("pullback."):
            module.__dict__.setdefault("__tracebackhide__", hidden)


def hide_from_notebooks() -> None:
    """Let IPython show folded tracebacks, unless somebody else has asked it already."""
    get_shell = getattr(builtins, "get_ipython", None)
    shell = get_shell() if get_shell is not None else None
    taken: Any = getattr(shell, "custom_exceptions", None)
    if shell is None or taken:
        return

    def show(
        shell: Any,
        kind: type[BaseException],
        error: BaseException,
        tb: TracebackType | None,
        tb_offset: int | None = None,
    ) -> Any:
        fold_uncaught(error)
        shell.showtraceback((kind, error, error.__traceback__), tb_offset=tb_offset)

    shell.set_custom_exc((Exception,), show)
