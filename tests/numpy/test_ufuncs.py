"""Elementwise functions against NumPy's, with their derivatives."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback.calls.jit import jit
from pullback.errors import ArgumentError, DtypeError, TracerIntegerError
from tests.numpy.agreement import agrees, has_right_derivatives, integers, normal

A, B = normal(3, 4), normal(4)
P, U = np.abs(A) + 0.5, A / 5
K, J, N = integers(3, 4), integers(4), integers(4, low=1)
M, Z = A > 0, (A + 1j * A[::-1]).astype(np.complex64)

EVERYWHERE = (
    "exp exp2 expm1 sin cos tan arctan sinh cosh tanh arcsinh square cbrt deg2rad "
    "rad2deg degrees radians fabs abs absolute negative positive sign rint floor ceil "
    "trunc fix reciprocal"
).split()
SMOOTH = (
    "exp exp2 expm1 sin cos tan arctan sinh cosh tanh arcsinh square cbrt deg2rad "
    "abs negative reciprocal"
).split()
ABOVE_ZERO = "log log2 log10 log1p sqrt".split()
INSIDE_ONE = "arcsin arccos arctanh".split()
TWO = (
    "add subtract multiply divide true_divide maximum minimum arctan2 remainder mod "
    "fmod floor_divide divmod less less_equal greater greater_equal equal not_equal "
    "logical_and logical_or logical_xor nextafter"
).split()
SMOOTH_TWO = (
    "add subtract multiply divide maximum minimum arctan2 remainder fmod".split()
)
COMPLEX = "exp sin cos tan sinh cosh tanh log sqrt square abs sign negative".split()


@pytest.mark.parametrize("name", EVERYWHERE)
def test_unary_functions_agree_with_numpy(name):
    agrees(name, A)
    agrees(name, np.float32(0.7))


@pytest.mark.parametrize("name", [n for n in EVERYWHERE if n != "reciprocal"])
def test_unary_functions_of_integers_agree_with_numpy(name):
    agrees(name, K, tol=1e-4)


@pytest.mark.parametrize("name", ABOVE_ZERO)
def test_logarithms_and_roots_agree_with_numpy(name):
    agrees(name, P)
    agrees(name, N)


@pytest.mark.parametrize("name", INSIDE_ONE)
def test_inverse_functions_agree_with_numpy(name):
    agrees(name, U)
    agrees("arccosh", P + 1)


@pytest.mark.parametrize("name", COMPLEX)
def test_functions_of_complex_numbers_agree_with_numpy(name):
    agrees(name, Z)


@pytest.mark.parametrize("name", TWO)
def test_binary_functions_agree_with_numpy(name):
    agrees(name, A, B)
    agrees(name, A, N)
    agrees(name, A, 0.75)


@pytest.mark.parametrize("name", [n for n in TWO if n not in ("arctan2", "nextafter")])
def test_binary_functions_of_integers_agree_with_numpy(name):
    agrees(name, K, N)
    agrees(name, K, -2)


@pytest.mark.parametrize("name", ["maximum", "minimum", "less", "greater_equal"])
def test_complex_numbers_are_ordered_as_in_numpy(name):
    agrees(name, Z, np.flip(Z))
    agrees(name, Z, Z.real + 1j * Z.imag[::-1])


@pytest.mark.parametrize("name", ["bitwise_and", "bitwise_or", "bitwise_xor"])
def test_bit_functions_agree_with_numpy(name):
    agrees(name, K, J)
    agrees(name, M, M[::-1])
    agrees("invert", K)
    agrees("bitwise_count", K)


def test_shifts_agree_with_numpy():
    agrees("left_shift", K, 3)
    agrees("right_shift", K, N)
    agrees("right_shift", K.astype(np.uint8), 2)


def test_logic_takes_numbers():
    agrees("logical_and", A, K)
    agrees("logical_not", K)
    agrees("add", M, M[::-1])
    agrees("multiply", M, M[::-1])


@pytest.mark.parametrize("decimals", [-2, 0, 1, 3])
def test_round_agrees_with_numpy(decimals):
    agrees("round", A * 100, decimals, tol=1e-3)
    agrees("round", K * 37, decimals)
    agrees("round", Z, 1)


def test_powers_agree_with_numpy():
    agrees("power", P, B)
    agrees("power", K, np.abs(J))
    agrees("power", A, 3)
    agrees("float_power", P, 2)
    assert jnp.power(2, jnp.array([-1, 3, 0])).tolist() == [0, 8, 1]
    assert jnp.power(-1, jnp.array([-1, -2, 65])).tolist() == [-1, 1, -1]


@pytest.mark.parametrize("name", SMOOTH)
def test_unary_functions_have_right_derivatives(name):
    has_right_derivatives(getattr(jnp, name), A)


@pytest.mark.parametrize("name", [*ABOVE_ZERO, "arccosh"])
def test_functions_of_positive_numbers_have_right_derivatives(name):
    has_right_derivatives(getattr(jnp, name), P + (name == "arccosh"))


@pytest.mark.parametrize("name", INSIDE_ONE)
def test_inverse_functions_have_right_derivatives(name):
    has_right_derivatives(getattr(jnp, name), U)


@pytest.mark.parametrize("name", SMOOTH_TWO)
def test_binary_functions_have_right_derivatives(name):
    has_right_derivatives(getattr(jnp, name), A, P[0])


@pytest.mark.parametrize(
    "f",
    [lambda x: x**3, lambda x: x**-2, lambda x: x**0.5, lambda x: 2**x, lambda x: x**x],
)
def test_powers_have_right_derivatives(f):
    has_right_derivatives(f, P)


def test_quotients_of_integers_by_zero_are_defined():
    zero = jnp.array([0])
    assert jnp.floor_divide(jnp.array([5]), zero).tolist() == [-1]
    assert jnp.remainder(jnp.array([5]), zero).tolist() == [5]


def test_integers_do_not_overflow_their_width_silently():
    with pytest.raises(ArgumentError, match="does not fit int32"):
        jnp.asarray(2**40)


@pytest.mark.parametrize(
    "name",
    "arctan2 remainder floor_divide nextafter heaviside copysign hypot".split(),
)
def test_complex_numbers_are_refused_where_they_have_no_meaning(name):
    with pytest.raises(DtypeError):
        getattr(jnp, name)(jnp.asarray(Z), 2.0)


@pytest.mark.parametrize(
    "name", "fabs signbit isposinf isneginf argmax argmin nanargmax".split()
)
@pytest.mark.parametrize("run", [lambda f: f, jit])
def test_complex_numbers_are_refused_by_name_at_once_and_compiled(name, run):
    with pytest.raises(DtypeError, match=r"takes real numbers; got c64\[.*abs first"):
        run(getattr(jnp, name))(jnp.asarray(Z))


@pytest.mark.parametrize("name", ["exp2", "rint", "log10", "log2"])
def test_functions_of_complex_numbers_without_an_operation_agree(name):
    agrees(name, Z)
    agrees(name, np.zeros(2, np.complex64))


@pytest.mark.parametrize("name", ["fmax", "fmin"])
def test_extremes_beside_nan_order_complex_numbers(name):
    agrees(name, Z, np.flip(Z))
    agrees(name, Z, np.full_like(Z, np.nan))


def test_bits_of_floats_are_refused():
    with pytest.raises(DtypeError, match=r"bitwise_and.*f32\[4\]"):
        jnp.bitwise_and(jnp.asarray(B), 1)


def test_decimals_must_be_known_when_tracing():
    with pytest.raises(TracerIntegerError, match="decimals"):
        jit(lambda n: jnp.round(1.5, n))(1)


def test_functions_are_named_and_documented():
    assert jnp.sin.__name__ == "sin"
    assert jnp.sin.__doc__ == "Give the sine; integers become floats."
