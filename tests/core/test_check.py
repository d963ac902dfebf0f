"""The check that a jaxpr is well formed."""

import pytest

import pullback.numpy as jnp
from pullback import dtypes, grad, jit, lax, make_jaxpr
from pullback.core.aval import Aval
from pullback.core.check import check_jaxpr
from pullback.core.jaxpr import Eqn, Jaxpr, Var


def program(f, *args):
    return make_jaxpr(f)(*args).jaxpr


def test_check_must_accept_staged_programs():
    check_jaxpr(program(lambda x: jnp.sum(jnp.sin(x)) * 2, jnp.ones(3)))


def test_check_must_accept_literal_outputs():
    check_jaxpr(program(lambda x: 2.0, 1.0))


def test_check_must_accept_nested_programs():
    def f(x):
        y = lax.cond(x > 0, jit(jnp.sin), jnp.cos, x)
        return lax.scan(lambda c, _: (c * y, c), x, None, length=3)

    check_jaxpr(program(f, 1.0))
    check_jaxpr(program(grad(lambda x: f(x)[0]), 1.0))


def test_check_must_find_a_variable_that_is_not_defined():
    jaxpr = program(lambda x: jnp.sin(jnp.cos(x)), 1.0)
    with pytest.raises(AssertionError, match="sin uses an unknown"):
        check_jaxpr(Jaxpr(jaxpr.inputs, jaxpr.outputs, jaxpr.eqns[1:]))


def test_check_must_find_an_output_that_is_not_defined():
    jaxpr = program(jnp.sin, 1.0)
    with pytest.raises(AssertionError, match="output is never defined"):
        check_jaxpr(Jaxpr(jaxpr.inputs, jaxpr.outputs, []))


def test_check_must_find_a_wrong_type():
    jaxpr = program(jnp.sin, 1.0)
    (eqn,) = jaxpr.eqns
    out = Var(Aval((2,), dtypes.float32))
    wrong = Eqn(eqn.primitive, eqn.inputs, (out,))
    with pytest.raises(AssertionError, match=r"sin: f32\[2\] where .* says f32\[\]"):
        check_jaxpr(Jaxpr(jaxpr.inputs, [out], [wrong]))


def test_check_must_find_a_wrong_number_of_results():
    jaxpr = program(jnp.sin, 1.0)
    (eqn,) = jaxpr.eqns
    wrong = Eqn(eqn.primitive, eqn.inputs, ())
    with pytest.raises(AssertionError, match="sin: wrong number of results"):
        check_jaxpr(Jaxpr(jaxpr.inputs, [], [wrong]))


def test_check_must_look_into_nested_programs():
    jaxpr = program(jit(lambda x: jnp.sin(jnp.cos(x))), 1.0)
    inner = jaxpr.eqns[0].primitive.parameters()["jaxpr"]
    del inner.eqns[0]
    with pytest.raises(AssertionError, match="sin uses an unknown"):
        check_jaxpr(jaxpr)
