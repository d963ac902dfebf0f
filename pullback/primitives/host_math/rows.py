"""Lowerings that are formulas on the host, and the compiler's operation elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from pullback import dtypes
from pullback.core.aval import Aval
from pullback.primitives.host_math import (
    circular,
    error,
    gamma,
    hyperbolic,
    inverse,
    power,
    remainder,
)
from pullback.primitives.host_math.expression import Term
from pullback.primitives.own_loops import formula_has_own_loop

Formula = Callable[..., Term]

#: For each operation the formulas for float32 and for float64; None where the
#: compiler's own code is as good.
FORMULAS: MappingProxyType[str, tuple[Formula | None, Formula | None]] = (
    MappingProxyType(
        {
            "sin": (circular.sin_single, circular.sin_double),
            "cos": (circular.cos_single, circular.cos_double),
            "tan": (circular.tan_single, circular.tan_double),
            "asin": (inverse.asin_single, inverse.asin_double),
            "acos": (inverse.acos_single, inverse.acos_double),
            "atan": (inverse.atan_single, inverse.atan_double),
            "atan2": (inverse.atan2_single, inverse.atan2_double),
            "pow": (power.pow_single, power.pow_double),
            "rem": (remainder.rem_single, remainder.rem_double),
            "exp2": (power.exp2_single, power.exp2_double),
            "cbrt": (power.cbrt_single, power.cbrt_double),
            "log": (None, power.log_double),
            "log1p": (hyperbolic.log1p_single, power.log1p_double),
            "sinh": (hyperbolic.sinh_single, hyperbolic.sinh_double),
            "cosh": (hyperbolic.cosh_single, hyperbolic.cosh_double),
            "asinh": (hyperbolic.asinh_single, hyperbolic.asinh_double),
            "acosh": (hyperbolic.acosh_single, hyperbolic.acosh_double),
            "atanh": (hyperbolic.atanh_single, hyperbolic.atanh_double),
            "erf": (None, error.erf_double),
            "erfc": (error.erfc_single, error.erfc_double),
            "lgamma": (gamma.lgamma_single, gamma.lgamma_double),
            "digamma": (gamma.digamma_single, gamma.digamma_double),
        }
    )
)

# A formula makes the first call of a program 7 to 12 ms dearer, and saves 4 ns an
# element of each call: fewer elements are left to the compiler's own code, unless this
# is far from right (docs/accuracy.md), or steps of a loop repeat it: 1,000 steps of sin
# take 130 us instead of 270 for 64 elements, 380 instead of 940 for 256. So are the
# calls after MANY, since their copies would make compiling slow.
FEW, FEW_REPEATED, MANY = 512, 16, 64
ALWAYS = frozenset(("asin", "lgamma", "digamma"))


def by_formula(
    name: str, otherwise: str | Callable[..., Any]
) -> Callable[[Any, Aval, Any], Any]:
    """Give the lowering to a formula of `FORMULAS`, for real numbers on the host.

    Args:
        name: the operation.
        otherwise: the lowering elsewhere, as `Elementwise` takes it.
    """
    single, double = FORMULAS[name]

    def lower(ctx: Any, out: Aval, *operands: Any) -> Any:
        wide = out.dtype if out.dtype.itemsize >= 4 else dtypes.float32
        formula = double if wide == dtypes.float64 else single
        shared = Aval(out.shape, wide)
        title = f"host_{name}_{wide.name}"
        few = FEW_REPEATED if ctx.repeated else FEW
        if (
            formula is None
            or ctx.platform != "cpu"
            or not dtypes.is_float(out.dtype)
            or (math.prod(out.shape) < few and name not in ALWAYS)
            or ctx.uses[title, out.shape] >= MANY
        ):
            if isinstance(otherwise, str):
                return ctx.emit(otherwise, operands, out)
            return otherwise(ctx, out, *operands)
        ctx.uses[title, out.shape] += 1

        def body(*arguments: Any) -> Any:
            constants: dict[Any, Any] = {}
            return formula(*[Term(ctx, x, constants) for x in arguments]).operand

        converted = [ctx.convert(x, wide) for x in operands]
        apart = formula_has_own_loop(ctx.place, FORMULAS)
        found = ctx.call_shared(title, converted, shared, body, apart)
        return ctx.convert(found, out.dtype)

    return lower
