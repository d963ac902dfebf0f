"""Compile flags are chosen by the shape of a program, and change no result."""

import numpy as np
import pytest

from pullback import lax
from pullback.backend import options
from pullback.backend.options import (
    NEWER_FUSED_LOOPS,
    NEWER_LOOPS,
    OLDER_LOOPS,
    OWN_SUMS,
    SMALL_PROGRAM,
    WHOLE_LOOPS,
    choose_loops,
    choose_options,
    choose_sums,
    choose_threads,
    choose_width,
    merged,
    vector_width,
)
from pullback.backend.workload import READ, largest_array, nanoseconds
from pullback.calls.jit import jit
from pullback.calls.loops import scan
from pullback.numpy import fft, matmul
from pullback.primitives.structural import reduce_sum, transpose
from pullback.primitives.table import add, atan, atan2, div, exp, mul, neg, sin, tanh

MIDDLING, LARGE = "tensor<100x100xf32>", "tensor<1000x1000xf32>"


def text_of(*operations, type="tensor<8x8xf32>"):
    lines = [f'%1 = "stablehlo.{op}"(%0) : ({type}) -> {type}' for op in operations]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        (text_of("sine", "reduce"), OLDER_LOOPS),
        (text_of("dot_general"), OLDER_LOOPS),
        (text_of("sine", type=MIDDLING), NEWER_FUSED_LOOPS),
        (text_of("sine", "convert", type=MIDDLING), NEWER_FUSED_LOOPS),
        (text_of("add", "dot_general", type=MIDDLING), NEWER_FUSED_LOOPS),
        (text_of("sine", "dot_general", type=MIDDLING), NEWER_LOOPS),
        (text_of("divide", "convolution", type=MIDDLING), NEWER_LOOPS),
        (text_of("sine", "while"), NEWER_LOOPS),
        (text_of("add", "while"), NEWER_FUSED_LOOPS),
        (text_of("transpose", type=MIDDLING) + "\nreturn %1", OLDER_LOOPS),
        (text_of("transpose", type=LARGE), NEWER_FUSED_LOOPS),
        (text_of("scatter", type="tensor<2000xf32>"), OLDER_LOOPS),
        (text_of("scatter", type=LARGE), NEWER_LOOPS),
        (text_of("add", type=LARGE) + "@host_rem_float64", OLDER_LOOPS),
        (text_of("concatenate", type=LARGE), NEWER_FUSED_LOOPS),
        (text_of("concatenate", type="tensor<10000000xf32>"), OLDER_LOOPS),
        (text_of("reduce_window", type="tensor<10000000xf32>"), OLDER_LOOPS),
        (text_of("sine", "concatenate", type="tensor<9999999xf32>"), NEWER_FUSED_LOOPS),
        (text_of(*["add"] * (SMALL_PROGRAM + 2)), NEWER_FUSED_LOOPS),
    ],
)
def test_flags_follow_the_shape_of_the_program(text, chosen):
    assert choose_loops(text) == chosen
    passed = merged(chosen, choose_threads(text))
    assert choose_options(text) == choose_width(text) + passed


@pytest.mark.parametrize("text", [text_of("atan2"), "tensor<4xcomplex<f32>>"])
def test_arc_tangents_have_no_wide_vectors(text):
    assert choose_options(text) == OLDER_LOOPS


@pytest.mark.parametrize(
    ("text", "wide"),
    [
        (text_of("sine"), True),
        (text_of("sine", "while"), False),
        (text_of("add", "while"), True),
        (text_of("sine", "while", type=MIDDLING), True),
        (text_of("sine", "while", type="tensor<65xf32>"), True),
        (
            text_of("dynamic_update_slice", type=LARGE)
            + "\n"
            + text_of("tan", "while"),
            False,
        ),
    ],
)
def test_loops_over_few_elements_have_no_wide_vectors(text, wide):
    assert choose_width(text) == (vector_width() if wide else ())


