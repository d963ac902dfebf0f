"""Elementwise functions as users call them: operands of one dtype, checked."""

from __future__ import annotations

import builtins
import enum
from collections.abc import Callable, Sequence
from typing import Any

from pullback import dtypes, tree
from pullback.core.array import SCALARS
from pullback.core.calling import as_value
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError, DtypeError
from pullback.primitives import incomplete, special, table
from pullback.primitives.structural import full
from pullback.primitives.zeta import zeta as zeta_function

Unary = Callable[[Any], Value]
Binary = Callable[[Any, Any], Value]
Ternary = Callable[[Any, Any, Any], Value]

_ORDER: tuple[type, ...] = (bool, int, float, builtins.complex)


def operands(name: str, given: Sequence[Any]) -> list[Value]:
    """Make operands of arguments; Python scalars take the dtype of the arrays.

    Raises:
        DtypeError: a scalar that this dtype cannot hold: a float beside integers.
    """
    values = [x if type(x) in SCALARS else as_value(x, name) for x in given]
    arrays = [x for x in values if type(x) not in SCALARS]
    if len(arrays) == len(values):
        return values
    if not arrays:
        return [as_value(x, name) for x in values]
    dtype = arrays[-1].dtype
    kind = dtypes.kind_of(dtype)
    for x in values:
        if type(x) in SCALARS and _ORDER.index(type(x)) > _ORDER.index(kind):
            raise DtypeError(
                f"{name} was given the number {x} beside operands of dtype "
                f"{dtype.name}, which cannot hold it.",
                where=called_at(),
                mend="Convert the operands with astype, or use pullback.numpy, which "
                "promotes.",
            )
    return values


def unary(operation: Any, sentence: str) -> Unary:
    """Make the public function of an operation on one array."""

    def function(x: Any) -> Value:
        return operation(as_value(x, operation.name))

    describe(function, operation.name, sentence)
    return function


def binary(operation: Any, sentence: str) -> Binary:
    """Make the public function of an operation on two arrays."""

    def function(x: Any, y: Any) -> Value:
        return operation(*operands(operation.name, (x, y)))

    describe(function, operation.name, sentence)
    return function


def ternary(operation: Any, sentence: str) -> Ternary:
    """Make the public function of an operation on three arrays."""

    def function(x: Any, y: Any, z: Any) -> Value:
        return operation(*operands(operation.name, (x, y, z)))

    describe(function, operation.name, sentence)
    return function


def describe(function: Callable[..., Value], name: str, sentence: str) -> None:
    """Give a function the name and the docstring of the operation it applies."""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = sentence


# fmt: off
abs = unary(table.abs, "Give the absolute value.")
acos = unary(table.acos, "Give the angle with a cosine.")
acosh = unary(table.acosh, "Give the inverse hyperbolic cosine.")
add = binary(table.add, "Add.")
asin = unary(table.asin, "Give the angle with a sine.")
asinh = unary(table.asinh, "Give the inverse hyperbolic sine.")
atan = unary(table.atan, "Give the angle with a tangent.")
atan2 = binary(table.atan2, "Give the angle of the point with height x over y.")
atanh = unary(table.atanh, "Give the inverse hyperbolic tangent.")
bessel_i0e = unary(special.bessel_i0e, "Give exp(-|x|) times the Bessel function I0.")
bessel_i1e = unary(special.bessel_i1e, "Give exp(-|x|) times the Bessel function I1.")
betainc = ternary(incomplete.betainc, "Give the regularised incomplete beta function.")
bitwise_and = binary(table.and_, "Conjoin booleans or bits.")
bitwise_not = unary(table.not_, "Negate booleans or bits.")
bitwise_or = binary(table.or_, "Disjoin booleans or bits.")
bitwise_xor = binary(table.xor, "Disjoin booleans or bits exclusively.")
cbrt = unary(table.cbrt, "Give the cube root.")
ceil = unary(table.ceil, "Round up.")
clz = unary(table.clz, "Count the leading zero bits.")
complex = binary(table.make_complex, "Make complex numbers of their two parts.")
cos = unary(table.cos, "Give the cosine.")
cosh = unary(table.cosh, "Give the hyperbolic cosine.")
digamma = unary(special.digamma, "Give the derivative of the logarithm of gamma.")
div = binary(table.div, "Divide; integers towards zero.")
eq = binary(table.eq, "Tell where elements are equal.")
erf = unary(special.erf, "Give the error function.")
erf_inv = unary(special.erf_inv, "Give the inverse of the error function.")
erfc = unary(special.erfc, "Give 1 - erf(x), accurate where it is small.")
exp = unary(table.exp, "Give the exponential.")
exp2 = unary(table.exp2, "Give the power of two.")
expm1 = unary(table.expm1, "Give exp(x) - 1, accurate near 0.")
floor = unary(table.floor, "Round down.")
ge = binary(table.ge, "Tell where x is at least y.")
gt = binary(table.gt, "Tell where x is greater than y.")
igamma = binary(
    incomplete.igamma, "Give the regularised lower incomplete gamma function."
)
igamma_grad_a = binary(incomplete.igamma_grad_a, "Give the derivative of igamma in x.")
igammac = binary(
    incomplete.igammac, "Give 1 - igamma(x, y), accurate where it is small."
)
imag = unary(table.imag, "Give the imaginary part of a complex number.")
is_finite = unary(table.is_finite, "Tell where floats are neither infinite nor nan.")
le = binary(table.le, "Tell where x is at most y.")
lgamma = unary(special.lgamma, "Give the logarithm of the absolute value of gamma.")
log = unary(table.log, "Give the natural logarithm.")
log1p = unary(table.log1p, "Give log(1 + x), accurate near 0.")
logistic = unary(table.logistic, "Give 1 / (1 + exp(-x)).")
lt = binary(table.lt, "Tell where x is less than y.")
max = binary(table.max, "Give the greater; nan wins.")
min = binary(table.min, "Give the less; nan wins.")
mul = binary(table.mul, "Multiply.")
ne = binary(table.ne, "Tell where elements differ.")
neg = unary(table.neg, "Change the sign.")
nextafter = binary(table.nextafter, "Give the float after x in the direction of y.")
polygamma = binary(special.polygamma, "Give the x-th derivative of digamma at y.")
population_count = unary(table.population_count, "Count the bits that are set.")
real = unary(table.real, "Give the real part of a complex number.")
rem = binary(table.rem, "Give the remainder, with the sign of the dividend.")
rsqrt = unary(table.rsqrt, "Give 1 / sqrt(x).")
shift_left = binary(table.shift_left, "Shift bits to the left by y.")
shift_right_arithmetic = binary(
    table.shift_right_arithmetic, "Shift bits to the right by y, keeping the sign.")
