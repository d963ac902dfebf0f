"""Walk through the document: run its examples, compare, draw, and write a page."""

import argparse
import sys
from itertools import groupby
from pathlib import Path

from examples.tour import figures, page, terminal, timings
from examples.tour.chapters import EXAMPLES
from examples.tour.example import Outcome, perform


def run_examples(brief: bool) -> list[Outcome]:
    """Run the examples in order; when brief, show only those that disagree."""
    outcomes = []
    progress = terminal.Progress(len(EXAMPLES))
    sections = groupby(EXAMPLES, key=lambda example: example.section)
    for number, (section, examples) in enumerate(sections, start=1):
        if not brief:
            terminal.print_section(number, section)
        for example in examples:
            progress.show(example.title)
            outcome = perform(example)
            progress.advance()
            outcomes.append(outcome)
            if not brief or not outcome.agrees:
                terminal.print_outcome(outcome)
    return outcomes


def run_timings() -> list[timings.Timing]:
    """Time the document's functions under a progress bar."""
    subjects = timings.subjects()
    progress = terminal.Progress(len(subjects))
    measured = []
    for title, call in subjects:
        progress.show(f"timing {title}")
        measured.append(timings.measure(title, call))
        progress.advance()
    terminal.print_timings(measured)
    return measured


def summarize(outcomes: list[Outcome]) -> bool:
    """Print the verdict, and say whether everything agrees."""
    lines = [line for outcome in outcomes for line in outcome.lines]
    compared = [line.agrees for line in lines if line.document is not None]
    agree = all(outcome.agrees for outcome in outcomes)
    print(
        f"\n{terminal.tick(agree)} {sum(compared)} of {len(compared)} results agree "
        f"with the document, in {len(outcomes)} examples."
    )
    return agree


def main() -> int:
    """Run the tour; 1 if any result disagrees with the document, else 0."""
    parser = argparse.ArgumentParser(prog="tour", description=__doc__)
    parser.add_argument("--brief", action="store_true", help="show only what disagrees")
    parser.add_argument("--output", type=Path, default=Path("tour_output"))
    options = parser.parse_args()
    if not options.brief:
        terminal.print_title()

    outcomes = run_examples(options.brief)
    measured = [] if options.brief else run_timings()
    agree = summarize(outcomes)

    options.output.mkdir(parents=True, exist_ok=True)
    drawn = [figures.draw(o.figure, options.output) for o in outcomes if o.figure]
    written = [*drawn, page.write(outcomes, measured, options.output)]
    if not options.brief:
        print("  Written: " + ", ".join(str(path) for path in written))
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