@pytest.mark.parametrize(
    ("f", "sides", "wide"),
    [
        (matmul, [(30, 20), (20,)], False),
        (matmul, [(30,), (30, 20)], False),
        (matmul, [(30, 64), (64,)], True),
        (matmul, [(30, 1), (1,)], True),
        (matmul, [(30, 20), (20, 30)], True),
        (matmul, [(20,), (20,)], True),
    ],
)
def test_products_of_narrow_matrices_and_vectors_have_no_wide_vectors(f, sides, wide):
    text = jit(f).lower(*[np.ones(s, "f4") for s in sides]).as_text()
    assert "dot_general" in text
    assert choose_width(text) == (vector_width() if wide else ())


def test_transposes_beside_products_are_written_the_newer_way():
    x = np.ones((100, 100), "f4")
    for f, way in (
        (lambda x: matmul(x, transpose(x, (1, 0))), NEWER_FUSED_LOOPS),
        (lambda x: transpose(x, (1, 0)), OLDER_LOOPS),
        (lambda x: (matmul(y := transpose(x, (1, 0)), x), y), NEWER_FUSED_LOOPS),
    ):
        assert choose_loops(jit(f).lower(x).as_text()) == way


def test_formulas_for_the_host_do_not_count():
    body = text_of(*["divide"] * (SMALL_PROGRAM + 2))
    formula = f"  func.func private @host_sin() {{\n{body}\n}}\n"
    text = f"module {{\n  func.func public @main() {{}}\n{formula}}}"
    assert choose_loops(text) == NEWER_FUSED_LOOPS
    assert choose_options(text) == vector_width() + OLDER_LOOPS


def lowered_text(f, size):
    return jit(f).lower(np.ones(size, np.float32)).as_text()


@pytest.mark.parametrize(
    ("f", "size", "whole"),
    [
        (neg, 100, False),  # never split
        (neg, 100_000, True),
        (sin, 10_000, True),
        (sin, 1_000_000, False),
        (exp, 100_000, True),
        (exp, 2_000_000, False),
        (lambda x: sin(sin(sin(x))), 60_000, False),
        (lambda x: neg(fft.rfft(x)), 10_000, False),
    ],
)
@pytest.mark.parametrize("threads", [1, 2, 16])
def test_loops_are_split_where_a_second_thread_gains(
    f, size, whole, threads, monkeypatch
):
    monkeypatch.setattr(options, "compiling_threads", lambda: (threads,))
    found = choose_threads(lowered_text(f, size))
    assert found == (WHOLE_LOOPS if whole and threads > 1 else ())


def test_more_threads_gain_more(monkeypatch):
    text, found = lowered_text(sin, 60_000), []
    for threads in (2, 16):
        monkeypatch.setattr(options, "compiling_threads", lambda n=threads: (n,))
        found.append(choose_threads(text))
    assert found == [WHOLE_LOOPS, ()]


def test_passes_are_switched_off_together():
    both = merged(NEWER_FUSED_LOOPS, WHOLE_LOOPS)
    name, passes = NEWER_FUSED_LOOPS[0][0], "fusion-wrapper,cpu-parallel-task-assigner"
    assert both == ((name, passes),)
    assert merged(OLDER_LOOPS, ()) == OLDER_LOOPS
    assert merged(OLDER_LOOPS, WHOLE_LOOPS) == OLDER_LOOPS + WHOLE_LOOPS


def test_the_time_of_loops_is_estimated_from_the_text():
    size, read = 10_000, READ * 10_000
    once = nanoseconds(lowered_text(sin, size)) - read
    assert 2 * size * 0.3 < once < 3 * size
    twice = nanoseconds(lowered_text(lambda x: sin(sin(x)), size)) - read
    assert twice == pytest.approx(2 * once)
    plain = nanoseconds(lowered_text(neg, size)) - read
    assert 0 < plain < once / 20
    double = "tensor<100xf64>"
    assert nanoseconds(f"  func.func @f %1 = stablehlo.sine %0 : {double}") == (
        pytest.approx(2 * 0.3 * 100 + READ * 100)
    )


