"""Convolutions, correlations and trends against SciPy."""

import numpy as np
import pytest
import scipy.signal

from pullback import jit
from pullback import numpy as jnp
from pullback.config import config
from pullback.errors import ArgumentError, ShapeError
from pullback.scipy import signal
from tests.rule_checks import check_rules_of

RNG = np.random.default_rng(7)
SHAPES = [
    ((7,), (4,)),
    ((4,), (7,)),
    ((6, 5), (3, 4)),
    ((3, 4), (6, 5)),
    ((4, 3, 5), (2, 2, 3)),
    ((), ()),
]
MODES = pytest.mark.parametrize("mode", ["full", "same", "valid"])


@pytest.fixture(autouse=True)
def wide():
    with config.context(enable_x64=True):
        yield


def two(first, second, complex_=False):
    x, y = RNG.standard_normal(first), RNG.standard_normal(second)
    if complex_:
        x, y = x + 1j * RNG.standard_normal(first), y + 1j * RNG.standard_normal(second)
    return np.asarray(x), np.asarray(y)


@MODES
@pytest.mark.parametrize("name", ["convolve", "correlate"])
@pytest.mark.parametrize("method", ["direct", "fft"])
@pytest.mark.parametrize("shapes", SHAPES)
def test_convolutions_agree(shapes, method, name, mode):
    f = getattr(signal, name)
    for complex_ in (False, True):
        x, y = two(*shapes, complex_)
        if not shapes[0]:
            wanted = x * (y.conj() if name == "correlate" else y)
        else:
            wanted = getattr(scipy.signal, name)(x, y, mode, method)
        for g in (f, jit(f, static_argnums=(2, 3))):
            found = g(jnp.array(x), jnp.array(y), mode, method)
            np.testing.assert_allclose(found, wanted, 1e-9, 1e-11)


@MODES
@pytest.mark.parametrize("boundary", ["fill", "wrap", "symm"])
@pytest.mark.parametrize("name", ["convolve2d", "correlate2d"])
def test_convolutions_of_matrices_agree_for_every_boundary(name, boundary, mode):
    for shapes in (((6, 5), (3, 4)), ((5, 6), (2, 2)), ((2, 3), (5, 6))):
        x, y = two(*shapes)
        found = getattr(signal, name)(x, y, mode, boundary, 1.5)
        wanted = getattr(scipy.signal, name)(x, y, mode, boundary, 1.5)
        np.testing.assert_allclose(found, wanted, 1e-9, 1e-11)


def test_convolutions_along_some_axes_broadcast_along_others():
    x = RNG.standard_normal((3, 8))
    found = signal.fftconvolve(x, x[:1], axes=[1])
    np.testing.assert_allclose(found, scipy.signal.fftconvolve(x, x[:1], axes=[1]))
    np.testing.assert_array_equal(signal.fftconvolve(x, x, axes=[]), x * x)


def test_convolutions_of_integers_are_integers():
    found = signal.convolve(np.arange(6), np.array([1, 2, 0]))
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, np.convolve(np.arange(6), [1, 2, 0]))


@pytest.mark.parametrize(
    "options", [{}, {"axis": 0}, {"type": "constant"}, {"bp": [3, 5]}, {"bp": 4}]
)
def test_trends_agree_and_have_right_rules(options):
    x = RNG.standard_normal((6, 8))
    wanted = scipy.signal.detrend(x, **options)
    np.testing.assert_allclose(signal.detrend(x, **options), wanted, 1e-9, 1e-11)
    check_rules_of(lambda x: signal.detrend(x, **options), x, batched=False)


def test_convolutions_have_right_rules():
    x, y = two((5, 4), (2, 3))
    for f in (signal.convolve, signal.correlate, signal.fftconvolve):
        check_rules_of(lambda x, y, f=f: f(x, y, "same"), x, y)
    check_rules_of(
        lambda x, y: signal.convolve2d(x, y, "same", "symm"), x, y, batched=False
    )


def test_errors_say_what_was_given():
    with pytest.raises(ShapeError, match=r"convolve was given f64\[3\] and f64\[2,2\]"):
        signal.convolve(np.ones(3), np.ones((2, 2)))
    with pytest.raises(ShapeError, match=r"for mode='valid'. .*One must be at least"):
        signal.convolve(np.ones((2, 3)), np.ones((3, 2)), "valid")
    with pytest.raises(ArgumentError, match="convolve was given mode='some'"):
        signal.convolve(np.ones(3), np.ones(2), "some")
    with pytest.raises(ArgumentError, match="convolve2d was given boundary='edge'"):
        signal.convolve2d(np.ones((3, 3)), np.ones((2, 2)), boundary="edge")
    with pytest.raises(ShapeError, match="Give two matrices"):
        signal.convolve2d(np.ones(3), np.ones(2))
    with pytest.raises(ShapeError, match="breaks 9 for 3 elements"):
        signal.detrend(np.ones(3), bp=9)
