"""Running combinations: values against NumPy in both directions, and every rule."""

import numpy as np
import pytest

from pullback.core.array import from_host
from pullback.primitives import cumulative, table
from tests.rule_checks import check_dtypes_of, check_rules_of

RNG = np.random.default_rng(6)
X = RNG.standard_normal((4, 5))

UFUNCS = {
    "cumsum": np.add,
    "cumprod": np.multiply,
    "cummax": np.maximum,
    "cummin": np.minimum,
    "cumlogsumexp": np.logaddexp,
}


def accumulate(name, x, axis, backwards):
    x = np.flip(x, axis) if backwards else x
    out = UFUNCS[name].accumulate(x, axis)
    return np.flip(out, axis) if backwards else out


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("name", UFUNCS)
def test_scans_agree_with_numpy_and_have_right_rules(name, axis, backwards):
    check_rules_of(
        lambda x: getattr(cumulative, name)(x, axis, backwards),
        X,
        reference=lambda x: accumulate(name, x, axis, backwards),
    )


@pytest.mark.parametrize("name", UFUNCS)
@pytest.mark.parametrize("n", [0, 1, 2, 3, 8, 13])
def test_scans_of_every_length_compile(name, n):
    check_rules_of(
        lambda x: getattr(cumulative, name)(x, 0),
        RNG.standard_normal(n),
        order=1,
        batched=False,
    )


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "cummax", "cummin"])
def test_scans_keep_every_dtype(name):
    check_dtypes_of(lambda x: getattr(cumulative, name)(x, 0), 3 * X)


def test_derivatives_of_a_running_product_are_right_at_zeros():
    x = np.array([2.0, 0.0, 3.0, 0.0, -1.0])
    check_rules_of(lambda x: cumulative.cumprod(x, 0), x)


def test_a_running_logsumexp_survives_infinities_and_ties():
    x = np.array([-np.inf, -np.inf, 1.0, 1.0, 800.0, -800.0])
    check_rules_of(
        lambda x: cumulative.cumlogsumexp(x, 0),
        x,
        reference=lambda x: np.logaddexp.accumulate(x),
        order=0,
        batched=False,
    )
    check_rules_of(
        lambda x: cumulative.cumlogsumexp(x, 0), np.array([1.0, 1.0, 800.0, -800.0])
    )


def test_a_running_maximum_has_the_slope_of_the_latest_tie():
    check_rules_of(
        lambda x: table.mul(cumulative.cummax(x, 0), 2.0),
        np.array([1.0, 3.0, 2.0, 4.0]),
    )


def test_associative_scan_takes_any_function_of_several_arrays():
    a, b = RNG.standard_normal((2, 7))

    def combine(x, y):
        # The composition of t -> a t + b.
        return [x[0] * y[0], y[0] * x[1] + y[1]]

    def ours(a, b):
        return cumulative.associative_scan(
            lambda x, y: [
                table.mul(x[0], y[0]),
                table.add(table.mul(y[0], x[1]), y[1]),
            ],
            [a, b],
            0,
        )

    def reference(a, b):
        outs = [(a[0], b[0])]
        for i in range(1, len(a)):
            outs.append(combine(outs[-1], (a[i], b[i])))
        return [np.array([o[k] for o in outs]) for k in range(2)]

    found = [np.asarray(y) for y in ours(from_host(a), from_host(b))]
    for y, z in zip(found, reference(a, b)):
        np.testing.assert_allclose(y, z, rtol=1e-12)
