"""Arguments for a function: read from text, or drawn from its annotations."""

from __future__ import annotations

import ast
import inspect
import re
import typing
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pullback.core.array import Array
from pullback.core.origin import defined_at, name_of
from pullback.errors import ArgumentError

#: Names of annotations that stand for an array, as written or as a class.
_ARRAYS = ("Array", "ndarray", "ArrayLike", "jax.Array")


def read_argument(text: str) -> Any:
    """Read a Python literal: `1.5`, `[1., 2.]` (an array), `{'w': 1.}`, `"relu"`.

    A list or nested list of numbers becomes an array.

    Raises:
        ArgumentError: it is no literal.
    """
    if re.fullmatch(r"[+-]?(inf|nan)", text.strip()):
        return float(text)
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError) as error:
        raise ArgumentError(
            f"argument {text!r} is no Python literal.",
            mend="Write numbers as 1.5, arrays as '[1., 2.]', strings as '\"name\"'.",
        ) from error
    return arrays_of_lists(value)


def arrays_of_lists(value: Any) -> Any:
    """Make float32 and int32 arrays of lists of numbers, in any container."""
    if isinstance(value, list):
        made = np.asarray(value)
        if made.dtype.kind in "iufc":
            narrow = {"f": np.float32, "i": np.int32, "c": np.complex64}
            return made.astype(narrow.get(made.dtype.kind, made.dtype))
        return [arrays_of_lists(x) for x in value]
    if isinstance(value, dict):
        return {k: arrays_of_lists(x) for k, x in value.items()}
    return tuple(map(arrays_of_lists, value)) if isinstance(value, tuple) else value


def read_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """Read `x=3,4` or `3,4` (for all arrays); `x=` is a scalar.

    Returns:
        The parameter's name ("" for all), and the shape.
    """
    name, _, sizes = text.rpartition("=")
    try:
        return name, tuple(int(n) for n in re.split(r"[,x]", sizes) if n)
    except ValueError as error:
        raise ArgumentError(
            f"shape {text!r} cannot be read.",
            mend="Write --shape 3,4 for all arrays, or --shape x=3,4 for one.",
        ) from error


def draw_arguments(
    f: Callable[..., Any],
    given: Sequence[Any],
    shapes: dict[str, tuple[int, ...]],
    rng: np.random.Generator,
) -> tuple[Any, ...]:
    """Draw the arguments that are not given from the annotations.

    Args:
        f: the function.
        given: its first arguments.
        shapes: parameter name -> shape; "" for arrays that are not named.
        rng: where randomness comes from.

    Raises:
        ArgumentError: a parameter has neither a default nor a useful annotation.
    """
    plain = inspect.unwrap(f)
    try:
        hints = typing.get_type_hints(plain)
    except Exception:  # a name in an annotation that cannot be resolved
        hints = dict(getattr(plain, "__annotations__", {}))
    found = list(given)
    for p in list(inspect.signature(f).parameters.values())[len(given) :]:
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD, p.KEYWORD_ONLY):
            break
        named = p.name in shapes
        if p.name not in hints and not named and p.default is not p.empty:
            break
        shape = shapes.get(p.name, shapes.get("", ()))
        hint = hints.get(p.name, "" if not shapes else Array)
        found.append(draw(f, p.name, hint, shape, rng))
    return tuple(found)


def draw(
    f: Callable[..., Any],
    name: str,
    hint: Any,
    shape: tuple[int, ...],
    rng: np.random.Generator,
) -> Any:
    """Draw one argument of an annotated type."""
    text = hint if isinstance(hint, str) else getattr(hint, "__name__", str(hint))
    if hint in (float, "float"):
        return float(rng.uniform(0.5, 2.0))
    if hint in (int, "int"):
        return int(rng.integers(1, 5))
    if hint in (bool, "bool"):
        return bool(rng.integers(2))
    if hint in (complex, "complex"):
        return complex(*rng.normal(size=2))
    origin = typing.get_origin(hint)
    if origin in (tuple, list):
        inner = [a for a in typing.get_args(hint) if a is not Ellipsis]
        return origin(draw(f, name, a, shape, rng) for a in inner)
    if text.split(".")[-1].split("[")[0] in _ARRAYS or text == "Operators":
        return rng.uniform(0.5, 2.0, shape).astype(np.float32)
    has = f"has the annotation {text!r}, from which no value can be drawn."
    raise ArgumentError(
        f"parameter `{name}` of {name_of(f)} "
        f"{has if text else 'has no annotation to draw a value from.'}",
        where=f"Defined at {defined_at(f)}.",
        mend="Give the arguments, annotate it as float, int or Array, or say "
        f"--shape {name}=3.",
    )
