"""The few operations that transformations themselves apply."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.array import SCALARS, Array, from_host
from pullback.core.aval import Aval, Shape
from pullback.core.frozen import frozen as frozen
from pullback.core.primitive import Primitive
from pullback.core.trace import Value, aval_of, current_trace
from pullback.core.zero import Forbidden, Zero, is_zero
from pullback.dtypes import Dtype
from pullback.errors import ShapeError
from pullback.primitives.own_loops import transpose_has_own_loop


def linear_jvp(
    primitive: Primitive, primals: Sequence[Value], tangents: Sequence[Any]
) -> tuple[Any, Any]:
    """Give the jvp of an operation linear in its only operand: itself."""
    (x,), (t,) = primals, tangents
    trace = current_trace()
    y = trace.apply(primitive, (x,))
    if isinstance(t, Zero):
        return y, Zero(like=y)
    return y, trace.apply_linear(primitive, t, aval_of(y))


@frozen
class Accumulate(Primitive):
    """Sum of two (co)tangents of the same shape and dtype."""

    linear = ((0, 1),)

    elementwise = True

    @property
    def name(self) -> str:
        """The name in jaxprs, the ecosystem's."""
        return "add_any"

    def abstract(self, x: Aval, y: Aval) -> Aval:
        return x.strong() if y.weak is False else x

    def eager(self, x: Any, y: Any) -> Any:
        return x + y

    def lower(self, ctx: Any, x: Any, y: Any) -> Any:
        kind = "or" if x.aval.dtype == dtypes.bool_ else "add"
        return ctx.emit(f"stablehlo.{kind}", [x, y], x.aval)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (x, y), (s, t) = primals, tangents
        return accumulate(x, y), add_tangents(s, t)

    def transpose(self, ct: Any, x: Any, y: Any) -> Any:
        return ct, ct

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        (x, y), (i, j) = operands, dims
        if i is None:
            x, i = broadcast_new_axis(x, size, j), j
        elif j is None:
            y = broadcast_new_axis(y, size, i)
        else:
            y = move_axis(y, j, i)
        return accumulate(x, y), i


accumulate = Accumulate()


def add_tangents(s: Any, t: Any) -> Any:
    """Add two tangents or cotangents of one type, either of which may be zero."""
    if is_zero(s):
        return t
    return s if is_zero(t) else accumulate(s, t)


@frozen
class Full(Primitive):
    """An array with every element the same static number."""

    value: bool | int | float | complex
    shape: Shape
    dtype: Dtype
    weak: bool = False

    weak_parameter = True

    def weak_result(self, all_weak: bool) -> bool:
        return self.weak

    def abstract(self) -> Aval:
        return Aval(self.shape, self.dtype, self.weak)

    def eager(self) -> Any:
        if self.dtype.type is np.void:  # `float0`
            return np.zeros(self.shape, self.dtype)
        if not self.shape:
            return self.dtype.type(self.value)
        out = np.empty(self.shape, self.dtype)
        out.fill(self.value)
        return out

    def lower(self, ctx: Any) -> Any:
        return ctx.constant(self.value, self.abstract())

    def jvp(self, primals: Any, tangents: Any) -> Any:
        return self(), Zero(self.abstract().tangent())

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        return self(), None


class Held:
    """An array as a static parameter: compared by identity."""

    __slots__ = ("value",)

    def __init__(self, value: Array) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"<{self.value.aval}>"


@frozen
class Constant(Primitive):
    """A known array inside a program that was derived from another."""

    held: Held

    @property
    def name(self) -> str:
        """The name in jaxprs."""
        return "constant"

    weak_parameter = True

    def weak_result(self, all_weak: bool) -> bool:
        return self.held.value.weak_type

    def abstract(self) -> Aval:
        return self.held.value.aval

    def eager(self) -> Any:
        return self.held.value.fetch()

    def lower(self, ctx: Any) -> Any:
        return ctx.constant(self.held.value.fetch(), self.abstract())

    def jvp(self, primals: Any, tangents: Any) -> Any:
        return self(), Zero(self.abstract().tangent())

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        return self(), None


def full(shape: Shape, value: Any, dtype: Dtype, weak: bool = False) -> Value:
    """Make an array of `shape` filled with a Python number."""
    return Full(value, shape, dtype, weak)()


def zero_operation(aval: Aval) -> Full:
    """Give the operation that makes the zero of a type."""
    return Full(dtypes.kind_of(aval.dtype)(0), aval.shape, aval.dtype, aval.weak)


def zeros_of(aval: Aval) -> Value:
    """Make the zero of a type; a `float0` type has zeros that hold nothing."""
    if aval.dtype == dtypes.float0:
        return from_host(np.zeros(aval.shape, dtypes.float0))
    return zero_operation(aval)()


