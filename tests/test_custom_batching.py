"""`sequential_vmap`, and the public place of `custom_vmap`."""

from pullback import custom_batching, grad, jit, vmap
from pullback import numpy as jnp
from pullback.custom.custom_vmap import custom_vmap
from tests.implicit.comparing import assert_close

X = jnp.arange(3.0)


def test_custom_vmap_is_here():
    assert custom_batching.custom_vmap is custom_vmap


def test_sequential_vmap():
    f = custom_batching.sequential_vmap(lambda x, y: {"s": jnp.sin(x["a"]) * y})
    for wrap in (lambda f: f, jit):
        found = wrap(vmap(f, (0, None)))({"a": X}, 2.0)
        assert_close(found["s"], 2 * jnp.sin(X), 1e-6)

    def total(y):
        return jnp.sum(vmap(f, (0, None))({"a": X}, y)["s"])

    assert_close(grad(total)(2.0), jnp.sum(jnp.sin(X)), 1e-6)
    twice = vmap(vmap(f, (0, None)), (0, None))({"a": jnp.ones((2, 3))}, 1.0)
    assert twice["s"].shape == (2, 3)
