"""Functions that are computed by formulas on the host."""

import math

import mpmath as mp
import numpy as np
import pytest

import pullback
from pullback import lax
from pullback.backend.stablehlo import Emitter, Operand
from pullback.core.aval import Aval
from pullback.primitives.host_math import circular, range_reduction, rows
from pullback.primitives.host_math.expression import Term
from pullback.primitives.table import sin
from tools import accuracy

FLOATS = (np.dtype("f4"), np.dtype("f8"))


def cases(which):
    """Give the functions that have a formula, with the ranges to try them on."""
    return [
        pytest.param(name, where, id=f"{name}: {where.name}")
        for name, ranges in accuracy.RANGES.items()
        for where in ranges
        if rows.FORMULAS[name][which]
    ]


PAIRS = ("atan2", "pow", "rem")

# In ulp, where float64 is not within 2 either in the compiler's own code.
LOOSE = {"erfc": 4.0, "lgamma": 2e4, "digamma": 1e6}

NUMBERS = [0.0, 0.5, 1.0, 2.0, 2.5, 3.0, 1e30, math.inf]
SPECIAL = np.array([*NUMBERS, *[-x for x in NUMBERS], math.nan])


def compiled(name, *arguments):
    """Compute by a compiled program."""
    f = pullback.jit(lambda *xs: getattr(lax, name)(*xs))
    return np.asarray(f(*arguments))


def repeated(*arguments):
    """Repeat arguments, so that there are enough for a formula."""
    return [np.resize(x, max(len(x), rows.FEW)) for x in arguments]


@pytest.mark.parametrize(("name", "where"), cases(0))
def test_float32_is_correctly_rounded_up_to_a_hair(name, where):
    bound = 1.0 if (name, where.name) == ("lgamma", "around 1 and 2") else 0.51
    assert accuracy.worst(name, where, np.dtype("f4"), 80, seed=1) < bound


@pytest.mark.parametrize(("name", "where"), cases(1))
def test_float64_is_within_two_ulp_where_the_compiler_is(name, where):
    error = accuracy.worst(name, where, np.dtype("f8"), 80, seed=2)
    assert error < LOOSE.get(name, 1.5)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", list(rows.FORMULAS))
def test_formulas_take_zeros_infinities_and_nan_as_numpy_does(name, dtype):
    x = SPECIAL.astype(dtype)
    pair = name in PAIRS
    arguments = [v.ravel() for v in np.meshgrid(x, x)] if pair else [x]
    arguments = repeated(*arguments)
    with pullback.enable_x64(True), np.errstate(all="ignore"):
        found = compiled(name, *arguments)
        wanted = np.asarray(getattr(lax, name)(*arguments))
    # SciPy says -inf of lgamma(-inf), against C and the compiler.
    kept = ~np.isneginf(arguments[0]) if name == "lgamma" else np.full(len(found), True)
    np.testing.assert_allclose(found[kept], wanted[kept], rtol=1e-5, atol=1e-16)
    alike = np.signbit(found) == np.signbit(wanted)
    assert np.all(alike | np.isnan(wanted) | ~kept)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", ["sin", "tan", "asin", "atan"])
def test_odd_functions_keep_zeros_and_subnormal_numbers(name, dtype):
    least = np.finfo(dtype).smallest_subnormal
    (x,) = repeated(np.array([0.0, -0.0, least, -least, 100 * least], dtype))
    with pullback.enable_x64(True):
        found = compiled(name, x)
    assert found.tobytes() == x.tobytes()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", list(rows.FORMULAS))
def test_narrow_floats_agree_with_eager_ones(name, dtype):
    x = lax.convert_element_type(np.linspace(0.1, 0.9, rows.FEW).astype("f4"), dtype)
    arguments = [x, x] if name in PAIRS else [x]
    found = pullback.jit(getattr(lax, name))(*arguments)
    wanted = getattr(lax, name)(*arguments)
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(
        np.asarray(found, "f4"), np.asarray(wanted, "f4"), rtol=0.01
    )


