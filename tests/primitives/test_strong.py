import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import config, grad, jit, jvp, strong_zeros, vmap
from pullback.primitives.elementwise import Elementwise
from pullback.primitives.strong import plain_tangent_rule, strong_mul
from pullback.test_util import check_grads

GUARDED = {
    "sqrt": lambda x: jnp.where(x > 0, jnp.sqrt(x), 0.0),
    "log": lambda x: jnp.where(x > 0, jnp.log(x), 0.0),
    "reciprocal": lambda x: jnp.where(x > 0, 1 / x, 0.0),
    "power": lambda x: jnp.where(x > 0, x**0.5, 0.0),
    "integer power": lambda x: jnp.where(x > 0, x**-2, 0.0),
    "atan2": lambda x: jnp.where(x > 0, jnp.arctan2(x, 2 * x), 0.0),
    "arccos": lambda x: jnp.where(x > 0, jnp.arccos(1 - x), 0.0),
    "complex root": lambda x: jnp.where(x > 0, jnp.real(jnp.sqrt(x + 0j)), 0.0),
}


def slope_by_jvp(f):
    return lambda x: jvp(f, (x,), (1.0,))[1]


@pytest.mark.parametrize("name", GUARDED)
@pytest.mark.parametrize("derive", [grad, slope_by_jvp], ids=["reverse", "forward"])
@pytest.mark.parametrize("around", [lambda f: f, jit], ids=["eager", "jit"])
def test_a_zero_stays_zero_through_an_infinite_partial(name, derive, around):
    with strong_zeros():
        assert float(around(derive(GUARDED[name]))(0.0)) == 0.0
        assert float(derive(around(GUARDED[name]))(0.0)) == 0.0


@pytest.mark.parametrize("name", GUARDED)
def test_without_the_switch_it_is_a_nan_again(name):
    f = jit(grad(GUARDED[name]))
    with strong_zeros():
        f(0.0)
    assert np.isnan(f(0.0))
    assert np.isnan(grad(GUARDED[name])(0.0))


@pytest.mark.parametrize("around", [lambda f: f, jit], ids=["eager", "jit"])
def test_real_infinities_stay(around):
    with strong_zeros():
        assert float(around(grad(jnp.sqrt))(0.0)) == np.inf
        assert float(around(grad(jnp.log))(0.0)) == np.inf


def test_a_zero_tangent_given_by_hand_stays_zero():
    with strong_zeros():
        assert float(jvp(jnp.sqrt, (0.0,), (0.0,))[1]) == 0.0
        assert np.array_equal(
            jvp(jnp.log, (jnp.zeros(2),), (jnp.array([0.0, 1.0]),))[1], [0, np.inf]
        )


def test_batches_and_second_derivatives():
    with strong_zeros():
        f = GUARDED["sqrt"]
        found = vmap(grad(f))(jnp.array([0.0, 4.0]))
        assert np.allclose(found, [0.0, 0.25])
        assert np.allclose(vmap(grad(grad(f)))(jnp.array([0.0, 4.0])), [0.0, -1 / 32])


def test_elsewhere_derivatives_are_the_same():
    with strong_zeros():
        check_grads(
            lambda x, y: jnp.exp(x) * y / x + x**y - jnp.maximum(x, y),
            (1.5, 0.7),
            order=2,
        )
        check_grads(lambda x: jnp.tanh(x) * jnp.arange(3.0), (0.5,), order=2)
        check_grads(lambda z: jnp.exp(z) * jnp.conj(z), (1 + 2j,), order=2)
        check_grads(strong_mul, (np.arange(3.0), np.arange(3.0) + 1), order=2)


def test_the_rules_are_put_back():
    assert Elementwise.jvp is plain_tangent_rule
    with config.context(strong_zeros=True):
        assert Elementwise.jvp is not plain_tangent_rule
    assert Elementwise.jvp is plain_tangent_rule
