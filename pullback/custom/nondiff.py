"""Arguments of decorated functions: which are differentiable, and which are not."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from pullback import tree
from pullback.config import config
from pullback.core.calling import Signature, is_arraylike
from pullback.core.closure import Captured, Closure
from pullback.core.origin import called_at, defined_at, name_of
from pullback.core.trace import Tracer
from pullback.errors import ArgumentError, NondiffError, NotAnArrayError

_REST = inspect.Parameter.VAR_POSITIONAL


class Arguments(NamedTuple):
    """A call's values by position, split by what derivatives make of them.

    Fields:
        nondiff: position -> value, for those marked as not differentiable.
        opaque: position -> value, for instances that are no containers of arrays.
        diff: the other positions, in order.
        total: how many positions there are.
        keywords: the names of the last positions, passed by keyword.
    """

    nondiff: dict[int, Any]
    opaque: dict[int, Any]
    diff: tuple[int, ...]
    total: int
    keywords: tuple[str, ...]

    def join(self, values: Sequence[Any]) -> list[Any]:
        """Give the value of every position from those of the differentiable ones."""
        full: list[Any] = [None] * self.total
        for i, x in zip(self.diff, values, strict=True):
            full[i] = x
        for i, x in (*self.nondiff.items(), *self.opaque.items()):
            full[i] = x
        return full

    def call(self, f: Callable[..., Any], full: Sequence[Any]) -> Any:
        """Call a function that has the decorated function's signature."""
        split = self.total - len(self.keywords)
        return f(*full[:split], **dict(zip(self.keywords, full[split:])))

    def apply(self, f: Callable[..., Any], values: Sequence[Any]) -> Any:
        """Call such a function, given the values of the differentiable positions."""
        return self.call(f, self.join(values))

    def rule_tuple(self, values: Sequence[Any], opaque: bool = True) -> tuple[Any, ...]:
        """Give the tuple that rules receive: all positions but the nondiff ones.

        Opaque values stand in their places among the primals; None among tangents.
        """
        rest = iter(values)
        out = []
        for i in range(self.total):
            if i in self.nondiff:
                continue
            if i in self.opaque:
                out.append(self.opaque[i] if opaque else None)
            else:
                out.append(next(rest))
        return tuple(out)

    def positions(self) -> list[int]:
        """Give the positions that rules receive as primals."""
        return [i for i in range(self.total) if i not in self.nondiff]

    def leading(self) -> list[Any]:
        """Give the nondiff values, which come first in rules."""
        return [self.nondiff[i] for i in sorted(self.nondiff)]


class PlainArguments(Arguments):
    """The arguments of a call whose every position is differentiable."""

    # Most calls are such, and in eager gradients this sorting is what shows
    # (`benchmarks`: eager grad with a custom rule).
    __slots__ = ()

    def join(self, values: Sequence[Any]) -> list[Any]:
        return list(values)

    def call(self, f: Callable[..., Any], full: Sequence[Any]) -> Any:
        return f(*full)

    def apply(self, f: Callable[..., Any], values: Sequence[Any]) -> Any:
        return f(*values)

    def rule_tuple(self, values: Sequence[Any], opaque: bool = True) -> tuple[Any, ...]:
        return tuple(values)

    def positions(self) -> list[int]:
        return list(self.diff)

    def leading(self) -> list[Any]:
        return []


class PlainCall(NamedTuple):
    """What all calls of a function with plain values have in common.

    Fields:
        arguments: the sorting of the arguments.
        in_tree: the structure of a tuple of leaves.
    """

    arguments: PlainArguments
    in_tree: tree.TreeDef


def plain_call(signature: Signature, marked: frozenset[int]) -> PlainCall | None:
    """Give what calls with values for all parameters have in common, if it is fixed."""
    found = signature.signature
    if found is None or marked:
        return None
    kinds = {p.kind for p in found.parameters.values()}
    if not kinds <= {
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    }:
        return None
    count = len(found.parameters)
    arguments = PlainArguments({}, {}, tuple(range(count)), count, ())
    return PlainCall(arguments, tree.structure((0.0,) * count))