def instantiate(tangent: Any) -> Value:
    """Make an array of a symbolic zero; other tangents are given back.

    A trace that records linear programs makes a zero it can still recognise.
    """
    if not isinstance(tangent, Zero):
        if type(tangent) is Forbidden:
            raise tangent.error()
        return tangent
    make = getattr(current_trace(), "zero_tracer", None)
    if make is not None and tangent.aval.dtype != dtypes.float0:
        return make(tangent.aval)
    return zeros_of(tangent.aval)


@frozen
class Forbid(Primitive):
    """A tangent that must not be asked for, as a step of a linear program.

    `holder` is a `Forbidden`, compared by identity; the operand is the tangent on which
    the result would depend.
    """

    holder: Any

    linear = ((0,),)

    def parameters(self) -> dict[str, Any]:
        return {}

    def abstract(self, t: Aval) -> Aval:
        return self.holder.aval  # type: ignore[no-any-return]

    def eager(self, t: Any) -> Any:
        raise self.holder.error()

    def lower(self, ctx: Any, t: Any) -> Any:
        raise self.holder.error()

    def jvp(self, primals: Any, tangents: Any) -> Any:
        raise self.holder.error()

    def transpose(self, ct: Any, t: Any) -> Any:
        raise self.holder.error()

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        raise self.holder.error()


#: Up to this many elements, repeating them costs less than a view that repeats them.
_SMALL = 4096


@frozen
class Broadcast(Primitive):
    """An array repeated: operand axis i becomes axis `axes[i]` of the result.

    An operand axis of length one may be stretched.
    """

    shape: Shape
    axes: tuple[int, ...]

    linear = ((0,),)

    @property
    def name(self) -> str:
        """The name in jaxprs, the ecosystem's."""
        return "broadcast_in_dim"

    def abstract(self, x: Aval) -> Aval:
        return Aval(self.shape, x.dtype, x.weak)

    def eager(self, x: Any) -> Any:
        shape = x.shape
        if shape:
            expanded = [1] * len(self.shape)
            for axis, n in zip(self.axes, shape):
                expanded[axis] = n
            x = x.reshape(expanded)
        if math.prod(self.shape) > _SMALL:
            return np.broadcast_to(x, self.shape)
        out = np.empty(self.shape, x.dtype)
        out[...] = x
        return out

    def lower(self, ctx: Any, x: Any) -> Any:
        return ctx.broadcast(x, self.shape, self.axes)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        return linear_jvp(self, primals, tangents)

    def transpose(self, ct: Any, x: Any) -> Any:
        shape = x.aval.shape
        stretched = {
            axis
            for axis, n in zip(self.axes, shape)
            if n == 1 and self.shape[axis] != 1
        }
        summed = [a for a in range(len(self.shape)) if a not in self.axes]
        out = reduce_sum(ct, (*summed, *stretched))
        return (reshape(out, shape),)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        (x,), (d,) = operands, dims
        x = move_axis(x, d, 0)
        axes = (0, *(a + 1 for a in self.axes))
        return Broadcast((size, *self.shape), axes)(x), 0


def broadcast(x: Value, shape: Shape, axes: Sequence[int]) -> Value:
    """Repeat `x` to `shape`, its axes going to `axes`."""
    shape, axes = tuple(shape), tuple(axes)
    if shape == x.shape and axes == tuple(range(len(shape))):
        return x
    return Broadcast(shape, axes)(x)


def broadcast_to(x: Value, shape: Shape) -> Value:
    """Repeat `x` to `shape` by NumPy's rules, which align axes from the last."""
    if type(x) not in SCALARS and x.shape == shape:
        return x
    if type(x) in SCALARS:
        return full(shape, x, aval_of(x).dtype, True)
    start = len(shape) - len(x.shape)
    return broadcast(x, shape, range(start, len(shape)))


def broadcast_new_axis(x: Value, size: int, axis: int) -> Value:
    """Insert a new axis of length `size`, repeating the array along it."""
    if type(x) in SCALARS:
        return x
    shape = x.shape
    new = (*shape[:axis], size, *shape[axis:])
    return broadcast(x, new, [i for i in range(len(new)) if i != axis])


@frozen
class Transpose(Primitive):
    """Axes permuted: result axis i is operand axis `permutation[i]`."""

    permutation: tuple[int, ...]

    linear = ((0,),)

    def abstract(self, x: Aval) -> Aval:
        return Aval(tuple(x.shape[p] for p in self.permutation), x.dtype, x.weak)

    def eager(self, x: Any) -> Any:
        return x.transpose(self.permutation)

    def lower(self, ctx: Any, x: Any) -> Any:
        out = self.abstract(x.aval)
        if ctx.platform != "cpu" or not transpose_has_own_loop(ctx.place, out):
            return self.write(ctx, x)
        ctx.uses["transpose"] += 1
        name = "host_transpose_" + "".join(map(str, self.permutation))
        return ctx.call_shared(name, [x], out, lambda x: self.write(ctx, x), apart=True)

    def write(self, ctx: Any, x: Any) -> Any:
        """Emit the compiler's operation."""
        attribute = f", dims = {list(self.permutation)}"
        return ctx.write("stablehlo.transpose", [x], self.abstract(x.aval), attribute)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        return linear_jvp(self, primals, tangents)

    def transpose(self, ct: Any, x: Any) -> Any:
        return (transpose(ct, inverse_permutation(self.permutation)),)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        (x,), (d,) = operands, dims
        moved = tuple(p + (p >= d) for p in self.permutation)
        return transpose(x, (d, *moved)), 0


