"""Bits of bytes and of floats, against NumPy."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import enable_x64, grad, jit
from pullback.errors import ArgumentError, DtypeError
from tests.numpy.agreement import RNG, agrees, normal

FLAGS = normal(3, 11) > 0
BYTES = RNG.integers(0, 256, (2, 3)).astype(np.uint8)


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("order", ["big", "little"])
def test_bits_agree_with_numpy(axis, order):
    agrees("packbits", FLAGS, axis=axis, bitorder=order)
    for count in (None, 0, 3, 30, -2):
        agrees("unpackbits", BYTES, axis=axis, count=count, bitorder=order)


def test_bytes_have_their_dtype():
    assert jnp.packbits(jnp.arange(9)).dtype == np.uint8
    assert jnp.unpackbits(jnp.asarray(BYTES)).dtype == np.uint8


def test_what_is_no_byte_is_named():
    with pytest.raises(DtypeError, match=r"packbits takes integers.*f32\[2\]"):
        jnp.packbits(jnp.ones(2))
    with pytest.raises(DtypeError, match=r"unpackbits takes bytes; got i32\[2\]"):
        jnp.unpackbits(jnp.arange(2))
    with pytest.raises(ArgumentError, match="bitorder='middle'"):
        jnp.packbits(jnp.arange(2), bitorder="middle")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_spacing_agrees_with_numpy_on_the_smallest_and_largest(dtype):
    info = np.finfo(dtype)
    tiny, large = info.smallest_normal, info.max
    x = np.array([0, 1, -1, 7, 1e5, large, -large, large / 3], dtype)
    small = tiny * dtype(2.0) ** np.arange(-info.nmant, 2 * info.nmant)
    with np.errstate(all="ignore"):
        x = np.concatenate([x, [np.inf, -np.inf, np.nan], small]).astype(dtype)
        want = np.spacing(x)
    with enable_x64(dtype == np.float64):
        for f in (jnp.spacing, jit(jnp.spacing)):
            np.testing.assert_array_equal(f(jnp.asarray(x)), want)


def test_spacing_of_short_floats_and_its_derivative():
    assert float(jnp.spacing(jnp.bfloat16(1))) == 2**-7
    assert float(jnp.spacing(jnp.float16(-1))) == -(2**-10)
    assert float(grad(jnp.spacing)(1.5)) == 0
