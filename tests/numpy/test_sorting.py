"""Sorting, searching and sets against NumPy, with derivatives."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback.calls.jit import jit
from pullback.errors import ArgumentError, ShapeError, TracerIntegerError
from tests.numpy.agreement import (
    agrees,
    floats,
    has_right_derivatives,
    integers,
    normal,
)

A, V, K, T = normal(3, 4), normal(7), integers(3, 4), normal(2, 3, 4)
HOLES = np.array([2, np.nan, -1, np.inf, np.nan, 0], np.float32)


@pytest.mark.parametrize("axis", [-1, 0, None])
@pytest.mark.parametrize("x", [A, K, T], ids=["floats", "integers", "three axes"])
def test_orders_agree_with_numpy(x, axis):
    agrees("sort", x, axis=axis)
    want = np.argsort(x, axis=axis, kind="stable")
    assert jnp.argsort(x, axis=axis).tolist() == want.tolist()


def test_nan_sorts_last():
    agrees("sort", HOLES)
    agrees("argsort", HOLES)


def test_descending_orders_are_stable():
    x = jnp.array([1, 3, 1, 3, 2])
    assert jnp.sort(x, descending=True).tolist() == [3, 3, 2, 1, 1]
    assert jnp.argsort(x, descending=True).tolist() == [1, 3, 4, 0, 2]


def test_lexsort_agrees_with_numpy():
    keys = (K[0], K[1] % 2)
    assert jnp.lexsort(keys).tolist() == np.lexsort(keys).tolist()
    assert jit(jnp.lexsort)(keys).tolist() == np.lexsort(keys).tolist()


def test_partitions_keep_the_place_of_one_element():
    assert jnp.partition(V, 3)[3] == np.partition(V, 3)[3]
    assert V[jnp.argpartition(V, 3)[3]] == np.partition(V, 3)[3]


@pytest.mark.parametrize("side", ["left", "right"])
def test_search_agrees_with_numpy(side):
    edges = np.sort(np.concatenate([V, V[:3]]))
    agrees("searchsorted", edges, A, side)
    agrees("searchsorted", edges, edges, side)
    agrees("searchsorted", np.sort(HOLES), HOLES, side)
    agrees("searchsorted", edges[:0], A, side)
    for n in range(10):  # each way to halve what is left
        agrees("searchsorted", np.arange(n), np.arange(-1, n + 1), side)
    complexes = np.sort_complex(A[0] + 1j * A[1])
    agrees("searchsorted", complexes, np.append(complexes, 0.3j), side)
    agrees("searchsorted", edges[:1], np.float32(0.5), side)
    order = np.argsort(V)
    agrees("searchsorted", V, A, side, sorter=order)


@pytest.mark.parametrize("right", [False, True])
def test_bins_agree_with_numpy(right):
    agrees("digitize", A, np.sort(V), right)
    agrees("digitize", A, np.sort(V)[::-1].copy(), right)


def test_counts_agree_with_numpy():
    x = np.array([0, 1, 1, 3])
    agrees("bincount", x, compiled=False)
    agrees("bincount", x, floats([1, 2, 3, 4]), 6, compiled=False)
    counts = jit(lambda x: jnp.bincount(x, length=3))(x)
    assert counts.tolist() == [1, 2, 0]


def test_sets_agree_with_numpy():
    agrees("unique", K, compiled=False)
    agrees("unique", K, True, True, True, compiled=False)
    agrees("unique", K[:, :2], axis=0, compiled=False)
    agrees("union1d", K, K[0] + 1, compiled=False)
    agrees("intersect1d", K, K[0] + 1, return_indices=True, compiled=False)
    agrees("setdiff1d", K, K[0], compiled=False)
    agrees("setxor1d", K, K[0] + 1, compiled=False)
    assert jnp.unique_values(K).tolist() == np.unique(K).tolist()
    for name in ("unique_all", "unique_counts", "unique_inverse"):
        agrees(name, K, compiled=False)


def test_membership_agrees_with_numpy():
    agrees("isin", K, K[0])
    agrees("isin", K, K[0], invert=True)
    agrees("isin", HOLES, HOLES)
    agrees("isin", K, K[0, :0])


@pytest.mark.parametrize("size", [3, 12])
def test_unique_of_a_given_size_works_when_traced(size):
    want = np.unique(K, True, True, True)
    got = jit(lambda x: jnp.unique(x, True, True, True, size=size, fill_value=99))(K)
    n = min(size, len(want[0]))
    assert got[0][:n].tolist() == want[0][:n].tolist()
    assert set(got[0][n:].tolist()) <= {99}
    assert got[1][:n].tolist() == want[1][:n].tolist()
    assert got[2].tolist() == want[2].tolist()
    assert got[3][: n - 1].tolist() == want[3][: n - 1].tolist()


def test_derivatives_are_right():
    has_right_derivatives(jnp.sort, A)
    has_right_derivatives(lambda x: jnp.sort(x, axis=None)[2:5], A)
    has_right_derivatives(lambda x: x[jnp.argsort(x)], V)


ERRORS = [
    (lambda: jnp.lexsort(()), ArgumentError, "no keys"),
    (lambda: jnp.searchsorted(A, 1.0), ShapeError, r"f32\[3,4\]"),
    (lambda: jnp.searchsorted(V, 1.0, "middle"), ArgumentError, "'middle'"),
    (lambda: jnp.bincount(V), ShapeError, r"f32\[7\]"),
    (lambda: jnp.bincount(jnp.array([-1])), ArgumentError, "negative"),
    (lambda: jit(jnp.unique)(A), TracerIntegerError, "unique needs the values"),
    (lambda: jnp.unique(A, size=2, axis=0), ArgumentError, "both size= and axis="),
    (lambda: jnp.sort(A, axis=3), ArgumentError, "axis 3"),
]


@pytest.mark.parametrize(("f", "kind", "text"), ERRORS, ids=[e[2] for e in ERRORS])
def test_what_does_not_fit_is_named(f, kind, text):
    with pytest.raises(kind, match=text):
        f()


def test_a_set_difference_has_the_dtype_of_the_first():
    left = jnp.setdiff1d(np.array([3, 1, 2], np.int32), floats([2.0, 9.5]))
    assert (left.dtype, left.tolist()) == (jnp.int32, [1, 3])


FIRST, SECOND = np.array([3, 1, 4, 1, 0, 3, 4]), np.array([7, 4, 3, 4, 5])
SETS = ["union1d", "intersect1d", "setdiff1d", "setxor1d"]


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_sets_of_a_static_size_are_numpys_then_filled(name, kind):
    x, y = FIRST.astype(kind), SECOND.astype(kind)
    want = getattr(np, name)(x, y)
    for size in (len(want) - 1, len(want), len(want) + 3):
        made = lambda x, y: getattr(jnp, name)(x, y, size=size, fill_value=-7)  # noqa: E731, B023
        for f in (made, jit(made)):
            got = f(x, y).tolist()
            assert got == [*want.tolist(), -7, -7, -7][:size]
    filled = getattr(jnp, name)(x, y, size=len(want) + 1)
    assert filled[-1] == (0 if name == "setdiff1d" else want[0])


@pytest.mark.parametrize("name", SETS)
def test_empty_sets_of_a_static_size_are_filled(name):
    found = getattr(jnp, name)(jnp.zeros(0), jnp.zeros(0), size=2)
    assert found.tolist() == [0, 0]


def test_places_of_common_elements_are_those_of_the_first():
    x, y = jnp.array([3, 1, 3, 2]), jnp.array([5, 2, 3, 3])
    find = jit(lambda x, y: jnp.intersect1d(x, y, False, True, size=3, fill_value=9))
    assert [v.tolist() for v in find(x, y)] == [[2, 3, 9], [3, 0, 4], [1, 2, 4]]
    kept = jnp.setdiff1d(x, jnp.array([1]), True, size=4)
    assert kept.tolist() == [3, 3, 2, 0]
