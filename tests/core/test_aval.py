"""Types of arrays, and stand-ins for arrays."""

import numpy as np
import pytest

from pullback import ShapeDtypeStruct, dtypes, float0
from pullback.config import config
from pullback.core.aval import Aval
from pullback.errors import DtypeError

STRONG = Aval((2,), dtypes.float32)
WEAK = Aval((2,), dtypes.float32, True)


@pytest.mark.parametrize(
    ("shape", "dtype", "text"),
    [
        ((), "float32", "f32[]"),
        ((3, 4), "int8", "i8[3,4]"),
        ((2,), "bool", "bool[2]"),
        ((), "bfloat16", "bf16[]"),
        ((), "float8_e5m2", "f8_e5m2[]"),
        ((0,), "complex64", "c64[0]"),
        ((2,), float0, "float0[2]"),
    ],
)
def test_aval_must_print_as_in_jaxprs(shape, dtype, text):
    assert str(Aval(shape, dtypes.canonical(dtype))) == text


def test_aval_must_count_axes_elements_and_bytes():
    aval = Aval((3, 4), dtypes.float16)
    assert (aval.ndim, aval.size, aval.nbytes) == (2, 12, 24)


def test_aval_equality_must_see_the_weak_flag():
    assert STRONG != WEAK
    assert STRONG == Aval((2,), dtypes.float32)


def test_aval_must_match_whatever_the_weak_flag():
    assert STRONG.matches(WEAK)
    assert not STRONG.matches(Aval((3,), dtypes.float32))
    assert not STRONG.matches(Aval((2,), dtypes.int32))


def test_aval_must_differ_from_other_objects():
    assert Aval((2,), dtypes.float32) != "f32[2]"


def test_equal_avals_must_have_equal_hashes():
    assert len({STRONG, Aval((2,), dtypes.float32), WEAK}) == 2


def test_strong_must_drop_the_weak_flag():
    assert WEAK.weak_type
    assert WEAK.strong() == STRONG
    assert STRONG.strong() is STRONG


def test_tangent_of_a_float_type_must_be_the_type_itself():
    assert STRONG.tangent() is STRONG


@pytest.mark.parametrize("dtype", [dtypes.int32, dtypes.bool_, dtypes.uint8])
def test_tangent_of_other_types_must_be_float0(dtype):
    assert Aval((2,), dtype).tangent() == Aval((2,), float0)


def test_stand_in_must_take_any_iterable_and_name_of_a_dtype():
    stand_in = ShapeDtypeStruct([2, np.int64(3)], "float32")
    assert stand_in.shape == (2, 3)
    assert stand_in.dtype == np.float32


def test_stand_in_must_narrow_wide_dtypes_by_default():
    assert ShapeDtypeStruct((), "float64").dtype == np.float32
    with config.context(enable_x64=True):
        assert ShapeDtypeStruct((), "float64").dtype == np.float64


def test_stand_in_must_print_by_name():
    text = "ShapeDtypeStruct(shape=(2,), dtype=float32)"
    assert repr(ShapeDtypeStruct((2,), np.float32)) == text


def test_stand_in_must_equal_what_has_its_shape_and_dtype():
    stand_in = ShapeDtypeStruct((2,), np.float32)
    assert stand_in == ShapeDtypeStruct([2], "float32")
    assert stand_in == STRONG
    assert STRONG == stand_in
    assert stand_in != ShapeDtypeStruct((3,), np.float32)
    assert stand_in != "f32[2]"


def test_equal_stand_ins_must_have_equal_hashes():
    stand_in = ShapeDtypeStruct((2,), np.float32)
    assert len({stand_in, STRONG}) == 1
    assert len({stand_in, WEAK}) == 2


def test_stand_in_must_refuse_what_is_no_dtype():
    with pytest.raises(DtypeError, match="'cube' is no dtype"):
        ShapeDtypeStruct((), "cube")
