"""Reductions over axes, and the places of extreme elements."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import numpy as np

from pullback import dtypes
from pullback.core.at_once import at_once
from pullback.core.aval import Aval
from pullback.core.frozen import replaced
from pullback.core.primitive import Primitive
from pullback.core.trace import Value
from pullback.core.zero import Zero, is_zero
from pullback.dtypes import Dtype
from pullback.primitives.creation import Iota
from pullback.primitives.host_reduce import (
    computed_alone,
    greatest_of_rows,
    read_block,
    reduce_in_steps,
)
from pullback.primitives.order import ordered_bits
from pullback.primitives.recipes import Flat, Linear, lower_as, shifted, without
from pullback.primitives.shaping import concatenate, slice_in_dim
from pullback.primitives.structural import (
    add_tangents,
    broadcast,
    frozen,
    full,
    reduce_sum,
    reshape,
    transpose,
)
from pullback.primitives.table import (
    add,
    and_,
    convert,
    div,
    eq,
    mul,
    ne,
    or_,
    select,
    shift_left,
    sub,
)
from pullback.primitives.table import min as minimum

__all__ = [
    "argmax",
    "argmin",
    "count",
    "highest",
    "lowest",
    "reduce_and",
    "reduce_max",
    "reduce_min",
    "reduce_or",
    "reduce_precision",
    "reduce_prod",
    "reduce_sum",
    "reduce_top",
    "reduce_xor",
]


def lowest(dtype: Dtype) -> Any:
    """Give the least value of a dtype: minus infinity for floats."""
    if dtype == dtypes.bool_:
        return False
    if dtypes.is_integer(dtype):
        return int(np.iinfo(dtype).min)
    return -np.inf


def highest(dtype: Dtype) -> Any:
    """Give the greatest value of a dtype: infinity for floats."""
    if dtype == dtypes.bool_:
        return True
    if dtypes.is_integer(dtype):
        return int(np.iinfo(dtype).max)
    return np.inf


@frozen
class Reduction(Primitive):
    """A reduction by an associative NumPy ufunc over axes, which disappear."""

    axes: tuple[int, ...]

    ufunc: ClassVar[np.ufunc]
    hlo: ClassVar[str]

    def initial(self, dtype: Dtype) -> Any:
        """Give the value that changes nothing."""
        raise NotImplementedError

    def abstract(self, x: Aval) -> Aval:
        return Aval(without(x.shape, self.axes), x.dtype, x.weak)

    def eager(self, x: Any) -> Any:
        if x.size:
            return self.ufunc.reduce(x, axis=self.axes, dtype=x.dtype)
        return np.full(without(x.shape, self.axes), self.initial(x.dtype), x.dtype)

    def lower(self, ctx: Any, x: Any) -> Any:
        return reduce_in_steps(ctx, self.hlo, x, self.initial(x.aval.dtype), self.axes)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        (x,), (d,) = operands, dims
        axes = shifted(self.axes, d)
        return replaced(self, axes=axes)(x), d - sum(a < d for a in axes)


class Extremum(Reduction):
    """The common derivative of maximum and minimum."""

    __slots__ = ()

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (x,), (t,) = primals, tangents
        ans = self(x)
        if is_zero(t):
            return ans, Zero(like=ans)
        # The slope is shared equally among the elements that attain the extremum.
        found = at_once(self.attained_once, x, ans)
        if found is not None:
            return ans, reduce_sum(select(found, t, 0.0), self.axes)
        kept = [i for i in range(len(x.shape)) if i not in self.axes]
        attained = eq(x, broadcast(ans, x.shape, kept))
        count = reduce_sum(convert(attained, x.dtype), self.axes)
        return ans, div(reduce_sum(select(attained, t, 0.0), self.axes), count)

    def attained_once(self, x: Any, ans: Any) -> Any:
        """Give where NumPy's extremum is attained, or None if twice or by a nan."""
        attained = x == np.expand_dims(ans, self.axes)
        if np.count_nonzero(attained) != ans.size or np.isnan(ans).any():
            return None
        return attained


@frozen
class ReduceMax(Extremum):
    """The greatest element over some axes; a nan may pass where `passes_nan`."""

    passes_nan: bool = False

    ufunc = np.maximum
    hlo = "maximum"

    def initial(self, dtype: Dtype) -> Any:
        return lowest(dtype)

    def lower(self, ctx: Any, x: Any) -> Any:
        if self.passes_nan and dtypes.is_float(x.aval.dtype):
            return ctx.reduce(self.hlo, x, self.initial(x.aval.dtype), self.axes)
        return Extremum.lower(self, ctx, x)


