"""Dtypes of results: the documented lattice, weak types, both widths."""

import operator

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback.calls.jit import jit
from pullback.config import config
from pullback.core.array import Array
from pullback.errors import ArgumentError, DtypeError, NotAnArrayError
from pullback.numpy.promotion import promote
from pullback.transforms.stage import make_jaxpr

# The table of "Type promotion semantics" in the ecosystem's documentation: rows and
# columns in this order, then Python's bool, int, float and complex.
ORDER = "b1 u1 u2 u4 i1 i2 i4 bf f2 f4 c8".split()
TABLE = """
b1 u1 u2 u4 i1 i2 i4 bf f2 f4 c8 b1 i4 f4 c8
u1 u1 u2 u4 i2 i2 i4 bf f2 f4 c8 u1 u1 f4 c8
u2 u2 u2 u4 i4 i4 i4 bf f2 f4 c8 u2 u2 f4 c8
u4 u4 u4 u4 i4 i4 i4 bf f2 f4 c8 u4 u4 f4 c8
i1 i2 i4 i4 i1 i2 i4 bf f2 f4 c8 i1 i1 f4 c8
i2 i2 i4 i4 i2 i2 i4 bf f2 f4 c8 i2 i2 f4 c8
i4 i4 i4 i4 i4 i4 i4 bf f2 f4 c8 i4 i4 f4 c8
bf bf bf bf bf bf bf bf f4 f4 c8 bf bf bf c8
f2 f2 f2 f2 f2 f2 f2 f4 f2 f4 c8 f2 f2 f2 c8
f4 f4 f4 f4 f4 f4 f4 f4 f4 f4 c8 f4 f4 f4 c8
c8 c8 c8 c8 c8 c8 c8 c8 c8 c8 c8 c8 c8 c8 c8
""".split()
SCALARS = (True, 2, 2.0, 2j)


def named(name):
    """Gives a dtype by its short name."""
    return jnp.bfloat16.dtype if name == "bf" else np.dtype(name)


def rows():
    """Gives (left dtype, right dtype or scalar, dtype of the sum)."""
    width = len(ORDER) + len(SCALARS)
    for i, left in enumerate(ORDER):
        for j, right in enumerate((*ORDER, *SCALARS)):
            yield left, right, TABLE[i * width + j]


@pytest.mark.parametrize(("left", "right", "result"), list(rows()))
def test_sums_have_the_dtype_of_the_documented_table(left, right, result):
    x = jnp.ones(2, named(left))
    y = jnp.ones(2, named(right)) if isinstance(right, str) else right
    assert (x + y).dtype == named(result)
    assert (y + x).dtype == named(result)
    assert make_jaxpr(operator.add)(x, y).out_avals[0].dtype == named(result)


@pytest.mark.parametrize(("left", "right", "result"), list(rows()))
def test_quotients_have_the_dtype_of_sums_but_floats_for_integers(left, right, result):
    x = jnp.ones(2, named(left))
    y = jnp.ones(2, named(right)) if isinstance(right, str) else right
    wanted = named("f4") if named(result).kind in "biu" else named(result)
    assert (x / y).dtype == wanted
    assert (y / x).dtype == wanted


def test_python_numbers_are_weak_and_arrays_are_not():
    assert jnp.asarray(2.0).weak_type
    assert (jnp.asarray(2.0) * 3).weak_type
    assert not (jnp.asarray(2.0) * jnp.ones(2)).weak_type
    assert not jnp.ones(2).weak_type
    assert (jnp.arange(3) + 1.5).weak_type
    assert not jnp.asarray(True).weak_type


def test_a_weak_float_makes_default_floats_of_integers():
    assert (jnp.arange(3, dtype=jnp.int8) * jnp.asarray(0.5)).dtype == jnp.float32
    with config.context(enable_x64=True):
        assert (jnp.arange(3, dtype=jnp.int8) * 0.5).dtype == jnp.float64


