"""Tangents at the user's edge: containers with gaps, casts, and what does not fit."""

from typing import NamedTuple

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import dtypes, float0, jit
from pullback.core.array import Array
from pullback.core.aval import Aval
from pullback.core.zero import Zero, is_zero
from pullback.transforms.tangents import (
    Mismatch,
    Paths,
    aval_text,
    fit_tangent,
    flatten_like,
)

F32 = Aval((), dtypes.float32)
F32_3 = Aval((3,), dtypes.float32)


class Point(NamedTuple):
    x: object
    y: object


class MisfitError(Exception):
    """Carries the mismatch that was found."""


def complain(found: Mismatch):
    raise MisfitError(*found)


def fit(given, aval):
    return fit_tangent(given, aval, complain, lambda: "['p']")


# Containers.


def test_tangents_of_equal_structure_must_be_flattened():
    like = {"a": 1.0, "b": [2.0, (3.0,)]}
    assert flatten_like(like, {"a": 4, "b": [5, (6,)]}, complain) == [4, 5, 6]


@pytest.mark.parametrize("nothing", [None, Zero(F32)])
def test_zero_must_stand_for_a_whole_subtree(nothing):
    like = {"a": 1.0, "b": [2.0, (3.0,)]}
    assert flatten_like(like, nothing, complain) == [None] * 3
    found = flatten_like(like, {"a": 4, "b": [nothing, (6,)]}, complain)
    assert found[0] == 4
    assert found[1] is None or is_zero(found[1])
    assert flatten_like(like, {"a": 4, "b": nothing}, complain)[1:] in (
        [None, None],
        [nothing],
    )


@pytest.mark.parametrize(
    ("like", "given", "mismatch"),
    [
        (1.0, [1.0], ("tree", "a list where an array Python float is expected", "")),
        (F32_3, (1.0,), ("tree", "a tuple where an array f32[3] is expected", "")),
        (
            {"a": [1.0]},
            {"a": 1.0},
            ("tree", "an array Python float where a list is expected", "['a']"),
        ),
        (
            [1.0, 2.0],
            (1.0, 2.0),
            ("tree", "a tuple where a list is expected", ""),
        ),
        (
            [(1.0, 2.0)],
            ["text"],
            ("tree", "a str where a tuple is expected", "[0]"),
        ),
        (
            {"a": {"k": 1.0, "l": 2.0}},
            {"a": {"k": 1.0, "m": 2.0}},
            ("key", "missing key 'l', unexpected key 'm'", "['a']"),
        ),
        (
            Point((1.0, 2.0), 1.0),
            Point((1.0,), 1.0),
            ("tree", "1 entry where 2 are expected", ".x"),
        ),
        ([1.0], [1.0, 2.0], ("tree", "2 entries where 1 is expected", "")),
    ],
)
def test_structure_that_differs_must_be_told_with_its_path(like, given, mismatch):
    with pytest.raises(MisfitError) as caught:
        flatten_like(like, given, complain)
    assert caught.value.args == mismatch


# Leaves.


def test_tangent_of_the_right_type_must_stay_as_it_is():
    t = jnp.ones(3)
    assert fit(t, F32_3) is t


def test_traced_tangent_of_the_right_type_must_stay_as_it_is():
    jit(lambda t: (t if fit(t, F32_3) is t else None) * 1)(jnp.ones(3))


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        (2, "float32"),
        (2.0, "float16"),
        (True, "float32"),
        (np.float64(2.0), "bfloat16"),
        (jnp.asarray(2.0, "float16"), "float32"),
        (jnp.asarray(2), "float32"),
        (2.0, "complex64"),
        (2j, "complex64"),
    ],
    ids=repr,
)
def test_tangent_must_be_cast_to_the_dtype_of_its_value(given, dtype):
    found = fit(given, Aval((), dtypes.canonical(dtype)))
    assert type(found) is Array
    assert found.dtype == dtypes.canonical(dtype)
    assert complex(found) == complex(given)


@pytest.mark.parametrize("given", [None, Zero(F32)])
def test_nothing_must_be_a_zero(given):
    found = fit(given, F32)
    assert is_zero(found)
    assert found.aval == F32


@pytest.mark.parametrize("given", [None, 0, 1.0, np.zeros(2, float0), jnp.ones(2)])
@pytest.mark.parametrize("dtype", [dtypes.int32, dtypes.bool_])
def test_tangent_of_an_integer_must_be_a_float0_zero(given, dtype):
    found = fit(given, Aval((2,), dtype))
    assert is_zero(found)
    assert found.aval == Aval((2,), float0)


def test_float0_must_be_a_zero_of_a_float_too():
    assert is_zero(fit(np.zeros(3, float0), F32_3))


@pytest.mark.parametrize(
    ("given", "aval", "mismatch"),
    [
        ("text", F32, ("dtype", "a str where an array f32[] is expected", "['p']")),
        (len, F32, ("dtype", "a builtin_function_or_method where", "['p']")),
        (jnp.ones(2), F32_3, ("shape", "f32[2] where f32[3] is expected", "['p']")),
        (1.0, F32_3, ("shape", "f32[] where f32[3] is expected", "['p']")),
        (1j, F32, ("dtype", "complex c64[] where real f32[] is", "['p']")),
    ],
)
def test_tangent_that_does_not_fit_must_be_told(given, aval, mismatch):
    kind, what, path = mismatch
    with pytest.raises(MisfitError) as caught:
        fit(given, aval)
    assert caught.value.args[0] == kind
    assert caught.value.args[1].startswith(what)
    assert caught.value.args[2] == path


# Text.


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (F32_3, "f32[3]"),
        (1.0, "Python float"),
        (np.ones((2, 1), np.int8), "i8[2,1]"),
        (jnp.ones(3), "f32[3]"),
        ("text", "str"),
    ],
    ids=repr,
)
def test_type_of_anything_must_be_written(x, text):
    assert aval_text(x) == text


def test_path_must_be_written_only_when_asked_for():
    name = Paths({"a": [1, 2]}).named(1)
    assert name() == "['a'][1]"
