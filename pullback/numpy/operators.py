"""The operators and methods of arrays and traced values, filled into the core once."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.config import listeners
from pullback.core.array import (
    Array,
    Operators,
    exchange_operators,
    fill_operators,
)
from pullback.core.calling import is_arraylike
from pullback.core.origin import called_at
from pullback.core.trace import Value, current_trace
from pullback.errors import ArgumentError
from pullback.numpy import (
    composed,
    contraction,
    creation,
    diagonals,
    indexing,
    reductions,
    shaping,
    sorting,
    taking,
    ufuncs,
    writing,
)
from pullback.numpy.arguments import array_argument, describe, wrong_shape
from pullback.numpy.promotion import FLOATING, INTEGRAL, NUMERIC, convert
from pullback.numpy.ranks import looking_at_ranks, ranks_matter
from pullback.primitives import table
from pullback.primitives.creation import bitcast_convert_type

Method = Callable[..., Any]

_COMPLEX = frozenset(np.dtype(c).num for c in "FD")

# -- operators -------------------------------------------------------------------------
# The branches of `binary` stand in the order of their use: benchmarks time `x + x`.
# Integers from 0 to 127 fit every dtype; `function` promotes the others.


def is_operand(name: str, other: Any) -> bool:
    """Whether an operator takes `other`; False lets Python ask the other's class.

    Raises:
        NotAnArrayError: a list or tuple, which no array operator takes.
    """
    if isinstance(other, (list, tuple)):
        array_argument(other, name, "one operand")
    return is_arraylike(other)


def binary(function: Method, op: Any, numbers: frozenset[int]) -> Method:
    """Make an operator whose hot branches apply `op` without promotion.

    Args:
        function: the public function, for everything else.
        op: the operation on operands of one dtype.
        numbers: the dtypes for which `op` is what the operator means, by number.
    """
    whole = numbers & INTEGRAL
    inexact = numbers & FLOATING
    name = function.__name__

    def method(self: Any, other: Any) -> Any:
        kind = type(other)
        if kind is Array and type(self) is Array:
            x, y = self.host, other.host
            if x is not None and y is not None:
                dtype = x.dtype
                if dtype is y.dtype and dtype.num in numbers:
                    return current_trace().apply(op, (self, other))
        elif kind is float:
            if self.dtype.num in inexact:
                return current_trace().apply(op, (self, other))
        elif kind is int:
            number = self.dtype.num
            if number in inexact:
                return current_trace().apply(op, (self, float(other)))
            if number in whole and 0 <= other < 128:
                return current_trace().apply(op, (self, other))
        elif isinstance(other, Operators):
            dtype = self.dtype
            if dtype is other.dtype and dtype.num in numbers:  # type: ignore[attr-defined]
                return current_trace().apply(op, (self, other))
        elif not is_operand(name, other):
            return NotImplemented
        return function(self, other)

    return method


def reflected(function: Method, op: Any, numbers: frozenset[int]) -> Method:
    """Make the reflected form of an operator that does not commute."""
    whole = numbers & INTEGRAL
    inexact = numbers & FLOATING
    name = function.__name__

    def method(self: Any, other: Any) -> Any:
        kind = type(other)
        if kind is float or kind is int:
            number = self.dtype.num
            if number in inexact:
                return current_trace().apply(op, (float(other), self))
            if number in whole and kind is int and 0 <= other < 128:
                return current_trace().apply(op, (other, self))
        elif not is_operand(name, other):
            return NotImplemented
        return function(other, self)

    return method


def general(function: Method, swap: bool = False) -> Method:
    """Make an operator of a public function of two operands."""
    name = function.__name__

    def method(self: Any, other: Any) -> Any:
        if not isinstance(other, Operators) and not is_operand(name, other):
            return NotImplemented
        return function(other, self) if swap else function(self, other)

    return method


def power(self: Any, exponent: Any, modulus: None = None) -> Any:
    """Raise to a power; `pow(x, y, modulus)` is refused."""
    if modulus is not None:
        return NotImplemented
    kind = type(exponent)
    if kind is int and exponent > 0 and self.dtype.num in NUMERIC:
        return table.integer_pow(self, exponent)
    if kind is float and self.dtype.num in FLOATING:
        return table.pow(self, exponent)
    if not is_operand("power", exponent):
        return NotImplemented
    return ufuncs.power(self, exponent)


def negate(self: Any) -> Any:
    """Give the negative."""
    return table.neg(self) if self.dtype.num in NUMERIC else ufuncs.negative(self)


def arithmetic_operators() -> dict[str, Method]:
    """Give the methods behind the operators of arithmetic."""
    # The same method both ways for what commutes: the array comes first in jaxprs.
    add = binary(ufuncs.add, table.add, NUMERIC)
    multiply = binary(ufuncs.multiply, table.mul, NUMERIC)
    return {
        "__add__": add,
        "__radd__": add,
        "__sub__": binary(ufuncs.subtract, table.sub, NUMERIC),
        "__rsub__": reflected(ufuncs.subtract, table.sub, NUMERIC),
        "__mul__": multiply,
        "__rmul__": multiply,
        "__truediv__": binary(ufuncs.divide, table.div, FLOATING),
        "__rtruediv__": reflected(ufuncs.divide, table.div, FLOATING),
        "__floordiv__": general(ufuncs.floor_divide),
        "__rfloordiv__": general(ufuncs.floor_divide, True),
        "__mod__": general(ufuncs.remainder),
        "__rmod__": general(ufuncs.remainder, True),
        "__divmod__": general(ufuncs.divmod),
        "__rdivmod__": general(ufuncs.divmod, True),
        "__pow__": power,
        "__rpow__": general(ufuncs.power, True),
        "__matmul__": general(contraction.matmul),
        "__rmatmul__": general(contraction.matmul, True),
        "__neg__": negate,
        "__pos__": ufuncs.positive,
        "__abs__": ufuncs.abs,
        "__invert__": ufuncs.invert,
        "__round__": ufuncs.round,
    }


def comparison_and_bit_operators() -> dict[str, Method]:
    """Give the methods behind comparisons, logic on bits, and shifts."""
    ordered = NUMERIC - _COMPLEX
    bits = {
        "and": ufuncs.bitwise_and,
        "or": ufuncs.bitwise_or,
        "xor": ufuncs.bitwise_xor,
        "lshift": ufuncs.left_shift,
        "rshift": ufuncs.right_shift,
    }
    return {
        "__eq__": binary(ufuncs.equal, table.eq, NUMERIC),
        "__ne__": binary(ufuncs.not_equal, table.ne, NUMERIC),
        "__lt__": binary(ufuncs.less, table.lt, ordered),
        "__le__": binary(ufuncs.less_equal, table.le, ordered),
        "__gt__": binary(ufuncs.greater, table.gt, ordered),
        "__ge__": binary(ufuncs.greater_equal, table.ge, ordered),
        **{f"__{name}__": general(f) for name, f in bits.items()},
        **{f"__r{name}__": general(f, True) for name, f in bits.items()},
    }


# -- the sequence over the first axis --------------------------------------------------


def length(self: Any) -> int:
    """Give the length of the first axis."""
    shape = self.shape
    if not shape:
        raise ArgumentError(
            f"len() was asked of {describe(self)}, a scalar.",
            where=called_at(),
            mend="Use x.size, or jnp.atleast_1d(x).",
        )
    return int(shape[0])


def contains(self: Any, item: Any) -> bool:
    """Whether an element equals `item`."""
    return bool(reductions.any(ufuncs.equal(self, item)))


# -- methods ---------------------------------------------------------------------------


def astype(self: Any, dtype: Any, copy: bool = True, device: Any = None) -> Value:
    """Convert to a dtype; complex to real drops the imaginary part."""
    return convert(self, dtypes.canonical(dtype))


def reshape(
    self: Any, *shape: Any, order: str = "C", copy: bool | None = None
) -> Value:
    """Give the same elements under another shape."""
    return shaping.reshape(self, shape[0] if len(shape) == 1 else shape, order)


def transpose(self: Any, *axes: Any) -> Value:
    """Permute axes; by default reverse their order."""
    if not axes or axes == (None,):
        return shaping.transpose(self)
    given = axes[0] if isinstance(axes[0], (tuple, list)) else axes
    return shaping.transpose(self, given)


def view(self: Any, dtype: Any = None) -> Value:
    """Read the bytes of the array as another dtype; the last axis changes its length.

    Bytes other than 0 are true.
    """
    wanted = self.dtype if dtype is None else dtypes.canonical(dtype)
    if wanted == self.dtype:
        return self
    x = self
    if dtypes.is_complex(x.dtype):
        parts = [shaping.expand_dims(part, -1) for part in (x.real, x.imag)]
        x = _longer(shaping.concatenate(parts, -1))
    elif x.dtype == dtypes.bool_:
        x = convert(x, dtypes.uint8)
    if dtypes.is_complex(wanted):
        halves = _paired(_viewed(x, dtypes.real_dtype(wanted)), 2)
        return table.make_complex(halves[..., 0], halves[..., 1])
    if wanted == dtypes.bool_:
        return table.ne(_viewed(x, dtypes.uint8), 0)
    return _viewed(x, wanted)


def _viewed(x: Value, wanted: dtypes.Dtype) -> Value:
    """Read bytes as a dtype of another size, if need be."""
    have, want = x.dtype.itemsize, wanted.itemsize
    if have == want:
        return bitcast_convert_type(x, wanted)
    if have > want:
        return _longer(bitcast_convert_type(x, wanted))
    return bitcast_convert_type(_paired(x, want // have), wanted)


def _longer(x: Value) -> Value:
    """Join the last two axes.

    Raises:
        ShapeError: there are not two, since the array viewed was a scalar.
    """
    if len(x.shape) < 2:
        raise wrong_shape(
            "view", "of a scalar keeps the size of its dtype.", "Use x[None].view()."
        )
    return shaping.reshape(x, (*x.shape[:-2], x.shape[-2] * x.shape[-1]))


def _paired(x: Value, count: int) -> Value:
    """Cut the last axis into groups along a new one.

    Raises:
        ShapeError: it has no such length.
    """
    if not x.shape or x.shape[-1] % count:
        raise wrong_shape(
            "view",
            f"of {describe(x)} as a dtype {count} times as large was asked for.",
            f"Make the length of the last axis a multiple of {count}.",
        )
    return shaping.reshape(x, (*x.shape[:-1], x.shape[-1] // count, count))


def to_device(self: Any, device: Any, *, stream: Any = None) -> Value:
    """Give the array itself: values move when they are used."""
    return self


def array_namespace(self: Any, api_version: str | None = None) -> Any:
    """Give the module with the functions of the array API standard."""
    return sys.modules["pullback.numpy"]


def properties() -> dict[str, property]:
    """Give the properties of arrays and traced values."""
    return {
        "T": property(shaping.transpose, doc="The axes in reverse order."),
        "mT": property(shaping.matrix_transpose, doc="The last two axes swapped."),
        "real": property(composed.real, doc="The real part."),
        "imag": property(composed.imag, doc="The imaginary part."),
        "at": property(writing.At, doc="Places by index, for changed copies."),
        "ndim": property(lambda x: len(x.shape), doc="The number of dimensions."),
        "size": property(lambda x: math.prod(x.shape), doc="The number of elements."),
        "itemsize": property(lambda x: x.dtype.itemsize, doc="Bytes an element."),
        "nbytes": property(lambda x: x.aval.nbytes, doc="Bytes of all elements."),
        "device": property(
            lambda x: "cpu", doc="The device; the host for NumPy values."
        ),
    }


def same_named_methods() -> dict[str, Method]:
    """Give the methods that are functions of the same name, the array first."""
    modules: dict[Any, str] = {
        reductions: "sum prod mean std var max min any all argmax argmin ptp cumsum "
        "cumprod",
        shaping: "ravel swapaxes squeeze",
        ufuncs: "round",
        composed: "conj conjugate clip",
        contraction: "dot trace",
        creation: "copy",
        diagonals: "diagonal",
        sorting: "sort argsort argpartition partition searchsorted",
        taking: "take repeat nonzero choose compress",
    }
    return {
        name: _method(getattr(module, name))
        for module, names in modules.items()
        for name in names.split()
    }


def _method(function: Method) -> Method:
    """Make a method of a function, leaving its signature and docstring."""
    return function


fill_operators(
    {
        **arithmetic_operators(),
        **comparison_and_bit_operators(),
        **properties(),
        **same_named_methods(),
        "__getitem__": indexing.getitem,
        "__setitem__": writing.setitem,
        "__iter__": indexing.iterate,
        "__len__": length,
        "__contains__": contains,
        "__array_namespace__": array_namespace,
        "astype": astype,
        "reshape": reshape,
        "transpose": transpose,
        "flatten": shaping.ravel,
        "view": view,
        "to_device": to_device,
        "devices": lambda self: {"cpu"},
    }
)


# -- ranks -----------------------------------------------------------------------------

_ALONE = ("__neg__", "__pos__", "__abs__", "__invert__", "__round__")
_CONTRACTING = ("__matmul__", "__rmatmul__")
#: The operators whose operands are broadcast to one shape. They are exchanged when the
#: switch changes, so that looking at ranks costs nothing while it is off.
_BROADCASTING: dict[str, Method] = {
    name: vars(Operators)[name]
    for name in (*arithmetic_operators(), *comparison_and_bit_operators())
    if name not in _ALONE + _CONTRACTING
}


def follow_switch() -> None:
    """Let operators look at the ranks of their operands, or not."""
    looks = vars(Operators)["__add__"] is not _BROADCASTING["__add__"]
    if looks == ranks_matter():
        return
    exchange_operators(
        _BROADCASTING
        if looks
        else {n: looking_at_ranks(m, said_name(n)) for n, m in _BROADCASTING.items()}
    )


def said_name(name: str) -> str:
    """Give the name of an operator without underscores; of a reflected one, its own."""
    plain = name.strip("_")
    own = plain.removeprefix("r")
    return own if f"__{own}__" in _BROADCASTING else plain


listeners.append(follow_switch)
follow_switch()