@frozen
class ReduceMin(Extremum):
    """The least element over some axes."""

    ufunc = np.minimum
    hlo = "minimum"

    def initial(self, dtype: Dtype) -> Any:
        return highest(dtype)


@frozen
class ReduceProd(Reduction):
    """The product over some axes."""

    ufunc = np.multiply
    hlo = "multiply"

    def initial(self, dtype: Dtype) -> Any:
        return 1

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (x,), (t,) = primals, tangents
        ans = self(x)
        if is_zero(t) or not x.aval.size:
            return ans, Zero(like=ans)
        if len(self.axes) == 1:
            return ans, product_tangent(x, t, self.axes[0])
        x, t = (merge_last(v, self.axes) for v in (x, t))
        return ans, product_tangent(x, t, len(x.shape) - 1)


def merge_last(x: Value, axes: tuple[int, ...]) -> Value:
    """Make one last axis of some axes."""
    kept = [i for i in range(len(x.shape)) if i not in axes]
    shape = without(x.shape, axes)
    n = x.aval.size // max(1, Aval(shape, x.dtype).size)
    return reshape(transpose(x, [*kept, *axes]), (*shape, n))


def product_tangent(x: Value, t: Value, axis: int) -> Value:
    """Give the tangent of the product over an axis, without dividing.

    Pairs are multiplied by the product rule until one is left, so that zeros among the
    factors are nothing special, at any order of differentiation.
    """
    found = at_once(lambda x: products_of_others(x, axis), x)
    if found is not None:
        return reduce_sum(mul(found, t), (axis,))
    while (n := x.shape[axis]) > 1:
        half = n // 2
        a, b, rest = (slice_in_dim(x, i, j, axis) for i, j in halves(n))
        s, u, rest_t = (slice_in_dim(t, i, j, axis) for i, j in halves(n))
        x, t = mul(a, b), add_tangents(mul(s, b), mul(a, u))
        if n > 2 * half:
            x = concatenate([x, rest], axis)
            t = concatenate([t, rest_t], axis)
    return reshape(t, without(t.shape, (axis,)))


def products_of_others(x: Any, axis: int) -> Any:
    """Give for each element of a NumPy array the product of the others on an axis."""
    before = np.ones_like(x)
    after = np.ones_like(x)
    first, last = (slice(None),) * axis, (slice(None),) * (x.ndim - axis - 1)
    early, late = (*first, slice(None, -1), *last), (*first, slice(1, None), *last)
    back = (*first, slice(None, None, -1), *last)
    np.multiply.accumulate(x[early], axis, out=before[late])
    np.multiply.accumulate(x[late][back], axis, out=after[early][back])
    return before * after


def halves(n: int) -> list[tuple[int, int]]:
    """Give the bounds of two equal halves and of what is left."""
    half = n // 2
    return [(0, half), (half, 2 * half), (2 * half, n)]


class Bitwise(Flat, Reduction):
    """What the reductions by logical operations share: they have no derivative."""

    __slots__ = ()


@frozen
class ReduceAnd(Bitwise):
    """The conjunction over some axes, bit by bit for integers."""

    ufunc = np.bitwise_and
    hlo = "and"

    def initial(self, dtype: Dtype) -> Any:
        return True if dtype == dtypes.bool_ else int(np.array(-1).astype(dtype))


@frozen
class ReduceOr(Bitwise):
    """The disjunction over some axes, bit by bit for integers."""

    ufunc = np.bitwise_or
    hlo = "or"

    def initial(self, dtype: Dtype) -> Any:
        return 0


@frozen
class ReduceXor(Bitwise):
    """The exclusive disjunction over some axes, bit by bit for integers."""

    ufunc = np.bitwise_xor
    hlo = "xor"

    def initial(self, dtype: Dtype) -> Any:
        return 0


@frozen
class Count(Flat):
    """How many elements are true over some axes, which disappear."""

    axes: tuple[int, ...]
    index_dtype: Dtype

    def weak_result(self, all_weak: bool) -> bool:
        return False

    def abstract(self, x: Aval) -> Aval:
        return Aval(without(x.shape, self.axes), self.index_dtype)

    def eager(self, x: Any) -> Any:
        if len(self.axes) == x.ndim:
            return self.index_dtype.type(np.count_nonzero(x))
        return np.add.reduce(x, axis=self.axes, dtype=self.index_dtype)

    def lower(self, ctx: Any, x: Any) -> Any:
        # As bytes, of which a vector holds most: the first rows count no more than 12.
        x = ctx.convert(x, dtypes.uint8)
        return reduce_in_steps(ctx, "add", x, 0, self.axes, self.index_dtype)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        (x,), (d,) = operands, dims
        axes = shifted(self.axes, d)
        return replaced(self, axes=axes)(x), d - sum(a < d for a in axes)


