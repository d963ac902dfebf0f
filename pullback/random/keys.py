"""Keys, and the uniform bits and numbers made from them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import dtypes
from pullback.config import config
from pullback.core.array import Operators, from_host
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError, DtypeError, ShapeError
from pullback.numpy.arguments import array_argument, shape_argument, static_int
from pullback.numpy.promotion import as_inexact
from pullback.numpy.shaping import broadcast_to
from pullback.primitives import table
from pullback.primitives.creation import bitcast_convert_type
from pullback.primitives.elementwise import try_broadcast
from pullback.primitives.random_bits import (
    random_bits,
    random_fold_in,
    random_seed,
    random_split,
)
from pullback.primitives.structural import full

__all__ = [
    "PRNGKey",
    "bernoulli",
    "bits",
    "clone",
    "fold_in",
    "key",
    "key_data",
    "key_impl",
    "rademacher",
    "randint",
    "split",
    "uniform",
    "wrap_key_data",
]

# -- keys ------------------------------------------------------------------------------


def key(seed: Any, *, impl: str | None = None) -> Value:
    """Make a key `u32[2]` of an integer seed: its upper and lower 32 bits.

    With 64-bit types switched off, the lower bits only.

    Args:
        seed: an integer, or a traced one.
        impl: None or "threefry2x32".

    Example:
        >>> key(0)
        Array([0, 0], dtype=uint32)
    """
    if impl not in (None, "threefry2x32"):
        raise ArgumentError(
            f"random.key was given impl={impl!r}.",
            where=called_at(),
            mend="Leave it out: the only generator is 'threefry2x32'.",
        )
    if isinstance(seed, Operators):
        x = seed
    else:
        seed = static_int(seed, "random.key", "seed")
        x = from_host(np.array(seed & 0xFFFFFFFFFFFFFFFF, np.uint64))
        if not config.enable_x64:
            x = from_host(np.array(seed & 0xFFFFFFFF, np.uint32))
    if x.shape or not dtypes.is_integer(x.dtype):  # type: ignore[attr-defined]
        raise ArgumentError(
            f"random.key takes an integer; it was given {x.aval}.",  # type: ignore[attr-defined]
            where=called_at(),
            mend="Give one integer; for several keys, use split, or vmap(key).",
        )
    return random_seed(x)


PRNGKey = key


def one_key(key: Any, who: str) -> Value:
    """Give a single key.

    Raises:
        ShapeError: something else.
    """
    x = array_argument(key, f"random.{who}", "the key")
    if x.shape != (2,) or x.dtype != dtypes.uint32:
        raise ShapeError(
            f"random.{who} was given a key of type {x.aval}; a key is u32[2].",
            where=called_at(),
            mend="Make it with random.key(seed) or random.split; map over several with "
            "vmap.",
        )
    return x


def split(key: Any, num: Any = 2) -> Value:
    """Make `num` new keys (an integer, or a shape), independent of each other.

    Example:
        >>> first, second = split(PRNGKey(0))
        >>> second
        Array([ 928981903, 3453687069], dtype=uint32)
    """
    return random_split(one_key(key, "split"), shape_argument(num, "random.split"))


def fold_in(key: Any, data: Any) -> Value:
    """Make a new key of a key and a 32-bit integer, which may be traced."""
    if not isinstance(data, Operators):
        number = static_int(data, "random.fold_in", "data")
        data = from_host(np.array(number & 0xFFFFFFFF, np.uint32))
    return random_fold_in(one_key(key, "fold_in"), data)


def key_data(keys: Any) -> Value:
    """Give the array behind keys: here, keys are arrays."""
    return array_argument(keys, "random.key_data")


def key_impl(keys: Any) -> str:
    """Give the name of the generator that keys are of."""
    x = array_argument(keys, "random.key_impl")
    one_key(x[(0,) * max(len(x.shape) - 1, 0)], "key_impl")
    return "threefry2x32"


def clone(key: Any) -> Value:
    """Give the same keys again, to say that they are used twice on purpose."""
    return array_argument(key, "random.clone")


def wrap_key_data(key_bits_array: Any, *, impl: str | None = None) -> Value:
    """Give the key of an array: here, keys are arrays."""
    return array_argument(key_bits_array, "random.wrap_key_data")


# -- arguments -------------------------------------------------------------------------


def float_dtype(dtype: Any, who: str) -> dtypes.Dtype:
    """Give a floating-point dtype, the default one for None."""
    wanted = dtypes.canonical(float if dtype is None else dtype)
    if not dtypes.is_float(wanted):
        raise DtypeError(
            f"random.{who} was given dtype {wanted.name}, which is not a float.",
            where=called_at(),
            mend="Leave dtype out, or give a floating-point dtype.",
        )
    return wanted


def common_shape(shape: Any, who: str, *parameters: Value) -> tuple[int, ...]:
    """Give the shape of a result: as asked, else the parameters' common one."""
    shapes = [p.shape for p in parameters]
    wanted = None if shape is None else shape_argument(shape, f"random.{who}")
    found = try_broadcast(tuple(shapes if wanted is None else [*shapes, wanted]))
    if found is None or (wanted is not None and found != wanted):
        raise ShapeError(
            f"random.{who} was given parameters of shapes {shapes} for shape={wanted}.",
            where=called_at(),
            mend="Give parameters that broadcast to the shape, or leave shape out.",
        )
    return found


