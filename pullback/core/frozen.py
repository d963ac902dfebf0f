"""`frozen`: classes whose fields are set once and that are equal if these are.

They are what a dataclass with `frozen` and `slots` is. Making one writes and compiles
no code: as dataclasses, the ninety operations took 25 ms of an import of 135 ms.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Mapping, Sequence
from dataclasses import FrozenInstanceError
from typing import Any, ClassVar, TypeVar, dataclass_transform, get_origin

_Class = TypeVar("_Class", bound=type)
#: Stands for a default that there is not.
_NONE = object()


@dataclass_transform(frozen_default=True)
def frozen(cls: _Class) -> _Class:
    """Make the annotated names of a class its fields, after those of its bases.

    Fields are given by position or by name; a value in the class is a default. Methods
    of the class stay, `__init__` among them. Class variables are annotated `ClassVar`.
    """
    annotations = inspect.get_annotations(cls)
    own = [n for n, kind in annotations.items() if not is_class_variable(kind)]
    inherited = [base.__dict__ for base in reversed(cls.__mro__[1:])]
    fields = [n for base in inherited for n in base.get("__match_args__", ())]
    names = tuple(dict.fromkeys([*fields, *own]))
    defaults: dict[str, Any] = {}
    for base in inherited:
        defaults.update(base.get("_defaults", {}))
    defaults.update({n: cls.__dict__[n] for n in own if n in cls.__dict__})
    slots = [n for n in own if not any(n in b.get("__slots__", ()) for b in inherited)]
    left_out = {"__dict__", "__weakref__", *own}
    body = {n: x for n, x in cls.__dict__.items() if n not in left_out}
    body |= {"__slots__": tuple(slots), "__match_args__": names, "_defaults": defaults}
    made: Any = type(cls)(cls.__name__, cls.__bases__, body)
    made.__qualname__ = cls.__qualname__
    for name, method in methods_of(made, names, defaults).items():
        if name not in cls.__dict__:
            setattr(made, name, method)
    return made  # type: ignore[no-any-return]


def is_class_variable(annotation: Any) -> bool:
    """Whether an annotation says that a name is no field."""
    if isinstance(annotation, str):
        return annotation.startswith(("ClassVar", "typing.ClassVar"))
    return annotation is ClassVar or get_origin(annotation) is ClassVar


def methods_of(
    made: Any, names: tuple[str, ...], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """Give the methods that go by the fields."""
    count = len(names)
    setters = [getattr(made, name).__set__ for name in names]
    values: Any = operator.attrgetter(*names) if names else lambda self: ()
    # The defaults of the last fields, which may be left out.
    rest = tuple([defaults.get(n, _NONE) for n in names])
    needed = max([i + 1 for i, x in enumerate(rest) if x is _NONE], default=0)

    def __init__(self: Any, *given: Any, **named: Any) -> None:
        if named or len(given) != count:
            if named or not needed <= len(given) < count:
                given = bound(made.__name__, names, defaults, given, named)
            else:
                given = (*given, *rest[len(given) :])
        for put, value in zip(setters, given):
            put(self, value)

    def __eq__(self: Any, other: object) -> bool:
        return self is other or (
            type(self) is type(other) and values(self) == values(other)
        )

    def __hash__(self: Any) -> int:
        return hash((made, values(self)))

    def __repr__(self: Any) -> str:
        inside = ", ".join([f"{n}={getattr(self, n)!r}" for n in names])
        return f"{made.__name__}({inside})"

    def __reduce__(self: Any) -> Any:
        return type(self), tuple([getattr(self, n) for n in names])

    def __setattr__(self: Any, name: str, value: Any) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self: Any, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    return {
        "__init__": __init__,
        "__eq__": __eq__,
        "__hash__": __hash__,
        "__repr__": __repr__,
        "__reduce__": __reduce__,
        "__setattr__": __setattr__,
        "__delattr__": __delattr__,
    }


def bound(
    who: str,
    names: Sequence[str],
    defaults: Mapping[str, Any],
    given: Sequence[Any],
    named: Mapping[str, Any],
) -> tuple[Any, ...]:
    """Give a value for each field, in order.

    Raises:
        TypeError: too many, an unknown name, one given twice, or one missing.
    """
    found = dict(zip(names, given))
    unknown = [n for n in named if n not in names]
    twice = [n for n in named if n in found]
    missing = [n for n in names if n not in {*found, *named, *defaults}]
    if len(given) > len(names) or unknown or twice or missing:
        words = {"unknown": unknown, "given twice": twice, "missing": missing}
        wrong = [f"{', '.join(ns)} {word}" for word, ns in words.items() if ns]
        raise TypeError(
            f"{who}({', '.join(names)}) was given {len(given)} values and "
            f"{', '.join(named) or 'none'} by name: {'; '.join(wrong) or 'too many'}."
        )
    return tuple({**defaults, **found, **named}[n] for n in names)


def replaced(x: Any, **changes: Any) -> Any:
    """Give a copy of a frozen object with some fields changed."""
    fields = {n: getattr(x, n) for n in getattr(x, "__match_args__", ())}
    return type(x)(**{**fields, **changes})
