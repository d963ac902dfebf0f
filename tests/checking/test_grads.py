import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import custom_jvp, custom_vjp, jvp
from pullback.errors import ArgumentError
from pullback.test_util import check_grads


@pytest.mark.parametrize(
    ("f", "args"),
    [
        (jnp.sin, (1.5,)),
        (lambda x, y: x * jnp.sin(y), (2.0, 3.0)),
        (lambda x, n: x**n, (2.0, 3)),
        (
            lambda p: jnp.tanh(p["w"] @ p["x"]).sum(),
            ({"w": np.ones((2, 3)), "x": np.arange(3.0)},),
        ),
        (lambda z: jnp.exp(z) * z, (1 + 2j,)),
        (lambda z: jnp.real(z) * jnp.abs(z) ** 2, (np.complex64(1 - 2j),)),
        (jnp.log, (1e-20,)),
        (jnp.exp, (80.0,)),
        (lambda x, flag: jnp.where(flag, x, -x), (np.arange(3.0), True)),
    ],
)
def test_right_derivatives_pass_to_second_order(f, args):
    check_grads(f, args, order=2)


def test_third_order_is_checked():
    check_grads(lambda x: x**4, (1.5,), order=3)


def test_either_slope_is_right_at_a_kink():
    check_grads(jnp.abs, (0.0,))


def test_a_function_with_a_reverse_rule_only_is_checked_in_reverse():
    f = custom_vjp(lambda x: jnp.sin(x))
    f.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (g * jnp.cos(x),))
    check_grads(f, (1.0,), order=2)
    with pytest.raises(TypeError):
        jvp(f, (1.0,), (1.0,))
    with pytest.raises(ArgumentError, match=r"modes=\('rev',\)"):
        check_grads(f, (1.0,), modes=("fwd",))


def test_the_worst_entry_its_path_and_both_numbers_are_named():
    f = custom_jvp(lambda p: p["a"] * 2.0)
    f.defjvps(lambda t, ans, p: t["a"] * jnp.array([2.0, 2.0, 5.0]))
    with pytest.raises(AssertionError) as caught:
        check_grads(f, ({"a": np.arange(3.0)},))
    text = str(caught.value)
    assert "output[2] by p['a'][2] is 5; finite differences give 2" in text
    assert "1 of 9" in text


def test_a_wrong_second_derivative_is_caught():
    @custom_jvp
    def slope(x):
        return 2.0 * x

    slope.defjvps(lambda t, ans, x: 3.0 * t)
    f = custom_jvp(lambda x: x * x)
    f.defjvps(lambda t, ans, x: t * slope(x))
    check_grads(f, (1.0,))
    with pytest.raises(AssertionError, match="derivative of its forward derivative"):
        check_grads(f, (1.0,), order=2)


def test_tolerances_and_step_can_be_given():
    f = custom_jvp(lambda x: x * x)
    f.defjvps(lambda t, ans, x: 2.01 * t * x)
    check_grads(f, (1.0,), rtol=0.1, eps=1e-3)
    with pytest.raises(AssertionError):
        check_grads(f, (1.0,), rtol=1e-3, atol=0.0)


def test_nothing_is_checked_where_nothing_varies():
    check_grads(lambda n: n * 2, (3,))


def test_arguments_must_be_a_tuple():
    with pytest.raises(ArgumentError, match="with a tuple"):
        check_grads(jnp.sin, 1.0)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="no mode"):
        check_grads(jnp.sin, (1.0,), modes=("forward",))


def test_large_arrays_are_sampled():
    check_grads(lambda x: jnp.sin(x).sum(), (np.linspace(0, 1, 5000),))
