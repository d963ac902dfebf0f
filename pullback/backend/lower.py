"""A jaxpr as a StableHLO module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pullback.backend.stablehlo import Emitter, identifier
from pullback.collector import resting_collector
from pullback.core.jaxpr import Jaxpr


class Module:
    """A StableHLO module as text, with the Python callables it calls back."""

    __slots__ = ("callbacks", "text")

    def __init__(self, text: str, callbacks: Sequence[Callable[..., Any]]) -> None:
        self.text = text
        self.callbacks = tuple(callbacks)


def lower(jaxpr: Jaxpr, donated: Sequence[bool] = (), platform: str = "cpu") -> Module:
    """Write a program as a module with one public function `main`.

    Args:
        jaxpr: the program.
        donated: for each input, whether its memory may be reused for a result.
        platform: "cpu" or "cuda".
    """
    emitter = Emitter(platform)
    marks = [*donated, *[False] * (len(jaxpr.inputs) - len(donated))]
    with resting_collector():
        main = emitter.function(jaxpr, "public @main", marks)
    functions = "".join([main, *emitter.functions.values()])
    text = f"module @{identifier(jaxpr.name)} {{\n{functions}}}\n"
    return Module(text, emitter.callbacks)
