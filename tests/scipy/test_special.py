"""`scipy.special` against SciPy: values, containers of axes, kinks."""

import math

import numpy as np
import pytest
import scipy.special

from pullback import grad, jit
from pullback import numpy as jnp
from pullback.config import config
from pullback.core.calling import as_value
from pullback.errors import ArgumentError, DtypeError, MissingDerivative
from pullback.scipy import special
from pullback.transforms.vjp import vjp
from tests.rule_checks import check_rules_of

RNG = np.random.default_rng(8)
LINE = np.array([-2.5, -0.3, 0.2, 1.0, 3.7])
P, Q = np.array([0.01, 0.3, 0.5, 0.99]), np.array([0.2, 0.1, 0.4, 0.3])

ON_THE_LINE = (
    "erf erfc gammaln digamma i0e i1e i0 i1 ndtr log_ndtr expit gamma gammasgn"
)
LINE_ALSO = "dawsn erfcx loggamma sici fresnel"
POSITIVE_ONLY = "exp1 expi spence loggamma"
ON_THE_UNIT = "erfinv ndtri logit entr log1p expm1 psi"
OF_TWO = (
    "xlogy xlog1py rel_entr kl_div betaln beta gammainc gammaincc owens_t poch boxcox "
    "boxcox1p"
)


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


WIDE = np.concatenate([[0.0, np.inf, np.nan], np.logspace(-8, 3, 23)])
SIGNED = np.concatenate([WIDE, -WIDE])


@pytest.mark.parametrize("name", [*LINE_ALSO.split(), *POSITIVE_ONLY.split()])
def test_integrals_agree_over_a_wide_range_compiled_and_in_both_precisions(name):
    function, theirs = getattr(special, name), getattr(scipy.special, name)
    for dtype, tol in ((np.float64, 1e-13), (np.float32, 1e-6)):
        x = SIGNED.astype(dtype)
        for f in (function, jit(function)):
            found = np.asarray(f(as_value(x)))
            assert found.dtype == dtype
            with np.errstate(over="ignore"):
                wanted = np.asarray(theirs(x.astype(float))).astype(dtype)
            np.testing.assert_allclose(found, wanted, tol)


@pytest.mark.parametrize("name", [*LINE_ALSO.split(), *POSITIVE_ONLY.split()])
def test_integrals_have_right_rules(name):
    x = np.array([0.4, 1.0, 2.3, 7.9, 8.1, 11.0])
    if name in LINE_ALSO and name != "loggamma":
        x = np.concatenate([x, [-0.7, -4.0]])
    if name == "sici":
        x = np.abs(x)
    function = getattr(special, name)
    check_rules_of(function, x[:5] if name == "expi" else x, batched=False, tol=1e-5)


def test_slopes_far_out_do_not_cancel():
    # -1 / (2 x^2), 2 / sqrt(pi) times it, and 1 / sqrt(pi) times i / z^2.
    for x in (1e3, 1e6):
        for f, wanted in (
            (special.dawsn, -0.5 / x**2),
            (special.erfcx, -1 / np.sqrt(np.pi) / x**2),
            (lambda x: special.wofz(x).imag, -1 / np.sqrt(np.pi) / x**2),
        ):
            np.testing.assert_allclose(grad(f)(jnp.float32(x)), wanted, 1e-5)
    assert np.isneginf(grad(special.erfcx)(-1e3))


def test_kinks_of_formulas_are_smooth():
    check_rules_of(special.spence, np.array([1.0, 1.0 + 1e-9, 0.69, 0.71, 1.31]))
    check_rules_of(lambda x: special.sici(x)[0], np.array([0.0, 1e-9, 0.49, 0.51]))
    x = np.array([0.3, 1.0, 2.0])
    for lmbda in (-0.4, 0.0, 1e-9, 1.5):
        check_rules_of(special.boxcox, x, np.array(lmbda), batched=False)
        check_rules_of(special.boxcox1p, x, np.array(lmbda), batched=False)
    agree("boxcox", np.array([0.0, 0.0, 0.0, -1.0]), np.array([2.0, 0.0, -1.0, 2.0]))


