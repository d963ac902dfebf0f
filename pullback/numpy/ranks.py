"""The switch `numpy_rank_promotion`: may operands of different ranks be broadcast?

While it is "allow", operators ask nothing: they are exchanged when the switch changes.
The quick functions of `ufuncs` read a flag.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

from pullback.config import config
from pullback.core.origin import called_at
from pullback.errors import RankPromotionWarning, ShapeError
from pullback.numpy.arguments import describe

#: The layers that know no function of this package: one called there is the user's.
_LOWER = frozenset(("calls", "core", "custom", "transforms", "tree"))


def ranks_matter() -> bool:
    """Whether broadcasting operands of different ranks is warned of or refused."""
    return config.numpy_rank_promotion != "allow"


def check_ranks(who: str, *xs: Any) -> None:
    """Warn of operands of different ranks, or refuse them, as the switch says.

    Scalars may meet anything. What the library itself broadcasts is not looked at: the
    function that asks must have been called by the user.

    Raises:
        ShapeError: the switch is "raise".
    """
    if config.numpy_rank_promotion != "allow" and not _called_by_library(2):
        _compare(who, xs, 4)


def looking_at_ranks(method: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Give an operator that looks at the ranks of its operands first."""

    def looking(self: Any, other: Any, *rest: Any) -> Any:
        if not str(sys._getframe(1).f_globals.get("__name__")).startswith("pullback."):
            _compare(name, (self, other), 3)
        return method(self, other, *rest)

    return looking


def _called_by_library(depth: int) -> bool:
    """Whether a function of this layer or above calls that of `depth` frames up."""
    caller = sys._getframe(depth + 1).f_globals.get("__name__", "")
    top, _, rest = str(caller).partition(".")
    return top == "pullback" and rest.split(".")[0] not in _LOWER


def _compare(who: str, xs: tuple[Any, ...], depth: int) -> None:
    """Warn or raise if ranks differ; `depth` is the user's frame, for the warning."""
    shaped = [x for x in xs if getattr(x, "shape", ())]
    ranks = [len(x.shape) for x in shaped]
    if len(set(ranks)) < 2:
        return
    raises = config.numpy_rank_promotion == "raise"
    what = (
        f"{who} {'was given' if raises else 'broadcasts'} operands of different ranks: "
        f"{', '.join(map(describe, shaped))}"
    )
    mend = (
        "Write the axes, as in x[None, :] or jnp.expand_dims(x, axis), or allow it: "
        "config.update('numpy_rank_promotion', 'allow')."
    )
    if raises:
        raise ShapeError(
            f"{what}, which numpy_rank_promotion='raise' refuses.",
            where=called_at(),
            mend=mend,
        )
    text = f"{what}. {called_at()} {mend}"
    warnings.warn(text, RankPromotionWarning, stacklevel=depth)
