"""`implicit.root`: methods against SciPy, derivatives by differences."""

import numpy as np
import pytest
import scipy.optimize

from pullback import config, grad, hessian, jacrev, jit, vmap
from pullback import numpy as jnp
from pullback.errors import ArgumentError, ConvergenceWarning
from pullback.implicit import root
from tests.implicit.comparing import assert_close, difference

START = np.array([1.0, 2.0])


@pytest.fixture(autouse=True)
def double_precision():
    with config.context(enable_x64=True):
        yield


def equations(x, a):
    return jnp.stack([x[0] ** 2 + a * x[1] - 3, jnp.exp(x[0]) - x[1] * x[0] - 1])


@pytest.mark.parametrize("method", ["newton", "broyden"])
def test_values_against_scipy(method):
    wanted = scipy.optimize.root(
        lambda x: np.asarray(equations(jnp.array(x), 1.5)), START, tol=1e-13
    ).x
    found = root(lambda x: equations(x, 1.5), START, method)
    assert found.converged
    assert_close(found.x, wanted, 1e-9)


@pytest.mark.parametrize("wrap", [lambda f: f, jit])
@pytest.mark.parametrize("method", ["newton", "broyden"])
def test_derivatives_against_differences(method, wrap):
    def f(a):
        return root(lambda x: equations(x, a), START, method).x[0]

    assert_close(wrap(grad(f))(1.5), difference(f, (1.5,), 0), 1e-6)
    assert_close(wrap(hessian(f))(1.5), difference(grad(f), (1.5,), 0), 1e-5)
    wanted = np.array([grad(f)(1.5), grad(f)(1.6)])
    assert_close(wrap(vmap(grad(f)))(jnp.array([1.5, 1.6])), wanted, 1e-7)


def test_params():
    def f(a):
        return root(equations, START, params=(a,)).x[1]

    assert_close(grad(f)(1.5), difference(f, (1.5,), 0), 1e-6)


def cube_roots(a):
    return root(lambda x: x**3 - a, bracket=(jnp.zeros(3), 5.0 * jnp.ones(3))).x


def test_bisection_goes_element_by_element():
    a = jnp.array([1.0, 8.0, 27.0])
    assert_close(cube_roots(a), np.array([1.0, 2.0, 3.0]))
    wanted = np.diag([1 / 3, 1 / 12, 1 / 27])
    assert_close(jacrev(cube_roots)(a), wanted)
    second = jit(hessian(lambda a: jnp.sum(cube_roots(a))))(a)
    assert_close(second[1, 1], -2 / 9 * 8 ** (-5 / 3))


def test_bracket_with_a_root_at_its_end():
    found = root(lambda x: x, bracket=(0.0, 1.0))
    assert found.converged
    assert found.x == 0.0


def test_newton_halves_steps_that_go_too_far():
    # Plain Newton diverges from here.
    found = root(jnp.arctan, 3.0)
    assert found.converged
    assert abs(found.x) < 1e-11


@pytest.mark.parametrize(
    "search",
    [
        lambda: root(lambda x: x**2 + 1, 1.5, max_iter=20),
        lambda: root(lambda x: x - 3.0, bracket=(0.0, 1.0)),
    ],
)
def test_not_converging_warns_and_says_so(search):
    with pytest.warns(ConvergenceWarning, match="without having converged"):
        assert not search().converged


@pytest.mark.parametrize(
    "arguments",
    [
        {"x0": 1.0, "method": "secant"},
        {"x0": 1.0, "method": "bisection"},
        {"bracket": (0.0, 1.0), "method": "newton"},
    ],
)
def test_methods_say_what_they_want(arguments):
    with pytest.raises(ArgumentError, match="'bisection' with bracket"):
        root(lambda x: x, **arguments)
