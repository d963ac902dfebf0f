"""QR, eigenvalues, singular values: they rebuild the matrix; every rule is right."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import grad, hessian, jacfwd, jit
from pullback.config import config
from pullback.core.calling import as_value
from pullback.errors import MissingDerivative
from pullback.primitives import linalg, spectral
from pullback.primitives.table import div, mul
from pullback.transforms.vjp import jvp
from tests.primitives.test_linalg import DTYPES, hermitian, matrix
from tests.rule_checks import check_rules_of

SHAPES = pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)])


def both(f, a):
    """Give what `f` gives at once and compiled, as NumPy arrays."""
    with config.context(enable_x64=True):
        for g in (f, jit(f)):
            yield [np.asarray(x) for x in g(as_value(a))]


@DTYPES
@SHAPES
@pytest.mark.parametrize("full", [False, True])
def test_factors_rebuild_the_matrix(shape, full, dtype):
    a = matrix(2, *shape, dtype=dtype)
    for q, r in both(lambda a: list(spectral.qr(a, full)), a):
        np.testing.assert_allclose(q @ r, a, atol=1e-12)
    for u, s, vh in both(lambda a: list(spectral.svd(a, full)), a):
        k = min(shape)
        middle = u[..., :k] * s[..., None, :] @ vh[..., :k, :]
        np.testing.assert_allclose(middle, a, atol=1e-12)


@DTYPES
@SHAPES
def test_qr_has_right_rules(shape, dtype):
    check_rules_of(lambda a: list(spectral.qr(a)), matrix(*shape, dtype=dtype))


@DTYPES
@SHAPES
@pytest.mark.parametrize("full", [False, True])
def test_factors_with_ordered_columns_rebuild_the_matrix(shape, full, dtype):
    a = matrix(2, *shape, dtype=dtype)
    for q, r, order in both(spectral.PivotedQr(full), a):
        moved = np.take_along_axis(a, order[:, None], -1)
        np.testing.assert_allclose(q @ r, moved, atol=1e-12)
        sizes = np.abs(np.diagonal(r, axis1=-2, axis2=-1))
        assert (np.diff(sizes) <= 1e-12).all()


@DTYPES
@SHAPES
def test_qr_with_ordered_columns_has_right_rules(shape, dtype):
    check_rules_of(
        lambda a: list(spectral.pivoted_qr(a)[:2]),
        matrix(*shape, dtype=dtype),
        order=1,
        tol=1e-5,
    )


def test_factors_with_ordered_columns_of_nothing():
    for q, r, order in both(spectral.PivotedQr(False), np.zeros((0, 3, 2))):
        assert (q.shape, r.shape, order.shape) == ((0, 3, 2), (0, 2, 2), (0, 2))


@DTYPES
@pytest.mark.parametrize("vectors", [True, False])
def test_both_routines_for_singular_values_have_right_rules(vectors, dtype):
    check_rules_of(
        lambda a: spectral.Svd(False, vectors, "gesvd")(a)[vectors:][:1],
        matrix(4, 3, dtype=dtype),
        order=1,
        tol=1e-5,
    )


@DTYPES
def test_eigenvalues_of_hermitian_matrices_have_right_rules(dtype):
    check_rules_of(
        lambda a: spectral.eigvalsh(hermitian(a)),
        matrix(4, 4, dtype=dtype),
    )


def test_eigenvectors_of_symmetric_matrices_have_right_rules():
    a = matrix(4, 4)
    check_rules_of(
        lambda a: list(spectral.eigh(hermitian(a))), a, compiled=False, tol=1e-5
    )
    for w, v in both(lambda a: list(spectral.eigh(hermitian(a))), a):
        np.testing.assert_allclose(v * w @ v.T, (a + a.T) / 2, atol=1e-12)


def test_derivatives_at_equal_eigenvalues_are_right_or_nan():
    def by_values(a):
        return jnp.sum(jnp.linalg.eigvalsh(a) ** 3)

    def by_product(a):
        a = (a + a.T) / 2
        return jnp.trace(a @ a @ a)

    with config.context(enable_x64=True):
        for a in (np.eye(3), np.diag([1.0, 1.0, 2.0])):
            np.testing.assert_allclose(grad(by_values)(a), 3 * a @ a, atol=1e-12)
            assert np.isnan(hessian(by_values)(a)).any()
            assert np.isnan(jacfwd(lambda a: jnp.linalg.eigh(a)[1])(a)).any()
        a = np.diag([1.0, 2.0, 4.0])
        wanted = hessian(by_product)(a)
        np.testing.assert_allclose(hessian(by_values)(a), wanted, atol=1e-10)


def test_projections_on_complex_eigenvectors_have_right_rules():
    def projection(a):
        v = linalg.slice_in_dim(spectral.eigh(hermitian(a))[1], 0, 2, 1)
        return linalg.matmul(v, linalg.adjoint(v))

    check_rules_of(projection, matrix(4, 4, dtype="complex128"), tol=1e-5)


@DTYPES
@SHAPES
def test_singular_values_have_right_rules(shape, dtype):
    check_rules_of(
        spectral.svdvals,
        matrix(*shape, dtype=dtype),
        tol=1e-5,
    )


@DTYPES
@SHAPES
def test_products_of_singular_vectors_have_right_rules(shape, dtype):
    def product(a):
        u, s, vh = spectral.svd(a)
        squares = linalg.convert(linalg.as_row(mul(s, s)), u.dtype)
        return linalg.matmul(mul(u, squares), vh)

    check_rules_of(product, matrix(*shape, dtype=dtype), tol=1e-5)


@DTYPES
def test_eigenvalues_of_any_matrix_have_right_rules(dtype):
    check_rules_of(
        spectral.eigvals, matrix(4, 4, dtype=dtype), tol=1e-5, compiled=False
    )


@DTYPES
def test_ratios_in_eigenvectors_of_any_matrix_have_right_rules(dtype):
    def ratios(a):
        v = spectral.eig(a)[1]
        return div(v, linalg.slice_in_dim(v, 0, 1, 0))

    check_rules_of(
        ratios, matrix(4, 4, dtype=dtype), tol=1e-5, batched=False, compiled=False
    )


@DTYPES
def test_eigenvectors_of_any_matrix_satisfy_their_equation(dtype):
    a = matrix(2, 4, 4, dtype=dtype)
    for w, v in both(lambda a: list(spectral.eig(a)), a):
        np.testing.assert_allclose(a @ v, v * w[..., None, :], atol=1e-12)
        np.testing.assert_allclose(np.linalg.norm(v, axis=-2), 1)


@DTYPES
@SHAPES
def test_pinv_has_right_rules(shape, dtype):
    check_rules_of(
        spectral.pinv,
        matrix(*shape, dtype=dtype),
        tol=1e-5,
        order=1,
        compiled=shape == (5, 3),
    )


@pytest.mark.parametrize("function", [spectral.qr, spectral.svd])
def test_vectors_that_the_matrix_does_not_determine_have_no_derivative(function):
    a = as_value(matrix(5, 3))
    with pytest.raises(MissingDerivative, match="not determined by"):
        jvp(lambda a: function(a, True), (a,), (a,))


def test_symmetric_functions_of_equal_values_have_right_finite_derivatives():
    with config.context(enable_x64=True):
        a, t = as_value(np.eye(3)), as_value(matrix(3, 3))
        for f in (
            lambda a: spectral.eigh(hermitian(a))[0],
            lambda a: spectral.svd(a)[1],
            lambda a: spectral.svdvals(a),
        ):
            squares = jvp(lambda a, f=f: mul(f(a), f(a)), (a,), (t,))[1]
            # d tr(a^T a) at the identity is 2 tr(da).
            np.testing.assert_allclose(
                np.sum(np.asarray(squares)), 2 * np.trace(np.asarray(t))
            )


def test_matrices_with_nan_give_nan():
    a = as_value(np.full((2, 2), np.nan, np.float32))
    for f in (spectral.eigvalsh, spectral.svdvals, spectral.eigvals):
        assert np.isnan(np.asarray(f(a))).all()
