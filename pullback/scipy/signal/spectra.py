"""SciPy's spectra of signals that are cut into windowed segments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.lazy import scipy_signal
from pullback.numpy import fft, reductions
from pullback.numpy.arguments import array_argument, option, static_int, wrong_shape
from pullback.numpy.creation import array
from pullback.numpy.padding import pad
from pullback.numpy.promotion import as_inexact, promote_arrays
from pullback.numpy.shaping import concatenate, flip, moveaxis
from pullback.numpy.statistics import median
from pullback.primitives import table
from pullback.primitives.recipes import canonical_axis
from pullback.primitives.structural import reshape
from pullback.scipy.signal.trends import detrend as without_trend

__all__ = ["csd", "istft", "stft", "welch"]

_BOUNDARIES = ("even", "odd", "constant", "zeros", None)
#: Where the windows over a sample sum to less, `istft` does not divide by the sum.
_LEAST_SUM = 1e-10


# -- segments --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Segments:
    """How a signal is cut.

    Attributes:
        window: what each segment is multiplied by [length].
        length: the samples of a segment.
        step: how many samples later the next one begins.
        nfft: the length of the Fourier transform.
    """

    window: Value
    length: int
    step: int
    nfft: int


def _refused(who: str, what: str, mend: str) -> ArgumentError:
    return ArgumentError(f"{who} was given {what}.", where=called_at(), mend=mend)


def _is_named(window: Any) -> bool:
    """Whether a window is a name, or a tuple of a name and parameters."""
    return isinstance(window, (str, tuple))


def _window(who: str, window: Any, length: int, dtype: Any) -> Value:
    """Give a window of a length, by its name or as the array it is."""
    real = dtypes.real_dtype(dtype)
    if not _is_named(window):
        given = as_inexact(window, who)
        if len(given.shape) != 1 or dtypes.is_complex(given.dtype):
            raise wrong_shape(
                who,
                f"was given a window {given.aval}.",
                "Give a name, a tuple of a name and parameters, or a real vector.",
            )
        return table.convert(given, real)
    try:
        values = scipy_signal.get_window(window, length)
    except (ValueError, TypeError) as error:
        raise _refused(
            who,
            f"window={window!r}, which scipy.signal.get_window refuses: {error}",
            "Give a name it knows with its parameters, or a vector.",
        ) from error
    return array(values, real)


def _segments(
    who: str, window: Any, nperseg: Any, noverlap: Any, nfft: Any, dtype: Any
) -> _Segments:
    """Give how a signal is cut, for a known length of segments.

    Raises:
        ArgumentError: lengths that do not fit together.
    """
    length = static_int(nperseg, who, "nperseg")
    if length < 1:
        raise _refused(who, f"nperseg={length}", "Give a length of 1 or more.")
    values = _window(who, window, length, dtype)
    if values.shape[0] != length:
        raise _refused(
            who,
            f"a window {values.aval} for segments of {length} samples",
            f"Give a window of {length} elements, or leave nperseg out.",
        )
    overlap = length // 2 if noverlap is None else static_int(noverlap, who, "noverlap")
    if overlap >= length:
        raise _refused(
            who,
            f"noverlap={overlap} for segments of {length} samples",
            f"Give a number of {length - 1} or less.",
        )
    count = length if nfft is None else static_int(nfft, who, "nfft")
    if count < length:
        raise _refused(
            who,
            f"nfft={count} for segments of {length} samples",
            f"Give a number of {length} or more.",
        )
    return _Segments(values, length, length - overlap, count)


def _segments_of(
    who: str, x: Value, window: Any, nperseg: Any, noverlap: Any, nfft: Any
) -> _Segments:
    """Give how a signal [..., n] is cut; segments are no longer than it."""
    n = x.shape[-1]
    if n == 0:
        raise wrong_shape(
            who, f"was given no samples: {x.aval}.", "Give a signal with samples."
        )
    if _is_named(window):
        length = 256 if nperseg is None else static_int(nperseg, who, "nperseg")
        return _segments(who, window, min(length, n), noverlap, nfft, x.dtype)
    values = _window(who, window, 0, x.dtype)
    if not 0 < values.shape[0] <= n:
        raise _refused(
            who,
            f"a window {values.aval} for a signal of {n} samples",
            f"Give a window of 1 to {n} elements.",
        )
    length = values.shape[0] if nperseg is None else nperseg
    return _segments(who, values, length, noverlap, nfft, x.dtype)


def _cut(x: Value, length: int, step: int) -> Value:
    """Give the segments [..., count, length] of a signal [..., n].

    Pieces of `step` samples beside each other make segments, so that the derivative
    adds shifted pieces and needs no scatter.
    """
    batch, n = x.shape[:-1], x.shape[-1]
    count = (n - length) // step + 1
    pieces = -(-length // step)
    wanted = (count + pieces - 1) * step
    x = x[..., :wanted]
    edges = [(0, 0)] * len(batch) + [(0, wanted - x.shape[-1])]
    x = reshape(pad(x, edges), (*batch, count + pieces - 1, step))
    beside = [x[..., j : j + count, :] for j in range(pieces)]
    return concatenate(beside, -1)[..., :length]


def _added(x: Value, step: int) -> Value:
    """Add segments [..., count, length] where they overlap: the transpose of `_cut`."""
    *batch, count, length = x.shape
    pieces = -(-length // step)
    rank = len(batch)
    x = pad(x, [(0, 0)] * (rank + 1) + [(0, pieces * step - length)])
    total: Any = 0.0
    for j in range(pieces):
        part = x[..., j * step : (j + 1) * step]
        total = total + pad(part, [(0, 0)] * rank + [(j, pieces - 1 - j), (0, 0)])
    whole = reshape(total, (*batch, (count + pieces - 1) * step))
    return whole[..., : length + (count - 1) * step]


def _extended(x: Value, boundary: str | None, width: int) -> Value:
    """Make a signal [..., n] longer at both ends."""
    if boundary is None or not width:
        return x
    edges = [(0, 0)] * (len(x.shape) - 1) + [(width, width)]
    if boundary == "zeros":
        return pad(x, edges)
    if boundary == "constant":
        return pad(x, edges, mode="edge")
    before = flip(x[..., 1 : width + 1], -1)
    after = flip(x[..., -width - 1 : -1], -1)
    if boundary == "odd":
        before, after = x[..., :1] * 2 - before, x[..., -1:] * 2 - after
    return concatenate([before, x, after], -1)


def _filled(x: Value, cut: _Segments) -> Value:
    """Add zeros to a signal, so that segments reach its end."""
    missing = (cut.length - x.shape[-1]) % cut.step % cut.length
    return pad(x, [(0, 0)] * (len(x.shape) - 1) + [(0, missing)])


def _transformed(
    who: str, x: Value, cut: _Segments, trend: Any, onesided: bool
) -> Value:
    """Give the transforms [..., count, frequencies] of a signal's segments."""
    parts = _cut(x, cut.length, cut.step)
    if callable(trend):
        parts = array_argument(trend(parts), who, "what detrend gave")
    elif trend:
        option(who, "detrend", trend, ("constant", "linear", False))
        parts = without_trend(parts, -1, trend)
    parts = parts * table.convert(cut.window, parts.dtype)
    return (fft.rfft if onesided else fft.fft)(parts, cut.nfft)


