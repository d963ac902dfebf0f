"""Polynomials against NumPy, with derivatives."""

import pytest

import pullback.numpy as jnp
from pullback.errors import ArgumentError, ShapeError
from tests.numpy.agreement import agrees, has_right_derivatives, integers, normal

A, V, K = normal(3, 4), normal(4), integers(4)

CASES = [
    ("polyval", V, A),
    ("polyval", K, K),
    ("polyadd", V, V[:2]),
    ("polysub", V[:2], V),
    ("polymul", V, V[:2]),
    ("polyder", V),
    ("polyder", V, 2),
    ("polyder", V, 9),
    ("polyint", V),
    ("polyint", V, 2),
    ("polyint", V, 2, [3.0, 4.0]),
    ("poly", V),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]}{c[2:]}")
def test_polynomials_agree_with_numpy(case):
    agrees(*case)


SMOOTH = {
    "polyval": lambda x: jnp.polyval(x[0], x),
    "polymul": lambda x: jnp.polymul(x[0], x[1]),
    "polyadd": lambda x: jnp.polyadd(x[0], x[1, :2] ** 2),
    "polyint": lambda x: jnp.polyder(jnp.polyint(x[0] ** 2, 2)),
    "poly": lambda x: jnp.poly(x[0]),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives_are_right(name):
    has_right_derivatives(SMOOTH[name], A)


def test_what_does_not_fit_is_named():
    for function in (jnp.polyder, jnp.polyint, lambda p: jnp.polyval(p, 1.0)):
        with pytest.raises(ShapeError, match=r"f32\[3,4\]"):
            function(A)
    with pytest.raises(ArgumentError, match="m=-1"):
        jnp.polyder(V, -1)


def test_leading_zeros_are_trimmed_on_demand():
    p = jnp.array([0.0, 0.0, 1.0, 2.0])
    assert jnp.polymul(p, p, trim_leading_zeros=True).tolist() == [1, 4, 4]
