"""Elementwise functions with NumPy's methods: `add.reduce`, `frompyfunc`."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from pullback import dtypes
from pullback.calls.loops import scan
from pullback.core.calling import check_callable
from pullback.core.origin import called_at, name_of
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.numpy import (
    composed,
    creation,
    integers,
    reductions,
    shaping,
    taking,
    ufuncs,
    writing,
)
from pullback.numpy.arguments import array_argument, no_out, static_int, wrong_shape
from pullback.numpy.filling import not_in_place
from pullback.numpy.promotion import as_weak_as, convert, promote_arrays
from pullback.numpy.vectorizing import vectorize
from pullback.primitives import table
from pullback.primitives.recipes import canonical_axis

#: What does a whole reduction, a running one, and updates at places at once.
_REDUCTIONS: dict[str, Callable[..., Value]] = {
    "add": reductions.sum,
    "multiply": reductions.prod,
    "maximum": reductions.max,
    "minimum": reductions.min,
    "logical_and": reductions.all,
    "logical_or": reductions.any,
}
_RUNNING: dict[str, Callable[..., Value]] = {
    "add": reductions.cumsum,
    "multiply": reductions.cumprod,
}
_PLACED = {
    "add": "add",
    "subtract": "subtract",
    "multiply": "multiply",
    "maximum": "max",
    "minimum": "min",
}
_IDENTITIES: dict[str, Any] = {
    "add": 0,
    "multiply": 1,
    "logical_and": True,
    "logical_or": False,
    "logical_xor": False,
    "bitwise_and": -1,
    "bitwise_or": 0,
    "bitwise_xor": 0,
    "logaddexp": -math.inf,
    "logaddexp2": -math.inf,
    "hypot": 0,
    "gcd": 0,
}


class ufunc:
    """A function of single elements, applied to arrays that broadcast.

    Args:
        func: a function of `nin` arrays of one shape, or of scalars, that gives `nout`.
        nin: how many operands it takes.
        nout: how many results it gives, a tuple if more than one.
        identity: what reductions of nothing give; None if there is no such number.
    """

    def __init__(
        self,
        func: Callable[..., Any],
        nin: int,
        nout: int = 1,
        *,
        identity: Any = None,
        call: Callable[..., Any] | None = None,
    ) -> None:
        check_callable(func, "frompyfunc")
        self.nin = static_int(nin, "frompyfunc", "nin")
        self.nout = static_int(nout, "frompyfunc", "nout")
        self.nargs = self.nin + self.nout
        self.identity = identity
        self.__name__ = name_of(func)
        self.__doc__ = func.__doc__
        self._call = vectorize(func) if call is None else call

    def __call__(self, *args: Any) -> Any:
        """Apply the function to arrays that broadcast."""
        if len(args) != self.nin:
            raise ArgumentError(
                f"ufunc {self.__name__} takes {self.nin} arguments; got {len(args)}.",
                where=called_at(),
                mend="Give one array for each operand.",
            )
        return self._call(*args)

    def __repr__(self) -> str:
        """Show the name."""
        return f"<ufunc {self.__name__}>"

    def _check_binary(self, method: str) -> None:
        if (self.nin, self.nout) != (2, 1):
            raise ArgumentError(
                f"{self.__name__}.{method} was called; {self.__name__} takes "
                f"{self.nin} operands and gives {self.nout}.",
                where=called_at(),
                mend="Use a function of two operands and one result.",
            )

    def reduce(
        self,
        a: Any,
        axis: Any = 0,
        dtype: Any = None,
        out: None = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = None,
    ) -> Value:
        """Combine the elements along an axis, from the first on; None means all axes.

        Sums, products, extrema and logic take several axes.
        """
        self._check_binary("reduce")
        no_out(out, f"{self.__name__}.reduce")
        a = creation.asarray(a)
        a = a if dtype is None else convert(a, dtypes.canonical(dtype))
        whole = _REDUCTIONS.get(self.__name__)
        if whole is not None and (initial is None or self.__name__[:5] != "logic"):
            options = {} if initial is None else {"initial": initial}
            options |= {} if where is None else {"where": where}
            options |= {"dtype": dtype} if self.__name__ in _RUNNING else {}
            return whole(a, axis, keepdims=keepdims, **options)
        keep = creation.ones(a.shape, bool) if where is None else where
        keep = shaping.broadcast_to(ufuncs.truth(creation.asarray(keep)), a.shape)
        shape = (1,) * len(a.shape)
        if axis is None:
            a, keep, axis = shaping.ravel(a), shaping.ravel(keep), 0
        else:
            axis = self._one_axis(axis, len(a.shape), "reduce")
            shape = tuple(1 if i == axis else n for i, n in enumerate(a.shape))
        rows, kept = shaping.moveaxis(a, axis, 0), shaping.moveaxis(keep, axis, 0)
        start = self.identity if initial is None else initial
        if start is None and (where is not None or not rows.shape[0]):
            raise wrong_shape(
                f"{self.__name__}.reduce",
                "has no identity to begin with.",
                "Give initial=.",
            )
        if initial is None and where is None and rows.shape[0]:
            start, rows, kept = rows[0], rows[1:], kept[1:]
        found = self._folded(start, rows, kept)
        return shaping.reshape(found, shape) if keepdims else found

    def _one_axis(self, axis: Any, rank: int, method: str) -> int:
        return canonical_axis(
            static_int(axis, f"{self.__name__}.{method}", "axis"),
            rank,
            f"{self.__name__}.{method}",
        )

    def _folded(self, start: Any, rows: Value, kept: Value) -> Value:
        """Combine rows one after another where they are kept."""
        start = shaping.broadcast_to(creation.asarray(start), rows.shape[1:])
        start = self._as_result(start, rows)

        def step(held: Value, row: tuple[Value, Value]) -> tuple[Value, None]:
            new = convert(self(held, row[0]), held.dtype, held.weak_type)
            return table.select(row[1], new, held), None

        return scan(step, start, (rows, kept))[0]

    def _as_result(self, start: Value, rows: Value) -> Value:
        """Convert to the dtype that the function gives."""
        if not start.dtype == rows.dtype:
            start = promote_arrays(self.__name__, start, rows)[0]
        made = self(start, start)
        return convert(start, made.dtype, made.weak_type)

    def accumulate(
        self, a: Any, axis: Any = 0, dtype: Any = None, out: None = None
    ) -> Value:
        """Combine along an axis, and give what there is after each element."""
        self._check_binary("accumulate")
        no_out(out, f"{self.__name__}.accumulate")
        a = array_argument(creation.asarray(a), self.__name__)
        a = a if dtype is None else convert(a, dtypes.canonical(dtype))
        axis = self._one_axis(axis, len(a.shape), "accumulate")
        if self.__name__ in _RUNNING:
            return _RUNNING[self.__name__](a, axis)
        rows = shaping.moveaxis(a, axis, 0)
        if not rows.shape[0]:
            return a
        first = self._as_result(rows[0], rows)

        def step(held: Value, row: Value) -> tuple[Value, Value]:
            new = convert(self(held, row), held.dtype, held.weak_type)
            return new, new

        rest = scan(step, first, rows[1:])[1]
        found = shaping.concatenate([first[None], as_weak_as(first, rest)])
        return shaping.moveaxis(found, 0, axis)

    def at(
        self, a: Any, indices: Any, b: Any = None, /, *, inplace: bool = True
    ) -> Value:
        """Apply the function at places of `a`, repeated ones in turn.

        `inplace` must be False.
        """
        not_in_place(inplace, f"{self.__name__}.at")
        a = creation.asarray(a)
        if (b is None) != (self.nin == 1):
            raise ArgumentError(
                f"{self.__name__}.at needs {self.nin - 1} operands beside the array.",
                where=called_at(),
                mend="Give as many as the function takes.",
            )
        if self.__name__ in _PLACED:
            places = writing.At(a)[indices]
            return getattr(places, _PLACED[self.__name__])(b)
        flat = shaping.ravel(a)
        numbers = shaping.reshape(creation.arange(a.size), a.shape)[indices]
        rest = (
            []
            if b is None
            else [shaping.broadcast_to(creation.asarray(b), numbers.shape)]
        )

        def step(held: Value, one: tuple[Value, ...]) -> tuple[Value, None]:
            new = self(held[one[0]], *one[1:])
            return writing.At(held)[one[0]].set(convert(new, held.dtype)), None

        operands = tuple(shaping.ravel(creation.asarray(x)) for x in (numbers, *rest))
        return shaping.reshape(scan(step, flat, operands)[0], a.shape)

    def outer(self, A: Any, B: Any, /) -> Value:
        """Apply the function to all pairs of elements."""
        self._check_binary("outer")
        A, B = creation.asarray(A), creation.asarray(B)
        return self(shaping.reshape(A, A.shape + (1,) * len(B.shape)), B)

    def reduceat(
        self, a: Any, indices: Any, axis: Any = 0, dtype: Any = None, out: None = None
    ) -> Value:
        """Combine from each index up to the next; one element where that is not above.

        The work is that of each index times the length of the axis.
        """
        self._check_binary("reduceat")
        no_out(out, f"{self.__name__}.reduceat")
        a, starts = creation.asarray(a), creation.asarray(indices)
        a = a if dtype is None else convert(a, dtypes.canonical(dtype))
        axis = self._one_axis(axis, len(a.shape), "reduceat")
        rows = shaping.moveaxis(a, axis, 0)
        n = rows.shape[0]
        ends = shaping.append(starts[1:], n)
        ends = taking.where(table.gt(ends, starts), ends, table.add(starts, 1))
        lead = [-1] + [1] * (len(rows.shape) - 1)
        first = taking.take(rows, starts, 0, mode="clip")
        starts, ends = (shaping.reshape(x, lead) for x in (starts, ends))

        def step(held: Value, one: tuple[Value, Value]) -> tuple[Value, None]:
            row, place = one
            inside = ufuncs.logical_and(place > starts, place < ends)
            new = convert(self(held, row), held.dtype, held.weak_type)
            return taking.where(inside, new, held), None

        begun = self._as_result(first, rows)
        found = scan(step, begun, (rows, creation.arange(n)))[0]
        return shaping.moveaxis(found, 0, axis)


def frompyfunc(
    func: Callable[..., Any], /, nin: int, nout: int, *, identity: Any = None
) -> ufunc:
    """Make a ufunc of a function of scalars."""
    return ufunc(func, nin, nout, identity=identity)


@functools.cache
def methods_of(name: str) -> ufunc:
    """Give the ufunc of a public function, which has its methods."""
    function = getattr(integers if name in ("gcd", "lcm") else ufuncs, name, None)
    function = function or getattr(composed, name)
    nin = 1 if name == "negative" else 2
    identity = _IDENTITIES.get(name)
    return ufunc(function, nin, identity=identity, call=function)
