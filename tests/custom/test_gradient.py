import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import custom_gradient, grad, jit, value_and_grad, vmap
from pullback.errors import ArgumentError


@custom_gradient
def square(x):
    """Square it."""
    return x**2, lambda g: 2.0 * x * g


USES = {
    "eager": lambda f: f,
    "jit": jit,
    "vmap": lambda f: lambda x: vmap(f)(jnp.stack([x]))[0],
}


@pytest.mark.parametrize("use", USES)
def test_pullback_of_the_function_is_its_rule(use):
    assert USES[use](square)(3.0) == 9.0
    assert USES[use](grad(square))(3.0) == 6.0
    assert grad(USES[use](square))(jnp.float32(3.0)) == 6.0


@pytest.mark.parametrize("use", USES)
def test_rule_is_differentiated_through_what_it_captures(use):
    assert USES[use](grad(grad(square)))(3.0) == 2.0


def test_function_keeps_its_name_and_documentation():
    assert (square.__name__, square.__doc__) == ("square", "Square it.")


def test_several_arguments_and_keywords():
    @custom_gradient
    def f(x, y=2.0):
        return x * y, lambda g: (10.0 * g * y, g * x)

    assert grad(f)(3.0) == 20.0
    assert grad(lambda y: f(3.0, y=y))(1.0) == 3.0


def test_containers():
    @custom_gradient
    def f(d):
        return {"y": d["x"] * 2}, lambda g: ({"x": 5.0 * g["y"]},)

    value, got = value_and_grad(lambda d: f(d)["y"])({"x": 1.0})
    assert (value, got) == (2.0, {"x": 5.0})
    np.testing.assert_array_equal(f({"x": jnp.ones(2)})["y"], [2.0, 2.0])


def test_something_else_than_a_function_is_refused():
    with pytest.raises(ArgumentError, match="custom_gradient was given a int"):
        custom_gradient(3)
