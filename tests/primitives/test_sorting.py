"""Sorting: order of nan, zeros, ties and several keys, and every rule."""

import functools
import itertools

import numpy as np
import pytest

from pullback import dtypes
from pullback.calls.jit import jit
from pullback.config import config
from pullback.core.array import from_host
from pullback.core.calling import as_value
from pullback.errors import ShapeError
from pullback.primitives import sorting
from tests.rule_checks import check_dtypes_of, check_rules_of

RNG = np.random.default_rng(5)
X = RNG.standard_normal((3, 5))


@pytest.mark.parametrize("axis", [0, 1])
def test_sort_agrees_with_numpy_and_has_right_rules(axis):
    check_rules_of(
        lambda x: sorting.sort([x], axis), X, reference=lambda x: np.sort(x, axis)
    )


def test_sort_carries_other_arrays_along():
    y = RNG.standard_normal((3, 5))

    def reference(x, y, n):
        order = np.argsort(x, 1)
        return [np.take_along_axis(z, order, 1) for z in (x, y, n)]

    check_rules_of(
        lambda *xs: sorting.sort(xs, 1), X, y, np.arange(15).reshape(3, 5),
        reference=reference,
    )  # fmt: skip


def test_sort_by_two_keys_compares_the_second_on_ties():
    x = np.array([2.0, 1.0, 2.0, 1.0, np.nan, np.nan, 0.0, -0.0])
    y = np.array([4, 3, 1, 9, 2, 1, 7, 6])
    z = np.arange(8.0)
    order = np.array([7, 6, 1, 3, 2, 0, 5, 4])
    check_rules_of(
        lambda *xs: sorting.sort(xs, 0, keys=2),
        x,
        y,
        z,
        reference=lambda x, y, z: [x[order], y[order], z[order]],
        order=0,
    )


def test_nan_comes_last_and_zeros_of_both_signs_are_equal():
    x = np.array([0.0, np.nan, -0.0, np.inf, 0.0, -np.inf, -np.nan, -0.0], np.float32)
    place = sorting.argsort(from_host(x), 0, index_dtype=dtypes.int32)
    np.testing.assert_array_equal(np.asarray(place), [5, 0, 2, 4, 7, 3, 1, 6])
    at_once = np.asarray(sorting.sort([from_host(x)], 0)[0])
    compiled = np.asarray(jit(lambda x: sorting.sort([x], 0)[0])(from_host(x)))
    for found in (at_once, compiled):
        np.testing.assert_array_equal(found, np.sort(x))
        np.testing.assert_array_equal(
            np.signbit(found[1:5]), [False, True, False, True]
        )


def test_complex_numbers_are_ordered_by_real_then_imaginary_part():
    x = np.array([1 + 2j, 1 - 1j, 0 + 5j, -1 + 0j, 1 + 0j])
    check_rules_of(lambda x: sorting.sort([x], 0), x, reference=np.sort, order=0)
    check_rules_of(lambda x: sorting.sort([x], 0), x[[0, 2, 3]], order=1)


def test_sort_keeps_every_dtype_and_knows_nan_in_narrow_ones():
    check_dtypes_of(lambda x: sorting.sort([x], 1), 4 * X)
    x = as_value(np.array([3, np.nan, -2, 1]).astype(dtypes.bfloat16))
    (found,) = sorting.sort([x], 0)
    wanted = np.array([-2, 1, 3, np.nan], np.float32)
    np.testing.assert_array_equal(np.asarray(found).astype(np.float32), wanted)


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint16", "int32", "uint32", "int64", "float16"]
)
def test_every_dtype_sorts_stably(dtype):
    x = RNG.integers(0, 5, (4, 30)) - (0 if dtype[0] in "bu" else 2)
    check_rules_of(
        lambda x: sorting.argsort(x, 1),
        x.astype(dtype),
        reference=lambda x: np.argsort(x, 1, kind="stable"),
        order=0,
        batched=False,
    )


@pytest.mark.parametrize("axis", [0, 1])
def test_argsort_agrees_with_numpy(axis):
    for x in (X, np.round(X), X > 0):
        check_rules_of(
            lambda x: sorting.argsort(x, axis),
            x,
            reference=lambda x: np.argsort(x, axis, kind="stable"),
        )


@pytest.mark.parametrize("k", [0, 1, 3, 5])
def test_top_k_gives_the_greatest_and_their_places(k):
    def reference(x):
        place = np.argsort(-x, 1, kind="stable")[:, :k].astype(np.int32)
        return [np.take_along_axis(x, place, 1), place]

    check_rules_of(lambda x: sorting.top_k(x, k), X, reference=reference)
    check_rules_of(
        lambda x: sorting.top_k(x, k), np.round(X) + 0.0, reference=reference, order=0
    )