def parameters(
    who: str, dtype: Any, shape: Any, *given: Any
) -> tuple[list[Value], tuple[int, ...], dtypes.Dtype]:
    """Give parameters in the result's dtype and shape, these, and the dtype."""
    wanted = float_dtype(dtype, who)
    values = [table.convert(array_argument(p, f"random.{who}"), wanted) for p in given]
    found = common_shape(shape, who, *values)
    return [broadcast_to(p, found) for p in values], found, wanted


# -- uniform bits and numbers ----------------------------------------------------------


def bits(key: Any, shape: Any = (), dtype: Any = None) -> Value:
    """Give uniform unsigned integers over the whole range of a dtype."""
    default = "uint64" if config.enable_x64 else "uint32"
    wanted = dtypes.canonical(default if dtype is None else dtype)
    if wanted.kind != "u":
        raise DtypeError(
            f"random.bits was given dtype {wanted.name}.",
            where=called_at(),
            mend="Give an unsigned integer dtype.",
        )
    size = shape_argument(shape, "random.bits")
    return random_bits(one_key(key, "bits"), 8 * wanted.itemsize, size)


def uniform(
    key: Any, shape: Any = (), dtype: Any = None, minval: Any = 0.0, maxval: Any = 1.0
) -> Value:
    """Give uniform numbers from `minval` (included) to `maxval` (excluded).

    Example:
        >>> uniform(PRNGKey(0))
        Array(0.947667, dtype=float32)
    """
    wanted = float_dtype(dtype, "uniform")
    size = shape_argument(shape, "random.uniform")
    x = _unit(one_key(key, "uniform"), size, wanted)
    if not isinstance(minval, Operators) and not isinstance(maxval, Operators):
        low, high = wanted.type(minval), wanted.type(maxval)
        if low == 0 and high == 1:
            return x
        if not np.ndim(low) and not np.ndim(high):
            return _stretched(x, float(low), float(high - low))
    low, high = (
        table.convert(array_argument(v, "random.uniform"), wanted)
        for v in (minval, maxval)
    )
    common_shape(size, "uniform", low, high)
    return _stretched(x, low, table.sub(high, low))


