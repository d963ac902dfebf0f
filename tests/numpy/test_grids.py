"""Grids and joined arrays written as indices, against NumPy."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import jit
from pullback.errors import ArgumentError, ShapeError
from tests.numpy.agreement import (
    agrees,
    assert_same,
    flat,
    has_right_derivatives,
    normal,
)

GRIDS = [
    np.s_[0:4],
    np.s_[:4:3],
    np.s_[0:1:5j],
    np.s_[0:3, 0:2],
    np.s_[1:3, 0:2:0.5, -1:1:3j],
]


@pytest.mark.parametrize("key", GRIDS, ids=str)
@pytest.mark.parametrize("name", ["mgrid", "ogrid"])
def test_grids_agree_with_numpy(name, key):
    got, want = getattr(jnp, name)[key], getattr(np, name)[key]
    assert_same(flat(got), flat(want), 1e-6)


JOINED = [
    np.s_[1:4, 0, 2.5],
    np.s_[np.ones(2), 3, 0:1:3j],
    np.s_["0,2", [1, 2, 3], [4, 5, 6]],
    np.s_["0,2,0", [1, 2, 3], [4, 5, 6]],
    np.s_["1", np.ones((2, 2)), np.zeros((2, 1))],
    np.s_["-1,3,1", [1, 2], [3, 4]],
    np.s_[True, False],
]


@pytest.mark.parametrize("key", JOINED, ids=str)
@pytest.mark.parametrize("name", ["r_", "c_"])
def test_joined_arrays_agree_with_numpy(name, key):
    if name == "c_" and not isinstance(key[0], (str, bool)):
        key = tuple(
            np.arange(3) if isinstance(k, slice) else 2 * np.ones(3) for k in key
        )
    assert_same([getattr(jnp, name)[key]], [getattr(np, name)[key]], 1e-6)


def test_traced_values_are_joined_and_differentiated():
    x = normal(3)
    f = lambda x: jnp.r_[1:3, x, x[0]] ** 2  # noqa: E731
    assert_same([jit(f)(x)], [f(x)], 1e-6)
    has_right_derivatives(f, x)
    has_right_derivatives(lambda x: jnp.c_[x, x**2], x)


def test_numpys_index_makers_are_there():
    assert jnp.s_[1:2, ...] == (slice(1, 2), Ellipsis)
    assert jnp.index_exp[3] == (3,)


def test_places_on_diagonals_and_in_triangles_agree_with_numpy():
    agrees("diag_indices_from", normal(3, 3))
    agrees("mask_indices", 4, np.triu, 1, compiled=False)
    x = jnp.asarray(normal(3, 3))
    mask = jit(lambda k: jnp.mask_indices(3, lambda m, k: m * k, k, size=4))(0)
    assert [m.tolist() for m in mask] == [[0] * 4] * 2
    assert x[jnp.mask_indices(3, jnp.tril)].shape == (6,)


def test_what_cannot_be_is_named():
    with pytest.raises(ArgumentError, match="'r'; matrices"):
        jnp.r_["r", [1, 2]]
    with pytest.raises(ArgumentError, match="has no end"):
        jnp.mgrid[1:]
    with pytest.raises(ShapeError, match=r"f32\[3,4\]"):
        jnp.diag_indices_from(normal(3, 4))
