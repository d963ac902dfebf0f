"""Gather and scatter: values against NumPy, places outside, and every rule."""

from typing import Any

import numpy as np
import pytest

from pullback import dtypes
from pullback.config import config
from pullback.core.array import from_host
from pullback.core.calling import as_value
from pullback.errors import ArgumentError, ShapeError
from pullback.primitives import indexing
from pullback.primitives.indexing import (
    GatherDimensionNumbers,
    ScatterDimensionNumbers,
    gather,
    scatter,
)
from pullback.transforms.vjp import vjp
from tests.rule_checks import check_dtypes_of, check_rules_of

RNG = np.random.default_rng(3)
X = RNG.standard_normal((4, 5))
ROWS = GatherDimensionNumbers((1,), (0,), (0,))
COLUMNS = GatherDimensionNumbers((0,), (1,), (1,))
POINTS = GatherDimensionNumbers((), (0, 1), (0, 1))
SWAPPED = GatherDimensionNumbers((), (0, 1), (1, 0))
WINDOWS = GatherDimensionNumbers((1, 2), (), (0, 1))
MIXED = GatherDimensionNumbers((0, 1), (), (1,))
BATCHED = GatherDimensionNumbers((1,), (), (1,), (0,), (0,))

#: numbers, sizes, indices.
CASES = {
    "rows": (ROWS, (1, 5), [[2], [0], [2], [3]]),
    "one row": (GatherDimensionNumbers((0,), (0,), (0,)), (1, 5), [2]),
    "a matrix of rows": (
        GatherDimensionNumbers((2,), (0,), (0,)),
        (1, 5),
        [[[0], [1]], [[3], [1]]],
    ),
    "columns": (COLUMNS, (4, 1), [[4], [0], [4]]),
    "rows, last axis first": (
        GatherDimensionNumbers((0,), (0,), (0,)),
        (1, 5),
        [[2], [0], [2]],
    ),
    "points": (POINTS, (1, 1), [[0, 4], [3, 1], [0, 4]]),
    "points, axes swapped": (SWAPPED, (1, 1), [[4, 0], [1, 3]]),
    "windows": (WINDOWS, (2, 3), [[0, 0], [1, 2], [2, 1]]),
    "windows along one axis": (MIXED, (4, 2), [[1], [3]]),
    "a part of the other axis": (
        GatherDimensionNumbers((1,), (0,), (0,)),
        (1, 3),
        [[1], [2]],
    ),
    "batched": (BATCHED, (1, 2), [[0], [3], [1], [2]]),
    "none": (ROWS, (1, 5), np.zeros((0, 1), int)),
    "no index": (GatherDimensionNumbers((1, 2), (), ()), (4, 5), np.zeros((2, 0), int)),
}


def brute_gather(x, indices, numbers, sizes):
    """Gather by the definition, one slice at a time."""
    batch = indices.shape[:-1]
    dropped = (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims)
    inner = [s for i, s in enumerate(sizes) if i not in dropped]
    out = np.zeros((*batch, *inner), x.dtype)
    for place in np.ndindex(*batch):
        start = [0] * x.ndim
        for k, axis in enumerate(numbers.start_index_map):
            start[axis] = min(max(indices[place][k], 0), x.shape[axis] - sizes[axis])
        for axis, b in zip(
            numbers.operand_batching_dims, numbers.start_indices_batching_dims
        ):
            start[axis] = place[b]
        piece = x[tuple(slice(s, s + n) for s, n in zip(start, sizes))]
        out[place] = piece.reshape(inner)
    rank = len(batch) + len(inner)
    others = [i for i in range(rank) if i not in numbers.offset_dims]
    return np.transpose(out, np.argsort([*others, *numbers.offset_dims]))


@pytest.mark.parametrize("mode", ["clip", "fill", "promise_in_bounds"])
@pytest.mark.parametrize("name", CASES)
def test_gather_reads_the_slices_and_has_right_rules(name, mode):
    numbers, sizes, indices = CASES[name]
    check_rules_of(
        lambda x, i: gather(x, i, numbers, sizes, mode),
        X,
        np.array(indices),
        reference=lambda x, i: brute_gather(x, i, numbers, sizes),
        batched=name != "no index" and name != "none",
    )


@pytest.mark.parametrize("outside", [-1, 4, 100])
def test_gather_outside_clips_or_fills(outside):
    indices = np.array([[1], [outside]])
    nearest = X[[1, min(max(outside, 0), 3)]]
    filled = X[[1, 1]].copy()
    filled[1] = np.nan
    check_rules_of(
        lambda x, i: gather(x, i, ROWS, (1, 5), "clip"),
        X,
        indices,
        reference=lambda x, i: nearest,
    )
    check_rules_of(
        lambda x, i: gather(x, i, ROWS, (1, 5), "fill"),
        X,
        indices,
        reference=lambda x, i: filled,
        order=0,
    )


def test_gather_passes_no_cotangent_to_places_outside():
    x, i = from_host(X), from_host(np.array([[1], [7]]))
    with config.context(enable_x64=True):
        _, pull = vjp(lambda x: gather(x, i, ROWS, (1, 5), "fill"), x)
        (found,) = pull(from_host(np.ones((2, 5))))
    wanted = np.zeros((4, 5))
    wanted[1] = 1
    np.testing.assert_array_equal(np.asarray(found), wanted)