def _unit(key: Value, shape: tuple[int, ...], dtype: dtypes.Dtype) -> Value:
    """Give numbers in [0, 1): random mantissas for the exponent of 1, less 1."""
    width, mantissa = 8 * dtype.itemsize, int(dtypes.finfo(dtype).nmant)
    used = width if mantissa >= 8 else 8
    word = np.dtype(f"u{dtype.itemsize}")
    drawn = table.convert(random_bits(key, used, shape), word)
    one = int(np.array(1, dtype).view(word))
    pattern = table.or_(table.shift_right_logical(drawn, used - mantissa), one)
    return table.sub(bitcast_convert_type(pattern, dtype), 1.0)


def _stretched(x: Value, low: Any, span: Any) -> Value:
    """Move numbers in [0, 1) to an interval, never below its start."""
    return table.max(table.add(table.mul(x, span), low), low)


def randint(key: Any, shape: Any, minval: Any, maxval: Any, dtype: Any = None) -> Value:
    """Give integers from `minval` (included) to `maxval` (excluded).

    The remainder of twice as many bits by the span: slightly biased for spans that are
    no power of two, of the order of span / 2^64.
    """
    wanted = dtypes.canonical(int if dtype is None else dtype)
    if not dtypes.is_integer(wanted):
        raise DtypeError(
            f"random.randint was given dtype {wanted.name}.",
            where=called_at(),
            mend="Give an integer dtype.",
        )
    size = shape_argument(shape, "random.randint")
    info = dtypes.iinfo(wanted)
    work = wanted if info.bits >= 32 else dtypes.int32
    low, low_max = _clipped(minval, work, int(info.min), int(info.max))
    high, past_end = _clipped(maxval, work, int(info.min), int(info.max) + 1)
    del low_max
    common_shape(size, "randint", low, high)
    word = np.dtype(f"u{work.itemsize}")
    first, second = split(one_key(key, "randint"))
    upper, lower = (random_bits(k, 8 * word.itemsize, size) for k in (first, second))
    empty = table.le(high, low)
    one = full((), 1, word)
    span = table.select(empty, one, table.convert(table.sub(high, low), word))
    wider = table.and_(past_end, table.not_(empty))
    span = table.select(wider, table.add(span, one), span)
    half = full((), 2 ** (4 * word.itemsize), word)
    factor = table.rem(half, span)
    factor = table.rem(table.mul(factor, factor), span)
    mixed = table.add(table.mul(table.rem(upper, span), factor), table.rem(lower, span))
    offset = table.convert(table.rem(mixed, span), work)
    return table.convert(table.add(low, offset), wanted)


def _clipped(x: Any, dtype: dtypes.Dtype, least: int, most: int) -> tuple[Value, Value]:
    """Give a bound within a dtype, and whether it was one past its end."""
    info = dtypes.iinfo(dtype)
    if not isinstance(x, Operators) and not np.ndim(x):
        number = min(max(int(x), least), most)
        past = number > int(info.max)
        held = min(number, int(info.max))
        return full((), held, dtype), full((), past, dtypes.bool_)
    x = array_argument(x, "random.randint")
    if not dtypes.is_integer(x.dtype):
        x = table.convert(x, dtypes.scalar_dtype(int))
    own = dtypes.iinfo(x.dtype)
    past = table.gt(x, min(int(info.max), int(own.max)))
    low, high = max(least, int(own.min)), min(most, int(info.max), int(own.max))
    return table.convert(table.min(table.max(x, low), high), dtype), past


def bernoulli(key: Any, p: Any = 0.5, shape: Any = None) -> Value:
    """Give booleans that are true with probability `p`."""
    p = as_inexact(p, "random.bernoulli")
    size = common_shape(shape, "bernoulli", p)
    return table.lt(uniform(key, size, p.dtype), p)


def rademacher(key: Any, shape: Any = (), dtype: Any = None) -> Value:
    """Give -1 or 1."""
    wanted = dtypes.canonical(int if dtype is None else dtype)
    size = shape_argument(shape, "random.rademacher")
    one = full((), 1, wanted)
    heads = table.convert(bernoulli(key, 0.5, size), wanted)
    return table.sub(table.add(heads, heads), one)
