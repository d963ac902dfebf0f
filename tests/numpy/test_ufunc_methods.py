"""NumPy's methods of elementwise functions, and functions made like them."""

import operator

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import jit
from pullback.errors import ArgumentError, ShapeError
from tests.numpy.agreement import assert_same, has_right_derivatives, integers, normal

A, K = normal(3, 4), integers(5, 2, low=1)
FLOATS = ["add", "subtract", "multiply", "divide", "maximum", "minimum", "fmax"]
FLOATS += ["hypot", "logaddexp", "logical_and", "logical_or", "copysign"]
WHOLE = ["add", "multiply", "bitwise_and", "bitwise_or", "bitwise_xor", "gcd", "lcm"]
WHOLE += ["logical_xor", "floor_divide", "remainder", "power", "maximum"]
EACH = [(name, A) for name in FLOATS] + [(name, K) for name in WHOLE]


def same(path, x, *rest, **options):
    """Holds a method against NumPy's, at once and compiled."""
    with np.errstate(all="ignore"):
        want = np.asarray(operator.attrgetter(path)(np)(x, *rest, **options))
    method = operator.attrgetter(path)(jnp)
    made = lambda x: method(x, *rest, **options)  # noqa: E731
    for f in (made, jit(made)):
        assert_same([f(jnp.asarray(x))], [want], 2e-5)


@pytest.mark.parametrize(("name", "x"), EACH)
def test_elements_are_combined_as_in_numpy(name, x):
    same(f"{name}.reduce", x)
    same(f"{name}.reduce", x, axis=1, keepdims=True)
    same(f"{name}.accumulate", x, axis=1)
    same(f"{name}.outer", x, x[0])
    same(f"{name}.reduceat", x, np.array([0, 2, 1, 1]))
    if name in ("add", "logical_or", "multiply", "bitwise_xor", "hypot"):
        same(f"{name}.reduce", x, axis=None)
        same(f"{name}.reduce", x[:0])
        same(f"{name}.reduce", x, where=x > 1)
        same(f"{name}.reduce", x, initial=x[0, 0])


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "maximum", "divide"])
def test_places_are_updated_in_turn(name):
    places, values = np.array([0, 2, 0]), np.array([2.0, 3.0, 5.0], np.float32)
    want = A[0].copy()
    getattr(np, name).at(want, places, values)
    at = lambda x: getattr(jnp, name).at(x, places, values, inplace=False)  # noqa: E731
    for f in (at, jit(at)):
        assert_same([f(A[0])], [want], 1e-6)


def test_a_function_of_one_operand_is_applied_at_places():
    found = jnp.negative.at(jnp.arange(4), jnp.array([1, 1, 3]), inplace=False)
    assert found.tolist() == [0, 1, 2, -3]


def test_functions_of_scalars_get_the_methods():
    f = jnp.frompyfunc(lambda x, y: 10 * x + y, 2, 1, identity=0)
    assert (f.nin, f.nout, f.nargs, f.identity) == (2, 1, 3, 0)
    assert f(jnp.arange(3), jnp.array([[1], [2]])).shape == (2, 3)
    assert f.reduce(jnp.arange(4)).item() == 123
    assert f.accumulate(jnp.arange(4)).tolist() == [0, 1, 12, 123]
    assert f.reduce(jnp.arange(4), where=jnp.arange(4) != 2).item() == 13
    assert f.reduce(jnp.zeros(0)).item() == 0
    assert f.at(jnp.array([1, 2]), [0, 0], [3, 4], inplace=False).tolist() == [134, 2]
    both = jnp.frompyfunc(lambda x: (x, -x), 1, 2)(jnp.arange(2))
    assert [b.tolist() for b in both] == [[0, 1], [0, -1]]
    assert repr(jnp.frompyfunc(abs, 1, 1)) == "<ufunc abs>"


def test_derivatives_are_right():
    x = np.abs(A[0]) + 1
    has_right_derivatives(jnp.divide.reduce, x)
    has_right_derivatives(jnp.logaddexp.accumulate, x)
    has_right_derivatives(lambda x: jnp.multiply.reduceat(x, jnp.array([0, 2])), x)
    has_right_derivatives(jnp.hypot.outer, x, np.array([0.3, 7.0]))
    f = jnp.frompyfunc(lambda x, y: x * jnp.sin(y), 2, 1)
    has_right_derivatives(f.reduce, x)
    at = lambda x: f.at(x, jnp.array([0, 0]), x[1:3], inplace=False)  # noqa: E731
    has_right_derivatives(at, x)


def test_what_cannot_be_is_named():
    with pytest.raises(
        ArgumentError, match=r"subtract\.at was asked to write in place"
    ):
        jnp.subtract.at(A, 0, 1.0)
    with pytest.raises(ArgumentError, match="takes 1 operands and gives 1"):
        jnp.frompyfunc(abs, 1, 1).reduce(A)
    with pytest.raises(ShapeError, match=r"subtract\.reduce has no identity"):
        jnp.subtract.reduce(jnp.zeros(0))
    with pytest.raises(ArgumentError, match="ufunc mul takes 2 arguments; got 1"):
        jnp.frompyfunc(operator.mul, 2, 1)(A)
