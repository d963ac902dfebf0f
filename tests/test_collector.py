"""The collector rests inside a block, and is as it was after it."""

import gc

import pytest

from pullback.collector import resting_collector


def test_collector_must_rest_inside_and_run_after():
    with resting_collector():
        assert not gc.isenabled()
        with resting_collector():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_collector_must_run_again_after_an_error():
    with pytest.raises(KeyError), resting_collector():
        raise KeyError
    assert gc.isenabled()
