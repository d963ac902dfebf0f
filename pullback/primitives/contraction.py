"""Sums of products over pairs of axes: matrix products and their kin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.config import config
from pullback.core.at_once import at_once
from pullback.core.aval import Aval
from pullback.core.origin import called_at
from pullback.core.primitive import Primitive
from pullback.core.trace import Value, aval_of
from pullback.core.zero import Unknown, Zero, is_zero
from pullback.dtypes import Dtype
from pullback.errors import ArgumentError
from pullback.primitives.recipes import check_same_dtype, shape_error, shifted, without
from pullback.primitives.structural import (
    add_tangents,
    frozen,
    inverse_permutation,
    transpose,
)
from pullback.primitives.table import convert

Axes = tuple[int, ...]
#: ((contracting axes of x, of y), (batch axes of x, of y)).
DimensionNumbers = tuple[tuple[Axes, Axes], tuple[Axes, Axes]]

#: Products of these are computed in float32 and rounded once, as the compiler does.
_NARROW = frozenset((dtypes.bfloat16, dtypes.float16, *dtypes.EIGHT_BITS))


@frozen
class DotGeneral(Primitive):
    """Products summed over contracting axes, for each index of the batch axes.

    The result has the batch axes, then the other axes of x, then those of y.
    `preferred` is the dtype of products and result, that of the operands if None.
    """

    contracting: tuple[Axes, Axes]
    batching: tuple[Axes, Axes] = ((), ())
    preferred: Dtype | None = None
    precision: tuple[str, str] = ("DEFAULT", "DEFAULT")

    linear = ((0,), (1,))

    def abstract(self, x: Aval, y: Aval) -> Aval:
        check_dot(self, x, y)
        return self.result(x, y)

    def result(self, x: Aval, y: Aval) -> Aval:
        """Give the type of the result for operands that fit."""
        (cx, cy), (bx, by) = self.contracting, self.batching
        shape = tuple([x.shape[i] for i in bx])
        shape += without(x.shape, (*cx, *bx)) + without(y.shape, (*cy, *by))
        return Aval(shape, self.preferred or x.dtype, x.weak and y.weak)

    def eager(self, x: Any, y: Any) -> Any:
        dtype = x.dtype
        if self.preferred is None and dtype not in _NARROW and dtype.kind != "b":
            return contract(x, y, self.contracting, self.batching)
        out = self.preferred or dtype
        work = product_dtype(dtype, out)
        z = contract(x.astype(work), y.astype(work), self.contracting, self.batching)
        return z.astype(out)

    def lower(self, ctx: Any, x: Any, y: Any) -> Any:
        (cx, cy), (bx, by) = self.contracting, self.batching
        attributes = f", batching_dims = {list(bx)} x {list(by)}" if bx else ""
        attributes += f", contracting_dims = {list(cx)} x {list(cy)}"
        if set(self.precision) != {"DEFAULT"}:
            attributes += f", precision = [{', '.join(self.precision)}]"
        out = self.result(x.aval, y.aval)
        if x.aval.dtype != dtypes.bool_:
            return ctx.write("stablehlo.dot_general", [x, y], out, attributes)
        wide = [ctx.convert(z, dtypes.float32) for z in (x, y)]
        found = ctx.write(
            "stablehlo.dot_general", wide, Aval(out.shape, dtypes.float32), attributes
        )
        return ctx.convert(found, out.dtype)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (x, y), (s, t) = primals, tangents
        ans = self(x, y)
        from_x = s if is_zero(s) else self(s, y)
        from_y = t if is_zero(t) else self(x, t)
        total = add_tangents(from_x, from_y)
        return ans, Zero(like=ans) if is_zero(total) else total

    def transpose(self, ct: Any, x: Any, y: Any) -> Any:
        if isinstance(x, Unknown):
            found = None
            if self.is_plain(x.aval, y, ct):
                found = at_once(lambda ct, y: times_second(ct, y, x.aval.ndim), ct, y)
            return self.cotangent_of_x(ct, x.aval, y) if found is None else found, None
        found = None
        if self.is_plain(x, y.aval, ct):
            found = at_once(lambda ct, x: times_first(ct, x, y.aval.ndim), ct, x)
        return None, self.cotangent_of_y(ct, x, y.aval) if found is None else found

    def is_plain(self, x: Any, y: Any, ct: Value) -> bool:
        """Whether this is NumPy's product of vectors or matrices, in one dtype."""
        m, n = len(x.shape), len(y.shape)
        return (
            m <= 2
            and n <= 2
            and self.contracting == ((m - 1,), (0,))
            and not self.batching[0]
            and bool(x.dtype == y.dtype == ct.dtype)
        )

    def cotangent_of_x(self, ct: Value, x: Aval, y: Value) -> Value:
        """Contract a cotangent with y over y's free axes, in the layout of x."""
        (cx, cy), (bx, by) = self.contracting, self.batching
        free_x = without(range(x.ndim), (*cx, *bx))
        free_y = without(range(len(y.shape)), (*cy, *by))
        first = len(bx) + len(free_x)
        last = tuple(range(first, first + len(free_y)))
        y = convert(y, ct.dtype) if y.dtype != ct.dtype else y
        found = DotGeneral(
            (last, free_y), (tuple(range(len(bx))), by), None, self.precision
        )(ct, y)
        # The result's axes are x's batch axes, its free axes, and then y's contracting
        # axes in ascending order.
        contracted = [cx[i] for i in sorted(range(len(cy)), key=cy.__getitem__)]
        return laid_out(found, [*bx, *free_x, *contracted], x.dtype)

    def cotangent_of_y(self, ct: Value, x: Value, y: Aval) -> Value:
        """Contract x with a cotangent over x's free axes, in the layout of y."""
        (cx, cy), (bx, by) = self.contracting, self.batching
        free_x = without(range(len(x.shape)), (*cx, *bx))
        free_y = without(range(y.ndim), (*cy, *by))
        first = tuple(range(len(bx), len(bx) + len(free_x)))
        x = convert(x, ct.dtype) if x.dtype != ct.dtype else x
        found = DotGeneral(
            (free_x, first), (bx, tuple(range(len(bx)))), None, self.precision
        )(x, ct)
        # The result's axes are y's batch axes, x's contracting axes in ascending
        # order, and then y's free axes.
        contracted = [cy[i] for i in sorted(range(len(cx)), key=cx.__getitem__)]
        return laid_out(found, [*by, *contracted, *free_y], y.dtype)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        (x, y), (d, e) = operands, dims
        (cx, cy), (bx, by) = self.contracting, self.batching
        if d is not None:
            cx, bx = shifted(cx, d), shifted(bx, d)
        if e is not None:
            cy, by = shifted(cy, e), shifted(by, e)
        if d is not None and e is not None:
            bx, by = (d, *bx), (e, *by)
            place = 0
        elif d is not None:
            place = len(bx) + sum(i not in cx and i not in bx for i in range(d))
        else:
            free_x = len(x.shape) - len(cx) - len(bx)
            place = len(bx) + free_x
            place += sum(i not in cy and i not in by for i in range(e))
        out = DotGeneral((cx, cy), (bx, by), self.preferred, self.precision)(x, y)
        return out, place


