"""The tour as text: results beside the document's, and a progress bar."""

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable

from examples.tour.example import Line, Outcome, Section
from examples.tour.timings import Timing, duration

WIDTH = min(100, shutil.get_terminal_size((88, 24)).columns)
COLUMN = (WIDTH - 8) // 2

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "cyan": "36"}


def styled(text: str, *styles: str) -> str:
    """Colour text if somebody is looking."""
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ:
        return text
    codes = ";".join(_STYLES[style] for style in styles)
    return f"\x1b[{codes}m{text}\x1b[0m"


def tick(agrees: bool) -> str:
    """A tick or a cross."""
    return styled("✓", "green") if agrees else styled("✗", "red", "bold")


class Progress:
    """A bar below what has been printed; invisible where output is not watched."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self.visible = sys.stdout.isatty()

    def show(self, doing: str) -> None:
        """Draw the bar with what is being done now."""
        if self.visible:
            size = 28
            full = size * self.done // self.total
            bar = styled("━" * full, "cyan") + styled("━" * (size - full), "dim")
            counted = f"{self.done:>3}/{self.total}"
            doing = doing[: WIDTH - size - len(counted) - 6]
            print(f"\r\x1b[K  {bar} {counted}  {doing}", end="", flush=True)

    def advance(self) -> None:
        """Count one more as done and clear the line for what comes."""
        self.done += 1
        if self.visible:
            print("\r\x1b[K", end="")


def print_title() -> None:
    """Print what this is."""
    print(styled("Custom derivative rules with Pullback, example by example", "bold"))
    print(
        "The document: Custom derivative rules for JAX-transformable Python functions"
    )


def print_section(number: int, section: Section) -> None:
    """Print a heading with a few words, and what the columns below it hold."""
    print()
    print(styled(f"{number}. {section.title}", "bold"))
    print(textwrap.indent(textwrap.fill(section.about, WIDTH - 4), "   "))
    columns = f"     {'pullback':<{COLUMN}}{'the document'}"
    print(styled(columns, "dim"))


def print_outcome(outcome: Outcome) -> None:
    """Print an example's results beside the document's."""
    time = duration(outcome.seconds)
    title = f"  {outcome.example.title} "
    gap = styled("·" * (WIDTH - len(title) - len(time) - 1), "dim")
    print(f"{styled(title, 'cyan')}{gap} {styled(time, 'dim')}")
    for line in outcome.lines:
        print("\n".join(_rows(line)))
    if outcome.figure is not None:
        drawn = f"plot of {' and '.join(c.label for c in outcome.figure.curves)}"
        print(f"   {tick(outcome.figure.agrees)} {drawn} -> {outcome.figure.name}")


def _rows(line: Line) -> Iterable[str]:
    mark = " " if line.document is None else tick(line.agrees)
    ours = line.ours.splitlines() or [""]
    document = (line.document or "").splitlines()
    if line.document is None:
        yield from (f"     {text}" for text in ours)
    elif len(ours) == len(document) == 1 and len(ours[0]) < COLUMN:
        yield f"   {mark} {ours[0]:<{COLUMN}}{document[0]}"
    else:
        yield f"   {mark} {ours[0]}"
        yield from (f"     {text}" for text in ours[1:])
        yield styled("     document:", "dim")
        yield from (styled(f"     {text}", "dim") for text in document)


def print_timings(timings: Iterable[Timing]) -> None:
    """Print a table of times."""
    print()
    print(styled("How long it takes here", "bold"))
    print(styled(f"     {'':<42}{'median':>10}   least to greatest", "dim"))
    for timing in timings:
        spread = f"{duration(timing.least)} to {duration(timing.greatest)}"
        print(f"     {timing.title:<42}{duration(timing.median):>10}   {spread}")
