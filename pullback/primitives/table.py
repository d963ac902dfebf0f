"""The table of elementwise operations: NumPy function, StableHLO name, derivatives.

A derivative reads `(tangent, primal_output, *primals)`, as in users' `defjvps`.
Formulas are those of Abramowitz and Stegun, Handbook of Mathematical Functions, section
3.3 (elementary derivatives), 4.3 and 4.4 (circular), 4.5 and 4.6 (hyperbolic).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.array import SCALARS
from pullback.core.aval import Aval
from pullback.core.origin import called_at
from pullback.core.primitive import Primitive
from pullback.core.trace import Value
from pullback.core.zero import Zero, is_zero
from pullback.dtypes import Dtype
from pullback.errors import DtypeError
from pullback.primitives.elementwise import Elementwise as Row
from pullback.primitives.elementwise import Quotient, broadcast_shapes
from pullback.primitives.host_math.rows import by_formula
from pullback.primitives.structural import frozen, full

FLOAT, NUMBER, REAL, ORDERED, BITS = "fc", "iufc", "iuf", "biuf", "biu"


def compare(direction: str) -> Callable[..., Any]:
    """Give the lowering of a comparison."""

    def lower(ctx: Any, out: Aval, x: Any, y: Any) -> Any:
        kind = {"f": "FLOAT", "c": "FLOAT", "i": "SIGNED"}.get(
            "f" if dtypes.is_float(x.aval.dtype) else x.aval.dtype.kind, "UNSIGNED"
        )
        attributes = (
            f"comparison_direction = #stablehlo<comparison_direction {direction}>, "
            f"compare_type = #stablehlo<comparison_type {kind}>"
        )
        return ctx.emit("stablehlo.compare", [x, y], out, attributes)

    return lower


def truncated_division(x: Any, y: Any) -> Any:
    """Divide; integers towards zero, as C does, and -1 where the divisor is zero."""
    if type(x) in SCALARS or x.dtype.kind not in "iu":
        return operator.truediv(x, y)
    safe = np.where(y == 0, 1, y).astype(x.dtype)
    whole = np.floor_divide(x, safe)
    inexact = (x - whole * safe) != 0
    negative = (whole < 0) if x.dtype.kind == "i" else False
    adjusted = whole + (inexact & negative)
    over_zero = -1 if x.dtype.kind == "i" else np.iinfo(x.dtype).max
    return np.where(y == 0, over_zero, adjusted).astype(x.dtype)


def remainder(x: Any, y: Any) -> Any:
    """Give the remainder with the sign of the dividend; x where the divisor is zero."""
    if np.asarray(x).dtype.kind in "iu":
        y = np.asarray(y)
        return np.where(y == 0, x, np.fmod(x, np.where(y == 0, 1, y))).astype(x.dtype)
    return np.fmod(x, y)


def sigmoid(x: Any) -> Any:
    """Give 1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))


def half_where_equal(x: Value, y: Value, ans: Value) -> Value:
    """Give 1 where x won, 0 where y did, 1/2 where they tie."""
    one = select(eq(x, y), 0.5, select(eq(x, ans), 1.0, mul(ans, 0.0)))
    return one


# fmt: off
# -- arithmetic ------------------------------------------------------------------------