def nondiff_positions(
    f: Callable[..., Any],
    signature: Signature,
    argnums: int | Sequence[int],
    argnames: str | Sequence[str],
) -> frozenset[int]:
    """Give the positions marked by number or name: see `positions_in`.

    Raises:
        ArgumentError: no integer, one out of range, or a name that is no parameter.
    """
    found = signature.signature.parameters.values() if signature.signature else ()
    parameters = [p for p in found if p.kind is not p.VAR_KEYWORD]
    kinds = [p.kind for p in parameters]
    # Where the values begin that stand for one parameter.
    rest = kinds.index(_REST) if _REST in kinds else None
    numbers: Iterable[Any] = argnums if isinstance(argnums, Iterable) else (argnums,)
    names = (argnames,) if isinstance(argnames, str) else argnames
    order = [p.name for p in parameters]

    def refuse(option: str, given: Any, why: str, mend: str) -> NoReturn:
        raise ArgumentError(
            f"{option} of {name_of(f)} holds {given!r}, {why}.",
            where=f"Defined at {defined_at(f)}.",
            mend=mend,
        )

    out = set()
    for n in numbers:
        if not isinstance(n, (int, np.integer)):
            mend = "Give positions there, and names in nondiff_argnames."
            refuse("nondiff_argnums", n, "which is no integer", mend)
        if rest is None and order and not -len(order) <= n < len(order):
            mend = f"Use positions from 0 to {len(order) - 1}."
            refuse("nondiff_argnums", n, f"but it has {len(order)} parameters", mend)
        out.add(int(n) if n >= 0 or rest is not None else int(n) % len(order))
    for name in names:
        if name not in order or order.index(name) == rest:
            why = f"which is none of its parameters ({', '.join(order)})"
            if name in order:
                why = "which stands for any number of arguments"
            refuse("nondiff_argnames", name, why, "Use names of single parameters.")
        place = order.index(name)
        after = rest is not None and place > rest
        out.add(place - len(order) if after else place)
    return frozenset(out)


def positions_in(marked: frozenset[int], total: int) -> frozenset[int]:
    """Give the marked positions of a call with so many values, none negative.

    A function of variable arguments has keyword-only ones at the end of each call; they
    are marked by negative numbers.
    """
    if not marked or min(marked) >= 0:
        return marked
    return frozenset([i % total if i < 0 else i for i in marked if i >= -total])


