"""Schur and polar forms, Sylvester's equation and functions of matrices."""

import numpy as np
import pytest
import scipy.linalg

from pullback import grad, jit, vmap
from pullback import numpy as jnp
from pullback.config import config
from pullback.errors import ArgumentError, MissingDerivative, ShapeError
from pullback.scipy import linalg
from tests.rule_checks import check_rules_of

RNG = np.random.default_rng(6)
REAL = RNG.standard_normal((4, 4))
COMPLEX = REAL + 1j * RNG.standard_normal((4, 4))
POSITIVE = REAL @ REAL.T + np.eye(4)
MATRICES = pytest.mark.parametrize("a", [REAL, COMPLEX], ids=["real", "complex"])


@pytest.fixture(autouse=True)
def wide():
    with config.context(enable_x64=True):
        yield


def agree(f, a, wanted):
    for g in (f, jit(f)):
        found = g(jnp.array(a))
        found = found if isinstance(found, tuple) else (found,)
        for x, y in zip(found, wanted):
            np.testing.assert_allclose(x, y, 1e-9, 1e-11)


@MATRICES
def test_schur_and_hessenberg_forms_agree(a):
    for output in ("real", "complex"):
        wanted = scipy.linalg.schur(a, output)
        agree(lambda a, o=output: linalg.schur(a, o), a, wanted)
    wanted = scipy.linalg.hessenberg(a, True)
    agree(lambda a: linalg.hessenberg(a, calc_q=True), a, wanted)
    agree(linalg.hessenberg, a, wanted[:1])


def test_forms_of_batches_and_complex_forms_of_real_ones_agree():
    stack = np.stack([REAL, POSITIVE])
    t, z = linalg.schur(jnp.array(stack))
    np.testing.assert_allclose(z @ t @ jnp.swapaxes(z, -1, -2), stack, atol=1e-12)
    np.testing.assert_allclose(vmap(linalg.schur)(jnp.array(stack))[0], t)
    wanted = scipy.linalg.rsf2csf(np.asarray(t[0]), np.asarray(z[0]))
    for x, y in zip(linalg.rsf2csf(t[0], z[0]), wanted):
        np.testing.assert_allclose(x, y, atol=1e-12)
    broken = jnp.array(np.full((2, 2), np.nan))
    assert np.isnan(np.asarray(linalg.schur(broken)[0])).all()
    assert linalg.schur(jnp.ones((0, 2, 2)))[0].shape == (0, 2, 2)


@MATRICES
@pytest.mark.parametrize("side", ["right", "left"])
def test_polar_forms_agree_and_have_right_rules(a, side):
    for x in (a, a[:, :3], a[:3]):
        wanted = scipy.linalg.polar(x, side)
        agree(lambda x: linalg.polar(x, side), x, wanted)
        check_rules_of(lambda x: linalg.polar(x, side), x, batched=False, tol=1e-5)


def test_polar_forms_are_smooth_where_singular_values_coincide():
    check_rules_of(linalg.polar, np.eye(3), batched=False)


@MATRICES
def test_sylvesters_equation_agrees_and_has_right_rules(a):
    b, c = a[:2, :2] + 4 * np.eye(2), a[:, :2]
    wanted = scipy.linalg.solve_sylvester(a, b, c)
    agree(lambda a: linalg.solve_sylvester(a, jnp.array(b), jnp.array(c)), a, [wanted])
    check_rules_of(linalg.solve_sylvester, a, b, c, tol=1e-4)


def test_square_roots_agree_and_have_right_rules():
    for a in (REAL, COMPLEX, POSITIVE):
        agree(linalg.sqrtm, a, [scipy.linalg.sqrtm(a)])
        check_rules_of(linalg.sqrtm, a, batched=False, tol=1e-4)


