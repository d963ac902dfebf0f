"""Elementwise arithmetic on the operands of an emitted program, written as formulas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.aval import Aval
from pullback.dtypes import Dtype

_UNSIGNED: dict[int, Dtype] = {4: np.dtype("u4"), 8: np.dtype("u8")}
_FLOATS: dict[int, Dtype] = {4: dtypes.float32, 8: dtypes.float64}


class Term:
    """An operand of the emitted program, with the operators of arithmetic.

    The other operand of an operator is a term of the same dtype, or a number. Integers
    wrap around; `>>` fills with zeros if they are unsigned.

    Args:
        ctx: the emitter.
        operand: its operand.
        constants: the constants of the program so far, each of which is emitted once.
    """

    __slots__ = ("aval", "constants", "ctx", "operand")

    def __init__(
        self, ctx: Any, operand: Any, constants: dict[tuple[Any, Dtype], Any]
    ) -> None:
        self.ctx = ctx
        self.operand = operand
        self.aval: Aval = operand.aval
        self.constants = constants

    @property
    def dtype(self) -> Dtype:
        """The dtype of the elements."""
        return self.aval.dtype

    def like(self, number: Any, dtype: Dtype | None = None) -> Term:
        """Give a constant of the same shape."""
        dtype = self.dtype if dtype is None else dtype
        key = (str(number), dtype)  # as text, since -0.0 equals 0.0, and nan not nan
        if key not in self.constants:
            aval = Aval(self.aval.shape, dtype)
            self.constants[key] = self.ctx.constant(number, aval)
        return Term(self.ctx, self.constants[key], self.constants)

    def emit(self, name: str, others: Sequence[Any], dtype: Dtype) -> Term:
        """Emit an operation of this term and others, with a result of a dtype."""
        rest = [x if isinstance(x, Term) else self.like(x) for x in others]
        operands = [self.operand, *[x.operand for x in rest]]
        out = Aval(self.aval.shape, dtype)
        return Term(
            self.ctx, self.ctx.emit(f"stablehlo.{name}", operands, out), self.constants
        )

    def __add__(self, y: Any) -> Term:
        """Add."""
        return self.emit("add", [y], self.dtype)

    def __sub__(self, y: Any) -> Term:
        """Subtract."""
        return self.emit("subtract", [y], self.dtype)

    def __rsub__(self, y: Any) -> Term:
        """Subtract from a number."""
        return self.like(y) - self

    def __mul__(self, y: Any) -> Term:
        """Multiply."""
        return self.emit("multiply", [y], self.dtype)

    def __truediv__(self, y: Any) -> Term:
        """Divide."""
        return self.emit("divide", [y], self.dtype)

    def __rtruediv__(self, y: Any) -> Term:
        """Divide a number."""
        return self.like(y) / self

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Term:
        """Turn the sign over."""
        return self.emit("negate", [], self.dtype)

    def __abs__(self) -> Term:
        """Drop the sign."""
        return self.emit("abs", [], self.dtype)

    def __and__(self, y: Any) -> Term:
        """Take the bits that both have."""
        return self.emit("and", [y], self.dtype)

    def __or__(self, y: Any) -> Term:
        """Take the bits that either has."""
        return self.emit("or", [y], self.dtype)

    def __xor__(self, y: Any) -> Term:
        """Take the bits that one of them has."""
        return self.emit("xor", [y], self.dtype)

    def __invert__(self) -> Term:
        """Turn all bits over."""
        return self.emit("not", [], self.dtype)

    def __lshift__(self, n: Any) -> Term:
        """Shift left."""
        return self.emit("shift_left", [n], self.dtype)

    def __rshift__(self, n: Any) -> Term:
        """Shift right, copying the sign of signed integers."""
        kind = "logical" if self.dtype.kind == "u" else "arithmetic"
        return self.emit(f"shift_right_{kind}", [n], self.dtype)

    def compare(self, direction: str, y: Any) -> Term:
        """Compare: "LT", "LE", "GT", "GE", "EQ" or "NE"."""
        other = y if isinstance(y, Term) else self.like(y)
        kind = {"f": "FLOAT", "i": "SIGNED", "u": "UNSIGNED"}[self.dtype.kind]
        out = Aval(self.aval.shape, dtypes.bool_)
        attributes = (
            f"comparison_direction = #stablehlo<comparison_direction {direction}>, "
            f"compare_type = #stablehlo<comparison_type {kind}>"
        )
        pair = [self.operand, other.operand]
        found = self.ctx.emit("stablehlo.compare", pair, out, attributes)
        return Term(self.ctx, found, self.constants)

    def __lt__(self, y: Any) -> Term:
        """Whether it is less."""
        return self.compare("LT", y)

    def __le__(self, y: Any) -> Term:
        """Whether it is less or equal."""
        return self.compare("LE", y)

    def __gt__(self, y: Any) -> Term:
        """Whether it is greater."""
        return self.compare("GT", y)

    def __ge__(self, y: Any) -> Term:
        """Whether it is greater or equal."""
        return self.compare("GE", y)

    def equals(self, y: Any) -> Term:
        """Whether it is equal."""
        return self.compare("EQ", y)

    def differs(self, y: Any) -> Term:
        """Whether it is not equal; nan differs from itself."""
        return self.compare("NE", y)

    def choose(self, x: Any, y: Any) -> Term:
        """Give `x` where this term is true, `y` elsewhere; one of them is a term."""
        dtype: Dtype = x.dtype if isinstance(x, Term) else y.dtype
        pair = [z if isinstance(z, Term) else self.like(z, dtype) for z in (x, y)]
        return self.emit("select", pair, dtype)

    def to(self, dtype: Dtype) -> Term:
        """Convert to another dtype."""
        return self if self.dtype == dtype else self.emit("convert", [], dtype)

    def bits(self) -> Term:
        """Read the bits of a float as an unsigned integer."""
        return self.emit("bitcast_convert", [], _UNSIGNED[self.dtype.itemsize])

    def number(self) -> Term:
        """Read the bits of an integer as a float."""
        return self.emit("bitcast_convert", [], _FLOATS[self.dtype.itemsize])

    def round(self) -> Term:
        """Round to the nearest integer, to the even one of two."""
        return self.emit("round_nearest_even", [], self.dtype)

    def sqrt(self) -> Term:
        """Take the square root."""
        return self.emit("sqrt", [], self.dtype)

    def min(self, y: Any) -> Term:
        """Take the lesser; nan if either is."""
        return self.emit("minimum", [y], self.dtype)

    def max(self, y: Any) -> Term:
        """Take the greater; nan if either is."""
        return self.emit("maximum", [y], self.dtype)

    def sign_bit(self) -> Term:
        """Take the sign of a float, as an unsigned integer with the other bits zero."""
        return self.bits() & (1 << (8 * self.dtype.itemsize - 1))

    def is_zero(self) -> Term:
        """Whether a float is 0 or -0; subnormal numbers, equal to 0 here, are not."""
        # A shift, since the compiler makes a comparison of floats of most other forms.
        return (self.bits() << 1).equals(0)

    def with_sign(self, bit: Term) -> Term:
        """Turn the sign over where an unsigned integer has its highest bit set."""
        return (self.bits() ^ bit).number()


def polynomial(x: Term, coefficients: Sequence[float]) -> Term:
    """Evaluate a polynomial, constant term first, by Horner's rule."""
    total: Any = coefficients[-1]
    for c in coefficients[-2::-1]:
        total = x * total + c
    return total  # type: ignore[no-any-return]


