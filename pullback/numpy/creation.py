"""Arrays made of Python values, of nothing, and of ranges."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.array import SCALARS, Array, Operators, from_host
from pullback.core.calling import as_value, from_numpy
from pullback.core.origin import called_at
from pullback.core.trace import Tracer, Value
from pullback.errors import ArgumentError, NotAnArrayError
from pullback.numpy import ufuncs
from pullback.numpy.arguments import (
    array_argument,
    describe,
    is_scalar,
    shape_argument,
    static_int,
    wrong_shape,
)
from pullback.numpy.promotion import (
    number_dtype,
    promote_arrays,
    to_inexact,
    wrapped,
)
from pullback.primitives import structural, table
from pullback.primitives.creation import broadcasted_iota, iota
from pullback.primitives.shaping import concatenate, slice_in_dim
from pullback.primitives.stacking import stack
from pullback.primitives.structural import broadcast, broadcast_to
from pullback.primitives.structural import full as filled

# -- arrays of values ------------------------------------------------------------------


def array(
    object: Any,
    dtype: Any = None,
    copy: bool | None = True,
    order: str | None = "K",
    ndmin: int = 0,
) -> Value:
    """Make an array of numbers, arrays, traced values, or nested lists of them.

    Python numbers give weakly typed arrays; 64-bit types become 32-bit by default.
    """
    wanted = None if dtype is None else dtypes.canonical(dtype)
    out = _of_object(object, wanted)
    if len(out.shape) < ndmin:
        out = structural.reshape(out, (1,) * (ndmin - len(out.shape)) + out.shape)
    return out


def asarray(object: Any, dtype: Any = None, *, copy: bool | None = None) -> Value:
    """Make an array of numbers, arrays, traced values, or nested lists of them."""
    if dtype is None and isinstance(object, Operators):
        return object
    return array(object, dtype)


def _of_object(x: Any, wanted: dtypes.Dtype | None) -> Value:
    """Make an array, of dtype `wanted` if that is given."""
    if isinstance(x, (list, tuple)):
        return _of_sequence(x, wanted)
    if type(x) in SCALARS and wanted is not None:
        return from_host(np.asarray(x).astype(wanted)[()])
    if not isinstance(x, Operators) and not is_scalar(x):
        x = _foreign(x, wanted)
    out = as_value(x, "array")
    if wanted is None:
        return out
    return table.convert(out, wanted)


def _foreign(x: Any, wanted: dtypes.Dtype | None) -> Any:
    """Take what other libraries call an array, through NumPy."""
    if isinstance(x, (str, bytes)) or x is None or isinstance(x, (dict, set)):
        raise NotAnArrayError(
            f"array was given a {type(x).__name__}: {x!r:.60}.",
            where=called_at(),
            mend="Give numbers, arrays, or nested lists of them; for containers of "
            "arrays use pullback.tree.map.",
        )
    if hasattr(x, "__jax_array__") or isinstance(x, (bool, int, float, complex)):
        return x
    if isinstance(x, (np.ndarray, np.generic)):
        return x if wanted is None else x.astype(wanted)
    found = np.asarray(x)
    if found.dtype == np.object_:
        raise NotAnArrayError(
            f"array was given a {type(x).__name__}, which is no array: {x!r:.60}.",
            where=called_at(),
            mend="Give numbers, arrays, or nested lists of them.",
        )
    return found


def _of_sequence(x: Sequence[Any], wanted: dtypes.Dtype | None) -> Value:
    """Make an array of nested lists; traced values among them are stacked."""
    leaves: list[Any] = []
    _collect(x, leaves)
    if not leaves:
        made = np.asarray(x, dtype=wanted or dtypes.scalar_dtype(float))
        return from_host(made)
    if wanted is None:
        pairs = [
            (dtypes.scalar_dtype(type(v)), type(v) is not bool)
            if is_scalar(v)
            else (dtypes.canonical(v.dtype), getattr(v, "weak_type", False))
            for v in leaves
        ]
        wanted = dtypes.promote(*pairs)[0]
    if any(isinstance(v, Tracer) for v in leaves):
        return _stacked(x, wanted)
    try:
        return from_host(np.array(_plain(x), dtype=wanted))
    except (ValueError, OverflowError) as error:
        raise ArgumentError(
            f"array was given nested lists of which no {dtypes.short(wanted)} array "
            f"can be made: {error}.",
            where=called_at(),
            mend="Make all lists of one depth the same length, and numbers fit.",
        ) from error


def _collect(x: Any, leaves: list[Any]) -> None:
    """Append the numbers and arrays in nested lists."""
    if isinstance(x, (list, tuple)):
        for item in x:
            _collect(item, leaves)
    elif is_scalar(x) or hasattr(x, "dtype"):
        leaves.append(x)
    else:
        leaves.append(as_value(_foreign(x, None), "array"))


def _plain(x: Any) -> Any:
    """Give nested lists with NumPy arrays in the place of ours."""
    if isinstance(x, (list, tuple)):
        return [_plain(item) for item in x]
    return x.fetch() if isinstance(x, Array) else x


def _stacked(x: Any, dtype: dtypes.Dtype) -> Value:
    """Stack nested lists in which there are traced values."""
    if not isinstance(x, (list, tuple)):
        return _of_object(x, dtype)
    items = [_stacked(item, dtype) for item in x]
    if len({item.shape for item in items}) > 1:
        raise wrong_shape(
            "array",
            f"was given a list of items of different shapes: "
            f"{', '.join(map(describe, items))}.",
            "Make all lists of one depth the same length.",
        )
    if not items:
        return filled((0,), 0, dtype)
    return stack(items, 0)


def copy(a: Any) -> Value:
    """Give the array itself: arrays never change."""
    return array_argument(a, "copy")


def frombuffer(
    buffer: Any, dtype: Any = float, count: int = -1, offset: int = 0
) -> Array:
    """Make an array of the bytes of a buffer, which are copied."""
    return from_numpy(np.frombuffer(buffer, np.dtype(dtype), count, offset))


def fromstring(string: str, dtype: Any = float, count: int = -1, *, sep: str) -> Array:
    """Make a vector of the numbers in a text, with a separator between them."""
    return from_numpy(np.fromstring(string, np.dtype(dtype), count, sep=sep))


def fromiter(iter: Iterable[Any], dtype: Any, count: int = -1) -> Array:
    """Make a one-dimensional array of an iterable of numbers."""
    return from_numpy(np.fromiter(iter, np.dtype(dtype), count))


def fromfunction(
    function: Callable[..., Any], shape: Any, *, dtype: Any = float
) -> Any:
    """Call a function on the coordinates of all places of a shape, as arrays."""
    shape = shape_argument(shape, "fromfunction")
    return function(*indices(shape, dtype))


# -- arrays of one number --------------------------------------------------------------


def zeros(shape: Any, dtype: Any = None) -> Value:
    """Make an array of zeros, float32 by default."""
    return _of_number(shape, 0, dtype, "zeros")


def ones(shape: Any, dtype: Any = None) -> Value:
    """Make an array of ones, float32 by default."""
    return _of_number(shape, 1, dtype, "ones")


def empty(shape: Any, dtype: Any = None) -> Value:
    """Make an array of zeros: there is no uninitialised memory."""
    return _of_number(shape, 0, dtype, "empty")


def _of_number(shape: Any, number: int, dtype: Any, who: str) -> Value:
    found = dtypes.canonical(float if dtype is None else dtype)
    return filled(shape_argument(shape, who), dtypes.kind_of(found)(number), found)


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Value:
    """Make an array filled with a value, which may be traced or an array."""
    shape = shape_argument(shape, "full")
    value = array(fill_value, dtype)
    return broadcast_array(value, shape, "full")


def broadcast_array(x: Value, shape: tuple[int, ...], who: str) -> Value:
    """Repeat an array to a shape.

    Raises:
        ShapeError: the shape of `x` does not broadcast to it.
    """
    have = x.shape
    lead = len(shape) - len(have)
    if lead < 0 or any(n not in (1, m) for n, m in zip(have, shape[lead:])):
        raise wrong_shape(
            who,
            f"cannot broadcast {describe(x)} to shape {shape}.",
            "Axes are aligned from the last; each must be equal or 1.",
        )
    return broadcast_to(x, shape)


def zeros_like(a: Any, dtype: Any = None, shape: Any = None) -> Value:
    """Make an array of zeros like another."""
    return _like(a, 0, dtype, shape, "zeros_like")


def ones_like(a: Any, dtype: Any = None, shape: Any = None) -> Value:
    """Make an array of ones like another."""
    return _like(a, 1, dtype, shape, "ones_like")


def empty_like(a: Any, dtype: Any = None, shape: Any = None) -> Value:
    """Make an array of zeros like another."""
    return _like(a, 0, dtype, shape, "empty_like")


def full_like(a: Any, fill_value: Any, dtype: Any = None, shape: Any = None) -> Value:
    """Make an array like another, filled with a value that may be traced."""
    if is_scalar(fill_value):
        return _like(a, fill_value, dtype, shape, "full_like")
    shape, found, _ = _likeness(a, dtype, shape, "full_like")
    return broadcast_array(array(fill_value, found), shape, "full_like")


def _likeness(
    a: Any, dtype: Any, shape: Any, who: str
) -> tuple[tuple[int, ...], dtypes.Dtype, bool]:
    """Give shape, dtype and weak flag of `a`, or those that replace them."""
    if not (hasattr(a, "shape") and hasattr(a, "dtype")):
        a = array_argument(a, who)
    found = dtypes.canonical(a.dtype if dtype is None else dtype)
    weak = dtype is None and bool(getattr(a, "weak_type", False))
    return tuple(a.shape) if shape is None else shape_argument(shape, who), found, weak


def _like(a: Any, number: Any, dtype: Any, shape: Any, who: str) -> Value:
    shape, found, weak = _likeness(a, dtype, shape, who)
    number = dtypes.kind_of(found)(number)
    if type(number) is int:
        number = wrapped(number, found)
    return filled(shape, number, found, weak)


# -- ranges ----------------------------------------------------------------------------


def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Value:
    """Make a range of static numbers.

    Its dtype is that of arrays and NumPy's numbers among them; of Python's, int32 or
    float32.
    """
    given = [v for v in (start, stop, step) if v is not None]
    bounds = [_static_number(v, "arange") for v in given]
    found = number_dtype(given) if dtype is None else dtypes.canonical(dtype)
    if any(isinstance(v, complex) for v in bounds):
        raise ArgumentError(
            "arange was given a complex bound.",
            where=called_at(),
            mend="Use real bounds, and multiply the range.",
        )
    if stop is None and step is None:
        return iota(found, max(0, math.ceil(bounds[0])))
    if step == 0:
        raise ArgumentError(
            "arange was given step=0.", where=called_at(), mend="Give a step above 0."
        )
    first, last = (0, bounds[0]) if stop is None else bounds[:2]
    by = bounds[-1] if step is not None else 1
    return from_host(np.arange(first, last, by).astype(found))


def _static_number(x: Any, who: str) -> Any:
    """Give the Python number behind a bound, which fixes a shape."""
    if isinstance(x, Tracer):
        concrete = x.concrete()
        if concrete is None:
            static_int(x, who, "its bounds")
        x = concrete
    value = np.asarray(x)
    if value.ndim:
        raise wrong_shape(
            who, f"was given a bound of shape {value.shape}.", "Give scalars."
        )
    return value.item()


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Make evenly spaced numbers; the ends may be traced, and arrays.

    Static ends are spaced in float64 and rounded once; to integers, downwards.
    """
    num = static_int(num, "linspace", "num")
    if num < 0:
        raise ArgumentError(
            f"linspace was given num={num}.", where=called_at(), mend="Give num >= 0."
        )
    intervals = num - 1 if endpoint else num
    if is_scalar(start) and is_scalar(stop):
        found = to_inexact(dtypes.scalar_dtype(type(start + stop)))
        found = found if dtype is None else dtypes.canonical(dtype)
        spaced = np.linspace(start, stop, num, endpoint)
        spaced = np.floor(spaced) if dtypes.is_integer(found) else spaced
        out: Value = from_host(spaced.astype(found))
        gap: Any = as_value((stop - start) / intervals if intervals > 0 else math.nan)
        return (out, gap) if retstep else out
    start, stop = promote_arrays("linspace", start, stop, inexact=True)
    start, stop = ufuncs.add(start, 0 * stop), ufuncs.add(stop, 0 * start)
    out = _spaced(start, stop, num, intervals, endpoint)
    gap = (stop - start) / (intervals if intervals > 0 else math.nan)
    if dtype is not None:
        found = dtypes.canonical(dtype)
        out = ufuncs.floor(out) if dtypes.is_integer(found) else out
        out = table.convert(out, found)
    if axis:
        out = structural.move_axis(out, 0, axis % len(out.shape))
    return (out, gap) if retstep else out


