"""Bits: eight in a byte, and those of floating-point numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.numpy import composed, creation, reductions, shaping, ufuncs
from pullback.numpy.arguments import (
    array_argument,
    describe,
    static_int,
    wrong_dtype,
)
from pullback.numpy.promotion import as_inexact, convert
from pullback.primitives import structural, table
from pullback.primitives.creation import bitcast_convert_type
from pullback.primitives.recipes import canonical_axis
from pullback.primitives.shaping import pad, slice_in_dim


def _shifts(bitorder: str, who: str) -> Value:
    """Give how far each of eight bits stands from the lowest."""
    if bitorder not in ("big", "little"):
        raise ArgumentError(
            f"{who} was given bitorder={bitorder!r}.",
            where=called_at(),
            mend="Use 'big' or 'little'.",
        )
    order = range(7, -1, -1) if bitorder == "big" else range(8)
    return creation.array(list(order), dtypes.uint8)


def _along_last(a: Value, axis: int | None, who: str) -> tuple[Value, int]:
    """Bring an axis to the end; None ravels."""
    if axis is None or not a.shape:
        return shaping.ravel(a), 0
    axis = canonical_axis(axis, len(a.shape), who)
    return shaping.moveaxis(a, axis, -1), axis


def packbits(a: Any, axis: int | None = None, bitorder: str = "big") -> Value:
    """Pack eight truth values a byte, zeros behind the last."""
    a = array_argument(a, "packbits")
    if not ufuncs.is_exact(a):
        raise wrong_dtype(
            "packbits",
            f"takes integers and booleans; got {describe(a)}.",
            "Compare it with 0 first.",
        )
    x, axis = _along_last(ufuncs.truth(a, "packbits"), axis, "packbits")
    count = -(-x.shape[-1] // 8)
    config = [(0, 0, 0)] * len(x.shape)
    config[-1] = (0, 8 * count - x.shape[-1], 0)
    groups = structural.reshape(pad(x, False, config), (*x.shape[:-1], count, 8))
    set_bits = ufuncs.left_shift(
        groups.astype(dtypes.uint8), _shifts(bitorder, "packbits")
    )
    return shaping.moveaxis(reductions.sum(set_bits, -1, dtypes.uint8), -1, axis)


def unpackbits(
    a: Any, axis: int | None = None, count: int | None = None, bitorder: str = "big"
) -> Value:
    """Give the bits of bytes as zeros and ones; `count` of them, cut off or filled."""
    a = array_argument(a, "unpackbits")
    if a.dtype != dtypes.uint8:
        raise wrong_dtype(
            "unpackbits", f"takes bytes; got {describe(a)}.", "Use astype(uint8)."
        )
    x, axis = _along_last(a, axis, "unpackbits")
    each = ufuncs.right_shift(x[..., None], _shifts(bitorder, "unpackbits"))
    n = 8 * x.shape[-1]
    bits = structural.reshape(table.and_(each, 1), (*x.shape[:-1], n))
    if count is not None:
        count = static_int(count, "unpackbits", "count")
        count = max(0, n + count) if count < 0 else count
        config = [(0, 0, 0)] * (len(x.shape) - 1) + [(0, max(0, count - n), 0)]
        bits = slice_in_dim(pad(bits, 0, config), 0, count, len(x.shape) - 1)
    return shaping.moveaxis(bits, -1, axis)


def spacing(x: Any) -> Value:
    """Give the distance to the next float away from 0, with the sign of x.

    Its derivative is zero.
    """
    x = ufuncs.real_only(as_inexact(x, "spacing"), "spacing")
    info = dtypes.finfo(x.dtype)
    whole = np.dtype(f"i{x.dtype.itemsize}")
    digits = int(info.nmant)
    # 2^(e - digits) of the exponent e, written in bits: compiled arithmetic on numbers
    # as small as these gives zero.
    raw = bitcast_convert_type(composed.nan_to_num(table.abs(x)), whole)
    exponent = table.shift_right_arithmetic(raw, digits)
    normal = table.shift_left(table.max(table.sub(exponent, digits), 1), digits)
    small = table.shift_left(
        structural.full(x.shape, 1, whole),
        composed.clip(table.sub(exponent, 1), 0, digits - 1),
    )
    found = table.select(table.gt(exponent, digits), normal, small)
    out = bitcast_convert_type(found, x.dtype)
    largest = convert(structural.full((), float(info.max), dtypes.float64), x.dtype)
    out = table.select(table.eq(table.abs(x), largest), math.inf, out)
    out = table.select(table.lt(x, 0.0), table.neg(out), out)
    return table.select(table.is_finite(x), out, math.nan)
