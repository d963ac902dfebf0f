"""The classic cases: each names the operation, the line, the operands and a mend."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import custom_jvp, custom_vjp, grad, jit, vmap
from pullback.debug import find_nan
from pullback.lax import cond, scan, while_loop


def zeros(n):
    return np.zeros(n, np.float32)


CLASSICS = {
    "where with sqrt": (
        lambda x: jnp.where(x > 0, jnp.sqrt(x), 0.0), (0.0,), "div", "backward", "sqrt",
        ["zero cotangent meets an infinite partial", "double where", "strong_zeros"],
    ),
    "where with log": (
        lambda x: jnp.where(x > 0, jnp.log(x), 0.0), (0.0,), "div", "backward", "log",
        ["zero cotangent meets an infinite partial", "custom_jvp rule with the limit"],
    ),
    "norm of zero": (
        lambda x: jnp.sqrt(jnp.sum(x * x)), (zeros(3),), "div", "backward", "sqrt",
        ["infinite derivative meets a zero one", "rule with the limit",
         "becomes a nan", "inf"],
    ),
    "zero times log of zero": (
        lambda x: x * jnp.log(x), (0.0,), "log", "forward", "",
        ["Zero times infinity", "xlogy", "-inf from (0)"],
    ),
    "log of one plus exp": (
        lambda x: jnp.log(1.0 + jnp.exp(x)), (100.0,), "exp", "forward", "",
        ["inf from (100)", "logaddexp"],
    ),
    "arccos at one": (
        lambda x: jnp.arccos(x), (1.0,), "rsqrt", "backward", "acos",
        ["derivative of acos is infinite there"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CLASSICS)
@pytest.mark.parametrize("around", [lambda f: f, jit], ids=["eager", "jit"])
def test_the_classic_cases_are_named_and_explained(case, around):
    f, args, operation, phase, derivative_of, words = CLASSICS[case]
    report = find_nan(around(f))(*args)
    assert report
    assert report.operation == operation
    assert report.phase == phase
    assert report.derivative_of == derivative_of
    assert report.where.startswith("test_find_nan.py:")
    for word in words:
        assert word in report
    assert report.mend in report


def test_a_division_in_a_long_scan_is_found_with_its_step():
    def body(carry, a):
        return carry + 1.0 / (a - 700.0), carry

    report = find_nan(lambda x: scan(body, x, jnp.arange(1000.0))[0])(1.0)
    assert report.operation == "div"
    assert "in step 700 of a scan of 1000" in report
    assert report.operands == ("1", "0")
    assert "(body)" in report.where


def test_branches_and_loops_are_looked_into():
    branch = find_nan(lambda x: cond(x > 0, jnp.log, jnp.sqrt, x))(-1.0)
    assert branch.operation == "sqrt"
    loop = find_nan(
        lambda x: while_loop(
            lambda c: c[0] < 9, lambda c: (c[0] + 1, c[1] / (c[0] - 4)), (0, x)
        )[1]
    )(1.0)
    assert "in step 4 of a while loop" in loop


def test_batches_name_the_element():
    report = find_nan(vmap(lambda x: jnp.where(x > 0, jnp.log(x), 0.0)))(
        np.arange(-1.0, 2.0)
    )
    assert "a nan at [1]" in report or "a nan at [0]" in report
    assert report.derivative_of == "log" or report.operation == "log"


def test_a_custom_rule_is_named_with_both_places():
    @custom_vjp
    def double(x):
        return 2 * x

    def double_bwd(x, g):
        return (g / (x - 1.0),)

    double.defvjp(lambda x: (2 * x, x), double_bwd)
    report = find_nan(lambda x: double(x) * 3.0)(1.0)
    assert "custom_vjp bwd rule `double_bwd` of double" in report.rule
    assert "rule at test_find_nan.py:" in report.rule
    assert "forward call at test_find_nan.py:" in report.rule
    assert "(double_bwd)" in report.where


def test_a_custom_jvp_rule_is_named():
    double = custom_jvp(lambda x: 2 * x)
    double.defjvps(lambda t, ans, x: t * jnp.sqrt(x - 2.0))
    report = find_nan(double)(1.0)
    assert "custom_jvp rule" in report.rule
    assert report.operation == "sqrt"


def test_derivatives_inside_the_function_are_looked_into():
    f = grad(lambda y: jnp.where(y > 0, jnp.log(y), 0.0))
    report = find_nan(lambda x: 2.0 * f(x))(0.0)
    assert report.derivative_of == "log"


def test_the_report_is_empty_and_false_where_all_is_finite():
    report = find_nan(jnp.sin)(1.0)
    assert not report
    assert report == ""
    assert "finite" in repr(report)
    assert report.operation == ""


def test_infinite_constants_are_not_blamed():
    def masked(x):
        return jnp.exp(jnp.where(x > 0, x, -jnp.inf)).sum()

    assert not find_nan(masked)(np.array([1.0, -1.0], np.float32))


def test_an_argument_that_is_not_finite_is_named():
    report = find_nan(lambda p: p["a"] * 2)({"a": np.inf})
    assert "argument p['a'] is not finite" in report


def test_integers_and_containers_are_taken():
    assert not find_nan(lambda p, n: {"y": p[0] * n, "n": n})((1.0, 2), 3)
