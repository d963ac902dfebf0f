"""Functions on corresponding elements: arithmetic, comparison, bits, exp, log, trig."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any

from pullback import dtypes
from pullback.config import listeners
from pullback.core.array import SCALARS, Array, Operators
from pullback.core.primitive import Primitive
from pullback.core.trace import Tracer, Value, current_trace
from pullback.numpy.arguments import array_argument, describe, static_int, wrong_dtype
from pullback.numpy.promotion import (
    FLOATING,
    INEXACT,
    NUMERIC,
    as_inexact,
    as_weak_as,
    bounds,
    convert,
    promote,
    promote_arrays,
)
from pullback.numpy.ranks import check_ranks, ranks_matter
from pullback.primitives import structural, table

Unary = Callable[[Any], Value]
Binary = Callable[[Any, Any], Value]

_PYTHON_NUMBERS = frozenset((int, float))


def named(function: Callable[..., Any], name: str, doc: str) -> Callable[..., Any]:
    """Give a function made by a recipe its public name and docstring."""
    function.__name__ = function.__qualname__ = name
    function.__module__ = "pullback.numpy"
    function.__doc__ = doc
    return function


def _follow_switch() -> None:
    """Let functions look at ranks, or not."""
    global _looks_at_ranks
    _looks_at_ranks = ranks_matter()


#: Whether ranks are looked at: a flag costs the quick functions 3 ns.
_looks_at_ranks: bool = ranks_matter()
listeners.append(_follow_switch)

# -- recipes ---------------------------------------------------------------------------
# The first branch of each is the hot path: benchmarks/eager.py times `sin` and `add`.


def inexact_unary(name: str, op: Primitive, what: str) -> Unary:
    """Make a function of floats; integers and booleans are converted."""

    def function(x: Any) -> Value:
        if type(x) is Array:
            host = x.host
            if host is not None and host.dtype.num in INEXACT:
                return current_trace().apply(op, (x,))
        elif isinstance(x, Tracer) and x.aval.dtype.num in INEXACT:
            return current_trace().apply(op, (x,))
        return op(as_inexact(x, name))

    return named(function, name, f"Give {what}; integers become floats.")


def arithmetic(name: str, op: Binary, boolean: Binary | None, what: str) -> Binary:
    """Make an operation on two numbers, with another operation for booleans."""

    def function(x: Any, y: Any) -> Value:
        if _looks_at_ranks:
            check_ranks(name, x, y)
        if isinstance(x, Operators):
            dtype = x.dtype  # type: ignore[attr-defined]
            if isinstance(y, Operators):
                if dtype is y.dtype and dtype.num in NUMERIC:  # type: ignore[attr-defined]
                    return op(x, y)
            elif type(y) is float and dtype.num in FLOATING:
                return op(x, y)
        x, y = promote(name, x, y)
        if not (is_boolean(x) and is_boolean(y)):
            return op(x, y)
        if boolean is None:
            raise wrong_dtype(
                name,
                f"was given two boolean arrays: {describe(x)}, {describe(y)}.",
                "Use logical_xor, or convert with astype(int).",
            )
        return boolean(x, y)

    return named(function, name, f"Give {what}.")


def inexact_binary(name: str, op: Binary, what: str) -> Binary:
    """Make a function of two floats; integers and booleans are converted."""

    def function(x: Any, y: Any) -> Value:
        if _looks_at_ranks:
            check_ranks(name, x, y)
        if isinstance(x, Operators):
            dtype = x.dtype  # type: ignore[attr-defined]
            if isinstance(y, Operators):
                if dtype is y.dtype and dtype.num in INEXACT:  # type: ignore[attr-defined]
                    return op(x, y)
            elif type(y) is float and dtype.num in FLOATING:
                return op(x, y)
        return op(*promote(name, x, y, inexact=True))

    return named(function, name, f"Give {what}; integers become floats.")


def comparison(name: str, op: Binary, what: str) -> Binary:
    """Make a comparison; complex numbers are ordered by real, then imaginary part."""

    def function(x: Any, y: Any) -> Value:
        if _looks_at_ranks:
            check_ranks(name, x, y)
        if (
            isinstance(x, Operators)
            and isinstance(y, Operators)
            and x.dtype is y.dtype  # type: ignore[attr-defined]
            and x.dtype.num in NUMERIC  # type: ignore[attr-defined]
            and x.dtype.kind != "c"  # type: ignore[attr-defined]
        ):
            return op(x, y)
        x, y = promote(name, *_comparable(x, y))
        if name in ("equal", "not_equal") or not (is_complex(x) or is_complex(y)):
            return op(x, y)
        x, y = promote_arrays(name, x, y)
        tied = table.eq(table.real(x), table.real(y))
        by_imag = op(table.imag(x), table.imag(y))
        return table.select(tied, by_imag, op(table.real(x), table.real(y)))

    return named(function, name, f"Give, element by element, whether {what}.")


def _comparable(x: Any, y: Any) -> tuple[Any, Any]:
    """Replace operands by 0 and 1, so ordered, where a Python integer fits no element.

    `uint8 < 300` is true: 300 must not become 44, as in arithmetic.
    """
    for array, number, swap in ((x, y, False), (y, x, True)):
        if type(number) is not int or not isinstance(array, Operators):
            continue
        if dtypes.is_integer(array.dtype):  # type: ignore[attr-defined]
            low, high = bounds(array.dtype)  # type: ignore[attr-defined]
            if not low <= number <= high:
                beyond = int(number > high)
                array, number = constant(array, 1 - beyond), beyond
                return (number, array) if swap else (array, number)
    return x, y


def bitwise(name: str, op: Binary, what: str) -> Binary:
    """Make an operation on the bits of integers or on booleans."""

    def function(x: Any, y: Any) -> Value:
        check_ranks(name, x, y)
        x, y = promote(name, x, y)
        for v in (x, y):
            check_bits(v, name)
        return op(x, y)

    return named(function, name, f"Give {what}, bit by bit.")


def logical(name: str, op: Binary, what: str) -> Binary:
    """Make an operation on truth values; numbers are true where they are not zero."""

    def function(x: Any, y: Any) -> Value:
        check_ranks(name, x, y)
        return op(truth(x, name), truth(y, name))

    return named(function, name, f"Give the {what} of truth values.")


def is_boolean(x: Any) -> bool:
    """Whether `x` is a boolean array or a Python bool."""
    return x.dtype == dtypes.bool_ if isinstance(x, Operators) else type(x) is bool  # type: ignore[attr-defined]


def is_complex(x: Any) -> bool:
    """Whether `x` is a complex array or a Python complex number."""
    return x.dtype.kind == "c" if isinstance(x, Operators) else type(x) is complex  # type: ignore[attr-defined]


def is_weak(x: Any) -> bool:
    """Whether the dtype of `x` yields to others."""
    return type(x) in SCALARS or x.weak_type


def is_unsigned(x: Value) -> bool:
    """Whether `x` is an array of unsigned integers."""
    return bool(x.dtype.kind == "u")


def is_exact(x: Value) -> bool:
    """Whether `x` is an array of integers or booleans."""
    return x.dtype.num not in INEXACT


def real_only(x: Value, who: str) -> Value:
    """Give a real array back.

    Raises:
        DtypeError: it is complex, and has no order and no sign.
    """
    if is_complex(x):
        raise wrong_dtype(
            who,
            f"takes real numbers; got {describe(x)}.",
            "Take the real part, the imaginary part or abs first.",
        )
    return x


def check_bits(x: Any, who: str) -> None:
    """Raise unless `x` is of integers or booleans.

    Raises:
        DtypeError: floats and complex numbers have no bits to work on.
    """
    if isinstance(x, (float, complex)) or (
        isinstance(x, Operators) and not is_exact(x)
    ):
        raise wrong_dtype(
            who,
            f"works on bits of integers and booleans; got {describe(x)}.",
            "Convert the operand with astype(int) first.",
        )


def truth(x: Any, who: str = "logical_not") -> Value:
    """Give where `x` is not zero."""
    x = array_argument(x, who)
    return x if is_boolean(x) else table.ne(x, dtypes.kind_of(x.dtype)(0))


def scalar_like(x: Value, number: float) -> Any:
    """Give a Python number in the kind of the dtype of `x`."""
    return dtypes.kind_of(x.dtype)(number)


def constant(x: Value, value: Any, dtype: dtypes.Dtype | None = None) -> Value:
    """Give an array like `x`, as weak, or of another dtype, filled with a number."""
    if dtype is not None:
        return structural.full(x.shape, value, dtype)
    return structural.full(x.shape, value, x.dtype, x.weak_type)


# -- arithmetic ------------------------------------------------------------------------

add = arithmetic("add", table.add, table.or_, "the sum; of booleans, the logical or")
subtract = arithmetic("subtract", table.sub, None, "the difference")
multiply = arithmetic(
    "multiply", table.mul, table.and_, "the product; of booleans, the logical and"
)
true_divide = divide = inexact_binary("divide", table.div, "the quotient")


def extreme(op: Binary, order: Binary) -> Binary:
    """Make the larger or smaller, of complex numbers by real, then imaginary part."""

    def choose(x: Any, y: Any) -> Value:
        if not (is_complex(x) or is_complex(y)):
            return op(x, y)
        x, y = promote_arrays("maximum", x, y)
        first = table.or_(order(x, y), table.ne(x, x))
        return as_weak_as(x, table.select(first, x, y))

    return choose


arctan2 = atan2 = inexact_binary(
    "arctan2", table.atan2, "the angle of the point (y, x)"
)
nextafter = inexact_binary("nextafter", table.nextafter, "the next float towards y")
float_power = inexact_binary("float_power", table.pow, "x to the power y, as floats")


def negative(x: Any) -> Value:
    """Give -x; booleans are refused."""
    x = array_argument(x, "negative")
    if is_boolean(x):
        raise wrong_dtype(
            "negative", f"was given {describe(x)}.", "Use ~x, or logical_not(x)."
        )
    return table.neg(x)


def positive(x: Any) -> Value:
    """Give x."""
    return array_argument(x, "positive")


def abs(x: Any) -> Value:
    """Give the absolute value; its derivative at 0 is 0."""
    x = array_argument(x, "abs")
    return x if is_boolean(x) or is_unsigned(x) else table.abs(x)


absolute = abs


def fabs(x: Any) -> Value:
    """Give the absolute value as a float."""
    return table.abs(real_only(as_inexact(x, "fabs"), "fabs"))


def sign(x: Any) -> Value:
    """Give -1, 0 or 1, of complex numbers x / |x|; nan gives nan."""
    x = array_argument(x, "sign")
    if is_unsigned(x):
        return convert(truth(x), x.dtype)
    return table.sign(x)


def square(x: Any) -> Value:
    """Give x * x; booleans become integers."""
    x = array_argument(x, "square")
    if is_boolean(x):
        return convert(x, dtypes.scalar_dtype(int))
    return table.integer_pow(x, 2)


def reciprocal(x: Any) -> Value:
    """Give 1 / x; integers become floats, unlike in NumPy."""
    x = as_inexact(x, "reciprocal")
    return table.div(one_like(x), x)


def one_like(x: Value) -> Any:
    """Give a scalar one of the dtype of `x`: it broadcasts, and keeps bfloat16."""
    return 1.0 if x.dtype.num in FLOATING else structural.full((), 1, x.dtype)


def power(x: Any, y: Any) -> Value:
    """Give x to the power y; a Python integer y multiplies repeatedly.

    Integers to a negative Python integer raise; to a negative array give 0, 1 or -1.
    Booleans become integers.
    """
    if type(y) is int:
        x = array_argument(x, "power")
        if is_boolean(x):
            x = convert(x, dtypes.scalar_dtype(int))
        if y >= 0 or not is_exact(x):
            return constant(x, 1) if y == 0 else table.integer_pow(x, y)
        raise wrong_dtype(
            "power",
            f"was given integers {describe(x)} and the negative power {y}.",
            "Convert x to float first.",
        )
    check_ranks("power", x, y)
    x, y = promote_arrays("power", x, y)
    if is_boolean(x):
        x, y = [convert(v, dtypes.scalar_dtype(int)) for v in (x, y)]
    return _whole_power(x, y) if is_exact(x) else table.pow(x, y)


pow = power


def _whole_power(x: Value, y: Value) -> Value:
    """Raise integers to integer powers, a bit of the exponent at a time."""
    bits = 8 * y.dtype.itemsize - (y.dtype.kind == "i")
    result: Value = structural.full((), 1, x.dtype)
    base, left = x, y
    for _ in range(bits):
        odd = table.ne(table.and_(left, 1), 0)
        result = table.select(odd, table.mul(result, base), result)
        base = table.mul(base, base)
        left = table.shift_right_logical(left, structural.full((), 1, y.dtype))
    if is_unsigned(y):
        return result
    odd = table.ne(table.and_(y, 1), 0)
    unit = table.eq(table.abs(x), 1) if not is_unsigned(x) else table.eq(x, 1)
    inverse = table.select(unit, table.select(odd, x, table.mul(x, x)), 0 * x)
    return table.select(table.lt(y, 0), inverse, result)


def remainder(x: Any, y: Any) -> Value:
    """Give the remainder with the sign of the divisor; integers by 0 give x."""
    check_ranks("remainder", x, y)
    x, y = _numbers("remainder", x, y)
    rest = table.rem(x, y)
    if is_unsigned(rest):
        return rest
    wrong = _wrong_sign(rest, y)
    return as_weak_as(x, table.select(wrong, table.add(rest, y), rest))


def _numbers(who: str, x: Any, y: Any) -> list[Value]:
    """Bring operands to one dtype, booleans becoming integers."""
    operands = promote_arrays(who, x, y)
    if is_complex(operands[0]):
        raise wrong_dtype(
            who,
            f"takes real numbers; got {describe(x)} and {describe(y)}.",
            "Use real and imag.",
        )
    if is_boolean(operands[0]):
        return [convert(v, dtypes.scalar_dtype(int)) for v in operands]
    return operands


def _wrong_sign(rest: Value, y: Value) -> Value:
    """Give where a remainder is not zero and has another sign than the divisor."""
    zero = zero_like(rest)
    differs = table.ne(table.lt(rest, zero), table.lt(y, zero))
    return table.and_(differs, table.ne(rest, zero))


mod = remainder


def zero_like(x: Value) -> Any:
    """Give a scalar zero of the dtype of `x`: it broadcasts, and keeps bfloat16."""
    return structural.full((), scalar_like(x, 0), x.dtype)


def fmod(x: Any, y: Any) -> Value:
    """Give the remainder with the sign of the dividend."""
    check_ranks("fmod", x, y)
    return table.rem(*_numbers("fmod", x, y))


def floor_divide(x: Any, y: Any) -> Value:
    """Give the quotient rounded down; integers divided by 0 give -1 or the maximum."""
    check_ranks("floor_divide", x, y)
    x, y = _numbers("floor_divide", x, y)
    whole = table.div(x, y)
    if is_unsigned(whole):
        return whole
    rest = table.rem(x, y)
    wrong = _wrong_sign(rest, y)
    if is_exact(x):
        return as_weak_as(x, table.select(wrong, table.sub(whole, 1), whole))
    # As CPython's float_divmod: the quotient of an exact multiple is nearly whole.
    exact = table.div(table.sub(x, rest), y)
    exact = table.select(wrong, table.sub(exact, one_like(exact)), exact)
    at_zero = table.eq(y, zero_like(y))
    return as_weak_as(x, table.select(at_zero, whole, table.round(exact)))


def divmod(x: Any, y: Any) -> tuple[Value, Value]:
    """Give floor_divide(x, y) and remainder(x, y)."""
    check_ranks("divmod", x, y)
    return floor_divide(x, y), remainder(x, y)


# -- comparison, logic, bits -----------------------------------------------------------

equal = comparison("equal", table.eq, "x equals y")
not_equal = comparison("not_equal", table.ne, "x differs from y")
less = comparison("less", table.lt, "x is less than y")
less_equal = comparison("less_equal", table.le, "x is at most y")
greater = comparison("greater", table.gt, "x is greater than y")
greater_equal = comparison("greater_equal", table.ge, "x is at least y")
_larger = extreme(table.max, greater_equal)
_smaller = extreme(table.min, less_equal)
maximum = arithmetic("maximum", _larger, _larger, "the larger; nan spreads")
minimum = arithmetic("minimum", _smaller, _smaller, "the smaller; nan spreads")
bitwise_and = bitwise("bitwise_and", table.and_, "x and y")
bitwise_or = bitwise("bitwise_or", table.or_, "x or y")
bitwise_xor = bitwise("bitwise_xor", table.xor, "x exclusive-or y")
logical_and = logical("logical_and", table.and_, "conjunction")
logical_or = logical("logical_or", table.or_, "disjunction")
logical_xor = logical("logical_xor", table.xor, "exclusive disjunction")


def logical_not(x: Any) -> Value:
    """Give where `x` is zero or False."""
    return table.not_(truth(x))


def invert(x: Any) -> Value:
    """Give the bits of integers flipped, and booleans negated."""
    x = array_argument(x, "invert")
    check_bits(x, "invert")
    return table.not_(x)


bitwise_not = bitwise_invert = invert


def bitwise_count(x: Any) -> Value:
    """Give the number of ones in the bits of |x|, as uint8."""
    x = abs(x)
    check_bits(x, "bitwise_count")
    x = convert(x, dtypes.uint8) if is_boolean(x) else x
    return convert(table.population_count(x), dtypes.uint8)


def left_shift(x: Any, n: Any) -> Value:
    """Give x with bits moved up by n; a distance beyond the width gives 0."""
    check_ranks("left_shift", x, n)
    return table.shift_left(*_shift_operands("left_shift", x, n))


def right_shift(x: Any, n: Any) -> Value:
    """Give x with bits moved down by n; the sign is kept."""
    check_ranks("right_shift", x, n)
    x, n = _shift_operands("right_shift", x, n)
    if is_unsigned(x):
        return table.shift_right_logical(x, n)
    return table.shift_right_arithmetic(x, n)


bitwise_left_shift, bitwise_right_shift = left_shift, right_shift


def _shift_operands(who: str, x: Any, n: Any) -> list[Value]:
    """Bring the operands of a shift to one integer dtype."""
    operands = _numbers(who, x, n)
    check_bits(operands[0], who)
    return operands


# -- exponentials, logarithms, roots, trigonometry -------------------------------------

exp = inexact_unary("exp", table.exp, "e to the power x")
expm1 = inexact_unary("expm1", table.expm1, "exp(x) - 1, exactly near 0")
log = inexact_unary("log", table.log, "the natural logarithm")
log1p = inexact_unary("log1p", table.log1p, "log(1 + x), exactly near 0")
sqrt = inexact_unary("sqrt", table.sqrt, "the square root")
cbrt = inexact_unary("cbrt", table.cbrt, "the cube root")
sin = inexact_unary("sin", table.sin, "the sine")
cos = inexact_unary("cos", table.cos, "the cosine")
tan = inexact_unary("tan", table.tan, "the tangent")
arcsin = asin = inexact_unary("arcsin", table.asin, "the inverse sine")
arccos = acos = inexact_unary("arccos", table.acos, "the inverse cosine")
arctan = atan = inexact_unary("arctan", table.atan, "the inverse tangent")
sinh = inexact_unary("sinh", table.sinh, "the hyperbolic sine")
cosh = inexact_unary("cosh", table.cosh, "the hyperbolic cosine")
tanh = inexact_unary("tanh", table.tanh, "the hyperbolic tangent")
arcsinh = asinh = inexact_unary("arcsinh", table.asinh, "the inverse hyperbolic sine")
arccosh = acosh = inexact_unary("arccosh", table.acosh, "the inverse hyperbolic cosine")
arctanh = atanh = inexact_unary(
    "arctanh", table.atanh, "the inverse hyperbolic tangent"
)


def exp2(x: Any) -> Value:
    """Give 2 to the power x; integers become floats."""
    x = as_inexact(x, "exp2")
    if is_complex(x):
        return table.exp(table.mul(x, math.log(2)))
    return table.exp2(x)


def rint(x: Any) -> Value:
    """Give the nearest integer, ties to even, of complex numbers by parts."""
    return round(as_inexact(x, "rint"))


def scaled(name: str, factor: float, op: Unary | None, what: str) -> Unary:
    """Make `op(x) * factor`; `op` None is the identity."""

    def function(x: Any) -> Value:
        x = as_inexact(x, name)
        x = x if op is None else op(x)
        if is_complex(x):  # a complex factor would make nan of infinite parts
            parts = table.real(x), table.imag(x)
            return table.make_complex(*[table.mul(part, factor) for part in parts])
        return table.mul(x, factor if x.dtype.num in FLOATING else constant(x, factor))

    return named(function, name, f"Give {what}; integers become floats.")


log2 = scaled("log2", 1 / math.log(2), table.log, "the logarithm to base 2")
log10 = scaled("log10", 1 / math.log(10), table.log, "the logarithm to base 10")
deg2rad = radians = scaled("deg2rad", math.pi / 180, None, "degrees as radians")
rad2deg = degrees = scaled("rad2deg", 180 / math.pi, None, "radians as degrees")


def rounding(name: str, op: Unary, what: str) -> Unary:
    """Make a rounding function; integers and booleans are given back."""

    def function(x: Any) -> Value:
        x = array_argument(x, name)
        return x if is_exact(x) else op(x)

    return named(function, name, f"Give {what}.")


floor = rounding("floor", table.floor, "the integer below")
ceil = rounding("ceil", table.ceil, "the integer above")
trunc = fix = rounding("trunc", table.trunc, "the integer part")


def round(x: Any, decimals: Any = 0) -> Value:
    """Give the nearest number with so many decimals, ties to even."""
    x = array_argument(x, "round")
    decimals = static_int(decimals, "round", "decimals")
    if is_exact(x):
        if decimals >= 0:
            return x
        unit = 10**-decimals
        half = table.div(convert(x, dtypes.scalar_dtype(float)), float(unit))
        return convert(table.round(half), x.dtype) * unit
    if is_complex(x):
        parts = [round(part, decimals) for part in (table.real(x), table.imag(x))]
        return table.make_complex(*parts)
    if decimals == 0:
        return table.round(x)
    scale = constant(x, 10.0 ** builtins.abs(decimals))
    if decimals > 0:
        return table.div(table.round(table.mul(x, scale)), scale)
    return table.mul(table.round(table.div(x, scale)), scale)


around = round


def where_negative(x: Value, shift: int) -> Value:
    """Add a number to the elements below 0, as indices from the end mean it."""
    return x if is_unsigned(x) else table.select(table.lt(x, 0), table.add(x, shift), x)
