"""Continuous distributions against SciPy, and their derivatives against differences."""

import numpy as np
import pytest
import scipy.special
import scipy.stats

from pullback import grad, jit
from pullback import numpy as jnp
from pullback.config import config
from pullback.core.calling import as_value
from pullback.errors import DtypeError, MissingName, ShapeError
from pullback.scipy import stats
from tests.rule_checks import check_rules_of

LINE = np.array([-2.5, -0.3, 0.2, 3.7])
ABOVE = np.array([0.4, 1.3, 2.2, 13.7])
UNIT = np.array([0.05, 0.2, 0.3, 0.45])
ONE, TWO = np.array(1.3), np.array(2.4)
NEAR = np.array(0.3)

#: Distributions with arguments in the support, then shape parameters, loc and scale.
CONTINUOUS = {
    "cauchy": (LINE, NEAR, TWO),
    "expon": (ABOVE + 4, NEAR, TWO),
    "laplace": (LINE, NEAR, TWO),
    "logistic": (LINE, NEAR, TWO),
    "gumbel_l": (LINE, NEAR, TWO),
    "gumbel_r": (LINE, NEAR, TWO),
    "uniform": (UNIT + 1, NEAR, TWO),
    "pareto": (ABOVE + 4, TWO, NEAR, ONE),
    "gamma": (ABOVE + 1, TWO, NEAR, ONE),
    "chi2": (ABOVE + 1, TWO, NEAR, ONE),
    "t": (LINE, TWO, NEAR, ONE),
    "beta": (UNIT + 0.6, TWO, ONE, NEAR, ONE),
    "gennorm": (LINE, TWO),
    "vonmises": (LINE, TWO),
    "wrapcauchy": (ABOVE / 5, UNIT),
    "truncnorm": (UNIT, np.array(-1.5), np.array(1.2), np.array(0.1), ONE),
}
OF_VALUES = ("logpdf", "pdf", "cdf", "logcdf", "sf", "logsf")
QUANTILES = ("ppf", "isf")


def cases(names):
    return [(d, f) for d in CONTINUOUS for f in names if hasattr(getattr(stats, d), f)]


def agree(distribution, name, *args, rtol=2e-12):
    function = getattr(getattr(stats, distribution), name)
    wanted = getattr(getattr(scipy.stats, distribution), name)(*args)
    with config.context(enable_x64=True):
        values = [as_value(x) for x in args]
        for f in (function, jit(function)):
            np.testing.assert_allclose(f(*values), wanted, rtol, 1e-14)
    single = function(*[as_value(np.float32(x)) for x in args])
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, wanted, 2e-5, 1e-6)


@pytest.mark.parametrize(("distribution", "name"), cases(OF_VALUES))
def test_functions_of_values_agree(distribution, name):
    agree(distribution, name, *CONTINUOUS[distribution])


@pytest.mark.parametrize(("distribution", "name"), cases(("logpdf", "cdf", "logsf")))
def test_functions_of_values_have_right_rules(distribution, name):
    function = getattr(getattr(stats, distribution), name)
    order = 2 if name == "logpdf" else 1
    args = CONTINUOUS[distribution]
    check_rules_of(function, *args, order=order, tol=2e-5, batched=False)


@pytest.mark.parametrize(("distribution", "name"), cases(QUANTILES))
def test_quantiles_agree_and_have_right_rules(distribution, name):
    q = np.array([0.0, 1e-12, 0.1, 0.5, 0.8, 0.999])
    shapes = CONTINUOUS[distribution][1:]
    agree(distribution, name, q, *shapes)
    function = getattr(getattr(stats, distribution), name)
    check_rules_of(function, UNIT, *shapes, order=1, tol=2e-5, batched=False)


@pytest.mark.parametrize("distribution", CONTINUOUS)
def test_densities_are_zero_outside_and_their_slopes_finite(distribution):
    density = getattr(stats, distribution).logpdf
    shapes = CONTINUOUS[distribution][1:]
    if distribution in ("vonmises",):
        pytest.skip("it has no outside")
    for far in (-np.inf, np.inf):
        assert np.all(density(far, *shapes) == -np.inf)
    assert np.all(np.isnan(density(np.nan, *shapes)))
    slopes = grad(lambda x: stats.expon.logpdf(x, 0.3, 2.0))(jnp.array(0.1))
    assert float(slopes) == 0.0


@pytest.mark.parametrize("distribution", ["truncnorm", "beta", "t"])
def test_maps_of_distributions_are_loops(distribution):
    x, *shapes = CONTINUOUS[distribution]
    check_rules_of(getattr(stats, distribution).logpdf, x - 0.5, *shapes, order=0)


