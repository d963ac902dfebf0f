"""Rows of the table of operations: what the matrix of rules does not try."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import dtypes, grad, jit, make_jaxpr
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


def test_derivatives_of_quotients_divide_where_there_are_fewer_elements():
    def f(x, y):
        return jnp.sum((x / y) ** 3)

    x, y = jnp.ones((40, 3)), jnp.array([1.0, 2.0, 4.0])
    eqns = make_jaxpr(grad(f, (0, 1)))(x, y).eqns
    sizes = [e.outputs[0].aval.size for e in eqns if e.primitive.name == "div"]
    assert sorted(sizes) == [3, 3, 120]  # the last one is the quotient itself
    x_bar, y_bar = grad(f, (0, 1))(x, y)
    np.testing.assert_allclose(x_bar, np.broadcast_to(3.0 / y**3, (40, 3)))
    np.testing.assert_allclose(y_bar, -120.0 / y**4)


@pytest.mark.parametrize(
    ("shapes", "whole"),
    [(((2000, 3), (3,)), 0), (((20, 3), (3,)), 1), (((2000, 3), (2000, 1)), 1)],
)
def test_quotients_by_something_much_smaller_are_products_with_inverses(shapes, whole):
    x, y = (np.linspace(1.0, 9.0, np.prod(s), dtype="f4").reshape(s) for s in shapes)
    compiled = jit(lambda x, y: x / y).lower(x, y)
    size = "x".join(map(str, shapes[0]))
    lines = compiled.as_text().split("\n")
    assert sum("divide" in s and f"tensor<{size}xf32>" in s for s in lines) == whole
    np.testing.assert_allclose(compiled.compile()(x, y), x / y, rtol=3e-7)
    integers = jit(lambda x, y: table.div(x, y))(x.astype(int), y.astype(int))
    np.testing.assert_array_equal(integers, x.astype(int) // y.astype(int))
