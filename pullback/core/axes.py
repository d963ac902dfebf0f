"""The length of a mapped axis together with its name."""

from __future__ import annotations

from typing import Any


class AxisSize(int):
    """The length of an axis that has a name.

    `vmap(..., axis_name=...)` gives it in place of a plain length to operations that
    use the name. It is for asking `axis_key`, and for `batch_flat` and `batch_jaxpr`;
    shapes hold plain lengths.
    """

    name: Any

    def __new__(cls, size: int, name: Any) -> AxisSize:
        """Make it of a length and a name."""
        made = int.__new__(cls, size)
        made.name = name
        return made


def axis_key(size: int) -> tuple[int, Any]:
    """Give length and name of a mapped axis, None where it has no name."""
    return int(size), getattr(size, "name", None)
