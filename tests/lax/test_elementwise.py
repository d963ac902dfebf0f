"""Elementwise functions: operands of one dtype, and what becomes of Python numbers."""

import numpy as np
import pytest

import pullback
from pullback import lax
from pullback.core.calling import as_value
from pullback.errors import ArgumentError, DtypeError


def test_python_numbers_take_the_dtype_of_the_array_beside_them():
    x = as_value(np.ones(3, np.float16))
    assert lax.mul(x, 2).dtype == np.float16
    assert lax.add(2.0, x).dtype == np.float16


def test_python_numbers_alone_make_arrays_of_the_default_dtype():
    total = lax.add(1, 2)
    assert (total.dtype, total.item(), total.weak_type) == (np.int32, 3, True)
    assert lax.sin(1.0).dtype == np.float32


def test_numpy_arrays_are_narrowed_as_everywhere():
    assert lax.add(np.ones(3), 1).dtype == np.float32


def test_a_number_that_the_dtype_cannot_hold_is_refused():
    with pytest.raises(DtypeError, match=r"add was given the number 2.5 .* int32"):
        lax.add(np.ones(3, np.int32), 2.5)


def test_operands_of_different_dtypes_are_refused():
    with pytest.raises(DtypeError, match=r"f32\[3\], i32\[3\]"):
        pullback.make_jaxpr(lax.add)(np.ones(3, np.float32), np.ones(3, np.int32))


def test_functions_have_names_and_documentation():
    assert lax.sin.__name__ == "sin"
    assert lax.sin.__doc__ == "Give the sine."


@pytest.mark.parametrize(
    ("method", "wanted"),
    [
        (lax.RoundingMethod.AWAY_FROM_ZERO, [1, 2, 3, -1, -3, 0, 1e20]),
        (lax.RoundingMethod.TO_NEAREST_EVEN, [0, 2, 2, 0, -2, 0, 1e20]),
    ],
)
def test_round_knows_two_methods(method, wanted):
    x = np.array([0.5, 1.5, 2.5, -0.5, -2.5, 0.49999997, 1e20], np.float32)
    np.testing.assert_array_equal(
        np.asarray(lax.round(x, method)), np.array(wanted, np.float32)
    )


def test_pow_takes_integers_beside_floats():
    x = np.array([-2.0, 3.0], np.float32)
    np.testing.assert_array_equal(np.asarray(lax.pow(x, 2)), [4, 9])
    np.testing.assert_allclose(
        np.asarray(lax.pow(x[1:], np.array([2], np.int32))), [9], rtol=1e-6
    )
    np.testing.assert_array_equal(np.asarray(lax.reciprocal(x)), 1 / x)


def test_select_n_chooses_by_truth_or_number():
    cases = [np.full(3, i, np.float32) for i in range(3)]
    by_number = lax.select_n(np.array([2, 0, 1], np.int32), *cases)
    np.testing.assert_array_equal(np.asarray(by_number), [2, 0, 1])
    by_truth = lax.select_n(np.array([True, False, True]), *cases[:2])
    np.testing.assert_array_equal(np.asarray(by_truth), [1, 0, 1])
    with pytest.raises(ArgumentError, match="3 cases"):
        lax.select_n(np.array([True]), *cases)


def test_clamp_and_select_take_numbers():
    x = np.array([-1.0, 0.5, 2.0], np.float32)
    np.testing.assert_array_equal(np.asarray(lax.clamp(0.0, x, 1.0)), [0, 0.5, 1])
    np.testing.assert_array_equal(np.asarray(lax.select(x > 0, x, 0.0)), [0, 0.5, 2])


def test_stop_gradient_takes_trees():
    def f(x):
        held = lax.stop_gradient({"a": x, "b": [x]})
        return lax.mul(x, lax.add(held["a"], held["b"][0]))

    assert float(pullback.grad(f)(3.0)) == 6.0


def test_convert_element_type_makes_weak_types_of_python_types():
    x = np.ones(2, np.int32)
    assert lax.convert_element_type(x, float).weak_type
    assert not lax.convert_element_type(x, np.float32).weak_type
    assert lax.conj(np.ones(2, np.float32)).dtype == np.complex64
