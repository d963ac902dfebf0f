"""Incomplete gamma and beta functions: derivatives in every argument, edge values."""

import mpmath
import numpy as np
import pytest

from pullback import grad
from pullback.config import config
from pullback.core.array import from_host
from pullback.core.calling import as_value
from pullback.errors import MissingDerivative
from pullback.primitives import incomplete
from tests.rule_checks import check_rules_of


@pytest.mark.parametrize("name", ["igamma", "igammac"])
def test_incomplete_gamma_functions_have_right_rules_in_both_arguments(name):
    a, x = np.array([0.5, 2.0, 30.0, 7.0]), np.array([0.1, 3.0, 25.0, 9.0])
    check_rules_of(getattr(incomplete, name), a, x)


@pytest.mark.parametrize("name", ["betainc", "betaincc"])
def test_incomplete_beta_functions_have_right_rules_in_all_arguments(name):
    a, b = np.array([0.5, 2.0, 9.0, 1.0]), np.array([2.0, 2.0, 0.7, 5.0])
    x = np.array([0.1, 0.3, 0.45, 0.25])
    check_rules_of(getattr(incomplete, name), a, b, x)


def test_derivatives_of_the_incomplete_gamma_function_agree_with_mpmath():
    a = [0.5, 2.0, 30.0, 0.1, 1000.0, 3.0, 0.01, 1e4]
    x = [0.1, 3.0, 25.0, 20.0, 1010.0, 40.0, 0.3, 9e3]
    with mpmath.workdps(60):
        wanted = [
            float(_differences(lambda s, x=x: mpmath.gammainc(s, 0, x, True), a))
            for a, x in zip(a, x)
        ]
    with config.context(enable_x64=True):
        arrays = [as_value(np.array(v)) for v in (a, x)]
        found = incomplete.igamma_grad_a(*arrays)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def _differences(f, a, step="1e-15"):
    h = mpmath.mpf(step)
    return (f(a + h) - f(a - h)) / (2 * h)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(("a", "x"), [(200.0, 0.2), (1e5, 0.9999), (0.01, 0.3)])
def test_derivatives_of_powers_are_those_of_incomplete_beta_functions(a, x, order):
    # I_x(a, 1) is x^a, and I_(1 - x)(1, a) is 1 - x^a.
    wanted = x**a * np.log(x) ** order
    one = np.float64(1)
    of_a = incomplete.beta_slope(order, 0)(np.float64(a), one, np.float64(x))
    of_b = incomplete.beta_slope(0, order)(one, np.float64(a), np.float64(1 - x))
    np.testing.assert_allclose(of_a, wanted, 2e-10)
    np.testing.assert_allclose(of_b, -wanted, 1e-9)


def test_derivatives_in_parameters_are_zero_at_the_ends_and_nan_outside():
    x = np.array([0.0, np.inf, np.nan, -1.0])
    np.testing.assert_array_equal(
        incomplete.gamma_slope(1)(np.full(4, 2.0), x), [0, 0, np.nan, np.nan]
    )
    x = np.array([0.0, 1.0, np.nan, 2.0])
    np.testing.assert_array_equal(
        incomplete.beta_slope(0, 1)(2.0, np.full(4, 3.0), x), [0, 0, np.nan, np.nan]
    )


def test_incomplete_beta_functions_of_float32_do_not_overflow():
    a, b, x = (from_host(np.float32(v)) for v in (1e5, 11.0, 0.1))
    assert float(incomplete.betainc(a, b, x)) == 0
    assert float(incomplete.betaincc(a, b, x)) == 1


def test_third_derivatives_in_parameters_are_errors_that_say_so():
    with pytest.raises(MissingDerivative, match="igamma_grad_aa has no derivative"):
        grad(grad(grad(lambda a: incomplete.igamma(a, 2.0))))(1.5)
    for place in (0, 1):
        third = grad(grad(grad(incomplete.betainc, place), place), place)
        with pytest.raises(MissingDerivative, match=r"betainc_grad_(aa|bb) has no"):
            third(1.5, 2.0, 0.5)
