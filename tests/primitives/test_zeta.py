"""The Hurwitz zeta function's derivatives against mpmath and differences."""

import mpmath
import numpy as np
import pytest

from pullback.primitives.zeta import zeta, zeta_slope
from tests.rule_checks import check_rules_of


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("q", [1e-3, 0.5, 1.0, 7.3, 1e3, 1e6])
@pytest.mark.parametrize("s", [1.0001, 1.5, 3.0, 20.0])
def test_derivatives_in_the_first_argument_agree_with_mpmath(s, q, order):
    with mpmath.workdps(150):
        wanted = float(mpmath.zeta(s, q, order))
    found = zeta_slope(np.float64(order), np.float64(s), np.float64(q))
    np.testing.assert_allclose(found, wanted, 1e-12)


def test_zeta_has_right_rules_in_both_arguments():
    check_rules_of(zeta, np.array([1.6, 2.5, 5.0]), np.array([0.3, 2.0, 11.0]))


def test_derivatives_outside_of_the_domain_are_nan():
    s, q = np.array([0.5, 2.0, np.nan]), np.array([1.0, -1.0, 1.0])
    assert np.isnan(zeta_slope(1.0, s, q)).all()
