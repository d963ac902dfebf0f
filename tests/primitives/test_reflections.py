"""Products of reflections and packed forms: values against SciPy, and every rule."""

import numpy as np
import pytest
import scipy.linalg

from pullback import enable_x64, grad, jit
from pullback.core.calling import as_value
from pullback.errors import MissingDerivative, ShapeError
from pullback.primitives import reflections
from tests.rule_checks import check_rules_of

NAMES = ("left", "adjoint_q")
RNG = np.random.default_rng(8)
DTYPES = pytest.mark.parametrize(
    "dtype", ["float32", "float64", "complex64", "complex128"]
)


def draw(*shape, dtype="float64"):
    x = RNG.standard_normal(shape)
    if dtype.startswith("complex"):
        x = x + 1j * RNG.standard_normal(shape)
    return x.astype(dtype)


def close(x, y):
    x, y = np.asarray(x), np.asarray(y)
    assert (x.shape, x.dtype) == (y.shape, y.dtype)
    tol = 1e-4 if x.real.dtype == np.float32 else 1e-11
    np.testing.assert_allclose(x, y, tol, tol)


def turned(x):
    return np.swapaxes(x, -1, -2).conj()


@DTYPES
@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (3, 0)])
def test_products_with_reflections_are_those_with_their_matrix(shape, dtype):
    a = draw(*shape, dtype=dtype)
    m, k = shape[0], min(shape)
    packed, taus, q = a, np.zeros(0, dtype), np.eye(m, dtype=dtype)
    if k:
        (packed, taus), _ = scipy.linalg.qr(a, mode="raw")
        q = scipy.linalg.qr(a)[0]
    c = draw(m, 2, dtype=dtype)
    with enable_x64():
        for f in (reflections.reflect, jit(reflections.reflect, static_argnames=NAMES)):
            close(f(*map(as_value, (packed, taus, c))), q @ c)
            close(f(*map(as_value, (packed, taus, c)), adjoint_q=True), turned(q) @ c)
            close(f(*map(as_value, (packed, taus, c.T)), left=False), c.T @ q)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("adjoint_q", [True, False])
def test_reflecting_has_right_rules(adjoint_q, dtype):
    a, taus, c = (draw(*s, dtype=dtype) for s in ((4, 2), (2,), (4, 3)))
    check_rules_of(
        lambda *xs: reflections.reflect(*xs, adjoint_q=adjoint_q),
        a,
        taus,
        c,
        order=2 if adjoint_q else 1,
        batched=False,
    )


def test_reflections_that_are_none_have_derivatives():
    check_rules_of(reflections.householder_product, draw(3, 2), np.zeros(2))


@DTYPES
@pytest.mark.parametrize("shape", [(5, 5), (2, 3, 3), (1, 1), (0, 0), (0, 3, 3)])
def test_forms_give_the_matrix_again(shape, dtype):
    a = draw(*shape, dtype=dtype)
    with enable_x64():
        for f in (reflections.hessenberg, jit(reflections.hessenberg)):
            h, q = f(as_value(a))
            close(q @ h @ turned(np.asarray(q)), a)
            close(h, np.triu(h, -1))


@DTYPES
@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_tridiagonal_forms_have_the_same_eigenvalues(n, lower, dtype):
    a = draw(2, n, n, dtype=dtype)
    a = a + turned(a)
    seen = np.tril(a) if lower else np.triu(a)
    operation = reflections.Tridiagonal(lower)
    with enable_x64():
        for f in (operation, jit(operation)):
            packed, d, e, taus = map(np.asarray, f(as_value(seen)))
            assert taus.shape == e.shape == (2, max(n - 1, 0))
            made = [np.diag(x) + np.diag(y, 1) + np.diag(y, -1) for x, y in zip(d, e)]
            close(np.linalg.eigvalsh(np.stack(made)), np.linalg.eigvalsh(a))
            other = np.triu(packed, 1) if lower else np.tril(packed, -1)
            assert not other.any()


def test_forms_refuse_what_they_cannot():
    a = as_value(draw(3, 3, dtype="float32"))
    with pytest.raises(ShapeError, match=r"hessenberg takes square matrices"):
        reflections.hessenberg(a[:2])
    with pytest.raises(ShapeError, match=r"tridiagonal takes square matrices"):
        reflections.Tridiagonal()(a[:2])
    for f in (reflections.Hessenberg(), reflections.Tridiagonal()):
        with pytest.raises(MissingDerivative, match="form is not determined"):
            grad(lambda a, f=f: f(a)[0].sum())(a)
