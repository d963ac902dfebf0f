"""Programs whose functions capture traced values: rules.md, section 3."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import (
    closure_convert,
    custom_jvp,
    custom_vjp,
    grad,
    hessian,
    jit,
    jvp,
    make_jaxpr,
    value_and_grad,
    vjp,
    vmap,
)
from pullback.errors import CapturedError

BOTH = pytest.mark.parametrize("decorator", [custom_jvp, custom_vjp])


def build(decorator, a):
    """x -> a * x, whose derivative is said to be 10 * a."""

    @decorator
    def f(x):
        return a * x

    if decorator is custom_jvp:

        @f.defjvp
        def f_jvp(primals, tangents):
            return f(*primals), 10.0 * a * tangents[0]

    else:
        f.defvjp(lambda x: (f(x), None), lambda res, g: (10.0 * a * g,))
    return f


NESTS = {
    "jit": lambda h: jit(h)(3.0, 2.0),
    "vmap": lambda h: vmap(h)(jnp.full(2, 3.0), jnp.full(2, 2.0))[1],
    "vmap over a": lambda h: vmap(h, (0, None))(jnp.full(2, 3.0), 2.0)[0],
    "vmap over x": lambda h: vmap(h, (None, 0))(3.0, jnp.full(2, 2.0))[0],
    "jit of vmap": lambda h: jit(vmap(h))(jnp.full(2, 3.0), jnp.full(2, 2.0))[0],
    "vmap of jit": lambda h: vmap(jit(h))(jnp.full(2, 3.0), jnp.full(2, 2.0))[0],
    "jit of jit": lambda h: jit(jit(h))(3.0, 2.0),
    "plain": lambda h: h(3.0, 2.0),
}


@BOTH
@pytest.mark.parametrize("nest", NESTS)
def test_captured_value_works_in_every_nest(decorator, nest):
    assert NESTS[nest](lambda a, x: build(decorator, a)(x)) == 6.0


@BOTH
@pytest.mark.parametrize("nest", NESTS)
def test_captured_value_reaches_the_rule_in_every_nest(decorator, nest):
    assert NESTS[nest](lambda a, x: grad(build(decorator, a))(x)) == 30.0


@BOTH
@pytest.mark.parametrize("nest", NESTS)
def test_staged_function_keeps_captured_value_for_its_rule(decorator, nest):
    assert NESTS[nest](lambda a, x: grad(jit(build(decorator, a)))(x)) == 30.0


@BOTH
def test_outer_derivative_through_a_consumed_rule_is_exact(decorator):
    def g(a):
        return grad(build(decorator, a))(2.0)

    assert g(3.0) == 30.0
    assert grad(g)(3.0) == 10.0
    assert grad(jit(g))(3.0) == 10.0
    assert jit(grad(g))(3.0) == 10.0
    assert jvp(g, (3.0,), (1.0,))[1] == 10.0
    np.testing.assert_array_equal(vmap(grad(g))(jnp.ones(2)), [10.0, 10.0])


@BOTH
def test_outer_second_derivative_through_a_consumed_rule(decorator):
    def g(a):
        return grad(build(decorator, a**3))(2.0)

    assert grad(grad(g))(2.0) == 120.0
    assert hessian(g)(2.0) == 120.0
    assert jit(grad(grad(g)))(2.0) == 120.0


@BOTH
@pytest.mark.parametrize(
    "use",
    [
        lambda h: grad(h)(3.0),
        lambda h: jit(grad(h))(3.0),
        lambda h: grad(jit(h))(3.0),
        lambda h: jvp(h, (3.0,), (1.0,)),
        lambda h: vjp(h, 3.0)[1](1.0),
        lambda h: vmap(grad(h))(jnp.ones(2)),
        lambda h: grad(lambda a: vmap(lambda x: h(a))(jnp.ones(2)).sum())(3.0),
        lambda h: grad(grad(h))(3.0),
    ],
)
def test_derivative_by_a_captured_value_names_variable_and_line(decorator, use):
    with pytest.raises(CapturedError, match="captures `a`") as caught:
        use(lambda a: build(decorator, a)(2.0))
    message = str(caught.value)
    line = build.__code__.co_firstlineno
    assert f"test_captured.py:{line + 3}" in message
    assert "differentiated with respect to it" in message
    assert "argument" in message


@BOTH
def test_captured_value_reaching_both_ways_is_never_silently_zero(decorator):
    with pytest.raises(CapturedError, match="`a`"):
        grad(lambda a: build(decorator, a)(a))(3.0)


@BOTH
def test_captured_integer_is_no_trouble(decorator):
    @jit
    def h(n, x):
        return grad(build(decorator, n))(x)

    assert h(3, 2.0) == 30.0


@BOTH
def test_captured_through_a_nested_function_and_an_object(decorator):
    class Box:
        def __init__(self, a):
            self.a = a

    def h(a):
        box = Box(a)

        def inner(x):
            return box.a * x

        f = decorator(lambda x: inner(x))
        if decorator is custom_jvp:
            f.defjvps(lambda t, ans, x: 10.0 * box.a * t)
        else:
            f.defvjp(lambda x: (f(x), None), lambda r, g: (10.0 * box.a * g,))
        return grad(f)(2.0)

    assert h(3.0) == 30.0
    assert jit(h)(3.0) == 30.0
    assert grad(h)(3.0) == 10.0
    np.testing.assert_array_equal(vmap(h)(jnp.array([1.0, 2.0])), [10.0, 20.0])


def test_derivative_by_an_attribute_of_a_plain_instance_names_it():
    class Spring:
        def __init__(self, k):
            self.k = k

        @custom_vjp
        def force(self, x):
            return self.k * x

        force.defvjp(
            lambda self, x: (self.force(x), self.k), lambda k, g: (None, k * g)
        )

    assert grad(lambda x: Spring(2.0).force(x))(1.0) == 2.0
    assert jit(lambda k: grad(Spring(k).force)(1.0))(2.0) == 2.0
    with pytest.raises(CapturedError, match=r"force captures `self\.k`"):
        grad(lambda k: Spring(k).force(1.0))(2.0)


@BOTH
def test_captured_value_under_jit_then_differentiated_outside(decorator):
    @jit
    def h(a, x):
        return build(decorator, a)(x)

    assert grad(h, 1)(3.0, 2.0) == 30.0
    with pytest.raises(CapturedError, match="`a`"):
        grad(h, 0)(3.0, 2.0)


def test_rule_defined_inside_the_transformed_function_each_time():
    @jit
    def step(scale, x):
        @custom_vjp
        def reversal(x):
            return x

        reversal.defvjp(lambda x: (x, None), lambda res, g: (-scale * g,))
        return grad(lambda x: reversal(x) ** 2)(x)

    assert step(2.0, 3.0) == -12.0
    assert step(4.0, 3.0) == -24.0


def test_rule_capturing_a_value_of_two_levels():
    def outer(a):
        def inner(b):
            f = custom_jvp(lambda x: x)
            f.defjvps(lambda t, ans, x: a * b * t)
            return grad(f)(1.0)

        return vmap(inner)(jnp.array([1.0, 2.0])).sum()

    assert outer(3.0) == 9.0
    assert grad(outer)(3.0) == 3.0
    assert jit(grad(outer))(3.0) == 3.0


def test_value_and_grad_with_captured_data():
    data = jnp.arange(3.0)

    @custom_vjp
    def loss(w):
        return jnp.sum((w - data) ** 2)

    loss.defvjp(lambda w: (loss(w), w), lambda w, g: (g * 2 * (w - data),))
    value, gradient = jit(value_and_grad(loss))(jnp.ones(3))
    assert value == 2.0
    np.testing.assert_array_equal(gradient, [2, 0, -2])


def test_closure_convert_gives_captured_tracers_as_arguments():
    def h(a):
        f, captured = closure_convert(lambda x: a * jnp.sin(x), 1.0)
        assert len(captured) == 1
        return f(2.0, *[2.0 * c for c in captured])

    np.testing.assert_allclose(grad(h)(3.0), 2 * np.sin(2.0), rtol=1e-6)
    np.testing.assert_allclose(jit(h)(3.0), 6 * np.sin(2.0), rtol=1e-6)


def test_closure_convert_keeps_containers():
    f, captured = closure_convert(lambda d: {"y": d["x"] * 2}, {"x": jnp.ones(2)})
    assert captured == []
    np.testing.assert_array_equal(f({"x": jnp.ones(2)})["y"], [2.0, 2.0])


def test_closure_convert_with_custom_rule():
    def h(a):
        f, captured = closure_convert(lambda x: a * x, 1.0)

        @custom_vjp
        def solve(x, *captured):
            return f(x, *captured)

        solve.defvjp(
            lambda x, *c: (solve(x, *c), (x, c)),
            lambda res, g: vjp(f, res[0], *res[1])[1](2.0 * g),
        )
        return solve(5.0, *captured)

    assert grad(h)(3.0) == 10.0
    assert jit(grad(h))(3.0) == 10.0


@BOTH
def test_jaxpr_of_captured_value_has_it_as_an_operand(decorator):
    text = str(make_jaxpr(lambda a: build(decorator, a)(2.0))(3.0))
    assert f"{decorator.__name__}_call" in text
    assert "name=f" in text
