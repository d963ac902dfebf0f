"""Running combinations in loops: all axes, directions and lengths, against NumPy."""

import itertools

import numpy as np
import pytest

from pullback.calls.jit import jit
from pullback.core.array import from_host
from pullback.primitives import cumulative, host_running

RNG = np.random.default_rng(11)
SHAPES = [(5000,), (4099,), (64, 64), (7, 40, 33), (300, 20), (2000, 3)]
FUNCTIONS = {
    "cumsum": np.add,
    "cumprod": np.multiply,
    "cummax": np.maximum,
    "cummin": np.minimum,
}


def along(ufunc, x, axis, backwards):
    """Give what NumPy accumulates."""
    x = np.flip(x, axis) if backwards else x
    found = ufunc.accumulate(x, axis, x.dtype)
    return np.flip(found, axis) if backwards else found


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_axis_and_direction_agrees_with_numpy(name, shape):
    x = RNG.integers(-3, 4, shape).astype(np.int32)
    for axis, backwards in itertools.product(range(len(shape)), (False, True)):
        run = getattr(cumulative, name)
        f = jit(lambda x, run=run, a=axis, b=backwards: run(x, a, b))
        wanted = along(FUNCTIONS[name], x, axis, backwards)
        np.testing.assert_array_equal(f(from_host(x)), wanted)


@pytest.mark.parametrize("shape", [(5000,), (70, 80)], ids=str)
def test_nan_and_infinity_stay_in_what_follows_them(shape):
    x = RNG.standard_normal(shape).astype(np.float32)
    x.flat[1234], x.flat[3000] = np.inf, np.nan
    for name, ufunc in FUNCTIONS.items():
        if name == "cumprod":  # beyond the range of float32 in another order
            continue
        run = getattr(cumulative, name)
        f = jit(lambda x, run=run: run(x, 0))
        with np.errstate(all="ignore"):
            wanted = along(ufunc, x.astype(np.float64), 0, False)
        np.testing.assert_allclose(f(from_host(x)), wanted, 1e-4, 1e-4)


def test_a_number_without_divisors_has_no_loop():
    assert host_running.step_count(4099) == 0
    assert 5000 % host_running.step_count(5000) == 0
