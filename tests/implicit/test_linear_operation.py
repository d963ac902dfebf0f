"""`custom_linear_solve`: values and derivatives of all orders, under all transforms."""

import numpy as np
import pytest

from pullback import (
    config,
    grad,
    hessian,
    jacfwd,
    jacrev,
    jit,
    jvp,
    lax,
    linearize,
    make_jaxpr,
    vmap,
)
from pullback import numpy as jnp
from pullback.errors import ArgumentError, LinearityError, MissingDerivative, TreeError
from pullback.lax import custom_linear_solve
from tests.implicit.comparing import assert_close

RNG = np.random.default_rng(0)
A = RNG.normal(size=(4, 4)) + 4 * np.eye(4)
B = RNG.normal(size=4)
AS = RNG.normal(size=(3, 4, 4)) + 4 * np.eye(4)
BS = RNG.normal(size=(3, 4))


@pytest.fixture(autouse=True)
def double_precision():
    with config.context(enable_x64=True):
        yield


def dense(matvec, b):
    return jnp.linalg.solve(vmap(matvec)(jnp.eye(4)).T, b)


def solved(a, b):
    return custom_linear_solve(lambda x: a @ x, b, dense, dense)


def loss(f):
    return lambda a, b: jnp.sum(jnp.sin(f(a, b)))


def both():
    return jnp.array(A), jnp.array(B)


def test_value_is_that_of_numpy():
    assert_close(solved(*both()), np.linalg.solve(A, B))


@pytest.mark.parametrize(
    "transform",
    [
        lambda f: grad(f, (0, 1)),
        lambda f: jit(grad(f, (0, 1))),
        lambda f: grad(jit(f), (0, 1)),
        lambda f: jacfwd(f, (0, 1)),
        lambda f: hessian(f, (0, 1)),
        lambda f: jit(hessian(f, (0, 1))),
        lambda f: jacrev(jacrev(f)),
        lambda f: jacfwd(jacfwd(f)),
        lambda f: jacrev(jacfwd(f, 1), 1),
    ],
)
def test_derivatives_are_those_of_a_differentiable_solver(transform):
    found = transform(loss(solved))(*both())
    assert_close(found, transform(loss(jnp.linalg.solve))(*both()))


@pytest.mark.parametrize("axes", [(0, 0), (None, 0), (0, None)])
@pytest.mark.parametrize(
    "inside",
    [
        lambda f: f,
        lambda f: grad(f, (0, 1)),
        lambda f: jit(grad(f, (0, 1))),
        lambda f: hessian(f, (0, 1)),
    ],
)
def test_batches(axes, inside):
    args = AS if axes[0] == 0 else A, BS if axes[1] == 0 else B
    found = vmap(inside(loss(solved)), axes)(*args)

    def reference(a, b):
        return jnp.linalg.solve(a, b[:, None])[:, 0]

    assert_close(found, vmap(inside(loss(reference)), axes)(*args))


@pytest.mark.parametrize("axes", [(None, 0), (0, None)])
def test_derivative_of_a_batch_sums_over_what_is_shared(axes):
    args = AS if axes[0] == 0 else A, BS if axes[1] == 0 else B

    def total(f):
        return lambda a, b: jnp.sum(vmap(loss(f), axes)(a, b))

    def reference(a, b):
        return jnp.linalg.solve(a, b[:, None])[:, 0]

    args = tuple(map(jnp.array, args))
    found = grad(total(solved), (0, 1))(*args)
    assert_close(found, grad(total(reference), (0, 1))(*args))


def test_linearized_under_jit_applies_forward():
    _, forward = linearize(jit(solved), *both())
    _, wanted = jvp(jnp.linalg.solve, both(), both())
    assert_close(forward(*both()), wanted)


def test_symmetric_needs_no_transpose_solve():
    a = jnp.array(A + A.T)

    def f(b):
        return custom_linear_solve(lambda x: a @ x, b, dense, symmetric=True)

    assert_close(jacrev(f)(jnp.array(B)), np.linalg.inv(A + A.T))