def _spaced(
    start: Value, stop: Value, num: int, intervals: int, endpoint: bool
) -> Value:
    """Space numbers along a new first axis, in order; the ends are met exactly."""
    if start.dtype in (dtypes.float16, dtypes.bfloat16):  # these do not count far
        first, last = (table.convert(x, dtypes.float32) for x in (start, stop))
        out = _spaced(first, last, num, intervals, endpoint)
        return table.convert(out, start.dtype)
    shape = (num, *start.shape)
    place = broadcasted_iota(start.dtype, shape, 0)
    t = table.div(place, filled((), max(intervals, 1), start.dtype))
    span = table.sub(stop, start)
    out = table.add(start, table.mul(span, t))
    if not dtypes.is_complex(span.dtype):
        # Where the span is more than the dtype holds; these are not always in order.
        mixed = table.add(table.mul(start, table.sub(1, t)), table.mul(stop, t))
        out = table.select(table.is_finite(span), out, mixed)
    if endpoint and num > 1:
        rest = slice_in_dim(out, 0, num - 1, 0)
        return concatenate([rest, structural.expand_axes(stop, (0,))], 0)
    return out


def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: int = 0,
) -> Value:
    """Make powers of a base with evenly spaced exponents."""
    exponents = linspace(start, stop, num, endpoint, axis=axis)
    out = ufuncs.float_power(base, exponents)
    return out if dtype is None else table.convert(out, dtypes.canonical(dtype))


def geomspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    dtype: Any = None,
    axis: int = 0,
) -> Value:
    """Make a geometric progression between two numbers of the same sign.

    The ends are met exactly.
    """
    start, stop = promote_arrays("geomspace", start, stop, inexact=True)
    start, stop = start + 0 * stop, stop + 0 * start
    sign = ufuncs.sign(start)
    low, high = ufuncs.log(start / sign), ufuncs.log(stop / sign)
    out = sign * ufuncs.exp(linspace(low, high, num, endpoint))
    meets = int(endpoint and num > 1)
    ends = [structural.expand_axes(start, (0,))] if num else []
    rest = slice_in_dim(out, len(ends), num - meets, 0)
    last = [structural.expand_axes(stop, (0,))] * meets
    out = concatenate([*ends, rest, *last], 0)
    out = structural.move_axis(out, 0, axis % len(out.shape))
    return out if dtype is None else table.convert(out, dtypes.canonical(dtype))


# -- grids -----------------------------------------------------------------------------


def indices(dimensions: Any, dtype: Any = int, sparse: bool = False) -> Any:
    """Give the coordinates of all places of a shape, stacked along a first axis."""
    shape = shape_argument(dimensions, "indices")
    found = dtypes.canonical(dtype)
    if sparse:
        return tuple(
            structural.reshape(
                iota(found, n), [n if j == i else 1 for j in range(len(shape))]
            )
            for i, n in enumerate(shape)
        )
    if not shape:
        return filled((0,), 0, found)
    each = [
        structural.expand_axes(broadcasted_iota(found, shape, i), (0,))
        for i in range(len(shape))
    ]
    return concatenate(each, 0)


