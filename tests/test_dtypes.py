"""Dtypes: names, kinds, widths, and the documented promotion lattice."""

import itertools

import ml_dtypes
import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import dtypes, jit
from pullback.config import config
from pullback.dtypes import promote, promote_types
from pullback.errors import DtypeError

# The join of two strong dtypes as documented for JAX ("Type promotion semantics"), with
# 64-bit types: rows and columns in this order.
ORDER = "b1 u1 u2 u4 u8 i1 i2 i4 i8 bf f2 f4 f8 c8 c16".split()
WIDE = """
b1  u1  u2  u4  u8  i1  i2  i4  i8  bf  f2  f4  f8  c8  c16
u1  u1  u2  u4  u8  i2  i2  i4  i8  bf  f2  f4  f8  c8  c16
u2  u2  u2  u4  u8  i4  i4  i4  i8  bf  f2  f4  f8  c8  c16
u4  u4  u4  u4  u8  i8  i8  i8  i8  bf  f2  f4  f8  c8  c16
u8  u8  u8  u8  u8  f*  f*  f*  f*  bf  f2  f4  f8  c8  c16
i1  i2  i4  i8  f*  i1  i2  i4  i8  bf  f2  f4  f8  c8  c16
i2  i2  i4  i8  f*  i2  i2  i4  i8  bf  f2  f4  f8  c8  c16
i4  i4  i4  i8  f*  i4  i4  i4  i8  bf  f2  f4  f8  c8  c16
i8  i8  i8  i8  f*  i8  i8  i8  i8  bf  f2  f4  f8  c8  c16
bf  bf  bf  bf  bf  bf  bf  bf  bf  bf  f4  f4  f8  c8  c16
f2  f2  f2  f2  f2  f2  f2  f2  f2  f4  f2  f4  f8  c8  c16
f4  f4  f4  f4  f4  f4  f4  f4  f4  f4  f4  f4  f8  c8  c16
f8  f8  f8  f8  f8  f8  f8  f8  f8  f8  f8  f8  f8  c16 c16
c8  c8  c8  c8  c8  c8  c8  c8  c8  c8  c8  c8  c16 c8  c16
c16 c16 c16 c16 c16 c16 c16 c16 c16 c16 c16 c16 c16 c16 c16
"""
JOINS = {
    (left, right): cell
    for left, row in zip(ORDER, WIDE.split("\n")[1:-1])
    for right, cell in zip(ORDER, row.split())
}
# The join of a weak Python number and a strong dtype, with 64-bit types.
WEAK = {
    bool: "b1  u1  u2  u4  u8  i1  i2  i4  i8  bf  f2  f4  f8  c8  c16",
    int: "i8* u1  u2  u4  u8  i1  i2  i4  i8  bf  f2  f4  f8  c8  c16",
    float: "f8* f8* f8* f8* f8* f8* f8* f8* f8* bf  f2  f4  f8  c8  c16",
    complex: "c16* c16* c16* c16* c16* c16* c16* c16* c16* c8 c8 c8  c16 c8  c16",
}


def named(name):
    return dtypes.bfloat16 if name == "bf" else np.dtype(name)


# The lattice.


@pytest.mark.parametrize(("left", "right"), JOINS)
def test_strong_dtypes_must_join_as_documented(left, right):
    wanted = JOINS[left, right]
    with config.context(enable_x64=True):
        joined = promote((named(left), False), (named(right), False))
    if wanted == "f*":
        assert joined == (dtypes.float64, True)
    else:
        assert joined == (named(wanted), False)


@pytest.mark.parametrize("kind", WEAK)
def test_weak_numbers_must_join_as_documented(kind):
    for strong, cell in zip(ORDER, WEAK[kind].split()):
        with config.context(enable_x64=True):
            number = dtypes.scalar_dtype(kind)
            joined = promote((number, kind is not bool), (named(strong), False))
        weak = cell.endswith("*")
        assert joined == (named(cell.rstrip("*")), weak), strong


def test_joins_must_not_depend_on_the_order():
    for trio in itertools.combinations(ORDER, 3):
        pairs = [(named(name), False) for name in trio]
        found = {promote(*p) for p in itertools.permutations(pairs)}
        assert len(found) == 1, trio


def test_weak_flag_must_stay_where_all_operands_are_weak():
    weak = (dtypes.float32, True)
    assert promote(weak, weak) == weak
    assert promote(weak) == weak
    assert promote(weak, (dtypes.float32, False)) == (dtypes.float32, False)


