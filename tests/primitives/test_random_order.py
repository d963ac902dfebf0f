"""Random orders: complete, uniform, and the same at once and compiled."""

import itertools
from unittest import mock

import numpy as np
import pytest

from pullback import jit, random, vmap
from pullback.primitives import random_order
from pullback.primitives.random_order import RandomOrder

KEY = random.key(5)


@pytest.mark.parametrize("n", [0, 1, 2, 5, 1000, 20_000, 100_000])
def test_orders_are_complete_and_the_same_compiled(n):
    found = np.asarray(random_order.random_order(KEY, n))
    np.testing.assert_array_equal(np.sort(found), np.arange(n))
    compiled = jit(lambda key: random_order.random_order(key, n))(KEY)
    np.testing.assert_array_equal(compiled, found)


def test_each_key_of_a_batch_has_its_own_order():
    keys = random.split(KEY, 3)
    found = np.asarray(vmap(lambda key: random_order.random_order(key, 9))(keys))
    for key, order in zip(keys, found, strict=True):
        np.testing.assert_array_equal(order, random_order.random_order(key, 9))


def test_all_orders_are_as_likely():
    keys = random.split(random.key(1), 24_000)
    found = np.asarray(jit(vmap(lambda key: random_order.random_order(key, 4)))(keys))
    _, counts = np.unique(found, axis=0, return_counts=True)
    assert len(counts) == 24
    assert np.sum((counts - 1000) ** 2 / 1000) < 60  # chi-square: one in 30,000


def test_orders_are_as_likely_where_random_numbers_are_equal():
    # Of 64 bits, 62 for the place: two random bits only, so that most numbers are equal
    # to another one; pairs of them come in both orders as often.
    keys = random.split(random.key(2), 20_000)
    with (
        mock.patch.object(RandomOrder, "width", 62),
        mock.patch.object(random_order, "SAFE", 0),
    ):
        at_once = RandomOrder(2).eager(np.asarray(keys))
        compiled = jit(RandomOrder(2))(keys)
    np.testing.assert_array_equal(compiled, at_once)
    assert abs(np.mean(at_once[:, 0]) - 0.5) < 0.02


def test_permutations_of_arrays_keep_rows_together():
    x = np.arange(12).reshape(4, 3)
    found = np.asarray(random.permutation(KEY, x))
    assert sorted(map(tuple, found)) == sorted(map(tuple, x))
    for n, axis in itertools.product((0, 1), (0, 1)):
        assert random.permutation(KEY, np.zeros((n, 3)), axis).shape == (n, 3)
