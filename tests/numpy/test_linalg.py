"""`numpy.linalg` against NumPy: values, batches, kinks, errors; derivatives."""

import numpy as np
import pytest

from pullback import grad, jit, make_jaxpr
from pullback import numpy as jnp
from pullback.config import config
from pullback.core.calling import as_value
from pullback.errors import ArgumentError, ShapeError
from pullback.numpy import linalg
from pullback.transforms.vjp import jvp, vjp
from tests.rule_checks import check_rules_of

RNG = np.random.default_rng(6)


@pytest.fixture(autouse=True)
def wide():
    with config.context(enable_x64=True):
        yield


def make(*shape, dtype="float64"):
    x = RNG.standard_normal(shape)
    return x + 1j * RNG.standard_normal(shape) if dtype == "complex128" else x


def agree(name, *args, **kwargs):
    """Compare a function with NumPy's of the same name."""
    given = [as_value(a) if isinstance(a, np.ndarray) else a for a in args]
    found = getattr(linalg, name)(*given, **kwargs)
    wanted = getattr(np.linalg, name)(*args, **kwargs)
    if not isinstance(wanted, tuple):
        found, wanted = (found,), (wanted,)
    for x, y in zip(found, wanted, strict=True):
        assert x.shape == np.shape(y)
        np.testing.assert_allclose(x, y, atol=1e-9)


DTYPES = pytest.mark.parametrize("dtype", ["float64", "complex128"])


@DTYPES
def test_solve_takes_vectors_matrices_and_batches_of_either_side(dtype):
    a, stack = make(4, 4, dtype=dtype), make(3, 4, 4, dtype=dtype)
    b, right = make(4, dtype=dtype), make(4, 2, dtype=dtype)
    for left in (a, stack):
        for side in (b, right, make(3, 4, 2, dtype=dtype)):
            agree("solve", left, side)
    check_rules_of(linalg.solve, a, b)


def test_solve_of_one_matrix_and_many_right_sides_has_right_rules():
    check_rules_of(linalg.solve, make(3, 3), make(2, 3, 2), order=1)


@DTYPES
def test_inverses_and_determinants_of_batches(dtype):
    for shape in ((4, 4), (3, 4, 4), (2, 1, 1), (2, 2, 2), (2, 3, 3), (0, 0)):
        agree("det", make(*shape, dtype=dtype))
    for shape in ((4, 4), (3, 4, 4)):
        agree("inv", make(*shape, dtype=dtype))
        agree("slogdet", make(*shape, dtype=dtype))


def test_derivatives_of_inverse_and_determinants():
    a = make(4, 4)
    check_rules_of(linalg.inv, a)
    check_rules_of(lambda a: linalg.slogdet(a)[1], a)
    check_rules_of(linalg.slogdet, a + 1j * make(4, 4))
    check_rules_of(linalg.det, make(3, 3))


def test_determinant_of_a_small_singular_matrix_has_derivatives_of_all_orders():
    check_rules_of(linalg.det, np.zeros((3, 3)))
    check_rules_of(linalg.det, np.ones((2, 2)))


@DTYPES
def test_factorizations_agree(dtype):
    a = make(4, 4, dtype=dtype)
    positive = a @ a.conj().T + np.eye(4)
    agree("cholesky", positive)
    agree("cholesky", positive, upper=True)
    for mode in ("reduced", "complete", "r"):
        agree("qr", make(5, 3, dtype=dtype), mode=mode)
    agree("svdvals", make(2, 5, 3, dtype=dtype))
    agree("eigvalsh", positive)
    agree("eigvalsh", a, "U")
    agree("eigvalsh", a, "L")
    agree("pinv", make(5, 3, dtype=dtype))


def test_eigenvalues_of_one_triangle_have_derivatives_in_that_triangle_only():
    for side in ("L", "U"):
        check_rules_of(lambda a, s=side: linalg.eigvalsh(a, s), make(3, 3))


@DTYPES
def test_hermitian_svd_rebuilds_the_matrix(dtype):
    a = make(4, 4, dtype=dtype)
    a = a + a.conj().T
    u, s, vh = (np.asarray(x) for x in linalg.svd(as_value(a), hermitian=True))
    np.testing.assert_allclose(u * s @ vh, a, atol=1e-12)
    np.testing.assert_allclose(s, np.linalg.svd(a)[1])


def test_powers_ranks_and_chains():
    a, b = make(4, 4), make(4)
    for n in (0, 1, 5, -2):
        agree("matrix_power", a, n)
    agree("matrix_rank", a)
    agree("matrix_rank", np.outer(b, b))
    agree("matrix_rank", np.outer(b, b), hermitian=True)
    agree("matrix_rank", np.diag([1.0, 0.1, 0.01]), tol=0.05)
    for arrays in (
        [a, make(4, 2), make(2, 7), make(7, 3)],
        [b, a, make(4, 2), make(2)],
        [a, a],
    ):
        found = linalg.multi_dot([as_value(x) for x in arrays])
        np.testing.assert_allclose(found, np.linalg.multi_dot(arrays))


def test_tensor_equations_and_least_squares():
    agree("tensorsolve", make(2, 3, 6), make(2, 3))
    agree("tensorsolve", make(2, 6, 3), make(2, 3), axes=(1,))
    agree("tensorinv", make(4, 6, 8, 3))
    agree("lstsq", make(5, 3), make(5))
    agree("lstsq", make(5, 3), make(5, 2))
    check_rules_of(lambda a, b: linalg.lstsq(a, b)[0], make(5, 3), make(5), order=1)
    empty = linalg.lstsq(as_value(make(2, 3)), as_value(make(2)), numpy_resid=True)
    assert empty[1].shape == (0,)


