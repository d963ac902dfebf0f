"""Diagonals and triangles of matrices, and matrices made of them."""

import pytest

import pullback.numpy as jnp
from pullback.errors import ShapeError
from tests.numpy.agreement import agrees, normal

A, V, T = normal(3, 4), normal(4), normal(2, 3, 4)
SHIFTS = [-3, -1, 0, 1, 2, 5]


@pytest.mark.parametrize("k", SHIFTS)
def test_diagonals_agree_with_numpy(k):
    agrees("eye", 3, 4, k)
    agrees("tri", 3, 4, k)
    agrees("tril", A, k)
    agrees("triu", T, k)
    agrees("diag", V, k)
    agrees("diag", A, k)
    agrees("diagflat", A, k)
    agrees("diagonal", A, k)
    agrees("diagonal", T, k, 2, 0)
    agrees("tril_indices", 3, k, 4)
    agrees("triu_indices", 3, k)


def test_diagonals_need_matrices():
    for function in (jnp.tril, jnp.triu, jnp.diagonal):
        with pytest.raises(ShapeError, match=r"f32\[4\]"):
            function(jnp.asarray(V))
    with pytest.raises(ShapeError, match=r"f32\[2,3,4\]"):
        jnp.diag(jnp.asarray(T))


def test_identity_and_indices_agree_with_numpy():
    agrees("identity", 3)
    agrees("diag_indices", 3)
