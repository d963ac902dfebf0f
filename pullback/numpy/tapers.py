"""Windows of signal processing: weights that fall off towards both ends."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.array import from_host
from pullback.core.trace import Value
from pullback.numpy.arguments import static_int
from pullback.numpy.promotion import as_inexact
from pullback.primitives import special, table


def _weights(who: str, M: Any) -> Value:
    """Compute NumPy's window of a static length once, in the default float."""
    made = getattr(np, who)(static_int(M, who, "M"))
    return from_host(made.astype(dtypes.scalar_dtype(float)))


def bartlett(M: Any) -> Value:
    """Give the triangular window of M points, zero at both ends."""
    return _weights("bartlett", M)


def blackman(M: Any) -> Value:
    """Give the Blackman window of M points: three cosine terms."""
    return _weights("blackman", M)


def hamming(M: Any) -> Value:
    """Give the Hamming window of M points: a raised cosine on a pedestal."""
    return _weights("hamming", M)


def hanning(M: Any) -> Value:
    """Give the Hann window of M points: a raised cosine, zero at both ends."""
    return _weights("hanning", M)


def kaiser(M: Any, beta: Any) -> Value:
    """Give the Kaiser window of M points, differentiable in its shape `beta`."""
    n = static_int(M, "kaiser", "M")
    beta = as_inexact(beta, "kaiser")
    if n <= 1:
        return from_host(np.ones(max(n, 0), beta.dtype))
    inside = np.sqrt(1 - np.linspace(-1, 1, n) ** 2).astype(beta.dtype)
    # i0(beta s) / i0(beta), the growth of both taken out, so that neither overflows.
    scaled = table.mul(from_host(inside), beta)
    growth = table.exp(table.sub(table.abs(scaled), table.abs(beta)))
    ratio = table.div(special.bessel_i0e(scaled), special.bessel_i0e(beta))
    return table.mul(ratio, growth)
