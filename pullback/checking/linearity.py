"""Is a rule linear in its tangent or cotangent, and if not, how does it fail?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pullback.checking.coordinates import Space
from pullback.checking.jacobian import random_like

#: From a list of tangents (or cotangents) to the numbers that the rule makes of them.
Map = Callable[[list[Any]], np.ndarray]


class Nonlinear(NamedTuple):
    """How a rule fails to be linear.

    Fields:
        at: the coordinate of its result that is off most.
        found, wanted: the result for a multiple, and the multiple of the result.
        diagnosis: what explains it.
    """

    at: int
    found: float
    wanted: float
    diagnosis: str


def scaled(leaves: Sequence[np.ndarray], by: float) -> list[np.ndarray]:
    """Multiply each leaf by a number, keeping its dtype."""
    return [(x * by).astype(x.dtype) for x in leaves]


def find_nonlinear(apply: Map, space: Space, what: str) -> Nonlinear | None:
    """Try multiples and sums; give the first failure, None if the rule is linear.

    Args:
        apply: the rule.
        space: what it is applied to.
        what: "tangent" or "cotangent".
    """
    t, s = random_like(space, 2), random_like(space, 3)
    base = apply(t)
    zero = apply(scaled(t, 0.0))
    if differ(zero, np.zeros_like(zero)):
        text = affine_text(apply(scaled(t, 2.0)), base, zero, what)
        return worst(zero, np.zeros_like(zero), text)
    for by in (-1.0, 2.0, 1e-3, 1e4):
        found, wanted = apply(scaled(t, by)), by * base
        if differ(found, wanted):
            return worst(found, wanted, power_text(found, base, by, what))
    joint, wanted = apply([a + b for a, b in zip(t, s)]), base + apply(s)
    if differ(joint, wanted):
        text = f"not linear: the result for a sum of {what}s is not the sum of results."
        return worst(joint, wanted, text)
    return None


def differ(found: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether two results disagree beyond rounding; nan and infinity do not count."""
    known = np.isfinite(found) & np.isfinite(wanted)
    a, b = found[known], wanted[known]
    scale = np.max(np.abs(b), initial=0.0)
    return bool(np.any(np.abs(a - b) > 1e-5 * np.abs(b) + 1e-6 * scale + 1e-290))


def worst(found: np.ndarray, wanted: np.ndarray, text: str) -> Nonlinear:
    """Point at the number that is off most."""
    off = np.where(np.isfinite(found - wanted), np.abs(found - wanted), 0.0)
    i = int(off.argmax())
    return Nonlinear(i, float(found[i]), float(wanted[i]), text)


def affine_text(
    double: np.ndarray, base: np.ndarray, zero: np.ndarray, what: str
) -> str:
    """Explain a result for zero that is not zero."""
    if not differ(base, zero) and not differ(double, zero):
        return (
            f"missing chain factor: the {what} is ignored, the result is the same for "
            f"every {what}; multiply by it."
        )
    return f"not linear: a term that does not depend on the {what} is added (affine)."


def power_text(found: np.ndarray, base: np.ndarray, by: float, what: str) -> str:
    """Explain a result that does not grow as its input does."""
    if not differ(found, by * by * base):
        return f"not linear: the {what} is used twice (its square appears)."
    if not differ(found, abs(by) * base):
        return f"not linear: the sign of the {what} is lost (absolute value, norm)."
    if by == -1.0 and not differ(found, base):
        return f"not linear: the {what} enters by its magnitude only."
    if abs(by) > 1 and np.max(np.abs(found), initial=0) < np.max(
        np.abs(by * base), initial=0
    ):
        return (
            "not linear: the result is limited (clipped or normalized), whatever the "
            f"{what}."
        )
    return f"not linear: {by:g} times the {what} does not give {by:g} times the result."