def test_functions_of_several_arguments_have_right_rules():
    h, a = np.array([-0.7, 0.3, 2.0]), np.array([0.4, -1.3, 3.0])
    check_rules_of(special.owens_t, h, a, batched=False)
    check_rules_of(special.poch, np.array([0.4, 2.0]), np.array([1.3, 0.3]))
    check_rules_of(
        special.betaln, np.array([0.4, 12.0, 3.0]), np.array([30.0, 14.0, 1])
    )
    x = np.array([0.2, 0.5, 0.8])
    check_rules_of(lambda x: special.hyp1f1(1.5, 2.2, x), x)
    check_rules_of(lambda x: special.hyp2f1(1.5, 0.3, 2.2, x), x, batched=False)
    h, a = np.array([-0.7, 0.3, 2.0]), np.array([0.4, -1.3, 3.0])
    agree("hyp1f1", a, h + 1, h)
    agree("hyp2f1", a, h, h + 2, x)
    for n in (0, 1, 5):
        check_rules_of(lambda x, n=n: special.expn(n, x), x)
        agree("expn", np.full(3, n), x)
    assert np.isnan(special.expn(1.5, 2.0))


def test_binomial_coefficients_agree_and_are_whole():
    n = np.array([5.0, 5.0, 40.0, 0.0, 3.0, -1.0, 5.5, 1e4])
    k = np.array([2.0, 7.0, 20.0, 0.0, -1.0, 1.0, 2.5, 3.0])
    agree("comb", n, k)
    assert float(special.comb(5, 2)) == 10.0
    agree("comb", n[:5], k[:5], repetition=True)
    check_rules_of(
        special.comb, np.array([5.3, 20.0]), np.array([2.2, 4.0]), batched=False
    )


def test_logarithms_of_beta_functions_keep_their_accuracy_for_great_arguments():
    agree("betaln", np.array([1e6, 0.3, 300.0, -0.5]), np.array([1e6, 1e8, 0.1, 2.3]))
    found = special.betaln(jnp.float32(1e6), jnp.float32(0.3))
    np.testing.assert_allclose(found, scipy.special.betaln(1e6, np.float32(0.3)), 1e-6)


def test_bessel_functions_agree_and_have_right_rules():
    z = np.array([-3.0, 0.0, 0.7, 25.0])
    found = special.bessel_jn(as_value(z), v=3)
    np.testing.assert_allclose(found, [scipy.special.jn(k, z) for k in range(4)])
    check_rules_of(lambda z: special.bessel_jn(z, v=2), z)


def test_spherical_harmonics_agree_and_have_right_rules_at_the_poles():
    theta, phi = np.array([0.0, 0.3, 2.0, np.pi]), np.array([0.1, -1.0, 2.0, 0.3])
    for n in range(4):
        for m in range(-n, n + 1):
            found = special.sph_harm_y(n, m, as_value(theta), as_value(phi))
            wanted = _harmonic(n, m, theta, phi)
            np.testing.assert_allclose(found, wanted, 1e-12, 1e-14)
    assert complex(special.sph_harm_y(1, 2, 0.3, 0.4)) == 0

    def parts(theta, phi):
        y = special.sph_harm_y(np.arange(4), np.array([0, 1, -2, 3]), theta, phi)
        return [y.real, y.imag]

    check_rules_of(parts, theta, phi, batched=False)


def _harmonic(n, m, theta, phi):
    """Give the harmonics by SciPy's Legendre functions, which all its versions have."""
    size = abs(m)
    legendre = np.array([scipy.special.lpmv(size, n, np.cos(t)) for t in theta])
    factor = (2 * n + 1) / (4 * np.pi) * math.factorial(n - size)
    legendre *= np.sqrt(factor / math.factorial(n + size))
    return legendre * np.exp(1j * m * phi) * ((-1) ** size if m < 0 else 1)


def test_complex_functions_agree_and_have_right_rules():
    z = np.array([0.3 + 0.2j, -1.5 + 2j, 2.0 - 0.7j, 9.0 + 3j, -9.0 - 0.3j, 9 - 0.3j])
    for name in ("wofz", "loggamma"):
        agree(name, z)
    check_rules_of(special.wofz, z, tol=1e-5, batched=False)
    check_rules_of(special.loggamma, z, order=1, batched=False)
    agree("wofz", np.array([0.0, np.inf, 1.0]))
    with pytest.raises(MissingDerivative, match="complex_digamma has no derivative"):
        grad(grad(special.loggamma, holomorphic=True), holomorphic=True)(1 + 1j)


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
    with pytest.raises(ArgumentError, match="sph_harm_y was given diff_n=1"):
        special.sph_harm_y(1, 0, 0.3, 0.4, 1)
