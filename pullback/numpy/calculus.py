"""Differences, discrete gradients, integrals and interpolation along an axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pullback.core.array import Operators
from pullback.core.at_once import at_once
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.numpy import (
    composed,
    creation,
    reductions,
    shaping,
    sorting,
    taking,
    ufuncs,
)
from pullback.numpy.arguments import (
    array_argument,
    describe,
    static_int,
    wrong_dtype,
    wrong_shape,
)
from pullback.numpy.promotion import as_inexact, promote_arrays
from pullback.primitives import structural, table
from pullback.primitives.recipes import canonical_axes, canonical_axis
from pullback.primitives.shaping import slice_in_dim


def diff(
    a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None
) -> Value:
    """Give differences of neighbours, n times; of booleans, where they differ."""
    a = array_argument(a, "diff")
    if not a.shape:
        raise wrong_shape("diff", "was given a scalar.", "Use atleast_1d first.")
    axis = canonical_axis(axis, len(a.shape), "diff")
    if n == 1 and prepend is append is None:
        found = at_once(lambda a: np.diff(a, axis=axis), a)
        if found is not None:
            return found
    edge = [1 if i == axis else m for i, m in enumerate(a.shape)]
    parts = [
        x if len(x.shape) else structural.broadcast_to(x, tuple(edge))
        for x in (
            None if v is None else creation.asarray(v) for v in (prepend, a, append)
        )
        if x is not None
    ]
    x = shaping.concatenate(parts, axis)
    times = static_int(n, "diff", "n")
    if times < 0:
        raise ArgumentError(
            f"diff was given n={times}.", where=called_at(), mend="Use n=0 or more."
        )
    for _ in range(times):
        m = x.shape[axis]
        late = slice_in_dim(x, min(1, m), m, axis)
        early = slice_in_dim(x, 0, max(m - 1, 0), axis)
        x = table.ne(late, early) if ufuncs.is_boolean(x) else table.sub(late, early)
    return x


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Value:
    """Give differences of neighbours in the ravelled array, with ends added."""
    middle = diff(shaping.ravel(ary))
    ends = [
        None if v is None else shaping.ravel(creation.asarray(v).astype(middle.dtype))
        for v in (to_begin, to_end)
    ]
    parts = [x for x in (ends[0], middle, ends[1]) if x is not None]
    return shaping.concatenate(parts)


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Give central differences inside, one-sided ones at the ends.

    Spacings are one number for all axes, or for each axis a number or a vector of
    coordinates.
    """
    f = as_inexact(f, "gradient")
    axes = canonical_axes(axis, len(f.shape), "gradient")
    if isinstance(axis, (tuple, list)):
        axes = tuple(canonical_axis(i, len(f.shape), "gradient") for i in axis)
    spacings = list(varargs) or [1.0]
    if len(spacings) == 1:
        spacings = spacings * len(axes)
    if len(spacings) != len(axes):
        raise ArgumentError(
            f"gradient was given {len(spacings)} spacings for {len(axes)} axes.",
            where=called_at(),
            mend="Give one for all, or one for each axis.",
        )
    if edge_order not in (1, 2):
        raise ArgumentError(
            f"gradient was given edge_order={edge_order}.",
            where=called_at(),
            mend="Use 1 or 2.",
        )
    found = [_gradient(f, h, i, edge_order) for h, i in zip(spacings, axes)]
    return found[0] if len(found) == 1 else tuple(found)


def _gradient(f: Value, spacing: Any, axis: int, order: int) -> Value:
    """Differentiate along one axis."""
    n = f.shape[axis]
    if n < order + 1:
        raise wrong_shape(
            "gradient",
            f"needs {order + 1} elements along axis {axis}; got {describe(f)}.",
            "Give more, or lower edge_order.",
        )

    def at(i: int, j: int) -> Value:
        return slice_in_dim(f, i, j, axis)

    steps = _steps(spacing, f, axis, n)
    if steps is None:
        h = creation.asarray(spacing).astype(f.dtype)
        inner = (at(2, n) - at(0, n - 2)) / (2.0 * h)
        ends = [(at(1, 2) - at(0, 1)) / h, (at(n - 1, n) - at(n - 2, n - 1)) / h]
        if order == 2:
            ends = [
                (-1.5 * at(0, 1) + 2.0 * at(1, 2) - 0.5 * at(2, 3)) / h,
                (1.5 * at(n - 1, n) - 2.0 * at(n - 2, n - 1) + 0.5 * at(n - 3, n - 2))
                / h,
            ]
        return shaping.concatenate([ends[0], inner, ends[1]], axis)
    a, b = slice_in_dim(steps, 0, n - 2, axis), slice_in_dim(steps, 1, n - 1, axis)
    inner = (
        -b / (a * (a + b)) * at(0, n - 2)
        + (b - a) / (a * b) * at(1, n - 1)
        + a / (b * (a + b)) * at(2, n)
    )
    first = slice_in_dim(steps, 0, 1, axis)
    last = slice_in_dim(steps, n - 2, n - 1, axis)
    if order == 1:
        ends = [(at(1, 2) - at(0, 1)) / first, (at(n - 1, n) - at(n - 2, n - 1)) / last]
    else:
        # The parabola through three points, differentiated at the outer one.
        a, b = first, slice_in_dim(steps, 1, 2, axis)
        c, d = slice_in_dim(steps, n - 3, n - 2, axis), last
        ends = [
            -(2.0 * a + b) / (a * (a + b)) * at(0, 1)
            + (a + b) / (a * b) * at(1, 2)
            - a / (b * (a + b)) * at(2, 3),
            d / (c * (c + d)) * at(n - 3, n - 2)
            - (d + c) / (c * d) * at(n - 2, n - 1)
            + (2.0 * d + c) / (d * (c + d)) * at(n - 1, n),
        ]
    return shaping.concatenate([ends[0], inner, ends[1]], axis)