def inverse_permutation(permutation: Sequence[int]) -> tuple[int, ...]:
    """Give the permutation that undoes another."""
    inverse = [0] * len(permutation)
    for i, p in enumerate(permutation):
        inverse[p] = i
    return tuple(inverse)


def transpose(x: Value, permutation: Sequence[int]) -> Value:
    """Permute the axes of `x`."""
    permutation = tuple(permutation)
    if permutation == tuple(range(len(permutation))):
        return x
    return Transpose(permutation)(x)


def move_axis(x: Value, source: int, target: int) -> Value:
    """Move one axis to another place, the others keeping their order."""
    if source == target:
        return x
    order = [i for i in range(len(x.shape)) if i != source]
    order.insert(target, source)
    return transpose(x, order)


@frozen
class Reshape(Primitive):
    """The same elements in row-major order under another shape."""

    shape: Shape

    linear = ((0,),)

    def abstract(self, x: Aval) -> Aval:
        if math.prod(x.shape) != math.prod(self.shape):
            raise ShapeError(
                f"cannot reshape an array of shape {x.shape} ({x.size} elements) to "
                f"{self.shape} ({math.prod(self.shape)} elements).",
                mend="Use a shape with as many elements, or -1 for one axis.",
            )
        return Aval(self.shape, x.dtype, x.weak)

    def eager(self, x: Any) -> Any:
        return x.reshape(self.shape)

    def lower(self, ctx: Any, x: Any) -> Any:
        return ctx.emit("stablehlo.reshape", [x], self.abstract(x.aval))

    def jvp(self, primals: Any, tangents: Any) -> Any:
        return linear_jvp(self, primals, tangents)

    def transpose(self, ct: Any, x: Any) -> Any:
        return (reshape(ct, x.aval.shape),)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        x = move_axis(operands[0], dims[0], 0)
        return reshape(x, (size, *self.shape)), 0


def reshape(x: Value, shape: Sequence[int]) -> Value:
    """Reshape `x` to a shape without -1."""
    shape = tuple(shape)
    return x if x.shape == shape else Reshape(shape)(x)


def expand_axes(x: Value, axes: Sequence[int]) -> Value:
    """Insert axes of length one at the given places of the result."""
    shape = list(x.shape)
    for axis in sorted(axes):
        shape.insert(axis, 1)
    return reshape(x, shape)


@frozen
class ReduceSum(Primitive):
    """The sum over some axes, which disappear."""

    axes: tuple[int, ...]

    linear = ((0,),)

    def abstract(self, x: Aval) -> Aval:
        shape = tuple(n for i, n in enumerate(x.shape) if i not in self.axes)
        return Aval(shape, x.dtype, x.weak)

    def eager(self, x: Any) -> Any:
        return np.add.reduce(x, axis=self.axes, dtype=x.dtype)

    def lower(self, ctx: Any, x: Any) -> Any:
        return ctx.reduce("add", x, 0, self.axes)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        return linear_jvp(self, primals, tangents)

    def transpose(self, ct: Any, x: Any) -> Any:
        shape = x.aval.shape
        kept = [i for i in range(len(shape)) if i not in self.axes]
        return (broadcast(ct, shape, kept),)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        (x,), (d,) = operands, dims
        axes = tuple(a + (a >= d) for a in self.axes)
        return ReduceSum(axes)(x), d - sum(a < d for a in axes)


def reduce_sum(x: Value, axes: Sequence[int]) -> Value:
    """Sum `x` over non-negative axes."""
    axes = tuple(sorted(axes))
    return ReduceSum(axes)(x) if axes else x


def unbroadcast(ct: Value, shape: Shape) -> Value:
    """Sum a cotangent over the axes along which NumPy's rules repeated an operand."""
    have = ct.shape
    if have == shape:
        return ct
    extra = len(have) - len(shape)
    axes = [
        *range(extra),
        *(i + extra for i, n in enumerate(shape) if n == 1 and have[i + extra] != 1),
    ]
    return reshape(reduce_sum(ct, axes), shape)


def is_known_zero(x: Any) -> bool:
    """Whether a value is zero by its own evidence, traced values included."""
    kind = type(x)
    if kind in SCALARS:
        return not x
    if kind is Array:
        return not np.any(x.fetch())
    eqn = getattr(x, "eqn", None)
    if eqn is None:
        return False
    if isinstance(eqn.primitive, Full):
        return not eqn.primitive.value
    if not isinstance(eqn.primitive, (Broadcast, Reshape, Transpose)):
        return False
    return all(map(is_known_zero, getattr(x, "eqn_operands", ())))
