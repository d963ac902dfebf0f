"""SciPy's integrals of samples."""

from __future__ import annotations

from typing import Any

from pullback.core.trace import Value
from pullback.numpy import calculus

__all__ = ["trapezoid"]


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Value:
    """Integrate samples by the trapezoidal rule; as `scipy.integrate.trapezoid`."""
    return calculus.trapezoid(y, x, dx, axis)