def count(x: Value, axes: Any, dtype: Dtype) -> Value:
    """Count the true elements over non-negative axes, in an integer dtype."""
    axes = tuple(sorted(axes))
    return Count(axes, dtype)(x) if axes else convert(x, dtype)


def reduce_max(x: Value, axes: Any) -> Value:
    """Give the greatest elements over non-negative axes; -inf where there are none."""
    axes = tuple(sorted(axes))
    return ReduceMax(axes)(x) if axes else x


def reduce_top(x: Value, axes: Any) -> Value:
    """Give the greatest elements as `reduce_max` does, to scale by them.

    Compiled code may pass over a nan among the elements, which is to show otherwise: it
    reads them once, not twice.
    """
    axes = tuple(sorted(axes))
    return ReduceMax(axes, True)(x) if axes else x


def reduce_min(x: Value, axes: Any) -> Value:
    """Give the least elements over non-negative axes; inf where there are none."""
    axes = tuple(sorted(axes))
    return ReduceMin(axes)(x) if axes else x


def reduce_prod(x: Value, axes: Any) -> Value:
    """Multiply over non-negative axes."""
    axes = tuple(sorted(axes))
    return ReduceProd(axes)(x) if axes else x


def reduce_and(x: Value, axes: Any) -> Value:
    """Conjoin booleans or bits over non-negative axes."""
    axes = tuple(sorted(axes))
    return ReduceAnd(axes)(x) if axes else x


def reduce_or(x: Value, axes: Any) -> Value:
    """Disjoin booleans or bits over non-negative axes."""
    axes = tuple(sorted(axes))
    return ReduceOr(axes)(x) if axes else x


def reduce_xor(x: Value, axes: Any) -> Value:
    """Disjoin booleans or bits exclusively over non-negative axes."""
    axes = tuple(sorted(axes))
    return ReduceXor(axes)(x) if axes else x


#: How many elements of a vector are searched together.
BLOCK = 1024


@frozen
class ArgExtremum(Flat):
    """The place of the first extreme element along an axis, a nan winning."""

    axis: int
    index_dtype: Dtype

    descending: ClassVar[bool]

    def best(self, x: Value) -> Value:
        """Give the extremum itself."""
        raise NotImplementedError

    def ordered(self, x: Value) -> Value:
        """Give integers of which the greatest is the extremum."""
        return ordered_bits(x, self.descending)

    def weak_result(self, all_weak: bool) -> bool:
        return False

    def abstract(self, x: Aval) -> Aval:
        return Aval(without(x.shape, (self.axis,)), self.index_dtype)

    def lower(self, ctx: Any, x: Any) -> Any:
        n, size = x.aval.shape[self.axis], x.aval.size
        search = self.search
        if ctx.platform == "cpu" and size == n and 4 * BLOCK <= n < 2**31:
            search = functools.partial(self.search_blocks, ctx)
        elif ctx.platform == "cpu" and x.aval.dtype.itemsize <= 4 and n < 2**31:
            search = self.search_packed
        return lower_as(ctx, search, x)

    # One reduction for the extremum and one for its first place are ten times faster
    # on the host than one reduction of pairs.
    def search(self, x: Value) -> Value:
        """Find the first element that is the extremum, or nan."""
        best = self.best(x)
        kept = [i for i in range(len(x.shape)) if i != self.axis]
        found = eq(x, broadcast(best, x.shape, kept))
        if dtypes.is_float(x.dtype):
            found = or_(found, ne(x, x))
        places = Iota(self.index_dtype, x.shape, self.axis)()
        last = full((), max(0, x.shape[self.axis] - 1), self.index_dtype)
        return reduce_min(select(found, places, last), (self.axis,))

    # On the host the order of the elements as integers, which `host_reduce` folds with
    # vectors: in a vector of 1e7 the block and then the place, 30 to 1.3 ms.
    def search_blocks(self, ctx: Any, x: Value) -> Value:
        """Find the block of a vector that has it, then the place in the block."""
        shape, n = without(x.shape, (self.axis,)), x.aval.size
        x = reshape(x, (n,))
        count = n // BLOCK
        blocks = reshape(slice_in_dim(x, 0, count * BLOCK, 0), (count, BLOCK))
        best = greatest_of_rows(ctx, self.ordered(blocks))
        # One more block, up to the end: where it overlaps, the one before wins.
        rest = reduce_max(self.ordered(slice_in_dim(x, n - BLOCK, n, 0)), (0,))
        best = concatenate([best, reshape(rest, (1,))], 0)
        block = first_greatest(computed_alone(ctx, best))
        start = minimum(mul(block, BLOCK), n - BLOCK)
        inside = self.ordered(read_block(ctx, x, start, BLOCK))
        place = convert(add(start, first_greatest(inside)), self.index_dtype)
        return reshape(place, shape)

    # In a matrix one pass: over rows 24 to 3.3 ms, over columns 43 to 2.4 ms.
    def search_packed(self, x: Value) -> Value:
        """Find it as the greatest integer of an element's order and its place."""
        wide = dtypes.uint64
        last = max(0, x.shape[self.axis] - 1)
        keys = convert(self.ordered(x), wide)
        backwards = sub(last, Iota(wide, x.shape, self.axis)())
        best = reduce_max(or_(shift_left(keys, 32), backwards), (self.axis,))
        return convert(sub(last, and_(best, 2**32 - 1)), self.index_dtype)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        (x,), (d,) = operands, dims
        (axis,) = shifted((self.axis,), d)
        return type(self)(axis, self.index_dtype)(x), d - (axis < d)