@pytest.mark.parametrize("name", list(rows.FORMULAS))
def test_a_formula_is_one_loop(name):
    # More than one: the compiler writes intermediate arrays to memory, and some of the
    # work is done twice. `expression.halved` says what to do about it.
    for dtype, formula in zip(FLOATS, rows.FORMULAS[name], strict=True):
        # The remainder of float64 chooses between two loops.
        if formula is None or (name, dtype) == ("rem", np.float64):
            continue
        x = np.linspace(0.1, 0.9, 1000).astype(dtype)
        arguments = [x, x] if name in PAIRS else [x]
        with pullback.enable_x64(True):
            f = pullback.jit(lambda *xs: 2 * getattr(lax, name)(*xs) + 1)
            text = f.lower(*arguments).compile().as_text()
        assert text[text.index("ENTRY") :].count(" fusion(") == 1


def test_worst_arguments_of_range_reduction():
    # The float64 nearest to a multiple of pi/2, and the worst float32 (Muller et al.,
    # Handbook of Floating-Point Arithmetic, section 11.1.3).
    for x in (np.float64(6381956970095103 * 2.0**797), np.float32(16367173 * 2.0**72)):
        with pullback.enable_x64(True):
            for name in ("sin", "cos", "tan"):
                found = compiled(name, *repeated(np.array([x])))[0]
                exact = accuracy.EXACT[name](mp.mpf(float(x)))
                assert accuracy.error(found, exact, x.dtype) < 1


def test_digits_are_those_of_the_reciprocal_of_a_turn():
    with mp.workprec(1400):
        digits = int(mp.floor(mp.ldexp(1 / (2 * mp.pi), range_reduction.DIGITS)))
    assert digits == range_reduction.TURNS_PER_RADIAN


def lowered(count, platform="cpu", uses=1):
    """Give an emitter after lowering sine a number of times."""
    ctx = Emitter(platform)
    for _ in range(uses):
        sin.lower(ctx, Operand("%x", Aval((count,), np.dtype("f4"))))
    return ctx


def test_small_arrays_and_other_devices_keep_the_compilers_operation():
    for ctx in (lowered(rows.FEW - 1), lowered(1000, "cuda")):
        assert "stablehlo.sine" in ctx.lines[0]
        assert not ctx.functions


@pytest.mark.parametrize("count", [rows.FEW_REPEATED - 1, rows.FEW_REPEATED])
def test_steps_of_loops_have_formulas_for_fewer_elements(count):
    x = np.linspace(0, 3, count).astype("f4")
    f = pullback.jit(lambda x: lax.fori_loop(0, 5, lambda _, y: sin(y), sin(x)))
    text = f.lower(x).as_text()
    assert ("@host_sin_float32" in text) == (count == rows.FEW_REPEATED)
    # Before the loop it is the compiler's own.
    assert text.index("stablehlo.sine") < text.index("stablehlo.while")
    wanted = x.astype(float)
    for _ in range(6):
        wanted = np.sin(wanted)
    np.testing.assert_allclose(f(x), wanted, rtol=2e-6)


def test_a_formula_is_written_once_and_not_called_too_often():
    ctx = lowered(1000, uses=rows.MANY + 1)
    assert len(ctx.functions) == 1
    assert sum("func.call" in line for line in ctx.lines) == rows.MANY
    assert "stablehlo.sine" in ctx.lines[-1]


def test_terms_emit_each_constant_once():
    ctx = Emitter()
    x = Term(ctx, Operand("%x", Aval((4,), np.dtype("f4"))), {})
    circular.sin_single(x)
    constants = [line.split("=", 1)[1] for line in ctx.lines if "constant" in line]
    assert len(constants) == len(set(constants))


@pytest.mark.parametrize("special", [1.0, 1e300, math.nan, math.inf, 0.0])
def test_remainders_of_float64_are_exact_whatever_is_among_them(special):
    rng = np.random.default_rng(3)
    x = rng.uniform(-50, 50, 2000) * 10.0 ** rng.uniform(-5, 8, 2000)
    y = rng.integers(1, 99, 2000) / 8
    x[:500] = y[:500] * rng.integers(-(10**6), 10**6, 500)
    x[7], y[9] = special, special
    with pullback.enable_x64(True), np.errstate(all="ignore"):
        np.testing.assert_array_equal(compiled("rem", x, y), np.fmod(x, y))
