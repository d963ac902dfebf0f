"""The normal distribution against SciPy."""

import numpy as np
import pytest
import scipy.stats

from pullback.config import config
from pullback.core.calling import as_value
from pullback.scipy import stats
from tests.rule_checks import check_rules_of

X, P = np.array([-2.5, -0.3, 0.2, 3.7]), np.array([0.01, 0.3, 0.5, 0.99])


@pytest.mark.parametrize("name", ["pdf", "logpdf", "cdf", "logcdf", "sf", "logsf"])
def test_functions_of_values_agree_and_have_right_rules(name):
    f = getattr(stats.norm, name)
    with config.context(enable_x64=True):
        wanted = getattr(scipy.stats.norm, name)(X, 0.3, 2.0)
        np.testing.assert_allclose(f(as_value(X), 0.3, 2.0), wanted, 1e-12)
    check_rules_of(f, X, np.array(0.3), np.array(2.0), order=1)


@pytest.mark.parametrize("name", ["ppf", "isf"])
def test_quantiles_agree(name):
    with config.context(enable_x64=True):
        found = getattr(stats.norm, name)(as_value(P), 0.3, 2.0)
        wanted = getattr(scipy.stats.norm, name)(P, 0.3, 2.0)
        np.testing.assert_allclose(found, wanted, 1e-12)


def test_entropy_agrees():
    np.testing.assert_allclose(
        stats.norm.entropy(0, 2.0), scipy.stats.norm.entropy(0, 2.0), 1e-6
    )
