"""Choice, classification and careful scalings against NumPy, with derivatives."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback.errors import ArgumentError, DtypeError
from pullback.transforms.derivatives import grad
from pullback.transforms.vjp import jvp
from tests.numpy.agreement import (
    agrees,
    floats,
    has_right_derivatives,
    integers,
    normal,
)

A, B, K = normal(3, 4), normal(4), integers(3, 4)
M = A > 0
Z = (A + 1j * A[::-1]).astype(np.complex64)
ODD = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5], np.float32)
ONE = "isnan isinf isfinite isposinf isneginf signbit nan_to_num".split()


@pytest.mark.parametrize("name", ONE)
def test_classification_agrees_with_numpy(name):
    agrees(name, ODD)
    agrees(name, A)


@pytest.mark.parametrize("name", ["isnan", "isinf", "isfinite", "nan_to_num", "angle"])
def test_classification_of_complex_numbers_agrees_with_numpy(name):
    agrees(name, Z)
    odd = np.empty(6, np.complex64)
    odd.real, odd.imag = ODD, ODD[::-1]
    agrees(name, odd)


@pytest.mark.parametrize("name", ["isnan", "isinf", "isfinite", "signbit"])
def test_classification_of_integers_agrees_with_numpy(name):
    agrees(name, K)


@pytest.mark.parametrize("name", ["real", "imag", "conj", "iscomplex", "isreal"])
def test_complex_parts_agree_with_numpy(name):
    agrees(name, Z)
    agrees(name, A)


@pytest.mark.parametrize("name", ["fmax", "fmin", "copysign", "heaviside", "hypot"])
def test_binary_functions_agree_with_numpy(name):
    agrees(name, A, B)
    agrees(name, A, 0.5)
    agrees(name, ODD, 0.5)


@pytest.mark.parametrize("name", ["logaddexp", "logaddexp2"])
def test_sums_of_exponentials_agree_with_numpy(name):
    agrees(name, A, B)
    agrees(name, A * 100, B)
    agrees(name, ODD, ODD)
    agrees(name, ODD, ODD[::-1])


@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30])
def test_hypot_neither_overflows_nor_vanishes(scale):
    agrees("hypot", A[0] * np.float32(scale), B * np.float32(scale))


@pytest.mark.parametrize("x", [0.0, 1e-4, 0.003, 0.0032, 0.5, 3.0, -2.5])
def test_sinc_and_bessel_agree_with_numpy(x):
    agrees("sinc", np.float32(x), tol=1e-6)
    agrees("i0", np.float32(x), tol=1e-6)


def test_parts_of_floats_agree_with_numpy():
    x = np.concatenate([A.ravel() * 100, ODD, floats([1e-40, 1e38, 3e-39])])
    agrees("frexp", x, compiled=False)
    agrees("frexp", x[:-3])
    agrees("modf", x[np.isfinite(x)])
    agrees("ldexp", A, K)
    agrees("ldexp", A, K * 30, tol=0, compiled=False)


def test_where_agrees_with_numpy():
    agrees("where", M, A, B)
    agrees("where", M, A, 0.0)
    agrees("where", M, 1, 2.5)
    agrees("where", K, K, A)
    agrees("where", M, compiled=False)


def test_where_needs_both_sides():
    with pytest.raises(ArgumentError, match="only one of x and y"):
        jnp.where(jnp.asarray(M), 1.0)


@pytest.mark.parametrize(("low", "high"), [(-0.5, 0.5), (None, 0.1), (0, None), (B, 1)])
def test_clip_agrees_with_numpy(low, high):
    agrees("clip", A, low, high)


def test_clip_takes_the_old_names_and_no_others():
    assert jnp.clip(jnp.arange(5), a_min=1, a_max=3).tolist() == [1, 1, 2, 3, 3]
    assert jnp.clip(a=jnp.arange(3), min=1).tolist() == [1, 1, 2]
    with pytest.raises(ArgumentError, match="lower"):
        jnp.clip(jnp.arange(5), lower=1)
    with pytest.raises(DtypeError, match="no order"):
        jnp.clip(jnp.asarray(Z), 0, 1)


def test_closeness_agrees_with_numpy():
    near = A + np.float32(1e-7)
    agrees("isclose", A, near)
    agrees("isclose", ODD, ODD)
    agrees("isclose", ODD, ODD, equal_nan=True)
    agrees("allclose", A, near)
    agrees("allclose", A, B)
    agrees("array_equal", A, A)
    agrees("array_equal", A, B)
    agrees("array_equal", ODD, ODD, equal_nan=True)
    agrees("array_equiv", A, A[:1])
    agrees("array_equiv", A, A[:2])


def test_nan_to_num_takes_replacements():
    agrees("nan_to_num", ODD, nan=1.0, posinf=2.0, neginf=-3.0)


SMOOTH = {
    "where": lambda x: jnp.where(x > 0, x * x, jnp.sin(x)),
    "clip": lambda x: jnp.clip(x, -0.5, 0.5),
    "hypot": lambda x: jnp.hypot(x, x[::-1] * 1.3),
    "logaddexp": lambda x: jnp.logaddexp(x, x[::-1] * 2),
    "logaddexp2": lambda x: jnp.logaddexp2(x, x[::-1] * 2),
    "sinc": jnp.sinc,
    "i0": jnp.i0,
    "fmax": lambda x: jnp.fmax(x, 0.3),
    "copysign": lambda x: jnp.copysign(x, -1.0),
    "modf": lambda x: jnp.modf(x * 3)[0],
    "ldexp": lambda x: jnp.ldexp(x, jnp.array([1, -2, 3, 0])),
    "frexp": lambda x: jnp.frexp(x)[0],
    "angle": lambda x: jnp.angle(x),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives_are_right(name):
    has_right_derivatives(SMOOTH[name], A)


def test_sinc_has_right_derivatives_at_zero():
    second = grad(grad(jnp.sinc))(0.0)
    np.testing.assert_allclose(second, -(np.pi**2) / 3, rtol=1e-5)


def test_hypot_has_right_second_derivatives_at_ties_and_on_the_axes():
    for x, y in ((1.0, 1.0), (-2.0, 2.0), (0.0, 3.0), (1.5, 0.0)):
        has_right_derivatives(jnp.hypot, np.array(x), np.array(y))


def test_hypot_is_flat_at_the_origin():
    assert grad(lambda x: jnp.hypot(x, x))(0.0) == 0.0


def test_logaddexp_of_equal_infinities_has_a_finite_derivative():
    x = -jnp.inf
    value, slope = jvp(jnp.logaddexp, (x, x), (1.0, 0.0))
    assert value == -jnp.inf
    assert jnp.isfinite(slope)


def test_clip_shares_the_derivative_at_a_limit():
    assert grad(lambda x: jnp.clip(x, 1.0, 2.0))(1.0) == 0.5


def test_ldexp_takes_the_greatest_unsigned_exponents_as_such():
    most = np.array([2**32 - 1, 255, 3], np.uint32)
    np.testing.assert_array_equal(jnp.ldexp(1.0, most), [np.inf, np.inf, 8])
    small = np.array([100, 2], np.uint8)
    np.testing.assert_array_equal(jnp.ldexp(1.0, small), np.ldexp(1.0, [100, 2]))
