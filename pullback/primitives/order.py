"""The order of numbers as an order of integers."""

from __future__ import annotations

from pullback import dtypes
from pullback.core.trace import Value
from pullback.primitives.creation import BitcastConvertType
from pullback.primitives.table import convert, lt, ne, not_, select, sub, xor


def ordered_bits(x: Value, descending: bool = False) -> Value:
    """Give unsigned integers in the order of `x`: -0 is 0, nan comes last.

    They have 64 bits for dtypes of 64, and 32 for all others.

    Args:
        x: real numbers or booleans.
        descending: whether the greatest number comes first; nan still comes last.
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
        # A sign and a size: negative ones are minus their size, and -0 is 0.
        key = BitcastConvertType(signed)(x)
        key = select(lt(key, 0), sub(-top, key), key)
    bits = xor(BitcastConvertType(out)(key), top)
    if descending:
        bits = not_(bits)
    return bits if integer else select(ne(x, x), 2 * top - 1, bits)
