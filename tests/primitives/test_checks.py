"""The operation that checks: its rules, and the messages that are made of values."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import tree
from pullback.core.aval import Aval
from pullback.errors import CheckError
from pullback.primitives.checks import (
    CODE,
    NOTHING,
    Check,
    Info,
    Kind,
    Record,
    failure,
    mapped,
    slots_of,
)
from pullback.transforms.stage import make_jaxpr
from pullback.transforms.vmap import vmap


def record(text="x is {}", where="file.py:1 (f)", count=1):
    structure = tree.structure(((0,) * count, {}))
    return Record(Kind.USER, text, where, structure, slots_of([CODE] * count))


def info(*records):
    slots = dict.fromkeys(slot for r in records for slot in r.slots)
    return Info(records, tuple(slots))


def test_slots_of_one_type_are_numbered():
    single = Aval((), np.dtype("float32"))
    found = slots_of([CODE, single, CODE])
    assert found == ((CODE, 0), (single, 0), (CODE, 1))


def test_checks_without_records_have_no_values():
    assert NOTHING.avals == []
    assert failure(NOTHING, []) is None


def test_the_code_says_which_check_failed():
    checks = info(record("first {}"), record("second {}"))
    assert failure(checks, [np.int32(0), np.int32(7)]) is None
    found = failure(checks, [np.int32(2), np.int32(7)])
    assert str(found) == "second 7 (`check` failed). At file.py:1 (f)."


def test_a_place_that_is_not_known_is_left_out():
    checks = info(record(where=""))
    assert str(failure(checks, [1, 7])) == "x is 7 (`check` failed)."
    found = failure(checks, [np.array([0, 1]), np.array([7, 8])])
    assert str(found) == "at mapped index 1: x is 8 (`check` failed)."


def test_check_raises_in_eager_code_unless_it_is_for_debugging():
    with pytest.raises(CheckError, match="x is 7"):
        Check(info(record()))(1, 7)
    assert Check(info(record()), debug=True)(1, 7) == []


def test_check_is_printed_with_its_message():
    def f(code, x):
        Check(info(record()))(code, x)
        return x

    assert "check[messages=(x is {},)]" in str(make_jaxpr(f)(0, 7))


def test_a_mapped_check_has_one_more_slot_for_the_element():
    once = mapped(info(record(), record("other {}")))
    twice = mapped(once)
    assert once.slots[-1] == (CODE, -1)
    assert twice.slots[-1] == (CODE, -2)
    assert twice.records[0].mapped == ((CODE, -2), (CODE, -1))


def test_a_check_of_an_empty_batch_is_none():
    def f(x):
        Check(info(record()))(1, x)
        return x

    assert vmap(f)(np.zeros(0, np.int32)).shape == (0,)


def test_a_check_with_one_code_for_all_elements_fails_at_the_first():
    def f(x):
        Check(info(record()))(jnp.int32(1), x)
        return x

    with pytest.raises(CheckError, match="at mapped index 0: x is 5"):
        vmap(f)(np.array([5, 6], np.int32))
