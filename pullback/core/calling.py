"""How user functions are called: signatures, argument numbers, flat argument lists."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pullback import dtypes, tree
from pullback.core.array import SCALARS, Array, from_host
from pullback.core.origin import called_at, name_of
from pullback.core.trace import Tracer, Value
from pullback.errors import ArgumentError, IntegerRangeError, NotAnArrayError


def check_callable(f: Any, who: str) -> None:
    """Raise unless `f` can be called.

    Raises:
        ArgumentError: `f` is no function; names the transformation `who`.
    """
    if not callable(f):
        raise ArgumentError(
            f"{who} was given a {type(f).__name__} where it wants a function: {f!r}.",
            where=called_at(),
            mend=f"Write {who}(f)(x), with the function first.",
        )


def argument_name(f: Callable[..., Any], position: int) -> str:
    """Give the name of a positional parameter: `x`, or `argument 2` if unknown."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        return f"argument {position}"
    for i, p in enumerate(parameters):
        if p.kind is p.VAR_POSITIONAL and i <= position:
            return f"{p.name}[{position - i}]"
        if i == position:
            return p.name
    return f"argument {position}"


def leaf_names(f: Callable[..., Any], args: Sequence[Any]) -> list[str]:
    """Give, for each leaf of the positional arguments, its name: `x['w'][0]`."""
    names = []
    for i, arg in enumerate(args):
        name = argument_name(f, i)
        names += [name + path for path in tree.path_strings(arg)]
    return names


def is_arraylike(x: Any) -> bool:
    """Whether an operation could take `x`: an array, traced value, number."""
    return (
        isinstance(x, (Array, Tracer, np.ndarray, np.generic))
        or type(x) in SCALARS
        or hasattr(x, "__jax_array__")
        or isinstance(x, (bool, int, float, complex))
    )


def as_value(x: Any, what: str = "the operation") -> Value:
    """Make an array or tracer of a leaf: Python scalars become weak arrays.

    Args:
        x: an array, traced value, NumPy array or scalar, or Python number.
        what: who asks, for the error.

    Raises:
        NotAnArrayError: `x` is none of these.
    """
    kind = type(x)
    if kind is Array or isinstance(x, Tracer):
        return x
    if kind in SCALARS:
        return from_host(scalar_host(x), kind is not bool)
    if isinstance(x, (np.ndarray, np.generic)):
        return from_numpy(x)
    if isinstance(x, (bool, int, float, complex)):
        kinds = (bool, int, float, complex)
        kind = next(k for k in kinds if isinstance(x, k))
        return as_value(kind(x))  # type: ignore[arg-type]
    convert = getattr(x, "__jax_array__", None)
    if convert is not None:
        return as_value(convert(), what)
    raise NotAnArrayError(
        f"{what} was given a value of type {type(x).__name__}, which is no array: "
        f"{x!r:.80}.",
        where=called_at(),
        mend="Give an array or a number; mark functions, strings and other objects "
        "static or nondiff, and turn lists into arrays with jnp.array.",
    )


def scalar_host(x: Any) -> Any:
    """Make a NumPy scalar of a Python scalar, in the default dtype of its kind.

    Raises:
        IntegerRangeError: an integer that does not fit.
    """
    dtype = dtypes.scalar_dtype(type(x))
    try:
        return dtype.type(x)
    except OverflowError as error:
        raise out_of_range(x, dtype) from error


def out_of_range(x: int, dtype: dtypes.Dtype) -> IntegerRangeError:
    """Make the error for a Python integer that a dtype cannot hold."""
    return IntegerRangeError(
        f"the integer {x} does not fit {dtype.name}.",
        where=called_at(),
        mend="Use a float or an array of a wider dtype; 64 bits need "
        "config.update('enable_x64', True).",
    )


def from_numpy(x: Any) -> Array:
    """Copy a NumPy array or scalar the user may still write to.

    Raises:
        DtypeError: its dtype is none that arrays can have.
    """
    dtype = dtypes.canonical(x.dtype)
    if isinstance(x, np.generic):
        return from_host(x if x.dtype == dtype else x.astype(dtype))
    return from_host(np.array(x, dtype=dtype))