shift_right_logical = binary(
    table.shift_right_logical, "Shift bits to the right by y, filling with zeros.")
sign = unary(table.sign, "Give -1, 0 or 1.")
sin = unary(table.sin, "Give the sine.")
sinh = unary(table.sinh, "Give the hyperbolic sine.")
sqrt = unary(table.sqrt, "Give the square root.")
sub = binary(table.sub, "Subtract.")
tan = unary(table.tan, "Give the tangent.")
tanh = unary(table.tanh, "Give the hyperbolic tangent.")
zeta = binary(zeta_function, "Give the Hurwitz zeta function of order x at y.")
# fmt: on


def conj(x: Any) -> Value:
    """Give the complex conjugate, of a real number as a complex one."""
    value = as_value(x, "conj")
    if not dtypes.is_complex(value.dtype):
        value = table.convert(value, dtypes.complex_dtype(value.dtype))
    return table.conj(value)


def clamp(min: Any, x: Any, max: Any) -> Value:
    """Give `x` where it lies between the bounds, else the nearer bound."""
    return table.clamp(*operands("clamp", (min, x, max)))


def integer_pow(x: Any, y: int) -> Value:
    """Raise to a static integer power."""
    return table.integer_pow(as_value(x, "integer_pow"), y)


def square(x: Any) -> Value:
    """Multiply with itself."""
    return integer_pow(x, 2)


def reciprocal(x: Any) -> Value:
    """Give 1 / x."""
    return integer_pow(x, -1)


def pow(x: Any, y: Any) -> Value:
    """Raise to a power; a power of integer dtype may stand beside a float base."""
    if type(y) is int:
        return integer_pow(x, y)
    base = as_value(x, "pow")
    if type(y) not in SCALARS:
        power = as_value(y, "pow")
        if dtypes.is_integer(power.dtype) and dtypes.is_inexact(base.dtype):
            y = table.convert(power, base.dtype)
    return table.pow(*operands("pow", (base, y)))


class RoundingMethod(enum.Enum):
    """What becomes of numbers halfway between two integers."""

    AWAY_FROM_ZERO = 0
    TO_NEAREST_EVEN = 1


def round(
    x: Any, rounding_method: RoundingMethod = RoundingMethod.AWAY_FROM_ZERO
) -> Value:
    """Round to the nearest integer."""
    value = as_value(x, "round")
    even = table.round(value)
    if rounding_method is RoundingMethod.TO_NEAREST_EVEN:
        return even
    whole = table.trunc(value)
    halfway = table.eq(table.abs(table.sub(value, whole)), 0.5)
    return table.select(halfway, table.add(whole, table.sign(value)), even)


def select(pred: Any, on_true: Any, on_false: Any) -> Value:
    """Choose by a boolean array, or one boolean, between two arrays."""
    condition = as_value(pred, "select")
    return table.select(condition, *operands("select", (on_true, on_false)))


def select_n(which: Any, *cases: Any) -> Value:
    """Choose among arrays by number; by a boolean array, the second where it is true.

    Raises:
        ArgumentError: there are no cases, or other than two for booleans.
    """
    number = as_value(which, "select_n")
    by_truth = number.dtype == dtypes.bool_
    if not cases or (by_truth and len(cases) > 2):
        raise ArgumentError(
            f"select_n was given {len(cases)} cases for a selector of type "
            f"{number.aval}.",
            where=called_at(),
            mend="Give two cases for booleans, or a case for each number.",
        )
    values = operands("select_n", cases)
    found = values[0]
    for i, case in enumerate(values[1:], 1):
        chosen = number if by_truth else table.ge(number, i)
        found = table.select(chosen, case, found)
    return found


def stop_gradient(x: Any) -> Any:
    """Give the same tree of arrays, with derivative zero."""
    return tree.map(lambda leaf: table.stop_gradient(as_value(leaf)), x)


def convert_element_type(operand: Any, new_dtype: Any) -> Value:
    """Convert to a dtype; a Python type such as `float` gives a weak one."""
    value = as_value(operand, "convert_element_type")
    weak = new_dtype in (int, float, builtins.complex)
    return table.convert(value, dtypes.canonical(new_dtype), weak)


def zeros_like_array(x: Any) -> Value:
    """Give zeros of the shape and dtype of an array."""
    aval = as_value(x, "zeros_like_array").aval
    return full(aval.shape, dtypes.kind_of(aval.dtype)(0), aval.dtype, aval.weak)