def meshgrid(
    *xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy"
) -> list[Value]:
    """Make coordinate arrays of coordinate vectors."""
    if indexing not in ("xy", "ij"):
        raise ArgumentError(
            f"meshgrid was given indexing={indexing!r}.",
            where=called_at(),
            mend="Use 'xy' or 'ij'.",
        )
    vectors = [array_argument(x, "meshgrid") for x in xi]
    if any(len(v.shape) > 1 for v in vectors):
        raise wrong_shape(
            "meshgrid",
            f"takes vectors; got {', '.join(map(describe, vectors))}.",
            "Use ravel().",
        )
    vectors = [
        structural.reshape(v, (max(1, math.prod(v.shape)),)) if not v.shape else v
        for v in vectors
    ]
    order = list(range(len(vectors)))
    if indexing == "xy" and len(order) > 1:
        order[:2] = [1, 0]
    shape = [0] * len(order)
    for place, v in zip(order, vectors):
        shape[place] = v.shape[0]
    if sparse:
        return [
            structural.reshape(v, [n if i == place else 1 for i, n in enumerate(shape)])
            for place, v in zip(order, vectors)
        ]
    return [broadcast(v, tuple(shape), (place,)) for place, v in zip(order, vectors)]


def ix_(*args: Any) -> tuple[Value, ...]:
    """Make an open mesh of vectors, for indexing a block."""
    out = []
    for i, x in enumerate(args):
        x = array(x)
        if len(x.shape) != 1:
            raise wrong_shape(
                "ix_", f"takes vectors; got {describe(x)}.", "Use ravel()."
            )
        if x.dtype == dtypes.bool_:
            x = from_host(np.nonzero(np.asarray(x))[0].astype(dtypes.scalar_dtype(int)))
        n = x.shape[0]
        out.append(
            structural.reshape(x, [n if j == i else 1 for j in range(len(args))])
        )
    return tuple(out)
