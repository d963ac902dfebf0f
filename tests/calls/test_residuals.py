"""Residuals of loops: what is cheaply made of others is not stacked."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import grad, jit, lax, make_jaxpr
from pullback.calls.residuals import CHEAP, with_fewer_residuals
from pullback.core.jaxpr import evaluate
from pullback.transforms.linearize import linearize_jaxpr

STEPS, WIDTH = 7, 5


def tanh_step(carry, w):
    carry = jnp.tanh(carry * w)
    return carry, jnp.sum(carry * carry)


def masked_step(carry, w):
    carry = jnp.where(carry > 0.2, carry * w, carry + w)
    return carry, jnp.sum(carry * jnp.maximum(carry, w))


def sine_step(carry, w):
    carry = jnp.sin(carry) + w
    return carry, jnp.sum(carry)


def giving_step(carry, w):
    carry = jnp.tanh(carry + w)
    return carry, carry


def looped(step):
    def f(w):
        last, ys = lax.scan(step, jnp.full(WIDTH, 0.3), w)
        return jnp.sum(last) + jnp.sum(ys)

    return f


def unrolled(step):
    def f(w):
        carry, total = jnp.full(WIDTH, 0.3), 0.0
        for i in range(STEPS):
            carry, y = step(carry, w[i])
            total = total + jnp.sum(y)
        return jnp.sum(carry) + total

    return f


def stacks(step):
    """Count the arrays of the carry's shape that the forward loop stacks."""
    closed = make_jaxpr(grad(looped(step)))(jnp.ones((STEPS, WIDTH)))
    forward = next(e for e in closed.jaxpr.eqns if e.primitive.name == "scan")
    return sum(v.aval.shape == (STEPS, WIDTH) for v in forward.outputs)


@pytest.mark.parametrize("step", [tanh_step, masked_step, sine_step, giving_step])
def test_gradients_of_loops_are_those_of_the_steps_written_out(step):
    w = jnp.asarray(np.linspace(-1.0, 1.3, STEPS * WIDTH).reshape(STEPS, WIDTH))
    wanted = grad(unrolled(step))(w)
    for derivative in (grad(looped(step)), jit(grad(looped(step)))):
        np.testing.assert_allclose(derivative(w), wanted, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("step", [tanh_step, masked_step, giving_step])
def test_second_derivatives_of_loops_that_compute_residuals_again(step):
    w = jnp.asarray(np.linspace(-1.0, 1.3, STEPS * WIDTH).reshape(STEPS, WIDTH))

    def twice(f):
        return grad(lambda w: jnp.sum(jnp.sin(grad(f)(w))))

    wanted = twice(unrolled(step))(w)
    np.testing.assert_allclose(twice(looped(step))(w), wanted, rtol=1e-4, atol=1e-5)


def test_a_slope_made_of_a_residual_is_not_stacked():
    # The carry before a step, and after it; not one minus the square of that.
    assert stacks(tanh_step) == 2


def test_a_slope_made_of_an_output_is_not_stacked():
    assert stacks(giving_step) == 1


def test_a_slope_that_is_dear_to_compute_is_stacked():
    assert stacks(sine_step) == 1


def test_operations_move_to_the_linear_part_in_the_same_order():
    closed = make_jaxpr(lambda x: tanh_step(x, 2.0))(jnp.ones(WIDTH))
    split = linearize_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.inputs))
    fewer = with_fewer_residuals(split, ())
    assert len(fewer.residual_inputs) < len(split.residual_inputs)
    names = [e.primitive.name for e in fewer.linear.eqns if e.primitive in CHEAP]
    assert names[:2] == ["mul", "sub"]


def test_moved_operations_give_the_same_tangents():
    closed = make_jaxpr(lambda x: tanh_step(x, 2.0))(jnp.ones(WIDTH))
    split = linearize_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.inputs))
    x, dot = jnp.asarray(np.linspace(-1, 1, WIDTH, dtype="f4")), jnp.ones(WIDTH)
    tangents = []
    for parts in (split, with_fewer_residuals(split, ())):
        outs = evaluate(parts.primal, [x])
        residuals = outs[len(parts.out_nonzero) :]
        tangents.append(evaluate(parts.linear, [*residuals, dot]))
    for one, other in zip(*tangents):
        np.testing.assert_array_equal(one, other)


def test_nothing_changes_where_no_residual_is_made_of_others():
    closed = make_jaxpr(lambda x: sine_step(x, 2.0))(jnp.ones(WIDTH))
    split = linearize_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.inputs))
    assert with_fewer_residuals(split, ()) is split