add: Row = Row(
    "add", operator.add, "stablehlo.add", NUMBER,
    [lambda t, ans, x, y: t, lambda t, ans, x, y: t],
    linear=((0, 1),),
    transposes=[lambda ct, x, y: ct, lambda ct, x, y: ct],
)
sub: Row = Row(
    "sub", operator.sub, "stablehlo.subtract", NUMBER,
    [lambda t, ans, x, y: t, lambda t, ans, x, y: neg(t)],
    linear=((0, 1),),
    transposes=[lambda ct, x, y: ct, lambda ct, x, y: neg(ct)],
)
mul: Row = Row(
    "mul", operator.mul, "stablehlo.multiply", NUMBER,
    [lambda t, ans, x, y: mul(t, y), lambda t, ans, x, y: mul(x, t)],
    linear=((0,), (1,)),
    transposes=[lambda ct, x, y: mul(ct, y), lambda ct, x, y: mul(x, ct)],
)
div: Row = Quotient(
    "div", truncated_division, "stablehlo.divide", NUMBER,
    [lambda t, ans, x, y: div(t, y), lambda t, ans, x, y: quotient_slope(t, ans, y)],
    linear=((0,),),
    transposes=[lambda ct, x, y: divided(ct, y), None],
)
rem: Row = Row(
    "rem", remainder, by_formula("rem", "stablehlo.remainder"), REAL,
    [lambda t, ans, x, y: t, lambda t, ans, x, y: mul(neg(t), trunc(div(x, y)))],
)
neg: Row = Row(
    "neg", operator.neg, "stablehlo.negate", NUMBER,
    [lambda t, ans, x: neg(t)], linear=((0,),), transposes=[lambda ct, x: neg(ct)],
)
max: Row = Row(
    "max", np.maximum, "stablehlo.maximum", ORDERED,
    [lambda t, ans, x, y: mul(t, half_where_equal(x, y, ans)),
     lambda t, ans, x, y: mul(t, half_where_equal(y, x, ans))],
)
min: Row = Row(
    "min", np.minimum, "stablehlo.minimum", ORDERED,
    [lambda t, ans, x, y: mul(t, half_where_equal(x, y, ans)),
     lambda t, ans, x, y: mul(t, half_where_equal(y, x, ans))],
)
abs: Row = Row(
    "abs", np.abs,
    lambda ctx, out, x: (
        x if out.dtype.kind == "u" else ctx.emit("stablehlo.abs", [x], out)
    ),
    NUMBER,
    [lambda t, ans, x: abs_slope(t, ans, x)],
    result="real",
)


def abs_slope(t: Value, ans: Value, x: Value) -> Value:
    """Give the derivative of the absolute value: Re(t conj(x)) / |x|, 0 at 0."""
    if not dtypes.is_complex(x.dtype):
        return mul(t, sign(x))
    size = select(eq(ans, 0.0), 1.0, ans)
    return div(real(mul(t, conj(x))), size)


sign: Row = Row(
    "sign", np.sign,
    lambda ctx, out, x: ctx.emit("stablehlo.minimum", [x, ctx.constant(1, out)], out)
    if out.dtype.kind == "u" else ctx.emit("stablehlo.sign", [x], out),
    NUMBER, [None],
)
floor: Row = Row("floor", np.floor, "stablehlo.floor", "f", [None])
ceil: Row = Row("ceil", np.ceil, "stablehlo.ceil", "f", [None])
round: Row = Row("round", np.rint, "stablehlo.round_nearest_even", "f", [None])
trunc: Row = Row(
    "trunc", np.trunc,
    lambda ctx, out, x: ctx.emit("stablehlo.multiply", [
        ctx.emit("stablehlo.sign", [x], out),
        ctx.emit("stablehlo.floor", [ctx.emit("stablehlo.abs", [x], out)], out)], out),
    "f", [None],
)
nextafter: Row = Row("nextafter", np.nextafter, "chlo.next_after", "f", [None, None])

# -- powers, exponentials, logarithms --------------------------------------------------

exp: Row = Row("exp", np.exp, "stablehlo.exponential", FLOAT,
    [lambda t, ans, x: mul(t, ans)])
exp2: Row = Row(
    "exp2", np.exp2,
    by_formula("exp2", lambda ctx, out, x: ctx.emit(
        "stablehlo.power", [ctx.constant(2, out), x], out)),
    "f", [lambda t, ans, x: mul(t, mul(ans, float(np.log(2))))],
)
expm1: Row = Row("expm1", np.expm1, "stablehlo.exponential_minus_one", FLOAT,
    [lambda t, ans, x: mul(t, add(ans, 1.0))])
log: Row = Row("log", np.log, by_formula("log", "stablehlo.log"), FLOAT,
    [lambda t, ans, x: div(t, x)])
