"""A decorated function at several points: what its rules are held against."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pullback import tree
from pullback.checking.coordinates import Space, Subject
from pullback.checking.jacobian import forward, numeric, reverse
from pullback.core.calling import is_arraylike
from pullback.core.closure import Closure
from pullback.core.origin import called_at, name_of
from pullback.custom.function import CustomFunction
from pullback.custom.nondiff import positions_in
from pullback.errors import ArgumentError

Matrices = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def decorated(
    f: Any, args: Sequence[Any]
) -> tuple[CustomFunction, tuple[Any, ...], dict[str, Any]]:
    """Find the decorated function behind methods, partials and compiled functions.

    Returns:
        The function, and the call's arguments by position and by name.

    Raises:
        ArgumentError: there is none.
    """
    given = f
    values = tuple(args)
    keywords: dict[str, Any] = {}
    while not isinstance(f, CustomFunction):
        if isinstance(f, types.MethodType):
            values, f = (f.__self__, *values), f.__func__
        elif isinstance(f, functools.partial):
            keywords = {**f.keywords, **keywords}
            values, f = (*f.args, *values), f.func
        elif hasattr(f, "__wrapped__"):
            f = f.__wrapped__
        else:
            raise ArgumentError(
                f"{name_of(given)} has no custom rules to check.",
                where=called_at(),
                mend="Give a custom_jvp or custom_vjp function; for the derivatives of "
                "any other function use check_grads.",
            )
    return f, values, keywords


def closed(leaf: Any) -> Any:
    """Make a callable a container of the values it captures."""
    callable_leaf = callable(leaf) and not is_arraylike(leaf)
    return Closure(leaf) if callable_leaf else leaf


class Point:
    """The decorated function and its body at one list of arguments.

    Args:
        rules: the decorated function, as a function of its varying leaves.
        body: the function inside, likewise.
    """

    def __init__(self, rules: Subject, body: Subject) -> None:
        self.rules = rules
        self.body = body
        self.values = [np.asarray(y) for y in body(*body.point)]
        self.inputs = rules.space()
        self.outputs = Space(self.values, body.out_names)
        self._by_body: np.ndarray | None = None
        self._numeric: Matrices | None = None

    @property
    def finite(self) -> bool:
        """Whether the function's value is finite."""
        return all(np.isfinite(y).all() for y in self.values)

    def by_body(self) -> np.ndarray | None:
        """Differentiate the function's body, None where that cannot be done."""
        if self._by_body is None:
            for derive in (forward, reverse):
                try:
                    self._by_body = derive(self.body, self.inputs, self.outputs)
                    break
                except Exception:  # the reason for a custom rule, often
                    continue
        return self._by_body

    def by_differences(self) -> Matrices:
        """Differentiate the function by finite differences."""
        if self._numeric is None:
            self._numeric = numeric(self.body, self.inputs, self.outputs)
        return self._numeric

    def wanted(self) -> Matrices:
        """Give what the derivative should be: by the body, else by differences."""
        body = self.by_body()
        if body is None:
            return self.by_differences()
        if np.isfinite(body).all():
            return body, np.zeros_like(body), body, body
        known = np.isfinite(body)
        value, error, low, high = self.by_differences()
        return (
            np.where(known, body, value),
            np.where(known, 0.0, error),
            np.where(known, body, low),
            np.where(known, body, high),
        )

    def found(self, mode: str) -> np.ndarray:
        """Differentiate by the rules: "jvp" in forward mode, "vjp" in reverse mode."""
        derive = forward if mode == "jvp" else reverse
        return derive(self.rules, self.inputs, self.outputs)

    def moved(self, leaves: Sequence[Any]) -> Point:
        """Give the functions at other values of the varying leaves."""
        full = list(self.rules.leaves)
        for i, x in zip(self.rules.varied, leaves):
            full[i] = x
        return Point(self.rules.with_leaves(full), self.body.with_leaves(full))


class Case:
    """A decorated function with a call's arguments, sorted.

    Args:
        f: the decorated function, or something around it.
        args: the call's arguments.
    """

    def __init__(self, f: Any, args: Sequence[Any]) -> None:
        self.function, values, named = decorated(f, args)
        self.kept_rules = self.function.rules
        self.name = name_of(self.function)
        full, self.keywords = self.function.call_signature.resolve(values, named)
        self.nondiff = positions_in(self.function.nondiff, len(full))
        # A callable argument has derivatives by the values that it captures.
        self.full = tuple(
            x if i in self.nondiff else tree.map(closed, x) for i, x in enumerate(full)
        )
        self.names = [self.function.parameter(i, len(full)) for i in range(len(full))]

    def call(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """Give a function of all values by position."""
        split = len(self.full) - len(self.keywords)

        @functools.wraps(f, updated=())
        def by_position(*values: Any) -> Any:
            return f(*values[:split], **dict(zip(self.keywords, values[split:])))

        return by_position

    def subjects(self) -> tuple[Subject, Subject]:
        """Give the decorated function and its body as functions of what varies."""
        rules = Subject(self.call(self.function), self.full, self.names)
        fixed: set[int] = set()
        at = 0
        for i, x in enumerate(self.full):
            count = len(tree.leaves(x))
            if i in self.nondiff:
                fixed.update(range(at, at + count))
            at += count
        rules.varied = [i for i in rules.varied if i not in fixed]
        return rules, rules.with_function(self.call(self.kept_rules.fun))

    def argument_of(self, leaf: int) -> int:
        """Give the position of the argument that a leaf of all leaves is in."""
        at = 0
        for i, x in enumerate(self.full):
            at += len(tree.leaves(x))
            if leaf < at:
                return i
        return len(self.full) - 1


def near(point: Point, seed: int) -> Point | None:
    """Give a point not far away where the function is finite too, if one is found.

    Numbers keep their signs, and grow or shrink by up to a third; zeros become small.
    """
    rng = np.random.default_rng(seed)

    def move(x: Any) -> Any:
        shape = np.shape(x)
        size = rng.uniform(0.05, 0.3, shape) * rng.choice([-1.0, 1.0], shape)
        value = np.asarray(x)
        moved = np.where(value == 0, np.abs(size), value * (1 + size))
        return float(moved) if type(x) is float else moved.astype(value.dtype)

    for _ in range(3):
        try:
            found = point.moved([move(x) for x in point.rules.point])
            if found.finite:
                return found
        except Exception:  # outside the function's domain
            continue
    return None
