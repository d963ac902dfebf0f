"""`scipy.linalg` against SciPy."""

import numpy as np
import pytest
import scipy.linalg

from pullback import jit
from pullback.config import config
from pullback.core.calling import as_value
from pullback.errors import ArgumentError, ShapeError
from pullback.scipy import linalg
from tests.rule_checks import check_rules_of

RNG = np.random.default_rng(9)
A = RNG.standard_normal((4, 4))
POSITIVE = A @ A.T + np.eye(4)
B, VECTOR = RNG.standard_normal((4, 2)), RNG.standard_normal(4)


@pytest.fixture(autouse=True)
def wide():
    with config.context(enable_x64=True):
        yield


@pytest.mark.parametrize("lower", [False, True])
def test_cholesky_factors_solve(lower):
    factor = linalg.cho_factor(as_value(POSITIVE), lower)
    wanted = scipy.linalg.cholesky(POSITIVE, lower)
    np.testing.assert_allclose(factor[0], wanted, atol=1e-12)
    for b in (B, VECTOR):
        found = linalg.cho_solve(factor, as_value(b))
        np.testing.assert_allclose(found, np.linalg.solve(POSITIVE, b))


@pytest.mark.parametrize("trans", [0, 1, 2, "N", "T", "C"])
@pytest.mark.parametrize("lower", [False, True])
def test_triangular_systems_agree(trans, lower):
    for b in (B, VECTOR):
        found = linalg.solve_triangular(as_value(A), as_value(b), trans, lower)
        wanted = scipy.linalg.solve_triangular(A, b, trans, lower)
        np.testing.assert_allclose(found, wanted)


@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)])
def test_lu_factors_agree(shape):
    a = RNG.standard_normal(shape)
    for permute in (False, True):
        found = linalg.lu(as_value(a), permute)
        for x, y in zip(found, scipy.linalg.lu(a, permute), strict=True):
            np.testing.assert_allclose(x, y, atol=1e-12)


@pytest.mark.parametrize("trans", [0, 1, 2])
def test_lu_factors_solve_at_once_and_compiled(trans):
    def solve(a, b):
        return linalg.lu_solve(linalg.lu_factor(a), b, trans)

    for f in (solve, jit(solve)):
        for b in (B, VECTOR):
            found = f(as_value(A), as_value(b))
            np.testing.assert_allclose(found, np.linalg.solve(A.T if trans else A, b))


def test_general_and_positive_systems_agree():
    for kind in ("gen", "pos"):
        found = linalg.solve(as_value(POSITIVE), as_value(B), assume_a=kind)
        np.testing.assert_allclose(found, np.linalg.solve(POSITIVE, B))


def test_other_factorizations_have_scipys_forms():
    a = as_value(RNG.standard_normal((5, 3)))
    q, r = linalg.qr(a)
    assert (q.shape, r.shape) == ((5, 5), (5, 3))
    assert linalg.qr(a, mode="economic")[0].shape == (5, 3)
    assert len(linalg.qr(a, mode="r")) == 1
    assert len(linalg.svd(a)) == 3
    assert linalg.svd(a, compute_uv=False).shape == (3,)
    w, v = linalg.eigh(as_value(POSITIVE))
    np.testing.assert_allclose(v * w @ v.T, POSITIVE, atol=1e-12)
    np.testing.assert_allclose(linalg.eigh(as_value(POSITIVE), eigvals_only=True), w)


@pytest.mark.parametrize("scale", [0.0, 0.1, 1.0, 10.0, 100.0])
def test_exponentials_agree_whatever_the_size(scale):
    a = A * scale
    for f in (linalg.expm, jit(linalg.expm)):
        np.testing.assert_allclose(f(as_value(a)), scipy.linalg.expm(a), 1e-8)


def test_exponentials_of_a_batch_in_single_precision_agree():
    scales = np.array([0.0, 0.1, 0.7, 3.0, 10.0])[:, None, None]
    stack = (A * scales).astype(np.float32)
    wanted = scipy.linalg.expm(stack.astype(np.float64))
    for f in (linalg.expm, jit(linalg.expm)):
        error = np.abs(f(as_value(stack)) - wanted).max((1, 2))
        assert (error < 1e-5 * np.abs(wanted).max((1, 2))).all()


def test_exponentials_have_right_rules():
    check_rules_of(linalg.expm, A[:3, :3])
    stack = np.stack([A, A * 20]) + 0.5j
    np.testing.assert_allclose(
        linalg.expm(as_value(stack)), scipy.linalg.expm(stack), 1e-9
    )


def test_an_exponential_of_too_many_squarings_is_nan():
    assert np.isnan(np.asarray(linalg.expm(as_value(A * 1e3), max_squarings=2))).all()


