"""`implicit_diff` and `custom_root`: derivatives of what is solved, to third order."""

import numpy as np
import pytest

from pullback import (
    config,
    grad,
    hessian,
    implicit_diff,
    jacfwd,
    jacrev,
    jit,
    jvp,
    vmap,
)
from pullback import numpy as jnp
from pullback.core.array import Array
from pullback.errors import ArgumentError, TreeError
from pullback.lax import custom_root
from tests.implicit.comparing import assert_close


@pytest.fixture(autouse=True)
def double_precision():
    with config.context(enable_x64=True):
        yield


@implicit_diff(lambda x, a: x * x - a)
def square_root(x, a):
    for _ in range(20):
        x = (x + a / x) / 2
    return x


SECOND = -1 / 4 / 27


def test_name_and_signature_are_the_solver_s():
    assert square_root.__name__ == "square_root"
    assert_close(square_root(1.0, 9.0), 3.0)


@pytest.mark.parametrize("wrap", [lambda f: f, jit])
def test_first_derivatives(wrap):
    assert_close(wrap(grad(square_root, 1))(1.0, 9.0), 1 / 6)
    assert_close(wrap(jacfwd(square_root, 1))(1.0, 9.0), 1 / 6)
    assert_close(grad(wrap(square_root), 1)(1.0, 9.0), 1 / 6)
    assert_close(jvp(wrap(square_root), (1.0, 9.0), (5.0, 6.0))[1], 1.0)


def test_derivative_for_the_start_is_zero():
    assert grad(square_root)(1.0, 9.0) == 0.0
    assert grad(grad(square_root, 1), 0)(1.0, 9.0) == 0.0


@pytest.mark.parametrize("outer", [grad, jacfwd, jacrev])
@pytest.mark.parametrize("inner", [grad, jacfwd])
@pytest.mark.parametrize("wrap", [lambda f: f, jit])
def test_second_derivatives(outer, inner, wrap):
    assert_close(wrap(outer(inner(square_root, 1), 1))(1.0, 9.0), SECOND)


def test_third_derivative():
    third = grad(grad(grad(square_root, 1), 1), 1)
    assert_close(third(1.0, 9.0), 3 / 8 / 3**5)


def test_batches():
    a = jnp.array([4.0, 9.0])
    assert_close(
        vmap(grad(square_root, 1), (None, 0))(1.0, a), np.array([1 / 4, 1 / 6])
    )
    seconds = jit(vmap(hessian(square_root, 1), (None, 0)))(1.0, a)
    assert_close(seconds, np.array([-1 / 32, SECOND]))

    def total(s):
        return jnp.sum(vmap(square_root, (None, 0))(1.0, s * a))

    assert_close(grad(total)(1.0), 2.5)


def test_solver_may_leave_the_library():
    def residual(x, p):
        return jnp.stack([x[0] ** 2 - p["p"], x[1] * x[0] - p["q"]])

    @implicit_diff(residual)
    def solve_with_numpy(x0, p):
        root = np.sqrt(float(p["p"]))
        return jnp.array([root, float(p["q"]) / root])

    def formula(p):
        return jnp.stack([jnp.sqrt(p["p"]), p["q"] / jnp.sqrt(p["p"])])

    p = {"p": 4.0, "q": 3.0}
    assert_close(jacrev(solve_with_numpy, 1)(jnp.ones(2), p), jacrev(formula)(p))
    assert_close(jacfwd(solve_with_numpy, 1)(jnp.ones(2), p), jacrev(formula)(p))
    assert_close(hessian(solve_with_numpy, 1)(jnp.ones(2), p), hessian(formula)(p))


def iterate(a, k):
    x = 0.0
    for _ in range(100):
        x = jnp.tanh(k * x) * a + 1
    return x


def captured(a, k):
    @implicit_diff(lambda x: jnp.tanh(k * x) * a + 1 - x)
    def solve(x):
        for _ in range(100):
            x = jnp.tanh(k * x) * a + 1
        return x

    return solve(0.0)


