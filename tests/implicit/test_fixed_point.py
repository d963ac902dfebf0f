"""`implicit.fixed_point`: values, derivatives by differences, what f may be."""

import functools

import numpy as np
import pytest

from pullback import config, grad, hessian, jacfwd, jacrev, jit, jvp, vmap
from pullback import numpy as jnp
from pullback.errors import ConvergenceWarning, TreeError
from pullback.implicit import fixed_point
from tests.implicit.comparing import assert_close, difference


@pytest.fixture(autouse=True)
def double_precision():
    with config.context(enable_x64=True):
        yield


def found_at(a):
    return fixed_point(lambda x: jnp.cos(a * x), 1.0).x


def test_value_and_report():
    found = fixed_point(jnp.cos, 1.0)
    assert_close(found.x, 0.7390851332151607)
    assert found.converged
    assert 10 < found.iterations < 100
    assert found.error < 2e-12


@pytest.mark.parametrize("wrap", [lambda f: f, jit])
def test_derivatives_against_differences(wrap):
    first = difference(found_at, (1.0,), 0)
    second = difference(grad(found_at), (1.0,), 0)
    for derivative in (grad, jacfwd, jacrev):
        assert_close(wrap(derivative(found_at))(1.0), first, 1e-6)
    for twice in (hessian, lambda f: grad(grad(f)), lambda f: jacfwd(jacfwd(f))):
        assert_close(wrap(twice(found_at))(1.0), second, 1e-6)


def test_batches_that_take_different_numbers_of_steps():
    a = jnp.array([0.1, 1.0])
    assert_close(vmap(found_at)(a), np.array([found_at(0.1), found_at(1.0)]))
    gradients = vmap(grad(found_at))(a)
    assert_close(gradients, np.array([grad(found_at)(0.1), grad(found_at)(1.0)]))


class Map:
    def __init__(self, a):
        self.a = a

    def step(self, x):
        return jnp.cos(self.a * x)


def cosine(a, x):
    return jnp.cos(a * x)


@pytest.mark.parametrize(
    "make",
    [
        lambda a: lambda x: jnp.cos(a * x),
        lambda a: Map(a).step,
        lambda a: functools.partial(cosine, a),
        lambda a: lambda x, a=a: jnp.cos(a * x),
    ],
)
def test_f_may_be_any_callable(make):
    def f(a):
        return fixed_point(make(a), 1.0).x

    assert_close(grad(f)(1.0), grad(found_at)(1.0))
    assert_close(hessian(f)(1.0), hessian(found_at)(1.0))


def test_params():
    def f(a):
        return fixed_point(lambda x, a: jnp.cos(a * x), 1.0, params=(a,)).x

    assert_close(grad(f)(1.0), grad(found_at)(1.0))


def test_pytrees():
    def f(a):
        def step(s):
            return {"x": a * jnp.sin(s["y"]), "y": 0.5 * jnp.cos(s["x"]) * jnp.ones(2)}

        return fixed_point(step, {"x": jnp.zeros(2), "y": jnp.zeros(2)}).x

    found = f(0.5)
    assert_close(found["y"], 0.5 * np.cos(found["x"]))
    wanted = difference(lambda a: f(a)["x"], (0.5,), 0)
    assert_close(jacfwd(f)(0.5)["x"], wanted, 1e-6)
    assert_close(jit(jacrev(f))(0.5)["x"], wanted, 1e-6)


def test_solution_stands_for_its_x():
    gradient = grad(lambda a: fixed_point(lambda x: jnp.cos(a * x), 1.0))(1.0)
    assert_close(gradient, grad(found_at)(1.0))
    _, tangent = jvp(lambda a: 2 * fixed_point(lambda x: a * x, 0.0), (0.5,), (1.0,))
    assert tangent == 0.0


def test_not_converging_warns_and_says_so():
    with pytest.warns(ConvergenceWarning, match="stopped after 5 iterations") as caught:
        found = fixed_point(lambda x: 2 * x + 1, 1.0, max_iter=5)
    assert caught[0].filename == __file__
    assert not found.converged
    assert found.iterations == 5
    assert found.x == 63.0
    compiled = jit(
        lambda a: fixed_point(lambda x: 2 * x + a, 1.0, max_iter=5).converged
    )
    assert not compiled(1.0)


def test_nan_is_not_converged():
    with pytest.warns(ConvergenceWarning):
        found = fixed_point(lambda x: x * jnp.nan, 1.0)
    assert not found.converged
    assert found.iterations == 1


def test_f_must_give_what_it_takes():
    with pytest.raises(TreeError, match="fixed_point met a value"):
        fixed_point(lambda x: x[:1], jnp.ones(2))
