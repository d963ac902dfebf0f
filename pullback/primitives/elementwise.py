"""Elementwise operations: what one is, and all of its rules but the derivatives.

The operations themselves are the table in `table.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from pullback import dtypes
from pullback.core.array import SCALARS
from pullback.core.aval import Aval, Shape
from pullback.core.origin import called_at
from pullback.core.primitive import Dim, Primitive
from pullback.core.trace import Value, aval_of, current_trace
from pullback.core.zero import Unknown, Zero
from pullback.errors import DtypeError, ShapeError
from pullback.primitives.structural import (
    accumulate,
    broadcast_to,
    expand_axes,
    move_axis,
    unbroadcast,
)

Partial = Callable[..., Any] | None


class Elementwise(Primitive):
    """An operation on corresponding elements of its operands.

    Operands have one dtype and broadcast by NumPy's rules; a Python scalar takes the
    dtype of the others. A partial derivative is written as users write theirs for
    `defjvps`: a function of `(tangent, primal_output, *primals)`, linear in the
    tangent, None where it is zero.

    Args:
        name: the name in jaxprs.
        function: the NumPy function or Python operator.
        hlo: the StableHLO or CHLO operation, or a function `(ctx, out, *operands)`.
        kinds: the kinds of dtype allowed: "b", "i" signed, "u" unsigned, "f", "c".
        partials: a partial derivative for each argument.
        linear: as `Primitive.linear`.
        transposes: for each operand, a function of `(cotangent, *operands)` giving the
            operand's cotangent; None where it is never linear.
        result: the dtype of the result: "same", "bool" or "real".
    """

    __slots__ = (
        "_name",
        "eager",
        "function",
        "hlo",
        "keeps_weak",
        "kinds",
        "linear",
        "partials",
        "result",
        "scales",
        "transposes",
    )

    elementwise = True

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        hlo: str | Callable[..., Any],
        kinds: str,
        partials: Sequence[Partial] = (),
        *,
        linear: tuple[tuple[Any, ...], ...] = (),
        transposes: Sequence[Partial] = (),
        result: str = "same",
    ) -> None:
        self._name = name
        self.function = self.eager = function  # type: ignore[method-assign]
        self.hlo = hlo
        self.kinds = kinds
        self.partials = tuple(partials)
        self.linear = linear  # type: ignore[misc]
        self.transposes = tuple(transposes)
        self.result = result
        self.keeps_weak = result != "bool"  # type: ignore[misc]
        self.scales = len(partials) == 2 and (0,) in linear  # type: ignore[misc]

    @property
    def name(self) -> str:
        """The name in jaxprs."""
        return self._name

    def weak_result(self, all_weak: bool) -> bool:
        return all_weak and self.result != "bool"

    def operand_avals(self, operands: Sequence[Value]) -> list[Aval]:
        """Give the operands' types; a Python scalar has the dtype of the last array."""
        avals: list[Any] = [
            None if type(x) in SCALARS else aval_of(x) for x in operands
        ]
        if None not in avals:
            return avals
        arrays = [a for a in avals if a is not None]
        if not arrays:
            return [aval_of(x) for x in operands]
        scalar = Aval((), arrays[-1].dtype, True)
        return [scalar if a is None else a for a in avals]

    def abstract(self, *avals: Aval) -> Aval:
        first = avals[-1]
        for a in avals:
            if a.shape != first.shape or a.weak != first.weak:
                weak = all(b.weak for b in avals)
                shape = broadcast_shapes([b.shape for b in avals], self._name)
                first = Aval(shape, first.dtype, weak)
                break
        self.check_dtypes(avals)
        if self.result == "bool":
            return Aval(first.shape, dtypes.bool_)
        if self.result == "real":
            return Aval(first.shape, dtypes.real_dtype(first.dtype), first.weak)
        return first

    def linear_result(self, operands: Sequence[Value]) -> Aval:
        # The type of the tangent, where all others have its shape or none: this spares
        # most steps of a recorded program their `abstract` (`benchmarks`: eager grad).
        found: Aval | None = None
        for x in operands:
            if isinstance(x, Unknown):
                if found is not None:
                    break
                found = x.aval
        else:
            if found is not None and self.result == "same":
                shape, dtype = found.shape, found.dtype
                for x in operands:
                    if type(x) not in SCALARS and (
                        (x.shape != shape and x.shape != ()) or x.dtype != dtype
                    ):
                        break
                else:
                    return found
        return self.abstract(*self.operand_avals(operands))

    def check_dtypes(self, avals: Sequence[Aval]) -> None:
        """Raise unless the operands have one dtype, of a kind that is allowed."""
        last = avals[-1]
        dtype = last.dtype
        if any([a is not last and a.dtype != dtype for a in avals]):
            raise DtypeError(
                f"{self._name} was given operands of different dtypes: "
                f"{', '.join(map(str, avals))}.",
                where=called_at(),
                mend="Convert them to one dtype with astype, or use pullback.numpy, "
                "which promotes.",
            )
        kind = kind_letter(dtype)
        if kind not in self.kinds:
            if dtype == dtypes.float0:
                raise dtypes.no_number(called_at())
            raise DtypeError(
                f"{self._name} does not take operands of dtype {dtype.name}.",
                where=called_at(),
                mend="Convert the operand with astype, or use pullback.numpy, which "
                "promotes.",
            )

    def lower(self, ctx: Any, *operands: Any) -> Any:
        out = self.abstract(*[x.aval for x in operands])
        shape = out.shape
        fitted = [x if x.aval.shape == shape else ctx.fit(x, shape) for x in operands]
        if isinstance(self.hlo, str):
            return ctx.emit(self.hlo, fitted, out)
        return self.hlo(ctx, out, *fitted)

    def jvp(self, primals: Sequence[Value], tangents: Sequence[Any]) -> Any:
        return self.derive(self(*primals), primals, tangents)

    def linearize(self, primals: Sequence[Value], tangents: Sequence[Any]) -> Any:
        # The trace that records tangents would send the primal part to its parent.
        parent = current_trace().parent  # type: ignore[attr-defined]
        return self.derive(parent.apply(self, tuple(primals)), primals, tangents)

    def derive(
        self, ans: Value, primals: Sequence[Value], tangents: Sequence[Any]
    ) -> tuple[Value, Any]:
        """Give the result and its tangent, the sum of the partial derivatives."""
        if len(tangents) == 1:
            partial = self.partials[0]
            if partial is None or isinstance(tangents[0], Zero):
                return ans, Zero(like=ans)
            return ans, partial(tangents[0], ans, primals[0])
        total: Any = None
        for tangent, partial in zip(tangents, self.partials):
            if partial is None or isinstance(tangent, Zero):
                continue
            term = partial(tangent, ans, *primals)
            if isinstance(term, Zero):
                continue
            if term.shape != ans.shape:
                term = broadcast_to(term, ans.shape)
            total = term if total is None else accumulate(total, term)
        return ans, Zero(like=ans) if total is None else total

    def transpose(self, ct: Value, *operands: Value) -> list[Any]:
        out: list[Any] = []
        for x, rule in zip(operands, self.transposes):
            if not isinstance(x, Unknown):
                out.append(None)
                continue
            if rule is None:
                self.missing("transpose")
            cotangent = rule(ct, *operands)
            shape = x.aval.shape
            if cotangent.shape != shape:
                cotangent = unbroadcast(cotangent, shape)
            out.append(cotangent)
        return out

    def batch(self, size: int, operands: Sequence[Value], dims: Sequence[Dim]) -> Any:
        shapes = [() if type(x) in SCALARS else x.shape for x in operands]
        used = {(len(s), d) for s, d in zip(shapes, dims) if d is not None or s != ()}
        if len(used) == 1:
            ((_, dim),) = used
            return self(*operands), dim
        rank = max(len(s) - (d is not None) for s, d in zip(shapes, dims))
        aligned = [
            x if d is None else align(move_axis(x, d, 0), rank)
            for x, d in zip(operands, dims)
        ]
        return self(*aligned), 0

    def __repr__(self) -> str:
        """Show the name."""
        return self._name


