"""An example of the document: code that prints, and the text it should print."""

import contextlib
import inspect
import io
import itertools
import re
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

RELATIVE_TOLERANCE = 1e-5  # of float32 arithmetic in another order

_NUMBER = re.compile(r"(?<![\w.])-?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|nan|inf)(?!\w)")
_EQUATION = re.compile(r"= (\w+)")


@dataclass(frozen=True)
class Curve:
    """A labelled line of a plot, and the values it should have."""

    label: str
    y: np.ndarray
    exact: np.ndarray

    @property
    def agrees(self) -> bool:
        """Whether the line lies on the exact one, as far as an eye can tell."""
        return bool(np.allclose(self.y, self.exact, atol=1e-5))


@dataclass(frozen=True)
class Figure:
    """What an example draws."""

    name: str
    title: str
    x: np.ndarray
    curves: tuple[Curve, ...]

    @property
    def agrees(self) -> bool:
        """Whether every line agrees."""
        return all(curve.agrees for curve in self.curves)


@dataclass(frozen=True)
class Section:
    """A part of the document, and what it is about."""

    title: str
    about: str


@dataclass(frozen=True)
class Example:
    """A piece of the document's code, with what the document prints below it."""

    section: Section
    title: str
    run: Callable[[], Figure | None]
    document: str = ""
    jaxpr: bool = False

    @property
    def source(self) -> str:
        """The code, as it stands inside the function that holds it."""
        lines = inspect.getsource(self.run).splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith("def ")) + 1
        return textwrap.dedent("\n".join(lines[start:])).strip()


@dataclass(frozen=True)
class Line:
    """A printed line beside the document's."""

    ours: str
    document: str | None
    agrees: bool


@dataclass(frozen=True)
class Outcome:
    """What an example did."""

    example: Example
    lines: tuple[Line, ...]
    figure: Figure | None
    seconds: float

    @property
    def agrees(self) -> bool:
        """Whether all that can be compared agrees."""
        drawn = self.figure is None or self.figure.agrees
        return drawn and all(line.agrees for line in self.lines)


def perform(example: Example) -> Outcome:
    """Run an example and hold what it prints against the document."""
    output = io.StringIO()
    figure, failed = None, False
    start = time.perf_counter()
    with contextlib.redirect_stdout(output):
        try:
            figure = example.run()
        except Exception as error:
            print(f"{type(error).__name__}: {error}")
            failed = True
    seconds = time.perf_counter() - start
    ours, document = output.getvalue().strip(), example.document
    if failed:
        lines = [Line(ours, document, False)]
    elif example.jaxpr:
        lines = [Line(ours, document or None, operations_agree(ours, document))]
    else:
        lines = compare_lines(ours, document)
    return Outcome(example, tuple(lines), figure, seconds)


def compare_lines(ours: str, document: str) -> list[Line]:
    """Pair printed lines with the document's; all free if it prints none."""
    if not document:
        return [Line(line, None, True) for line in ours.splitlines()]
    pairs = itertools.zip_longest(
        ours.splitlines(), document.splitlines(), fillvalue=""
    )
    return [Line(mine, theirs, text_agrees(mine, theirs)) for mine, theirs in pairs]


def text_agrees(ours: str, document: str) -> bool:
    """Compare words exactly and numbers to the tolerance."""
    if document.startswith("ERROR!"):
        return document.rstrip(".") in ours
    words, numbers = _words_and_numbers(ours)
    want_words, want_numbers = _words_and_numbers(document)
    close = len(numbers) == len(want_numbers) and np.allclose(
        numbers, want_numbers, rtol=RELATIVE_TOLERANCE, atol=0.0, equal_nan=True
    )
    return words == want_words and close


def operations_agree(ours: str, document: str) -> bool:
    """Compare the operations of two jaxprs; how they are printed is free."""
    return not document or _EQUATION.findall(ours) == _EQUATION.findall(document)


def _words_and_numbers(text: str) -> tuple[str, list[float]]:
    text = re.sub(r"\b(?:DeviceArray|Array|array)\(", "Array(", text)
    text = text.replace(", weak_type=True", "")
    text = re.sub(r"\s+(?=])|(?<=\[)\s+", "", text.strip())
    numbers = [float(number) for number in _NUMBER.findall(text)]
    return re.sub(r" +", " ", _NUMBER.sub("#", text)), numbers
