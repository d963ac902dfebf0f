"""What a jitted function is on its way to the machine: types for annotations and tests.

`jit(f).trace(x)` gives a `Traced`, its `lower()` a `Lowered`, its `compile()` a
`Compiled`.
"""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from pullback.calls.lowered import Compiled as Compiled
from pullback.calls.lowered import Lowered as Lowered
from pullback.calls.lowered import Traced as Traced

__all__ = ["Compiled", "Lowered", "Traced", "Wrapped"]


@runtime_checkable
class Wrapped(Protocol):
    """A jitted function: it can be called, traced and lowered."""

    #: Gives the structure of the result, uncomputed.
    eval_shape: Callable[..., Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        ...

    def trace(self, *args: Any, **kwargs: Any) -> Traced:
        """Write the function down for these arguments."""
        ...

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """Write the function as StableHLO for these arguments."""
        ...
