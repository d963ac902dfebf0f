"""Reductions: values, ties, zeros, places, and every rule."""

from typing import Any

import numpy as np
import pytest

from pullback import dtypes, jit, make_jaxpr, nn, vmap
from pullback import numpy as jnp
from pullback.config import config
from pullback.core.array import from_host
from pullback.primitives import reduction
from pullback.transforms.vjp import jvp, vjp
from tests.rule_checks import check_dtypes_of, check_rules_of

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 3, 4))

REDUCTIONS: dict[str, Any] = {
    "sum": (reduction.reduce_sum, np.sum),
    "max": (reduction.reduce_max, np.max),
    "min": (reduction.reduce_min, np.min),
    "prod": (reduction.reduce_prod, np.prod),
}


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_agree_with_numpy_and_have_right_rules(name, axes):
    ours, numpys = REDUCTIONS[name]
    check_rules_of(lambda x: ours(x, axes), X, reference=lambda x: numpys(x, axes))


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_keep_narrow_dtypes_under_jit_and_at_once(name):
    ours, _ = REDUCTIONS[name]
    check_dtypes_of(lambda x: ours(x, (1,)), 3 * X)


@pytest.mark.parametrize("name", ["and", "or", "xor"])
def test_logical_reductions_agree_with_numpy(name):
    ours = getattr(reduction, f"reduce_{name}")
    ufunc = getattr(np, f"bitwise_{name}")
    for x in (X > 0, RNG.integers(0, 255, (3, 4)).astype(np.uint8)):
        check_rules_of(
            lambda x: ours(x, (0,)), x, reference=lambda x: ufunc.reduce(x, 0)
        )


@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_derivatives_of_a_product_are_right_where_factors_are_zero(zeros):
    x = np.array([2.0, 3.0, -1.5, 0.5, 4.0])
    x[[1, 3][:zeros]] = 0
    check_rules_of(lambda x: reduction.reduce_prod(x, (0,)), x)


def test_maximum_shares_its_slope_equally_among_ties():
    x = from_host(np.array([1.0, 3.0, 3.0, 2.0, 3.0]))
    _, pull = vjp(lambda x: reduction.reduce_max(x, (0,)), x)
    with config.context(enable_x64=True):
        (slope,) = pull(from_host(np.float64(6.0)))
    np.testing.assert_array_equal(np.asarray(slope), [0, 2, 2, 0, 2])


@pytest.mark.parametrize(
    ("name", "dtype", "value"),
    [
        ("max", "float32", -np.inf),
        ("min", "float32", np.inf),
        ("max", "int8", -128),
        ("min", "uint8", 255),
        ("prod", "int32", 1),
    ],
)
def test_empty_reductions_give_what_changes_nothing(name, dtype, value):
    x = from_host(np.zeros((0, 3), dtype))
    found = REDUCTIONS[name][0](x, (0,))
    np.testing.assert_array_equal(np.asarray(found), np.full(3, value, dtype))
    assert found.dtype == dtype


@pytest.mark.parametrize("name", ["max", "min"])
def test_nan_wins_a_reduction_and_a_search(name):
    x = np.array([1.0, np.nan, 3.0, np.nan])
    find = getattr(reduction, f"arg{name}")
    check_rules_of(
        lambda x: [REDUCTIONS[name][0](x, (0,)), find(x, 0, dtypes.int32)],
        x,
        reference=lambda x: [np.float64(np.nan), np.int32(1)],
        order=0,
        batched=False,
    )


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_searches_agree_with_numpy_also_on_ties(name, axis):
    ours, numpys = getattr(reduction, name), getattr(np, name)
    for x in (X, np.round(X), np.round(X).astype(np.int32), X > 0):
        check_rules_of(
            lambda x: ours(x, axis, dtypes.int32),
            x,
            reference=lambda x: numpys(x, axis).astype(np.int32),
        )


def test_the_derivative_of_argmax_is_zero_by_design():
    x = from_host(np.arange(3.0, dtype=np.float32))
    _, dot = jvp(lambda x: reduction.argmax(x, 0, dtypes.int32), (x,), (x,))
    assert dot.dtype == dtypes.float0


@pytest.mark.parametrize(("exponent", "mantissa"), [(8, 7), (5, 10), (5, 2), (8, 23)])
def test_reduce_precision_rounds_as_the_compiler_does(exponent, mantissa):
    x = np.array([1.0, 1.1, 3.3e5, 1e-6, 65519.0, 65520.0, -0.0, np.inf, np.nan, 1e-41])
    check_rules_of(
        lambda x: reduction.reduce_precision(x, exponent, mantissa),
        x.astype(np.float32),
        order=0,
    )


@pytest.mark.parametrize("n", [7, 5_000, 100_000])
def test_nan_shows_in_what_is_scaled_by_the_greatest_element(n):
    x = np.zeros(n, np.float32)
    x[n // 2] = np.nan
    for f in (nn.logsumexp, nn.softmax, nn.log_softmax):
        assert np.isnan(np.asarray(jit(f)(x))).all()
        assert np.isnan(np.asarray(f(x))).all()
    assert np.isnan(jit(jnp.max)(x))


def test_reduce_top_is_the_greatest_element_in_batches_too():
    x = from_host(np.arange(12, dtype=np.float32).reshape(3, 4))
    assert reduction.reduce_top(x, (1,)).tolist() == [3.0, 7.0, 11.0]
    mapped = vmap(lambda row: reduction.reduce_top(row, (0,)), 1)
    assert mapped(x).tolist() == jit(mapped)(x).tolist() == [8.0, 9.0, 10.0, 11.0]
    assert "passes_nan=True" in str(make_jaxpr(mapped)(x))
