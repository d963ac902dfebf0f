"""The garbage collector, at rest while a program is written or the library imported."""

from __future__ import annotations

import gc


class resting_collector:
    """Keeps the collector from running inside a `with` block.

    A program is many small objects that all stay: each pass over them is in vain, and
    they take two fifths of the time (`benchmarks`: trace grad, lower).
    """

    __slots__ = ("collects",)

    def __enter__(self) -> None:
        self.collects = gc.isenabled()
        gc.disable()

    def __exit__(self, *_: object) -> None:
        if self.collects:
            gc.enable()