def times_second(ct: Any, y: Any, rank: int) -> Any:
    """Give the cotangent of x, a vector or a matrix, in NumPy's x @ y."""
    if y.ndim == 2:
        return ct @ y.T
    return ct * y if rank == 1 else ct[:, None] * y


def times_first(ct: Any, x: Any, rank: int) -> Any:
    """Give the cotangent of y, a vector or a matrix, in NumPy's x @ y."""
    if x.ndim == 2:
        return x.T @ ct
    return x * ct if rank == 1 else x[:, None] * ct


def laid_out(found: Value, places: Sequence[int], dtype: Dtype) -> Value:
    """Move axis i to place `places[i]`, and convert to a dtype."""
    found = transpose(found, inverse_permutation(places))
    return convert(found, dtype) if found.dtype != dtype else found


def check_dot(dot: DotGeneral, x: Aval, y: Aval) -> None:
    """Raise unless the operands fit the dimension numbers."""
    if x.dtype is y.dtype and not dot.batching[0] and len(dot.contracting[0]) == 1:
        (last,), first = dot.contracting
        fits = first == (0,) and 0 <= last < len(x.shape)
        if fits and y.shape and x.shape[last] == y.shape[0]:
            return
    check_same_dtype((x, y), "dot_general")
    for what, (i, j) in (("contracting", dot.contracting), ("batch", dot.batching)):
        fits = len(i) == len(j)
        for a, b in zip(i, j):
            inside = 0 <= a < len(x.shape) and 0 <= b < len(y.shape)
            fits = fits and inside and x.shape[a] == y.shape[b]
        if not fits:
            raise shape_error(
                f"dot_general was given operands of types {x} and {y} with {what} axes "
                f"{i} and {j}, which do not match.",
                f"Name as many {what} axes on each side, of equal lengths.",
            )