def test_errors_say_what_was_given():
    with pytest.raises(ArgumentError, match="trans=3"):
        linalg.solve_triangular(as_value(A), as_value(B), 3)
    with pytest.raises(ShapeError, match=r"right side f64\[3\]"):
        linalg.solve_triangular(as_value(A), as_value(VECTOR[:3]))


@pytest.mark.parametrize("shape", [(5, 3), (3, 5)])
@pytest.mark.parametrize("mode", ["full", "economic", "r"])
def test_columns_are_ordered_with_their_factors(shape, mode):
    a = np.random.default_rng(4).standard_normal(shape).astype(np.float32)
    wanted = scipy.linalg.qr(a, mode=mode, pivoting=True)
    for f in (linalg.qr, jit(linalg.qr, static_argnames=("mode", "pivoting"))):
        found = f(as_value(a), mode=mode, pivoting=True)
        for x, y in zip(found, wanted, strict=True):
            np.testing.assert_allclose(x, y, 1e-5, 1e-5)


def test_either_routine_gives_singular_values():
    a = np.random.default_rng(4).standard_normal((4, 3)).astype(np.float32)
    for driver in ("gesdd", "gesvd"):
        found = linalg.svd(as_value(a), lapack_driver=driver)
        for x, y in zip(found, scipy.linalg.svd(a, lapack_driver=driver)):
            np.testing.assert_allclose(x, y, 1e-5, 1e-5)
    with pytest.raises(ArgumentError, match="lapack_driver='gesvdx'"):
        linalg.svd(as_value(a), lapack_driver="gesvdx")


BANDS = [(0, 0), (1, 1), (0, 2), (2, 1), (4, 5)]


def bands_of(below, above, n, kind):
    ab = RNG.standard_normal((below + above + 1, n))
    ab = ab + 1j * RNG.standard_normal(ab.shape) if kind == "complex" else ab
    ab[above] += 4
    return ab


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize(("below", "above"), BANDS)
@pytest.mark.parametrize("n", [1, 5])
def test_systems_of_few_diagonals_are_solved(below, above, n, kind):
    ab, b = bands_of(below, above, n, kind), RNG.standard_normal((n, 2))
    if n == 1:  # where SciPy reads what has no place
        wanted = b / ab[above]
    else:
        wanted = scipy.linalg.solve_banded((below, above), ab, b)
    places = np.arange(-above, below + 1)[:, None] + np.arange(n)
    ab[(places < 0) | (places >= n)] = np.nan
    for f in (linalg.solve_banded, jit(linalg.solve_banded, static_argnums=0)):
        np.testing.assert_allclose(f((below, above), ab, b), wanted, 1e-10, 1e-10)
        vector = f((below, above), ab, b[:, 0])
        np.testing.assert_allclose(vector, wanted[:, 0], 1e-10, 1e-10)


@pytest.mark.parametrize(("below", "above"), BANDS)
def test_systems_of_few_diagonals_have_right_rules(below, above):
    check_rules_of(
        lambda ab, b: linalg.solve_banded((below, above), ab, b),
        bands_of(below, above, 3, "real"),
        RNG.standard_normal((3, 2)),
        order=1,
    )


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_hermitian_systems_of_few_diagonals_are_solved(count, lower, kind):
    ab, b = bands_of(0, count, 5, kind), RNG.standard_normal((5, 2))
    ab[-1] = ab[-1].real + 2
    ab = ab[::-1].copy() if lower else ab
    wanted = scipy.linalg.solveh_banded(ab, b, lower=lower)
    for f in (linalg.solveh_banded, jit(linalg.solveh_banded, static_argnames="lower")):
        np.testing.assert_allclose(f(ab, b, lower=lower), wanted, 1e-10, 1e-10)
    check_rules_of(
        lambda ab, b: linalg.solveh_banded(ab, b, lower=lower),
        ab,
        b.astype(ab.dtype),
        order=1,
        batched=False,
    )


def test_singular_and_ill_formed_systems_of_few_diagonals():
    b = np.ones((2, 3, 1))
    ab = np.stack([np.ones((2, 3)), np.zeros((2, 3))])
    for f in (linalg.solve_banded, jit(linalg.solve_banded, static_argnums=0)):
        good, bad = np.asarray(f((1, 0), ab, b))
        np.testing.assert_allclose(good[:, 0], [1, 0, 1])
        assert np.isnan(bad).all()
    with pytest.raises(ShapeError, match=r"f64\[2,3\], 1 below and 1 above.*\[3,1\]"):
        linalg.solve_banded((1, 1), ab[0], b[0])
    with pytest.raises(ShapeError, match=r"solveh_banded was given.*f64\[2,1\]"):
        linalg.solveh_banded(ab[0], b[0, :2])
    with pytest.raises(ShapeError, match=r"linalg\.solveh_banded takes matrices"):
        linalg.solveh_banded(ab[0, 0], b[0])