def test_functions_of_floats_take_integers():
    assert jnp.sin(jnp.arange(3)).dtype == jnp.float32
    assert jnp.sin(3).weak_type
    assert jnp.sin(jnp.ones(2, jnp.bfloat16)).dtype == jnp.bfloat16
    with config.context(enable_x64=True):
        assert jnp.sin(jnp.arange(3, dtype=jnp.int32)).dtype == jnp.float64


def test_numpy_arrays_are_narrowed():
    assert (jnp.ones(2) + np.ones(2)).dtype == jnp.float32
    assert (np.ones(2) + jnp.ones(2)).dtype == jnp.float32
    assert isinstance(np.float64(1) + jnp.ones(2), Array)


def test_python_numbers_stay_numbers_beside_arrays():
    x = jnp.ones(2)
    _, number = promote("add", x, 3)
    assert type(number) is float
    _, number = promote("add", jnp.ones(2, jnp.bfloat16), 3)
    assert number.dtype == jnp.bfloat16


@pytest.mark.parametrize("bad", [[1.0], (1, 2), None, "a", {}])
def test_what_is_no_array_is_refused_by_name(bad):
    with pytest.raises(NotAnArrayError, match="add"):
        jnp.add(1.0, bad)


def test_booleans_cannot_be_subtracted():
    with pytest.raises(DtypeError, match="logical_xor"):
        jnp.array([True]) - jnp.array([False])


@pytest.mark.parametrize("run", [lambda f: f, jit])
def test_integers_outside_the_dtype_of_an_array_wrap_as_its_arithmetic_does(run):
    x = jnp.array([1, 200], jnp.uint8)
    for f in (
        lambda x: x - (-3),
        lambda x: x + 256 + 3,
        lambda x: jnp.where(x > 0, x + 3, -3),
        lambda x: x * 1 - jnp.full_like(x, 253),
        lambda x: x - jnp.full_like(x, -3),
    ):
        np.testing.assert_array_equal(run(f)(x), [4, 203])
    assert run(lambda x: jnp.clip(x, 3, 261))(x).tolist() == [3, 5]


@pytest.mark.parametrize("run", [lambda f: f, jit])
def test_comparison_with_an_integer_outside_the_dtype_is_exact(run):
    x = jnp.array([0, 44, 255], jnp.uint8)
    yes, no = [True] * 3, [False] * 3
    for f, result in (
        (lambda x: x < 300, yes),
        (lambda x: x >= -1, yes),
        (lambda x: x != 300, yes),
        (lambda x: 300 <= x, no),
        (lambda x: x == 44 - 256, no),
        (lambda x: -1 > x, no),
    ):
        assert run(f)(x).tolist() == result


def test_an_integer_beyond_the_default_width_is_refused():
    with pytest.raises(ArgumentError, match=r"1099511627776 does not fit int32"):
        jnp.zeros(2, jnp.int8) + 2**40


WEAK = """floor_divide remainder hypot logaddexp logaddexp2 fmax fmin copysign heaviside
gcd lcm""".split()


@pytest.mark.parametrize("run", [lambda f: f, jit])
@pytest.mark.parametrize("name", WEAK)
def test_functions_that_choose_keep_numbers_weak(name, run):
    f = getattr(jnp, name)
    assert run(lambda x: f(x, 2))(3).weak_type
    assert run(lambda x: f(x, x))(3).weak_type
    assert not run(lambda x: f(x, 2))(jnp.array([3, 4])).weak_type


@pytest.mark.parametrize("name", ["sinc", "imag"])
def test_functions_of_numbers_are_weak(name):
    assert getattr(jnp, name)(0.5).weak_type
    assert all(part.weak_type for part in jnp.modf(0.5))


def test_powers_of_truth_values_are_integers():
    m = np.array([True, False])
    assert jnp.square(m).dtype == jnp.int32
    assert jnp.power(m, m[::-1]).dtype == jnp.int32
    assert jnp.power(m[:, None], m).tolist() == [[1, 1], [0, 1]]
    assert (jnp.power(m, 2).dtype, jnp.power(m, 2).weak_type) == (jnp.int32, False)
