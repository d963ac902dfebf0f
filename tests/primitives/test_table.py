"""Rows of the table of operations: what the matrix of rules does not try."""

import numpy as np
import pytest

from pullback import dtypes, jit
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


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e5m2"])
def test_a_number_beside_a_narrow_array_does_not_widen_a_selection(dtype):
    x = from_host(np.ones(2, getattr(dtypes, dtype)))
    yes = from_host(np.array([True, False]))
    for f in (
        lambda yes, x: table.select(yes, x, 0.5),
        lambda yes, x: table.select(yes, 0.5, x),
    ):
        assert f(yes, x).dtype == jit(f)(yes, x).dtype == x.dtype
