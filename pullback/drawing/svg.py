"""Diagrams as SVG: forward pass on the left, backward pass on the right."""

from __future__ import annotations

from collections.abc import Sequence

from pullback.drawing.folding import Box, Diagram, Edge
from pullback.drawing.layout import Layout, Spot, layered
from pullback.lazy import html

CHARACTER, LINE, SIZE = 6.7, 14.0, 11
MARGIN, BETWEEN, HEADER = 24.0, 120.0, 64.0

#: kind -> (fill, border) of boxes.
COLOURS = {
    "input": ("#f6f8fa", "#8c959f"),
    "output": ("#f6f8fa", "#24292f"),
    "operation": ("#eaf2fb", "#4f81bd"),
    "call": ("#e3ecf7", "#1f4e8c"),
    "group": ("#e3ecf7", "#1f4e8c"),
    "rule": ("#fff1d6", "#bf6a00"),
}
BACKWARD = {
    "operation": ("#eaf6ec", "#3c8c4f"),
    "call": ("#dff0e2", "#1f6b33"),
    "group": ("#dff0e2", "#1f6b33"),
}
RESIDUAL = "#c2410c"
FLOW = "#6e7781"


def size_of(box: Box) -> tuple[float, float]:
    """Give the width and height of a box from its text."""
    longest = max(len(line) for line in box.lines)
    return max(44.0, longest * CHARACTER + 16), len(box.lines) * LINE + 8


def svg_of(diagram: Diagram) -> str:
    """Draw a diagram."""
    parts = {part: lay_out(diagram, part) for part in ("forward", "backward")}
    forward, backward = parts["forward"], parts["backward"]
    height = max(forward.height, backward.height)
    move(forward, MARGIN, HEADER, height, upward=False)
    left = MARGIN + forward.width + BETWEEN
    move(backward, left, HEADER, height, upward=True)
    has_backward = bool(backward.spots)
    width = left + backward.width if has_backward else MARGIN + forward.width
    body = [edge_path(e, parts) for e in diagram.edges]
    body += [text for e in diagram.edges for text in edge_labels(e, parts)]
    for box in diagram.boxes:
        body.append(box_shape(box, parts[box.part].spots[box]))
    total_width = max(width + MARGIN, 420.0)
    head = header(diagram, left if has_backward else None)
    return document(total_width, HEADER + height + MARGIN, [*head, *body])


def document(width: float, height: float, body: Sequence[str]) -> str:
    """Wrap shapes in an SVG document."""
    marks = "".join(
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0,0.5 L8,4 L0,7.5 z" '
        f'fill="{colour}"/></marker>'
        for name, colour in (("flow", FLOW), ("residual", RESIDUAL))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" '
        f'font-size="{SIZE}"><defs>{marks}</defs>'
        f'<rect width="100%" height="100%" fill="white"/>\n'
        + "\n".join(body)
        + "\n</svg>"
    )


def header(diagram: Diagram, backward: float | None) -> list[str]:
    """Write the title and what colours mean."""
    title = f"{diagram.name}: {diagram.operations} operations"
    out = [text(MARGIN, 20, title, "start", "#24292f", 13, bold=True)]
    out.append(text(MARGIN, 44, "forward pass", "start", "#1f4e8c", SIZE))
    if backward is not None:
        out.append(
            text(backward, 44, "backward pass (upwards)", "start", "#1f6b33", SIZE)
        )
        x = MARGIN + len(title) * 8 + 30
        out.append(
            f'<path d="M{x:.0f},16 h28" stroke="{RESIDUAL}" stroke-dasharray="5 3" '
            'fill="none"/>'
        )
        out.append(text(x + 34, 20, "residual", "start", RESIDUAL, SIZE))
        fill, border = COLOURS["rule"]
        out.append(
            f'<rect x="{x + 110:.0f}" y="9" width="20" height="13" rx="3" '
            f'fill="{fill}" stroke="{border}" stroke-width="2"/>'
        )
        out.append(text(x + 136, 20, "custom rule", "start", border, SIZE))
    return out


def lay_out(diagram: Diagram, part: str) -> Layout:
    """Lay out the boxes of one pass."""
    boxes = [b for b in diagram.boxes if b.part == part]
    edges = [
        (e.source, e.target)
        for e in diagram.edges
        if e.source.part == part and e.target.part == part
    ]
    ends = frozenset(b for b in boxes if b.kind == "output" and part == "forward")
    return layered({b: size_of(b) for b in boxes}, edges, sinks_last=ends)


