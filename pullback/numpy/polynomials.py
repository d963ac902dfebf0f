"""Polynomials as vectors of coefficients, the highest power first."""

from __future__ import annotations

from typing import Any

from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.numpy import contraction, creation, shaping, ufuncs
from pullback.numpy.arguments import array_argument, describe, static_int, wrong_shape
from pullback.numpy.promotion import as_inexact, promote_arrays
from pullback.primitives import structural
from pullback.primitives.shaping import pad, slice_in_dim


def polyval(p: Any, x: Any) -> Value:
    """Evaluate a polynomial by Horner's scheme."""
    p, x = promote_arrays("polyval", p, x)
    _check_vector(p, "polyval")
    out: Value = structural.full(x.shape, ufuncs.scalar_like(x, 0), x.dtype)
    for coefficient in shaping.unstack(p):
        out = ufuncs.add(ufuncs.multiply(out, x), coefficient)
    return out


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
