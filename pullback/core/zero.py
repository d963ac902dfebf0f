"""Symbolic zeros, and the values that a linear program does not know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback import dtypes
from pullback.core.aval import Aval


class Zero:
    """A tangent or cotangent that is zero by structure: no array, no work.

    Args:
        aval: the type of the zero, or None where `like` gives it.
        like: a primal value whose tangent this is; its type is read when asked for.
    """

    __slots__ = ("_aval", "_like")

    def __init__(self, aval: Aval | None = None, like: Any = None) -> None:
        self._aval = aval
        self._like = like

    @property
    def aval(self) -> Aval:
        """The type of the zero."""
        if self._aval is None:
            like = self._like
            aval = getattr(like, "aval", None)
            if aval is None:
                kind = type(like)
                aval = (
                    Aval(like.shape, like.dtype)
                    if hasattr(like, "dtype")
                    else Aval((), dtypes.scalar_dtype(kind), True)
                )
            self._aval, self._like = aval.tangent(), None
        return self._aval

    def __repr__(self) -> str:
        """Show the type of the zero."""
        return f"{type(self).__name__}({self.aval})"


class SymbolicZero(Zero):
    """A `Zero` as user rules with `symbolic_zeros=True` receive it."""

    __slots__ = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the zero."""
        return self.aval.shape

    @property
    def dtype(self) -> Any:
        """The dtype of the zero."""
        return self.aval.dtype


class Forbidden:
    """A tangent that must not be asked for: using it raises an error made late.

    It stands for the derivative with respect to a value that a custom rule does not
    speak of; code that never needs that derivative is not disturbed.

    Args:
        aval: the type of the tangent.
        error: makes the error.
        source: the tangent on which the forbidden one would depend.
    """

    __slots__ = ("aval", "error", "source")

    def __init__(
        self, aval: Aval, error: Callable[[], Exception], source: Any = None
    ) -> None:
        self.aval = aval
        self.error = error
        self.source = source


class Unknown:
    """Base of values that stand for the linear operands of a recorded program.

    A `transpose` rule finds the operands it must give cotangents for by
    `isinstance(operand, Unknown)`; they have an `aval` and nothing else.
    """

    __slots__ = ()

    aval: Aval


def is_zero(x: Any) -> bool:
    """Whether `x` is a symbolic zero."""
    return isinstance(x, Zero)