def test_views_of_batches():
    stack = make(3, 4, 4)
    for name in ("diagonal", "trace", "matrix_transpose"):
        agree(name, stack)
    agree("diagonal", stack, offset=1)
    agree("outer", make(3), make(2))


# -- norms -----------------------------------------------------------------------------

VECTOR_ORDERS = [None, 2, 1, 0, -1, np.inf, -np.inf, 3, 0.5, -2]
MATRIX_ORDERS = [None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf]


@DTYPES
@pytest.mark.parametrize("order", VECTOR_ORDERS)
def test_vector_norms_agree(order, dtype):
    agree("norm", make(4, dtype=dtype), order)
    agree("norm", make(4, 2, dtype=dtype), order, axis=0, keepdims=True)


@DTYPES
@pytest.mark.parametrize("order", MATRIX_ORDERS)
def test_matrix_norms_and_condition_numbers_agree(order, dtype):
    stack = make(3, 4, 4, dtype=dtype)
    agree("norm", make(5, 3, dtype=dtype), order)
    for axis in ((0, 2), (2, 0)):
        agree("norm", stack, order, axis=axis, keepdims=True)
    agree("matrix_norm", stack, ord=order or "fro", keepdims=True)
    agree("cond", stack[0], order)


@pytest.mark.parametrize("order", [None, 1, 3, np.inf, "fro", "nuc", 2])
def test_norms_have_right_rules(order):
    x = make(4, 3)
    if order in (None, 1, 3, np.inf):
        check_rules_of(lambda x: linalg.norm(x, order, axis=0), x)
    if order not in (None, 3):
        check_rules_of(lambda x: linalg.norm(x, order), x, tol=1e-5)


@pytest.mark.parametrize(
    "norm",
    [
        linalg.norm,
        lambda x: linalg.norm(x, 3),
        lambda x: linalg.norm(x[None], "fro"),
    ],
)
def test_norm_at_zero_has_derivative_zero_in_both_modes_and_orders(norm):
    zero, one = as_value(np.zeros(3)), as_value(np.ones(3))
    for f in (norm, jit(norm)):

        def slope(x, f=f):
            return jvp(f, (x,), (one,))[1]

        assert float(slope(zero)) == 0
        assert float(jvp(slope, (zero,), (one,))[1]) == 0
        for g in (f, slope):
            np.testing.assert_array_equal(vjp(g, zero)[1](as_value(1.0))[0], 0)


def test_integers_become_floats_and_narrow_floats_are_computed_in_float32():
    assert linalg.det(jnp.array([[1, 2], [3, 4]])).dtype == np.float64
    assert linalg.inv(jnp.eye(2, dtype="bfloat16")).dtype == np.float32


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda a: linalg.solve(a, a), ShapeError, r"linalg.solve takes square"),
        (lambda a: linalg.inv(a[0]), ShapeError, r"linalg.inv takes square .*f64\[3\]"),
        (lambda a: linalg.solve(a @ a.T, a[0]), ShapeError, r"right side f64\[3\]"),
        (lambda a: linalg.qr(a, "raw"), ArgumentError, "mode='raw'.*'reduced'"),
        (lambda a: linalg.norm(a[None], 2), ArgumentError, "one axis for vectors"),
        (lambda a: linalg.norm(a, "max"), ArgumentError, "ord='max'"),
        (lambda a: linalg.norm(a[0], "fro"), ArgumentError, "ord='fro' for a vector"),
        (lambda a: linalg.multi_dot([a]), ShapeError, "two or more matrices"),
        (lambda a: linalg.tensorinv(a), ShapeError, "ind=2"),
        (lambda a: linalg.tensorsolve(a, a), ShapeError, "tensorsolve was given"),
        (lambda a: linalg.lstsq(a, a.T), ShapeError, "lstsq was given"),
    ],
)
def test_errors_say_what_was_given_and_how_to_mend_it(call, error, text):
    with pytest.raises(error, match=text):
        call(jnp.ones((2, 3)))


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_norms_of_half_floats_are_half_floats(dtype):
    x = jnp.array([[3.0, 4.0], [0.0, 0.0]], dtype)
    for found, value in (
        (linalg.norm(x), 5),
        (linalg.norm(x, axis=1)[0], 5),
        (linalg.norm(x, ord=1), 4),
        (linalg.vector_norm(x, ord=np.inf), 4),
        (linalg.matrix_norm(x, ord=2), 5),
    ):
        assert (found.dtype, float(found)) == (dtype, value)


def test_powers_of_integer_matrices_are_integers():
    m = np.array([[1, 2], [3, 4]], np.int32)
    for n in (0, 1, 5):
        power = linalg.matrix_power(m, n)
        assert power.dtype == jnp.int32
        np.testing.assert_array_equal(power, np.linalg.matrix_power(m, n))
    np.testing.assert_allclose(
        linalg.matrix_power(m, -1), np.linalg.inv(m.astype(float)), rtol=1e-5
    )


def test_the_rank_of_a_vector_is_whether_it_is_not_zero():
    for x in ([0.0, 2.0], [0.0, 0.0], 3.0):
        rank = linalg.matrix_rank(jnp.array(x))
        assert int(rank) == np.linalg.matrix_rank(np.array(x))


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    "f", [lambda a, b: linalg.lstsq(a, b)[0], lambda a, b: linalg.pinv(a) @ b]
)
def test_no_derivative_of_a_tall_matrix_takes_the_square_of_its_rows(f, turned):
    a, b = np.ones((300, 4), "f4"), np.ones(300, "f4")
    args = (a.T, b[:4]) if turned else (a, b)
    program = make_jaxpr(grad(lambda a, b: jnp.sum(f(a, b) ** 2)))(*args)
    sizes = [v.aval.size for eqn in program.eqns for v in eqn.outputs]
    assert max(sizes) == a.size
