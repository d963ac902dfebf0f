import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import config, custom_jvp, custom_vjp, grad, jit, vmap
from pullback.core.trace import EVAL, EvalTrace
from pullback.debugging import switch
from pullback.errors import InfError, NanError
from pullback.lax import scan
from pullback.transforms.linearize import make_steps

assert switch


@pytest.fixture
def checked():
    with config.context(debug_nans=True):
        yield


def guarded_log(x):
    return jnp.where(x > 0, jnp.log(x), 0.0)


@pytest.mark.parametrize(
    "transformed",
    [
        grad(guarded_log),
        jit(grad(guarded_log)),
        grad(jit(guarded_log)),
        jit(grad(jit(guarded_log))),
    ],
    ids=["grad", "jit of grad", "grad of jit", "jit of grad of jit"],
)
def test_a_nan_in_the_backward_pass_names_the_forward_line(checked, transformed):
    with pytest.raises(FloatingPointError) as caught:
        transformed(0.0)
    text = str(caught.value)
    assert "operation div gave a nan from (0, 0)" in text
    assert "as part of the derivative of log" in text
    assert "in the backward pass" in text
    assert "test_switch.py:" in text
    assert "(guarded_log)" in text


@pytest.mark.parametrize("around", [lambda f: f, jit], ids=["eager", "jit"])
def test_a_nan_in_the_forward_pass_is_raised_where_it_appears(checked, around):
    def f(x):
        return jnp.sin(jnp.log(x))

    with pytest.raises(
        NanError, match=r"operation log gave a nan from \(-1\)"
    ) as caught:
        around(f)(-1.0)
    assert "(f)" in str(caught.value)


@pytest.mark.parametrize("around", [lambda f: f, jit], ids=["eager", "jit"])
def test_a_nan_in_a_scan_names_the_step(checked, around):
    def f(x):
        return scan(lambda c, a: (jnp.sqrt(c - a), c), x, jnp.arange(10.0))[0]

    with pytest.raises(NanError, match="in step 2 of a scan of 10"):
        around(f)(1.0)


@pytest.mark.parametrize("around", [lambda f: f, jit], ids=["eager", "jit"])
def test_the_custom_rule_that_made_it_is_named(checked, around):
    double = custom_vjp(lambda x: 2 * x)

    def double_bwd(x, g):
        return (g * jnp.sqrt(x - 2.0),)

    double.defvjp(lambda x: (2 * x, x), double_bwd)
    with pytest.raises(NanError, match="custom_vjp bwd rule `double_bwd` of <lambda>"):
        around(grad(double))(1.0)


def test_under_vmap_too(checked):
    with pytest.raises(NanError, match="derivative of log"):
        vmap(grad(guarded_log))(jnp.arange(3.0))


def test_finite_programs_run_as_usual(checked):
    assert float(jit(grad(guarded_log))(2.0)) == 0.5
    assert float(grad(guarded_log)(2.0)) == 0.5


def test_nothing_is_looked_at_while_it_is_off():
    assert type(EVAL) is EvalTrace
    assert make_steps[0] is list
    assert np.isnan(grad(guarded_log)(0.0))
    f = jit(grad(guarded_log))
    assert np.isnan(f(0.0))
    with config.context(debug_nans=True), pytest.raises(NanError):
        f(0.0)
    assert np.isnan(f(0.0))
    assert type(EVAL) is EvalTrace


@pytest.mark.parametrize("wrap", [lambda f: f, jit], ids=["eager", "jit"])
def test_nan_of_a_forward_rule_is_of_the_forward_pass(wrap):
    f = custom_vjp(lambda x: x)
    f.defvjp(lambda x: (f(x), jnp.log(-x)), lambda res, g: (g * res,))
    with config.context(debug_nans=True):
        with pytest.raises(NanError) as caught:
            grad(wrap(f))(2.0)
    assert "from (-2), in the forward pass, in custom_vjp fwd rule" in str(caught.value)
    assert "derivative of" not in str(caught.value)


def test_product_in_a_backward_rule_is_not_said_to_be_of_a_cotangent():
    f = custom_vjp(lambda x: x)
    f.defvjp(lambda x: (x, x), lambda x, g: (g / x * 0.0,))
    with config.context(debug_nans=True):
        with pytest.raises(NanError, match="Zero times infinity") as caught:
            grad(f)(0.0)
    assert "zero cotangent" not in str(caught.value)


# -- infinities ------------------------------------------------------------------------


@pytest.fixture
def against_infinities():
    with config.context(debug_infs=True):
        yield


