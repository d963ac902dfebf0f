"""Weights slid along a vector, by terms and as a product of matrices."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import jit, lax, make_jaxpr
from pullback.primitives import sliding
from pullback.primitives.sliding import slide
from pullback.scipy import signal
from tests.rule_checks import check_rules_of

RNG = np.random.default_rng(8)


@pytest.mark.parametrize(("n", "m"), [(5, 3), (60, 16), (60, 17), (40, 40), (95, 33)])
def test_slide_has_right_rules(n, m):
    x, weights = RNG.normal(size=n), RNG.normal(size=m)
    check_rules_of(
        slide, x, weights, reference=lambda x, w: np.correlate(x, w, "valid")
    )


@pytest.mark.parametrize("dtype", ["float32", "int32", "complex64", "float16"])
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_long_convolutions_of_every_dtype(dtype, mode):
    x, y = (RNG.normal(size=n) * 3 for n in (700, 130))
    a, b = (jnp.asarray(z.astype(dtype)) for z in (x, y))
    wide = "complex128" if dtype == "complex64" else "float64"
    wanted = np.convolve(np.asarray(a).astype(wide), np.asarray(b).astype(wide), mode)
    tolerance = (2e-2 if dtype == "float16" else 1e-6) * np.abs(wanted).max()
    for f in (jnp.convolve, jit(jnp.convolve, static_argnums=2)):
        found = f(a, b, mode)
        assert found.dtype == dtype
        np.testing.assert_allclose(np.asarray(found), wanted, atol=tolerance)


def test_weights_are_taken_a_piece_at_a_time(monkeypatch):
    monkeypatch.setattr(sliding, "PIECE", 50)
    x, weights = RNG.normal(size=400), RNG.normal(size=170)
    found = jit(lambda *a: slide(*a))(x, weights)
    np.testing.assert_allclose(found, np.correlate(x, weights), rtol=1e-4, atol=1e-4)


def test_programs_do_not_grow_with_the_number_of_weights():
    def count(m):
        return len(make_jaxpr(jnp.convolve)(np.ones(4 * m), np.ones(m)).eqns)

    assert count(4000) < 3 * count(200)


def test_convolutions_of_one_feature_are_slid():
    x = RNG.normal(size=(1, 1, 500)).astype("f4")
    kernel = RNG.normal(size=(1, 1, 140)).astype("f4")

    def f(x, kernel):
        return lax.conv_general_dilated(x, kernel, (1,), [(3, 5)])

    wanted = np.correlate(np.pad(x[0, 0], (3, 5)), kernel[0, 0])
    np.testing.assert_allclose(jit(f)(x, kernel)[0, 0], wanted, rtol=1e-4, atol=1e-4)
    assert "stablehlo.convolution" not in jit(f).lower(x, kernel).as_text()
    strided = jit(lambda x, k: lax.conv_general_dilated(x, k, (2,), [(3, 5)]))
    np.testing.assert_allclose(
        strided(x, kernel)[0, 0], wanted[::2], rtol=1e-4, atol=1e-4
    )
    assert "stablehlo.convolution" in strided.lower(x, kernel).as_text()


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_vectors_of_the_signal_module_are_slid(mode):
    x, y = RNG.normal(size=300), RNG.normal(size=90)
    found = jit(lambda x, y: signal.convolve(x, y, mode))(x, y)
    np.testing.assert_allclose(
        found, np.convolve(x, y, mode)[: len(found)], rtol=1e-4, atol=1e-4
    )