@pytest.mark.parametrize(
    ("dtype", "wanted"),
    [("int32", -(2**31)), ("uint8", 255), ("bool", True), ("float16", np.nan)],
)
def test_each_kind_of_dtype_has_its_fill_value(dtype, wanted):
    x = np.ones(3, dtype)
    check_rules_of(
        lambda x, i: gather(x, i, GatherDimensionNumbers((), (0,), (0,)), (1,), "fill"),
        x,
        np.array([[0], [9]]),
        reference=lambda x, i: np.array([1, wanted]).astype(dtype),
        order=0,
    )


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint32", "int64"])
def test_indices_may_be_of_any_integer_dtype(dtype):
    x = RNG.standard_normal((300, 2))
    check_rules_of(
        lambda x, i: gather(x, i, ROWS, (1, 2), "fill"),
        x,
        np.array([[5], [100]], dtype),
        reference=lambda x, i: x[i[:, 0]],
    )


def test_gather_refuses_what_does_not_fit():
    x = from_host(X)
    with pytest.raises(ShapeError, match=r"indices of type i32\[3,2\]"):
        indexing.Gather(ROWS, (1, 5)).abstract(
            x.aval, from_host(np.zeros((3, 2), np.int32)).aval
        )
    with pytest.raises(ArgumentError, match="no integers"):
        indexing.Gather(ROWS, (1, 5)).abstract(x.aval, from_host(X[:, :1]).aval)


KINDS = ["set", "add", "mul", "min", "max"]


def brute_scatter(kind, x, indices, updates, numbers, sizes):
    """Scatter by the definition: element by element at the places a gather reads."""
    places = np.arange(x.size).reshape(x.shape)
    flat = brute_gather(places, indices, GatherDimensionNumbers(*numbers), sizes)
    out = x.copy().ravel()
    combine: Any = {
        "set": lambda a, b: b,
        "add": lambda a, b: a + b,
        "mul": lambda a, b: a * b,
        "min": min,
        "max": max,
    }[kind]
    for place, value in zip(flat.ravel(), updates.ravel()):
        out[place] = combine(out[place], value)
    return out.reshape(x.shape)


@pytest.mark.parametrize("mode", ["clip", "fill"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CASES)
def test_scatter_writes_the_updates_and_has_right_rules(name, kind, mode):
    numbers, sizes, indices = CASES[name]
    indices = np.array(indices)
    shape = brute_gather(X, indices, numbers, sizes).shape
    updates = np.random.default_rng(4).standard_normal(shape)
    dims = ScatterDimensionNumbers(*numbers)
    check_rules_of(
        lambda x, i, u: scatter(kind, x, i, u, dims, mode),
        X,
        indices,
        updates,
        reference=lambda x, i, u: brute_scatter(kind, x, i, u, dims, sizes),
        order=2 if mode == "fill" else 1,
        batched=mode == "fill" and name not in ("no index", "none"),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_scatter_drops_what_lies_outside(kind):
    indices = np.array([[1], [4], [-1], [3]])
    updates = RNG.standard_normal((4, 5))
    dims = ScatterDimensionNumbers(*ROWS)
    inside = [0, 3]
    check_rules_of(
        lambda x, i, u: scatter(kind, x, i, u, dims),
        X,
        indices,
        updates,
        reference=lambda x, i, u: brute_scatter(
            kind, x, i[inside], u[inside], dims, (1, 5)
        ),
    )


def test_scatter_clips_where_asked():
    indices, updates = np.array([[9], [-9]]), RNG.standard_normal((2, 5))
    wanted = X.copy()
    wanted[[3, 0]] = updates
    check_rules_of(
        lambda x, i, u: scatter("set", x, i, u, ScatterDimensionNumbers(*ROWS), "clip"),
        X,
        indices,
        updates,
        reference=lambda x, i, u: wanted,
    )


@pytest.mark.parametrize("kind", ["set", "add", "mul"])
def test_unique_indices_have_right_rules(kind):
    dims = ScatterDimensionNumbers(*ROWS)
    check_rules_of(
        lambda x, i, u: scatter(kind, x, i, u, dims, unique_indices=True),
        X,
        np.array([[2], [0]]),
        RNG.standard_normal((2, 5)),
        batched=False,
    )


@pytest.mark.parametrize("zeros", [(0,), (2,), (0, 2)])
def test_derivatives_of_a_product_scatter_are_right_where_updates_are_zero(zeros):
    updates = np.array([2.0, -1.0, 3.0, 0.5])
    updates[list(zeros)] = 0
    dims = ScatterDimensionNumbers((), (0,), (0,))
    check_rules_of(
        lambda x, i, u: scatter("mul", x, i, u, dims),
        np.array([1.5, 2.5]),
        np.array([[0], [1], [0], [0]]),
        updates,
        order=1,
        batched=False,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_scatters_keep_every_dtype(kind):
    dims = ScatterDimensionNumbers(*ROWS)
    i = as_value(np.array([[1], [1], [3]], np.int32))
    check_dtypes_of(lambda x, u: scatter(kind, x, i, u, dims), 4 * X, 4 * X[:3])


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("mode", ["clip", "fill"])
def test_take_along_axis_agrees_with_numpy(axis, mode):
    x = RNG.standard_normal((2, 3, 4))
    shape = list(x.shape)
    shape[axis] = 5
    index = RNG.integers(0, x.shape[axis], shape)
    check_rules_of(
        lambda x, i: indexing.take_along_axis(x, i, axis, mode),
        x,
        index,
        reference=lambda x, i: np.take_along_axis(x, i, axis),
        order=1,
    )


def test_modes_have_the_names_of_the_ecosystem():
    assert indexing.canonical_mode("drop", "clip") == "fill"
    assert indexing.canonical_mode(None, "clip") == "clip"
    with pytest.raises(ArgumentError, match="'around'"):
        indexing.canonical_mode("around", "clip")


def test_dtypes_of_indices_stay_wide_enough():
    with config.context(enable_x64=True):
        found = indexing.wide_index(as_value(np.zeros(2, np.uint32)))
    assert found.dtype == dtypes.int64
