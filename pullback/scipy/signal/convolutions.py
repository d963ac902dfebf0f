"""SciPy's convolutions and correlations of arrays of any rank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pullback import dtypes
from pullback.core.trace import Value
from pullback.numpy import fft
from pullback.numpy.arguments import array_argument, option, wrong_shape
from pullback.numpy.padding import pad
from pullback.numpy.promotion import promote_arrays
from pullback.numpy.shaping import flip
from pullback.primitives import table
from pullback.primitives.convolution import conv_general_dilated
from pullback.primitives.recipes import canonical_axes
from pullback.primitives.sliding import slide
from pullback.primitives.structural import reshape

__all__ = [
    "convolve",
    "convolve2d",
    "correlate",
    "correlate2d",
    "fftconvolve",
]

_MODES = ("full", "same", "valid")


def _operands(who: str, in1: Any, in2: Any, mode: str) -> tuple[Value, Value]:
    """Give two arrays of one dtype and rank, neither empty.

    Raises:
        ShapeError: other ones; for mode "valid", neither as large as the other.
    """
    option(who, "mode", mode, _MODES)
    x, y = promote_arrays(who, in1, in2)
    if len(x.shape) != len(y.shape) or 0 in (*x.shape, *y.shape):
        raise wrong_shape(
            who, f"was given {x.aval} and {y.aval}.", "Give arrays of one rank."
        )
    return x, y


def _ordered(who: str, x: Value, y: Value, mode: str, axes: Any) -> tuple[Value, Value]:
    """Put the larger array first for mode "valid"."""
    if mode != "valid":
        return x, y
    larger = [x.shape[i] >= y.shape[i] for i in axes]
    smaller = [x.shape[i] <= y.shape[i] for i in axes]
    if not all(larger) and not all(smaller):
        raise wrong_shape(
            who,
            f"was given {x.aval} and {y.aval} for mode='valid'.",
            "One must be at least as large as the other along every axis.",
        )
    return (x, y) if all(larger) else (y, x)


def _extent(mode: str, n: int, m: int) -> tuple[int, int]:
    """Give where the result begins in the full convolution, and its length."""
    if mode == "full":
        return 0, n + m - 1
    return ((m - 1) // 2, n) if mode == "same" else (m - 1, n - m + 1)


def _direct(x: Value, y: Value, mode: str, precision: Any) -> Value:
    """Convolve as sums of products."""
    rank = len(x.shape)
    if not rank:
        return x * y
    edges = []
    for n, m in zip(x.shape, y.shape):
        start, length = _extent(mode, n, m)
        edges.append((m - 1 - start, length - n + start))
    kernel = flip(y, tuple(range(rank)))
    if rank == 1:
        return slide(pad(x, edges), kernel, precision)
    image, kernel = (reshape(z, (1, 1, *z.shape)) for z in (x, kernel))
    out = conv_general_dilated(image, kernel, (1,) * rank, edges, precision=precision)
    return reshape(out, out.shape[2:])


def convolve(
    in1: Any, in2: Any, mode: str = "full", method: str = "auto", precision: Any = None
) -> Value:
    """Convolve arrays of one rank; as `scipy.signal.convolve`.

    Args:
        in1: an array.
        in2: another.
        mode: "full"; "same", of the size of `in1`; or "valid", without edges.
        method: "direct" (also "auto"), or "fft".
        precision: as that of `lax.conv_general_dilated`.
    """
    option("convolve", "method", method, ("auto", "direct", "fft"))
    if method == "fft":
        return fftconvolve(in1, in2, mode)
    x, y = _operands("convolve", in1, in2, mode)
    x, y = _ordered("convolve", x, y, mode, range(len(x.shape)))
    return _direct(x, y, mode, precision)


def _reversed(x: Value) -> Value:
    """Reverse all axes, and conjugate: what correlation convolves with."""
    x = flip(x, tuple(range(len(x.shape)))) if x.shape else x
    return table.conj(x) if dtypes.is_complex(x.dtype) else x


def correlate(
    in1: Any, in2: Any, mode: str = "full", method: str = "auto", precision: Any = None
) -> Value:
    """Correlate arrays of one rank, the second conjugated; arguments as `convolve`."""
    second = _reversed(array_argument(in2, "correlate"))
    return convolve(in1, second, mode, method, precision)


def fftconvolve(
    in1: Any, in2: Any, mode: str = "full", axes: Sequence[int] | None = None
) -> Value:
    """Convolve by Fourier transforms along axes, all if None; as SciPy's.

    Along other axes the arrays broadcast.
    """
    x, y = _operands("fftconvolve", in1, in2, mode)
    rank = len(x.shape)
    places = canonical_axes(None if axes is None else tuple(axes), rank, "fftconvolve")
    x, y = _ordered("fftconvolve", x, y, mode, places)
    x, y = promote_arrays("fftconvolve", x, y, inexact=True)
    if not places:
        return x * y
    sizes = [x.shape[i] + y.shape[i] - 1 for i in places]
    if dtypes.is_complex(x.dtype):
        parts = [fft.fftn(z, sizes, places) for z in (x, y)]
        out = fft.ifftn(parts[0] * parts[1], axes=places)
    else:
        parts = [fft.rfftn(z, sizes, places) for z in (x, y)]
        out = fft.irfftn(parts[0] * parts[1], sizes, places)
    cut = [slice(None)] * rank
    for i in places:
        start, length = _extent(mode, x.shape[i], y.shape[i])
        cut[i] = slice(start, start + length)
    return out[tuple(cut)]


# -- in two dimensions, with a choice of what lies outside -----------------------------

_BOUNDARIES = {"fill": "constant", "wrap": "wrap", "symm": "symmetric"}


def convolve2d(
    in1: Any,
    in2: Any,
    mode: str = "full",
    boundary: str = "fill",
    fillvalue: float = 0,
    precision: Any = None,
) -> Value:
    """Convolve matrices; as `scipy.signal.convolve2d`.

    Args:
        in1: a matrix.
        in2: another.
        mode: as that of `convolve`.
        boundary: what lies outside of `in1`: "fill" a number, "wrap" around, or "symm",
            its mirror image.
        fillvalue: the number.
        precision: as that of `convolve`.
    """
    option("convolve2d", "boundary", boundary, tuple(_BOUNDARIES))
    x, y = _operands("convolve2d", in1, in2, mode)
    if len(x.shape) != 2:
        raise wrong_shape(
            "convolve2d", f"was given {x.aval} and {y.aval}.", "Give two matrices."
        )
    x, y = _ordered("convolve2d", x, y, mode, (0, 1))
    if mode == "valid" or (boundary == "fill" and fillvalue == 0):
        return _direct(x, y, mode, precision)
    edges, cut = [], []
    for n, m in zip(x.shape, y.shape):
        edges.append((m - 1, m - 1))
        start, length = _extent(mode, n, m)
        cut.append(slice(start, start + length))
    options = {"constant_values": fillvalue} if boundary == "fill" else {}
    wide = pad(x, edges, mode=_BOUNDARIES[boundary], **options)
    return _direct(wide, y, "valid", precision)[tuple(cut)]


def correlate2d(
    in1: Any,
    in2: Any,
    mode: str = "full",
    boundary: str = "fill",
    fillvalue: float = 0,
    precision: Any = None,
) -> Value:
    """Correlate matrices, the second conjugated; arguments as `convolve2d`."""
    second = _reversed(array_argument(in2, "correlate2d"))
    if mode == "same":
        # SciPy's result stands half an element later for kernels of even lengths.
        first = array_argument(in1, "correlate2d")
        whole = convolve2d(first, second, "full", boundary, fillvalue, precision)
        cut = [slice(m // 2, m // 2 + n) for n, m in zip(first.shape, second.shape)]
        return whole[tuple(cut)]
    return convolve2d(in1, second, mode, boundary, fillvalue, precision)
