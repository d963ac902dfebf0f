"""`Slerp`: interpolation between rotations, at a constant rate from one to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pullback import tree
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.numpy.arguments import wrong_shape
from pullback.numpy.calculus import diff
from pullback.numpy.promotion import real_arguments
from pullback.numpy.sorting import searchsorted
from pullback.primitives import table
from pullback.primitives.structural import reshape
from pullback.scipy.spatial.transform.rotation import Rotation


@dataclass(frozen=True, slots=True, init=False, eq=False)
class Slerp:
    """Interpolation between rotations; as `scipy.spatial.transform.Slerp`.

    It is a pytree, and differentiable in times and rotations. Before the first time
    and after the last one rotations go on at the rate they have there.

    Args:
        times: times [n], ascending, 2 or more.
        rotations: n rotations.

    Raises:
        ShapeError: numbers of them that differ, or less than 2.
        ArgumentError: times whose values are known do not ascend.

    Example:
        >>> import pullback.numpy as jnp
        >>> turns = Rotation.from_euler("z", jnp.array([[0.0], [90.0]]), degrees=True)
        >>> between = Slerp(jnp.array([0.0, 1.0]), turns)
        >>> print(between(0.5).as_rotvec(degrees=True).round(3))
        [ 0.  0. 45.]
    """

    times: Value
    timedelta: Value
    rotations: Rotation
    rotvecs: Value

    def __init__(self, times: Any, rotations: Rotation) -> None:
        (times,) = real_arguments("Slerp", times)
        several = len(rotations.shape) == 1 and rotations.shape[0] >= 2
        if not several or times.shape != rotations.shape:
            raise wrong_shape(
                "Slerp",
                f"was given times {times.aval} for rotations of shape "
                f"{rotations.shape}.",
                "Give two rotations or more, and one time for each.",
            )
        steps = diff(times)
        known = getattr(steps, "concrete", lambda: None)()
        if known is not None and not np.all(np.asarray(known) > 0):
            raise ArgumentError(
                "Slerp was given times that do not ascend.",
                where=called_at(),
                mend="Sort times and rotations, and give each time once.",
            )
        apart = (rotations[:-1].inv() * rotations[1:]).as_rotvec()
        _fill(self, times, steps, rotations, apart)

    @classmethod
    def init(cls, times: Any, rotations: Rotation) -> Slerp:
        """Make one, by the ecosystem's name for it."""
        return cls(times, rotations)

    def __call__(self, times: Any) -> Rotation:
        """Give the rotations at times of any shape."""
        given, (x,) = self.times, real_arguments("Slerp", times)
        place = searchsorted(given, x, "right") - 1
        place = table.min(table.max(place, 0), given.shape[0] - 2)
        share = (x - given[place]) / self.timedelta[place]
        share = reshape(share, (*share.shape, 1))
        turn = Rotation.from_rotvec(self.rotvecs[place] * share)
        return self.rotations[place] * turn


_FIELDS = ("times", "timedelta", "rotations", "rotvecs")


def _fill(x: Slerp, *values: Any) -> Slerp:
    for name, value in zip(_FIELDS, values):
        object.__setattr__(x, name, value)
    return x


tree.register_with_keys(
    Slerp,
    lambda x: ([(tree.GetAttrKey(n), getattr(x, n)) for n in _FIELDS], None),
    lambda _, children: _fill(object.__new__(Slerp), *children),
)
