"""Euler angles: rotations as up to three turns about axes of coordinates."""

from __future__ import annotations

import functools
import itertools

import numpy as np

from pullback import dtypes
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.numpy.arguments import wrong_shape
from pullback.numpy.norms import vector_norm
from pullback.numpy.shaping import stack
from pullback.primitives import table
from pullback.primitives.structural import reshape
from pullback.scipy.spatial.transform.quaternions import product


def _axes(who: str, seq: str, counts: tuple[int, ...]) -> tuple[list[int], bool]:
    """Give the axes' places, and whether they turn along (capital letters).

    Raises:
        ArgumentError: no such sequence of axes.
    """
    letters = seq.lower() if isinstance(seq, str) else ""
    alike = letters == seq or letters.upper() == seq
    known = alike and set(letters) <= set("xyz") and len(letters) in counts
    if not known or any(a == b for a, b in itertools.pairwise(letters)):
        number = "three" if counts == (3,) else "one to three"
        raise ArgumentError(
            f"{who} was given seq={seq!r}.",
            where=called_at(),
            mend=f"Name {number} axes, none twice in a row, by the letters x, y, z; or "
            "X, Y, Z, where axes turn along.",
        )
    return ["xyz".index(letter) for letter in letters], seq.isupper()


def of_angles(seq: str, angles: Value) -> Value:
    """Give quaternions of angles [..., n] about n axes, or [] about one.

    Raises:
        ArgumentError: no such sequence of axes.
        ShapeError: another number of angles.
    """
    axes, along = _axes("Rotation.from_euler", seq, (1, 2, 3))
    if not angles.shape and len(axes) == 1:
        angles = reshape(angles, (1,))
    if angles.shape[-1:] != (len(axes),):
        raise wrong_shape(
            "Rotation.from_euler",
            f"was given angles {angles.aval} for seq={seq!r}.",
            f"Give angles [..., {len(axes)}].",
        )
    turns = [_about(axis, angles[..., i]) for i, axis in enumerate(axes)]
    return functools.reduce(product, turns if along else turns[::-1])


def _about(axis: int, angle: Value) -> Value:
    """Give quaternions of turns about one axis."""
    zero = angle * 0.0
    entries = [zero, zero, zero, table.cos(angle * 0.5)]
    entries[axis] = table.sin(angle * 0.5)
    return stack(entries, -1)


def angles_of(q: Value, seq: str) -> Value:
    """Give the angles [..., 3] about three axes (Bernardes and Viollet, 2022).

    "Quaternion to Euler angles conversion: a direct, general and computationally
    efficient method", PLOS ONE 17. Where the first and the last axis fall together
    only a sum of their angles is known; then the last one is 0.

    Raises:
        ArgumentError: no such sequence of axes.
    """
    axes, along = _axes("Rotation.as_euler", seq, (3,))
    i, j, k = axes[::-1] if along else axes
    symmetric = i == k
    k = 3 - i - j if symmetric else k
    sign = (i - j) * (j - k) * (k - i) // 2
    x, y, z, w = q[..., i], q[..., j], q[..., k] * float(sign), q[..., 3]
    a, b, c, d = (w, x, y, z) if symmetric else (w - y, x + z, y + w, z - x)
    middle = 2.0 * table.atan2(_length(c, d), _length(a, b))
    # Of the two half angles one has no meaning where the axes fall together, nor has
    # its derivative; it is put to 0 there.
    nearly = 1e-7 if q.dtype == dtypes.float64 else 1e-6
    known = table.stop_gradient(middle)
    flat, folded = table.le(known, nearly), table.ge(known, np.pi - nearly)
    half_sum = table.atan2(table.select(folded, 0.0, b), table.select(folded, 1.0, a))
    half_difference = table.atan2(
        table.select(flat, 0.0, d), table.select(flat, 1.0, c)
    )
    lone = table.or_(flat, folded)
    first = half_sum - half_difference
    last = half_sum + half_difference
    if along:
        first, last = last, first
    lone_angle = half_sum + (half_difference if along else -half_difference)
    first = table.select(lone, 2.0 * lone_angle, first)
    last = table.select(lone, 0.0, last)
    if not symmetric:
        middle = middle - np.pi / 2
        if along:
            first = first * float(sign)
        else:
            last = last * float(sign)
    return _wrapped(stack([first, middle, last], -1))


def _length(x: Value, y: Value) -> Value:
    """Give sqrt(x^2 + y^2), with derivative 0 at 0."""
    return vector_norm(stack([x, y], -1), axis=-1)


def _wrapped(x: Value) -> Value:
    """Bring angles between -2 pi and 2 pi to between -pi and pi."""
    turns = table.select(table.gt(x, np.pi), -2 * np.pi, 0.0)
    return x + table.select(table.lt(x, -np.pi), 2 * np.pi, turns)