@pytest.mark.parametrize(
    "transform",
    [
        lambda f: grad(f, (0, 1)),
        lambda f: hessian(f, (0, 1)),
        lambda f: jit(hessian(f, (0, 1))),
        lambda f: lambda a, k: vmap(grad(f), (0, None))(a * jnp.ones(2), k),
    ],
)
def test_solver_and_condition_may_capture_what_is_differentiated(transform):
    assert_close(transform(captured)(0.5, 0.3), transform(iterate)(0.5, 0.3))


def test_parameters_may_be_functions_and_strings():
    @implicit_diff(
        lambda x, f, a, mode: {"y": f(a) - x["y"]}, has_aux=True, linear_solve="gmres"
    )
    def solve(x0, f, a, mode="plain"):
        assert mode == "plain"
        return {"y": f(a)}, {"steps": 3, "a": a}

    def through_function(b):
        return solve({"y": 0.0}, lambda z: z**2 * b, 3.0)[0]["y"]

    def through_keyword(b):
        return solve({"y": 0.0}, lambda z: z**2, a=b)[0]["y"]

    assert_close(grad(through_function)(2.0), 9.0)
    assert_close(jit(grad(through_keyword))(2.0), 4.0)
    assert solve({"y": 0.0}, jnp.sin, 2.0)[1]["steps"] == 3
    assert grad(lambda b: solve({"y": 0.0}, jnp.sin, b)[1]["a"])(2.0) == 0.0


@pytest.mark.parametrize("derivative", [grad, jacfwd, hessian])
def test_solver_runs_once_a_derivative(derivative):
    calls = []

    @implicit_diff(lambda x, a: x * x - a)
    def solve(x, a):
        if isinstance(a, Array):
            calls.append(a)
        return jnp.sqrt(a)

    derivative(solve, 1)(1.0, 9.0)
    assert len(calls) == 1


def test_linear_solver_may_be_a_function():
    calls = []

    def divide(matvec, b):
        calls.append(b)
        return b / matvec(jnp.ones_like(b))

    @implicit_diff(lambda x, a: x * x - a, linear_solve=divide)
    def solve(x, a):
        return jnp.sqrt(a)

    assert_close(grad(solve, 1)(1.0, 9.0), 1 / 6)
    assert calls


def test_condition_must_have_the_structure_of_the_solution():
    @implicit_diff(lambda x, a: jnp.ones(2) * a)
    def solve(x, a):
        return x

    with pytest.raises(
        TreeError, match=r"gives f64\[2\]; the solution of solve is f64"
    ):
        grad(solve, 1)(1.0, 2.0)


def test_arguments_are_checked():
    with pytest.raises(ArgumentError, match="implicit_diff was given a int"):
        implicit_diff(3)
    with pytest.raises(ArgumentError, match="the method of a linear solver is 'lu'"):
        implicit_diff(lambda x: x, linear_solve="lu")
    with pytest.raises(ArgumentError, match="keyword-only"):
        implicit_diff(lambda x: x)(lambda *, a: a)(a=1.0)


def newton(f, x):
    for _ in range(30):
        x = x - f(x) / grad(f)(x)
    return x


def cube_root(a):
    return custom_root(lambda x: x**3 - a, 1.0, newton, lambda g, y: y / g(1.0))


@pytest.mark.parametrize("wrap", [lambda f: f, jit])
def test_custom_root(wrap):
    assert_close(wrap(cube_root)(8.0), 2.0)
    assert_close(wrap(grad(cube_root))(8.0), 1 / 12)
    assert_close(wrap(jacfwd(cube_root))(8.0), 1 / 12)
    assert_close(wrap(hessian(cube_root))(8.0), -2 / 9 * 8 ** (-5 / 3))
    found = wrap(vmap(grad(cube_root)))(jnp.array([1.0, 8.0]))
    assert_close(found, np.array([1 / 3, 1 / 12]))


def test_custom_root_with_aux():
    def f(a):
        def solve(g, x):
            return newton(g, x), {"evaluations": 60}

        return custom_root(
            lambda x: x**2 - a, 1.0, solve, lambda g, y: y / g(1.0), has_aux=True
        )

    x, aux = f(9.0)
    assert_close(x, 3.0)
    assert aux["evaluations"] == 60
    assert_close(grad(f, has_aux=True)(9.0)[0], 1 / 6)
