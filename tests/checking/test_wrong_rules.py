"""Wrong rules of the kinds people write: each is caught, and its kind is named."""

from typing import Any

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import custom_jvp, custom_vjp
from pullback.test_util import check_grads, check_rules, rule_report

X = np.array([0.3, -0.7, 1.2], np.float32)
M = np.array([[0.5, 1.0], [-0.3, 0.8]], np.float32)

# name -> (function, its arguments, words of the diagnosis)
WRONG: dict[str, Any] = {}


def wrong(*args, words):
    """Register a maker of a function with a wrong rule."""

    def register(make):
        WRONG[make.__name__] = make, args, words
        return make

    return register


def with_vjp(f, fwd, bwd, **options):
    made = custom_vjp(f, **options)
    made.defvjp(fwd, bwd)
    return made


def with_jvps(f, *rules, **options):
    made = custom_jvp(f, **options)
    made.defjvps(*rules)
    return made


@wrong(X, words="sign")
def sign_of_the_cosine():
    return with_jvps(lambda x: jnp.cos(x), lambda t, ans, x: t * jnp.sin(x))


@wrong(X, words="factor two")
def square_without_its_two():
    return with_vjp(lambda x: x * x, lambda x: (x * x, x), lambda x, g: (g * x,))


@wrong(2.0, 3.0, words="swapped arguments")
def product_rule_swapped():
    return with_vjp(
        lambda x, y: x * y,
        lambda x, y: (x * y, (x, y)),
        lambda r, g: (g * r[0], g * r[1]),
    )


@wrong(M, X[:2], words="missing sum over a broadcast axis")
def bias_not_summed():
    return with_vjp(lambda a, b: a + b, lambda a, b: (a + b, None), lambda _, g: (g, g))


@wrong(X, 2.0, words="missing sum over a broadcast axis")
def scale_takes_the_first_only():
    return with_vjp(
        lambda x, s: x * s,
        lambda x, s: (x * s, (x, s)),
        lambda r, g: (g * r[1], g[0] * r[0][0]),
    )


@wrong(X, words="missing chain factor")
def inner_derivative_forgotten():
    return with_jvps(lambda x: jnp.sin(x * x), lambda t, ans, x: t * jnp.cos(x * x))


@wrong(X, words="missing chain factor: the cotangent is ignored")
def cotangent_ignored():
    return with_vjp(jnp.sin, lambda x: (jnp.sin(x), x), lambda x, g: (jnp.cos(x),))


@wrong(X, words="missing chain factor: the tangent is ignored")
def tangent_ignored():
    f = custom_jvp(lambda x: jnp.exp(x))
    f.defjvp(lambda primals, tangents: (jnp.exp(primals[0]), jnp.exp(primals[0])))
    return f


@wrong(X, words="wrong residual")
def output_kept_in_place_of_the_argument():
    return with_vjp(
        lambda x: jnp.sin(x),
        lambda x: (jnp.sin(x), jnp.sin(x)),
        lambda r, g: (g * jnp.cos(r),),
    )


@wrong(X, words="wrong residual")
def argument_kept_in_place_of_the_output():
    return with_vjp(
        jnp.tanh, lambda x: (jnp.tanh(x), x), lambda x, g: (g * (1 - x * x),)
    )


@wrong(1.5, words="only right at one point")
def residual_computed_once():
    slope = float(np.cos(1.5))
    return with_vjp(jnp.sin, lambda x: (jnp.sin(x), None), lambda _, g: (g * slope,))


@wrong(np.complex64(1 + 2j), words="conjugate")
def complex_cotangent_conjugated():
    return with_vjp(
        lambda z: z * z, lambda z: (z * z, z), lambda z, g: (g * 2 * jnp.conj(z),)
    )


@wrong(M, X[:2], words="transposed matrix")
def matrix_not_transposed():
    return with_vjp(
        lambda a, x: a @ x,
        lambda a, x: (a @ x, (a, x)),
        lambda r, g: (jnp.outer(g, r[1]), r[0] @ g),
    )


@wrong(M, X[:2], words="transposed matrix")
def outer_product_the_wrong_way_round():
    return with_vjp(
        lambda a, x: a @ x,
        lambda a, x: (a @ x, (a, x)),
        lambda r, g: (jnp.outer(r[1], g), r[0].T @ g),
    )


@wrong(X, words="value in place of the derivative")
def value_returned_as_the_derivative():
    return with_jvps(lambda x: jnp.sin(x), lambda t, ans, x: t * ans)


@wrong(X, words="missing: the rule gives zero")
def derivative_left_out():
    return with_vjp(jnp.sin, lambda x: (jnp.sin(x), None), lambda _, g: (None,))


@wrong(X, words="factor 3")
def mean_forgotten():
    return with_vjp(
        lambda x: x.mean(),
        lambda x: (x.mean(), x),
        lambda x, g: (g * jnp.ones_like(x),),
    )


@wrong(X, words="not linear: the result is limited")
def cotangent_clipped():
    return with_vjp(
        lambda x: 2 * x, lambda x: (2 * x, None), lambda _, g: (jnp.clip(2 * g, -1, 1),)
    )


