"""Arrays of values, of nothing, and of ranges."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import enable_x64
from pullback.calls.jit import jit
from pullback.errors import (
    ArgumentError,
    DtypeError,
    NotAnArrayError,
    ShapeError,
    TracerIntegerError,
)
from pullback.transforms.derivatives import grad
from tests.numpy.agreement import (
    agrees,
    assert_same,
    has_right_derivatives,
    normal,
)

A, V, T = normal(3, 4), normal(4), normal(2, 3, 4)
SHIFTS = [-3, -1, 0, 1, 2, 5]


@pytest.mark.parametrize(
    "x",
    [
        1,
        2.5,
        True,
        1j,
        [1, 2],
        [[1.0, 2], [3, 4]],
        [[]],
        [],
        (1, 2.5),
        [True, 2],
        A,
        range(3),
    ],
    ids=str,
)
def test_array_agrees_with_numpy(x):
    assert_same([jnp.array(x), jnp.asarray(x)], [np.array(x), np.asarray(x)], 0)


def test_array_of_python_numbers_is_32_bits_wide():
    assert jnp.array([1, 2]).dtype == jnp.int32
    assert jnp.array([1.0]).dtype == jnp.array(np.ones(2)).dtype == jnp.float32
    assert jnp.array(1j).dtype == jnp.complex64


def test_array_copies_what_numpy_could_write_to():
    x = np.ones(3, np.float32)
    y = jnp.array(x)
    x[0] = 5
    assert y[0] == 1


def test_array_stacks_traced_values():
    out = jit(lambda a, b: jnp.array([[a, 1], [b, a + b]]))(2.0, 3.0)
    assert out.tolist() == [[2, 1], [3, 5]]
    out = jit(lambda a: jnp.array([jnp.zeros(2), a]))(jnp.ones(2))
    assert out.tolist() == [[0, 0], [1, 1]]


def test_array_takes_dtype_and_least_rank():
    assert jnp.array([1, 2], jnp.float16).dtype == jnp.float16
    assert jnp.array(1.7, dtype=int).tolist() == 1
    assert jnp.array([1, 2], ndmin=3).shape == (1, 1, 2)


@pytest.mark.parametrize("bad", ["a", None, {}, [None], [[1], [1, 2]], object(), ["a"]])
def test_array_refuses_what_is_no_array(bad):
    with pytest.raises((NotAnArrayError, ArgumentError, DtypeError), match="array"):
        jnp.array(bad)


def test_array_names_the_shapes_of_ragged_traced_lists():
    with pytest.raises(ShapeError, match=r"f32\[2\], f32\[\]"):
        jit(lambda a: jnp.array([a, 1.0]))(jnp.ones(2))


@pytest.mark.parametrize("name", ["zeros", "ones"])
def test_constant_arrays_agree_with_numpy(name):
    agrees(name, (2, 3))
    agrees(name, 4)
    agrees(name, (2, 3), np.int32)
    agrees(f"{name}_like", A)
    agrees(f"{name}_like", A, np.int32)
    agrees(f"{name}_like", A, shape=(5,))


def test_full_agrees_with_numpy():
    agrees("full", (2, 4), 7)
    agrees("full", (2, 4), V)
    agrees("full_like", A, 2.5)
    agrees("full_like", A, V)
    assert jit(lambda v: jnp.full((2,), v))(3.0).tolist() == [3, 3]
    with pytest.raises(ShapeError, match=r"f32\[4\] to shape \(2,\)"):
        jnp.full((2,), jnp.asarray(V))


def test_shapes_must_be_static_and_not_negative():
    with pytest.raises(
        TracerIntegerError, match="zeros needs shape as a static integer"
    ):
        jit(jnp.zeros)(3)
    with pytest.raises(ArgumentError, match="negative length"):
        jnp.ones((2, -1))
    with pytest.raises(ArgumentError, match="integer"):
        jnp.ones(2.5)


@pytest.mark.parametrize(
    "bounds", [(5,), (0,), (2, 7), (2, 7, 2), (1.5,), (0, 1, 0.1), (7, 2, -1), (5, 2)]
)
def test_arange_agrees_with_numpy(bounds):
    agrees("arange", *bounds)


@pytest.mark.parametrize(
    ("bounds", "dtype"),
    [
        ((np.int8(3),), "int8"),
        ((np.float16(0), 3), "float16"),
        ((0, 3, np.float16(1)), "float16"),
        ((np.int8(0), np.int16(5)), "int16"),
        ((np.int64(3),), "int32"),
        ((jnp.uint8(3),), "uint8"),
        ((True,), "int32"),
        ((0, 2.0), "float32"),
    ],
    ids=str,
)
def test_arange_has_the_dtype_of_the_arrays_among_its_bounds(bounds, dtype):
    found = jnp.arange(*bounds)
    assert found.dtype == dtype
    assert not found.weak_type


def test_arange_needs_static_bounds():
    with pytest.raises(TracerIntegerError, match="arange"):
        jit(jnp.arange)(3)
    with pytest.raises(ArgumentError, match="step=0"):
        jnp.arange(0, 1, 0)
    with pytest.raises(ShapeError, match=r"\(2,\)"):
        jnp.arange(jnp.ones(2))


@pytest.mark.parametrize("options", [{}, {"endpoint": False}, {"num": 1}, {"num": 0}])
def test_linspace_agrees_with_numpy(options):
    agrees("linspace", 0, 10, **options)
    agrees("linspace", np.float32(-1), np.float32(3), **options)
    agrees("linspace", A, A + 1, axis=1, **options)


def test_linspace_meets_its_traced_ends():
    out = jit(lambda a, b: jnp.linspace(a, b, 7))(0.1, 0.7)
    assert out[0] == np.float32(0.1)
    assert out[-1] == np.float32(0.7)


@pytest.mark.parametrize("low", [1e8, -1e8, 0.1])
def test_linspace_of_traced_ends_is_in_order(low):
    # Of 3,001 numbers between ends of which these are neighbours, most are equal.
    high = np.nextafter(np.float32(low), np.float32(np.inf))
    out = np.asarray(jit(lambda a, b: jnp.linspace(a, b, 3001))(np.float32(low), high))
    assert (np.diff(out) >= 0).all()
    assert set(out) == {np.float32(low), high}


def test_linspace_spans_more_than_its_dtype_holds():
    ends = np.float32(-3e38), np.float32(3e38)
    out = jit(lambda a, b: jnp.linspace(a, b, 5))(*ends)
    np.testing.assert_allclose(out, np.linspace(-3e38, 3e38, 5), rtol=1e-6, atol=1e30)
    has_right_derivatives(lambda x: jnp.linspace(x[0], x[1], 5), V[:2])


@pytest.mark.parametrize(("dtype", "bits"), [("float16", 11), ("bfloat16", 8)])
def test_linspace_of_halves_is_rounded_once(dtype, bits):
    ends = jnp.asarray([-1, 3], dtype)
    out = jit(lambda a, b: jnp.linspace(a, b, 5001))(*ends)
    assert out.dtype == dtype
    half_ulp = 1.001 * 2.0**-bits
    wanted = np.linspace(-1, 3, 5001)
    np.testing.assert_allclose(out.astype(jnp.float32), wanted, half_ulp, 1e-7)


def test_linspace_gives_the_step():
    agrees("linspace", 0.0, 1.0, 5, retstep=True)
    agrees("linspace", V, V + 2, 5, retstep=True)


def test_progressions_agree_with_numpy():
    agrees("logspace", 0, 2, 5)
    agrees("logspace", 0, 2, 5, base=2)
    agrees("geomspace", 1, 100, 5)
    agrees("geomspace", -1, -100, 5)


@pytest.mark.parametrize("indexing", ["xy", "ij"])
@pytest.mark.parametrize("sparse", [False, True])
def test_meshgrid_agrees_with_numpy(indexing, sparse):
    agrees("meshgrid", V, V[:3], V[:2], indexing=indexing, sparse=sparse)
    agrees("meshgrid", V, indexing=indexing, sparse=sparse)


def test_meshgrid_refuses_other_indexing():
    with pytest.raises(ArgumentError, match="'ab'"):
        jnp.meshgrid(1.0, indexing="ab")


def test_coordinates_agree_with_numpy():
    agrees("indices", (2, 3))
    agrees("indices", (2, 3), sparse=True)
    agrees("ix_", np.array([0, 2]), np.array([1, 3, 4]), compiled=False)
    agrees("fromfunction", lambda i, j: i + 10 * j, (2, 3))


def test_powers_agree_with_numpy():
    agrees("vander", V)
    agrees("vander", V, 3, increasing=True)


def test_buffers_and_iterables_become_arrays():
    assert jnp.frombuffer(b"\x01\x02", np.uint8).tolist() == [1, 2]
    assert jnp.fromiter((i * i for i in range(3)), int).tolist() == [0, 1, 4]
    assert jnp.fromstring("1, 2.5", sep=",").tolist() == [1, 2.5]
    assert jnp.fromstring("1 2 3", int, 2, sep=" ").dtype == np.int32
    assert jnp.ComplexWarning is np.exceptions.ComplexWarning


SMOOTH = {
    "array": lambda x: jnp.array([[x[0, 0], 1.0], [x[1, 1], x[0, 0]]]),
    "tril": jnp.tril,
    "diag": lambda x: jnp.diag(x[0], 1),
    "diagonal": jnp.diagonal,
    "linspace": lambda x: jnp.linspace(x[0], x[1], 5),
    "geomspace": lambda x: jnp.geomspace(x[0] ** 2 + 1, x[1] ** 2 + 2, 4),
    "vander": lambda x: jnp.vander(x[0]),
    "full": lambda x: jnp.full((2, 4), x[0]),
    "meshgrid": lambda x: jnp.meshgrid(x[0], x[1])[0],
}


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives_are_right(name):
    has_right_derivatives(SMOOTH[name], A)


def test_spaced_integers_are_rounded_down_as_in_numpy():
    for ends in ((-3.7, 5, 4), (5, -3.7, 6), (0, 1, 3)):
        agrees("linspace", *ends, dtype=np.int32)


def test_geometric_progressions_meet_their_ends_exactly():
    ends = jnp.geomspace(1, 8, 4, dtype=np.int32)
    assert (int(ends[0]), int(ends[-1])) == (1, 8)
    agrees("geomspace", 3.0, 1000.0, 5, endpoint=False)
    agrees("geomspace", np.float32([1, 2]), np.float32(7), 3, axis=-1)
    assert jnp.geomspace(1.0, 7.0, 1).tolist() == [1]
    assert jnp.geomspace(1.0, 7.0, 0).shape == (0,)
    assert float(jnp.geomspace(1.0, 7.1, 9)[-1]) == np.float32(7.1)


def test_powers_of_a_number_have_derivatives_in_32_bits_among_64():
    with enable_x64():
        x = jnp.array([1.0, 2.0], jnp.float32)
        for f in (
            lambda x: jnp.logspace(x, 2, 3),
            lambda x: jnp.float_power(x, 2.5),
            lambda x: jnp.float_power(10.0, x),
        ):
            slope = grad(lambda x, f=f: f(x).sum())(x)
            assert slope.dtype == jnp.float32
        np.testing.assert_allclose(slope, np.log(10) * 10 ** np.array([1, 2]), 1e-5)


def test_arrays_of_other_libraries_are_copied():
    x = np.arange(3, dtype=np.float32)
    ours = jnp.from_dlpack(x)
    x[0] = 9
    assert ours.tolist() == [0, 1, 2]
    assert jnp.from_dlpack(ours).tolist() == [0, 1, 2]
