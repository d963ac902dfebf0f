"""`custom_vmap`: batching rules, alone and beside derivative rules."""

import pytest

from pullback import (
    custom_batching,
    custom_jvp,
    custom_vjp,
    grad,
    hessian,
    jit,
    jvp,
    lax,
    vmap,
)
from pullback import numpy as jnp
from pullback.errors import RuleArityError, UnboundAxisError
from tests.implicit.comparing import assert_close

X = jnp.arange(3.0)


def test_rule_gets_size_and_flags():
    calls = []

    @custom_batching.custom_vmap
    def f(x, y):
        return x["a"] * y

    @f.def_vmap
    def rule(axis_size, in_batched, x, y):
        calls.append((axis_size, in_batched))
        return x["a"] * y, True

    assert_close(vmap(f, (0, None))({"a": X}, 2.0), 2 * X)
    assert calls == [(3, [{"a": True}, False])]


def test_without_rule_the_body_is_mapped_and_differentiated():
    f = custom_batching.custom_vmap(jnp.sin)
    assert_close(vmap(f)(X), jnp.sin(X))
    assert_close(grad(f)(1.0), jnp.cos(1.0))


def test_with_only_a_batching_rule_derivatives_are_those_of_the_bodies():
    f = custom_batching.custom_vmap(lambda x: jnp.sin(x))
    f.def_vmap(lambda size, batched, x: (2 * jnp.sin(x), True))
    assert_close(grad(lambda x: jnp.sum(vmap(f)(x)))(X), 2 * jnp.cos(X), 1e-6)
    assert_close(vmap(grad(f))(X), jnp.cos(X), 1e-6)
    assert_close(hessian(f)(1.0), -jnp.sin(1.0), 1e-6)


@pytest.mark.parametrize("wrap", [lambda f: f, jit])
@pytest.mark.parametrize(
    "decorate",
    [
        lambda f: custom_batching.custom_vmap(custom_jvp(f)),
        lambda f: custom_jvp(custom_batching.custom_vmap(f)),
    ],
)
def test_together_with_a_jvp_rule_in_either_order(decorate, wrap):
    f = decorate(lambda x: jnp.sin(x))
    f.defjvps(lambda t, ans, x: 10 * jnp.cos(x) * t)
    f.def_vmap(lambda size, batched, x: (100 * jnp.sin(x), batched[0]))
    assert_close(wrap(vmap(f))(X), 100 * jnp.sin(X), 1e-6)
    assert_close(wrap(vmap(grad(f)))(X), 10 * jnp.cos(X), 1e-6)
    assert_close(wrap(grad(lambda x: jnp.sum(vmap(f)(x))))(X), 10 * jnp.cos(X), 1e-6)
    assert_close(jvp(wrap(vmap(f)), (X,), (X,))[1], 10 * jnp.cos(X) * X, 1e-6)


@pytest.mark.parametrize(
    "decorate",
    [
        lambda f: custom_batching.custom_vmap(custom_vjp(f)),
        lambda f: custom_vjp(custom_batching.custom_vmap(f)),
    ],
)
def test_together_with_a_vjp_rule_in_either_order(decorate):
    f = decorate(lambda x, y: jnp.sin(x) * y)

    def bwd(res, ct):
        x, y = res
        return 10 * jnp.cos(x) * y * ct, ct

    f.defvjp(lambda x, y: (f(x, y), (x, y)), bwd)
    f.def_vmap(lambda size, batched, x, y: (100 * jnp.sin(x) * y, True))
    assert_close(vmap(f, (0, None))(X, 2.0), 200 * jnp.sin(X), 1e-6)
    found = vmap(grad(f, (0, 1)), (0, None))(X, 2.0)
    assert_close(found, (20 * jnp.cos(X), jnp.ones(3)), 1e-6)

    def total(x, y):
        return jnp.sum(vmap(f, (0, None))(x, y))

    assert_close(grad(total, (0, 1))(X, 2.0), (20 * jnp.cos(X), 3.0), 1e-6)


def test_forward_option_of_the_function_below_is_kept():
    f = custom_vjp(lambda x: 2 * x, forward="transpose")
    f.defvjp(lambda x: (2 * x, None), lambda res, ct: (5 * ct,))
    mapped = custom_batching.custom_vmap(f)
    assert jvp(mapped, (1.0,), (1.0,))[1] == 5.0


def test_rule_of_wrong_arity_is_refused():
    f = custom_batching.custom_vmap(lambda x: x)
    with pytest.raises(RuleArityError, match="custom_vmap rule"):
        f.def_vmap(lambda x: x)


@pytest.mark.parametrize(
    "decorate",
    [
        lambda f: (custom_jvp(f), custom_batching.custom_vmap),
        lambda f: (custom_batching.custom_vmap(f), custom_jvp),
    ],
)
def test_rules_attached_to_the_function_below_later_are_used(decorate):
    below, above = decorate(lambda x: jnp.sin(x))
    f = above(below)
    below.defjvps(lambda t, ans, x: 100 * t)
    below.def_vmap(lambda size, batched, x: (7 * x, True))
    assert grad(f)(1.0) == 100.0
    assert vmap(f)(jnp.ones(2)).tolist() == [7.0, 7.0]
    assert vmap(grad(f))(jnp.ones(2)).tolist() == [100.0, 100.0]


# -- names of mapped axes --------------------------------------------------------------


def shared(rule):
    f = custom_batching.custom_vmap(lambda x: x / lax.psum(x, "i"))
    f.def_vmap(rule)
    return vmap(f, axis_name="i")


def test_a_batching_rule_takes_the_place_of_what_refers_to_the_axis():
    f = shared(lambda n, b, x: (x / x.sum(0) * n, True))
    assert_close(f(jnp.array([1.0, 3.0])), [0.5, 1.5])
    assert_close(jit(f)(jnp.array([1.0, 3.0])), [0.5, 1.5])


def test_a_batching_rule_is_not_asked_where_nothing_is_mapped():
    def rule(n, b, x):
        raise AssertionError("nothing to batch")

    f = custom_batching.custom_vmap(lambda x: x / lax.psum(x, "i"))
    f.def_vmap(rule)
    got = vmap(f, axis_name="i", in_axes=None, axis_size=4)(2.0)
    assert_close(got, [0.25] * 4)


def test_a_batching_rule_runs_outside_of_the_axis_it_is_for():
    def rule(n, b, x):
        return lax.psum(x, "i"), True

    with pytest.raises(UnboundAxisError, match="no axis has a name there"):
        shared(rule)(jnp.ones(2))
    outer = vmap(shared(lambda n, b, x: (lax.psum(x, "j"), True)), axis_name="j")
    assert_close(outer(jnp.ones((3, 2))), 3.0 * jnp.ones((3, 2)))
