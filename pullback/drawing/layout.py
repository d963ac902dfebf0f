"""Where boxes and edges go: layers, few crossings, straight lines.

The method is Sugiyama's (Sugiyama, Tagawa, Toda, IEEE Trans. SMC-11 (1981) 109): layers
by longest paths, long edges through invisible points, orders by barycentres in sweeps.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

GAP = 26.0
SWEEPS = 12


@dataclass(slots=True, eq=False)
class Spot:
    """A place in a layer: a box, or a point that a long edge passes through.

    Fields:
        key: what it stands for; None for a passing edge.
        width, height: its size.
        layer: which layer it is in.
        x, y: the middle.
    """

    key: Hashable
    width: float
    height: float
    layer: int = 0
    x: float = 0.0
    y: float = 0.0
    above: list[Spot] = field(default_factory=list)
    below: list[Spot] = field(default_factory=list)


@dataclass(slots=True)
class Layout:
    """Places of all boxes, and the points that edges pass.

    Fields:
        spots: box -> place.
        routes: (source, target) -> the places on the way, ends included.
        width, height: the size of the whole.
    """

    spots: dict[Hashable, Spot]
    routes: dict[tuple[Hashable, Hashable], list[Spot]]
    width: float
    height: float


def layered(
    sizes: dict[Hashable, tuple[float, float]],
    edges: Sequence[tuple[Hashable, Hashable]],
    spacing: float = 34.0,
    sinks_last: frozenset[Hashable] = frozenset(),
) -> Layout:
    """Lay out a graph without cycles, from top to bottom.

    Args:
        sizes: node -> (width, height), in an order that edges follow.
        edges: pairs of nodes.
        spacing: the distance between layers.
        sinks_last: nodes that go to the last layer.
    """
    spots = {key: Spot(key, w, h) for key, (w, h) in sizes.items()}
    assign_layers(spots, edges, sinks_last)
    layers: list[list[Spot]] = [
        [] for _ in range(1 + max((s.layer for s in spots.values()), default=0))
    ]
    for spot in spots.values():
        layers[spot.layer].append(spot)
    routes = {(a, b): route(spots[a], spots[b], layers) for a, b in edges}
    order_layers(layers)
    place_across(layers)
    height = place_down(layers, spacing)
    left = min((s.x - s.width / 2 for s in spots.values()), default=0.0)
    everything = [s for layer in layers for s in layer]
    left = min((s.x - s.width / 2 for s in everything), default=left)
    for spot in everything:
        spot.x -= left
    width = max((s.x + s.width / 2 for s in everything), default=0.0)
    return Layout(spots, routes, width, height)


def assign_layers(
    spots: dict[Hashable, Spot],
    edges: Sequence[tuple[Hashable, Hashable]],
    sinks_last: frozenset[Hashable],
) -> None:
    """Put each node one below its lowest source, and inputs right above their use."""
    sources: dict[Hashable, list[Hashable]] = {key: [] for key in spots}
    targets: dict[Hashable, list[Hashable]] = {key: [] for key in spots}
    for a, b in edges:
        sources[b].append(a)
        targets[a].append(b)
    for key, spot in spots.items():
        spot.layer = max((spots[a].layer + 1 for a in sources[key]), default=0)
    for key, spot in reversed(spots.items()):
        if targets[key] and not sources[key]:
            spot.layer = min(spots[b].layer for b in targets[key]) - 1
    last = max((s.layer for s in spots.values()), default=0)
    for key in sinks_last:
        if key in spots and not targets[key]:
            spots[key].layer = last


def route(a: Spot, b: Spot, layers: list[list[Spot]]) -> list[Spot]:
    """Let an edge pass through a point in each layer between its ends."""
    path = [a]
    for n in range(a.layer + 1, b.layer):
        point = Spot(None, 10.0, 0.0, n)
        layers[n].append(point)
        path.append(point)
    path.append(b)
    for one, two in itertools.pairwise(path):
        one.below.append(two)
        two.above.append(one)
    return path


def order_layers(layers: list[list[Spot]]) -> None:
    """Order each layer by the middle of what its nodes are connected to."""
    best, fewest = [list(x) for x in layers], crossings(layers)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        sequence = range(1, len(layers)) if down else range(len(layers) - 2, -1, -1)
        for n in sequence:
            fixed = layers[n - 1 if down else n + 1]
            place = {id(s): i for i, s in enumerate(fixed)}
            own = {id(s): i for i, s in enumerate(layers[n])}

            def middle(
                s: Spot,
                place: dict[int, int] = place,
                own: dict[int, int] = own,
                down: bool = down,
            ) -> float:
                near = [place[id(t)] for t in (s.above if down else s.below)]
                return sum(near) / len(near) if near else float(own[id(s)])

            layers[n].sort(key=middle)
        count = crossings(layers)
        if count < fewest:
            best, fewest = [list(x) for x in layers], count
        if not fewest:
            break
    for layer, ordered in zip(layers, best):
        layer[:] = ordered


def crossings(layers: list[list[Spot]]) -> int:
    """Count edges that cross between neighbouring layers."""
    total = 0
    for upper, lower in itertools.pairwise(layers):
        place = {id(s): i for i, s in enumerate(lower)}
        ends = [
            place[id(t)]
            for s in upper
            for t in sorted(s.below, key=lambda t: place[id(t)])
        ]
        total += inversions(ends)
    return total


def inversions(numbers: list[int]) -> int:
    """Count pairs out of order, by merging."""
    if len(numbers) < 2:
        return 0
    half = len(numbers) // 2
    left, right = numbers[:half], numbers[half:]
    count = inversions(left) + inversions(right)
    merged, i = [], 0
    for y in right:
        while i < len(left) and left[i] <= y:
            merged.append(left[i])
            i += 1
        count += len(left) - i
        merged.append(y)
    numbers[:] = merged + left[i:]
    return count


def place_across(layers: list[list[Spot]]) -> None:
    """Give each node an x near its neighbours' while layers keep order and gaps."""
    for layer in layers:
        x = 0.0
        for spot in layer:
            spot.x = x + spot.width / 2
            x += spot.width + GAP
        shift = (x - GAP) / 2
        for spot in layer:
            spot.x -= shift
    for sweep in range(2 * SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            settle(layer, [wish(spot, down) for spot in layer])


def wish(spot: Spot, down: bool) -> float:
    """Give the x a node wants: the middle of its neighbours, ends not counting.

    Inputs and results follow the operations, not the other way round.
    """
    near = (
        [t for t in spot.above if t.above]
        if down
        else [t for t in spot.below if t.below]
    )
    if not near:
        near = spot.above + spot.below
        inner = [t for t in near if t.above and t.below]
        near = inner or near
    return sum(t.x for t in near) / len(near) if near else spot.x


def settle(layer: list[Spot], wanted: list[float]) -> None:
    """Move a layer's nodes as near to where they want to be as order and gaps allow.

    Nodes that want to overlap form a block, which goes to the mean of their wishes
    (least squares under order constraints: pool adjacent violators).
    """
    blocks: list[tuple[float, float, int]] = []  # (wish, weight, count)
    offsets: list[float] = []
    at = 0.0
    for i, spot in enumerate(layer):
        if i:
            at += (layer[i - 1].width + spot.width) / 2 + gap(layer[i - 1], spot)
        offsets.append(at)
        block = (wanted[i] - at, weight(spot), 1)
        while blocks and blocks[-1][0] > block[0]:
            other, heavy, count = blocks.pop()
            total = heavy + block[1]
            mean = (other * heavy + block[0] * block[1]) / total
            block = (mean, total, count + block[2])
        blocks.append(block)
    i = 0
    for mean, _, count in blocks:
        for _ in range(count):
            layer[i].x = mean + offsets[i]
            i += 1


def weight(spot: Spot) -> float:
    """Say how much a node's wish counts: ends yield, passing edges stay straight."""
    if spot.key is None:
        return 2.0
    return 1.0 if spot.above and spot.below else 0.01


def gap(a: Spot, b: Spot) -> float:
    """Give the distance between neighbours; passing edges may come closer."""
    return GAP if a.key is not None and b.key is not None else GAP / 2


def place_down(layers: list[list[Spot]], spacing: float) -> float:
    """Give each layer a y; the total height is returned."""
    y = 0.0
    for layer in layers:
        tallest = max((s.height for s in layer), default=0.0)
        for spot in layer:
            spot.y = y + tallest / 2
        y += tallest + spacing
    return max(0.0, y - spacing)
