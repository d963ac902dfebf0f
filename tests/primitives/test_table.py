"""Rows of the table of operations: what the matrix of rules does not try."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import dtypes, jit, vjp
from pullback.core.array import from_host
from pullback.primitives import table


@pytest.mark.parametrize("dtype", ["uint8", "int32", "uint64", "int64"])
@pytest.mark.parametrize(
    "shift",
    [table.shift_left, table.shift_right_logical, table.shift_right_arithmetic],
    ids=lambda row: row.name,
)
def test_distances_of_shifts_may_be_python_numbers(shift, dtype):
    x = from_host(np.array([1, 5, 100], dtype))
    wide = from_host(np.array([3, 3, 3], dtype))
    found = shift(x, 3)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, shift(x, wide))
    np.testing.assert_array_equal(jit(lambda x: shift(x, 3))(x), found)


def test_guard_must_keep_cotangents_from_what_is_not_used():
    used = jnp.array([[True], [False]])
    y, pull = vjp(lambda x: table.guard(used, x), jnp.array([1.0, 2.0]))
    np.testing.assert_array_equal(y, [[1, 2], [1, 2]])
    np.testing.assert_array_equal(pull(jnp.full((2, 2), jnp.inf))[0], [jnp.inf] * 2)
    (x_bar,) = pull(jnp.array([[3.0, 4.0], [jnp.nan, jnp.inf]]))
    np.testing.assert_array_equal(x_bar, [3, 4])


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e5m2"])
def test_a_number_beside_a_narrow_array_does_not_widen_a_selection(dtype):
    x = from_host(np.ones(2, getattr(dtypes, dtype)))
    yes = from_host(np.array([True, False]))
    for f in (
        lambda yes, x: table.select(yes, x, 0.5),
        lambda yes, x: table.select(yes, 0.5, x),
    ):
        assert f(yes, x).dtype == jit(f)(yes, x).dtype == x.dtype