def test_pytrees():
    def f(a):
        b = {"x": jnp.ones(2), "y": jnp.ones(2)}

        def matvec(v):
            return {"x": a * v["x"], "y": a * v["y"] + v["x"]}

        def solve(matvec, b):
            x = b["x"] / matvec({"x": jnp.ones(2), "y": jnp.zeros(2)})["x"]
            y = matvec({"x": jnp.zeros(2), "y": jnp.ones(2)})["y"]
            rest = b["y"] - matvec({"x": x, "y": jnp.zeros(2)})["y"]
            return {"x": x, "y": rest / y}

        return custom_linear_solve(matvec, b, solve)["y"]

    # (1 - 1/a) / a, whose derivative is -1/a^2 + 2/a^3
    assert_close(f(2.0), np.full(2, 0.25))
    assert_close(jacfwd(f)(2.0), np.zeros(2))


def test_aux_comes_beside_and_has_derivative_zero():
    def f(a, b):
        def with_count(matvec, b):
            return dense(matvec, b), {"count": 3, "size": jnp.sum(b)}

        return custom_linear_solve(lambda x: a @ x, b, with_count, has_aux=True)

    x, aux = f(*both())
    assert_close(x, np.linalg.solve(A, B))
    assert aux["count"] == 3
    (_, _), (_, aux_dot) = jvp(f, both(), both())
    assert aux_dot["size"] == 0.0
    assert vmap(f, (None, 0))(A, BS)[1]["count"].tolist() == [3, 3, 3]
    assert jit(f)(*both())[1]["count"] == 3


def test_solvers_may_capture_what_is_differentiated():
    def f(a):
        def divide(matvec, b):
            return b / a

        return custom_linear_solve(lambda x: a * x, 6.0, divide, divide)

    assert_close(jit(grad(f))(2.0), -1.5)
    assert_close(grad(grad(f))(2.0), 1.5)
    assert_close(vmap(grad(f))(jnp.array([1.0, 2.0])), np.array([-6.0, -1.5]))


def test_jaxpr_shows_one_operation():
    text = str(make_jaxpr(solved)(*both()))
    assert "custom_linear_solve[" in text
    assert "solve=dense" in text


def test_reverse_mode_without_transpose_solve_is_refused():
    def f(b):
        return jnp.sum(custom_linear_solve(lambda x: 2 * x, b, dense))

    with pytest.raises(MissingDerivative, match="dense has no transpose_solve"):
        grad(f)(jnp.array(B))


def test_affine_matvec_is_named_in_reverse_mode():
    def shifted(x):
        return 2.0 * x + 1.0

    def f(b):
        return jnp.sum(custom_linear_solve(shifted, b, dense, dense))

    with pytest.raises(LinearityError, match="shifted is not linear"):
        grad(f)(jnp.array(B))


def test_matvec_must_be_square():
    with pytest.raises(TreeError, match=r"maps f64\[4\] to f64\[2\]"):
        custom_linear_solve(lambda x: x[:2], B, dense)


def test_solution_must_have_the_shape_of_the_right_side():
    with pytest.raises(TreeError, match=r"type f64\[2\] for a right side f64\[4\]"):
        custom_linear_solve(lambda x: x, B, lambda matvec, b: b[:2])


def test_aux_must_be_there():
    with pytest.raises(ArgumentError, match="has_aux=True"):
        custom_linear_solve(lambda x: x, B, lambda matvec, b: b, has_aux=True)


def test_matrix_and_solver_may_refer_to_a_mapped_axis():
    # The matrix couples the elements: 2 I + (all ones) / 3.
    def matvec(x):
        return 2.0 * x + lax.pmean(x, "i")

    def solve(_, b):
        return (b - lax.pmean(b, "i") / 3.0) / 2.0

    def f(b):
        return lax.custom_linear_solve(matvec, b, solve, symmetric=True)

    b = jnp.array([1.0, 2.0, 6.0])
    matrix = 2.0 * jnp.eye(3) + 1.0 / 3.0
    want = jnp.linalg.solve(matrix, b)
    for g in (f, jit(f)):
        assert_close(vmap(g, axis_name="i")(b), want)
    found = grad(lambda b: (vmap(f, axis_name="i")(b) * b).sum())(b)
    assert_close(found, 2.0 * want)