def split_arguments(
    f: Callable[..., Any],
    signature: Signature,
    marked: frozenset[int],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> tuple[Arguments, tuple[Any, ...]]:
    """Sort a call's values; callables become containers of what they capture.

    Returns:
        The sorting, and the differentiable values in order.

    Raises:
        NondiffError: a traced array in a nondiff position, unless config allows it.
        NotAnArrayError: a string or other object in a differentiable position.
    """
    full, keywords = signature.resolve(args, kwargs)
    marked = positions_in(marked, len(full))
    nondiff: dict[int, Any] = {}
    opaque: dict[int, Any] = {}
    diff: list[int] = []
    values: list[Any] = []
    for i, x in enumerate(full):
        if i in marked:
            refuse_traced(f, signature, i, len(full), x)
            nondiff[i] = x
        elif i == 0 and is_plain_instance(x, f, signature):
            opaque[i] = x
        else:
            diff.append(i)
            values.append(close(f, signature, i, len(full), x))
    arguments = Arguments(nondiff, opaque, tuple(diff), len(full), keywords)
    return arguments, tuple(values)


def parameter_name(signature: Signature, position: int, total: int) -> str:
    """Give the name of the parameter that a value is for, or its number.

    Args:
        signature: the function's.
        position: of the value in a call.
        total: how many values the call has.
    """
    names = signature.names
    found = signature.signature.parameters.values() if signature.signature else ()
    kinds = [p.kind for p in found]
    rest = kinds.index(_REST) if _REST in kinds else len(names)
    after = kinds.count(inspect.Parameter.KEYWORD_ONLY)
    if position < rest:
        return names[position]
    if rest == len(names):
        return f"argument {position}"
    if position >= total - after:
        return names[rest + 1 + position - (total - after)]
    return f"{names[rest]}[{position - rest}]"


#: In place of a captured value's place: it was not captured, but marked nondiff.
MARKED = "nondiff"


def name_arguments(
    captured: Sequence[Captured],
    arguments: Arguments,
    parameter: Callable[[int, int], str],
) -> list[Captured]:
    """Name the captured values that stand in nondiff arguments or in the instance."""
    names: dict[int, str] = {}
    for i, x in arguments.nondiff.items():
        for leaf, path in zip(tree.leaves(x), tree.path_strings(x)):
            names[id(leaf)] = parameter(i, arguments.total) + path
    instance = "".join(parameter(i, arguments.total) for i in arguments.opaque)
    named = []
    for c in captured:
        if id(c.value) in names:
            c = c._replace(name=names[id(c.value)], where=MARKED)
        elif c.name.startswith("."):
            c = c._replace(name=instance + c.name)
        named.append(c)
    return named


def refuse_traced(
    f: Any, signature: Signature, position: int, total: int, x: Any
) -> None:
    """Raise for a traced array in a nondiff position."""
    if config.nondiff_arrays == "stop_gradient":
        return
    if isinstance(x, Tracer) or any(isinstance(y, Tracer) for y in tree.leaves(x)):
        found = next(y for y in tree.leaves(x) if isinstance(y, Tracer))
        name = parameter_name(signature, position, total)
        raise NondiffError(
            f"argument `{name}` of {name_of(f)} is marked as not differentiable "
            f"(nondiff_argnums) but holds {found.describe()}.",
            where=f"Defined at {defined_at(f)}. {called_at()}",
            mend="Arrays need no marking: take it out of nondiff_argnums and return "
            "None (or zeros) for its derivative; or allow traced arrays there with "
            "config.update('nondiff_arrays', 'stop_gradient').",
        )


def is_plain_instance(x: Any, f: Callable[..., Any], signature: Signature) -> bool:
    """Whether the first value is a class, or an instance that is no container."""
    if is_arraylike(x) or not tree.is_leaf(x):
        return False
    first = signature.names[:1]
    if isinstance(x, type):
        return first == ("cls",) or is_method_of(f, x)
    return first == ("self",) or is_method_of(f, type(x))


def is_method_of(f: Callable[..., Any], cls: type) -> bool:
    """Whether a class has the function, decorated, under its name."""
    found = inspect.getattr_static(cls, getattr(f, "__name__", ""), None)
    while found is not None and found is not f:
        found = getattr(found, "__wrapped__", None)
    return found is f


def close(f: Any, signature: Signature, position: int, total: int, x: Any) -> Any:
    """Check one differentiable value, and turn callables in it into closures."""
    if is_arraylike(x):
        return x
    leaves, treedef = tree.flatten(x)
    if all(map(is_arraylike, leaves)):
        return x
    out = []
    for leaf, path in zip(leaves, tree.path_strings(x)):
        if is_arraylike(leaf):
            out.append(leaf)
        elif callable(leaf):
            out.append(Closure(leaf))
        else:
            name = parameter_name(signature, position, total) + path
            raise NotAnArrayError(
                f"argument `{name}` of {name_of(f)} is a {type(leaf).__name__} "
                f"({leaf!r:.40}), which has no derivative.",
                where=f"Defined at {defined_at(f)}. {called_at()}",
                mend=f"Mark it: nondiff_argnums=({position},).",
            )
    return treedef.unflatten(out)
