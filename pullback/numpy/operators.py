"""The operators and methods of arrays and traced values, filled into the core once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback.core.array import Operators, fill_operators
from pullback.core.calling import is_arraylike
from pullback.core.trace import Value
from pullback.numpy import ufuncs
from pullback.numpy.promotion import FLOATING, INEXACT, INTEGRAL, NUMERIC
from pullback.primitives import table

Method = Callable[..., Any]


def other_operand(name: str, other: Any) -> bool:
    """Whether an operator takes `other`; False lets Python ask the other's class.

    Raises:
        NotAnArrayError: a list or tuple, which no array operator takes.
    """
    if isinstance(other, (list, tuple)):
        ufuncs.array_argument(other, name, "one operand")
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
        if kind is float:
            if self.dtype.num in inexact:
                return op(self, other)
        elif kind is int:
            number = self.dtype.num
            if number in inexact:
                return op(self, float(other))
            if number in whole:
                return op(self, other)
        elif isinstance(other, Operators):
            dtype = self.dtype
            if dtype is other.dtype and dtype.num in numbers:  # type: ignore[attr-defined]
                return op(self, other)
        elif not other_operand(name, other):
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
                return op(float(other), self)
            if number in whole and kind is int:
                return op(other, self)
        elif not other_operand(name, other):
            return NotImplemented
        return function(other, self)

    return method


def general(function: Method, swap: bool = False) -> Method:
    """Make an operator of a public function of two operands."""
    name = function.__name__

    def method(self: Any, other: Any) -> Any:
        if not isinstance(other, Operators) and not other_operand(name, other):
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
    if not other_operand("power", exponent):
        return NotImplemented
    return ufuncs.power(self, exponent)


def negate(self: Any) -> Any:
    """Give the negative."""
    return table.neg(self) if self.dtype.num in NUMERIC else ufuncs.negative(self)


def arithmetic_operators() -> dict[str, Method]:
    """Give the dunder methods of arithmetic."""
    add = binary(ufuncs.add, table.add, NUMERIC)
    mul = binary(ufuncs.multiply, table.mul, NUMERIC)
    return {
        "__add__": add,
        "__radd__": add,
        "__sub__": binary(ufuncs.subtract, table.sub, NUMERIC),
        "__rsub__": reflected(ufuncs.subtract, table.sub, NUMERIC),
        "__mul__": mul,
        "__rmul__": mul,
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
        "__neg__": negate,
        "__pos__": ufuncs.positive,
        "__abs__": ufuncs.abs,
        "__invert__": ufuncs.invert,
    }


def comparison_and_bit_operators() -> dict[str, Method]:
    """Give the dunder methods of comparison, logic on bits and shifts."""
    real = NUMERIC - {n for n in INEXACT if n in _COMPLEX}
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
        "__lt__": binary(ufuncs.less, table.lt, real),
        "__le__": binary(ufuncs.less_equal, table.le, real),
        "__gt__": binary(ufuncs.greater, table.gt, real),
        "__ge__": binary(ufuncs.greater_equal, table.ge, real),
        **{f"__{name}__": general(f) for name, f in bits.items()},
        **{f"__r{name}__": general(f, True) for name, f in bits.items()},
    }


_COMPLEX = frozenset((14, 15))

fill_operators({**arithmetic_operators(), **comparison_and_bit_operators()})
