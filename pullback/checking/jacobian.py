"""Derivatives of a function as matrices of real numbers, found in three ways."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pullback.checking.coordinates import Coordinate, Space, Subject, nudged
from pullback.transforms.vjp import jvp, vjp

#: A derivative at a point: from leaves, None for zero ones, to leaves.
Derivative = Callable[[list[Any]], Sequence[Any]]
#: Steps of finite differences relative to the number changed, in the order tried.
STEPS = (1e-4, 1e-3, 1e-5, 1e-2, 1e-6, 1e-1, 1e-8)
#: A relative error of an estimate with which the search for a better step ends.
GOOD = 1e-8


class Estimate(NamedTuple):
    """Derivatives by finite differences, one number an output.

    Fields:
        value: the derivatives; nan where they cannot be told.
        error: how far off they may be.
        low, high: the slopes to both sides, which differ at a kink.
    """

    value: np.ndarray
    error: np.ndarray
    low: np.ndarray
    high: np.ndarray


def forward(subject: Subject, inputs: Space, outputs: Space) -> np.ndarray:
    """Give the matrix (outputs, inputs) by forward mode, a column an input."""
    point = tuple(subject.point)
    return columns(lambda dots: jvp(subject, point, tuple(dots))[1], inputs, outputs)


def columns(push: Derivative, inputs: Space, outputs: Space) -> np.ndarray:
    """Give the matrix (outputs, inputs) by pushing each input's tangent forward."""
    out = np.empty((len(outputs.coordinates), len(inputs.coordinates)))
    for n, c in enumerate(inputs.coordinates):
        out[:, n] = outputs.read(push(inputs.direction(c)))
    return out


def reverse(subject: Subject, inputs: Space, outputs: Space) -> np.ndarray:
    """Give the matrix (outputs, inputs) by reverse mode, a row an output."""
    return rows(vjp(subject, *subject.point)[1], inputs, outputs)


def rows(pull: Derivative, inputs: Space, outputs: Space) -> np.ndarray:
    """Give the matrix (outputs, inputs) by pulling each output's cotangent back.

    Cotangents are not conjugated: the pairing is the real part of the product, so the
    imaginary part of an output is picked by -i.
    """
    out = np.empty((len(outputs.coordinates), len(inputs.coordinates)))
    signs = np.array([-1.0 if c.imaginary else 1.0 for c in inputs.coordinates])
    for n, c in enumerate(outputs.coordinates):
        ct = outputs.direction(c, -1.0 if c.imaginary else 1.0)
        out[n] = signs * inputs.read(pull(ct))
    return out


