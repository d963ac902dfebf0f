"""What was checked of a custom rule and what came out, as text and as HTML."""

from __future__ import annotations

from collections.abc import Sequence

from pullback.core.frozen import frozen
from pullback.lazy import html


@frozen
class Line:
    """One thing that was checked.

    Fields:
        check: what was checked: "primal output", "derivative", "linearity" and so on.
        rule: the rule's name and which slot it fills, "" where it is about all rules.
        argument: the argument it is about, with the path of the worst entry.
        passed: whether it is right; None where it could not be checked.
        found, wanted: the two numbers of the worst entry, as text.
        diagnosis: what would explain the difference.
        place: where the rule was defined.
    """

    check: str
    rule: str = ""
    argument: str = ""
    passed: bool | None = True
    found: str = ""
    wanted: str = ""
    diagnosis: str = ""
    place: str = ""

    @property
    def mark(self) -> str:
        """The outcome in one word."""
        return {True: "ok", False: "FAIL", None: "skip"}[self.passed]

    def sentence(self, function: str) -> str:
        """Say it in full, for an error message."""
        at = f" (at {self.place})" if self.place else ""
        text = f"{function}: {self.check}"
        text += f" of {self.rule}{at}" if self.rule else ""
        text += f", {self.argument}" if self.argument else ""
        if self.found or self.wanted:
            text += f": found {self.found}, wanted {self.wanted}"
        return f"{text}: {self.diagnosis}" if self.diagnosis else f"{text}."


@frozen
class RuleReport:
    """All that was checked of a function's custom rules; prints as a table.

    Fields:
        function: the function's name.
        title: the function, its rules and its arguments.
        lines: what was checked, in order.
    """

    function: str
    title: str
    lines: Sequence[Line] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return all(line.passed is not False for line in self.lines)

    @property
    def failures(self) -> list[Line]:
        """The lines that failed."""
        return [line for line in self.lines if line.passed is False]

    def __bool__(self) -> bool:
        """Whether nothing failed."""
        return self.passed

    def error_text(self) -> str:
        """Give one sentence a failing line."""
        return "\n".join(line.sentence(self.function) for line in self.failures)

    def rows(self) -> list[tuple[str, ...]]:
        """Give the table's cells, headings first."""
        table: list[tuple[str, ...]] = [
            ("", "check", "rule", "argument", "found", "wanted", "diagnosis")
        ]
        for x in self.lines:
            rule = f"{x.rule} at {x.place}" if x.place and x.passed is False else x.rule
            cells = (x.mark, x.check, rule, x.argument, x.found, x.wanted, x.diagnosis)
            table.append(cells)
        return table

    def __str__(self) -> str:
        """Write the table as text."""
        table = self.rows()
        widths = [max(len(row[i]) for row in table) for i in range(6)]
        lines = [self.title]
        for row in table:
            cells = [cell.ljust(w) for cell, w in zip(row, widths)]
            lines.append("  " + "  ".join([*cells, row[6]]).rstrip())
        wrong = len(self.failures)
        lines.append(
            f"{wrong} of {len(self.lines)} checks failed."
            if wrong
            else f"All {len(self.lines)} checks passed."
        )
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Write the table for a notebook; wrong lines are red, with bold marks."""
        colours = {"ok": "#1a7f37", "FAIL": "#cf222e", "skip": "#6e7781", "": "inherit"}
        head, *body = self.rows()
        cells = "".join(
            f"<th style='text-align:left'>{html.escape(c)}</th>" for c in head
        )
        rows = [f"<tr>{cells}</tr>"]
        for row in body:
            cells = "".join(
                f"<td style='text-align:left'>{html.escape(c)}</td>" for c in row[1:]
            )
            mark = f"<td style='color:{colours[row[0]]}'><b>{row[0]}</b></td>"
            rows.append(f"<tr>{mark}{cells}</tr>")
        title = f"<p><code>{html.escape(self.title)}</code></p>"
        return f"{title}<table>{''.join(rows)}</table>"


def number_text(x: float) -> str:
    """Write a number so that differences show."""
    return f"{float(x):.7g}"
