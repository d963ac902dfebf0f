"""Reductions in steps: any length and axis, against NumPy, with the special values."""

import itertools

import numpy as np
import pytest

from pullback import dtypes
from pullback.calls.jit import jit
from pullback.config import config
from pullback.core.array import from_host
from pullback.primitives import reduction
from pullback.primitives.host_reduce import FEW, PIECES, group, stretch
from pullback.primitives.order import ordered_bits
from pullback.primitives.table import sin

RNG = np.random.default_rng(7)
SHAPES = [(40, 70), (7, 331), (3, 64, 40), (5, 100, 9), (2, 0)]
LENGTHS = [33, 63, 64, 100, 127, 1000, 2048, 4095, 4097, 10_007, 31_744, 100_000]
EXTREMES = ((reduction.reduce_max, np.max), (reduction.reduce_min, np.min))


def compiled(f, x, *rest):
    return np.asarray(jit(lambda x: f(x, *rest))(from_host(x)))


@pytest.mark.parametrize("n", LENGTHS)
def test_a_group_is_all_or_one_of_many(n):
    for inner in (1, 10, 64, 5000):
        if (found := group(n, inner)) is not None:
            rows, length = found
            assert n % (rows * length) == 0
            assert n // (rows * length) == 1 or n // (rows * length) > FEW


@pytest.mark.parametrize("n", [*LENGTHS, 997, 1994])
def test_a_stretch_divides_and_is_no_longer_than_its_pieces(n):
    found = stretch(n)
    if found is None:
        assert not any(n % k == 0 for k in range(FEW + 1, FEW * PIECES + 1))
    else:
        assert n % found == 0
        assert FEW < found <= FEW * PIECES


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "f4"])
@pytest.mark.parametrize("n", [33, 47, 64, 100, 384, 500, 777, 997, 1994, 4097])
def test_rows_of_any_length_are_folded_right(dtype, n):
    x = RNG.integers(0, 2**30, (80, n)).astype(dtype)
    x[:, RNG.integers(n)] = 3
    row = ((1,),)
    for f, g in EXTREMES:
        np.testing.assert_array_equal(compiled(f, x, *row), g(x, 1))
    if dtype == "f4":
        x = RNG.uniform(0.9, 1.1, x.shape).astype(dtype)
        found = compiled(reduction.reduce_prod, x, *row)
        np.testing.assert_allclose(found, np.prod(x, 1), rtol=1e-4)
        return
    x |= 1
    found = compiled(reduction.reduce_prod, x, *row)
    np.testing.assert_array_equal(found, np.prod(x, 1, dtype=dtype))
    found = compiled(reduction.reduce_xor, x, *row)
    np.testing.assert_array_equal(found, np.bitwise_xor.reduce(x, 1))


@pytest.mark.parametrize("n", LENGTHS)
def test_integers_of_any_number_are_folded_right(n):
    x = RNG.integers(-(2**31), 2**31, n, dtype=np.int32)
    for f, g in ((reduction.reduce_max, np.max), (reduction.reduce_xor, None)):
        wanted = np.bitwise_xor.reduce(x) if g is None else g(x)
        assert compiled(f, x, (0,)) == wanted
    x = np.ones(n, bool)
    assert compiled(reduction.reduce_and, x, (0,))
    x[RNG.integers(n)] = False
    assert not compiled(reduction.reduce_and, x, (0,))


@pytest.mark.parametrize("shape", [*SHAPES, *((n,) for n in LENGTHS)])
@pytest.mark.parametrize("least", [0, 1, 2])
def test_truth_values_are_counted_right_over_every_axis(shape, least):
    x = RNG.integers(0, 3, shape) >= least  # all, most and a third of them
    for size in range(1, x.ndim + 1):
        for axes in itertools.combinations(range(x.ndim), size):
            found = compiled(reduction.count, x, axes, dtypes.int32)
            assert found.dtype == np.int32
            np.testing.assert_array_equal(found, np.count_nonzero(x, axes))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_axis_is_folded_right(shape):
    x = RNG.integers(-99, 99, shape, dtype=np.int32)
    rank = len(shape)
    for size in range(1, rank + 1):
        for axes in itertools.combinations(range(rank), size):
            found = compiled(reduction.reduce_min, x, axes)
            top = np.iinfo(np.int32).max
            np.testing.assert_array_equal(found, np.min(x, axes, initial=top))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i4", "i8", "u4", "?"])
@pytest.mark.parametrize("shape", [(1,), (37,), (5000,), (1, 9001), (50, 90), (90, 50)])
def test_the_first_of_equal_extremes_is_found(dtype, shape):
    with config.context(enable_x64=True):
        x = RNG.integers(0, 4, shape).astype(dtype)
        for axis, kind in itertools.product(range(len(shape)), ("max", "min")):
            f = getattr(reduction, f"arg{kind}")
            found = compiled(f, x, axis, dtypes.int32)
            np.testing.assert_array_equal(found, getattr(np, f"arg{kind}")(x, axis))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("n", [40, 5001])
