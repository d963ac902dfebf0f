"""NumPy's discrete Fourier transforms; `out` is not supported."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from pullback import dtypes
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.numpy.arguments import array_argument, static_int
from pullback.numpy.creation import array
from pullback.numpy.shaping import roll
from pullback.primitives.fourier import fft as transform
from pullback.primitives.linalg import conjugate
from pullback.primitives.recipes import canonical_axis
from pullback.primitives.shaping import pad, slice_in_dim
from pullback.primitives.structural import full, inverse_permutation, transpose
from pullback.primitives.table import convert, mul

__all__ = [
    "fft",
    "fft2",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifft2",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfft2",
    "irfftn",
    "rfft",
    "rfft2",
    "rfftfreq",
    "rfftn",
]

_OTHER_WAY = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


def _scale(norm: str | None, inverse: bool, size: int, who: str) -> float:
    """Give what a transform is multiplied by; inverse ones divide by the size."""
    norm = norm or "backward"
    if norm not in _OTHER_WAY:
        raise ArgumentError(
            f"{who} was given norm={norm!r}.",
            where=called_at(),
            mend="Give 'backward', 'ortho' or 'forward'.",
        )
    if norm == "ortho":
        return math.sqrt(size) if inverse else 1 / math.sqrt(size)
    if norm == "forward":
        return size if inverse else 1 / size
    return 1.0


def _resized(x: Value, lengths: Sequence[int]) -> Value:
    """Cut the last axes, or extend them with zeros, to given lengths."""
    start = len(x.shape) - len(lengths)
    edges = [(0, 0, 0)] * start
    for axis, n in enumerate(lengths, start):
        x = slice_in_dim(x, 0, min(n, x.shape[axis]), axis)
        edges.append((0, n - x.shape[axis], 0))
    if not any(high for _, high, _ in edges):
        return x
    return pad(x, full((), 0, x.dtype), edges)


def _operand(a: Any, kind: str, who: str) -> Value:
    """Give an operand of a dtype that a kind of transform takes."""
    x = array_argument(a, who)
    dtype = dtypes.real_dtype(x.dtype)
    if dtype not in (dtypes.float32, dtypes.float64):
        narrow = dtypes.is_float(dtype)
        dtype = dtypes.float32 if narrow else dtypes.scalar_dtype(float)
    if kind == "RFFT":
        if dtypes.is_complex(x.dtype):
            raise ArgumentError(
                f"{who} takes real numbers; it was given {x.aval}.",
                where=called_at(),
                mend="Use fft, or take the real part first.",
            )
        return convert(x, dtype)
    return convert(x, dtypes.complex_dtype(dtype))


def _transformed(
    a: Any, kind: str, s: Any, axes: Any, norm: str | None, who: str
) -> Value:
    """Transform over several axes, which the user names and sizes as in NumPy."""
    x = _operand(a, kind, who)
    rank = len(x.shape)
    if axes is None:
        count = rank if s is None else len(s)
        axes = range(rank - count, rank)
    axes = [canonical_axis(axis, rank, who) for axis in axes]
    if len(set(axes)) < len(axes) or (s is not None and len(s) != len(axes)):
        raise ArgumentError(
            f"{who} was given axes {tuple(axes)} and lengths {s}.",
            where=called_at(),
            mend="Name each axis once, and give one length an axis.",
        )
    if not axes:
        return x
    last = axes[-1]
    if s is None:
        lengths = [x.shape[axis] for axis in axes]
        if kind == "IRFFT":
            lengths[-1] = 2 * (x.shape[last] - 1)
    else:
        lengths = [
            x.shape[axis] if n is None or n == -1 else static_int(n, who, "a length")
            for n, axis in zip(s, axes)
        ]
    if min(lengths) < 1:
        raise ArgumentError(
            f"{who} was given the lengths {tuple(lengths)}.",
            where=called_at(),
            mend="Transform axes of length one or more.",
        )
    order = [i for i in range(rank) if i not in axes] + axes
    taken = list(lengths)
    if kind == "IRFFT":
        taken[-1] = lengths[-1] // 2 + 1
    out = transform(_resized(transpose(x, order), taken), kind, tuple(lengths))
    scale = _scale(norm, kind.startswith("I"), math.prod(lengths), who)
    if scale != 1:
        out = mul(out, scale)
    return transpose(out, inverse_permutation(order))


def _single(name: str, kind: str) -> Callable[..., Value]:
    def function(
        a: Any, n: int | None = None, axis: int = -1, norm: str | None = None
    ) -> Value:
        return _transformed(a, kind, None if n is None else (n,), (axis,), norm, name)

    return _described(function, name, "one axis")


def _double(name: str, kind: str) -> Callable[..., Value]:
    def function(
        a: Any, s: Any = None, axes: Any = (-2, -1), norm: str | None = None
    ) -> Value:
        return _transformed(a, kind, s, axes, norm, name)

    return _described(function, name, "two axes")


def _several(name: str, kind: str) -> Callable[..., Value]:
    def function(
        a: Any, s: Any = None, axes: Any = None, norm: str | None = None
    ) -> Value:
        return _transformed(a, kind, s, axes, norm, name)

    return _described(function, name, "several axes")


def _described(
    function: Callable[..., Value], name: str, over: str
) -> Callable[..., Value]:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Transform over {over}; as `numpy.fft.{name}`."
    return function


fft, ifft = _single("fft", "FFT"), _single("ifft", "IFFT")
rfft, irfft = _single("rfft", "RFFT"), _single("irfft", "IRFFT")
fft2, ifft2 = _double("fft2", "FFT"), _double("ifft2", "IFFT")
rfft2, irfft2 = _double("rfft2", "RFFT"), _double("irfft2", "IRFFT")
fftn, ifftn = _several("fftn", "FFT"), _several("ifftn", "IFFT")
rfftn, irfftn = _several("rfftn", "RFFT"), _several("irfftn", "IRFFT")


def _swapped(norm: str | None, who: str) -> str:
    """Give the norm of the opposite transform."""
    _scale(norm, False, 1, who)
    return _OTHER_WAY[norm or "backward"]


def hfft(
    a: Any, n: int | None = None, axis: int = -1, norm: str | None = None
) -> Value:
    """Transform a signal with Hermitian symmetry; as `numpy.fft.hfft`."""
    x = conjugate(_operand(a, "FFT", "hfft"))
    return irfft(x, n, axis, _swapped(norm, "hfft"))


def ihfft(
    a: Any, n: int | None = None, axis: int = -1, norm: str | None = None
) -> Value:
    """Invert `hfft`; as `numpy.fft.ihfft`."""
    return conjugate(rfft(a, n, axis, _swapped(norm, "ihfft")))


def _frequencies(name: str, counts: Sequence[int], n: int, d: Any, dtype: Any) -> Value:
    """Give frequencies of numbered bins for a spacing `d` of samples."""
    size = static_int(n, name, "n")
    wanted = dtypes.canonical(float if dtype is None else dtype)
    return array([k / size for k in counts], wanted) / d


def fftfreq(n: int, d: Any = 1.0, *, dtype: Any = None) -> Value:
    """Give the frequencies of `fft`'s bins; as `numpy.fft.fftfreq`."""
    counts = [*range((n + 1) // 2), *range(-(n // 2), 0)]
    return _frequencies("fftfreq", counts, n, d, dtype)


def rfftfreq(n: int, d: Any = 1.0, *, dtype: Any = None) -> Value:
    """Give the frequencies of `rfft`'s bins; as `numpy.fft.rfftfreq`."""
    return _frequencies("rfftfreq", range(n // 2 + 1), n, d, dtype)


def fftshift(x: Any, axes: Any = None) -> Value:
    """Move frequency zero to the middle; as `numpy.fft.fftshift`."""
    return _rolled(x, axes, lambda n: n // 2, "fftshift")


def ifftshift(x: Any, axes: Any = None) -> Value:
    """Invert `fftshift`; as `numpy.fft.ifftshift`."""
    return _rolled(x, axes, lambda n: -(n // 2), "ifftshift")


def _rolled(x: Any, axes: Any, shift: Callable[[int], int], who: str) -> Value:
    """Roll each axis by a distance that depends on its length."""
    x = array_argument(x, who)
    rank = len(x.shape)
    chosen = range(rank) if axes is None else axes
    if isinstance(chosen, int):
        chosen = (chosen,)
    places = [canonical_axis(axis, rank, who) for axis in chosen]
    return roll(x, [shift(x.shape[i]) for i in places], places)