def normalize_positions(
    numbers: int | Sequence[int], count: int, what: str
) -> tuple[int, ...]:
    """Make a tuple of non-negative positions of an int or sequence of them, in order.

    Raises:
        ArgumentError: a position out of range or no integer, naming `what`.
    """
    given = (numbers,) if isinstance(numbers, (int, np.integer)) else tuple(numbers)
    for n in given:
        if not isinstance(n, (int, np.integer)):
            raise ArgumentError(
                f"{what} must be integers; got {n!r}.",
                where=called_at(),
                mend=f"Give {what} as an int or a tuple of ints.",
            )
        if not -count <= n < count:
            raise ArgumentError(
                f"{what} names position {n}, but there are {count} positional "
                "arguments.",
                where=called_at(),
                mend=f"Use positions from 0 to {count - 1}, and pass those arguments "
                "by position."
                if count
                else "Pass those arguments by position.",
            )
    return tuple(int(n) % count for n in given)


class Signature:
    """A function's parameters, to turn any call into a tuple of positional values.

    Keyword-only parameters come after the positional ones.
    """

    __slots__ = ("function", "names", "signature")

    def __init__(self, f: Callable[..., Any]) -> None:
        self.function = f
        try:
            self.signature: inspect.Signature | None = inspect.signature(f)
        except (TypeError, ValueError):
            self.signature = None
        bound = f.keywords if isinstance(f, functools.partial) else {}
        if bound and self.signature:
            # What a partial has bound by keyword is no parameter any more.
            rest = self.signature.parameters.values()
            self.signature = self.signature.replace(
                parameters=[p for p in rest if p.name not in bound]
            )
        parameters = self.signature.parameters if self.signature else {}
        self.names = tuple(parameters)

    def resolve(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], tuple[str, ...]]:
        """Give all values by position, and the names of the trailing keyword-only ones.

        Raises:
            ArgumentError: the call does not fit the signature, or `**kwargs` of the
                function itself were used.
        """
        if self.signature is None or (not kwargs and self._all_given(args)):
            if kwargs:
                self._refuse_keywords(kwargs)
            return args, ()
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise ArgumentError(
                f"{name_of(self.function)} was called with {error}.",
                where=called_at(),
                mend=f"Its parameters are ({', '.join(self.names)}); give a value for "
                "each that has no default.",
            ) from None
        bound.apply_defaults()
        positional: list[Any] = []
        keyword_only: list[str] = []
        for name, p in self.signature.parameters.items():
            value = bound.arguments[name] if name in bound.arguments else ()
            if p.kind is p.VAR_POSITIONAL:
                positional.extend(value)
            elif p.kind is p.VAR_KEYWORD:
                if value:
                    self._refuse_keywords(value)
            elif p.kind is p.KEYWORD_ONLY:
                keyword_only.append(name)
                positional.append(value)
            else:
                positional.append(value)
        return tuple(positional), tuple(keyword_only)

    def _all_given(self, args: tuple[Any, ...]) -> bool:
        """Whether `args` alone fill every parameter, with nothing to resolve."""
        parameters = self.signature.parameters.values() if self.signature else ()
        count = 0
        for p in parameters:
            if p.kind is p.VAR_POSITIONAL:
                return len(args) >= count and not any(
                    q.kind is q.KEYWORD_ONLY for q in parameters
                )
            if p.kind is p.KEYWORD_ONLY:
                return False
            if p.kind is not p.VAR_KEYWORD:
                count += 1
        return len(args) == count

    def _refuse_keywords(self, kwargs: dict[str, Any]) -> None:
        raise ArgumentError(
            f"{name_of(self.function)} takes arbitrary keyword arguments "
            f"({', '.join(kwargs)}), which have no positions for its rules.",
            where=called_at(),
            mend="Name these parameters in the signature, or pass them in a dict.",
        )
