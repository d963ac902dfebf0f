"""Containers as one vector, and back."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import grad, jit, vmap
from pullback.errors import ShapeError
from pullback.flatten_util import ravel_pytree

TREE = {"a": jnp.ones((2, 2)), "b": [3, jnp.arange(2)]}


def test_a_container_becomes_a_vector_and_is_rebuilt():
    x, unravel = ravel_pytree(TREE)
    assert x.tolist() == [1, 1, 1, 1, 3, 0, 1]
    assert x.dtype == np.float32
    back = unravel(x)
    assert back["a"].shape == (2, 2)
    assert [v.dtype for v in back["b"]] == [np.int32] * 2


def test_nothing_becomes_an_empty_vector():
    x, unravel = ravel_pytree([])
    assert x.shape == (0,)
    assert unravel(x) == []


def test_vectors_go_through_transformations():
    x, unravel = ravel_pytree({"w": jnp.ones((2, 2)), "b": jnp.zeros(2)})
    f = lambda v: jnp.sum((unravel(v)["w"] @ jnp.ones(2) + unravel(v)["b"]) ** 2)  # noqa: E731
    want = grad(f)(x)
    np.testing.assert_allclose(jit(grad(f))(x), want)
    assert vmap(unravel)(jnp.stack([x, x]))["w"].shape == (2, 2, 2)
    inside = jit(lambda t: ravel_pytree(t)[0] * 2)(TREE)
    assert inside.tolist() == [2, 2, 2, 2, 6, 0, 2]


def test_another_vector_is_refused():
    _, unravel = ravel_pytree(TREE)
    with pytest.raises(ShapeError, match=r"type f32\[6\];.* a vector of type f32\[7\]"):
        unravel(jnp.ones(6))
    with pytest.raises(ShapeError, match=r"i32\[7\]"):
        unravel(jnp.arange(7))
