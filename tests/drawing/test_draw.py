import itertools
import xml.etree.ElementTree as ET
from collections.abc import Hashable
from typing import Any

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import ShapeDtypeStruct, custom_jvp, custom_vjp, draw, jit
from pullback.drawing.folding import diagram_of, fold
from pullback.drawing.layout import Spot, crossings, inversions, layered, settle
from pullback.drawing.program import write_program
from pullback.errors import ArgumentError
from pullback.lax import scan


@custom_vjp
def clip(x):
    return jnp.clip(x, -1, 1)


def clip_fwd(x):
    return clip(x), (x > -1) & (x < 1)


def clip_bwd(inside, g):
    return (jnp.where(inside, g, 0.0),)


clip.defvjp(clip_fwd, clip_bwd)


@custom_jvp
def softplus(x):
    return jnp.log(1.0 + jnp.exp(x))


@softplus.defjvp
def softplus_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return softplus(x), t * (1 - 1 / (1 + jnp.exp(x)))


def layer(w, b, x):
    return clip(jnp.tanh(w @ x + b))


def network(ws, x):
    for w, b in ws:
        x = layer(w, b, x)
    return jnp.sum(x * x)


def weights(count):
    return [(np.ones((4, 4), np.float32), np.ones(4, np.float32))] * count


def texts(picture):
    root = ET.fromstring(str(picture))
    return [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")]


def boxes_of(picture):
    """Give (x, y, width, height) of every box but shadows and the background."""
    root = ET.fromstring(str(picture))
    found = {}
    for g in root.iter("{http://www.w3.org/2000/svg}g"):
        rect = g.findall("{http://www.w3.org/2000/svg}rect")[-1]
        found[id(g)] = [float(rect.attrib[k]) for k in ("x", "y", "width", "height")]
    return root, list(found.values())


def test_operations_types_and_ends_are_shown():
    found = texts(
        draw(lambda w, x: jnp.sin(w @ x).sum())(
            np.ones((3, 4), np.float32), np.ones(4, np.float32)
        )
    )
    for word in (
        "w",
        "f32[3,4]",
        "sin",
        "cos",
        "output",
        "gradient by w",
        "cotangent of output",
    ):
        assert word in found
    assert "f32[3]" in found


def test_custom_rules_are_boxes_of_their_own_with_the_rules_names():
    found = texts(draw(lambda x: softplus(clip(x)))(0.5))
    assert "fwd rule clip_fwd" in found
    assert "bwd rule clip_bwd" in found
    assert "jvp rule softplus_jvp" in found
    assert "jvp rule softplus_jvp, transposed" in found
    assert found.count("clip") == 2


def test_residuals_are_edges_from_forward_to_backward():
    program = write_program(lambda x: jnp.sin(x) * x, (2.0,), {}, True)
    edges = diagram_of(program, 100).edges
    crossing = [e for e in edges if e.residual]
    assert crossing
    assert all(
        e.source.part == "forward" and e.target.part == "backward" for e in crossing
    )
    assert all(e.types for e in edges)


def test_without_the_derivative_there_is_one_pass():
    picture = draw(lambda x: jnp.sin(x), derivative=False)(1.0)
    assert "backward" not in picture


@pytest.mark.parametrize(("count", "widest"), [(1, 1000), (7, 1600), (140, 1600)])
def test_pictures_stay_legible_at_any_size(count, widest):
    picture = draw(network)(weights(count), np.ones(4, np.float32))
    root, boxes = boxes_of(picture)
    assert float(root.attrib["width"]) <= widest
    assert float(root.attrib["height"]) <= 3600
    assert len(boxes) <= 260
    for i, (x, y, w, h) in enumerate(boxes):
        for u, v, p, q in boxes[:i]:
            apart = (
                x + w <= u + 0.2
                or u + p <= x + 0.2
                or y + h <= v + 0.2
                or v + q <= y + 0.2
            )
            assert apart, "boxes overlap"


def test_large_programs_are_folded_by_function():
    found = texts(draw(network)(weights(140), np.ones(4, np.float32)))
    assert any("layer" in t for t in found)
    assert any("custom rules: clip x" in t for t in found)
    assert any(t.endswith("operations") for t in found)


def test_compiled_functions_are_written_out_and_loops_are_boxes():
    found = texts(draw(jit(lambda x: jnp.sin(x)))(1.0))
    assert "sin" in found
    found = texts(
        draw(lambda x: scan(lambda c, a: (c * a, c), x, jnp.arange(3.0))[0])(1.0)
    )
    assert "scan" in found


def test_stand_ins_containers_and_integers_are_taken():
    picture = draw(lambda p, n: p["a"] * n)(
        {"a": ShapeDtypeStruct((3,), np.float32)}, 2
    )
    assert "p['a']" in texts(picture)
    assert "gradient by n" not in texts(picture)


def test_a_picture_shows_itself_and_can_be_saved(tmp_path):
    picture = draw(jnp.sin)(1.0)
    assert picture._repr_svg_().startswith("<svg")
    assert "<svg" in picture._repr_html_()
    assert "characters of SVG" in repr(picture)
    picture.save(tmp_path / "sin.svg")
    assert (tmp_path / "sin.svg").read_text() == str(picture)
    picture.save(str(tmp_path / "sin.html"))
    assert "<svg" in (tmp_path / "sin.html").read_text()
    with pytest.raises(ArgumentError, match=r"\.svg or \.html"):
        picture.save("sin.png")


def test_runs_are_contiguous_and_few():
    program = write_program(network, (weights(50), np.ones(4, np.float32)), {}, True)
    runs = fold(program.forward, program.tags, 40)
    assert [e for run in runs for e in run] == program.forward
    assert len(runs) <= 40


def test_inversions_count_crossing_edges():
    assert inversions([0, 1, 2]) == 0
    assert inversions([2, 1, 0]) == 3


def test_a_crossing_that_can_be_avoided_is():
    sizes: dict[Hashable, Any] = {n: (40.0, 20.0) for n in "abcd"}
    layout = layered(sizes, [("a", "d"), ("b", "c")])
    a, b, c, d = (layout.spots[n] for n in "abcd")
    assert (a.x < b.x) == (d.x < c.x)
    assert crossings([[a, b], [d, c]]) == 0


def test_neighbours_keep_their_order_and_gaps():
    layer_ = [Spot(i, 40.0, 20.0) for i in range(3)]
    settle(layer_, [100.0, 0.0, 0.0])
    xs = [s.x for s in layer_]
    assert xs == sorted(xs)
    assert all(b - a >= 40.0 for a, b in itertools.pairwise(xs))
