"""Picking, finding, repeating, inserting: against NumPy, with derivatives."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback.calls.jit import jit
from pullback.errors import (
    ArgumentError,
    IndexBoundsError,
    ShapeError,
    TracerIntegerError,
)
from tests.numpy.agreement import (
    agrees,
    assert_same,
    floats,
    has_right_derivatives,
    integers,
    normal,
)

A, V, K = normal(3, 4), normal(4), integers(3, 4)
M = A > 0

CASES = [
    ("take", A, np.array([0, 2]), 0),
    ("take", A, np.array([[0, 1], [2, -1]]), 1),
    ("take", A, 3),
    ("take", A, 1, 1),
    ("take_along_axis", A, np.argsort(A, 1), 1),
    ("take_along_axis", A, np.array([[0], [1], [2]]), 1),
    ("take_along_axis", A, np.array([[0, 1, 0, 2]]), 0),
    ("choose", np.array([0, 1, 0, 1]), (V, V + 10), None, "clip"),
    ("choose", np.array([0, 5, -1, 1]), (V, V + 10), None, "wrap"),
    ("unravel_index", np.array([3, 5, 11]), (3, 4)),
    ("repeat", A, 2),
    ("repeat", A, 2, 1),
    ("select", [M, K > 0], [A, A * 2], -1.0),
    ("piecewise", V, [V < 0, V >= 0], [-1.0, 1.0]),
    ("delete", A, 1, 0),
    ("delete", V, [0, 2]),
    ("delete", A, slice(1, 3), 1),
    ("insert", V, 1, 5.0),
    ("insert", V, [1, 3], floats([5, 6])),
    ("insert", A, 1, 5.0, 1),
    ("insert", A, 1, V, 0),
    ("insert", A, -1, V[:3], 1),
    ("insert", A, [0, 2], V, 0),
    ("apply_over_axes", np.sum, A, [0, 1]),
]
KNOWN = [
    ("compress", np.array([True, False, True]), A, 0),
    ("compress", M.ravel(), A),
    ("extract", M, A),
    ("nonzero", K),
    ("argwhere", K),
    ("flatnonzero", K),
    ("repeat", A, np.array([1, 2, 0]), 0),
    ("choose", np.array([0, 1, 0, 1]), (V, V + 10)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]}{c[2:]}"[:60])
def test_functions_agree_with_numpy(case):
    if case[0] == "apply_over_axes":
        want = np.apply_over_axes(*case[1:])
        assert_same([jnp.apply_over_axes(jnp.sum, *case[2:])], [want], 1e-5)
        return
    agrees(*case, compiled=case[0] not in ("select", "piecewise", "delete", "choose"))


@pytest.mark.parametrize("case", KNOWN, ids=lambda c: f"{c[0]}{c[2:]}"[:60])
def test_functions_of_known_values_agree_with_numpy(case):
    agrees(*case, compiled=False)


def test_coordinates_become_places():
    places = np.array([0, 2]), np.array([1, 3])
    agrees("ravel_multi_index", places, (3, 4), compiled=False)
    agrees("ravel_multi_index", places, (3, 4), order="F", compiled=False)
    outside = np.array([5, -1]), np.array([1, 9])
    for mode in ("clip", "wrap"):
        agrees("ravel_multi_index", outside, (3, 4), mode=mode, compiled=False)


def test_take_follows_the_mode():
    x, places = jnp.arange(3.0), jnp.array([1, 9])
    assert jnp.isnan(jnp.take(x, places)[1])
    assert jnp.take(x, places, mode="clip").tolist() == [1, 2]
    assert jnp.take(x, places, mode="wrap").tolist() == [1, 0]
    assert jnp.take(x, places, mode="fill", fill_value=-1).tolist() == [1, -1]
    with pytest.raises(ArgumentError, match="'bad'"):
        jnp.take(x, places, mode="bad")


@pytest.mark.parametrize("size", [2, 5, 12, 20])
def test_nonzero_of_a_given_size_works_when_traced(size):
    want = np.nonzero(K)
    got = jit(lambda x: jnp.nonzero(x, size=size, fill_value=-1))(K)
    for g, w in zip(got, want):
        padded = np.concatenate([w, np.full(20, -1)])[:size]
        assert g.tolist() == padded.tolist()


def test_repeat_of_a_given_length_works_when_traced():
    f = jit(lambda x, n: jnp.repeat(x, n, total_repeat_length=5))
    assert f(jnp.arange(3), jnp.array([2, 0, 3])).tolist() == [0, 0, 2, 2, 2]
    assert f(jnp.arange(3), jnp.array([2, 0, 1])).tolist() == [0, 0, 2, 2, 2]


def test_extract_of_a_given_size_works_when_traced():
    got = jit(lambda m, x: jnp.extract(m, x, size=8, fill_value=0))(M, A)
    want = np.concatenate([A[M], np.zeros(8, np.float32)])[:8]
    np.testing.assert_array_equal(got, want)


def test_values_are_put_into_copies():
    places = np.array([[1], [0], [3]])
    want = A.copy()
    np.put_along_axis(want, places, 9.0, 1)
    got = jnp.put_along_axis(A, places, 9.0, 1, inplace=False)
    np.testing.assert_array_equal(got, want)
    want = A.copy()
    np.put(want, [1, 5], [7.0, 8.0])
    got = jnp.put(A, jnp.array([1, 5]), jnp.array([7.0, 8.0]), inplace=False)
    np.testing.assert_array_equal(got, want)


SMOOTH = {
    "take": lambda x: jnp.take(x, jnp.array([0, 2, 0]), axis=0),
    "take_along_axis": lambda x: jnp.take_along_axis(
        x, jnp.array([[0, 1], [2, 2], [3, 0]]), 1
    ),
    "repeat": lambda x: jnp.repeat(x, 2, 1),
    "insert": lambda x: jnp.insert(x, 1, x[0] ** 2, 0),
    "delete": lambda x: jnp.delete(x, 1, 0),
    "select": lambda x: jnp.select([x > 1, x > 0], [x * x, x], -x),
    "choose": lambda x: jnp.choose(jnp.array([0, 1, 0, 1]), (x[0], x[1] ** 2)),
    "piecewise": lambda x: jnp.piecewise(
        x, [x < 0, x >= 0], [lambda y: -y, lambda y: y * y]
    ),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives_are_right(name):
    has_right_derivatives(SMOOTH[name], A)


ERRORS = [
    (lambda: jnp.take(A, 0.5), IndexBoundsError, r"f32\[\]"),
    (lambda: jnp.take_along_axis(A, jnp.array([0]), 1), ShapeError, r"i32\[1\]"),
    (lambda: jnp.put(A, 0, 1.0), ArgumentError, "inplace=False"),
    (lambda: jnp.put_along_axis(A, 0, 1.0, 0), ArgumentError, "inplace=False"),
    (lambda: jnp.choose(jnp.array([2]), (V, V)), ArgumentError, r"0\.\.1"),
    (lambda: jit(jnp.nonzero)(A), TracerIntegerError, "nonzero needs the values"),
    (lambda: jnp.nonzero(1.0), ShapeError, "scalar"),
    (lambda: jnp.delete(V, 9), IndexBoundsError, "delete"),
    (lambda: jnp.insert(V, 9, 1.0), IndexBoundsError, r"0\.\.4"),
    (lambda: jnp.select([], []), ArgumentError, "0 conditions"),
    (lambda: jnp.piecewise(V, [V > 0], []), ArgumentError, "1 conditions and 0"),
    (lambda: jnp.ravel_multi_index((9, 0), (3, 4)), ArgumentError, r"0\.\.2"),
    (lambda: jnp.ravel_multi_index((1,), (3, 4)), ShapeError, "1 coordinates"),
]


@pytest.mark.parametrize(("f", "kind", "text"), ERRORS, ids=[e[2] for e in ERRORS])
def test_what_does_not_fit_is_named(f, kind, text):
    with pytest.raises(kind, match=text):
        f()


def test_values_are_inserted_in_the_dtype_of_the_array():
    agrees("insert", np.arange(4, dtype=np.int32), 1, 2.5)
    assert jnp.insert(jnp.arange(4), 1, 2.5).dtype == jnp.int32


def test_values_put_out_of_bounds_are_put_at_the_end_unless_dropped():
    x = jnp.arange(4.0)
    assert jnp.put(x, 9, -1.0, inplace=False).tolist() == [0, 1, 2, -1]
    assert jnp.put(x, 9, -1.0, "drop", inplace=False).tolist() == [0, 1, 2, 3]
    assert jnp.put(x, 9, -1.0, "wrap", inplace=False).tolist() == [0, -1, 2, 3]


def test_where_of_three_takes_no_size():
    with pytest.raises(ArgumentError, match="size= or fill_value= beside x and y"):
        jnp.where(jnp.array([True]), 1.0, 2.0, size=1)