def product_dtype(dtype: Dtype, out: Dtype) -> Dtype:
    """Give the dtype in which products of one dtype are summed for a result."""
    if dtypes.is_integer(dtype) or dtype == dtypes.bool_:
        return dtypes.int32 if out == dtypes.bool_ else out
    if dtype in _NARROW:
        return out if out in (dtypes.float64,) else dtypes.float32
    return dtype if dtype.itemsize >= out.itemsize else out


def precision_text(precision: tuple[str, str]) -> str:
    """Write the precision attribute of a contraction."""
    return "[" + ", ".join(f"#stablehlo<precision {p}>" for p in precision) + "]"


def contract(x: Any, y: Any, contracting: Any, batching: Any) -> Any:
    """Contract NumPy arrays of one dtype that NumPy multiplies well."""
    (cx, cy), (bx, by) = contracting, batching
    if not bx and x.ndim and y.ndim and cx == (x.ndim - 1,) and cy == (0,):
        if x.ndim <= 2 and y.ndim <= 2:
            return np.matmul(x, y)
    free_x = tuple([i for i in range(x.ndim) if i not in cx and i not in bx])
    free_y = tuple([i for i in range(y.ndim) if i not in cy and i not in by])
    batch_shape = tuple([x.shape[i] for i in bx])
    shape_x = tuple([x.shape[i] for i in free_x])
    shape_y = tuple([y.shape[i] for i in free_y])
    summed = math.prod([x.shape[i] for i in cx])
    left = np.transpose(x, (*bx, *free_x, *cx))
    right = np.transpose(y, (*by, *cy, *free_y))
    left = left.reshape((*batch_shape, math.prod(shape_x), summed))
    right = right.reshape((*batch_shape, summed, math.prod(shape_y)))
    out = np.matmul(left, right)
    return out.reshape((*batch_shape, *shape_x, *shape_y))


def dot_general(
    x: Value,
    y: Value,
    dimension_numbers: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Value:
    """Contract pairs of axes of `x` and `y`, for each index of pairs of batch axes.

    Args:
        x: an array.
        y: an array of the same dtype.
        dimension_numbers: ((contracting axes of x, of y), (batch axes of x, of y)).
        precision: None, "default", "high" or "highest", or one of these an operand;
            matters on accelerators only.
        preferred_element_type: the dtype of the products and of the result.

    Returns:
        An array with the batch axes, then the other axes of `x`, then those of `y`.
    """
    (cx, cy), (bx, by) = dimension_numbers
    preferred = preferred_element_type
    wanted = None if preferred is None else dtypes.canonical(preferred)
    if wanted == x.dtype:
        wanted = None
    return DotGeneral(
        (tuple(cx), tuple(cy)),
        (tuple(bx), tuple(by)),
        wanted,
        canonical_precision(precision),
    )(x, y)


def canonical_precision(precision: Any) -> tuple[str, str]:
    """Give the precision of both operands as the compiler names it.

    Raises:
        ArgumentError: there is no such precision.
    """
    if precision is None:
        name = config.default_matmul_precision.upper()
        return name, name
    pair = precision if isinstance(precision, (tuple, list)) else (precision,) * 2
    names = [str(getattr(p, "name", p) or "default").upper() for p in pair]
    if len(names) != 2 or not {"DEFAULT", "HIGH", "HIGHEST"}.issuperset(names):
        raise ArgumentError(
            f"precision must be 'default', 'high' or 'highest', or two of them; got "
            f"{precision!r}.",
            where=called_at(),
            mend="Leave it out for the default.",
        )
    return names[0], names[1]


def dot(
    x: Value, y: Value, precision: Any = None, preferred_element_type: Any = None
) -> Value:
    """Multiply vectors and matrices: the last axis of `x` with the first of `y`.

    Raises:
        ShapeError: an operand is no vector or matrix.
    """
    a, b = aval_of(x), aval_of(y)
    if a.ndim not in (1, 2) or b.ndim not in (1, 2):
        raise shape_error(
            f"dot was given operands of types {a} and {b}.",
            "Give vectors or matrices; use dot_general or pullback.numpy.matmul for "
            "others.",
        )
    numbers = (((a.ndim - 1,), (0,)), ((), ()))
    return dot_general(x, y, numbers, precision, preferred_element_type)


def matmul(x: Value, y: Value) -> Value:
    """Multiply matrices or stacks of them with equal leading axes."""
    rank = len(x.shape)
    stack = tuple(range(rank - 2))
    return DotGeneral(((rank - 1,), (rank - 2,)), (stack, stack))(x, y)
