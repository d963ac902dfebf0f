"""SciPy's cosine and sine transforms, of types 1 to 4.

Each is made of one Fourier transform of real numbers, and linear, so that derivatives
are transforms again. Definitions are those of SciPy; `n` and `s` cut axes off or fill
them up with zeros. The arguments `overwrite_x` and `workers` change nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.numpy import fft
from pullback.numpy.arguments import option, static_int
from pullback.numpy.creation import array
from pullback.numpy.padding import pad
from pullback.numpy.promotion import as_inexact
from pullback.numpy.shaping import concatenate, flip, moveaxis, stack
from pullback.primitives import table
from pullback.primitives.recipes import canonical_axis
from pullback.primitives.structural import reshape

__all__ = ["dct", "dctn", "dst", "dstn", "idct", "idctn", "idst", "idstn"]

_NORMS = (None, "backward", "ortho", "forward")
_INVERSE = {1: 1, 2: 3, 3: 2, 4: 4}
_Transform = Callable[[Value], Value]


# -- along the last axis, of real numbers ----------------------------------------------


def _turns(angles: Any, x: Value) -> Value:
    """Give exp(-i pi angles) in the complex dtype that belongs to a real one."""
    return array(np.exp(-1j * np.pi * angles), dtypes.complex_dtype(x.dtype))


def _cosine_first(x: Value) -> Value:
    """Give x_0 + (-1)^k x_(n-1) + 2 sum_(0<j<n-1) x_j cos(pi j k / (n - 1))."""
    even = concatenate([x, flip(x[..., 1:-1], -1)], -1)
    return table.real(fft.rfft(even))


def _cosine_second(x: Value) -> Value:
    """Give 2 sum_j x_j cos(pi k (2 j + 1) / (2 n)).

    From the transform of the even places followed by the odd ones in reverse (Makhoul,
    A fast cosine transform in one and two dimensions, IEEE Trans. ASSP 28, 1980).
    """
    n = x.shape[-1]
    ordered = concatenate([x[..., ::2], flip(x[..., 1::2], -1)], -1)
    found = fft.rfft(ordered)
    count = found.shape[-1]
    found = found * _turns(np.arange(count) / (2 * n), x)
    last = flip(table.imag(found)[..., 1 : n - count + 1], -1)
    return concatenate([table.real(found), -last], -1) * 2.0


def _cosine_third(x: Value) -> Value:
    """Give x_0 + 2 sum_(j>0) x_j cos(pi j (2 k + 1) / (2 n)): the second undone."""
    n = x.shape[-1]
    count = n // 2 + 1
    edges = [(0, 0)] * (len(x.shape) - 1) + [(1, 0)]
    last = pad(flip(x, -1)[..., : count - 1], edges)
    parts = table.make_complex(x[..., :count], -last)
    parts = parts * _turns(-np.arange(count) / (2 * n), x)
    ordered = fft.irfft(parts, n, norm="forward")
    half = (n + 1) // 2
    edges = [(0, 0)] * (len(x.shape) - 1) + [(0, 2 * half - n)]
    odd = pad(flip(ordered[..., half:], -1), edges)
    both = stack([ordered[..., :half], odd], -1)
    return reshape(both, (*x.shape[:-1], 2 * half))[..., :n]


def _cosine_fourth(x: Value) -> Value:
    """Give 2 sum_j x_j cos(pi (2 j + 1) (2 k + 1) / (4 n))."""
    # The angle is that of k, of j, and of j k / n, which a transform of 2 n has.
    n = x.shape[-1]
    places = np.arange(n)
    turned = table.convert(x, dtypes.complex_dtype(x.dtype)) * _turns(
        places / (2 * n), x
    )
    found = fft.fft(turned, 2 * n)[..., :n] * _turns((2 * places + 1) / (4 * n), x)
    return table.real(found) * 2.0


def _alternating(x: Value) -> Value:
    """Change the sign at odd places."""
    signs = np.ones(x.shape[-1])
    signs[1::2] = -1
    return x * array(signs, x.dtype)


def _sine_first(x: Value) -> Value:
    """Give 2 sum_j x_j sin(pi (j + 1) (k + 1) / (n + 1))."""
    zero = x[..., :1] * 0.0
    odd = concatenate([zero, x, zero, -flip(x, -1)], -1)
    return -table.imag(fft.rfft(odd))[..., 1:-1]


# sin(a) at the place counted from the other end is cos(a), up to its sign.


def _sine_second(x: Value) -> Value:
    """Give 2 sum_j x_j sin(pi (k + 1) (2 j + 1) / (2 n))."""
    return flip(_cosine_second(_alternating(x)), -1)


def _sine_third(x: Value) -> Value:
    """Give (-1)^k x_(n-1) + 2 sum_(j<n-1) x_j sin(pi (j + 1) (2 k + 1) / (2 n))."""
    return _alternating(_cosine_third(flip(x, -1)))


def _sine_fourth(x: Value) -> Value:
    """Give 2 sum_j x_j sin(pi (2 j + 1) (2 k + 1) / (4 n))."""
    return _alternating(_cosine_fourth(flip(x, -1)))


_COSINES = (_cosine_first, _cosine_second, _cosine_third, _cosine_fourth)
_SINES = (_sine_first, _sine_second, _sine_third, _sine_fourth)


def _scaled_end(x: Value, at: int, factor: float) -> Value:
    """Multiply the first element (`at` 0) or the last one (-1)."""
    factors = np.ones(x.shape[-1])
    factors[at] = factor
    return x * array(factors, x.dtype)


def _made_orthogonal(x: Value, kind: int, sine: bool, transform: _Transform) -> Value:
    """Transform by what is an orthogonal matrix, but for its size."""
    end, root = (-1 if sine else 0), math.sqrt(2)
    if kind == 1 and not sine:
        for at in (0, -1):
            x = _scaled_end(x, at, root)
        x = transform(x)
        for at in (0, -1):
            x = _scaled_end(x, at, 1 / root)
        return x
    if kind == 2:
        return _scaled_end(transform(x), end, 1 / root)
    return transform(_scaled_end(x, end, root) if kind == 3 else x)


# -- along named axes ------------------------------------------------------------------


def _along(
    who: str, x: Value, kind: int, n: int, axis: int, norm: Any, orthogonal: bool
) -> Value:
    """Transform along one axis, cut or filled up to a length."""
    # The function's name says which transform it is.
    sine, inverse = "dst" in who, who.startswith("i")
    least = 2 if kind == 1 and not sine else 1
    if n < least:
        raise ArgumentError(
            f"{who} of type {kind} was given the length {n}.",
            where=called_at(),
            mend=f"Transform an axis of length {least} or more.",
        )
    x = moveaxis(x, axis, -1)[..., :n]
    x = pad(x, [(0, 0)] * (len(x.shape) - 1) + [(0, n - x.shape[-1])])
    kind = _INVERSE[kind] if inverse else kind
    transform = (_SINES if sine else _COSINES)[kind - 1]
    x = _made_orthogonal(x, kind, sine, transform) if orthogonal else transform(x)
    size = 2 * (n + (1 if sine else -1) * (kind == 1))
    power = 0.5 if norm == "ortho" else float(inverse != (norm == "forward"))
    if power:
        x = x * (1 / size**power)
    return moveaxis(x, -1, axis)


def _transformed(
    who: str,
    x: Any,
    kind: int,
    lengths: Sequence[Any] | None,
    axes: Sequence[int],
    norm: str | None,
    orthogonalize: bool | None,
) -> Value:
    """Transform along axes, one after another.

    Raises:
        ArgumentError: a type, norm, axis or length that does not exist.
    """
    option(who, "type", kind, tuple(_INVERSE))
    option(who, "norm", norm, _NORMS)
    x = as_inexact(x, who)
    real = dtypes.real_dtype(x.dtype)
    if real.itemsize < 4:
        x = table.convert(x, dtypes.float32)
    places = [canonical_axis(axis, len(x.shape), who) for axis in axes]
    sizes = [-1] * len(places) if lengths is None else list(lengths)
    if len(sizes) != len(places) or len(set(places)) < len(places):
        raise ArgumentError(
            f"{who} was given axes {tuple(places)} and lengths {lengths}.",
            where=called_at(),
            mend="Name each axis once, and give one length an axis.",
        )
    sizes = [static_int(n, who, "a length") for n in sizes]
    sizes = [x.shape[i] if n == -1 else n for i, n in zip(places, sizes)]
    orthogonal = norm == "ortho" if orthogonalize is None else orthogonalize

    def transform(x: Value) -> Value:
        for axis, n in zip(places, sizes):
            x = _along(who, x, kind, n, axis, norm, orthogonal)
        return x

    if dtypes.is_complex(x.dtype):
        return table.make_complex(transform(table.real(x)), transform(table.imag(x)))
    return transform(x)


def _several(x: Any, s: Any, axes: Any, who: str) -> tuple[Any, Any]:
    """Give lengths and axes; a number stands for one of them, None for all."""
    lengths: Any = (s,) if isinstance(s, int) else s
    if axes is None:
        rank = len(as_inexact(x, who).shape)
        return lengths, range(rank - (rank if s is None else len(lengths)), rank)
    return lengths, (axes,) if isinstance(axes, int) else tuple(axes)


def dct(
    x: Any,
    type: int = 2,
    n: int | None = None,
    axis: int = -1,
    norm: str | None = None,
    overwrite_x: bool = False,
    workers: int | None = None,
    orthogonalize: bool | None = None,
) -> Value:
    """Give the cosine transform along an axis; as `scipy.fft.dct`.

    Args:
        x: an array; real and imaginary parts are transformed apart.
        type: 1, 2, 3 or 4.
        n: the length to transform, by default that of the axis.
        axis: along which.
        norm: None or "backward" (the inverse divides), "ortho" (both, by the root), or
            "forward".
        overwrite_x: changes nothing.
        workers: changes nothing.
        orthogonalize: whether the matrix of the transform is orthogonal, but for its
            size; by default for "ortho" only.

    Raises:
        ArgumentError: a type, norm, axis or length that does not exist.

    Example:
        >>> import pullback.numpy as jnp
        >>> print(dct(jnp.array([1.0, 2.0, 4.0]), norm="ortho").round(4))
        [ 4.0415 -2.1213  0.4082]
    """
    return _transformed("dct", x, type, (_or_whole(n),), (axis,), norm, orthogonalize)


def idct(
    x: Any,
    type: int = 2,
    n: int | None = None,
    axis: int = -1,
    norm: str | None = None,
    overwrite_x: bool = False,
    workers: int | None = None,
    orthogonalize: bool | None = None,
) -> Value:
    """Invert `dct` with the same arguments; as `scipy.fft.idct`."""
    return _transformed("idct", x, type, (_or_whole(n),), (axis,), norm, orthogonalize)


def dst(
    x: Any,
    type: int = 2,
    n: int | None = None,
    axis: int = -1,
    norm: str | None = None,
    overwrite_x: bool = False,
    workers: int | None = None,
    orthogonalize: bool | None = None,
) -> Value:
    """Give the sine transform along an axis; as `scipy.fft.dst`, arguments as `dct`."""
    return _transformed("dst", x, type, (_or_whole(n),), (axis,), norm, orthogonalize)


def idst(
    x: Any,
    type: int = 2,
    n: int | None = None,
    axis: int = -1,
    norm: str | None = None,
    overwrite_x: bool = False,
    workers: int | None = None,
    orthogonalize: bool | None = None,
) -> Value:
    """Invert `dst` with the same arguments; as `scipy.fft.idst`."""
    return _transformed("idst", x, type, (_or_whole(n),), (axis,), norm, orthogonalize)


def _or_whole(n: int | None) -> int:
    """Give a length; -1 is that of the axis."""
    return -1 if n is None else n


def dctn(
    x: Any,
    type: int = 2,
    s: Sequence[int] | int | None = None,
    axes: Sequence[int] | int | None = None,
    norm: str | None = None,
    overwrite_x: bool = False,
    workers: int | None = None,
    *,
    orthogonalize: bool | None = None,
) -> Value:
    """Give the cosine transform along several axes; as `scipy.fft.dctn`.

    Args:
        x: an array.
        type: as that of `dct`.
        s: the lengths to transform, -1 for that of the axis.
        axes: along which; by default the last ones, as many as `s` has, or all.
        norm: as that of `dct`.
        overwrite_x: changes nothing.
        workers: changes nothing.
        orthogonalize: as that of `dct`.

    Raises:
        ArgumentError: a type, norm, axis or length that does not exist.
    """
    lengths, places = _several(x, s, axes, "dctn")
    return _transformed("dctn", x, type, lengths, places, norm, orthogonalize)


def idctn(
    x: Any,
    type: int = 2,
    s: Sequence[int] | int | None = None,
    axes: Sequence[int] | int | None = None,
    norm: str | None = None,
    overwrite_x: bool = False,
    workers: int | None = None,
    orthogonalize: bool | None = None,
) -> Value:
    """Invert `dctn` with the same arguments; as `scipy.fft.idctn`."""
    lengths, places = _several(x, s, axes, "idctn")
    return _transformed("idctn", x, type, lengths, places, norm, orthogonalize)


def dstn(
    x: Any,
    type: int = 2,
    s: Sequence[int] | int | None = None,
    axes: Sequence[int] | int | None = None,
    norm: str | None = None,
    overwrite_x: bool = False,
    workers: int | None = None,
    orthogonalize: bool | None = None,
) -> Value:
    """Give the sine transform along several axes; as `scipy.fft.dstn`."""
    lengths, places = _several(x, s, axes, "dstn")
    return _transformed("dstn", x, type, lengths, places, norm, orthogonalize)


def idstn(
    x: Any,
    type: int = 2,
    s: Sequence[int] | int | None = None,
    axes: Sequence[int] | int | None = None,
    norm: str | None = None,
    overwrite_x: bool = False,
    workers: int | None = None,
    orthogonalize: bool | None = None,
) -> Value:
    """Invert `dstn` with the same arguments; as `scipy.fft.idstn`."""
    lengths, places = _several(x, s, axes, "idstn")
    return _transformed("idstn", x, type, lengths, places, norm, orthogonalize)