@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize("axis", [0, 1])
def test_long_arrays_sort_stably(axis, dtype):
    x = RNG.integers(-3, 4, (40, 60)).astype(dtype)
    if dtype == "float32":
        x[x == 1] = -0.0
        x[x == 2] = np.nan
        x[0, :3] = np.inf, -np.inf, -np.nan
    found = sorting.argsort(from_host(x), axis)
    np.testing.assert_array_equal(np.asarray(found), np.argsort(x, axis, kind="stable"))


@pytest.mark.parametrize("k", [0, 1, 4])
def test_top_k_of_long_rows_takes_the_first_of_ties(k):
    x = RNG.integers(0, 6, (3, 50)).astype(np.float32)
    place = np.argsort(-x, 1, kind="stable")[:, :k]
    values, places = sorting.top_k(from_host(x), k)
    np.testing.assert_array_equal(np.asarray(places), place)
    np.testing.assert_array_equal(np.asarray(values), np.take_along_axis(x, place, 1))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i4", "u1", "i8"])
@pytest.mark.parametrize("n", [16_384, 20_011])
def test_the_greatest_of_a_long_vector_are_found_by_blocks(dtype, n):
    rng = np.random.default_rng(3)
    with config.context(enable_x64=True):
        many = rng.normal(0, 99, n).astype(dtype)
        ties = rng.integers(0, 3, n).astype(dtype)
        cases = [many, ties, many[::-1].copy(), -ties]
        if many.dtype.kind == "f":
            zeros = np.where(rng.integers(0, 2, n), -0.0, 0.0).astype(dtype)
            zeros[300:] = -0.0
            few = many.copy()
            few[[5, 9000, n - 1]] = np.nan, -np.nan, np.inf
            cases += [zeros, few, np.full(n, -np.inf, dtype)]
        for x, k in itertools.product(cases, (1, 10)):
            values, places = sorting.top_k(from_host(x), k)
            found = jit(functools.partial(sorting.top_k, k=k))(from_host(x))
            np.testing.assert_array_equal(found[1], places)
            np.testing.assert_array_equal(found[0], values)


def test_top_k_takes_nan_for_the_greatest():
    x = np.array([1.0, np.nan, 3.0, -np.inf])
    check_rules_of(
        lambda x: sorting.top_k(x, 3),
        x,
        reference=lambda x: [x[[1, 2, 0]], np.array([1, 2, 0], np.int32)],
        order=0,
        batched=False,
    )


def test_what_does_not_fit_is_refused():
    x = from_host(X)
    with pytest.raises(ShapeError, match=r"asked for 6 elements .* f64\[3,5\]"):
        sorting.TopK(6).abstract(x.aval)
    with pytest.raises(ShapeError, match=r"different shapes: f64\[3,5\], f64\[3,4\]"):
        sorting.Sort(0).abstract(x.aval, from_host(X[:, 1:]).aval)


def untidy(count, dtype):
    """Give numbers with ties, nan and zeros of both signs."""
    x = RNG.integers(-9, 9, count).astype(dtype)
    if x.dtype.kind == "f":
        x[RNG.random(count) < 0.1] = np.nan
        x[RNG.random(count) < 0.1] = -0.0
    return x


@pytest.mark.parametrize("dtype", ["f8", "i8", "u4", "f4", "i4", "f2"])
def test_fast_orders_are_stable(dtype):
    for shape, axis in (((5000,), 0), ((70, 80), 0), ((70, 80), 1)):
        x = untidy(shape, dtype)
        found = sorting.sort_order([x], axis, True)
        np.testing.assert_array_equal(found, np.argsort(x, axis, kind="stable"))


@pytest.mark.parametrize("dtype", ["f4", "i4"])
@pytest.mark.parametrize("count", [sorting.LARGE - 1, sorting.LARGE])
def test_compiled_sorts_of_all_sizes_agree(dtype, count):
    x = from_host(untidy(count, dtype), None)
    program = jit(lambda x: [*sorting.sort([x], 0), sorting.argsort(x, 0)])
    values, order = program(x)
    assert ("callback" in program.lower(x).as_text()) == (count >= sorting.LARGE)
    wanted = np.argsort(np.asarray(x), kind="stable")
    np.testing.assert_array_equal(np.asarray(order), wanted)
    kept = np.asarray(x)[wanted]
    np.testing.assert_array_equal(np.asarray(values), kept)
    assert np.all((np.signbit(values) == np.signbit(kept)) | np.isnan(kept))