def _frequencies(cut: _Segments, fs: Any, onesided: bool) -> Value:
    return (fft.rfftfreq if onesided else fft.fftfreq)(cut.nfft, 1 / fs)


def _size(cut: _Segments, fs: Any, scaling: str) -> Value:
    """Give what powers are divided by."""
    if scaling == "spectrum":
        whole = reductions.sum(cut.window)
        return whole * whole
    return reductions.sum(cut.window * cut.window) * fs


# -- transforms of segments, and their inverse -----------------------------------------


def stft(
    x: Any,
    fs: Any = 1.0,
    window: Any = "hann",
    nperseg: int | None = 256,
    noverlap: int | None = None,
    nfft: int | None = None,
    detrend: str | bool | Callable[[Value], Any] = False,
    return_onesided: bool = True,
    boundary: str | None = "zeros",
    padded: bool = True,
    axis: int = -1,
    scaling: str = "spectrum",
) -> tuple[Value, Value, Value]:
    """Transform windowed segments of a signal; as `scipy.signal.stft`.

    It is linear in `x`, and differentiable in `fs` and in a window given as an array.

    Args:
        x: a signal along `axis`. That of a complex one is two-sided.
        fs: samples per unit of time.
        window: a name, or a tuple of a name and parameters, that
            `scipy.signal.get_window` knows; or a real vector.
        nperseg: samples of a segment; no more than the signal has.
        noverlap: samples that segments share, by default half of them; less than 0
            leaves gaps.
        nfft: the length of transforms, by default that of segments; zeros fill up.
        detrend: "constant", "linear", a function of segments [..., count, nperseg], or
            False.
        return_onesided: give frequencies from 0 on only.
        boundary: what makes the signal longer by half a segment at both ends, so that
            a segment is centred at the first sample: "zeros", "even", "odd",
            "constant", or None.
        padded: fill the signal up with zeros, so that segments reach its end.
        axis: that of time.
        scaling: "spectrum" for magnitudes, "psd" for densities.

    Returns:
        The frequencies, the times of the segments' centres, and the transforms:
        frequencies along `axis`, times along a new last axis.

    Raises:
        ArgumentError: an option that does not exist, or lengths that do not fit.
    """
    option("stft", "boundary", boundary, _BOUNDARIES)
    option("stft", "scaling", scaling, ("spectrum", "psd"))
    x = as_inexact(x, "stft")
    place = canonical_axis(axis, len(x.shape), "stft")
    x = moveaxis(x, place, -1)
    cut = _segments_of("stft", x, window, nperseg, noverlap, nfft)
    onesided = return_onesided and not dtypes.is_complex(x.dtype)
    x = _extended(x, boundary, cut.length // 2)
    if padded:
        x = _filled(x, cut)
    parts = _transformed("stft", x, cut, detrend, onesided)
    parts = parts / table.sqrt(_size(cut, fs, scaling))
    start = 0 if boundary else cut.length / 2
    times = array(np.arange(parts.shape[-2]) * cut.step + start, float) / fs
    return (
        _frequencies(cut, fs, onesided),
        times,
        moveaxis(parts, (-1, -2), (place, -1)),
    )


def istft(
    Zxx: Any,
    fs: Any = 1.0,
    window: Any = "hann",
    nperseg: int | None = None,
    noverlap: int | None = None,
    nfft: int | None = None,
    input_onesided: bool = True,
    boundary: bool = True,
    time_axis: int = -1,
    freq_axis: int = -2,
    scaling: str = "spectrum",
) -> tuple[Value, Value]:
    """Give the signal of which `Zxx` is the `stft`; as `scipy.signal.istft`.

    Segments are added with their window, and divided by the sum of its squares: the
    least squares solution (Griffin and Lim, Signal estimation from modified short-time
    Fourier transform, IEEE Trans. ASSP 32, 1984, equation 6). Samples over which the
    squares sum to less than 1e-10 cannot be found, and are near 0.

    Args:
        Zxx: transforms, as `stft` gives them.
        fs: samples per unit of time.
        window: as that of `stft`.
        nperseg: samples of a segment, by default as many as the frequencies say: an
            even number, if they are one-sided.
        noverlap: samples that segments share, by default half of them.
        nfft: the length of transforms, by default what the frequencies say.
        input_onesided: frequencies are those from 0 on only, and the signal is real.
        boundary: cut off half a segment at both ends.
        time_axis: the axis of segments.
        freq_axis: the axis of frequencies.
        scaling: as that of `stft`.

    Returns:
        The times of samples, and the signal.

    Raises:
        ArgumentError: an option that does not exist, or lengths that do not fit.
        ShapeError: no two axes.
    """
    option("istft", "scaling", scaling, ("spectrum", "psd"))
    z = as_inexact(Zxx, "istft")
    rank = len(z.shape)
    if rank < 2 or 0 in z.shape[-2:]:
        raise wrong_shape(
            "istft", f"was given {z.aval}.", "Give an axis of frequencies and of times."
        )
    across, along = (canonical_axis(a, rank, "istft") for a in (freq_axis, time_axis))
    if across == along:
        raise _refused("istft", f"axis {across} twice", "Name two different axes.")
    z = moveaxis(z, (along, across), (-2, -1))
    fitting = 2 * (z.shape[-1] - 1) if input_onesided else z.shape[-1]
    length = fitting if nperseg is None else nperseg
    if nfft is None:
        nfft = length if input_onesided and length == fitting + 1 else fitting
    cut = _segments("istft", window, length, noverlap, nfft, z.dtype)
    parts = (fft.irfft if input_onesided else fft.ifft)(z, cut.nfft)
    scaled = cut.window * table.sqrt(_size(cut, fs, scaling))
    parts = parts[..., : cut.length] * table.convert(scaled, parts.dtype)
    x = _added(parts, cut.step)
    squares = reshape(cut.window * cut.window, (1, cut.length))
    total = _added(concatenate([squares] * z.shape[-2], 0), cut.step)
    if boundary:
        half = cut.length // 2
        x, total = (y[..., half : y.shape[-1] - half] for y in (x, total))
    total = table.select(table.gt(total, _LEAST_SUM), total, 1.0)
    x = x / table.convert(total, x.dtype)
    times = array(np.arange(x.shape[-1]), float) / fs
    return times, moveaxis(x, -1, along - (across < along))


# -- powers ----------------------------------------------------------------------------


def welch(
    x: Any,
    fs: Any = 1.0,
    window: Any = "hann",
    nperseg: int | None = None,
    noverlap: int | None = None,
    nfft: int | None = None,
    detrend: str | bool | Callable[[Value], Any] = "constant",
    return_onesided: bool = True,
    scaling: str = "density",
    axis: int = -1,
    average: str = "mean",
) -> tuple[Value, Value]:
    """Estimate a signal's power at frequencies; as `scipy.signal.welch`.

    The squares of the transforms of segments are averaged (Welch, The use of fast
    Fourier transform for the estimation of power spectra, IEEE Trans. Audio and
    Electroacoustics 15, 1967). Arguments are as those of `csd`.

    Returns:
        The frequencies, and the real powers, along `axis`.
    """
    return _powers(
        "welch",
        (x,),
        _Cutting(window, nperseg, noverlap, nfft),
        _Averaging(fs, detrend, return_onesided, scaling, average),
        axis,
    )


def csd(
    x: Any,
    y: Any,
    fs: Any = 1.0,
    window: Any = "hann",
    nperseg: int | None = None,
    noverlap: int | None = None,
    nfft: int | None = None,
    detrend: str | bool | Callable[[Value], Any] = "constant",
    return_onesided: bool = True,
    scaling: str = "density",
    axis: int = -1,
    average: str = "mean",
) -> tuple[Value, Value]:
    """Estimate the cross power of two signals; as `scipy.signal.csd`.

    Args:
        x: a signal along `axis`, whose transform is conjugated.
        y: another; zeros are added to the shorter one, and other axes broadcast. None
            stands for `x`, and gives real powers: those of `welch`.
        fs: samples per unit of time.
        window: a name, or a tuple of a name and parameters, that
            `scipy.signal.get_window` knows; or a real vector.
        nperseg: samples of a segment, by default 256 or those of the window; no more
            than the signal has.
        noverlap: samples that segments share, by default half of them.
        nfft: the length of transforms, by default that of segments; zeros fill up.
        detrend: "constant", "linear", a function of segments [..., count, nperseg], or
            False.
        return_onesided: give frequencies from 0 on only; those between 0 and half of
            `fs` count twice. Powers of complex signals are two-sided.
        scaling: "density" for power per frequency, "spectrum" for power.
        axis: that of time.
        average: "mean" or "median" over segments.

    Returns:
        The frequencies, and the cross powers, along `axis`.

    Raises:
        ArgumentError: an option that does not exist, or lengths that do not fit.
    """
    return _powers(
        "csd",
        (x,) if y is None else (x, y),
        _Cutting(window, nperseg, noverlap, nfft),
        _Averaging(fs, detrend, return_onesided, scaling, average),
        axis,
    )


@dataclass(frozen=True, slots=True)
class _Cutting:
    """The arguments that say how signals are cut."""

    window: Any
    nperseg: int | None
    noverlap: int | None
    nfft: int | None


@dataclass(frozen=True, slots=True)
class _Averaging:
    """The arguments that say what becomes of the segments."""

    fs: Any
    detrend: Any
    return_onesided: bool
    scaling: str
    average: str


def _powers(
    who: str, signals: tuple[Any, ...], how: _Cutting, what: _Averaging, axis: int
) -> tuple[Value, Value]:
    """Give frequencies, and averaged products of one or two signals' transforms."""
    option(who, "scaling", what.scaling, ("density", "spectrum"))
    option(who, "average", what.average, ("mean", "median"))
    given = promote_arrays(who, *signals, inexact=True)
    places = [canonical_axis(axis, len(x.shape), who) for x in given]
    given = [moveaxis(x, place, -1) for x, place in zip(given, places)]
    n = max(x.shape[-1] for x in given)
    longest = next(x for x in given if x.shape[-1] == n)
    cut = _segments_of(who, longest, how.window, how.nperseg, how.noverlap, how.nfft)
    onesided = what.return_onesided and not dtypes.is_complex(longest.dtype)
    parts = [
        _transformed(
            who,
            pad(x, [(0, 0)] * (len(x.shape) - 1) + [(0, n - x.shape[-1])]),
            cut,
            what.detrend,
            onesided,
        )
        for x in given
    ]
    if len(parts) == 1:
        real, imag = table.real(parts[0]), table.imag(parts[0])
        power = real * real + imag * imag
    else:
        power = table.conj(parts[0]) * parts[1]
    power = _averaged(power, what.average) / _size(cut, what.fs, what.scaling)
    if onesided:
        power = power * array(_sides(cut.nfft), dtypes.real_dtype(power.dtype))
    return _frequencies(cut, what.fs, onesided), moveaxis(power, -1, axis)


def _sides(nfft: int) -> np.ndarray[Any, Any]:
    """Give how often frequencies from 0 on stand among all of them."""
    counts = np.full(nfft // 2 + 1, 2.0)
    counts[0] = 1
    if nfft % 2 == 0:
        counts[-1] = 1
    return counts


def _averaged(power: Value, average: str) -> Value:
    """Average over segments [..., count, frequencies]."""
    if average == "mean":
        return reductions.mean(power, axis=-2)
    if dtypes.is_complex(power.dtype):
        parts = [_averaged(part(power), average) for part in (table.real, table.imag)]
        return table.make_complex(*parts)
    # The median of squares of normal numbers is less than their mean by this factor
    # (Allen et al., FINDCHIRP, Phys. Rev. D 85, 122006, 2012).
    odd = (power.shape[-2] - 1) // 2 * 2 + 1
    terms = np.arange(1, odd + 1, dtype=float)
    bias = float(np.sum((-1) ** (terms + 1) / terms))
    return median(power, axis=-2) / bias
