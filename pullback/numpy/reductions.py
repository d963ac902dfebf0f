"""Sums, products, extremes and their kin over axes; running sums and products."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.at_once import at_once
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.numpy import composed, creation, shaping, ufuncs
from pullback.numpy.arguments import (
    array_argument,
    describe,
    no_out,
    wrong_dtype,
    wrong_shape,
)
from pullback.numpy.promotion import INEXACT, convert, promote_arrays, to_inexact
from pullback.primitives import cumulative, reduction, structural, table
from pullback.primitives.recipes import canonical_axes, canonical_axis
from pullback.primitives.smooth import root

Axes = tuple[int, ...]


def _masked(x: Value, where: Any, identity: Any) -> Value:
    """Put the identity of a reduction where a mask is False."""
    if where is None:
        return x
    mask = ufuncs.truth(where, "where")
    return table.select(mask, x, structural.full((), identity, x.dtype))


def _shaped(out: Value, x: Value, axes: Axes, keepdims: bool) -> Value:
    """Keep reduced axes with length one if asked."""
    if not keepdims:
        return out
    kept = [1 if i in axes else n for i, n in enumerate(x.shape)]
    return structural.reshape(out, kept)


def _operand(a: Any, axis: Any, where: Any, who: str) -> tuple[Value, tuple[int, ...]]:
    """Check the array, the mask and the axes of a reduction."""
    a = array_argument(a, who)
    if where is not None:
        where = array_argument(where, who, "where")
        common = shaping.broadcast_shapes(a.shape, where.shape)
        if common != a.shape:
            a = structural.broadcast_to(a, common)
    return a, canonical_axes(axis, len(a.shape), who)


def _widened(x: Value, dtype: Any, integers: bool = True) -> Value:
    """Convert to the dtype sums are made in: booleans and small integers widen."""
    if dtype is not None:
        return convert(x, dtypes.canonical(dtype))
    if x.dtype == dtypes.bool_:
        return convert(x, dtypes.scalar_dtype(int))
    if not integers:
        return x
    if x.dtype.kind in "iu" and x.dtype.itemsize < dtypes.scalar_dtype(int).itemsize:
        wide = dtypes.scalar_dtype(int)
        unsigned = x.dtype.kind == "u"
        return convert(x, dtypes.canonical(f"u{wide.itemsize}") if unsigned else wide)
    return x


def sum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
    promote_integers: bool = True,
) -> Value:
    """Sum over axes; booleans and small integers are counted in int32.

    `promote_integers=False` keeps the dtype of small integers, which then wrap.
    """
    no_out(out, "sum")
    a, axes = _operand(a, axis, where, "sum")
    if a.dtype == dtypes.bool_ and dtype is None and promote_integers:
        x = _masked(a, where, False)
        total = reduction.count(x, axes, dtypes.scalar_dtype(int))
    else:
        x = _masked(_widened(a, dtype, promote_integers), where, 0)
        total = reduction.reduce_sum(x, axes)
    total = _shaped(total, x, axes, keepdims)
    return total if initial is None else ufuncs.add(total, _as(initial, total))


def prod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
    promote_integers: bool = True,
) -> Value:
    """Multiply over axes; the derivative is right where factors are zero.

    `promote_integers=False` keeps the dtype of small integers, which then wrap.
    """
    no_out(out, "prod")
    a, axes = _operand(a, axis, where, "prod")
    x = _masked(_widened(a, dtype, promote_integers), where, 1)
    total = _shaped(reduction.reduce_prod(x, axes), x, axes, keepdims)
    return total if initial is None else ufuncs.multiply(total, _as(initial, x))


def _as(value: Any, x: Value) -> Value:
    """Give a number or array in the dtype of `x`."""
    return convert(array_argument(value, "a reduction", "initial"), x.dtype)


def _extreme(who: str, reduce: Any, combine: Any, worst: Any, what: str) -> Any:
    """Make `max` or `min`."""

    def function(
        a: Any,
        axis: Any = None,
        out: None = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = None,
    ) -> Value:
        no_out(out, who)
        a, axes = _operand(a, axis, where, who)
        if dtypes.is_complex(a.dtype):
            raise wrong_dtype(
                who,
                f"takes real numbers; got {describe(a)}.",
                "Take abs or real first.",
            )
        if where is not None and initial is None:
            raise ArgumentError(
                f"{who} was given where= without initial=.",
                where=called_at(),
                mend="Give initial=, the result where no element counts.",
            )
        if initial is None and math.prod(a.shape[i] for i in axes) == 0:
            raise wrong_shape(
                who, f"of no elements was asked for: {describe(a)}.", "Give initial=."
            )
        x = _masked(a, where, worst(a.dtype))
        found = _shaped(reduce(x, axes), x, axes, keepdims)
        return found if initial is None else combine(found, _as(initial, x))

    doc = f"Give the {what} over axes; equal ones share the derivative."
    return ufuncs.named(function, who, doc)


max = amax = _extreme(
    "max", reduction.reduce_max, table.max, reduction.lowest, "greatest element"
)
min = amin = _extreme(
    "min", reduction.reduce_min, table.min, reduction.highest, "least element"
)


def any(
    a: Any,
    axis: Any = None,
    out: None = None,
    keepdims: bool = False,
    where: Any = None,
) -> Value:
    """Whether any element over axes is true."""
    no_out(out, "any")
    a, axes = _operand(a, axis, where, "any")
    x = _masked(ufuncs.truth(a, "any"), where, False)
    return _shaped(reduction.reduce_or(x, axes), x, axes, keepdims)


def all(
    a: Any,
    axis: Any = None,
    out: None = None,
    keepdims: bool = False,
    where: Any = None,
) -> Value:
    """Whether all elements over axes are true."""
    no_out(out, "all")
    a, axes = _operand(a, axis, where, "all")
    x = _masked(ufuncs.truth(a, "all"), where, True)
    return _shaped(reduction.reduce_and(x, axes), x, axes, keepdims)


def count_nonzero(a: Any, axis: Any = None, keepdims: bool = False) -> Value:
    """Count elements that are not zero."""
    return sum(ufuncs.truth(a, "count_nonzero"), axis, keepdims=keepdims)


def _count(x: Value, axes: Axes, where: Any, keepdims: bool) -> Any:
    """Count the elements that a mean is over: a Python int, or an array if masked."""
    if where is None:
        return math.prod(x.shape[i] for i in axes)
    mask = shaping.broadcast_to(ufuncs.truth(where, "where"), x.shape)
    return sum(mask, axes, keepdims=keepdims)


def _divided(total: Value, count: Any) -> Value:
    """Divide a sum by a count."""
    if isinstance(count, int):
        return table.div(total, float(count))
    return table.div(total, convert(count, total.dtype))


def mean(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    *,
    where: Any = None,
) -> Value:
    """Give the mean over axes: float16 is summed in float32, booleans are counted."""
    no_out(out, "mean")
    a, axes = _operand(a, axis, where, "mean")
    if dtype is where is None and a.dtype.num in INEXACT and 0 not in a.shape:
        quick = at_once(lambda a: a.mean(axes, keepdims=keepdims), a)
        if quick is not None:
            return quick
    found = to_inexact(a.dtype) if dtype is None else dtypes.canonical(dtype)
    half = found in (dtypes.float16, dtypes.bfloat16)
    wide = dtypes.float32 if half else found
    x = a if a.dtype == dtypes.bool_ else convert(a, wide)
    total = convert(sum(x, axes, keepdims=keepdims, where=where), wide)
    return convert(_divided(total, _count(x, axes, where, keepdims)), found)


_mean = mean  # `var` has an argument of this name


def _degrees(ddof: Any, correction: Any) -> Any:
    """Give the degrees of freedom taken off, under either name."""
    if correction is None:
        return ddof
    if isinstance(ddof, (int, float)) and ddof == 0:
        return correction
    raise ArgumentError(
        f"a variance was given both ddof={ddof} and correction={correction}.",
        where=called_at(),
        mend="Give one: they are two names of the same.",
    )


def average(
    a: Any,
    axis: Any = None,
    weights: Any = None,
    returned: bool = False,
    keepdims: bool = False,
) -> Any:
    """Give the weighted mean over axes."""
    if weights is None:
        out = mean(a, axis, keepdims=keepdims)
        if not returned:
            return out
        x = array_argument(a, "average")
        axes = canonical_axes(axis, len(x.shape), "average")
        count = math.prod(x.shape[i] for i in axes)
        return out, structural.full(out.shape, count, out.dtype)
    x, w = promote_arrays("average", a, weights, inexact=True)
    axes = canonical_axes(axis, len(x.shape), "average")
    if w.shape != x.shape:
        if tuple(x.shape[i] for i in axes) != w.shape:
            raise wrong_shape(
                "average",
                f"was given a of type {describe(x)} and weights of type {describe(w)}.",
                "Give weights of the shape of a, or of the axes averaged over.",
            )
        w = structural.broadcast(w, x.shape, axes)
    scale = sum(w, axes, keepdims=keepdims)
    out = table.div(sum(table.mul(x, w), axes, keepdims=keepdims), scale)
    return (out, scale) if returned else out


def var(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    ddof: Any = 0,
    keepdims: bool = False,
    *,
    where: Any = None,
    mean: Any = None,
    correction: Any = None,
) -> Value:
    """Give the variance over axes; `mean`, if known, has these axes of length one."""
    no_out(out, "var")
    a, axes = _operand(a, axis, where, "var")
    ddof = _degrees(ddof, correction)
    found = to_inexact(a.dtype) if dtype is None else dtypes.canonical(dtype)
    if not dtypes.is_inexact(found):
        raise wrong_dtype(
            "var", f"was given dtype={found}.", "Ask for a floating-point dtype."
        )
    x = convert(a, found)
    if where is mean is None and isinstance(ddof, (int, float)):
        quick = _var_at_once(x, axes, ddof, keepdims)
        if quick is not None:
            return quick
    centre = _mean(x, axes, keepdims=True, where=where) if mean is None else mean
    gap = ufuncs.subtract(x, convert(array_argument(centre, "var", "mean"), found))
    if dtypes.is_complex(found):
        square = table.real(table.mul(gap, table.conj(gap)))
    else:
        square = table.integer_pow(gap, 2)
    total = sum(square, axes, keepdims=keepdims, where=where)
    count = _count(x, axes, where, keepdims)
    if isinstance(count, int):
        return table.div(total, float(builtins.max(count - ddof, 0)))
    left = table.max(convert(count, total.dtype) - ddof, ufuncs.zero_like(total))
    return table.div(total, left)


def _var_at_once(x: Value, axes: Axes, ddof: float, keepdims: bool) -> Value | None:
    """Let NumPy give a variance; None where it may not, or would warn."""
    count = math.prod([x.shape[i] for i in axes])
    if ddof >= count:
        return None

    def variance(x: Any) -> Any:  # in half the time of NumPy's own
        gap = x - np.add.reduce(x, axes, keepdims=True) / x.dtype.type(count)
        square = (gap * np.conj(gap)).real if x.dtype.kind == "c" else gap * gap
        total = square.sum(axes, keepdims=keepdims)
        return total / total.dtype.type(count - ddof)

    return at_once(variance, x)


def std(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    ddof: Any = 0,
    keepdims: bool = False,
    *,
    where: Any = None,
    mean: Any = None,
    correction: Any = None,
) -> Value:
    """Give the standard deviation over axes; of equal elements, derivative 0."""
    no_out(out, "std")
    ddof = _degrees(ddof, correction)
    v = var(a, axis, dtype, None, ddof, keepdims, where=where, mean=mean)
    return root(v)


def ptp(a: Any, axis: Any = None, out: None = None, keepdims: bool = False) -> Value:
    """Give the greatest element minus the least."""
    no_out(out, "ptp")
    return table.sub(max(a, axis, keepdims=keepdims), min(a, axis, keepdims=keepdims))


# -- places of extremes ----------------------------------------------------------------


def _place(who: str, find: Any, what: str) -> Any:
    """Make `argmax` or `argmin`."""

    def function(
        a: Any, axis: int | None = None, out: None = None, keepdims: bool = False
    ) -> Value:
        no_out(out, who)
        a = ufuncs.real_only(array_argument(a, who), who)
        rank = len(a.shape)
        x = shaping.ravel(a) if axis is None else a
        along = 0 if axis is None else canonical_axis(axis, rank, who)
        if not x.shape or not x.shape[along]:
            raise wrong_shape(
                who, f"of no elements was asked for: {describe(a)}.", "Check the axis."
            )
        place = find(x, along, dtypes.scalar_dtype(int))
        axes = tuple(range(rank)) if axis is None else (along,)
        return _shaped(place, a, axes, keepdims)

    doc = f"Give the place of the first {what}; a nan counts as such."
    return ufuncs.named(function, who, doc)


argmax = _place("argmax", reduction.argmax, "greatest element")
argmin = _place("argmin", reduction.argmin, "least element")


# -- without nan -----------------------------------------------------------------------


def _present(a: Any, who: str, where: Any = None) -> tuple[Value, Value]:
    """Give an array, and where it is not nan, and counts."""
    a = array_argument(a, who)
    present = table.not_(composed.isnan(a))
    if where is None:
        return a, present
    return a, table.and_(present, ufuncs.truth(where, who))


def nansum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Value:
    """Sum what is not nan."""
    no_out(out, "nansum")
    a, present = _present(a, "nansum", where)
    return sum(a, axis, dtype, None, keepdims, initial, present)


def nanprod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Value:
    """Multiply what is not nan."""
    no_out(out, "nanprod")
    a, present = _present(a, "nanprod", where)
    return prod(a, axis, dtype, None, keepdims, initial, present)


def nanmean(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    where: Any = None,
) -> Value:
    """Give the mean of what is not nan."""
    no_out(out, "nanmean")
    a, present = _present(a, "nanmean", where)
    return mean(a, axis, dtype, keepdims=keepdims, where=present)


def nanvar(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    ddof: Any = 0,
    keepdims: bool = False,
    where: Any = None,
) -> Value:
    """Give the variance of what is not nan."""
    no_out(out, "nanvar")
    a, present = _present(a, "nanvar", where)
    safe = table.select(composed.isnan(a), ufuncs.zero_like(a), a)
    return _nan_if_none(
        var(safe, axis, dtype, None, ddof, keepdims, where=present),
        sum(present, axis, keepdims=keepdims),
        ddof,
    )


def nanstd(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    ddof: Any = 0,
    keepdims: bool = False,
    where: Any = None,
) -> Value:
    """Give the standard deviation of what is not nan."""
    no_out(out, "nanstd")
    a, present = _present(a, "nanstd", where)
    safe = table.select(composed.isnan(a), ufuncs.zero_like(a), a)
    return _nan_if_none(
        std(safe, axis, dtype, None, ddof, keepdims, where=present),
        sum(present, axis, keepdims=keepdims),
        ddof,
    )


def _nan_if_none(x: Value, count: Value, ddof: Any) -> Value:
    """Put nan where too few elements were left."""
    return table.select(
        ufuncs.greater(count, ddof), x, structural.full((), math.nan, x.dtype)
    )


def _nan_extreme(who: str, extreme: Any, worst: Any, what: str) -> Any:
    """Make `nanmax` or `nanmin`."""

    def function(
        a: Any,
        axis: Any = None,
        out: None = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = None,
    ) -> Value:
        no_out(out, who)
        a, present = _present(a, who, where)
        if ufuncs.is_exact(a):
            return extreme(a, axis, out, keepdims, initial, where)
        missing = composed.isnan(a)
        filled = table.select(missing, structural.full((), worst(a.dtype), a.dtype), a)
        found = extreme(filled, axis, out, keepdims, initial, where)
        if initial is not None:
            return found
        some = any(present, axis, keepdims=keepdims)
        return table.select(some, found, structural.full((), math.nan, a.dtype))

    doc = f"Give the {what} that is not nan; nan where all are, without `initial`."
    return ufuncs.named(function, who, doc)


nanmax = _nan_extreme("nanmax", max, reduction.lowest, "greatest element")
nanmin = _nan_extreme("nanmin", min, reduction.highest, "least element")


def _nan_place(who: str, place: Any, worst: Any, what: str) -> Any:
    """Make `nanargmax` or `nanargmin`."""

    def function(
        a: Any, axis: int | None = None, out: None = None, keepdims: bool = False
    ) -> Value:
        no_out(out, who)
        a, present = _present(a, who)
        if ufuncs.is_exact(a):
            return place(a, axis, keepdims=keepdims)
        filled = table.select(present, a, structural.full((), worst(a.dtype), a.dtype))
        found = place(filled, axis, keepdims=keepdims)
        some = any(present, axis, keepdims=keepdims)
        return table.select(some, found, structural.full((), -1, found.dtype))

    doc = f"Give the place of the {what} that is not nan; -1 where all are."
    return ufuncs.named(function, who, doc)


nanargmax = _nan_place("nanargmax", argmax, reduction.lowest, "greatest element")
nanargmin = _nan_place("nanargmin", argmin, reduction.highest, "least element")

# -- running ---------------------------------------------------------------------------


def _running(who: str, op: Callable[..., Value], what: str, skip: Any = None) -> Any:
    """Make a running sum or product, nan replaced by `skip` if that is given."""

    def function(
        a: Any, axis: int | None = None, dtype: Any = None, out: None = None
    ) -> Value:
        no_out(out, who)
        a = array_argument(a, who)
        if skip is not None:
            present = table.not_(composed.isnan(a))
            a = table.select(present, a, structural.full((), skip, a.dtype))
        x = a
        if dtype is not None or a.dtype == dtypes.bool_:
            x = _widened(a, dtype)
        if axis is None:
            return op(shaping.ravel(x), 0)
        return op(x, canonical_axis(axis, len(x.shape), who))

    doc = f"Give the running {what} along an axis, or over all elements in order."
    return ufuncs.named(function, who, doc)


cumsum = _running("cumsum", cumulative.cumsum, "sum")
cumprod = _running("cumprod", cumulative.cumprod, "product")
nancumsum = _running("nancumsum", cumulative.cumsum, "sum without nan", 0)
nancumprod = _running("nancumprod", cumulative.cumprod, "product without nan", 1)


def _running_with_start(who: str, running: Any, start: int) -> Any:
    """Make the array-API form of a running sum or product."""

    def function(
        x: Any,
        /,
        *,
        axis: int | None = None,
        dtype: Any = None,
        include_initial: bool = False,
    ) -> Value:
        x = array_argument(x, who)
        if axis is None and len(x.shape) != 1:
            raise ArgumentError(
                f"{who} needs axis= for {describe(x)}.",
                where=called_at(),
                mend="Name the axis.",
            )
        along = canonical_axis(axis or 0, len(x.shape), who)
        out = running(_widened(x, dtype), along)
        if not include_initial:
            return out
        lead = [1 if i == along else n for i, n in enumerate(x.shape)]
        return shaping.concatenate([creation.full(lead, start, out.dtype), out], along)

    doc = (
        f"As {running.__name__}, small integers widened as in a sum, with the start "
        f"{start} in front if asked."
    )
    return ufuncs.named(function, who, doc)


cumulative_sum = _running_with_start("cumulative_sum", cumsum, 0)
cumulative_prod = _running_with_start("cumulative_prod", cumprod, 1)