log1p: Row = Row(
    "log1p", np.log1p, by_formula("log1p", "stablehlo.log_plus_one"), FLOAT,
    [lambda t, ans, x: div(t, add(x, 1.0))])
sqrt: Row = Row("sqrt", np.sqrt, "stablehlo.sqrt", FLOAT,
    [lambda t, ans, x: div(mul(t, 0.5), ans)])
rsqrt: Row = Row("rsqrt", lambda x: 1 / np.sqrt(x), "stablehlo.rsqrt", FLOAT,
    [lambda t, ans, x: mul(t, mul(div(ans, x), -0.5))])
cbrt: Row = Row("cbrt", np.cbrt, by_formula("cbrt", "stablehlo.cbrt"), "f",
    [lambda t, ans, x: mul(t, div(ans, mul(x, 3.0)))])
pow: Row = Row(
    "pow", np.power, by_formula("pow", "stablehlo.power"), FLOAT,
    [lambda t, ans, x, y: mul(t, power_slope(x, y)),
     lambda t, ans, x, y: mul(t, mul(ans, log_of_base(x, ans)))],
)
logistic: Row = Row("logistic", sigmoid, "stablehlo.logistic", FLOAT,
    [lambda t, ans, x: mul(t, mul(ans, sub(1.0, ans)))])


def as_array_like(x: Any, other: Value) -> Value:
    """Make an array of a Python number, in the dtype of another operand."""
    return full((), x, other.dtype) if type(x) in SCALARS else x


def divided(ct: Value, y: Any) -> Value:
    """Give ct / y, by the reciprocals of fewer elements."""
    # Two quotients by one repeated array stay divisions when compiled, and are stored.
    if type(y) in SCALARS:
        return mul(ct, 1.0 / y) if y and ct.shape else div(ct, y)
    return div(ct, y) if y.shape == ct.shape else mul(ct, div(as_array_like(1.0, y), y))


def quotient_slope(t: Value, ans: Value, y: Value) -> Value:
    """Give -t ans / y, with the division where there are fewer elements."""
    if y.shape == ans.shape:
        return mul(neg(t), div(ans, y))
    return mul(neg(div(t, y)), ans)


def log_of_base(x: Any, ans: Value) -> Value:
    """Give log(x), and 0 where x is 0."""
    x = as_array_like(x, ans)
    return log(select(eq(x, 0.0), 1.0, x))


def power_slope(x: Value, y: Value) -> Value:
    """Give y x^(y-1), and 0 where y is 0, chosen only where 1 / x is no number."""
    if type(y) in SCALARS:
        return mul(pow(x, y - 1.0), y) if y else zeros_like(x)
    flat = and_(eq(y, 0.0), not_(is_finite(div(1.0, abs(x)))))
    return select(flat, 0.0, mul(y, pow(x, select(flat, 1.0, sub(y, 1.0)))))


# -- circular and hyperbolic -----------------------------------------------------------

sin: Row = Row("sin", np.sin, by_formula("sin", "stablehlo.sine"), FLOAT,
    [lambda t, ans, x: mul(t, cos(x))])
cos: Row = Row("cos", np.cos, by_formula("cos", "stablehlo.cosine"), FLOAT,
    [lambda t, ans, x: neg(mul(t, sin(x)))])
tan: Row = Row("tan", np.tan, by_formula("tan", "stablehlo.tan"), FLOAT,
    [lambda t, ans, x: mul(t, add(mul(ans, ans), 1.0))])
asin: Row = Row("asin", np.arcsin, by_formula("asin", "chlo.asin"), FLOAT,
    [lambda t, ans, x: mul(t, rsqrt(mul(sub(1.0, x), add(x, 1.0))))])
acos: Row = Row("acos", np.arccos, by_formula("acos", "chlo.acos"), FLOAT,
    [lambda t, ans, x: neg(mul(t, rsqrt(mul(sub(1.0, x), add(x, 1.0)))))])
