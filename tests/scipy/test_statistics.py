"""Ranks, modes, errors of means and densities estimated from points, against SciPy."""

import numpy as np
import pytest
import scipy.stats

from pullback import grad, jit, random, vmap
from pullback import numpy as jnp
from pullback.config import config
from pullback.errors import ArgumentError, ShapeError
from pullback.scipy import stats
from tests.rule_checks import check_rules_of

RNG = np.random.default_rng(4)
TIED = RNG.integers(0, 4, (3, 7))


@pytest.fixture(autouse=True)
def wide():
    with config.context(enable_x64=True):
        yield


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("method", ["average", "min", "max", "dense", "ordinal"])
def test_ranks_agree(method, axis):
    for x in (TIED, TIED * 0.5):
        wanted = scipy.stats.rankdata(x, method, axis=axis)
        found = stats.rankdata(jnp.array(x), method, axis=axis)
        np.testing.assert_array_equal(np.asarray(found).reshape(wanted.shape), wanted)
        compiled = jit(lambda x: stats.rankdata(x, method, axis=axis))(jnp.array(x))
        np.testing.assert_array_equal(compiled, found)


def test_ranks_with_a_nan_are_nan_along_the_axis_and_have_no_slope():
    x = np.array([[1.0, np.nan], [2.0, 1.0]])
    found = stats.rankdata(jnp.array(x), axis=1)
    np.testing.assert_array_equal(found, scipy.stats.rankdata(x, axis=1))
    slope = grad(lambda x: stats.rankdata(x).sum())(jnp.array([3.0, 1.0]))
    np.testing.assert_array_equal(slope, 0)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_modes_agree(axis, keepdims):
    for x in (TIED, TIED * 0.5):
        wanted = scipy.stats.mode(x, axis, keepdims=keepdims)
        for f in (stats.mode, jit(stats.mode, static_argnums=(1, 2, 3))):
            found = f(jnp.array(x), axis, "propagate", keepdims)
            np.testing.assert_array_equal(found.mode, wanted.mode)
            np.testing.assert_array_equal(found.count, wanted.count)


def test_modes_with_a_nan_are_nan():
    found = stats.mode(jnp.array([1.0, np.nan, 1.0]))
    assert np.isnan(found.mode)
    assert found.count == 1


def test_errors_of_means_agree():
    x = RNG.standard_normal((4, 5))
    x[1, 2] = np.nan
    for policy in ("propagate", "omit"):
        wanted = scipy.stats.sem(x, 1, nan_policy=policy)
        found = stats.sem(jnp.array(x), 1, nan_policy=policy)
        np.testing.assert_allclose(found, np.ma.filled(wanted, np.nan))
    np.testing.assert_allclose(stats.sem(x[0]), scipy.stats.sem(x[0]))
    found = stats.sem(jnp.array(x[2:]), None, ddof=0, keepdims=True)
    np.testing.assert_allclose(found, [[scipy.stats.sem(x[2:], None, ddof=0)]])
    check_rules_of(stats.sem, x[2:])


# -- densities estimated from points ---------------------------------------------------

POINTS, WEIGHTS = RNG.standard_normal((2, 20)), RNG.uniform(size=20)
PLACES = RNG.standard_normal((2, 5))


@pytest.mark.parametrize("method", [None, "silverman", 0.4, lambda kde: kde.neff**-0.2])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_estimated_densities_agree(method, weights):
    ours = stats.gaussian_kde(jnp.array(POINTS), method, weights)
    theirs = scipy.stats.gaussian_kde(POINTS, method, weights)
    for name in ("covariance", "inv_cov", "neff", "weights"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name))
    np.testing.assert_allclose(ours(PLACES), theirs(PLACES))
    np.testing.assert_allclose(ours.pdf(PLACES), theirs.pdf(PLACES))
    np.testing.assert_allclose(ours.logpdf(PLACES), theirs.logpdf(PLACES))
    np.testing.assert_allclose(ours.evaluate(PLACES[:, 0]), theirs(PLACES[:, 0]))
    args = (np.array([0.1, 0.2]), np.array([[1.0, 0.2], [0.2, 2.0]]))
    np.testing.assert_allclose(
        ours.integrate_gaussian(*args), theirs.integrate_gaussian(*args)
    )
    np.testing.assert_allclose(ours.integrate_kde(ours), theirs.integrate_kde(theirs))


def test_probabilities_on_the_line_agree():
    ours = stats.gaussian_kde(jnp.array(POINTS[0]))
    theirs = scipy.stats.gaussian_kde(POINTS[0])
    np.testing.assert_allclose(
        ours.integrate_box_1d(-0.5, 1.0), theirs.integrate_box_1d(-0.5, 1.0)
    )


def test_estimates_are_containers_which_transformations_take():
    kde = stats.gaussian_kde(jnp.array(POINTS))
    found = jit(lambda k, x: k.logpdf(x))(kde, PLACES)
    np.testing.assert_allclose(found, kde.logpdf(PLACES))
    check_rules_of(
        lambda points, x: stats.gaussian_kde(points).logpdf(x), POINTS, PLACES,
        batched=False,
    )  # fmt: skip
    many = vmap(lambda p: stats.gaussian_kde(p).evaluate(PLACES))(
        jnp.stack([jnp.array(POINTS), jnp.array(POINTS) * 2])
    )
    np.testing.assert_allclose(many[0], kde(PLACES))


def test_drawn_points_have_the_estimates_covariance():
    kde = stats.gaussian_kde(jnp.array(POINTS), weights=WEIGHTS)
    drawn = np.asarray(kde.resample(random.key(0), (100, 200)))
    assert drawn.shape == (2, 100, 200)
    wanted = np.cov(POINTS, aweights=WEIGHTS, bias=True) + np.asarray(kde.covariance)
    np.testing.assert_allclose(np.cov(drawn.reshape(2, -1)), wanted, atol=0.1)


def test_errors_say_what_was_given():
    with pytest.raises(ArgumentError, match=r"method='best'.*Give one of 'average'"):
        stats.rankdata(jnp.ones(3), "best")
    with pytest.raises(ArgumentError, match="nan_policy='raise'"):
        stats.mode(jnp.ones(3), nan_policy="raise")
    with pytest.raises(ShapeError, match=r"gaussian_kde was given f64\[1,1\]"):
        stats.gaussian_kde(jnp.ones(1))
    with pytest.raises(ShapeError, match=r"20 points and weights f64\[3\]"):
        stats.gaussian_kde(POINTS, weights=jnp.ones(3))
    kde = stats.gaussian_kde(jnp.array(POINTS))
    with pytest.raises(ShapeError, match=r"points of 2 coordinates.*f64\[3,1\]"):
        kde(jnp.ones((3, 1)))
    with pytest.raises(ArgumentError, match="called on points of 2 coordinates"):
        kde.integrate_box_1d(0.0, 1.0)
    with pytest.raises(ArgumentError, match="bw_method='wide'"):
        stats.gaussian_kde(POINTS, "wide")
    with pytest.raises(ArgumentError, match="points of 1 coordinates"):
        kde.integrate_kde(stats.gaussian_kde(POINTS[0]))
    with pytest.raises(ShapeError, match=r"mean f64\[1\]"):
        kde.integrate_gaussian(0.0, 1.0)
