"""Linearization: run once, with the linear program recorded."""

import gc
import weakref

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import custom_jvp, grad, jit, linearize, make_jaxpr, tree_util, vmap
from pullback.core.jaxpr import evaluate
from pullback.core.primitive import Primitive
from pullback.errors import LinearityError, TreeError
from pullback.primitives.structural import frozen
from pullback.transforms.linearize import (
    flatten_program,
    linearize_flat,
    linearize_jaxpr,
    needed_steps,
    unflatten_program,
)


def test_linearize_runs_the_function_once():
    runs = []
    y, f_lin = linearize(lambda x: runs.append(1) or jnp.sin(x), 2.0)
    np.testing.assert_allclose(y, np.sin(2.0), rtol=1e-6)
    np.testing.assert_allclose(
        [f_lin(1.0), f_lin(3.0)], np.cos(2.0) * np.array([1, 3]), rtol=1e-6
    )
    assert runs == [1]


def test_linearize_keeps_containers_integers_and_aux():
    out, f_lin, aux = linearize(
        lambda d, n: ([d["a"] * n], d["a"]), {"a": 2.0}, 3, has_aux=True
    )
    assert (out, aux) == ([6.0], 2.0)
    assert f_lin({"a": 1.0}, None) == [3.0]
    assert f_lin(None, None) == [0.0]


def test_linearize_errors_name_the_tangent():
    _, f_lin = linearize(lambda d: d["a"], {"a": 1.0})
    with pytest.raises(TreeError, match=r"linearization of .*tangents\[0\]\['a'\]"):
        f_lin({"a": jnp.ones(2)})
    with pytest.raises(TreeError, match="missing key 'a'"):
        f_lin({})


def test_linear_function_can_be_transformed():
    _, f_lin = linearize(lambda x: x**3, 2.0)
    np.testing.assert_array_equal(vmap(f_lin)(jnp.arange(2.0)), [0, 12])
    assert jit(f_lin)(1.0) == 12.0
    assert grad(f_lin)(5.0) == 12.0
    second = grad(lambda x: linearize(lambda x: x**3, x)[1](1.0))
    assert second(2.0) == 12.0
    assert jit(second)(2.0) == 12.0


def test_recorded_program_drops_steps_nobody_needs():
    _, program = linearize_flat(
        lambda x: [jnp.sin(x), jnp.cos(x)][:1], [jnp.float32(1.0)]
    )
    assert len(program.steps) > 1
    assert len(needed_steps(program.steps, program.outputs)) == 1


def test_recorded_program_is_a_container_of_residuals():
    _, program = linearize_flat(lambda x: [x * jnp.exp(x)], [jnp.float32(1.0)])
    residuals, recorded = flatten_program(program)
    twice = unflatten_program(recorded, [2 * r for r in residuals])
    one = jnp.float32(1.0)
    assert twice(one)[0] > program(one)[0]
    leaves, treedef = tree_util.tree_flatten(program)
    assert treedef == tree_util.tree_structure(treedef.unflatten(leaves))


def test_program_splits_into_primal_and_linear_part():
    jaxpr = make_jaxpr(lambda x, y: (jnp.sin(x) * y, y))(1.0, 2.0).jaxpr
    parts = linearize_jaxpr(jaxpr, [True, False])
    assert parts.out_nonzero == [True, False]
    values = evaluate(parts.primal, [jnp.float32(3.0), jnp.float32(4.0)])
    outs, residuals = values[:2], values[2:]
    np.testing.assert_allclose(outs, [4 * np.sin(3.0), 4.0], rtol=1e-6)
    (dot,) = evaluate(parts.linear, [*residuals, jnp.float32(1.0)])
    np.testing.assert_allclose(dot, 4 * np.cos(3.0), rtol=1e-6)
    assert 1 in parts.residual_inputs
    assert linearize_jaxpr(jaxpr, [True, False]) is parts


def test_residuals_are_released_with_the_linear_function():
    x = jnp.ones(1000)
    _, f_lin = linearize(jnp.sin, x)
    kept = weakref.ref(x)
    del x, f_lin
    gc.collect()
    assert kept() is None


def test_linear_steps_are_counted_by_their_container():
    _, program = linearize_flat(lambda x: [jnp.sin(x) * 2], [jnp.float32(1.0)])
    recorded = tree_util.tree_structure(program)
    assert "linear steps>" in str(recorded)


def test_zeros_passed_into_a_compiled_linear_function_leave_no_steps():
    _, f_jvp = linearize(jit(lambda x, y: x * 2 + jnp.sin(y)), 1.0, 2.0)
    outs, program = linearize_flat(lambda t: [f_jvp(t, None)], [jnp.float32(1.0)])
    assert outs == [2.0]
    assert program(jnp.float32(3.0)) == [6.0]


def test_derivative_of_an_operation_with_a_constant_tangent_is_refused():
    message = r"gave a tangent of type f32\[\] that does not depend on its input"
    with pytest.raises(LinearityError, match=message) as caught:
        grad(Shifted())(1.0)
    assert "Multiply the derivative by the input's tangent" in str(caught.value)


def test_operation_whose_primal_output_uses_a_tangent_is_refused():
    with pytest.raises(LinearityError, match="primal output of a derivative rule dep"):
        grad(Mixed())(1.0)


@frozen
class Shifted(Primitive):
    """An operation whose tangent is a constant."""

    def abstract(self, x):
        return x

    def eager(self, x):
        return x

    def jvp(self, primals, tangents):
        return primals[0], jnp.float32(1.0)


@frozen
class Mixed(Shifted):
    """An operation whose primal output is its tangent."""

    def jvp(self, primals, tangents):
        return tangents[0], tangents[0]


def test_zero_tangent_through_a_compiled_call_leaves_no_step():
    f = custom_jvp(lambda x, y: x + y)
    twice = jit(lambda t: 2 * t)
    f.defjvp(lambda p, t: (f(*p), t[0] + twice(t[1])))
    _, program = linearize_flat(lambda x: [f(x, 3.0)], [jnp.float32(1.0)])
    assert program(jnp.float32(5.0)) == [5.0]
    assert "jit" not in [primitive.name for primitive, _, _ in program.steps]


def test_staged_zero_added_twice_to_a_tangent_is_made_once():
    f = custom_jvp(lambda x: x * 2)

    @f.defjvp
    def f_jvp(primals, tangents):
        zero = jnp.zeros_like(primals[0])
        return f(*primals), (2 * tangents[0] + zero) + zero

    x = jnp.ones(3)
    jaxpr = make_jaxpr(lambda x: f(x))(x).jaxpr
    linear = linearize_jaxpr(jaxpr, [True]).linear
    names = [eqn.primitive.name for eqn in linear.eqns]
    assert names.count("add") == 2
    assert len(names) == 4
    np.testing.assert_array_equal(evaluate(linear, [x])[0], 2 * np.ones(3))