atan: Row = Row("atan", np.arctan, by_formula("atan", "chlo.atan"), FLOAT,
    [lambda t, ans, x: div(t, add(mul(x, x), 1.0))])
atan2: Row = Row(
    "atan2", np.arctan2, by_formula("atan2", "stablehlo.atan2"), "f",
    [lambda t, ans, y, x: mul(t, div(x, add(mul(x, x), mul(y, y)))),
     lambda t, ans, y, x: neg(mul(t, div(y, add(mul(x, x), mul(y, y)))))],
)
sinh: Row = Row("sinh", np.sinh, by_formula("sinh", "chlo.sinh"), FLOAT,
    [lambda t, ans, x: mul(t, cosh(x))])
cosh: Row = Row("cosh", np.cosh, by_formula("cosh", "chlo.cosh"), FLOAT,
    [lambda t, ans, x: mul(t, sinh(x))])
tanh: Row = Row("tanh", np.tanh, "stablehlo.tanh", FLOAT,
    [lambda t, ans, x: mul(t, sub(1.0, mul(ans, ans)))])
asinh: Row = Row("asinh", np.arcsinh, by_formula("asinh", "chlo.asinh"), FLOAT,
    [lambda t, ans, x: mul(t, rsqrt(add(mul(x, x), 1.0)))])
acosh: Row = Row("acosh", np.arccosh, by_formula("acosh", "chlo.acosh"), FLOAT,
    [lambda t, ans, x: mul(t, rsqrt(mul(sub(x, 1.0), add(x, 1.0))))])
atanh: Row = Row("atanh", np.arctanh, by_formula("atanh", "chlo.atanh"), FLOAT,
    [lambda t, ans, x: div(t, mul(sub(1.0, x), add(x, 1.0)))])

# -- complex ---------------------------------------------------------------------------

# `conj` has no derivative over the complex numbers; as in the ecosystem it is treated
# as linear over the reals.
conj: Row = Row(
    "conj", np.conj,
    lambda ctx, out, x: conjugate(ctx, out, x),
    "c", [lambda t, ans, x: conj(t)],
    linear=((0,),), transposes=[lambda ct, x: conj(ct)],
)
real: Row = Row(
    "real", np.real, "stablehlo.real", "c", [lambda t, ans, x: real(t)],
    linear=((0,),), transposes=[lambda ct, x: make_complex(ct, zeros_like(ct))],
    result="real",
)
imag: Row = Row(
    "imag", np.imag, "stablehlo.imag", "c", [lambda t, ans, x: imag(t)],
    linear=((0,),), transposes=[lambda ct, x: make_complex(zeros_like(ct), neg(ct))],
    result="real",
)


def conjugate(ctx: Any, out: Aval, x: Any) -> Any:
    """Lower the complex conjugate."""
    part = real_aval(out)
    imaginary = ctx.emit("stablehlo.imag", [x], part)
    negative = ctx.emit("stablehlo.negate", [imaginary], part)
    return ctx.emit(
        "stablehlo.complex", [ctx.emit("stablehlo.real", [x], part), negative], out
    )


def real_aval(aval: Aval) -> Aval:
    """Give the type of the real parts of values of a complex type."""
    return Aval(aval.shape, dtypes.real_dtype(aval.dtype))


# -- comparison, logic, bits -----------------------------------------------------------

eq: Row = Row("eq", operator.eq, compare("EQ"), "biufc", [None, None], result="bool")
ne: Row = Row("ne", operator.ne, compare("NE"), "biufc", [None, None], result="bool")
lt: Row = Row("lt", operator.lt, compare("LT"), ORDERED, [None, None], result="bool")
le: Row = Row("le", operator.le, compare("LE"), ORDERED, [None, None], result="bool")
gt: Row = Row("gt", operator.gt, compare("GT"), ORDERED, [None, None], result="bool")
ge: Row = Row("ge", operator.ge, compare("GE"), ORDERED, [None, None], result="bool")
and_: Row = Row("and", np.bitwise_and, "stablehlo.and", BITS, [None, None])
or_: Row = Row("or", np.bitwise_or, "stablehlo.or", BITS, [None, None])
xor: Row = Row("xor", np.bitwise_xor, "stablehlo.xor", BITS, [None, None])
not_: Row = Row("not", np.invert, "stablehlo.not", BITS, [None])
is_finite: Row = Row("is_finite", np.isfinite, "stablehlo.is_finite", "f", [None],
    result="bool")


