"""The tour as one self-contained HTML page."""

import base64
import html
import io
import keyword
import platform
import tokenize
from collections.abc import Iterator
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

from examples.tour.example import Line, Outcome, Section
from examples.tour.timings import Timing, duration

STYLE = (Path(__file__).parent / "page.css").read_text()


def write(outcomes: list[Outcome], timings: list[Timing], folder: Path) -> Path:
    """Write `index.html` beside the plots, which it carries inside it."""
    sections = [
        (section, list(group))
        for section, group in groupby(outcomes, key=lambda o: o.example.section)
    ]
    body = "\n".join(
        [
            _header(outcomes),
            _contents(sections, bool(timings)),
            *(_section(n, *part, folder) for n, part in enumerate(sections, 1)),
            _timings(timings) if timings else "",
        ]
    )
    path = folder / "index.html"
    path.write_text(
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<title>Pullback: custom derivative rules</title>\n"
        f"<style>\n{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )
    return path


def _header(outcomes: list[Outcome]) -> str:
    lines = [line for outcome in outcomes for line in outcome.lines]
    compared = [line.agrees for line in lines if line.document is not None]
    agree = all(outcome.agrees for outcome in outcomes)
    verdict = f"{sum(compared)} of {len(compared)} results agree with the document"
    made_with = ", ".join(
        [
            f"Python {platform.python_version()}",
            *(f"{name} {version(name)}" for name in ("pullback", "numpy", "jaxlib")),
            f"{platform.system()} {platform.machine()}",
        ]
    )
    return f"""<header>
<h1>Custom derivative rules with Pullback</h1>
<p>Every example of <i>Custom derivative rules for JAX-transformable Python
functions</i> (2020), in its order: the code, what it printed here, and what the
document prints.</p>
<p class="verdict {"good" if agree else "bad"}">{_mark(agree)} {verdict}</p>
<p class="small">{html.escape(made_with)}</p>
</header>"""


def _contents(sections: list[tuple[Section, list[Outcome]]], timed: bool) -> str:
    items = [
        f'<li><a href="#s{number}">{html.escape(section.title)}</a> '
        f"{_mark(all(outcome.agrees for outcome in outcomes))}</li>"
        for number, (section, outcomes) in enumerate(sections, 1)
    ]
    if timed:
        items.append('<li><a href="#timings">How long it takes here</a></li>')
    return f"<nav><ol>{''.join(items)}</ol></nav>"


def _section(
    number: int, section: Section, outcomes: list[Outcome], folder: Path
) -> str:
    articles = "\n".join(_article(outcome, folder) for outcome in outcomes)
    heading = (
        f"<h2>{number}. {html.escape(section.title)}</h2>"
        f"<p>{html.escape(section.about)}</p>"
    )
    return f'<section id="s{number}">\n{heading}\n{articles}\n</section>'


def _article(outcome: Outcome, folder: Path) -> str:
    title = html.escape(outcome.example.title)
    code = "".join(_highlighted(outcome.example.source))
    rows = "".join(_row(line) for line in outcome.lines)
    table = ""
    if rows:
        compared = any(line.document is not None for line in outcome.lines)
        document = "<th>the document</th><th></th>" if compared else ""
        head = f"<tr><th>pullback</th>{document}</tr>"
        table = f'<div class="scroll"><table>{head}{rows}</table></div>'
    return f"""<article>
<h3>{title} <span class="small">{duration(outcome.seconds)}</span></h3>
<pre class="code">{code}</pre>
{table}{_image(outcome, folder)}
</article>"""


def _row(line: Line) -> str:
    ours = f"<td><pre>{html.escape(line.ours)}</pre></td>"
    if line.document is None:
        return f"<tr>{ours}</tr>"
    document = f"<td><pre>{html.escape(line.document)}</pre></td>"
    return f"<tr>{ours}{document}<td class='tick'>{_mark(line.agrees)}</td></tr>"


def _image(outcome: Outcome, folder: Path) -> str:
    if outcome.figure is None:
        return ""
    data = base64.b64encode((folder / outcome.figure.name).read_bytes()).decode()
    title = html.escape(outcome.figure.title)
    return (
        f'<figure><img alt="{title}" src="data:image/png;base64,{data}">'
        f"<figcaption>{_mark(outcome.figure.agrees)} {title}</figcaption></figure>"
    )


def _timings(timings: list[Timing]) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(t.title)}</td><td class='number'>{duration(t.median)}"
        f"</td><td class='number'>{duration(t.least)} to {duration(t.greatest)}</td>"
        "</tr>"
        for t in timings
    )
    head = "<tr><th></th><th>median</th><th>least to greatest</th></tr>"
    return (
        '<section id="timings"><h2>How long it takes here</h2>'
        f'<article class="scroll"><table>{head}{rows}</table></article></section>'
    )


def _mark(agrees: bool) -> str:
    return (
        '<span class="good" title="agrees">✓</span>'
        if agrees
        else '<span class="bad" title="disagrees">✗</span>'
    )


def _highlighted(source: str) -> Iterator[str]:
    """Yield the source as HTML, with keywords, text, numbers and comments marked."""
    lines = source.splitlines(keepends=True)
    at = (1, 0)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        yield html.escape(_between(lines, at, token.start))
        text, kind = html.escape(token.string), _kind(token)
        yield f'<span class="{kind}">{text}</span>' if kind and text else text
        at = token.end


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    (row, column), (last_row, last_column) = start, end
    if row > len(lines):
        return ""
    if row == last_row:
        return lines[row - 1][column:last_column]
    whole = "".join(lines[row : last_row - 1])
    rest = lines[last_row - 1][:last_column] if last_row <= len(lines) else ""
    return lines[row - 1][column:] + whole + rest


def _kind(token: tokenize.TokenInfo) -> str:
    if token.type == tokenize.NAME and keyword.iskeyword(token.string):
        return "keyword"
    names = {
        tokenize.STRING: "string",
        tokenize.NUMBER: "value",
        tokenize.COMMENT: "comment",
    }
    return names.get(token.type, "")
