"""Whole arrays: defaults, negative axes, and refusals."""

import numpy as np
import pytest

from pullback import lax
from pullback.errors import ArgumentError, ShapeError

X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def same(found, wanted):
    np.testing.assert_array_equal(np.asarray(found), wanted)
    assert found.dtype == np.asarray(wanted).dtype


def test_full_takes_numbers_arrays_and_a_dtype():
    same(lax.full((2, 2), 1.5), np.full((2, 2), 1.5, np.float32))
    same(lax.full((2,), 7, np.uint8), np.full(2, 7, np.uint8))
    same(lax.full((2,), np.float32(3), np.int32), np.full(2, 3, np.int32))
    same(lax.full_like(X, 1), np.ones_like(X))
    same(lax.full_like(X, 1, np.int32, (2,)), np.ones(2, np.int32))


def test_iotas_count():
    same(lax.iota(np.int32, 3), np.arange(3, dtype=np.int32))
    columns = np.indices((2, 3))[1].astype(np.float32)
    same(lax.broadcasted_iota(np.float32, (2, 3), -1), columns)


def test_bits_are_read_as_another_dtype():
    x = np.array([1.0, -0.0], np.float32)
    same(lax.bitcast_convert_type(x, np.int32), x.view(np.int32))
    same(lax.bitcast_convert_type(x, np.uint8), x.view(np.uint8).reshape(2, 4))
    same(lax.bitcast_convert_type(x.view(np.uint16).reshape(2, 2), np.float32), x)


def test_reshapes():
    same(lax.reshape(X, (6, 4)), X.reshape(6, 4))
    same(lax.reshape(X, (4, 6), (2, 1, 0)), X.transpose(2, 1, 0).reshape(4, 6))
    same(lax.collapse(X, 1), X.reshape(2, 12))
    same(lax.collapse(X, 0, 2), X.reshape(6, 4))
    same(lax.squeeze(X[:1], (-3,)), X[0])
    same(lax.expand_dims(X, (0, -1)), X[None, ..., None])


def test_broadcasts():
    same(lax.broadcast(X, (2,)), np.broadcast_to(X, (2, 2, 3, 4)))
    same(lax.broadcast_to_rank(X[0], 4), X[None, :1])
    row = np.arange(3, dtype=np.float32)
    same(
        lax.broadcast_in_dim(row, (2, 3, 4), (1,)),
        np.broadcast_to(row[:, None], (2, 3, 4)),
    )
    assert lax.broadcast_shapes((3, 1), (4,)) == (3, 4)
    with pytest.raises(ShapeError, match=r"f32\[3\]"):
        lax.broadcast_in_dim(row, (2, 3, 4), (2,))


def test_transpose_and_rev():
    same(lax.transpose(X, (2, 0, 1)), X.transpose(2, 0, 1))
    same(lax.rev(X, (-1,)), X[..., ::-1])
    with pytest.raises(ShapeError, match="permutation"):
        lax.transpose(X, (0, 1))


def test_joins_and_cuts():
    same(lax.concatenate([X, X], -1), np.concatenate([X, X], -1))
    same(lax.slice_in_dim(X, -2, None, axis=-1), X[..., -2:])
    same(lax.slice(X, (0, 1, 0), (2, 3, 4), (1, 1, 2)), X[:, 1:3, ::2])
    same(lax.index_in_dim(X, -1, 1, keepdims=False), X[:, -1])
    same(lax.split(X, (1, 3), -1)[1], X[..., 1:])
    padded = lax.pad(X[0], 0.0, ((1, 0, 0), (0, 0, 1)))
    np.testing.assert_array_equal(np.asarray(padded)[0], np.zeros(7))
    with pytest.raises(ShapeError, match="no arrays"):
        lax.concatenate([], 0)


def test_sorts():
    x = np.array([[3.0, 1.0, 2.0]], np.float32)
    same(lax.sort(x), np.sort(x))
    keys, values = lax.sort_key_val(x, np.array([[0, 1, 2]], np.int32))
    same(keys, np.sort(x))
    same(values, np.array([[1, 2, 0]], np.int32))
    top, places = lax.top_k(x, 2)
    same(top, np.array([[3.0, 2.0]], np.float32))
    same(places, np.array([[0, 2]], np.int32))


def test_products():
    y = X.transpose(0, 2, 1).copy()
    same(lax.batch_matmul(X, y), X @ y)
    same(lax.dot(X[0], y[0], precision=lax.Precision.HIGHEST), X[0] @ y[0])
    same(lax.dot_general(X, y, (((2,), (1,)), ((0,), (0,)))), X @ y)


def test_axes_out_of_range_are_refused():
    with pytest.raises(ArgumentError, match="axis 3"):
        lax.concatenate([X], 3)
    with pytest.raises(ArgumentError, match="twice"):
        lax.reduce_sum(X, (0, -3))