def test_nan_wins_and_zeros_of_both_signs_are_equal(dtype, n):
    with config.context(enable_x64=True):
        zeros = np.zeros(n, dtype)
        zeros[::2] = -0.0
        special = RNG.choice(np.array([np.inf, -np.inf, 1, 5e-324], dtype), n)
        undefined = special.copy()
        undefined[[n // 2, n - 3]] = -np.nan
        for x, kind in itertools.product((zeros, special, undefined), ("max", "min")):
            f = getattr(reduction, f"arg{kind}")
            found = compiled(f, x, 0, dtypes.int32)
            assert found == getattr(np, f"arg{kind}")(x)


@pytest.mark.parametrize("descending", [False, True])
def test_the_order_of_integers_is_that_of_the_numbers(descending):
    x = np.array([-np.inf, -3.0, -1e-38, 0.0, 1e-38, 2.0, np.inf], np.float32)
    keys = compiled(ordered_bits, x, descending)
    steps = np.diff(keys.astype(np.int64))
    assert np.all(steps < 0 if descending else steps > 0)
    last = compiled(ordered_bits, np.float32([np.nan, -0.0]), descending)
    assert last[0] == 2**32 - 1
    assert last[1] == keys[3]


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "bfloat16", "float8_e5m2"])
@pytest.mark.parametrize("n", [5, 33, 1000, 2048, 5001])
def test_a_nan_of_either_sign_is_found_wherever_it_is(dtype, n):
    with config.context(enable_x64=True):
        dtype = dtypes.canonical(dtype)
        x = RNG.standard_normal(n).astype(dtype)
        x[[1, -2]] = np.inf, -np.inf
        for place, nan in itertools.product((0, n // 2, n - 1), (np.nan, -np.nan)):
            undefined = x.copy()
            undefined[place] = nan
            for f, _ in EXTREMES:
                assert np.isnan(compiled(f, undefined, (0,)).astype(np.float32))
                assert not np.isnan(compiled(f, x, (0,)).astype(np.float32))


@pytest.mark.parametrize("n", [0, 1, 40, 3000])
def test_extremes_of_zeros_are_zero_and_of_nothing_infinite(n):
    x = np.zeros((n, 2), np.float32)
    x[::2] = -0.0
    for (f, g), empty in zip(EXTREMES, (-np.inf, np.inf)):
        for axes in ((0,), (0, 1)):
            np.testing.assert_array_equal(
                compiled(f, x, axes), g(x, axes, **({} if n else {"initial": empty}))
            )


@pytest.mark.parametrize("shape", [(7, 60, 50), (3, 5, 40, 40), (40, 3, 4, 40)])
def test_axes_that_are_apart_are_folded_right(shape):
    x = RNG.standard_normal(shape).astype(np.float32)
    for axes in itertools.combinations(range(len(shape)), 2):
        for f, g in EXTREMES:
            np.testing.assert_array_equal(compiled(f, x, axes), g(x, axes))
        np.testing.assert_array_equal(
            compiled(reduction.reduce_prod, np.sign(x), axes), np.prod(np.sign(x), axes)
        )


@pytest.mark.parametrize("shape", [(5001,), (50, 200), (50, 64)])
def test_what_is_computed_before_is_folded_right(shape):
    x = RNG.uniform(1, 3, shape).astype(np.float32)
    axis = (len(shape) - 1,)
    found = compiled(lambda x: reduction.reduce_max(sin(x), axis), x)
    np.testing.assert_allclose(found, np.sin(x).max(axis), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
def test_one_nan_is_the_greatest_and_the_least(dtype, axes):
    # The compiler's own code for reductions of many floats passes nan over.
    with config.context(enable_x64=True):
        for shape in ((3, 4), (50, 100), (1000, 10), (2, 20_000)):
            x = RNG.standard_normal(shape).astype(dtype)
            x.flat[[0, -1]] = np.inf, -np.inf
            x.flat[x.size // 2] = np.nan
            for f, g in EXTREMES:
                np.testing.assert_array_equal(compiled(f, x, axes), g(x, axes))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_the_extremes_of_all_elements_are_elements(dtype):
    with config.context(enable_x64=True):
        for low, high in ((-5, 5), (1, 2), (-2, -1), (0, 1e-5)):
            x = RNG.uniform(low, high, (60, 70)).astype(dtype)
            assert compiled(reduction.reduce_max, x, (0, 1)) == x.max()
            assert compiled(reduction.reduce_min, x, (0, 1)) == x.min()
        for infinite in (np.inf, -np.inf):
            x = np.full(5000, infinite, dtype)
            assert compiled(reduction.reduce_max, x, (0,)) == infinite
            assert compiled(reduction.reduce_min, x, (0,)) == infinite