def test_joins_must_be_narrow_by_default():
    assert promote((dtypes.uint32, False), (dtypes.int32, False))[0] == dtypes.int32
    assert promote_types("uint8", "int8") == dtypes.int16
    assert promote_types(np.int64, np.float64) == dtypes.float32


def test_switch_must_change_joins_at_once():
    pair = ((dtypes.int32, False), (dtypes.float32, True))
    assert promote(*pair) == (dtypes.float32, True)
    with config.context(enable_x64=True):
        assert promote(*pair) == (dtypes.float64, True)


@pytest.mark.parametrize("wide", ["bfloat16", "float16", "float32", "complex64"])
@pytest.mark.parametrize("narrow", [d.name for d in dtypes.EIGHT_BITS])
def test_eight_bit_floats_must_join_wider_ones(narrow, wide):
    found = promote_types(getattr(dtypes, narrow), getattr(dtypes, wide))
    assert found == getattr(dtypes, wide)


def test_dtypes_without_a_least_common_one_must_be_refused():
    message = r"dtypes float8_e4m3fn, float8_e5m2 have no common.*astype"
    with pytest.raises(DtypeError, match=message):
        promote_types(dtypes.float8_e4m3fn, dtypes.float8_e5m2)


# Names and kinds.


@pytest.mark.parametrize(
    ("dtype", "text"),
    [
        ("bool", "bool"),
        ("int8", "i8"),
        ("uint64", "u64"),
        ("float16", "f16"),
        ("complex128", "c128"),
        (ml_dtypes.bfloat16, "bf16"),
        (ml_dtypes.float8_e4m3fn, "f8_e4m3fn"),
        (ml_dtypes.float8_e4m3b11fnuz, "f8_e4m3b11fnuz"),
        (dtypes.float0, "float0"),
        ("S3", "|S3"),
    ],
)
def test_short_name_must_be_that_of_jaxprs(dtype, text):
    assert dtypes.short(np.dtype(dtype)) == text


@pytest.mark.parametrize(
    ("given", "narrow", "wide"),
    [
        (float, "float32", "float64"),
        (int, "int32", "int64"),
        (complex, "complex64", "complex128"),
        (bool, "bool", "bool"),
        ("float64", "float32", "float64"),
        (np.uint64, "uint32", "uint64"),
        ("int8", "int8", "int8"),
        (np.dtype("complex128"), "complex64", "complex128"),
        (ml_dtypes.bfloat16, ml_dtypes.bfloat16, ml_dtypes.bfloat16),
    ],
)
def test_canonical_dtype_must_follow_the_width(given, narrow, wide):
    assert dtypes.canonical(given) == np.dtype(narrow)
    with config.context(enable_x64=True):
        assert dtypes.canonical(given) == np.dtype(wide)


@pytest.mark.parametrize("given", ["cube", object(), 3])
def test_what_is_no_dtype_must_be_refused(given):
    with pytest.raises(DtypeError, match=r"is no dtype.*Give a NumPy dtype such as"):
        dtypes.canonical(given)


@pytest.mark.parametrize("given", ["S3", "datetime64[s]", object, "V4"])
def test_dtype_of_no_array_must_be_refused(given):
    with pytest.raises(DtypeError, match=r"arrays cannot have dtype .*Use booleans"):
        dtypes.canonical(given)


KINDS = {
    "bool": (False, False, False, bool),
    "int16": (False, False, True, int),
    "uint32": (False, False, True, int),
    "float16": (True, False, False, float),
    "bfloat16": (True, False, False, float),
    "float8_e5m2": (True, False, False, float),
    "float64": (True, False, False, float),
    "complex64": (False, True, False, complex),
}


@pytest.mark.parametrize("name", KINDS)
def test_kind_of_a_dtype_must_be_known(name):
    dtype = getattr(dtypes, "bool_" if name == "bool" else name)
    real, imaginary, whole, kind = KINDS[name]
    assert dtypes.is_float(dtype) is real
    assert dtypes.is_complex(dtype) is imaginary
    assert dtypes.is_inexact(dtype) is (real or imaginary)
    assert dtypes.is_integer(dtype) is whole
    assert dtypes.kind_of(dtype) is kind


@pytest.mark.parametrize("name", KINDS)
def test_tangents_must_have_the_dtype_or_none(name):
    dtype = getattr(dtypes, "bool_" if name == "bool" else name)
    wanted = dtype if dtypes.is_inexact(dtype) else dtypes.float0
    assert dtypes.tangent_dtype(dtype) == wanted


