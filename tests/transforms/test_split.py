"""Programs taken apart into what tangents do not reach and what is linear in them."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import custom_jvp, grad, hessian, jit, vmap
from pullback.transforms import split


def nest(depth, f=jnp.sin):
    """Give a function of jitted functions, one within the other."""
    for _ in range(depth):
        f = jit(lambda x, f=f: f(jnp.sin(x)) * x)
    return f


def plain(depth, x):
    """Give the same value without them."""
    return jnp.sin(x) if not depth else plain(depth - 1, jnp.sin(x)) * x


@pytest.mark.parametrize("wrap", [lambda f: f, jit, lambda f: grad(f), vmap])
def test_nests_of_calls_are_not_split_again_at_each_level(monkeypatch, wrap):
    split_anew, calls = split.split_anew, []
    monkeypatch.setattr(
        split, "split_anew", lambda *args: calls.append(1) or split_anew(*args)
    )
    x = jnp.ones(2) if wrap is vmap else 1.0
    found = wrap(grad(nest(6)))(x)
    monkeypatch.undo()
    assert not calls
    np.testing.assert_allclose(found, wrap(grad(lambda x: plain(6, x)))(x), 1e-5)


def test_rule_in_a_nest_of_calls_that_is_in_part_linear_is_split():
    @custom_jvp
    def f(x):
        return jnp.sin(x)

    @f.defjvp
    def f_jvp(primals, tangents):
        pair = jit(lambda x, t: (jnp.sin(x), jnp.cos(x) * t))
        return nest(0, pair)(*primals, *tangents)

    within = jit(lambda x: nest(2, f)(x))
    np.testing.assert_allclose(grad(within)(0.7), grad(lambda x: plain(2, x))(0.7))
    np.testing.assert_allclose(
        hessian(within)(0.7), hessian(lambda x: plain(2, x))(0.7), 1e-5
    )
