"""Arguments of array functions: arrays and numbers, axes, shapes, static integers."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback.core.array import SCALARS, Array, Operators
from pullback.core.calling import as_value
from pullback.core.origin import called_at
from pullback.core.trace import Tracer, Value, aval_of
from pullback.errors import (
    ArgumentError,
    DtypeError,
    NotAnArrayError,
    ShapeError,
    TracerIntegerError,
)


def array_argument(x: Any, who: str, name: str = "its argument") -> Value:
    """Give the array or traced value an argument stands for.

    Raises:
        NotAnArrayError: a list, a string or another thing that is no array or number.
    """
    if isinstance(x, Operators):
        return x
    if isinstance(x, (list, tuple)):
        raise NotAnArrayError(
            f"{who} takes arrays and numbers; {name} is a "
            f"{type(x).__name__}: {x!r:.60}.",
            where=called_at(),
            mend=f"Make an array of it first: {who}(jnp.array(...)).",
        )
    if x is None:
        raise NotAnArrayError(
            f"{who} takes arrays and numbers; {name} is None.",
            where=called_at(),
            mend="Give an array or a number.",
        )
    return as_value(x, f"{who} ({name})")


def describe(x: Any) -> str:
    """Write the type of a value as errors show it: `f32[3]`."""
    return repr(aval_of(x))


def static_int(x: Any, who: str, name: str) -> int:
    """Give a Python integer that must be known when tracing.

    Raises:
        TracerIntegerError: a traced value.
        ArgumentError: no integer.
    """
    if isinstance(x, Tracer) and x.concrete() is None:
        raise TracerIntegerError(
            f"{who} needs {name} as a static integer; got {x.describe()}.",
            where=called_at(),
            mend=f"Give {name} as a Python int, or mark the argument it comes from "
            "static with static_argnums.",
        )
    try:
        return operator.index(x)
    except TypeError:
        raise ArgumentError(
            f"{who} needs {name} as an integer; got {x!r:.60}.",
            where=called_at(),
            mend=f"Give {name} as a Python int.",
        ) from None


def static_array(x: Any, who: str, name: str, why: str) -> Any:
    """Give the NumPy array behind an argument whose values fix the result's shape.

    Raises:
        TracerIntegerError: a traced value; `why` says why values are needed.
    """
    if isinstance(x, Tracer):
        concrete = x.concrete()
        if concrete is None:
            raise TracerIntegerError(
                f"{who} needs the values of {name}, {why}; got {x.describe()}.",
                where=called_at(),
                mend=f"Give {name} as a NumPy array or Python value, give the result's "
                "length where the function takes size=, or use jnp.where(mask, x, y).",
            )
        x = concrete
    return np.asarray(x.fetch() if isinstance(x, Array) else x)


def shape_argument(shape: Any, who: str) -> tuple[int, ...]:
    """Give a shape of an integer or a sequence of integers.

    Raises:
        ArgumentError: a negative length.
    """
    lengths: Sequence[Any] = [shape]
    if hasattr(shape, "__iter__") and not isinstance(shape, Tracer):
        # A 0-d array has `__iter__` but no elements to go through.
        lengths = [shape] if getattr(shape, "ndim", 1) == 0 else list(shape)
    out = tuple([static_int(n, who, "shape") for n in lengths])
    if any(n < 0 for n in out):
        raise ArgumentError(
            f"{who} was given a shape with a negative length: {out}.",
            where=called_at(),
            mend="Use lengths of zero or more.",
        )
    return out


def option(who: str, name: str, given: Any, choices: Sequence[Any]) -> Any:
    """Give an argument if it is one of the choices.

    Raises:
        ArgumentError: it is not.
    """
    if given not in choices:
        raise ArgumentError(
            f"{who} was given {name}={given!r}.",
            where=called_at(),
            mend=f"Give one of {', '.join(map(repr, choices))}.",
        )
    return given


def no_out(out: Any, who: str) -> None:
    """Raise unless `out`, which NumPy writes to, was left out.

    Raises:
        ArgumentError: arrays never change.
    """
    if out is not None:
        raise ArgumentError(
            f"{who} was given out=, but arrays never change.",
            where=called_at(),
            mend=f"Leave out= out, and use what {who} gives.",
        )


def is_scalar(x: Any) -> bool:
    """Whether `x` is a Python number, which adopts the dtype of what it meets."""
    return type(x) in SCALARS


def wrong_shape(who: str, what: str, mend: str) -> ShapeError:
    """Make the error for shapes that do not fit a function."""
    return ShapeError(f"{who} {what}", where=called_at(), mend=mend)


def wrong_dtype(who: str, what: str, mend: str) -> DtypeError:
    """Make the error for a dtype that a function does not take."""
    return DtypeError(f"{who} {what}", where=called_at(), mend=mend)
