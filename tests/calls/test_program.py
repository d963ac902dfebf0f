"""Programs that transformations of control flow make are well formed."""

import numpy as np
import pytest

import pullback
import pullback.numpy as jnp
from pullback import checkpoint, grad, jit, jvp, lax, make_jaxpr, vmap
from pullback.calls.interpret import plan
from pullback.core.check import check_jaxpr


def branching(x):
    return lax.cond(x > 0, lambda: jnp.sin(x) * 2, lambda: x * x)


def looping(x):
    return lax.while_loop(lambda c: c < 9.0, lambda c: c * c + x, x, max_steps=40)


def scanning(x):
    def step(carry, e):
        i, c = carry
        return (i + 1, jnp.sin(c) * x + e), (c, i)

    (_, c), (ys, _) = lax.scan(step, (0, x), jnp.arange(3.0))
    return c + jnp.sum(ys)


def computed_anew(x):
    return checkpoint(lambda y: jnp.sin(jnp.exp(y)))(x)


def nested(x):
    def step(c, e):
        c = branching(c) + e
        return computed_anew(c), looping(jnp.abs(c) + 1.0)

    c, ys = lax.scan(step, x, jnp.arange(3.0))
    return c + jnp.sum(ys)


FUNCTIONS = [branching, looping, scanning, computed_anew, nested]
TRANSFORMED = {
    "f": lambda f: f,
    "jvp": lambda f: lambda x: jvp(f, (x,), (1.0,))[1],
    "grad": grad,
    "grad of grad": lambda f: grad(grad(f)),
    "jvp of grad": lambda f: lambda x: jvp(grad(f), (x,), (1.0,))[1],
    "grad of jit": lambda f: grad(jit(f)),
    "vmap of grad": lambda f: lambda x: jnp.sum(vmap(grad(f))(x + jnp.ones(2))),
    "grad of vmap": lambda f: grad(lambda x: jnp.sum(vmap(f)(x + jnp.ones(2)))),
}


@pytest.mark.parametrize("name", TRANSFORMED)
@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_transformed_programs_are_well_formed_and_give_the_same_everywhere(f, name):
    g = TRANSFORMED[name](f)
    with pullback.config.context(enable_x64=True):
        check_jaxpr(make_jaxpr(g)(0.3).jaxpr)
        at_once = float(g(0.3))
        np.testing.assert_allclose(float(jit(g)(0.3)), at_once, rtol=1e-10)
        with pullback.config.context(call_path="numpy"):
            np.testing.assert_allclose(float(jit(g)(0.3)), at_once, rtol=1e-10)


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_gradients_of_control_flow_match_differences(f):
    with pullback.config.context(enable_x64=True):
        for x in (0.3, 1.2):
            for g in (f, grad(f)):
                slope = (float(g(x + 1e-6)) - float(g(x - 1e-6))) / 2e-6
                np.testing.assert_allclose(float(grad(g)(x)), slope, rtol=1e-6)


def test_programs_are_shown_with_the_programs_they_hold():
    text = str(make_jaxpr(nested)(0.3))
    for word in ("scan[", "cond[", "while[", "checkpoint[", "branches=", "body_jaxpr="):
        assert word in text


def test_plans_reuse_the_places_of_values_no_longer_needed():
    def f(x):
        for _ in range(50):
            x = jnp.sin(x)
        return x

    assert len(plan(make_jaxpr(f)(jnp.ones(3)).jaxpr).places) <= 3


def test_a_plan_gives_what_the_operations_give_at_once():
    def f(x, y):
        z = x * 2 + y
        return z, x, jnp.sum(z) * z, jnp.sort(x)[::-1]

    args = np.array([1.0, 3.0, 2.0], "f4"), np.float32(0.5)
    found = plan(make_jaxpr(f)(*args).jaxpr)(args)
    for a, b in zip(found, f(*args)):
        np.testing.assert_array_equal(a, b)
