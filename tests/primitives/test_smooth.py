"""Functions whose formulas choose: higher derivatives at the places of the choice."""

import mpmath
import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import enable_x64, grad, hessian, jit, nn, vmap
from pullback.scipy import special

FUNCTIONS = {
    "softplus": (nn.softplus, lambda x: mpmath.log1p(mpmath.exp(x))),
    "log_sigmoid": (nn.log_sigmoid, lambda x: -mpmath.log1p(mpmath.exp(-x))),
    "mish": (nn.mish, lambda x: x * mpmath.tanh(mpmath.log1p(mpmath.exp(x)))),
    "logaddexp": (
        lambda x: jnp.logaddexp(x, 0.5 * x),
        lambda x: mpmath.log(mpmath.exp(x) + mpmath.exp(x / 2)),
    ),
    "logaddexp2": (
        lambda x: jnp.logaddexp2(x, 1.0),
        lambda x: mpmath.log(2**x + 2, 2),
    ),
    "hypot": (lambda x: jnp.hypot(x, 1.0), lambda x: mpmath.sqrt(x * x + 1)),
    "hypot of both": (
        lambda x: jnp.hypot(x, 2.0 - x),
        lambda x: mpmath.sqrt(x * x + (2 - x) ** 2),
    ),
    "i0": (special.i0, lambda x: mpmath.besseli(0, x)),
    "i1": (special.i1, lambda x: mpmath.besseli(1, x)),
    "x ** x": (lambda x: jnp.abs(x) ** x, lambda x: abs(x) ** x),
    "x ** (1 - x)": (lambda x: x ** (1.0 - x), lambda x: x ** (1 - x)),
}


# Powers of 0 have no derivative.
CASES = [
    (name, x)
    for name in FUNCTIONS
    for x in (0.0, 1.0, 2.0, 0.0625)
    if x or not name.startswith("x **")
]


@pytest.mark.parametrize(("name", "x"), CASES)
def test_derivatives_to_the_third_must_be_those_of_the_function(name, x):
    f, exact = FUNCTIONS[name]
    with enable_x64(True), mpmath.workdps(40):
        found = []
        for _ in range(4):
            found.append([float(f(x)), float(jit(f)(x))])
            f = grad(f)
        wanted = [[float(mpmath.diff(exact, x, n))] * 2 for n in range(4)]
    np.testing.assert_allclose(found, wanted, rtol=2e-12, atol=1e-11)


def test_hessian_of_a_logistic_loss_at_zero_weights():
    rng = np.random.default_rng(0)
    x, y = jnp.asarray(rng.standard_normal((30, 4))), jnp.asarray(rng.random(30) > 0.5)

    def loss(w):
        z = x @ w
        return jnp.sum(nn.softplus(z) - y * z)

    found = hessian(loss)(jnp.zeros(4))
    np.testing.assert_allclose(found, x.T @ x / 4, rtol=1e-5)


@pytest.mark.parametrize("f", [jnp.logaddexp, jnp.hypot])
def test_values_must_be_numpys_at_the_edges(f):
    edge = [0.0, -0.0, 1.0, -3.0, 88.0, 1e30, np.inf, -np.inf, np.nan]
    x, y = (a.ravel().astype(np.float32) for a in np.meshgrid(edge, edge))
    with np.errstate(all="ignore"):
        wanted = getattr(np, f.__name__)(x, y)
    np.testing.assert_allclose(f(x, y), wanted, rtol=3e-7)
    np.testing.assert_allclose(jit(f)(x, y), wanted, rtol=3e-7)


def test_gradients_must_be_numbers_at_the_edges():
    def slopes(f, x, y):
        return grad(f, (0, 1))(jnp.float32(x), jnp.float32(y))

    inf = np.inf
    assert slopes(jnp.logaddexp, -inf, -inf) == (0.5, 0.5)
    assert slopes(jnp.logaddexp, inf, inf) == (0.5, 0.5)
    assert slopes(jnp.logaddexp, -inf, 3.0) == (0.0, 1.0)
    assert slopes(jnp.logaddexp, inf, 3.0) == (1.0, 0.0)
    assert slopes(jnp.hypot, 0.0, 0.0) == (0.0, 0.0)
    assert slopes(jnp.hypot, inf, 1.0) == (0.0, 0.0)
    assert grad(grad(jnp.hypot))(jnp.float32(0.0), jnp.float32(0.0)) == 0.0


def test_slope_of_a_power_must_be_zero_where_its_exponent_is():
    x = jnp.array([0.0, 1.0, -2.0, np.inf, np.nan, 1e-40])
    slope = vmap(grad(jnp.power), (0, None))(x, 0.0)
    np.testing.assert_array_equal(slope, np.zeros(6))
    traced = jit(vmap(grad(jnp.power)))(x, jnp.zeros(6))
    np.testing.assert_array_equal(traced, np.zeros(6))