@pytest.mark.parametrize("around", [lambda f: f, jit], ids=["eager", "jit"])
def test_an_infinity_names_the_operation_that_made_it(against_infinities, around):
    with pytest.raises(
        InfError, match=r"operation div gave inf at \[1\] from \(1, 0\)"
    ):
        around(lambda x: 1.0 / x)(jnp.array([2.0, 0.0]))
    with pytest.raises(FloatingPointError) as caught:
        around(lambda x: jnp.sin(1.0) + jnp.exp(x))(100.0)
    assert "operation exp gave inf from (100), in the forward pass." in str(
        caught.value
    )
    assert "Applied at test_switch.py:" in str(caught.value)
    assert "exp overflows. For log(1 + exp(x))" in str(caught.value)


@pytest.mark.parametrize(
    "transformed",
    [grad(jnp.sqrt), jit(grad(jnp.sqrt)), grad(jit(jnp.sqrt))],
    ids=["grad", "jit of grad", "grad of jit"],
)
def test_an_infinite_derivative_names_its_operation(against_infinities, transformed):
    with pytest.raises(InfError, match="as part of the derivative of sqrt") as caught:
        transformed(0.0)
    assert "operation div gave inf from (1, 0)" in str(caught.value)
    assert "The derivative of sqrt is infinite there." in str(caught.value)


@pytest.mark.parametrize("around", [lambda f: f, jit], ids=["eager", "jit"])
def test_given_infinities_may_be_used(against_infinities, around):
    marked = custom_jvp(lambda x: jnp.where(x > 0, x, jnp.inf))
    marked.defjvps(lambda x_dot, ans, x: x_dot)
    x = jnp.array([jnp.inf, 1.0])
    assert around(jnp.exp)(x)[0] == np.inf
    assert around(lambda x: jnp.where(x > 2, x, -jnp.inf).max())(x) == np.inf
    assert around(lambda x: jnp.full(2, -jnp.inf) * x)(x)[1] == -np.inf
    assert around(lambda x: jnp.sum(x) + jnp.max(x))(x) == np.inf
    assert around(grad(lambda x: marked(x) * jnp.inf))(-1.0) == np.inf
    rows = scan(lambda c, a: (c, a + c), jnp.inf, jnp.arange(3.0))[1]
    assert np.isinf(rows).all()


@pytest.mark.parametrize("around", [lambda f: f, jit], ids=["eager", "jit"])
def test_one_made_beside_a_given_one_is_found(against_infinities, around):
    with pytest.raises(InfError, match=r"exp gave inf at \[1\] from \(1000\)"):
        around(jnp.exp)(jnp.array([jnp.inf, 1000.0]))


@pytest.mark.parametrize("around", [lambda f: f, jit], ids=["eager", "jit"])
def test_an_infinity_in_a_scan_names_the_step(against_infinities, around):
    def f(x):
        return scan(lambda c, _: (c * c, c), x, None, 10)[0]

    with pytest.raises(InfError, match="in step 5 of a scan of 10"):
        around(f)(10.0)


def test_nans_and_infinities_are_looked_for_apart():
    with config.context(debug_infs=True):
        assert np.isnan(jnp.log(-1.0))
        assert np.isnan(jit(jnp.log)(-1.0))
        with config.context(debug_nans=True), pytest.raises(NanError):
            jit(jnp.log)(-1.0)
    with config.context(debug_nans=True):
        assert jit(jnp.log)(0.0) == jnp.log(0.0) == -np.inf
    assert type(EVAL) is EvalTrace


def test_an_infinity_that_only_the_compiled_program_has_is_refused(
    against_infinities, monkeypatch
):
    finite = [lambda jaxpr, values: [jnp.ones(())]]
    monkeypatch.setattr("pullback.calls.executable.nan_finder", finite)
    with pytest.raises(InfError) as caught:
        jit(jnp.exp)(100.0)
    assert str(caught.value) == (
        "the compiled exp gave an infinity, which does not appear when it runs "
        "operation by operation. Look for overflow near the limits of the dtype, and "
        "for divisors that are nearly zero."
    )


@pytest.mark.parametrize("around", [lambda f: f, jit], ids=["eager", "jit"])
def test_the_sign_of_zero_makes_no_infinity(against_infinities, checked, around):
    x = jnp.array([0.0, -0.0, 2.0, -2.0, jnp.inf, -jnp.inf])
    assert around(jnp.signbit)(x).tolist() == [False, True] * 3
    assert around(jnp.copysign)(1.0, x).tolist() == [1.0, -1.0] * 3
