"""The document's plots."""

from pathlib import Path

from matplotlib.figure import Figure as Canvas

from examples.tour.example import Figure

COLOURS = ("#1f6feb", "#d9730d")


def draw(figure: Figure, folder: Path) -> Path:
    """Write a plot as a PNG file and return its path."""
    canvas = Canvas(figsize=(7.2, 3.6), layout="constrained")
    axes = canvas.subplots()
    for curve, colour in zip(figure.curves, COLOURS, strict=True):
        axes.plot(figure.x, curve.y, color=colour, linewidth=2, label=curve.label)
    axes.axhline(0, color="#888888", linewidth=0.8, zorder=0)
    axes.set(title=figure.title, xlabel="t", xlim=(figure.x[0], figure.x[-1]))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2)
    axes.title.set_horizontalalignment("left")
    axes.title.set_x(0.0)
    path = folder / figure.name
    canvas.savefig(path, dpi=160)
    return path
