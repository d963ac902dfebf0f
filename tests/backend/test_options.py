"""Compile flags are chosen by the shape of a program, and change no result."""

import numpy as np
import pytest

from pullback.backend.options import (
    NO_FUSION_EMITTERS,
    SMALL_PROGRAM,
    choose_emitters,
    choose_options,
    largest_array,
    vector_width,
)
from pullback.calls.jit import jit
from pullback.primitives.structural import reduce_sum, transpose
from pullback.primitives.table import add, div, exp, mul, sin, tanh


def text_of(*operations, type="tensor<8x8xf32>"):
    lines = [f'%1 = "stablehlo.{op}"(%0) : ({type}) -> {type}' for op in operations]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        (text_of("sine", "reduce"), NO_FUSION_EMITTERS),
        (text_of("sine", "while"), ()),
        (text_of("dot_general"), NO_FUSION_EMITTERS),
        (text_of("dot_general", type="tensor<512x512xf32>"), ()),
        (text_of("convolution", type="tensor<512x512xf32>"), ()),
        (text_of("transpose", type="tensor<1000x1000xf32>"), NO_FUSION_EMITTERS),
        (text_of("transpose", type="tensor<3000x3000xf32>"), ()),
        (text_of("scatter", type="tensor<1000xf32>"), NO_FUSION_EMITTERS),
        (text_of("scatter", type="tensor<100000xf32>"), ()),
        (text_of("sine", type="tensor<3000x3000xf32>"), NO_FUSION_EMITTERS),
        (text_of(*["sine"] * (SMALL_PROGRAM + 2)), ()),
    ],
)
def test_flags_follow_the_shape_of_the_program(text, chosen):
    assert choose_emitters(text) == chosen
    assert choose_options(text) == vector_width() + chosen


def test_formulas_for_the_host_do_not_count():
    body = "\n".join(["line"] * SMALL_PROGRAM)
    formula = f"  func.func private @host_sin() {{\n{body}\n}}\n"
    text = f"module {{\n  func.func public @main() {{}}\n{formula}}}"
    assert choose_emitters(text) == ()
    assert choose_options(text) == vector_width() + NO_FUSION_EMITTERS


def test_the_largest_array_is_found():
    assert largest_array("tensor<f32>") == 1
    assert largest_array("tensor<3x4xf32>, tensor<5x5xi1>") == 25


@pytest.mark.parametrize(
    "f",
    [
        lambda x: mul(sin(x), exp(tanh(x))),
        lambda x: reduce_sum(mul(x, x), (1,)),
        lambda x: add(transpose(x, (1, 0)), x),
        lambda x: div(exp(x), reduce_sum(exp(x), (0, 1))),
    ],
)
def test_results_do_not_depend_on_the_flags(f):
    lowered = jit(f).lower(np.zeros((64, 64), "f4"))
    x = np.random.default_rng(0).normal(size=(64, 64)).astype("f4")
    usual = lowered.compile({})(x)
    quick = lowered.compile(dict(NO_FUSION_EMITTERS))(x)
    np.testing.assert_allclose(usual, quick, rtol=1e-6)
