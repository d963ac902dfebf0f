"""Padding against NumPy, with derivatives."""

import pytest

import pullback.numpy as jnp
from pullback.calls.jit import jit
from pullback.errors import ArgumentError, ShapeError, TracerIntegerError
from tests.numpy.agreement import agrees, has_right_derivatives, integers, normal

A, V, K = normal(3, 4), normal(4), integers(3, 4)
MODES = (
    "constant edge reflect symmetric wrap maximum minimum mean median linear_ramp"
).split()


@pytest.mark.parametrize("mode", MODES)
def test_modes_agree_with_numpy(mode):
    agrees("pad", A, ((1, 2), (2, 1)), mode=mode)
    agrees("pad", V, 7, mode=mode)
    agrees("pad", V, (0, 3), mode=mode)


@pytest.mark.parametrize("mode", ["constant", "edge", "maximum"])
def test_integers_are_padded(mode):
    agrees("pad", K, 1, mode=mode)


def test_options_agree_with_numpy():
    agrees("pad", A, 1, constant_values=3.0)
    agrees("pad", A, ((1, 2), (0, 1)), constant_values=((1, 2), (3, 4)))
    agrees("pad", A, 1, mode="linear_ramp", end_values=2.0)
    agrees("pad", A, 2, mode="mean", stat_length=2)
    agrees("pad", V, 2, mode="reflect", reflect_type="odd")
    agrees("pad", V, (1, 9), mode="symmetric", reflect_type="odd")
    assert jnp.pad(A, {1: (0, 2)}).shape == (3, 6)


def test_the_constant_may_be_traced():
    out = jit(lambda c: jnp.pad(jnp.ones(1), 1, constant_values=c))(5.0)
    assert out.tolist() == [5, 1, 5]


@pytest.mark.parametrize("mode", MODES)
def test_derivatives_are_right(mode):
    has_right_derivatives(lambda x: jnp.pad(x, ((1, 2), (3, 1)), mode=mode), A)


def test_derivatives_of_odd_reflections_are_right():
    has_right_derivatives(lambda x: jnp.pad(x, 2, "reflect", reflect_type="odd"), A)


ERRORS = [
    (lambda: jnp.pad(A, 1, mode="mirror"), ArgumentError, "'mirror'"),
    (lambda: jnp.pad(A, -1), ArgumentError, "pad_width=-1"),
    (lambda: jnp.pad(A, (1, 2, 3)), ShapeError, r"\(3,\) for f32\[3,4\]"),
    (lambda: jnp.pad(A, 1, end_values=2), ArgumentError, "end_values"),
    (lambda: jnp.pad(A[:0], 1, mode="edge"), ShapeError, r"f32\[0,4\]"),
    (lambda: jit(lambda n: jnp.pad(A, n))(1), TracerIntegerError, "pad_width"),
]


@pytest.mark.parametrize(("f", "kind", "text"), ERRORS, ids=[e[2] for e in ERRORS])
def test_what_does_not_fit_is_named(f, kind, text):
    with pytest.raises(kind, match=text):
        f()


@pytest.mark.parametrize("mode", ["mean", "median"])
def test_statistics_of_integers_are_rounded_as_in_numpy(mode):
    agrees("pad", integers(5, low=0, high=9), 2, mode=mode, stat_length=4)
    agrees("pad", integers(3, 4), ((1, 2), (2, 1)), mode=mode)