@wrong(X, words="not linear: the cotangent is used twice")
def cotangent_squared():
    return with_vjp(lambda x: 2 * x, lambda x: (2 * x, None), lambda _, g: (2 * g * g,))


@wrong(X, words="affine")
def constant_added():
    return with_vjp(lambda x: 2 * x, lambda x: (2 * x, None), lambda _, g: (2 * g + 1,))


@wrong(X, words="another value than the function")
def forward_pass_computes_something_else():
    return with_vjp(jnp.sin, lambda x: (jnp.cos(x), x), lambda x, g: (g * jnp.cos(x),))


@wrong(X, words="factor log(10)")
def logarithm_of_base_ten():
    return with_jvps(lambda x: jnp.log10(x + 2), lambda t, ans, x: t / (x + 2))


@wrong(X + 2, words="reciprocal")
def derivative_of_the_inverse():
    return with_jvps(lambda x: jnp.log(jnp.sinh(x)), lambda t, ans, x: t * jnp.tanh(x))


@wrong(X, words="order")
def flip_not_undone():
    return with_vjp(
        lambda x: jnp.sin(x)[::-1],
        lambda x: (jnp.sin(x)[::-1], x),
        lambda x, g: (g * jnp.cos(x),),
    )


@wrong(X, words="not finite")
def division_by_zero_in_the_rule():
    return with_jvps(lambda x: jnp.sin(x), lambda t, ans, x: t * jnp.cos(x) * 0 / 0)


@wrong(M[:1], words="transposed matrix")
def shape_transposed():
    return with_vjp(
        lambda a: 2 * a[:1].T, lambda a: (2 * a[:1].T, None), lambda _, g: (2 * g,)
    )


@wrong(X, words="wrong count")
def too_many_cotangents():
    return with_vjp(
        lambda x, y=1.0: x * y, lambda x, y=1.0: (x * y, y), lambda y, g: (g * y,)
    )


@wrong({"a": X, "b": 2.0}, words="sign")
def one_leaf_of_a_container():
    return with_vjp(
        lambda p: jnp.sum(p["a"]) * p["b"],
        lambda p: (jnp.sum(p["a"]) * p["b"], p),
        lambda p, g: ({"a": g * p["b"] + 0 * p["a"], "b": -g * jnp.sum(p["a"])},),
    )


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_rule_is_caught_and_its_kind_is_named(name):
    make, args, words = WRONG[name]
    with pytest.raises(AssertionError) as caught:
        check_rules(make(), *args)
    assert words in str(caught.value)


def test_a_failing_line_names_function_rule_argument_place_and_numbers():
    @custom_vjp
    def product(p, q):
        return p["u"] * q

    def product_fwd(p, q):
        return p["u"] * q, (p, q)

    def product_bwd(res, g):
        p, q = res
        return {"u": g * q}, -g * p["u"]

    product.defvjp(product_fwd, product_bwd)
    with pytest.raises(AssertionError) as caught:
        check_rules(product, {"u": 2.0}, 3.0)
    text = str(caught.value)
    assert "product: derivative of bwd rule `product_bwd`" in text
    assert "test_wrong_rules.py:" in text
    assert "argument q: found -2, wanted 2: sign" in text


def test_one_wrong_entry_of_a_large_array_is_caught():
    f = custom_vjp(lambda x: jnp.sin(x))
    f.defvjp(
        lambda x: (jnp.sin(x), x), lambda x, g: ((g * jnp.cos(x)).at[1234].set(0),)
    )
    with pytest.raises(AssertionError, match="all entries together"):
        check_rules(f, np.linspace(0, 1, 2000))
    with pytest.raises(AssertionError, match="along a random direction"):
        check_grads(f, (np.linspace(0, 1, 2000),))


def test_two_rules_of_one_function_are_held_against_each_other():
    f = custom_vjp(lambda x: jnp.sin(x))
    f.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (g * jnp.cos(x),))
    f.defjvps(lambda t, ans, x: 3 * t * jnp.cos(x))
    failed = {line.check: line for line in rule_report(f, 1.0).failures}
    assert "factor 3" in failed["derivative"].diagnosis
    assert "same derivative" in failed["jvp against vjp"].diagnosis


def test_a_wrong_batching_rule_is_caught():
    f = custom_vjp(lambda x: jnp.sin(x))
    f.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (g * jnp.cos(x),))
    f.defvmap(lambda size, in_batched, x: (jnp.cos(x), True))
    failed = [
        line for line in rule_report(f, 1.0).failures if line.check == "under vmap"
    ]
    assert "vmap rule" in failed[0].rule


def test_a_derivative_that_overflows_at_an_extreme_point_is_caught():
    f = with_jvps(
        lambda x: jnp.logaddexp(x, 0.0),
        lambda t, ans, x: t * jnp.exp(x) / (1 + jnp.exp(x)),
    )
    check_rules(f, 1.0)
    with pytest.raises(AssertionError, match=r"finite at .*100.*found nan"):
        check_rules(f, 1.0, extremes=[0.0, 100.0])


def test_the_report_is_a_table_as_text_and_html():
    report = rule_report(sign_of_the_cosine(), X)
    assert not report
    assert "FAIL" in str(report)
    assert "checks failed" in str(report)
    assert "<table>" in report._repr_html_()
    assert "sign: it is minus" in report._repr_html_()