TAILS = [
    ("cauchy", "cdf", (-1e20,), 1 / np.pi * 1e-20),
    ("cauchy", "logpdf", (1e25,), -np.log(np.pi) - 50 * np.log(10)),
    ("gumbel_r", "logsf", (1e4,), -1e4),
    ("gumbel_l", "logcdf", (-1e4,), -1e4),
    ("expon", "logcdf", (1e-20,), np.log(1e-20)),
    ("beta", "sf", (1e-30, 0.01, 11.0), scipy.special.betaincc(0.01, 11.0, 1e-30)),
    ("t", "logpdf", (1.0, np.inf), scipy.stats.norm.logpdf(1.0)),
    ("t", "logpdf", (1.0, 1e9), scipy.stats.norm.logpdf(1.0)),
    ("truncnorm", "pdf", (5 + 5e-7, 5.0, 5 + 1e-6), 1e6),
    ("truncnorm", "cdf", (-30.5, -40.0, -30.0), scipy.stats.truncnorm.cdf(
        -30.5, -40, -30)),
    ("vonmises", "logpdf", (1e-3, 1e8),
     -2e8 * np.sin(5e-4) ** 2 + 0.5 * np.log(1e8 / (2 * np.pi))),
    ("gamma", "logpdf", (1e6, 1e6), -0.5 * np.log(2 * np.pi * 1e6)),
]  # fmt: skip


@pytest.mark.parametrize(("distribution", "name", "args", "wanted"), TAILS)
def test_tails_keep_their_accuracy(distribution, name, args, wanted):
    function = getattr(getattr(stats, distribution), name)
    with config.context(enable_x64=True):
        np.testing.assert_allclose(function(*args), wanted, 3e-8)
    if "truncnorm" not in distribution:
        np.testing.assert_allclose(function(*map(jnp.float32, args)), wanted, 3e-4)


def test_slopes_of_quantiles_of_the_generalized_normal_distribution_at_zero():
    slope = grad(stats.gennorm.cdf)(0.0, 2.0)
    np.testing.assert_allclose(slope, scipy.stats.gennorm.pdf(0.0, 2.0), 1e-6)


# -- of several variables --------------------------------------------------------------

COV = np.array([[2.0, 0.5, 0.1], [0.5, 1.0, 0.2], [0.1, 0.2, 3.0]])
MEAN = np.array([0.1, -0.4, 1.0])
POINTS = np.random.default_rng(3).standard_normal((5, 3))


def test_normal_vectors_agree_and_have_right_rules():
    f = stats.multivariate_normal.logpdf
    wanted = scipy.stats.multivariate_normal.logpdf(POINTS, MEAN, COV)
    with config.context(enable_x64=True):
        for g in (f, jit(f)):
            np.testing.assert_allclose(g(*map(as_value, (POINTS, MEAN, COV))), wanted)
        found = stats.multivariate_normal.pdf(as_value(POINTS), MEAN, COV)
        np.testing.assert_allclose(found, np.exp(wanted))
        one = stats.multivariate_normal.logpdf(0.3, 0.1, 2.0)
        np.testing.assert_allclose(one, scipy.stats.norm.logpdf(0.3, 0.1, np.sqrt(2)))

    def symmetric(x, m, c):
        return f(x, m, (c + c.T) / 2)

    check_rules_of(symmetric, POINTS, MEAN, COV, batched=False)


def test_normal_vectors_on_a_plane_have_the_density_there():
    flat = np.diag([2.0, 1.0, 0.0])
    points = np.where([True, True, False], POINTS, MEAN)
    points[0, 2] += 1e-3
    args = (points, MEAN, flat)
    wanted = scipy.stats.multivariate_normal.logpdf(*args, allow_singular=True)
    with config.context(enable_x64=True):
        found = stats.multivariate_normal.logpdf(*map(as_value, args), True)
    np.testing.assert_allclose(found, wanted)


def test_dirichlet_densities_agree_with_and_without_the_last_probability():
    alpha = np.array([0.5, 2.0, 3.0])
    x = np.array([[0.2, 0.7], [0.3, 0.1], [0.5, 0.2]])
    wanted = [scipy.stats.dirichlet.logpdf(c, alpha) for c in x.T]
    with config.context(enable_x64=True):
        for given in (x, x[:2]):
            found = stats.dirichlet.logpdf(as_value(given), as_value(alpha))
            np.testing.assert_allclose(found, wanted)
        off = stats.dirichlet.pdf(as_value(x * 1.1), as_value(alpha))
        np.testing.assert_array_equal(off, 0)
    check_rules_of(stats.dirichlet.logpdf, x[:2], alpha, batched=False)


# -- errors ----------------------------------------------------------------------------


def test_errors_say_what_was_given():
    with pytest.raises(DtypeError, match=r"gamma.logpdf takes real numbers.*c64"):
        stats.gamma.logpdf(jnp.array(1j), 2.0)
    with pytest.raises(ShapeError, match=r"mean f32\[3\] and cov f32\[2,2\]"):
        stats.multivariate_normal.logpdf(jnp.ones(3), jnp.ones(3), jnp.ones((2, 2)))
    with pytest.raises(ShapeError, match=r"x f32\[\] and alpha f32\[\]"):
        stats.dirichlet.logpdf(1.0, 2.0)
    with pytest.raises(MissingName, match=r"pullback\.scipy\.stats has no nope"):
        stats.nope  # noqa: B018
    assert "gamma" in dir(stats)
