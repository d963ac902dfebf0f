"""Differences, integrals and interpolation against NumPy, with derivatives."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback.errors import ArgumentError, DtypeError, ShapeError
from tests.numpy.agreement import (
    agrees,
    floats,
    has_right_derivatives,
    integers,
    normal,
)

A, V, K = normal(3, 4), normal(4), integers(3, 4)
PLACES = floats([0, 1, 3, 4.5])
SORTED = np.sort(V)


def test_differences_agree_with_numpy():
    agrees("diff", A)
    agrees("diff", A, 2, 0)
    agrees("diff", K, prepend=0)
    agrees("diff", A, append=A[:, :1], axis=1)
    agrees("diff", A > 0)
    agrees("diff", V, 5)
    agrees("ediff1d", A)
    agrees("ediff1d", V, to_begin=1.0, to_end=floats([2, 3]))


@pytest.mark.parametrize("order", [1, 2])
def test_gradients_agree_with_numpy(order):
    agrees("gradient", V, edge_order=order)
    agrees("gradient", V, 2.0, edge_order=order)
    agrees("gradient", V, PLACES, edge_order=order)
    agrees("gradient", A, edge_order=order)
    agrees("gradient", A, axis=1, edge_order=order)
    agrees("gradient", A, 2.0, PLACES, edge_order=order)
    agrees("gradient", A, PLACES, 2.0, axis=(1, 0), edge_order=order)


def test_integrals_agree_with_numpy():
    agrees("trapezoid", A)
    agrees("trapezoid", A, dx=0.5, axis=0)
    agrees("trapezoid", A, SORTED)
    agrees("trapezoid", A, A[::-1])
    agrees("trapezoid", A, SORTED[:3], axis=0)


def test_interpolation_agrees_with_numpy():
    values = normal(4)
    agrees("interp", A, SORTED, values)
    agrees("interp", np.float32(0.2), SORTED, values)
    agrees("interp", A, SORTED, values, left=-1.0, right=2.0)
    agrees("interp", SORTED, SORTED, values)
    agrees("interp", A, floats([0, 0.25, 0.5]), values[:3], period=1.0)
    agrees("interp", A, SORTED[:1], values[:1])


def test_unwrap_agrees_with_numpy():
    agrees("unwrap", np.cumsum(A * 5, 1))
    agrees("unwrap", A * 9, axis=0)
    agrees("unwrap", A * 9, discont=4.0)
    agrees("unwrap", A * 9, period=3.0)
    agrees("unwrap", K * 5, period=6)


SMOOTH = {
    "diff": jnp.diff,
    "gradient": lambda x: jnp.gradient(x)[0] * jnp.gradient(x, axis=1, edge_order=2),
    "coordinates": lambda x: jnp.gradient(x[0], jnp.cumsum(x[1] ** 2 + 1)),
    "trapezoid": lambda x: jnp.trapezoid(x, x[0] ** 3),
    "interp": lambda x: jnp.interp(x[0], jnp.sort(x[1]), x[2]),
    "unwrap": jnp.unwrap,
}


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives_are_right(name):
    has_right_derivatives(SMOOTH[name], A)


def test_interpolated_values_may_be_complex_and_coordinates_may_not():
    xp = np.sort(V)
    agrees("interp", A, xp, (V + 1j * V[::-1]).astype(np.complex64))
    with pytest.raises(DtypeError, match=r"interp takes real coordinates; got c64"):
        jnp.interp(A + 0j, xp, V)


def test_interpolation_goes_on_outside_if_asked():
    xp, fp = floats([0, 1, 3]), floats([1, 2, 8])
    x = floats([-2, 0.5, 5])
    both = jnp.interp(x, xp, fp, left="extrapolate", right="extrapolate")
    np.testing.assert_allclose(both, [-1, 1.5, 14])
    right = jnp.interp(x, xp, fp, left=-9.0, right="extrapolate")
    np.testing.assert_allclose(right, [-9, 1.5, 14])


ERRORS = [
    (lambda: jnp.diff(A, -1), ArgumentError, "n=-1"),
    (lambda: jnp.diff(1.0), ShapeError, "scalar"),
    (lambda: jnp.gradient(A, 1.0, 2.0, 3.0), ArgumentError, "3 spacings for 2 axes"),
    (lambda: jnp.gradient(A, edge_order=3), ArgumentError, "edge_order=3"),
    (lambda: jnp.gradient(V[:1]), ShapeError, r"f32\[1\]"),
    (lambda: jnp.gradient(A, V, axis=0), ShapeError, r"f32\[4\] for axis 0"),
    (lambda: jnp.interp(A, V, V[:2]), ShapeError, r"f32\[4\].*f32\[2\]"),
]


@pytest.mark.parametrize(("f", "kind", "text"), ERRORS, ids=[e[2] for e in ERRORS])
def test_what_does_not_fit_is_named(f, kind, text):
    with pytest.raises(kind, match=text):
        f()
