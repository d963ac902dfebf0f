"""`odeint`: values against SciPy, derivatives of both orders against differences."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from pullback import config, grad, hessian, jacfwd, jacrev, jit, jvp, linearize, vmap
from pullback import numpy as jnp
from pullback.errors import ArgumentError, ConvergenceWarning, TreeError
from pullback.ode import odeint
from tests.implicit.comparing import assert_close, difference

TIMES = np.linspace(0.0, 2.0, 5)
START = np.array([1.0, 0.5])


@pytest.fixture(autouse=True)
def double_precision():
    with config.context(enable_x64=True):
        yield


def predators(y, t, a, b):
    return jnp.stack([a * y[0] - y[0] * y[1], -b * y[1] + y[0] * y[1] * jnp.cos(t)])


def loss(y0, a, b, t):
    return jnp.sum(odeint(predators, y0, t, a, b)[1:] ** 2)


def arguments():
    return jnp.array(START), 1.2, 0.7, jnp.array(TIMES)


def test_values_against_scipy():
    def right_side(t, y):
        return np.asarray(predators(jnp.array(y), t, 1.2, 0.7))

    options = {"t_eval": TIMES, "rtol": 1e-11, "atol": 1e-11}
    wanted = solve_ivp(right_side, (0, 2), START, **options).y.T
    assert_close(odeint(predators, START, TIMES, 1.2, 0.7), wanted, 1e-7)
    found = jit(lambda y: odeint(predators, y, TIMES, 1.2, 0.7))(START)
    assert_close(found, wanted, 1e-7)


def test_tighter_tolerances_give_smaller_errors():
    def error(tol):
        y = odeint(lambda y, t: -y, 1.0, TIMES, rtol=tol, atol=tol)
        return abs(y[-1] - np.exp(-2.0))

    assert error(1e-11) < 1e-10 < error(1e-5) < 1e-4


def test_states_between_steps_are_as_exact_as_the_steps():
    dense = np.linspace(0.0, 2.0, 201)
    assert_close(odeint(lambda y, t: -y, 1.0, dense), np.exp(-dense), 1e-6)


@pytest.mark.parametrize("i", range(4))
@pytest.mark.parametrize("derivative", [grad, jacfwd])
def test_first_derivatives(derivative, i):
    wanted = difference(loss, arguments(), i)
    assert_close(derivative(loss, i)(*arguments()), wanted, 1e-5, 1e-6)


def test_first_derivatives_compiled():
    found = jit(grad(loss, (0, 1)))(*arguments())
    assert_close(found, grad(loss, (0, 1))(*arguments()), 1e-6)


@pytest.mark.parametrize(
    "twice",
    [
        hessian,
        lambda f, i: grad(grad(f, i), i),
        lambda f, i: jacfwd(jacfwd(f, i), i),
        lambda f, i: jacrev(jacfwd(f, i), i),
    ],
)
def test_second_derivatives(twice):
    wanted = difference(grad(loss, 1), arguments(), 1, 1e-4)
    assert_close(twice(loss, 1)(*arguments()), wanted, 1e-4)


def test_mixed_second_derivatives():
    found = hessian(loss, (0, 1, 2))(*arguments())
    assert_close(found[1][2], difference(grad(loss, 1), arguments(), 2, 1e-4), 1e-4)
    assert_close(found[0][1], difference(grad(loss, 0), arguments(), 1, 1e-4), 1e-4)


def test_linearized_function_has_both_faces():
    y0, a, b, t = arguments()
    _, forward = linearize(lambda a: odeint(predators, y0, t, a, b)[-1], a)
    assert_close(forward(1.0), jacrev(lambda a: odeint(predators, y0, t, a, b)[-1])(a))


def test_batches():
    y0, _, b, t = arguments()
    rates = jnp.array([1.0, 1.2])
    values = vmap(lambda a: loss(y0, a, b, t))(rates)
    assert_close(values, np.array([loss(y0, a, b, t) for a in rates]), 1e-6)
    gradients = vmap(grad(lambda a: loss(y0, a, b, t)))(rates)
    wanted = [grad(loss, 1)(y0, a, b, t) for a in rates]
    assert_close(gradients, np.array(wanted), 1e-5)


def oscillation(a):
    def right_side(state, t):
        return {"x": a * state["v"], "v": -state["x"]}

    return odeint(right_side, {"x": 1.0, "v": jnp.zeros(())}, TIMES)["x"][-1]


def test_trees_and_captured_values():
    assert_close(oscillation(1.0), np.cos(2.0), 1e-7)
    first = difference(oscillation, (1.0,), 0)
    assert_close(grad(oscillation)(1.0), first, 1e-5)
    assert_close(jit(grad(oscillation))(1.0), first, 1e-5)
    assert_close(jvp(oscillation, (1.0,), (1.0,))[1], first, 1e-5)
    wanted = difference(grad(oscillation), (1.0,), 0, 1e-4)
    assert_close(hessian(oscillation)(1.0), wanted, 1e-4)


def test_parameters_in_trees_with_integers():
    def right_side(y, t, p):
        return -p["rate"] * y ** p["power"]

    def f(rate):
        return odeint(right_side, 1.0, TIMES, {"rate": rate, "power": 2})[-1]

    assert_close(f(0.5), 1 / (1 + 2 * 0.5), 1e-6)
    assert_close(grad(f)(0.5), -2 / (1 + 2 * 0.5) ** 2, 1e-6)


def test_backwards_in_time_and_complex():
    falling = TIMES[::-1]
    assert_close(odeint(lambda y, t: -y, np.exp(-2.0), falling), np.exp(-falling), 1e-6)
    found = odeint(lambda y, t: 1j * y, 1.0 + 0j, TIMES)
    assert_close(found, np.exp(1j * TIMES), 1e-6)


def test_repeated_and_single_times():
    found = odeint(lambda y, t: -y, 1.0, np.array([0.0, 1.0, 1.0]))
    assert_close(found, np.exp([-0.0, -1.0, -1.0]), 1e-6)
    assert odeint(lambda y, t: -y, 2.0, np.array([0.0])).tolist() == [2.0]


def test_longest_step_is_kept():
    def jump(y, t):
        return jnp.where((t > 1.0) & (t < 1.1), 1.0, 0.0) + 0.0 * y

    found = odeint(jump, 0.0, TIMES, hmax=0.02)
    assert_close(found[-1], 0.1, 1e-3)


def test_single_precision():
    with config.context(enable_x64=False):
        found = odeint(lambda y, t: -y, 1.0, TIMES)
        assert found.dtype == jnp.float32
        assert_close(found, np.exp(-TIMES), 1e-5)


def test_states_beyond_a_pole_are_nan_and_warned_of():
    times = np.array([0.0, 0.5, 0.9, 2.0])
    with pytest.warns(ConvergenceWarning, match=r"did not reach t\[3\] = 2") as caught:
        found = odeint(lambda y, t: y * y, 1.0, times)
    assert caught[0].filename == __file__
    assert_close(found[:3], 1 / (1 - times[:3]), 1e-6)
    assert np.isnan(found[3])


def test_too_few_steps_give_nan():
    with pytest.warns(ConvergenceWarning, match="mxstep"):
        assert np.isnan(odeint(lambda y, t: -y, 1.0, TIMES, mxstep=2)[-1])


def test_arguments_are_checked():
    with pytest.raises(ArgumentError, match=r"times of shape \(\)"):
        odeint(lambda y, t: y, 1.0, 2.0)
    with pytest.raises(TreeError, match="odeint met a value"):
        odeint(lambda y, t: jnp.ones(3), jnp.ones(2), TIMES)
    with pytest.raises(ArgumentError, match="odeint was given a float"):
        odeint(1.0, 1.0, TIMES)