def halved(x: Term) -> Term:
    """Halve a quotient of twice the dividend.

    A division whose result is used more than once keeps the compiler from fusing what
    is around it; a multiplication does not, unless one by a constant comes next, with
    which it is made one. See test_host_math.py.
    """
    return x * 0.5


_SUBNORMAL = 2.0**-126


def widen(x: Term) -> Term:
    """Convert float32 >= 0 to float64; by its bits if subnormal, which are flushed."""
    tiny = x.bits().emit("bitcast_convert", [], np.dtype("i4")).to(dtypes.float64)
    return (x < _SUBNORMAL).choose(tiny * 2.0**-149, x.to(dtypes.float64))


_TOP_HALF = 2**64 - 2**27  # keeps the sign, the exponent and 26 bits


def split(x: Term) -> tuple[Term, Term]:
    """Split float64 into a float of 26 bits and the rest, whose products are exact."""
    top = (x.bits() & _TOP_HALF).number()
    return top, x - top


def product(x: Term, y: Term) -> tuple[Term, Term]:
    """Give a product of float64 as its rounded value and the error of that.

    T. J. Dekker, A floating-point technique for extending the available precision,
    Numerische Mathematik 18 (1971), with a split by bits. It holds too where the
    compiler joins multiplication and addition, since all inner products are exact.
    """
    found = x * y
    (x_top, x_rest), (y_top, y_rest) = split(x), split(y)
    error = ((x_top * y_top - found) + x_top * y_rest) + x_rest * y_top
    return found, error + x_rest * y_rest
