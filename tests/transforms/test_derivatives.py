import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import grad, hessian, jacfwd, jacrev, jit, value_and_grad, vmap
from pullback.errors import ArgumentError, GradError


def test_grad_of_several_arguments():
    f = lambda x, y, z: x * y**2 * z  # noqa: E731
    assert grad(f)(1.0, 2.0, 3.0) == 12.0
    assert grad(f, 1)(1.0, 2.0, 3.0) == 12.0
    assert grad(f, (0, -1))(1.0, 2.0, 3.0) == (12.0, 4.0)
    assert grad(f, [0])(1.0, 2.0, 3.0) == (12.0,)


def test_grad_keeps_name_keywords_and_containers():
    def loss(params, *, scale):
        """Scaled."""
        return params["w"].sum() * scale

    g = grad(loss)
    assert (g.__name__, g.__doc__) == ("loss", "Scaled.")
    np.testing.assert_array_equal(g({"w": jnp.ones(2)}, scale=3.0)["w"], [3.0, 3.0])


def test_value_and_grad_with_aux():
    (value, aux), got = value_and_grad(lambda x: (x**2, {"x": x}), has_aux=True)(3.0)
    assert (value, aux, got) == (9.0, {"x": 3.0}, 6.0)
    got, aux = grad(lambda x: (x**2, "n" and x), has_aux=True)(3.0)
    assert (got, aux) == (6.0, 3.0)


def test_derivatives_of_high_order():
    f = jnp.sin
    for want in (np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin):
        f = grad(f)
        np.testing.assert_allclose(f(0.7), want(0.7), rtol=1e-5)


@pytest.mark.parametrize("jacobian", [jacfwd, jacrev])
@pytest.mark.parametrize("wrap", [lambda f: f, jit])
def test_jacobians_of_containers(jacobian, wrap):
    def f(d):
        return {"p": d["x"] * d["s"], "q": d["x"].sum()}

    got = wrap(jacobian(f))({"x": jnp.array([1.0, 2.0]), "s": 3.0})
    np.testing.assert_array_equal(got["p"]["x"], 3 * np.eye(2))
    np.testing.assert_array_equal(got["p"]["s"], [1.0, 2.0])
    np.testing.assert_array_equal(got["q"]["x"], [1.0, 1.0])
    assert got["q"]["s"] == 0.0


@pytest.mark.parametrize("jacobian", [jacfwd, jacrev])
def test_jacobians_of_several_arguments_with_aux(jacobian):
    f = lambda x, y: (x[:, None] * y, "kept" and x)  # noqa: E731
    (dx, dy), aux = jacobian(f, (0, 1), has_aux=True)(jnp.ones(2), jnp.ones(3))
    assert (dx.shape, dy.shape) == ((2, 3, 2), (2, 3, 3))
    np.testing.assert_array_equal(aux, np.ones(2))


def test_hessian_is_symmetric():
    h = hessian(lambda x: jnp.prod(jnp.sin(x)))(jnp.array([0.3, 0.5, 0.7]))
    np.testing.assert_allclose(h, h.T, rtol=1e-5)


def test_holomorphic_derivatives():
    z = jnp.complex64(1.0 + 2.0j)
    for d in (grad, jacfwd, jacrev):
        np.testing.assert_allclose(d(lambda z: z**3, holomorphic=True)(z), 3 * z**2)


def vector(x):
    return jnp.stack([x, x])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda: grad(vector)(1.0),
            r"only defined for scalar-output functions: vector gave .*f32\[2\].*jacrev",
        ),
        (lambda: grad(lambda x: (x, x))(1.0), "a container .*has_aux"),
        (lambda: grad(lambda x: x)(1), "respect to x, which has dtype int32"),
        (
            lambda: grad(lambda p: p["a"][0])({"a": (1.0, True)}),
            r"respect to p\['a'\]\[1\], which has dtype bool",
        ),
        (lambda: grad(lambda z: z)(1j), "holomorphic=True"),
        (lambda: grad(lambda x: x * 1j)(1.0), "real-valued outputs.*complex64"),
        (lambda: grad(lambda x: x > 0)(1.0), "real-valued outputs.*bool"),
        (lambda: grad(lambda z: z, holomorphic=True)(1.0), "give complex arguments"),
        (lambda: grad(lambda x: (x, x, x), has_aux=True)(1.0), "not a pair"),
        (lambda: jacfwd(lambda x: x)(1), "which has dtype int32"),
    ],
)
def test_derivative_errors_say_what_is_wrong(call, said):
    with pytest.raises(GradError, match=said) as caught:
        call()
    assert isinstance(caught.value, TypeError)
    assert "test_derivatives.py:" in str(caught.value)


def test_argnums_out_of_range_say_so():
    with pytest.raises(ArgumentError, match="argnums of grad names position 1"):
        grad(lambda x: x, 1)(1.0)
    with pytest.raises(ArgumentError, match="grad was given a float"):
        grad(3.0)


def test_integer_derivatives_on_request():
    got = grad(lambda n: n * 2.0, allow_int=True)(jnp.arange(1)[0])
    assert got.dtype.names == ("float0",)


def test_vmap_of_jacobians():
    got = vmap(jacfwd(vector))(jnp.arange(3.0))
    np.testing.assert_array_equal(got, np.ones((3, 2)))