@pytest.mark.parametrize(
    ("dtype", "real", "imaginary"),
    [
        ("complex64", "float32", "complex64"),
        ("complex128", "float64", "complex128"),
        ("float32", "float32", "complex64"),
        ("float64", "float64", "complex128"),
        ("int32", "int32", "complex64"),
    ],
)
def test_real_and_complex_dtypes_must_correspond(dtype, real, imaginary):
    assert dtypes.real_dtype(np.dtype(dtype)) == real
    assert dtypes.complex_dtype(np.dtype(dtype)) == imaginary


# Limits and kinds by NumPy's classes.


def test_limits_must_be_those_of_numpy_and_ml_dtypes():
    assert dtypes.finfo("float32").eps == np.finfo("float32").eps
    assert dtypes.finfo(ml_dtypes.bfloat16).eps == 2**-7
    assert dtypes.finfo("complex64").eps == np.finfo("complex64").eps
    assert dtypes.iinfo("int8").max == 127


@pytest.mark.parametrize(
    ("a", "b", "answer"),
    [
        ("float32", np.floating, True),
        (ml_dtypes.bfloat16, np.floating, True),
        (ml_dtypes.bfloat16, np.inexact, True),
        (ml_dtypes.bfloat16, np.integer, False),
        (ml_dtypes.bfloat16, ml_dtypes.bfloat16, True),
        ("float32", np.float32, True),
        ("int8", np.integer, True),
        ("complex64", np.floating, False),
        (np.floating, np.inexact, True),
        ("float32", "float32", True),
    ],
)
def test_kinds_must_be_told_as_numpy_does(a, b, answer):
    assert dtypes.issubdtype(a, b) is answer


def test_abstract_kind_that_is_no_dtype_must_be_told_too():
    class Mine(np.floating):
        """A class that NumPy makes no dtype of."""

    assert dtypes.issubdtype(Mine, np.floating)


# By the names of the ecosystem.


def test_canonical_dtypes_are_those_of_arrays():
    assert dtypes.canonicalize_dtype(np.float64) == np.float32
    assert dtypes.canonicalize_dtype(int) == np.int32
    with config.context(enable_x64=True):
        assert dtypes.canonicalize_dtype("int64") == np.int64
    with pytest.raises(DtypeError, match="arrays cannot have dtype object"):
        dtypes.canonicalize_dtype(object)


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        ((1, np.float32(2)), ("float32", False)),
        ((1,), ("int32", True)),
        ((float, np.ones(2, np.int8)), ("float32", True)),
        ((True, "uint8"), ("uint8", False)),
        ((jnp.ones(2) * 1, np.float64), ("float32", False)),
        ((jnp.asarray(1.0), jnp.bfloat16), ("bfloat16", False)),
        ((jnp.sin(1.0),), ("float32", True)),
    ],
)
def test_result_types_are_those_of_operations(args, wanted):
    dtype, weak = dtypes.result_type(*args, return_weak_type_flag=True)
    assert (dtype.name, weak) == wanted
    assert dtypes.result_type(*args) == jnp.result_type(*args) == dtype


def test_traced_values_have_result_types():
    found = []
    jit(lambda x: (found.append(dtypes.result_type(x, 1.0)), x)[1])(np.float16(1))
    assert found == [dtypes.float16]


def test_what_has_no_dtype_has_no_result_type():
    with pytest.raises(DtypeError, match=r"given nothing.*result_type\(x, 'float32'\)"):
        dtypes.result_type()
    with pytest.raises(DtypeError, match="is no dtype"):
        dtypes.result_type([1, "a"])


def test_scalar_types_are_pythons():
    found = [
        dtypes.scalar_type_of(x)
        for x in (True, 1, 1.0, 1j, np.int8(1), jnp.ones(1), "bfloat16", bool)
    ]
    assert found == [bool, int, float, complex, int, float, float, bool]
    with pytest.raises(DtypeError, match="holds no number"):
        dtypes.scalar_type_of(np.zeros(2, dtypes.float0))


def test_bits_are_those_of_an_element():
    names = "bool int8 uint64 bfloat16 float8_e5m2 complex64 int4 uint2".split()
    bits = [dtypes.itemsize_bits(n) for n in names]
    assert bits == [8, 8, 64, 16, 8, 64, 4, 2]
    assert dtypes.itemsize_bits(jnp.float64) == 64
    for wrong in (None, "U3", "no", dtypes.float0):
        with pytest.raises(DtypeError, match=r"itemsize_bits was given .* no dtype of"):
            dtypes.itemsize_bits(wrong)
