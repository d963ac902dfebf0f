"""Matrix factors against SciPy and their definitions, with derivatives."""

import numpy as np
import pytest
import scipy.linalg

from pullback import enable_x64, jit, lax, make_jaxpr
from pullback import numpy as jnp
from pullback.errors import ArgumentError, DtypeError, ShapeError
from tests.numpy.agreement import has_right_derivatives, normal
from tests.rule_checks import check_rules_of

A = normal(4, 4).astype(np.float64)
B = normal(2, 4, 3).astype(np.float64)
POSITIVE = A @ A.T + np.eye(4)


@pytest.fixture(autouse=True)
def _wide():
    with enable_x64():
        yield


def same(x, y):
    np.testing.assert_allclose(x, y, 1e-10, 1e-10)


def test_factors_multiply_to_the_matrix():
    q, r = lax.linalg.qr(B)
    assert (q.shape, r.shape) == ((2, 4, 4), (2, 4, 3))
    same(q @ r, B)
    assert lax.linalg.qr(B, full_matrices=False)[0].shape == (2, 4, 3)
    u, s, vh = lax.linalg.svd(B, full_matrices=False)
    same(u * s[:, None] @ vh, B)
    same(lax.linalg.svd(B, compute_uv=False), s)
    part = lax.linalg.svd(B, full_matrices=False, subset_by_index=(1, 2))
    assert [x.shape for x in part] == [(2, 4, 1), (2, 1), (2, 1, 3)]
    same(lax.linalg.cholesky(POSITIVE), np.linalg.cholesky(POSITIVE))
    q, r, order = lax.linalg.qr(B, pivoting=True, full_matrices=False)
    same(q @ r, np.take_along_axis(B, np.asarray(order)[:, None], -1))
    with pytest.raises(ArgumentError, match="full_matrices=False"):
        lax.linalg.svd(B, subset_by_index=(0, 1))


def test_eigenvectors_come_before_hermitian_eigenvalues():
    v, w = lax.linalg.eigh(POSITIVE)
    same(POSITIVE @ np.asarray(v), v * w)
    same(lax.linalg.eigh(POSITIVE, subset_by_index=(2, 4))[1], w[2:])
    upper = lax.linalg.eigh(np.triu(POSITIVE), lower=False, symmetrize_input=False)
    same(upper[1], w)


def test_left_and_right_eigenvectors_belong_to_one_eigenvalue():
    w, left, right = lax.linalg.eig(A)
    same(jnp.conj(left.T) @ A, w[:, None] * jnp.conj(left.T))
    same(A @ right, right * w)
    same(jnp.linalg.norm(left, axis=0), np.ones(4))
    assert len(lax.linalg.eig(A, compute_left_eigenvectors=False)) == 2
    alone = lax.linalg.eig(
        A, compute_left_eigenvectors=False, compute_right_eigenvectors=False
    )
    same(jnp.sort(alone[0]), jnp.sort(w))


def test_row_exchanges_lead_to_an_order():
    packed, pivots, order = lax.linalg.lu(jnp.stack([A, A.T]))
    lower = jnp.tril(packed, -1) + jnp.eye(4)
    taken = jnp.take_along_axis(jnp.stack([A, A.T]), order[..., None], 1)
    same(lower @ jnp.triu(packed), taken)
    for f in (lax.linalg.lu_pivots_to_permutation,):
        assert f(pivots, 4).tolist() == order.tolist()
        assert jit(f, static_argnums=1)(pivots, 4).tolist() == order.tolist()


@pytest.mark.parametrize("left", [True, False])
def test_triangular_systems_are_solved_on_both_sides(left):
    lower = np.tril(A) + 3 * np.eye(4)
    b = normal(4, 4).astype(np.float64)
    options = {"left_side": left, "lower": True}
    x = lax.linalg.triangular_solve(lower, b, **options)
    same(lower @ x if left else x @ lower, b)
    turned = lax.linalg.triangular_solve(lower, b, transpose_a=True, **options)
    same(lower.T @ turned if left else turned @ lower.T, b)
    vector = lax.linalg.triangular_solve(lower, b[0], **options)
    same(lower @ vector if left else vector @ lower, b[0])


def test_reflections_are_multiplied():
    (packed, taus), _ = scipy.linalg.qr(B[0], mode="raw")
    found = lax.linalg.householder_product(packed, taus)
    same(found, scipy.linalg.qr(B[0], mode="economic")[0])
    check_rules_of(lax.linalg.householder_product, B[0], normal(2).astype(np.float64))
    made = lax.linalg.householder_product(B, normal(2, 3))
    assert made.shape == B.shape
    with pytest.raises(ShapeError, match=r"f64\[3,4\] and f64\[3\]"):
        lax.linalg.householder_product(B[0].T, np.ones(3))


def test_square_factors_are_not_made_to_be_multiplied_with():
    (packed, taus), _ = scipy.linalg.qr(B[0], mode="raw")
    q = scipy.linalg.qr(B[0])[0]
    c = normal(4, 2).astype(np.float64)
    same(lax.linalg.ormqr(packed, taus, c), q @ c)
    same(lax.linalg.ormqr(packed, taus, c, transpose=True), q.T @ c)
    same(lax.linalg.ormqr(packed, taus, c.T, left=False), c.T @ q)
    same(lax.linalg.ormqr(packed, taus, c.T, left=False, transpose=True), c.T @ q.T)
    with pytest.raises(ShapeError, match=r"f64\[4,3\], f64\[3\] and f64\[2,4\]"):
        lax.linalg.ormqr(packed, taus, c.T)
    with pytest.raises(DtypeError, match="ormqr was given operands of different"):
        lax.linalg.ormqr(packed, taus, c.astype(np.float32))