def _steps(spacing: Any, f: Value, axis: int, n: int) -> Value | None:
    """Give the steps between coordinates, shaped along an axis; None if all are one."""
    x = creation.asarray(spacing)
    if not x.shape:
        return None
    if x.shape != (n,):
        raise wrong_shape(
            "gradient",
            f"was given coordinates of type {describe(x)} for axis {axis} of "
            f"{describe(f)}.",
            "Give a vector as long as the axis.",
        )
    steps = diff(x.astype(f.dtype))
    return structural.reshape(
        steps, [n - 1 if i == axis else 1 for i in range(len(f.shape))]
    )


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Value:
    """Integrate along an axis by the trapezoidal rule."""
    if x is None:
        y, step = promote_arrays("trapezoid", y, dx, inexact=True)
        y = shaping.moveaxis(y, axis, -1)
    else:
        y, x = promote_arrays("trapezoid", y, x, inexact=True)
        if len(x.shape) == 1:
            step = diff(x)
            y = shaping.moveaxis(y, axis, -1)
        else:
            step = diff(shaping.moveaxis(x, axis, -1))
            y = shaping.moveaxis(y, axis, -1)
    n, last = y.shape[-1], len(y.shape) - 1
    pairs = table.add(
        slice_in_dim(y, min(1, n), n, last), slice_in_dim(y, 0, max(n - 1, 0), last)
    )
    return reductions.sum(ufuncs.multiply(step, pairs), -1) * 0.5


def interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Value:
    """Interpolate linearly between points with increasing coordinates.

    Values may be complex. `left` and `right` are the values outside, or "extrapolate".
    """
    x, xp = promote_arrays("interp", x, xp, inexact=True)
    fp = as_inexact(fp, "interp")
    if ufuncs.is_complex(x):
        raise wrong_dtype(
            "interp",
            f"takes real coordinates; got {describe(x)}.",
            "Interpolate over real and imaginary parts in turn.",
        )
    if len(xp.shape) != 1 or xp.shape != fp.shape or not xp.shape[0]:
        raise wrong_shape(
            "interp",
            f"was given xp of type {describe(xp)} and fp of type {describe(fp)}.",
            "Give two vectors of one length.",
        )
    if left is right is period is None and x.dtype == fp.dtype:
        found = at_once(lambda *v: np.interp(*v).astype(x.dtype), x, xp, fp)
        if found is not None:
            return found
    if period is not None:
        x, xp = ufuncs.remainder(x, period), ufuncs.remainder(xp, period)
        order = sorting.argsort(xp)
        xp, fp = (
            taking.take(xp, order, mode="clip"),
            taking.take(fp, order, mode="clip"),
        )
        xp = shaping.concatenate([xp[-1:] - period, xp, xp[:1] + period])
        fp = shaping.concatenate([fp[-1:], fp, fp[:1]])
    inside = _between(x, xp, fp)
    if period is not None:
        return inside
    for outside, beyond, value in (
        (ufuncs.less(x, xp[0]), left, fp[0]),
        (ufuncs.greater(x, xp[-1]), right, fp[-1]),
    ):
        if not (isinstance(beyond, str) and beyond == "extrapolate"):
            value = value if beyond is None else beyond
            inside = composed.where(outside, value, inside)
    return inside


def _between(x: Value, xp: Value, fp: Value) -> Value:
    """Interpolate, on the first or last line if outside."""
    if xp.shape[0] == 1:
        return structural.broadcast_to(fp, x.shape) if x.shape else fp[0]
    i = composed.clip(sorting.searchsorted(xp, x, "right"), 1, xp.shape[0] - 1)
    x0, x1, f0, f1 = (
        taking.take(v, j, mode="clip") for v in (xp, fp) for j in (i - 1, i)
    )
    run = x1 - x0
    flat = ufuncs.equal(run, 0)
    slope = (f1 - f0) / composed.where(flat, 1, run)
    return composed.where(flat, f1, f0 + (x - x0) * slope)


def unwrap(
    p: Any, discont: Any = None, axis: int = -1, *, period: Any = 2 * math.pi
) -> Value:
    """Remove jumps of more than half a period along an axis by adding whole periods."""
    p = array_argument(p, "unwrap")
    if ufuncs.is_exact(p) and not (
        isinstance(period, (int, np.integer)) or isinstance(period, Operators)
    ):
        p = as_inexact(p, "unwrap")
    axis = canonical_axis(axis, len(p.shape), "unwrap")
    if not p.shape[axis]:
        return p
    step = diff(p, axis=axis)
    half = (
        ufuncs.divide(period, 2)
        if not ufuncs.is_exact(p)
        else ufuncs.floor_divide(period, 2)
    )
    small = ufuncs.remainder(step + half, period) - half
    at_edge = ufuncs.logical_and(ufuncs.equal(small, -half), ufuncs.greater(step, 0))
    small = composed.where(at_edge, half, small)
    limit = half if discont is None else ufuncs.maximum(half, discont)
    fix = composed.where(ufuncs.less(ufuncs.abs(step), limit), 0, small - step)
    first = slice_in_dim(p, 0, 1, axis)
    rest = slice_in_dim(p, 1, p.shape[axis], axis)
    moved = ufuncs.add(rest, reductions.cumsum(fix, axis))
    return shaping.concatenate([first, moved], axis)
