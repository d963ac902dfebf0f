"""`minimize` on functions whose least values are known."""

import numpy as np
import pytest

from pullback import jit, vmap
from pullback import numpy as jnp
from pullback.config import config
from pullback.errors import ArgumentError, ShapeError
from pullback.lax import stop_gradient
from pullback.scipy.optimize import minimize


def valley(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def fenced(x):
    """Is nan where x is negative."""
    return jnp.sum(x) - jnp.sum(jnp.log(x))


def hollow(x, a):
    return jnp.sum((x - a) ** 4 + (x - a) ** 2)


CASES = [
    (valley, [-1.2, 1.0], (), 1.0),
    (valley, [1.3, 0.7, 0.8, 1.9, 1.2], (), 1.0),
    (fenced, [3.0, 0.01], (), 1.0),
    (hollow, [5.0, -7.0], (2.5,), 2.5),
]


@pytest.mark.parametrize(("f", "x0", "args", "wanted"), CASES)
def test_least_values_are_found_at_once_and_compiled(f, x0, args, wanted):
    def solve(x):
        return minimize(f, x, args, method="BFGS", tol=1e-7)

    with config.context(enable_x64=True):
        for run in (solve, jit(solve)):
            found = run(jnp.array(x0))
            assert found.success
            assert found.status == 0
            np.testing.assert_allclose(found.x, wanted, 1e-6)
            np.testing.assert_allclose(found.fun, f(found.x, *args))
            assert np.abs(found.jac).max() < 1e-7
            assert found.nfev == found.njev > found.nit > 0


def test_the_inverse_hessian_of_a_quadratic_function_is_found():
    a = np.array([[3.0, 1.0], [1.0, 2.0]])
    with config.context(enable_x64=True):
        found = minimize(lambda x: x @ a @ x / 2, jnp.ones(2), method="bfgs", tol=1e-9)
    np.testing.assert_allclose(found.hess_inv, np.linalg.inv(a), 1e-2)


def test_many_are_minimized_at_once():
    starts = jnp.array([[-1.2, 1.0], [2.0, 2.0], [1.0, 1.0]])
    found = vmap(lambda x: minimize(valley, x, method="BFGS"))(starts)
    np.testing.assert_allclose(found.x, 1.0, 1e-3)
    assert found.nit[2] == 0


def test_the_status_says_why_it_ended():
    x = jnp.array([-1.2, 1.0])
    found = minimize(valley, x, method="BFGS", options={"maxiter": 3})
    assert (found.status, found.nit, bool(found.success)) == (1, 3, False)
    # The gradient points the wrong way.
    found = minimize(lambda x: x[0] - 2 * stop_gradient(x[0]), x, method="BFGS")
    assert (found.status, bool(found.success)) == (3, False)
    np.testing.assert_array_equal(found.x, x)
    found = minimize(valley, x, method="BFGS", options={"norm": 2, "gtol": 1e3})
    assert found.nit == 0


def test_errors_say_what_was_given():
    with pytest.raises(ArgumentError, match="minimize was given method='NEWTON'"):
        minimize(valley, jnp.ones(2), method="newton")
    with pytest.raises(ArgumentError, match=r"options \['disp'\]"):
        minimize(valley, jnp.ones(2), method="BFGS", options={"disp": True})
    with pytest.raises(ShapeError, match=r"minimize was given x0 f32\[\]"):
        minimize(valley, 1.0, method="BFGS")
