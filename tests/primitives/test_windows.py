"""Moving windows: by the definition, and every rule."""

import itertools
from typing import Any

import numpy as np
import pytest

from pullback import jvp, lax
from pullback.core.array import from_host
from pullback.errors import ShapeError
from pullback.primitives import table, windows
from tests.rule_checks import check_dtypes_of, check_rules_of

RNG = np.random.default_rng(8)
X = RNG.standard_normal((5, 6))
REDUCERS: dict[str, Any] = {
    "sum": (np.sum, 0.0),
    "max": (np.max, -np.inf),
    "min": (np.min, np.inf),
}

#: window, strides, padding, base dilation, window dilation.
CASES = {
    "plain": ((2, 3), (1, 1), ((0, 0), (0, 0)), (1, 1), (1, 1)),
    "pooling": ((2, 2), (2, 2), ((0, 1), (0, 0)), (1, 1), (1, 1)),
    "one axis": ((1, 3), (1, 2), ((0, 0), (1, 1)), (1, 1), (1, 1)),
    "spread out": ((2, 3), (2, 1), ((1, 0), (2, 1)), (2, 1), (1, 2)),
    "cut": ((2, 2), (1, 1), ((-1, 0), (0, -2)), (1, 1), (1, 1)),
    "large": ((9, 8), (1, 2), ((4, 4), (4, 4)), (1, 1), (1, 1)),
    "large pooling": ((9, 8), (9, 8), ((2, 2), (1, 1)), (1, 1), (1, 1)),
}


def brute_window(kind, x, window, strides, padding, base, wide):
    reducer, start = REDUCERS[kind]
    shape = [max(0, (n - 1) * p + 1) for n, p in zip(x.shape, base)]
    spread = np.full(shape, start)
    spread[tuple(slice(None, None, p) for p in base)] = x
    edges = [(max(0, low), max(0, high)) for low, high in padding]
    spread = np.pad(spread, edges, constant_values=start)
    cut = [
        slice(max(0, -low), n - max(0, -high))
        for (low, high), n in zip(padding, spread.shape)
    ]
    spread = spread[tuple(cut)]
    out_shape = [
        (n - (k - 1) * q - 1) // s + 1
        for n, k, q, s in zip(spread.shape, window, wide, strides)
    ]
    out = np.zeros(out_shape)
    for place in itertools.product(*map(range, out_shape)):
        box = tuple(
            slice(i * s, i * s + (k - 1) * q + 1, q)
            for i, s, k, q in zip(place, strides, window, wide)
        )
        out[place] = reducer(spread[box])
    return out


@pytest.mark.parametrize("kind", REDUCERS)
@pytest.mark.parametrize("name", CASES)
def test_windows_follow_the_definition_and_have_right_rules(name, kind):
    parameters = CASES[name]
    check_rules_of(
        lambda x: windows.reduce_window(kind, x, *parameters),
        X,
        reference=lambda x: brute_window(kind, x, *parameters),
    )


@pytest.mark.parametrize("kind", REDUCERS)
def test_windows_keep_every_dtype(kind):
    check_dtypes_of(
        lambda x: windows.reduce_window(kind, x, *CASES["plain"]), np.round(3 * X)
    )


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_fold_last_reduces_by_any_function(n):
    check_rules_of(
        lambda x: windows.fold_last(table.mul, x, from_host(np.float64(2))),
        RNG.standard_normal((2, n)),
        order=1,
    )
    x = RNG.standard_normal((2, n))
    found = np.asarray(windows.fold_last(table.mul, from_host(x)))
    np.testing.assert_allclose(found, np.prod(x, 1), rtol=1e-12)


def test_an_empty_fold_needs_an_initial_value():
    empty = from_host(np.zeros((2, 0)))
    with pytest.raises(ShapeError, match="initial"):
        windows.fold_last(table.mul, empty)
    found = windows.fold_last(table.mul, empty, from_host(np.float64(3)))
    np.testing.assert_array_equal(np.asarray(found), [3, 3])


def test_parameters_of_a_wrong_rank_are_refused():
    with pytest.raises(ShapeError, match=r"f64\[5,6\]"):
        windows.window_operation("sum", (2,), (1,), ((0, 0),)).abstract(
            from_host(X).aval
        )


@pytest.mark.parametrize("window", [(0, 2), (6, 2)])
def test_the_greatest_of_nothing_does_not_change(window):
    # No elements in a window, or no windows.
    x = from_host(X)
    parameters = (window, (1, 1), ((0, 0), (0, 0)))
    out, slope = jvp(lambda x: windows.reduce_window("max", x, *parameters), (x,), (x,))
    assert slope.shape == out.shape
    np.testing.assert_array_equal(np.asarray(slope), np.zeros(out.shape))


@pytest.mark.parametrize("window", [(0, 2), (6, 2), (2, 3), (5, 4), (9, 8)])
def test_windows_are_reduced_by_any_function(window):
    padding = ((0, 0), (0, 0)) if window != (9, 8) else ((2, 2), (1, 1))
    found = lax.reduce_window(X, 2.0, lambda a, b: a * b, window, (1, 1), padding)
    shape = [
        max(0, n + a + b - k + 1) for n, k, (a, b) in zip(X.shape, window, padding)
    ]
    assert found.shape == tuple(shape)
    padded = np.pad(X, padding, constant_values=2.0)
    for i, j in itertools.product(*map(range, shape)):
        box = padded[i : i + window[0], j : j + window[1]]
        np.testing.assert_allclose(found[i, j], 2 * np.prod(box), rtol=1e-6)
