"""`implicit.linear_solve`: methods against NumPy, derivatives against its own solve."""

import numpy as np
import pytest

from pullback import config, grad, hessian, jit, vjp, vmap
from pullback import numpy as jnp
from pullback.errors import ArgumentError, ConvergenceWarning, ShapeError, TreeError
from pullback.implicit import linear_solve
from tests.implicit.comparing import assert_close

METHODS = ("direct", "cg", "gmres", "bicgstab")
RNG = np.random.default_rng(1)
SIZE = 6


@pytest.fixture(autouse=True)
def double_precision():
    with config.context(enable_x64=True):
        yield


def system(method, is_complex):
    """Give a matrix that the method takes, and a right side."""
    a, b = RNG.normal(size=(SIZE, SIZE)), RNG.normal(size=SIZE)
    if is_complex:
        a = a + 1j * RNG.normal(size=(SIZE, SIZE))
        b = b + 1j * RNG.normal(size=SIZE)
    a = a @ a.conj().T + np.eye(SIZE) if method == "cg" else a + 5 * np.eye(SIZE)
    return jnp.array(a), jnp.array(b)


def hermitian(method, a):
    return (a + a.conj().T) / 2 if method == "cg" else a


def pulled_back(f, *args):
    value, pullback = vjp(f, *args)
    return pullback(jnp.ones_like(value))


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_values_and_gradients(method, is_complex):
    a, b = system(method, is_complex)

    def size(solve):
        return lambda a, b: jnp.sum(jnp.abs(solve(hermitian(method, a), b)) ** 2)

    found = linear_solve(a, b, method)
    assert found.converged
    assert_close(found.x, np.linalg.solve(a, b))
    solve = size(lambda a, b: linear_solve(a, b, method).x)
    wanted = pulled_back(size(jnp.linalg.solve), a, b)
    assert_close(pulled_back(solve, a, b), wanted)
    assert_close(jit(lambda a, b: pulled_back(solve, a, b))(a, b), wanted)


@pytest.mark.parametrize("method", METHODS)
def test_second_derivatives(method):
    a, b = system(method, False)

    def size(solve):
        return lambda a, b: jnp.sum(solve(hermitian(method, a), b) ** 2)

    solve = size(lambda a, b: linear_solve(a, b, method).x)
    wanted = hessian(size(jnp.linalg.solve), (0, 1))(a, b)
    assert_close(hessian(solve, (0, 1))(a, b), wanted, 1e-6, 1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_batches(method):
    a, b = system(method, False)
    bs = jnp.stack([b, 0 * b, 3 * b])
    xs = vmap(lambda b: linear_solve(a, b, method).x)(bs)
    assert_close(xs, np.linalg.solve(a, np.asarray(bs).T).T)


def test_functions_of_pytrees():
    def product(x):
        return {"a": 2.0 * x["a"], "b": 3.0 * x["b"] + x["a"][0]}

    right = {"a": jnp.ones(2), "b": 1}
    found = linear_solve(product, right, "gmres")
    assert_close(found.x, {"a": np.full(2, 0.5), "b": 1 / 6})


def test_derivative_with_respect_to_what_the_function_captures():
    def f(k):
        return linear_solve(lambda x: k * x, 8.0, "cg").x

    assert_close(grad(f)(4.0), -0.5)
    assert_close(grad(grad(f))(4.0), 0.25)


def test_start_and_preconditioner():
    a = RNG.normal(size=(60, 60)) / 8 + 2 * np.eye(60)
    b = np.ones(60)
    plain = linear_solve(a, b, "bicgstab")
    options = {"x0": b / 2, "preconditioner": lambda x: x / jnp.diagonal(a)}
    better = linear_solve(a, b, "bicgstab", **options)
    assert_close(better.x, plain.x, 1e-6)

    def last(b):
        return linear_solve(a, b, "gmres", **options).x[-1]

    assert_close(grad(last)(jnp.array(b)), np.linalg.inv(a)[-1], 1e-6)


def test_restarted_gmres_on_more_unknowns_than_a_cycle_has():
    a = RNG.normal(size=(100, 100)) / 12 + 2 * np.eye(100)
    found = linear_solve(a, np.ones(100), "gmres", restart=10)
    assert found.converged
    assert found.iterations % 10 == 0
    assert_close(found.x, np.linalg.solve(a, np.ones(100)))


def test_krylov_space_that_is_exhausted_early():
    found = linear_solve(np.eye(9) * 3.0, np.ones(9), "gmres")
    assert_close(found.x, np.full(9, 1 / 3))


def test_zero_right_side():
    for method in METHODS:
        found = linear_solve(np.eye(3), np.zeros(3), method)
        assert found.converged
        assert_close(found.x, np.zeros(3))


def test_not_converging_warns_and_says_so():
    a = RNG.normal(size=(50, 50))
    with pytest.warns(ConvergenceWarning, match="linear_solve by cg stopped after 3"):
        found = linear_solve(a, np.ones(50), "cg", max_iter=3)
    assert not found.converged
    assert found.iterations == 3
    assert not jit(lambda b: linear_solve(a, b, "cg", max_iter=3).converged)(
        np.ones(50)
    )


def test_singular_matrix_is_no_solution():
    with pytest.warns(ConvergenceWarning):
        assert not linear_solve(np.zeros((2, 2)), np.ones(2)).converged


def test_unknown_method_is_refused():
    with pytest.raises(ArgumentError, match="Use one of 'auto', 'direct', 'cg'"):
        linear_solve(np.eye(2), np.ones(2), "lu")


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match=r"matrix of shape \(2, 2\)"):
        linear_solve(np.eye(2), np.ones(3))
    with pytest.raises(TreeError, match=r"shapes \[\(2,\)\]"):
        linear_solve(lambda x: x[:2], np.ones(3))
