"""A jaxpr as a StableHLO module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pullback.backend.stablehlo import Emitter, Operand, type_text
from pullback.core.jaxpr import Jaxpr


class Module:
    """A StableHLO module as text, with the Python callables it calls back."""

    __slots__ = ("callbacks", "text")

    def __init__(self, text: str, callbacks: Sequence[Callable[..., Any]]) -> None:
        self.text = text
        self.callbacks = tuple(callbacks)


def lower(
    jaxpr: Jaxpr, donated: Sequence[bool] = (), platform: str = "cpu"
) -> Module:
    """Write a program as a module with one public function `main`.

    Args:
        jaxpr: the program.
        donated: for each input, whether its memory may be reused for a result.
        platform: "cpu" or "cuda".
    """
    emitter = Emitter(platform)
    arguments = [Operand(f"%arg{i}", a) for i, a in enumerate(jaxpr.in_avals)]
    outputs = emitter.jaxpr(jaxpr, arguments)
    emitter.returns("func.return", outputs)
    marks = [*donated, *[False] * (len(arguments) - len(donated))]
    typed = ", ".join(
        f"{x.name}: {type_text(x.aval)}" + (" {jax.buffer_donor = true}" if d else "")
        for x, d in zip(arguments, marks)
    )
    results = ", ".join(type_text(x.aval) for x in outputs)
    body = "\n    ".join(emitter.lines)
    name = "".join(c if c.isalnum() or c == "_" else "_" for c in jaxpr.name)
    text = (
        f"module @{name or 'f'} {{\n"
        f"  func.func public @main({typed}) -> ({results}) {{\n"
        f"    {body}\n  }}\n}}\n"
    )
    return Module(text, emitter.callbacks)
