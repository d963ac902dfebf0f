"""Special functions: values against SciPy and mpmath, and every rule."""

import numpy as np
import pytest
import scipy.special

from pullback import dtypes, jit
from pullback.config import config
from pullback.core.calling import as_value
from pullback.errors import MissingDerivative
from pullback.primitives import special
from pullback.primitives.table import convert
from pullback.transforms.derivatives import grad
from pullback.transforms.vjp import jvp
from tests.rule_checks import check_rules_of

LINE = np.array([-2.3, -0.7, 0.4, 1.9])
POSITIVE = np.array([0.3, 1.2, 3.4, 8.5])
UNIT = np.array([0.04, 0.3, 0.6, 0.97])

ONE_ARGUMENT = {
    "erf": ("erf", LINE),
    "erfc": ("erfc", LINE),
    "erf_inv": ("erfinv", UNIT),
    "lgamma": ("gammaln", POSITIVE),
    "digamma": ("psi", POSITIVE),
    "bessel_i0e": ("i0e", np.array([-9.0, -0.7, 0.4, 9.5])),
    "bessel_i1e": ("i1e", np.array([-9.0, -0.7, 0.4, 9.5])),
    "ndtr": ("ndtr", LINE),
    "ndtri": ("ndtri", UNIT),
    "log_ndtr": ("log_ndtr", np.array([-12.0, -3.0, 0.5, 2.0])),
}


@pytest.mark.parametrize("name", ONE_ARGUMENT)
def test_functions_of_one_argument_agree_with_scipy_and_have_right_rules(name):
    reference, x = ONE_ARGUMENT[name]
    check_rules_of(
        getattr(special, name), x, reference=getattr(scipy.special, reference)
    )


def test_polygamma_has_right_rules_in_its_last_argument():
    check_rules_of(lambda x: special.polygamma(2.0, x), POSITIVE)


def test_derivatives_without_a_formula_are_errors_that_say_so():
    x = as_value(2.0)
    with pytest.raises(MissingDerivative, match="no closed form"):
        jvp(lambda s: special.polygamma(s, x), (x,), (x,))


@pytest.mark.parametrize("name", ["xlogy", "xlog1py"])
def test_products_with_logarithms_are_smooth_where_the_factor_vanishes(name):
    x, y = np.array([0.0, 0.5, 2.0]), np.array([0.3, 2.0, 5.0])
    check_rules_of(getattr(special, name), x, y, reference=getattr(scipy.special, name))


def test_xlogy_of_zeros_is_zero_and_nan_spreads():
    x, y = as_value(np.float32([0, 0, 1])), as_value(np.float32([0, np.nan, 0]))
    for f in (special.xlogy, jit(special.xlogy)):
        np.testing.assert_array_equal(f(x, y), [0, np.nan, -np.inf])


def test_relu_has_derivative_zero_at_zero():
    x = as_value(0.0)
    assert float(grad(special.relu)(x)) == 0.0
    check_rules_of(special.relu, np.array([-1.0, 2.0]))


def test_scaled_bessel_derivative_at_zero_is_a_half():
    assert float(grad(special.bessel_i1e)(as_value(0.0))) == 0.5


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("name", ONE_ARGUMENT)
def test_narrow_types_are_computed_in_float32_and_agree_compiled(name, dtype):
    x = convert(as_value(ONE_ARGUMENT[name][1]), dtypes.canonical(dtype))
    f = getattr(special, name)
    eager, compiled = f(x), jit(f)(x)
    assert eager.dtype == compiled.dtype == x.dtype
    tol = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 5e-6}[dtype]
    np.testing.assert_allclose(
        np.asarray(eager, np.float32), np.asarray(compiled, np.float32), tol, tol
    )


def test_quantiles_and_tails_reach_the_ends_of_the_range():
    p = np.array([0.0, 1e-300, 1e-20, 0.5, 1 - 1e-9, 1.0])
    x = np.array([-1e3, -40.0, -10.1, -9.9, 1.0, 40.0])
    with config.context(enable_x64=True):
        for f in (special.ndtri, jit(special.ndtri)):
            np.testing.assert_allclose(f(as_value(p)), scipy.special.ndtri(p), 1e-14)
        for f in (special.log_ndtr, jit(special.log_ndtr)):
            np.testing.assert_allclose(f(as_value(x)), scipy.special.log_ndtr(x), 1e-14)
