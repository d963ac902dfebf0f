"""Systems of band matrices: values against dense ones, every rule, and bad input."""

import numpy as np
import pytest

from pullback import enable_x64, jit, make_jaxpr, vmap
from pullback.core.calling import as_value
from pullback.errors import DtypeError, ShapeError
from pullback.primitives.banded import BandedSolve, TridiagonalSolve, tridiagonal_solve
from tests.rule_checks import check_rules_of

RNG = np.random.default_rng(5)
DTYPES = ("float32", "float64", "complex64", "complex128")


def draw(*shape, dtype="float64"):
    x = RNG.standard_normal(shape)
    if dtype.startswith("complex"):
        x = x + 1j * RNG.standard_normal(shape)
    return x.astype(dtype)


def filled_in(dl, d, du):
    return np.diag(d) + np.diag(dl[1:], -1) + np.diag(du[:-1], 1)


def by_dense(dl, d, du, b):
    return np.linalg.solve(filled_in(dl, d, du), b)


WAYS = [lambda f: f, jit]
PERTURBED = TridiagonalSolve(perturb_singular=True)


@pytest.mark.parametrize("perturb", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", [(), (2,)])
@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_tridiagonal_systems_are_solved(n, batch, dtype, perturb):
    with enable_x64():
        dl, d, du = (draw(*batch, n, dtype=dtype) for _ in range(3))
        b = draw(*batch, n, 3, dtype=dtype)
        singles = zip(dl, d, du, b) if batch else [(dl, d, du, b)]
        want = np.stack([by_dense(*one) for one in singles]).reshape(b.shape)
        tol = 2e-4 if b.real.dtype == np.float32 else 1e-10
        for way in WAYS:
            x = way(TridiagonalSolve(perturb))(*map(as_value, (dl, d, du, b)))
            assert (x.dtype, x.shape) == (b.dtype, b.shape)
            np.testing.assert_allclose(x, want, tol, tol)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_tridiagonal_solve_has_right_rules(dtype):
    operands = [draw(4, dtype=dtype) for _ in range(3)] + [draw(4, 2, dtype=dtype)]
    check_rules_of(tridiagonal_solve, *operands, reference=by_dense)


def test_perturbed_tridiagonal_solve_has_right_rules():
    operands = [draw(4), draw(4), draw(4), draw(4, 2)]
    check_rules_of(PERTURBED, *operands, reference=by_dense, order=1)


def test_rows_are_exchanged_where_the_diagonal_vanishes():
    ones, zeros = np.ones(6, np.float32), np.zeros(6, np.float32)
    b = draw(6, 1, dtype="float32")
    for way in WAYS:
        x = way(tridiagonal_solve)(*map(as_value, (ones, zeros, ones, b)))
        np.testing.assert_allclose(x, by_dense(ones, zeros, ones, b), 1e-6, 1e-6)


def test_a_batch_does_not_mix_good_systems_with_singular_ones_and_nans():
    zeros, ones = np.zeros((4, 3), np.float32), np.ones((4, 3), np.float32)
    d = ones * np.float32([[1], [0], [np.nan], [2]])
    operands = [as_value(x) for x in (ones * 0.5, d, zeros, ones[..., None])]
    for way in WAYS:
        x = np.asarray(way(tridiagonal_solve)(*operands))[..., 0]
        good, singular, unknown, also = x
        np.testing.assert_allclose(good, [1, 0.5, 0.75])
        np.testing.assert_allclose(also, [0.5, 0.375, 0.40625])
        assert np.isnan(singular).all()
        assert np.isnan(unknown).any()


def test_perturbed_solutions_of_singular_systems_are_finite():
    # Inverse iteration: the vector that the matrix takes to zero.
    n = 5
    side, middle = np.full(n, -1.0, np.float32), np.full(n, 2.0, np.float32)
    middle[0] = middle[-1] = 1
    b = draw(n, 1, dtype="float32")
    for way in WAYS:
        x = np.asarray(way(PERTURBED)(*map(as_value, (side, middle, side, b))))
        assert np.isfinite(x).all()
        np.testing.assert_allclose(x / x[0], np.ones((n, 1)), 1e-4)
        nothing = as_value(np.zeros(n, np.float32))
        found = way(PERTURBED)(nothing, nothing, nothing, as_value(b))
        assert np.isfinite(found).all()


def test_right_sides_of_one_matrix_are_solved_together():
    dl, d, du = (as_value(draw(3, dtype="float32")) for _ in range(3))
    b = as_value(draw(4, 3, 2, dtype="float32"))
    x = vmap(lambda y: tridiagonal_solve(dl, d, du, y))(b)
    want = np.stack([by_dense(*map(np.asarray, (dl, d, du, y))) for y in b])
    np.testing.assert_allclose(x, want, 1e-4, 1e-4)
    program = make_jaxpr(vmap(lambda y: tridiagonal_solve(dl, d, du, y)))(b)
    assert "f32[3,8]" in str(program)


def test_tridiagonal_systems_without_unknowns_pass_through():
    line, right = np.zeros((2, 0), np.float32), np.zeros((2, 0, 3), np.float32)
    for way in WAYS:
        x = way(tridiagonal_solve)(*map(as_value, (line, line, line, right)))
        assert x.shape == (2, 0, 3)


def test_tridiagonal_errors_name_types():
    line, right = as_value(np.ones(3, np.float32)), np.ones((3, 1), np.float32)
    short = as_value(np.ones(2, np.float32))
    with pytest.raises(ShapeError, match=r"diagonals f32\[2\], f32\[3\], f32\[3\]"):
        tridiagonal_solve(short, line, line, as_value(right))
    with pytest.raises(ShapeError, match=r"takes matrices .* f32\[3\]"):
        tridiagonal_solve(line, line, line, line)
    with pytest.raises(DtypeError, match="different dtypes"):
        tridiagonal_solve(line, line, line, as_value(right.astype(np.complex64)))
    whole = as_value(np.ones(3, np.int32))
    with pytest.raises(DtypeError, match="does not take dtype int32"):
        tridiagonal_solve(whole, whole, whole, as_value(right.astype(np.int32)))
    with pytest.raises(ShapeError, match="1 below and 0 above the main one"):
        BandedSolve(1, 0)(as_value(right), as_value(right))
