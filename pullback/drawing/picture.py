"""`draw`: a picture of what a function and its derivative do."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

from pullback.core.calling import check_callable
from pullback.core.origin import called_at
from pullback.drawing.folding import diagram_of
from pullback.drawing.program import write_program
from pullback.drawing.svg import svg_of
from pullback.errors import ArgumentError


class Picture(str):
    """An SVG document as text; notebooks show it as a picture."""

    __slots__ = ()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file, `.svg` or `.html` by the path's ending.

        Raises:
            ArgumentError: another ending.
        """
        name = os.fspath(path)
        if name.endswith(".html"):
            words = f"<!DOCTYPE html><meta charset='utf-8'>{self._repr_html_()}"
        elif name.endswith(".svg"):
            words = str(self)
        else:
            raise ArgumentError(
                f"a picture cannot be saved as {os.path.basename(name)!r}.",
                where=called_at(),
                mend="Use a name that ends in .svg or .html.",
            )
        with open(name, "w", encoding="utf-8") as file:
            file.write(words)

    def _repr_svg_(self) -> str:
        """Give the SVG, for notebooks."""
        return str(self)

    def _repr_html_(self) -> str:
        """Give the SVG in a frame that scrolls, for notebooks."""
        return f"<div style='overflow:auto; max-height:80vh'>{self!s}</div>"

    def __repr__(self) -> str:
        """Show how large it is, not its source."""
        return f"<picture, {len(self)} characters of SVG>"


def draw(
    f: Callable[..., Any], *, derivative: bool = True, limit: int = 120
) -> Callable[..., Picture]:
    """Give a function that draws what `f` and its backward pass do.

    The forward pass runs down on the left, the backward pass up on the right; residuals
    are dashed edges between them. Types stand on edges. Each custom rule is a box of
    its own with its rule's name. Where there are too many operations to read, those of
    one line or one function are folded into one box; hovering over a box lists them.

    Args:
        f: a function of pytrees of arrays.
        derivative: whether the backward pass is drawn.
        limit: how many boxes a pass may have before it is folded.

    Returns:
        A function of `f`'s arguments (or `ShapeDtypeStruct`s) that gives a `Picture`:
        the SVG, shown in notebooks, with `save(path)`.

    Example:
        >>> import pullback.numpy as jnp
        >>> picture = draw(lambda x: jnp.sin(x) * x)(2.)
        >>> "cos" in picture
        True
    """
    check_callable(f, "draw")

    @functools.wraps(f, assigned=("__module__", "__name__", "__qualname__"), updated=())
    def drawer(*args: Any, **kwargs: Any) -> Picture:
        """Draw the function for these arguments."""
        program = write_program(f, args, kwargs, derivative)
        return Picture(svg_of(diagram_of(program, limit)))

    return drawer
