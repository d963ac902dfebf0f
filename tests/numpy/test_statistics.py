"""Quantiles, covariances and histograms against NumPy, with derivatives."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback.calls.jit import jit
from pullback.errors import ArgumentError, DtypeError, ShapeError
from tests.numpy.agreement import (
    agrees,
    floats,
    has_right_derivatives,
    integers,
    normal,
)

A, V, K = normal(3, 4), normal(4), integers(3, 4)
HOLES = A.copy()
HOLES[0, 1] = np.nan
HOLES[2] = np.nan


@pytest.mark.parametrize("q", [0.3, floats([0.0, 0.5, 0.99, 1.0])], ids=str)
@pytest.mark.parametrize(
    "method",
    [
        *("linear", "lower", "higher", "nearest", "midpoint", "hazen", "weibull"),
        *("interpolated_inverted_cdf", "median_unbiased", "normal_unbiased"),
        *("inverted_cdf", "averaged_inverted_cdf", "closest_observation"),
    ],
)
def test_quantiles_agree_with_numpy(q, method):
    agrees("quantile", A, q, method=method)
    agrees("quantile", A, q, axis=1, method=method)
    # Rounding of q / 100 decides on which side of a step it is.
    smooth = "inverted_cdf" not in method and "closest" not in method
    values, q100 = K.astype(np.float32), q * 100
    agrees("percentile", values, q100, axis=0, method=method, compiled=smooth)
    agrees("nanquantile", HOLES, q, axis=1, method=method)
    agrees("nanpercentile", HOLES, q100, method=method, compiled=smooth)


def test_reduced_axes_are_kept_on_demand():
    agrees("quantile", A, floats([0.2, 0.4]), axis=(0, 1), keepdims=True)
    agrees("median", A, axis=0, keepdims=True)


@pytest.mark.parametrize("name", ["median", "nanmedian"])
def test_medians_agree_with_numpy(name):
    agrees(name, A)
    agrees(name, K, axis=1)
    agrees(name, HOLES)
    agrees(name, HOLES, axis=0)


def test_covariances_agree_with_numpy():
    agrees("cov", A)
    agrees("cov", A, A[:1])
    agrees("cov", V)
    agrees("cov", A, rowvar=False)
    agrees("cov", A, bias=True)
    agrees("cov", A, ddof=0)
    agrees("cov", A, aweights=np.abs(V))
    agrees("cov", A, fweights=np.array([1, 2, 3, 1]))
    agrees("cov", A, fweights=np.array([1, 2, 3, 1]), aweights=np.abs(V))
    agrees("cov", A + 1j * A[::-1])
    agrees("corrcoef", A)
    agrees("corrcoef", V)


@pytest.mark.parametrize("low", [0.0, 0.3, -7.0, 1e8])
@pytest.mark.parametrize("bins", [1, 7, 100, 3000])
def test_many_elements_are_counted_between_the_edges_as_they_are(low, bins):
    # Near 1e8 neighbouring edges are one float32, which a computed place is wrong for.
    x = np.random.default_rng(0).uniform(low - 0.1, low + 1.2, 5000).astype(np.float32)
    edges = np.asarray(jnp.histogram_bin_edges(x, bins, (low, low + 1)))
    x[: 2 * bins : 2] = edges[: x[: 2 * bins : 2].size]
    x[[1, 3, 5, 7]] = np.nan, np.inf, -np.inf, edges[-1]
    for f in (jnp.histogram, jit(jnp.histogram, static_argnums=(1, 2))):
        counts, edges = map(np.asarray, f(x, bins, (low, low + 1)))
        place = np.searchsorted(edges, x, "right") - 1
        place[x == edges[-1]] = bins - 1
        inside = place[(place >= 0) & (place < bins)]
        np.testing.assert_array_equal(counts, np.bincount(inside, minlength=bins))


def test_histograms_agree_with_numpy():
    agrees("histogram", A)
    agrees("histogram", K, 4)
    agrees("histogram", A, 5, (-1, 1))
    agrees("histogram", A, floats([-1, 0, 0.5, 2]))
    agrees("histogram", A, weights=np.abs(A))
    agrees("histogram", A, density=True)
    agrees("histogram", floats([1, 1, 1]))
    agrees("histogram_bin_edges", A, 4)


SMOOTH = {
    "quantile": lambda x: jnp.quantile(x, jnp.array([0.3, 0.7]), axis=1),
    "median": lambda x: jnp.median(x, axis=0),
    "cov": jnp.cov,
    "corrcoef": jnp.corrcoef,
    "histogram": lambda x: jnp.histogram(x, 3, (-2, 2), weights=x * x)[0],
}


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives_are_right(name):
    has_right_derivatives(SMOOTH[name], A)


ERRORS = [
    (lambda: jnp.quantile(A, 0.5, method="best"), ArgumentError, "'best'"),
    (lambda: jnp.quantile(A, jnp.ones((2, 2))), ShapeError, r"f32\[2,2\]"),
    (lambda: jnp.quantile(A + 1j, 0.5), DtypeError, r"c64\[3,4\]"),
    (lambda: jnp.median(A[:0]), ShapeError, r"f32\[0,4\]"),
    (lambda: jnp.cov(jnp.ones((2, 2, 2))), ShapeError, r"f32\[2,2,2\]"),
    (lambda: jnp.histogram(A, "auto"), ArgumentError, "'auto'"),
    (lambda: jnp.histogram(A, weights=V), ShapeError, r"f32\[3,4\].*f32\[4\]"),
]


@pytest.mark.parametrize(("f", "kind", "text"), ERRORS, ids=[e[2] for e in ERRORS])
def test_what_does_not_fit_is_named(f, kind, text):
    with pytest.raises(kind, match=text):
        f()


def test_the_covariance_of_no_observations_is_nan():
    assert np.isnan(jnp.cov(jnp.zeros((2, 0)))).all()


@pytest.mark.parametrize("name", ["quantile", "nanpercentile"])
def test_quantiles_have_the_dtype_of_the_array(name):
    q = np.array([0.25, 0.5], np.float32)
    for dtype in (jnp.float16, jnp.bfloat16):
        assert getattr(jnp, name)(jnp.ones(5, dtype), q).dtype == dtype
    assert getattr(jnp, name)(jnp.arange(5), q).dtype == jnp.float32


SAMPLE = normal(50, 3)


@pytest.mark.parametrize("density", [False, True])
def test_histograms_of_points_agree_with_numpy(density):
    agrees("histogramdd", SAMPLE, 4, density=density)
    agrees("histogramdd", SAMPLE, [2, floats([-1, 0, 2]), 3], density=density)
    agrees("histogramdd", SAMPLE, 3, [(-1, 1), None, (0, 2)], weights=normal(50))
    x, y = SAMPLE.T[:2]
    agrees("histogram2d", x, y, density=density)
    agrees("histogram2d", x, y, (3, 4), density=density, weights=np.abs(x))
    agrees("histogram2d", x, y, floats([-2, 0, 1, 3]))


def test_histograms_are_differentiable_in_their_weights():
    has_right_derivatives(
        lambda w: jnp.histogramdd(SAMPLE, 3, weights=w**2, density=True)[0],
        SAMPLE[:, 0],
    )


def test_points_that_do_not_belong_together_are_refused():
    with pytest.raises(ShapeError, match="3 coordinates, 2 entries in bins"):
        jnp.histogramdd(SAMPLE, [2, 3])
    with pytest.raises(ShapeError, match=r"f32\[4\], f32\[2\]"):
        jnp.histogram2d(V, V[:2])
    with pytest.raises(ShapeError, match=r"50 points and weights of type f32\[4\]"):
        jnp.histogramdd(SAMPLE, weights=V)