@pytest.mark.parametrize(
    ("f", "least"),
    [
        (lambda x: lax.reduce_window(x, 0.0, lax.add, (3,), (1,), "SAME"), 0.4),
        (lambda x: x.at[np.arange(100_000)].add(x), 0.4),
        (lambda x: lax.erf_inv(x), 1.5),
    ],
)
def test_operations_with_regions_and_without_vectors_are_counted(f, least):
    text = jit(f).lower(np.ones(100_000, "f4")).as_text()
    assert nanoseconds(text) >= least * 100_000


def test_a_step_of_a_loop_costs_what_it_computes():
    def step(total, x):
        total = mul(total, x)
        return total, total

    text = jit(lambda xs: scan(step, xs[0], xs)).lower(np.ones((500, 400), "f4"))
    assert 0 < nanoseconds(text.as_text()) < 400


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
@pytest.mark.parametrize("size", [8, 64, 400])
def test_results_do_not_depend_on_the_flags(f, size):
    x = np.random.default_rng(0).normal(size=(size, size)).astype("f4")
    lowered = jit(f).lower(x)
    found = [
        lowered.compile(dict(flags))(x)
        for flags in (NEWER_LOOPS, NEWER_FUSED_LOOPS, OLDER_LOOPS, WHOLE_LOOPS)
    ]
    for other in found[1:]:
        np.testing.assert_allclose(found[0], other, rtol=1e-6)


def test_a_loop_that_may_take_its_operands_memory_is_written_the_newer_way():
    # Its loop is no fusion: the quotient is used twice, and so kept.
    def f(x):
        quotient = div(x, add(x, x))
        return mul(quotient, tanh(quotient))

    text = jit(f).lower(np.ones((64, 64), "f4")).as_text()
    assert choose_loops(text) == NEWER_FUSED_LOOPS


@pytest.mark.parametrize("dtype", ["f2", "f4"])
def test_the_compilers_arc_tangent_is_right_in_large_programs(dtype):
    def f(x, y):
        found = []
        for i in range(SMALL_PROGRAM):
            found.append(add(atan(add(x, float(i))), atan2(add(y, float(i)), 1.0)))
        return found

    x, y = np.linspace(-3, 3, 2 * 64).astype(dtype).reshape(2, 64)
    lowered = jit(f).lower(x, y)
    assert choose_options(lowered.as_text()) == NEWER_FUSED_LOOPS
    for i, found in enumerate(lowered.compile()(x, y)):
        wanted = np.arctan(x + i) + np.arctan2(y + i, 1.0)
        np.testing.assert_allclose(found, wanted, rtol=0.01, atol=0.01)


def sums(*shapes_and_axes):
    def f(*xs):
        return [reduce_sum(x, a) for x, (_, a) in zip(xs, shapes_and_axes)]

    arguments = [np.ones(shape, np.float32) for shape, _ in shapes_and_axes]
    return choose_sums(jit(f).lower(*arguments).as_text())


def test_short_sums_are_the_compilers_own():
    assert sums(((500, 8), (1,))) == OWN_SUMS
    assert sums(((32, 500), (0,))) == OWN_SUMS
    assert sums(((33, 500), (0,))) == ()
    assert sums(((50, 8, 8), (1, 2))) == ()
    assert sums(((500, 8), (1,)), ((100, 50), (1,))) == OWN_SUMS
    assert sums(((500, 8), (1,)), ((400, 50), (1,))) == ()
    assert (
        choose_sums(
            jit(lambda x: reduce_sum(x, (1,)))
            .lower(np.ones((500, 8), np.int32))
            .as_text()
        )
        == ()
    )