def move(layout: Layout, x: float, y: float, height: float, upward: bool) -> None:
    """Stretch a layout to a height, turn it over if it goes upward, and shift it."""
    factor = height / layout.height if layout.height else 1.0
    factor = min(factor, 3.0)
    seen: set[int] = set()
    for spot in [
        *layout.spots.values(),
        *(s for r in layout.routes.values() for s in r),
    ]:
        if id(spot) in seen:
            continue
        seen.add(id(spot))
        spot.x += x
        spot.y *= factor
        spot.y = y + (height - spot.y if upward else spot.y)


def box_shape(box: Box, spot: Spot) -> str:
    """Draw a box with its lines; custom rules and folded ones stand out."""
    colours = {**COLOURS, **BACKWARD} if box.part == "backward" else COLOURS
    fill, border = colours[box.kind]
    width, height = spot.width, spot.height
    x, y = spot.x - width / 2, spot.y - height / 2
    round_ = 11 if box.kind in ("input", "output") else 3
    stroke = 2 if box.kind in ("rule", "output") else 1
    out = [f"<g><title>{html.escape(box.tip or ' '.join(box.lines))}</title>"]
    if box.kind == "group":
        out.append(
            f'<rect x="{x + 4:.1f}" y="{y + 4:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}" rx="3" fill="{fill}" stroke="{border}"/>'
        )
    out.append(
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'rx="{round_}" fill="{fill}" stroke="{border}" stroke-width="{stroke}"/>'
    )
    for i, line in enumerate(box.lines):
        colour = "#24292f" if i == 0 else "#57606a"
        at = y + LINE * (i + 1)
        out.append(
            text(
                spot.x,
                at,
                line,
                "middle",
                colour,
                SIZE,
                bold=box.kind == "rule" and i == 0,
            )
        )
    return "".join([*out, "</g>"])


def text(
    x: float,
    y: float,
    words: str,
    anchor: str,
    colour: str,
    size: int,
    bold: bool = False,
    halo: bool = False,
) -> str:
    """Write text; with a halo it stands out from lines below it."""
    weight = ' font-weight="bold"' if bold else ""
    if halo:
        weight += ' stroke="white" stroke-width="3" paint-order="stroke"'
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" '
        f'font-size="{size}"{weight}>{html.escape(words)}</text>'
    )


def points_of(edge: Edge, parts: dict[str, Layout]) -> list[tuple[float, float]]:
    """Give the points an edge passes, from border to border."""
    if edge.residual:
        a = parts[edge.source.part].spots[edge.source]
        b = parts[edge.target.part].spots[edge.target]
        return [(a.x + a.width / 2, a.y), (b.x - b.width / 2, b.y)]
    way = parts[edge.source.part].routes[edge.source, edge.target]
    a, b = way[0], way[-1]
    down = 1 if b.y > a.y else -1
    return [
        (a.x, a.y + down * a.height / 2),
        *[(s.x, s.y) for s in way[1:-1]],
        (b.x, b.y - down * b.height / 2),
    ]


def edge_path(edge: Edge, parts: dict[str, Layout]) -> str:
    """Draw an edge as a smooth line."""
    points = points_of(edge, parts)
    (x, y), *rest = points
    d = f"M{x:.1f},{y:.1f}"
    for u, v in rest:
        if edge.residual:
            bend = max(40.0, (u - x) / 2)
            d += f" C{x + bend:.1f},{y:.1f} {u - bend:.1f},{v:.1f} {u:.1f},{v:.1f}"
        else:
            half = (y + v) / 2
            d += f" C{x:.1f},{half:.1f} {u:.1f},{half:.1f} {u:.1f},{v:.1f}"
        x, y = u, v
    types = html.escape(", ".join(edge.types))
    colour, name = (RESIDUAL, "residual") if edge.residual else (FLOW, "flow")
    dashes = ' stroke-dasharray="5 3" stroke-opacity="0.6"' if edge.residual else ""
    return (
        f'<path d="{d}" fill="none" stroke="{colour}"{dashes} '
        f'marker-end="url(#{name})"><title>{types}</title></path>'
    )


def edge_labels(edge: Edge, parts: dict[str, Layout]) -> list[str]:
    """Write the types of an edge's values; inputs and results say their own."""
    if edge.source.kind == "input" or edge.target.kind == "output":
        return []
    points = points_of(edge, parts)
    shown = edge.types[0] + (f" +{len(edge.types) - 1}" if len(edge.types) > 1 else "")
    if edge.residual:
        (x, y), (u, v) = points
        return [text(x + 6, y - 3, shown, "start", RESIDUAL, 9, halo=True)]
    (x, y), (u, v) = points[0], points[1]
    return [text((x + u) / 2 + 4, (y + v) / 2 + 3, shown, "start", FLOW, 9, halo=True)]
