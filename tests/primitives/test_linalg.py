"""Factorizations that solve systems: values against NumPy and SciPy, and every rule."""

import itertools

import numpy as np
import pytest
import scipy.linalg

from pullback import jit
from pullback.core.calling import as_value
from pullback.errors import DtypeError, ShapeError
from pullback.primitives import linalg, row_order
from pullback.primitives.table import add, mul
from pullback.transforms.vjp import jvp
from tests.rule_checks import check_rules_of

RNG = np.random.default_rng(3)


def matrix(*shape, dtype="float64"):
    x = RNG.standard_normal(shape)
    return x + 1j * RNG.standard_normal(shape) if dtype == "complex128" else x


def hermitian(a):
    return mul(add(a, linalg.adjoint(a)), 0.5)


DTYPES = pytest.mark.parametrize("dtype", ["float64", "complex128"])


@DTYPES
def test_cholesky_has_right_rules(dtype):
    a = matrix(4, 4, dtype=dtype)
    check_rules_of(
        lambda a: linalg.cholesky(hermitian(a)),
        a @ a.conj().T + 4 * np.eye(4),
        reference=np.linalg.cholesky,
    )


def test_cholesky_of_an_indefinite_matrix_is_nan_beside_good_ones():
    a = as_value(np.stack([np.eye(2), -np.eye(2)]).astype(np.float32))
    for f in (linalg.cholesky, jit(linalg.cholesky)):
        good, bad = np.asarray(f(a))
        np.testing.assert_array_equal(good, np.eye(2))
        assert np.isnan(bad[0, 0])


OPTIONS = list(itertools.product([True, False], repeat=5))


@pytest.mark.parametrize("options", OPTIONS)
def test_triangular_solve_has_right_rules(options):
    left, lower, transposed, conjugated, unit = options
    dtype = "complex128" if conjugated else "float64"
    a = matrix(3, 3, dtype=dtype) + 3 * np.eye(3)
    b = matrix(*((3, 2) if left else (2, 3)), dtype=dtype)

    def reference(a, b):
        triangle = np.tril(a, -unit) if lower else np.triu(a, unit)
        m = triangle + unit * np.eye(3)
        m = m.conj() if conjugated else m
        m = m.T if transposed else m
        return np.linalg.solve(m, b) if left else np.linalg.solve(m.T, b.T).T

    check_rules_of(
        lambda a, b: linalg.triangular_solve(
            a,
            b,
            left_side=left,
            lower=lower,
            transpose_a=transposed,
            conjugate_a=conjugated,
            unit_diagonal=unit,
        ),
        a,
        b,
        reference=reference,
        order=2 if lower and transposed else 1,
    )


@DTYPES
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (2, 4, 4)])
def test_lu_has_right_rules(shape, dtype):
    check_rules_of(
        lambda a: linalg.lu(a)[0],
        matrix(*shape, dtype=dtype),
        reference=lambda a: np.stack(
            [scipy.linalg.lu_factor(m)[0] for m in a.reshape(-1, *shape[-2:])]
        ).reshape(shape),
    )


def test_lu_exchanges_and_order_belong_together():
    a = matrix(3, 4, 4)
    packed, pivots, order = (np.asarray(x) for x in linalg.lu(as_value(a)))
    again = row_order.pivots_to_permutation(as_value(pivots), 4)
    np.testing.assert_array_equal(again, order)
    lower = np.tril(packed, -1) + np.eye(4)
    product = lower @ np.triu(packed)
    np.testing.assert_allclose(
        product, np.take_along_axis(a, order[..., None], 1), 1e-4, 1e-4
    )


@DTYPES
def test_solve_has_right_rules(dtype):
    a, b = matrix(4, 4, dtype=dtype), matrix(4, 2, dtype=dtype)
    check_rules_of(linalg.solve, a, b, reference=np.linalg.solve)


def test_solve_of_a_singular_matrix_is_not_finite_and_does_not_raise():
    a, b = as_value(np.ones((2, 2), np.float32)), as_value(np.eye(2, dtype="f4"))
    for f in (linalg.solve, jit(linalg.solve)):
        assert not np.isfinite(np.asarray(f(a, b))).any()


@DTYPES
@pytest.mark.parametrize("n", [1, 2, 4, 5])
def test_det_has_right_rules(n, dtype):
    check_rules_of(linalg.det, matrix(n, n, dtype=dtype), reference=np.linalg.det)


def test_det_of_a_matrix_of_rank_one_less_has_the_right_derivative():
    a = matrix(4, 4)
    a[3] = a[0] + a[1]
    check_rules_of(linalg.det, a, order=1)


@pytest.mark.parametrize("inverse", [False, True])
def test_permute_rows_and_back(inverse):
    order = np.array([2, 0, 1], np.int32)
    check_rules_of(
        lambda x: row_order.permute_rows(x, as_value(order), inverse),
        matrix(3, 2),
        reference=lambda x: x[np.argsort(order) if inverse else order],
    )


def test_matrices_without_elements_pass_through():
    empty = as_value(np.zeros((0, 0), np.float32))
    stack = as_value(np.zeros((0, 3, 3), np.float32))
    for f in (linalg.cholesky, lambda a: linalg.lu(a)[0], lambda a: linalg.solve(a, a)):
        for g in (f, jit(f)):
            assert g(empty).shape == (0, 0)
            assert g(stack).shape == (0, 3, 3)


def test_errors_name_operation_and_types():
    wide, narrow = as_value(np.ones((2, 3))), as_value(np.ones((2, 2), np.float16))
    with pytest.raises(ShapeError, match=r"cholesky takes square .* f32\[2,3\]"):
        jit(linalg.cholesky)(wide)
    with pytest.raises(DtypeError, match="lu does not take dtype float16"):
        jit(linalg.lu)(narrow)
    with pytest.raises(ShapeError, match=r"solve was given a matrix f32\[2,2\]"):
        jit(linalg.solve)(as_value(np.ones((2, 2))), as_value(np.ones((3, 1))))


def test_derivative_of_solve_factors_once(monkeypatch):
    counts = []
    factor = linalg.factor_lu
    monkeypatch.setattr(linalg, "factor_lu", lambda a: counts.append(1) or factor(a))
    a, b = as_value(matrix(3, 3)), as_value(matrix(3, 1))
    jvp(linalg.solve, (a, b), (a, b))
    assert len(counts) == 1