def test_forms_are_held_with_their_reflections():
    packed, taus = lax.linalg.hessenberg(A)
    h, q = scipy.linalg.hessenberg(A, calc_q=True)
    same(jnp.triu(packed, -1), h)
    same(lax.linalg.householder_product(packed[1:, :-1], taus), q[1:, 1:])
    t, z = lax.linalg.schur(A)
    same(z @ t @ z.T, A)
    (alone,) = lax.linalg.schur(A, compute_schur_vectors=False)
    same(alone, t)
    for lower in (True, False):
        packed, d, e, _ = lax.linalg.tridiagonal(POSITIVE, lower=lower)
        made = jnp.diag(d) + jnp.diag(e, 1) + jnp.diag(e, -1)
        same(jnp.linalg.eigvalsh(made), np.linalg.eigvalsh(POSITIVE))
        same(jnp.diagonal(packed), d)


@pytest.mark.parametrize("kind", ["real", "complex", "singular", "negative"])
def test_cholesky_factors_are_updated(kind):
    r = np.linalg.cholesky(POSITIVE).T
    w = normal(4) + 1j * normal(4) if kind == "complex" else normal(4)
    r, w = r + 0 * w[0], w + 0 * r[0]
    if kind == "singular":
        r[1], w[1] = 0, 0
    if kind == "negative":
        r[2] *= -1
    wanted = r.conj().T @ r + np.outer(w, w.conj())
    for f in (lax.linalg.cholesky_update, jit(lax.linalg.cholesky_update)):
        found = np.asarray(f(r + np.tril(np.ones((4, 4)), -1), w))
        same(found.conj().T @ found, wanted)
        same(found, np.triu(found))
        assert (np.diagonal(found).real >= 0).all()


def test_updates_of_cholesky_factors_have_right_rules_and_batches():
    r = np.linalg.cholesky(POSITIVE).T
    w = normal(4).astype(np.float64)
    check_rules_of(lax.linalg.cholesky_update, r, w)
    stacked = lax.linalg.cholesky_update(np.stack([r, 2 * r]), np.stack([w, w]))
    same(stacked[1], lax.linalg.cholesky_update(2 * r, w))
    with pytest.raises(ShapeError, match=r"f64\[4,4\] and f64\[3\]"):
        lax.linalg.cholesky_update(r, w[:3])


def test_algorithms_are_chosen_by_name():
    algorithms, which = lax.linalg.SvdAlgorithm, {"full_matrices": False}
    plain = lax.linalg.svd(B, **which)
    for algorithm in (algorithms.QR, algorithms.DEFAULT):
        for x, y in zip(lax.linalg.svd(B, algorithm=algorithm, **which), plain):
            same(jnp.abs(x), jnp.abs(y))
    kinds = lax.linalg.EighImplementation, lax.linalg.EigImplementation
    same(lax.linalg.eigh(A, implementation=kinds[0].QR)[1], lax.linalg.eigh(A)[1])
    same(lax.linalg.eig(A, implementation=kinds[1].LAPACK)[0], lax.linalg.eig(A)[0])
    with pytest.raises(ArgumentError, match=r"svd was given algorithm=.*JACOBI"):
        lax.linalg.svd(B, algorithm=algorithms.JACOBI)
    with pytest.raises(ArgumentError, match=r"eigh was given implementation=.*QDWH"):
        lax.linalg.eigh(A, implementation=kinds[0].QDWH)
    with pytest.raises(ArgumentError, match=r"eig was given implementation=.*MAGMA"):
        lax.linalg.eig(A, implementation=kinds[1].MAGMA)


def test_symmetric_products_add_a_multiple():
    c = POSITIVE[:3, :3]
    a = B[0].T
    found = lax.linalg.symmetric_product(a, c, alpha=2.0, beta=0.5)
    same(found, 2 * a @ a.T + c / 2)


def test_derivatives_are_right():
    has_right_derivatives(lambda a: lax.linalg.eigh(a)[1], POSITIVE)
    has_right_derivatives(lambda a: lax.linalg.lu(a)[0], A)
    has_right_derivatives(lambda a: jnp.abs(lax.linalg.eig(a)[1]), A, tol=1e-4)


def test_tridiagonal_systems_cost_no_matrix():
    n = 5
    side, middle, b = np.full(n, -1.0), np.full(n, 2.5), normal(n, 2)
    matrix = np.diag(middle) + np.diag(side[1:], 1) + np.diag(side[1:], -1)
    for f in (lax.linalg.tridiagonal_solve, jit(lax.linalg.tridiagonal_solve)):
        same(matrix @ f(side, middle, side, np.float64(b)), b)
    has_right_derivatives(lax.linalg.tridiagonal_solve, side, middle, side, b)
    made = make_jaxpr(lax.linalg.tridiagonal_solve)(side, middle, side, np.float64(b))
    assert [eqn.primitive.name for eqn in made.eqns] == ["tridiagonal_solve"]
    flat = lax.linalg.tridiagonal_solve(
        side * 0, middle * 0, side * 0, np.float64(b), perturb_singular=True
    )
    assert np.isfinite(flat).all()
    with pytest.raises(ShapeError, match=r"x\[..., None\] makes one of vectors"):
        lax.linalg.tridiagonal_solve(B, B, B, B)
