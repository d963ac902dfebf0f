"""Dtypes by name and questions about them."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback.calls.jit import jit
from pullback.config import config
from pullback.errors import DtypeError
from pullback.transforms.derivatives import grad

NAMES = (
    "bool_ int8 int16 int32 uint8 uint16 uint32 float16 bfloat16 float32 complex64 "
    "float8_e4m3fn float8_e5m2 float8_e3m4 float8_e4m3 float8_e4m3b11fnuz "
    "float8_e4m3fnuz float8_e5m2fnuz"
).split()


@pytest.mark.parametrize("name", NAMES)
def test_a_type_is_a_dtype_and_makes_arrays(name):
    kind = getattr(jnp, name)
    assert np.dtype(kind) == kind.dtype == kind
    assert kind(1).dtype == kind
    assert not kind(1).weak_type
    assert jnp.zeros(2, kind).dtype == kind
    assert hash(kind) == hash(kind.dtype)
    assert jit(kind)(1).dtype == kind


def test_types_differ_from_one_another():
    assert jnp.float32 != jnp.float16
    assert jnp.float32 != 3
    assert repr(jnp.float32) == "pullback.numpy.float32"
    assert jnp.float32.__name__ == "float32"


def test_wide_types_are_narrowed_unless_enabled():
    assert jnp.float64(1).dtype == jnp.float32
    with config.context(enable_x64=True):
        assert jnp.float64(1).dtype == jnp.float64
        assert jnp.int_(1).dtype == jnp.int64


def test_kinds_of_dtypes_are_known():
    assert jnp.issubdtype(jnp.bfloat16, jnp.floating)
    assert jnp.issubdtype(jnp.float32, jnp.float32)
    assert not jnp.issubdtype(jnp.float32, jnp.integer)
    assert jnp.isdtype(jnp.bfloat16, "real floating")
    assert jnp.isdtype(np.int8, ("bool", "signed integer"))
    assert not jnp.isdtype(jnp.int8, jnp.float32)


def test_limits_are_known():
    assert jnp.finfo(jnp.float32).eps == np.finfo(np.float32).eps
    assert jnp.finfo(jnp.bfloat16).bits == 16
    assert jnp.iinfo(jnp.int8).max == 127


def test_common_dtypes_follow_the_lattice():
    assert jnp.promote_types(jnp.int8, jnp.uint8) == jnp.int16
    assert jnp.result_type(jnp.int8, 2.0) == jnp.float32
    assert jnp.result_type(jnp.float16, 2.0) == jnp.float16
    assert jnp.result_type(jnp.ones(2), 1j) == jnp.complex64
    assert jnp.result_type("int8", float, jnp.bfloat16) == jnp.bfloat16


def test_casts_follow_numpy():
    assert jnp.can_cast(np.int8, np.int16)
    assert not jnp.can_cast(jnp.float32, jnp.int8)
    assert jnp.astype(jnp.array([1.7, -1.7]), jnp.int8).tolist() == [1, -1]
    assert jnp.array([0.5, 0.0]).astype(bool).tolist() == [True, False]


def test_scalars_are_known():
    assert jnp.isscalar(3.0)
    assert jnp.isscalar(jnp.float32(3))
    assert not jnp.isscalar(jnp.ones(1))


def test_an_unknown_dtype_is_named():
    with pytest.raises(DtypeError, match="'wrong' is no dtype"):
        jnp.ones(2).astype("wrong")


@pytest.mark.parametrize("name", [n for n in NAMES if n.startswith("float8")])
def test_eight_bit_floats_are_computed_with_and_differentiated(name):
    x = jnp.array([0.5, 1.0, -2.0, 0.0], getattr(jnp, name))
    f = lambda x: (x * x + x).astype("float32")  # noqa: E731
    assert f(x).tolist() == jit(f)(x).tolist() == [0.75, 2.0, 2.0, 0.0]
    assert jit(lambda x: x + x)(x).dtype == x.dtype
    slope = grad(lambda x: jnp.sum(f(x)))(x)
    assert (slope.dtype, slope.tolist()) == (x.dtype, [2.0, 3.0, -3.0, 1.0])
    assert (x + 1).dtype == x.dtype