@frozen
class ArgMax(ArgExtremum):
    """The place of the first greatest element along an axis."""

    descending = False

    def best(self, x: Value) -> Value:
        return reduce_max(x, (self.axis,))

    def eager(self, x: Any) -> Any:
        return np.argmax(x, axis=self.axis).astype(self.index_dtype)


@frozen
class ArgMin(ArgExtremum):
    """The place of the first least element along an axis."""

    descending = True

    def best(self, x: Value) -> Value:
        return reduce_min(x, (self.axis,))

    def eager(self, x: Any) -> Any:
        return np.argmin(x, axis=self.axis).astype(self.index_dtype)


def first_greatest(x: Value) -> Value:
    """Give the first place of the greatest integer of a vector."""
    best = broadcast(reduce_max(x, (0,)), x.shape, ())
    places = Iota(dtypes.int32, x.shape, 0)()
    return reduce_min(select(eq(x, best), places, x.shape[0] - 1), (0,))


def argmax(x: Value, axis: int, index_dtype: Dtype) -> Value:
    """Find the first greatest element along a non-negative axis; nan counts as such."""
    return ArgMax(axis, index_dtype)(x)


def argmin(x: Value, axis: int, index_dtype: Dtype) -> Value:
    """Find the first least element along a non-negative axis; nan counts as such."""
    return ArgMin(axis, index_dtype)(x)


@frozen
class ReducePrecision(Linear):
    """The nearest number with fewer bits of exponent and mantissa.

    Its derivative is the same rounding of the tangent, so that a program in simulated
    low precision has its derivative in that precision too.
    """

    exponent_bits: int
    mantissa_bits: int

    def abstract(self, x: Aval) -> Aval:
        return x

    def eager(self, x: Any) -> Any:
        return round_to(x, self.exponent_bits, self.mantissa_bits)

    def lower(self, ctx: Any, x: Any) -> Any:
        attributes = (
            f"exponent_bits = {self.exponent_bits} : i32, "
            f"mantissa_bits = {self.mantissa_bits} : i32"
        )
        return ctx.emit("stablehlo.reduce_precision", [x], x.aval, attributes)

    def transpose(self, ct: Any, x: Any) -> Any:
        return (self(ct),)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        return self(operands[0]), dims[0]


def reduce_precision(x: Value, exponent_bits: int, mantissa_bits: int) -> Value:
    """Round floats to what fewer bits of exponent and mantissa can hold."""
    return ReducePrecision(exponent_bits, mantissa_bits)(x)


def round_to(x: Any, exponent_bits: int, mantissa_bits: int) -> Any:
    """Round to nearest even; overflow gives infinity, denormals become zero."""
    wide = np.asarray(x, np.float64)
    fraction, exponent = np.frexp(wide)
    scale = 2.0 ** (mantissa_bits + 1)
    rounded = np.ldexp(np.rint(fraction * scale) / scale, exponent)
    bias = 2 ** (exponent_bits - 1) - 1
    limit = np.ldexp(2.0 - 2.0**-mantissa_bits, bias)
    rounded = np.where(np.abs(rounded) > limit, np.copysign(np.inf, wide), rounded)
    tiny = np.ldexp(1.0, 1 - bias)
    rounded = np.where(np.abs(rounded) < tiny, np.copysign(0.0, wide), rounded)
    return np.where(np.isfinite(wide), rounded, wide).astype(x.dtype)
