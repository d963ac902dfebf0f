"""`scipy.special` against SciPy: values, containers of axes, kinks."""

import numpy as np
import pytest
import scipy.special

from pullback import jit
from pullback import numpy as jnp
from pullback.config import config
from pullback.core.calling import as_value
from pullback.errors import ArgumentError, DtypeError
from pullback.scipy import special
from pullback.transforms.vjp import vjp
from tests.rule_checks import check_rules_of

RNG = np.random.default_rng(8)
LINE = np.array([-2.5, -0.3, 0.2, 1.0, 3.7])
P, Q = np.array([0.01, 0.3, 0.5, 0.99]), np.array([0.2, 0.1, 0.4, 0.3])

ON_THE_LINE = (
    "erf erfc gammaln digamma i0e i1e i0 i1 ndtr log_ndtr expit gamma gammasgn"
)
ON_THE_UNIT = "erfinv ndtri logit entr log1p expm1 psi"
OF_TWO = "xlogy xlog1py rel_entr kl_div betaln beta gammainc gammaincc"


@pytest.fixture(autouse=True)
def wide():
    with config.context(enable_x64=True):
        yield


def agree(name, *args, **kwargs):
    found = getattr(special, name)(*map(as_value, args), **kwargs)
    wanted = getattr(scipy.special, name)(*args, **kwargs)
    np.testing.assert_allclose(found, wanted, 1e-12, 1e-14)


@pytest.mark.parametrize("name", ON_THE_LINE.split())
def test_functions_on_the_line_agree(name):
    agree(name, LINE)


@pytest.mark.parametrize("name", ON_THE_UNIT.split())
def test_functions_on_the_unit_interval_agree(name):
    agree(name, P)


@pytest.mark.parametrize("name", OF_TWO.split())
def test_functions_of_two_arguments_agree(name):
    agree(name, P, Q)


def test_functions_of_other_arguments_agree():
    agree("factorial", np.arange(-1.0, 5.0))
    agree("zeta", Q + 2, P + 1)
    agree("zeta", Q + 2)
    agree("betainc", P, Q, P)
    agree("rel_entr", np.array([0.0, 0.0, 1.0, -1.0]), np.array([0.0, 1.0, 0.0, 1.0]))
    agree("entr", np.array([0.0, -1.0, 2.0]))
    np.testing.assert_allclose(
        special.polygamma(2, as_value(Q)), scipy.special.polygamma(2, Q)
    )
    np.testing.assert_allclose(special.bernoulli(10), scipy.special.bernoulli(10))
    np.testing.assert_allclose(
        special.multigammaln(as_value(P + 3), 2),
        [scipy.special.multigammaln(a, 2) for a in P + 3],
    )


AXES = [{}, {"axis": 0}, {"axis": (0, 1)}, {"axis": 1, "keepdims": True}]


@pytest.mark.parametrize("options", AXES)
def test_logsumexp_agrees_with_factors_and_signs(options):
    a, b = RNG.standard_normal((2, 3, 4))
    agree("logsumexp", a, **options)
    found = special.logsumexp(as_value(a), b=as_value(b), return_sign=True, **options)
    wanted = scipy.special.logsumexp(a, b=b, return_sign=True, **options)
    for x, y in zip(found, wanted, strict=True):
        np.testing.assert_allclose(x, y, 1e-12)


def test_logsumexp_of_infinities_is_safe_in_value_and_derivative():
    x = as_value(np.array([[-np.inf, -np.inf], [0, -np.inf], [1e4, 1e4]]))
    for f in (special.logsumexp, jit(special.logsumexp, static_argnums=1)):
        out, pull = vjp(lambda x, f=f: f(x, 1), x)
        np.testing.assert_allclose(out, [-np.inf, 0, 1e4 + np.log(2)])
        bar = pull(as_value(np.ones(3)))[0]
        np.testing.assert_allclose(bar, [[0, 0], [1, 0], [0.5, 0.5]])


def test_logsumexp_over_chosen_elements_and_of_negative_sums():
    x = jnp.array([1.0, 2.0, 3.0])
    chosen = special.logsumexp(x, where=jnp.array([True, False, True]))
    np.testing.assert_allclose(chosen, np.logaddexp(1.0, 3.0))
    assert np.isnan(float(special.logsumexp(x, b=-jnp.ones(3))))


def test_sums_of_exponentials_have_right_rules():
    a, b = RNG.standard_normal((2, 3, 4))
    check_rules_of(lambda a: special.logsumexp(a, axis=1), a)
    check_rules_of(lambda a, b: special.logsumexp(a, 1, b, return_sign=True)[0], a, b)
    check_rules_of(lambda a: special.softmax(a, 1), a)
    check_rules_of(lambda a: special.log_softmax(a, 1), a)
    for axis in (None, 0, (0, 1)):
        agree("softmax", a, axis=axis)
        agree("log_softmax", a, axis=axis)


def test_complex_sums_agree():
    a = RNG.standard_normal((2, 3)) + 1j * RNG.standard_normal((2, 3))
    agree("logsumexp", a)


def test_errors_say_what_was_given():
    with pytest.raises(DtypeError, match=r"erf takes real numbers.*c128\[\]"):
        special.erf(1j)
    with pytest.raises(ArgumentError, match=r"math.factorial"):
        special.factorial(3, exact=True)