def shift(
    function: Callable[..., Any], over: Callable[[Any], Any]
) -> Callable[..., Any]:
    """Shift by NumPy; a distance of the whole width or more gives `over(x)`."""

    def apply(x: Any, n: Any) -> Any:
        x = np.asarray(x)
        bits = 8 * x.dtype.itemsize
        n = np.asarray(n)
        inside = (n >= 0) & (n < bits)
        shifted = function(x, np.where(inside, n, 0).astype(x.dtype))
        return np.where(inside, shifted, over(x)).astype(x.dtype)

    return apply


def logical_right(x: Any, n: Any) -> Any:
    """Shift right, filling with zeros whatever the sign."""
    unsigned = x.view(f"u{x.dtype.itemsize}")
    return (unsigned >> n.astype(unsigned.dtype)).view(x.dtype)


shift_left: Row = Row(
    "shift_left", shift(lambda x, n: x << n, np.zeros_like),
    "stablehlo.shift_left", "iu", [None, None],
)
shift_right_logical: Row = Row(
    "shift_right_logical", shift(logical_right, np.zeros_like),
    "stablehlo.shift_right_logical", "iu", [None, None],
)
shift_right_arithmetic: Row = Row(
    "shift_right_arithmetic",
    shift(lambda x, n: x >> n, lambda x: -(x < 0).astype("i1")),
    "stablehlo.shift_right_arithmetic", "iu", [None, None],
)
population_count: Row = Row(
    # NumPy counts the bits of the absolute value.
    "population_count",
    lambda x: np.bitwise_count(x.view(f"u{x.dtype.itemsize}")).astype(x.dtype),
    "stablehlo.popcnt", "iu", [None],
)


def leading_zeros(x: Any) -> Any:
    """Count the zero bits above the highest one."""
    x = np.asarray(x)
    bits = 8 * x.dtype.itemsize
    value = x.view(f"u{x.dtype.itemsize}").copy()
    count = np.full(x.shape, bits, x.dtype)
    for step in (32, 16, 8, 4, 2, 1):
        if step < bits:
            high = value >> value.dtype.type(step)
            found = high != 0
            count = np.where(found, count - step, count)
            value = np.where(found, high, value)
    return (count - value.astype(count.dtype)).astype(x.dtype)


clz: Row = Row("clz", leading_zeros, "stablehlo.count_leading_zeros", "iu", [None])

# -- choice ----------------------------------------------------------------------------


def choose(ctx: Any, out: Aval, condition: Any, x: Any, y: Any) -> Any:
    """Lower a selection."""
    return ctx.emit("stablehlo.select", [condition, x, y], out)


def numpy_select(condition: Any, x: Any, y: Any) -> Any:
    """Choose by NumPy, keeping the array's dtype, which it would widen if narrow."""
    if type(x) in SCALARS and type(y) in SCALARS:
        x = dtypes.scalar_dtype(type(x)).type(x)
    y = x.dtype.type(y) if type(y) in SCALARS and x.dtype.isbuiltin != 1 else y
    return np.where(condition, x, y)