def align(x: Value, rank: int) -> Value:
    """Insert axes of length one after the leading batch axis, up to `rank` others."""
    return expand_axes(x, range(1, 1 + rank - (len(x.shape) - 1)))


def kind_letter(dtype: dtypes.Dtype) -> str:
    """Give the kind of a dtype as one letter of "biufc"."""
    return "f" if dtypes.is_float(dtype) else dtype.kind


def broadcast_shapes(shapes: Sequence[Shape], who: str) -> Shape:
    """Give the common shape by NumPy's rules.

    Raises:
        ShapeError: they do not fit together.
    """
    found = try_broadcast(tuple(shapes))
    if found is None:
        raise ShapeError(
            f"{who} was given shapes that do not broadcast: "
            f"{', '.join(map(str, shapes))}.",
            where=called_at(),
            mend="Axes are aligned from the last; each must be equal or 1. Insert axes "
            "with x[:, None] or reshape.",
        )
    return found


@functools.lru_cache(4096)
def try_broadcast(shapes: tuple[Shape, ...]) -> Shape | None:
    """Give the common shape by NumPy's rules, or None."""
    rank = max(map(len, shapes))
    out = []
    for i in range(-rank, 0):
        sizes = {s[i] for s in shapes if len(s) >= -i and s[i] != 1}
        if len(sizes) > 1:
            return None
        out.append(sizes.pop() if sizes else 1)
    return tuple(out)


#: By how many times fewer elements than the quotient has it is divided once for all.
#: Less, and the loop that inverts them costs more: a softmax of 64 terms 1.15 times.
MANY_TIMES = 512


class Quotient(Elementwise):
    """Division, where compiled by something much smaller a product with its inverse.

    So the compiler has it too, but only if what is smaller is used nowhere else.
    Otherwise it divides, in a loop of its own whose result is stored: the gradient of a
    batch normalization takes 1.25 times as long.
    """

    __slots__ = ()

    def lower(self, ctx: Any, x: Any, y: Any) -> Any:
        out = self.abstract(x.aval, y.aval)
        few = y.aval.size * MANY_TIMES <= out.size
        if not few or not dtypes.is_float(out.dtype):
            return super().lower(ctx, x, y)
        one = ctx.constant(1, y.aval)
        inverse = ctx.emit("stablehlo.divide", [one, y], y.aval)
        factors = [ctx.fit(x, out.shape), ctx.fit(inverse, out.shape)]
        return ctx.emit("stablehlo.multiply", factors, out)