def numeric(
    subject: Subject, inputs: Space, outputs: Space, eps: float | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Give (derivatives, errors, low, high) by finite differences, as matrices."""
    base = outputs.read(subject(*subject.point))
    columns = [
        column(subject, inputs, outputs, c, base, eps) for c in inputs.coordinates
    ]
    if not columns:
        empty = np.empty((len(outputs.coordinates), 0))
        return empty, empty, empty, empty
    value, error, low, high = (np.stack(part, axis=1) for part in zip(*columns))
    return value, error, low, high


def along(
    subject: Subject, dots: Sequence[Any], cts: Sequence[Any]
) -> tuple[float, float]:
    """Estimate one number that depends on every entry of the matrix of derivatives.

    Args:
        subject: the function.
        dots: a direction of its inputs.
        cts: weights of its outputs.

    Returns:
        The derivative of the weighed sum of outputs, and how far off it may be.
    """

    def at(h: float) -> np.ndarray:
        moved = [nudged(x, h * d) for x, d in zip(subject.point, dots)]
        return np.array([inner(cts, subject(*moved))])

    found = slope(at, at(0.0), STEPS, float(np.finfo(np.float64).eps))
    return float(found.value[0]), float(found.error[0])


def inner(xs: Sequence[Any], ys: Sequence[Any]) -> float:
    """Give the real part of the sum of products of corresponding leaves."""
    products = (np.sum(np.asarray(x) * np.asarray(y)) for x, y in zip(xs, ys))
    return float(np.real(sum(products)))


def random_like(space: Space, seed: int) -> list[np.ndarray]:
    """Give leaves of random numbers of about 1."""
    rng = np.random.default_rng(seed)
    out = []
    for shape, dtype in zip(space.shapes, space.dtypes):
        x = rng.normal(size=shape)
        if dtype.kind == "c":
            x = x + 1j * rng.normal(size=shape)
        out.append(np.asarray(x).astype(dtype))
    return out


def applied(
    subject: Subject, mode: str, dots: Sequence[Any], cts: Sequence[Any]
) -> float:
    """Give what `along` estimates, by forward ("fwd", "jvp") or reverse mode."""
    if mode in ("fwd", "jvp"):
        return inner(cts, jvp(subject, tuple(subject.point), tuple(dots))[1])
    return inner(vjp(subject, *subject.point)[1](list(cts)), dots)


def column(
    subject: Subject,
    inputs: Space,
    outputs: Space,
    c: Coordinate,
    base: np.ndarray,
    eps: float | None = None,
) -> Estimate:
    """Estimate the derivatives of all outputs by one input."""

    def at(h: float) -> np.ndarray:
        delta = inputs.direction(c, h)
        moved = [x if d is None else nudged(x, d) for x, d in zip(subject.point, delta)]
        return outputs.read(subject(*moved))

    precision = min(
        (np.finfo(d).eps for d in outputs.dtypes if d.kind in "fc"), default=0
    )
    if any(d.itemsize < 8 for d in outputs.dtypes):
        precision = 1e-6
    return slope(at, base, step_sizes(inputs, subject.point, c, eps), float(precision))


def step_sizes(
    inputs: Space, point: Sequence[Any], c: Coordinate, eps: float | None
) -> list[float]:
    """Give the steps to try for one number."""
    if eps is not None:
        return [eps]
    leaf = np.asarray(point[c.leaf]).reshape(-1)
    here = float(abs(leaf[c.element]))
    largest = float(np.max(np.abs(leaf), initial=0.0))
    scale = here or largest or 1.0
    steps = [scale * s for s in STEPS]
    return steps if 1e-3 < scale < 1e3 else [*steps, 1e-4, 1e-6]


def slope(
    at: Callable[[float], np.ndarray],
    base: np.ndarray,
    steps: Sequence[float],
    precision: float,
) -> Estimate:
    """Estimate the derivative at 0 of a function of one number.

    Central differences with steps h and 2h are extrapolated (Ridders, Adv. Eng.
    Software 4 (1982) 75); for each output the step with the smallest error wins.
    """
    best: list[np.ndarray] | None = None
    with np.errstate(all="ignore"):
        for h in steps:
            found = differences(at, base, h, precision)
            if best is None:
                best = found
            else:
                better = ~(found[1] >= best[1]) & np.isfinite(found[1])
                best = [np.where(better, new, old) for new, old in zip(found, best)]
            if np.all(
                best[1] <= GOOD * (np.abs(best[0]) + np.max(np.abs(base), initial=0))
            ):
                break
    assert best is not None, "there is a step"
    return Estimate(*best)


def differences(
    at: Callable[[float], np.ndarray], base: np.ndarray, h: float, precision: float
) -> list[np.ndarray]:
    """Give (derivative, error, low, high) with one step size."""
    up, down, up2, down2 = at(h), at(-h), at(2 * h), at(-2 * h)
    central, wider = (up - down) / (2 * h), (up2 - down2) / (4 * h)
    right, left = (up - base) / h, (base - down) / h
    noise = precision * np.maximum(np.abs(up), np.abs(base)) / h
    value = (4 * central - wider) / 3
    error = np.abs(central - wider) + noise
    # At the edge of the domain one side must do.
    right2, left2 = (up2 - base) / (2 * h), (base - down2) / (2 * h)
    for one, two, side in ((right, right2, up), (left, left2, down)):
        use = ~np.isfinite(value) & np.isfinite(side) & np.isfinite(one)
        value = np.where(use, 2 * one - two, value)
        error = np.where(use, np.abs(one - two) + noise, error)
    value = np.where(np.isfinite(value), value, np.nan)
    error = np.where(np.isfinite(error), error, np.inf)
    sides = np.stack([right, left])
    sides = np.where(np.isfinite(sides), sides, value)
    return [value, error, sides.min(0), sides.max(0)]
