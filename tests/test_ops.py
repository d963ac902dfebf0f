"""Reductions of segments, against loops over them, with derivatives."""

import numpy as np
import pytest

from pullback import jit, ops, vmap
from pullback.errors import ArgumentError, ShapeError, TracerIntegerError
from tests.numpy.agreement import has_right_derivatives, normal

IDS = np.array([0, 2, 2, -1, 1, 7, 0], np.int32)
DATA = normal(7, 2)
KINDS = {
    "segment_sum": (np.sum, 0.0),
    "segment_prod": (np.prod, 1.0),
    "segment_max": (np.max, -np.inf),
    "segment_min": (np.min, np.inf),
}


def by_loop(name, ids, count):
    combine, start = KINDS[name]
    rows = [DATA[ids == i] for i in range(count)]
    return np.stack(
        [combine(r, 0) if len(r) else np.full(2, start, np.float32) for r in rows]
    )


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("bucket", [None, 1, 3, 100])
def test_segments_are_combined(name, bucket):
    reduce = getattr(ops, name)
    made = lambda d, i: reduce(d, i, 4, bucket_size=bucket)  # noqa: E731
    for f in (made, jit(made)):
        np.testing.assert_allclose(f(DATA, IDS), by_loop(name, IDS, 4), 1e-6)
    clipped = reduce(DATA, IDS, 3, mode="clip", bucket_size=bucket)
    want = by_loop(name, np.clip(IDS, 0, 2), 3)
    np.testing.assert_allclose(clipped, want, 1e-6)


@pytest.mark.parametrize("name", KINDS)
def test_segments_are_counted_where_their_numbers_are_known(name):
    ids = np.abs(IDS) % 3
    want = by_loop(name, ids, ids.max() + 1)
    np.testing.assert_allclose(getattr(ops, name)(DATA, ids), want, 1e-6)
    assert getattr(ops, name)(DATA[:0], ids[:0]).shape == (0, 2)
    with pytest.raises(TracerIntegerError, match="unless num_segments is given"):
        jit(getattr(ops, name))(DATA, ids)


def test_segments_without_rows_hold_the_ends_of_the_dtype():
    none = np.array([5], np.int32)
    assert ops.segment_max(np.array([3], np.int8), none, 1).tolist() == [-128]
    assert ops.segment_min(np.array([3], np.uint8), none, 1).tolist() == [255]
    assert ops.segment_max(np.array([True]), none, 1).tolist() == [False]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("bucket", [None, 3])
def test_derivatives_are_right(name, bucket):
    reduce = getattr(ops, name)
    ids = np.array([0, 2, 2, 1, 1, 0, 2])
    has_right_derivatives(lambda d: reduce(d**2, ids, 3, bucket_size=bucket), DATA)


def test_segments_are_mapped():
    both = vmap(lambda d: ops.segment_sum(d, IDS, 4), 1, 1)(DATA)
    np.testing.assert_allclose(both, ops.segment_sum(DATA, IDS, 4), 1e-6)


def test_what_does_not_fit_is_named():
    with pytest.raises(ShapeError, match=r"data of type f32\[7,2\].* i32\[3\]"):
        ops.segment_sum(DATA, IDS[:3], 4)
    with pytest.raises(ShapeError, match=r"segment_ids of type f32\[7\]"):
        ops.segment_max(DATA, DATA[:, 0], 4)
    with pytest.raises(ArgumentError, match="num_segments=-1"):
        ops.segment_sum(DATA, IDS, -1)
    with pytest.raises(ArgumentError, match="bucket_size=0"):
        ops.segment_sum(DATA, IDS, 4, bucket_size=0)