class Select(Row):
    """A choice between two arrays by a boolean one: `select(condition, x, y)`."""

    __slots__ = ()

    def operand_avals(self, operands: Any) -> list[Aval]:
        condition, *rest = operands
        first = Row.operand_avals(self, (condition,))
        return [*first, *Row.operand_avals(self, rest)]

    def check_dtypes(self, avals: Any) -> None:
        if avals[0].dtype != dtypes.bool_:
            raise DtypeError(
                f"select was given a condition of type {avals[0]}, not a boolean one.",
                where=called_at(),
                mend="Compare first: select(x != 0, ...).",
            )
        if avals[1].dtype != avals[2].dtype:
            raise DtypeError(
                f"select was given branches of types {avals[1]} and {avals[2]}, "
                "whose dtypes differ.",
                where=called_at(),
                mend="Convert one of them with astype, or use pullback.numpy.where.",
            )

    def abstract(self, *avals: Aval) -> Aval:
        condition, x, y = avals
        self.check_dtypes(avals)
        shape = broadcast_shapes([condition.shape, x.shape, y.shape], "select")
        return Aval(shape, x.dtype)

    def weak_result(self, all_weak: bool) -> bool:
        return False


select: Row = Select(
    "select", numpy_select, choose, "biufc",
    [None,
     lambda t, ans, c, x, y: select(c, t, zeros_like(t)),
     lambda t, ans, c, x, y: select(c, zeros_like(t), t)],
    linear=((1, 2),),
    transposes=[None,
                lambda ct, c, x, y: select(c, ct, zeros_like(ct)),
                lambda ct, c, x, y: select(c, zeros_like(ct), ct)],
)


def zeros_like(x: Value) -> Value:
    """Give a scalar zero of the dtype of `x`; it broadcasts."""
    return full((), dtypes.kind_of(x.dtype)(0), x.dtype)


clamp: Row = Row(
    "clamp", lambda low, x, high: np.minimum(np.maximum(x, low), high),
    lambda ctx, out, low, x, high: ctx.emit("stablehlo.minimum", [
        ctx.emit("stablehlo.maximum", [x, low], out), high], out)
    if out.dtype == dtypes.bool_
    else ctx.emit("stablehlo.clamp", [low, x, high], out),
    ORDERED,
    [lambda t, ans, low, x, high: select(gt(low, x), t, zeros_like(t)),
     lambda t, ans, low, x, high: select(
         and_(gt(x, low), lt(x, high)), t, zeros_like(t)),
     lambda t, ans, low, x, high: select(lt(high, x), t, zeros_like(t))],
)


class MakeComplex(Row):
    """The complex number with given real and imaginary parts."""

    __slots__ = ()

    def linear_result(self, operands: Any) -> Any:
        return self.abstract(*self.operand_avals(operands))

    def abstract(self, *avals: Aval) -> Aval:
        x = Row.abstract(self, *avals)
        if x.dtype.itemsize < 4:
            raise DtypeError(
                f"complex was given parts of dtype {x.dtype.name}; complex numbers "
                "have parts of 32 or 64 bits.",
                where=called_at(),
                mend="Convert them with astype('float32').",
            )
        return Aval(x.shape, dtypes.complex_dtype(x.dtype), x.weak)


make_complex: Row = MakeComplex(
    "complex", lambda x, y: from_parts(x, y),
    "stablehlo.complex", "f",
    [lambda t, ans, x, y: make_complex(t, zeros_like(t)),
     lambda t, ans, x, y: make_complex(zeros_like(t), t)],
    linear=((0, 1),),
    transposes=[lambda ct, x, y: real(ct), lambda ct, x, y: neg(imag(ct))],
)


def from_parts(x: Any, y: Any) -> Any:
    """Put parts together without arithmetic, which would spread nan and inf."""
    dtype = (y if type(x) in SCALARS else x).dtype
    shape = np.broadcast_shapes(np.shape(x), np.shape(y))
    out = np.empty(shape, dtypes.complex_dtype(dtype))
    out.real, out.imag = x, y
    return out


# fmt: on
# -- operations with a static parameter ------------------------------------------------


