"""Threefry: published vectors, one layout for all shapes, the same bits compiled."""

import numpy as np
import pytest

from pullback import jit, vmap
from pullback.config import config
from pullback.core.calling import as_value
from pullback.errors import ShapeError
from pullback.primitives import random_bits as rb
from tests.rule_checks import check_rules_of

KEY = np.array([3, 5], np.uint32)

# The known answers of the authors' library Random123 (kat_vectors, threefry2x32 20).
KNOWN = [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
]


@pytest.mark.parametrize(("key", "count", "wanted"), KNOWN)
def test_hash_gives_the_published_vectors(key, count, wanted):
    assert rb.hash_one(*key, *count) == wanted
    x0, x1 = np.array([count], np.uint32).T.copy()
    with np.errstate(over="ignore"):
        rb.hash_block(np.uint32(key[0]), np.uint32(key[1]), x0, x1)
    assert (x0[0], x1[0]) == wanted


def test_the_hash_of_a_counter_does_not_depend_on_how_many_are_asked_for():
    few = rb.hash_counts(KEY, 8)
    many = rb.hash_counts(KEY, 40_000)
    for a, b in zip(few, many):
        np.testing.assert_array_equal(a, b[:8])
    assert rb.hash_one(3, 5, 0, 39_999) == (many[0][-1], many[1][-1])


@pytest.mark.parametrize("width", [8, 16, 32])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0,)])
def test_bits_have_agreeing_rules(width, shape):
    check_rules_of(lambda k: rb.random_bits(k, width, shape), KEY, order=0)


def test_wide_bits_join_both_words():
    check_rules_of(lambda k: rb.random_bits(k, 64, (2, 3)), KEY, order=0)
    x0, x1 = rb.hash_counts(KEY, 1)
    wide = rb.RandomBits(64, (1,)).eager(KEY)
    assert int(wide[0]) == (int(x0[0]) << 32) | int(x1[0])


@pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
def test_split_has_agreeing_rules(shape):
    check_rules_of(lambda k: rb.random_split(k, shape), KEY, order=0)


@pytest.mark.parametrize("dtype", ["int32", "uint32", "uint8", "int64", "uint64"])
def test_seeds_and_data_of_every_integer_type_have_agreeing_rules(dtype):
    seed = np.array(77, dtype)
    check_rules_of(rb.random_seed, seed, order=0)
    check_rules_of(rb.random_fold_in, KEY, seed, order=0)


def test_a_wide_seed_fills_both_words():
    with config.context(enable_x64=True):
        seed = as_value(np.array((7 << 32) + 9, np.int64))
        for f in (rb.random_seed, jit(rb.random_seed)):
            np.testing.assert_array_equal(f(seed), [7, 9])


def test_folding_in_an_index_is_that_member_of_a_split():
    keys = rb.random_split(as_value(KEY), (5,))
    folded = vmap(rb.random_fold_in, in_axes=(None, 0))(
        as_value(KEY), as_value(np.arange(5, dtype=np.int32))
    )
    np.testing.assert_array_equal(keys, folded)


def test_what_is_no_key_is_an_error_that_says_what_a_key_is():
    with pytest.raises(ShapeError, match=r"given a key of type u32\[3\]; keys are"):
        jit(lambda k: rb.random_bits(k, 32, ()))(as_value(np.zeros(3, np.uint32)))


def test_bits_are_evenly_spread():
    bits = np.asarray(rb.random_bits(as_value(KEY), 32, (100_000,)))
    ones = np.unpackbits(bits.view(np.uint8)).mean()
    assert abs(ones - 0.5) < 1e-3
