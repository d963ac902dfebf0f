"""Boxes, gather and scatter with the arguments users write."""

import numpy as np
import pytest

import pullback
from pullback import lax

X = np.arange(12, dtype=np.float32).reshape(3, 4)
ROWS = lax.GatherDimensionNumbers((1,), (0,), (0,))


def same(found, wanted):
    np.testing.assert_array_equal(np.asarray(found), wanted)


@pytest.mark.parametrize("wrap", [lambda f: f, pullback.jit])
def test_dynamic_slices_take_numbers_arrays_and_traced_values(wrap):
    f = wrap(lambda x, i: lax.dynamic_slice(x, (i, 1), (2, 2)))
    same(f(X, 0), X[:2, 1:3])
    same(f(X, 9), X[1:, 1:3])
    same(f(X, -2), X[1:, 1:3])
    same(lax.dynamic_slice(X, np.array([0, -2]), (2, 2)), X[:2, 2:])
    same(lax.dynamic_slice_in_dim(X, 1, 2, -1), X[:, 1:3])
    same(lax.dynamic_index_in_dim(X, np.int32(2), keepdims=False), X[2])


def test_dynamic_updates_write_boxes_pieces_and_places():
    wanted = X.copy()
    wanted[1:, 2:] = 0
    same(lax.dynamic_update_slice(X, np.zeros((2, 2), np.float32), (1, 2)), wanted)
    wanted = X.copy()
    wanted[:, 1] = 0
    zeros = np.zeros(3, np.float32)
    same(lax.dynamic_update_index_in_dim(X, zeros, 1, 1), wanted)
    same(lax.dynamic_update_slice_in_dim(X, zeros[:, None], 1, -1), wanted)


def test_gather_fills_by_default_and_clips_where_asked():
    i = np.array([[1], [5]])
    filled = np.asarray(lax.gather(X, i, ROWS, (1, 4)))
    assert np.isnan(filled[1]).all()
    clip = lax.GatherScatterMode.CLIP
    same(lax.gather(X, i, ROWS, (1, 4), mode=clip), X[[1, 2]])
    sevens = np.asarray(lax.gather(X, i, ROWS, (1, 4), fill_value=7))
    same(sevens[1], np.full(4, 7))


@pytest.mark.parametrize(
    ("name", "combine"),
    [
        ("scatter", lambda a, b: b),
        ("scatter_add", np.add),
        ("scatter_mul", np.multiply),
        ("scatter_min", np.minimum),
        ("scatter_max", np.maximum),
    ],
)
def test_scatters_combine(name, combine):
    updates = np.full((1, 4), 5.5, np.float32)
    wanted = X.copy()
    wanted[1] = combine(X[1], updates[0])
    numbers = lax.ScatterDimensionNumbers((1,), (0,), (0,))
    same(getattr(lax, name)(X, np.array([[1]]), updates, numbers), wanted)


def test_scatter_apply_replaces_windows_by_a_function_of_them():
    numbers = lax.ScatterDimensionNumbers((1,), (0,), (0,))
    wanted = X.copy()
    wanted[2] = np.sqrt(X[2])
    found = lax.scatter_apply(
        X, np.array([[2]]), lax.sqrt, numbers, update_shape=(1, 4)
    )
    np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-6)