@frozen
class IntegerPow(Primitive):
    """The power with a static integer exponent, by repeated squaring."""

    exponent: int

    elementwise = True

    def abstract(self, x: Aval) -> Aval:
        return x

    def eager(self, x: Any) -> Any:
        one = x.dtype.type(1)
        return repeated_squaring(
            x,
            self.exponent,
            operator.mul,
            lambda: one + 0 * x,
            lambda y: truncated_division(one + 0 * y, y),
        )

    def lower(self, ctx: Any, x: Any) -> Any:
        def times(a: Any, b: Any) -> Any:
            return ctx.emit("stablehlo.multiply", [a, b], x.aval)

        def one() -> Any:
            return ctx.constant(1, x.aval)

        def inverse(y: Any) -> Any:
            return ctx.emit("stablehlo.divide", [one(), y], x.aval)

        return repeated_squaring(x, self.exponent, times, one, inverse)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (x,), (t,) = primals, tangents
        ans = self(x)
        if is_zero(t) or self.exponent == 0:
            return ans, Zero(like=ans)
        n = self.exponent
        slope = x if n == 2 else integer_pow(x, n - 1)
        return ans, mul(t, mul(slope, dtypes.kind_of(x.dtype)(n)) if n != 1 else 1.0)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        return self(operands[0]), dims[0]


def repeated_squaring(
    x: Any,
    exponent: int,
    times: Callable[[Any, Any], Any],
    one: Callable[[], Any],
    inverse: Callable[[Any], Any],
) -> Any:
    """Raise `x` to an integer with O(log n) multiplications (Knuth, TAOCP 4.6.3)."""
    n = operator.abs(exponent)
    if n == 0:
        return one()
    result: Any = None
    while n:
        if n & 1:
            result = x if result is None else times(result, x)
        n >>= 1
        if n:
            x = times(x, x)
    return inverse(result) if exponent < 0 else result


def integer_pow(x: Value, exponent: int) -> Value:
    """Raise `x` to a static integer power."""
    return x if exponent == 1 else IntegerPow(exponent)(x)


@frozen
class ConvertElementType(Primitive):
    """The same numbers in another dtype; complex to real drops the imaginary part."""

    new_dtype: Dtype
    weak: bool = False

    linear = ((0,),)

    elementwise, weak_parameter = True, True

    def weak_result(self, all_weak: bool) -> bool:
        return self.weak

    def abstract(self, x: Aval) -> Aval:
        return Aval(x.shape, self.new_dtype, self.weak)

    def eager(self, x: Any) -> Any:
        if x.dtype.kind == "c" and self.new_dtype.kind not in "cb":
            x = x.real
        return x.astype(self.new_dtype)

    def lower(self, ctx: Any, x: Any) -> Any:
        out = self.abstract(x.aval)
        if self.new_dtype == dtypes.bool_ and x.aval.dtype != dtypes.bool_:
            return compare("NE")(ctx, out, x, ctx.constant(0, x.aval))
        if x.aval.dtype.kind == "c" and self.new_dtype.kind != "c":
            x = ctx.emit("stablehlo.real", [x], real_aval(x.aval))
        return ctx.emit("stablehlo.convert", [x], out)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (x,), (t,) = primals, tangents
        y = self(x)
        if is_zero(t) or not dtypes.is_inexact(self.new_dtype):
            return y, Zero(like=y)
        return y, convert(t, self.new_dtype, self.weak)

    def transpose(self, ct: Any, x: Any) -> Any:
        return (convert(ct, x.aval.dtype, x.aval.weak),)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        return self(operands[0]), dims[0]


def convert(x: Value, dtype: Dtype, weak: bool = False) -> Value:
    """Convert `x` to a dtype, unless it has it."""
    if type(x) not in SCALARS and x.dtype == dtype and bool(x.weak_type) == weak:
        return x
    if type(x) not in SCALARS and x.dtype == dtypes.float0:
        raise dtypes.no_number(called_at())
    return ConvertElementType(dtype, weak)(x)


@frozen
class StopGradient(Primitive):
    """The identity, with derivative zero."""

    elementwise = True

    def abstract(self, x: Aval) -> Aval:
        return x

    def eager(self, x: Any) -> Any:
        return x

    def lower(self, ctx: Any, x: Any) -> Any:
        return x

    def jvp(self, primals: Any, tangents: Any) -> Any:
        y = self(primals[0])
        return y, Zero(like=y)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        return self(operands[0]), dims[0]


stop_gradient = StopGradient()
