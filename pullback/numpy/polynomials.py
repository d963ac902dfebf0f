"""Polynomials as vectors of coefficients, the highest power first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.array import from_host
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.numpy import (
    composed,
    contraction,
    creation,
    diagonals,
    linalg,
    reductions,
    shaping,
    sorting,
    taking,
    ufuncs,
)
from pullback.numpy.arguments import (
    array_argument,
    describe,
    static_array,
    static_int,
    wrong_shape,
)
from pullback.numpy.promotion import as_inexact, convert, promote_arrays
from pullback.primitives import structural, table
from pullback.primitives.shaping import concatenate, pad, slice_in_dim


def polyval(p: Any, x: Any) -> Value:
    """Evaluate a polynomial by Horner's scheme, a long one by that of its pieces."""
    p, x = promote_arrays("polyval", p, x)
    _check_vector(p, "polyval")
    if p.shape[0] > PIECE and x.size <= FEW_PLACES:
        return _by_pieces(p, x)
    return _horner(shaping.unstack(p), x)


# Each coefficient is three lines of a program, and six of its gradient: of 1,000 these
# took 17 s to compile.
PIECE, FEW_PLACES = 32, 2**17


def _by_pieces(p: Value, x: Value) -> Value:
    """Evaluate the pieces of a polynomial, which are the coefficients of another."""
    count = -(-p.shape[0] // PIECE)
    p = pad(p, ufuncs.scalar_like(p, 0), [(count * PIECE - p.shape[0], 0, 0)])
    places = structural.reshape(x, (x.size,))
    powers = vander(places, PIECE)
    parts = contraction.matmul(
        powers, shaping.transpose(structural.reshape(p, (count, PIECE)))
    )
    out = _horner(shaping.unstack(parts, axis=1), ufuncs.power(places, PIECE))
    return structural.reshape(out, x.shape)


def _horner(coefficients: Sequence[Value], x: Value) -> Value:
    """Evaluate a polynomial, the coefficient of its highest power first."""
    out: Value = structural.full(x.shape, ufuncs.scalar_like(x, 0), x.dtype)
    for coefficient in coefficients:
        out = ufuncs.add(ufuncs.multiply(out, x), coefficient)
    return out


#: Of more powers, one operation for each would make programs slow to compile.
MANY_POWERS = 16


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Value:
    """Make a matrix of the powers of a vector's elements."""
    x = array_argument(x, "vander")
    if len(x.shape) != 1:
        raise wrong_shape(
            "vander", f"takes a vector; got {describe(x)}.", "Use ravel()."
        )
    n = x.shape[0] if N is None else static_int(N, "vander", "N")
    powers = range(n) if increasing else range(n - 1, -1, -1)
    if n > MANY_POWERS:
        wide = x.dtype.kind in "iu" and x.dtype.itemsize >= 4
        exponents = from_host(np.array(powers, x.dtype if wide else np.int32))
        found = ufuncs.power(structural.expand_axes(x, (1,)), exponents)
        return convert(found, x.dtype)
    columns = [structural.expand_axes(ufuncs.power(x, p), (1,)) for p in powers]
    if not columns:
        return structural.full((x.shape[0], 0), 0, x.dtype)
    return concatenate(columns, 1)


def _check_vector(p: Value, who: str) -> None:
    if len(p.shape) != 1:
        raise wrong_shape(who, f"takes vectors; got {describe(p)}.", "Use ravel().")


def _aligned(who: str, a1: Any, a2: Any) -> list[Value]:
    """Bring two polynomials to one length with leading zeros."""
    pair = promote_arrays(who, shaping.atleast_1d(a1), shaping.atleast_1d(a2))
    for p in pair:
        _check_vector(p, who)
    n = max(p.shape[0] for p in pair)
    return [pad(p, ufuncs.scalar_like(p, 0), [(n - p.shape[0], 0, 0)]) for p in pair]


def polyadd(a1: Any, a2: Any) -> Value:
    """Add polynomials."""
    return ufuncs.add(*_aligned("polyadd", a1, a2))


def polysub(a1: Any, a2: Any) -> Value:
    """Subtract polynomials."""
    return ufuncs.subtract(*_aligned("polysub", a1, a2))


def polymul(a1: Any, a2: Any, *, trim_leading_zeros: bool = False) -> Value:
    """Multiply polynomials; leading zeros stay unless trimmed, which needs values."""
    if trim_leading_zeros:
        a1, a2 = shaping.trim_zeros(a1, "f"), shaping.trim_zeros(a2, "f")
    return contraction.convolve(shaping.atleast_1d(a1), shaping.atleast_1d(a2))


def polyder(p: Any, m: int = 1) -> Value:
    """Differentiate a polynomial m times."""
    p = array_argument(p, "polyder")
    _check_vector(p, "polyder")
    m = static_int(m, "polyder", "m")
    if m < 0:
        raise ArgumentError(
            f"polyder was given m={m}.", where=called_at(), mend="Use polyint."
        )
    for _ in range(min(m, p.shape[0])):
        n = p.shape[0]
        powers = creation.arange(n - 1, 0, -1).astype(p.dtype)
        p = ufuncs.multiply(slice_in_dim(p, 0, n - 1, 0), powers)
    return p


def polyint(p: Any, m: int = 1, k: Any = None) -> Value:
    """Integrate a polynomial m times, with given constants of integration."""
    p = as_inexact(p, "polyint")
    _check_vector(p, "polyint")
    m = static_int(m, "polyint", "m")
    constants = creation.asarray(0.0 if k is None else k).astype(p.dtype)
    constants = shaping.broadcast_to(constants, (m,))
    for constant in shaping.unstack(constants):
        powers = creation.arange(p.shape[0], 0, -1).astype(p.dtype)
        p = shaping.append(ufuncs.divide(p, powers), constant)
    return p


def poly(seq_of_zeros: Any) -> Value:
    """Give the polynomial with given zeros."""
    zeros = as_inexact(creation.asarray(seq_of_zeros), "poly")
    _check_vector(zeros, "poly")
    out = creation.ones(1, zeros.dtype)
    for zero in shaping.unstack(zeros):
        shifted = pad(out, ufuncs.scalar_like(out, 0), [(1, 0, 0)])
        out = ufuncs.subtract(
            pad(out, ufuncs.scalar_like(out, 0), [(0, 1, 0)]),
            ufuncs.multiply(shifted, zero),
        )
    return out


def polydiv(u: Any, v: Any, *, trim_leading_zeros: bool = False) -> tuple[Value, Value]:
    """Divide polynomials: quotient and remainder, which keeps its leading zeros.

    They are trimmed if asked for, which needs values.
    """
    u, v = promote_arrays(
        "polydiv", shaping.atleast_1d(u), shaping.atleast_1d(v), inexact=True
    )
    for p in (u, v):
        _check_vector(p, "polydiv")
    steps = u.shape[0] - v.shape[0] + 1
    if steps <= 0 or not v.shape[0]:
        return creation.zeros(1, u.dtype), u
    lead, below = slice_in_dim(v, 0, 1, 0), slice_in_dim(v, 1, v.shape[0], 0)
    quotient, rest, n = [], u, v.shape[0]
    for _ in range(steps):
        factor = ufuncs.divide(slice_in_dim(rest, 0, 1, 0), lead)
        near = ufuncs.subtract(
            slice_in_dim(rest, 1, n, 0), ufuncs.multiply(factor, below)
        )
        rest = shaping.concatenate([near, slice_in_dim(rest, n, rest.shape[0], 0)])
        quotient.append(factor)
    rest = pad(rest, ufuncs.scalar_like(rest, 0), [(steps, 0, 0)])
    if trim_leading_zeros:
        trimmed = shaping.trim_zeros(rest, "f")
        rest = trimmed if trimmed.shape[0] else rest[-1:]
    return shaping.concatenate(quotient), rest


def roots(p: Any, *, strip_zeros: bool = True) -> Value:
    """Give the zeros of a polynomial, as complex numbers.

    How many there are depends on the values. With strip_zeros=False, which allows
    traced ones, there are len(p) - 1, the greatest first; a nan stands for each that
    leading zeros take away.
    """
    p = as_inexact(shaping.atleast_1d(p), "roots")
    _check_vector(p, "roots")
    kind = dtypes.complex_dtype(p.dtype)
    n = p.shape[0]
    if not strip_zeros:
        return _all_roots(p, n, kind)
    known = static_array(p, "roots", "p", "whose zeros fix how many roots there are")
    places = np.nonzero(known)[0]
    if not len(places):
        return creation.zeros(0, kind)
    first, last = int(places[0]), int(places[-1])
    found = _companion_roots(slice_in_dim(p, first, last + 1, 0), kind)
    return shaping.concatenate([found, creation.zeros(n - 1 - last, kind)])


def _all_roots(p: Value, n: int, kind: dtypes.Dtype) -> Value:
    """Give n - 1 roots, those beyond the degree nan."""
    if n < 2:
        return creation.zeros(0, kind)
    used = ufuncs.truth(p)
    lead = convert(sorting.argsort(table.not_(used))[0], dtypes.scalar_dtype(int))
    # Leading zeros behind the others are roots at 0; the last are those left out.
    turned = taking.take(p, table.add(creation.arange(n), lead), mode="wrap")
    found = _companion_roots(turned, kind)
    order = ufuncs.negative(table.abs(found))
    found = taking.take(found, sorting.argsort(order), mode="clip")
    degree = table.sub(n - 1, lead)
    inside = table.lt(creation.arange(n - 1), degree)
    inside = ufuncs.logical_and(inside, reductions.any(used))
    return table.select(inside, found, complex(math.nan, math.nan))


def _companion_roots(p: Value, kind: dtypes.Dtype) -> Value:
    """Give the eigenvalues of the companion matrix."""
    n = p.shape[0] - 1
    if n < 1:
        return creation.zeros(0, kind)
    top = ufuncs.negative(ufuncs.divide(slice_in_dim(p, 1, n + 1, 0), p[0]))
    shift = diagonals.eye(n - 1, n, dtype=p.dtype)
    return linalg.eigvals(shaping.concatenate([top[None, :], shift]))


def polyfit(
    x: Any,
    y: Any,
    deg: int,
    rcond: float | None = None,
    full: bool = False,
    w: Any = None,
    cov: Any = False,
) -> Any:
    """Fit a polynomial by least squares; `cov` may be "unscaled".

    A fit of deficient rank does not warn.
    """
    deg = static_int(deg, "polyfit", "deg")
    x, y, *weight = promote_arrays(
        "polyfit", x, y, *([] if w is None else [w]), inexact=True
    )
    _check_fit(x, y, deg, *weight)
    left, right = vander(x, deg + 1), y
    for each in weight:
        left = ufuncs.multiply(left, each[:, None])
        right = ufuncs.multiply(right, each[:, None] if len(y.shape) == 2 else each)
    # Columns of one size make the rank say more.
    scale = ufuncs.sqrt(reductions.sum(table.abs(left) ** 2, 0))
    rcond = x.shape[0] * float(dtypes.finfo(x.dtype).eps) if rcond is None else rcond
    scaled = ufuncs.divide(left, scale)
    found, residuals, rank, s = linalg.lstsq(scaled, right, rcond)
    found = ufuncs.divide(found, scale[:, None] if len(y.shape) == 2 else scale)
    if full:
        return found, residuals, rank, s, creation.asarray(rcond)
    if not cov:
        return found
    gram = contraction.matmul(composed.conj(scaled).T, scaled)
    base = ufuncs.divide(linalg.inv(gram), contraction.outer(scale, scale))
    if cov == "unscaled":
        return found, base
    spread = ufuncs.divide(residuals, x.shape[0] - deg - 1)
    return found, base * (spread if len(y.shape) == 1 else spread[None, None, :])


def _check_fit(x: Value, y: Value, deg: int, *weight: Value) -> None:
    """Raise unless points, values and weights belong together."""
    if deg < 0:
        raise ArgumentError(
            f"polyfit was given deg={deg}.", where=called_at(), mend="Give deg >= 0."
        )
    for v in (x, *weight):
        _check_vector(v, "polyfit")
    if len(y.shape) not in (1, 2) or any(
        v.shape[0] != x.shape[0] for v in (y, *weight)
    ):
        raise wrong_shape(
            "polyfit",
            f"was given x, y and weights of types "
            f"{', '.join(map(describe, (x, y, *weight)))}.",
            "Give vectors of one length; y may be a matrix, a column for each fit.",
        )
