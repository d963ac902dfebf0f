"""The order of numbers as an order of integers."""

from __future__ import annotations

from pullback import dtypes
from pullback.core.trace import Value
from pullback.primitives.creation import BitcastConvertType
from pullback.primitives.table import convert, lt, ne, not_, select, sub, xor


def ordered_bits(x: Value, descending: bool = False, zeros: bool = False) -> Value:
    """Give unsigned integers in the order of `x`: -0 is 0, nan comes last.

    They have 64 bits for dtypes of 64, and 32 for all others.

    Args:
        x: real numbers or booleans.
        descending: whether the greatest number comes first; nan still comes last.
        zeros: whether -0 is less than 0.
    """
    dtype = x.dtype
    wide = dtype.itemsize == 8
    out = dtypes.uint64 if wide else dtypes.uint32
    top = 1 << (8 * out.itemsize - 1)
    if dtype == dtypes.bool_ or dtype.kind == "u":
        bits = convert(x, out)
        return not_(bits) if descending else bits
    signed = dtypes.int64 if wide else dtypes.int32
    integer = dtypes.is_integer(dtype)
    if integer:
        key = convert(x, signed)
    else:
        x = convert(x, dtypes.float64 if wide else dtypes.float32)
        # A sign and a size: negative ones are minus their size, and -0 is 0; or one
        # less than that, and -0 is -1.
        key = BitcastConvertType(signed)(x)
        size = xor(key, top - 1) if zeros else sub(-top, key)
        key = select(lt(key, 0), size, key)
    bits = xor(BitcastConvertType(out)(key), top)
    if descending:
        bits = not_(bits)
    return bits if integer else select(ne(x, x), 2 * top - 1, bits)


def single_of_bits(bits: Value) -> Value:
    """Give the float32 that have these `ordered_bits`, -0 less than 0."""
    key = BitcastConvertType(dtypes.int32)(xor(bits, 1 << 31))
    key = select(lt(key, 0), xor(key, 2**31 - 1), key)
    return BitcastConvertType(dtypes.float32)(key)
