"""Discrete distributions against SciPy, and their derivatives against differences."""

import mpmath
import numpy as np
import pytest
import scipy.stats

from pullback import jit
from pullback.config import config
from pullback.core.calling import as_value
from pullback.scipy import stats
from tests.rule_checks import check_rules_of

K = np.array([0, 1, 2, 5, 12, 40])
P = np.array(0.3)

#: Distributions with parameters.
DISCRETE = {
    "bernoulli": (P,),
    "binom": (np.array(40.0), P),
    "nbinom": (np.array(7.5), P),
    "geom": (P,),
    "poisson": (np.array(11.0),),
    "betabinom": (np.array(40.0), np.array(2.5), np.array(14.0)),
}


@pytest.mark.parametrize("name", DISCRETE)
def test_probabilities_agree_and_have_right_rules(name):
    places = np.array([*K, -1, 0.5, 41])
    for which in ("pmf", "logpmf"):
        function = getattr(getattr(stats, name), which)
        wanted = getattr(getattr(scipy.stats, name), which)(places, *DISCRETE[name], 0)
        single = function(np.float32(places), *map(np.float32, DISCRETE[name]))
        np.testing.assert_allclose(single, wanted, 2e-5, 1e-6)
        with config.context(enable_x64=True):
            for f in (function, jit(function)):
                np.testing.assert_allclose(
                    f(as_value(places), *map(as_value, DISCRETE[name])), wanted, 1e-12
                )
    with config.context(enable_x64=True):
        moved = getattr(stats, name).pmf(as_value(K + 2), *DISCRETE[name], 2)
        np.testing.assert_allclose(
            moved, getattr(stats, name).pmf(as_value(K), *DISCRETE[name])
        )

    def of_parameters(*parameters):
        return getattr(stats, name).logpmf(as_value(K[1:2]), *parameters)

    check_rules_of(of_parameters, *DISCRETE[name], tol=1e-5, batched=False)


@pytest.mark.parametrize("name", ["binom", "poisson", "nbinom", "geom", "bernoulli"])
def test_impossible_parameters_give_nan_and_nan_spreads(name):
    parameters = [*DISCRETE[name][:-1], -0.5]
    assert np.isnan(getattr(stats, name).logpmf(1.0, *parameters))
    assert np.isnan(getattr(stats, name).logpmf(np.nan, *DISCRETE[name]))


def test_great_counts_keep_their_accuracy():
    with mpmath.workdps(40):
        k, n, p = 500_600, mpmath.mpf(10**6), mpmath.mpf(0.5)
        ways = mpmath.loggamma(n + 1) - mpmath.loggamma(k + 1)
        ways -= mpmath.loggamma(n - k + 1)
        binomial = float(ways + n * mpmath.log(p))
        mu = mpmath.mpf(500_000)
        events = float(k * mpmath.log(mu) - mu - mpmath.loggamma(k + 1))
    for dtype, tol in ((np.float32, 2e-6), (np.float64, 1e-13)):
        with config.context(enable_x64=dtype is np.float64):
            found = stats.binom.logpmf(dtype(k), dtype(1e6), dtype(0.5))
            np.testing.assert_allclose(found, binomial, tol)
            found = stats.poisson.logpmf(dtype(k), dtype(5e5))
            np.testing.assert_allclose(found, events, tol)


def test_edges_of_binomial_numbers_agree():
    k, p = (x.ravel() for x in np.meshgrid([0.0, 3.0, 5.0], [0.0, 0.4, 1.0]))
    with config.context(enable_x64=True):
        found = stats.binom.pmf(as_value(k), 5.0, as_value(p))
    np.testing.assert_allclose(found, scipy.stats.binom.pmf(k, 5, p))


def test_distribution_functions_and_quantiles_of_counts_agree():
    k = np.array([-0.5, 0.0, 0.5, 1.0, 3.2, 20.0])
    q = np.array([0.0, 0.3, 0.7, 0.71, 1.0])
    with config.context(enable_x64=True):
        found = stats.poisson.cdf(as_value(k), 2.5, 1)
        np.testing.assert_allclose(found, scipy.stats.poisson.cdf(k, 2.5, 1))
        found = stats.bernoulli.cdf(as_value(k), 0.3)
        np.testing.assert_allclose(found, scipy.stats.bernoulli.cdf(k, 0.3))
        found = stats.bernoulli.ppf(as_value(q), 0.3)
        np.testing.assert_array_equal(found, scipy.stats.bernoulli.ppf(q, 0.3))
    check_rules_of(
        lambda mu: stats.poisson.cdf(3, mu), np.array([2.5, 0.3]), batched=False
    )


def test_entropies_of_poisson_numbers_agree_on_both_sides_of_the_series():
    mu = np.array([0.0, 1e-3, 0.5, 30.0, 99.9, 100.1, 150.0])
    with config.context(enable_x64=True):
        for f in (stats.poisson.entropy, jit(stats.poisson.entropy)):
            wanted = [scipy.stats.poisson(m).entropy() for m in mu]
            np.testing.assert_allclose(f(as_value(mu)), wanted, 1e-8, 1e-12)
    check_rules_of(
        stats.poisson.entropy, np.array([0.4, 120.0]), order=1, batched=False
    )


def test_multinomial_probabilities_agree():
    x = np.array([[1, 2, 3], [0, 6, 0], [1, 1, 1], [-1, 4, 3]])
    p = np.array([0.2, 0.3, 0.5])
    wanted = scipy.stats.multinomial.logpmf(x, 6, p)
    with config.context(enable_x64=True):
        for f in (stats.multinomial.logpmf, jit(stats.multinomial.logpmf)):
            np.testing.assert_allclose(f(as_value(x), 6, as_value(p)), wanted)
        found = stats.multinomial.pmf(as_value(x), 6, as_value(p))
        np.testing.assert_allclose(found, np.exp(wanted), atol=1e-15)
    check_rules_of(lambda p: stats.multinomial.logpmf(as_value(x[0]), 6, p), p)
