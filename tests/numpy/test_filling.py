"""New values on a diagonal and under a mask, against NumPy."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import jit
from pullback.errors import ArgumentError, ShapeError
from tests.numpy.agreement import has_right_derivatives, normal


@pytest.mark.parametrize("shape", [(3, 3), (5, 2), (7, 3), (2, 5), (3, 3, 3)], ids=str)
@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("values", [4.0, [1.0, 2.0]], ids=str)
def test_fill_diagonal_agrees_with_numpy(shape, wrap, values):
    a, values = normal(*shape), np.array(values, np.float32)
    want = a.copy()
    np.fill_diagonal(want, values, wrap)
    fill = lambda a, v: jnp.fill_diagonal(a, v, wrap, inplace=False)  # noqa: E731
    for f in (fill, jit(fill)):
        np.testing.assert_array_equal(f(a, values), want)


@pytest.mark.parametrize("count", [1, 2, 9])
def test_place_agrees_with_numpy(count):
    a, mask, values = normal(3, 4), normal(3, 4) > 0, normal(count)
    want = a.copy()
    np.place(want, mask, values)
    place = lambda *args: jnp.place(*args, inplace=False)  # noqa: E731
    for f in (place, jit(place)):
        np.testing.assert_array_equal(f(a, mask, values), want)


def test_derivatives_are_right():
    a, mask = normal(3, 3), normal(3, 3) > 0
    has_right_derivatives(
        lambda a, v: jnp.fill_diagonal(a**2, v**2, inplace=False), a, normal(3)
    )
    has_right_derivatives(
        lambda a, v: jnp.place(a**2, mask, v**2, inplace=False), a, normal(2)
    )


def test_what_cannot_be_is_named():
    a = jnp.ones((2, 3))
    with pytest.raises(ArgumentError, match="fill_diagonal was asked to write in pl"):
        jnp.fill_diagonal(a, 1.0)
    with pytest.raises(ArgumentError, match="inplace=False"):
        jnp.place(a, a > 0, 1.0)
    with pytest.raises(ShapeError, match=r"f32\[3\]"):
        jnp.fill_diagonal(jnp.ones(3), 1.0, inplace=False)
    with pytest.raises(ShapeError, match=r"bool\[2\]"):
        jnp.place(a, jnp.ones(2) > 0, 1.0, inplace=False)
    with pytest.raises(ShapeError, match="no values"):
        jnp.place(a, a > 0, jnp.ones(0), inplace=False)
