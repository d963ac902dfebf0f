"""Discrete Fourier transforms over the last axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.aval import Aval
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError, DtypeError, ShapeError
from pullback.primitives.creation import broadcasted_iota
from pullback.primitives.recipes import Linear, lower_as
from pullback.primitives.structural import frozen, full, move_axis, transpose
from pullback.primitives.table import and_, conj, convert, lt, mul, ne, select

_KINDS = ("FFT", "IFFT", "RFFT", "IRFFT")
# The compiler transforms at most so many axes at once.
_MOST_AXES = 3


@frozen
class Fft(Linear):
    """A transform of the last axes, of the given lengths in the domain of signals.

    "FFT" and "IFFT" take and give complex numbers. "RFFT" takes real ones and gives the
    n // 2 + 1 leading frequencies of the last axis; "IRFFT" goes back. The inverse
    transforms divide by the number of elements.
    """

    kind: str
    lengths: tuple[int, ...]

    def abstract(self, x: Aval) -> Aval:
        if self.kind not in _KINDS or not self.lengths:
            raise ArgumentError(
                f"fft was given the kind {self.kind!r} and lengths {self.lengths}.",
                where=called_at(),
                mend=f"Use one of {', '.join(_KINDS)} and at least one length.",
            )
        half = (*self.lengths[:-1], self.lengths[-1] // 2 + 1)
        shape = x.shape[: x.ndim - len(self.lengths)]
        wanted = half if self.kind == "IRFFT" else self.lengths
        if (*shape, *wanted) != x.shape:
            raise ShapeError(
                f"fft {self.kind} of lengths {self.lengths} takes an operand whose "
                f"last axes are {wanted}; it was given {x}.",
                where=called_at(),
                mend="Use pullback.numpy.fft, which cuts and pads.",
            )
        takes = "float" if self.kind == "RFFT" else "complex"
        bits = {"float": "fd", "complex": "FD"}[takes]
        if x.dtype.char not in bits:
            raise DtypeError(
                f"fft {self.kind} takes {takes} numbers of 32 or 64 bits; it was "
                f"given {x}.",
                where=called_at(),
                mend="Convert the operand with astype, or use pullback.numpy.fft.",
            )
        if self.kind == "RFFT":
            return Aval((*shape, *half), dtypes.complex_dtype(x.dtype), x.weak)
        if self.kind == "IRFFT":
            return Aval((*shape, *self.lengths), dtypes.real_dtype(x.dtype), x.weak)
        return x

    def eager(self, x: Any) -> Any:
        function = getattr(np.fft, f"{self.kind.lower()}n")
        axes = tuple(range(-len(self.lengths), 0))
        return function(x, self.lengths, axes)

    def lower(self, ctx: Any, x: Any) -> Any:
        if len(self.lengths) > _MOST_AXES:
            return lower_as(ctx, self.by_parts, x)
        attributes = (
            f"fft_type = #stablehlo<fft_type {self.kind}>, "
            f"fft_length = {ctx.ints(self.lengths)}"
        )
        return ctx.emit("stablehlo.fft", [x], self.abstract(x.aval), attributes)

    def by_parts(self, x: Value) -> Value:
        """Transform the last axes first and the others after, or the other way."""
        first, last = self.lengths[:-_MOST_AXES], self.lengths[-_MOST_AXES:]
        inner = Fft(self.kind, last)
        outer = "FFT" if self.kind in ("FFT", "RFFT") else "IFFT"
        rank = len(x.shape)
        start = rank - len(self.lengths)
        turned = (
            *range(start),
            *range(rank - _MOST_AXES, rank),
            *range(start, rank - _MOST_AXES),
        )
        back = sorted(range(rank), key=turned.__getitem__)
        if self.kind == "IRFFT":
            x = transpose(Fft(outer, first)(transpose(x, turned)), back)
            return inner(x)
        return transpose(Fft(outer, first)(transpose(inner(x), turned)), back)

    def transpose(self, ct: Any, x: Any) -> Any:
        # The matrix of a complex transform is symmetric.
        if self.kind in ("FFT", "IFFT"):
            return (self(ct),)
        # Each frequency but 0 and n/2 stands for its negative too. An inverse transform
        # takes these two for real, as the real part of a sum of exponentials does.
        n, size = self.lengths[-1], math.prod(self.lengths)
        place = broadcasted_iota(np.int32, (n // 2 + 1,), 0)
        inside = and_(ne(place, 0), lt(place, (n + 1) // 2))
        inverse, twice = self.kind == "RFFT", 2.0 if self.kind == "IRFFT" else 0.5
        edge = size if inverse else 1 / size
        dtype = dtypes.real_dtype(ct.dtype)
        weight = select(inside, full(place.shape, twice * edge, dtype), edge)

        def weighted(x: Value) -> Value:
            return mul(conj(x), convert(weight, x.dtype))

        if inverse:
            return (Fft("IRFFT", self.lengths)(weighted(ct)),)
        return (weighted(Fft("RFFT", self.lengths)(ct)),)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        return self(move_axis(operands[0], dims[0], 0)), 0


def fft(x: Value, kind: str, lengths: tuple[int, ...]) -> Value:
    """Transform the last axes: `kind` is "FFT", "IFFT", "RFFT" or "IRFFT"."""
    return Fft(kind.upper(), tuple(lengths))(x)