@MATRICES
def test_functions_of_matrices_agree_and_have_right_rules(a):
    agree(lambda a: linalg.funm(a, jnp.exp), a, [scipy.linalg.expm(a)])
    f, error = linalg.funm(jnp.array(a), jnp.sin, disp=False)
    np.testing.assert_allclose(f, scipy.linalg.sinm(a), 1e-9, 1e-11)
    assert 0 < error < 1e-12
    check_rules_of(lambda a: linalg.funm(a, jnp.exp).real, a, batched=False, tol=1e-4)


def test_derivatives_of_exponentials_agree():
    e = RNG.standard_normal((4, 4))
    wanted = scipy.linalg.expm_frechet(REAL, e)
    agree(lambda a: linalg.expm_frechet(a, jnp.array(e)), REAL, wanted)
    found = linalg.expm_frechet(REAL, e, compute_expm=False)
    np.testing.assert_allclose(found, wanted[1])


@MATRICES
def test_products_with_orthogonal_factors_agree(a):
    tall = jnp.array(a[:, :3])
    product, r = linalg.qr_multiply(tall, jnp.array(a))
    np.testing.assert_allclose(product @ r, a @ a[:, :3], atol=1e-12)
    q, r = linalg.qr_multiply(tall, jnp.eye(3), "left")
    np.testing.assert_allclose(q @ r, a[:, :3], atol=1e-12)
    other, _ = linalg.qr_multiply(tall, jnp.eye(3), "left", conjugate=True)
    wanted = scipy.linalg.qr_multiply(np.asarray(tall), a, pivoting=True)
    for x, y in zip(linalg.qr_multiply(tall, jnp.array(a), pivoting=True), wanted):
        np.testing.assert_allclose(x, y, 1e-9, 1e-11)
    np.testing.assert_allclose(other, np.conj(q))
    row, _ = linalg.qr_multiply(tall, jnp.ones(4))
    np.testing.assert_allclose(row, np.ones(4) @ np.asarray(q), atol=1e-12)
    check_rules_of(
        lambda a, c: linalg.qr_multiply(a, c)[0], a[:, :3], a, batched=False, tol=1e-5
    )


def test_tridiagonal_matrices_agree_and_have_right_rules():
    d, e = REAL[0], REAL[1, :3]
    wanted = scipy.linalg.eigh_tridiagonal(d, e)
    w, v = linalg.eigh_tridiagonal(d, e)
    np.testing.assert_allclose(w, wanted[0])
    np.testing.assert_allclose(np.abs(v), np.abs(wanted[1]))
    some = linalg.eigh_tridiagonal(
        d, e, eigvals_only=True, select="i", select_range=(1, 2)
    )
    np.testing.assert_allclose(some, wanted[0][1:3])
    check_rules_of(lambda d, e: linalg.eigh_tridiagonal(d, e, eigvals_only=True), d, e)


def test_errors_say_what_was_given():
    a = jnp.array(REAL)
    with pytest.raises(MissingDerivative, match=r"schur of f64\[4,4\] has no deriv"):
        grad(lambda a: linalg.schur(a)[0].sum())(a)
    with pytest.raises(ShapeError, match=r"schur takes square matrices"):
        linalg.schur(a[:3])
    with pytest.raises(ArgumentError, match="schur was given output='tall'"):
        linalg.schur(a, "tall")
    with pytest.raises(ShapeError, match=r"solve_sylvester was given f64\[4,4\]"):
        linalg.solve_sylvester(a, a, a[:3])
    with pytest.raises(ShapeError, match=r"rsf2csf was given f64\[4,4\] and f64"):
        linalg.rsf2csf(a, a[:3, :3])
    with pytest.raises(ShapeError, match=r"qr_multiply was given.*for mode='right'"):
        linalg.qr_multiply(a, a[:, :3])
    with pytest.raises(ShapeError, match=r"d f64\[4,4\] and e f64\[4,4\]"):
        linalg.eigh_tridiagonal(a, a)
    with pytest.raises(ShapeError, match=r"expm_frechet was given f64\[4,4\]"):
        linalg.expm_frechet(a, a[:3, :3])
